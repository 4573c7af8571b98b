"""Batches that several devices share: what a loss compares is gathered from all of them.

Each process of a distributed training holds a share of every batch. A loss whose value depends on
the batch as a whole (a mean by weights, an agreement, choosing the partner among others) is
computed on all shares, by every process alike, and the gradient flows to the own share.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed


def share() -> tuple[int, int]:
    """This process's number among those that train together, from 0, and how many they are; (0, 1)
    where one trains alone."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def gathered(own: Tensor) -> Tensor:
    """The rows of all processes, in the order of their numbers; the same tensor where one trains
    alone.

    Parameters
    ----------
    own
        (b, …): rows of this process; b, and the lengths of further dimensions, may differ between
        processes. All processes have to call this at the same points of a step, even with b of 0.

    Returns
    -------
    Tensor
        (sum of b, …), shorter rows filled up with zeros. The gradient is that of the own rows,
        times the number of processes: distributed training takes the mean of the processes'
        gradients, and each has computed the whole loss, so that the mean becomes the gradient that
        one process would have computed for the whole batch.
    """
    if share()[1] == 1:
        return own
    rows: Tensor = _Gathered.apply(own)
    return rows


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        number, processes = share()
        shape = torch.tensor(own.shape, device=own.device)
        shapes = [torch.empty_like(shape) for _ in range(processes)]
        distributed.all_gather(shapes, shape)
        rows = [int(each[0]) for each in shapes]
        largest = torch.stack(shapes).amax(dim=0).tolist()
        padded = own.new_zeros(largest)
        ctx.inside = tuple(slice(0, length) for length in own.shape)
        padded[ctx.inside] = own
        parts = [torch.empty_like(padded) for _ in range(processes)]
        distributed.all_gather(parts, padded)
        ctx.first, ctx.processes = sum(rows[:number]), processes
        return torch.cat([part[:length] for part, length in zip(parts, rows, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        own: Tensor = gradients[0][ctx.first :][ctx.inside]
        return own * ctx.processes

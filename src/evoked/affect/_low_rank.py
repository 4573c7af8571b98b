"""Differences of low rank to a network's weights, either trained or taken from any training.

Sources: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022, equation 3;
Eckart and Young, "The approximation of one matrix by another of lower rank", Psychometrika 1936:
the leading singular vectors give the nearest matrix of a given rank.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
from torch import nn
from torch.nn import functional

Kind = TypeVar("Kind", bound=nn.Module)
Weights = dict[str, torch.Tensor]


class LowRankLinear(nn.Module):
    """W·x + b + up·down·x: the frozen layer ``linear`` with a difference of rank ``rank``.

    Parameters
    ----------
    linear
        The layer; its weights are not trained.
    rank
        Rank of the difference, which is zero at first.
    dropout
        Share of the ``rank`` inner values that are dropped in training.
    """

    def __init__(self, linear: nn.Linear, rank: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.linear = linear.requires_grad_(False)
        self.down = nn.Parameter(torch.randn(rank, linear.in_features) / linear.in_features**0.5)
        self.up = nn.Parameter(torch.zeros(linear.out_features, rank))
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        inner = self.dropout(functional.linear(inputs, self.down))
        return self.linear(inputs) + functional.linear(inner, self.up)

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """One plain layer that computes the same without dropout."""
        linear = copy.deepcopy(self.linear)
        linear.weight += self.up @ self.down
        return linear


def add_low_rank(network: nn.Module, rank: int, dropout: float = 0.0) -> None:
    """Give every linear layer in ``network`` a low-rank difference, in place."""
    for name, linear in _modules_of(network, nn.Linear):
        network.set_submodule(name, LowRankLinear(linear, rank, dropout))


def merge_low_rank(network: nn.Module) -> None:
    """Turn every :class:`LowRankLinear` in ``network`` into a plain layer, in place."""
    for name, adapted in _modules_of(network, LowRankLinear):
        network.set_submodule(name, adapted.merged())


def compressed(
    trained: Mapping[str, torch.Tensor], base: Mapping[str, torch.Tensor], rank: int
) -> Weights:
    """Weights as differences to ``base``.

    Parameters
    ----------
    trained
        Weights by name.
    base
        The weights that training began with.
    rank
        Rank of each matrix's difference.

    Returns
    -------
    dict
        For each changed matrix (m, n) of ``base`` two tensors, ``name.up`` (m, rank) and
        ``name.down`` (rank, n), whose product is nearest to the difference. What equals ``base`` is
        left out; everything else stays as it is.
    """
    kept: Weights = {}
    for name, weight in trained.items():
        if name in base and torch.equal(weight, base[name]):
            continue
        if name not in base or weight.ndim != 2:
            kept[name] = weight
            continue
        left, sizes, right = torch.linalg.svd(weight - base[name], full_matrices=False)
        kept[f"{name}.up"] = (left[:, :rank] * sizes[:rank]).contiguous()
        kept[f"{name}.down"] = right[:rank].contiguous()
    return kept


def averaged(kept: Sequence[Mapping[str, torch.Tensor]]) -> Weights:
    """The exact mean of several results of :func:`compressed`; its rank is the sum of theirs."""
    weights: Weights = {}
    for name in kept[0]:
        parts = [each[name] for each in kept]
        if name.endswith(".up"):
            weights[name] = torch.cat(parts, dim=1) / len(parts)
        elif name.endswith(".down"):
            weights[name] = torch.cat(parts, dim=0)
        else:
            weights[name] = torch.stack(parts).mean(0)
    return weights


def _modules_of(network: nn.Module, kind: type[Kind]) -> list[tuple[str, Kind]]:
    return [(name, module) for name, module in network.named_modules() if isinstance(module, kind)]

"""Low-rank adaptation: a frozen linear layer and a small trained difference to it.

Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022, equation 3.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn
from torch.nn import functional

Kind = TypeVar("Kind", bound=nn.Module)


class LowRankLinear(nn.Module):
    """W·x + b + up·down·x: the frozen layer ``linear`` with a difference of rank ``rank``.

    Parameters
    ----------
    linear
        The layer; its weights are not trained.
    rank
        Rank of the difference, which is zero at first.
    dropout
        Share of the ``rank`` inner values that is dropped in training.
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


def _modules_of(network: nn.Module, kind: type[Kind]) -> list[tuple[str, Kind]]:
    return [(name, module) for name, module in network.named_modules() if isinstance(module, kind)]

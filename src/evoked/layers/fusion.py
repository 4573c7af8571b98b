"""Ways to make one vector of two."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LowRankBilinear(nn.Module):
    """Low-rank bilinear pooling, Pᵀ(tanh(Uᵀx) ∘ tanh(Vᵀy)).

    The full bilinear form has a matrix per output; here all of them are of rank ``rank`` and
    share their factors. Source: Kim et al., "Hadamard Product for Low-rank Bilinear Pooling", ICLR
    2017, in its non-linear form.

    Parameters
    ----------
    left, right
        Lengths of the two vectors.
    rank
        Of the bilinear form.
    outputs
        Length of the result.
    dropout
        Of the product.
    """

    def __init__(
        self, left: int, right: int, rank: int, outputs: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(left, rank), nn.Linear(right, rank)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(rank, outputs)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """(b, left) and (b, right) to (b, outputs)."""
        product = torch.tanh(self.left(left)) * torch.tanh(self.right(right))
        result: Tensor = self.output(self.dropout(product))
        return result

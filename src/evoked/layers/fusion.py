"""Fusion of several vectors into one."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LowRankBilinear(nn.Module):
    """Low-rank bilinear pooling, Pᵀ(tanh(Uᵀx) ∘ tanh(Vᵀy)).

    The full bilinear form has one matrix per output; here all matrices have rank ``rank`` and share
    their factors. Source: Kim et al., "Hadamard Product for Low-rank Bilinear Pooling", ICLR
    2017, in its non-linear form.

    Parameters
    ----------
    left, right
        Lengths of the two vectors.
    rank
        Rank of the bilinear form.
    outputs
        Length of the result.
    dropout
        Dropout of the product.
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


class GatedFusion(nn.Module):
    """A weighted mean of vectors whose weights, one per channel, depend on all of them.

    g = softmax over the vectors of W [v₁; v₂; …], fused = Σ g ∘ v. After the gated multimodal unit
    of Arevalo et al. (2017), for any number of vectors.

    Parameters
    ----------
    count
        Number of vectors.
    width
        Length of each.
    """

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(count * width, count * width)

    def forward(self, vectors: Tensor) -> Tensor:
        """(b, count, width) to (b, width)."""
        gates = self.gate(vectors.flatten(1)).unflatten(1, vectors.shape[1:]).softmax(dim=1)
        return (gates * vectors).sum(dim=1)

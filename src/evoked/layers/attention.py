"""Attention over regions and words, and between them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class ScaledDotProductAttention(nn.Module):
    """Multi-head attention, ABMF Eq. 1: softmax(QKᵀ/√d_k)V.

    Parameters
    ----------
    width
        Channels of queries, keys and values.
    heads
        Number of heads; must divide ``width``.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of {heads} heads")
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, width)

    def forward(
        self, queries: Tensor, keys: Tensor, mask: Tensor, want_weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Attend.

        Parameters
        ----------
        queries, keys
            (b, q, width) and (b, k, width); keys serve as values too.
        mask
            bool, (b, k): keys that exist.
        want_weights
            Return the weights as well, for explanations (slower).

        Returns
        -------
        attended, weights
            (b, q, width), and (b, q, k) averaged over heads or None.
        """
        q = self._split(self.query(queries))
        k, v = (self._split(part) for part in self.key_value(keys).chunk(2, dim=-1))
        visible = mask[:, None, None, :]
        weights = None
        if want_weights:
            scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
            per_head = scores.masked_fill(~visible, float("-inf")).softmax(dim=-1)
            attended, weights = per_head @ v, per_head.mean(dim=1)
        else:
            attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=visible)
        return self.output(attended.transpose(1, 2).flatten(2)), weights

    def _split(self, states: Tensor) -> Tensor:
        return states.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class AttentionBlock(nn.Module):
    """Attention and a feed-forward network, each behind a layer norm, with residuals.

    Parameters
    ----------
    width, heads
        As in :class:`ScaledDotProductAttention`.
    activation
        Of the feed-forward network, twice as wide as the block.
    dropout
        Of what each half adds. (Dropping single attention weights as well took a third of the
        training time on a processor and gained nothing.)
    """

    def __init__(
        self, width: int, heads: int, activation: type[nn.Module], dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.query_norm = nn.LayerNorm(width)
        self.key_norm = nn.LayerNorm(width)
        self.attention = ScaledDotProductAttention(width, heads)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            activation(),
            nn.Linear(2 * width, width),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, queries: Tensor, keys: Tensor, mask: Tensor, want_weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Let ``queries`` attend to ``keys`` (pass the same tensor for self-attention)."""
        attended, weights = self.attention(
            self.query_norm(queries), self.key_norm(keys), mask, want_weights
        )
        states = queries + self.dropout(attended)
        return states + self.dropout(self.feed_forward(states)), weights


class SpatialAttention(nn.Module):
    """Weighs the positions of an image map (ABMF Table 1: spatial attention, ReLU).

    A position's weight is a softmax over w·ReLU(W m_p), so weights of a picture sum to one.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Reweigh ``tokens`` (b, p, width) where ``mask`` (b, p) holds.

        Returns
        -------
        tokens, weights
            (b, p, width): each token plus itself times its weight relative to the mean weight;
            (b, p) weights that sum to one.
        """
        scores = self.score(tokens).squeeze(-1).masked_fill(~mask, float("-inf"))
        weights = scores.softmax(dim=-1)
        relative = weights * mask.sum(dim=-1, keepdim=True)
        return tokens * (1 + relative.unsqueeze(-1)) / 2, weights


class AttentionPooling(nn.Module):
    """One vector from many tokens, by a learned query."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Linear(width, 1)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(b, t, width) where ``mask`` (b, t) holds, to (b, width)."""
        scores = self.score(tokens).squeeze(-1).masked_fill(~mask, float("-inf"))
        return torch.einsum("bt,btw->bw", scores.softmax(dim=-1), tokens)

"""Attention over regions and words, and between them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from evoked.layers.gathering import gathered
from evoked.layers.tokens import layer_norm

# A placeholder and a hashtag are not a text, and no picture has so few regions.
_FEWEST = 2
_MATCHED_POSTS = 16


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
        self,
        queries: Tensor,
        keys: Tensor,
        mask: Tensor,
        want_weights: bool = False,
        prior: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend.

        Parameters
        ----------
        queries, keys
            (b, q, width) and (b, k, width); keys are also the values.
        mask
            bool, (b, k): keys that exist.
        want_weights
            Also return the weights, for explanations (slower).
        prior
            (b, k), added to the scores of each key: the logarithm of a factor of its weight. None
            favours no key, as does the same number for all.

        Returns
        -------
        attended, weights
            (b, q, width), and (b, q, k) averaged over heads or None.
        """
        q = self._split(self.query(queries))
        k, v = (self._split(part) for part in self.key_value(keys).chunk(2, dim=-1))
        visible = mask[:, None, None, :]
        added = None if prior is None else prior[:, None, None, :].to(q.dtype)
        weights = None
        if want_weights or torch.compiler.is_exporting():  # the fused operation has no ONNX twin
            scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
            scores = scores if added is None else scores + added
            per_head = scores.masked_fill(~visible, float("-inf")).softmax(dim=-1)
            attended, weights = per_head @ v, per_head.mean(dim=1)
        else:
            mask = visible if added is None else added.masked_fill(~visible, float("-inf"))
            attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.output(attended.transpose(1, 2).flatten(2)), weights

    def _split(self, states: Tensor) -> Tensor:
        return states.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class AttentionBlock(nn.Module):
    """Attention and a feed-forward network, with residuals, each behind a layer norm.

    Parameters
    ----------
    width, heads
        As in :class:`ScaledDotProductAttention`.
    activation
        Activation of the feed-forward network, which is twice as wide as the block.
    dropout
        Dropout of what each half adds. (Also dropping single attention weights took a third of the
        training time on a processor and gained nothing.)
    normalise
        Without, there are no layer norms.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        activation: type[nn.Module],
        dropout: float = 0.1,
        normalise: bool = True,
    ) -> None:
        super().__init__()
        self.query_norm = layer_norm(width, normalise)
        self.key_norm = layer_norm(width, normalise)
        self.attention = ScaledDotProductAttention(width, heads)
        self.feed_forward = nn.Sequential(
            layer_norm(width, normalise),
            nn.Linear(width, 2 * width),
            activation(),
            nn.Linear(2 * width, width),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        queries: Tensor,
        keys: Tensor,
        mask: Tensor,
        want_weights: bool = False,
        prior: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Let ``queries`` attend to ``keys`` (pass the same tensor for self-attention)."""
        attended, weights = self.attention(
            self.query_norm(queries), self.key_norm(keys), mask, want_weights, prior
        )
        states = queries + self.dropout(attended)
        return states + self.dropout(self.feed_forward(states)), weights

    def queries_and_keys(self, queries: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Projected queries and keys of all heads, (b, q, width) and (b, k, width)."""
        projected = self.attention.key_value(self.key_norm(keys)).chunk(2, dim=-1)[0]
        return self.attention.query(self.query_norm(queries)), projected


class WordRegionMatching(nn.Module):
    """Loss of matching the captions and pictures of a batch by what words attend to (ours).

    A caption names what its picture shows, which needs no label: of all pictures in the batch, a
    post's words should match the regions of its own. The score of text i and picture j is the mean
    over words, weighted by a learned importance, of the log-sum-exp over regions of q·k/√d, with
    the queries and keys of the cross-modal attention itself; the loss is the symmetric
    cross-entropy of choosing the own partner. After the late interaction of Yao et al. (2022,
    *FILIP*). Of several devices that train together, each sees the posts of all.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.importance = nn.Linear(width, 1)

    def forward(
        self, words: Tensor, regions: Tensor, word_mask: Tensor, region_mask: Tensor
    ) -> Tensor:
        """Scalar loss; zero if fewer than two posts have both a text and a picture.

        Parameters
        ----------
        words, regions
            Queries (b, t, width) and keys (b, p, width).
        word_mask, region_mask
            bool, (b, t) and (b, p): those that exist.
        """
        words, regions = gathered(words), gathered(regions)
        word_mask, region_mask = gathered(word_mask), gathered(region_mask)
        enough = (word_mask.sum(dim=1) > _FEWEST) & (region_mask.sum(dim=1) > _FEWEST)
        # The number of scores grows with the square of the posts, so large batches are split.
        parts = [part for part in enough.nonzero()[:, 0].split(_MATCHED_POSTS) if len(part) > 1]
        if not parts:
            return words.sum() * 0
        losses = [
            self._loss(words[part], regions[part], word_mask[part], region_mask[part])
            for part in parts
        ]
        return torch.stack(losses).mean()

    def pooled(self, words: Tensor, word_mask: Tensor) -> Tensor:
        """Mean of the words by their importance, (b, width)."""
        return torch.einsum("itd,it->id", words, self._importance(words, word_mask))

    def _importance(self, words: Tensor, word_mask: Tensor) -> Tensor:
        scores = self.importance(words).squeeze(-1).masked_fill(~word_mask, float("-inf"))
        return scores.softmax(dim=-1)

    def _loss(
        self, words: Tensor, regions: Tensor, word_mask: Tensor, region_mask: Tensor
    ) -> Tensor:
        scores = torch.einsum("itd,jpd->itjp", words / words.shape[-1] ** 0.5, regions)
        best = scores.masked_fill(~region_mask, float("-inf")).logsumexp(dim=-1)
        matches = torch.einsum("itj,it->ij", best, self._importance(words, word_mask))
        own = torch.arange(len(matches), device=matches.device)
        return (
            functional.cross_entropy(matches, own) + functional.cross_entropy(matches.T, own)
        ) / 2


class SpatialAttention(nn.Module):
    """Weights of the positions of an image map (ABMF Table 1: spatial attention, ReLU).

    The weights are a softmax over w·ReLU(W m_p), so those of a picture sum to one. They don't
    scale the positions: a layer norm behind would take a factor away again. Every attention to the
    image and every pooling of it gives a position its own weight times this one.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Logarithm of the weights of ``tokens`` (b, p, width) relative to an even share, (b, p);
        0 where ``mask`` (b, p) does not hold."""
        scores = self.score(tokens).squeeze(-1).masked_fill(~mask, float("-inf"))
        even = mask.sum(dim=-1, keepdim=True).to(scores.dtype).log()
        return (scores.log_softmax(dim=-1) + even).masked_fill(~mask, 0.0)


class AttentionPooling(nn.Module):
    """One vector from many tokens, with a learned query."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Linear(width, 1)

    def forward(self, tokens: Tensor, mask: Tensor, prior: Tensor | None = None) -> Tensor:
        """(b, t, width) where ``mask`` (b, t) holds, to (b, width).

        ``prior`` (b, t) is added to the scores, as in :class:`ScaledDotProductAttention`.
        """
        scores = self.score(tokens).squeeze(-1)
        if prior is not None:
            scores = scores + prior
        weights = scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)
        return torch.einsum("bt,btw->bw", weights, tokens)

"""Texts as batches of token ids, and what a network makes of them as features; without torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoked.features.encoders.base import TextFeatures

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]

# Padded tokens that go through a network on a processor at a time: enough to keep it busy, few
# enough that a layer's activations stay in the processor's cache.
TOKENS_PER_BATCH = 2048


def batches_by_length(lengths: Ids, budget: int = TOKENS_PER_BATCH) -> Iterator[Ids]:
    """Rows of texts of similar length, longest first, so that little is padding.

    Parameters
    ----------
    lengths
        Number of tokens of each text, (n,).
    budget
        Padded tokens of a batch, unless one text alone has more.
    """
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, budget // max(int(lengths[order[start]]), 1))
        yield order[start : start + size]
        start += size


def padded(ids: Sequence[Sequence[int]], padding_id: int) -> tuple[Ids, Mask]:
    """Ids and mask, both (n, longest), of n sequences of token ids."""
    lengths = np.array([len(row) for row in ids], dtype=np.int64)
    mask = np.arange(lengths.max(initial=0)) < lengths[:, None]
    filled = np.full(mask.shape, padding_id, dtype=np.int64)
    filled[mask] = [token for row in ids for token in row]
    return filled, mask


def mean_over_tokens(states: Floats, mask: Mask) -> Floats:
    """Mean of ``states`` (n, longest, channels) over the tokens of ``mask`` (n, longest)."""
    weights = mask[..., None].astype(np.float32)
    mean: Floats = (states * weights).sum(axis=1) / weights.sum(axis=1).clip(min=1)
    return mean


def text_features(
    encodings: Sequence[Any],
    padding_id: int,
    channels: int,
    run: Callable[[Ids, Mask], tuple[Floats, Floats]],
    budget: int = TOKENS_PER_BATCH,
) -> TextFeatures:
    """Run a network over tokenized texts.

    Parameters
    ----------
    encodings
        n encodings of the tokenizers library.
    padding_id
        Id of the token that fills short texts up.
    channels
        Width of a token's and of a text's vector.
    run
        From ids and mask to token vectors (n, longest, channels) and text vectors (n, channels),
        which are scaled to length 1 here; a text without tokens has the zero vector.
    budget
        As for :func:`batches_by_length`.
    """
    lengths = np.array([len(encoding.ids) for encoding in encodings], dtype=np.int64)
    tokens: list[Floats] = [np.zeros((0, channels), dtype=np.float32)] * len(encodings)
    vectors = np.zeros((len(encodings), channels), dtype=np.float32)
    for rows in batches_by_length(lengths, budget):
        chosen = [encodings[row] for row in rows]
        states, whole = run(*padded([encoding.ids for encoding in chosen], padding_id))
        norms = np.linalg.norm(whole, axis=1, keepdims=True)
        vectors[rows] = whole / np.maximum(norms, np.float32(1e-12))
        for row, encoding, state in zip(rows, chosen, states, strict=True):
            real = np.flatnonzero(np.asarray(encoding.special_tokens_mask) == 0)
            tokens[row] = state[real]
    vectors[[not len(token) for token in tokens]] = 0
    return TextFeatures(tokens, vectors)


def offsets_of(encodings: Sequence[Any]) -> list[list[tuple[int, int]]]:
    """Character offsets (start, end) of every token of each text except the special ones."""
    return [
        [
            (start, end)
            for (start, end), special in zip(
                encoding.offsets, encoding.special_tokens_mask, strict=True
            )
            if not special
        ]
        for encoding in encodings
    ]

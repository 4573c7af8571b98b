"""Attention of networks that read an image stream and a text stream."""

from __future__ import annotations

from math import isqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evoked.features.table import Batch, RaggedColumn
from evoked.models.base import Examples
from evoked.models.explanations import PostAttention, RegionWeights, Weights
from evoked.models.neural import NeuralModel

_POSTS_PER_BATCH = 32


@torch.inference_mode()
def stream_attention(model: NeuralModel, examples: Examples) -> list[PostAttention]:
    """Attention within each post, computed a batch at a time.

    Parameters
    ----------
    model
        A fitted model whose network takes a dictionary ``attention`` and fills it with weights:
        ``spatial`` (b, regions), ``words`` (b, tokens, tokens) and ``text_to_image``
        (b, tokens, regions), any of which may be absent.
    examples
        n posts.
    """
    model.check_features(examples.features)
    model.network.cpu().eval()
    found: list[PostAttention] = []
    for start in range(0, len(examples), _POSTS_PER_BATCH):
        rows = np.arange(start, min(start + _POSTS_PER_BATCH, len(examples)))
        batch = examples.features.take(rows)
        weights: dict[str, Tensor] = {}
        model.network(batch, attention=weights)
        arrays = {name: weight.float().numpy() for name, weight in weights.items()}
        tokens = _caption_tokens(model, examples, rows)
        for position in range(len(rows)):
            found.append(_of_post(arrays, batch, position, tokens[position]))
    return found


def _caption_tokens(model: NeuralModel, examples: Examples, rows: NDArray[np.int64]) -> list[slice]:
    """Where the caption's own tokens stand in the text stream of each post."""
    for name, special in (("caption.tokens", 0), ("caption.ids", 1)):
        column = examples.features.columns.get(name)
        if name in model.features and isinstance(column, RaggedColumn):
            # A fine-tuned encoder also reads its special tokens, one at each end.
            return [
                slice(special, max(int(length) - special, special))
                for length in column.lengths[rows]
            ]
    return [slice(0, 0)] * len(rows)


def _of_post(
    weights: dict[str, Weights], batch: Batch, position: int, tokens: slice
) -> PostAttention:
    has_tokens = tokens.stop > tokens.start
    has_picture = _has_picture(batch, position)
    objects = _objects(batch, position)
    regions = received = hashtags = token_matrix = token_regions = None
    if has_picture and "spatial" in weights:
        regions = _regions(weights["spatial"][position], objects)
    if has_tokens and "words" in weights:
        matrix = weights["words"][position]
        tagged = "hashtags.vector" in batch
        # Rows of padding attend as well, but stand for nothing.
        givers = [*range(tokens.start, tokens.stop), *([-1] if tagged else [])]
        means = matrix[givers].mean(axis=0)
        received = means[tokens]
        hashtags = float(means[-1]) if tagged else None
        token_matrix = matrix[tokens, tokens]
    if has_tokens and has_picture and "text_to_image" in weights:
        rows = weights["text_to_image"][position][tokens]
        token_regions = [_regions(row, objects) for row in rows]
    return PostAttention(
        regions=regions,
        tokens=received,
        hashtags=hashtags,
        token_matrix=token_matrix,
        token_regions=token_regions,
    )


def _regions(weights: Weights, objects: NDArray[np.bool_]) -> RegionWeights:
    """The image stream holds the cells of a square grid, then the objects."""
    cells = len(weights) - len(objects)
    return RegionWeights(weights[:cells].reshape(isqrt(cells), -1), weights[cells:][objects])


def _has_picture(batch: Batch, position: int) -> bool:
    names = (f"{name}.present" for name in ("image.map", "image.pixels"))
    return any(name in batch and bool(batch[name][position]) for name in names)


def _objects(batch: Batch, position: int) -> NDArray[np.bool_]:
    """Which of the object tokens stand for an object."""
    if "image.objects" not in batch:
        return np.zeros(0, dtype=bool)
    mask = batch.get("image.objects.mask")
    if mask is not None:
        return np.asarray(mask[position].numpy())
    present = bool(batch["image.objects.present"][position])
    return np.full(batch["image.objects"].shape[1], present)

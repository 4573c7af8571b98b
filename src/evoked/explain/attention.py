"""Where a model's attention lies, for models that tell it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from math import isqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evoked.features.table import Batch, RaggedColumn
from evoked.models.base import Examples, Model, NeuralModel
from evoked.models.dual_attention import DualAttention

_POSTS_PER_BATCH = 32

Weights = NDArray[np.float32]


@dataclass(frozen=True)
class RegionWeights:
    """Attention over the regions of a picture; all weights together sum to one.

    Attributes
    ----------
    grid
        (rows, columns): weight of each cell of the picture.
    objects
        (objects,): weight of each object beside the cells.
    """

    grid: Weights
    objects: Weights

    @property
    def n(self) -> int:
        """Regions, objects included."""
        return self.grid.size + self.objects.size

    @property
    def relative(self) -> Weights:
        """(rows, columns): weight of each cell as a multiple of an even share."""
        return self.grid * self.n

    @property
    def strongest(self) -> tuple[int, int]:
        """Row and column of the strongest cell."""
        row, column = divmod(int(self.grid.argmax()), self.grid.shape[1])
        return row, column


@dataclass(frozen=True)
class PostAttention:
    """Attention of one post; what the model or the post does not have is None.

    Attributes
    ----------
    regions
        Spatial attention.
    tokens
        (tokens,): attention that each caption token receives, averaged over the tokens that give
        it; sums to one together with ``hashtags`` and, when the encoder is fine-tuned, its special
        tokens.
    hashtags
        What the hashtags, one token, receive.
    token_regions
        Per caption token, its attention over the regions.
    popularity
        (rows, columns): probability of being popular with each cell in place of the picture.
    """

    regions: RegionWeights | None = None
    tokens: Weights | None = None
    hashtags: float | None = None
    token_regions: list[RegionWeights] | None = None
    popularity: Weights | None = None


def popularity_attention(model: DualAttention, examples: Examples) -> list[PostAttention]:
    """What Dual-Attention looks at (Figure 5): weights of words, probabilities of regions."""
    regions = model.region_probabilities(examples)
    # A learned word embedding has the special tokens' weights as well, one at each end.
    special = int(model.caption_feature == "caption.ids")
    found = []
    for words, region in zip(model.word_attention(examples), regions, strict=True):
        own = words[special : max(len(words) - special, special)]
        told = model.settings.explicit_attention and len(own)
        grid = region.reshape(isqrt(len(region)), -1) if np.isfinite(region).all() else None
        found.append(PostAttention(tokens=own if told else None, popularity=grid))
    return found


def tells_attention(model: Model) -> bool:
    """Whether a model's network fills a dictionary of attention weights when given one."""
    if not isinstance(model, NeuralModel) or model.network is None:
        return False
    return "attention" in inspect.signature(model.network.forward).parameters


@torch.inference_mode()
def attention_of(model: NeuralModel, examples: Examples) -> list[PostAttention]:
    """Attention of every post of ``examples``, a batch at a time."""
    model.network.eval()
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
            # A fine-tuned encoder reads its special tokens too, one at each end.
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
    regions = received = hashtags = token_regions = None
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
    if has_tokens and has_picture and "text_to_image" in weights:
        rows = weights["text_to_image"][position][tokens]
        token_regions = [_regions(row, objects) for row in rows]
    return PostAttention(regions, received, hashtags, token_regions)


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

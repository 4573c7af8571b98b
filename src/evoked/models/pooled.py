"""What models of pooled features share: which features, in which order, and whose guesses count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from evoked.features.table import FeatureTable
from evoked.models.base import Model, ModelSettings
from evoked.targets import TASKS, TargetTable

FEATURES = (
    "image.vector",
    "caption.vector",
    "hashtags.vector",
    "metadata",
    "affect.text",
    "affect.face",
)
_POSTS_PER_BATCH = 512  # each with a number per level of every tree


class PooledSettings(ModelSettings):
    """Settings that all of these models have."""

    emotion_reader: bool = Field(
        True,
        description="look at what the emotion reader says of the caption; not to be used on texts "
        "that the reader learned from, such as EmoBank's with the one that ships",
    )
    estimated_weight: float = Field(
        0.5, ge=0, le=1, description="of valence and arousal that a reader estimated"
    )


class PooledModel(Model):
    """A model of all features end to end, one vector per post, that learns every task."""

    tasks = tuple(TASKS)

    @property
    def features(self) -> list[str]:
        left_out = set() if self.settings.emotion_reader else {"affect.text"}
        return [name for name in FEATURES if name not in left_out]

    def _weights(self, targets: TargetTable) -> NDArray[np.float64]:
        """How much each target of each post counts, (n, targets); 0 where it is unknown."""
        told = np.where(targets.estimated, self.settings.estimated_weight, 1.0)
        weights: NDArray[np.float64] = told * np.isfinite(targets.values)
        return weights


def pooled_matrix(
    features: FeatureTable, names: Sequence[str], rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Features of the posts at ``rows`` end to end, float32 (n, widths); NaN where absent."""
    batch = features.take(rows)
    parts = []
    for name in names:
        values = batch[name].numpy()
        parts.append(np.where(batch[f"{name}.present"].numpy()[:, None], values, np.nan))
    return np.concatenate(parts, axis=1).astype(np.float32, copy=False)


def row_batches(n: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, n, _POSTS_PER_BATCH):
        yield np.arange(start, min(start + _POSTS_PER_BATCH, n))

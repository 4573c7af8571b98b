"""What models of pooled features share: the features and their order, weights, and folds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from evoked.features.table import FeatureTable
from evoked.models.base import Examples, Model, ModelSettings
from evoked.targets import TASKS, TargetTable

Matrix = NDArray[np.float32]

FEATURES = (
    "image.vector",
    "caption.vector",
    "hashtags.vector",
    "metadata",
    "affect.text",
    "affect.face",
)
_POSTS_PER_BATCH = 512  # trees need a number per post and level
_FOLDS = 5


class PooledSettings(ModelSettings):
    """Settings of all models of pooled features."""

    emotion_reader: bool = Field(
        True,
        description="use the emotion reader's estimates for the caption; turn it off for texts "
        "that the reader learned from, such as EmoBank's where the shipped reader is used",
    )
    estimated_weight: float = Field(
        0.5,
        ge=0,
        le=1,
        description="weight of valence and arousal that a reader estimated",
    )
    min_validation_posts: int = Field(
        100,
        ge=0,
        description="with fewer validation posts than this, hyperparameters are chosen by "
        "cross-validation on training and validation posts; the final fit uses both in any case",
    )


class PooledModel(Model):
    """A model that reads one vector per post, all features end to end, and learns every task."""

    tasks = tuple(TASKS)
    quick = True

    settings: PooledSettings

    @property
    def features(self) -> list[str]:
        left_out = set() if self.settings.emotion_reader else {"affect.text"}
        return [name for name in FEATURES if name not in left_out]

    def _samples(
        self, train: Examples, validation: Examples | None, matrix: Callable[[Examples], Matrix]
    ) -> tuple[Sample, Sample]:
        """Training and validation posts, with ``matrix`` of their features; an empty validation
        sample if there are no validation posts, or none with targets."""
        if validation is None or validation.targets is None:
            validation = train.select([])
        folds = fold_numbers(train.posts, validation.posts)
        learned, held_out = (
            Sample(
                matrix(part),
                self._straightened(part),
                self._weights(part.targets).astype(np.float32),
                own,
            )
            for part, own in zip((train, validation), folds, strict=True)
            if part.targets is not None
        )
        return learned, held_out

    def _straightened(self, examples: Examples) -> Matrix:
        """Target values (n, targets) as they are learned: logistic curves as what they are of."""
        assert examples.targets is not None
        columns = zip(self.targets, examples.targets.values.T, strict=True)
        straight = [self.task.straightened(name, column) for name, column in columns]
        return np.stack(straight, axis=1).astype(np.float32)

    def _bent(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Inverse of :meth:`_straightened`."""
        columns = zip(self.targets, values.T, strict=True)
        return np.stack([self.task.bent(name, column) for name, column in columns], axis=1)

    def value_columns(self) -> list[int]:
        """Numbers of the known columns that hold values, not classes or yes and no."""
        others = {
            name for each in self.task.outcomes if each.kind != "value" for name in each.columns
        }
        return [self.targets.index(name) for name in self.known_targets if name not in others]

    def _weights(self, targets: TargetTable) -> NDArray[np.float64]:
        """Weight of each target of each post, (n, targets); 0 where it is unknown."""
        weights = np.where(targets.estimated, self.settings.estimated_weight, 1.0)
        weights = weights * np.isfinite(targets.values)
        return weights


@dataclass(frozen=True)
class Sample:
    """Posts to learn from or to judge by.

    Attributes
    ----------
    features
        (n, columns).
    values, weights
        (n, targets): target values, straightened, and how much each counts.
    folds
        (n,): the fold that holds each post out in cross-validation.
    """

    features: Matrix
    values: Matrix
    weights: Matrix
    folds: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.folds)

    def select(self, rows: NDArray[np.bool_]) -> Sample:
        """The sample restricted to ``rows``, (n,)."""
        return Sample(*(part[rows] for part in self._parts()))

    def with_target(self, column: int) -> Sample:
        """The posts whose target in ``column`` is known."""
        return self.select(self.weights[:, column] > 0)

    def joined(self, other: Sample) -> Sample:
        """The posts of both samples."""
        pairs = zip(self._parts(), other._parts(), strict=True)
        return Sample(*(np.concatenate(pair) for pair in pairs))

    def held_out(self) -> list[NDArray[np.bool_]]:
        """For each fold, a mask of the posts that it holds out, (n,)."""
        return [self.folds == fold for fold in np.unique(self.folds)]

    def _parts(self) -> tuple[NDArray[Any], ...]:
        return self.features, self.values, self.weights, self.folds


def fold_numbers(train: pd.DataFrame, validation: pd.DataFrame) -> list[NDArray[np.int64]]:
    """Number of the fold of each training and each validation post, from 0.

    An author's posts stay together if no validation post is by an author of a training post: then
    the split tests predictions for new authors, and so must the folds. If all validation posts are
    later than the training posts, the split tests predictions of later posts, and each fold is a
    span of time: posts of the same days are alike in more than a model can learn from.
    """
    authors = validation["author_id"].dropna()
    strangers = len(authors) and not authors.isin(train["author_id"]).any()
    posts = pd.concat([train, validation], ignore_index=True)
    units = posts["author_id"].fillna(posts["post_id"]) if strangers else posts["post_id"]
    if not strangers and _is_later(validation, train):
        order = np.lexsort((posts["post_id"].astype(str), posts["posted_at"]))
        folds = np.empty(len(posts), dtype=np.int64)
        folds[order] = np.arange(len(posts)) * _FOLDS // len(posts)
        return np.split(folds, [len(train)])
    codes, names = pd.factorize(units, sort=True)
    drawn = np.random.default_rng(0).permutation(len(names))
    return np.split((drawn % _FOLDS)[codes], [len(train)])


def _is_later(posts: pd.DataFrame, than: pd.DataFrame) -> bool:
    """Whether posts, all of them dated, come after others."""
    own, others = posts["posted_at"], than["posted_at"]
    return (
        bool(len(own)) and bool(own.min() > others.max()) and not pd.concat([own, others]).hasnans
    )


def pooled_matrix(features: FeatureTable, names: Sequence[str], rows: NDArray[np.int64]) -> Matrix:
    """Features of the posts at ``rows`` end to end, float32 (n, widths); NaN where absent."""
    batch = features.only(names).arrays(rows)
    parts = []
    for name in names:
        parts.append(np.where(batch[f"{name}.present"][:, None], batch[name], np.nan))
    return np.concatenate(parts, axis=1).astype(np.float32, copy=False)


def row_batches(n: int) -> Iterator[NDArray[np.int64]]:
    """Row numbers from 0 to n, a batch at a time."""
    for start in range(0, n, _POSTS_PER_BATCH):
        yield np.arange(start, min(start + _POSTS_PER_BATCH, n))


def principal_components(values: Matrix, most: int) -> Matrix:
    """The mean of vectors (n, width), two at least, and their principal components, at most
    ``most``, (1 + components, width)."""
    from sklearn.decomposition import PCA

    found = PCA(min(most, len(values) - 1), random_state=0).fit(values)
    components = np.vstack([found.mean_, found.components_])
    return np.ascontiguousarray(components, dtype=np.float32)  # as safetensors stores it

"""Trivial baselines: predictions that do not look at the post itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.features.catalog import FeatureSettings
from evoked.files import read_json, write_json
from evoked.models.base import MODEL_FILE, Examples, Model, ModelSettings
from evoked.posts.author_hashes import author_hashes, hashes
from evoked.targets import TASKS, Emotion
from evoked.training.loop import EpochRecord, TrainingSettings


class MeanOfTraining(Model):
    """Predicts the mean of the training posts for every post."""

    name = "mean"
    tasks = tuple(TASKS)
    description = "trivial: the mean of the training posts"
    complexity = 0

    def __init__(
        self,
        settings: ModelSettings | None = None,
        feature_settings: FeatureSettings | None = None,
        task: str | None = None,
    ) -> None:
        super().__init__(settings, feature_settings, task)
        self.means: list[float | None] = []
        self.group_means: dict[str, list[float | None]] = {}

    def fit(
        self,
        train: Examples,
        validation: Examples | None = None,
        *,
        folder: Path,
        training: TrainingSettings | None = None,
        progress: Callable[[EpochRecord], None] | None = None,
    ) -> list[EpochRecord]:
        values = pd.DataFrame(self._learn_targets(train), columns=self.targets)
        self.means = _jsonable(values.mean())
        groups = self._groups(train.posts)
        if groups is not None:
            means = values.groupby(groups.to_numpy()).mean()  # posts without a group are left out
            self.group_means = {str(key): _jsonable(row) for key, row in means.iterrows()}
        return []

    def predict(self, examples: Examples) -> pd.DataFrame:
        overall = np.array(self.means, dtype=np.float64)
        table = np.tile(overall, (len(examples), 1))
        groups = self._groups(examples.posts)
        if groups is not None and self.group_means:
            known = pd.DataFrame.from_dict(
                self.group_means, orient="index", columns=self.targets, dtype=np.float64
            )
            own = known.reindex(groups).to_numpy()
            table = np.where(np.isnan(own), table, own)
        return self._as_table(table)

    def _groups(self, posts: pd.DataFrame) -> pd.Series | None:
        """The group whose mean each post gets, as text; missing where unknown."""
        return None

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(
            folder / MODEL_FILE,
            {**self._description(), "means": self.means, "group_means": self.group_means},
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        description = read_json(folder / MODEL_FILE)
        model = cls._from_description(description, folder / MODEL_FILE)
        model.means = description["means"]
        model.group_means = description["group_means"]
        return model


class AuthorMean(MeanOfTraining):
    """Predicts the mean of the author's training posts; the overall mean for a new author."""

    name = "author_mean"
    description = "trivial: the mean of the author's training posts"
    complexity = 20

    def _groups(self, posts: pd.DataFrame) -> pd.Series:
        return _known(author_hashes(posts))


class CategoryMean(MeanOfTraining):
    """Predicts the mean of the category's training posts; the overall mean for a new category."""

    name = "category_mean"
    description = "trivial: the mean of the category's training posts"
    complexity = 10

    def _groups(self, posts: pd.DataFrame) -> pd.Series:
        return posts["category"].astype("string")


class UserMean(MeanOfTraining):
    """Predicts the shares of emotions of the user's training viewings; the overall shares for a
    new user."""

    name = "user_mean"
    description = "trivial: the shares of the user's training viewings"
    complexity = 20
    tasks = (Emotion.name,)
    rows = "viewings"

    def _groups(self, posts: pd.DataFrame) -> pd.Series:
        return _known(hashes(posts["user_id"]))


class ImageMean(MeanOfTraining):
    """Predicts the shares of emotions of the image's training viewings; the overall shares for a
    new image."""

    name = "image_mean"
    description = "trivial: the shares of the image's training viewings"
    complexity = 20
    tasks = (Emotion.name,)
    rows = "viewings"

    def _groups(self, posts: pd.DataFrame) -> pd.Series:
        return _known(hashes(posts["post_id"]))


TRIVIAL_BASELINES: tuple[type[Model], ...] = (MeanOfTraining, AuthorMean, CategoryMean)
"""Shown beside every model of posts, fitted on the same posts."""

VIEWING_BASELINES: tuple[type[Model], ...] = (MeanOfTraining, UserMean, ImageMean)
"""Shown beside every model of viewings, fitted on the same viewings."""


def _known(hashed: NDArray[np.object_]) -> pd.Series:
    """Hashes of n authors or users (a model folder names nobody); missing where unknown."""
    groups = pd.Series(hashed)
    return groups.where(groups != "")


def _jsonable(means: pd.Series) -> list[float | None]:
    return [None if np.isnan(mean) else float(mean) for mean in means]

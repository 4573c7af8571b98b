"""Trivial baselines: predictions that do not look at the post itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import TypeAdapter

from evoked.errors import DataError
from evoked.features.catalog import FeatureSettings
from evoked.files import damage, read_json, read_object, write_json
from evoked.models.base import MODEL_FILE, Examples, Model, ModelSettings
from evoked.posts.author_hashes import author_hashes, hashes
from evoked.posts.author_history import KINDS, MEANS_OVER, MEDIANS_OVER, PREFIX
from evoked.posts.columns import values_of
from evoked.targets import TASKS, Emotion, Task, load_task, task_state
from evoked.targets.last_posts import (
    means_of_groups,
    outcomes_of_counts,
    values_of_last_posts,
    with_last_posts,
)
from evoked.training.records import EpochRecord
from evoked.training.settings import TrainingSettings

# Candidates for what of an author's last posts says most about the next one, by the start of the
# column of the attached history.
_RECENT = (
    "last",
    *(f"median{number}" for number in MEDIANS_OVER),
    *(f"mean{number}" for number in MEANS_OVER),
)

_MEANS = TypeAdapter(list[float | None])
_GROUP_MEANS = TypeAdapter(dict[str, list[float | None]])


class MeanOfTraining(Model):
    """Predicts the mean of the training posts for every post."""

    name = "mean"
    tasks = tuple(TASKS)
    description = "trivial: the mean of the training posts"
    quick = True
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
            means = values.groupby(
                np.array(groups, dtype=object)
            ).mean()  # posts without a group are left out
            self.group_means = {str(key): _jsonable(row) for key, row in means.iterrows()}
        return []

    def predict(self, examples: Examples) -> pd.DataFrame:
        groups = self._groups(examples.posts)
        known = [None] * len(examples) if groups is None else groups
        return self._as_table(means_of_groups(self.means, self.group_means, known))

    def _groups(self, posts: pd.DataFrame) -> list[str | None] | None:
        """The group whose mean each post gets; None where unknown."""
        return None

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(
            folder / MODEL_FILE,
            {**self._description(), "means": self.means, "group_means": self.group_means},
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        file = folder / MODEL_FILE
        description = read_object(file, "means", "group_means")
        model = cls._from_description(description, file)
        with damage(file, f"the means of a {cls.name} model", "Train the model again."):
            model.means = _MEANS.validate_python(description["means"])
            model.group_means = _GROUP_MEANS.validate_python(description["group_means"])
            for means in (model.means, *model.group_means.values()):
                if len(means) != len(model.targets):
                    raise ValueError(f"{len(means)} means of {len(model.targets)} targets")
        return model


class AuthorMean(MeanOfTraining):
    """Predicts the mean of the author's training posts; the overall mean for a new author."""

    name = "author_mean"
    description = "trivial: the mean of the author's training posts"
    complexity = 20

    def _groups(self, posts: pd.DataFrame) -> list[str | None]:
        return _known(author_hashes(posts))


class CategoryMean(MeanOfTraining):
    """Predicts the mean of the category's training posts; the overall mean for a new category."""

    name = "category_mean"
    description = "trivial: the mean of the category's training posts"
    complexity = 10

    def _groups(self, posts: pd.DataFrame) -> list[str | None]:
        return [None if each is None else str(each) for each in values_of(posts, "category")]


class RecentPosts(AuthorMean):
    """Predicts what the mean or median of the author's last posts would be worth to the task.

    It is that of log(1 + count) over the last k earlier posts, as the posts' columns ``history.*``
    have it (see :mod:`evoked.posts.author_history`); which it is, and k, is chosen for each outcome
    on the training posts. Outcomes that no count decides, and posts without a history, are
    predicted as by :class:`AuthorMean`.

    Attributes
    ----------
    recent
        What was chosen by outcome, such as ``median5``, ``mean10`` or ``last``; empty where the
        training posts had no history.
    fitted_task
        The task as fitted on the training posts; it turns counts into target values.
    """

    name = "recent_posts"
    description = "trivial: the mean or median of the author's last posts"
    complexity = 25

    def __init__(
        self,
        settings: ModelSettings | None = None,
        feature_settings: FeatureSettings | None = None,
        task: str | None = None,
    ) -> None:
        super().__init__(settings, feature_settings, task)
        self.recent: dict[str, str] = {}
        self.fitted_task: Task | None = None

    def fit(
        self,
        train: Examples,
        validation: Examples | None = None,
        *,
        folder: Path,
        training: TrainingSettings | None = None,
        progress: Callable[[EpochRecord], None] | None = None,
    ) -> list[EpochRecord]:
        super().fit(train, folder=folder)
        assert train.targets is not None
        self.recent, self.fitted_task = {}, None
        candidates = [start for start in _RECENT if _has_recent(train.posts, start)]
        if not candidates:
            return []
        self.fitted_task = self.task.fit(train.posts)
        recent = [
            values_of_last_posts(self.fitted_task, train.posts, start) for start in candidates
        ]
        for outcome in outcomes_of_counts(self.task):
            columns = [self.targets.index(name) for name in outcome.columns]
            missed = [
                np.abs(values[:, columns] - train.targets.values[:, columns]) for values in recent
            ]
            if np.isfinite(missed[0]).any():
                errors = [np.nanmean(each) for each in missed]
                self.recent[outcome.name] = candidates[int(np.argmin(errors))]
        return []

    def predict(self, examples: Examples) -> pd.DataFrame:
        table = super().predict(examples)
        if self.fitted_task is None:
            return table
        return self._as_table(
            with_last_posts(table.to_numpy(), self.fitted_task, examples.posts, self.recent)
        )

    def save(self, folder: Path) -> None:
        super().save(folder)
        state = read_json(folder / MODEL_FILE)
        state["recent"] = self.recent
        state["fitted_task"] = None if self.fitted_task is None else task_state(self.fitted_task)
        write_json(folder / MODEL_FILE, state)

    @classmethod
    def load(cls, folder: Path) -> Self:
        model = super().load(folder)
        description = read_object(folder / MODEL_FILE, "fitted_task")
        recent = description.get("recent")
        if not isinstance(recent, dict) or not all(each in _RECENT for each in recent.values()):
            raise DataError(
                "it does not say which of an author's last posts it goes by.",
                file=folder / MODEL_FILE,
                field="recent",
                fix="Train the model again.",
            )
        model.recent = recent
        if description["fitted_task"] is not None:
            model.fitted_task = load_task(description["fitted_task"], folder / MODEL_FILE)
        return model


class UserMean(MeanOfTraining):
    """Predicts the shares of emotions of the user's training viewings; the overall shares for a
    new user."""

    name = "user_mean"
    description = "trivial: the shares of the user's training viewings"
    complexity = 20
    tasks = (Emotion.name,)
    rows = "viewings"

    def _groups(self, posts: pd.DataFrame) -> list[str | None]:
        return _known(hashes(posts["user_id"]))


class ImageMean(MeanOfTraining):
    """Predicts the shares of emotions of the image's training viewings; the overall shares for a
    new image."""

    name = "image_mean"
    description = "trivial: the shares of the image's training viewings"
    complexity = 20
    tasks = (Emotion.name,)
    rows = "viewings"

    def _groups(self, posts: pd.DataFrame) -> list[str | None]:
        return _known(hashes(posts["post_id"]))


TRIVIAL_BASELINES: tuple[type[Model], ...] = (
    MeanOfTraining,
    AuthorMean,
    CategoryMean,
    RecentPosts,
)
"""Shown beside every model of posts, fitted on the same posts."""

VIEWING_BASELINES: tuple[type[Model], ...] = (MeanOfTraining, UserMean, ImageMean)
"""Shown beside every model of viewings, fitted on the same viewings."""


def _has_recent(posts: pd.DataFrame, start: str) -> bool:
    """Whether any post has a column of its author's last posts that begins so."""
    names = [f"{PREFIX}{start}_{kind}" for kind in KINDS]
    return any(name in posts and posts[name].notna().any() for name in names)


def _known(hashed: NDArray[np.object_]) -> list[str | None]:
    """Hashes of n authors or users (a model folder names nobody); None where unknown."""
    return [name or None for name in hashed]


def _jsonable(means: pd.Series) -> list[float | None]:
    return [None if np.isnan(mean) else float(mean) for mean in means]

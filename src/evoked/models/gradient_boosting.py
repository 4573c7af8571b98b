"""Gradient boosting on pooled features: what a practitioner would try first.

The ABMF paper has no baseline of this kind. One regressor per target, on all features end to end;
what a post lacks is a missing value, for which trees have branches. Trees stay level where a line
goes on, so they may also learn what a line misses, of posts that it hasn't learned from: of the
others, it misses too little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from evoked.features.catalog import FeatureSettings
from evoked.models._symmetric_trees import SymmetricTrees, varies
from evoked.models.base import Examples
from evoked.models.boosting import BoostedTrees, BoostingSettings
from evoked.models.linear import Linear, LinearSettings
from evoked.models.pooled import (
    Matrix,
    PooledModel,
    PooledSettings,
    Sample,
    pooled_matrix,
    principal_components,
)
from evoked.targets import Task, load_task, task_state

LINE_FOLDER = "line"


class GradientBoostingSettings(PooledSettings, BoostingSettings):
    """Settings of gradient boosting."""

    trees: int = Field(1000, ge=1, description="largest number of trees per target")
    leaf_penalty: float = Field(
        10.0,
        ge=0,
        description="penalty on the squared values of leaves: how many posts it takes to believe "
        "half of what a leaf's posts show",
    )
    fixed: bool = Field(
        False,
        description="grow exactly the largest number of trees, instead of as many as predict "
        "validation posts best",
    )
    start: Literal["level", "counts", "line"] = Field(
        "level",
        description="what trees learn the departures from: what the author usually gets, where the "
        "task knows that; nothing, so that they learn counts themselves, and the author's level is "
        "one of the features, which is better where an author's few posts say little; or what a "
        "linear model predicts of values",
    )
    components: int = Field(
        32,
        ge=0,
        description="principal components that a longer vector of pictures, captions or hashtags "
        "is reduced to; 0 to keep all its numbers",
    )


class GradientBoosting(BoostedTrees, PooledModel):
    """Gradient-boosted trees on the pooled features of all modalities.

    The validation posts decide the number of trees; if they are few, cross-validation decides it.
    With that number, training and validation posts are learned from together, at about 4 kB of
    memory each with the builtin encoders. Vectors are reduced to their principal components on the
    training posts first: among a thousand numbers without order, trees need ten times as long, and
    find chance.

    Attributes
    ----------
    projections
        By feature, the mean that is subtracted and the components, (1 + components, width).
    fitted_task
        The task as fitted on the training posts, which knows authors' levels; None unless trees
        learn counts.
    line
        The line whose misses trees learn, or None. What it predicts is one of their features.
    """

    name = "gradient_boosting"
    description = "boosted trees on the pooled features of all modalities"
    source = "Prokhorenkova et al. 2018"
    Settings = GradientBoostingSettings

    settings: GradientBoostingSettings

    def __init__(
        self,
        settings: GradientBoostingSettings | None = None,
        feature_settings: FeatureSettings | None = None,
        task: str | None = None,
    ) -> None:
        super().__init__(settings, feature_settings, task)
        self.projections: dict[str, Matrix] = {}
        self.fitted_task: Task | None = None
        self.line: Linear | None = None

    def matrix(self, examples: Examples) -> Matrix:
        reduced = self._reduced(examples)
        if self.line is None:
            return reduced
        return np.hstack([reduced, self._starts(examples)[:, self.value_columns()]])

    def _reduced(self, examples: Examples) -> Matrix:
        """The features end to end, long vectors reduced, (n, columns)."""
        parts = []
        for name in self.features:
            projection = self.projections.get(name)
            if projection is not None and not examples.features.columns[name].present.any():
                # Whatever NaN is multiplied by: a thousand of them per post would fill memory.
                parts.append(np.full((len(examples), len(projection) - 1), np.float32("nan")))
                continue
            values = pooled_matrix(examples.features, [name], np.arange(len(examples)))
            if projection is not None:
                mean, components = np.split(projection, [1])
                values = np.asarray((values - mean) @ components.T, dtype=np.float32)
            parts.append(values)
        return np.concatenate(parts, axis=1)

    def width(self) -> int:
        reduced = {name: len(values) - 1 for name, values in self.projections.items()}
        starts = len(self.value_columns()) if self.settings.start == "line" else 0
        return sum({**self.widths, **reduced}.values()) + starts

    def grow(
        self,
        catboost: Any,
        train: Examples,
        validation: Examples | None,
        options: dict[str, Any],
    ) -> None:
        self.fitted_task, self.line = None, None
        if self.settings.start == "counts":
            self.fitted_task = self.task.fit(train.posts)
        self.projections = {
            name: projection
            for name in self.features
            if (projection := self._projection(train, name)) is not None
        }
        learned, held_out = self._samples(train, validation, self._reduced)
        if self.settings.start == "line":
            self.line = self._fitted_line(train, validation)
            starts = self.line.left_out(train, validation)
            learned, held_out = map(self._after, (learned, held_out), starts)
        options = {**options, "l2_leaf_reg": self.settings.leaf_penalty}
        for name in self.known_targets:
            column = self.targets.index(name)
            trees = self._grown(catboost, column, learned, held_out, options)
            if trees is not None:
                self.trees[name] = trees

    def _fitted_line(self, train: Examples, validation: Examples | None) -> Linear:
        shared = {name: getattr(self.settings, name) for name in PooledSettings.model_fields}
        line = Linear(LinearSettings(**shared), self.feature_settings, self.task.name)
        line.fit(train, validation, folder=Path())
        return line

    def _after(self, posts: Sample, starts: Matrix) -> Sample:
        """Posts to learn from after a line, of which ``starts`` are the predictions."""
        features = np.hstack([posts.features, starts[:, self.value_columns()]])
        return replace(posts, features=features, values=posts.values - starts)

    def _projection(self, train: Examples, name: str) -> Matrix | None:
        """Mean and principal components of a feature, (1 + components, width); None where it is no
        vector, or short enough."""
        most = self.settings.components
        if not most or not name.endswith(".vector") or self.widths[name] <= most:
            return None
        rows = np.flatnonzero(train.features.columns[name].present)
        if len(rows) < 2:
            return np.zeros((2, self.widths[name]), dtype=np.float32)
        return principal_components(pooled_matrix(train.features, [name], rows), most)

    def _straightened(self, examples: Examples) -> Matrix:
        return super()._straightened(examples) - self._starts(examples)

    def _from_sums(
        self, sums: NDArray[np.float64], means: NDArray[np.float64], examples: Examples
    ) -> NDArray[np.float64]:
        bent, starts = sums.copy(), self._starts(examples)
        for position, name in enumerate(self.trees):
            straight = sums[:, position] + starts[:, self.targets.index(name)]
            bent[:, position] = self.task.bent(name, straight)
        return super()._from_sums(bent, means, examples)

    def _starts(self, examples: Examples) -> Matrix:
        """What trees learn the departures from, (n, targets), on the scale that they learn; 0 where
        that is how the task has them."""
        starts = np.zeros((len(examples), len(self.targets)), dtype=np.float32)
        if self.fitted_task is not None:
            for name, level in self.fitted_task.levels(examples.posts).items():
                starts[:, self.targets.index(name)] = -level
        if self.line is not None:
            predicted = self.line.predict(examples)
            for column in self.value_columns():
                name = self.targets[column]
                starts[:, column] = self.task.straightened(name, predicted[name].to_numpy())
        return starts

    def save(self, folder: Path) -> None:
        super().save(folder)
        if self.line is not None:
            self.line.save(folder / LINE_FOLDER)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Inverse of :meth:`save`; needs no CatBoost.

        Raises
        ------
        DataError
            A file is missing or damaged.
        """
        model = super().load(folder)
        if model.settings.start == "line":
            model.line = Linear.load(folder / LINE_FOLDER)
        return model

    def _extra_state(self) -> tuple[dict[str, Any], dict[str, Matrix]]:
        arrays = {f"projection.{name}": values for name, values in self.projections.items()}
        task = None if self.fitted_task is None else task_state(self.fitted_task)
        return {"projections": list(self.projections), "fitted_task": task}, arrays

    def _take_extra_state(self, description: dict[str, Any], arrays: dict[str, Matrix]) -> None:
        self.projections = {
            name: arrays[f"projection.{name}"] for name in description["projections"]
        }
        if description["fitted_task"] is not None:
            self.fitted_task = load_task(description["fitted_task"])
        for name, values in self.projections.items():
            if values.ndim != 2 or len(values) < 2 or values.shape[1] != self.widths[name]:
                raise ValueError(f"the projection of {name} is {values.shape}")

    def _grown(
        self,
        catboost: Any,
        column: int,
        learned: Sample,
        held_out: Sample,
        options: dict[str, Any],
    ) -> SymmetricTrees | None:
        """The trees of one target; None if the posts leave nothing to learn."""
        own, judges = learned.with_target(column), held_out.with_target(column)
        posts = own.joined(judges)
        if not _teaches(posts, column):
            return None
        if not self.settings.fixed:
            trials = self._trials(own, judges, column)
            if _all_teach(trials, column):
                number = _number_of_trees(catboost, trials, column, options)
                options = {**options, "iterations": number}
        regressor = catboost.CatBoostRegressor(**options)
        return SymmetricTrees.of(regressor.fit(_pool(catboost, posts, column)))

    def _trials(self, own: Sample, judges: Sample, column: int) -> list[tuple[Sample, Sample]]:
        """Posts to learn from and posts to judge by, for the number of trees."""
        if len(judges) >= self.settings.min_validation_posts:
            return [(own, judges)]
        posts = own.joined(judges)
        folds = [(posts.select(~held), posts.select(held)) for held in posts.held_out()]
        return folds if _all_teach(folds, column) else [(own, judges)]


def _number_of_trees(
    catboost: Any, trials: Sequence[tuple[Sample, Sample]], column: int, options: dict[str, Any]
) -> int:
    """The number of trees with the smallest mean error over ``trials``, pairs of posts to learn
    from and posts to judge by. Where one stops growing, its error counts as staying what it is."""
    curves = []
    for own, judges in trials:
        regressor = catboost.CatBoostRegressor(**options)
        regressor.fit(_pool(catboost, own, column), eval_set=_pool(catboost, judges, column))
        curves.append(regressor.get_evals_result()["validation"]["RMSE"])
    longest = max(map(len, curves))
    padded = [np.pad(curve, (0, longest - len(curve)), mode="edge") for curve in curves]
    return int(np.argmin(np.mean(padded, axis=0))) + 1


def _all_teach(trials: Sequence[tuple[Sample, Sample]], column: int) -> bool:
    """Whether CatBoost can learn from the posts of every trial, and be judged by them."""
    return all(_teaches(part, column) for trial in trials for part in trial)


def _teaches(posts: Sample, column: int) -> bool:
    """Whether CatBoost can learn anything from the posts."""
    return varies(posts.values[:, [column]]) and varies(posts.features)


def _pool(catboost: Any, posts: Sample, column: int) -> Any:
    truth, weights = posts.values[:, column], posts.weights[:, column]
    return catboost.Pool(posts.features, truth, weight=weights)

"""Gradient boosting on pooled features: what a practitioner would try first.

The ABMF paper has no baseline of this kind. One regressor per target, on all features end to end;
what a post lacks is a missing value, for which trees have branches.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from evoked.models._symmetric_trees import SymmetricTrees, varies
from evoked.models.base import Examples
from evoked.models.boosting import BoostedTrees, BoostingSettings
from evoked.models.pooled import PooledModel, PooledSettings, Sample


class GradientBoostingSettings(PooledSettings, BoostingSettings):
    """Settings of gradient boosting."""

    trees: int = Field(1000, ge=1, description="largest number of trees per target")


class GradientBoosting(BoostedTrees, PooledModel):
    """Gradient-boosted trees on the pooled features of all modalities.

    The validation posts decide the number of trees. If they are few, cross-validation decides it,
    and then training and validation posts are learned from together. The training posts take about
    4 kB of memory each with the builtin encoders.
    """

    name = "gradient_boosting"
    description = "boosted trees on the pooled features of all modalities"
    source = "Prokhorenkova et al. 2018"
    Settings = GradientBoostingSettings

    settings: GradientBoostingSettings

    def grow(
        self,
        catboost: Any,
        train: Examples,
        validation: Examples | None,
        options: dict[str, Any],
    ) -> None:
        learned, held_out = self._samples(train, validation, self.matrix)
        for name in self.known_targets:
            column = self.targets.index(name)
            trees = self._grown(catboost, column, learned, held_out, options)
            if trees is not None:
                self.trees[name] = trees

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
        stops = _teaches(judges, column)
        if len(judges) < self.settings.min_validation_posts:
            posts = own.joined(judges)
            number = _number_of_trees(catboost, posts, column, options)
            if number is not None:
                own, stops, options = posts, False, {**options, "iterations": number}
        if not _teaches(own, column):
            return None
        regressor = catboost.CatBoostRegressor(**options)
        regressor.fit(
            _pool(catboost, own, column),
            eval_set=_pool(catboost, judges, column) if stops else None,
        )
        return SymmetricTrees.of(regressor)


def _number_of_trees(
    catboost: Any, posts: Sample, column: int, options: dict[str, Any]
) -> int | None:
    """The number of trees that predicts held-out folds best; None if a fold leaves nothing to
    learn, or if each holds out one post, which CatBoost refuses."""
    folds = posts.held_out()
    if len(folds) in (0, 1, len(posts)) or not all(
        _teaches(posts.select(~held), column) for held in folds
    ):
        return None
    found = catboost.cv(
        _pool(catboost, posts, column),
        # Unlike a regressor, cv() starts at zero by default.
        {**options, "loss_function": "RMSE", "boost_from_average": True},
        folds=[(np.flatnonzero(~held), np.flatnonzero(held)) for held in folds],
        as_pandas=False,
    )
    return int(np.argmin(found["test-RMSE-mean"])) + 1


def _teaches(posts: Sample, column: int) -> bool:
    """Whether CatBoost can learn anything from the posts."""
    return varies(posts.values[:, [column]]) and varies(posts.features)


def _pool(catboost: Any, posts: Sample, column: int) -> Any:
    truth, weights = posts.values[:, column], posts.weights[:, column]
    return catboost.Pool(posts.features, truth, weight=weights)

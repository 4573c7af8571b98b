"""Gradient boosting on pooled features: what a practitioner would try first.

CatBoost (Prokhorenkova et al. 2018, *CatBoost: unbiased boosting with categorical features*). The
ABMF paper has no such baseline. One regressor per target, on all features end to end; what a post
lacks is a missing value, for which trees have branches.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from pydantic import Field
from safetensors.numpy import load_file, save_file

from evoked.files import atomic_path, read_json, write_json
from evoked.models._symmetric_trees import (
    SymmetricTrees,
    catboost_library,
    growing_options,
    named_arrays,
    named_trees,
    varies,
)
from evoked.models.base import MODEL_FILE, WEIGHTS_FILE, Examples, reading_weights
from evoked.models.pooled import (
    Matrix,
    PooledModel,
    PooledSettings,
    Sample,
    pooled_matrix,
    row_batches,
)
from evoked.training.loop import EpochRecord, TrainingSettings


class GradientBoostingSettings(PooledSettings):
    """Settings of gradient boosting."""

    trees: int = Field(1000, ge=1, description="per target, at most")
    depth: int = Field(4, ge=1, le=10, description="of each tree")
    learning_rate: float = Field(0.05, gt=0, le=1)
    patience: int = Field(
        50, ge=1, description="trees without improvement on the validation posts before stopping"
    )
    feature_share: float = Field(
        0.2, gt=0, le=1, description="of the features, drawn anew for each split"
    )


class GradientBoosting(PooledModel):
    """Gradient-boosted trees on the pooled features of all modalities.

    The validation posts decide how many; where they are few, cross-validation does, after which
    training and validation posts are learned from together.

    Trees grow on one thread and with a seed, so that the same posts give the same trees. While
    they grow, the features of all training posts are in memory: about 4 kB per post with the
    builtin encoders.
    """

    name = "gradient_boosting"
    description = "boosted trees on the pooled features of all modalities"
    source = "Prokhorenkova et al. 2018"
    Settings = GradientBoostingSettings

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        # A target has a mean and no trees where nothing tells its training posts apart.
        self.means: dict[str, float] = {}
        self.trees: dict[str, SymmetricTrees] = {}

    def fit(
        self,
        train: Examples,
        validation: Examples | None = None,
        *,
        folder: Path,
        training: TrainingSettings | None = None,
        progress: Callable[[EpochRecord], None] | None = None,
    ) -> list[EpochRecord]:
        """Grow trees; of ``training`` only the seed counts, and there are no epochs to tell of.

        Raises
        ------
        DataError
            As :meth:`evoked.models.base.Model.fit` says.
        MissingExtraError
            CatBoost is not installed.
        """
        values = self._learn_targets(train)
        self.widths = {name: train.features.widths[name] for name in self.features}
        self.means = {
            name: float(np.nanmean(values[:, self.targets.index(name)]))
            for name in self.known_targets
        }
        self.trees = {}
        learned, held_out = self._samples(train, validation, self._matrix)
        for name in self.known_targets:
            trees = self._grown(self.targets.index(name), learned, held_out, training)
            if trees is not None:
                self.trees[name] = trees
        return []

    def predict(self, examples: Examples) -> pd.DataFrame:
        self.check_features(examples.features)
        predicted = np.full((len(examples), len(self.targets)), np.nan)
        for name in self.known_targets:
            predicted[:, self.targets.index(name)] = self.means[name]
        for rows in row_batches(len(examples)):
            matrix = pooled_matrix(examples.features, self.features, rows)
            for name, trees in self.trees.items():
                # Trees know no bounds.
                values = trees.predict(matrix).clip(*self.task.bounds(name))
                predicted[rows, self.targets.index(name)] = values
        return self._as_table(predicted)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(folder / WEIGHTS_FILE) as path:
            save_file(named_arrays(self.trees), path)
        state = {"widths": self.widths, "means": self.means, "trees": list(self.trees)}
        write_json(folder / MODEL_FILE, {**self._description(), **state})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Inverse of :meth:`save`; needs no CatBoost.

        Raises
        ------
        DataError
            A file is missing or damaged.
        """
        description = read_json(folder / MODEL_FILE)
        model = cls._from_description(description, folder / MODEL_FILE)
        with reading_weights(folder):
            model.widths = {str(name): int(size) for name, size in description["widths"].items()}
            model.means = {name: float(description["means"][name]) for name in model.known_targets}
            arrays = load_file(folder / WEIGHTS_FILE)
            names = map(str, description["trees"])
            model.trees = named_trees(names, arrays, sum(model.widths.values()))
        return model

    def _matrix(self, examples: Examples) -> Matrix:
        return pooled_matrix(examples.features, self.features, np.arange(len(examples)))

    def _grown(
        self, column: int, learned: Sample, held_out: Sample, training: TrainingSettings | None
    ) -> SymmetricTrees | None:
        """The trees of one target; None where nothing can be learned of the posts."""
        catboost = catboost_library(self.name)
        options = growing_options(self.settings, training)
        own, judges = learned.telling(column), held_out.telling(column)
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
    """How many trees predict held-out folds best; None where a fold leaves nothing to learn, and
    where each holds out one post, which CatBoost refuses."""
    folds = posts.held_out()
    if len(folds) in (0, 1, len(posts)) or not all(
        _teaches(posts.select(~held), column) for held in folds
    ):
        return None
    found = catboost.cv(
        _pool(catboost, posts, column),
        # Unlike a regressor, cv() would begin at zero.
        {**options, "loss_function": "RMSE", "boost_from_average": True},
        folds=[(np.flatnonzero(~held), np.flatnonzero(held)) for held in folds],
        as_pandas=False,
    )
    return int(np.argmin(found["test-RMSE-mean"])) + 1


def _teaches(posts: Sample, column: int) -> bool:
    """Whether CatBoost can learn anything of the posts."""
    return varies(posts.values[:, [column]]) and varies(posts.features)


def _pool(catboost: Any, posts: Sample, column: int) -> Any:
    truth, weights = posts.values[:, column], posts.weights[:, column]
    return catboost.Pool(posts.features, truth, weight=weights)

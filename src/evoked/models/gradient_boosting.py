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
from evoked.models.pooled import PooledModel, PooledSettings, pooled_matrix, row_batches
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
        catboost = catboost_library(self.name)
        values = self._learn_targets(train)
        self.widths = {name: train.features.widths[name] for name in self.features}
        self.means = {
            name: float(np.nanmean(values[:, self.targets.index(name)]))
            for name in self.known_targets
        }
        self.trees = {}
        learned, held_out = self._pools(train), self._pools(validation)
        for name in self.known_targets:
            pool = learned(name)
            if pool is None:
                continue
            regressor = catboost.CatBoostRegressor(**growing_options(self.settings, training))
            regressor.fit(pool, eval_set=held_out(name))
            self.trees[name] = SymmetricTrees.of(regressor)
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

    def _pools(self, examples: Examples | None) -> Callable[[str], Any]:
        """By target, CatBoost's view of the posts that tell it; None where nothing can be learned
        of them."""
        if examples is None or examples.targets is None or not len(examples):
            return lambda name: None
        values, weights = examples.targets.values, self._weights(examples.targets)
        matrix = pooled_matrix(examples.features, self.features, np.arange(len(examples)))

        def pool(name: str) -> Any:
            column = self.targets.index(name)
            known = weights[:, column] > 0
            rows, truth = matrix[known], values[known, column]
            if not varies(truth[:, None]) or not varies(rows):
                return None
            return catboost_library(self.name).Pool(rows, truth, weight=weights[known, column])

        return pool

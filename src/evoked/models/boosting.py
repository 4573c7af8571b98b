"""What models of boosted trees share: growing, predicting, saving and loading.

CatBoost (Prokhorenkova et al. 2018, *CatBoost: unbiased boosting with categorical features*) grows
the trees; everything else works without it, see :mod:`evoked.models._symmetric_trees`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field
from safetensors.numpy import load_file
from scipy.special import softmax

from evoked.features.catalog import FeatureSettings
from evoked.files import read_object, write_json, write_safetensors
from evoked.models._symmetric_trees import (
    SymmetricTrees,
    catboost_library,
    growing_options,
    named_arrays,
    named_trees,
    varies,
)
from evoked.models.base import (
    MODEL_FILE,
    WEIGHTS_FILE,
    Examples,
    Model,
    ModelSettings,
    reading_weights,
)
from evoked.models.pooled import Matrix, pooled_matrix, row_batches
from evoked.training.records import EpochRecord
from evoked.training.settings import TrainingSettings


class BoostingSettings(ModelSettings):
    """Settings that all models of boosted trees have."""

    trees: int = Field(1000, ge=1, description="largest number of trees")
    depth: int = Field(4, ge=1, le=10, description="levels of each tree")
    learning_rate: float = Field(0.05, gt=0, le=1, description="share of each tree that is added")
    patience: int = Field(
        50, ge=1, description="trees without improvement on the validation examples before stopping"
    )
    feature_share: float = Field(
        0.2, gt=0, le=1, description="share of the features that each split draws anew"
    )


class BoostedTrees(Model):
    """A model of boosted trees on one matrix of numbers per set of examples.

    Trees grow on one thread and with a seed, so that the same examples give the same trees. While
    they grow, the matrix of all training examples is in memory. A subclass defines :meth:`grow`,
    and :meth:`matrix` and :meth:`width` if its trees see more than the pooled features.

    Attributes
    ----------
    means
        Mean of each known target over the training examples: the prediction where the features
        are the same for all of them, so that no trees grow.
    trees
        Trees by the target that they predict, which may be a part of the known ones.
    """

    needs = ("catboost",)
    complexity = 40
    test_settings: ClassVar[dict[str, Any]] = {"trees": 20}
    Settings = BoostingSettings

    settings: BoostingSettings

    def __init__(
        self,
        settings: BoostingSettings | None = None,
        feature_settings: FeatureSettings | None = None,
        task: str | None = None,
    ) -> None:
        super().__init__(settings, feature_settings, task)
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
        """Grow trees. There are no epochs to report; ``training`` gives the seed and nothing else.

        Raises
        ------
        DataError
            As in :meth:`evoked.models.base.Model.fit`.
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
        self.grow(catboost, train, validation, growing_options(self.settings, training))
        return []

    @abstractmethod
    def grow(
        self,
        catboost: Any,
        train: Examples,
        validation: Examples | None,
        options: dict[str, Any],
    ) -> None:
        """Fill :attr:`trees`.

        Parameters
        ----------
        catboost
            The library.
        train, validation
            As in :meth:`fit`; ``train`` has targets.
        options
            Options of every CatBoost model: settings, seed, silence.
        """

    def matrix(self, examples: Examples) -> Matrix:
        """Numbers that the trees see, float32 (n, columns), NaN where missing: the features end to
        end."""
        return pooled_matrix(examples.features, self.features, np.arange(len(examples)))

    def width(self) -> int:
        """Number of columns of :meth:`matrix`."""
        return sum(self.widths.values())

    def predict(self, examples: Examples) -> pd.DataFrame:
        self.check_features(examples.features)
        means = [self.means.get(name, np.nan) for name in self.targets]
        predicted = np.tile(means, (len(examples), 1))
        for rows in row_batches(len(examples) if self.trees else 0):
            batch = examples.select(rows)
            matrix = self.matrix(batch)
            sums = np.stack([trees.predict(matrix) for trees in self.trees.values()], axis=1)
            predicted[rows] = self._from_sums(sums, predicted[rows], batch)
        return self._as_table(predicted)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        state, arrays = self._extra_state()
        write_safetensors(folder / WEIGHTS_FILE, {**named_arrays(self.trees), **arrays})
        own = {"widths": self.widths, "means": self.means, "trees": list(self.trees)}
        write_json(folder / MODEL_FILE, {**self._description(), **own, **state})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Inverse of :meth:`save`; needs no CatBoost.

        Raises
        ------
        DataError
            A file is missing or damaged.
        """
        description = read_object(folder / MODEL_FILE)
        model = cls._from_description(description, folder / MODEL_FILE)
        with reading_weights(folder):
            model.widths = {str(name): int(size) for name, size in description["widths"].items()}
            model.means = {name: float(description["means"][name]) for name in model.known_targets}
            arrays = load_file(folder / WEIGHTS_FILE)
            model._take_extra_state(description, arrays)
            names = [name for name in description["trees"] if name in model.targets]
            model.trees = named_trees(names, arrays, model.width())
        return model

    def _from_sums(
        self, sums: NDArray[np.float64], means: NDArray[np.float64], examples: Examples
    ) -> NDArray[np.float64]:
        """Targets (n, targets) of n examples from sums of trees (n, trees); ``means`` where none
        grew."""
        predicted = means.copy()
        for position, name in enumerate(self.trees):
            # Trees know no bounds.
            values = sums[:, position].clip(*self.task.bounds(name))
            predicted[:, self.targets.index(name)] = values
        return predicted

    def _extra_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """What a subclass saves in addition: JSON-ready state, and arrays by name."""
        return {}, {}

    def _take_extra_state(
        self, description: dict[str, Any], arrays: dict[str, NDArray[Any]]
    ) -> None:
        """Inverse of :meth:`_extra_state`; whatever it raises is reported as damage."""


class BoostedOutcome(BoostedTrees):
    """Boosted trees for a task with one outcome: classes (``MultiClass``), or a number.

    CatBoost never sees classes that no training example has; their probability is 0.
    """

    def grow(
        self,
        catboost: Any,
        train: Examples,
        validation: Examples | None,
        options: dict[str, Any],
    ) -> None:
        matrix, labels = self._known(train)
        if len(np.unique(labels)) < 2 or not varies(matrix):
            return
        kind = catboost.CatBoostClassifier if self._classes else catboost.CatBoostRegressor
        booster = kind(
            loss_function="MultiClass" if self._classes else "RMSE",
            **options,
            **self._extra_options(len(labels)),
        )
        held_out = self._held_out(validation, labels)
        booster.fit(
            catboost.Pool(matrix, labels, weight=self._label_weights(labels)),
            eval_set=None if held_out is None else catboost.Pool(*held_out),
        )
        learned = np.unique(labels).astype(int) if self._classes else [0]
        names = [self.targets[number] for number in learned]
        self.trees = dict(zip(names, SymmetricTrees.per_output(booster), strict=True))
        self._grown(booster, (matrix, labels) if held_out is None else held_out)

    @property
    def _classes(self) -> bool:
        return self.task.outcomes[0].kind == "classes"

    def _extra_options(self, n: int) -> dict[str, Any]:
        """Options of CatBoost that only this model has, for n training examples."""
        return {}

    def _label_weights(self, labels: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Weight of each training example, (n,); None where all weigh the same."""
        return None

    def _grown(self, booster: Any, judged: tuple[Matrix, NDArray[np.float64]]) -> None:
        """Called with the fitted CatBoost model, and the matrix and labels of the validation
        examples, or of the training examples if there are none."""

    def _known(self, examples: Examples) -> tuple[Matrix, NDArray[np.float64]]:
        """Matrix and labels (numbers of classes, or values) of the examples that have one, and not
        several, which trees can't learn."""
        assert examples.targets is not None
        values = examples.targets.values
        one = values.max(axis=1) == 1 if self._classes else np.isfinite(values).all(axis=1)
        rows = np.flatnonzero(one)
        labels = values[rows].argmax(axis=1) if self._classes else values[rows, 0]
        return self.matrix(examples.select(rows)), labels.astype(np.float64)

    def _held_out(
        self, validation: Examples | None, learned: NDArray[np.float64]
    ) -> tuple[Matrix, NDArray[np.float64]] | None:
        """As :meth:`_known`, without classes that no training example has, which CatBoost refuses;
        None if nothing is left."""
        if validation is None or validation.targets is None or not len(validation):
            return None
        matrix, labels = self._known(validation)
        if self._classes:
            usable = np.isin(labels, learned)
            matrix, labels = matrix[usable], labels[usable]
        return (matrix, labels) if len(labels) else None

    def _from_sums(
        self, sums: NDArray[np.float64], means: NDArray[np.float64], examples: Examples
    ) -> NDArray[np.float64]:
        if not self._classes:
            return super()._from_sums(sums, means, examples)
        shares = np.zeros_like(means)
        shares[:, [self.targets.index(name) for name in self.trees]] = softmax(sums, axis=1)
        return shares

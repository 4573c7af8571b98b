"""Gradient boosting on what is known of user and image, without the graph.

CatBoost (Prokhorenkova et al. 2018): what HMG-Emo's graph has to be better than. The trees see the
image's vector and the mean of the user's groups (Eq. 1) end to end; what a viewing lacks is a
missing value, for which trees have branches. One ensemble tells all emotions apart (MultiClass).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field
from safetensors.numpy import load_file, save_file
from scipy.special import softmax

from evoked.features.viewings import OWN_COMMENT
from evoked.files import atomic_path, read_json, write_json
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
from evoked.models.comments_only import LEAKAGE
from evoked.models.pooled import pooled_matrix, row_batches
from evoked.targets import Emotion
from evoked.training.loop import EpochRecord
from evoked.training.settings import TrainingSettings


class ViewingBoostingSettings(ModelSettings):
    """Settings of the trees."""

    trees: int = Field(300, ge=1, description="at most")
    depth: int = Field(4, ge=1, le=10, description="of each tree")
    learning_rate: float = Field(0.1, gt=0, le=1)
    patience: int = Field(
        30, ge=1, description="trees without improvement on the validation viewings before stopping"
    )
    feature_share: float = Field(
        0.2, gt=0, le=1, description="of the features, drawn anew for each split"
    )
    own_comment: bool = Field(
        False,
        description="look at the viewing's own comment as well, which nobody knows beforehand and "
        "from which the emotion may have been read: scores LEAK",
    )


class ViewingBoosting(Model):
    """Gradient-boosted trees on the vectors of image and user.

    Trees grow on one thread and with a seed. While they grow, the features of all training viewings
    are in memory.
    """

    name = "viewing_boosting"
    description = "boosted trees on the vectors of image and user, without the graph"
    source = "Prokhorenkova et al. 2018"
    tasks = (Emotion.name,)
    rows = "viewings"
    Settings = ViewingBoostingSettings

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        # Predicted where nothing tells the training viewings apart.
        self.shares: list[float] = []
        # By emotion that the training viewings have.
        self.trees: dict[str, SymmetricTrees] = {}

    @property
    def features(self) -> list[str]:
        return ["image.vector", "user.vector"] + (
            [OWN_COMMENT] if self.settings.own_comment else []
        )

    @property
    def caution(self) -> str:
        return LEAKAGE if self.settings.own_comment else ""

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
        self.shares = [float(share) for share in np.nanmean(values, axis=0)]
        self.trees = {}
        matrix, classes = self._known(train)
        learned = np.unique(classes)
        if len(learned) < 2 or not varies(matrix):
            return []
        booster = catboost.CatBoostClassifier(
            loss_function="MultiClass", **growing_options(self.settings, training)
        )
        held_out = None
        if validation is not None and validation.targets is not None:
            others, labels = self._known(validation)
            usable = np.isin(labels, learned)  # CatBoost refuses classes that it has not learned
            if usable.any():
                held_out = catboost.Pool(others[usable], labels[usable])
        booster.fit(catboost.Pool(matrix, classes), eval_set=held_out)
        names = [self.targets[number] for number in learned]
        self.trees = dict(zip(names, SymmetricTrees.per_output(booster), strict=True))
        return []

    def predict(self, examples: Examples) -> pd.DataFrame:
        self.check_features(examples.features)
        if not self.trees:
            return self._as_table(np.tile(self.shares, (len(examples), 1)))
        predicted = np.zeros((len(examples), len(self.targets)))
        places = [self.targets.index(name) for name in self.trees]
        for rows in row_batches(len(examples)):
            matrix = pooled_matrix(examples.features, self.features, rows)
            sums = np.stack([trees.predict(matrix) for trees in self.trees.values()], axis=1)
            predicted[rows[:, None], places] = softmax(sums, axis=1)
        return self._as_table(predicted)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(folder / WEIGHTS_FILE) as path:
            save_file(named_arrays(self.trees), path)
        state = {"widths": self.widths, "shares": self.shares, "trees": list(self.trees)}
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
            model.shares = [float(share) for share in description["shares"]]
            arrays = load_file(folder / WEIGHTS_FILE)
            names = [name for name in description["trees"] if name in model.targets]
            model.trees = named_trees(names, arrays, sum(model.widths.values()))
        return model

    def _known(self, examples: Examples) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Features and class of the viewings whose emotion is known."""
        assert examples.targets is not None
        rows = np.flatnonzero(np.isfinite(examples.targets.values).all(axis=1))
        classes = examples.targets.values[rows].argmax(axis=1)
        return pooled_matrix(examples.features, self.features, rows), classes

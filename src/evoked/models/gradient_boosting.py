"""Gradient boosting on pooled features: what a practitioner would try first.

CatBoost (Prokhorenkova et al. 2018, *CatBoost: unbiased boosting with categorical features*). The
ABMF paper has no such baseline. One regressor per target, on all features end to end; what a post
lacks is a missing value, for which trees have branches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from evoked.errors import DataError, MissingExtraError
from evoked.features.table import FeatureTable
from evoked.files import atomic_path, read_json, write_json
from evoked.models.base import MODEL_FILE, Examples, Model, ModelSettings
from evoked.posts.schema import SCALES
from evoked.targets import TARGETS
from evoked.training.loop import EpochRecord, TrainingSettings

FEATURES = (
    "image.vector",
    "caption.vector",
    "hashtags.vector",
    "metadata",
    "affect.text",
    "affect.face",
)
_QUANTILES = (0.0, 1.0)
_POSTS_PER_BATCH = 4096


class GradientBoostingSettings(ModelSettings):
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
    estimated_weight: float = Field(
        0.5, ge=0, le=1, description="of valence and arousal that a reader estimated"
    )


class GradientBoosting(Model):
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
        self.regressors: dict[str, Any] = {}

    @property
    def features(self) -> list[str]:
        return list(FEATURES)

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
        catboost = _catboost()
        values = self._learn_targets(train)
        self.widths = {name: train.features.widths[name] for name in FEATURES}
        self.means = {
            name: float(np.nanmean(values[:, TARGETS.index(name)])) for name in self.known_targets
        }
        self.regressors = {}
        learned, held_out = self._pools(train), self._pools(validation)
        for name in self.known_targets:
            if name not in learned:
                continue
            self.regressors[name] = catboost.CatBoostRegressor(
                iterations=self.settings.trees,
                depth=self.settings.depth,
                learning_rate=self.settings.learning_rate,
                rsm=self.settings.feature_share,
                early_stopping_rounds=self.settings.patience,
                random_seed=0 if training is None else training.seed,
                thread_count=1,
                allow_writing_files=False,
                logging_level="Silent",
            )
            self.regressors[name].fit(learned[name], eval_set=held_out.get(name))
        return []

    def predict(self, examples: Examples) -> pd.DataFrame:
        self.check_features(examples.features)
        predicted = np.full((len(examples), len(TARGETS)), np.nan)
        for name in self.known_targets:
            predicted[:, TARGETS.index(name)] = self.means[name]
        for rows in _batches(len(examples)):
            matrix = _matrix(examples.features, rows)
            for name, regressor in self.regressors.items():
                # Trees know no bounds.
                bounds = SCALES.get(name, _QUANTILES)
                values = regressor.predict(matrix, thread_count=1).clip(*bounds)
                predicted[rows, TARGETS.index(name)] = values
        return self._as_table(predicted)

    def save(self, folder: Path) -> None:
        """Write the model into ``folder``: JSON, and trees in CatBoost's own format (.cbm), which
        holds numbers alone."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, regressor in self.regressors.items():
            with atomic_path(_file(folder, name)) as path:
                regressor.save_model(str(path), format="cbm")
        state = {"widths": self.widths, "means": self.means, "trees": list(self.regressors)}
        write_json(folder / MODEL_FILE, {**self._description(), **state})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Inverse of :meth:`save`.

        Raises
        ------
        DataError
            A file is missing or damaged.
        MissingExtraError
            CatBoost is not installed.
        """
        description = read_json(folder / MODEL_FILE)
        model = cls._from_description(description, folder / MODEL_FILE)
        model.widths = {str(name): int(width) for name, width in description["widths"].items()}
        model.means = {str(name): float(mean) for name, mean in description["means"].items()}
        model.regressors = {
            name: _load_trees(_file(folder, name))
            for name in TARGETS
            if name in description["trees"]
        }
        return model

    def _pools(self, examples: Examples | None) -> dict[str, Any]:
        """CatBoost's view of the posts that tell each target; none for a target that nothing can
        be learned of."""
        if examples is None or examples.targets is None or not len(examples):
            return {}
        values, estimated = examples.targets.values, examples.targets.estimated
        weights = np.where(estimated, self.settings.estimated_weight, 1.0) * np.isfinite(values)
        matrix = _matrix(examples.features, np.arange(len(examples)))
        pools = {}
        for column, name in enumerate(TARGETS):
            known = weights[:, column] > 0
            truth = values[known, column]
            if _varies(truth[:, None]) and _varies(matrix[known]):
                pools[name] = _catboost().Pool(matrix[known], truth, weight=weights[known, column])
        return pools


def _catboost() -> Any:
    try:
        import catboost
    except ImportError as error:
        raise MissingExtraError("catboost", "boosting", "the model 'gradient_boosting'") from error
    return catboost


def _file(folder: Path, target: str) -> Path:
    return folder / f"trees-{target}.cbm"


def _load_trees(file: Path) -> Any:
    catboost = _catboost()
    regressor = catboost.CatBoostRegressor()
    try:
        return regressor.load_model(str(file), format="cbm")
    except catboost.CatBoostError as error:
        raise DataError(
            f"the trees are missing or damaged ({error}).", file=file, fix="Train the model again."
        ) from error


def _matrix(features: FeatureTable, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """All features of the posts at ``rows`` end to end, float32 (n, widths); NaN where absent."""
    batch = features.take(rows)
    parts = []
    for name in FEATURES:
        values = batch[name].numpy()
        parts.append(np.where(batch[f"{name}.present"].numpy()[:, None], values, np.nan))
    return np.concatenate(parts, axis=1).astype(np.float32, copy=False)


def _varies(values: NDArray[np.float32]) -> bool:
    """Whether a column of ``values`` (n, m) holds two different values, of which missing is one."""
    if not len(values):
        return False
    differs = (values != values[0]) & ~(np.isnan(values) & np.isnan(values[0]))
    return bool(differs.any())


def _batches(n: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, n, _POSTS_PER_BATCH):
        yield np.arange(start, min(start + _POSTS_PER_BATCH, n))

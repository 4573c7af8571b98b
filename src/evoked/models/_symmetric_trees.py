"""Boosted trees as plain arrays, which are kept and used without CatBoost.

CatBoost's own file formats are read by native code that trusts them (a damaged ``.cbm`` ends the
process). Arrays can be checked, and predict without the library.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from evoked.errors import MissingExtraError
from evoked.training.settings import TrainingSettings

# Questions per feature. CatBoost's default, 254, takes four times as long with a thousand features.
_BORDERS = 32

_PARTS = ("columns", "borders", "leaves", "bias")


@dataclass(frozen=True)
class SymmetricTrees:
    """A sum of trees, each of which asks the same question in all nodes of a level.

    Attributes
    ----------
    columns
        int64, (trees, depth): the feature that a level asks about.
    borders
        float32, (trees, depth): the question is whether the feature is above; missing is not above.
    leaves
        float64, (trees, 2**depth): values; the answer at the first level is the lowest bit.
    bias
        float64, (1,): added to the sum.
    """

    columns: NDArray[np.int64]
    borders: NDArray[np.float32]
    leaves: NDArray[np.float64]
    bias: NDArray[np.float64]

    @classmethod
    def of(cls, regressor: Any) -> Self:
        """The trees of a fitted ``CatBoostRegressor`` on numerical features."""
        (trees,) = cls.per_output(regressor)
        return trees

    @classmethod
    def per_output(cls, booster: Any) -> list[Self]:
        """The trees of a fitted CatBoost model on numerical features, for each number that it
        predicts: one for a regressor, and one per class of the training examples for a
        ``MultiClass`` classifier, whose probabilities are the softmax of the trees' sums."""
        with TemporaryDirectory() as folder:
            file = Path(folder) / "trees.json"
            booster.save_model(str(file), format="json")
            grown = json.loads(file.read_text(encoding="utf-8"))
        trees = grown["oblivious_trees"]
        scale, biases = grown["scale_and_bias"]
        depth = max((len(tree["splits"] or []) for tree in trees), default=0)
        columns = np.zeros((len(trees), depth), np.int64)
        # Levels that a tree lacks become questions whose answer is always no.
        borders = np.full((len(trees), depth), np.inf, np.float32)
        leaves = np.zeros((len(biases), len(trees), 2**depth))
        for row, tree in enumerate(trees):
            for level, split in enumerate(tree["splits"] or []):
                columns[row, level] = split["float_feature_index"]
                borders[row, level] = split["border"]
            values = np.reshape(tree["leaf_values"], (-1, len(biases))).T
            leaves[:, row, : values.shape[1]] = values
        return [
            cls(columns, borders, scale * own, np.array([float(bias)]))
            for own, bias in zip(leaves, biases, strict=True)
        ]

    def predict(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """(n,) from features (n, columns), NaN where missing."""
        levels = self.columns.shape[1]
        above = matrix[:, self.columns] > self.borders
        leaf = (above << np.arange(levels)).sum(axis=2)
        values: NDArray[np.float64] = self.leaves[np.arange(len(self.leaves)), leaf].sum(axis=1)
        return values + self.bias

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays by name."""
        return {name: getattr(self, name) for name in _PARTS}

    @classmethod
    def checked(cls, arrays: dict[str, NDArray[Any]], width: int) -> Self:
        """Inverse of :meth:`arrays`, for features of this total width.

        Raises
        ------
        KeyError, ValueError
            The arrays are not those of trees, or ask about other features.
        """
        trees = cls(*(arrays[name] for name in _PARTS))
        shape = trees.columns.shape
        expected = [
            ("columns", np.int64, shape),
            ("borders", np.float32, shape),
            ("leaves", np.float64, (shape[0], 2 ** shape[-1])),
            ("bias", np.float64, (1,)),
        ]
        for name, dtype, size in expected:
            found = arrays[name]
            if len(shape) != 2 or found.dtype != dtype or found.shape != size:
                raise ValueError(f"{name} are {found.dtype} {found.shape}")
        if trees.columns.size and not 0 <= trees.columns.min() <= trees.columns.max() < width:
            raise ValueError(f"they ask about features beyond the {width} columns")
        return trees


def catboost_library(model: str) -> Any:
    """CatBoost, for growing trees.

    Raises
    ------
    MissingExtraError
        It is not installed.
    """
    try:
        import catboost
    except ImportError as error:
        raise MissingExtraError("catboost", "boosting", f"the model {model!r}") from error
    return catboost


def growing_options(settings: Any, training: TrainingSettings | None) -> dict[str, Any]:
    """CatBoost's options for a model whose settings have ``trees``, ``depth``, ``learning_rate``,
    ``feature_share`` and ``patience``: one thread and a seed, so that the same examples give the
    same trees, and no files of its own."""
    return {
        "iterations": settings.trees,
        "depth": settings.depth,
        "learning_rate": settings.learning_rate,
        "rsm": settings.feature_share,
        "border_count": _BORDERS,
        "early_stopping_rounds": settings.patience,
        "random_seed": 0 if training is None else training.seed,
        "thread_count": 1,
        "allow_writing_files": False,
        "logging_level": "Silent",
    }


def varies(matrix: NDArray[np.float32]) -> bool:
    """Whether a column of ``matrix`` (n, m) has two different values, one of which may be missing;
    CatBoost refuses to learn otherwise."""
    if not len(matrix):
        return False
    differs = (matrix != matrix[0]) & ~(np.isnan(matrix) & np.isnan(matrix[0]))
    return bool(differs.any())


def named_arrays(trees: Mapping[str, SymmetricTrees]) -> dict[str, NDArray[Any]]:
    """The arrays of all trees, named by the target that they predict, for one file."""
    return {
        f"{name}.{part}": np.ascontiguousarray(values)
        for name, own in trees.items()
        for part, values in own.arrays().items()
    }


def named_trees(
    names: Iterable[str], arrays: Mapping[str, NDArray[Any]], width: int
) -> dict[str, SymmetricTrees]:
    """Inverse of :func:`named_arrays`, for features of this total width.

    Raises
    ------
    KeyError, ValueError
        As :meth:`SymmetricTrees.checked` says.
    """
    return {
        name: SymmetricTrees.checked({part: arrays[f"{name}.{part}"] for part in _PARTS}, width)
        for name in names
    }

"""The weighted mean of several models' predictions.

Models that err in different ways err less together (Breiman 1996, *Bagging predictors*, Section 4).
A line and boosted trees differ in that way: a line goes on where trees stay level, and trees see
what is no line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, model_validator

from evoked.features.catalog import FeatureSettings
from evoked.models.members import Combination, CombinationSettings
from evoked.targets import Task

Floats = NDArray[np.float64]

# How much more than any post it counts that weights add up to 1.
_HEAVY = 1e4
# What weighs less is not worth a model of its own.
_LEAST_WEIGHT = 0.05


class BlendSettings(CombinationSettings):
    """Settings of a blend."""

    weights: dict[str, tuple[float, ...]] = Field(
        default_factory=dict,
        description="weights of the members in order, by outcome; equal for those left out",
    )

    @model_validator(mode="after")
    def _one_each(self) -> Self:
        for outcome, weights in self.weights.items():
            if len(weights) != len(self.members) or min(weights) < 0 or sum(weights) <= 0:
                raise ValueError(
                    f"weights of {outcome}: one for each of the {len(self.members)} members is "
                    "needed, none below 0 and not all 0"
                )
        return self


class Blend(Combination):
    """The weighted mean of its members' predictions, each fitted on the same posts."""

    name = "blend"
    description = "the weighted mean of several models' predictions, such as a line's and trees'"
    source = "Breiman 1996, Bagging predictors"
    needs = ("catboost",)
    complexity = 50
    test_settings: ClassVar[dict[str, Any]] = {
        "members": [{"model": "linear"}, {"model": "gradient_boosting", "settings": {"trees": 20}}]
    }
    Settings = BlendSettings

    settings: BlendSettings

    def __init__(
        self,
        settings: BlendSettings | None = None,
        feature_settings: FeatureSettings | None = None,
        task: str | None = None,
    ) -> None:
        super().__init__(settings, feature_settings, task)
        self.quick = all(member.quick for member in self.members)

    def combine(self, predicted: list[pd.DataFrame]) -> Floats:
        tables = [each.to_numpy(np.float64) for each in predicted]
        return blended(self.task, self.settings.weights, tables)


def blended(
    task: type[Task], weights: Mapping[str, Sequence[float]], predicted: Sequence[Floats]
) -> Floats:
    """What a blend makes of its members' predictions, (n, targets) each; ``weights`` as in
    :class:`BlendSettings`."""
    shares = np.ones((len(predicted), len(task.columns)))
    for outcome in task.outcomes:
        for name in outcome.columns if outcome.name in weights else ():
            shares[:, task.columns.index(name)] = weights[outcome.name]
    return np.average(
        np.stack(predicted), axis=0, weights=shares[:, None, :].repeat(len(predicted[0]), 1)
    )


def learned_weights(
    task: type[Task], predicted: Sequence[Floats], truth: Floats
) -> dict[str, tuple[float, ...]]:
    """Weights of members by how well they predict posts that they have not learned from.

    The first member is what all others are held against, such as an author's last posts. The
    others' weights are what predicts the departures from it with the least squared error, of all
    weights that are not below 0 and no more than 1 together (Breiman 1996, *Stacked regressions*).
    They are then all multiplied by 1 - k · s² / d, at least 0, where k is the number of weights
    above 0, s² the mean square of what is still missed, and d the sum of the squares of the
    weighted departures: of chance, that is about as much as k weights find (James and Stein 1961,
    *Estimation with quadratic loss*). So the first member has no more than its share where posts
    are many, and all of it where the others say nothing. Weights below 0.05 are the first one's as
    well.

    Parameters
    ----------
    task
        Whose columns are predicted.
    predicted
        (n, targets) of each member.
    truth
        (n, targets); NaN where unknown.

    Returns
    -------
    Weights in the members' order, which add up to 1, by outcome; an outcome of which nothing is
    known gets the mean of the others'. Empty where nothing is known at all.
    """
    found: dict[str, Floats] = {}
    for outcome in task.outcomes:
        columns = [task.columns.index(name) for name in outcome.columns]
        values = np.stack([each[:, columns] for each in (*predicted, truth)])
        known = np.isfinite(values).all(axis=(0, 2))
        first, *others, true = values[:, known].reshape(len(values), -1)
        if columns and len(true):
            found[outcome.name] = _weights_of(
                np.stack([each - first for each in others], axis=1), true - first
            )
    if not found:
        return {}
    usual: Floats = np.stack(list(found.values())).mean(axis=0)
    named = [outcome.name for outcome in task.outcomes if outcome.columns]
    return {name: tuple(found.get(name, usual).tolist()) for name in named}


def _weights_of(departures: Floats, missed: Floats) -> Floats:
    """Weights, the first member's first, from the departures of the others (n, others) and of the
    truth (n,)."""
    from scipy.optimize import nnls

    # The first member's departures are 0. A heavy last row makes the weights add up to 1 (Lawson
    # and Hanson 1974, *Solving Least Squares Problems*, Chapter 22).
    heavy = _HEAVY * max(float(np.abs(departures).max()), 1e-9)
    columns = np.hstack([np.zeros((len(missed), 1)), departures])
    rows = np.vstack([columns, np.full((1, columns.shape[1]), heavy)])
    weights = nnls(rows, np.append(missed, heavy))[0][1:]
    explained = departures @ weights
    size = float(explained @ explained)
    if size > 0:
        chance = np.count_nonzero(weights) * float(np.mean((missed - explained) ** 2))
        weights *= max(0.0, 1 - chance / size)
    weights[weights < _LEAST_WEIGHT] = 0
    return np.append(1 - weights.sum(), weights)

"""Several models as one, weighted by how well they predict posts they have not learned from.

Stacking (Wolpert 1992, *Stacked generalization*) with weights that are never negative (Breiman
1996, *Stacked regressions*), for each target on its own: ridge regression of a value, logistic
regression of a probability, on the members' out-of-fold predictions. Members without weight are
left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field
from scipy.optimize import minimize, nnls
from scipy.special import expit, logit

from evoked.features.catalog import FeatureSettings
from evoked.models.base import Examples, ModelSettings
from evoked.models.members import MEMBER_FOLDER, Combination, CombinationSettings
from evoked.posts.author_hashes import author_hashes
from evoked.targets import Task
from evoked.training.records import EpochRecord
from evoked.training.settings import TrainingSettings

# Penalty on the squared weights, per post and in units of the target's variance: it decides how
# members that agree share their weight, and hardly affects a weight of 1.
PENALTY = 1e-3
_LEAST_PROBABILITY = 1e-3

Vector = NDArray[np.float64]


class Line(ModelSettings):
    """How a target is computed from the members' predictions, or from their logits if it is a
    probability."""

    weights: tuple[float, ...] = Field(
        description="weights of the members in order, never negative"
    )
    bias: float


class StackSettings(CombinationSettings):
    """Settings of a stack."""

    lines: dict[str, Line] | None = Field(
        None, description="line of each target; learned on folds of the training posts if omitted"
    )
    folds: int = Field(
        5,
        ge=2,
        description="number of folds of the training posts, by author where authors are known",
    )


class Stack(Combination):
    """A weighted sum of other models' predictions.

    Attributes
    ----------
    lines
        For each target, how it is computed from the members' predictions.
    """

    name = "stack"
    description = "several models, weighted by what each adds on posts that it has not learned from"
    source = "Wolpert 1992; Breiman 1996"
    # More complex than any of its members.
    complexity = 1000
    test_settings: ClassVar[dict[str, Any]] = {
        "members": [{"model": "linear"}, {"model": "author_mean"}],
        "folds": 2,
    }
    Settings = StackSettings

    settings: StackSettings

    def __init__(
        self,
        settings: StackSettings | None = None,
        feature_settings: FeatureSettings | None = None,
        task: str | None = None,
    ) -> None:
        super().__init__(settings, feature_settings, task)
        self.lines: dict[str, Line] = {}

    def fit(
        self,
        train: Examples,
        validation: Examples | None = None,
        *,
        folder: Path,
        training: TrainingSettings | None = None,
        progress: Callable[[EpochRecord], None] | None = None,
    ) -> list[EpochRecord]:
        """Fit every member, after one fit per fold unless the settings give the lines.

        Within the folds, features that are fitted on the training posts (hashtags, metadata) stay
        those of all training posts; ``evoked train --model auto`` fits them again.

        Raises
        ------
        DataError, MissingExtraError
            As for the members.
        """
        values = self._learn_targets(train)
        self.lines = self.settings.lines or self._learn_lines(
            train, validation, values, folder, training
        )
        return super().fit(train, validation, folder=folder, training=training, progress=progress)

    def combine(self, predicted: list[pd.DataFrame]) -> NDArray[np.float64]:
        return combined(self.task, self.lines, predicted)

    def _own_state(self) -> dict[str, Any]:
        return {"lines": {name: line.model_dump(mode="json") for name, line in self.lines.items()}}

    def _take_own_state(self, description: dict[str, Any]) -> None:
        self.lines = {
            str(name): Line.model_validate(line) for name, line in description["lines"].items()
        }
        if set(self.lines) != set(self.known_targets):
            raise ValueError(f"lines of {sorted(self.lines)}")
        if any(len(line.weights) != len(self.members) for line in self.lines.values()):
            raise ValueError("a weight for each member is needed")

    def _learn_lines(
        self,
        train: Examples,
        validation: Examples | None,
        values: NDArray[np.float32],
        folder: Path,
        training: TrainingSettings | None,
    ) -> dict[str, Line]:
        """Lines from predictions of posts that a fold's members have not learned from."""
        shape = (len(self.members), len(train), len(self.targets))
        predicted = np.full(shape, np.nan)
        for fold, (learned, held_out) in enumerate(_folds(train.posts, self.settings.folds), 1):
            if not np.isfinite(values[learned]).any():
                continue
            for number, member in enumerate(self._build()):
                own = folder / MEMBER_FOLDER / f"fold-{fold}" / str(number)
                member.fit(train.select(learned), validation, folder=own, training=training)
                predicted[number, held_out] = member.predict(train.select(held_out))
        return learn_lines(self.task, predicted, values, self.known_targets)


def learn_lines(
    task: type[Task],
    predicted: NDArray[np.floating[Any]],
    truth: NDArray[np.floating[Any]],
    targets: list[str] | None = None,
) -> dict[str, Line]:
    """Learn the weights of members for each target on its own.

    Parameters
    ----------
    task
        Task whose columns are predicted.
    predicted
        (members, n, targets): predictions of posts that the members have not learned from.
    truth
        (n, targets); NaN where unknown.
    targets
        Columns to give a line; all by default.

    Returns
    -------
    dict
        Lines by target. A value's weights minimise the mean squared error, and a probability's the
        mean log loss, plus :data:`PENALTY` times the sum of the squared weights (times the truth's
        variance for a value), none below 0. Weights are equal if fewer than two posts have a known
        value.
    """
    lines = {}
    for place, name in enumerate(task.columns):
        if targets is not None and name not in targets:
            continue
        known = np.isfinite(truth[:, place]) & np.isfinite(predicted[:, :, place]).all(axis=0)
        members, values = predicted[:, known, place].T.astype(np.float64), truth[known, place]
        if known.sum() < 2:
            count = len(predicted)
            lines[name] = Line(weights=(1 / count,) * count, bias=0.0)
        else:
            learn = _logistic if _is_probability(task, name) else _ridge
            lines[name] = learn(members, values.astype(np.float64))
    return lines


def combined(
    task: type[Task], lines: Mapping[str, Line], predicted: list[pd.DataFrame]
) -> NDArray[np.float64]:
    """Combined predictions of the members, (n, targets); NaN for targets without a line."""
    table = np.full((len(predicted[0]), len(task.columns)), np.nan)
    for place, name in enumerate(task.columns):
        if name not in lines:
            continue
        members = np.column_stack([each[name].to_numpy(np.float64) for each in predicted])
        line = lines[name]
        if _is_probability(task, name):
            table[:, place] = expit(_logits(members) @ np.array(line.weights) + line.bias)
        else:
            sums = members @ np.array(line.weights) + line.bias
            table[:, place] = sums.clip(*task.bounds(name))
    return table


def _ridge(members: Vector, truth: Vector) -> Line:
    """Ridge regression with weights of at least 0, solved exactly."""
    centres, centre = members.mean(axis=0), truth.mean()
    penalty = np.sqrt(PENALTY * len(truth) * truth.var())
    weights, _ = nnls(
        np.vstack([members - centres, penalty * np.eye(members.shape[1])]),
        np.append(truth - centre, np.zeros(members.shape[1])),
    )
    return Line(weights=tuple(weights.tolist()), bias=float(centre - centres @ weights))


def _logistic(members: Vector, truth: Vector) -> Line:
    """Logistic regression on the members' logits with weights of at least 0."""
    columns = _logits(members)
    count = columns.shape[1]

    def loss(line: Vector) -> tuple[float, Vector]:
        weights, bias = line[:-1], line[-1]
        sums = columns @ weights + bias
        # The log loss -y·log σ(s) - (1 - y)·log(1 - σ(s)) and its slope σ(s) - y.
        value = np.logaddexp(0, sums) - truth * sums
        slope = (expit(sums) - truth) / len(truth)
        gradient = np.append(columns.T @ slope + 2 * PENALTY * weights, slope.sum())
        return float(value.mean() + PENALTY * weights @ weights), gradient

    # A target that no post or every post has would send the bias to infinity.
    furthest = float(logit(1 - _LEAST_PROBABILITY))
    bounds = [(0.0, None)] * count + [(-2 * furthest, 2 * furthest)]
    found = minimize(
        loss, np.append(np.full(count, 1 / count), 0.0), jac=True, method="L-BFGS-B", bounds=bounds
    )
    return Line(weights=tuple(found.x[:-1].tolist()), bias=float(found.x[-1]))


def _logits(chances: Vector) -> Vector:
    found: Vector = logit(chances.clip(_LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY))
    return found


def _is_probability(task: type[Task], column: str) -> bool:
    """Whether a column belongs to an outcome of classes, or is true or false."""
    outcomes = [outcome for outcome in task.outcomes if outcome.kind != "value"]
    return any(column in outcome.columns for outcome in outcomes)


def _folds(
    posts: pd.DataFrame, folds: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Rows to learn from and rows held out; an author's posts stay together if there are at least
    as many authors as folds."""
    authors = author_hashes(posts)
    by_author = len(set(authors)) >= folds and "" not in authors
    codes, names = pd.factorize(authors if by_author else posts["post_id"].to_numpy(object))
    number = min(folds, len(names))
    digests = [hashlib.blake2b(str(name).encode("utf-8", "replace")).digest() for name in names]
    order = sorted(range(len(names)), key=digests.__getitem__)
    fold = np.empty(len(names), dtype=np.int64)
    fold[order] = np.arange(len(names)) % number
    for each in range(number if number > 1 else 0):
        held_out = fold[codes] == each
        yield np.flatnonzero(~held_out), np.flatnonzero(held_out)

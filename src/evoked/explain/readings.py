"""What explanations and reports are about: numbers that people read, made from a model's columns.

Values and probabilities of "true" are read as they are. Ordered classes are read as the expected
one, their numbers weighted by their probabilities: it moves with every change of a prediction,
which the most probable class does not.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from evoked.models.base import Examples, Model
from evoked.targets import Outcome, Task
from evoked.targets.base import inverse_transformed_classes

_MOST_HEADLINES = 3
# Names of scales by the unit of their hundredths.
_SCALES = {
    "percentile points": "percentile",
    "percentage points": "per cent",
    "points of standing": "standing",
}


class Reading(NamedTuple):
    """One number that is read from a prediction.

    Attributes
    ----------
    name
        Name of the outcome, of a value's column, or of the outcome and one of its classes.
    unit
        As it stands at an axis.
    span
        How far its values may lie apart; infinite if they have no upper end.
    percent
        Whether people are shown hundredths.
    note
        What the numbers are, if their unit does not say so.
    group
        Group of the outcome, if it has one.
    """

    name: str
    unit: str
    span: float
    percent: bool = False
    note: str = ""
    group: str | None = None

    @property
    def title(self) -> str:
        """The name for people."""
        return self.name.replace("_", " ").capitalize()

    @property
    def scale_name(self) -> str:
        """What shown hundredths are hundredths of; empty for other readings."""
        return _SCALES.get(self.unit, "")

    @property
    def measure(self) -> str:
        """The title, with the scale of shown hundredths: "Likes (percentile)"."""
        return f"{self.title} ({self.scale_name})" if self.scale_name else self.title

    def shown(self, value: float, *, signed: bool = False) -> str:
        """A number as people are shown it, in hundredths where the reading is; changes, which are
        signed, may be smaller than one of them."""
        if signed:
            return f"{value * self.scale:+.{max(self.digits, 1)}f}"
        return f"{value * self.scale:.{self.digits}f}"

    @property
    def own_unit(self) -> str:
        """The unit of the number itself, where hundredths of it are shown."""
        raw = {
            "percentile points": "quantile",
            "percentage points": "probability",
            "points of standing": "standing",
        }
        return raw.get(self.unit, self.unit)

    @property
    def in_words(self) -> str:
        """What people are shown, in words."""
        if self.unit == "percentage points":
            return f"probability of “{self.title.lower()}” in per cent"
        what = self.note or self.unit
        return f"{self.title.lower()} ({what})" if what else self.title.lower()

    @property
    def scale(self) -> float:
        """What a number is multiplied by to be shown."""
        return 100.0 if self.percent else 1.0

    @property
    def digits(self) -> int:
        """Digits after the point of a shown number."""
        return 0 if self.percent else 2


def readings_of(task: type[Task], known: Collection[str] | None = None) -> list[Reading]:
    """What is read from a task's predictions.

    Parameters
    ----------
    task
        Any task.
    known
        Columns that the model predicts; the others are not read. All by default.
    """
    columns = set(task.columns if known is None else known)
    return [
        reading
        for outcome in task.outcomes
        if columns & set(outcome.columns)
        for reading in _of_outcome(outcome)
    ]


def headline_names(readings: Sequence[Reading]) -> list[str]:
    """Names of the readings that there is room to show: three at most, one of each group."""
    groups: set[str] = set()
    found = []
    for each in readings:
        if each.group not in groups:
            found.append(each.name)
        if each.group is not None:
            groups.add(each.group)
    return found[:_MOST_HEADLINES]


def read(task: type[Task], predicted: pd.DataFrame) -> pd.DataFrame:
    """(n, columns) of a model's prediction to (n, readings)."""
    table: dict[str, pd.Series | float] = {}
    for outcome in task.outcomes:
        columns = list(outcome.columns)
        if outcome.kind == "classes":
            restored = inverse_transformed_classes(outcome, predicted[columns].to_numpy(np.float64))
            table |= expected_class(outcome, restored.set_index(predicted.index))
        elif columns:
            table[outcome.target] = predicted[columns[0]].astype(float)
    return pd.DataFrame(table, index=predicted.index)


def expected_class(outcome: Outcome, restored: pd.DataFrame) -> dict[str, pd.Series]:
    """The readings of an outcome of classes by name, from a table of
    :meth:`evoked.targets.Task.inverse_transform`."""
    names = list(outcome.probability_columns)
    shares = restored[names].astype(float)
    if outcome.ordered:
        numbers = np.arange(1, len(names) + 1)
        return {outcome.name: (shares * numbers).sum(axis=1, skipna=False)}
    return {
        f"{outcome.name}_{label}": shares[name]
        for label, name in zip(outcome.labels, names, strict=True)
    }


def read_predictions(task: type[Task], restored: pd.DataFrame) -> pd.DataFrame:
    """(n, readings) of a table of :meth:`evoked.targets.Task.inverse_transform`; NaN where it lacks
    the column, since no training post had what it holds."""
    table: dict[str, pd.Series | float] = {}
    for outcome in task.outcomes:
        if outcome.kind == "classes":
            table |= expected_class(outcome, restored)
        elif outcome.columns:
            (column,) = outcome.probability_columns or (outcome.restored_column or outcome.name,)
            unknown = pd.Series(math.nan, restored.index)
            table[outcome.target] = restored.get(column, unknown).astype(float)
    return pd.DataFrame(table, index=restored.index)


def read_truth(task: Task, posts: pd.DataFrame) -> pd.DataFrame:
    """(n, readings) of what posts really got, ratings by people alone; NaN where unknown."""
    columns = pd.DataFrame(task.transform(posts).values, posts.index, list(task.columns))
    table = read(type(task), columns)
    for outcome in task.outcomes:
        unknown = columns[list(outcome.columns)].isna().any(axis=1)
        table.loc[unknown, [each.name for each in _of_outcome(outcome) if outcome.columns]] = np.nan
    return table


def predict_readings(model: Model, examples: Examples) -> pd.DataFrame:
    """What is read from a model's prediction, (n, readings)."""
    return read(model.task, model.predict(examples))


def _of_outcome(outcome: Outcome) -> list[Reading]:
    name, group = outcome.name, outcome.group
    if outcome.kind == "value":
        return [
            Reading(
                outcome.target, outcome.unit, outcome.span, percent=outcome.percent, group=group
            )
        ]
    if outcome.kind == "binary":
        return [Reading(name, "percentage points", 1.0, percent=True, group=group)]
    if outcome.ordered:
        labels, last = outcome.labels, len(outcome.labels)
        ends = (f"{number} ({label.replace('_', ' ')})" for number, label in enumerate(labels, 1))
        plain = labels == tuple(str(number) for number in range(1, last + 1))
        shown = [str(number) for number in range(1, last + 1)] if plain else list(ends)
        note = f"expected class, {shown[0]} to {shown[-1]}"
        return [Reading(name, "classes", last - 1.0, note=note, group=group)]
    return [
        Reading(f"{name}_{label}", "percentage points", 1.0, percent=True, group=group)
        for label in outcome.labels
    ]

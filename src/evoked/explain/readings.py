"""What explanations and reports tell of: numbers that people read, made of a model's columns.

Values and probabilities of "true" are read as they are. Of ordered classes the expected one is
read, their numbers weighed by their probabilities: it moves with every change of a prediction,
which the most probable class does not.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import pandas as pd

from evoked.models.base import Examples, Model
from evoked.targets import EMOTION_TARGETS, EmotionEngagement, Outcome, Task
from evoked.targets.base import inverse_transformed_classes


class Reading(NamedTuple):
    """One number that is read of a prediction.

    Attributes
    ----------
    name
        Of the outcome, of an engagement target, or of a class.
    unit
        As it stands at an axis.
    span
        How far its values may lie apart; infinite where they have no upper end.
    percent
        Whether people are shown hundredths.
    note
        What the numbers are, where their unit does not tell.
    """

    name: str
    unit: str
    span: float
    percent: bool = False
    note: str = ""

    @property
    def title(self) -> str:
        """The name for people."""
        return self.name.replace("_", " ").capitalize()

    @property
    def own_unit(self) -> str:
        """The unit of the number itself, where hundredths of it are shown."""
        raw = {"percentile points": "quantile", "percentage points": "probability"}
        return raw.get(self.unit, self.unit)

    @property
    def told(self) -> str:
        """What people are shown, in words."""
        if self.percent and self.unit != "percentile points":
            return f"probability of “{self.title.lower()}” in per cent"
        what = self.note or self.unit
        return f"{self.title.lower()} ({what})" if what else self.title.lower()

    @property
    def scale(self) -> float:
        """What a number is multiplied by to be shown."""
        return 100.0 if self.percent else 1.0

    @property
    def digits(self) -> int:
        """Of a shown number, after the point."""
        return 0 if self.percent else 2


def readings_of(task: type[Task], known: Collection[str] | None = None) -> list[Reading]:
    """What is read of a task's predictions.

    Parameters
    ----------
    task
        Any task.
    known
        Columns that the model predicts; the others are not read. All by default.
    """
    if task is EmotionEngagement:
        found = [
            Reading(name, "points", 8.0)
            if name in EMOTION_TARGETS
            else Reading(name, "percentile points", 1.0, percent=True)
            for name in task.columns
        ]
        return [each for each in found if known is None or each.name in known]
    return [
        reading
        for outcome in task.outcomes
        if set(columns_of(task, outcome)) & set(task.columns if known is None else known)
        for reading in _of_outcome(outcome)
    ]


def columns_of(task: type[Task], outcome: Outcome) -> list[str]:
    """The columns that tell an outcome; none where it follows from another one's."""
    if outcome.kind == "classes":
        return [name for name in task.columns if name.startswith(f"{outcome.name}_")]
    return [outcome.name] if outcome.name in task.columns else []


def read(task: type[Task], predicted: pd.DataFrame) -> pd.DataFrame:
    """(n, columns) of a model's prediction to (n, readings)."""
    if task is EmotionEngagement:
        return predicted
    table: dict[str, pd.Series] = {}
    for outcome in task.outcomes:
        columns = columns_of(task, outcome)
        if outcome.kind == "classes":
            restored = inverse_transformed_classes(outcome, predicted[columns].to_numpy(np.float64))
            table |= expected_class(outcome, restored.set_index(predicted.index))
        elif columns:
            table[outcome.name] = predicted[outcome.name].astype(float)
    return pd.DataFrame(table, index=predicted.index)


def expected_class(outcome: Outcome, restored: pd.DataFrame) -> dict[str, pd.Series]:
    """By reading of an outcome of classes, its numbers, from a table of
    :meth:`evoked.targets.Task.inverse_transform`."""
    names = [f"{outcome.name}_probability_{label}" for label in outcome.labels]
    shares = restored[names].astype(float)
    if outcome.ordered:
        numbers = np.arange(1, len(names) + 1)
        return {outcome.name: (shares * numbers).sum(axis=1, skipna=False)}
    return {
        f"{outcome.name}_{label}": shares[name]
        for label, name in zip(outcome.labels, names, strict=True)
    }


def read_predictions(task: type[Task], restored: pd.DataFrame) -> pd.DataFrame:
    """(n, readings) of a table of :meth:`evoked.targets.Task.inverse_transform`; not of emotion and
    engagement."""
    table: dict[str, pd.Series] = {}
    for outcome in task.outcomes:
        if outcome.kind == "classes":
            table |= expected_class(outcome, restored)
        elif columns_of(task, outcome):
            name = outcome.name if outcome.kind == "value" else f"{outcome.name}_probability"
            table[outcome.name] = restored[name].astype(float)
    return pd.DataFrame(table, index=restored.index)


def read_truth(task: type[Task], truth: pd.DataFrame) -> pd.DataFrame:
    """(n, readings) of a table of :meth:`evoked.targets.Task.truth`, NaN where unknown; not of
    emotion and engagement."""
    table = {}
    for outcome in task.outcomes:
        if not columns_of(task, outcome):
            continue
        column = truth[outcome.name]
        if outcome.kind != "classes":
            table[outcome.name] = (
                pd.to_numeric(column).astype("Float64").to_numpy(float, na_value=np.nan)
            )
            continue
        numbers = pd.Categorical(column.astype(object), categories=list(outcome.labels)).codes + 1.0
        if outcome.ordered:
            table[outcome.name] = np.where(numbers > 0, numbers, np.nan)
        for number, label in enumerate(() if outcome.ordered else outcome.labels, start=1):
            table[f"{outcome.name}_{label}"] = np.where(numbers > 0, numbers == number, np.nan)
    return pd.DataFrame(table, index=truth.index)


def predict_readings(model: Model, examples: Examples) -> pd.DataFrame:
    """What is read of a model's prediction, (n, readings)."""
    return read(model.task, model.predict(examples))


def _of_outcome(outcome: Outcome) -> list[Reading]:
    name = outcome.name
    if outcome.kind == "value":
        return [Reading(name, "natural logarithm" if name.startswith("log_") else "", np.inf)]
    if outcome.kind == "binary":
        return [Reading(name, "percentage points", 1.0, percent=True)]
    if outcome.ordered:
        labels, last = outcome.labels, len(outcome.labels)
        ends = (f"{number} ({label.replace('_', ' ')})" for number, label in enumerate(labels, 1))
        plain = labels == tuple(str(number) for number in range(1, last + 1))
        shown = [str(number) for number in range(1, last + 1)] if plain else list(ends)
        note = f"expected class, {shown[0]} to {shown[-1]}"
        return [Reading(name, "classes", last - 1.0, note=note)]
    return [
        Reading(f"{name}_{label}", "percentage points", 1.0, percent=True)
        for label in outcome.labels
    ]

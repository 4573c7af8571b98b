"""What explanations and reports are about: numbers that people read, made from a model's columns.

Values and probabilities of "true" are read as they are. Ordered classes are read as the expected
one, their numbers weighted by their probabilities: it moves with every change of a prediction,
which the most probable class does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.models.base import Examples, Model
from evoked.runs.spoken import base_in_words, base_of, spoken
from evoked.targets import Outcome, Task
from evoked.targets.base import inverse_transformed_classes

# Predicts what is read of variants of posts, (variants, readings), from the variants and the post's
# row of each.
Reader: TypeAlias = Callable[[Examples, NDArray[np.int64]], pd.DataFrame]

_MOST_HEADLINES = 3
# Figures in which people are shown counts and rates: changes that are smaller are none.
_FIGURES = 3
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
    step
        Smallest difference that people are shown of a count or rate; None for other readings.
    """

    name: str
    unit: str
    span: float
    percent: bool = False
    note: str = ""
    group: str | None = None
    step: float | None = None

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
        rounded = self.rounded(value, signed=signed) * self.scale
        digits = max(self.digits, 1) if signed and self.percent else self.digits
        text = (
            spoken(abs(rounded), _FIGURES)
            if abs(rounded) >= 1e6
            else (f"{abs(rounded):,.{digits}f}")
        )
        sign = "-" if rounded < 0 else "+" if signed and rounded > 0 else ""
        return sign + text

    def rounded(self, value: float, *, signed: bool = True) -> float:
        """The number that is left of one where people are shown it; of a small change, 0."""
        step = self.step or 10.0 ** -(max(self.digits, 1) if signed else self.digits) / self.scale
        return round(value / step) * step if math.isfinite(value) else value

    def moves(self, change: float) -> bool:
        """Whether a change is more than nothing as people are shown it."""
        return math.isfinite(change) and self.rounded(change) != 0

    def with_unit(self, change: float) -> str:
        """A change as in a sentence: "+340 likes", "-0.4 valence"."""
        if self.step is not None:
            return f"{self.shown(change, signed=True)} {self.unit}"
        what = f"{self.title.lower()} ({self.scale_name})" if self.percent else self.title.lower()
        return f"{self.shown(change, signed=True)} {what}"

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
        if self.step is not None:
            return max(0, -math.floor(math.log10(self.step)))
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


def plain_reader(model: Model) -> Reader:
    """Reads predictions on the scale of the model's columns."""
    return lambda variants, _: predict_readings(model, variants)


class AmountReader:
    """Reads predictions in what people count: likes, where the post's level or followers are known;
    otherwise likes per so many followers, and the model's own scale where that is unknown too.

    Parameters
    ----------
    model, task
        The model, and its task as fitted on the training posts.
    examples
        n posts as they are: counts of variants of them are at the same level.
    """

    def __init__(self, model: Model, task: Task, examples: Examples) -> None:
        self._model, self._task, self._posts = model, task, examples.posts
        self._counted = [each for each in task.outcomes if each.count and each.columns]
        predicted = model.predict(examples)
        self._readings = readings_of(type(task), model.known_targets)
        restored = task.inverse_transform(predicted, self._posts).reset_index(drop=True)
        self._bases = {each.target: self._bases_of(each, restored) for each in self._counted}
        self.predicted = self._amounts(predicted, np.arange(len(examples)))

    def __call__(self, variants: Examples, rows: NDArray[np.int64]) -> pd.DataFrame:
        return self._amounts(self._model.predict(variants), rows)

    def readings(self, row: int) -> list[Reading]:
        """What is read of one of the posts, with units."""
        return [self._reading(each, row) for each in self._readings]

    def _bases_of(self, outcome: Outcome, restored: pd.DataFrame) -> NDArray[np.float64]:
        """What each post's outcome is read per, (n,): 0 for the count itself, NaN for the model's
        own scale."""
        nothing = pd.Series(math.nan, restored.index)
        counts, rates = (restored.get(name, nothing) for name in (outcome.count, outcome.name))
        by_rate = rates.notna() & (self._task.count_basis is not None)
        bases = [
            base_of(rate) if known else math.nan for rate, known in zip(rates, by_rate, strict=True)
        ]
        return np.where(counts.notna(), 0.0, bases)

    def _amounts(self, predicted: pd.DataFrame, rows: NDArray[np.int64]) -> pd.DataFrame:
        table = read(type(self._task), predicted)
        posts = self._posts.iloc[rows].set_axis(predicted.index)
        restored = self._task.inverse_transform(predicted, posts)
        for outcome in self._counted:
            base = self._bases[outcome.target][rows]
            if outcome.name not in restored:
                continue
            count = restored.get(outcome.count, math.nan)
            rate = restored[outcome.name] * base
            table[outcome.target] = np.select(
                [base == 0, base > 0], [count, rate], table[outcome.target]
            )
        return table

    def _reading(self, reading: Reading, row: int) -> Reading:
        base = self._bases.get(reading.name, np.full(row + 1, math.nan))[row]
        if math.isnan(base):
            return reading
        outcome = next(each for each in self._counted if each.target == reading.name)
        amount = abs(float(self.predicted[reading.name].iloc[row]))
        places = math.floor(math.log10(amount)) - _FIGURES + 1 if amount > 0 else 0
        basis = f" per {base_in_words(int(base), str(self._task.count_basis))}" if base else ""
        return Reading(
            reading.name,
            f"{outcome.count}{basis}",
            # Changes count by what they are of the whole.
            span=max(amount, 10.0**places),
            group=reading.group,
            step=10.0 ** (places if base else max(places, 0)),
        )


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

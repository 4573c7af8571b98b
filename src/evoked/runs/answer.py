"""A prediction as a sentence: how much, from where to where, against the last posts, and how often
such ranges held."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoked.errors import SettingsError, did_you_mean
from evoked.runs.spoken import (
    base_in_words,
    base_of,
    basis_in_words,
    spoken,
    spoken_alike,
    spoken_share,
)
from evoked.runs.track_record import RECENT_POSTS, ErrorRecord, Held, TrackRecord, TypicalError
from evoked.targets import Outcome, Task

if TYPE_CHECKING:
    import pandas as pd

ANSWER_COLUMNS = ("answer", "coverage_measured", "coverage_n")
# How many of an author's last posts a prediction is held against.
LAST_POSTS = 10

# Counts of the last posts of each of n posts' authors, (n, LAST_POSTS), NaN where there are fewer,
# by kind of count.
RecentCounts = Mapping[str, NDArray[np.float64]]


class Quantity(NamedTuple):
    """A number that people are given.

    Attributes
    ----------
    column
        Column of :meth:`evoked.targets.Task.inverse_transform`.
    noun
        What it is a number of.
    basis
        What a rate is per, such as ``followers``; None for numbers that are not rates.
    counts
        Whether it is a count or a rate of one.
    """

    column: str
    noun: str
    basis: str | None = None
    counts: bool = True


def quantities(task: Task) -> list[Quantity]:
    """Numbers that a task predicts: counts first, then rates, then the others, those in units of
    their own (points, logarithms) last."""
    values = [outcome for outcome in task.outcomes if outcome.kind == "value"]
    counted = [outcome for outcome in values if outcome.count]
    counts = [Quantity(outcome.count, basis_in_words(outcome.count)) for outcome in counted]
    basis = task.count_basis
    rates = [Quantity(outcome.name, outcome.count, basis) for outcome in counted if basis]
    others = sorted((each for each in values if not each.count), key=lambda each: bool(each.unit))
    plain = [Quantity(each.name, each.name.replace("_", " "), counts=False) for each in others]
    return counts + rates + plain


def not_predicted(what: str, asked: str, known: Collection[str]) -> SettingsError:
    """The error for a ``count`` or a ``number`` that a run was asked for and does not predict."""
    return SettingsError(
        f"this run predicts no {what} {asked!r}.{did_you_mean(asked, known)} "
        f"There are: {', '.join(known) or 'none'}."
    )


def columns_to_widen(task: Task, record: ErrorRecord, coverage: float) -> set[str]:
    """Columns of numbers whose ranges held for fewer test posts than promised, by more than
    chance."""
    found = set()
    for outcome in task.outcomes:
        if outcome.kind == "value":
            measured = (record.held(name, coverage) for name in (outcome.name, outcome.count))
            if any(held is not None and not held.kept for held in measured):
                found |= set(outcome.columns)
    return found


def add_answers(
    task: Task,
    table: pd.DataFrame,
    record: TrackRecord,
    coverage: float,
    recent: RecentCounts,
    *,
    unbounded: Collection[str] = (),
    whose: str = "the author's",
    about: Quantity | None = None,
) -> pd.DataFrame:
    """Add to predictions what they say in a sentence.

    Parameters
    ----------
    task
        Fitted on the training posts.
    table
        n rows of :meth:`evoked.evaluation.conformal.Intervals.table`.
    record
        What the run's test posts showed.
    coverage
        How often the intervals are to hold the truth.
    recent
        See :data:`RecentCounts`; empty where nothing is known.
    unbounded
        Columns whose intervals are the whole range, which is no answer.
    whose
        Whose last posts those are.
    about
        What the sentence is to be about, be it as a count or as a rate; the first number that is
        known of a post by default.

    Returns
    -------
    DataFrame
        The table with ``answer`` (None where nothing is predicted), ``coverage_measured`` (how
        often such ranges held on the test posts, between 0 and 1) and ``coverage_n`` (the number of
        these posts); NaN where none was measured.
    """
    import pandas as pd

    values = table.to_numpy(object).tolist()
    rows = answers_of(
        task,
        [dict(zip(table, each, strict=True)) for each in values],
        record,
        coverage,
        recent,
        unbounded=unbounded,
        whose=whose,
        about=about,
    )
    added = pd.DataFrame(rows, columns=list(ANSWER_COLUMNS), index=table.index)
    return pd.concat([table, added], axis=1)


def answers_of(
    task: Task,
    rows: Sequence[Mapping[Any, Any]],
    record: ErrorRecord,
    coverage: float,
    recent: RecentCounts,
    *,
    unbounded: Collection[str] = (),
    whose: str = "the author's",
    about: Quantity | None = None,
) -> list[tuple[str | None, float, float]]:
    """The values of :data:`ANSWER_COLUMNS` for each of n predictions, which are rows of the table
    of :func:`add_answers` by the names of its columns; the other parameters are those of that
    function."""
    answers = _Answers(task, record, coverage, recent, unbounded, whose, about)
    return [answers.of(row, position) for position, row in enumerate(rows)]


def verdicts(task: Task, record: TrackRecord, coverage: float) -> list[str]:
    """How good a run is, a sentence for each kind of count, or for the first number of a task
    without counts: the typical error on the test posts beside the last posts' or the best other
    trivial baseline's, and how often ranges held. Empty where no test post has a known number."""
    found: dict[str, str] = {}
    for quantity in quantities(task):
        if quantity.noun not in found and (quantity.counts or not found):
            sentence = _verdict(quantity, record, coverage)
            if sentence:
                found[quantity.noun] = sentence
    return list(found.values())


def _verdict(quantity: Quantity, record: TrackRecord, coverage: float) -> str:
    error = record.error(quantity.column)
    if error is None:
        return ""
    noun, per = quantity.noun, ""
    base = base_of(error.size) if quantity.basis and error.share is None else 1
    if quantity.basis:
        per = f" per {base_in_words(base, quantity.basis).removeprefix('1 ')}"
    parts = [f"{noun.capitalize()}{per}: typically off by {_off(error, quantity, base)}"]
    if error.share is not None and quantity.counts and not quantity.basis:
        parts.append(f", or {spoken(error.size)} {noun}")
    parts.append(f" (median over {error.posts} test posts)")
    baseline = record.baseline_error(quantity.column)
    if baseline is not None:
        name = _baseline_in_words(baseline[0], quantity)
        parts.append(f"; {name} is off by {_off(baseline[1], quantity, base)}")
    held = record.held(quantity.column, coverage)
    ranges = "" if held is None else f" {_measured(held)[:1].upper()}{_measured(held)[1:]}."
    return f"{''.join(parts)}.{ranges}"


def _off(error: TypicalError, quantity: Quantity, base: int = 1) -> str:
    """An error in per cent, or in what is counted: "15%", "3 comments"; of a rate per ``base`` of
    what it is per."""
    if error.share is not None and quantity.counts:
        return spoken_share(error.share)
    if quantity.counts and not quantity.basis:
        return f"{spoken(error.size)} {quantity.noun}"
    return spoken(error.size * base, whole=False)


def _baseline_in_words(name: str, quantity: Quantity) -> str:
    if name == RECENT_POSTS:
        return "the median of the last posts"
    if quantity.counts:
        return f"what posts usually get ({name})"
    return f"the best trivial baseline ({name})"


def _measured(held: Held) -> str:
    """How often ranges held, the promise taken back where that is less by more than chance."""
    share = spoken_share(held.promised)
    if held.kept:
        return f"ranges of {share} held for {held.held} of {held.posts} test posts"
    return (
        f"ranges that were to hold for {share} held for only {held.held} of {held.posts} test posts"
    )


class _Answers:
    """Makes the answer to each row of a table; what is the same for all is looked up once."""

    def __init__(
        self,
        task: Task,
        record: ErrorRecord,
        coverage: float,
        recent: RecentCounts,
        unbounded: Collection[str],
        whose: str,
        about: Quantity | None,
    ) -> None:
        self.quantities = quantities(task)
        self.labelled = [each for each in task.outcomes if each.kind != "value"]
        if about is not None:
            self.quantities = [each for each in self.quantities if each.noun == about.noun]
            self.labelled = []
        self.recent, self.whose, self.coverage = recent, whose, coverage
        self.unbounded = unbounded
        names = [*(each.column for each in self.quantities), *(each.name for each in self.labelled)]
        self.held = {name: record.held(name, coverage) for name in names}
        self.errors = {each.column: record.error(each.column) for each in self.quantities}

    def of(self, row: Mapping[Any, Any], position: int) -> tuple[str | None, float, float]:
        """The values of :data:`ANSWER_COLUMNS` for one row of predictions."""
        for quantity in self.quantities:
            if _is_known(row.get(quantity.column)):
                return self._with_coverage(quantity.column, self._amount(row, quantity, position))
        for outcome in self.labelled:
            if _is_known(row.get(outcome.name)):
                return self._with_coverage(outcome.name, self._label(row, outcome))
        return None, math.nan, math.nan

    def _with_coverage(self, column: str, answer: str) -> tuple[str, float, float]:
        held = self.held[column]
        if held is None or not self._is_asked(held):
            return answer, math.nan, math.nan
        return answer, held.held / held.posts, held.posts

    def _is_asked(self, held: Held) -> bool:
        """Whether these are intervals that promise what was asked for, not others."""
        return abs(held.promised - self.coverage) < 1e-9

    def _amount(self, row: Mapping[Any, Any], quantity: Quantity, position: int) -> str:
        value = float(row[quantity.column])
        low, high = (
            float(row.get(f"{quantity.column}_{end}", math.nan)) for end in ("low", "high")
        )
        base = base_of(value) if quantity.basis else 1
        bounded = math.isfinite(high - low) and quantity.column not in self.unbounded
        numbers = [value, low, high] if bounded else [value]
        whole = quantity.counts and not quantity.basis
        about, *ends = spoken_alike([number * base for number in numbers], whole=whole)
        what = quantity.noun
        if quantity.basis:
            what = f"{what} per {base_in_words(base, quantity.basis)}"
        text = f"About {about} {what}" if quantity.counts else f"{what.capitalize()} about {about}"
        if ends:
            text += f" ({ends[0]} to {ends[1]})"
        if quantity.column in self.recent:
            text += self._against_last(value, self.recent[quantity.column][position])
        held = self.held[quantity.column] if ends else None
        parts = [text, self._how_sure(held) if ends else "too few posts for a range"]
        error = self.errors[quantity.column]
        if error is not None:
            parts.append(f"typically off by {_off(error, quantity, base)}")
        return "; ".join(parts) + "."

    def _against_last(self, value: float, counts: NDArray[np.float64]) -> str:
        known = counts[np.isfinite(counts)]
        if not len(known):
            return ""
        better = int((value > known).sum())
        if len(known) == 1:
            return f", {'' if better else 'not '}better than {self.whose} last post"
        number = {0: "none", len(known): "all"}.get(better, str(better))
        return f", better than {number} of {self.whose} last {len(known)} posts"

    def _how_sure(self, held: Held | None) -> str:
        if held is None:
            return "how often such ranges hold was not measured"
        if held.kept and self._is_asked(held):
            return f"ranges like this held for {held.held} of {held.posts} test posts"
        if held.kept:
            return _measured(held)
        return f"{_measured(held)}, so this one is wider"

    def _label(self, row: Mapping[Any, Any], outcome: Outcome) -> str:
        """The most probable class, the others of its set, and how often such sets held."""
        held = self.held[outcome.name]
        if outcome.kind == "binary":
            chance = float(row[outcome.probability_columns[0]])
            name = outcome.name.replace("_", " ")
            text = f"{name.capitalize()} with a probability of {spoken_share(chance)}"
        else:
            label = str(row[outcome.name])
            chance = float(row[f"{outcome.name}_probability_{label}"])
            others = [
                each for each in row.get(f"{outcome.name}_set", label).split("|") if each != label
            ]
            text = f"Most probably {label.replace('_', ' ')} ({spoken_share(chance)})"
            if others:
                text += f", otherwise {' or '.join(others).replace('_', ' ')}"
        if held is None:
            return f"{text}."
        only = "" if held.kept else "only "
        return f"{text}; such sets held the truth of {only}{held.held} of {held.posts} test posts."


def _is_known(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))

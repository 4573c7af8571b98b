"""When to post: what hours and weekdays add, and how sure that is, in words."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from evoked.advice.power import POWER, posts_needed
from evoked.analysis.week import Week, with_time_of_day
from evoked.analysis.week_words import about_hours, about_weekdays, clock
from evoked.errors import DataError, SettingsError
from evoked.features.metadata import local_times
from evoked.files import plain, records
from evoked.posts.author_hashes import AUTHOR_HASH, hashes
from evoked.posts.drafts import Draft
from evoked.runs.answer import Quantity, not_predicted, quantities
from evoked.runs.base import Callbacks
from evoked.runs.description import read_description
from evoked.runs.past import EXPECTED, read_past
from evoked.runs.posts import Run
from evoked.runs.spoken import WEEKDAYS, basis_in_words, spoken

# Differences for which the size of a test is shown.
_DIFFERENCES = (0.2, 0.4)
# What the hour alone may add to a draft lies within its range in nine of ten cases.
_RANGE = (0.05, 0.95)


class DraftHours(NamedTuple):
    """What a draft gets at its time, and at the best hour of that day.

    Attributes
    ----------
    weekday, hour
        Of the draft, 0 is Monday, [0, 24).
    predicted, low, high
        Count predicted at that time, with its interval (NaN where there is none).
    best_hour
        The most promising hour, from 0 to 23.
    at_best, at_best_low, at_best_high
        The count at that hour of the same day, and its 90 % range by what the hour alone may add.
    """

    weekday: int
    hour: float
    predicted: float
    low: float
    high: float
    best_hour: int
    at_best: float
    at_best_low: float
    at_best_high: float


@dataclass(frozen=True)
class Hours:
    """What hours and weekdays add; made by :func:`when`.

    Attributes
    ----------
    by
        What is counted, such as ``likes``.
    week
        Gains and chances of hours and weekdays, and which is reliably best.
    undated
        Posts that were left out since their time of day is unknown.
    known_posts
        Posts of the run with a known count.
    time_zone
        Whose clocks count; None for those of the posts, or UTC.
    draft
        Of the draft that was given, if one was.
    table
        What is predicted of that draft, a row as :meth:`evoked.runs.posts.Run.predict` has it.
    """

    by: str
    week: Week
    undated: int
    known_posts: int
    time_zone: str | None
    draft: DraftHours | None = None
    table: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def noun(self) -> str:
        """What is counted, in words."""
        return basis_in_words(self.by)

    @property
    def test_sizes(self) -> dict[float, int | None]:
        """By a difference (0.2 is a fifth more), the posts that a test needs at each of two hours
        to find it in four of five tests; None if that is more than anybody posts. Empty where the
        spread of posts is unknown."""
        spread = self.week.spread
        if not np.isfinite(spread) or spread <= 0:
            return {}
        return {size: posts_needed(float(np.log1p(size)), spread) for size in _DIFFERENCES}

    @property
    def said(self) -> dict[str, dict[str, Any]]:
        """What is said of the draft, by its post_id, as a ledger keeps it: see
        :func:`evoked.advice.ledger.keep`."""
        actions = []
        best, draft = self.week.best_hour, self.draft
        if best is not None and draft is not None and draft.best_hour != int(draft.hour):
            ends = (draft.at_best, draft.at_best_low, draft.at_best_high)
            effect = [float(np.log(each / draft.predicted)) for each in ends if draft.predicted > 0]
            actions.append({"action": "hour", "facts": {"hour": best + 0.5}, "effect": effect})
        return {name: {"by": self.by, "actions": actions} for name in self.table["post_id"]}

    @property
    def sentences(self) -> list[str]:
        """What to do, and how sure that is, in words."""
        return [
            *about_hours(self.week, self.noun),
            *about_weekdays(self.week, self.noun),
            *([] if self.draft is None else [self._about_draft(self.draft)]),
            self._test(),
            self._evidence(),
            self._clocks(),
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        week, sizes = self.week, self.test_sizes.items()
        return {
            "by": self.by,
            "of_author": self.week.author is not None,
            "time_zone": self.time_zone,
            "best_hour": week.best_hour,
            "best_weekday": week.best_weekday,
            "worst_hour": week.worst_hour,
            "worst_weekday": week.worst_weekday,
            "hours_differ": week.hours_differ,
            "weekdays_differ": week.weekdays_differ,
            "to_try": list(week.to_try),
            "test": [{"gain": gain, "posts_at_each": posts} for gain, posts in sizes],
            "posts": week.posts,
            "own_posts": week.own_posts,
            "authors": week.authors,
            "adjusted": week.adjusted,
            "known_posts": self.known_posts,
            "without_time": self.undated,
            "spread": plain(week.spread),
            "level": plain(week.level),
            "draft": None if self.draft is None else plain(self.draft._asdict()),
            "hours": plain(records(week.hours)),
            "weekdays": plain(records(week.weekdays)),
            "slots": plain(records(week.slots)),
            "sentences": self.sentences,
        }

    def _about_draft(self, draft: DraftHours) -> str:
        ends = ""
        if np.isfinite(draft.high - draft.low):
            ends = f" ({spoken(draft.low)} to {spoken(draft.high)})"
        text = (
            f"The draft gets about {spoken(draft.predicted)} {self.noun}{ends} at its time, "
            f"{WEEKDAYS[draft.weekday]} {clock(draft.hour)}"
        )
        if self.week.best_hour is None:
            return f"{text}; no other hour promises reliably more."
        if draft.best_hour == int(draft.hour):
            return f"{text}, which is the best hour."
        ends = f"{spoken(draft.at_best_low)} to {spoken(draft.at_best_high)}"
        return (
            f"{text}; at {clock(draft.best_hour)} about {spoken(draft.at_best)} "
            f"({ends} by what the hour alone may change)."
        )

    def _test(self) -> str:
        one, other = (clock(hour) for hour in self.week.to_try)
        text = f"To know more, toss a coin for each post between {one} and {other}"
        sizes = [
            f"{spoken(posts)} posts at each for a difference of {gain:.0%}"
            for gain, posts in self.test_sizes.items()
            if posts is not None
        ]
        if not sizes:
            return f"{text}: 'evoked plan' draws a schedule."
        return (
            f"{text}, as 'evoked plan' does. It takes about {' and '.join(sizes)} to find it in "
            f"{5 * POWER:.0f} of 5 tests."
        )

    def _evidence(self) -> str:
        week = self.week
        few = f" of {self.known_posts:,}" if week.posts < self.known_posts else ""
        text = f"Learned from {week.posts:,}{few} posts with known {self.noun}"
        if week.authors > 1:
            text += f" by {week.authors:,} authors"
            if week.author is not None:
                text += f", {week.own_posts:,} of them the author's"
        taken = ["for their author's level at that time"] if week.dated else []
        if week.adjusted:
            of = "" if week.adjusted == week.posts else f" ({week.adjusted:,} of them)"
            taken.append(f"for what their content promised{of}")
        if taken:
            text += f", allowing {' and '.join(taken)}"
        alone = self.known_posts - self.undated - week.posts
        left = [f"for want of a time of day: {self.undated:,}"] * bool(self.undated)
        left += [f"as their author's only ones: {alone:,}"] * bool(alone)
        if left:
            text += f". Left out {', and '.join(left)}"
        return f"{text}. That posts did better at an hour does not prove that the hour was why."

    def _clocks(self) -> str:
        zone = f"Hours are those of {self.time_zone}."
        if self.time_zone is None:
            zone = (
                "Hours are as the posts' source gives them, or else in UTC: import the posts with "
                "--time-zone for local ones."
            )
        return f"{zone} In which time zones the audience lives is not known."


def when(
    run: Run | Path | str,
    draft: Draft | None = None,
    *,
    by: str | None = None,
    author: str | None = None,
    seed: int = 0,
    callbacks: Callbacks | None = None,
) -> Hours:
    """Say when to post.

    Parameters
    ----------
    run
        A run of posts; its folder is enough unless a draft is given.
    draft
        A post that is not published yet: what it gets at its time, and at the best hour.
    by
        The count that is asked for, such as ``likes``; by default the first that the run predicts.
    author
        Whose hours. By default the draft's author, or the only one; of several, what is common to
        all.
    seed
        What chances are drawn with.
    callbacks
        Callbacks that report how the draft is predicted.

    Returns
    -------
    Hours
        What each hour and weekday adds, and how sure that is.

    Raises
    ------
    SettingsError
        The run predicts no such count or knows no post by the author, or a draft is given with a
        folder in place of a run.
    DataError
        The folder holds no run that keeps when its posts appeared, or these have no time of day.

    Examples
    --------
    >>> evoked.when("my_run").sentences  # doctest: +SKIP
    """
    folder = run.folder if isinstance(run, Run) else Path(run)
    time_zone = read_description(folder)["data"].get("time_zone")
    table, kinds = read_past(folder)
    if not kinds:
        raise SettingsError("this run predicts no counts, and only these are compared by hour.")
    if by is not None and by not in kinds:
        raise not_predicted("count", by, kinds)
    chosen = by or kinds[0]
    counted = table[table[chosen].notna()]
    timed = with_time_of_day(counted)
    if timed.empty:
        known = counted["hour"].notna().any()
        what = "dates without a time of day" if known else "neither a date nor an hour"
        raise DataError(
            f"the {len(counted):,} posts of this run have {what}, so that hours can't be compared.",
            file=folder,
            fix="Import posts with the time at which each appeared, such as 2024-05-13 18:30, and "
            "train again.",
        )
    posts = None
    if draft is not None:
        if not isinstance(run, Run):
            raise SettingsError("a draft needs a loaded run in place of its folder.")
        posts = run.draft_posts([draft])[0]
    whose = _author(timed, author, posts)
    week = Week.of(timed, chosen, whose, seed)
    found = Hours(chosen, week, len(counted) - len(timed), len(counted), time_zone)
    if draft is None or posts is None:
        return found
    assert isinstance(run, Run)
    table = run.predict([draft], callbacks)
    quantity = next(each for each in quantities(run.task) if each.column == chosen)
    return replace(found, draft=_draft_hours(week, posts, table.iloc[0], quantity), table=table)


def known_week(past: pd.DataFrame, by: str, author: str, seed: int = 0) -> Week | None:
    """What past posts show of hours, as :func:`when` has it for an author.

    Parameters
    ----------
    past
        The table of :func:`evoked.runs.past.read_past`.
    by
        The count that is compared.
    author
        Hash of the author; what is common to all counts for one without posts.
    seed
        What chances are drawn with.

    Returns
    -------
    Week or None
        None where no time of day is known, or nothing was expected of such counts.
    """
    if by + EXPECTED not in past:
        return None
    timed = with_time_of_day(past[past[by].notna()])
    whose = author if author in set(timed["author"]) else None
    return Week.of(timed, by, whose, seed) if len(timed) else None


def _author(table: pd.DataFrame, author: str | None, draft: pd.DataFrame | None) -> str | None:
    """The hash of the author whose hours are asked for; None for what is common to all."""
    known = set(table["author"])
    if author is not None:
        found = str(hashes(pd.Series([author]))[0])
        if found not in known:
            raise SettingsError(
                f"no post of known time is by the author {author!r}. Leave --author out for what "
                f"is common to all {len(known)} authors."
            )
        return found
    own = "" if draft is None else str(draft[AUTHOR_HASH].iloc[0])
    return own if own in known else None


def _draft_hours(
    week: Week, posts: pd.DataFrame, row: pd.Series, quantity: Quantity
) -> DraftHours | None:
    """What a draft gets at its time and at the most promising hour; None where its count is not
    predicted."""
    name = quantity.column
    value = float(row.get(name, np.nan))
    if not np.isfinite(value):
        return None
    (hour,), (weekday,) = local_times(posts)
    best = week.to_try[0]
    now, then = week.effects([hour, best + 0.5], [weekday, weekday]).T
    low, high = value * np.exp(np.quantile(then - now, _RANGE))
    return DraftHours(
        int(weekday),
        float(hour),
        value,
        float(row.get(f"{name}_low", np.nan)),
        float(row.get(f"{name}_high", np.nan)),
        best,
        value * float(np.exp((then - now).mean())),
        float(low),
        float(high),
    )

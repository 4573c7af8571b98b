"""Plans that test a question: which of two arms each post of the next weeks gets, drawn by lot.

Each week gets both arms equally often, in random order (permuted blocks; Fisher 1935): whatever
differs between weeks, such as the level of the account, is common to both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evoked.advice.calendar_file import Event, write_calendar
from evoked.advice.hours import Hours, when
from evoked.advice.power import POWER, posts_needed, smallest_difference
from evoked.analysis.week_words import clock
from evoked.errors import DataError, SettingsError, did_you_mean
from evoked.files import plain, read_object, records, write_json
from evoked.posts.time_zones import zone_of
from evoked.runs.folder import SCHEDULE_FILE
from evoked.runs.posts import Run
from evoked.runs.spoken import basis_in_words, spoken

QUESTIONS = {
    "question": ("a question in the caption", "no question in the caption"),
    "hashtags": ("your usual hashtags", "no hashtags"),
    "format": ("several pictures", "one picture"),
}
"""Arms of questions by name; those of ``hours`` follow from the posts."""
HOURS_QUESTION, OWN_QUESTION = "hours", "own"

_FORMAT_VERSION = 1
_MOST_WEEKS, _MOST_CHARACTERS = 104, 100
# Two posts on one day take from each other.
_MOST_PER_WEEK = 7
_DIFFERENCES = (0.2, 0.4)
# Counts of younger posts still grow.
DAYS_TO_WAIT = timedelta(days=7)
"""How old the last post is to be when a plan is checked."""


class _Post(BaseModel):
    model_config = ConfigDict(strict=True)

    at: str
    arm: int = Field(ge=0, le=1)


class _State(BaseModel):
    """What a plan's file holds."""

    model_config = ConfigDict(strict=True)

    format_version: int
    question: str
    arms: list[str] = Field(min_length=2, max_length=2)
    by: str
    author: str
    time_zone: str | None
    seed: int
    spread: float | None
    made: str
    posts: list[_Post] = Field(min_length=1, max_length=_MOST_WEEKS * _MOST_PER_WEEK)


@dataclass(frozen=True)
class Plan:
    """A schedule that tests a question; made by :func:`plan`.

    Attributes
    ----------
    question
        What is tested: a name of :data:`QUESTIONS`, ``hours`` or ``own``.
    arms
        The two arms, in words.
    by
        The count that is compared at the end, such as ``likes``.
    author
        Hash of the author; '' if it is unknown or does not matter.
    time_zone
        Whose clocks count; None for those of the posts' source, whichever these are.
    seed
        What the arms were drawn with.
    spread
        Standard deviation of log(1 + count) of single posts of one level; NaN where unknown.
    made
        When it was drawn.
    moments
        When each post is to appear, in UTC.
    drawn
        The arm of each, 0 or 1.
    """

    question: str
    arms: tuple[str, str]
    by: str
    author: str
    time_zone: str | None
    seed: int
    spread: float
    made: datetime = field(compare=False)
    moments: tuple[datetime, ...]
    drawn: tuple[int, ...]

    @property
    def local(self) -> list[datetime]:
        """The moments by local clocks."""
        zone = zone_of(self.time_zone)
        return [moment.astimezone(zone) for moment in self.moments]

    @property
    def weeks(self) -> list[int]:
        """The week of each post, from 1."""
        first = self.local[0].date()
        return [1 + (each.date() - first).days // 7 for each in self.local]

    @property
    def table(self) -> pd.DataFrame:
        """A row per post: post (from 1), week, date, weekday and time by local clocks, arm."""
        local = self.local
        return pd.DataFrame(
            {
                "post": np.arange(1, len(local) + 1),
                "week": self.weeks,
                "date": [each.strftime("%Y-%m-%d") for each in local],
                "weekday": [each.strftime("%a") for each in local],
                "time": [each.strftime("%H:%M") for each in local],
                "arm": [self.arms[arm] for arm in self.drawn],
            }
        )

    @property
    def checked_from(self) -> date:
        """The first day on which the last post is old enough to be compared, by local clocks."""
        return (max(self.local) + DAYS_TO_WAIT).date()

    @property
    def sentences(self) -> list[str]:
        """What to do, what it can show, and what to look at at the end, in words."""
        noun, (one, other) = basis_in_words(self.by), self.arms
        zone = f"those of {self.time_zone}" if self.time_zone else "as the posts' source gives them"
        return [
            f"{len(self.drawn)} posts, {self.drawn.count(0)} with “{one}” and "
            f"{self.drawn.count(1)} with “{other}”, drawn by lot; times are {zone}. Keep to what "
            "was drawn even where it does not suit you, and change nothing else on purpose.",
            *self._unknown_clocks(),
            *self._power(noun),
            f"From {self.checked_from} on, when the last post is a week old, import the posts "
            f"again: 'evoked plan RUN --check POSTS' compares the {noun} of both, week by week.",
        ]

    def _unknown_clocks(self) -> list[str]:
        if self.time_zone is not None:
            return []
        return [
            "The time zone of these hours is not known (sources that say none mostly mean UTC), so "
            "a calendar shows them by its own clock. Import the posts with --time-zone and train "
            "again to plan in local time."
        ]

    def _power(self, noun: str) -> list[str]:
        each = min(self.drawn.count(0), self.drawn.count(1))
        if each < 2 or not np.isfinite(self.spread) or self.spread <= 0:
            return [f"How large a difference in {noun} this can show is not known."]
        shown = float(np.expm1(smallest_difference(self.spread, each)))
        per_week = len(self.drawn) / max(self.weeks)
        parts = []
        for gain in _DIFFERENCES:
            posts = posts_needed(float(np.log1p(gain)), self.spread)
            if posts is not None:
                weeks = int(np.ceil(2 * posts / per_week))
                parts.append(f"{gain:.0%} needs {spoken(2 * posts)} posts ({spoken(weeks)} weeks)")
        text = (
            f"In {5 * POWER:.0f} of 5 such tests this finds a difference of {shown:.0%} or more in "
            f"{noun}; smaller ones are found less often. At this pace {', '.join(parts)}."
        )
        if shown > max(_DIFFERENCES):
            text = f"So few posts show only a very large difference: plan more weeks. {text}"
        return [text]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "question": self.question,
            "arms": list(self.arms),
            "by": self.by,
            "time_zone": self.time_zone,
            "seed": self.seed,
            "spread": plain(self.spread),
            "posts": [
                {**row, "at": moment.isoformat()}
                for row, moment in zip(plain(records(self.table)), self.moments, strict=True)
            ],
            "sentences": self.sentences,
        }

    def write_calendar(self, path: Path) -> None:
        """Write the plan as a calendar file, .ics: an entry per post, which names its arm."""
        identity = hashlib.sha256(json.dumps(self._state()["posts"]).encode())
        identity.update("\0".join([*self.arms, self.author]).encode())
        name = identity.hexdigest()[:16]
        one, other = self.arms
        # Hours of no known time zone are the same by every clock.
        moments = [
            moment.replace(tzinfo=None) if self.time_zone is None else moment
            for moment in self.local
        ]
        events = [
            Event(
                f"{name}-{number}@evoked",
                moment,
                f"Post: {self.arms[arm]}",
                f"Post {number} of {len(self.drawn)} of a test: {one} or {other}.\n"
                "Drawn by lot: keep to it, and change nothing else on purpose.",
            )
            for number, (moment, arm) in enumerate(zip(moments, self.drawn, strict=True), start=1)
        ]
        write_calendar(path, events, self.made)

    def save(self, run: Path | str, replace: bool = False) -> None:
        """Keep the plan in a run's folder, so that it can be checked when the posts have appeared.

        Parameters
        ----------
        run
            The run's folder.
        replace
            Put it in the place of a plan that is kept there.

        Raises
        ------
        SettingsError
            Another plan is kept there, and ``replace`` is not set.
        """
        path = Path(run) / SCHEDULE_FILE
        if path.is_file() and not replace:
            kept = Plan.load(run)
            if kept == self:
                return
            raise SettingsError(
                f"{run} keeps another plan, {_in_words(kept)}. Check it (--check POSTS) before you "
                "draw a new one in its place (--replace)."
            )
        write_json(path, self._state())

    @classmethod
    def load(cls, run: Path | str) -> Self:
        """The plan that a run's folder keeps.

        Raises
        ------
        DataError
            There is none, or it is damaged.
        """
        path = Path(run) / SCHEDULE_FILE
        if not path.is_file():
            raise DataError("no plan is kept in it.", file=run, fix="Draw one: 'evoked plan RUN'.")
        try:
            state = _State.model_validate(read_object(path))
            moments = tuple(datetime.fromisoformat(post.at) for post in state.posts)
            made = datetime.fromisoformat(state.made)
            aware = all(each.tzinfo is not None for each in (made, *moments))
            if state.format_version != _FORMAT_VERSION or not aware:
                raise ValueError("written by another version")
        except (ValidationError, ValueError, OverflowError) as error:
            raise DataError(
                "not a plan as evoked writes it.", file=path, fix="Draw another, with --replace."
            ) from error
        zone_of(state.time_zone)
        return cls(
            question=state.question,
            arms=(state.arms[0], state.arms[1]),
            by=state.by,
            author=state.author,
            time_zone=state.time_zone,
            seed=state.seed,
            spread=float("nan") if state.spread is None else state.spread,
            made=made,
            moments=moments,
            drawn=tuple(post.arm for post in state.posts),
        )

    def _state(self) -> dict[str, Any]:
        return {
            "format_version": _FORMAT_VERSION,
            "question": self.question,
            "arms": list(self.arms),
            "by": self.by,
            "author": self.author,
            "time_zone": self.time_zone,
            "seed": self.seed,
            "spread": plain(self.spread),
            "made": self.made.isoformat(),
            "posts": [
                {"at": moment.isoformat(), "arm": arm}
                for moment, arm in zip(self.moments, self.drawn, strict=True)
            ],
        }


def plan(
    run: Run | Path | str,
    question: str | None = None,
    *,
    arms: Sequence[str] | None = None,
    weeks: int = 6,
    per_week: int = 4,
    start: date | None = None,
    by: str | None = None,
    author: str | None = None,
    seed: int = 0,
) -> Plan:
    """Draw a schedule of posts that tests a question.

    Parameters
    ----------
    run
        A run of posts, or its folder.
    question
        ``hours`` (two hours that :func:`evoked.when` would try), ``question`` (one in the caption
        or none), ``hashtags`` (the usual ones or none) or ``format`` (several pictures or one);
        ``hours`` by default.
    arms
        Two arms of your own in place of a question.
    weeks
        How many weeks, 1 to 104.
    per_week
        Posts in each week, 1 to 7, a day each.
    start
        First day of the first week, by local clocks; by default next Monday.
    by
        The count that is compared; by default the first that the run predicts.
    author
        Whose plan; needed where the run has several authors.
    seed
        What the arms are drawn with: the same arguments give the same plan.

    Returns
    -------
    Plan
        The schedule, which :meth:`Plan.save` keeps.

    Raises
    ------
    SettingsError, DataError
        An argument out of its range, an unknown question or author, or as of :func:`evoked.when`.

    Examples
    --------
    >>> plan = evoked.plan("my_run", "question", weeks=8)  # doctest: +SKIP
    >>> plan.save("my_run")                                # doctest: +SKIP
    """
    question, own = _question(question, arms)
    for name, value, most in (
        ("weeks", weeks, _MOST_WEEKS),
        ("per_week", per_week, _MOST_PER_WEEK),
    ):
        if not 1 <= value <= most:
            raise SettingsError(f"{name}: 1 to {most}, not {value}.")
    if seed < 0:
        raise SettingsError(f"a seed is a whole number from 0, not {seed}.")
    found = when(run, by=by, author=author)
    if found.week.author is None:
        raise SettingsError(
            f"this run knows {found.week.authors} authors. Say whose plan it is: --author ID."
        )
    hours = _hours_of_day(question, found)
    drawn = _arms_by_lot(weeks, per_week, seed)
    first = start or _next_monday(datetime.now(zone_of(found.time_zone)).date())
    days = [7 * week + (7 * post) // per_week for week in range(weeks) for post in range(per_week)]
    zone = zone_of(found.time_zone)
    try:
        moments = tuple(
            datetime.combine(first + timedelta(days=day), time(hours[arm]), zone).astimezone(UTC)
            for day, arm in zip(days, drawn, strict=True)
        )
    except OverflowError as error:
        raise SettingsError(f"--start: {first} is too late for a calendar.") from error
    return Plan(
        question=question,
        arms=own or (f"at {clock(hours[0])}", f"at {clock(hours[1])}"),
        by=found.by,
        author=found.week.author or "",
        time_zone=found.time_zone,
        seed=seed,
        spread=found.week.spread,
        made=datetime.now(UTC).replace(microsecond=0),
        moments=moments,
        drawn=drawn,
    )


def _question(
    question: str | None, arms: Sequence[str] | None
) -> tuple[str, tuple[str, str] | None]:
    """What is tested, and its arms where these don't follow from the posts."""
    if arms:
        if question is not None:
            raise SettingsError("give a question or two arms of your own, not both.")
        texts = [" ".join(text.split()) for text in arms]
        if len(texts) != 2 or len(set(texts)) != 2 or not all(texts):
            raise SettingsError("a test has two different arms: --arm ONE --arm OTHER.")
        if max(map(len, texts)) > _MOST_CHARACTERS:
            raise SettingsError(f"an arm takes at most {_MOST_CHARACTERS} characters.")
        return OWN_QUESTION, (texts[0], texts[1])
    asked = question or HOURS_QUESTION
    known = [HOURS_QUESTION, *QUESTIONS]
    if asked not in known:
        raise SettingsError(
            f"no question is called {asked!r}.{did_you_mean(asked, known)} There are: "
            f"{', '.join(known)}."
        )
    return asked, QUESTIONS.get(asked)


def _hours_of_day(question: str, found: Hours) -> tuple[int, int]:
    """The hour of each arm: of questions that aren't about hours, the best or the usual one."""
    if question == HOURS_QUESTION:
        return found.week.to_try
    if found.week.best_hour is not None:
        return found.week.to_try[0], found.week.to_try[0]
    usual = int(found.week.hours["posts"].argmax())
    return usual, usual


def _arms_by_lot(weeks: int, per_week: int, seed: int) -> tuple[int, ...]:
    """The arm of each post: in each week as often one as the other, of an odd number one more of
    each in turn."""
    generator = np.random.default_rng(seed)
    more = int(generator.integers(2))
    drawn: list[int] = []
    for week in range(weeks):
        arms = [(more + week + post) % 2 for post in range(per_week)]
        drawn += generator.permutation(arms).tolist()
    return tuple(drawn)


def _next_monday(today: date) -> date:
    return today + timedelta(days=7 - today.weekday())


def _in_words(kept: Plan) -> str:
    one, other = kept.arms
    return f"“{one}” or “{other}”, from {kept.local[0]:%Y-%m-%d} to {max(kept.local):%Y-%m-%d}"

"""What posts show of hours and weekdays: gains, chances, and which is reliably best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evoked.analysis.rhythm import HOURS, WEEKDAYS, WEEKEND, Floats, Rhythm, curve_columns
from evoked.runs.past import EXPECTED

Flags = NDArray[np.bool_]
Moment = tuple[float | None, int | None]
"""An hour of the day, [0, 24), and a weekday (0 is Monday); None stands for all usual ones."""

# How often hours, and weekdays, may be called better where none is: of a hundred accounts together
# less than five.
_HOURS_WRONG, _WEEKDAYS_WRONG = 0.03, 0.015
# Gains lie within their ranges in nine of ten cases.
_RANGE = (0.05, 0.95)
# A range that reaches so near to nothing is said to reach it.
_SEEN = 0.005
# An hour is judged from three posts within an hour and a half of its middle.
_NEAR_HOURS, _NEAR_POSTS = 1.5, 3
# With fewer posts there is nothing to say.
_FEWEST_POSTS = 20
# Times of day are unknown if more posts than this share stand at midnight to the second.
_AT_MIDNIGHT = 0.1
# Posts whose median is the present level.
_LAST_POSTS = 10
# The two hours of a test lie apart by this much at least.
APART = 3
# Those that are tried where posts show nothing of others.
_USUAL_HOURS = (12, 19)
# Hours at which people are awake, by local clocks, from and to: at others nothing is tried unless
# the account posts then.
_AWAKE = (7, 23)
_FEWEST_FOR_NOISE = 20
_NANOSECONDS_PER_DAY = 86_400e9


@dataclass(frozen=True)
class Week:
    """What hours and weekdays add; made by :meth:`of`.

    Gains are shares of what posts get at the hours that are usual: 0.1 is a tenth more. ``low`` and
    ``high`` are the ends of their 90 % ranges, ``chance`` is that of being the best of all; all are
    NaN where too few posts are near, and where none appeared: what was never tried is no advice.

    Attributes
    ----------
    posts, authors
        How many posts of how many authors with two or more it was learned from.
    author
        Hash of the author whose hours these are; None where they are what is common to several.
    own_posts
        How many of the posts are the author's who is asked for; all where everyone is.
    adjusted
        Of how many posts the content was taken into account.
    dated
        Whether the posts have dates, so that the level of their authors at that time was.
    slots
        A row per weekday (0 is Monday) and hour (0 to 23): weekday, hour, posts, gain, low, high,
        chance.
    hours
        A row per hour, over weekdays as they are used: hour, posts, gain, low, high, chance.
    weekdays
        A row per weekday, over hours as they are used: weekday, posts, gain, low, high, chance.
    best_hour, best_weekday
        Those that are reliably better than the usual ones; None if none is.
    worst_hour, worst_weekday
        Those that are reliably worse; None if none is.
    hours_differ, weekdays_differ
        Whether they differ by more than chance explains, be it unsure which is better.
    to_try
        Two hours for a test: the most promising, and another, which is the most usual one where
        there is a best hour; at night, before 7 and from 23 on, only where three posts or more
        appeared at that hour.
    spread
        Standard deviation of what remains of log(1 + count) of single posts; NaN where unknown.
    level
        Median count of the author's last ten posts; NaN where unknown or where everyone is asked.
    """

    posts: int
    authors: int
    author: str | None
    own_posts: int
    adjusted: int
    dated: bool
    slots: pd.DataFrame
    hours: pd.DataFrame
    weekdays: pd.DataFrame
    best_hour: int | None
    best_weekday: int | None
    worst_hour: int | None
    worst_weekday: int | None
    hours_differ: bool
    weekdays_differ: bool
    to_try: tuple[int, int]
    spread: float
    level: float
    _used: _Used
    _draws: Floats | None

    @classmethod
    def of(cls, table: pd.DataFrame, by: str, author: str | None = None, seed: int = 0) -> Self:
        """Learn from posts.

        Parameters
        ----------
        table
            As :func:`evoked.runs.past.read_past` reads it, of posts whose hour and weekday are
            known.
        by
            The count that is compared.
        author
            Hash of the author whose hours are asked for; of several authors, what is common to all
            if None.
        seed
            What chances are drawn with.
        """
        # A single post of an author does not show what it owes to its hour.
        table = table[table.groupby("author")["author"].transform("size") > 1]
        expected = table[by + EXPECTED].to_numpy(np.float64)
        adjusted = np.isfinite(expected)
        values = np.log1p(table[by].to_numpy(np.float64)) - np.where(adjusted, expected, 0)
        authors = table["author"].to_numpy(object)
        names = set(authors)
        if author is None and len(names) == 1:
            author = next(iter(names))
        own = authors == author if author is not None else np.ones(len(table), dtype=bool)
        hour, weekday = _middles(table["hour"]), table["weekday"].to_numpy(np.int64)
        level = _present_level(table[own], by) if author is not None else float("nan")
        near, days = _near(hour, weekday), _days(table["posted_at"])
        used = _Used(hour[own], weekday[own]) if own.any() else _Used(hour, weekday)
        if len(table) < _FEWEST_POSTS:
            nothing = np.full(1, np.nan)
            return cls(
                posts=len(table),
                authors=len(names),
                author=author,
                own_posts=int(own.sum()),
                adjusted=int(adjusted.sum()),
                dated=days is not None,
                slots=_slots(nothing, np.zeros_like(near), used),
                hours=_hours(nothing, np.zeros(HOURS, bool), used),
                weekdays=_weekdays(nothing, np.zeros(WEEKDAYS, bool), used),
                best_hour=None,
                best_weekday=None,
                worst_hour=None,
                worst_weekday=None,
                hours_differ=False,
                weekdays_differ=False,
                to_try=_two_hours(np.full(HOURS, np.nan), used),
                spread=float("nan"),
                level=level,
                _used=used,
                _draws=None,
            )
        rhythm = Rhythm.fit(
            values,
            hour,
            weekday,
            authors,
            days,
            adjusted,
            _noise(values, adjusted, authors, days),
        )
        draws = rhythm.draws(author, seed=seed)
        at_hours = draws @ used.at_hours().T
        at_weekdays = draws @ used.at_weekdays().T
        at_slots = draws @ used.at_slots().T
        hours = _hours(at_hours, np.asarray(near.any(axis=0)), used)
        weekdays = _weekdays(at_weekdays, _often(used.weekday), used)
        reliable = {
            of: _is_reliable(rhythm, author, of, wrong, seed)
            for of, wrong in (("hours", _HOURS_WRONG), ("weekdays", _WEEKDAYS_WRONG))
        }
        best_hour, worst_hour = _ends(hours, "hour") if reliable["hours"] else (None, None)
        best_day, worst_day = _ends(weekdays, "weekday") if reliable["weekdays"] else (None, None)
        return cls(
            posts=len(table),
            authors=len(names),
            author=author,
            own_posts=int(own.sum()),
            adjusted=int(adjusted.sum()),
            dated=days is not None,
            slots=_slots(at_slots, near, used),
            hours=hours,
            weekdays=weekdays,
            best_hour=best_hour,
            best_weekday=best_day,
            worst_hour=worst_hour,
            worst_weekday=worst_day,
            hours_differ=reliable["hours"],
            weekdays_differ=reliable["weekdays"],
            to_try=_two_hours(
                hours["gain"].to_numpy(np.float64), used, against_usual=best_hour is not None
            ),
            spread=rhythm.spread,
            level=level,
            _used=used,
            _draws=draws,
        )

    def effects(self, hours: ArrayLike, weekdays: ArrayLike) -> Floats:
        """What n moments add to log(1 + count), as it may be, (draws, n): only differences between
        moments mean something. Zeros where nothing is known.

        Parameters
        ----------
        hours, weekdays
            Hours of the day, [0, 24), and days of the week, 0 is Monday, (n,) each.
        """
        columns = curve_columns(hours, weekdays)
        return np.zeros((1, len(columns))) if self._draws is None else self._draws @ columns.T

    def added(self, to: Moment, instead_of: Moment) -> Floats:
        """What one moment adds to log(1 + count) beside another, as it may be, (draws,)."""
        if self._draws is None:
            return np.zeros(1)
        after, before = (self._used.columns_at(each) for each in (to, instead_of))
        return np.asarray(self._draws @ (after - before))


def with_time_of_day(table: pd.DataFrame) -> pd.DataFrame:
    """The rows whose time of day is known, of a table with ``posted_at``, ``hour``, ``weekday``."""
    dates = pd.to_datetime(table["posted_at"], utc=True)
    # A date alone is read as midnight, to the second; a source's own hour is known without one.
    midnight = dates.notna() & (table["hour"] == 0) & (dates.dt.second == 0)
    # Some posts do appear at midnight.
    if midnight.mean() <= _AT_MIDNIGHT:
        midnight &= False
    return table[table["hour"].notna() & table["weekday"].notna() & ~midnight]


def hours_apart(hours: ArrayLike, other: ArrayLike) -> Floats:
    """Hours between times of day, the shorter way round, from 0 to 12."""
    difference = np.asarray(hours, np.float64) - np.asarray(other, np.float64)
    return np.abs((difference + HOURS / 2) % HOURS - HOURS / 2)


@dataclass(frozen=True)
class _Used:
    """The hours and weekdays at which posts usually appear, (n,) each."""

    hour: Floats
    weekday: NDArray[np.int64]

    def columns_at(self, moment: Moment) -> Floats:
        """The curve's columns in the mean over the posts, if they appeared at a moment."""
        hour, weekday = moment
        hours = self.hour if hour is None else np.full(len(self.hour), hour)
        days = self.weekday if weekday is None else np.full(len(self.weekday), weekday)
        return np.asarray(curve_columns(hours, days).mean(axis=0))

    @property
    def usual(self) -> Floats:
        return self.columns_at((None, None))

    def at_hours(self) -> Floats:
        """The curve's columns at each hour less the usual ones, (24, columns)."""
        shares = np.bincount(self.weekday, minlength=WEEKDAYS) / len(self.weekday)
        slots = _slot_columns().reshape(WEEKDAYS, HOURS, -1)
        return np.asarray(np.tensordot(shares, slots, axes=1) - self.usual)

    def at_weekdays(self) -> Floats:
        """Those of each weekday, (7, columns)."""
        means = [
            curve_columns(self.hour, np.full(len(self.hour), day)).mean(axis=0)
            for day in range(WEEKDAYS)
        ]
        return np.stack(means) - self.usual

    def at_slots(self) -> Floats:
        """Those of each weekday's hours, (168, columns)."""
        return _slot_columns() - self.usual


def _slot_columns() -> Floats:
    weekday, hour = np.divmod(np.arange(WEEKDAYS * HOURS), HOURS)
    return curve_columns(hour + 0.5, weekday)


def _middles(hours: pd.Series) -> Floats:
    """Hours of the day; where they are given as whole ones, the middles of these."""
    values = hours.to_numpy(np.float64)
    whole = len(values) > 0 and bool((values % 1 == 0).all())
    return values + 0.5 if whole else values


def _days(posted_at: pd.Series) -> Floats | None:
    """Days since 1970, (n,); None unless all are known."""
    if posted_at.isna().any():
        return None
    return pd.to_datetime(posted_at, utc=True).dt.as_unit("ns").astype("int64").to_numpy() / (
        _NANOSECONDS_PER_DAY
    )


def _noise(
    values: Floats, adjusted: Flags, authors: NDArray[np.object_], days: Floats | None
) -> Floats | None:
    """Variance of chance relative to that of posts whose content is known, (n,): by how far posts
    lie from the author's one before, which a drifting level hardly changes."""
    table = pd.DataFrame({"value": values, "author": authors, "adjusted": adjusted})
    if days is not None:
        table = table.iloc[np.argsort(days, kind="stable")]
    steps = table.groupby(["author", "adjusted"], sort=False)["value"].diff().abs()
    sizes = [steps[table["adjusted"] == kind].dropna() for kind in (True, False)]
    if min(map(len, sizes)) < _FEWEST_FOR_NOISE:
        return None
    usual, others = (float(each.median()) for each in sizes)
    return np.where(adjusted, 1.0, (others / usual) ** 2) if usual and others else None


def _near(hour: Floats, weekday: NDArray[np.int64]) -> Flags:
    """Whether posts of like days are near the middle of each slot, (7, 24)."""
    close = hours_apart(hour[:, None], np.arange(HOURS) + 0.5) <= _NEAR_HOURS
    weekend = np.isin(weekday, WEEKEND)
    enough = [close[weekend == kind].sum(axis=0) >= _NEAR_POSTS for kind in (False, True)]
    return np.stack([enough[int(day in WEEKEND)] for day in range(WEEKDAYS)])


def _often(weekday: NDArray[np.int64]) -> Flags:
    return np.asarray(np.bincount(weekday, minlength=WEEKDAYS) >= _NEAR_POSTS)


def _gains(draws: Floats, known: Flags) -> dict[str, Floats]:
    """Gains, their ranges and chances from draws of logarithms, (number, places)."""
    names = ("gain", "low", "high", "chance")
    found = {name: np.full(len(known), np.nan) for name in names}
    if not known.any():
        return found
    drawn = draws[:, known]
    found["gain"][known] = np.expm1(drawn.mean(axis=0))
    for name, end in zip(("low", "high"), _RANGE, strict=True):
        found[name][known] = np.expm1(np.quantile(drawn, end, axis=0))
    often = np.bincount(np.argmax(drawn, axis=1), minlength=int(known.sum()))
    found["chance"][known] = often / len(drawn)
    return found


def _slots(draws: Floats, near: Flags, used: _Used) -> pd.DataFrame:
    weekday, hour = np.divmod(np.arange(WEEKDAYS * HOURS), HOURS)
    slot = used.weekday * HOURS + used.hour.astype(np.int64) % HOURS
    posts = np.bincount(slot, minlength=WEEKDAYS * HOURS)
    gains = _gains(draws, near.ravel() & (posts > 0))
    return pd.DataFrame({"weekday": weekday, "hour": hour, "posts": posts, **gains})


def _hours(draws: Floats, near: Flags, used: _Used) -> pd.DataFrame:
    posts = np.bincount(used.hour.astype(np.int64) % HOURS, minlength=HOURS)
    gains = _gains(draws, near & (posts > 0))
    return pd.DataFrame({"hour": np.arange(HOURS), "posts": posts, **gains})


def _weekdays(draws: Floats, often: Flags, used: _Used) -> pd.DataFrame:
    posts = np.bincount(used.weekday, minlength=WEEKDAYS)
    return pd.DataFrame({"weekday": np.arange(WEEKDAYS), "posts": posts, **_gains(draws, often)})


def _is_reliable(rhythm: Rhythm, author: str | None, of: str, wrong: float, seed: int) -> bool:
    """Whether chance alone would hardly make hours, or weekdays, differ as they do: the author's
    own, or everyone's."""
    asked: list[str | None] = [author] if len(rhythm.authors) == 1 or author is None else []
    asked = asked or [author, None]
    return any(rhythm.chance_of_none(whose, of, seed) <= wrong / len(asked) for whose in asked)


def _ends(table: pd.DataFrame, column: str) -> tuple[int | None, int | None]:
    """The one with the largest gain and the one with the least, unless their ranges reach nothing
    that anybody would see."""
    known = table.dropna(subset=["gain"])
    if known.empty:
        return None, None
    best, worst = (
        known.iloc[int(each)] for each in (known["gain"].argmax(), known["gain"].argmin())
    )
    return (
        int(best[column]) if best["low"] >= _SEEN else None,
        int(worst[column]) if worst["high"] <= -_SEEN else None,
    )


def _two_hours(gains: Floats, used: _Used, against_usual: bool = False) -> tuple[int, int]:
    """The most promising hour, and of those that lie apart from it the most promising, or the most
    usual, which a best hour has to beat; none at night, unless the account posts then."""
    posts = np.bincount(used.hour.astype(np.int64) % HOURS, minlength=HOURS)
    hours = np.arange(HOURS)
    awake = (hours >= _AWAKE[0]) & (hours < _AWAKE[1])
    tried = awake | (posts >= _NEAR_POSTS)
    gains = np.where(tried, gains, np.nan)
    if np.isfinite(gains).any():
        first = int(np.nanargmax(gains))
    elif posts[tried].any():
        first = int(np.argmax(np.where(tried, posts, -1)))
    else:
        first = _USUAL_HOURS[1]
    others = np.where(hours_apart(hours, first) >= APART, gains, np.nan)
    if np.isfinite(others).any():
        rank = np.where(np.isfinite(others), posts, np.nan) if against_usual else others
        return first, int(np.nanargmax(rank))
    return first, max(_USUAL_HOURS, key=lambda hour: float(hours_apart(hour, first)))


def _present_level(table: pd.DataFrame, by: str) -> float:
    """Median count of the last posts; NaN where none is dated."""
    dated = table[table["posted_at"].notna()].sort_values("posted_at", kind="stable")
    counts = dated[by].tail(_LAST_POSTS)
    return float(counts.median()) if len(counts) else float("nan")

"""When posts appear: hours and days of the week, by the account's clock."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from evoked.analysis.week import Week, with_time_of_day
from evoked.analysis.works.traits import Floats, Surroundings, Trait, trait
from evoked.features.metadata import local_times
from evoked.posts.author_hashes import author_hashes
from evoked.runs.past import EXPECTED

HOUR, DAY = "hour", "day of the week"
DAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
MOMENTS = ("hour", "day")
"""Kinds of traits of which the week says whether they stand out."""
_BAND = 3
_WEEKEND = 5


def moment_traits(posts: pd.DataFrame) -> Iterator[Trait]:
    """Bands of three hours, the seven days, and weekends."""
    hours, days = clock(posts)
    known = np.isfinite(hours)
    for start in range(0, 24, _BAND):
        within = (hours >= start) & (hours < start + _BAND)
        yield trait("hour", _band(posts, start), within, HOUR, known=known)
    known = np.isfinite(days)
    for number, day in enumerate(DAYS):
        yield trait("day", f"on {day}", days == number, DAY, known=known)
    yield trait("day", "at weekends", days >= _WEEKEND, DAY, known=known)


def _band(posts: pd.DataFrame, hour: int) -> str:
    """The band of an hour in words."""
    start = hour // _BAND * _BAND
    zone = "" if posts["posted_hour"].notna().any() else " UTC"
    return f"between {start}:00 and {start + _BAND}:00{zone}"


def week_of(posts: pd.DataFrame, count: str, content: Floats, seed: int) -> Week | None:
    """What n posts show of hours and weekdays, by the proof that :func:`evoked.when` asks for; None
    where no time of day is known.

    Parameters
    ----------
    content
        What each got for other reasons, in logarithms, (n,).
    """
    hours, days = clock(posts)
    table = pd.DataFrame(
        {
            "author": author_hashes(posts),
            "posted_at": posts["posted_at"].to_numpy(),
            "hour": hours,
            "weekday": days,
            count: posts[count].to_numpy(np.float64),
            count + EXPECTED: content,
        }
    )
    timed = with_time_of_day(table)
    return Week.of(timed, count, seed=seed) if len(timed) else None


def signs_of(week: Week, posts: pd.DataFrame) -> dict[str, int]:
    """By phrase of a trait, 1 where the week's best hour or day has it, -1 where its worst has."""
    hours = ((week.best_hour, 1), (week.worst_hour, -1))
    days = ((week.best_weekday, 1), (week.worst_weekday, -1))
    return {
        **{_band(posts, hour): sign for hour, sign in hours if hour is not None},
        **{f"on {DAYS[day]}": sign for day, sign in days if day is not None},
    }


def moment_surroundings(posts: pd.DataFrame) -> Iterator[Surroundings]:
    """The hour on a circle, and each day of the week."""
    hours, days = clock(posts)
    angle = 2 * np.pi * hours / 24
    yield Surroundings(HOUR, np.column_stack([np.sin(angle), np.cos(angle)]))
    which = np.where(np.isfinite(days)[:, None], days[:, None] == np.arange(1, 7), np.nan)
    yield Surroundings(DAY, which)


def clock(posts: pd.DataFrame) -> tuple[Floats, Floats]:
    """Hour and day of the week of n posts, as :func:`evoked.features.metadata.local_times` has
    them; but a source that gives dates without hours, so that all are midnight, has no hours."""
    hours, days = local_times(posts)
    if (hours[np.isfinite(hours)] == 0).all():
        hours = np.full(len(posts), np.nan)
    return hours, days

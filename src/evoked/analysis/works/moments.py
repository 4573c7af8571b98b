"""When posts appear: hours and days of the week, by the account's clock."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from evoked.analysis.works.traits import Floats, Surroundings, Trait, trait

HOUR, DAY = "hour", "day of the week"
DAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
_BAND = 3
_WEEKEND = 5


def moment_traits(posts: pd.DataFrame) -> Iterator[Trait]:
    """Bands of three hours, the seven days, and weekends."""
    hours, days = clock(posts)
    known = np.isfinite(hours)
    zone = "" if posts["posted_hour"].notna().any() else " UTC"
    for start in range(0, 24, _BAND):
        within = (hours >= start) & (hours < start + _BAND)
        phrase = f"between {start}:00 and {start + _BAND}:00{zone}"
        yield trait("hour", phrase, within, HOUR, known=known)
    known = np.isfinite(days)
    for number, day in enumerate(DAYS):
        yield trait("day", f"on {day}", days == number, DAY, known=known)
    yield trait("day", "at weekends", days >= _WEEKEND, DAY, known=known)


def moment_surroundings(posts: pd.DataFrame) -> Iterator[Surroundings]:
    """The hour on a circle, and each day of the week."""
    hours, days = clock(posts)
    angle = 2 * np.pi * hours / 24
    yield Surroundings(HOUR, np.column_stack([np.sin(angle), np.cos(angle)]))
    which = np.where(np.isfinite(days)[:, None], days[:, None] == np.arange(1, 7), np.nan)
    yield Surroundings(DAY, which)


def clock(posts: pd.DataFrame) -> tuple[Floats, Floats]:
    """Hour and day of the week of n posts by the dataset's clocks, in UTC where it has no time
    zone; NaN where unknown. A source that gives dates without hours has no hours."""
    dates = posts["posted_at"].dt
    hours = posts["posted_hour"].fillna(dates.hour + dates.minute / 60).to_numpy(np.float64)
    days = posts["posted_weekday"].fillna(dates.day_of_week.astype("float64"))
    midnight = (dates.hour == 0) & (dates.minute == 0) & (dates.second == 0)
    if midnight[posts["posted_at"].notna()].all() and posts["posted_at"].notna().any():
        hours = np.full(len(posts), np.nan)
    return hours, days.to_numpy(np.float64)

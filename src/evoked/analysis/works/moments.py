"""When posts appear: hours and days of the week, by the account's clock."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from evoked.analysis.works.traits import Floats, Surroundings, Trait, trait
from evoked.features.metadata import local_times

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
    """Hour and day of the week of n posts, as :func:`evoked.features.metadata.local_times` has
    them; but a source that gives dates without hours, so that all are midnight, has no hours."""
    hours, days = local_times(posts)
    if (hours[np.isfinite(hours)] == 0).all():
        hours = np.full(len(posts), np.nan)
    return hours, days

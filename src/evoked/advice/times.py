"""When a draft should appear instead, as :mod:`evoked.advice.hours` has it: where that names no
hour and no weekday, no change of time is advised."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.advice.actions import Action
from evoked.advice.effects import UNKNOWN
from evoked.analysis.week import Week, hours_apart
from evoked.analysis.week_words import clock
from evoked.posts.drafts import Draft
from evoked.posts.time_zones import zone_of
from evoked.runs.spoken import WEEKDAYS

# A post appeared at an hour if it did so within so many hours of its middle.
NEAR_HOURS = 1.5
_RANGE = (0.025, 0.975)


class MovedTime(NamedTuple):
    """A change of time, and what it is worth in logarithms, with its 95 % range."""

    action: Action
    effect: float
    low: float
    high: float


def moved_times(
    draft: Draft, form: pd.Series, week: Week | None, time_zone: str | None = None
) -> list[MovedTime]:
    """The best hour and the best weekday, where posts show that these are reliably better.

    Parameters
    ----------
    draft
        The draft.
    form
        Its row of :func:`evoked.features.form.form_of`.
    week
        What posts show of hours; None where nothing is known of them.
    time_zone
        By whose clocks hours are counted; UTC by default.
    """
    if week is None:
        return []
    hour, weekday = None, None
    if draft.posted_at is not None:
        hour, weekday = float(form["hour"]), int(form["weekday"])
    found, best, day = [], week.best_hour, week.best_weekday
    if best is not None and (hour is None or int(hour) != best):
        clocks = "" if time_zone else " UTC"
        action = Action(
            "hour",
            f"Post at about {clock(best)}{clocks}",
            UNKNOWN if hour is None else str(int(hour)),
            str(best),
            {"hour": float(best)},
            partial(_at_hour, hour=best, time_zone=time_zone),
            True,
        )
        found.append(_worth(action, week.added((best + 0.5, weekday), (hour, weekday))))
    if day is not None and weekday != day:
        action = Action(
            "day",
            f"Post on a {WEEKDAYS[day]}",
            UNKNOWN if weekday is None else str(weekday),
            str(day),
            {"weekday": float(day)},
            partial(_on_day, weekday=day, time_zone=time_zone),
            True,
        )
        found.append(_worth(action, week.added((hour, day), (hour, weekday))))
    return found


def appeared(past: pd.DataFrame, action: Action) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which of n past posts appeared at the time that an action moves to, and which at the draft's;
    all others, where the draft has none."""
    if action.about == "hour":
        hours = past["hour"].to_numpy(np.float64)
        did, before = (
            hours_apart(hours, int(each) + 0.5) <= NEAR_HOURS
            if each != UNKNOWN
            else np.isfinite(hours)
            for each in (action.after, action.before)
        )
    else:
        days = past["weekday"].to_numpy(np.float64)
        did, before = (
            days == int(each) if each != UNKNOWN else np.isfinite(days)
            for each in (action.after, action.before)
        )
    return did, before & ~did


def _worth(action: Action, added: NDArray[np.float64]) -> MovedTime:
    low, high = np.quantile(added, _RANGE)
    return MovedTime(action, float(added.mean()), float(low), float(high))


def _local(draft: Draft, time_zone: str | None) -> datetime:
    """When a draft appears, by local clocks."""
    zone = zone_of(time_zone)
    moment = draft.posted_at or datetime.now(UTC)
    return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment.astimezone(zone)


def _at_hour(draft: Draft, hour: int, time_zone: str | None) -> Draft:
    """The draft at an hour of its day; on the next day where that has gone by."""
    local = _local(draft, time_zone)
    then = local.replace(hour=hour, minute=0, second=0, microsecond=0)
    if then < datetime.now(UTC) <= local:
        then += timedelta(days=1)
    return replace(draft, posted_at=then)


def _on_day(draft: Draft, weekday: int, time_zone: str | None) -> Draft:
    """The draft at its hour of the next such day."""
    then = _local(draft, time_zone).replace(second=0, microsecond=0)
    return replace(draft, posted_at=then + timedelta(days=(weekday - then.weekday()) % 7))

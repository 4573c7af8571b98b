"""Local time: the time zone in which an account lives, by its IANA name."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from evoked.errors import SettingsError, did_you_mean


@cache  # the names that there are lie in hundreds of files
def zone_of(name: str | None) -> tzinfo:
    """The time zone of a name such as Europe/Berlin; UTC for None.

    Raises
    ------
    SettingsError
        There is no such time zone.
    """
    if name is None:
        return UTC
    known = available_timezones()
    if name not in known:
        raise SettingsError(
            f"there is no time zone {name!r}.{did_you_mean(name, sorted(known))} Give the name of "
            "a region and city, for example Europe/Berlin."
        )
    return ZoneInfo(name)


def local_hour(moment: datetime, zone: tzinfo) -> float:
    """Hour of the day in a time zone, [0, 24); summer time counts where and when it is kept."""
    local = moment.astimezone(zone)
    return local.hour + local.minute / 60


def local_weekday(moment: datetime, zone: tzinfo) -> float:
    """Day of the week in a time zone, Monday = 0."""
    return float(moment.astimezone(zone).weekday())

"""Calendar files (iCalendar, RFC 5545), as phones and calendars import them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from evoked.files import atomic_path
from evoked.sentences import visible

_LINE_OCTETS = 75
_LENGTH = timedelta(minutes=15)


class Event(NamedTuple):
    """An entry of a calendar.

    Attributes
    ----------
    identifier
        Unique in the world, and the same whenever the same entry is written again.
    start
        With a time zone; without one it floats, and is that hour by the clocks of whoever opens it.
    summary, description
        Texts.
    """

    identifier: str
    start: datetime
    summary: str
    description: str


def write_calendar(path: Path, events: Sequence[Event], made: datetime) -> None:
    """Write a calendar file atomically.

    Parameters
    ----------
    path
        The file.
    events
        The entries, a quarter of an hour each.
    made
        When they were decided on, with a time zone.
    """
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//evoked//plan//EN", "CALSCALE:GREGORIAN"]
    for event in events:
        lines += [
            "BEGIN:VEVENT",
            f"UID:{event.identifier}",
            f"DTSTAMP:{_moment(made)}",
            f"DTSTART:{_moment(event.start)}",
            f"DTEND:{_moment(event.start + _LENGTH)}",
            f"SUMMARY:{_escaped(event.summary)}",
            f"DESCRIPTION:{_escaped(event.description)}",
            "END:VEVENT",
        ]
    lines.append("END:VCALENDAR")
    content = "".join(f"{_folded(line)}\r\n" for line in lines)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.encode())


def _moment(moment: datetime) -> str:
    """In UTC, which needs no rules of summer time in the file (Section 3.3.5, form 2); as local
    time, which floats, where no time zone is known (form 1)."""
    if moment.tzinfo is None:
        return moment.strftime("%Y%m%dT%H%M%S")
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _escaped(text: str) -> str:
    """Section 3.3.11, which leaves no room for control characters."""
    text = "\n".join(map(visible, text.splitlines()))
    for character in "\\;,":
        text = text.replace(character, f"\\{character}")
    return text.replace("\n", "\\n")


def _folded(line: str) -> str:
    """Lines of at most 75 octets, the next ones begin with a space; characters stay whole
    (Section 3.1)."""
    parts, part, octets = [], "", 0
    for character in line:
        size = len(character.encode())
        if octets + size > _LINE_OCTETS:
            parts.append(part)
            part, octets = "", 1
        part += character
        octets += size
    return "\r\n ".join([*parts, part])

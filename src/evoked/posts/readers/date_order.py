"""Which of day and month comes first in a column of dates such as 03/04/2024."""

from __future__ import annotations

import re
from typing import Any

_DATE = re.compile(r"(\d{1,2})([/.])(\d{1,2})\2(\d{4})(?!\d)")
_NAMES = {"/": "slashes", ".": "dots"}


class DateOrder:
    """Works out, from one date of a column after another, whether day or month comes first.

    Dates with dots are read with the day first, dates with slashes with the month first, unless
    one of these can only have the day there.
    """

    def __init__(self) -> None:
        self._decided: set[str] = set()
        self._day_first = {"."}
        self._undecided: dict[str, re.Match[str]] = {}

    def add(self, value: Any) -> None:
        """Take another cell of the column into account."""
        match = _DATE.match(value.strip()) if isinstance(value, str) else None
        if match is None:
            return
        first, separator, second = int(match[1]), match[2], int(match[3])
        if max(first, second) > 12:
            self._decided.add(separator)
        elif first != second:
            self._undecided.setdefault(separator, match)
        if first > 12:
            self._day_first.add(separator)

    @property
    def day_first(self) -> bool:
        """Whether the day comes first in dates with slashes."""
        return "/" in self._day_first

    def notes(self) -> list[str]:
        """How the dates are read, and how to write them if that can't be decided."""
        return [
            self._decided_note(separator)
            if separator in self._decided
            else self._undecided_note(separator)
            for separator in _NAMES
            if separator in self._decided or separator in self._undecided
        ]

    def _order(self, separator: str) -> str:
        day_first = separator in self._day_first
        return separator.join(("day", "month", "year") if day_first else ("month", "day", "year"))

    def _decided_note(self, separator: str) -> str:
        return f"Dates with {_NAMES[separator]} are read as {self._order(separator)}."

    def _undecided_note(self, separator: str) -> str:
        match = self._undecided[separator]
        first, second, year = match[1].zfill(2), match[3].zfill(2), match[4]
        read, otherwise = f"{year}-{first}-{second}", f"{year}-{second}-{first}"
        if separator in self._day_first:
            read, otherwise = otherwise, read
        return (
            f"Check the dates with {_NAMES[separator]}: {match[0]} is read as "
            f"{self._order(separator)}, {read}, and no date in the column shows whether that is "
            f"right. If it is not, write them with the year first, such as {otherwise}."
        )

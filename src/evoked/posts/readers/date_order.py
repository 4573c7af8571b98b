"""Which of day, month and year comes first in a column of dates such as 03/04/2024 or 17.14.11."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from evoked.posts.readers.dates import EARLIEST, ORDERS, Numbers, numbers_in

_NAMES = {"/": "slashes", ".": "dots", "-": "hyphens"}
_PARTS = {"d": "day", "m": "month", "y": "year"}


@dataclass
class _Seen:
    """The dates of a column with one sign between their numbers.

    Attributes
    ----------
    fits
        How many of them each order allows.
    firsts, lasts
        Different first and last numbers.
    example
        A date that is another one in another order.
    """

    fits: Counter[str] = field(default_factory=Counter)
    firsts: set[int] = field(default_factory=set)
    lasts: set[int] = field(default_factory=set)
    example: Numbers | None = None


class DateOrder:
    """Works out, from one date of a column after another, in which order their numbers are.

    An order is right for more of the dates than any other: of the rest, it would give months beyond
    12, or dates in the future. Where several are right for as many, dates are read as
    :data:`~evoked.posts.readers.dates.ORDERS` says; those with years of two digits start with the
    year if the first number changes less than the last.
    """

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def add(self, value: Any) -> None:
        """Take another cell of the column into account."""
        numbers = numbers_in(value) if isinstance(value, str) else None
        if numbers is None:
            return
        seen = self._seen.setdefault(numbers.sign, _Seen())
        possible = _possible(numbers)
        seen.fits.update(list(possible))
        seen.firsts.add(numbers.first)
        seen.lasts.add(numbers.third)
        if seen.example is None and len(set(possible.values())) > 1:
            seen.example = numbers

    @property
    def orders(self) -> Mapping[str, str]:
        """The order of the numbers by the sign between them."""
        return dict(ORDERS) | {sign: self._order(sign) for sign in self._seen}

    def notes(self) -> list[str]:
        """How the dates are read, and how to write them if that can't be decided."""
        return [
            note
            for sign in sorted(self._seen, key=list(ORDERS).index)
            if (note := self._note(sign))
        ]

    def _order(self, sign: str) -> str:
        seen = self._seen[sign]
        best = max(seen.fits.values(), default=0)
        usual = ORDERS[sign]
        if "ymd" in seen.fits and len(seen.firsts) < len(seen.lasts):
            usual = "ymd"
        candidates = dict.fromkeys([usual, ORDERS[sign], "dmy", "mdy", "ymd", "ydm"])
        return next(order for order in candidates if seen.fits[order] == best)

    def _note(self, sign: str) -> str:
        seen, order = self._seen[sign], self._order(sign)
        if not seen.fits or order == ORDERS[sign] == "ymd":
            return ""
        rivals = [
            other
            for other, fitting in seen.fits.items()
            if other != order and fitting == seen.fits[order]
        ]
        if not rivals:
            return f"Dates with {_NAMES[sign[-1]]} are read as {_in_words(order, sign)}."
        if seen.example is None:
            return ""
        return _undecided_note(seen.example, order, sign)


def _in_words(order: str, sign: str) -> str:
    return sign[-1].join(_PARTS[part] for part in order)


def _undecided_note(example: Numbers, order: str, sign: str) -> str:
    possible = _possible(example)
    read = possible.get(order, "no date")
    otherwise = next(date for other, date in possible.items() if date != read)
    return (
        f"Check the dates with {_NAMES[sign[-1]]}: {example.text} is read as "
        f"{_in_words(order, sign)}, {read}, and no date in the column shows whether that is "
        f"right. If it is not, write them with the year first, such as {otherwise}."
    )


@lru_cache(maxsize=16_384)
def _possible(numbers: Numbers) -> dict[str, str]:
    """The date in ISO 8601 by each order that gives one from 1990 until tomorrow."""
    latest = (datetime.now(UTC) + timedelta(days=1)).date()
    found = {}
    for order in numbers.orders:
        try:
            date = numbers.read(order)
        except ValueError:
            continue
        if EARLIEST <= date <= latest:
            found[order] = date.isoformat()
    return found

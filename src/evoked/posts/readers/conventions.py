"""How the columns of a table write counts, dates, ids and tags: only whole columns show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from functools import partial
from typing import Any

from evoked.posts.readers.date_order import DateOrder
from evoked.posts.readers.dates import has_time
from evoked.posts.readers.names import language_of
from evoked.posts.readers.number_notation import CountNotation, notation_notes
from evoked.posts.readers.ratings import number_or_none
from evoked.posts.readers.repeated_posts import OBSERVED_AT
from evoked.posts.readers.scales import Scales
from evoked.posts.readers.values import (
    is_missing,
    parse_count,
    parse_date,
    parse_id,
    parse_tags,
)
from evoked.posts.schema import COUNTS

_DATES = ("posted_at", OBSERVED_AT)
_IDS = ("post_id", "author_id")
_TAGS = ("hashtags", "mentions")
# A spreadsheet keeps this many digits of a number and puts zeros in place of the others.
_KEPT_DIGITS = 15
_FEWEST_ZEROS = 3


class Conventions:
    """Works out, from one row after another, how each column is to be read.

    Parameters
    ----------
    mapping
        Column by field.

    Attributes
    ----------
    has_times
        Whether any date has a time of day.
    """

    def __init__(self, mapping: Mapping[str, str]) -> None:
        self._counts = {mapping[field]: CountNotation() for field in COUNTS if field in mapping}
        self._ids = {mapping[field]: _Ids() for field in _IDS if field in mapping}
        self._tags = {mapping[field]: _Tags() for field in _TAGS if field in mapping}
        self._mapping = mapping
        self._dates = {mapping[field]: DateOrder() for field in _DATES if field in mapping}
        self._language = language_of(list(mapping.values()))
        self._weekday = mapping.get("posted_weekday", "")
        self._highest_weekday = 0.0
        self.has_times = False

    def add(self, row: Mapping[str, Any]) -> None:
        """Take another row into account."""
        for columns in (self._counts, self._ids, self._tags, self._dates):
            for column, seen in columns.items():
                seen.add(row.get(column))
        if not self.has_times and "posted_at" in self._mapping:
            self.has_times = has_time(row.get(self._mapping["posted_at"]))
        if self._weekday:
            weekday = number_or_none(row.get(self._weekday))
            self._highest_weekday = max(self._highest_weekday, weekday or 0.0)

    @property
    def _scales(self) -> Scales:
        examples = {column: notation.scales for column, notation in self._counts.items()}
        return Scales(self._language, examples)

    @property
    def only_counted(self) -> list[str]:
        """Fields whose column holds the number of hashtags or mentions, not these themselves."""
        return [
            field
            for field in _TAGS
            if field in self._mapping and self._tags[self._mapping[field]].are_numbers
        ]

    def converters(self, zone: tzinfo) -> dict[str, Callable[[Any], Any]]:
        """Functions that read a cell, by field; ValueError for one that can't be read."""
        found: dict[str, Callable[[Any], Any]] = {}
        scales = self._scales.by_word
        if self._highest_weekday == 7:
            found["posted_weekday"] = _sunday_first
        for field, column in self._mapping.items():
            if field in _DATES:
                orders = self._dates[column].orders
                read = _date_or_none if field == OBSERVED_AT else parse_date
                found[field] = partial(read, orders=orders, zone=zone)
            elif field in COUNTS:
                decimal = self._counts[column].decimal
                found[field] = partial(parse_count, decimal=decimal, scales=scales)
            elif field in _IDS:
                found[field] = _no_rounded_id if self._ids[column].are_rounded else parse_id
            elif field in _TAGS:
                found[field] = partial(parse_tags, spaced=not self._tags[column].have_spaces)
        return found

    def notes(self) -> list[str]:
        """How the columns are read, and what can't be decided."""
        dates = (note for order in self._dates.values() for note in order.notes())
        notes = [*dict.fromkeys(dates), *notation_notes(self._counts), *self._scales.notes]
        if self._highest_weekday == 7:
            notes.append("Days of the week run from 1 to 7 and are read as Sunday to Saturday.")
        notes += [
            f"{self._mapping[field]} holds how many {field} there are, not which: they are read "
            "from the captions."
            for field in self.only_counted
        ]
        return notes


class _Ids:
    """Whether the long ids of a column were numbers that a spreadsheet rounded."""

    def __init__(self) -> None:
        self._zeros = 0
        self._exact = False

    def add(self, value: Any) -> None:
        """Take another cell into account."""
        text = value.strip() if isinstance(value, str) else str(value)
        if len(text) > _KEPT_DIGITS and text.isdecimal():
            rest = text[_KEPT_DIGITS:]
            self._zeros += len(rest)
            self._exact = self._exact or bool(rest.strip("0"))

    @property
    def are_rounded(self) -> bool:
        """Whether every id of more than 15 digits has zeros after these."""
        return not self._exact and self._zeros >= _FEWEST_ZEROS


class _Tags:
    """What a column of tags or accounts holds."""

    def __init__(self) -> None:
        self._numbers = 0
        self._others = False
        self.have_spaces = False

    def add(self, value: Any) -> None:
        """Take another cell into account."""
        if isinstance(value, list | tuple):
            self._others = True
        elif not is_missing(value):
            text = str(value).strip()
            is_number = text.removesuffix(".0").isdecimal()
            self._numbers += is_number
            self._others = self._others or not is_number
            self.have_spaces = self.have_spaces or (
                "#" not in text and any(sign in text for sign in "|,;")
            )

    @property
    def are_numbers(self) -> bool:
        """Whether all cells are numbers."""
        return self._numbers > 0 and not self._others


def _no_rounded_id(value: Any) -> Any:
    text = str(value).strip()
    if len(text) > _KEPT_DIGITS and text.isdecimal():
        raise ValueError("a number that a spreadsheet rounded, not an id")
    return parse_id(value)


def _sunday_first(value: Any) -> Any:
    """Convert days 1 (Sunday) to 7, as spreadsheets count them, to days 0 (Monday) to 6."""
    day = number_or_none(value)
    return value if day is None else (day + 5) % 7 if 1 <= day <= 7 else -1


def _date_or_none(value: Any, orders: Mapping[str, str], zone: tzinfo) -> datetime | None:
    try:
        return parse_date(value, orders=orders, zone=zone)
    except ValueError:
        return None

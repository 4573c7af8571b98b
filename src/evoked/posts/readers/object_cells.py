"""Cells of a table that hold objects as text: JSON, or dictionaries as Python prints them."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from evoked.errors import DataError
from evoked.files import parse_json
from evoked.posts.readers.base import Skipped
from evoked.posts.readers.flat_objects import flatten
from evoked.posts.readers.values import is_missing

if TYPE_CHECKING:
    from evoked.posts.readers.tabular import Row, Table

# Python's own parser is bounded by what stands in a cell, and by how deep it is.
_LONGEST_CELL = 20_000
_MOST_BRACKETS = 2_000
_SAMPLE = 200
# What Label Studio writes of an answer in a table, such as [{"rating": 4}].
_ANSWERS = ("rating", "number")


def without_objects(table: Table, named: Collection[str] = ()) -> Table:
    """A table with a column for each value of the objects that cells hold as text, in place of
    these cells; the table itself if there are none.

    Columns that a person ``named`` stay as they are.
    """
    rows = [item[1] for item in islice(table.rows(), _SAMPLE) if not isinstance(item, Skipped)]
    columns = {
        column: list(dict.fromkeys(name for cell in cells for name in cell))
        for column in table.columns
        if column not in named and (cells := _objects_of(column, [row.get(column) for row in rows]))
    }
    if not columns:
        return table
    names = [name for column in table.columns for name in columns.get(column, [column])]
    return replace(
        table,
        columns=list(dict.fromkeys(names)),
        rows=partial(_rows, table, columns),
        cut=None,
        notes=[*table.notes, f"What the cells of {', '.join(columns)} hold is read by its names."],
    )


def _objects_of(column: str, cells: Sequence[Any]) -> list[dict[str, Any]]:
    """What a column's cells hold, if each that isn't empty holds an object."""
    filled = [cell for cell in cells if not is_missing(cell)]
    if not filled or not all(isinstance(x, str) and x.lstrip()[:1] in ("{", "[") for x in filled):
        return []
    found = [_named(column, cell) for cell in filled]
    return [] if None in found else [each for each in found if each is not None]


def _rows(
    table: Table, columns: Mapping[str, Sequence[str]]
) -> Iterator[tuple[int, Row] | Skipped]:
    for item in table.rows():
        if isinstance(item, Skipped):
            yield item
            continue
        number, row = item
        cells: dict[str, Any] = {}
        for column, cell in row.items():
            if column not in columns:
                cells[column] = cell
                continue
            named = {} if is_missing(cell) else _named(column, cell) or {}
            cells |= {name: named.get(name) for name in columns[column]}
        yield number, cells


def _named(column: str, cell: Any) -> dict[str, Any] | None:
    """The values of a cell's object by path; None for a cell that holds none."""
    value = _value(cell) if isinstance(cell, str) else cell
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        answers = [value[0][key] for key in _ANSWERS if key in value[0]]
        return {column: answers[0]} if answers else None
    return flatten({column: value}) if isinstance(value, dict) and value else None


def _value(text: str) -> Any:
    """The value that a text stands for; None if it stands for none."""
    if len(text) > _LONGEST_CELL or text.count("[") + text.count("{") > _MOST_BRACKETS:
        return None
    try:
        return parse_json(text, "")
    except DataError:
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.literal_eval(text.strip())  # only plain values: nothing of it is executed
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None

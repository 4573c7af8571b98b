"""Excerpts of tables as text for the console, and the forms that numbers take there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from evoked.files import records

Write = Callable[[Any], str]
"""Turns the value of a cell into text."""


@dataclass(frozen=True)
class Excerpt:
    """A small table of text.

    Attributes
    ----------
    title
        Heading of the table.
    columns
        Heading of each column.
    rows
        Cells of each row, in the order of ``columns``.
    whole
        Positions of the columns whose cells are never broken over lines; the first by default.
    """

    title: str
    columns: list[str]
    rows: list[list[str]]
    whole: tuple[int, ...] = (0,)


def excerpt(title: str, table: pd.DataFrame, columns: Mapping[str, Write]) -> Excerpt:
    """Write some columns of a table as text.

    Parameters
    ----------
    title
        Heading of the excerpt.
    table
        Any table.
    columns
        The columns to show, in order, each with the function that writes its cells.
    """
    rows = [[write(row[name]) for name, write in columns.items()] for row in records(table)]
    return Excerpt(title, [name.replace("_", " ") for name in columns], rows)


def matrix_excerpt(
    title: str, table: pd.DataFrame, row_name: str, write: Callable[[dict[str, Any]], str]
) -> Excerpt:
    """Write a long table, with a row for each ``row_name`` and ``metric``, as a matrix.

    Parameters
    ----------
    title
        Heading of the excerpt.
    table
        With the columns ``row_name`` and ``metric``; where ``n`` is 0 the cell is a dash, and a
        metric for which it is always 0 has no column.
    row_name
        Column whose values become the rows.
    write
        Turns a record of the table into the text of its cell.
    """
    if "n" in table:
        table = table[table.groupby("metric")["n"].transform("sum") > 0]
    rows = [
        [str(name), *("–" if row.get("n") == 0 else write(row) for row in records(part))]
        for name, part in table.groupby(row_name, sort=False)
    ]
    return Excerpt(title, ["", *dict.fromkeys(table["metric"])], rows)


def whole(value: float) -> str:
    """A whole number."""
    return f"{int(value)}"


def one_decimal(value: float) -> str:
    """One decimal, or a dash where the value is unknown."""
    return _or_dash(value, ".1f")


def two_decimals(value: float) -> str:
    """Two decimals, or a dash where the value is unknown."""
    return _or_dash(value, ".2f")


def three_decimals(value: float) -> str:
    """Three decimals, or a dash where the value is unknown."""
    return _or_dash(value, ".3f")


def signed_percent(value: float) -> str:
    """A share as a signed percentage, or a dash where it is unknown."""
    return _or_dash(value, "+.0%")


def count_or_number(value: float) -> str:
    """A count or a number of a thousand or more with separators, any other number to three digits,
    or a dash."""
    if isinstance(value, int):
        return f"{value:,}"
    return _or_dash(value, ",.0f" if abs(value) >= 1000 else ".3g")


def yes_or_no(value: bool) -> str:
    """``yes`` or ``no``."""
    return "yes" if value else "no"


def _or_dash(value: float, form: str) -> str:
    return "–" if math.isnan(value) else format(value, form)

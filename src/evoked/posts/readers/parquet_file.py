"""Parquet files with one post per row."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from evoked.parquet import read_names, read_rows
from evoked.posts.readers.base import ReadOptions, Source, require_file
from evoked.posts.readers.packed import is_gzipped, open_gzipped
from evoked.posts.readers.tabular import Row, Table, read_table
from evoked.posts.readers.values import Unreadable

# Of a time zone that doesn't exist, KeyError.
_NOT_OF_PYTHON = (ValueError, OverflowError, KeyError, ImportError, pa.ArrowException)


def read(source: Path, options: ReadOptions) -> Source:
    """Posts from a Parquet file, one per row.

    Pictures are named relative to the file's folder.

    Raises
    ------
    DataError
        There is no such file, it is not Parquet, or no column is recognised.
    """
    return read_table(open_table(source), options)


def open_table(source: Path) -> Table:
    """The table in a Parquet file, of which only the schema is read."""
    require_file(source)
    if is_gzipped(source):
        return open_gzipped(source, lambda copy: [open_table(copy)])[0]
    return Table(source, read_names(source), partial(_rows, source))


def _rows(source: Path) -> Iterator[tuple[int, Row]]:
    number = 0
    for batch in read_rows(source):
        cells = [_values(column) for column in batch.columns]
        for row in zip(*cells, strict=True):
            number += 1
            yield number, dict(zip(batch.schema.names, row, strict=True))


def _values(column: pa.Array) -> list[Any]:
    """Values of Python; in place of one that Python can't hold, what it was."""
    try:
        return column.to_pylist()
    except _NOT_OF_PYTHON:
        return [_value(cell) for cell in column]


def _value(cell: pa.Scalar) -> Any:
    try:
        return cell.as_py()
    except UnicodeDecodeError:
        return Unreadable("text that is not UTF-8")
    except _NOT_OF_PYTHON:
        return Unreadable("no value that a calendar has")

"""JSON Lines: files with one JSON object per line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from evoked.errors import DataError
from evoked.files import parse_json
from evoked.posts.readers.base import ReadOptions, Skipped, Source, require_file
from evoked.posts.readers.tabular import Row, Table, read_table

MAX_LINE_BYTES = 16 * 2**20
"""Longest line that is read; no post is longer."""

_SAMPLE_ROWS = 1000
_MAX_DEPTH = 3


def read(source: Path, options: ReadOptions) -> Source:
    """Posts from a file of JSON objects, one per line.

    Nested objects become columns with dots in their names, such as ``owner.followers``. The columns
    are those of the first thousand lines. Pictures are named relative to the file's folder.

    Raises
    ------
    DataError
        There is no such file, no object in it, or no column that is recognised.
    """
    return read_table(open_table(source), options)


def open_table(source: Path) -> Table:
    """The table in a file of JSON objects, of which the first thousand lines give the columns."""
    require_file(source)
    rows = partial(_rows, source)
    sample = (item[1] for item in islice(rows(), _SAMPLE_ROWS) if not isinstance(item, Skipped))
    columns = list(dict.fromkeys(column for row in sample for column in row))
    if not columns:
        raise DataError(
            "no line holds a JSON object.",
            file=source,
            fix="Write one object per line, not one array for all.",
        )
    return Table(source, columns, rows)


def _rows(source: Path) -> Iterator[tuple[int, Row] | Skipped]:
    number = 0
    with source.open("rb") as stream:
        while line := stream.readline(MAX_LINE_BYTES + 1):
            if len(line) > MAX_LINE_BYTES:
                raise DataError("a line of more than 16 MiB.", file=source, row=number + 1)
            if not line.strip():
                continue
            number += 1
            try:
                value = parse_json(line.removeprefix(b"\xef\xbb\xbf"), source.name)
            except DataError:
                yield Skipped("not JSON", source.name, number)
                continue
            if isinstance(value, dict):
                yield number, _flatten(value)
            else:
                yield Skipped("not a JSON object", source.name, number)


def _flatten(value: Mapping[str, Any], depth: int = 1) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict) and depth < _MAX_DEPTH:
            inner = _flatten(item, depth + 1)
            flat |= {f"{key}.{name}": cell for name, cell in inner.items()}
        else:
            flat[key] = item
    return flat

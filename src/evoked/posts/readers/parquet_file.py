"""Parquet files with one post per row."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from evoked.errors import DataError
from evoked.posts.readers.base import ReadOptions, Source, require_file
from evoked.posts.readers.tabular import Row, Table, read_table

_BATCH_ROWS = 1024


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
    try:
        columns = pq.read_schema(source).names
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"can't be read as Parquet ({error}).", file=source) from error
    return Table(source, columns, partial(_rows, source))


def _rows(source: Path) -> Iterator[tuple[int, Row]]:
    number = 0
    try:
        with pq.ParquetFile(source) as table:
            for batch in table.iter_batches(_BATCH_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"can't be read as Parquet ({error}).", file=source, row=number + 1
        ) from error

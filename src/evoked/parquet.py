"""Reading Parquet files of others: bounds on what they unpack to, and texts that are UTF-8.

A file of a kilobyte can stand for gigabytes: by compression, by one long text that a thousand rows
refer to, by a number that is repeated a billion times. So columns of texts stay references to their
different values until the sizes of all cells are known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from evoked.errors import DataError

MAX_CELL_BYTES = 1_000_000
"""Longest text of a cell, as UTF-8."""

MAX_CELL_VALUES = 1_000_000
"""Most values of a list in a cell."""

_ALWAYS_READ = 256 * 2**20
"""Bytes that any file may unpack to."""

_MOST_TIMES = 64
"""How many times its own size a larger file may unpack to: tables of posts reach ten."""

# As Python's own objects, which rows are given out as, values take several times as much.
_SLICE_BYTES = 4 * 2**20
_BYTES_OF_VALUE = 8


def read_table(path: Path | str, columns: Sequence[str] | None = None) -> pa.Table:
    """A whole Parquet file.

    Parameters
    ----------
    columns
        Only these; the file has to have them.

    Raises
    ------
    DataError
        The file is missing, damaged, lacks a column, unpacks to far more than its size, or holds a
        text that is not UTF-8.
    """
    path = Path(path)
    with _reading(path):
        parts = list(read_batches(path, columns, 16_384))
        if parts:
            return pa.concat_tables(parts)
        with _opened(path) as file:
            schema = file.schema_arrow
        if columns is not None:
            schema = pa.schema([schema.field(name) for name in columns])
        return _plain_table(pa.Table.from_batches([], schema))


def read_batches(
    path: Path | str, columns: Sequence[str] | None = None, rows: int = 16_384
) -> Iterator[pa.Table]:
    """A Parquet file as tables of at most ``rows`` rows, each checked as by :func:`read_table`."""
    path = Path(path)
    with _reading(path):
        chosen = None if columns is None else list(columns)
        with _opened(path) as file:
            names = file.schema_arrow.names
            if missing := [name for name in chosen or () if name not in names]:
                raise DataError(f"the columns {missing} are missing; it has {names}.", file=path)
            first, unpacked, limit = 0, 0, _limit(path)
            for batch in file.iter_batches(rows, columns=chosen):
                unpacked += int(_checked_weights(batch, path, first).sum())
                if unpacked > limit:
                    raise _too_large(path)
                yield _plain_table(pa.Table.from_batches([batch]))
                first += len(batch)


def read_frame(path: Path | str, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """:func:`read_table` as a table of pandas, with at least the named columns."""
    table = read_table(path)
    if missing := [name for name in columns or () if name not in table.column_names]:
        raise DataError(
            f"the columns {missing} are missing; it has {table.column_names}.", file=path
        )
    with _reading(Path(path)):
        return table.to_pandas()


def read_names(path: Path | str) -> list[str]:
    """Names of the columns of a Parquet file."""
    with _reading(Path(path)), _opened(Path(path)) as file:
        return list(file.schema_arrow.names)


def count_rows(path: Path | str) -> int:
    """Number of rows that a Parquet file says it has."""
    with _reading(Path(path)), _opened(Path(path)) as file:
        return int(file.metadata.num_rows)


def read_rows(path: Path, rows: int = 1024) -> Iterator[pa.RecordBatch]:
    """A Parquet file in parts of at most ``rows`` rows and about 4 MiB, unless one row is larger.

    Columns of texts are dictionaries of their different values.

    Raises
    ------
    DataError
        The file is damaged, or a cell is too large.
    """
    with _reading(path), _opened(path) as file:
        first = 0
        for batch in file.iter_batches(rows):
            weights = _checked_weights(batch, path, first)
            yield from _slices(batch, weights)
            first += len(batch)


def plain_rows(batch: pa.RecordBatch) -> pa.Table:
    """Rows as :func:`read_rows` yields them, with texts in place of references to them.

    Raises
    ------
    DataError
        A text is not UTF-8.
    """
    columns = [_decoded(column) for column in batch.columns]
    try:
        for column in columns:
            column.validate(full=True)
    except pa.ArrowInvalid as error:
        raise DataError(f"{str(error).splitlines()[0][:200]}.") from error
    return pa.Table.from_arrays(columns, names=batch.schema.names)


def _slices(batch: pa.RecordBatch, weights: NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
    part = np.cumsum(weights) // _SLICE_BYTES
    edges = np.flatnonzero(np.diff(part)) + 1
    for begin, end in zip([0, *edges], [*edges, len(batch)], strict=True):
        yield batch.slice(begin, end - begin)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what pyarrow raises for damaged files into an error that names the file."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, OverflowError, TypeError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise DataError(f"can't be read as Parquet ({lines[0][:200]}).", file=path) from error


def _opened(path: Path) -> pq.ParquetFile:
    """An open file, its header's sizes checked, texts as dictionaries."""
    if not path.is_file():
        raise DataError("the file does not exist.", file=path)
    with pq.ParquetFile(path) as file:
        metadata, schema = file.metadata, file.schema
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        unpacked = sum(group.total_byte_size for group in groups)
        values = sum(
            group.column(number).num_values
            for group in groups
            for number in range(group.num_columns)
        )
        rows = metadata.num_rows
        texts = [
            schema.column(number).path
            for number in range(len(schema))
            if schema.column(number).physical_type == "BYTE_ARRAY"
        ]
    if max(unpacked, _BYTES_OF_VALUE * max(values, rows)) > _limit(path):
        raise _too_large(path)
    return pq.ParquetFile(path, read_dictionary=texts)


def _limit(path: Path) -> int:
    return max(_ALWAYS_READ, _MOST_TIMES * path.stat().st_size)


def _too_large(path: Path) -> DataError:
    return DataError(
        f"its {path.stat().st_size:,} bytes unpack to more than {_limit(path) // 2**20:,} MiB, "
        "which no table of posts does.",
        file=path,
        fix="Don't use the file if somebody else made it.",
    )


def _checked_weights(batch: pa.RecordBatch, path: Path, first: int) -> NDArray[np.int64]:
    """Bytes of each row once it is unpacked, (n,)."""
    total = np.zeros(len(batch), np.int64)
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        weights, lengths = _weights(column)
        too_large = weights > MAX_CELL_BYTES + _BYTES_OF_VALUE * lengths
        too_large |= lengths > MAX_CELL_VALUES
        if too_large.any():
            raise DataError(
                "the cell holds more than a million bytes of text, or as many values.",
                file=path,
                row=first + int(np.argmax(too_large)) + 1,
                field=name,
                fix="Cut it, or leave the row out.",
            )
        total += weights
    return total


def _weights(array: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Bytes and number of values of each cell, (n,)."""
    kind = array.type
    ones = np.ones(len(array), np.int64)
    if pa.types.is_dictionary(kind):
        own, values = _weights(array.dictionary)
        if not len(own):
            return ones * _BYTES_OF_VALUE, ones
        places = pc.fill_null(array.indices, 0).to_numpy(zero_copy_only=False)
        return own[places], values[places]
    if pa.types.is_struct(kind) and kind.num_fields:
        parts = [_weights(part) for part in array.flatten()]
        weights, values = (np.sum([part[place] for part in parts], axis=0) for place in (0, 1))
        return weights, values
    if _is_list(kind):
        return _list_weights(array)
    if _is_bytes(kind):
        sizes = pc.fill_null(pc.binary_length(array), 0).to_numpy(zero_copy_only=False)
        return sizes.astype(np.int64) + _BYTES_OF_VALUE, ones
    return ones * _BYTES_OF_VALUE, ones


def _list_weights(array: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    inner = array.flatten() if not pa.types.is_map(array.type) else _entries(array)
    lengths = (
        pc.fill_null(pc.list_value_length(array), 0)
        if not pa.types.is_map(array.type)
        else (pa.array(np.diff(array.offsets.to_numpy())))
    )
    ends = np.cumsum(lengths.to_numpy(zero_copy_only=False).astype(np.int64))
    starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
    sums = [np.concatenate([[0], np.cumsum(part)]) for part in _weights(inner)]
    weights, values = (each[ends] - each[starts] for each in sums)
    return weights + _BYTES_OF_VALUE, values + 1


def _entries(array: pa.MapArray) -> pa.StructArray:
    offsets = array.offsets.to_numpy()
    begin, end = (int(offsets[0]), int(offsets[-1])) if len(offsets) else (0, 0)
    return pa.StructArray.from_arrays(
        [array.keys.slice(begin, end - begin), array.items.slice(begin, end - begin)],
        names=["key", "value"],
    )


def _is_list(kind: pa.DataType) -> bool:
    return (
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
        or pa.types.is_map(kind)
    )


def _is_bytes(kind: pa.DataType) -> bool:
    return (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )


def _plain_table(table: pa.Table) -> pa.Table:
    columns = [_plain(table.column(name)) for name in table.column_names]
    return pa.Table.from_arrays(columns, names=table.column_names)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column with texts in place of references to them; checked to be UTF-8."""
    chunks = [_unpacked(chunk) for chunk in column.chunks]
    for chunk in chunks:
        chunk.validate(full=True)
    kind = chunks[0].type if chunks else _unpacked(pa.array([], column.type)).type
    return pa.chunked_array(chunks, kind)


def _unpacked(array: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        array.dictionary.validate(full=True)
    return _decoded(array)


def _decoded(array: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        return array.dictionary_decode()
    if pa.types.is_list(array.type) and pa.types.is_dictionary(array.type.value_type):
        lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        missing = array.is_null() if array.null_count else None
        return pa.ListArray.from_arrays(pa.array(offsets), _decoded(array.flatten()), mask=missing)
    return array

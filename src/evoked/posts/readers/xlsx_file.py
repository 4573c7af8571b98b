"""Excel workbooks (.xlsx): the sheet that holds posts, one per row."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, time
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evoked.errors import DataError
from evoked.posts.readers import csv_file
from evoked.posts.readers.base import (
    ReadOptions,
    Skipped,
    Source,
    open_zip,
    refuse_encoding,
    require_file,
)
from evoked.posts.readers.names import recognise
from evoked.posts.readers.tabular import Row, Table, read_table

MAX_UNPACKED_BYTES = 512 * 2**20
"""Largest sum of the sizes of a workbook's parts, which are packed XML."""

MAX_CELLS = 20_000_000
"""Most cells of a sheet that are read."""

_MAX_SHEETS = 100
# A header stands within the first rows: above it there may be a title and dates.
_FIRST_ROWS = 30


def read(source: Path, options: ReadOptions) -> Source:
    """Posts from the sheet of a workbook whose columns are recognised best.

    Formulas give the values that were stored with them. Pictures are named relative to the file's
    folder.

    Raises
    ------
    DataError
        There is no such file, it is no workbook, it is larger than the bounds, or no column is
        recognised.
    """
    refuse_encoding(options, "xlsx")
    named = [*options.mapping.values(), *options.facts]
    return read_table(open_table(source, named), options)


def open_table(source: Path, named: Collection[str] = ()) -> Table:
    """The table in a workbook, written out as CSV so that all tables are read in the same way.

    ``named`` are columns that a person named.
    """
    require_file(source)
    _check_size(source)
    folder = TemporaryDirectory(prefix="evoked-")
    # Remarks name the file, so the copy has its name.
    copy = Path(folder.name) / source.name
    name, others = _write_sheet(source, copy)
    try:
        table = csv_file.open_table(copy, encoding="utf-8", named=named)
    except DataError as error:
        raise DataError(error.problem, file=source) from error
    notes = [f"{source.name} is read from the sheet {name!r}."]
    if others:
        notes.append(f"Sheets that are not read: {', '.join(others[:10])}.")
    return replace(
        table,
        path=source,
        rows=partial(_rows, folder, table),
        notes=[*notes, *table.notes[1:]],
        cut=None,
    )


def _rows(folder: TemporaryDirectory[str], table: Table) -> Iterator[tuple[int, Row] | Skipped]:
    """The table's rows; the copy lives as long as somebody may ask for them."""
    yield from table.rows()


def _check_size(source: Path) -> None:
    with open_zip(source, "an Excel workbook", "Save it as .xlsx or as CSV.") as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > MAX_UNPACKED_BYTES:
        raise DataError(
            f"{size // 2**20:,} MiB when unpacked; at most {MAX_UNPACKED_BYTES // 2**20} are read.",
            file=source,
            fix="Save the sheet as CSV.",
        )


def _write_sheet(source: Path, copy: Path) -> tuple[str, list[str]]:
    """Write the best sheet to ``copy``; return its name and those of the others."""
    from openpyxl import load_workbook

    try:
        book = load_workbook(source, read_only=True, data_only=True, keep_links=False)
        sheets = book.worksheets[:_MAX_SHEETS]
        best = max(sheets, key=_recognised, default=None)
        if best is None:
            raise DataError("it has no sheet.", file=source)
        with copy.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows(_cells(best, source))
    except DataError:
        raise
    except Exception as error:  # the library raises every kind of exception on hostile files
        raise DataError(
            f"can't be read as an Excel workbook ({type(error).__name__}: {error}).",
            file=source,
            fix="Save it as .xlsx again, or as CSV.",
        ) from error
    book.close()
    return best.title, [sheet.title for sheet in sheets if sheet is not best]


def _recognised(sheet: Any) -> int:
    """How many columns of a sheet are recognised, by the best of its first rows."""
    sheet.reset_dimensions()  # a workbook may state wrong ones
    rows = islice(sheet.iter_rows(values_only=True), _FIRST_ROWS)
    return max(
        (len(recognise(list(dict.fromkeys(_named(row)))).mapping) for row in rows), default=0
    )


def _named(row: Iterable[Any]) -> Iterator[str]:
    return (value for value in row if isinstance(value, str) and value.strip())


def _cells(sheet: Any, source: Path) -> Iterator[Sequence[str]]:
    count = 0
    for row in sheet.iter_rows(values_only=True):
        count += len(row)
        if count > MAX_CELLS:
            raise DataError(
                f"more than {MAX_CELLS:,} cells in a sheet.", file=source, fix="Save it as CSV."
            )
        texts = [_text(value) for value in row]
        while texts and not texts[-1]:
            texts.pop()
        if texts:
            yield texts


def _text(value: Any) -> str:
    """A cell's value as CSV has it."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        midnight = value.time() == time()
        return value.date().isoformat() if midnight else value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)

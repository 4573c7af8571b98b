"""Excel workbooks (.xlsx): the sheets that hold posts, one per row."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import date, datetime, time
from functools import partial
from itertools import chain, islice
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
from evoked.posts.readers.header import header_position
from evoked.posts.readers.joined_tables import read_tables
from evoked.posts.readers.names import recognise
from evoked.posts.readers.packed import is_gzipped, open_gzipped
from evoked.posts.readers.tabular import Row, Table, read_table
from evoked.posts.schema import COUNTS

MAX_UNPACKED_BYTES = 512 * 2**20
"""Largest sum of the sizes of a workbook's parts, which are packed XML."""

MAX_CELLS = 20_000_000
"""Most cells of a sheet that are read."""

MAX_ROWS = 2**20
"""Most rows of a sheet, as Excel has it. A file may number a row at will, and those before it are
made up."""

_MAX_SHEETS = 100
# A header stands within the first rows: above it there may be a title and dates.
_FIRST_ROWS = 30
# A sheet with so many fields is one of posts, however many another one has.
_ENOUGH_FIELDS = 4
# Sheets whose rows look like posts and aren't.
_ABOUT_OTHERS = re.compile(
    r"comment|kommentar|comentari|repl(y|ies)|hashtag|mention|audience|follower|stor(y|ies)|"
    r"summary|overview|competitor|benchmark|daily|コメント|评论|댓글",
    re.IGNORECASE,
)


def read(source: Path, options: ReadOptions) -> Source:
    """Posts from the sheets of a workbook that are tables of posts.

    The sheet whose columns are recognised best comes first. Sheets with the same columns go on
    with it, those with further figures of its posts are joined to it by the ids, and so are tables
    that stand side by side in a sheet. Formulas give the values that were stored with them.
    Pictures are named relative to the file's folder.

    Raises
    ------
    DataError
        There is no such file, it is no workbook, it is larger than the bounds, or no column is
        recognised.
    """
    refuse_encoding(options, "xlsx")
    tables = open_tables(source, [*options.mapping.values(), *options.facts])
    if len(tables) == 1:
        return read_table(tables[0], options)
    inside = replace(options, images=options.images or source.parent)
    return read_tables(tables, inside, source.parent, source.name)


def open_tables(source: Path, named: Collection[str] = ()) -> list[Table]:
    """The tables of posts in a workbook, written out as CSV so that all tables are read in the
    same way.

    ``named`` are columns that a person named.
    """
    require_file(source)
    if is_gzipped(source):
        return open_gzipped(source, partial(open_tables, named=named))
    _check_size(source)
    folder = TemporaryDirectory(prefix="evoked-")
    kept, others = _write_sheets(source, Path(folder.name), named)
    tables = []
    for number, (title, copies) in enumerate(kept):
        try:
            found = [csv_file.open_table(copy, encoding="utf-8", named=named) for copy in copies]
        except DataError as error:
            raise DataError(error.problem, file=source) from error
        notes = [f"{source.name} is read from the sheet {title!r}."]
        if others and not number:
            notes.append(f"Sheets that are not read: {', '.join(others[:10])}.")
        # Remarks name the file, and the sheet where there are several.
        name = source.name if len(kept) == 1 else f"{source.name}, sheet {title}"
        tables += [
            replace(
                table,
                path=source.with_name(name.replace("/", "-")),
                rows=partial(_rows, folder, table),
                notes=[*notes, *table.notes[1:]],
                cut=None,
            )
            for table in found
        ]
    return tables


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


def _write_sheets(
    source: Path, folder: Path, named: Collection[str]
) -> tuple[list[tuple[str, list[Path]]], list[str]]:
    """Write the tables of each sheet of posts to files; return the sheets' names with them, and
    the names of the other sheets."""
    from openpyxl import load_workbook

    try:
        book = load_workbook(source, read_only=True, data_only=True, keep_links=False)
        sheets = book.worksheets[:_MAX_SHEETS]
        if not sheets:
            raise DataError("it has no sheet.", file=source)
        chosen = _chosen(sheets)
        kept = []
        for number, sheet in enumerate(chosen):
            place = folder / str(number)
            place.mkdir()
            kept.append((sheet.title, _write_tables(sheet, place / source.name, named)))
    except DataError:
        raise
    except Exception as error:  # the library raises every kind of exception on hostile files
        raise DataError(
            f"can't be read as an Excel workbook ({type(error).__name__}: {error}).",
            file=source,
            fix="Save it as .xlsx again, or as CSV.",
        ) from error
    book.close()
    return kept, [sheet.title for sheet in sheets if sheet not in chosen]


def _chosen(sheets: Sequence[Any]) -> list[Any]:
    """The sheets of posts, that whose columns are recognised best first."""
    found = {id(sheet): _recognised(sheet) for sheet in sheets}
    order = sorted(sheets, key=lambda sheet: -len(found[id(sheet)]))
    most = found[id(order[0])]
    return [
        sheet
        for sheet in order
        if sheet is order[0]
        or (_is_of_posts(found[id(sheet)], most) and not _ABOUT_OTHERS.search(sheet.title))
    ]


def _is_of_posts(fields: Collection[str], most: Collection[str]) -> bool:
    """Whether a sheet with these fields is one of posts beside one with ``most``."""
    named = {"post_id", "caption", "title"}.intersection(fields)
    counted = set(COUNTS).intersection(fields)
    return bool(named and counted) and 2 * len(fields) >= min(len(most), 2 * _ENOUGH_FIELDS)


def _recognised(sheet: Any) -> Collection[str]:
    """The fields of a sheet, by the best of its first rows."""
    sheet.reset_dimensions()  # a workbook may state wrong ones
    rows = list(islice(_cells(sheet, Path(sheet.title)), _FIRST_ROWS))
    if not rows:
        return {}
    position = header_position(rows)
    header = _with_one_header(rows, position)[position]
    return recognise(list(dict.fromkeys(filter(None, header)))).mapping


def _write_tables(sheet: Any, copy: Path, named: Collection[str]) -> list[Path]:
    """Write a sheet's table to ``copy``, or the tables that stand side by side in it to files
    beside that."""
    rows = _cells(sheet, copy)
    top = list(islice(rows, _FIRST_ROWS))
    position = header_position(top, named) if top else 0
    top = _with_one_header(top, position)
    spans = _side_by_side(top[position]) if top else [(0, None)]
    copies = []
    streams = []
    with ExitStack() as stack:
        for number in range(len(spans)):
            place = copy.parent / str(number) / copy.name
            place.parent.mkdir()
            stream = stack.enter_context(place.open("w", encoding="utf-8", newline=""))
            streams.append(csv.writer(stream))
            copies.append(place)
        for row in chain(top, rows):
            for writer, (first, end) in zip(streams, spans, strict=True):
                if any(row[first:end]):
                    writer.writerow(row[first:end])
    return copies


def _with_one_header(rows: list[Sequence[str]], position: int) -> list[Sequence[str]]:
    """The rows with a header of two lines as one: a title over several columns, and below it the
    names of these, which have no names else."""
    if len(rows) <= position + 1:
        return rows
    header, below = rows[position], rows[position + 1]
    places = [number for number, text in enumerate(below) if text]
    free = [number for number in places if not "".join(header[number : number + 1])]
    if not free or any(map(str.isdecimal, "".join(below))) or min(places) < min(free) - 1:
        return rows
    names, title = [], ""
    for number in range(max(len(header), len(below))):
        title = "".join(header[number : number + 1]) or title
        own = "".join(below[number : number + 1])
        names.append(f"{title} - {own}" if own else "".join(header[number : number + 1]))
    return [*rows[:position], names, *rows[position + 2 :]]


def _side_by_side(header: Sequence[str]) -> list[tuple[int, int | None]]:
    """First column and end of each table whose names stand in a header; usually there is one."""
    blank = [number for number, text in enumerate(header) if not text]
    ends = [*blank, len(header)]
    spans = [
        (first, end)
        for first, end in zip([0, *(number + 1 for number in blank)], ends, strict=True)
        if end > first
    ]
    fields = [recognise(list(dict.fromkeys(header[first:end]))).mapping for first, end in spans]
    if len(spans) > 1 and all("post_id" in mapping for mapping in fields):
        return list(spans)
    return [(0, None)]


def _cells(sheet: Any, source: Path) -> Iterator[Sequence[str]]:
    count = 0
    for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
        if number > MAX_ROWS:
            raise DataError(f"more than {MAX_ROWS:,} rows in a sheet.", file=source)
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

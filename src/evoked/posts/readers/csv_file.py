"""CSV files, in any common encoding and with any common delimiter."""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv

from evoked.errors import DataError
from evoked.posts.readers.base import ReadOptions, Skipped, Source, require_file
from evoked.posts.readers.header import (
    MOST_LINES,
    header_position,
    names_columns,
    note_on_lines_above,
)
from evoked.posts.readers.packed import is_gzipped, open_gzipped
from evoked.posts.readers.tabular import MOST_COLUMNS, Row, Table, read_table
from evoked.posts.readers.text_encoding import find_encoding

MAX_CELL_CHARACTERS = 1_000_000
"""A longer cell is due to a quotation mark that was never closed."""

MORE_CELLS = "more cells than the header has columns"

NEVER_CLOSED = (
    'a quote that opens here is never closed: close it, or write "" for one within a text'
)

_SHOWN_CHARACTERS = 80
_MAX_LINE_CHARACTERS = 16 * 2**20
_MOST_BLANK_LINES = 1_000_000
_SAMPLE_CHARACTERS = 2**18
_WIDTH_LINES = 1000
_DECLARED = re.compile(r'"?sep=(.)"?[,;\t|]*', re.IGNORECASE)
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


def read(source: Path, options: ReadOptions) -> Source:
    """Posts from a CSV file with a header, one per row.

    The encoding is found by :mod:`evoked.posts.readers.text_encoding` unless the options give it.
    The delimiter is the one among ``, ; tab |`` that gives most rows as many cells as
    the header. Pictures are named relative to the file's folder.

    Raises
    ------
    DataError
        There is no such file, no header, or no column that is recognised.
    """
    named = [*options.mapping.values(), *options.facts]
    return read_table(open_table(source, named=named, encoding=options.encoding), options)


def open_table(
    source: Path,
    is_header: Callable[[list[str]], bool] | None = None,
    named: Collection[str] = (),
    encoding: str | None = None,
) -> Table:
    """The table in a CSV file, of which only the first lines are read.

    Parameters
    ----------
    is_header
        Function that decides whether the cells of the first line are column names. If they are not,
        the columns are called 1, 2, 3 …, and spaces may separate them too. By default, the header
        is looked for below the title of a report (see :mod:`evoked.posts.readers.header`).
    named
        Columns that a person named.
    encoding
        The file's encoding; found by its bytes if left out.
    """
    require_file(source)
    if is_gzipped(source):
        return open_gzipped(source, lambda copy: [open_table(copy, is_header, named, encoding)])[0]
    encoding = encoding or find_encoding(source)
    delimiter = _declared_delimiter(source, encoding) or _detect_delimiter(
        source, encoding, _DELIMITERS, None if is_header else named
    )
    top = _top_records(source, encoding, delimiter)
    position = (
        0 if is_header else header_position([cells[: MOST_COLUMNS + 1] for cells, _ in top], named)
    )
    columns = _column_names(top[position][0] if top else [], source)
    notes = [f"{source.name} is read as {encoding}, separated by {_DELIMITERS[delimiter]}s."]
    if position:
        notes.append(note_on_lines_above(source.name, [cells for cells, _ in top[:position]]))
    has_header = is_header is None or is_header(columns)
    if not has_header:
        names = _DELIMITERS | {" ": "space"}
        delimiter = _detect_delimiter(source, encoding, names)
        with _open(source, encoding) as stream:
            lines = csv.reader(islice(_lines(stream, source), _WIDTH_LINES), delimiter=delimiter)
            width = max(map(len, lines))
        columns = [str(number) for number in range(1, width + 1)]
        notes = [
            f"{source.name} has no header: it is read as {encoding}, separated by "
            f"{names[delimiter]}s, and its columns are called {', '.join(columns)}."
        ]
    above = (position + 1, top[position][1]) if has_header else (0, 0)
    form = (source, encoding, delimiter, columns)
    return Table(
        source,
        columns,
        partial(_rows, *form, above[0]),
        notes,
        partial(_columns, *form, above[1]),
        has_width=True,
    )


def _open(source: Path, encoding: str) -> TextIO:
    return source.open(encoding=encoding, errors="replace", newline="")


def _detect_delimiter(
    source: Path, encoding: str, delimiters: Iterable[str], named: Collection[str] | None = None
) -> str:
    """The delimiter that fits best; the header is the first line unless ``named`` is given."""
    with _open(source, encoding) as stream:
        sample = stream.read(_SAMPLE_CHARACTERS)
    return max(delimiters, key=lambda delimiter: _regularity(sample, delimiter, named))


def _regularity(
    sample: str, delimiter: str, named: Collection[str] | None
) -> tuple[bool, float, int]:
    """How well a delimiter fits a sample: whether it parts names that are known, the share of rows
    as wide as the header, and the width."""
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    try:
        lines = csv.reader(io.StringIO(sample), delimiter=delimiter)
        rows = [row[: MOST_COLUMNS + 1] for row in lines if row]
    except csv.Error:
        return False, 0.0, 0
    position = 0 if named is None else header_position(rows[:MOST_LINES], named)
    widths = list(map(len, rows[position:]))
    if not widths or widths[0] < 2:
        return False, 0.0, 0
    are_known = named is not None and names_columns(rows[position])
    return are_known, widths.count(widths[0]) / len(widths), widths[0]


def _declared_delimiter(source: Path, encoding: str) -> str:
    """The delimiter that a first line such as ``sep=;`` declares; "" if none does."""
    with _open(source, encoding) as stream:
        match = _DECLARED.fullmatch(stream.readline(_SHOWN_CHARACTERS).strip("\ufeff\r\n"))
    return match[1] if match and match[1] in _DELIMITERS else ""


def _lines(stream: TextIO, source: Path) -> Iterator[str]:
    blank = 0
    while line := stream.readline(_MAX_LINE_CHARACTERS):
        blank = 0 if line.strip() else blank + 1
        if blank > _MOST_BLANK_LINES:
            raise DataError(
                f"more than {_MOST_BLANK_LINES:,} empty lines in a row.",
                file=source,
                fix="Leave them out.",
            )
        if len(line) == _MAX_LINE_CHARACTERS:
            raise DataError("a line of more than 16 million characters.", file=source)
        yield line


class _Lines(Iterator[str]):
    """Lines of a stream; those of the current record can be read again.

    Attributes
    ----------
    record
        The lines of the record so far.
    ended
        Whether the record went on past the last line.
    """

    def __init__(self, stream: TextIO, source: Path) -> None:
        self._fresh = _lines(stream, source)
        self._again: deque[str] = deque()
        self.record: list[str] = []
        self.ended = False

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._fresh, None)
        if line is None:
            self.ended = True
            raise StopIteration
        self.record.append(line)
        return line

    def begin(self) -> None:
        """Go on to the next record."""
        self.record, self.ended = [], False

    def put_back(self) -> None:
        """Let all lines of the record but its first be read again."""
        self._again.extendleft(reversed(self.record[1:]))


def _records(
    stream: TextIO, source: Path, delimiter: str, width: int
) -> Iterator[list[str] | Skipped]:
    """The cells of each record that has any, or why they can't be read, without a row number.

    Of a quote that is never closed, only the line that opens it is lost.
    """
    lines = _Lines(stream, source)
    reader = csv.reader(lines, delimiter=delimiter)
    runs_on = _running_on(delimiter, width)
    while True:
        lines.begin()
        try:
            cells, problem = next(reader), ""
        except StopIteration:
            return
        except csv.Error as error:
            cells, problem = [], f"can't be split into cells ({error})"
        if lines.ended or (len(lines.record) > 1 and (problem or runs_on(lines.record, cells))):
            problem = NEVER_CLOSED
        if problem:
            yield Skipped(problem, source.name, value=lines.record[0].strip()[:_SHOWN_CHARACTERS])
            lines.put_back()
        elif cells:
            yield cells


def _running_on(delimiter: str, width: int) -> Callable[[list[str], list[str]], bool]:
    """A function of a record's lines and cells: whether a quote of it was closed in another record.

    Either the closing quote was meant to open a cell: it is where cells begin, and text follows. Or
    cells are missing, and a line that was taken for text has as many cells as the header.
    """
    ends = re.escape(delimiter) + r"\r\n"
    opened_anew = re.compile(
        rf'(?:\A|{re.escape(delimiter)})"(?:[^"\r\n]|"")*+[\r\n](?:[^"]|"")*+'
        rf'(?<=[{ends}])"(?=[^{ends}])'
    )

    def runs_on(record: list[str], cells: list[str]) -> bool:
        if len(cells) < width:
            return any(line.count(delimiter) == width - 1 for line in record[1:])
        return opened_anew.search("".join(record)) is not None

    return runs_on


def _top_records(source: Path, encoding: str, delimiter: str) -> list[tuple[list[str], int]]:
    """The cells of the first records that have any, and the number of lines until their ends."""
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    found: list[tuple[list[str], int]] = []
    with _open(source, encoding) as stream:
        lines = _Lines(stream, source)
        reader, number = csv.reader(lines, delimiter=delimiter), 0
        while len(found) < MOST_LINES:
            lines.begin()
            try:
                cells, problem = next(reader), NEVER_CLOSED if lines.ended else ""
            except StopIteration:
                break
            except csv.Error as error:
                cells, problem = [], str(error)
            if problem and found:
                break
            if problem:
                raise DataError(
                    f"the header can't be read ({problem}).",
                    file=source,
                    fix="Mend the first line.",
                )
            number += len(lines.record)
            if cells:
                found.append((cells, number))
    return found


def _column_names(header: list[str], source: Path) -> list[str]:
    names = [name.strip().strip("\ufeff") for name in header]
    if not any(names):
        raise DataError(
            "there is no header.", file=source, fix="Let the first line name the columns."
        )
    first: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        first.setdefault(name, number)
    return [
        name if name and first[name] == number else f"{name} (column {number})".strip()
        for number, name in enumerate(names, start=1)
    ]


def _rows(
    source: Path, encoding: str, delimiter: str, columns: list[str], header_records: int
) -> Iterator[tuple[int, Row] | Skipped]:
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    with _open(source, encoding) as stream:
        records = _records(stream, source, delimiter, len(columns))
        for number, cells in enumerate(islice(records, header_records, None), start=1):
            if isinstance(cells, Skipped):
                yield replace(cells, row=number)
            elif len(cells) > len(columns) and any(cells[len(columns) :]):
                value = f"{len(cells)} instead of {len(columns)}"
                yield Skipped(MORE_CELLS, source.name, number, value=value)
            else:
                yield number, dict(zip(columns, cells, strict=False))


def _columns(
    source: Path,
    encoding: str,
    delimiter: str,
    columns: list[str],
    header_lines: int,
    wanted: Sequence[str],
) -> tuple[pd.DataFrame, list[Skipped]]:
    """Some columns as texts, by Arrow's reader; see :func:`evoked.posts.readers.tabular`."""
    skipped: list[Skipped] = []
    short: dict[int, dict[str, str]] = {}  # rows that leave their last cells out

    def set_aside(row: Any) -> str:
        number = row.number - header_lines
        if row.actual_columns < row.expected_columns:
            cells = next(csv.reader([row.text], delimiter=delimiter), [])
            short[number] = dict(zip(columns, cells, strict=False))
        else:
            value = f"{row.actual_columns} instead of {row.expected_columns}"
            skipped.append(Skipped(MORE_CELLS, source.name, number, value=value))
        return "skip"

    try:
        table = pa_csv.read_csv(
            source,
            read_options=pa_csv.ReadOptions(
                use_threads=False,  # with threads, Arrow doesn't give the number of a bad row
                column_names=columns,
                skip_rows=header_lines,
                block_size=_MAX_LINE_CHARACTERS,
                encoding="utf-8" if encoding == "utf-8-sig" else encoding,
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=set_aside
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(wanted, pa.string()),
                include_columns=list(dict.fromkeys(wanted)),
                strings_can_be_null=False,
            ),
        )
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        raise DataError(f"can't be split into cells ({error}).", file=source) from error
    aside = sorted({*short, *(row.row for row in skipped if row.row is not None)})
    numbers = np.arange(1, table.num_rows + len(aside) + 1)
    frame = table.to_pandas().set_axis(np.delete(numbers, np.array(aside, dtype=int) - 1))
    if short:
        padded = pd.DataFrame.from_dict(short, orient="index").reindex(columns=frame.columns)
        frame = pd.concat([frame, padded]).sort_index()
    return frame, skipped

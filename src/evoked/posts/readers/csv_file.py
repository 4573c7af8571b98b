"""CSV files, in any common encoding and with any common delimiter."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
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
from evoked.posts.readers.tabular import Row, Table, read_table

MAX_CELL_CHARACTERS = 1_000_000
"""A longer cell is due to a quotation mark that was never closed."""

MORE_CELLS = "more cells than the header has columns"

NEVER_CLOSED = (
    'a quote that opens here is never closed: close it, or write "" for one within a text'
)

_SHOWN_CHARACTERS = 80
_MAX_LINE_CHARACTERS = 16 * 2**20
_BLOCK = 2**20
# Of UTF-16, every other byte is null where the text is Latin; of other files hardly any.
_MOST_NULL_BYTES = 0.02
_STRAY_BYTES = 400
_SAMPLE_CHARACTERS = 2**18
_WIDTH_LINES = 1000
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


def read(source: Path, options: ReadOptions) -> Source:
    """Posts from a CSV file with a header, one per row.

    The encoding is UTF-8 (or UTF-16 or UTF-32) where the bytes allow it, else Windows-1252,
    else Latin-1. The delimiter is the one among ``, ; tab |`` that gives most rows as many cells as
    the header. Pictures are named relative to the file's folder.

    Raises
    ------
    DataError
        There is no such file, no header, or no column that is recognised.
    """
    return read_table(open_table(source), options)


def open_table(source: Path, is_header: Callable[[list[str]], bool] | None = None) -> Table:
    """The table in a CSV file, of which only the first line is read.

    Parameters
    ----------
    is_header
        Function that decides whether the cells of the first line are column names; by default they
        are. If they are not, the columns are called 1, 2, 3 …, and spaces may separate them too.
    """
    require_file(source)
    encoding = _detect_encoding(source)
    delimiter = _detect_delimiter(source, encoding, _DELIMITERS)
    columns = _header(source, encoding, delimiter)
    notes = [f"{source.name} is read as {encoding}, separated by {_DELIMITERS[delimiter]}s."]
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
    form = (source, encoding, delimiter, columns, has_header)
    return Table(
        source, columns, partial(_rows, *form), notes, partial(_columns, *form), has_width=True
    )


def _detect_encoding(source: Path) -> str:
    with source.open("rb") as stream:
        start = stream.read(_BLOCK)
    # The mark of UTF-32 begins as that of UTF-16 does.
    if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if start.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if start.count(0) > len(start) * _MOST_NULL_BYTES and (wide := _wide_encoding(source, start)):
        return wide
    for encoding in ("utf-8", "cp1252"):
        if _decodes(source, encoding):
            return encoding
    return "latin-1"  # takes any byte


def _wide_encoding(source: Path, start: bytes) -> str | None:
    """The encoding of a file in which null bytes are frequent and that has no mark; None if they
    are only strays in a small one."""
    for encoding in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"):
        text = start[: len(start) // 4 * 4].decode(encoding, errors="replace")
        is_table = "\n" in text and any(sign in text for sign in _DELIMITERS)
        if is_table and "\0" not in text and _decodes(source, encoding):
            return encoding
    if len(start) < _STRAY_BYTES:
        return None
    raise DataError(
        "null bytes are all over it, and it is neither UTF-16 nor UTF-32.",
        file=source,
        fix="Save the table as CSV in UTF-8.",
    )


def _decodes(source: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with source.open("rb") as stream:
            while block := stream.read(_BLOCK):
                decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _open(source: Path, encoding: str) -> TextIO:
    return source.open(encoding=encoding, errors="replace", newline="")


def _detect_delimiter(source: Path, encoding: str, delimiters: Iterable[str]) -> str:
    with _open(source, encoding) as stream:
        sample = stream.read(_SAMPLE_CHARACTERS)
    return max(delimiters, key=lambda delimiter: _regularity(sample, delimiter))


def _regularity(sample: str, delimiter: str) -> tuple[float, int]:
    """How well a delimiter fits a sample: share of rows as wide as the header, then the width."""
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    try:
        widths = [len(row) for row in csv.reader(io.StringIO(sample), delimiter=delimiter) if row]
    except csv.Error:
        return 0.0, 0
    if not widths or widths[0] < 2:
        return 0.0, 0
    return sum(width == widths[0] for width in widths) / len(widths), widths[0]


def _lines(stream: TextIO, source: Path) -> Iterator[str]:
    while line := stream.readline(_MAX_LINE_CHARACTERS):
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


def _header(source: Path, encoding: str, delimiter: str) -> list[str]:
    with _open(source, encoding) as stream:
        lines = _Lines(stream, source)
        try:
            header = next(csv.reader(lines, delimiter=delimiter), [])
        except csv.Error as error:
            raise DataError(f"the header can't be read ({error}).", file=source) from error
    if header and lines.ended:
        raise DataError("the header can't be read.", file=source, fix=f"In it, {NEVER_CLOSED}.")
    names = [name.strip().strip("\ufeff") for name in header]
    if not any(names):
        raise DataError(
            "there is no header.", file=source, fix="Let the first line name the columns."
        )
    return [
        f"{name} (column {number})".strip() if not name or name in names[: number - 1] else name
        for number, name in enumerate(names, start=1)
    ]


def _rows(
    source: Path, encoding: str, delimiter: str, columns: list[str], has_header: bool
) -> Iterator[tuple[int, Row] | Skipped]:
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    with _open(source, encoding) as stream:
        records = _records(stream, source, delimiter, len(columns))
        for number, cells in enumerate(islice(records, int(has_header), None), start=1):
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
    has_header: bool,
    wanted: Sequence[str],
) -> tuple[pd.DataFrame, list[Skipped]]:
    """Some columns as texts, by Arrow's reader; see :func:`evoked.posts.readers.tabular`."""
    skipped: list[Skipped] = []
    short: dict[int, dict[str, str]] = {}  # rows that leave their last cells out

    def set_aside(row: Any) -> str:
        number = row.number - has_header
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
                skip_rows=int(has_header),
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

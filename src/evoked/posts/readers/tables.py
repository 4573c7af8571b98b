"""Several tables as one source: a folder of monthly files, or a zip archive as downloaded."""

from __future__ import annotations

import zipfile
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from evoked.errors import DataError
from evoked.posts.readers import csv_file, jsonl_file, parquet_file, xlsx_file
from evoked.posts.readers.base import (
    PICTURE_SUFFIXES,
    PostRecord,
    ReadOptions,
    Remark,
    Skipped,
    Source,
    walk_files,
)
from evoked.posts.readers.columns import choose_mapping
from evoked.posts.readers.tabular import Row, Table, read_table

MAX_UNPACKED_BYTES = 4 * 2**30
"""Largest sum of the sizes of the tables and pictures in a zip archive."""

MAX_MEMBERS = 200_000
"""Most files in a zip archive."""

LEFT_OUT = "a file that is no table of posts, left out"
"""The remark on such a file of a folder or an archive."""

OPENERS: dict[str, Callable[[Path], Table]] = {
    ".csv": csv_file.open_table,
    ".tsv": csv_file.open_table,
    ".xlsx": xlsx_file.open_table,
    ".json": jsonl_file.open_table,
    ".jsonl": jsonl_file.open_table,
    ".ndjson": jsonl_file.open_table,
    ".js": jsonl_file.open_table,
    ".parquet": parquet_file.open_table,
}
"""Function that opens a table, by the ending of its file's name."""

_BLOCK = 2**20
# What makes a table one of posts rather than one of days.
_ABOUT_POSTS = ("post_id", "caption", "title", "images")


def read(source: Path, options: ReadOptions) -> Source:
    """Posts from all tables of a folder or a zip archive: CSV, Excel, JSON, JSON Lines, Parquet.

    Files with the same columns are one table, so that its dates and numbers are read alike. A file
    that is no table, or one of days beside tables of posts, is left out with a remark. Pictures are
    named relative to the folder; bare names are searched in its subfolders.

    Raises
    ------
    DataError
        The source is neither a folder nor a zip archive, is larger than the bounds, or holds no
        table of posts; or ratings of its tables seem to be on different scales.
    """
    if source.is_dir():
        return _read_folder(source, options, source.name)
    if not source.is_file():
        raise DataError("there is no such file or folder.", file=source)
    folder = TemporaryDirectory(prefix="evoked-")
    _unpack(source, Path(folder.name))
    reading = _read_folder(Path(folder.name), options, source.name)
    # The copies live as long as the records are read.
    return replace(reading, records=_keeping(folder, reading.records))


def _keeping(
    folder: TemporaryDirectory[str], records: Iterator[PostRecord | Remark]
) -> Iterator[PostRecord | Remark]:
    yield from records
    folder.cleanup()


def _read_folder(folder: Path, options: ReadOptions, name: str) -> Source:
    tables: list[Table] = []
    left_out: list[Remark] = []
    for path in walk_files(folder):
        opener = OPENERS.get(path.suffix.lower())
        if opener is None:
            continue
        place = path.relative_to(folder).as_posix()
        try:
            table = _open(opener, path, options)
            if choose_mapping(table.columns, options.mapping if not tables else {}):
                tables.append(table)
            else:
                left_out.append(Skipped(LEFT_OUT, place, value="no column is recognised"))
        except DataError as error:
            left_out.append(Skipped(LEFT_OUT, place, value=error.problem))
    kept = [table for table in tables if _is_about_posts(table)] or tables
    left_out += [
        Skipped(LEFT_OUT, table.path.relative_to(folder).as_posix(), value="neither ids nor texts")
        for table in tables
        if table not in kept
    ]
    if not kept:
        reasons = "; ".join(f"{remark.file}: {remark.value}" for remark in left_out[:3])
        raise DataError(
            f"no table of posts in it{f' ({reasons})' if reasons else ''}.",
            file=name,
            fix=f"Files that are read end in {', '.join(OPENERS)}.",
        )
    groups: dict[tuple[str, ...], list[Table]] = {}
    for table in kept:
        groups.setdefault(tuple(sorted(table.columns)), []).append(table)
    inside = replace(options, images=options.images or folder)
    readings = [_read_group(group, inside, folder) for group in groups.values()]
    return _merged(readings, left_out, [table.path.name for table in kept], name)


def _open(opener: Callable[[Path], Table], path: Path, options: ReadOptions) -> Table:
    if opener is csv_file.open_table:
        return csv_file.open_table(path, encoding=options.encoding)
    return opener(path)


def _is_about_posts(table: Table) -> bool:
    mapping = choose_mapping(table.columns, {})
    return any(name in mapping for name in _ABOUT_POSTS)


class _Joined:
    """The rows of tables with equal columns, numbered from the first to the last."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self.tables = tables
        self._starts: list[int] = []

    def rows(self) -> Iterator[tuple[int, Row] | Skipped]:
        """All rows; those left out keep the file and number that they have."""
        last = 0
        self._starts.clear()
        for table in self.tables:
            start = last
            self._starts.append(start)
            for item in table.rows():
                if isinstance(item, Skipped):
                    yield item
                else:
                    last = start + item[0]
                    yield last, item[1]

    def place(self, record: PostRecord | Remark) -> PostRecord | Remark:
        """A record or a remark with the file and number of its row."""
        if isinstance(record, Skipped) or record.row is None:
            return record
        number = bisect_right(self._starts, record.row - 1) - 1
        where: dict[str, Any] = {
            "file": self.tables[number].path.name,
            "row": record.row - self._starts[number],
        }
        if isinstance(record, Remark):
            return replace(record, **where)
        remarks = [replace(remark, **where) for remark in record.remarks]
        return replace(record, remarks=remarks, **where)


def _read_group(tables: Sequence[Table], options: ReadOptions, folder: Path) -> Source:
    if len(tables) == 1:
        return read_table(tables[0], options)
    joined = _Joined(tables)
    notes = list(dict.fromkeys(note for table in tables for note in table.notes))
    table = Table(folder / tables[0].path.name, tables[0].columns, joined.rows, notes)
    reading = read_table(table, options)
    return replace(reading, records=map(joined.place, reading.records))


def _merged(
    readings: Sequence[Source], left_out: list[Remark], files: Sequence[str], name: str
) -> Source:
    first = readings[0]
    scales: dict[str, tuple[float, float]] = {}
    for reading in readings:
        for dimension, scale in reading.scales.items():
            if scales.setdefault(dimension, scale) != scale:
                raise DataError(
                    f"ratings of {dimension} in its tables seem to be on different scales.",
                    file=name,
                    fix=f"Say on which they were made: --scale {dimension}=LOW:HIGH.",
                )
    mapping: dict[str, str] = {}
    for reading in readings:
        for field, column in reading.mapping.items():
            known = mapping.setdefault(field, column)
            if column not in known.split(", "):
                mapping[field] = f"{known}, {column}"
    listed = ", ".join(files[:5]) + (f" and {len(files) - 5} more" if len(files) > 5 else "")
    notes = [f"{name} holds {len(files)} tables, read as one: {listed}."]
    notes += dict.fromkeys(note for reading in readings for note in reading.notes)
    counts = [reading.total for reading in readings if reading.total is not None]
    return replace(
        first,
        records=_chained(left_out, readings),
        total=sum(counts) + len(left_out) if len(counts) == len(readings) else None,
        mapping=mapping,
        scales=scales,
        notes=notes if len(files) > 1 else notes[1:],
        warnings=list(dict.fromkeys(each for reading in readings for each in reading.warnings)),
        facts={fact: kind for reading in readings for fact, kind in reading.facts.items()},
    )


def _chained(
    left_out: Sequence[Remark], readings: Sequence[Source]
) -> Iterator[PostRecord | Remark]:
    yield from left_out
    for reading in readings:
        yield from reading.records


def _unpack(source: Path, folder: Path) -> None:
    """Write the tables and pictures of a zip archive into a folder, and nothing outside of it."""
    try:
        with zipfile.ZipFile(source) as archive:
            members = [member for member in archive.infolist() if _is_wanted(member.filename)]
            if len(archive.infolist()) > MAX_MEMBERS:
                raise DataError(f"more than {MAX_MEMBERS:,} files in one archive.", file=source)
            left = MAX_UNPACKED_BYTES
            for member in members:
                path = folder.joinpath(*PurePosixPath(member.filename).parts)
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as packed, path.open("wb") as stream:
                    left -= _copy(packed, stream, left, source)
    except DataError:
        raise
    except Exception as error:  # damaged, encrypted, compressed in an unknown way …
        raise DataError(
            f"can't be unpacked ({error}).", file=source, fix="Unpack it, and give the folder."
        ) from error


def _copy(packed: Any, stream: Any, limit: int, source: Path) -> int:
    size = 0
    while block := packed.read(_BLOCK):  # the size that the archive states may be wrong
        size += len(block)
        if size > limit:
            raise DataError(
                f"larger than {MAX_UNPACKED_BYTES // 2**30} GiB when unpacked.",
                file=source,
                fix="Unpack it, and give the folder.",
            )
        stream.write(block)
    return size


def _is_wanted(name: str) -> bool:
    """Whether a member is a table or a picture, at a place below the folder."""
    path = PurePosixPath(name)
    plain = not path.is_absolute() and "\\" not in name and ":" not in name and "\0" not in name
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return plain and not hidden and path.suffix.lower() in (*OPENERS, *PICTURE_SUFFIXES)

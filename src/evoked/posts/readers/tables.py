"""Several tables as one source: a folder of monthly files, or a zip archive as downloaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from evoked.errors import DataError
from evoked.posts.readers import csv_file, jsonl_file, parquet_file, xlsx_file
from evoked.posts.readers.base import ReadOptions, Remark, Skipped, Source, walk_files
from evoked.posts.readers.columns import choose_mapping
from evoked.posts.readers.joined_tables import read_tables
from evoked.posts.readers.packed import holds_archives, read_unpacked, suffix_of
from evoked.posts.readers.tabular import Table

LEFT_OUT = "a file that is no table of posts, left out"
"""The remark on such a file of a folder or an archive."""

OPENERS: dict[str, Callable[[Path], Table | list[Table]]] = {
    ".csv": csv_file.open_table,
    ".tsv": csv_file.open_table,
    ".xlsx": xlsx_file.open_tables,
    ".json": jsonl_file.open_table,
    ".jsonl": jsonl_file.open_table,
    ".ndjson": jsonl_file.open_table,
    ".js": jsonl_file.open_table,
    ".parquet": parquet_file.open_table,
}
"""Function that opens a table, or those of a workbook, by the ending of its file's name."""

# What makes a table one of posts rather than one of days.
_ABOUT_POSTS = ("post_id", "caption", "title", "images")


def read(source: Path, options: ReadOptions) -> Source:
    """Posts from all tables of a folder or a zip archive: CSV, Excel, JSON, JSON Lines, Parquet.

    Files with the same columns are one table, so that its dates and numbers are read alike; a
    table of further figures of another's posts is joined to it by the ids. A file
    that is no table, or one of days beside tables of posts, is left out with a remark. Pictures are
    named relative to the folder; bare names are searched in its subfolders. Archives within the
    source are unpacked.

    Raises
    ------
    DataError
        The source is neither a folder nor a zip archive, is larger than the bounds, or holds no
        table of posts; or ratings of its tables seem to be on different scales.
    """
    if source.is_dir() and not holds_archives(source):
        return _read_folder(source, options, source.name)
    if not source.exists():
        raise DataError("there is no such file or folder.", file=source)
    return read_unpacked(source, lambda folder: _read_folder(folder, options, source.name))


def is_table(name: str) -> bool:
    """Whether a file's name ends as those of tables do."""
    return suffix_of(name) in OPENERS


def _read_folder(folder: Path, options: ReadOptions, name: str) -> Source:
    tables: list[Table] = []
    left_out: list[Remark] = []
    for path in walk_files(folder):
        if not is_table(path.name):
            continue
        place = path.relative_to(folder).as_posix()
        try:
            for table in _open(path, options):
                if choose_mapping(table.columns, options.mapping if not tables else {}):
                    tables.append(table)
                else:
                    left_out.append(Skipped(LEFT_OUT, place, value="no column is recognised"))
        except DataError as error:
            left_out.append(Skipped(LEFT_OUT, place, value=error.problem))
    kept = [table for table in tables if is_about_posts(table)] or tables
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
    inside = replace(options, images=options.images or folder)
    return read_tables(kept, inside, folder, name, left_out)


def _open(path: Path, options: ReadOptions) -> list[Table]:
    opener = OPENERS[suffix_of(path.name)]
    if opener is csv_file.open_table:
        return [csv_file.open_table(path, encoding=options.encoding)]
    found = opener(path)
    return found if isinstance(found, list) else [found]


def is_about_posts(table: Table) -> bool:
    """Whether a table's columns are those of posts rather than of days."""
    mapping = choose_mapping(table.columns, {})
    return any(name in mapping for name in _ABOUT_POSTS)

"""Find out what a source is, and read it as that."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from evoked.errors import DataError
from evoked.files import parse_json
from evoked.posts.readers import READERS
from evoked.posts.readers.base import (
    MAX_JSON_BYTES,
    ReadOptions,
    Source,
    dig,
)
from evoked.posts.readers.instagram_export import is_export
from evoked.posts.readers.instaloader import is_download
from evoked.posts.readers.packed import (
    content_of,
    holds_archives,
    is_gzipped,
    names_in,
    read_unpacked,
    start_of,
    suffix_of,
)
from evoked.posts.readers.tables import OPENERS, is_table

_WORDS = {
    "csv": "a CSV table",
    "jsonl": "JSON",
    "parquet": "a Parquet table",
    "xlsx": "an Excel workbook",
    "tables": "tables of posts",
    "instaloader": "a download of Instaloader",
    "instagram-export": "Instagram's own export of an account",
    "label-studio": "an export of Label Studio",
    "iaed": "a dataset in the layout of IAED",
    "pixelrec": "a dataset in the layout of PixelRec",
}
_OLD_EXCEL = bytes.fromhex("d0cf11e0a1b11ae1")
_STARTS = {b"PAR1": "parquet", b"PK\x03\x04": "zip", _OLD_EXCEL: "xls"}
_LONGEST_START = 4096
_OF_TASKS = ("data", "annotations", "completions")


def read(source: Path, options: ReadOptions) -> Source:
    """Posts from whatever the source is: a table, a workbook, an export, a folder, a zip archive.

    A note says what it was taken for.

    Raises
    ------
    DataError
        There is no such file or folder, or it is nothing that can be read.
    """
    taken = find_format(source)
    if _is_unpacked(source, taken):
        reading = read_unpacked(source, lambda folder: READERS[taken](folder, options))
    else:
        reading = READERS[taken](source, options)
    of = f", with the columns of {reading.platform}" if reading.platform else ""
    notes = [f"{source.name} is taken for {_WORDS[taken]}{of}.", *reading.notes]
    return replace(reading, notes=notes, taken_for=taken)


def find_format(source: Path) -> str:
    """The name of the reader that a file or folder is for.

    Raises
    ------
    DataError
        There is no such file or folder, or no reader for it.
    """
    if source.is_dir():
        return _format_of_folder(source)
    if not source.is_file():
        raise DataError("there is no such file or folder.", file=source)
    start = start_of(source, _LONGEST_START)
    kind = next((kind for mark, kind in _STARTS.items() if start.startswith(mark)), "")
    if kind == "zip":
        return _format_of_zip(source)
    if kind == "xls":
        raise DataError(
            "an Excel file of before 2007.", file=source, fix="Save it as .xlsx or as CSV."
        )
    if kind:
        return kind
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] == b"<":
        raise DataError("a web page or XML, not a table.", file=source, fix="Save it as CSV.")
    if text[:1] in (b"[", b"{") or OPENERS.get(suffix_of(source.name)) is OPENERS[".json"]:
        return "label-studio" if _is_label_studio(source, text) else "jsonl"
    return "csv"


def _is_label_studio(source: Path, start: bytes) -> bool:
    if start[:1] != b"[" or not any(f'"{name}"'.encode() in start for name in _OF_TASKS):
        return False
    try:
        tasks = parse_json(content_of(source, MAX_JSON_BYTES), source)
    except DataError:
        return False
    annotated = (dig(tasks, 0, name) for name in ("annotations", "completions"))
    return isinstance(dig(tasks, 0, "data"), dict) and any(
        isinstance(each, list) for each in annotated
    )


def _is_unpacked(source: Path, taken: str) -> bool:
    """Whether a source is unpacked for its reader; two of them read zip archives themselves."""
    return taken == "instaloader" if source.is_file() else holds_archives(source)


def _format_of_zip(source: Path) -> str:
    names = names_in(source)
    if "xl/workbook.xml" in names:
        return "xlsx"
    if is_gzipped(source):
        raise DataError(
            "a zip archive that gzip packed once more.", file=source, fix="Unpack it with gunzip."
        )
    return _format_of_names(names) or "tables"


def _format_of_folder(source: Path) -> str:
    names = names_in(source)
    found = _format_of_names(names)
    if found:
        return found
    if {"posts.csv", "annotations.csv"} <= set(names):
        return "iaed"
    if "item_info.csv" in names:
        return "pixelrec"
    if not any(is_table(name) or name.lower().endswith(".zip") for name in names):
        raise DataError(
            _nothing_in(names),
            file=source,
            fix=f"Files that are read end in {', '.join(OPENERS)}; for other formats see --help.",
        )
    return "tables"


def _format_of_names(names: Sequence[str]) -> str:
    """The format of a network's own files; "" for tables, or nothing."""
    return "instagram-export" if is_export(names) else "instaloader" if is_download(names) else ""


def _nothing_in(names: Sequence[str]) -> str:
    shown = json.dumps(list(names[:3]), ensure_ascii=False)[1:-1]
    return f"no table, export or download in it ({shown or 'it is empty'})."

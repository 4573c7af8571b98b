"""What comes packed: a file that gzip made, a zip archive, a folder with archives in it.

All of it is unpacked into a temporary folder, within bounds, and nothing is written beside that.
"""

from __future__ import annotations

import errno
import gzip
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, Any

from evoked.errors import DataError
from evoked.files import link, read_bounded
from evoked.posts.readers.base import (
    PICTURE_SUFFIXES,
    PostRecord,
    Remark,
    Skipped,
    Source,
    open_zip,
    walk_files,
)
from evoked.posts.readers.tabular import Row, Table

MAX_UNPACKED_BYTES = 4 * 2**30
"""Largest sum of the sizes of what is unpacked of one source."""

MAX_MEMBERS = 200_000
"""Most files in a zip archive."""

TABLE_SUFFIXES = (
    ".csv", ".tsv", ".txt", ".xlsx", ".json", ".jsonl", ".ndjson", ".js", ".parquet",
)  # fmt: skip
"""Endings of files that may hold a table, or a caption of a download; ``.gz`` may follow."""

_GZIP = b"\x1f\x8b"
_BLOCK = 2**20
_DEEPEST = 3
# Tables and texts become five to twenty times smaller when they are packed.
_SMALL_BYTES, _MOST_TIMES = 64 * 2**20, 100
_FIX = "Unpack it, and give the folder."


def is_gzipped(path: Path) -> bool:
    """Whether a file was packed by gzip, whatever its name."""
    with path.open("rb") as stream:
        return stream.read(2) == _GZIP


def start_of(path: Path, size: int) -> bytes:
    """The first bytes of a file, or of what was packed into it."""
    if not is_gzipped(path):
        with path.open("rb") as stream:
            return stream.read(size)
    with _reading(path), gzip.open(path) as packed:
        return packed.read(size)


def content_of(source: Path, limit: int) -> bytes:
    """A file's bytes, or those that gzip packed into it.

    Raises
    ------
    DataError
        The file is missing, damaged, or more than ``limit`` bytes.
    """
    if not (source.is_file() and is_gzipped(source)):
        return read_bounded(source, limit)
    with _reading(source), gzip.open(source) as packed:
        content = packed.read(limit + 1)
    if len(content) > limit:
        raise DataError(f"larger than {limit // 2**20:,} MiB when unpacked.", file=source, fix=_FIX)
    return content


def open_gzipped(source: Path, opener: Callable[[Path], list[Table]]) -> list[Table]:
    """The tables in a file that was packed by gzip, opened by ``opener``.

    Raises
    ------
    DataError
        The file is damaged or unpacks to more than the bound, or ``opener`` raises it.
    """
    folder = TemporaryDirectory(prefix="evoked-")
    copy = _unpack_gzip(source, Path(folder.name))
    try:
        tables = opener(copy)
    except DataError as error:
        raise DataError(error.problem, file=source, fix=error.fix) from error
    return [
        replace(
            table,
            # Of several, the name says which sheet of a workbook it is.
            path=source if len(tables) == 1 else source.with_name(table.path.name),
            rows=partial(_rows, folder, table),
            cut=None,
        )
        for table in tables
    ]


def _unpack_gzip(source: Path, folder: Path) -> Path:
    copy = folder / _plain_name(source.name)
    with _reading(source), gzip.open(source) as packed, copy.open("wb") as stream:
        _Budget(source).copy(packed, stream)
    return copy


@contextmanager
def _without_gzip(source: Path) -> Iterator[Path]:
    """A file, or a copy of what gzip packed into it, for as long as the block runs."""
    if not is_gzipped(source):
        yield source
        return
    with TemporaryDirectory(prefix="evoked-") as folder:
        yield _unpack_gzip(source, Path(folder))


def _rows(folder: TemporaryDirectory[str], table: Table) -> Iterator[tuple[int, Row] | Skipped]:
    """The table's rows; the copy lives as long as somebody may ask for them."""
    yield from table.rows()


def _plain_name(name: str) -> str:
    return name[:-3] if name.lower().endswith(".gz") else name


def suffix_of(name: str) -> str:
    """The ending of a file's name, of what is within where that is ``.gz``."""
    return Path(_plain_name(name)).suffix.lower()


def names_in(source: Path) -> list[str]:
    """The names of all files in a folder or a zip archive, and in the archives within a folder.

    An archive may be one that gzip packed once more."""
    if source.is_file():
        with _without_gzip(source) as path, open_zip(path) as archive:
            return [member.filename for member in archive.infolist()[:MAX_MEMBERS]]
    names = []
    for path in walk_files(source):
        names.append(path.relative_to(source).as_posix())
        if is_archive(path):
            names += names_in(path)
    return names


def holds_archives(source: Path) -> bool:
    """Whether a folder has zip archives in it."""
    return source.is_dir() and any(map(is_archive, walk_files(source)))


def is_archive(path: Path) -> bool:
    """Whether a file is a zip archive by its name and content; a workbook is none."""
    return path.suffix.lower() == ".zip" and zipfile.is_zipfile(path)


def read_unpacked(source: Path, read: Callable[[Path], Source]) -> Source:
    """Read a zip archive, or a folder with archives in it, as the folder that unpacking gives.

    Archives in a folder are unpacked at their places, as the parts of one export are meant to be.
    The copy lives as long as the records are read.

    Raises
    ------
    DataError
        An archive is damaged, or more than the bounds allow; or ``read`` raises it.
    """
    folder = TemporaryDirectory(prefix="evoked-")
    place = Path(folder.name) / (source.stem or "archive")
    place.mkdir()
    budget = _Budget(source)
    if source.is_file():
        _unpack(source, place, budget, 1)
    else:
        for path in walk_files(source):
            target = place / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            if is_archive(path):
                _unpack(path, target.parent, budget, 1)
            elif _is_wanted(path.name):
                link(path.resolve(), _free(target, path.stem))
    reading = read(place)
    return replace(reading, records=_keeping(folder, reading.records))


def _keeping(
    folder: TemporaryDirectory[str], records: Iterator[PostRecord | Remark]
) -> Iterator[PostRecord | Remark]:
    """The records; the folder goes when no picture of them can be read any more."""
    for record in records:
        if isinstance(record, PostRecord):
            record.images = [
                replace(image, read=partial(_read_while, folder, image.read))
                for image in record.images
            ]
        yield record


def _read_while(folder: TemporaryDirectory[str], read: Callable[[], bytes]) -> bytes:
    return read()


@dataclass
class _Budget:
    """How many bytes may still be unpacked of a source."""

    source: Path
    most: int = field(init=False)
    left: int = field(init=False)

    def __post_init__(self) -> None:
        files = [self.source] if self.source.is_file() else walk_files(self.source)
        size = sum(path.stat().st_size for path in files)
        self.left = self.most = min(MAX_UNPACKED_BYTES, _SMALL_BYTES + _MOST_TIMES * size)

    def copy(self, packed: IO[bytes] | Any, stream: IO[bytes]) -> None:
        """Write all of ``packed``; the sizes that archives state may be wrong."""
        while block := packed.read(_BLOCK):
            self.left -= len(block)
            if self.left < 0:
                raise DataError(
                    f"larger than {self.most // 2**20:,} MiB when unpacked.",
                    file=self.source,
                    fix=_FIX,
                )
            stream.write(block)


@contextmanager
def _reading(source: Path) -> Iterator[None]:
    """Turn what damaged archives raise into one error that names the file."""
    try:
        yield
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"can't be unpacked ({error}).", file=source, fix=_FIX) from error


def _unpack(source: Path, folder: Path, budget: _Budget, depth: int) -> None:
    """Write what is wanted of a zip archive into a folder, and nothing outside of it."""
    try:
        with zipfile.ZipFile(source) as archive:
            if len(archive.infolist()) > MAX_MEMBERS:
                raise DataError(f"more than {MAX_MEMBERS:,} files in one archive.", file=source)
            for member in archive.infolist():
                if not member.is_dir() and _is_below(member.filename):
                    _unpack_member(archive, member, folder, source.stem, budget, depth)
    except DataError:
        raise
    except Exception as error:  # damaged, encrypted, compressed in an unknown way …
        raise DataError(f"can't be unpacked ({error}).", file=source, fix=_FIX) from error


def _unpack_member(
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    folder: Path,
    name: str,
    budget: _Budget,
    depth: int,
) -> None:
    is_inner = member.filename.lower().endswith(".zip") and depth < _DEEPEST
    if not is_inner and not _is_wanted(member.filename):
        return
    try:
        path = _free(folder.joinpath(*PurePosixPath(member.filename).parts), name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(member) as packed, path.open("xb") as stream:
            budget.copy(packed, stream)
    except OSError as error:
        # A name that the disk doesn't take, or a file where another name has a folder.
        if error.errno in (errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR):
            return
        raise
    if is_inner and zipfile.is_zipfile(path):
        _unpack(path, path.parent, budget, depth + 1)
        path.unlink()


def _free(path: Path, name: str) -> Path:
    """A path, or one in a folder of ``name`` beside it where something is there already."""
    number, found = 1, path
    while found.exists():
        found = path.parent / (name if number == 1 else f"{name} {number}") / path.name
        number += 1
    return found


def _is_below(name: str) -> bool:
    """Whether a member's place is below the folder, and is not hidden."""
    path = PurePosixPath(name)
    plain = not path.is_absolute() and "\\" not in name and ":" not in name and "\0" not in name
    return plain and not any(part.startswith((".", "__MACOSX")) for part in path.parts)


def _is_wanted(name: str) -> bool:
    """Whether a file may hold posts or is a picture."""
    lowered = name.lower()
    return lowered.endswith(".json.xz") or suffix_of(name) in (*TABLE_SUFFIXES, *PICTURE_SUFFIXES)

"""Writing files so that a reader sees the old state or the new one, never half of one."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from evoked.errors import DataError, SettingsError

if TYPE_CHECKING:
    import pandas as pd

_MAX_JSON_BYTES = 64 * 2**20
_SECONDS_BETWEEN_ATTEMPTS = 0.1


def _temporary_beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")


def _flush_to_disk(path: Path) -> None:
    # Windows flushes no file that is open for reading alone.
    descriptor = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it over ``path`` when the block succeeds."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary_beside(path)
    try:
        yield temporary
        _flush_to_disk(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path | str) -> Iterator[Path]:
    """Yield a temporary folder; put it in the place of ``path`` when the block succeeds.

    An existing folder is moved aside first and removed last, so a crash at any moment leaves
    either the old folder or the new one whole (in the worst case the old one under a ``.old``
    name beside it).
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary_beside(path)
    temporary.mkdir()
    try:
        yield temporary
        retired = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.old")
        if path.exists():
            os.replace(path, retired)
        os.replace(temporary, path)
        shutil.rmtree(retired, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def link(source: Path, target: Path) -> None:
    """Make ``target`` a second name of the file ``source``, or a copy where links can't be made.

    Raises
    ------
    FileExistsError
        Something is at ``target``, even if only a broken link; it stays as it is.
    FileNotFoundError
        There is no ``source``.
    """
    try:
        os.link(source, target)
    except (FileExistsError, FileNotFoundError):
        raise
    except OSError:  # another disk, or a file system without hard links
        _copy_to_free(source, target)


def _copy_to_free(source: Path, target: Path) -> None:
    """Copy a file to a path that is free: the whole file, or nothing.

    Only on a file system without hard links can a crash leave an empty file at ``target``.
    """
    temporary = _temporary_beside(target)
    try:
        shutil.copyfile(source, temporary)
        try:
            os.link(temporary, target)  # fails if the name is taken, which a rename does not check
        except FileExistsError:
            raise
        except OSError:
            target.touch(exist_ok=False)
            os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock on a file while the block runs; the file is created if it doesn't exist.

    The system releases the lock when the process ends, however it ends. The holder may delete the
    file.

    Parameters
    ----------
    path
        A file that serves no other purpose.
    wait
        Wait until the lock is free.

    Raises
    ------
    BlockingIOError
        Another process, or another block of this one, holds the lock, and ``wait`` is False.
    """
    while True:
        with open(path, "a", encoding="utf-8") as stream:
            _lock(stream, wait)
            if _is_at(stream, path):
                yield
                return


def _lock(stream: IO[str], wait: bool) -> None:
    """Lock a file until it is closed; BlockingIOError if another holds it and we don't wait."""
    if sys.platform == "win32":
        import msvcrt

        while True:
            try:
                return msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
            except OSError as error:
                if not wait:
                    raise BlockingIOError(*error.args) from error
                time.sleep(_SECONDS_BETWEEN_ATTEMPTS)
    else:
        import fcntl

        fcntl.flock(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def _is_at(stream: IO[str], path: Path) -> bool:
    """Whether an open file is still the one at ``path``."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def lock_file(folder: Path) -> Path:
    """The file beside ``folder`` that :func:`only_writer` locks."""
    return folder.with_name(f".{folder.name}.lock")


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Keep other processes that use this function from writing ``folder`` while the block runs.

    Parameters
    ----------
    folder
        The destination, which need not exist. The lock file lies beside it meanwhile.

    Raises
    ------
    DataError
        Another process is writing the folder.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = lock_file(folder)
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(lock, wait=False))
        except BlockingIOError as error:
            raise DataError(
                "another run of evoked is writing there.",
                file=folder,
                fix="Wait for it to end, or choose another destination.",
            ) from error
        if sys.platform != "win32":  # which deletes no open file: there, the lock file stays
            stack.callback(lock.unlink, missing_ok=True)  # while the lock is still held
        yield


def write_text(path: Path | str, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_parquet(path: Path | str, table: pd.DataFrame) -> None:
    """Write a table as Parquet, without its index, atomically."""
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)


def check_free(folder: Path, mark: str, what: str) -> None:
    """Raise SettingsError unless ``folder`` is new, empty, or holds ``what`` ("a study").

    A folder holds it if the file ``mark`` is in it.
    """
    taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if taken and not (folder / mark).is_file():
        raise SettingsError(
            f"{folder} holds something else: it is not empty and not {what}. Choose another folder."
        )


def check_format_version(content: Any, expected: int, file: Path, fix: str) -> None:
    """Raise DataError if a file's ``format_version`` is not the one that this release reads.

    Parameters
    ----------
    content
        What the JSON file holds.
    expected
        The version that this release reads.
    file
        The file.
    fix
        How to make the file anew, as a sentence without its full stop.
    """
    found = content.get("format_version") if isinstance(content, dict) else None
    if found != expected:
        raise DataError(
            f"format version {found!r}; this release reads version {expected}.",
            file=file,
            fix=f"{fix}, or install the release that wrote it.",
        )


def plain(value: Any, digits: int | None = None) -> Any:
    """Convert nested values to what JSON can hold.

    Parameters
    ----------
    value
        Dictionaries, lists, arrays, numbers, texts, paths and dates.
    digits
        Round fractions to this many digits; they are not rounded by default.

    Returns
    -------
    The same values, with NumPy's types as Python's, keys, paths and dates as text, and None in
    place of NaN, infinity and missing dates, for which JSON has no word.
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): plain(entry, digits) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry, digits) for entry in value]
    if isinstance(value, float):
        kept = value if digits is None else round(value, digits)
        return kept if math.isfinite(value) else None
    if isinstance(value, datetime):
        return str(value) if value == value else None  # noqa: PLR0124 (NaT equals nothing)
    return str(value) if isinstance(value, Path) else value


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table, each a dictionary by column name."""
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def read_json(path: Path | str) -> Any:
    """Read a JSON file of at most 64 MiB.

    Raises
    ------
    DataError
        The file is missing, too large, or not JSON.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError("the file does not exist.", file=path)
    if path.stat().st_size > _MAX_JSON_BYTES:
        raise DataError("larger than 64 MiB, the most that is read.", file=path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"not a JSON file ({error}).", file=path) from error


def sha256_of_file(path: Path | str) -> str:
    """SHA-256 of a file's bytes, in hexadecimal, read in blocks."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

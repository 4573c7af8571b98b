"""Writing files so that a reader sees the old state or the new one, never half of one."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import shutil
import socket
import stat
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from evoked.errors import DataError, EvokedError, SettingsError

if TYPE_CHECKING:
    import pandas as pd

MAX_JSON_BYTES = 64 * 2**20
"""Largest JSON document of our own that is read."""

# An empty list takes twenty times as much memory as its two brackets take in the file.
_MOST_CONTAINERS = 8_000_000
_DEEPEST_JSON = 100
_SECONDS_BETWEEN_ATTEMPTS = 0.1
# File systems allow 255 bytes; the rest is for what a temporary name adds.
_LONGEST_STEM = 150
_LEFTOVER = re.compile(r"\.(?P<host>[0-9a-f]{6})-(?P<process>\d+)-[0-9a-f]{8}\.(tmp|old)$")
# So did earlier releases call them.
_UNFINISHED = re.compile(r"^\..+[.-][0-9a-f]{8}\.(tmp|old)$")
_WRITE_PROBLEMS = {
    errno.ENOSPC: ("the disk is full.", "Free some space and run the same command again."),
    errno.EDQUOT: ("your share of the disk is used up.", "Free some space and run it again."),
    errno.EFBIG: ("the file would be larger than this system allows.", "Write it elsewhere."),
    errno.EACCES: ("you may not write there.", "Choose another place, or change its permissions."),
    errno.EPERM: ("you may not write there.", "Choose another place, or change its permissions."),
    errno.EROFS: ("that disk can only be read.", "Choose a place on another disk."),
    errno.ENAMETOOLONG: ("the name is longer than this file system allows.", "Shorten it."),
    errno.ENOTDIR: ("a part of this path is a file, not a folder.", "Choose another path."),
    errno.EISDIR: ("a folder, where a file was to be written.", "Choose another name."),
    errno.EEXIST: ("a file, where a folder was to be made.", "Choose another path."),
    errno.EIO: ("the disk reports an error.", "Check the disk, or choose another one."),
    errno.ELOOP: ("a link in this path leads to itself.", "Choose another path."),
}
# Full-width signs count as their own kind in spreadsheets of East Asia.
_FORMULA = re.compile(r"[\t\r\n]|\s*[=+\-@＝＋－＠]")
# Control characters can't stand in the XML of a workbook, nor texts longer than a cell.
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_LONGEST_CELL = 32_767
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
# No link is followed, and no pipe or device waited for; Windows has neither flag.
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
# So does Path.resolve() say, before Python 3.13, that links lead in a circle.
_LOOP = "Symlink loop from "
# What libraries in C and Rust leave of the system's error: its number, in words.
_ERROR_NUMBER = re.compile(r"(?:os error|[Ee]rrno) (\d+)")


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]


def _beside(path: Path, ending: str) -> Path:
    """A new hidden name beside ``path`` that says which process of which machine made it."""
    stem = path.name.encode()[:_LONGEST_STEM].decode(errors="ignore")
    return path.with_name(f".{stem}.{_host()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.{ending}")


def _is_left_over(path: Path) -> bool:
    """Whether a file or folder is what a process of this machine left that is no longer alive."""
    found = _LEFTOVER.search(path.name)
    if found is None or not path.name.startswith(".") or found["host"] != _host():
        return False
    return not _is_alive(int(found["process"]))


def _is_alive(process: int) -> bool:
    if sys.platform == "win32":  # where a signal, even none, would end the process
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # somebody else's process
    return True


def remove_leftovers(folder: Path, name: str | None = None) -> None:
    """Delete temporary files and folders that killed processes of this machine left.

    What was moved aside to make place for what never came (:func:`atomic_folder`) is moved back.

    Parameters
    ----------
    folder
        Where they lie; the folders within it are not looked into.
    name
        Only those of the file or folder of this name; all by default.
    """
    if not folder.is_dir():
        return
    stem = None if name is None else name.encode()[:_LONGEST_STEM].decode(errors="ignore")
    for entry in os.scandir(folder):
        own = stem is None or entry.name.startswith(f".{stem}.")
        if own and _is_left_over(Path(entry.path)):
            _move_back_or_remove(Path(entry.path), name)


def _move_back_or_remove(path: Path, name: str | None) -> None:
    """Settle a leftover of the file or folder called ``name``, or as the leftover says."""
    place = path.with_name(name or _LEFTOVER.sub("", path.name).removeprefix("."))
    if path.suffix == ".old" and not place.exists():
        os.replace(path, place)
    else:
        _remove(path)


def remove_all_leftovers(folder: Path) -> None:
    """Delete temporary files and folders of no living process in ``folder`` and the folders within
    it, which nobody else writes meanwhile (:func:`only_writer`)."""
    for place, folders, _ in os.walk(folder):
        for entry in os.scandir(place):
            unfinished = _UNFINISHED.search(entry.name) is not None
            if unfinished and (_is_left_over(Path(entry.path)) or not _LEFTOVER.search(entry.name)):
                _remove(Path(entry.path))
        folders[:] = [name for name in folders if not _UNFINISHED.search(name)]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Turn what a disk or its permissions prevent into one sentence that names the file.

    Raises
    ------
    DataError
        The disk is full or can't be written, or the name is one that it doesn't take.
    """
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # libraries raise errors of their own in place of OSError
        problem = write_problem(error, Path(path))
        if problem is None:
            raise
        raise problem from error


def write_problem(error: Exception, path: Path | None = None) -> DataError | None:
    """What a disk or its permissions prevented, as an error for people; None for other errors."""
    number = _number_of(error)
    if number is None and _says_not_why(error) and path is not None:
        number = _number_of_a_trial(path)
    if number not in _WRITE_PROBLEMS:
        return None
    named = error.filename if isinstance(error, OSError) else None
    if named is None or _LEFTOVER.search(str(named)):
        named = path
    problem, fix = _WRITE_PROBLEMS[number]
    return DataError(problem, file=None if named is None else _as_asked(named), fix=fix)


def _as_asked(name: Any) -> Path:
    """A path with the names that a person knows in place of temporary ones."""
    return Path(
        *(
            _LEFTOVER.sub("", part).removeprefix(".") if _LEFTOVER.search(part) else part
            for part in Path(os.fsdecode(name)).parts
        )
    )


def is_out_of_space(error: Exception) -> bool:
    """Whether an error comes of a full disk, or of a bound on what may be written."""
    return _number_of(error) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _number_of(error: BaseException | None) -> int | None:
    """The system's number of an error, or of the one that it came from."""
    while error is not None:
        if isinstance(error, OSError) and error.errno:
            return error.errno
        if isinstance(error, RuntimeError) and str(error).startswith(_LOOP):
            return errno.ELOOP
        if found := _ERROR_NUMBER.search(str(error)):
            return int(found[1])
        error = error.__cause__
    return None


def _says_not_why(error: Exception) -> bool:
    """Whether a library failed to write a file and keeps the reason to itself: torch, and SEAL."""
    return isinstance(error, RuntimeError) and (
        "inline_container" in str(error) or str(error) == "I/O error"
    )


def _number_of_a_trial(path: Path) -> int | None:
    """The system's number of the error that a megabyte raises beside ``path``; None if none."""
    trial = _beside(path, "tmp")
    try:
        trial.write_bytes(bytes(2**20))
    except OSError as error:
        return error.errno
    finally:
        trial.unlink(missing_ok=True)
    return None


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it over ``path`` when the block succeeds.

    What a killed process left of the same file is removed first.

    Raises
    ------
    DataError
        The disk is full or can't be written.
    """
    path = Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent, path.name)
        temporary = _beside(path, "tmp")
        try:
            yield temporary
            _flush_to_disk(temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def _flush_to_disk(path: Path) -> None:
    # Windows flushes no file that is open for reading alone.
    descriptor = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_folder(path: Path | str) -> Iterator[Path]:
    """Yield a temporary folder; put it in the place of ``path`` when the block succeeds.

    An existing folder is moved aside first and removed last, so a crash at any moment leaves
    either the old folder or the new one whole (in the worst case the old one under a ``.old``
    name beside it, from where :func:`remove_leftovers` moves it back).

    Raises
    ------
    DataError
        The disk is full or can't be written.
    """
    path = Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _beside(path, "tmp")
        temporary.mkdir()
        try:
            yield temporary
            retired = _beside(path, "old")
            if path.exists():
                os.replace(path, retired)
            try:
                os.replace(temporary, path)
            except BaseException:
                if retired.exists():
                    os.replace(retired, path)
                raise
            shutil.rmtree(retired, ignore_errors=True)
            remove_leftovers(path.parent, path.name)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def replace_folder(folder: Path, place: Path) -> None:
    """Put ``folder`` in the place of the folder that is there, which is deleted.

    Where the system can, both change names in one step, so that ``place`` is never empty (Linux, by
    ``renameat2``). Elsewhere the old folder is moved aside first, from where :func:`only_writer`
    moves it back after a crash.
    """
    if _exchanged(folder, place):
        shutil.rmtree(folder, ignore_errors=True)
        return
    retired = _beside(place, "old")
    os.replace(place, retired)
    try:
        os.replace(folder, place)
    except BaseException:
        os.replace(retired, place)
        raise
    shutil.rmtree(retired, ignore_errors=True)


def _exchanged(first: Path, second: Path) -> bool:
    """Whether the system has exchanged the names of two folders."""
    if sys.platform != "linux":
        return False
    import ctypes

    at_fdcwd, rename_exchange = -100, 2
    call = getattr(ctypes.CDLL(None), "renameat2", None)  # since glibc 2.28
    if call is None:
        return False
    names = os.fsencode(first), os.fsencode(second)
    return call(at_fdcwd, names[0], at_fdcwd, names[1], rename_exchange) == 0


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
    temporary = _beside(target, "tmp")
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
    DataError
        There is something else at ``path``: see :func:`open_own`.
    """
    while True:
        with open_own(path) as stream:
            _lock(stream, wait)
            if _is_at(stream, path):
                yield
                return


def open_own(path: Path | str) -> IO[bytes]:
    """Open a file of evoked's own to add to it and to read it, unbuffered; it is created if it
    doesn't exist.

    Folders come from others as well, and a link in one would have any file of this machine written
    to; a pipe would have the reader wait for ever.

    Raises
    ------
    DataError
        There is a link or something else that is no plain file.
    OSError
        The file can't be opened.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | _NO_LINK
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise _no_plain_file(path) from error
        raise
    stream = os.fdopen(descriptor, "a+b", buffering=0)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        stream.close()
        raise _no_plain_file(path)
    return stream


def check_plain_file(path: Path) -> None:
    """Raise DataError if something is at ``path`` that is no plain file, even a link to one."""
    try:
        found = os.lstat(path)
    except OSError:
        return  # whoever opens it will say so
    if not stat.S_ISREG(found.st_mode):
        raise _no_plain_file(path)


def check_nothing_to_wait_for(folder: Path) -> None:
    """Raise DataError if something in ``folder``, or in the folders within it, is a pipe, a socket
    or a device: whoever reads one may wait for ever, or read without an end."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            with suppress(OSError):
                if not stat.S_ISREG(path.stat().st_mode):
                    raise DataError(
                        "a pipe, a socket or a device, where a file is expected.",
                        file=path,
                        fix="Don't use the folder if somebody else made it.",
                    )


def _no_plain_file(path: Path | str) -> DataError:
    return DataError(
        "a link, a folder or a device, where a file of evoked's own is expected.",
        file=path,
        fix="Remove it if you don't know it.",
    )


def _lock(stream: IO[bytes], wait: bool) -> None:
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


def _is_at(stream: IO[bytes], path: Path) -> bool:
    """Whether an open file is still the one at ``path``."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), os.lstat(path))
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
        Another process is writing the folder; the message names it and its machine.
    """
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    lock = lock_file(folder)
    with ExitStack() as stack:
        try:
            with writing(folder):
                stack.enter_context(locked(lock, wait=False))
                lock.write_text(f"process {os.getpid()} on {socket.gethostname()}", "utf-8")
        except BlockingIOError as error:
            raise DataError(
                f"another run of evoked is writing there{_holder(lock)}.",
                file=folder,
                fix="Wait for it to end, or choose another destination.",
            ) from error
        if sys.platform != "win32":  # which deletes no open file: there, the lock file stays
            stack.callback(lock.unlink, missing_ok=True)  # while the lock is still held
        remove_leftovers(folder.parent, folder.name)
        remove_leftovers(folder)
        yield


@contextmanager
def kept_still(folder: Path) -> Iterator[None]:
    """Let others that use this function wait while the block adds to a file in ``folder``, or
    replaces the folder: what is added while it is copied would be lost."""
    folder = folder.resolve()
    lock = folder.with_name(f".{folder.name}.still.lock")
    with writing(lock), locked(lock):
        try:
            yield
        finally:
            if sys.platform != "win32":  # which deletes no open file
                lock.unlink(missing_ok=True)


def _holder(lock: Path) -> str:
    """Who holds a lock, in brackets; empty where the file doesn't say."""
    try:
        held = lock.read_text(encoding="utf-8")[:200]
    except (OSError, UnicodeDecodeError):
        return ""
    return f" ({held})" if held.startswith("process ") else ""


def write_text(path: Path | str, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def append_lines(path: Path | str, lines: Sequence[str]) -> None:
    """Add lines to the end of a UTF-8 file, whole lines or none, and wait until the disk has them.

    A last line that a killed process left unfinished is ended first, so that it spoils no other.
    Only one process may do so at a time: see :func:`locked`.

    Parameters
    ----------
    path
        The file, which need not exist.
    lines
        Each without the line break that ends it, and with none within.

    Raises
    ------
    DataError
        The disk is full or can't be written, or the file would be larger than :func:`read_bounded`
        reads.
    """
    path, content = Path(path), "".join(f"{line}\n" for line in lines).encode()
    with writing(path), open_own(path) as stream:
        size = stream.seek(0, os.SEEK_END)
        if size:
            stream.seek(-1, os.SEEK_END)
            content = content if stream.read(1) == b"\n" else b"\n" + content
        if size + len(content) > MAX_JSON_BYTES:
            raise DataError(
                f"it would be larger than {MAX_JSON_BYTES // 2**20} MiB, the most that is read.",
                file=path,
                fix="Move it away: the next line begins a new one.",
            )
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[stream.write(rest) :]
            os.fsync(stream.fileno())
        except OSError:
            stream.truncate(size)
            raise


def write_json(path: Path | str, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_safetensors(path: Path | str, tensors: Mapping[str, Any]) -> None:
    """Write arrays of NumPy, or tensors of torch, by name as safetensors, atomically, with the
    permissions of any other file: the library's own would be for the owner alone."""
    import numpy as np

    of_numpy = all(isinstance(each, np.ndarray) for each in tensors.values())
    library = import_module(f"safetensors.{'numpy' if of_numpy else 'torch'}")
    with atomic_path(path) as temporary:
        temporary.touch()
        mode = temporary.stat().st_mode
        library.save_file(dict(tensors), temporary)
        temporary.chmod(stat.S_IMODE(mode))


def write_parquet(path: Path | str, table: pd.DataFrame) -> None:
    """Write a table as Parquet, without its index, atomically."""
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)


def write_csv(path: Path | str, table: pd.DataFrame, float_format: str | None = None) -> None:
    """Write a table as CSV, without its index, atomically, so that a spreadsheet runs nothing of
    it: see :func:`harmless`."""
    import pandas as pd

    names = {name: harmless(name) for name in table.columns}
    kinds = table.dtypes
    texts = [
        name
        for name, kind in zip(table.columns, kinds, strict=True)
        if not (pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_datetime64_any_dtype(kind))
    ]
    shown = table.copy(deep=False)
    for name in texts:
        shown[name] = table[name].astype(object).map(harmless)
    with atomic_path(path) as temporary:
        shown.rename(columns=names).to_csv(
            temporary, index=False, float_format=float_format, errors="backslashreplace"
        )


def write_xlsx(path: Path | str, table: pd.DataFrame) -> None:
    """Write a table as an Excel workbook of one sheet, without its index, atomically, so that a
    spreadsheet runs nothing of it: see :func:`harmless`."""
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet("evoked")
    sheet.append([harmless(str(name)) for name in table.columns])
    for row in table.itertuples(index=False):
        sheet.append([_cell(value) for value in row])
    with atomic_path(path) as temporary:
        book.save(temporary)


TABLE_WRITERS: dict[str, Callable[[Path, pd.DataFrame], None]] = {
    ".csv": write_csv,
    ".json": lambda path, table: write_json(path, plain(records(table))),
    ".parquet": write_parquet,
    ".xlsx": write_xlsx,
}
"""What writes a table, by how the file's name ends."""


def _cell(value: Any) -> Any:
    """A value as a workbook can hold it."""
    value = plain(value)
    if isinstance(value, list | tuple):
        value = ", ".join(map(str, value))
    elif isinstance(value, dict):
        value = json.dumps(value, ensure_ascii=False)
    if value is None or isinstance(value, bool | int | float):
        return value
    return harmless(_NOT_IN_XML.sub("\ufffd", str(value))[:_LONGEST_CELL])


def harmless(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula, with an apostrophe before it.

    Formulas begin with ``=``, ``+``, ``-`` or ``@``, be it after blanks; a number such as ``-3``
    is none. Tabs and carriage returns at the beginning hide one. See
    https://owasp.org/www-community/attacks/CSV_Injection.
    """
    if isinstance(value, list | tuple):
        return [harmless(each) for each in value]
    if not isinstance(value, str):
        return value
    text = f"'{value}" if _FORMULA.match(value) and not _NUMBER.fullmatch(value) else value
    # A carriage return, which is written without quotation marks, would begin a row of its own.
    return text.replace("\r\n", "\n").replace("\r", "\n")


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
    place of NaN, NA, infinity and missing dates, for which JSON has no word.
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
    if type(value).__name__ == "NAType":  # pandas' own, which may not have been imported
        return None
    return str(value) if isinstance(value, Path) else value


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table, each a dictionary by column name."""
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def parse_yaml(text: str) -> Any:
    """The value of a YAML document that comes with the package, of plain values only."""
    import yaml

    # The parser in C, where it is there, takes a seventh of the time.
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def read_json(path: Path | str) -> Any:
    """Read a JSON file of at most 64 MiB.

    Raises
    ------
    DataError
        The file is missing, too large, nested too deeply, or not JSON, or holds a text that is
        none: half of a surrogate pair.
    """
    content = read_bounded(path)
    value = parse_json(content, path)
    if _SURROGATE.search(content):
        with damage(path, "JSON whose texts can be written"):
            json.dumps(value, ensure_ascii=False).encode()
    return value


def read_object(path: Path | str, *names: str) -> dict[str, Any]:
    """Read a JSON file that holds an object, with entries of these names at least.

    Raises
    ------
    DataError
        As :func:`read_json`, or the file holds something else, or lacks an entry.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"holds {_kind(content)}; expected an object in braces.", file=path)
    for name in names:
        if name not in content:
            raise DataError("the entry is missing.", file=path, field=name)
    return content


@contextmanager
def damage(path: Path | str | None, what: str, fix: str | None = None) -> Iterator[None]:
    """Turn whatever an unexpected value in a file raises into one error that names the file.

    Parameters
    ----------
    path
        The file, or the folder of several.
    what
        What it should hold: "the intervals of a run".
    fix
        What to do about it.

    Raises
    ------
    DataError
        The block raised any exception other than evoked's own and a lack of memory.
    """
    try:
        yield
    except (EvokedError, MemoryError):
        raise
    except Exception as error:  # what a damaged value raises depends on where it is used first
        lines = str(error).strip().splitlines()
        reason = f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
        raise DataError(f"not {what} ({reason}).", file=path, fix=fix) from error


def read_bounded(path: Path | str, limit: int = MAX_JSON_BYTES) -> bytes:
    """A file's bytes.

    Raises
    ------
    DataError
        The file is missing, can't be read, or is larger than ``limit`` bytes.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise DataError("the file does not exist.", file=path)
        with path.open("rb") as stream:
            content = stream.read(limit + 1)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise DataError(f"can't be read ({error}).", file=path) from error
    if len(content) > limit:
        raise DataError(f"larger than {limit // 2**20} MiB, the most that is read.", file=path)
    return content


def parse_json(content: bytes | str, name: object) -> Any:
    """The value of a JSON document.

    Parameters
    ----------
    name
        What errors call it.

    Raises
    ------
    DataError
        The document is not JSON, nested more than 100 deep, or made of too many parts.
    """
    with _json_of(name):
        value = json.loads(json_text(content, name))
        check_depth(value)
    return value


def json_text(content: bytes | str, name: object) -> str:
    """The text of JSON, if it can't take up far more memory than space: see :func:`parse_json`."""
    with _json_of(name):
        text = (
            content if isinstance(content, str) else content.decode(json.detect_encoding(content))
        )
        if text.count("[") + text.count("{") > _MOST_CONTAINERS:
            raise ValueError(f"more than {_MOST_CONTAINERS:,} lists and objects")
    return text


@contextmanager
def _json_of(name: object) -> Iterator[None]:
    try:
        yield
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0][:200]
        raise DataError(f"not a JSON file ({reason}).", file=name) from error


def check_depth(value: Any) -> None:
    """Raise ValueError if a JSON value is nested more than 100 deep."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(_DEEPEST_JSON):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise ValueError(f"nested more than {_DEEPEST_JSON} deep")


def _kind(value: Any) -> str:
    """What a JSON value is, for people."""
    names = {list: "a list", str: "a text", bool: "yes or no", type(None): "nothing"}
    return names.get(type(value), "a number")


def sha256_of_file(path: Path | str) -> str:
    """SHA-256 of a file's bytes, in hexadecimal, read in blocks."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

"""The interface of all readers: options in, a :class:`Source` of posts out.

A reader gives values as the source has them. Counts, dates and texts are converted for the schema
in :mod:`evoked.posts.cleaning`, once for all formats; pictures are checked and copied in
:mod:`evoked.posts.importing`.
"""

from __future__ import annotations

import os
import re
import unicodedata
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from evoked.errors import DataError, ImageError, SettingsError
from evoked.files import read_bounded
from evoked.posts.images import MAX_BYTES as MAX_IMAGE_BYTES

if TYPE_CHECKING:
    import pandas as pd

    from evoked.posts.fact_kinds import Kind

MAX_JSON_BYTES = 256 * 2**20
"""Largest JSON document that is read whole; JSON Lines and CSV are streamed instead."""

OUTSIDE = "lies outside the source's folder."
"""What is wrong with a picture that the source must not lead to."""

NO_PICTURE = "there is no such picture."
"""What is wrong with a picture that isn't where its name leads."""

PICTURE_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".heic", ".heif", ".avif",
    ".tif", ".tiff",
)  # fmt: skip

# The name of a picture's file on a network's servers, which is unlike that of any other.
_DISTINCTIVE = re.compile(r"(?=[^.]*\d)[\w-]{8,}(\.\w+)*")


@dataclass(frozen=True)
class Remark:
    """Something in the source that could not be used as it is.

    Attributes
    ----------
    why
        The reason, in the same words for the same kind of problem, so that remarks can be counted.
    file, row, field
        Where it is; the first row after the header is row 1.
    value
        The value there, shortened.
    """

    why: str
    file: str = ""
    row: int | None = None
    field: str = ""
    value: str = ""


@dataclass(frozen=True)
class Skipped(Remark):
    """A post, or a row of another table, that is left out.

    Any other remark is about a value in a row that is kept.
    """


@dataclass(frozen=True)
class ImageFile:
    """A picture of the source: its name there, and a function that reads its bytes.

    ``read`` raises :class:`~evoked.errors.ImageError` if there is no such picture.
    """

    name: str
    read: Callable[[], bytes]


@dataclass
class PostRecord:
    """One post as the source has it.

    Attributes
    ----------
    fields
        Values by column of :data:`evoked.posts.schema.POSTS`, not yet converted. A column that the
        source doesn't have is absent; a value that is empty is None.
    file, row
        Where the source has it.
    images
        The post's pictures, the cover first.
    tables
        Rows of further tables, such as ``{"annotations": [...]}``, without their ``post_id``.
    remarks
        Remarks on what the reader has already corrected.
    content
        What an id is made from if the post has none; the fields by default.
    """

    fields: dict[str, Any]
    file: str
    row: int | None = None
    images: list[ImageFile] = field(default_factory=list)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)
    content: Any = None


@dataclass
class NetworkTables:
    """The users' tables of a source, read once it is known which posts were imported.

    Attributes
    ----------
    tables
        ``viewings``, ``connections``, ``groups``, ``memberships``, each with its columns of
        :mod:`evoked.posts.schema`; the reader raises an error if there are no ``viewings``.
    remarks
        What was left out or corrected: the first case, and the number of cases.
    notes
        What a person should know.
    """

    tables: dict[str, pd.DataFrame]
    remarks: list[tuple[Remark, int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class Source:
    """An opened source whose posts are not read yet.

    Attributes
    ----------
    records
        The posts, the posts left out (:class:`Skipped`) and other remarks, always in the same
        order; can be read once.
    total
        The number of records, or None where it isn't known in advance.
    mapping
        The column of the source that each field comes from.
    scales
        The scale on which the source's ratings were made, by dimension.
    notes
        What a person should know: encoding, delimiter, what was guessed.
    warnings
        What a person should know first: what the source seems to lack.
    facts
        The kind of each fact: posts have a field ``fact.NAME`` for it, already converted.
    columns
        Names of a table's columns, used or not; empty for formats with a fixed layout.
    taken_for
        Name of the reader that the source turned out to be for, where that was found out.
    platform
        Whose posts they seem to be, such as TikTok Studio; "" if that isn't known.
    network
        For sources that know who viewed the posts: a function that is called after the posts are
        read, with the ids of those in the dataset.
    """

    records: Iterator[PostRecord | Remark]
    total: int | None = None
    mapping: dict[str, str] = field(default_factory=dict)
    scales: dict[str, tuple[float, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    facts: dict[str, Kind] = field(default_factory=dict)
    columns: list[str] = field(default_factory=list)
    taken_for: str = ""
    platform: str = ""
    network: Callable[[pd.Series], NetworkTables] | None = None


@dataclass(frozen=True)
class ReadOptions:
    """Decisions of a person that replace the reader's guesses.

    Attributes
    ----------
    mapping
        Column of the source by field; an empty name leaves the field out.
    scales
        Lowest and highest rating by dimension.
    images
        Folder that a table's names of pictures start from; the table's own by default.
    time_zone
        IANA name of the time zone of dates without one; UTC by default.
    facts
        Kind of each column that is taken as a fact; None for one to be guessed.
    author
        Whose posts they all are, where no column holds authors.
    encoding
        Encoding of a table's text file; found by its bytes by default.
    """

    mapping: Mapping[str, str] = field(default_factory=dict)
    scales: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    images: Path | None = None
    time_zone: str | None = None
    facts: Mapping[str, Kind | None] = field(default_factory=dict)
    author: str | None = None
    encoding: str | None = None


Reader = Callable[[Path, ReadOptions], Source]


def refuse_options(options: ReadOptions, format_name: str) -> None:
    """Raise SettingsError if a format whose layout is fixed was given a mapping or a scale."""
    if options.mapping:
        raise SettingsError(f"{format_name} has a fixed layout and takes no column mapping.")
    if options.scales:
        raise SettingsError(f"{format_name} holds no ratings and takes no scale.")
    if options.images is not None:
        raise SettingsError(f"{format_name} has its pictures beside the posts: leave --images out.")
    refuse_facts(options, format_name)
    refuse_encoding(options, format_name)


def refuse_encoding(options: ReadOptions, format_name: str) -> None:
    """Raise SettingsError if a format whose encoding is fixed was given one."""
    if options.encoding is not None:
        raise SettingsError(f"{format_name} has a fixed encoding: --encoding goes with csv files.")


def refuse_facts(options: ReadOptions, format_name: str) -> None:
    """Raise SettingsError if a format without columns of a person's own was given facts."""
    if options.facts:
        raise SettingsError(
            f"{format_name} has no columns of your own: --fact goes with csv, jsonl and parquet."
        )


def require_file(source: Path) -> None:
    """Raise DataError unless ``source`` is a file."""
    if source.is_dir():
        raise DataError("a folder, not a file.", file=source, fix="Give the path of a file in it.")
    if not source.is_file():
        raise DataError("there is no such file.", file=source, fix="Give the path of a file.")


def require_folder(source: Path) -> None:
    """Raise DataError unless ``source`` is a folder."""
    if source.is_file():
        raise DataError("a file, not a folder.", file=source, fix="Give the path of its folder.")
    if not source.is_dir():
        raise DataError("there is no such folder.", file=source, fix="Give the path of a folder.")


def open_zip(source: Path, kind: str = "a zip archive", fix: str | None = None) -> zipfile.ZipFile:
    """A zip archive, opened; nothing is unpacked.

    Raises
    ------
    DataError
        It is not ``kind``; ``fix`` says what to do about it.
    """
    try:
        return zipfile.ZipFile(source)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DataError(f"can't be read as {kind} ({error}).", file=source, fix=fix) from error


def file_image(
    root: Path, name: str, deeper: Mapping[str, Sequence[str]] | None = None
) -> ImageFile:
    """The picture that a source calls ``name``; it has to lie in the folder ``root``.

    Parameters
    ----------
    deeper
        Where in ``root`` files lie by their bare names (:func:`deeper_files`), for a name without
        a folder that isn't there.
    """
    return ImageFile(name, lambda: _read_image(root, _in_subfolder(root, name, deeper or {})))


def deeper_files(root: Path) -> dict[str, list[str]]:
    """Paths within ``root`` of the files in its subfolders, by their bare names."""
    found: dict[str, list[str]] = {}
    for path in walk_files(root):
        if path.parent != root:
            found.setdefault(path.name, []).append(path.relative_to(root).as_posix())
    return found


def _in_subfolder(root: Path, name: str, deeper: Mapping[str, Sequence[str]]) -> str:
    """The path of a picture of which a source may only give the bare name."""
    if is_file_in(root, name):
        return name
    for find in (_below, _spelled_otherwise, _laid_flat, _saved_from, _of_another_ending):
        found = find(root, name)
        if found:
            return found
    paths = _paths_ending_in(name, deeper)
    if not paths:
        return name
    if len(paths) > 1:
        raise ImageError(
            f"several subfolders have a picture of this name ({', '.join(paths[:3])})."
        )
    return paths[0]


def _paths_ending_in(name: str, deeper: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """The paths of files in subfolders that a name may mean: those of its last part, in the folders
    that it names, if it isn't one of another place."""
    if "://" in name and not name.startswith("file://"):
        last = _last_of_address(name)
        return deeper.get(last, ()) if _DISTINCTIVE.fullmatch(last) else ()
    parts = re.split(r"[/\\]", name)
    paths = deeper.get(parts[-1], ())
    if _is_absolute(name) or len(parts) == 1:
        return paths
    plain = [part for part in parts if part != "."]
    return [path for path in paths if path.split("/")[-len(plain) :] == plain]


def _last_of_address(name: str) -> str:
    return unquote(re.split(r"[?#]", name)[0].rstrip("/").rpartition("/")[2])


def _saved_from(root: Path, name: str) -> str:
    """A picture that was saved from an address under the name that it has there, if that is one
    that no other picture has by chance, as "1.jpg" would be."""
    if not name.startswith(("http://", "https://")):
        return ""
    last = _last_of_address(name)
    if not _DISTINCTIVE.fullmatch(last):
        return ""
    return last if is_file_in(root, last) else ""


def _of_another_ending(root: Path, name: str) -> str:
    """The only picture of a name that has another ending there, or one where the name has none."""
    if "://" in name or _is_absolute(name):
        return ""
    parent, _, last = name.replace("\\", "/").rpartition("/")
    stem, dot, ending = last.rpartition(".")
    stem = stem if f"{dot}{ending}".lower() in PICTURE_SUFFIXES else last
    try:
        folder = (root / parent).resolve()
        if not stem or not folder.is_relative_to(root.resolve()) or not folder.is_dir():
            return ""
        names = _pictures_by_stem(str(folder), folder.stat().st_mtime_ns).get(
            _in_one_spelling(stem), []
        )
    except (OSError, ValueError, RuntimeError):
        return ""
    return f"{parent}/{names[0]}".lstrip("/") if len(names) == 1 else ""


@lru_cache(maxsize=16)
def _pictures_by_stem(folder: str, changed: int) -> dict[str, list[str]]:
    """The pictures in a folder by their names without endings; ``changed`` is when it last did."""
    found: dict[str, list[str]] = {}
    for name in os.listdir(folder):
        stem, dot, ending = name.rpartition(".")
        if f"{dot}{ending}".lower() in PICTURE_SUFFIXES:
            found.setdefault(_in_one_spelling(stem), []).append(name)
    return found


def _spelled_otherwise(root: Path, name: str) -> str:
    """A file whose name differs in what systems spell differently: case, accents, %20."""
    if "://" in name:
        return ""
    plain = unquote(name.replace("\\", "/"))
    parent, _, last = plain.rpartition("/")
    try:
        folder = (root / parent).resolve()
        if not folder.is_relative_to(root.resolve()) or not folder.is_dir():
            return ""
        alike = _spellings(str(folder), folder.stat().st_mtime_ns).get(_in_one_spelling(last), [])
    except (OSError, ValueError, RuntimeError):
        return ""
    return f"{parent}/{alike[0]}".lstrip("/") if len(alike) == 1 else ""


def _laid_flat(root: Path, name: str) -> str:
    """A picture's bare name, where a table names its folder, but it lies beside the table: as when
    both were dropped on a page."""
    parts = re.split(r"[/\\]", name)
    if "://" in name or _is_absolute(name) or len(parts) < 2 or ".." in parts:
        return ""
    # Where the folder is there, the picture is missing in it, and one beside it is another.
    if (root / parts[0]).is_dir() and parts[0] != ".":
        return ""
    return parts[-1] if is_file_in(root, parts[-1]) else _spelled_otherwise(root, parts[-1])


@lru_cache(maxsize=16)
def _spellings(folder: str, changed: int) -> dict[str, list[str]]:
    """The names in a folder by their common spelling; ``changed`` is when it last did."""
    found: dict[str, list[str]] = {}
    for name in os.listdir(folder):
        found.setdefault(_in_one_spelling(name), []).append(name)
    return found


def _in_one_spelling(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _is_absolute(name: str) -> bool:
    return name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:[/\\]|file://", name) is not None


def _below(root: Path, name: str) -> str:
    """Where the end of an absolute name, of this computer or another, leads below ``root``."""
    if not _is_absolute(name):
        return ""
    parts = [part for part in re.split(r"[/\\]+", name) if part]
    if ".." in parts:
        return ""
    ends = ("/".join(parts[start:]) for start in range(1, len(parts)))
    return next((end for end in ends if is_file_in(root, end)), "")


def is_file_in(root: Path, name: str) -> bool:
    """Whether a folder has a file of this name."""
    try:
        return (root / name).is_file()
    except (OSError, ValueError):
        return False


def _read_image(root: Path, name: str) -> bytes:
    if "://" in name:
        raise ImageError(
            "a web address, and nothing is downloaded.", fix="Save the picture beside the source."
        )
    try:
        path = (root / name.replace("\\", "/")).resolve()
        inside = path.is_relative_to(root.resolve())
        exists = inside and path.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: a circle of links
        raise ImageError("not the name of a file.") from error
    if not inside:
        raise ImageError(
            OUTSIDE, fix="Say where the pictures lie: --images FOLDER. Or move them into it."
        )
    if not exists:
        raise ImageError(NO_PICTURE)
    try:
        return read_bounded(path, MAX_IMAGE_BYTES)
    except DataError as error:
        raise ImageError(error.problem) from error


def walk_files(folder: Path) -> list[Path]:
    """All files below ``folder``, hidden ones left out, sorted by their path within it."""
    files = (path for path in folder.rglob("*") if path.is_file())
    relative = sorted(path.relative_to(folder).as_posix() for path in files)
    return [
        folder / name for name in relative if not any(p.startswith(".") for p in name.split("/"))
    ]


def dig(value: Any, *keys: str | int) -> Any:
    """Follow keys into nested JSON; None as soon as something isn't there."""
    for key in keys:
        if isinstance(key, int) and isinstance(value, list):
            value = value[key] if len(value) > key else None
        elif isinstance(value, dict):
            value = value.get(key)
        else:
            return None
    return value

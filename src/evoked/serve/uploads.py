"""What people bring: kept in a folder of its own under random names, and deleted by age."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from evoked.errors import DataError
from evoked.files import atomic_folder, atomic_path, read_json, write_json
from evoked.posts.images import load_image
from evoked.posts.picture_metadata import without_metadata
from evoked.posts.readers.base import PICTURE_SUFFIXES
from evoked.serve.room import Room
from evoked.serve.settings import Limits

UPLOADS_FOLDER = "uploads"
_FACTS_FILE = "upload.json"
CONTENT = "content"
_IDENTIFIER = re.compile(r"[0-9a-f]{32}")
_TABLES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet", ".xlsx")
_SUFFIXES = (".zip", *_TABLES, *PICTURE_SUFFIXES)
# What a file name may hold beside letters and digits of any script.
_OTHER_SIGNS = re.compile(r"[^\w.\- ()]")
_LONGEST_NAME = 120
_COPIED_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Upload:
    """What somebody brought.

    Attributes
    ----------
    id
        Random, and the name of its folder.
    names
        How its files were called there, for people.
    source
        The file, or the folder of several.
    """

    id: str
    names: tuple[str, ...]
    source: Path

    @property
    def title(self) -> str:
        """The first file's name, and how many more there are."""
        more = len(self.names) - 1
        return self.names[0] + (f" + {more}" if more else "")


class Uploads:
    """The uploads of a desk.

    Parameters
    ----------
    data
        The desk's folder.
    limits
        Most files of an upload, the age at which one is deleted, and how much the desk's folder may
        hold.
    """

    def __init__(self, data: Path, limits: Limits) -> None:
        self.folder = data / UPLOADS_FOLDER
        self.limits, self._room = limits, Room(data, limits)

    def add(self, files: Sequence[tuple[str, BinaryIO]]) -> Upload:
        """Keep files under names that lead nowhere else.

        Parameters
        ----------
        files
            The name that each was brought under, and its content.

        Raises
        ------
        DataError
            There is none, there are too many, or one is of no kind that is read.
        RefusalError
            The desk's folder has no room for them.
        """
        if not files:
            raise DataError("no file was chosen.", fix="Choose one, or drop it on the page.")
        if len(files) > self.limits.files:
            raise DataError(
                f"{len(files)} files at once; at most {self.limits.files} are taken.",
                fix="Bring a .zip.",
            )
        names = [shown_name(name) for name, _ in files]
        for name in names:
            if Path(name).suffix.lower() not in _SUFFIXES:
                raise DataError(
                    "this kind of file is not read.",
                    file=name,
                    fix=f"Bring one that ends in {', '.join(_SUFFIXES)}.",
                )
        self._room.take(sum(_size(stream) for _, stream in files))
        identifier = secrets.token_hex(16)
        with atomic_folder(self.folder / identifier) as temporary:
            content = temporary / CONTENT
            content.mkdir()
            for name, (_, stream) in zip(_apart(names), files, strict=True):
                _copy(stream, content / name)
            write_json(temporary / _FACTS_FILE, {"names": names})
        found = self.get(identifier)
        assert found is not None
        return found

    def get(self, identifier: str) -> Upload | None:
        """An upload; None if there is none of this id, or it is too old."""
        if not _IDENTIFIER.fullmatch(identifier):
            return None
        place = self.folder / identifier
        if not (place / _FACTS_FILE).is_file():
            return None
        names = tuple(read_json(place / _FACTS_FILE)["names"])
        files = sorted((place / CONTENT).iterdir())
        return Upload(identifier, names, files[0] if len(files) == 1 else place / CONTENT)

    def add_picture(self, content: bytes) -> str:
        """Keep a picture, without what a camera noted beside it; returns its id.

        Raises
        ------
        ImageError
            It can't be decoded within the bounds of pixels and bytes.
        RefusalError
            The desk's folder has no room for it.
        """
        load_image(content, 8)  # every pixel is decoded, so that what is kept can be read
        clean = without_metadata(content)
        self._room.take(len(clean))
        identifier = secrets.token_hex(16)
        with atomic_path(self.folder / f"{identifier}.picture") as temporary:
            temporary.write_bytes(clean)
        return identifier

    def picture(self, identifier: str) -> Path | None:
        """The file of a picture; None if there is none of this id."""
        if not _IDENTIFIER.fullmatch(identifier):
            return None
        path = self.folder / f"{identifier}.picture"
        return path if path.is_file() else None

    def add_made(self, files: Mapping[str, bytes]) -> str:
        """Keep files by their names that the desk itself has made; returns the id of them all.

        Raises
        ------
        RefusalError
            The desk's folder has no room for them.
        """
        self._room.take(sum(map(len, files.values())))
        identifier = secrets.token_hex(16)
        with atomic_folder(self.folder / identifier) as temporary:
            for name, content in files.items():
                (temporary / name).write_bytes(content)
        return identifier

    def made(self, identifier: str, name: str, suffix: str = "png") -> Path | None:
        """A file of a kind that :meth:`add_made` kept; None if there is none."""
        named = re.fullmatch(rf"[a-z_]+\.{suffix}", name)
        if not _IDENTIFIER.fullmatch(identifier) or not named:
            return None
        path = self.folder / identifier / name
        return path if path.is_file() else None

    def delete_old(self, in_use: Sequence[str] = ()) -> int:
        """Delete what is older than allowed and that no job needs; returns how many."""
        if not self.folder.is_dir():
            return 0
        latest, deleted = time.time() - 3600 * self.limits.upload_hours, 0
        for path in list(self.folder.iterdir()):
            with suppress(FileNotFoundError):
                if path.stem in in_use or path.stat().st_mtime > latest:
                    continue
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()
                deleted += 1
        return deleted


def shown_name(name: str) -> str:
    """The last part of a file's name, without signs that lead elsewhere or that nobody sees.

    Examples
    --------
    >>> shown_name("../../etc/passwd"), shown_name("pictures/a b.JPG"), shown_name("..")
    ('passwd', 'a b.JPG', 'file')
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    kept = _OTHER_SIGNS.sub("_", last).strip(". ")
    stem, suffix = Path(kept).stem, Path(kept).suffix
    while len((stem + suffix).encode()) > _LONGEST_NAME and stem:
        stem = stem[:-1]
    return (stem + suffix)[:_LONGEST_NAME] or "file"


def _apart(names: Sequence[str]) -> list[str]:
    """Names of which no two are the same, however a file system reads capitals.

    Those that are the same all get a number, so that no table finds one of several pictures that
    were called alike in different folders.

    Examples
    --------
    >>> _apart(["a.jpg", "b.jpg", "A.jpg", "2-a.jpg"])
    ['0-a.jpg', 'b.jpg', '2-2-A.jpg', '3-2-a.jpg']
    """
    found = list(names)
    while True:
        alike = Counter(name.casefold() for name in found)
        if max(alike.values()) == 1:
            return found
        found = [
            f"{number}-{name}" if alike[name.casefold()] > 1 else name
            for number, name in enumerate(found)
        ]


def _size(stream: BinaryIO) -> int:
    """Bytes of a file from its beginning, where it is left."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    return size


def _copy(stream: BinaryIO, path: Path) -> None:
    with path.open("xb") as target:
        shutil.copyfileobj(stream, target, _COPIED_BYTES)

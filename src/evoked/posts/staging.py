"""The working folder of an import: finished batches survive a crash, half-written ones don't.

::

    .my_posts.import/
        job.json              what is imported, and how; another import starts from scratch
        parts/000000/         a finished batch: tables as Arrow files, tally.json
        images/               pictures, each named by the hash of its content
        dataset/              the finished dataset, just before it is moved to its place
        grown/                where posts are appended: the dataset with them put to it
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image

from evoked.errors import DataError
from evoked.files import (
    atomic_folder,
    atomic_path,
    link,
    read_json,
    replace_folder,
    write_json,
    writing,
)
from evoked.posts.dataset import DESCRIPTION_FILE
from evoked.posts.images import load_image, read_header
from evoked.posts.picture_metadata import without_metadata
from evoked.posts.readers.base import ImageFile, Remark, Skipped
from evoked.posts.readers.values import storable
from evoked.posts.schema import TABLES, with_facts

REMARKS_FILE = "remarks.jsonl"
"""All remarks of an import, in the dataset that it made."""

_TALLY_FILE = "tally.json"
_JOB_FILE = "job.json"
_EXAMPLES_PER_REASON = 20
# A small edge makes the decoder read the whole file at the lowest cost.
_TEST_EDGE = 32
_QUALITY = 95
_SUFFIXES = {
    "JPEG": ".jpg",
    "MPO": ".jpg",
    "PNG": ".png",
    "WEBP": ".webp",
    "GIF": ".gif",
    "BMP": ".bmp",
}


@dataclass
class Tally:
    """How much was read so far, and how much was not, and why.

    Attributes
    ----------
    consumed
        Records taken from the reader, whether kept or not.
    read, images
        Number of posts, and of their pictures.
    faces
        Number of faces found and blurred in the pictures; None if none were looked for.
    rows
        Number of rows by table, for a network's tables other than the posts.
    skipped, changed
        Counts by reason: of posts and rows that were left out, and of values that were left out or
        corrected.
    examples
        Up to twenty remarks of each kind.
    remarks
        All remarks that were added; they are stored apart, since there may be one per post.
    """

    consumed: int = 0
    read: int = 0
    images: int = 0
    faces: int | None = None
    rows: dict[str, int] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    examples: list[dict[str, Any]] = field(default_factory=list)
    remarks: list[dict[str, Any]] = field(default_factory=list)

    def add(self, remark: Remark, count: int = 1) -> None:
        """Count a remark that stands for ``count`` of its kind."""
        counts = self.skipped if isinstance(remark, Skipped) else self.changed
        reason = f"{remark.field}: {remark.why}" if remark.field else remark.why
        counts[reason] += count
        self.remarks.append(storable({"reason": reason, **asdict(remark)}))
        if counts[reason] - count < _EXAMPLES_PER_REASON:
            self.examples.append(self.remarks[-1])

    def merge(self, other: Tally) -> None:
        """Add the counts of a later batch."""
        before = self.skipped + self.changed
        self.consumed += other.consumed
        self.read += other.read
        self.images += other.images
        if other.faces is not None:
            self.faces = (self.faces or 0) + other.faces
        self.skipped += other.skipped
        self.changed += other.changed
        for example in other.examples:
            before[example["reason"]] += 1
            if before[example["reason"]] <= _EXAMPLES_PER_REASON:
                self.examples.append(example)

    def as_dict(self) -> dict[str, Any]:
        """Everything but the remarks, ready for JSON."""
        counts = {"skipped": dict(self.skipped), "changed": dict(self.changed)}
        return {name: value for name, value in vars(self).items() if name != "remarks"} | counts

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Tally:
        """The tally from what :meth:`as_dict` gave."""
        counts = {name: Counter(value[name]) for name in ("skipped", "changed")}
        return cls(**{**value, **counts})


class Staging:
    """The working folder of one import.

    Parameters
    ----------
    folder
        Beside the destination, on the same disk.
    job
        What the resulting dataset depends on. If the folder holds batches of another job, or a
        link, which no import makes, its content is deleted.
    """

    def __init__(self, folder: Path, job: Mapping[str, Any]) -> None:
        self.folder = folder
        self.images = folder / "images"
        self.parts = folder / "parts"
        self.dataset = folder / "dataset"
        self.grown = folder / "grown"
        if not _is_job(folder, job):
            remove_staging(folder)
            self.parts.mkdir(parents=True)
            self.images.mkdir()
            write_json(folder / _JOB_FILE, dict(job))
        self._count = len(self.finished_parts())

    @property
    def has_dataset(self) -> bool:
        """Whether only moving the dataset to its place is left to do."""
        return (self.dataset / DESCRIPTION_FILE).is_file()

    @property
    def has_grown(self) -> bool:
        """Whether only putting the grown dataset in its place is left to do."""
        return (self.grown / DESCRIPTION_FILE).is_file()

    def finished_parts(self) -> list[Path]:
        """Folders of the finished batches, in order."""
        return sorted(path for path in self.parts.iterdir() if path.name.isdecimal())

    def add_part(
        self,
        tables: Mapping[str, list[dict[str, Any]]],
        tally: Tally,
        facts: Mapping[str, pa.DataType],
    ) -> None:
        """Store a batch: all of it, or nothing if the process dies meanwhile.

        Parameters
        ----------
        tables
            Rows by table.
        tally
            What was read.
        facts
            Types of the columns of facts.
        """
        with atomic_folder(self.parts / f"{self._count:06d}") as temporary:
            schemas = TABLES | {"posts": with_facts(facts)}
            for name, rows in tables.items():
                table = pa.Table.from_pylist(rows, schema=schemas[name])
                with pa.ipc.new_file(str(temporary / f"{name}.arrow"), table.schema) as writer:
                    writer.write_table(table)
            write_json(temporary / _TALLY_FILE, tally.as_dict())
            _write_lines(temporary / REMARKS_FILE, tally.remarks)
        self._count += 1

    def tally(self) -> Tally:
        """Sum over the finished batches."""
        total = Tally()
        for part in self.finished_parts():
            total.merge(Tally.from_dict(read_json(part / _TALLY_FILE)))
        return total

    def table(self, name: str) -> pa.Table | None:
        """A table over all finished batches, mapped from disk; None if no batch has rows for it."""
        files = [part / f"{name}.arrow" for part in self.finished_parts()]
        tables = [_map_table(file) for file in files if file.is_file()]
        return pa.concat_tables(tables) if tables else None

    def add_image(self, image: ImageFile) -> str:
        """Store a picture without its metadata, named by the hash of what is stored, and return
        that name.

        Raises
        ------
        ImageError
            There is no such picture, or it can't be decoded within the bounds.
        """
        content = image.read()
        if read_header(content).format not in _SUFFIXES:
            content = _as_jpeg(content)
        load_image(content, _TEST_EDGE)
        content = without_metadata(content)
        suffix = _SUFFIXES[read_header(content).format]
        name = hashlib.sha256(content).hexdigest()[:32] + suffix
        if not (self.images / name).exists():
            with atomic_path(self.images / name) as temporary:
                temporary.write_bytes(content)
        return name

    def linked_images(self) -> Path:
        """A folder with links to the finished pictures, which the dataset takes over.

        The originals stay, so that a crash while the dataset is written loses nothing.
        """
        linked = self.folder / "linked"
        shutil.rmtree(linked, ignore_errors=True)
        linked.mkdir()
        for path in sorted(self.images.iterdir()):
            if not path.name.startswith("."):
                link(path, linked / path.name)
        return linked

    def write_remarks(
        self,
        folder: Path | None = None,
        before: Path | None = None,
        further: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        """Put all remarks beside a dataset's tables, one per line.

        Parameters
        ----------
        folder
            The dataset's; the finished one by default.
        before
            File of the remarks that come first, if it is there.
        further
            Remarks that come last.
        """
        # Moved there when it is whole, so that a crash leaves nothing else in the dataset.
        with (self.folder / REMARKS_FILE).open("wb") as stream:
            if before is not None and before.is_file():
                stream.write(before.read_bytes())
            for part in self.finished_parts():
                stream.write((part / REMARKS_FILE).read_bytes())
            stream.write(_lines(further).encode())
        os.replace(self.folder / REMARKS_FILE, (folder or self.dataset) / REMARKS_FILE)

    def move_dataset(self, dest: Path) -> None:
        """Put the finished dataset in its place and clear up."""
        self._move(self.dataset, dest)

    def move_grown(self, dest: Path) -> None:
        """Put the grown dataset in the place of the one that it grew from, and clear up."""
        self._move(self.grown, dest)

    def _move(self, folder: Path, dest: Path) -> None:
        with writing(dest):
            if dest.exists():
                replace_folder(folder, dest)
            else:
                os.replace(folder, dest)
        remove_staging(self.folder)


def _write_lines(path: Path, items: Iterable[Mapping[str, Any]]) -> None:
    path.write_text(_lines(items), encoding="utf-8")


def _lines(items: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items)


def _as_jpeg(content: bytes) -> bytes:
    """A picture that not every reader of the dataset could open, as JPEG."""
    stream = io.BytesIO()
    Image.fromarray(load_image(content)).save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()


def remove_staging(folder: Path) -> None:
    """Delete a working folder.

    The description of its job goes first: a crash meanwhile leaves no batches that are trusted.
    """
    if folder.is_symlink():
        folder.unlink()  # and nothing of what it leads to
        return
    (folder / _JOB_FILE).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _is_job(folder: Path, job: Mapping[str, Any]) -> bool:
    try:
        return read_json(folder / _JOB_FILE) == dict(job) and not _has_links(folder)
    except DataError:
        return False


def _has_links(folder: Path) -> bool:
    """Whether a folder is or holds a link, by which an import would read or write elsewhere."""
    return folder.is_symlink() or any(
        entry.is_symlink() or (entry.is_dir() and _has_links(Path(entry)))
        for entry in os.scandir(folder)
    )


def _map_table(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as stream:
        return pa.ipc.open_file(stream).read_all()


def fingerprint(source: Path, files: Iterable[Path], media_suffixes: tuple[str, ...]) -> str:
    """A hash of a source's content, wherever the source lies.

    Pictures and videos count with their names and sizes, everything else with its content.
    """
    digest = hashlib.sha256()
    for path in files:
        name = path.name if path == source else path.relative_to(source).as_posix()
        digest.update(f"{name}\0{path.stat().st_size}\0".encode("utf-8", "surrogatepass"))
        if not name.lower().endswith(media_suffixes):
            with path.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()

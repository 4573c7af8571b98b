"""Checks of readers, each of which states one property that every reader has."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from evoked.errors import EvokedError
from evoked.posts.dataset import PostDataset
from evoked.posts.importing import import_posts, summary_rows
from evoked.posts.readers.base import PostRecord, Reader, ReadOptions, Remark
from evoked.posts.schema import ANNOTATIONS, POSTS, SCALES
from evoked.testing.failures import refuses, require

_FEWEST = 3
# Names that a reader may look for.
_NAMES = ("posts.csv", "annotations.csv", "a_UTC.json", "content/posts_1.json", "posts")
_MEANINGLESS = (b"", b"\x00" * 100, b"{", b"[]", b"[[[", b"\xff\xfe\xfd", b"a")


@dataclass
class ReaderCase:
    """A reader and a small source in its format.

    Attributes
    ----------
    read
        The reader.
    source
        File or folder with at least three posts and a picture.
    folder
        For what is imported.
    """

    read: Reader
    source: Path
    folder: Path

    def new_folder(self) -> Path:
        """An empty folder below :attr:`folder`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return Path(mkdtemp(dir=self.folder))


Check = Callable[[ReaderCase], None]


def check_yields_posts_and_remarks_of_known_fields(case: ReaderCase) -> None:
    """Records are posts with fields of the schema and the name of their file, or remarks."""
    records = list(case.read(case.source, ReadOptions()).records)
    require(len(records) >= _FEWEST, f"only {len(records)} records")
    for record in records:
        require(isinstance(record, PostRecord | Remark), f"a record is a {type(record).__name__}")
        if isinstance(record, PostRecord):
            unknown = set(record.fields) - set(POSTS.names)
            require(not unknown, f"fields that the schema doesn't have: {unknown}")
            require(record.file, "a post does not name its file")
            for row in record.tables.get("annotations", []):
                wanted = set(ANNOTATIONS.names) - {"post_id"}
                require(set(row) == wanted, f"an annotation has {sorted(row)}")


def check_reads_nothing_before_it_is_asked(case: ReaderCase) -> None:
    """Records come one by one, as many as the reader promises."""
    reading = case.read(case.source, ReadOptions())
    require(iter(reading.records) is reading.records, "records are not an iterator")
    if reading.total is not None:
        found = len(list(reading.records))
        require(reading.total == found, f"{reading.total} records promised, {found} found")


def check_imports_posts_with_their_pictures(case: ReaderCase) -> None:
    """Every post is imported once, with its pictures, and with ratings on the project's scales."""
    result = import_posts(case.read, case.source, case.new_folder() / "posts")
    posts = result.dataset.posts
    require(result.tally.read == len(posts), f"{result.tally.read} read, {len(posts)} kept")
    require(len(posts) >= _FEWEST, f"only {len(posts)} posts")
    require(posts["post_id"].is_unique, "post_id repeats")
    pictures = sum(map(len, posts["images"]))
    require(result.tally.images == pictures > 0, f"{result.tally.images} pictures, {pictures} kept")
    for path in filter(None, result.dataset.cover_paths()):
        require(path.is_file(), f"no picture at {path}")
    for dimension, (low, high) in SCALES.items():
        within = posts[dimension].dropna().between(low, high).all()
        require(within, f"{dimension} is not within {low} and {high}")
    require(summary_rows(result)[0] == ("read", len(posts), "posts"), "the summary is wrong")


def check_same_source_gives_the_same_bytes(case: ReaderCase) -> None:
    """A copy of the source elsewhere gives the same dataset, byte for byte."""
    folder = case.new_folder()
    copy = folder / "elsewhere" / case.source.name
    if case.source.is_dir():
        shutil.copytree(case.source, copy)
    else:
        shutil.copytree(case.source.parent, copy.parent)
    first = import_posts(case.read, case.source, folder / "first").dataset
    second = import_posts(case.read, copy, folder / "second").dataset
    require(_file_bytes(first) == _file_bytes(second), "the datasets differ")


def check_absent_source_is_an_error_with_its_name(case: ReaderCase) -> None:
    """A source that does not exist is an error that names it."""
    with refuses(EvokedError, "nothing-here", "an absent source"):
        case.read(case.new_folder() / "nothing-here", ReadOptions())


def check_meaningless_bytes_are_an_error(case: ReaderCase) -> None:
    """A source of meaningless bytes is an error that names it, and leaves nothing behind."""
    for content in _MEANINGLESS:
        folder = case.new_folder()
        damaged = folder / "source"
        for name in _NAMES:
            path = damaged / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        source = damaged if case.source.is_dir() else damaged / "posts"
        with refuses(EvokedError, damaged.name, f"a source of {content!r}"):
            import_posts(case.read, source, folder / "posts")
        left = sorted(path.name for path in folder.iterdir() if path != damaged)
        require(not left, f"left behind by a source of {content!r}: {left}")


CHECKS: tuple[Check, ...] = (
    check_yields_posts_and_remarks_of_known_fields,
    check_reads_nothing_before_it_is_asked,
    check_imports_posts_with_their_pictures,
    check_same_source_gives_the_same_bytes,
    check_absent_source_is_an_error_with_its_name,
    check_meaningless_bytes_are_an_error,
)
"""Checks of every reader."""


def _file_bytes(dataset: PostDataset) -> dict[str, bytes]:
    return {
        path.relative_to(dataset.folder).as_posix(): path.read_bytes()
        for path in sorted(dataset.folder.rglob("*"))
        if path.is_file()
    }

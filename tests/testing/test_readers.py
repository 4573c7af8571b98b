"""The checks of readers on readers that are not registered: a good one passes, bad ones don't."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evoked.errors import DataError
from evoked.posts.importing import import_posts
from evoked.posts.readers.base import (
    ImageFile,
    PostRecord,
    Reader,
    ReadOptions,
    Remark,
    Source,
    require_file,
)
from evoked.testing import check_reader
from evoked.testing import readers as checks
from evoked.testing.readers import CHECKS, Check, ReaderCase
from tests.support.reader_sources import write_picture


def rows_of(source: Path) -> list[dict[str, Any]]:
    """Rows of a JSON array of objects."""
    require_file(source)
    try:
        rows = json.loads(source.read_bytes())
        if not rows or not all(isinstance(row, dict) for row in rows):
            raise ValueError("no list of posts")
    except ValueError as error:
        raise DataError(f"not a list of posts ({error}).", file=source) from error
    return list(rows)


def record(source: Path, row: dict[str, Any]) -> PostRecord:
    picture = source.parent / str(row["picture"])
    images = [ImageFile(picture.name, picture.read_bytes)]
    fields = {"post_id": row["id"], "caption": row["text"]}
    return PostRecord(fields, source.name, images=images)


def read(source: Path, options: ReadOptions) -> Source:
    """Posts from a JSON array of objects with ``id``, ``text`` and ``picture``."""
    rows = rows_of(source)
    return Source((record(source, row) for row in rows), total=len(rows))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    rows = [{"id": f"p{n}", "text": f"Text {n}", "picture": f"{n}.jpg"} for n in range(3)]
    for number in range(3):
        write_picture(folder / f"{number}.jpg", number)
    (folder / "posts").write_text(json.dumps(rows))
    return folder / "posts"


def test_good_reader_passes_without_being_registered(source: Path, tmp_path: Path) -> None:
    check_reader(read, source, tmp_path / "out")
    check_reader(read, source)
    result = import_posts(read, source, tmp_path / "posts")
    assert len(result.dataset.posts) == 3


def changed(opened: Source, **fields: Any) -> Iterator[PostRecord | Remark]:
    for each in opened.records:
        assert isinstance(each, PostRecord)
        yield replace(each, **fields)


def other_fields(source: Path, options: ReadOptions) -> Source:
    return Source(changed(read(source, options), fields={"weather": "fine"}))


def wrong_total(source: Path, options: ReadOptions) -> Source:
    return replace(read(source, options), total=7)


def without_pictures(source: Path, options: ReadOptions) -> Source:
    return Source(changed(read(source, options), images=[]))


def names_its_folder(source: Path, options: ReadOptions) -> Source:
    rows = rows_of(source)
    records = (record(source, {**row, "text": str(source.parent)}) for row in rows)
    return Source(records)


def forgives_absence(source: Path, options: ReadOptions) -> Source:
    return read(source, options) if source.exists() else Source(iter(()))


def forgives_damage(source: Path, options: ReadOptions) -> Source:
    try:
        return read(source, options)
    except DataError:
        return Source(iter([PostRecord({"post_id": "p", "caption": "a"}, source.name)]))


BAD: list[tuple[Check, Reader]] = [
    (checks.check_yields_posts_and_remarks_of_known_fields, other_fields),
    (checks.check_reads_nothing_before_it_is_asked, wrong_total),
    (checks.check_imports_posts_with_their_pictures, without_pictures),
    (checks.check_same_source_gives_the_same_bytes, names_its_folder),
    (checks.check_absent_source_is_an_error_with_its_name, forgives_absence),
    (checks.check_meaningless_bytes_are_an_error, forgives_damage),
]


def test_every_check_has_a_bad_reader() -> None:
    assert {check for check, _ in BAD} == set(CHECKS)


@pytest.mark.parametrize(("check", "bad"), BAD, ids=lambda value: value.__name__)
def test_bad_reader_is_found(check: Check, bad: Reader, source: Path, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        check(ReaderCase(bad, source, tmp_path / "out"))


def test_a_failure_names_the_property_that_does_not_hold(source: Path) -> None:
    with pytest.raises(AssertionError) as caught:
        check_reader(wrong_total, source)
    assert any("as many as the reader promises" in note for note in caught.value.__notes__)

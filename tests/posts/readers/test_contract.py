"""What holds for every reader, whatever the format."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from evoked.errors import EvokedError
from evoked.posts.dataset import PostDataset
from evoked.posts.importing import import_posts, summary_rows
from evoked.posts.readers import READERS
from evoked.posts.readers.base import PostRecord, ReadOptions, Remark
from evoked.posts.schema import ANNOTATIONS, POSTS, SCALES
from tests.support.reader_sources import SOURCES


@pytest.fixture(params=sorted(READERS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def source(name: str, tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return SOURCES[name](folder)


def file_bytes(dataset: PostDataset) -> dict[str, bytes]:
    return {
        path.relative_to(dataset.folder).as_posix(): path.read_bytes()
        for path in sorted(dataset.folder.rglob("*"))
        if path.is_file()
    }


def test_every_format_is_tested() -> None:
    assert SOURCES.keys() == READERS.keys()


def test_the_names_of_formats_need_no_reader() -> None:
    program = (
        "import sys; from evoked.posts.readers import READERS; assert 'csv' in READERS; "
        "print(len(READERS), *READERS.keys(), 'pandas' in sys.modules, 'numpy' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert result.stdout.split() == [str(len(READERS)), *READERS, "False", "False"]


def test_an_unknown_format_has_no_reader() -> None:
    assert "xlsx" not in READERS
    with pytest.raises(KeyError):
        READERS["xlsx"]


def test_yields_posts_and_remarks_of_known_fields(name: str, source: Path) -> None:
    records = list(READERS[name](source, ReadOptions()).records)
    assert len(records) >= 3
    for record in records:
        assert isinstance(record, PostRecord | Remark)
        if isinstance(record, PostRecord):
            assert set(record.fields) <= set(POSTS.names)
            assert record.file
            for row in record.tables.get("annotations", []):
                assert set(row) == set(ANNOTATIONS.names) - {"post_id"}


def test_reads_nothing_before_it_is_asked(name: str, source: Path) -> None:
    reading = READERS[name](source, ReadOptions())
    assert iter(reading.records) is reading.records
    if reading.total is not None:
        assert reading.total == len(list(reading.records))


def test_imports_posts_with_their_pictures(name: str, source: Path, tmp_path: Path) -> None:
    result = import_posts(name, source, tmp_path / "posts")
    posts = result.dataset.posts
    assert result.tally.read == len(posts) >= 3
    assert posts["post_id"].is_unique
    assert result.tally.images == sum(map(len, posts["images"])) > 0
    for path in filter(None, result.dataset.cover_paths()):
        assert path.is_file()
    for dimension, (low, high) in SCALES.items():
        assert posts[dimension].dropna().between(low, high).all()
    assert summary_rows(result)[0] == ("read", len(posts), "posts")


def test_same_source_gives_the_same_bytes(name: str, source: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / source.name
    folder = source if source.is_dir() else source.parent
    shutil.copytree(folder, copy if source.is_dir() else copy.parent)
    first = import_posts(name, source, tmp_path / "first").dataset
    second = import_posts(name, copy, tmp_path / "second").dataset
    assert file_bytes(first) == file_bytes(second)


def test_absent_source_is_an_error_with_its_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(EvokedError, match="nothing-here"):
        READERS[name](tmp_path / "nothing-here", ReadOptions())


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 100, b"{", b"[]", b"[[[", b"\xff\xfe\xfd", b"a"]
)
def test_meaningless_bytes_are_an_error(name: str, content: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    is_folder = SOURCES[name](tmp_path / "example").is_dir()
    source = folder if is_folder else folder / "posts"
    for file in ("posts.csv", "annotations.csv", "a_UTC.json", "content/posts_1.json", "posts"):
        path = folder / file
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    with pytest.raises(EvokedError, match=folder.name):
        import_posts(name, source, tmp_path / "posts")
    assert {path.name for path in tmp_path.iterdir()} == {"source", "example"}

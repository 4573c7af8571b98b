"""Tests that every reader passes, whatever the format; the checks are evoked.testing.readers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from evoked.posts.importing import import_posts
from evoked.posts.readers import READERS
from evoked.testing.readers import CHECKS, Check, ReaderCase
from tests.support.reader_sources import SOURCES


@pytest.fixture(params=sorted(READERS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def case(name: str, tmp_path: Path) -> ReaderCase:
    folder = tmp_path / "source"
    folder.mkdir()
    return ReaderCase(READERS[name], SOURCES[name](folder), tmp_path / "out")


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
    assert "xls" not in READERS
    with pytest.raises(KeyError):
        READERS["xls"]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(case: ReaderCase, check: Check) -> None:
    check(case)


def test_imports_by_the_name_of_the_format(name: str, case: ReaderCase, tmp_path: Path) -> None:
    by_name = import_posts(name, case.source, tmp_path / "by-name").dataset
    by_reader = import_posts(case.read, case.source, tmp_path / "by-reader").dataset
    assert by_name.posts.drop(columns="images").equals(by_reader.posts.drop(columns="images"))

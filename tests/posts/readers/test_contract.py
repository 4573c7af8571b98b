"""What holds for every reader, whatever the format; the checks are evoked.testing.readers."""

from __future__ import annotations

from pathlib import Path

import pytest

from evoked.posts.readers import READERS
from evoked.testing.readers import CHECKS, Check, ReaderCase
from tests.support.reader_sources import SOURCES


@pytest.fixture(params=sorted(READERS))
def case(request: pytest.FixtureRequest, tmp_path: Path) -> ReaderCase:
    folder = tmp_path / "source"
    folder.mkdir()
    return ReaderCase(READERS[request.param], SOURCES[request.param](folder), tmp_path / "out")


def test_every_format_is_tested() -> None:
    assert SOURCES.keys() == READERS.keys()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(case: ReaderCase, check: Check) -> None:
    check(case)

"""A small part of ``benchmarks/accidents.py``, and all of it where slow tests run."""

from __future__ import annotations

import sys
from pathlib import Path

import accidents
import numpy as np
import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs kill -9")


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> accidents.Accidents:
    return accidents.Accidents(tmp_path_factory.mktemp("accidents"), 40, seed=1)


@pytest.mark.parametrize(
    "name",
    ["predict", *(pytest.param(n, marks=pytest.mark.slow) for n in accidents.KILLED)],
)
def test_killed_and_started_again_it_leaves_the_same(name: str, tried: accidents.Accidents) -> None:
    outcome = tried.kill(name, 2)
    assert outcome.problems == []
    assert outcome.tries == 2


@pytest.mark.slow
@pytest.mark.parametrize("names", accidents.PAIRS)
def test_two_at_once_lose_nothing(names: tuple[str, str], tried: accidents.Accidents) -> None:
    outcome = tried.pair(names, 1)
    assert outcome.problems == []


def test_what_is_lost_changed_or_left_over_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": [1, {"b": 2}], "seconds": 5}')
    (tmp_path / "b.csv").write_text("x,y\n1,2\n")
    (tmp_path / "folder").mkdir()
    np.save(tmp_path / "c.npy", np.ones(3))
    varying = {("a.json", "/seconds")}
    unbroken = accidents.Unbroken(accidents.state_of(tmp_path), varying, 0.0, 1.0)
    assert unbroken.differences(tmp_path) == []
    (tmp_path / "a.json").write_text('{"a": [1, {"b": 3}], "seconds": 6}')
    (tmp_path / "b.csv").write_text("x,y\n1,3\n")
    np.save(tmp_path / "c.npy", np.ones(3) * 1.5)
    (tmp_path / ".b.csv.tmp").write_text("")
    (tmp_path / "folder").rmdir()
    assert unbroken.differences(tmp_path) == [
        "left over: .b.csv.tmp",
        "missing: folder/",
        "differs: a.json /a/1/b",
        "differs: b.csv line 2",
        "differs: c.npy",
    ]


def test_a_refusal_is_a_sentence_and_no_traceback() -> None:
    said = "│ file d: another run of evoked is writing\n│ there (process 1 on x). │"
    assert accidents._is_refusal(said)
    assert not accidents._is_refusal(f"{said} Traceback (most recent call last)")
    assert not accidents._is_refusal("file d: the disk is full.")

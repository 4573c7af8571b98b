"""Files: values as JSON, links, locks."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoked.errors import DataError
from evoked.files import (
    check_format_version,
    link,
    locked,
    only_writer,
    plain,
    write_parquet,
)

_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@given(st.recursive(_LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_nested_values_become_strict_json(value: Any) -> None:
    json.dumps(plain(value), allow_nan=False)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.array([[1.0, np.nan], [np.inf, 2.0]]), [[1.0, None], [None, 2.0]]),
        ({"a": (np.int64(3), True)}, {"a": [3, True]}),
        ({1: Path("there")}, {"1": "there"}),
        (datetime(2024, 1, 1, tzinfo=UTC), "2024-01-01 00:00:00+00:00"),
        (pd.Timestamp("2024-01-01", tz="UTC"), "2024-01-01 00:00:00+00:00"),
        (pd.NaT, None),
        (np.array("a word"), "a word"),
    ],
)
def test_values_of_other_libraries_become_pythons_own(value: Any, expected: Any) -> None:
    assert plain(value) == expected


def test_fractions_are_rounded_on_demand() -> None:
    assert plain({"a": [1 / 3, np.float32(2 / 3)], "n": 7}, digits=3) == {
        "a": [0.333, 0.667],
        "n": 7,
    }


# Links


def put_source_on_another_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let hard links be made, but none of a file named ``source``."""
    link_on_one_disk = os.link

    def refuse_source(source: Path, target: Path) -> None:
        if source.name == "source":
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        link_on_one_disk(source, target)

    monkeypatch.setattr(os, "link", refuse_source)


@pytest.fixture(params=["the same disk", "another disk", "a disk without hard links"])
def _where_the_source_lies(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if request.param == "another disk":
        put_source_on_another_disk(monkeypatch)
    elif request.param == "a disk without hard links":
        monkeypatch.setattr(os, "link", refuse)


@pytest.mark.usefixtures("_where_the_source_lies")
class TestLink:
    def test_has_the_file_at_both_places(self, tmp_path: Path) -> None:
        (tmp_path / "source").write_text("new")
        link(tmp_path / "source", tmp_path / "target")
        assert (tmp_path / "target").read_text() == "new"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "target"]

    @pytest.mark.parametrize("there", ["file", "link", "broken link", "folder"])
    def test_never_overwrites(self, there: str, tmp_path: Path) -> None:
        (tmp_path / "source").write_text("new")
        target, other = tmp_path / "target", tmp_path / "other"
        if there == "file":
            target.write_text("old")
        elif there == "folder":
            target.mkdir()
        else:
            target.symlink_to(other)
            if there == "link":
                other.write_text("old")
        before = sorted(tmp_path.iterdir())
        with pytest.raises(FileExistsError):
            link(tmp_path / "source", target)
        assert sorted(tmp_path.iterdir()) == before
        if there != "folder":
            assert not target.exists() or target.read_text() == "old"

    def test_without_a_source_nothing_is_made(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            link(tmp_path / "source", tmp_path / "target")
        assert not any(tmp_path.iterdir())


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill_the_disk(source: Path, target: Path) -> None:
        target.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    def refuse(source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    (tmp_path / "source").write_text("whole")
    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr("shutil.copyfile", fill_the_disk)
    with pytest.raises(OSError, match="No space"):
        link(tmp_path / "source", tmp_path / "target")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_copy_from_another_disk_takes_its_name_only_once_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise SystemExit

    (tmp_path / "source").write_text("whole")
    put_source_on_another_disk(monkeypatch)
    monkeypatch.setattr(os, "replace", crash)  # an empty file at the target would stay
    link(tmp_path / "source", tmp_path / "target")
    assert (tmp_path / "target").read_text() == "whole"


# Locks


def test_locks_need_no_module_of_unix_until_they_are_used() -> None:
    """Windows has no fcntl, and evoked can be imported there all the same."""
    program = "import sys; sys.modules['fcntl'] = None; import evoked.files"
    subprocess.run([sys.executable, "-c", program], check=True)


HOLDING = """
import sys
from pathlib import Path
from evoked.files import locked

with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds a lock until it is killed or gets a line."""
    command = [sys.executable, "-c", HOLDING, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_lock_is_held_by_one_process_and_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with holder(path) as process:
        with pytest.raises(BlockingIOError), locked(path, wait=False):
            pass
        process.kill()
        with locked(path), pytest.raises(BlockingIOError), locked(path, wait=False):
            pass
    with locked(path, wait=False):
        assert path.exists()


def test_a_process_that_waited_for_a_deleted_lock_file_locks_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, calls = tmp_path / "lock", []

    def delete_first(descriptor: Any, operation: int) -> None:
        if not calls:
            path.unlink()  # as the previous holder did just before it let go
        calls.append(operation)
        flock(descriptor, operation)

    flock = fcntl.flock
    monkeypatch.setattr(fcntl, "flock", delete_first)
    with locked(path, wait=False):
        assert len(calls) == 2
        with pytest.raises(BlockingIOError), locked(path, wait=False):
            pass


def test_a_destination_has_one_writer(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "posts"
    with (
        only_writer(folder),
        only_writer(folder.with_name("others")),
        pytest.raises(DataError, match=r"posts: another run .* Wait"),
        only_writer(folder),
    ):
        pass
    with pytest.raises(BlockingIOError, match="its own"), only_writer(folder):
        raise BlockingIOError("its own")
    assert not any(folder.parent.iterdir())


@pytest.mark.parametrize("content", [{}, {"format_version": 2}, {"format_version": "1"}, [1], None])
def test_only_the_format_version_that_is_read_is_taken(content: object, tmp_path: Path) -> None:
    check_format_version({"format_version": 1}, 1, tmp_path / "a.json", "Make it again")
    with pytest.raises(DataError, match=r"a\.json: format version .* reads version 1\. Make it"):
        check_format_version(content, 1, tmp_path / "a.json", "Make it again")


def test_a_table_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "table.parquet"
    table = pd.DataFrame({"a": [1, 2]}, index=[5, 6])
    write_parquet(path, table)
    pd.testing.assert_frame_equal(pd.read_parquet(path), table.reset_index(drop=True))
    with pytest.raises(Exception, match="mixed"):
        write_parquet(path, pd.DataFrame({"mixed": [1, object()]}))
    assert [each.name for each in path.parent.iterdir()] == ["table.parquet"]
    assert len(pd.read_parquet(path)) == 2

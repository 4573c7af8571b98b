"""Files: values as JSON, links, locks."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import evoked
from evoked.errors import DataError, SettingsError
from evoked.files import (
    append_lines,
    atomic_path,
    check_format_version,
    check_nothing_to_wait_for,
    damage,
    harmless,
    link,
    locked,
    only_writer,
    plain,
    read_json,
    read_object,
    remove_all_leftovers,
    write_csv,
    write_parquet,
    write_safetensors,
    write_text,
    write_xlsx,
    writing,
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
        (pd.NA, None),
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


# JSON of others


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[" * 100_000 + "]" * 100_000, "recursion"),
        ("[" * 200 + "]" * 200, "nested more than 100 deep"),
        ('{"n": ' + "9" * 5000 + "}", "4300 digits"),
        ("[" + "[]," * 8_000_001 + "[]]", "more than 8,000,000 lists"),
        ('"a', "Unterminated"),
        ("\x80", "not a JSON file"),
    ],
    ids=["very deep", "deep", "digits", "many", "cut", "no UTF-8"],
)
def test_json_has_bounds(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError, match=rf"run\.json: not a JSON file .*{message}|{message}"):
        read_json(path)


def test_what_should_be_an_object_is_one_with_its_entries(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    for content, message in (("[]", "a list"), ("null", "nothing"), ('"x"', "a text")):
        path.write_text(content)
        with pytest.raises(DataError, match=f"holds {message}; expected an object"):
            read_object(path)
    path.write_text('{"a": 1}')
    assert read_object(path, "a") == {"a": 1}
    with pytest.raises(DataError, match="field b: the entry is missing"):
        read_object(path, "a", "b")


def test_damage_names_the_file_and_lets_our_own_errors_pass(tmp_path: Path) -> None:
    with (
        pytest.raises(DataError, match=r"a\.json: not a plan \(KeyError: 'x'\)\. Begin anew\."),
        damage(tmp_path / "a.json", "a plan", "Begin anew."),
    ):
        raise KeyError("x")
    with pytest.raises(SettingsError, match=r"^mine$"), damage(tmp_path / "a.json", "a plan"):
        raise SettingsError("mine")


# What a disk prevents, and what a killed process leaves


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (OSError(errno.EROFS, "Read-only file system"), "can only be read"),
        (OSError(errno.ENAMETOOLONG, "File name too long"), "longer than this file system"),
        (ValueError("I/O error: No space left on device (os error 28)"), "the disk is full"),
    ],
)
def test_what_a_disk_prevents_is_one_sentence(
    raised: Exception, message: str, tmp_path: Path
) -> None:
    with (
        pytest.raises(DataError, match=rf"file .*scores\.csv: .*{message}"),
        atomic_path(tmp_path / "scores.csv"),
    ):
        raise raised
    assert list(tmp_path.iterdir()) == []


def test_other_errors_of_a_block_pass(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^mine$"), atomic_path(tmp_path / "scores.csv"):
        raise ValueError("mine")


def test_names_of_any_length_that_the_system_takes_can_be_written(tmp_path: Path) -> None:
    for name in ("x" * 255, "日" * 85):
        write_text(tmp_path / name, "a")
        assert (tmp_path / name).read_text() == "a"
    with pytest.raises(DataError, match="longer than this file system allows"):
        write_text(tmp_path / ("x" * 256), "a")


_KILLED = """
import os, sys
from pathlib import Path
from evoked.files import atomic_folder, atomic_path
with atomic_folder(Path(sys.argv[1]) / "d") as folder, atomic_path(sys.argv[2]) as path:
    path.write_text("half")
    (folder / "x").write_text("half")
    os._exit(9)
"""


def test_the_next_write_removes_what_a_killed_process_left(tmp_path: Path) -> None:
    target = tmp_path / "scores.csv"
    subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path), str(target)], check=False)
    assert len(list(tmp_path.iterdir())) == 2
    with atomic_path(target) as mine:  # and nothing of a process that is at work
        mine.write_text("a")
        with atomic_path(target) as other:
            other.write_text("b")
        assert mine.is_file()
    write_text(tmp_path / "d" / "y", "a")
    with only_writer(tmp_path / "d"):
        assert sorted(path.name for path in tmp_path.iterdir()) == [".d.lock", "d", "scores.csv"]


def test_a_folder_of_ones_own_is_cleared_of_all_that_is_unfinished(tmp_path: Path) -> None:
    inner = tmp_path / "training"
    inner.mkdir()
    for name in (".last.ckpt.abf1bde2.tmp", "last.ckpt", ".hidden", ".notes.tmp"):
        (inner / name).write_text("")
    with atomic_path(inner / "best") as mine:
        mine.write_text("")
        remove_all_leftovers(tmp_path)
    assert {path.name for path in inner.iterdir()} == {"last.ckpt", ".hidden", ".notes.tmp", "best"}


def test_whoever_waits_learns_who_writes(tmp_path: Path) -> None:
    with (
        only_writer(tmp_path / "run"),
        pytest.raises(DataError, match=rf"process {os.getpid()} on \S+"),
        only_writer(tmp_path / "run"),
    ):
        pass


# CSV


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1+cmd", "-1+cmd", "@SUM(1)", "\t=1", "\r=1", "  =1", "\n=1", "＝1", "-", "@a"],
)
def test_texts_that_a_spreadsheet_would_run_are_made_harmless(text: str, tmp_path: Path) -> None:
    table = pd.DataFrame({text: [text, "plain"], "n": [-1.5, 2.0], "list": [[text], []]})
    write_csv(tmp_path / "a.csv", table)
    found = pd.read_csv(tmp_path / "a.csv")
    written = f"'{text}".replace("\r", "\n")
    assert found.columns[0] == written
    assert list(found.iloc[:, 0]) == [written, "plain"]
    assert list(found["n"]) == [-1.5, 2.0]
    assert table.columns[0] == text


@pytest.mark.parametrize("text", ["-3", "+4.5", "-1e-05", "a=b", "", "–", "a@b.com"])
def test_numbers_and_other_texts_stay(text: str) -> None:
    assert harmless(text) == text


def test_a_carriage_return_begins_no_row(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", pd.DataFrame({"text": ["a\r=1", "b\r\n=1"]}))
    assert list(pd.read_csv(tmp_path / "a.csv")["text"]) == ["a\n=1", "b\n=1"]


def test_texts_are_whole(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(r'["\ud83c\udf05", "\\ud800"]')
    assert read_json(tmp_path / "a.json") == ["🌅", r"\ud800"]
    for text in (r"\ud800", r"\uDFFF"):
        (tmp_path / "a.json").write_text(f'{{"{text}": 1}}')
        with pytest.raises(DataError, match=r"a\.json: not JSON whose texts"):
            read_json(tmp_path / "a.json")


def test_a_workbook_takes_what_any_table_holds(tmp_path: Path) -> None:
    from openpyxl import load_workbook

    values = [3, 2.5, True, "=1+1", pd.NA, pd.NaT, np.nan, None, [1, 2], {"a": 1}, b"x", 1j]
    values += [pd.Timestamp("2024-01-01", tz="UTC"), pd.Timedelta("1D"), np.int64(4)]
    write_xlsx(tmp_path / "a.xlsx", pd.DataFrame({"value": pd.Series(values, dtype=object)}))
    nullable = pd.DataFrame({"likes": pd.array([None, 1], "Int64"), "paid": [True, pd.NA]})
    write_xlsx(tmp_path / "b.xlsx", nullable.astype({"paid": "boolean"}))
    read = [
        [cell for (cell, *_) in load_workbook(tmp_path / name).active.iter_rows(values_only=True)]
        for name in ("a.xlsx", "b.xlsx")
    ]
    assert read[0][1:10] == [3, 2.5, True, "'=1+1", None, None, None, None, "1, 2"]
    assert read[0][10:] == [
        '{"a": 1}', "b'x'", "1j", "2024-01-01 00:00:00+00:00", "1 days 00:00:00", 4
    ]  # fmt: skip
    assert read[1] == ["likes", None, 1]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_tensors_have_the_permissions_of_other_files(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        write_text(tmp_path / "text", "")
        for name, values in (("array", np.zeros(3)), ("tensor", torch.zeros(3))):
            write_safetensors(tmp_path / name, {"x": values})
            assert (tmp_path / name).stat().st_mode == (tmp_path / "text").stat().st_mode
    finally:
        os.umask(before)


def test_nothing_else_writes_tensors() -> None:
    source = Path(evoked.__file__).parent
    users = [path.name for path in source.rglob("*.py") if "save_file(" in path.read_text("utf-8")]
    assert users == ["files.py"]


@pytest.mark.parametrize("kind", ["link", "broken link", "pipe", "folder"])
@pytest.mark.parametrize("use", ["lock", "ledger"])
def test_nothing_is_written_through_a_link(kind: str, use: str, tmp_path: Path) -> None:
    own, victim = tmp_path / "own", tmp_path / "victim"
    if kind == "link":
        victim.write_text("kept")
    make = {"pipe": os.mkfifo, "folder": os.mkdir}.get(kind, lambda path: path.symlink_to(victim))
    make(own)
    with (
        pytest.raises(DataError, match=r"own: a link, a folder or a device"),
        locked(own) if use == "lock" else nullcontext(),
    ):
        append_lines(own, ["a line"])
    assert victim.exists() == (kind == "link")
    assert not victim.exists() or victim.read_text() == "kept"


def test_a_lock_beside_a_folder_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("kept")
    (tmp_path / ".posts.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(DataError, match=r"\.posts\.lock"), only_writer(tmp_path / "posts"):
        pass
    assert (tmp_path / "victim").read_text() == "kept"


def test_nothing_of_a_folder_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a.json").write_text("{}")
    (tmp_path / "lost").symlink_to("nowhere")
    check_nothing_to_wait_for(tmp_path)
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
        make(tmp_path / "inner" / "weights")
        with pytest.raises(DataError, match="inner/weights: a pipe, a socket or a device"):
            check_nothing_to_wait_for(tmp_path)
        (tmp_path / "inner" / "weights").unlink()


def test_links_in_a_circle_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("a")
    with pytest.raises(DataError, match="a link in this path leads to itself"), writing(tmp_path):
        raise RuntimeError(f"Symlink loop from '{tmp_path / 'a'}'")


@pytest.mark.parametrize("message", ["I/O error", "[enforce fail at inline_container.cc:868]"])
def test_libraries_that_say_not_why(message: str, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"rror|fail"), writing(tmp_path / "keys"):
        raise RuntimeError(message)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(DataError, match="larger than this system"), writing(tmp_path / "keys"):
            raise RuntimeError(message)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


def test_errors_name_what_a_person_knows(tmp_path: Path) -> None:
    with (
        pytest.raises(DataError) as raised,
        atomic_path(tmp_path / "run") as temporary,
        writing(temporary / "weights"),
    ):
        raise OSError(errno.ENOSPC, "no space", str(temporary / "weights"))
    assert raised.value.file == tmp_path / "run" / "weights"

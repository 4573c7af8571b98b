"""The cache: what is kept is served whole or not at all, whatever happens to the writer."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evoked.errors import DataError
from evoked.features.cache import FeatureCache, Store, content_key, default_folder
from tests.support.cache_rows import SHAPE, a_store, keep, keys_of, rows_of


def assert_whole(store: Store, numbers: list[int]) -> None:
    """Whatever of the numbers the store has is right."""
    starts, lengths = store.find(keys_of(numbers))
    items = store.items()
    for number, start, length in zip(numbers, starts, lengths, strict=True):
        if start >= 0:
            assert length == 1
            np.testing.assert_array_equal(items[start], rows_of([number])[0])


def held(store: Store, numbers: list[int]) -> list[int]:
    starts, _ = store.find(keys_of(numbers))
    return [number for number, start in zip(numbers, starts, strict=True) if start >= 0]


def test_kept_rows_are_found_again(tmp_path: Path) -> None:
    keep(a_store(tmp_path), [1, 2, 3])
    keep(a_store(tmp_path), [4])
    store = a_store(tmp_path)
    assert len(store) == 4
    assert held(store, [0, 1, 2, 3, 4, 5]) == [1, 2, 3, 4]
    assert_whole(store, [1, 2, 3, 4])


def test_an_empty_store(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    assert held(store, [1]) == []
    assert store.items().shape == (0, *SHAPE)
    keep(store, [])
    assert len(store) == 0


def test_items_are_memory_mapped(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    keep(store, [1])
    assert isinstance(store.items(), np.memmap)
    assert not store.items().flags.writeable


def test_items_alone_are_flushed_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their records may get lost (see the torn index): to wait for both doubles what a draft waits
    for its disk."""
    flushed = []
    monkeypatch.setattr(os, "fdatasync", lambda file: flushed.append(os.fstat(file).st_ino))
    store = a_store(tmp_path)
    keep(store, [1, 2])
    keep(store, [3])
    (data,) = tmp_path.rglob("data.bin")
    assert flushed == [data.stat().st_ino] * 2


def test_a_key_is_kept_once(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    keep(store, [1, 2])
    keep(store, [2, 3])
    assert len(store) == 3
    assert len(store.items()) == 3
    assert_whole(store, [1, 2, 3])


def test_another_fingerprint_feature_or_shape_is_another_store(tmp_path: Path) -> None:
    keep(a_store(tmp_path), [1])
    cache = FeatureCache(tmp_path)
    for other in (
        a_store(tmp_path, "encoder:2"),
        cache.store("image.vector", "encoder:1", np.float32, SHAPE),
        cache.store("image.map", "encoder:1", np.float16, SHAPE),
        cache.store("image.map", "encoder:1", np.float32, (15,)),
    ):
        assert held(other, [1]) == []


def test_sequences(tmp_path: Path) -> None:
    store = FeatureCache(tmp_path).store("caption.tokens", "e", np.float16, (2,))
    items = np.arange(10, dtype=np.float32).reshape(5, 2)
    store.append(keys_of([1, 2, 3]), items, np.array([2, 0, 3]))
    starts, lengths = store.find(keys_of([3, 2, 1, 9]))
    assert lengths.tolist() == [3, 0, 2, 0]
    assert starts.tolist() == [2, 2, 0, -1]  # 2 was looked at and has nothing; 9 is not there
    np.testing.assert_array_equal(store.items()[starts[0] :][:3], items[2:])
    # One of the three is known: only the other's items are added.
    store.append(keys_of([1, 4]), np.arange(6).reshape(3, 2), np.array([2, 1]))
    starts, _ = store.find(keys_of([4]))
    np.testing.assert_array_equal(store.items()[starts[0]], [4, 5])


def test_values_beyond_half_precision_stay_finite(tmp_path: Path) -> None:
    store = FeatureCache(tmp_path).store("image.vector", "e", np.float16, (3,))
    store.append(keys_of([1]), np.array([[1e6, -1e6, 0.5]], np.float32), np.array([1]))
    np.testing.assert_array_equal(store.items()[0], [65504, -65504, 0.5])


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(0, 10**4), junk=st.binary(max_size=80))
def test_a_torn_index_is_never_served(
    tmp_path_factory: pytest.TempPathFactory, cut: int, junk: bytes
) -> None:
    """Cut the index anywhere and put anything behind."""
    folder = tmp_path_factory.mktemp("torn")
    path = filled(folder).folder / "index.bin"
    content = path.read_bytes()
    path.write_bytes(content[: cut % (len(content) + 1)] + junk)
    assert_sound(folder)


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(0, 10**4), junk=st.binary(max_size=80))
def test_torn_data_are_never_served(
    tmp_path_factory: pytest.TempPathFactory, cut: int, junk: bytes
) -> None:
    """Cut the data anywhere, or leave what a killed writer had begun behind them."""
    folder = tmp_path_factory.mktemp("torn")
    path = filled(folder).folder / "data.bin"
    content = path.read_bytes()
    cut %= len(content) + 1
    path.write_bytes(content[:cut] + (junk if cut == len(content) else b""))
    assert_sound(folder)


def filled(folder: Path) -> Store:
    store = a_store(folder)
    keep(store, [1, 2, 3])
    keep(store, [4, 5])
    return store


def assert_sound(folder: Path) -> None:
    """What is found is right, and the store can be written again."""
    again = a_store(folder)
    assert_whole(again, [1, 2, 3, 4, 5])
    keep(again, [1, 2, 3, 4, 5, 6])
    final = a_store(folder)
    assert held(final, [1, 2, 3, 4, 5, 6]) == [1, 2, 3, 4, 5, 6]
    assert_whole(final, [1, 2, 3, 4, 5, 6])


def test_lost_data(tmp_path: Path) -> None:
    (filled(tmp_path).folder / "data.bin").unlink()
    assert_sound(tmp_path)


def test_a_block_of_zeros_is_no_record(tmp_path: Path) -> None:
    """What some file systems leave behind after a power cut."""
    store = a_store(tmp_path)
    keep(store, [1])
    with open(store.folder / "index.bin", "ab") as stream:
        stream.write(bytes(4096))
    assert len(a_store(tmp_path)) == 1


WRITER = """
import sys, numpy as np
sys.path.insert(0, {tests!r})
from pathlib import Path
from tests.support.cache_rows import a_store, keep
store = a_store(Path({folder!r}))
print("ready", flush=True)
for start in range(0, 10**6, 7):
    keep(store, list(range(start, start + 7)))
"""


@pytest.mark.parametrize("delay", [0.05, 0.21])
def test_kill_9_while_writing(tmp_path: Path, delay: float) -> None:
    code = WRITER.format(tests=str(Path(__file__).parents[2]), folder=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(delay)
        process.send_signal(signal.SIGKILL)
    store = a_store(tmp_path)
    kept = len(store)
    assert kept % 7 == 0
    numbers = list(range(kept))
    assert held(store, numbers) == numbers  # nothing that was acknowledged is lost
    assert_whole(store, numbers)
    keep(store, [kept])
    assert_whole(a_store(tmp_path), [*numbers, kept])


def write_range(folder: Path, first: int) -> None:
    store = a_store(folder)
    for start in range(first, first + 200, 5):
        keep(store, list(range(start, start + 5)))


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write_range, args=(tmp_path, n)) for n in (0, 100, 150)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    store = a_store(tmp_path)
    numbers = list(range(350))
    assert held(store, numbers) == numbers
    assert len(store) == 350
    assert_whole(store, numbers)


FULL = """
import resource, sys
sys.path.insert(0, {tests!r})
import numpy as np
from pathlib import Path
from tests.support.cache_rows import keys_of
from evoked.errors import DataError
from evoked.features.cache import FeatureCache
store = FeatureCache(Path({folder!r})).store("image.map", "e", np.uint8, ({width},))
def keep(numbers):
    rows = np.array([[number] * {width} for number in numbers], np.uint8)
    store.append(keys_of(numbers), rows, np.ones(len(numbers), np.int64))
keep([1, 2])
size = max(path.stat().st_size for path in store.folder.iterdir() if path.suffix == ".bin")
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 30, size + 30))
try:
    keep([3, 4])
except DataError as error:
    print(error)
"""


# A row wider than a record, so that the data don't fit; and a narrower, so that the index doesn't.
@pytest.mark.parametrize("width", [1000, 1])
def test_disk_full(tmp_path: Path, width: int) -> None:
    code = FULL.format(tests=str(Path(__file__).parents[2]), folder=str(tmp_path), width=width)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "the disk is full" in done.stdout
    assert "EVOKED_CACHE" in done.stdout

    store = FeatureCache(tmp_path).store("image.map", "e", np.uint8, (width,))
    assert held(store, [1, 2, 3, 4]) == [1, 2]
    rows = np.array([[number] * width for number in (3, 4)], np.uint8)
    store.append(keys_of([3, 4]), rows, np.ones(2, np.int64))
    assert store.items()[:, 0].tolist() == [1, 2, 3, 4]


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(DataError, match="EVOKED_CACHE"):
        a_store(tmp_path / "cache")


def test_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EVOKED_CACHE", str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv("EVOKED_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "evoked"


def test_content_keys() -> None:
    assert content_key(b"a", "view 0") != content_key(b"a", "view 1")
    assert content_key(b"a") != content_key(b"b")
    assert len(content_key(b"a")) == 32


def test_growth_does_not_load_the_cache(tmp_path: Path) -> None:
    """120 MiB go through a store; the process stays far below that."""
    code = textwrap.dedent(
        f"""
        import resource, sys
        sys.path.insert(0, {str(Path(__file__).parents[2])!r})
        import numpy as np
        from pathlib import Path
        from tests.support.cache_rows import keys_of
        from evoked.features.cache import FeatureCache
        store = FeatureCache(Path({str(tmp_path)!r})).store("image.map", "e", np.float32, (2**18,))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in range(120):
            row = np.full((1, 2**18), number, np.float32)
            store.append(keys_of([number]), row, np.ones(1, int))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        """
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 30 * 1024
    assert os.path.getsize(next(tmp_path.rglob("data.bin"))) == 120 * 2**20


@pytest.mark.parametrize("damage", ["flip", "zeros", "not a number"])
def test_damaged_items_are_absent_and_computed_again(damage: str, tmp_path: Path) -> None:
    keep(a_store(tmp_path), [1, 2, 3])
    file = a_store(tmp_path).folder / "data.bin"
    content = bytearray(file.read_bytes())
    size = len(content) // 3
    if damage == "flip":
        content[size + 1] ^= 1
    else:
        content[size : 2 * size] = (b"\0" if damage == "zeros" else b"\xff") * size
    file.write_bytes(content)
    store = a_store(tmp_path)
    assert held(store, [1, 2, 3]) == [1, 3]
    keep(store, [2])
    for each in (store, a_store(tmp_path)):
        assert held(each, [1, 2, 3]) == [1, 2, 3]
        assert_whole(each, [1, 2, 3])


@pytest.mark.parametrize("name", ["data.bin", "index.bin", "lock", "store.json"])
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_no_file_is_anything_else(name: str, kind: str, tmp_path: Path) -> None:
    keep(a_store(tmp_path), [1, 2])
    victim, file = tmp_path / "victim", a_store(tmp_path).folder / name
    victim.write_text("kept")
    file.unlink()
    make = {"pipe": os.mkfifo, "folder": os.mkdir}.get(kind, lambda path: path.symlink_to(victim))
    make(file)
    with pytest.raises(DataError, match=rf"{name}: a link, a folder or a device"):
        keep(a_store(tmp_path), [3])
    assert victim.read_text() == "kept"

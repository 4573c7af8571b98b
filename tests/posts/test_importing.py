"""Importing: whole or not at all, resumable, with the same result every time."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from evoked.errors import DataError, SettingsError
from evoked.posts import importing
from evoked.posts.dataset import PostDataset
from evoked.posts.importing import import_posts, reasons, summary_rows
from evoked.posts.readers import csv_file
from evoked.posts.readers.base import Source
from evoked.posts.staging import Staging
from tests.support.reader_sources import (
    csv_source,
    instaloader_source,
    table_rows,
    write_csv,
    write_picture,
)

# Imports again and again, each time killed (as by kill -9) just before or after the n-th step that
# changes file names, and then once undisturbed. Prints for each n what was found.
KILLED_SCRIPT = """
import itertools, json, os, signal, sys
from pathlib import Path
from evoked.posts import importing
from evoked.posts.importing import import_posts

source, folder, after, overwrite = sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:5])
importing.BATCH_POSTS = 2

def import_killed(dest, last):
    steps = itertools.count(1)  # atomic: several threads write pictures
    def counted(function):
        def step(*arguments, **settings):
            is_last = next(steps) == last
            if is_last and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return function(*arguments, **settings)
            finally:
                if is_last:
                    os.kill(os.getpid(), signal.SIGKILL)
        return step
    for name in ("replace", "rename", "link", "unlink"):
        setattr(os, name, counted(getattr(os, name)))
    import_posts("csv", source, dest, overwrite=bool(overwrite))

def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes().hex()
        for path in sorted(folder.rglob("*")) if path.is_file()
    }

whole = content(import_posts("csv", source, folder / "whole").dataset.folder)
for last in range(1, 200):
    place = folder / f"{after}-{overwrite}-{last}"
    place.mkdir()
    dest = place / "posts"
    if overwrite:
        (place / "old.csv").write_text("id,caption\\n1,old\\n")
        import_posts("csv", place / "old.csv", dest)
        old = content(dest)
        (place / "old.csv").unlink()
    child = os.fork()
    if child == 0:
        import_killed(dest, last)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        assert status == 0
        break
    found = content(dest) if dest.exists() else None
    allowed = found in (None, whole) or (overwrite and found == old)
    result = import_posts("csv", source, dest, overwrite=bool(overwrite))
    print(json.dumps({
        "step": last,
        "never half-written": bool(allowed),
        "same in the end": content(result.dataset.folder) == whole,
        "left over": sorted(path.name for path in place.iterdir() if path.name != "posts"),
    }))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and kill -9")
@pytest.mark.parametrize(
    ("after", "overwrite"), [(0, 0), pytest.param(1, 1, marks=pytest.mark.slow)]
)
def test_killed_at_every_step_it_finishes_the_same(
    after: int, overwrite: int, tmp_path: Path
) -> None:
    (tmp_path / "source").mkdir()
    rows = [*table_rows(5), table_rows(1)[0]]
    write_csv(tmp_path / "source/posts.csv", rows)
    for number in range(4):  # one is missing, one is not a picture
        write_picture(tmp_path / f"source/pictures/{number}.jpg", number)
    (tmp_path / "source/pictures/2.jpg").write_text("not a picture")
    (tmp_path / "work").mkdir()
    arguments = [tmp_path / "source/posts.csv", tmp_path / "work", after, overwrite]
    process = subprocess.run(
        [sys.executable, "-c", KILLED_SCRIPT, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    outcomes = [json.loads(line) for line in process.stdout.splitlines()]
    assert len(outcomes) > 10
    for outcome in outcomes:
        assert outcome["never half-written"], outcome
        assert outcome["same in the end"], outcome
        assert outcome["left over"] == [], outcome


def test_continues_after_the_last_finished_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH_POSTS", 2)
    source = write_csv(tmp_path / "posts.csv", table_rows(7))
    for number in range(7):
        write_picture(tmp_path / f"pictures/{number}.jpg", number)

    def stop(stage: str, done: int, total: int | None) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_posts("csv", source, tmp_path / "dataset", progress=stop)
    assert not (tmp_path / "dataset").exists()
    for number in range(4):  # what is done isn't needed any more
        (tmp_path / f"pictures/{number}.jpg").unlink()
    seen: list[tuple[str, int, int | None]] = []
    result = import_posts(
        "csv", source, tmp_path / "dataset", progress=lambda *state: seen.append(state)
    )
    assert seen == [("reading", done, 7) for done in (4, 6, 7)]
    assert result.tally.read == result.tally.images == 7
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_batches_of_another_source_are_thrown_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH_POSTS", 2)
    source = write_csv(tmp_path / "posts.csv", table_rows(5))

    def stop(stage: str, done: int, total: int | None) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_posts("csv", source, tmp_path / "dataset", progress=stop)
    write_csv(source, [{"id": n, "caption": "new"} for n in range(3)])
    dataset = import_posts("csv", source, tmp_path / "dataset").dataset
    assert dataset.posts["caption"].tolist() == ["new"] * 3


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_the_size_of_batches_changes_nothing_but_the_layout(
    batch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH_POSTS", batch)
    result = import_posts("instaloader", instaloader_source(tmp_path / "in"), tmp_path / "out")
    assert result.dataset.posts["post_id"].tolist() == ["C0", "C1", "C2"]
    assert result.tally.consumed == 3


def test_the_same_import_again_does_nothing(tmp_path: Path) -> None:
    source = csv_source(tmp_path / "in")
    first = import_posts("csv", source, tmp_path / "out")
    modified = (tmp_path / "out/posts.parquet").stat().st_mtime_ns
    second = import_posts("csv", source, tmp_path / "out")
    assert (first.already_there, second.already_there) == (False, True)
    assert (tmp_path / "out/posts.parquet").stat().st_mtime_ns == modified
    assert summary_rows(first) == summary_rows(second)


def test_another_source_needs_overwrite(tmp_path: Path) -> None:
    source = csv_source(tmp_path / "in")
    import_posts("csv", source, tmp_path / "out")
    with pytest.raises(DataError, match="--overwrite"):
        import_posts("csv", source, tmp_path / "out", mapping={"likes": ""})
    result = import_posts("csv", source, tmp_path / "out", mapping={"likes": ""}, overwrite=True)
    assert result.dataset.posts["likes"].isna().all()
    assert len(result.dataset) == 3


def test_what_is_no_dataset_is_never_replaced(tmp_path: Path) -> None:
    source = csv_source(tmp_path / "in")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/precious.txt").write_text("keep me")
    with pytest.raises(DataError, match="not a dataset"):
        import_posts("csv", source, tmp_path / "out", overwrite=True)
    assert (tmp_path / "out/precious.txt").exists()


def test_an_empty_folder_may_be_the_destination(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert len(import_posts("csv", csv_source(tmp_path / "in"), tmp_path / "out").dataset) == 3


def test_destination_and_source_stay_apart(tmp_path: Path) -> None:
    source = instaloader_source(tmp_path / "in")
    for dest in (source, source / "out", tmp_path):
        with pytest.raises(DataError, match="within each other"):
            import_posts("instaloader", source, dest, overwrite=True)


def test_settings_that_do_not_exist(tmp_path: Path) -> None:
    source = csv_source(tmp_path / "in")
    with pytest.raises(SettingsError, match="no format 'xml'; there are auto"):
        import_posts("xml", source, tmp_path / "out")
    with pytest.raises(SettingsError, match="no dimension 'joy'"):
        import_posts("csv", source, tmp_path / "out", scales={"joy": (1, 5)})
    with pytest.raises(SettingsError, match="lower to a higher"):
        import_posts("csv", source, tmp_path / "out", scales={"valence": (5, 1)})


def test_images_are_named_after_their_content(tmp_path: Path) -> None:
    rows = table_rows(3)
    for row in rows:
        write_picture(tmp_path / row["Image"], 1)
    result = import_posts("csv", write_csv(tmp_path / "posts.csv", rows), tmp_path / "out")
    assert len(list(result.dataset.image_folder.iterdir())) == 1
    assert result.tally.images == 3


def test_the_result_is_readable_for_programs_and_people(tmp_path: Path) -> None:
    source = write_csv(
        tmp_path / "posts.csv",
        [{"id": 1, "text": "a", "likes": -1}, {"id": 1, "text": "b", "likes": 2}],
    )
    result = import_posts("csv", source, tmp_path / "out")
    assert summary_rows(result) == [
        ("read", 1, "posts"),
        ("read", 0, "pictures"),
        ("skipped", 1, "the id is repeated"),
        ("put right", 1, "likes: negative count, left empty"),
    ]
    assert list(reasons(result)) == [
        "posts.csv, row 1: likes: negative count, left empty (-1)",
        "posts.csv, row 2: the id is repeated (1)",
    ]
    described = json.loads(json.dumps(result.as_dict()))
    assert described["mapping"] == {"post_id": "id", "caption": "text", "likes": "likes"}
    assert described["read"] == 1
    assert PostDataset(described["dataset"]).description["provenance"]["source"] == "posts.csv"


def test_examples_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "BATCH_POSTS", 7)
    rows = [{"id": number, "likes": -1, "text": "Tea"} for number in range(100)]
    result = import_posts("csv", write_csv(tmp_path / "posts.csv", rows), tmp_path / "out")
    assert result.tally.changed == {"likes: negative count, left empty": 100}
    assert [example["row"] for example in result.tally.examples] == list(range(1, 21))


def test_every_remark_is_kept_and_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "BATCH_POSTS", 7)
    posts = [{"id": number, "likes": -1, "text": "Tea"} for number in range(100)]
    source = write_csv(tmp_path / "a.csv", posts)
    rows = [remark["row"] for remark in import_posts("csv", source, tmp_path / "out").remarks()]
    assert rows == list(range(1, 101))
    again = import_posts("csv", source, tmp_path / "out")
    assert len(again.as_dict()["remarks"]) == 100


def test_a_full_disk_leaves_no_dataset_and_a_later_try_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = csv_source(tmp_path / "in")

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(Staging, "add_part", fail)
        with pytest.raises(OSError, match="No space"):
            import_posts("csv", source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert len(import_posts("csv", source, tmp_path / "out").dataset) == 3


# Imports in batches of two, and after the second waits until it is killed or gets a line.
WAITING_SCRIPT = """
import sys
from evoked.posts import importing
from evoked.posts.importing import import_posts

importing.BATCH_POSTS = 2

def wait(stage, done, total):
    if done == 4:
        print("under way", flush=True)
        sys.stdin.readline()

print(import_posts("csv", sys.argv[1], sys.argv[2], progress=wait).tally.read)
"""


@contextmanager
def waiting_import(source: Path, dest: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has stopped halfway through an import."""
    command = [sys.executable, "-c", WAITING_SCRIPT, str(source), str(dest)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "under way\n"
        try:
            yield process
        finally:
            process.kill()


def source_of_seven(folder: Path) -> Path:
    for number in range(7):
        write_picture(folder / f"pictures/{number}.jpg", number)
    return write_csv(folder / "posts.csv", table_rows(7))


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_second_import_to_the_same_place_is_refused(overwrite: bool, tmp_path: Path) -> None:
    source, dest = source_of_seven(tmp_path / "in"), tmp_path / "posts"
    with waiting_import(source, dest) as process:
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(DataError, match=r"posts: another run .* choose another destination"):
            import_posts("csv", source, dest, overwrite=overwrite)
        with pytest.raises(DataError, match="another run"):
            import_posts("instaloader", instaloader_source(tmp_path / "i"), dest)
        assert not [path for path in before if not path.exists()]
        assert import_posts("csv", source, tmp_path / "others").tally.read == 7
        assert process.communicate("\n")[0] == "7\n"
        assert process.returncode == 0
    assert len(PostDataset(dest)) == 7
    assert import_posts("csv", source, dest).already_there
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_an_import_that_was_killed_locks_nobody_out(tmp_path: Path) -> None:
    source, dest = source_of_seven(tmp_path / "in"), tmp_path / "posts"
    with waiting_import(source, dest) as process:
        process.kill()
        process.wait()
    seen: list[int] = []
    result = import_posts("csv", source, dest, progress=lambda _, done, __: seen.append(done))
    assert seen == [4, 7]  # it continues after the stored batches
    assert result.tally.read == result.tally.images == len(result.dataset) == 7
    assert [path.name for path in tmp_path.glob(".*")] == []


@pytest.mark.parametrize("change", ["lost", "doubled"])
def test_batches_that_another_program_changes_are_refused(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH_POSTS", 2)
    source, dest = source_of_seven(tmp_path / "in"), tmp_path / "posts"

    def meddle(stage: str, done: int, total: int | None) -> None:
        parts = tmp_path / ".posts.import/parts"
        if done == 4 and change == "lost":
            shutil.rmtree(parts / "000000")
        elif done == 4:
            shutil.copytree(parts / "000000", parts / "000007")

    with pytest.raises(DataError, match=r"posts\.csv: 7 records were read, and [59] "):
        import_posts("csv", source, dest, progress=meddle)
    assert not dest.exists()
    assert import_posts("csv", source, dest).tally.read == 7


def test_a_source_with_fewer_records_than_were_stored_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH_POSTS", 2)
    source, dest = source_of_seven(tmp_path / "in"), tmp_path / "posts"
    read = csv_file.read

    def stop(stage: str, done: int, total: int | None) -> None:
        if done == 4:
            raise KeyboardInterrupt

    def shortened(*arguments: Any) -> Source:
        reading = read(*arguments)
        return replace(reading, records=islice(reading.records, 3))

    with pytest.raises(KeyboardInterrupt):
        import_posts("csv", source, dest, progress=stop)
    monkeypatch.setattr(csv_file, "read", shortened)
    with pytest.raises(DataError, match="3 records were read, and 4 "):
        import_posts("csv", source, dest)
    assert not dest.exists()


def test_repeating_an_import_needs_no_writable_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, dest = csv_source(tmp_path / "in"), tmp_path / "posts"
    import_posts("csv", source, dest)

    def refuse(folder: Path) -> None:
        raise PermissionError(f"{folder.parent} is read-only")

    monkeypatch.setattr(importing, "only_writer", refuse)
    assert import_posts("csv", source, dest).already_there
    with pytest.raises(PermissionError, match="read-only"):
        import_posts("csv", source, dest, overwrite=True)


@pytest.mark.parametrize("planted", [".", "images", "parts"])
def test_a_working_folder_with_links_is_neither_written_nor_read(
    planted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever provides the source can put a working folder beside it."""
    source, dest, working = tmp_path / "in", tmp_path / "posts", tmp_path / ".posts.import"

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    source = source_of_seven(source)
    with pytest.raises(KeyboardInterrupt):
        import_posts("csv", source, dest, progress=stop)
    private = tmp_path / "private"
    (working / planted).rename(private)
    (working / planted).symlink_to(private, target_is_directory=True)
    (private / "private.jpg").write_text("not of this dataset")
    before = sorted(private.rglob("*"))
    result = import_posts("csv", source, dest)
    assert sorted(private.rglob("*")) == before
    assert result.tally.images == len(list(result.dataset.image_folder.iterdir())) == 7
    assert not working.is_symlink()
    assert not working.exists()


def test_pictures_from_another_folder(tmp_path: Path) -> None:
    pictures = [tmp_path / f"pictures/{number}.jpg" for number in range(2)]
    for number, path in enumerate(pictures):
        write_picture(path, number)
    rows = [{"id": number, "likes": 1, "image": str(path)} for number, path in enumerate(pictures)]
    source = write_csv(tmp_path / "in/posts.csv", rows)
    result = import_posts("csv", source, tmp_path / "out")
    assert result.tally.images == 0
    assert result.warnings[-1] == (
        "None of the 2 pictures could be used. They lie outside the source's folder. Say where: "
        f"--images {tmp_path / 'pictures'}"
    )
    again = import_posts(
        "csv", source, tmp_path / "out", images=tmp_path / "pictures", overwrite=True
    )
    assert again.tally.images == 2
    assert not any("picture" in warning for warning in again.warnings)
    relative = write_csv(tmp_path / "in/posts.csv", [{"id": 1, "image": "1.jpg"}])
    found = import_posts("csv", relative, tmp_path / "relative", images=tmp_path / "pictures")
    assert found.tally.images == 1
    with pytest.raises(SettingsError, match="leave --images out"):
        import_posts(
            "instaloader",
            instaloader_source(tmp_path / "loaded"),
            tmp_path / "o",
            images=tmp_path / "pictures",
        )


def test_an_import_with_other_pictures_is_another_import(tmp_path: Path) -> None:
    write_picture(tmp_path / "a/1.jpg", 1)
    write_picture(tmp_path / "b/2.jpg", 2)
    source = write_csv(tmp_path / "in/posts.csv", [{"id": 1, "image": "1.jpg"}])
    import_posts("csv", source, tmp_path / "out", images=tmp_path / "a")
    assert import_posts("csv", source, tmp_path / "out", images=tmp_path / "a").already_there
    with pytest.raises(DataError, match="imported with other settings"):
        import_posts("csv", source, tmp_path / "out", images=tmp_path / "b")


def test_pictures_that_are_not_there_are_missed_first(tmp_path: Path) -> None:
    source = write_csv(
        tmp_path / "posts.csv", [{"id": n, "likes": n, "image": f"{n}.jpg"} for n in (1, 2)]
    )
    result = import_posts("csv", source, tmp_path / "out")
    assert result.warnings[-1] == (
        "None of the 2 pictures could be used. Say where they lie: --images FOLDER, the folder "
        "from which '1.jpg' leads to a picture."
    )
    assert import_posts("csv", source, tmp_path / "out").warnings == result.warnings
    assert result.as_dict()["warnings"] == result.warnings


def test_columns_without_a_value_are_missed_too(tmp_path: Path) -> None:
    rows = [
        {"id": n, "caption": "", "likes": "", "saves": "", "views": 9, "date": "2024-05-01"}
        for n in (1, 2)
    ]
    result = import_posts("csv", write_csv(tmp_path / "posts.csv", rows), tmp_path / "out")
    assert result.warnings == [
        "None of the posts has known likes or a caption.",
        "Nothing in these columns can be read: saves (saves).",
    ]


def test_posts_of_which_nothing_is_known_are_an_error(tmp_path: Path) -> None:
    rows = [{"id": n, "date": "2024-05-01", "image": f"{n}.jpg", "Liker": "3"} for n in (1, 2)]
    source = write_csv(tmp_path / "posts.csv", rows)
    with pytest.raises(DataError, match=r"none of its 2 posts has a text.*--images FOLDER.*--map"):
        import_posts("csv", source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    write_picture(tmp_path / "1.jpg", 1)
    assert import_posts("csv", source, tmp_path / "out").tally.read == 2


def test_a_folder_of_pictures_alone_lacks_the_rest(tmp_path: Path) -> None:
    write_picture(tmp_path / "in/2024-05-01_10-00-00_UTC.jpg", 1)
    result = import_posts("instaloader", tmp_path / "in", tmp_path / "out")
    assert "download the posts again without --no-metadata-json" in result.warnings[0]
    assert result.warnings[1] == "None of the posts has known likes, known comments or a caption."

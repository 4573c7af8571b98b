"""Posts that are put to a dataset: as if all had been imported at once, whole or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from evoked.errors import DataError, SettingsError
from evoked.posts import post_files
from evoked.posts.dataset import PostDataset
from evoked.posts.importing import ImportResult, import_posts, summary_rows
from evoked.posts.post_files import are_by_month
from evoked.posts.readers import READERS
from tests.support.reader_sources import SOURCES, write_csv, write_picture

JANUARY = [
    {"id": "1", "author": "me", "caption": "One #a", "likes": 10, "date": "2024-01-01T10:00:00Z"},
    {"id": "2", "author": "me", "caption": "Two", "likes": 20, "date": "2024-01-05T10:00:00Z"},
    {"id": "3", "author": "me", "caption": "Three", "likes": 30, "date": "2024-02-10T10:00:00Z"},
]
MORE = [
    {"id": "2", "author": "me", "caption": "Two", "likes": 25, "date": "2024-01-05T10:00:00Z"},
    {"id": "4", "author": "me", "caption": "Four", "likes": 40, "date": "2024-03-01T10:00:00Z"},
]

Append = Callable[..., ImportResult]


@pytest.fixture
def append(tmp_path: Path) -> Append:
    """A function that appends rows of a table to a dataset; the first call makes it."""

    def call(rows: list[dict[str, Any]], name: str = "posts.csv", **options: Any) -> ImportResult:
        source = write_csv(tmp_path / "sources" / name, rows)
        return import_posts("csv", source, tmp_path / "dataset", append=True, **options)

    return call


def observed(rows: list[dict[str, Any]], when: str) -> list[dict[str, Any]]:
    return [{**row, "scraped at": when} for row in rows]


def by_id(dataset: PostDataset) -> pd.DataFrame:
    return dataset.posts.set_index("post_id").sort_index()


def test_new_posts_come_and_known_ones_get_the_newer_counts(append: Append) -> None:
    assert append(JANUARY).appended is None  # nothing was there yet
    result = append(MORE, "more.csv")
    assert result.dataset.posts["post_id"].tolist() == ["1", "2", "3", "4"]
    assert by_id(result.dataset)["likes"].tolist() == [10, 25, 30, 40]
    found = result.appended
    assert found is not None
    assert (found.new, found.known, found.changed, found.left_out) == (1, 1, 1, 0)
    assert ("new", 1, "posts") in summary_rows(result)
    assert len(result.dataset) == result.dataset.description["posts"] == 4
    # Nobody knows when the twenty likes were counted.
    assert result.dataset.table("activity").empty
    assert "not known" in found.words


def test_what_only_the_earlier_state_knows_stays(append: Append) -> None:
    append(JANUARY)
    shorter = [{"id": "2", "likes": 25, "caption": ""}]
    posts = by_id(append(shorter, "shorter.csv").dataset)
    assert posts.loc["2", "caption"] == "Two"
    assert posts.loc["2", "likes"] == 25
    assert posts.loc["2", "posted_at"] == pd.Timestamp("2024-01-05T10:00:00Z")


def test_the_earlier_counts_become_activity_where_their_time_is_known(append: Append) -> None:
    append(observed(JANUARY, "2024-02-11T10:00:00Z"))
    result = append(observed(MORE, "2024-03-02T10:00:00Z"), "more.csv")
    activity = result.dataset.table("activity")
    assert activity["post_id"].tolist() == ["2", "2"]
    assert activity["likes"].tolist() == [20, 25]
    assert activity["hours"].tolist() == [37 * 24, 57 * 24]
    assert result.appended is not None
    assert "not known" not in result.appended.words


def test_an_older_snapshot_changes_no_counts(append: Append) -> None:
    append(observed(MORE, "2024-03-02T10:00:00Z"))
    result = append(observed(JANUARY, "2024-02-11T10:00:00Z"), "older.csv")
    assert by_id(result.dataset)["likes"].tolist() == [10, 25, 30, 40]
    assert result.dataset.table("activity")["likes"].tolist() == [20, 25]


def test_it_is_as_if_both_had_been_imported_at_once(append: Append, tmp_path: Path) -> None:
    earlier, later = "2024-02-11T10:00:00Z", "2024-03-02T10:00:00Z"
    grown = [*MORE, JANUARY[0] | {"likes": 11}, JANUARY[2] | {"likes": 33}]
    append(observed(JANUARY, earlier))
    appended = append(observed(grown, later), "more.csv").dataset
    write_csv(tmp_path / "both/1.csv", observed(JANUARY, earlier))
    write_csv(tmp_path / "both/2.csv", observed(grown, later))
    at_once = import_posts("auto", tmp_path / "both", tmp_path / "at-once").dataset
    pd.testing.assert_frame_equal(by_id(appended), by_id(at_once))
    for name in ("activity", "observations"):
        one, other = (
            each.table(name).sort_values([*each.table(name)][:2], ignore_index=True)
            for each in (appended, at_once)
        )
        pd.testing.assert_frame_equal(one, other)


def test_another_post_under_a_known_id_is_left_out(append: Append) -> None:
    append(JANUARY)
    other = {"id": "3", "caption": "Someone else's", "likes": 9, "date": "2020-01-01T10:00:00Z"}
    result = append([other], "other.csv")
    assert by_id(result.dataset).loc["3", "likes"] == 30
    assert result.appended is not None
    assert result.appended.left_out == 1
    assert any("another text" in each["reason"] for each in result.remarks())


def test_an_edited_caption_is_the_same_post(append: Append) -> None:
    append(JANUARY)
    result = append([JANUARY[2] | {"caption": "Three, edited", "likes": 31}], "edited.csv")
    assert by_id(result.dataset).loc["3", ["caption", "likes"]].tolist() == ["Three, edited", 31]


def test_posts_without_ids_are_known_by_what_they_say(append: Append) -> None:
    bare = [{name: row[name] for name in row if name != "id"} for row in JANUARY]
    append(bare)
    result = append([{**bare[1], "likes": 25}, {**bare[1], "caption": "New"}], "more.csv")
    assert result.appended is not None
    assert (result.appended.new, result.appended.changed) == (1, 1)
    assert sorted(result.dataset.posts["likes"]) == [10, 20, 25, 30]


def test_posts_that_say_nothing_are_taken_for_no_others(append: Append) -> None:
    append([{"author": "me", "likes": 1}, {"author": "me", "likes": 2}])
    result = append([{"author": "me", "likes": 3}], "more.csv")
    assert result.appended is not None
    assert result.appended.new == 1
    assert sorted(result.dataset.posts["likes"]) == [1, 2, 3]


def test_pictures_and_remarks_stay(append: Append, tmp_path: Path) -> None:
    for number in (1, 2, 4):
        write_picture(tmp_path / f"sources/{number}.jpg", number)
    first = append([{**row, "image": f"{row['id']}.jpg"} for row in JANUARY])
    before = {path.name for path in first.dataset.picture_files()}
    again = append([{**row, "image": f"{row['id']}.jpg"} for row in MORE], "more.csv")
    after = {path.name for path in again.dataset.picture_files()}
    assert len(before) == 2  # one was missing
    assert before < after
    assert len(after) == 3
    assert [each["value"].split(":")[0] for each in again.remarks()] == ["3.jpg"]
    assert all(path is None or path.is_file() for path in again.dataset.cover_paths())


def test_the_same_source_is_appended_once(append: Append) -> None:
    append(JANUARY)
    append(MORE, "more.csv")
    append([JANUARY[0] | {"likes": 12}], "third.csv")
    result = append(MORE, "more.csv")
    assert result.already_there
    assert by_id(result.dataset)["likes"].tolist() == [12, 25, 30, 40]


def test_an_import_that_does_not_append_is_refused(append: Append, tmp_path: Path) -> None:
    append(JANUARY)
    append(MORE, "more.csv")
    with pytest.raises(DataError, match="--overwrite"):
        import_posts("csv", tmp_path / "sources/posts.csv", tmp_path / "dataset")
    with pytest.raises(SettingsError, match="choose one"):
        append(MORE, "more.csv", overwrite=True)


def test_facts_join_and_must_be_of_one_kind(append: Append) -> None:
    append([{**row, "spend": row["likes"] / 4} for row in JANUARY], facts=["spend"])
    result = append(MORE, "more.csv")
    assert any("--fact spend" in warning for warning in result.warnings)
    assert [fact.known for fact in result.dataset.facts] == [3]
    # All that is appended may have been spent alike, and look like something else.
    same = append([{**MORE[1], "id": "5", "spend": "1"}], "same.csv", facts=["spend"]).dataset
    assert [(fact.kind, fact.known) for fact in same.facts] == [("number", 4)]
    with pytest.raises(DataError, match="another kind"):
        append([{**MORE[1], "spend": "much"}], "text.csv", facts=["spend:class"])
    assert len(PostDataset(same.folder)) == 5


def test_the_time_zone_and_the_author_are_those_of_the_dataset(append: Append) -> None:
    bare = [{name: row[name] for name in row if name != "author"} for row in (*JANUARY, *MORE)]
    append(bare[:3], author="me", time_zone="Europe/Berlin")
    posts = by_id(append(bare[3:], "more.csv").dataset)
    assert posts["author_id"].tolist() == ["me"] * 4
    assert posts["posted_hour"].tolist() == [11.0] * 4
    with pytest.raises(SettingsError, match="Berlin"):
        append(MORE, "more.csv", time_zone="Asia/Tokyo")


def test_ratings_of_both_are_averaged_and_scales_must_agree(append: Append) -> None:
    def rated(rater: str, value: int) -> list[dict[str, Any]]:
        return [
            {"id": str(n), "caption": f"text {n}", "rater": rater, "valence": value} for n in (1, 2)
        ]

    scale = {"valence": (1.0, 5.0)}
    append(rated("a", 5), scales=scale)
    dataset = append(rated("b", 3), "more.csv", scales=scale).dataset
    assert dataset.posts["valence"].tolist() == [2.0, 2.0]  # of 4 and 0 on the project's scale
    assert len(dataset.table("annotations")) == 4
    with pytest.raises(DataError, match="--scale valence"):
        append(rated("c", 3), "third.csv", scales={"valence": (1.0, 9.0)})


@pytest.mark.parametrize("name", sorted(READERS))
def test_every_reader_appends(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    source, dest = SOURCES[name](folder), tmp_path / "dataset"
    before = import_posts(name, source, dest).dataset
    write_csv(tmp_path / "other.csv", [{**JANUARY[0], "id": "one-more"}])
    result = import_posts("csv", tmp_path / "other.csv", dest, append=True)
    assert result.appended is not None
    assert result.appended.new == 1
    assert result.dataset.tables == before.tables
    # And the other way round: its own posts are put to others.
    import_posts("csv", tmp_path / "other.csv", tmp_path / "second")
    again = import_posts(name, source, tmp_path / "second", append=True)
    assert again.appended is not None
    assert again.appended.new == result.tally.read - 1 + len(result.dataset) - 1
    first, second = (by_id(each.dataset) for each in (result, again))
    pd.testing.assert_frame_equal(first, second)


def test_only_months_that_change_are_rewritten(
    append: Append, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post_files, "POSTS_BY_MONTH", 3)
    first = append(JANUARY).dataset
    assert are_by_month(first.folder)
    names = [path.name for path in first.files("posts")]
    assert names == ["2024-01.parquet", "2024-02.parquet"]
    inodes = {path.name: path.stat().st_ino for path in first.files("posts")}
    result = append([*MORE, {**MORE[0], "id": "5", "date": "", "caption": "?"}], "more.csv")
    files = {path.name: path for path in result.dataset.files("posts")}
    assert [*files] == ["2024-01.parquet", "2024-02.parquet", "2024-03.parquet", "undated.parquet"]
    assert files["2024-02.parquet"].stat().st_ino == inodes["2024-02.parquet"]
    assert files["2024-01.parquet"].stat().st_ino != inodes["2024-01.parquet"]
    assert by_id(result.dataset)["likes"].tolist() == [10, 25, 30, 40, 25]


def test_a_dataset_that_grows_large_is_kept_by_month_from_then_on(
    append: Append, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post_files, "POSTS_BY_MONTH", 4)
    one_file = append(JANUARY).dataset
    assert not are_by_month(one_file.folder)
    grown = append(MORE, "more.csv").dataset
    assert are_by_month(grown.folder)
    assert by_id(grown)["likes"].tolist() == [10, 25, 30, 40]
    assert sum(pq.ParquetFile(path).metadata.num_rows for path in grown.files("posts")) == 4


KILLED_SCRIPT = """
import itertools, json, os, signal, sys
from pathlib import Path
from evoked import files
from evoked.posts.importing import import_posts

first, second, folder = map(Path, sys.argv[1:4])

def append_killed(dest, last):
    steps = itertools.count(1)
    def counted(function):
        def step(*arguments, **settings):
            if next(steps) == last:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **settings)
        return step
    for name in ("replace", "rename", "link", "unlink"):
        setattr(os, name, counted(getattr(os, name)))
    files._exchanged = counted(files._exchanged) if int(sys.argv[4]) else lambda *_: False
    import_posts("csv", second, dest, append=True)

def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes().hex()
        for path in sorted(folder.rglob("*")) if path.is_file()
    }

import_posts("csv", first, folder / "whole")
old = content(folder / "whole")
whole = content(import_posts("csv", second, folder / "whole", append=True).dataset.folder)
for last in range(1, 200):
    place = folder / str(last)
    place.mkdir()
    dest = place / "posts"
    import_posts("csv", first, dest)
    child = os.fork()
    if child == 0:
        append_killed(dest, last)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        assert status == 0
        break
    found = content(dest) if dest.exists() else None
    files.remove_leftovers(place, "posts")
    after = content(dest)
    import_posts("csv", second, dest, append=True)
    print(json.dumps({
        "step": last,
        "never half-written": found in (old, whole, None) and after in (old, whole),
        "never missing": found is not None,
        "same in the end": content(dest) == whole,
        "left over": sorted(path.name for path in place.iterdir() if path.name != "posts"),
    }))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs fork, kill -9 and renameat2")
@pytest.mark.parametrize("exchanges", [1, pytest.param(0, marks=pytest.mark.slow)])
def test_killed_at_every_step_the_last_good_state_stays(exchanges: int, tmp_path: Path) -> None:
    for number in (1, 2, 4):
        write_picture(tmp_path / f"sources/{number}.jpg", number)
    first, second = (
        write_csv(
            tmp_path / "sources" / name, [{**row, "image": f"{row['id']}.jpg"} for row in rows]
        )
        for name, rows in (("first.csv", JANUARY), ("second.csv", MORE))
    )
    (tmp_path / "work").mkdir()
    words = [first, second, tmp_path / "work", exchanges]
    process = subprocess.run(
        [sys.executable, "-c", KILLED_SCRIPT, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    outcomes = [json.loads(line) for line in process.stdout.splitlines()]
    assert len(outcomes) > 10
    for outcome in outcomes:
        assert outcome["never half-written"], outcome
        assert outcome["never missing"] or not exchanges, outcome
        assert outcome["same in the end"], outcome
        assert outcome["left over"] == [], outcome


def test_a_protected_copy_and_locked_pictures_take_nothing(append: Append) -> None:
    folder = append(JANUARY).dataset.folder
    description = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**description, "protected": {}}))
    with pytest.raises(DataError, match="protected copy"):
        append(MORE, "more.csv")
    (folder / "dataset.json").write_text(json.dumps(description))
    (folder / "images.lock.json").write_text("{}")
    with pytest.raises(DataError, match="locked"):
        append(MORE, "more.csv")
    assert len(PostDataset(folder)) == 3

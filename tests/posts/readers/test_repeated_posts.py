"""One post in several rows: a row per day, or per annotator."""

from __future__ import annotations

from pathlib import Path

import pytest

from evoked.posts.importing import ImportResult, import_posts
from evoked.posts.readers import repeated_posts

SNAPSHOTS = """video_id,trending_date,title,publish_time,views,likes,description
abc,17.14.11,Tea time,2017-11-13T17:13:01.000Z,748374,57527,All about tea
xyz,17.14.11,Cups,2017-11-12T10:00:00.000Z,100,10,All about cups
abc,17.16.11,Tea time,2017-11-13T17:13:01.000Z,1048374,77527,All about tea
abc,17.15.11,Tea time,2017-11-13T17:13:01.000Z,948374,67527,All about tea
"""


def import_text(folder: Path, text: str) -> ImportResult:
    (folder / "posts.csv").write_text(text, encoding="utf-8")
    return import_posts("csv", folder / "posts.csv", folder / "dataset")


def test_the_last_state_of_a_post_counts_and_all_are_its_activity(tmp_path: Path) -> None:
    result = import_text(tmp_path, SNAPSHOTS)
    posts = result.dataset.posts.set_index("post_id")
    assert posts["views"].to_dict() == {"abc": 1048374, "xyz": 100}
    assert posts["likes"].to_dict() == {"abc": 77527, "xyz": 10}
    activity = result.dataset.table("activity")
    assert activity["post_id"].unique().tolist() == ["abc"]
    assert activity["likes"].tolist() == [57527, 67527, 77527]
    # A day was observed when it was over.
    assert activity["hours"].round(1).tolist() == [30.8, 54.8, 78.8]
    assert dict(result.tally.changed) == {repeated_posts.EARLIER: 2}
    assert any(note.startswith("trending_date is taken for when") for note in result.notes)


def test_without_a_column_of_days_the_last_row_counts(tmp_path: Path) -> None:
    result = import_text(tmp_path, "id,text,likes\n1,Tea,5\n1,Tea,9\n2,Cup,1\n")
    assert result.dataset.posts.set_index("post_id")["likes"].to_dict() == {"1": 9, "2": 1}
    assert result.dataset.table("activity").empty


def test_a_date_that_differs_between_the_rows_is_a_day_of_observation(tmp_path: Path) -> None:
    result = import_text(
        tmp_path, "id,text,date,likes\n1,Tea,2024-01-03,9\n1,Tea,2024-01-02,5\n2,Cup,2024-01-02,1\n"
    )
    post = result.dataset.posts.set_index("post_id").loc["1"]
    assert (post["likes"], post["posted_at"].day) == (9, 2)
    assert result.dataset.table("activity")["likes"].tolist() == [5, 9]
    assert f"posted_at: {repeated_posts.SEVERAL_DATES}" in result.tally.changed


@pytest.mark.parametrize(
    "rows", ["1,Tea,5\n1,Another,9\n", "1,Tea,5\n1,Tea,5\n"], ids=["other text", "the same row"]
)
def test_rows_that_are_no_states_of_one_post_are_repeated_ids(rows: str, tmp_path: Path) -> None:
    result = import_text(tmp_path, f"id,text,likes\n{rows}")
    assert result.dataset.posts["likes"].tolist() == [5]
    assert dict(result.tally.skipped) == {repeated_posts.REPEATED: 1}


def test_counts_of_single_days_are_doubted(tmp_path: Path) -> None:
    falling = import_text(tmp_path, "id,text,views\n1,Tea,900\n1,Tea,80\n1,Tea,20\n")
    assert repeated_posts.FALLING in falling.tally.changed


def test_a_row_per_annotator_becomes_annotations(tmp_path: Path) -> None:
    result = import_text(
        tmp_path,
        "id,text,rater,valence,emotion\n1,Tea,ann,1,awe\n2,Cup,ann,5,fear\n1,Tea,bob,5,awe\n"
        "1,Tea,cy,3,fear\n",
    )
    posts = result.dataset.posts.set_index("post_id")
    assert posts["valence"].to_dict() == {"1": 0.0, "2": 4.0}
    assert posts["emotion"].to_dict() == {"1": "awe", "2": "fear"}
    table = result.dataset.table("annotations").sort_values(["post_id", "annotator_id"])
    assert table["annotator_id"].tolist() == ["ann", "bob", "cy", "ann"]
    assert table["rating"].tolist() == [1, 5, 3, 5]
    assert dict(result.tally.changed) == {repeated_posts.ANNOTATION: 2}


def test_what_only_an_earlier_row_knows_is_kept(tmp_path: Path) -> None:
    posts = import_text(tmp_path, "id,text,likes,shares\n1,Tea,5,2\n1,,9,\n").dataset.posts
    assert posts.loc[0, ["caption", "likes", "shares"]].tolist() == ["Tea", 9, 2]

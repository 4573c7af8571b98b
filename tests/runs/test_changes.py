"""A dataset that changed after a run was made from it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from evoked.posts.dataset import PostDataset
from evoked.report import write_report
from evoked.runs.base import Callbacks
from evoked.runs.changes import changes_since, field_digests
from evoked.runs.posts import Run
from evoked.runs.training import train_posts
from tests.support.small_runs import by_hand


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PostDataset:
    n = 60
    posts = pd.DataFrame(
        {
            "post_id": [f"p{row}" for row in range(n)],
            "posted_at": pd.date_range("2024-01-01", periods=n, freq="D", tz="UTC"),
            "caption": [f"Morning number {row}" for row in range(n)],
            "hashtags": [["sun"]] * n,
            "followers": 1000,
            "likes": range(n),
        }
    )
    return PostDataset.create(tmp_path_factory.mktemp("data") / "posts", {"posts": posts})


@pytest.fixture(scope="module")
def run(dataset: PostDataset) -> Run:
    split = by_hand(len(dataset), tests=10)
    out = dataset.folder.parent / "run"
    return train_posts(dataset, "author_mean", out, split=split, estimate=False)


def changed(dataset: PostDataset, folder: Path, rows: slice, **columns: object) -> PostDataset:
    posts = dataset.posts.copy()
    for name, value in columns.items():
        posts.loc[posts.index[rows], name] = value
    return PostDataset.create(folder, {"posts": posts})


def test_changed_fields_are_counted(dataset: PostDataset) -> None:
    posts = dataset.posts.copy()
    assert changes_since(field_digests(posts), dataset.posts) is None
    now = dataset.posts.copy()
    now.loc[:2, "likes"] += 1
    now.loc[3, "likes"] = None
    now.loc[2, "caption"] = "edited"
    now.at[5, "hashtags"] = ["sun", "sea"]
    now.loc[5, "posted_at"] += pd.Timedelta(hours=1)
    assert changes_since(field_digests(posts), now) == (
        "5 of the 60 posts that this run was made from have changed since: likes of 4, dates of 1, "
        "captions of 1, hashtags of 1."
    )


def test_changes_are_reported_wherever_the_dataset_is_shown(
    run: Run, dataset: PostDataset, tmp_path: Path
) -> None:
    now = changed(dataset, tmp_path / "now", slice(0, 20), likes=900)
    said = "20 of the 60 posts that this run was made from have changed since: likes of 20."
    assert said in run.evaluate(now).warnings
    notes: list[str] = []
    Run.load(run.folder).predict(now, Callbacks(note=notes.append))
    assert said in notes
    assert said in write_report(run, now, tmp_path / "now.html").read_text(encoding="utf-8")


def test_of_the_same_and_of_new_posts_nothing_is_said(
    run: Run, dataset: PostDataset, tmp_path: Path
) -> None:
    notes: list[str] = []
    for posts in (dataset, dataset.select(range(5, 15))):
        run.predict(posts, Callbacks(note=notes.append))
        assert not any("changed" in warning for warning in run.evaluate(dataset).warnings)
    others = changed(
        dataset,
        tmp_path / "others",
        slice(None),
        caption="another",
        posted_at=pd.Timestamp("2020-01-01", tz="UTC"),
    )
    run.predict(others, Callbacks(note=notes.append))
    assert not any("changed" in note for note in notes)


def test_a_dataset_that_grew_is_noticed(dataset: PostDataset, run: Run, tmp_path: Path) -> None:
    posts = dataset.posts
    later = posts.tail(3).assign(
        post_id=["q1", "q2", "q3"],
        posted_at=posts["posted_at"].max() + pd.to_timedelta([1, 2, 3], unit="D"),
        caption=["new", "newer", "newest"],
    )
    grown = pd.concat([posts, later], ignore_index=True)
    notes: list[str] = []
    run.predict(
        PostDataset.create(tmp_path / "grown", {"posts": grown}), Callbacks(note=notes.append)
    )
    assert any("has grown by 3 posts" in note for note in notes)
    assert run.growth_since(posts) is None
    assert run.growth_since(later) is None  # other posts, and not all of the dataset's

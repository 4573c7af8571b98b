"""Drafts: whose they are, how many follow their author, and that they don't change each other."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evoked.explain import explain
from evoked.posts.dataset import PostDataset
from evoked.posts.drafts import Draft
from evoked.runs.posts import Run
from evoked.runs.training import train_posts
from tests.support.small_runs import by_hand


def posts_by(*authors: str | None, n: int = 60) -> pd.DataFrame:
    """Posts of some authors in turn, whose followers grow by one from post to post."""
    random = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "post_id": [f"p{row}" for row in range(n)],
            "author_id": [authors[row % len(authors)] for row in range(n)],
            "posted_at": pd.date_range("2024-01-01", periods=n, freq="D", tz="UTC"),
            "caption": [f"Morning number {row}" for row in range(n)],
            "followers": 1000 + np.arange(n),
            "likes": random.integers(50, 150, n),
            "comments": random.integers(5, 15, n),
        }
    )


def run_of(folder: Path, posts: pd.DataFrame) -> Run:
    dataset = PostDataset.create(folder / "posts", {"posts": posts})
    split = by_hand(len(posts), tests=10)
    return train_posts(dataset, "gradient_boosting", folder / "run", split=split, estimate=False)


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of one author."""
    return run_of(tmp_path_factory.mktemp("mine"), posts_by("me"))


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of two authors."""
    return run_of(tmp_path_factory.mktemp("ours"), posts_by("me", "you"))


WHEN = datetime(2024, 4, 1, 12, tzinfo=UTC)


def test_a_draft_is_taken_for_the_only_author_of_a_run(mine: Run) -> None:
    bare = Draft(caption="Evening", posted_at=WHEN)
    whole = Draft(caption="Evening", posted_at=WHEN, author="me", followers=1059)
    found = Run.load(mine.folder).predict([bare, whole])
    assert found["likes"][0] == found["likes"][1] > 0
    assert found["problem"].isna().all()
    assert found["assumed"].tolist() == [
        "Taken for a post of the run's only author; followers as of your last post: 1,059.",
        None,
    ]
    explanation = explain(mine, bare)
    assert found["assumed"][0] in explanation.notes
    assert explanation.prediction["likes"] == pytest.approx(found["likes"][0])


def test_a_draft_of_nobody_is_a_new_authors_where_a_run_knows_several(ours: Run) -> None:
    drafts = [
        Draft(caption="Evening", posted_at=WHEN, author=author, followers=followers)
        for author, followers in ((None, 1059), ("somebody", 1059), ("me", None))
    ]
    found = ours.predict(drafts)
    learned = "predicted as a new author's, by what the run has learned from posts of all its"
    assert found["problem"].tolist()[:2] == [
        f"No author given: {learned} 2 authors.",
        f"No training post is by the author 'somebody': {learned} 2 authors.",
    ]
    assert found["problem"].isna()[2]
    assert found["likes"][0] == found["likes"][1]
    assert found["assumed"].tolist() == [
        None,
        None,
        "Followers as of the author's last post: 1,058.",
    ]


def test_posts_without_authors_make_no_fuss_about_them(tmp_path: Path) -> None:
    run = run_of(tmp_path, posts_by(None))
    found = run.predict([Draft(caption="Evening"), Draft(caption="Evening", author="me")])
    assert found["problem"].isna().all()
    assert found["assumed"].isna().all()


def test_posts_without_counts_are_drafts_and_nobodys_past(mine: Run, tmp_path: Path) -> None:
    counted = posts_by("me").iloc[:12].assign(post_id=[f"q{row}" for row in range(12)])
    later = counted.assign(
        posted_at=pd.date_range("2024-04-01", periods=12, freq="h", tz="UTC"), followers=None
    )
    drafts = PostDataset.create(tmp_path / "d", {"posts": later.assign(likes=None, comments=None)})
    found = mine.predict(drafts)
    assert found["assumed"].tolist() == ["Followers as of your last post: 1,059."] * 12
    one_by_one = [
        Draft(caption=post.caption, author="me", posted_at=post.posted_at)
        for post in later.itertuples()
    ]
    alone = [mine.predict([draft])["likes"][0] for draft in one_by_one]
    assert found["likes"].tolist() == pytest.approx(alone)
    published = PostDataset.create(tmp_path / "p", {"posts": later.assign(followers=1059)})
    attached = mine.dataset_posts(published)
    assert attached["history.posts"].tolist() == list(range(60, 72))
    assert mine.dataset_posts(drafts)["history.posts"].tolist() == [60] * 12


def test_an_author_with_a_past_in_the_dataset_alone_is_doubted_only_at_first(
    mine: Run, tmp_path: Path
) -> None:
    others = PostDataset.create(tmp_path / "posts", {"posts": posts_by("somebody", n=5)})
    problems = mine.predict(others)["problem"]
    assert "No training post is by the author 'somebody'" in problems[0]
    assert problems[1:].isna().all()

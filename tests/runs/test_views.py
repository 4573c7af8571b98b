"""Runs of posts that report how often they were seen: by default, and as what likes are per."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import evoked
from evoked.features.cache import FeatureCache
from evoked.posts.dataset import PostDataset
from evoked.posts.drafts import Draft
from evoked.runs.base import Callbacks
from evoked.runs.posts import Run

POSTS = 120
WHEN = datetime(2025, 1, 1, tzinfo=UTC)


def run_of(
    folder: Path, model: str | None = "linear", n: int = POSTS, **columns: Any
) -> tuple[Run, list[str]]:
    """A run of one author's posts, a day apart, that got some thousand views; and its notes."""
    random = np.random.default_rng(0)
    posts = pd.DataFrame(
        {
            "post_id": [f"p{row}" for row in range(n)],
            "author_id": "me",
            "posted_at": pd.date_range("2024-01-01", periods=n, freq="D", tz="UTC"),
            "media_type": random.choice(["image", "video"], n),
            "views": random.integers(4000, 6000, n),
        }
    ).assign(**columns)
    dataset = PostDataset.create(folder / "posts", {"posts": posts})
    notes: list[str] = []
    run = evoked.train(
        dataset,
        model,
        folder / "run",
        cache=FeatureCache(folder / "cache"),
        estimate=False,
        callbacks=Callbacks(note=notes.append),
    )
    assert isinstance(run, Run)
    return run, notes


@pytest.mark.parametrize("model", [None, "linear"])
def test_views_are_predicted_where_posts_report_nothing_else(
    tmp_path: Path, model: str | None
) -> None:
    run, notes = run_of(tmp_path, model)
    assert run.task.name == "views"
    assert sum("what is predicted is views (task views)" in note for note in notes) == 1
    found = run.predict([Draft(caption="x", posted_at=WHEN)])
    assert 4000 < found["views"][0] < 6000
    assert found["answer"][0].startswith("About 5,")
    assert " views (" in found["answer"][0]
    assert " of your last 10 posts" in found["answer"][0]
    assert not any("reach" in name for name in found)
    scores = pd.DataFrame(run.metrics["scores"])
    assert set(scores["target"]) == {"views"}
    assert set(run.metrics["intervals"][0]) >= {"coverage", "n"}


def test_another_task_is_asked_for_by_its_name(tmp_path: Path) -> None:
    run, notes = run_of(tmp_path, likes=np.arange(POSTS))
    assert run.task.name == "emotion_engagement"
    assert not any("task views" in note for note in notes)


def test_drafts_are_taken_to_be_seen_as_often_as_usual_unless_they_say(tmp_path: Path) -> None:
    views = np.full(POSTS, 5000)
    run, _ = run_of(tmp_path, views=views, likes=views // 20 + np.arange(POSTS) % 3)
    drafts = [Draft(caption="x", posted_at=WHEN, views=number) for number in (None, 10_000)]
    found = run.predict(drafts)
    assert found["likes"].to_numpy() == pytest.approx([251, 502], rel=0.02)
    assert found["likes_rate"].to_numpy() == pytest.approx(0.05, rel=0.02)
    assert "Reckoned with about 5,000 views, as is usual." in found["assumed"][0]
    assert "Reckoned" not in str(found["assumed"][1])


def test_likes_per_follower_are_reckoned_with_no_views(tmp_path: Path) -> None:
    run, _ = run_of(tmp_path, followers=1000, likes=100 + np.arange(POSTS) % 7)
    drafts = [Draft(caption="x", posted_at=WHEN, views=number) for number in (None, 10_000)]
    found = run.predict(drafts)
    assert found["likes"][0] == found["likes"][1]
    assert not found["assumed"].fillna("").str.contains("Reckoned").any()


def test_without_dates_nothing_is_said_of_last_posts(tmp_path: Path) -> None:
    few, notes = run_of(tmp_path, None, n=4, posted_at=pd.NaT, views=5000)
    assert few.model.name == "recent_posts"
    assert "what they usually get" in few.description["choice"]["reason"]
    assert not any("last posts" in note for note in notes)

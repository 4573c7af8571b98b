"""Runs of very many posts: drawn from, with the history of all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evoked.evaluation.splits import PARTS, choose_split
from evoked.posts.dataset import PostDataset
from evoked.runs import choice, training
from evoked.runs.base import Callbacks
from evoked.runs.choice import quick_candidates
from evoked.runs.drawing import draw, some_rows
from evoked.runs.training import train_posts
from evoked.targets.emotion_engagement import EmotionEngagement
from evoked.training.settings import TrainingSettings


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PostDataset:
    n, random = 3000, np.random.default_rng(0)
    author = random.integers(0, 60, n)
    posts = pd.DataFrame(
        {
            "post_id": [f"p{number}" for number in range(n)],
            "author_id": [f"a{number}" for number in author],
            "posted_at": pd.date_range("2024-01-01", periods=n, freq="h", tz="UTC"),
            "media_type": random.choice(["image", "video"], n),
            "followers": 1000,
            "likes": np.round(np.exp(3 + author / 20 + random.normal(0, 0.4, n))).astype(int),
        }
    )
    return PostDataset.create(tmp_path_factory.mktemp("data") / "posts", {"posts": posts})


def test_parts_are_drawn_from_in_proportion(dataset: PostDataset) -> None:
    whole = choose_split(dataset.posts)
    drawn, split = draw(dataset, None, 0, 1000)
    assert len(drawn) == sum(len(getattr(split, name)) for name in PARTS) == 1000
    ids = dataset.posts["post_id"].to_numpy()
    for name in PARTS:
        chosen = drawn.posts["post_id"].to_numpy()[getattr(split, name)]
        assert set(chosen) <= set(ids[getattr(whole, name)])
        assert len(chosen) == pytest.approx(len(getattr(whole, name)) / 3, abs=1)
    assert "1,000 were drawn" in split.reason
    again, _ = draw(dataset, None, 0, 1000)
    assert again.posts.equals(drawn.posts)
    other, _ = draw(dataset, None, 1, 1000)
    assert set(other.posts["post_id"]) != set(drawn.posts["post_id"])


def test_the_order_of_rows_draws_nothing_else() -> None:
    names = pd.Series([f"p{number}" for number in range(100)])
    rows = np.arange(100)
    chosen = set(names[some_rows(names, rows, 30, 0)])
    shuffled = names.sample(frac=1, random_state=0, ignore_index=True)
    assert set(shuffled[some_rows(shuffled, rows, 30, 0)]) == chosen
    assert some_rows(names, rows, 100, 0) is rows


def test_a_run_learns_from_some_and_sees_the_past_of_all(
    dataset: PostDataset, tmp_path: Path
) -> None:
    notes: list[str] = []
    run = train_posts(
        dataset,
        "recent_posts",
        tmp_path / "run",
        training=TrainingSettings(max_posts=1000),
        estimate=False,
        callbacks=Callbacks(note=notes.append),
    )
    assert run.description["data"]["drawn from"] == 3000
    assert run.description["data"]["posts"] == 1000
    assert "1,000 were drawn" in (run.folder / "README.md").read_text()
    assert any("1,000 were drawn" in note for note in notes)
    # All of an author's posts are in the history that drafts see, and in what posts see.
    assert run.history.posts.sum() == 3000
    drawn, _ = draw(dataset, None, 0, 1000)
    data = training._Posts(drawn, run.model, None, Callbacks(), False, dataset)
    whole = training._Posts(dataset, run.model, None, Callbacks(), False, dataset)
    own = whole.rows.set_index("post_id").loc[drawn.posts["post_id"]].reset_index()
    pd.testing.assert_frame_equal(data.rows, own[list(data.rows)])
    assert run.growth_since(dataset.posts) is None


def test_models_are_tried_on_some(
    dataset: PostDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "MOST_TRIED", 300)
    monkeypatch.setattr(choice, "_TREES", {**choice._TREES, "trees": 5})
    run = train_posts(dataset, None, tmp_path / "run", estimate=False)
    found = run.description["choice"]
    assert found["posts"] == 300
    assert "drawn from the 2,550 that are learned from" in found["reason"]
    assert "drawn from the 2,550" in (run.folder / "README.md").read_text().replace("\n", " ")


def test_a_network_of_pictures_and_captions_is_tried_where_there_are_any() -> None:
    assert "abmf" in quick_candidates(EmotionEngagement, 20_000)
    assert "abmf" not in quick_candidates(EmotionEngagement, 20_000, content=False)

"""What hardly matters to a run: planted influence of pictures and captions is found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evoked.features.table import Column, FeatureTable
from evoked.models import Examples
from evoked.models.linear import Linear
from evoked.runs.influence import hardly_matters, influence_of
from evoked.targets import EmotionEngagement

POSTS = 60


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Linear, EmotionEngagement, Examples]:
    """Likes that follow the caption and have nothing to do with the picture."""
    drawn = np.random.default_rng(0)
    caption, picture = drawn.normal(size=(2, POSTS, 2)).astype(np.float32)
    likes = np.exp(5 + 0.4 * caption[:, 0])
    posts = pd.DataFrame(
        {
            "post_id": [f"post-{number}" for number in range(POSTS)],
            "author_id": "one",
            "posted_at": pd.date_range("2024-01-01", periods=POSTS, tz="UTC"),
            "likes": likes.round(),
            "followers": 1000.0,
            "category": None,
        }
    )
    columns = {
        "image.vector": picture,
        "caption.vector": caption,
        "metadata": np.zeros((POSTS, 1), dtype=np.float32),
        "affect.face": np.zeros((POSTS, 1), dtype=np.float32),
    }
    table = {name: Column.dense(values) for name, values in columns.items()}
    table["hashtags.vector"] = Column.dense(np.zeros((POSTS, 1), np.float32), [False] * POSTS)
    model = Linear(Linear.Settings(emotion_reader=False))
    task = EmotionEngagement.fit(posts)
    examples = Examples(posts, FeatureTable(table), task.transform(posts))
    model.fit(examples, folder=tmp_path_factory.mktemp("linear"))
    return model, task, examples


def test_changes_are_of_what_is_left_out(
    planted: tuple[Linear, EmotionEngagement, Examples],
) -> None:
    rows = {(row["modality"], row["outcome"]): row for row in influence_of(*planted)}
    assert set(rows) == {("image", "likes"), ("caption", "likes")}
    assert rows["caption", "likes"]["change"] > 0.1
    assert rows["image", "likes"]["change"] < 0.1 * rows["caption", "likes"]["change"]
    assert rows["image", "likes"]["n"] == POSTS
    assert influence_of(*planted, unread=["likes_rate"]) == []


def test_few_posts_say_nothing(planted: tuple[Linear, EmotionEngagement, Examples]) -> None:
    model, task, examples = planted
    assert influence_of(model, task, examples.select(np.arange(9))) == []


def test_only_what_matters_to_no_outcome_hardly_matters() -> None:
    influence = [
        {"modality": "image", "outcome": "likes", "change": 0.0031, "n": 30},
        {"modality": "image", "outcome": "comments", "change": 0.0012, "n": 28},
        {"modality": "caption", "outcome": "likes", "change": 0.004, "n": 30},
        {"modality": "caption", "outcome": "comments", "change": 0.3, "n": 30},
        {"modality": "hashtags", "outcome": "likes", "change": 0.0, "n": 12},
    ]
    assert hardly_matters(influence) == {
        "image": "The picture hardly matters to this model (±0.3% likes without it, median over 30 "
        "test posts).",
        "hashtags": "The hashtags hardly matter to this model (less than ±0.1% likes without them, "
        "median over 12 test posts).",
    }
    assert hardly_matters([]) == {}

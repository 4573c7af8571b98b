"""Views, reach and impressions: which are learned, from what, and when by default."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evoked.errors import DataError
from evoked.posts.author_history import attach_history
from evoked.posts.schema import EXPOSURE
from evoked.targets import EmotionEngagement, Views, default_task
from evoked.testing.examples import random_posts


def seen(logs: np.ndarray, name: str = "views", **columns: object) -> pd.DataFrame:
    """One author's posts, a day apart, of given log(1 + count), and nothing else that they got."""
    nothing = dict.fromkeys((*EXPOSURE, "likes", "comments", "shares", "saves"), np.nan)
    posts = random_posts(len(logs)).assign(**nothing, valence=np.nan, arousal=np.nan)
    dates = pd.date_range("2024-01-01", periods=len(logs), freq="D", tz="UTC")
    posts = posts.assign(author_id="one", posted_at=dates, followers=np.nan)
    return posts.assign(**{name: np.round(np.expm1(logs))}, **columns)


def middle(posts: pd.DataFrame) -> pd.DataFrame:
    """The prediction that each post does as usual."""
    return pd.DataFrame(0.5, posts.index, list(EXPOSURE))


@pytest.mark.parametrize("name", EXPOSURE)
def test_what_the_posts_report_is_learned_and_nothing_else(name: str) -> None:
    posts = seen(np.random.default_rng(0).normal(7, 1, 40), name)
    task = Views.fit(posts)
    others = [other for other in EXPOSURE if other != name]
    columns = pd.DataFrame(task.transform(posts).values, columns=list(EXPOSURE))
    assert columns[name].notna().all()
    assert columns[others].isna().all(axis=None)
    restored = task.inverse_transform(columns, posts)
    assert restored[name].to_numpy() == pytest.approx(posts[name].to_numpy(float), rel=1e-3)
    assert not set(others) & set(restored)
    assert task.truth(posts)[name].tolist() == posts[name].tolist()


def test_a_post_is_predicted_from_where_its_author_stands() -> None:
    posts = seen(np.log(100) + np.log(10) * np.arange(60) / 59)
    restored = Views.fit(posts.iloc[:40]).inverse_transform(middle(posts), posts)["views"]
    # Steady growth: the median of ten posts lags five and a half behind, and the deviations'
    # median takes that up.
    assert restored[40:].to_numpy() == pytest.approx(posts["views"][40:].to_numpy(float), rel=0.02)


def test_a_new_author_is_placed_by_followers() -> None:
    followers = np.repeat([100.0, 10_000.0], 30)
    posts = seen(np.log(followers), author_id=[f"a{row}" for row in range(60)], followers=followers)
    task = Views.fit(posts)
    draft = posts.iloc[:2].assign(author_id="new", views=np.nan, followers=[100.0, 10_000.0])
    small, large = task.inverse_transform(middle(draft), draft)["views"]
    assert 50 < small < 200
    assert 5_000 < large < 20_000


def test_a_count_is_given_where_nothing_is_known_of_the_author() -> None:
    posts = seen(np.random.default_rng(0).normal(7, 0.1, 40), author_id=None)
    task = Views.fit(posts)
    draft = posts.iloc[:1].assign(views=np.nan)
    views = task.inverse_transform(middle(draft), draft)["views"]
    assert views[0] == pytest.approx(np.exp(7), rel=0.1)


def test_relevance_is_that_of_the_training_posts() -> None:
    posts = seen(np.log1p(np.arange(2000.0)))
    values = Views.fit(posts).relevance_values()["views"]
    assert len(values) == 1001
    assert set(values) <= set(posts["views"])
    assert values.quantile(0.75) == pytest.approx(1499, abs=2)


def test_posts_without_counts_are_refused_with_the_way_out() -> None:
    posts = seen(np.full(5, np.nan))
    with pytest.raises(DataError, match=r"views, reach, impressions.*--map views="):
        Views.fit(posts)


@pytest.mark.parametrize(
    ("columns", "task"),
    [
        ({"views": 5.0}, Views),
        ({"reach": 5.0}, Views),
        ({"views": 5.0, "likes": 1.0}, EmotionEngagement),
        ({"views": 5.0, "valence": 1.0}, EmotionEngagement),
        ({}, EmotionEngagement),
    ],
)
def test_views_are_the_default_where_posts_report_nothing_else(
    columns: dict[str, float], task: type
) -> None:
    posts = seen(np.full(3, np.nan)).assign(**columns)
    assert default_task(posts) is task


def test_history_keeps_how_often_posts_were_seen() -> None:
    posts = seen(np.log1p(np.array([10.0, 20, 30])), "reach")
    history = attach_history(posts)
    assert np.expm1(history["history.median10_reach"])[2] == pytest.approx(14.2, abs=0.1)
    assert history["history.median10_views"].isna().all()

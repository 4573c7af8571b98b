"""EngagementRates: rates, quantiles and the way back."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoked.errors import DataError
from evoked.targets import (
    EMOTION_TARGETS,
    ENGAGEMENT_TARGETS,
    TARGETS,
    EngagementRates,
    choose_denominator,
    engagement_rates,
)
from evoked.testing.examples import random_posts

counts = st.lists(st.integers(0, 10**9), min_size=2, max_size=40)


def posts_with_likes(likes: list[int]) -> pd.DataFrame:
    posts = random_posts(len(likes))
    return posts.assign(likes=likes, followers=1000)


def test_rate_is_count_per_follower_and_unknown_without_followers() -> None:
    posts = pd.DataFrame({"likes": [5.0, 5.0, np.nan], "followers": [100.0, 0.0, 100.0]})
    rates = engagement_rates(posts)
    assert rates["likes"].tolist()[0] == pytest.approx(0.05)
    assert rates["likes"].isna().tolist() == [False, True, True]
    assert rates["saves"].isna().all()


def test_denominator_is_the_first_that_most_posts_have() -> None:
    posts = pd.DataFrame({"followers": [np.nan, np.nan, 10], "reach": [5, 6, 7]})
    assert choose_denominator(posts) == "reach"
    assert choose_denominator(posts.drop(columns="reach")) == "none"
    assert choose_denominator(posts.assign(followers=[1, 2, 3])) == "followers"


@given(counts)
def test_quantiles_rise_with_the_rate_and_average_to_a_half(likes: list[int]) -> None:
    posts = posts_with_likes(likes)
    values = EngagementRates.fit(posts).transform(posts).values[:, TARGETS.index("likes")]
    assert ((values >= 0) & (values <= 1)).all()
    order = np.argsort(likes, kind="stable")
    assert (np.diff(values[order]) >= -1e-6).all()
    ranks = pd.Series(likes).rank().to_numpy()
    assert values == pytest.approx((ranks - 1) / (len(likes) - 1), abs=1e-5)
    assert values.mean() == pytest.approx(0.5, abs=1e-5)


@given(counts)
def test_restoring_gives_the_counts_again(likes: list[int]) -> None:
    posts = posts_with_likes(likes)
    targets = EngagementRates.fit(posts)
    values = pd.DataFrame(targets.transform(posts).values, columns=list(TARGETS))
    restored = targets.inverse_transform(values, posts)
    # Ties share the middle of their ranks, which lies among equal rates.
    scale = max(likes) + 1
    assert restored["likes"].to_numpy() / scale == pytest.approx(np.array(likes) / scale, abs=1e-4)


def test_posts_beyond_the_training_range_are_clipped() -> None:
    train = posts_with_likes([10, 20, 30])
    later = posts_with_likes([0, 25, 1000])
    values = EngagementRates.fit(train).transform(later).values[:, TARGETS.index("likes")]
    assert values == pytest.approx([0, 0.75, 1])


def test_emotions_pass_unchanged_and_estimates_fill_gaps_only() -> None:
    posts = random_posts(4)
    posts.loc[1, ["valence", "arousal"]] = np.nan
    estimates = np.full((4, 2), 9.0, dtype=np.float32)
    table = EngagementRates.fit(posts).transform(posts, estimates)
    emotions = table.values[:, : len(EMOTION_TARGETS)]
    assert emotions[0] == pytest.approx(posts.loc[0, ["valence", "arousal"]].astype(float))
    assert emotions[1].tolist() == [4.0, 8.0]  # bounded to the scales
    assert table.estimated[1].tolist() == [True, True, False, False, False, False]
    assert not table.estimated[[0, 2, 3]].any()


def test_unknown_targets_are_not_restored() -> None:
    posts = random_posts(5).assign(saves=np.nan)
    targets = EngagementRates.fit(posts)
    values = pd.DataFrame(targets.transform(posts).values, columns=list(TARGETS))
    assert values["saves"].isna().all()
    restored = targets.inverse_transform(values, posts)
    assert "saves" not in restored
    assert {"likes", "likes_rate", "likes_quantile"} <= set(restored.columns)
    assert targets.engagement == [name for name in ENGAGEMENT_TARGETS if name != "saves"]


def test_state_survives_json() -> None:
    posts = random_posts(20)
    targets = EngagementRates.fit(posts)
    again = EngagementRates.from_dict(json.loads(json.dumps(targets.to_dict())))
    np.testing.assert_array_equal(again.transform(posts).values, targets.transform(posts).values)


def test_nothing_to_learn_is_an_error() -> None:
    empty = random_posts(3).assign(
        **dict.fromkeys(("valence", "arousal", "likes", "comments", "shares", "saves"), np.nan)
    )
    with pytest.raises(DataError, match="nothing to learn"):
        EngagementRates.fit(empty)

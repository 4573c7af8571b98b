"""EmotionEngagement: levels, deviations from them, and the way back."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoked.errors import DataError
from evoked.posts.author_history import attach_history
from evoked.posts.schema import EXPECTED_VIEWS
from evoked.targets import (
    EMOTION_TARGETS,
    ENGAGEMENT_TARGETS,
    TARGETS,
    EmotionEngagement,
    EngagementRates,
)
from evoked.targets.author_level import AuthorLevel
from evoked.testing.examples import random_posts

LIKES = TARGETS.index("likes")
START = pd.Timestamp("2026-01-01", tz="UTC")

counts = st.lists(st.integers(0, 10**9), min_size=2, max_size=40)


def account(logs: np.ndarray, followers: float = 1000, author: str = "one") -> pd.DataFrame:
    """A post a day by one author, whose log(1 + likes) are given."""
    posts = random_posts(len(logs)).assign(author_id=author, followers=followers)
    days = pd.to_timedelta(np.arange(len(logs)), unit="D")
    return posts.assign(post_id=[f"{author}-{day}" for day in range(len(logs))]).assign(
        posted_at=START + days, likes=np.round(np.expm1(logs))
    )


def standings(task: EmotionEngagement, posts: pd.DataFrame) -> np.ndarray:
    return task.transform(posts).values[:, LIKES]


@given(counts)
def test_restoring_gives_the_counts_again(likes: list[int]) -> None:
    posts = account(np.log1p(likes))
    task = EmotionEngagement.fit(posts)
    values = pd.DataFrame(task.transform(posts).values, columns=list(TARGETS))
    assert values["likes"].between(0, 1).all()
    restored = task.inverse_transform(values, posts)
    np.testing.assert_allclose(np.log1p(restored["likes"]), np.log1p(likes), atol=1e-3)
    np.testing.assert_allclose(restored["likes_rate"], restored["likes"] / 1000)


def test_a_usual_post_stands_in_the_middle_and_a_better_one_above() -> None:
    random = np.random.default_rng(0)
    posts = account(7 + 0.3 * random.normal(size=300))
    attached = attach_history(posts)
    task = EmotionEngagement.fit(attached)
    found = standings(task, attached)
    assert np.median(found) == pytest.approx(0.5, abs=1e-3)
    deviations = np.log1p(posts["likes"]) - task.deviations["likes"].level.of(attached)
    assert (np.argsort(found) == np.argsort(deviations)).mean() > 0.99


def test_nothing_keeps_a_post_from_outdoing_the_training_posts() -> None:
    """An account at ten times its training level is predicted at ten times its training level."""
    logs = np.concatenate([np.full(50, np.log(100.0)), np.full(30, np.log(1000.0))])
    posts = attach_history(account(logs + 0.1 * np.sin(np.arange(80) * 1.7)))
    task = EmotionEngagement.fit(posts.iloc[:50])
    later = posts.iloc[65:].reset_index(drop=True)
    usual = pd.DataFrame([[0.0, 4.0, 0.5, 0.5, 0.5, 0.5]] * len(later), columns=list(TARGETS))
    restored = task.inverse_transform(usual, later)["likes"]
    assert restored.between(800, 1250).all()
    higher = task.inverse_transform(usual.assign(likes=0.9), later)["likes"]
    assert (higher > restored * 1.05).all()
    assert (higher > posts["likes"].iloc[:50].max()).all()


def test_level_by_hand() -> None:
    """(n · median + w · guess) / (n + w) with w = k · (1 − n / 5)."""
    posts = attach_history(account(np.log([101.0, 201.0, 401.0])))
    level = AuthorLevel(
        "likes",
        mean=4.0,
        slope=0.5,
        mean_followers=6.0,
        lowest_followers=5.0,
        highest_followers=7.0,
        prior_posts=2.0,
    )
    guess = 4.0 + 0.5 * (np.log(1001) - 6)
    medians = [np.nan, np.log(101), np.log(np.sqrt(101 * 201))]
    expected = [guess, (medians[1] + 1.6 * guess) / 2.6, (2 * medians[2] + 1.2 * guess) / 3.2]
    np.testing.assert_allclose(level.of(posts), expected)
    unknown = level.of(posts.assign(followers=np.nan))
    assert unknown[0] == pytest.approx(4.0)
    alone = replace(level, prior_posts=0.0).of(posts)
    np.testing.assert_allclose(alone, [guess, *medians[1:]])
    # Beyond the accounts that were learned from, counts are proportional to followers.
    beyond = replace(level, lowest_followers=8.0, highest_followers=9.0).of(posts)[0]
    assert beyond == pytest.approx(4.0 + 0.5 * (8.0 - 6.0) + np.log(1001) - 8.0)


def test_a_small_new_account_is_not_guessed_from_huge_ones() -> None:
    """Among accounts of one size the larger may get less; a tiny one gets no more for that."""
    random = np.random.default_rng(2)
    accounts = []
    for number in range(20):
        followers = np.exp(random.uniform(18, 19))
        logs = 14 - 2 * (np.log(followers) - 18.5) + 0.2 * random.normal(size=10)
        accounts.append(account(logs, followers, author=f"a{number}"))
    posts = pd.concat(accounts, ignore_index=True)
    level = AuthorLevel.fit("likes", attach_history(posts))
    assert level is not None
    assert level.slope == 0
    new = random_posts(1).assign(author_id=["x"], followers=[4_000])
    rate = np.expm1(level.of(attach_history(new, drafts=True))[0]) / 4_000
    rates = posts["likes"] / posts["followers"]
    assert rates.min() < rate < rates.max()


def many_accounts(between: float, within: float, authors: int = 40) -> pd.DataFrame:
    """Forty posts each of authors whose mean log likes lie so far apart."""
    random = np.random.default_rng(5)
    accounts = [
        account(
            9 + between * random.normal() + within * random.normal(size=40), author=f"a{number}"
        )
        for number in range(authors)
    ]
    return attach_history(pd.concat(accounts, ignore_index=True))


def test_the_guess_counts_for_as_many_posts_as_the_variances_say() -> None:
    apart = AuthorLevel.fit("likes", many_accounts(between=1.0, within=0.5))
    alike = AuthorLevel.fit("likes", many_accounts(between=0.0, within=0.5))
    assert apart is not None
    assert alike is not None
    assert apart.prior_posts == pytest.approx(0.25, abs=0.15)
    assert alike.prior_posts == 10


def test_followers_guess_the_level_of_a_new_author() -> None:
    random = np.random.default_rng(1)
    accounts = []
    for number in range(60):
        followers = np.exp(random.uniform(5, 14))
        logs = 0.9 * np.log(followers) - 2 + 0.2 * random.normal(size=5)
        accounts.append(account(logs, followers, author=f"a{number}"))
    task = EmotionEngagement.fit(attach_history(pd.concat(accounts, ignore_index=True)))
    new = random_posts(2).assign(author_id=["x", "y"], followers=[1_000, 1_000_000])
    level = task.deviations["likes"].level.of(attach_history(new, drafts=True))
    expected = 0.9 * np.log([1_000, 1_000_000]) - 2
    np.testing.assert_allclose(level, expected, atol=0.3)


def test_counts_need_no_followers_and_rates_do() -> None:
    posts = account(np.log1p(np.arange(50, 90)))
    task = EmotionEngagement.fit(posts)
    usual = pd.DataFrame(np.full((40, len(TARGETS)), 0.5), columns=list(TARGETS))
    restored = task.inverse_transform(usual, posts.assign(followers=np.nan))
    assert restored["likes"].notna()[1:].all()
    assert restored["likes_rate"].isna()[1:].all()
    # The first post has no past: only the rate of a usual account is known.
    assert np.isnan(restored["likes"][0])
    at_usual_size = task.inverse_transform(usual, posts.assign(followers=1000))
    assert restored["likes_rate"][0] == pytest.approx(at_usual_size["likes_rate"][0])


def test_a_changed_count_changes_the_levels_of_later_posts_alone() -> None:
    posts = account(np.log1p(np.arange(50, 90)))
    task = EmotionEngagement.fit(posts)
    usual = pd.DataFrame(np.full((40, len(TARGETS)), 0.5), columns=list(TARGETS))
    changed = posts.assign(likes=posts["likes"].where(posts.index != 30, 10**6))
    before, after = (task.inverse_transform(usual, each)["likes"] for each in (posts, changed))
    assert (before == after)[:31].all()
    assert (before != after)[31:].any()


def test_extreme_predictions_are_restored_to_finite_counts() -> None:
    posts = account(np.log1p(np.arange(50, 90)))
    task = EmotionEngagement.fit(posts)
    for value in (-0.1, 0.0, 1.0, 1.1):
        columns = pd.DataFrame(np.full((40, len(TARGETS)), value), columns=list(TARGETS))
        restored = task.inverse_transform(columns, posts)
        assert np.isfinite(restored["likes"]).all()
        assert (restored["likes"] >= 0).all()


def test_emotions_pass_unchanged_and_estimates_fill_gaps_only() -> None:
    posts = random_posts(4)
    posts.loc[1, ["valence", "arousal"]] = np.nan
    estimates = np.full((4, 2), 9.0, dtype=np.float32)
    table = EmotionEngagement.fit(posts).transform(posts, estimates)
    emotions = table.values[:, : len(EMOTION_TARGETS)]
    assert emotions[0] == pytest.approx(posts.loc[0, ["valence", "arousal"]].astype(float))
    assert emotions[1].tolist() == [4.0, 8.0]  # bounded to the scales
    assert table.estimated[1].tolist() == [True, True, False, False, False, False]
    assert not table.estimated[[0, 2, 3]].any()


def test_unknown_targets_are_not_restored() -> None:
    posts = random_posts(5).assign(saves=np.nan)
    targets = EmotionEngagement.fit(posts)
    values = pd.DataFrame(targets.transform(posts).values, columns=list(TARGETS))
    assert values["saves"].isna().all()
    restored = targets.inverse_transform(values, posts)
    assert "saves" not in restored
    assert {"likes", "likes_rate", "likes_standing"} <= set(restored.columns)
    assert targets.engagement == [name for name in ENGAGEMENT_TARGETS if name != "saves"]


def test_state_survives_json() -> None:
    posts = random_posts(20)
    targets = EmotionEngagement.fit(posts)
    again = EmotionEngagement.from_dict(json.loads(json.dumps(targets.to_dict())))
    np.testing.assert_array_equal(again.transform(posts).values, targets.transform(posts).values)
    columns = pd.DataFrame(targets.transform(posts).values, columns=list(TARGETS))
    pd.testing.assert_frame_equal(
        again.inverse_transform(columns, posts), targets.inverse_transform(columns, posts)
    )


def test_nothing_to_learn_is_an_error() -> None:
    empty = random_posts(3).assign(
        **dict.fromkeys(("valence", "arousal", "likes", "comments", "shares", "saves"), np.nan)
    )
    with pytest.raises(DataError, match="nothing to learn"):
        EmotionEngagement.fit(empty)


def per_view(n: int = 40) -> pd.DataFrame:
    """Posts with five likes per hundred views, which change from post to post."""
    views = np.random.default_rng(0).integers(500, 2000, n)
    posts = random_posts(n).assign(author_id="one", followers=np.nan, reach=np.nan)
    return posts.assign(impressions=np.nan, views=views, likes=views // 20)


def test_likes_per_view_are_of_as_many_views_as_are_expected() -> None:
    posts = per_view()
    task = EmotionEngagement.fit(posts)
    assert task.count_basis == "views"
    usual = pd.DataFrame(np.full((40, len(TARGETS)), 0.5), columns=list(TARGETS))
    bare = task.inverse_transform(usual, posts)
    basis = task.usual_basis(posts)
    assert basis is not None
    assert bare["likes_rate"].to_numpy() == pytest.approx(0.05, rel=0.2)
    assert (bare["likes_rate"] * basis).to_numpy() == pytest.approx(bare["likes"].to_numpy())
    asked = task.inverse_transform(usual, posts.assign(**{EXPECTED_VIEWS: 10_000.0}))
    assert asked["likes"].to_numpy() == pytest.approx(10_000 * bare["likes_rate"].to_numpy())
    assert asked["likes_rate"].tolist() == bare["likes_rate"].tolist()


def test_the_views_that_a_post_really_got_predict_none_of_its_likes() -> None:
    posts = per_view()
    usual = pd.DataFrame(np.full((1, len(TARGETS)), 0.5), columns=list(TARGETS))
    last = attach_history(posts).iloc[[-1]].reset_index(drop=True)
    for task in (EmotionEngagement.fit(posts), EngagementRates.fit(posts)):
        before, after = (
            task.inverse_transform(usual, last.assign(views=views)) for views in (10.0, 10**6)
        )
        pd.testing.assert_frame_equal(before, after)


def test_views_stand_for_nothing_where_followers_are_the_measure() -> None:
    posts = random_posts(40)
    task = EmotionEngagement.fit(posts)
    usual = pd.DataFrame(np.full((40, len(TARGETS)), 0.5), columns=list(TARGETS))
    assert task.usual_basis(posts) is None
    pd.testing.assert_frame_equal(
        task.inverse_transform(usual, posts.assign(**{EXPECTED_VIEWS: 10.0})),
        task.inverse_transform(usual, posts),
    )

"""Accounts with planted growth, breaks and seasons: levels, deviations and intervals find them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from evoked.evaluation.conformal import Intervals, Predicted
from evoked.posts.author_history import attach_history
from evoked.targets import TARGETS, EmotionEngagement
from evoked.testing.examples import random_posts

DAYS = np.arange(0, 1095, 2)  # a post every other day for three years
NOISE = 0.3
TRAINING, VALIDATION, CALIBRATION = 300, 350, 420
LIKES = TARGETS.index("likes")

# log(1 + likes) that the account's posts usually get, by day.
ACCOUNTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "grows tenfold": lambda days: np.log(200) + np.log(10) * days / 1095,
    "breaks": lambda days: np.log(300) + np.log(5) * (days > 650),
    "has seasons": lambda days: np.log(300) + 0.5 * np.sin(2 * np.pi * days / 365),
    "stays as it is": lambda days: np.full(len(days), np.log(300.0)),
}


def planted(level: np.ndarray, effect: float = 0.0) -> tuple[pd.DataFrame, np.ndarray]:
    """One author's posts with their history, and which of them have what raises likes by effect."""
    random = np.random.default_rng(7)
    special = random.random(len(DAYS)) < 0.5
    logs = level + NOISE * random.normal(size=len(DAYS)) + effect * special
    posts = random_posts(len(DAYS)).assign(
        author_id="one",
        posted_at=pd.Timestamp("2023-01-01", tz="UTC") + pd.to_timedelta(DAYS, unit="D"),
        followers=np.nan,
        likes=np.round(np.expm1(logs)),
    )
    return attach_history(posts), special


def usual(posts: pd.DataFrame) -> Predicted:
    """The prediction that each post does as the author's usually do."""
    columns = np.tile([0.0, 4.0, 0.5, 0.5, 0.5, 0.5], (len(posts), 1))
    return Predicted(posts, pd.DataFrame(columns, columns=list(TARGETS)))


def part(posts: pd.DataFrame, start: int, stop: int | None) -> pd.DataFrame:
    return posts.iloc[start:stop].reset_index(drop=True)


@pytest.mark.parametrize("account", ACCOUNTS)
def test_levels_follow_the_account(account: str) -> None:
    truth = ACCOUNTS[account](DAYS)
    posts, _ = planted(truth)
    task = EmotionEngagement.fit(part(posts, 0, TRAINING))
    later = part(posts, CALIBRATION, None)
    likes = task.inverse_transform(usual(later).columns, later)["likes"]
    missed = np.log1p(likes) - truth[CALIBRATION:]
    # The median of ten posts is off by 0.12 (1.25 · 0.3 / √10) and lags five posts behind.
    assert np.abs(missed).mean() < 0.15
    assert abs(missed.mean()) < 0.08


@pytest.mark.parametrize("account", ["grows tenfold", "stays as it is"])
def test_what_the_level_lags_behind_growth_is_in_the_median_of_deviations(account: str) -> None:
    truth = ACCOUNTS[account](DAYS)
    posts, _ = planted(truth)
    task = EmotionEngagement.fit(part(posts, 0, TRAINING))
    later = part(posts, CALIBRATION, None)
    deviations = task.deviations["likes"]
    # The median of ten posts stands where the account was five and a half posts ago.
    lag = 5.5 * (truth[1] - truth[0])
    missed = truth[CALIBRATION:] - deviations.level.of(later)
    assert missed.mean() == pytest.approx(lag, abs=0.03)
    assert deviations.median == pytest.approx(lag, abs=0.04)


@pytest.mark.parametrize("account", ACCOUNTS)
def test_intervals_hold_as_often_as_they_promise(account: str) -> None:
    posts, _ = planted(ACCOUNTS[account](DAYS))
    task = EmotionEngagement.fit(part(posts, 0, TRAINING))
    intervals = Intervals.fit(
        task,
        usual(part(posts, TRAINING, VALIDATION)),
        usual(part(posts, VALIDATION, CALIBRATION)),
    )
    later = part(posts, CALIBRATION, None)
    rows = intervals.coverage(task, usual(later), nominal=[0.8]).set_index("outcome")
    assert 0.7 <= rows.loc["likes", "coverage"] <= 0.93
    table = intervals.table(task, usual(later), 0.8)
    # 80 % of normal noise and of the level's own error lie within about 1.35 · 0.3 on either side.
    width = np.log1p(table["likes_high"]) - np.log1p(table["likes_low"])
    assert width.mean() == pytest.approx(2 * 1.35 * NOISE, abs=0.25)


def test_no_interval_ends_at_the_best_training_post() -> None:
    posts, _ = planted(ACCOUNTS["grows tenfold"](DAYS))
    task = EmotionEngagement.fit(part(posts, 0, TRAINING))
    calibration = usual(part(posts, VALIDATION, CALIBRATION))
    intervals = Intervals.fit(task, usual(part(posts, TRAINING, VALIDATION)), calibration)
    later = part(posts, CALIBRATION, None)
    high = intervals.table(task, usual(later), 0.8)["likes_high"]
    assert (high > posts["likes"].iloc[:TRAINING].max()).mean() > 0.5
    assert high.nunique() > 50


@pytest.mark.parametrize("effect", [0.0, 0.4])
def test_what_moves_a_post_is_seen_through_growth(effect: float) -> None:
    posts, special = planted(ACCOUNTS["grows tenfold"](DAYS), effect)
    task = EmotionEngagement.fit(part(posts, 0, TRAINING))
    values = task.transform(posts).values[:, LIKES]
    restored = task.deviations["likes"].counts(values.astype(float), posts)
    level = task.deviations["likes"].level.of(posts)
    deviations = np.log1p(restored) - level
    found = deviations[special].mean() - deviations[~special].mean()
    assert found == pytest.approx(effect, abs=0.09)

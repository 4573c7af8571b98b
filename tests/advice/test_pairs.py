"""Chances of pairs, held to planted truths and to scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from evoked.advice.pairs import NEXT_POSTS, HeldOut, WinCurve, flattery


def held_out(posts: int, authors: int, worth: float, noise: float = 1.0, seed: int = 0) -> HeldOut:
    """Posts whose true value is ``worth`` times what was predicted, and noise."""
    generator = np.random.default_rng(seed)
    predicted = generator.normal(size=posts)
    true = worth * predicted + noise * generator.normal(size=posts)
    who = generator.integers(0, authors, posts)
    days = np.datetime64("2024-01-01") + np.arange(posts)
    return HeldOut.of(predicted, true, who, days)


def test_pairs_are_of_one_author_and_near_each_other() -> None:
    first, second = held_out(60, 3, 1.0).pairs()
    posts = held_out(60, 3, 1.0)
    assert (posts.authors[first] == posts.authors[second]).all()
    assert (posts.posted_at[first] < posts.posted_at[second]).all()
    for author in range(3):
        own = np.flatnonzero(posts.authors == author)
        expected = {(a, b) for i, a in enumerate(own) for b in own[i + 1 : i + 1 + NEXT_POSTS]}
        found = {(a, b) for a, b in zip(first, second, strict=True) if posts.authors[a] == author}
        assert found == expected


def test_posts_without_a_number_do_not_count() -> None:
    posts = HeldOut.of(
        [1.0, np.nan, 3.0], [1.0, 2.0, np.nan], ["a"] * 3, [np.datetime64("NaT")] * 3
    )
    assert len(posts) == 1
    curve = WinCurve.fit(posts)
    assert (curve.pairs, curve.slope) == (0, 0.0)
    assert not curve.orders
    assert curve.chance(2.0)[0] == 0.5


def test_slope_is_that_of_a_logistic_regression_through_the_origin() -> None:
    """With many posts the prior hardly counts, so that one without it is near."""
    posts = held_out(1500, 1, 1.0)
    first, second = posts.pairs()
    difference = (posts.predicted[first] - posts.predicted[second])[:, None]
    won = posts.true[first] > posts.true[second]
    reference = LogisticRegression(C=1e6, fit_intercept=False).fit(difference, won)
    assert WinCurve.fit(posts).slope == pytest.approx(reference.coef_[0, 0], rel=0.05)


def test_chances_come_true() -> None:
    """Noise of two posts that is normal with variance 2: the chance is known."""
    curve = WinCurve.fit(held_out(2000, 1, 1.0))
    fresh = held_out(2000, 1, 1.0, seed=1)
    first, second = fresh.pairs()
    chance = curve.chance(fresh.predicted[first] - fresh.predicted[second])[0]
    won = fresh.true[first] > fresh.true[second]
    for low in np.arange(0.1, 0.9, 0.2):
        chosen = (chance >= low) & (chance < low + 0.2)
        assert won[chosen].mean() == pytest.approx(chance[chosen].mean(), abs=0.04)


def test_a_run_that_knows_nothing_orders_nothing() -> None:
    """Of twenty such runs, one may seem to by chance; a slope below zero is one half, too."""
    curves = [WinCurve.fit(held_out(80, 1, 0.0, seed=seed)) for seed in range(20)]
    assert sum(curve.orders for curve in curves) <= 2
    backwards = WinCurve.fit(held_out(300, 1, -1.0))
    assert backwards.slope < 0
    assert backwards.chance([3.0])[0] == 0.5


def test_few_posts_leave_the_chance_near_what_the_misses_say_and_wide() -> None:
    few, many = (WinCurve.fit(held_out(posts, 1, 1.0)) for posts in (6, 600))
    assert np.ptp(few.chance(1.0)[1:]) > 2 * np.ptp(many.chance(1.0)[1:])
    # Predictions that miss far are worth less, before any pair is looked at.
    near, far = (WinCurve.fit(held_out(6, 1, 1.0, noise)) for noise in (0.1, 10.0))
    assert near.chance(1.0)[0] > far.chance(1.0)[0]


def test_equal_predictions_are_a_toss_and_the_order_of_drafts_does_not_matter() -> None:
    curve = WinCurve.fit(held_out(300, 12, 1.0))
    assert curve.orders
    assert curve.chance(0.0) == (0.5, 0.5, 0.5)
    ahead, behind = curve.chance(0.7), curve.chance(-0.7)
    assert ahead[0] == pytest.approx(1 - behind[0])
    assert ahead[1] == pytest.approx(1 - behind[2])
    assert curve.chance(0.7)[0] == pytest.approx(expit(0.7 * curve.slope))


def test_the_best_of_several_flatters_where_predictions_are_noise() -> None:
    """Predictions of pure noise: the best of ten is about 1.5 too high. Right ones: not at all."""
    posts = held_out(600, 1, 0.0, 0.1)
    below, above = flattery(posts, 10, 0.8)
    assert below > 0.5
    assert above == 0
    assert flattery(posts, 10, 0.8)[0] > flattery(posts, 2, 0.8)[0]
    assert flattery(posts, 1, 0.8) == (0.0, 0.0)
    assert flattery(held_out(600, 1, 1.0, 0.1), 10, 0.8)[0] < 0.1
    assert flattery(held_out(19, 1, 0.0), 10, 0.8) == (0.0, 0.0)


def test_the_widened_range_of_the_best_holds_as_often_as_promised() -> None:
    known, fresh = (held_out(1500, 1, 0.0, 0.5, seed=seed) for seed in (0, 1))
    low, high = np.quantile(known.true - known.predicted, [0.1, 0.9])
    below, above = flattery(known, 8, 0.8)
    groups = np.arange(1496).reshape(-1, 8)
    best = groups[np.arange(len(groups)), fresh.predicted[groups].argmax(axis=1)]
    miss = (fresh.true - fresh.predicted)[best]
    plain = np.mean((miss >= low) & (miss <= high))
    widened = np.mean((miss >= low - below) & (miss <= high + above))
    assert plain < 0.72 < widened < 0.92

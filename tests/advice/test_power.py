"""Sizes of tests, held to statsmodels and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestIndPower

from evoked.advice.power import (
    difference_interval,
    posts_needed,
    power_of,
    smallest_difference,
)


@pytest.mark.parametrize(("effect", "posts"), [(0.2, 12), (0.5, 64), (1.0, 9), (3.0, 2)])
def test_power_is_that_of_statsmodels(effect: float, posts: int) -> None:
    reference = TTestIndPower().power(effect, posts, 0.05)
    assert power_of(2 * effect, 2.0, posts) == pytest.approx(reference, abs=1e-8)
    assert power_of(-effect, 1.0, posts) == pytest.approx(reference, abs=1e-8)


@pytest.mark.parametrize("effect", [0.05, 0.3, 0.8, 1.5])
def test_posts_needed_are_those_of_statsmodels(effect: float) -> None:
    reference = TTestIndPower().solve_power(effect, alpha=0.05, power=0.8)
    assert posts_needed(effect, 1.0) == int(np.ceil(reference))
    assert posts_needed(effect, 2.0, 0.9) == int(
        np.ceil(TTestIndPower().solve_power(effect / 2, alpha=0.05, power=0.9))
    )


def test_nobody_tests_what_takes_a_hundred_thousand_posts() -> None:
    assert posts_needed(0.001, 1.0) is None
    assert posts_needed(0.0, 1.0) is None


@pytest.mark.parametrize("posts", [2, 12, 300])
def test_the_smallest_difference_is_that_of_statsmodels(posts: int) -> None:
    reference = TTestIndPower().solve_power(nobs1=posts, alpha=0.05, power=0.8)
    assert smallest_difference(3.0, posts) == pytest.approx(3 * reference, rel=1e-5)


def test_an_interval_is_that_of_a_t_test() -> None:
    first, second = np.array([1.0, 2.5, 3.0, 4.0]), np.array([0.5, 1.0, 2.0])
    reference = stats.ttest_ind(first, second)
    ends = reference.confidence_interval()
    pooled = np.sqrt((first.var() * 4 + second.var() * 3) / 5 * (1 / 4 + 1 / 3))
    found = difference_interval(first.mean() - second.mean(), float(pooled), 5)
    assert found == pytest.approx((ends.low, ends.high, reference.pvalue))
    assert difference_interval(0.0, 0.0, 3) == (0.0, 0.0, 1.0)
    assert difference_interval(1.0, 0.0, 3) == (1.0, 1.0, 0.0)

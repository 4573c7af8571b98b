"""How many posts a test of two arms needs, by the t test of two means (Cohen 1988, chapter 2)."""

from __future__ import annotations

import numpy as np
from scipy.special import nctdtr, stdtr, stdtrit

# A test calls a difference real that chance would show in one of twenty tests, and one that is
# real is to be found in four of five.
SIGNIFICANCE, POWER = 0.05, 0.8
# A test that takes more posts than this is none that anybody would make.
MOST_POSTS = 100_000


def power_of(
    difference: float, spread: float, posts: int, significance: float = SIGNIFICANCE
) -> float:
    """The chance that a test finds a difference.

    Parameters
    ----------
    difference
        Of the means of the two arms.
    spread
        Standard deviation of single posts within an arm, in the same unit.
    posts
        Posts in each arm, two or more.
    significance
        How often a test may find a difference where there is none.
    """
    freedom = 2.0 * posts - 2
    shift = abs(difference) / spread * np.sqrt(posts / 2)
    bound = stdtrit(freedom, 1 - significance / 2)
    # The distribution function is NaN where it is next to nothing.
    above = np.nan_to_num(nctdtr(freedom, shift, bound))
    below = np.nan_to_num(nctdtr(freedom, shift, -bound))
    return float(1 - above + below)


def posts_needed(difference: float, spread: float, power: float = POWER) -> int | None:
    """Posts in each arm from which a test finds a difference with a given chance; None if that
    takes more than 100,000.

    Parameters
    ----------
    difference, spread
        As in :func:`power_of`.
    power
        The chance, between 0 and 1.
    """
    if difference == 0 or power_of(difference, spread, MOST_POSTS) < power:
        return None
    too_few, enough = 1, MOST_POSTS
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if power_of(difference, spread, middle) >= power:
            enough = middle
        else:
            too_few = middle
    return enough


def smallest_difference(spread: float, posts: int, power: float = POWER) -> float:
    """The smallest difference that a test of so many posts in each arm, two or more, finds with a
    given chance."""
    low, high = 0.0, spread
    while power_of(high, spread, posts) < power:
        low, high = high, 2 * high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if power_of(middle, spread, posts) >= power else (middle, high)
    return high


def difference_interval(
    difference: float, error: float, freedom: float
) -> tuple[float, float, float]:
    """The ends of a difference's 95 % interval, and how often chance would show as much: p."""
    reach = float(stdtrit(freedom, 1 - SIGNIFICANCE / 2)) * error
    chance = (
        2 * float(stdtr(freedom, -abs(difference) / error)) if error else float(difference == 0)
    )
    return difference - reach, difference + reach, chance

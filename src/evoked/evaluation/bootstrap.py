"""Confidence intervals by resampling posts, or authors with all their posts.

A resample is a list of how often each post stands in it, which the metrics take as ``weights``:
nothing is copied or sorted again, and memory does not grow with the number of resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoked.errors import SettingsError
from evoked.evaluation.metrics import known_posts

if TYPE_CHECKING:
    pass

# Posts times resamples handled at once: 8 MB for each array that a metric makes.
_CHUNK = 1_000_000


class Interval(NamedTuple):
    """A score with its confidence interval.

    Attributes
    ----------
    estimate
        The score of all posts.
    low, high
        Ends of the interval; NaN where the score is undefined.
    n
        Number of posts that the score was computed on.
    """

    estimate: float
    low: float
    high: float
    n: int


def bootstrap_interval(
    metric: Callable[..., Any],
    *arrays: ArrayLike,
    groups: ArrayLike | None = None,
    n: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval of a metric (Efron 1979).

    For rankings by chance (AP, NDCG) it lies somewhat too high, as posts that are drawn twice are
    ranked together: simulated, 150 posts in 8 queries, it held 87 % of the time for 95 %.

    Parameters
    ----------
    metric
        A function of ``*arrays`` and ``weights`` as in :mod:`evoked.evaluation.metrics`.
    arrays
        Arguments of the metric, each (posts,) or (posts, …); posts with an unknown number in any of
        them are left out.
    groups
        Author of each post, (posts,): authors are resampled with all their posts, as is right
        where one author's posts resemble each other. A post whose author is unknown stands alone.
        By default posts are resampled.
    n
        Number of resamples.
    level
        Coverage, between 0 and 1.
    seed
        Seed of the resampling.

    Raises
    ------
    SettingsError
        ``level`` is not between 0 and 1, or ``n`` is below 1.

    Examples
    --------
    >>> from evoked.evaluation.metrics import mean_absolute_error
    >>> bootstrap_interval(mean_absolute_error, [1.0, 2.0, 3.0], [2.0, 3.0, 4.0])
    Interval(estimate=1.0, low=1.0, high=1.0, n=3)
    """
    if n < 1:
        raise SettingsError(f"a bootstrap needs at least one resample, not {n}.")
    values = [np.asarray(array) for array in arrays]
    known = known_posts(*(value for value in values if value.dtype.kind in "biuf"))
    chosen = [value[known] for value in values]
    size = int(known.sum())
    authors = None if groups is None else np.asarray(groups, dtype=object)[known]
    estimate = float(metric(*chosen))
    draws = bootstrap_draws(
        lambda weights: np.asarray(metric(*chosen, weights=weights)), size, authors, n, seed
    )
    low, high = interval_bounds(draws, level)
    return Interval(estimate, float(low), float(high), size)


def bootstrap_draws(
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    size: int,
    groups: ArrayLike | None = None,
    n: int = 1000,
    seed: int = 0,
) -> NDArray[np.float64]:
    """The statistic of ``n`` resamples of ``size`` posts, (n, …).

    Parameters
    ----------
    statistic
        Takes how often each post counts, (draws, size), and gives (draws, …).
    size
        Number of posts.
    groups, n, seed
        As in :func:`bootstrap_interval`.
    """
    parts = [statistic(weights) for weights in _resamples(size, groups, n, seed)]
    return np.concatenate(parts)


def interval_bounds(
    draws: NDArray[np.float64], level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentiles over the first axis that enclose ``level`` of the draws.

    Draws in which the score is undefined are left out; the ends are NaN where it always is.

    Raises
    ------
    SettingsError
        ``level`` is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise SettingsError(f"the level of an interval lies between 0 and 1, not at {level}.")
    undefined = np.isnan(draws).all(axis=0)
    # A stand-in for scores that are undefined everywhere, about which numpy would warn.
    filled = np.where(undefined, 0.0, draws)
    low, high = np.nanquantile(filled, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return np.where(undefined, np.nan, low), np.where(undefined, np.nan, high)


def _resamples(
    size: int, groups: ArrayLike | None, n: int, seed: int
) -> Iterator[NDArray[np.float64]]:
    """How often each post occurs in each resample, (draws, size) at a time."""
    cluster = np.arange(size) if groups is None else _clusters(groups)
    clusters = int(cluster.max(initial=-1)) + 1
    generator = np.random.default_rng(seed)
    chunk = max(1, _CHUNK // max(1, size))
    for start in range(0, n, chunk):
        draws = min(chunk, n - start)
        picked = generator.integers(0, max(1, clusters), size=(draws, clusters))
        picked += np.arange(draws)[:, None] * clusters
        counts = np.bincount(picked.ravel(), minlength=draws * clusters).astype(np.float64)
        yield counts.reshape(draws, clusters)[:, cluster]


def _clusters(groups: ArrayLike) -> NDArray[np.int64]:
    """Number of each post's cluster; missing values are clusters of one post."""
    import pandas as pd

    codes, known = pd.factorize(pd.Series(groups).reset_index(drop=True))
    alone = codes == -1
    codes[alone] = len(known) + np.arange(alone.sum())
    return codes.astype(np.int64)

"""Correlations of posts, robust against the posts of one author resembling each other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from evoked.evaluation.clusters import clustered_slope
from evoked.posts.emotion_and_rates import correlate

Floats = NDArray[np.float64]


class Correlations(NamedTuple):
    """Correlations of every column of one matrix with every column of another; NaN where undefined.

    Attributes
    ----------
    r
        Pearson's r.
    low, high
        Fisher's interval, with the standard error over authors.
    n
        Posts for which both are known.
    p
        p-value that is robust against the posts of an author resembling each other
        (:func:`evoked.evaluation.clusters.clustered_slope`).
    p_posts
        Student's t as if posts were independent; ``p`` itself where no author has several posts.
    """

    r: Floats
    low: Floats
    high: Floats
    n: NDArray[np.int64]
    p: Floats
    p_posts: Floats


FEWEST_AUTHORS = 3
"""With fewer authors, posts are taken as independent: nothing can be said of other authors."""


def author_numbers(posts: pd.DataFrame, fewest: int = FEWEST_AUTHORS) -> NDArray[np.int64] | None:
    """Number of each post's author, or None where no author has several posts, or where there are
    fewer than ``fewest`` authors.

    A post whose author is unknown counts as an author of its own.
    """
    if "author_id" not in posts or not posts["author_id"].dropna().duplicated().any():
        return None
    codes, names = pd.factorize(posts["author_id"])
    alone = codes < 0
    codes[alone] = len(names) + np.arange(alone.sum())
    return codes.astype(np.int64) if len(names) + alone.sum() >= fewest else None


def correlate_posts(
    x: Floats, y: Floats, authors: NDArray[np.int64] | None, level: float = 0.95
) -> Correlations:
    """Correlate two matrices over the posts for which both are known.

    Parameters
    ----------
    x, y
        (n, k) and (n, m), NaN where unknown.
    authors
        From :func:`author_numbers`.
    level
        Confidence level of the intervals.
    """
    r, n = correlate(x, y)
    p_posts = _p_of(r, n)
    p, freedom, inflation = p_posts, np.full(r.shape, np.inf), np.ones(r.shape)
    if authors is not None:
        p, freedom, inflation = _author_tests(x, y, authors)
    low, high = _fisher_interval(r, n, inflation, freedom, level)
    return Correlations(r, low, high, n, p, p_posts)


def _fisher_interval(
    r: Floats, n: NDArray[np.int64], inflation: Floats, freedom: Floats, level: float
) -> tuple[Floats, Floats]:
    """Interval of Pearson's r, whose error is ``inflation`` times that of independent posts."""
    with np.errstate(divide="ignore"):
        z = np.arctanh(r)
    margin = stats.t.ppf((1 + level) / 2, freedom) / np.sqrt(np.where(n > 3, n - 3, np.nan))
    margin *= inflation
    return np.tanh(z - margin), np.tanh(z + margin)


def _p_of(r: Floats, n: NDArray[np.int64]) -> Floats:
    """Two-sided p of Pearson's r by Student's t."""
    freedom = np.where(n > 2, n - 2, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = r * np.sqrt(freedom / (1 - r**2))
    return np.asarray(2 * stats.t.sf(np.abs(t), freedom))


def _author_tests(x: Floats, y: Floats, authors: NDArray[np.int64]) -> tuple[Floats, ...]:
    """For every pair of columns p, degrees of freedom and inflation of the author's test."""
    found = np.full((3, x.shape[1], y.shape[1]), np.nan)
    for i, j in np.ndindex(*found.shape[1:]):
        both = np.isfinite(x[:, i]) & np.isfinite(y[:, j])
        if both.any():
            found[:, i, j] = clustered_slope(x[both, i], y[both, j], authors[both])[:3]
    return found[0], found[1], found[2]

"""A count, such as shares, by classes of posts: means with intervals, and tests of ranks."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from evoked.evaluation.bootstrap import bootstrap_draws, interval_bounds
from evoked.evaluation.clusters import clustered_slope
from evoked.evaluation.corrections import holm

Floats = NDArray[np.float64]

_FEWEST_RESAMPLED = 3
_FEWEST_IN_CLASS = 5


def popularity_by_class(
    counts: ArrayLike,
    classes: ArrayLike,
    names: tuple[str, ...],
    authors: NDArray[np.int64] | None = None,
    *,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Posts of each class, and how popular they are.

    Parameters
    ----------
    counts
        (n,), such as shares; NaN where unknown.
    classes
        (n,): index into ``names``, NaN where unknown.
    names
        Names of the classes.
    authors
        Number of each post's author, (n,), or None where no author has several posts.
    level
        Confidence level of the intervals of the means.
    draws, seed
        Resamples of authors with all their posts, and their random seed.

    Returns
    -------
    DataFrame
        A row for each class, then ``all``: ``class``, ``posts``, ``share`` (of the posts whose
        class is known), ``n`` (those whose count is known, too), ``mean`` with its interval (for
        five posts or more), ``median``, ``p`` (do the ranks of this class differ from the others'?
        For ``all``: do those of any class? Robust against the posts of an author resembling each
        other; Bonferroni over the classes), ``p_holm`` (over the classes) and ``p_posts`` (Mann and
        Whitney's, Kruskal and Wallis's test, as if posts were independent; where no author has
        several posts, ``p`` is the same).
    """
    values, places = np.asarray(counts, np.float64), np.asarray(classes, np.float64)
    member = (places[:, None] == np.arange(len(names))).astype(np.float64)
    used = np.isfinite(values) & (member.sum(axis=1) > 0)
    value, inside = values[used], member[used] > 0
    groups = None if authors is None else authors[used]
    found = _resampled_means(value, inside, groups, level, draws, seed)
    ranks = stats.rankdata(value)
    p_posts = np.array([_two_groups(value[each], value[~each]) for each in inside.T])
    p = p_posts
    if groups is not None:
        p = np.array([_author_test(each, ranks, groups) for each in inside.T])
    # Of two classes, one against the other is one test, not two.
    tested = p[:1] if len(names) == 2 else p
    finite = tested[np.isfinite(tested)]
    usable = [value[each] for each in inside.T if each.sum() > 1]
    varied = len(usable) > 1 and np.ptp(value) > 0
    overall = float(stats.kruskal(*usable).pvalue) if varied else float("nan")
    robust = min(1.0, float(finite.min()) * len(finite)) if len(finite) else float("nan")
    medians = [np.median(value[each]) if each.any() else np.nan for each in inside.T]
    everything = value if len(value) else np.array([np.nan])
    return pd.DataFrame(
        {
            "class": [*names, "all"],
            "posts": np.append(member.sum(axis=0), member.sum()).astype(np.int64),
            "share": np.append(member.sum(axis=0) / max(member.sum(), 1), 1.0),
            "n": np.append(inside.sum(axis=0), len(value)),
            "mean": np.append(found[0], everything.mean()),
            "low": np.append(found[1], np.nan),
            "high": np.append(found[2], np.nan),
            "median": np.append(medians, np.median(everything)),
            "p": np.append(p, overall if groups is None else robust),
            "p_holm": np.append(np.broadcast_to(holm(tested), len(names)), np.nan),
            "p_posts": np.append(p_posts, overall),
        }
    )


def _resampled_means(
    value: Floats,
    inside: NDArray[np.bool_],
    groups: NDArray[np.int64] | None,
    level: float,
    draws: int,
    seed: int,
) -> tuple[Floats, Floats, Floats]:
    """Mean of each class with its interval."""
    if groups is not None and len(np.unique(groups)) < _FEWEST_RESAMPLED:
        groups = None  # with one or two authors, only posts are left to resample

    def means(weights: Floats) -> Floats:
        number = weights @ inside.astype(np.float64)
        total = weights @ (inside * value[:, None])
        return np.where(number > 0, total / np.maximum(number, 1e-12), np.nan)

    observed = means(np.ones((1, len(value))))[0]
    if not len(value) or not draws:
        return observed, np.full(len(observed), np.nan), np.full(len(observed), np.nan)
    low, high = interval_bounds(bootstrap_draws(means, len(value), groups, draws, seed), level)
    few = inside.sum(axis=0) < _FEWEST_IN_CLASS
    return observed, np.where(few, np.nan, low), np.where(few, np.nan, high)


def _two_groups(first: Floats, second: Floats) -> float:
    testable = min(len(first), len(second)) > 1
    return float(stats.mannwhitneyu(first, second).pvalue) if testable else float("nan")


def _author_test(inside: NDArray[np.bool_], ranks: Floats, groups: NDArray[np.int64]) -> float:
    testable = 1 < inside.sum() < len(inside) - 1
    return clustered_slope(inside, ranks, groups).p if testable else float("nan")

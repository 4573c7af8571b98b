"""Emotion and engagement: ABMF's Table 8 and the lifts of its Section 4.3.

What each row means and what it is correlated with is defined in
:mod:`evoked.posts.emotion_and_rates`. Posts without the emotion, the count or the followers that a
figure needs are left out of it.

The paper gives neither intervals nor p-values and corrects for nothing. Here raw and corrected
p-values are both shown. The posts of one author resemble each other, in emotion as in rate, so that
tests of single posts find relations where there are none; wherever some author has several posts,
tests and intervals are of authors, and a separate column has the p-value for independent posts.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.analysis.base import Analysis, PostContext, Tables
from evoked.analysis.correlations import author_numbers, correlate_posts
from evoked.analysis.counts import engagement_counts
from evoked.analysis.excerpts import Excerpt, matrix_excerpt, signed_percent, two_decimals
from evoked.analysis.needs import needs_emotion, needs_engagement
from evoked.evaluation.bootstrap import bootstrap_draws, interval_bounds
from evoked.evaluation.clusters import clustered_slope
from evoked.evaluation.corrections import benjamini_hochberg, holm
from evoked.evaluation.significance import p_value
from evoked.posts.emotion_and_rates import (
    DIMENSIONS,
    METRICS,
    PUBLISHED_CORRELATIONS,
    PUBLISHED_LIFTS,
    emotion_dimensions,
    engagement_rates,
    lift_halves,
    log_rates,
)

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

# With fewer posts a correlation is near -1 or 1 by chance alone.
_FEWEST_POSTS = 10
# Posts × permutations that are computed at once.
_CHUNK = 2_000_000


def emotion_engagement_table(posts: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Correlation of every emotion dimension with every engagement metric (Table 8).

    Parameters
    ----------
    posts
        Posts with the columns of :data:`evoked.posts.schema.POSTS`.
    level
        Confidence level of the intervals: Fisher's z, with the standard error over authors.

    Returns
    -------
    DataFrame
        A row for each of 5 dimensions × 5 metrics: ``dimension``, ``metric``, ``r``, ``low``,
        ``high``, ``n``, ``p`` (robust against the posts of an author resembling each other, see
        :func:`evoked.evaluation.clusters.clustered_slope`),
        ``p_holm`` and ``p_bh`` (that one corrected over the table: Holm; Benjamini and Hochberg),
        ``p_posts`` (Student's t as if posts were independent; where no author has several posts,
        or with fewer than three authors, ``p`` is the same), ``published``. All but ``n`` and the
        last are NaN with fewer than ten posts.
        ``table.pivot(index="dimension", columns="metric", values="r")`` looks like the paper's.
    """
    dimensions = emotion_dimensions(posts["valence"], posts["arousal"])
    rates = log_rates(*engagement_counts(posts), posts["category"])
    found = correlate_posts(dimensions, rates, author_numbers(posts), level)
    r, low, high, p, p_posts = (
        np.where(found.n < _FEWEST_POSTS, np.nan, values)
        for values in (found.r, found.low, found.high, found.p, found.p_posts)
    )
    shape = r.shape
    return pd.DataFrame(
        {
            "dimension": np.repeat(DIMENSIONS, shape[1]),
            "metric": np.tile(METRICS, shape[0]),
            "r": r.ravel(),
            "low": low.ravel(),
            "high": high.ravel(),
            "n": found.n.ravel(),
            "p": p.ravel(),
            "p_holm": holm(p).ravel(),
            "p_bh": benjamini_hochberg(p).ravel(),
            "p_posts": p_posts.ravel(),
            "published": PUBLISHED_CORRELATIONS.ravel(),
        }
    )


def lifts(
    posts: pd.DataFrame, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """How much higher mean rates are in one half of the emotions than in the other (Section 4.3).

    Parameters
    ----------
    posts
        Posts with the columns of :data:`evoked.posts.schema.POSTS`.
    level
        Confidence level of the intervals: percentiles of ``draws`` resamples of authors with all
        their posts (of posts where no author is known).
    draws, seed
        Resamples and permutations, and their random seed; 0 draws leave intervals and p-values
        empty.

    Returns
    -------
    DataFrame
        A row for each lift: ``lift`` (its name), ``value`` (0.786 is 78.6 % more), ``low``,
        ``high``, ``n_above``, ``n_below`` (posts in either half), ``p`` (two-sided test of the
        means of the halves, robust against the posts of an author resembling each other, see
        :func:`evoked.evaluation.clusters.clustered_slope`), ``p_holm``, ``p_posts`` (permutation
        test as if posts were independent; where no author has several posts, or with fewer than
        three authors, ``p`` is the same),
        ``published``. NaN where one half has no posts.
    """
    rates = engagement_rates(*engagement_counts(posts))
    authors = author_numbers(posts)
    rows = []
    for name, (metric, above, below) in lift_halves(posts["valence"], posts["arousal"]).items():
        rate = rates[:, METRICS.index(metric)]
        used = np.isfinite(rate) & (above | below)
        groups = None if authors is None else authors[used]
        rows.append(
            {
                "lift": name,
                **_lift(rate[used], above[used], groups, level, draws, seed),
                "published": PUBLISHED_LIFTS[name],
            }
        )
    table = pd.DataFrame(rows)
    table.insert(list(table.columns).index("p") + 1, "p_holm", holm(table["p"]))
    return table


def _lift(
    rate: Floats,
    above: Booleans,
    authors: NDArray[np.int64] | None,
    level: float,
    draws: int,
    seed: int,
) -> dict[str, float | int]:
    """Ratio of the mean rates of two halves less one, its interval and its p-value."""
    n_above = int(above.sum())
    found: dict[str, float | int] = {
        "value": float("nan"),
        "low": float("nan"),
        "high": float("nan"),
        "n_above": n_above,
        "n_below": len(above) - n_above,
        "p": float("nan"),
        "p_posts": float("nan"),
    }
    if not 0 < n_above < len(above) or not rate[~above].sum() > 0:
        return found

    def ratio(weights: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            upper = weights @ (rate * above) / (weights @ above)
            return np.asarray(upper / (weights @ (rate * ~above) / (weights @ ~above)))

    observed = float(ratio(np.ones((1, len(rate))))[0])
    found["value"] = observed - 1
    if draws:
        resampled = bootstrap_draws(ratio, len(rate), authors, draws, seed)
        low, high = interval_bounds(resampled, level)
        found |= {"low": float(low) - 1, "high": float(high) - 1}
        found["p_posts"] = _permutation_p(rate, above, observed, draws, seed)
        found["p"] = (
            found["p_posts"] if authors is None else clustered_slope(above, rate, authors).p
        )
    return found


def _permutation_p(rate: Floats, above: Booleans, observed: float, draws: int, seed: int) -> float:
    """Share of random halves of the same sizes whose means differ by as large a factor."""
    generator = np.random.default_rng(seed)
    n_above, total = int(above.sum()), rate.sum()
    chunk = max(1, _CHUNK // len(rate))
    extreme = 0
    for start in range(0, draws, chunk):
        halves = np.tile(above, (min(chunk, draws - start), 1))
        upper = generator.permuted(halves, axis=1, out=halves) @ rate
        with np.errstate(divide="ignore"):
            ratios = upper / n_above / ((total - upper) / (len(rate) - n_above))
            distance = np.abs(np.log(ratios))
            extreme += int((distance >= abs(np.log(observed)) - 1e-12).sum())
    return (extreme + 1) / (draws + 1)


def _correlations(context: PostContext) -> pd.DataFrame:
    return emotion_engagement_table(context.rated)


def _correlation_summary(_: PostContext, tables: Tables) -> Iterator[Excerpt]:
    yield matrix_excerpt(
        "Emotion and engagement, r (published); * Holm p < 0.05 (ABMF, Table 8)",
        tables["correlations"],
        "dimension",
        lambda row: (
            f"{two_decimals(row['r'])}{'*' if row['p_holm'] < 0.05 else ''} "
            f"({row['published']:.2f})"
        ),
    )


def _lifts(context: PostContext) -> pd.DataFrame:
    return lifts(context.rated, draws=context.draws, seed=context.seed)


CORRELATION_ANALYSIS = Analysis(
    name="correlations",
    title="Emotion and engagement (ABMF, Table 8)",
    explanation=(
        "r: Pearson's correlation with the log rate, less the category's mean. Valence (Positive) "
        "takes posts above 0, Valence (Negative) −valence of posts below 0, Arousal (High) posts "
        "above 4, Arousal (Low) 4 − arousal of posts below 4, and Valence × Arousal |valence| × "
        "arousal of all posts. p and the intervals (Fisher's) are of each cell alone and allow for "
        "the posts of one author resembling each other (with fewer than three authors posts count "
        "as independent, and nothing is said of others); p_holm, p_bh: p corrected over the table; "
        "p_posts: p as if posts were independent, which finds too much where authors have several."
    ),
    compute=_correlations,
    needs=(needs_emotion, needs_engagement),
    summary=_correlation_summary,
    measured="r",
    unmeasured=f"fewer than {_FEWEST_POSTS} posts with a rate lie in every half of the emotions",
    folded=True,
)

LIFT_ANALYSIS = Analysis(
    name="lifts",
    title="Lifts by emotion (ABMF, Section 4.3)",
    explanation=(
        "value: how much higher the mean rate is in one half than in the other (0.5 is 50 % more). "
        "Intervals resample authors with all their posts. p allows for the posts of one author "
        "resembling each other, p_holm is corrected over the table, and p_posts permutes posts as "
        "if they were independent."
    ),
    compute=_lifts,
    needs=(needs_emotion, needs_engagement),
    columns={
        "lift": str,
        "value": signed_percent,
        "low": signed_percent,
        "high": signed_percent,
        "p_holm": p_value,
        "published": signed_percent,
    },
    measured="value",
    unmeasured="no count is known of posts in both halves of an emotion",
)

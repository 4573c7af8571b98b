"""How emotion and engagement rates go together: the measures behind ABMF's Table 8 and lifts.

The functions here compute engagement rates, their correlations with valence and arousal, and how
much higher mean rates are in one half of the posts than in the other; the paper's figures stand
beside them. Synthetic posts are made to show these figures, and analyses measure them on any
dataset.

Table 8 can't be one matrix of correlations over all posts, since high and low arousal both
correlate positively with every metric. We read it as correlations within halves, on the project's
scales:

=====================  ===========================  ===================
row                    posts                        what is correlated
=====================  ===========================  ===================
Valence (Positive)     valence > 0                  valence
Valence (Negative)     valence < 0                  -valence
Arousal (High)         arousal > 4                  arousal
Arousal (Low)          arousal < 4                  4 - arousal
Valence × Arousal      all                          |valence| × arousal
=====================  ===========================  ===================

The product takes valence without its sign, as the two rows of valence do: with the sign, negative
posts could not both draw 85.8 % more comments (Section 4.3) and correlate by +0.61.

Each is correlated with log((count + 0.5) / followers) minus the mean of the post's category. Rates
are skewed, so that Pearson's r of raw rates depends on a few posts, and categories differ in rate
by a factor of three (Table 2), which has nothing to do with emotion. *Overall* is the same for the
sum of the counts.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evoked.posts.schema import ENGAGEMENT

AROUSAL_MIDPOINT = 4.0
DIMENSIONS = (
    "Valence (Positive)",
    "Valence (Negative)",
    "Arousal (High)",
    "Arousal (Low)",
    "Valence × Arousal",
)
METRICS = (*ENGAGEMENT, "overall")
QUADRANTS = (
    "High Valence, High Arousal",
    "High Valence, Low Arousal",
    "Low Valence, High Arousal",
    "Low Valence, Low Arousal",
    "Neutral",
)

# ABMF, Table 8: rows are DIMENSIONS, columns METRICS.
PUBLISHED_CORRELATIONS = np.array(
    [
        [0.627, 0.372, 0.518, 0.583, 0.562],
        [0.294, 0.691, 0.543, 0.318, 0.473],
        [0.485, 0.724, 0.786, 0.427, 0.632],
        [0.312, 0.205, 0.183, 0.685, 0.348],
        [0.573, 0.612, 0.645, 0.548, 0.597],
    ]
)
# ABMF, Section 4.3: how much higher the mean rate is than in the opposite half.
PUBLISHED_LIFTS = {
    "shares, high over low arousal": 0.786,
    "likes, positive over negative valence": 0.627,
    "comments, negative over positive valence": 0.858,
}
# ABMF, Table 9, hours: rows are QUADRANTS, columns ENGAGEMENT.
PUBLISHED_PEAK_HOURS = np.array(
    [
        [3.8, 5.2, 7.1, 12.6],
        [5.7, 8.3, 14.5, 8.2],
        [2.6, 3.1, 4.2, 18.9],
        [7.9, 15.6, 19.8, 23.4],
        [6.3, 11.8, 16.3, 15.7],
    ]
)

Floats = NDArray[np.float64]


def emotion_dimensions(valence: ArrayLike, arousal: ArrayLike) -> Floats:
    """The rows of Table 8 as one number per post, (n, 5); NaN outside a row's half.

    Parameters
    ----------
    valence, arousal
        (n,), on the scales [-4, 4] and [0, 8]; NaN where unknown.
    """
    v = np.asarray(valence, dtype=np.float64)
    a = np.asarray(arousal, dtype=np.float64)
    return np.column_stack(
        [
            np.where(v > 0, v, np.nan),
            np.where(v < 0, -v, np.nan),
            np.where(a > AROUSAL_MIDPOINT, a, np.nan),
            np.where(a < AROUSAL_MIDPOINT, AROUSAL_MIDPOINT - a, np.nan),
            np.abs(v) * a,
        ]
    )


def engagement_rates(counts: ArrayLike, followers: ArrayLike) -> Floats:
    """Rates per follower with their sum, (n, 5) in the order of :data:`METRICS`.

    Parameters
    ----------
    counts
        (n, 4) in the order of ``ENGAGEMENT``; NaN where unknown. A metric that no post has is
        left out of the sum; a post that lacks one of the others has no sum.
    followers
        (n,); rates are NaN where there are none.
    """
    return _with_sum(counts) / _audience(followers)


def log_rates(counts: ArrayLike, followers: ArrayLike, categories: ArrayLike) -> Floats:
    """log((count + 0.5) / followers) minus the mean of the post's category, (n, 5).

    Parameters
    ----------
    counts, followers
        As for :func:`engagement_rates`.
    categories
        (n,) labels; posts without one (None or NaN) form a category of their own.
    """
    logs = pd.DataFrame(np.log((_with_sum(counts) + 0.5) / _audience(followers)))
    codes, _ = pd.factorize(np.asarray(categories, dtype=object), use_na_sentinel=False)
    return np.asarray(logs - logs.groupby(codes).transform("mean"), dtype=np.float64)


def correlate(dimensions: Floats, rates: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Pearson's r of every dimension (n, p) with every rate (n, q), and the number of posts used.

    Posts where either is NaN are left out, pair by pair. With fewer than three posts, or without
    variation, r is NaN.
    """
    known = np.isfinite(dimensions).T.astype(np.float64), np.isfinite(rates).astype(np.float64)
    x, y = np.nan_to_num(dimensions, posinf=0, neginf=0), np.nan_to_num(rates, posinf=0, neginf=0)
    # Centring first keeps the sums below free of cancellation.
    x = (x - x.sum(0) / np.maximum(known[0].sum(1), 1)) * known[0].T
    y = (y - y.sum(0) / np.maximum(known[1].sum(0), 1)) * known[1]
    n = known[0] @ known[1]
    size = np.maximum(n, 1)
    mean_x, mean_y = x.T @ known[1] / size, known[0] @ y / size
    covariance = x.T @ y / size - mean_x * mean_y
    variance_x = (x**2).T @ known[1] / size - mean_x**2
    variance_y = known[0] @ y**2 / size - mean_y**2
    scale = np.sqrt(np.maximum(variance_x * variance_y, 0))
    defined = (n >= 3) & (scale > 1e-12)
    r = np.where(defined, covariance / np.where(defined, scale, 1), np.nan)
    return np.clip(r, -1, 1), n.astype(np.int64)


def mean_rate_lifts(valence: ArrayLike, arousal: ArrayLike, rates: Floats) -> dict[str, float]:
    """The lifts of Section 4.3: the ratio of the mean rates of two halves, minus one.

    Parameters
    ----------
    valence, arousal
        (n,), as for :func:`emotion_dimensions`.
    rates
        (n, 5) of :func:`engagement_rates`.
    """
    return {
        name: _mean_ratio(rates[:, METRICS.index(metric)], above, below) - 1
        for name, (metric, above, below) in lift_halves(valence, arousal).items()
    }


def lift_halves(
    valence: ArrayLike, arousal: ArrayLike
) -> dict[str, tuple[str, NDArray[np.bool_], NDArray[np.bool_]]]:
    """The metric of each lift, and which posts are in its upper and in its lower half."""
    v = np.asarray(valence, dtype=np.float64)
    a = np.asarray(arousal, dtype=np.float64)
    halves = (
        ("shares", a > AROUSAL_MIDPOINT, a < AROUSAL_MIDPOINT),
        ("likes", v > 0, v < 0),
        ("comments", v < 0, v > 0),
    )
    return dict(zip(PUBLISHED_LIFTS, halves, strict=True))


def emotion_quadrant(valence: ArrayLike, arousal: ArrayLike) -> NDArray[np.int64]:
    """Row of Table 9 for each post, (n,): an index into :data:`QUADRANTS`, -1 if unknown.

    *Neutral* is less than one point of the 9-point scale away from both midpoints.
    """
    v = np.asarray(valence, dtype=np.float64)
    a = np.asarray(arousal, dtype=np.float64) - AROUSAL_MIDPOINT
    quadrant = 2 * (v <= 0) + (a <= 0)
    neutral = (np.abs(v) < 1) & (np.abs(a) < 1)
    known = np.isfinite(v) & np.isfinite(a)
    return np.where(known, np.where(neutral, 4, quadrant), -1).astype(np.int64)


def _audience(followers: ArrayLike) -> Floats:
    audience = np.asarray(followers, dtype=np.float64)[:, None]
    return np.where(audience > 0, audience, np.nan)


def _with_sum(counts: ArrayLike) -> Floats:
    values = np.asarray(counts, dtype=np.float64)
    used = np.isfinite(values).any(axis=0)
    total = values[:, used].sum(axis=1) if used.any() else np.full(len(values), np.nan)
    return np.column_stack([values, total])


def _mean_ratio(rates: Floats, above: NDArray[np.bool_], below: NDArray[np.bool_]) -> float:
    known = np.isfinite(rates)
    if not (above & known).any() or not (below & known).any():
        return float("nan")
    lower = rates[below & known].mean()
    return float(rates[above & known].mean() / lower) if lower > 0 else float("nan")

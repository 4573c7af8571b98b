"""Emotion and engagement: ABMF's Table 8, the lifts of its Section 4.3, and Table 9.

What each row means and what it is correlated with stands in :mod:`evoked.posts.emotion_engagement`.
Posts without the emotion, the count or the followers that a figure needs are left out of it.

The paper gives neither intervals nor p-values and corrects for nothing. Here raw p-values stand
beside corrected ones, and beside both what becomes of them when the posts of one author count as
resembling each other.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from scipy.special import ndtri

from evoked.errors import DataError
from evoked.evaluation.bootstrap import bootstrap_draws, interval_bounds
from evoked.evaluation.corrections import benjamini_hochberg, holm
from evoked.posts.dataset import PostDataset
from evoked.posts.emotion_engagement import (
    DIMENSIONS,
    METRICS,
    PUBLISHED_CORRELATIONS,
    PUBLISHED_LIFTS,
    PUBLISHED_PEAK_HOURS,
    QUADRANTS,
    correlate,
    emotion_dimensions,
    emotion_quadrant,
    engagement_rates,
    lift_halves,
    log_rates,
)
from evoked.posts.schema import ENGAGEMENT

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

# Of new events per hour: the kernel's standard deviation in the logarithm of time.
_SMOOTHING = 0.35
_CANDIDATES = 200
_GRID_DECIMALS = 3
_FEWEST_POINTS = 4
# Posts times permutations handled at once.
_CHUNK = 2_000_000


def emotion_engagement_table(posts: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Correlation of every emotion dimension with every engagement metric (Table 8).

    Parameters
    ----------
    posts
        Posts with the columns of :data:`evoked.posts.schema.POSTS`.
    level
        Of the confidence intervals (Fisher's z).

    Returns
    -------
    DataFrame
        A row for each of 5 dimensions × 5 metrics: ``dimension``, ``metric``, ``r``, ``low``,
        ``high``, ``n``, ``p`` (Student's t, posts independent), ``p_holm`` and ``p_bh`` (corrected
        over the table: Holm; Benjamini and Hochberg), ``p_authors`` (raw, robust against the
        posts of an author resembling each other; NaN without authors), ``published``.
        ``table.pivot(index="dimension", columns="metric", values="r")`` looks like the paper's.
    """
    dimensions = emotion_dimensions(posts["valence"], posts["arousal"])
    rates = log_rates(*_counts(posts), posts["category"])
    r, n = correlate(dimensions, rates)
    low, high = _fisher_interval(r, n, level)
    p = _correlation_p(r, n)
    shape = r.shape
    return pd.DataFrame(
        {
            "dimension": np.repeat(DIMENSIONS, shape[1]),
            "metric": np.tile(METRICS, shape[0]),
            "r": r.ravel(),
            "low": low.ravel(),
            "high": high.ravel(),
            "n": n.ravel(),
            "p": p.ravel(),
            "p_holm": holm(p).ravel(),
            "p_bh": benjamini_hochberg(p).ravel(),
            "p_authors": _author_robust_p(dimensions, rates, r, _authors(posts)).ravel(),
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
        Of the intervals: percentiles of ``draws`` resamples of authors with all their posts (of
        posts where no author is known).
    draws, seed
        Resamples and permutations; 0 leaves intervals and p-values empty.

    Returns
    -------
    DataFrame
        A row for each lift: ``lift`` (its name), ``value`` (0.786 is 78.6 % more), ``low``,
        ``high``, ``n_above``, ``n_below`` (posts in either half), ``p`` (two-sided permutation
        test of the halves), ``p_holm``, ``published``. NaN where one half has no posts.
    """
    rates = engagement_rates(*_counts(posts))
    authors = _authors(posts)
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


def time_to_peak(
    posts: pd.DataFrame,
    activity: pd.DataFrame,
    min_events: int = 30,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Mean hours until engagement peaks, by emotional quadrant and metric (Table 9).

    A post's peak is the maximum of its rate of new events per hour, smoothed by a Gaussian kernel
    in the logarithm of time (standard deviation 0.35).

    Parameters
    ----------
    posts
        With ``post_id``, ``valence`` and ``arousal``.
    activity
        With ``post_id``, ``hours`` and counts so far; see :data:`evoked.posts.schema.ACTIVITY`.
    min_events
        Posts with fewer events of a metric, or fewer than four points in time, are left out of
        that metric and counted.
    level, draws, seed
        Of the percentile bootstrap over posts; 0 draws leave the intervals empty.

    Returns
    -------
    DataFrame
        A row for each of 5 quadrants × 4 metrics: ``quadrant``, ``metric``, ``hours``, ``low``,
        ``high``, ``n``, ``left_out`` and of these ``too_few_points`` (in time, or none at all) and
        ``too_few_events``, ``published``.
    """
    peaks, quadrant, followed = _peaks_and_quadrants(posts, activity, min_events)
    member = (quadrant[:, None] == np.arange(len(QUADRANTS))).astype(np.float64)
    known = np.isfinite(peaks)
    used = (member.T @ known).astype(np.int64)
    short = np.round(member.T @ ~followed).astype(np.int64)[:, None]
    left_out = member.sum(axis=0).astype(np.int64)[:, None] - used
    low, high = np.full((2, *used.shape), np.nan)
    if draws and len(peaks):
        resampled = bootstrap_draws(
            lambda weights: _group_means(weights, member, peaks), len(peaks), n=draws, seed=seed
        )
        low, high = interval_bounds(resampled, level)
    return pd.DataFrame(
        {
            "quadrant": np.repeat(QUADRANTS, len(ENGAGEMENT)),
            "metric": np.tile(ENGAGEMENT, len(QUADRANTS)),
            "hours": _group_means(np.ones((1, len(peaks))), member, peaks)[0].ravel(),
            "low": low.ravel(),
            "high": high.ravel(),
            "n": used.ravel(),
            "left_out": left_out.ravel(),
            "too_few_points": np.broadcast_to(short, used.shape).ravel(),
            "too_few_events": (left_out - short).ravel(),
            "published": PUBLISHED_PEAK_HOURS.ravel(),
        }
    )


def peak_differences(
    posts: pd.DataFrame, activity: pd.DataFrame, min_events: int = 30
) -> pd.DataFrame:
    """Whether posts of different emotional quadrants peak at different times.

    Parameters
    ----------
    posts, activity, min_events
        As in :func:`time_to_peak`.

    Returns
    -------
    DataFrame
        Per metric a row over all quadrants (``first`` is "all", Kruskal and Wallis's test) and one
        for each pair of them (Mann and Whitney's): ``metric``, ``first``, ``second``,
        ``difference`` (of mean hours, first less second), ``n_first``, ``n_second``, ``p``, and
        ``p_holm`` over all pairs (over the metrics for the rows of all quadrants). NaN where a
        quadrant has fewer than two posts.
    """
    peaks, quadrant, _ = _peaks_and_quadrants(posts, activity, min_events)
    rows = []
    for position, metric in enumerate(ENGAGEMENT):
        hours = peaks[:, position]
        known = np.isfinite(hours)
        groups = [hours[known & (quadrant == number)] for number in range(len(QUADRANTS))]
        rows.append(_all_quadrants(metric, groups))
        rows += [
            _two_quadrants(metric, groups, first, second)
            for first, second in combinations(range(len(QUADRANTS)), 2)
        ]
    table = pd.DataFrame(rows)
    overall = (table["first"] == "all").to_numpy()
    p = table["p"].to_numpy(dtype=np.float64)
    corrected = np.full(len(p), np.nan)
    for family in (overall, ~overall):
        corrected[family] = holm(p[family])
    return table.assign(p_holm=corrected)


def planted_recovery(dataset: PostDataset) -> pd.DataFrame:
    """What a synthetic dataset was made to show, and what the analyses find in it.

    Returns
    -------
    DataFrame
        ``analysis`` (correlation, lift, peak hours), ``row``, ``metric``, ``published``,
        ``planted``, ``measured``, ``difference`` (measured less planted).

    Raises
    ------
    DataError
        The dataset carries no record of what was planted.
    """
    planted = dataset.description.get("planted")
    if planted is None:
        raise DataError(
            "nothing is planted in this dataset.",
            file=dataset.folder,
            fix="Make one with 'evoked synth'.",
        )
    posts = dataset.posts
    correlations = emotion_engagement_table(posts)
    peaks = time_to_peak(posts, dataset.table("activity"), draws=0)
    found = lifts(posts, draws=0)
    records = [
        *_records("correlation", planted["correlations"], correlations, "dimension", "r"),
        *_records("peak hours", planted["peak_hours"], peaks, "quadrant", "hours"),
        *(
            {
                "analysis": "lift",
                "row": row.lift,
                "metric": str(row.lift).split(",")[0],
                **planted["lifts"][row.lift],
                "measured": row.value,
            }
            for row in found.itertuples()
        ),
    ]
    table = pd.DataFrame.from_records(records)
    columns = ["analysis", "row", "metric", "published", "planted", "measured"]
    return table[columns].assign(difference=table["measured"] - table["planted"])


def _records(
    analysis: str,
    planted: dict[str, dict[str, dict[str, float]]],
    measured: pd.DataFrame,
    row: str,
    value: str,
) -> list[dict[str, object]]:
    return [
        {
            "analysis": analysis,
            "row": record[row],
            "metric": record["metric"],
            **planted[record[row]][record["metric"]],
            "measured": record[value],
        }
        for record in measured.to_dict("records")
    ]


def _counts(posts: pd.DataFrame) -> tuple[Floats, Floats]:
    counts = posts[list(ENGAGEMENT)].to_numpy(dtype=np.float64, na_value=np.nan)
    return counts, posts["followers"].to_numpy(dtype=np.float64, na_value=np.nan)


def _fisher_interval(r: Floats, n: NDArray[np.int64], level: float) -> tuple[Floats, Floats]:
    with np.errstate(divide="ignore"):
        z = np.arctanh(r)
    margin = float(ndtri((1 + level) / 2)) / np.sqrt(np.where(n > 3, n - 3, np.nan))
    return np.tanh(z - margin), np.tanh(z + margin)


def _correlation_p(r: Floats, n: NDArray[np.int64]) -> Floats:
    """Two-sided p of Pearson's r by Student's t."""
    freedom = np.where(n > 2, n - 2, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = r * np.sqrt(freedom / (1 - r**2))
    return np.asarray(2 * stats.t.sf(np.abs(t), freedom))


def _author_robust_p(
    dimensions: Floats, rates: Floats, r: Floats, authors: NDArray[np.int64] | None
) -> Floats:
    """Two-sided p of every correlation from the variance of its influence, summed by author.

    A sandwich estimator: what a post adds to r is x y - r (x² + y²) / 2 in standard scores.
    """
    p = np.full(r.shape, np.nan)
    if authors is None:
        return p
    for i, j in np.argwhere(np.isfinite(r)):
        both = np.isfinite(dimensions[:, i]) & np.isfinite(rates[:, j])
        x, y = stats.zscore(dimensions[both, i]), stats.zscore(rates[both, j])
        influence = x * y - r[i, j] * (x**2 + y**2) / 2
        _, group = np.unique(authors[both], return_inverse=True)
        sums = np.bincount(group, influence)
        number = len(sums)
        if number < 3:
            continue
        error = np.sqrt((sums**2).sum() * number / (number - 1)) / len(x)
        p[i, j] = 2 * stats.t.sf(abs(r[i, j]) / error, number - 1) if error > 0 else np.nan
    return p


def _authors(posts: pd.DataFrame) -> NDArray[np.int64] | None:
    """Number of each post's author; posts by nobody known are each an author of their own."""
    if "author_id" not in posts or posts["author_id"].isna().all():
        return None
    codes, names = pd.factorize(posts["author_id"])
    alone = codes < 0
    codes[alone] = len(names) + np.arange(alone.sum())
    return codes.astype(np.int64)


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
        found["p"] = _permutation_p(rate, above, observed, draws, seed)
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


def _peaks_and_quadrants(
    posts: pd.DataFrame, activity: pd.DataFrame, min_events: int
) -> tuple[Floats, NDArray[np.int64], Booleans]:
    """Peak hours (n, 4), quadrant (n,) and whether the activity was followed at enough points (n,)
    of the posts whose emotion is known."""
    quadrant = pd.Series(
        emotion_quadrant(posts["valence"], posts["arousal"]), index=posts["post_id"]
    )
    quadrant = quadrant[quadrant >= 0]
    peaks, followed = _peak_hours(activity, min_events)
    return (
        peaks.reindex(quadrant.index).to_numpy(dtype=np.float64),
        quadrant.to_numpy(),
        quadrant.index.isin(followed),
    )


def _group_means(weights: Floats, member: Floats, values: Floats) -> Floats:
    """Weighted means of the known values in every group: (draws, n) to (draws, groups, columns)."""
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    parts = []
    for column in range(values.shape[1]):
        number = weights @ (member * known[:, column, None])
        total = weights @ (member * filled[:, column, None])
        parts.append(np.where(number > 0, total / np.maximum(number, 1e-12), np.nan))
    return np.stack(parts, axis=-1)


def _all_quadrants(metric: str, groups: list[Floats]) -> dict[str, Any]:
    usable = [group for group in groups if len(group) > 1]
    pooled = np.concatenate(groups)
    told = len(usable) > 1 and np.ptp(pooled) > 0
    return {
        **{"metric": metric, "first": "all", "second": "quadrants", "difference": float("nan")},
        **{"n_first": len(pooled), "n_second": 0},
        "p": float(stats.kruskal(*usable).pvalue) if told else float("nan"),
    }


def _two_quadrants(metric: str, groups: list[Floats], first: int, second: int) -> dict[str, Any]:
    a, b = groups[first], groups[second]
    told = min(len(a), len(b)) > 1
    return {
        **{"metric": metric, "first": QUADRANTS[first], "second": QUADRANTS[second]},
        "difference": float(a.mean() - b.mean()) if len(a) and len(b) else float("nan"),
        **{"n_first": len(a), "n_second": len(b)},
        "p": float(stats.mannwhitneyu(a, b).pvalue) if told else float("nan"),
    }


def _peak_hours(activity: pd.DataFrame, min_events: int) -> tuple[pd.DataFrame, pd.Index]:
    """Hour of every post's peak, index ``post_id``, columns ENGAGEMENT, NaN where left out; and the
    ids of the posts that were followed at enough points in time."""
    activity = activity[activity["hours"] > 0].sort_values(["post_id", "hours"], kind="stable")
    identifiers = activity["post_id"].to_numpy(dtype=object)
    if not len(identifiers):
        return pd.DataFrame(columns=list(ENGAGEMENT), dtype=np.float64), pd.Index([])
    starts = np.flatnonzero(np.append(True, identifiers[1:] != identifiers[:-1]))
    lengths = np.diff(np.append(starts, len(identifiers)))
    hours = activity["hours"].to_numpy(dtype=np.float64).round(_GRID_DECIMALS)
    counts = activity[list(ENGAGEMENT)].to_numpy(dtype=np.float64, na_value=np.nan)
    peaks = np.full((len(starts), len(ENGAGEMENT)), np.nan)
    followed = np.zeros(len(starts), dtype=bool)
    # Posts observed at the same hours are worked on together.
    grids: dict[bytes, list[int]] = {}
    for post, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        grids.setdefault(hours[start : start + length].tobytes(), []).append(post)
    for grid, members in grids.items():
        points = np.frombuffer(grid, dtype=np.float64)
        if len(points) < _FEWEST_POINTS or (np.diff(points) <= 0).any():
            continue
        rows = starts[members][:, None] + np.arange(len(points))
        peaks[members] = _peaks_on_grid(points, counts[rows], min_events)
        followed[members] = True
    names = pd.Index(identifiers[starts])
    return pd.DataFrame(peaks, index=names, columns=list(ENGAGEMENT)), names[followed]


def _peaks_on_grid(hours: Floats, counts: Floats, min_events: int) -> Floats:
    """Peaks of posts that share a grid of hours: counts (posts, hours, 4) to (posts, 4).

    Events and hours are both summed under the kernel and then divided, so that an interval counts
    by what was seen in it. As later intervals are longer, this looks a variance of the kernel
    further than its centre; the kernel stands that much earlier.
    """
    # Counts that were corrected downwards make no negative events.
    new = np.maximum(np.diff(counts, axis=1, prepend=0), 0)
    widths = np.diff(hours, prepend=0)
    middle = np.log(np.sqrt(hours * np.append(hours[0] / 4, hours[:-1])))
    at = np.linspace(middle[0], middle[-1], _CANDIDATES)
    kernel = np.exp(-0.5 * ((middle - at[:, None] + _SMOOTHING**2) / _SMOOTHING) ** 2)
    rate = np.einsum("ct,ptm->pcm", kernel, new) / (kernel @ widths)[:, None]
    peak = np.exp(at[rate.argmax(axis=1)])
    enough = np.isfinite(counts).all(axis=1) & (counts[:, -1] >= min_events)
    return np.where(enough, peak, np.nan)

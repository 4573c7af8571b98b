"""Emotion and engagement: ABMF's Table 8, the lifts of its Section 4.3, and Table 9.

What each row means and what it is correlated with stands in :mod:`evoked.posts.emotion_and_rates`.
Posts without the emotion, the count or the followers that a figure needs are left out of it.

The paper gives neither intervals nor p-values and corrects for nothing. Here raw p-values stand
beside corrected ones. The posts of one author resemble each other, in emotion as in rate, so that
tests of single posts find relations where there are none; wherever some author has several posts,
tests and intervals are of authors, and what posts alone would say stands in a column of its own.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from evoked.analysis.correlations import author_numbers, correlate_posts
from evoked.errors import DataError
from evoked.evaluation.bootstrap import bootstrap_draws, interval_bounds
from evoked.evaluation.clusters import clustered_slope
from evoked.evaluation.corrections import benjamini_hochberg, holm
from evoked.posts.dataset import PostDataset
from evoked.posts.emotion_and_rates import (
    DIMENSIONS,
    METRICS,
    PUBLISHED_CORRELATIONS,
    PUBLISHED_LIFTS,
    PUBLISHED_PEAK_HOURS,
    QUADRANTS,
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
# Of fewer posts a correlation is near -1 or 1 by chance alone.
_FEWEST_POSTS = 10
# Posts times permutations handled at once.
_CHUNK = 2_000_000


def emotion_engagement_table(posts: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Correlation of every emotion dimension with every engagement metric (Table 8).

    Parameters
    ----------
    posts
        Posts with the columns of :data:`evoked.posts.schema.POSTS`.
    level
        Of the confidence intervals: Fisher's z, with the error that the authors show.

    Returns
    -------
    DataFrame
        A row for each of 5 dimensions × 5 metrics: ``dimension``, ``metric``, ``r``, ``low``,
        ``high``, ``n``, ``p`` (robust against the posts of an author resembling each other, see
        :func:`evoked.evaluation.clusters.clustered_slope`; NaN with fewer than three authors),
        ``p_holm`` and ``p_bh`` (that one corrected over the table: Holm; Benjamini and Hochberg),
        ``p_posts`` (Student's t as if posts were independent; where no author has several posts,
        ``p`` is the same), ``published``. All but ``n`` and that are NaN with fewer than ten posts.
        ``table.pivot(index="dimension", columns="metric", values="r")`` looks like the paper's.
    """
    dimensions = emotion_dimensions(posts["valence"], posts["arousal"])
    rates = log_rates(*_counts(posts), posts["category"])
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
        Of the intervals: percentiles of ``draws`` resamples of authors with all their posts (of
        posts where no author is known).
    draws, seed
        Resamples and permutations; 0 leaves intervals and p-values empty.

    Returns
    -------
    DataFrame
        A row for each lift: ``lift`` (its name), ``value`` (0.786 is 78.6 % more), ``low``,
        ``high``, ``n_above``, ``n_below`` (posts in either half), ``p`` (two-sided test of the
        means of the halves, robust against the posts of an author resembling each other, see
        :func:`evoked.evaluation.clusters.clustered_slope`), ``p_holm``, ``p_posts`` (permutation
        test as if posts were independent; where no author has several posts, ``p`` is the same),
        ``published``. NaN where one half has no posts.
    """
    rates = engagement_rates(*_counts(posts))
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
    in the logarithm of time (standard deviation 0.35). Where the rate still rises at the last
    observation, the peak is yet to come and the post is left out.

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
        Of the percentile bootstrap over authors with all their posts (over posts where no author is
        known); 0 draws leave the intervals empty.

    Returns
    -------
    DataFrame
        A row for each of 5 quadrants × 4 metrics: ``quadrant``, ``metric``, ``hours``, ``low``,
        ``high``, ``n``, ``left_out`` and of these ``too_few_points`` (in time, or none at all),
        ``too_few_events`` and ``still_rising``, ``published``.
    """
    peaks, quadrant, followed, authors = _peaks_and_quadrants(posts, activity, min_events)
    member = (quadrant[:, None] == np.arange(len(QUADRANTS))).astype(np.float64)
    known = np.isfinite(peaks)
    used = (member.T @ known).astype(np.int64)
    short = np.round(member.T @ ~followed).astype(np.int64)[:, None]
    left_out = member.sum(axis=0).astype(np.int64)[:, None] - used
    rising = (member.T @ np.isposinf(peaks)).astype(np.int64)
    low, high = np.full((2, *used.shape), np.nan)
    if draws and len(peaks):
        resampled = bootstrap_draws(
            lambda weights: _group_means(weights, member, peaks), len(peaks), authors, draws, seed
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
            "too_few_events": (left_out - short - rising).ravel(),
            "still_rising": rising.ravel(),
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
        Per metric a row over all quadrants (``first`` is "all") and one for each pair of them:
        ``metric``, ``first``, ``second``, ``difference`` (of mean hours, first less second),
        ``n_first``, ``n_second``, ``p`` (of ranks, robust against the posts of an author resembling
        each other, see :func:`evoked.evaluation.clusters.clustered_slope`; for all quadrants, each
        against the others, corrected by Bonferroni), ``p_holm`` over all pairs (over the metrics
        for the rows of all quadrants) and ``p_posts`` (Mann and Whitney's, Kruskal and Wallis's
        test, as if posts were independent; where no author has several posts, ``p`` is the same).
        NaN where a quadrant has fewer than two posts.
    """
    peaks, quadrant, _, authors = _peaks_and_quadrants(posts, activity, min_events)
    rows: list[dict[str, Any]] = []
    for position, metric in enumerate(ENGAGEMENT):
        hours = peaks[:, position]
        known = np.isfinite(hours)
        groups = [hours[known & (quadrant == number)] for number in range(len(QUADRANTS))]
        own = [_all_quadrants(metric, groups)]
        own += [
            _two_quadrants(metric, groups, first, second)
            for first, second in combinations(range(len(QUADRANTS)), 2)
        ]
        if authors is None:
            tested = [row["p_posts"] for row in own]
        else:
            tested = _author_rank_tests(hours[known], quadrant[known], authors[known])
        rows += [{**row, "p": value} for row, value in zip(own, tested, strict=True)]
    table = pd.DataFrame(rows)
    overall = (table["first"] == "all").to_numpy()
    p = table["p"].to_numpy(dtype=np.float64)
    corrected = np.full(len(p), np.nan)
    for family in (overall, ~overall):
        corrected[family] = holm(p[family])
    columns = ["metric", "first", "second", "difference", "n_first", "n_second", "p"]
    return table.assign(p_holm=corrected)[[*columns, "p_holm", "p_posts"]]


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


class _Peaks(NamedTuple):
    """Of the posts whose emotion is known: peak hours (n, 4), infinite where yet to come, quadrant
    (n,), whether the activity was followed at enough points (n,), and author (n,) or None."""

    hours: Floats
    quadrant: NDArray[np.int64]
    followed: Booleans
    authors: NDArray[np.int64] | None


def _peaks_and_quadrants(posts: pd.DataFrame, activity: pd.DataFrame, min_events: int) -> _Peaks:
    quadrant = pd.Series(
        emotion_quadrant(posts["valence"], posts["arousal"]), index=posts["post_id"]
    )
    placed = quadrant.to_numpy() >= 0
    quadrant = quadrant[placed]
    peaks, followed = _peak_hours(activity, min_events)
    return _Peaks(
        peaks.reindex(quadrant.index).to_numpy(dtype=np.float64),
        quadrant.to_numpy(),
        quadrant.index.isin(followed),
        author_numbers(posts[placed]),
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
        "p_posts": float(stats.kruskal(*usable).pvalue) if told else float("nan"),
    }


def _two_quadrants(metric: str, groups: list[Floats], first: int, second: int) -> dict[str, Any]:
    a, b = groups[first], groups[second]
    told = min(len(a), len(b)) > 1
    return {
        **{"metric": metric, "first": QUADRANTS[first], "second": QUADRANTS[second]},
        "difference": float(a.mean() - b.mean()) if len(a) and len(b) else float("nan"),
        **{"n_first": len(a), "n_second": len(b)},
        "p_posts": float(stats.mannwhitneyu(a, b).pvalue) if told else float("nan"),
    }


def _author_rank_tests(
    hours: Floats, quadrant: NDArray[np.int64], authors: NDArray[np.int64]
) -> list[float]:
    """p over all quadrants, then of every pair: does the rank depend on the quadrant?"""
    numbers = range(len(QUADRANTS))
    sizes = np.bincount(quadrant, minlength=len(QUADRANTS))

    def test(first: int, others: list[int]) -> float:
        used = np.isin(quadrant, [first, *others])
        if sizes[first] < 2 or sizes[others].sum() < 2:
            return float("nan")
        ranks = stats.rankdata(hours[used])
        return clustered_slope(quadrant[used] == first, ranks, authors[used]).p

    each = np.array([test(first, [n for n in numbers if n != first]) for first in numbers])
    told = each[np.isfinite(each)]
    overall = min(1.0, float(told.min()) * len(told)) if len(told) else float("nan")
    return [overall, *(test(first, [second]) for first, second in combinations(numbers, 2))]


def _peak_hours(activity: pd.DataFrame, min_events: int) -> tuple[pd.DataFrame, pd.Index]:
    """Hour of every post's peak, index ``post_id``, columns ENGAGEMENT, infinite where it is yet to
    come, NaN where nothing can be said; and the ids of the posts that were followed at enough
    points in time."""
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
    top = rate.argmax(axis=1)
    peak = np.where(top == len(at) - 1, np.inf, np.exp(at[top]))
    enough = np.isfinite(counts).all(axis=1) & (counts[:, -1] >= min_events)
    return np.where(enough, peak, np.nan)

"""When engagement peaks, by emotional quadrant: ABMF's Table 9."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from evoked.analysis.base import Analysis, PostContext, Tables
from evoked.analysis.correlations import author_numbers
from evoked.analysis.excerpts import Excerpt, matrix_excerpt
from evoked.analysis.needs import needs_activity, needs_emotion
from evoked.evaluation.bootstrap import bootstrap_draws, interval_bounds
from evoked.evaluation.clusters import clustered_slope
from evoked.evaluation.corrections import holm
from evoked.posts.emotion_and_rates import PUBLISHED_PEAK_HOURS, QUADRANTS, emotion_quadrant
from evoked.posts.schema import ENGAGEMENT

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

# Standard deviation, in the logarithm of time, of the kernel that smooths events per hour.
_SMOOTHING = 0.35
_CANDIDATES = 200
_GRID_DECIMALS = 3
_FEWEST_POINTS = 4


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
    level
        Confidence level of the intervals.
    draws, seed
        Resamples of authors with all their posts (of posts where no author is known), and their
        random seed; 0 draws leave the intervals empty.

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


class _Peaks(NamedTuple):
    """For the n posts whose emotion is known: hours to the peak (n, 4), infinite where it is yet to
    come, quadrant (n,), whether activity was observed at enough points (n,), and author (n,) or
    None."""

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
    testable = len(usable) > 1 and np.ptp(pooled) > 0
    return {
        "metric": metric,
        "first": "all",
        "second": "quadrants",
        "difference": float("nan"),
        "n_first": len(pooled),
        "n_second": 0,
        "p_posts": float(stats.kruskal(*usable).pvalue) if testable else float("nan"),
    }


def _two_quadrants(metric: str, groups: list[Floats], first: int, second: int) -> dict[str, Any]:
    a, b = groups[first], groups[second]
    testable = min(len(a), len(b)) > 1
    return {
        "metric": metric,
        "first": QUADRANTS[first],
        "second": QUADRANTS[second],
        "difference": float(a.mean() - b.mean()) if len(a) and len(b) else float("nan"),
        "n_first": len(a),
        "n_second": len(b),
        "p_posts": float(stats.mannwhitneyu(a, b).pvalue) if testable else float("nan"),
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
    known = each[np.isfinite(each)]
    overall = min(1.0, float(known.min()) * len(known)) if len(known) else float("nan")
    return [overall, *(test(first, [second]) for first, second in combinations(numbers, 2))]


def _peak_hours(activity: pd.DataFrame, min_events: int) -> tuple[pd.DataFrame, pd.Index]:
    """Hour of every post's peak, index ``post_id``, columns ENGAGEMENT, infinite where it is yet to
    come, NaN where it is unknown; and the ids of the posts that were observed at enough points in
    time."""
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
    # Posts that were observed at the same hours are computed together.
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
    further than its centre, so the kernel is placed that much earlier.
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


def _time_to_peak(context: PostContext) -> pd.DataFrame:
    activity = context.dataset.table("activity")
    return time_to_peak(context.posts, activity, draws=context.draws, seed=context.seed)


def _time_to_peak_summary(_: PostContext, tables: Tables) -> Iterator[Excerpt | str]:
    table = tables["time_to_peak"]
    yield matrix_excerpt(
        "Hours to peak (published) (ABMF, Table 9)",
        table,
        "quadrant",
        lambda row: f"{row['hours']:.1f} ({row['published']:.1f})",
    )
    left_out = int(table["left_out"].sum())
    if left_out:
        yield (
            f"{left_out} times a post had too little activity of a metric, or no peak before its "
            "last observation, and was left out there."
        )


def _peak_differences(context: PostContext) -> pd.DataFrame:
    return peak_differences(context.posts, context.dataset.table("activity"))


TIME_TO_PEAK_ANALYSIS = Analysis(
    name="time_to_peak",
    title="Time to peak (ABMF, Table 9)",
    explanation=(
        "A post's peak is the maximum of its smoothed rate of new events. Posts with fewer than 30 "
        "events of a metric (too_few_events), or followed at fewer than 4 points in time "
        "(too_few_points), or whose rate still rises at the last of them (still_rising), are left "
        "out of that mean and counted here. Intervals are 95 % bootstrap intervals over authors."
    ),
    compute=_time_to_peak,
    needs=(needs_activity, needs_emotion),
    summary=_time_to_peak_summary,
    measured="hours",
    unmeasured="no post was followed long enough to show its peak",
)

PEAK_DIFFERENCE_ANALYSIS = Analysis(
    name="peak_differences",
    title="Differences between quadrants",
    explanation=(
        "Do quadrants peak at different times? p: test of ranks that allows for the posts of one "
        "author resembling each other, for all quadrants (each against the others, Bonferroni) and "
        "for pairs; p_holm: corrected over all pairs; p_posts: tests of Kruskal and Wallis, and of "
        "Mann and Whitney, as if posts were independent."
    ),
    compute=_peak_differences,
    needs=(needs_activity, needs_emotion),
    measured="difference",
    unmeasured="no two quadrants have posts whose peak is known",
    folded=True,
)

"""Emotion and engagement: ABMF's Table 8, the lifts of its Section 4.3, and Table 9.

What each row means and what it is correlated with stands in :mod:`evoked.posts.emotion_engagement`.
Posts without the emotion, the count or the followers that a figure needs are left out of it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from evoked.errors import DataError
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
    log_rates,
    mean_rate_lifts,
)
from evoked.posts.schema import ENGAGEMENT

Floats = NDArray[np.float64]

# Of new events per hour: the kernel's standard deviation in the logarithm of time.
_SMOOTHING = 0.35
_CANDIDATES = 200
_GRID_DECIMALS = 3


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
        ``high``, ``n``, ``published``. ``table.pivot(index="dimension", columns="metric",
        values="r")`` looks like the paper's.
    """
    r, n = correlate(
        emotion_dimensions(posts["valence"], posts["arousal"]),
        log_rates(*_counts(posts), posts["category"]),
    )
    low, high = _fisher_interval(r, n, level)
    shape = r.shape
    return pd.DataFrame(
        {
            "dimension": np.repeat(DIMENSIONS, shape[1]),
            "metric": np.tile(METRICS, shape[0]),
            "r": r.ravel(),
            "low": low.ravel(),
            "high": high.ravel(),
            "n": n.ravel(),
            "published": PUBLISHED_CORRELATIONS.ravel(),
        }
    )


def lifts(posts: pd.DataFrame) -> pd.DataFrame:
    """How much higher mean rates are in one half of the emotions than in the other (Section 4.3).

    Returns
    -------
    DataFrame
        A row for each lift: ``lift`` (its name), ``value`` (0.786 is 78.6 % more), ``published``.
        NaN where one half has no posts.
    """
    values = mean_rate_lifts(posts["valence"], posts["arousal"], engagement_rates(*_counts(posts)))
    return pd.DataFrame(
        {
            "lift": list(values),
            "value": list(values.values()),
            "published": list(PUBLISHED_LIFTS.values()),
        }
    )


def time_to_peak(posts: pd.DataFrame, activity: pd.DataFrame, min_events: int = 30) -> pd.DataFrame:
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

    Returns
    -------
    DataFrame
        A row for each of 5 quadrants × 4 metrics: ``quadrant``, ``metric``, ``hours``, ``n``,
        ``left_out``, ``published``.
    """
    quadrant = pd.Series(
        emotion_quadrant(posts["valence"], posts["arousal"]), index=posts["post_id"]
    )
    quadrant = quadrant[quadrant >= 0]
    peaks = _peak_hours(activity, min_events).reindex(quadrant.index)
    grouped = peaks.groupby(quadrant.to_numpy())
    rows = range(len(QUADRANTS))
    mean = grouped.mean().reindex(rows)
    used = grouped.count().reindex(rows, fill_value=0)
    posts_in = grouped.size().reindex(rows, fill_value=0)
    return pd.DataFrame(
        {
            "quadrant": np.repeat(QUADRANTS, len(ENGAGEMENT)),
            "metric": np.tile(ENGAGEMENT, len(QUADRANTS)),
            "hours": mean.to_numpy().ravel(),
            "n": used.to_numpy().ravel(),
            "left_out": (posts_in.to_numpy()[:, None] - used.to_numpy()).ravel(),
            "published": PUBLISHED_PEAK_HOURS.ravel(),
        }
    )


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
    peaks = time_to_peak(posts, dataset.table("activity"))
    found = lifts(posts)
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


def _peak_hours(activity: pd.DataFrame, min_events: int) -> pd.DataFrame:
    """Hour of every post's peak, index ``post_id``, columns ENGAGEMENT; NaN where left out."""
    activity = activity[activity["hours"] > 0].sort_values(["post_id", "hours"], kind="stable")
    identifiers = activity["post_id"].to_numpy(dtype=object)
    if not len(identifiers):
        return pd.DataFrame(columns=list(ENGAGEMENT), dtype=np.float64)
    starts = np.flatnonzero(np.append(True, identifiers[1:] != identifiers[:-1]))
    lengths = np.diff(np.append(starts, len(identifiers)))
    hours = activity["hours"].to_numpy(dtype=np.float64).round(_GRID_DECIMALS)
    counts = activity[list(ENGAGEMENT)].to_numpy(dtype=np.float64, na_value=np.nan)
    peaks = np.full((len(starts), len(ENGAGEMENT)), np.nan)
    # Posts observed at the same hours are worked on together.
    grids: dict[bytes, list[int]] = {}
    for post, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        grids.setdefault(hours[start : start + length].tobytes(), []).append(post)
    for grid, members in grids.items():
        points = np.frombuffer(grid, dtype=np.float64)
        if len(points) < 4 or (np.diff(points) <= 0).any():
            continue
        rows = starts[members][:, None] + np.arange(len(points))
        peaks[members] = _peaks_on_grid(points, counts[rows], min_events)
    return pd.DataFrame(peaks, index=identifiers[starts], columns=list(ENGAGEMENT))


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

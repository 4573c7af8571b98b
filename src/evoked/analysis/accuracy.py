"""How well engagement is predicted: per kind, per half of arousal, per category (Section 4.3)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evoked.evaluation.bootstrap import bootstrap_draws, interval_bounds
from evoked.evaluation.metrics import (
    grouped_average_precision,
    known_posts,
    relevance_threshold,
    relevant,
)
from evoked.evaluation.tables import evaluate_predictions, side_by_side
from evoked.posts.emotion_and_rates import AROUSAL_MIDPOINT, METRICS
from evoked.posts.schema import ENGAGEMENT
from evoked.targets import EMOTION_ENGAGEMENT_OUTCOMES

Floats = NDArray[np.float64]

# ABMF, Section 4.3 and Table 6.
PUBLISHED_MAP = {
    "likes": 0.812,
    "comments": 0.731,
    "shares": 0.785,
    "saves": 0.743,
    "overall": 0.768,
}
PUBLISHED_AROUSAL_GAIN = 0.237

HALVES = ("all", "high arousal", "low arousal")
GAIN = "high over low"

# The axes of Figure 4.
EMOTION_SCORES = ("valence MAE", "arousal MAE", "valence CCC", "arousal CCC")
ENGAGEMENT_SCORES = (
    "likes MAP",
    "comments MAP",
    "shares MAP",
    "saves MAP",
    "overall MAP",
    "overall AUC",
    "overall NDCG@5",
    "overall NDCG@10",
)
FEWEST_POSTS = 20
"""Posts of a category; scores on fewer say little and are left out."""


def map_by_arousal(
    predictions: pd.DataFrame,
    truth: pd.DataFrame,
    categories: ArrayLike | None,
    train_rates: pd.DataFrame,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
    authors: ArrayLike | None = None,
) -> pd.DataFrame:
    """MAP per kind of engagement over all posts and within either half of arousal.

    Parameters
    ----------
    predictions, truth, categories, train_rates
        As in :func:`evoked.evaluation.tables.evaluate_predictions`; ``truth`` also has
        ``arousal``, which is split into halves at 4.
    level
        Confidence level of the intervals.
    draws, seed
        Resamples of the percentile bootstrap, and their random seed.
    authors
        (n,) author of each post, to resample authors with all their posts, as is right where
        training and test posts were split by author; posts are resampled by default.

    Returns
    -------
    DataFrame
        Per metric (their mean is "overall") and half: ``metric``, ``half``, ``value`` (MAP),
        ``low``, ``high``, ``chance`` (share of relevant posts: what a random order scores on
        average), ``n``, ``published``. More of the posts of high arousal belong to the top
        quarter, so that any model's MAP is higher there; that is why chance is given, too. In the
        rows "high over low", ``value`` and ``chance`` are ratios less one. NaN where undefined.
    """
    n = len(truth)
    queries = np.zeros(n) if categories is None else np.asarray(categories, dtype=object)
    rankings = _rankings(predictions, truth, train_rates)

    def statistic(weights: Floats | None) -> Floats:
        """(…, metrics + overall, halves + gain)"""
        values = [
            np.asarray(grouped_average_precision(*ranking, queries, weights).score)
            for ranking in rankings
        ]
        table = np.stack(values, axis=-1).reshape(*values[0].shape, len(ENGAGEMENT), len(HALVES))
        return _with_gain(_with_mean(table))

    values = statistic(None)
    low, high = interval_bounds(bootstrap_draws(statistic, n, authors, draws, seed), level)
    chances = np.array([_chance(*ranking, queries) for ranking in rankings])
    chance = _with_gain(_with_mean(chances.reshape(len(ENGAGEMENT), len(HALVES))))
    counts = _counts(rankings)
    rows = [
        {
            "metric": metric,
            "half": half,
            "value": values[i, j],
            "low": low[i, j],
            "high": high[i, j],
            "chance": chance[i, j],
            "n": int(counts[i, j]),
            "published": _published(metric, half),
        }
        for i, metric in enumerate(METRICS)
        for j, half in enumerate((*HALVES, GAIN))
    ]
    return pd.DataFrame(rows)


def scores_by_category(
    predictions: Mapping[str, pd.DataFrame],
    truth: pd.DataFrame,
    categories: ArrayLike,
    train_rates: pd.DataFrame,
) -> pd.DataFrame:
    """Scores of several models within each category of at least 20 posts (Figures 4 and 5).

    Parameters
    ----------
    predictions
        By name of the model, all on the same n posts.
    truth, train_rates
        As in :func:`evoked.evaluation.tables.evaluate_predictions`.
    categories
        (n,); posts without one are left out.

    Returns
    -------
    DataFrame
        ``model``, ``category``, ``n`` and a column per score ("valence CCC", "overall MAP" …).
    """
    labels = pd.Series(np.asarray(categories, dtype=object))
    counts = labels.value_counts()
    tables = []
    for name in counts[counts >= FEWEST_POSTS].index:
        chosen = (labels == name).to_numpy()
        scores = {
            model: evaluate_predictions(
                EMOTION_ENGAGEMENT_OUTCOMES,
                table[chosen],
                truth[chosen],
                None,
                train_rates,
                draws=0,
            )
            for model, table in predictions.items()
        }
        wide = side_by_side(scores).reset_index()
        wide.insert(1, "category", str(name))
        wide.insert(2, "n", int(chosen.sum()))
        tables.append(wide)
    columns = ["model", "category", "n"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def _rankings(
    predictions: pd.DataFrame, truth: pd.DataFrame, train_rates: pd.DataFrame
) -> list[tuple[Floats, Floats]]:
    """Relevance (NaN outside the half) and score of every post: by metric, then by half."""
    n = len(truth)
    arousal = truth["arousal"].to_numpy(dtype=np.float64, na_value=np.nan)
    members = (np.ones(n, dtype=bool), arousal > AROUSAL_MIDPOINT, arousal < AROUSAL_MIDPOINT)
    rankings = []
    for name in ENGAGEMENT:
        column = f"{name}_rate"
        rates, scores = _column(truth, column, n), _column(predictions, column, n)
        cut = relevance_threshold(_column(train_rates, column, len(train_rates)), 0.25)
        relevance = relevant(rates, cut)
        rankings += [(np.where(half, relevance, np.nan), scores) for half in members]
    return rankings


def _counts(rankings: list[tuple[Floats, Floats]]) -> NDArray[np.int64]:
    """Ranked posts, (metrics + overall, halves + gain)."""
    counts = np.array([int(known_posts(*ranking).sum()) for ranking in rankings])
    counts = counts.reshape(len(ENGAGEMENT), len(HALVES))
    counts = np.vstack([counts, counts.max(axis=0)])
    return np.column_stack([counts, counts[:, 1:].sum(axis=1)])


def _column(table: pd.DataFrame, name: str, n: int) -> Floats:
    if name not in table:
        return np.full(n, np.nan)
    return table[name].to_numpy(dtype=np.float64, na_value=np.nan)


def _chance(relevance: Floats, scores: Floats, queries: NDArray[np.generic]) -> float:
    """Share of relevant posts, averaged over the queries that have one."""
    known = known_posts(relevance, scores)
    shares = pd.Series(relevance[known]).groupby(queries[known], dropna=False).mean()
    return float(shares[shares > 0].mean()) if (shares > 0).any() else float("nan")


def _with_mean(table: Floats) -> Floats:
    """A further row, the mean over the metrics that are defined."""
    known = np.isfinite(table)
    number = known.sum(axis=-2, keepdims=True)
    total = np.where(known, table, 0.0).sum(axis=-2, keepdims=True)
    mean = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    return np.concatenate([table, mean], axis=-2)


def _with_gain(table: Floats) -> Floats:
    """A further column: high over low arousal, less one."""
    high, low = table[..., 1:2], table[..., 2:3]
    gain = np.where(low > 0, high / np.where(low > 0, low, 1) - 1, np.nan)
    return np.concatenate([table, gain], axis=-1)


def _published(metric: str, half: str) -> float:
    if half == "all":
        return PUBLISHED_MAP.get(metric, np.nan)
    return PUBLISHED_AROUSAL_GAIN if (metric, half) == ("overall", GAIN) else np.nan

"""Scores of predictions: emotion, engagement, agreement between modalities (ABMF, Table 5).

Every metric drops the posts whose truth or prediction is unknown (NaN or infinite) and is NaN where
it is undefined: nothing left, no variance, no relevant post. :func:`known_posts` counts what stays.

Every metric also takes ``weights``: how often each post counts, whole numbers of shape (n,) or
(draws, n). The score is exactly that of the list in which post i stands ``weights[i]`` times, for
all draws at once and without sorting them again, which is what makes a bootstrap cheap
(:mod:`evoked.evaluation.bootstrap`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evoked.errors import DataError, SettingsError

Floats = NDArray[np.float64]
# A float, or float64 (draws,) when weights (draws, n) are given.
Score = Any


class GroupedScore(NamedTuple):
    """A ranking metric averaged over queries.

    Attributes
    ----------
    score
        Mean over the queries on which the metric is defined; NaN without any.
    queries
        Number of queries averaged (the posts' own, whatever the weights).
    left_out
        Number of queries without a relevant post (or without any gain), left out of the mean.
    """

    score: Score
    queries: int
    left_out: int


def known_posts(*arrays: ArrayLike) -> NDArray[np.bool_]:
    """Which posts have a finite value in every one of the arrays (n, …); bool (n,).

    Raises
    ------
    DataError
        The arrays differ in length.
    """
    values = [np.asarray(array, dtype=np.float64) for array in arrays]
    lengths = {len(value) for value in values}
    if len(lengths) != 1:
        raise DataError(
            f"truth and prediction have different lengths: {sorted(lengths)}.",
            fix="Give both for the same posts in the same order.",
        )
    known = np.ones(lengths.pop(), dtype=bool)
    for value in values:
        known &= np.isfinite(value).all(axis=tuple(range(1, value.ndim)))
    return known


def mean_absolute_error(
    truth: ArrayLike, prediction: ArrayLike, weights: ArrayLike | None = None
) -> Score:
    """Mean absolute error (MAE), in the unit of the target; [0, inf), 0 is best.

    Parameters
    ----------
    truth, prediction
        Shape (n,).
    weights
        How often each post counts, (n,) or (draws, n); once each by default.
    """
    truth, prediction, counts = known_values(truth, prediction, weights)
    error = ratio(counts @ np.abs(truth - prediction), counts.sum(axis=1))
    return shaped(error, weights)


def concordance_correlation(
    truth: ArrayLike, prediction: ArrayLike, weights: ArrayLike | None = None
) -> Score:
    """Concordance correlation coefficient (CCC) with population variances; [-1, 1], 1 is best.

    A constant prediction scores 0; the score is NaN only when truth and prediction are the same
    constant. Source: Lin 1989; ABMF, Table 5. Parameters as in :func:`mean_absolute_error`.
    """
    truth, prediction, counts = known_values(truth, prediction, weights)
    moments = _moments(truth, prediction, counts)
    distance = moments.gap**2 + moments.truth_variance + moments.prediction_variance
    return shaped(ratio(2 * moments.covariance, distance), weights)


def pearson(truth: ArrayLike, prediction: ArrayLike, weights: ArrayLike | None = None) -> Score:
    """Pearson's r; [-1, 1], NaN when either side is constant.

    Parameters as in :func:`mean_absolute_error`.
    """
    truth, prediction, counts = known_values(truth, prediction, weights)
    return shaped(_correlation(_moments(truth, prediction, counts)), weights)


def spearman(truth: ArrayLike, prediction: ArrayLike, weights: ArrayLike | None = None) -> Score:
    """Spearman's rank correlation, tied values sharing their mean rank; NaN for a constant side.

    Parameters as in :func:`mean_absolute_error`.
    """
    truth, prediction, counts = known_values(truth, prediction, weights)
    ranks = _mean_ranks(truth, counts), _mean_ranks(prediction, counts)
    return shaped(_correlation(_moments(*ranks, counts)), weights)


def r2(truth: ArrayLike, prediction: ArrayLike, weights: ArrayLike | None = None) -> Score:
    """Coefficient of determination R²; (-inf, 1], 0 for the mean, NaN for a constant truth.

    Parameters as in :func:`mean_absolute_error`.
    """
    truth, prediction, counts = known_values(truth, prediction, weights)
    error = ratio(counts @ (truth - prediction) ** 2, counts.sum(axis=1))
    variance = _moments(truth, prediction, counts).truth_variance
    return shaped(1 - ratio(error, variance), weights)


def average_precision(
    relevance: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None
) -> Score:
    """Average precision (AP) of one ranking; [0, 1], NaN without a relevant post.

    Posts of equal score are ranked together, as scikit-learn does: the precision is taken where
    the tie ends.

    Parameters
    ----------
    relevance
        1 for a relevant post, 0 for another, NaN where unknown (see :func:`relevant`); (n,).
    scores
        Higher ranks earlier; (n,).
    weights
        How often each post counts, (n,) or (draws, n); once each by default.
    """
    return grouped_average_precision(relevance, scores, np.zeros(np.shape(scores)), weights).score


def grouped_average_precision(
    relevance: ArrayLike,
    scores: ArrayLike,
    groups: ArrayLike,
    weights: ArrayLike | None = None,
) -> GroupedScore:
    """Mean average precision (MAP): the mean of AP over queries.

    Parameters
    ----------
    relevance, scores, weights
        As in :func:`average_precision`.
    groups
        Query of each post, (n,) of any hashable values: its product category in ABMF. Missing
        values are one query together.
    """
    known = known_posts(relevance, scores)
    relevance, scores, counts = known_values(relevance, scores, weights)
    ranking = _Ranking(scores, _codes(groups)[known])
    relevant_ties = ranking.per_tie(counts * relevance)
    precision = ratio(
        ranking.running(relevant_ties), ranking.running(ranking.per_tie(counts)), otherwise=0.0
    )
    found = ranking.per_query(relevant_ties)
    precisions = ratio(ranking.per_query(relevant_ties * precision), found)
    has_relevant = ranking.per_query(ranking.per_tie(relevance[None]))[0] > 0
    return _grouped(precisions, has_relevant, weights)


def roc_auc(relevance: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> Score:
    """Area under the ROC curve (AUC), a tie counting one half; [0, 1], 0.5 is chance.

    NaN when all posts are relevant or none is. Parameters as in :func:`average_precision`.
    """
    relevance, scores, counts = known_values(relevance, scores, weights)
    positive = counts @ relevance
    negative = counts.sum(axis=1) - positive
    rank_sum = (counts * relevance * _mean_ranks(scores, counts)).sum(axis=1)
    wins = rank_sum - positive * (positive + 1) / 2
    return shaped(ratio(wins, positive * negative), weights)


def ndcg_at_k(
    gains: ArrayLike, scores: ArrayLike, k: int, weights: ArrayLike | None = None
) -> Score:
    """Normalised discounted cumulative gain of the first ``k`` posts of one ranking; [0, 1].

    Gains are linear and discounted by log2(rank + 1). Posts of equal score share the mean of their
    discounts, as in scikit-learn (McSherry and Najork 2008). NaN when no gain is above zero.

    Parameters
    ----------
    gains
        Not negative, (n,): the engagement rates themselves in ABMF.
    scores
        Higher ranks earlier; (n,).
    k
        How many posts count, from 1.
    weights
        How often each post counts, (n,) or (draws, n); once each by default.

    Raises
    ------
    DataError
        A negative gain.
    SettingsError
        ``k`` below 1.
    """
    return grouped_ndcg_at_k(gains, scores, np.zeros(np.shape(scores)), k, weights).score


def grouped_ndcg_at_k(
    gains: ArrayLike,
    scores: ArrayLike,
    groups: ArrayLike,
    k: int,
    weights: ArrayLike | None = None,
) -> GroupedScore:
    """NDCG@k averaged over queries.

    Parameters
    ----------
    gains, scores, k, weights
        As in :func:`ndcg_at_k`.
    groups
        Query of each post, (n,), as in :func:`grouped_average_precision`.

    Raises
    ------
    DataError
        A negative gain.
    SettingsError
        ``k`` below 1.
    """
    if k < 1:
        raise SettingsError(f"NDCG@k needs k of at least 1, not {k}.")
    known = known_posts(gains, scores)
    gains, scores, counts = known_values(gains, scores, weights)
    if (gains < 0).any():
        raise DataError(f"NDCG needs gains that are not negative; one is {gains.min():g}.")
    codes = _codes(groups)[known]
    discounted = _discounted_gain(gains, _Ranking(scores, codes), counts, k)
    ideal_ranking = _Ranking(gains, codes)
    ideal = _discounted_gain(gains, ideal_ranking, counts, k)
    has_gain = ideal_ranking.per_query(ideal_ranking.per_tie(gains[None]))[0] > 0
    return _grouped(ratio(discounted, ideal), has_gain, weights)


def modal_relevance_score(
    image_vectors: ArrayLike, text_vectors: ArrayLike, weights: ArrayLike | None = None
) -> Score:
    """Modal relevance score (MRS): mean cosine of the image and text vectors; [-1, 1].

    Posts with an unknown or all-zero vector are left out.

    Parameters
    ----------
    image_vectors, text_vectors
        Vectors of the same posts in a shared space, both (n, size).
    weights
        How often each post counts, (n,) or (draws, n); once each by default.
    """
    image = np.asarray(image_vectors, dtype=np.float64)
    text = np.asarray(text_vectors, dtype=np.float64)
    if image.shape != text.shape or image.ndim != 2:
        raise DataError(
            f"vectors of one shape (n, size) are needed, not {image.shape} and {text.shape}."
        )
    lengths = np.linalg.norm(image, axis=1) * np.linalg.norm(text, axis=1)
    cosine = ratio((image * text).sum(axis=1), lengths)
    cosine, _, counts = known_values(cosine, cosine, weights)
    return shaped(ratio(counts @ cosine, counts.sum(axis=1)), weights)


def relevance_threshold(train_rates: ArrayLike, share: float = 0.25) -> float:
    """The engagement rate from which a post belongs to the top ``share`` of the training posts.

    It is the lowest training rate that at most ``share`` of the training posts reach, so that a
    crowd of zeros is never relevant; where more than that share the highest rate, that rate. NaN
    when the training rates are empty or all equal.

    Raises
    ------
    SettingsError
        ``share`` is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise SettingsError(f"the share of relevant posts lies between 0 and 1, not at {share}.")
    rates = np.asarray(train_rates, dtype=np.float64)
    values, counts = np.unique(rates[np.isfinite(rates)], return_counts=True)
    if len(values) < 2:
        return float("nan")
    reached_by = np.cumsum(counts[::-1])[::-1] / counts.sum()
    # The tolerance keeps a share such as 0.1 from failing by a rounding error.
    candidates = values[reached_by <= share + 1e-12]
    return float(candidates[0] if len(candidates) else values[-1])


def relevant(rates: ArrayLike, threshold: float) -> Floats:
    """1 where a rate reaches the threshold, 0 where not, NaN where either is unknown; (n,)."""
    rates = np.asarray(rates, dtype=np.float64)
    unknown = ~np.isfinite(rates) | np.isnan(threshold)
    return np.where(unknown, np.nan, rates >= threshold)


class _Moments(NamedTuple):
    """Weighted population moments, each (draws,); gap is mean truth less mean prediction."""

    gap: Floats
    truth_variance: Floats
    prediction_variance: Floats
    covariance: Floats


class _Ranking:
    """Posts sorted by query and falling score, in runs of equal score ("ties")."""

    def __init__(self, scores: Floats, queries: NDArray[np.int64]) -> None:
        self.order = np.lexsort((-scores, queries))
        scores, queries = scores[self.order], queries[self.order]
        new_query = np.diff(queries, prepend=-1) != 0
        new_tie = new_query | (np.diff(scores, prepend=np.inf) != 0)
        self.tie_starts = np.flatnonzero(new_tie)
        # First tie of each query, and the query of each tie.
        self.query_starts = np.flatnonzero(new_query[self.tie_starts])
        self.query_of_tie = np.cumsum(new_query[self.tie_starts]) - 1

    def per_tie(self, values: Floats) -> Floats:
        """Sums over each tie: (draws, n) to (draws, ties)."""
        ordered = np.take(values, self.order, axis=1)
        if len(self.tie_starts) == len(self.order):
            return ordered
        return np.add.reduceat(ordered, self.tie_starts, axis=1)

    def per_query(self, ties: Floats) -> Floats:
        """Sums over each query: (draws, ties) to (draws, queries)."""
        return np.add.reduceat(ties, self.query_starts, axis=1)

    def running(self, ties: Floats) -> Floats:
        """Sums from a query's first tie to each of its ties, both included; (draws, ties)."""
        total = np.cumsum(ties, axis=1)
        if len(self.query_starts) <= 1:
            return total
        before_query = np.take(total - ties, self.query_starts, axis=1)
        return total - np.take(before_query, self.query_of_tie, axis=1)


def _discounted_gain(gains: Floats, ranking: _Ranking, counts: Floats, k: int) -> Floats:
    """DCG@k of every query, (draws, queries)."""
    discount_of_first = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, k + 2)))])
    size = ranking.per_tie(counts)
    last = ranking.running(size)
    to_last, to_first = (
        np.take(discount_of_first, rank.astype(np.int64), mode="clip")
        for rank in (last, last - size)
    )
    mean_discount = ratio(to_last - to_first, size, otherwise=0.0)
    return ranking.per_query(ranking.per_tie(counts * gains) * mean_discount)


def _grouped(
    by_query: Floats, defined: NDArray[np.bool_], weights: ArrayLike | None
) -> GroupedScore:
    known = np.isfinite(by_query)
    mean = ratio(np.where(known, by_query, 0.0).sum(axis=1), known.sum(axis=1))
    return GroupedScore(shaped(mean, weights), int(defined.sum()), int((~defined).sum()))


def known_values(
    truth: ArrayLike, prediction: ArrayLike, weights: ArrayLike | None
) -> tuple[Floats, Floats, Floats]:
    """Known truth and prediction, (m,) each, and how often each post counts, (draws, m)."""
    known = known_posts(truth, prediction)
    truth = np.asarray(truth, dtype=np.float64)[known]
    prediction = np.asarray(prediction, dtype=np.float64)[known]
    if weights is None:
        return truth, prediction, np.ones((1, len(truth)))
    counts = np.atleast_2d(np.asarray(weights, dtype=np.float64))
    return truth, prediction, counts if known.all() else counts[:, known]


def _moments(truth: Floats, prediction: Floats, counts: Floats) -> _Moments:
    """Moments of values (m,), or (draws, m) where they differ between draws."""
    # Centred first: the one-pass formulas below would lose digits on values far from zero.
    truth_centre, prediction_centre = (
        values.mean() if values.size else 0.0 for values in (truth, prediction)
    )
    truth, prediction = truth - truth_centre, prediction - prediction_centre
    size = counts.sum(axis=1)

    def mean(values: Floats) -> Floats:
        total = counts @ values if values.ndim == 1 else (counts * values).sum(axis=1)
        return ratio(total, size)

    def variance(values: Floats, centre: Floats) -> Floats:
        square = mean(values**2)
        spread = square - centre**2
        # What is left of a constant after rounding is no variance.
        return np.where(spread > 1e-12 * square, spread, 0.0)

    truth_mean, prediction_mean = mean(truth), mean(prediction)
    gap = truth_mean - prediction_mean
    return _Moments(
        gap=gap + (truth_centre - prediction_centre),
        truth_variance=variance(truth, truth_mean),
        prediction_variance=variance(prediction, prediction_mean),
        covariance=mean(truth * prediction) - truth_mean * prediction_mean,
    )


def _correlation(moments: _Moments) -> Floats:
    spread = np.sqrt(moments.truth_variance) * np.sqrt(moments.prediction_variance)
    return np.clip(ratio(moments.covariance, spread), -1.0, 1.0)


def _mean_ranks(values: Floats, counts: Floats) -> Floats:
    """Ranks from 1, upward, equal values sharing their mean rank; (draws, m)."""
    ranking = _Ranking(-values, np.zeros(len(values), dtype=np.int64))
    size = ranking.per_tie(counts)
    tie_rank = ranking.running(size) - (size - 1) / 2
    tie_of_post = np.empty(len(values), dtype=np.int64)
    tie_of_post[ranking.order] = np.repeat(
        np.arange(len(ranking.tie_starts)), np.diff(ranking.tie_starts, append=len(values))
    )
    return np.take(tie_rank, tie_of_post, axis=1)


def _codes(groups: ArrayLike) -> NDArray[np.int64]:
    """Whole numbers from 0 for the values, missing ones sharing a number of their own."""
    values = pd.Series(groups).reset_index(drop=True)
    return pd.factorize(values, use_na_sentinel=False)[0].astype(np.int64)


def ratio(numerator: Floats, denominator: Floats, otherwise: float = np.nan) -> Floats:
    """Quotient, ``otherwise`` where the denominator is zero."""
    result = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), otherwise)
    np.divide(numerator, denominator, out=result, where=denominator != 0)
    return result


def shaped(scores: Floats, weights: ArrayLike | None) -> Score:
    return scores if weights is not None and np.ndim(weights) == 2 else float(scores[0])

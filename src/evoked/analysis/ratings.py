"""Annotators' ratings on the project's scales, and one rating per post from many annotators.

Ratings are brought to the project's scales (valence in [-4, 4], arousal in [0, 8]) first, so that
a point is a point of the 9-point scale whatever scale was used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.errors import DataError, SettingsError
from evoked.posts.dataset import PostDataset
from evoked.posts.schema import EMOTIONS, SCALES, convert_scale

Floats = NDArray[np.float64]
Aggregation = Literal["mean", "reliability"]

# An annotator's noise is at least this share of the typical one: with few annotators, one of them
# would otherwise be taken for perfect.
_LEAST_NOISE = 0.2
_ITERATIONS = 500
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Consensus:
    """One rating per post, and the bias and noise that were found for each annotator.

    Attributes
    ----------
    values
        (posts,): NaN where nobody rated.
    bias
        (annotators,): how much higher than the consensus each rates, in points; their mean is 0.
    noise
        (annotators,): standard deviation about the consensus, once the bias is taken out.
    """

    values: Floats
    bias: Floats
    noise: Floats


def rating_matrix(dataset: PostDataset, dimension: str) -> pd.DataFrame:
    """Ratings of one dimension on the project's scale: posts × annotators, NaN where not rated.

    A rating without an annotator is left out; of several by one annotator, the mean counts.
    """
    table = dataset.table("annotations")
    table = table[table["dimension"] == dimension].dropna(subset=["annotator_id", "rating"])
    matrix = table.pivot_table(
        index="post_id", columns="annotator_id", values="rating", aggfunc="mean"
    )
    scale = dataset.description.get("scales", {}).get(dimension, SCALES[dimension])
    values = convert_scale(matrix.to_numpy(dtype=np.float64), tuple(scale), SCALES[dimension])
    return pd.DataFrame(values, matrix.index, matrix.columns)


def rated_dimensions(dataset: PostDataset) -> list[str]:
    """The dimensions that annotators rated."""
    rated = set(dataset.table("annotations")["dimension"].dropna())
    return [name for name in EMOTIONS if name in rated]


def aggregate_ratings(dataset: PostDataset, method: Aggregation = "mean") -> pd.DataFrame:
    """One rating per post and dimension from all annotators.

    Parameters
    ----------
    dataset
        With a table of annotations.
    method
        ``mean``, or ``reliability``: see :func:`reliability_weighted_mean`.

    Returns
    -------
    DataFrame
        A row per post of the dataset, in its order: ``post_id`` and the rated dimensions on the
        project's scales; NaN where nobody rated.

    Raises
    ------
    DataError
        The dataset has no annotations.
    SettingsError
        ``method`` is neither of these.
    """
    if method not in ("mean", "reliability"):
        raise SettingsError(f"ratings are aggregated by mean or reliability, not {method!r}.")
    dimensions = rated_dimensions(dataset)
    if not dimensions:
        raise DataError(
            "no annotations to aggregate.",
            file=dataset.folder,
            fix="Import ratings per annotator, or use the posts' own valence and arousal.",
        )
    identifiers = dataset.posts["post_id"]
    table = pd.DataFrame({"post_id": identifiers})
    for dimension in dimensions:
        matrix = rating_matrix(dataset, dimension)
        values = (
            matrix.mean(axis=1)
            if method == "mean"
            else pd.Series(reliability_weighted_mean(matrix.to_numpy()).values, matrix.index)
        )
        table[dimension] = values.reindex(identifiers).clip(*SCALES[dimension]).to_numpy()
    return table


def reliability_weighted_mean(ratings: Floats) -> Consensus:
    """Weigh annotators by how closely each keeps to the consensus, and take out their biases.

    A rating is the post's value plus the annotator's bias plus noise whose variance is the
    annotator's own. Iterated to convergence (expectation–maximisation, flat prior on the values):

    - value = mean of (rating − bias), weighted by one over the variances;
    - bias = mean of (rating − value), centred on 0 over the annotators;
    - variance = mean of (rating − value − bias)² + the value's own uncertainty, one over the sum of
      the weights; without that term the annotator with most weight would pull the consensus to
      themselves and seem ever more reliable.

    No variance falls below 0.04 of the median one. With two annotators the two variances can't be
    distinguished, and the result is the mean.

    Parameters
    ----------
    ratings
        (posts, annotators), NaN where not rated.
    """
    known = np.isfinite(ratings)
    filled = np.where(known, ratings, 0.0)
    raters = ratings.shape[1]
    bias, variance = np.zeros(raters), np.ones(raters)
    counts = np.maximum(known.sum(axis=0), 1)
    values = np.full(len(ratings), np.nan)
    for _ in range(_ITERATIONS):
        weights = known / variance
        total = weights.sum(axis=1)
        shrunk = np.where(total > 0, total, 1.0)
        values = (weights * (filled - bias)).sum(axis=1) / shrunk
        residual = np.where(known, filled - values[:, None], 0.0)
        updated = residual.sum(axis=0) / counts
        updated -= updated.mean()
        squares = np.where(known, (residual - updated) ** 2 + 1 / shrunk[:, None], 0.0)
        next_variance = squares.sum(axis=0) / counts
        # The common scale is free and stays where the data put it, but no noise may reach zero.
        floor = max(_LEAST_NOISE**2 * float(np.median(next_variance)), 1e-12)
        next_variance = np.maximum(next_variance, floor)
        change = max(np.abs(updated - bias).max(), np.abs(next_variance - variance).max())
        bias, variance = updated, next_variance
        if change < _TOLERANCE:
            break
    return Consensus(np.where(known.any(axis=1), values, np.nan), bias, np.sqrt(variance))

"""Annotations: how far annotators agree, who stands apart, and one rating per post from many.

Ratings are brought to the project's scales (valence in [-4, 4], arousal in [0, 8]) first, so that
a point is a point of the 9-point scale whatever scale was used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.analysis.agreement import alphas_without_each, krippendorff_interval
from evoked.errors import DataError, SettingsError
from evoked.evaluation.metrics import pearson
from evoked.posts.dataset import PostDataset
from evoked.posts.schema import EMOTIONS, SCALES, convert_scale
from evoked.posts.synthetic.population import PUBLISHED_ALPHA

Floats = NDArray[np.float64]
Aggregation = Literal["mean", "reliability"]

# An annotator stands apart from this bias on, in points, if chance hardly gives it,
_LARGE_BIAS = 1.0
_CLEAR_ERRORS = 3.0
# or by agreeing with the others this much less than annotators usually do.
_LOW_AGREEMENT = 0.2
_FEWEST_SHARED = 10
# An annotator's noise is at least this share of the typical one: with few raters, one of them
# would else be taken for perfect.
_LEAST_NOISE = 0.2
_ITERATIONS = 500
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Consensus:
    """One rating per post, and what was learned of each annotator on the way.

    Attributes
    ----------
    values
        (posts,): NaN where nobody rated.
    bias
        (annotators,): how much higher than the consensus each rates, in points; their mean is 0.
    noise
        (annotators,): standard deviation about the consensus, the bias apart.
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


def annotator_agreement(
    dataset: PostDataset, level: float = 0.95, draws: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Krippendorff's alpha per dimension, over all posts and within each category.

    Parameters
    ----------
    dataset
        With a table of annotations.
    level, draws, seed
        Of the percentile bootstrap over posts.

    Returns
    -------
    DataFrame
        ``dimension``, ``category`` ("all" first), ``alpha``, ``low``, ``high``, ``posts`` (rated
        by at least two), ``annotators``, ``published`` (ABMF, Section 3.2; for all posts only).
        Within a category ratings vary less, so alpha is lower there with the same annotators.
    """
    categories = dataset.posts.set_index("post_id")["category"]
    rows = []
    for dimension in rated_dimensions(dataset):
        matrix = rating_matrix(dataset, dimension)
        own = categories.reindex(matrix.index)
        parts = {"all": matrix, **{str(name): part for name, part in matrix.groupby(own)}}
        for name, part in parts.items():
            found = krippendorff_interval(part.to_numpy(), draws, level, seed)
            rows.append(
                {
                    "dimension": dimension,
                    "category": name,
                    **{"alpha": found.estimate, "low": found.low, "high": found.high},
                    "posts": found.n,
                    "annotators": int(part.notna().any().sum()),
                    "published": PUBLISHED_ALPHA.get(dimension) if name == "all" else None,
                }
            )
    columns = ["dimension", "category", "alpha", "low", "high", "posts", "annotators", "published"]
    return pd.DataFrame(rows, columns=columns).astype({"published": float})


def annotator_table(dataset: PostDataset) -> pd.DataFrame:
    """Every annotator beside the others, and who stands apart.

    Returns
    -------
    DataFrame
        Per dimension and annotator: ``posts`` (rated by others as well), ``bias`` (mean of the own
        rating less the others' mean, points) and its ``standard_error``, ``r`` (correlation with
        the others' mean), ``alpha_without`` (agreement of the others alone, NaN below two) and
        ``outlier``: why the annotator stands apart, empty otherwise. That is a bias of at least 1
        point and 3 standard errors, or a correlation more than 0.2 below the median annotator's;
        judged from 10 shared posts on.
    """
    rows = []
    for dimension in rated_dimensions(dataset):
        matrix = rating_matrix(dataset, dimension)
        found = _beside_the_others(matrix.to_numpy())
        usual = float(pd.Series([row["r"] for row in found], dtype=float).median())
        for name, row in zip(matrix.columns, found, strict=True):
            rows.append(
                {"dimension": dimension, "annotator": name, **row, "outlier": _why(row, usual)}
            )
    columns = ["dimension", "annotator", "posts", "bias", "standard_error", "r", "alpha_without"]
    return pd.DataFrame(rows, columns=[*columns, "outlier"])


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
        Another method.
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

    No variance falls below 0.04 of the median one. With two annotators the variances can't be told
    apart and the result is the mean.

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
        # One common scale is free: keep it where the data put it, but no rater at nothing.
        floor = max(_LEAST_NOISE**2 * float(np.median(next_variance)), 1e-12)
        next_variance = np.maximum(next_variance, floor)
        change = max(np.abs(updated - bias).max(), np.abs(next_variance - variance).max())
        bias, variance = updated, next_variance
        if change < _TOLERANCE:
            break
    return Consensus(np.where(known.any(axis=1), values, np.nan), bias, np.sqrt(variance))


def _beside_the_others(ratings: Floats) -> list[dict[str, float]]:
    """Each annotator of (posts, annotators) beside the mean of the others."""
    known = np.isfinite(ratings)
    filled = np.where(known, ratings, 0.0)
    number = known.sum(axis=1, keepdims=True) - known
    rest = (filled.sum(axis=1, keepdims=True) - filled) / np.where(number > 0, number, np.nan)
    return [
        _beside(own, others) | {"alpha_without": float(alpha)}
        for own, others, alpha in zip(ratings.T, rest.T, alphas_without_each(ratings), strict=True)
    ]


def _beside(own: Floats, others: Floats) -> dict[str, float]:
    difference = pd.Series(own - others).dropna()
    n = len(difference)
    return {
        "posts": n,
        "bias": float(difference.mean()) if n else float("nan"),
        "standard_error": float(difference.std() / np.sqrt(n)) if n > 1 else float("nan"),
        "r": float(pearson(own, others)) if n > 2 else float("nan"),
    }


def _why(row: dict[str, float], usual: float) -> str:
    if row["posts"] < _FEWEST_SHARED:
        return ""
    reasons = []
    if abs(row["bias"]) >= max(_LARGE_BIAS, _CLEAR_ERRORS * row["standard_error"]):
        side = "higher" if row["bias"] > 0 else "lower"
        reasons.append(f"rates {abs(row['bias']):.1f} points {side} than the others")
    if row["r"] < usual - _LOW_AGREEMENT:
        reasons.append(f"agrees little with the others (r = {row['r']:.2f}, median {usual:.2f})")
    return "; ".join(reasons)

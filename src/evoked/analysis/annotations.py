"""How far annotators agree, and which of them differ from the others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.analysis.agreement import alphas_without_each, krippendorff_interval
from evoked.analysis.base import Analysis, PostContext, Tables
from evoked.analysis.excerpts import Excerpt, excerpt, two_decimals, whole
from evoked.analysis.ratings import rated_dimensions, rating_matrix
from evoked.evaluation.metrics import pearson
from evoked.files import records
from evoked.posts.dataset import PostDataset
from evoked.posts.synthetic.population import PUBLISHED_ALPHA

Floats = NDArray[np.float64]

# An annotator is an outlier from this bias on, in points, if it is hardly due to chance,
_LARGE_BIAS = 1.0
_CLEAR_ERRORS = 3.0
# or by agreeing with the others this much less than annotators usually do.
_LOW_AGREEMENT = 0.2
_FEWEST_SHARED = 10


def annotator_agreement(
    dataset: PostDataset, level: float = 0.95, draws: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Krippendorff's alpha per dimension, over all posts and within each category.

    Parameters
    ----------
    dataset
        With a table of annotations.
    level
        Confidence level of the intervals.
    draws, seed
        Resamples of posts for the percentile bootstrap, and their random seed.

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
                    "alpha": found.estimate,
                    "low": found.low,
                    "high": found.high,
                    "posts": found.n,
                    "annotators": int(part.notna().any().sum()),
                    "published": PUBLISHED_ALPHA.get(dimension) if name == "all" else None,
                }
            )
    columns = ["dimension", "category", "alpha", "low", "high", "posts", "annotators", "published"]
    return pd.DataFrame(rows, columns=columns).astype({"published": float})


def annotator_table(dataset: PostDataset) -> pd.DataFrame:
    """Every annotator compared with the others, and which of them are outliers.

    Returns
    -------
    DataFrame
        Per dimension and annotator: ``posts`` (rated by others as well), ``bias`` (mean of the
        annotator's rating less the others' mean, in points) and its ``standard_error``, ``r``
        (correlation with the others' mean), ``alpha_without`` (agreement of the others alone, NaN
        below two) and ``outlier``: why the annotator is one, otherwise empty. Outliers have a bias
        of at least 1 point and 3 standard errors, or a correlation more than 0.2 below the median
        annotator's, and at least 10 posts that others rated, too.
    """
    rows = []
    for dimension in rated_dimensions(dataset):
        matrix = rating_matrix(dataset, dimension)
        found = _compared_with_others(matrix.to_numpy())
        usual = float(pd.Series([row["r"] for row in found], dtype=float).median())
        for name, row in zip(matrix.columns, found, strict=True):
            rows.append(
                {"dimension": dimension, "annotator": name, **row, "outlier": _outlier(row, usual)}
            )
    columns = ["dimension", "annotator", "posts", "bias", "standard_error", "r", "alpha_without"]
    return pd.DataFrame(rows, columns=[*columns, "outlier"])


def _compared_with_others(ratings: Floats) -> list[dict[str, float]]:
    """Each annotator of (posts, annotators) compared with the mean of the others."""
    known = np.isfinite(ratings)
    filled = np.where(known, ratings, 0.0)
    number = known.sum(axis=1, keepdims=True) - known
    rest = (filled.sum(axis=1, keepdims=True) - filled) / np.where(number > 0, number, np.nan)
    return [
        _compared(own, others) | {"alpha_without": float(alpha)}
        for own, others, alpha in zip(ratings.T, rest.T, alphas_without_each(ratings), strict=True)
    ]


def _compared(own: Floats, others: Floats) -> dict[str, float]:
    difference = pd.Series(own - others).dropna()
    n = len(difference)
    return {
        "posts": n,
        "bias": float(difference.mean()) if n else float("nan"),
        "standard_error": float(difference.std() / np.sqrt(n)) if n > 1 else float("nan"),
        "r": float(pearson(own, others)) if n > 2 else float("nan"),
    }


def _outlier(row: dict[str, float], usual: float) -> str:
    if row["posts"] < _FEWEST_SHARED:
        return ""
    reasons = []
    if abs(row["bias"]) >= max(_LARGE_BIAS, _CLEAR_ERRORS * row["standard_error"]):
        side = "higher" if row["bias"] > 0 else "lower"
        reasons.append(f"rates {abs(row['bias']):.1f} points {side} than the others")
    if row["r"] < usual - _LOW_AGREEMENT:
        reasons.append(f"agrees little with the others (r = {row['r']:.2f}, median {usual:.2f})")
    return "; ".join(reasons)


def _needs_annotations(context: PostContext) -> str:
    if len(context.dataset.table("annotations")):
        return ""
    return "the dataset has no ratings by single annotators"


def _agreement(context: PostContext) -> pd.DataFrame:
    return annotator_agreement(context.dataset, draws=context.draws, seed=context.seed)


def _agreement_summary(_: PostContext, tables: Tables) -> Iterator[Excerpt]:
    table = tables["agreement"]
    yield excerpt(
        "Agreement of annotators (95 %)",
        table[table["category"] == "all"],
        {
            "dimension": str,
            "alpha": two_decimals,
            "low": two_decimals,
            "high": two_decimals,
            "posts": whole,
            "published": two_decimals,
        },
    )


def _annotators(context: PostContext) -> pd.DataFrame:
    return annotator_table(context.dataset)


def _outliers(_: PostContext, tables: Tables) -> Iterator[str]:
    for row in records(tables["annotators"]):
        if row["outlier"]:
            yield f"{row['annotator']} ({row['dimension']}): {row['outlier']}"


AGREEMENT_ANALYSIS = Analysis(
    name="agreement",
    title="Agreement of annotators",
    explanation=(
        "alpha: Krippendorff's, at the interval level; low, high: its 95 % bootstrap interval over "
        "posts. Within a category ratings vary less, which lowers alpha even where annotators "
        "agree as well."
    ),
    compute=_agreement,
    needs=(_needs_annotations,),
    summary=_agreement_summary,
)

ANNOTATOR_ANALYSIS = Analysis(
    name="annotators",
    title="Annotators",
    explanation=(
        "bias: the annotator's ratings less the others' mean, in points; r: correlation with the "
        "others' mean; alpha_without: alpha of the others alone; outlier: why the annotator is "
        "one, that is, has a bias of at least 1 point and 3 standard errors, or an r more than 0.2 "
        "below the median annotator's."
    ),
    compute=_annotators,
    needs=(_needs_annotations,),
    summary=_outliers,
)

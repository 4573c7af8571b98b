"""Agreement between annotators: Krippendorff's alpha.

Krippendorff, *Computing Krippendorff's Alpha-Reliability* (2011). One less the observed over the
expected disagreement: 1 is perfect agreement, 0 what chance would give.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoked.errors import SettingsError

Level = Literal["nominal", "ordinal", "interval"]


def krippendorff_alpha(ratings: ArrayLike, level: Level = "interval") -> float:
    """Krippendorff's alpha.

    Parameters
    ----------
    ratings
        (units, raters); NaN where a rater did not rate. Units with fewer than two ratings say
        nothing of agreement and are left out.
    level
        ``nominal`` (categories as numbers), ``ordinal`` (only the order counts) or ``interval``
        (squared differences).

    Returns
    -------
    float
        At most 1; NaN without a pair of ratings, or when all ratings are equal.

    Raises
    ------
    SettingsError
        Another level.

    Examples
    --------
    >>> round(krippendorff_alpha([[1, 1], [2, 2], [3, 4]]), 3)
    0.878
    """
    values = np.asarray(ratings, dtype=np.float64)
    values = values[np.isfinite(values).sum(axis=1) >= 2]
    if not len(values):
        return float("nan")
    if level == "interval":
        return _alpha_of_differences(values)
    if level == "ordinal":
        return _alpha_of_differences(_middle_ranks(values))
    if level == "nominal":
        return _alpha_of_categories(values)
    raise SettingsError(f"no level is called {level!r}; there are nominal, ordinal and interval.")


def _alpha_of_differences(values: NDArray[np.float64]) -> float:
    """With squared differences, whose sums over pairs follow from sums and sums of squares."""
    values = values - np.nanmean(values)
    number = np.isfinite(values).sum(axis=1)
    pairs = number * np.nansum(values**2, axis=1) - np.nansum(values, axis=1) ** 2
    total = number.sum()
    observed = (pairs / (number - 1)).sum() / total
    expected = (total * np.nansum(values**2) - np.nansum(values) ** 2) / (total * (total - 1))
    return float(1 - observed / expected) if expected > 1e-12 else float("nan")


def _alpha_of_categories(values: NDArray[np.float64]) -> float:
    """With a difference of 1 between any two categories: counts of each within each unit."""
    known = np.isfinite(values)
    categories, codes = np.unique(values[known], return_inverse=True)
    units = np.nonzero(known)[0]
    counts = np.zeros((len(values), len(categories)))
    np.add.at(counts, (units, codes), 1)
    number, overall = counts.sum(axis=1), counts.sum(axis=0)
    total = overall.sum()
    observed = ((number**2 - (counts**2).sum(axis=1)) / (number - 1)).sum() / total
    expected = (total**2 - (overall**2).sum()) / (total * (total - 1))
    return float(1 - observed / expected) if expected > 0 else float("nan")


def _middle_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ratings as the mean rank of their equals: the ordinal difference is that of these ranks."""
    known = np.isfinite(values)
    _, codes, counts = np.unique(values[known], return_inverse=True, return_counts=True)
    ranks = np.full(values.shape, np.nan)
    ranks[known] = (np.cumsum(counts) - counts / 2)[codes]
    return ranks

"""Agreement between annotators: Krippendorff's alpha.

Alpha is one less the observed over the expected disagreement: 1 is perfect agreement, 0 what chance
would give.

Source: Krippendorff 2011, *Computing Krippendorff's Alpha-Reliability*.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoked.errors import SettingsError
from evoked.evaluation.bootstrap import Interval, bootstrap_draws, interval_bounds

Level = Literal["nominal", "ordinal", "interval"]


def krippendorff_alpha(ratings: ArrayLike, level: Level = "interval") -> float:
    """Krippendorff's alpha.

    Parameters
    ----------
    ratings
        (units, raters); NaN where a rater did not rate. Units with fewer than two ratings show no
        agreement and are left out.
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
        ``level`` is none of these.

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


def krippendorff_interval(
    ratings: ArrayLike, draws: int = 1000, level: float = 0.95, seed: int = 0
) -> Interval:
    """Krippendorff's alpha of the interval level, with a percentile bootstrap over units.

    Parameters
    ----------
    ratings
        (units, raters), as in :func:`krippendorff_alpha`.
    draws, level, seed
        Resamples, confidence level and random seed.

    Returns
    -------
    Interval
        ``n`` counts the units with at least two ratings; NaN where alpha is undefined.
    """
    values = np.asarray(ratings, dtype=np.float64)
    values = values[np.isfinite(values).sum(axis=1) >= 2]
    if not len(values):
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    sums = _unit_sums(values)
    resampled = bootstrap_draws(
        lambda weights: _alphas(weights @ sums), len(values), n=draws, seed=seed
    )
    low, high = interval_bounds(resampled, level)
    return Interval(_alpha_of_differences(values), float(low), float(high), len(values))


def alphas_without_each(ratings: ArrayLike) -> NDArray[np.float64]:
    """Krippendorff's alpha of the interval level without each of the raters, (raters,).

    Each rater's part is subtracted from the sums over all, so that no alpha is computed anew.

    Parameters
    ----------
    ratings
        (units, raters), as in :func:`krippendorff_alpha`; NaN where that would give NaN.
    """
    values = np.asarray(ratings, dtype=np.float64)
    values = values[np.isfinite(values).sum(axis=1) >= 2]
    if not len(values):
        return np.full(values.shape[1], np.nan)
    sums = _unit_sums(values)
    known = np.isfinite(values)
    own = np.where(known, values - np.nanmean(values), 0.0)
    number, total, squares = (sums[:, [column]] for column in range(3))
    left = np.stack(np.broadcast_arrays(number - 1, total - own, squares - own**2))
    # A unit with one rating left shows no agreement.
    within = (left[0] * left[2] - left[1] ** 2) / np.maximum(left[0] - 1, 1)
    kept = known & (left[0] >= 2)
    without = np.stack([(np.where(kept, part, 0.0)).sum(axis=0) for part in (*left, within)])
    return _alphas(sums.sum(axis=0) - (known.T @ sums) + without.T)


def _alpha_of_differences(values: NDArray[np.float64]) -> float:
    return float(_alphas(_unit_sums(values).sum(axis=0)[None])[0])


def _unit_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Per unit the number, sum and sum of squares of its ratings, and the mean squared difference
    within it; with squared differences, sums over pairs follow from these. (units, 4)"""
    values = values - np.nanmean(values)
    number = np.isfinite(values).sum(axis=1)
    total, squares = np.nansum(values, axis=1), np.nansum(values**2, axis=1)
    within = (number * squares - total**2) / (number - 1)
    return np.column_stack([number, total, squares, within])


def _alphas(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Alpha from sums over units, (draws, 4) to (draws,)."""
    number, total, squares, within = np.where(sums[:, :1] > 0, sums, np.nan).T
    observed = within / number
    expected = (number * squares - total**2) / (number * (number - 1))
    defined = expected > 1e-12
    return np.where(defined, 1 - observed / np.where(defined, expected, 1), np.nan)


def _alpha_of_categories(values: NDArray[np.float64]) -> float:
    """Alpha where any two categories differ by 1, from the counts of each within each unit."""
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
    """Ratings as the mean rank of their equals; ordinal differences are those of these ranks."""
    known = np.isfinite(values)
    _, codes, counts = np.unique(values[known], return_inverse=True, return_counts=True)
    ranks = np.full(values.shape, np.nan)
    ranks[known] = (np.cumsum(counts) - counts / 2)[codes]
    return ranks

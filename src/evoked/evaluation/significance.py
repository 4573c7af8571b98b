"""Is one model better than another? Tests, intervals and effect sizes over the same folds or posts.

The folds of a cross-validation share training posts, so their scores are not independent: the
plain paired t-test finds too much. Nadeau and Bengio's corrected t stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import permutations
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from evoked.errors import DataError
from evoked.evaluation.corrections import holm

# Fewer pairs than this have neither a correlation nor a test.
_LEAST_PAIRS = 3
# Up to so many pairs, all orders are tried: 362,880 for nine.
_MOST_ENUMERATED = 9
_MARKS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))


class PairedComparison(NamedTuple):
    """Two models on the same folds; NaN where a value is undefined.

    Attributes
    ----------
    difference, low, high
        Mean of first − second with its t interval.
    p_t
        Two-sided paired t-test.
    p_corrected_t
        The same with the variance of Nadeau and Bengio (2003).
    p_wilcoxon
        Two-sided Wilcoxon signed-rank test, exact for few folds: with five it can't fall below
        0.0625.
    d_z, g_z
        Cohen's d of paired differences (mean by deviation), and Hedges' unbiased one.
    n
        Pairs compared.
    """

    difference: float
    low: float
    high: float
    p_t: float
    p_corrected_t: float
    p_wilcoxon: float
    d_z: float
    g_z: float
    n: int


def compare_pairs(
    first: ArrayLike,
    second: ArrayLike,
    test_to_train: float | None = None,
    level: float = 0.95,
) -> PairedComparison:
    """Compare the scores of two models, fold by fold.

    Parameters
    ----------
    first, second
        Scores on the same folds, (k,); folds without both are left out.
    test_to_train
        Test posts per training post of a fold, 1 / (k − 1) in a k-fold cross-validation; without
        it there is no corrected t.
    level
        Coverage of the interval.

    Raises
    ------
    DataError
        The two have different lengths.

    Examples
    --------
    >>> round(compare_pairs([0.7, 0.8, 0.9], [0.6, 0.6, 0.6]).difference, 3)
    0.2
    """
    ours, theirs = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if ours.shape != theirs.shape:
        raise DataError(f"{len(ours)} and {len(theirs)} scores; pairs of the same folds are meant.")
    differences = ours - theirs
    differences = differences[np.isfinite(differences)]
    n = len(differences)
    if not n:
        fields = [name for name in PairedComparison._fields if name != "n"]
        return PairedComparison(n=0, **dict.fromkeys(fields, float("nan")))
    mean, deviation = mean_and_deviation(differences)
    low, high = t_interval(differences, level)
    d_z = mean / deviation if deviation > 0 else float("nan")
    statistic = d_z * np.sqrt(n)
    corrected = float("nan")
    if test_to_train is not None:
        corrected = d_z / np.sqrt(1 / n + test_to_train)
    return PairedComparison(
        mean,
        low,
        high,
        _two_sided_t(statistic, n - 1),
        _two_sided_t(corrected, n - 1),
        wilcoxon_p(differences),
        d_z,
        d_z * _hedges_factor(n - 1),
        n,
    )


def mean_and_deviation(values: ArrayLike) -> tuple[float, float]:
    """Mean and sample standard deviation (ddof 1) of the finite values; NaN without enough.

    Values that differ by rounding alone have no deviation.
    """
    known = _finite(values)
    if not len(known):
        return float("nan"), float("nan")
    if len(known) < 2:
        return float(known[0]), float("nan")
    deviation = float(known.std(ddof=1))
    rounding = 16 * np.finfo(np.float64).eps * float(np.abs(known).max())
    return float(known.mean()), deviation if deviation > rounding else 0.0


def t_interval(values: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """Student's interval of the mean of the finite values; NaN for fewer than two.

    Over folds it is somewhat too narrow, since folds share training posts.
    """
    known = _finite(values)
    if len(known) < 2:
        return float("nan"), float("nan")
    mean, deviation = mean_and_deviation(known)
    half = float(stats.t.ppf((1 + level) / 2, len(known) - 1)) * deviation / np.sqrt(len(known))
    return mean - half, mean + half


def wilcoxon_p(differences: ArrayLike) -> float:
    """Two-sided Wilcoxon signed-rank test of paired differences; NaN when all are zero."""
    known = _finite(differences)
    if not np.any(known):
        return float("nan")
    return float(stats.wilcoxon(known).pvalue)


def bootstrap_p(draws: ArrayLike) -> NDArray[np.float64]:
    """Two-sided p-value that a difference is zero, from its resamples.

    Twice the share of resamples on the rarer side of zero, with one resample more on each side, so
    that it is never below 2 / (draws + 1) (Davison and Hinkley 1997, Section 4.2).

    Parameters
    ----------
    draws
        Resampled differences, (draws, …); undefined ones are left out.
    """
    values = np.asarray(draws, dtype=np.float64)
    known = np.isfinite(values).sum(axis=0)
    rarer = np.minimum((values <= 0).sum(axis=0), (values >= 0).sum(axis=0))
    p = np.minimum(1.0, 2 * (rarer + 1) / (known + 1))
    return np.where(known > 0, p, np.nan)


def correlation_p(
    first: ArrayLike, second: ArrayLike, alternative: Literal["two-sided", "greater"] = "two-sided"
) -> float:
    """p-value of a Pearson correlation, or of Spearman's where ranks are given.

    With nine pairs or fewer it is exact, with ties as well: the share of all orders of ``second``
    that correlate with ``first`` at least as strongly. Student's approximation, which is meant for
    many pairs, makes 1e-24 of five ranks in one order; 2 of 120 orders do as well (p = 0.017).

    Parameters
    ----------
    first, second
        (n,) values without gaps, n of at least 3, neither constant.
    alternative
        ``greater`` counts only orders that correlate as highly, not those that do so below zero.

    Examples
    --------
    >>> correlation_p([1, 2, 3, 4, 5], [5, 4, 3, 2, 1]) == 2 / 120
    True
    """
    ours, theirs = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if len(ours) > _MOST_ENUMERATED:
        return float(stats.pearsonr(ours, theirs, alternative=alternative).pvalue)
    ours, theirs = ours - ours.mean(), theirs - theirs.mean()
    found, own = theirs[_orders(len(theirs))] @ ours, float(ours @ theirs)
    # Equal up to rounding counts as equal.
    rounding = 1e-12 * float(np.linalg.norm(ours) * np.linalg.norm(theirs))
    if alternative == "greater":
        return float(np.mean(found >= own - rounding))
    return float(np.mean(np.abs(found) >= abs(own) - rounding))


def significance_marks(p: float) -> str:
    """``***`` below 0.001, ``**`` below 0.01, ``*`` below 0.05, else nothing."""
    return next((mark for bound, mark in _MARKS if p < bound), "")


def p_value(p: float) -> str:
    """A p-value with three digits, never as zero; a dash where there is none."""
    if not np.isfinite(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def accuracy_correlations(
    scores: pd.DataFrame, emotion: Sequence[str], engagement: Sequence[str]
) -> pd.DataFrame:
    """Do posts whose emotion is read well also have their engagement predicted well?

    Source: Lu and Li 2025, Figure 4.

    Parameters
    ----------
    scores
        A row per fold, or per category of a fold, and a column per score; NaN where undefined.
    emotion, engagement
        Columns to correlate: every one of the first with every one of the second.

    Returns
    -------
    DataFrame
        ``emotion, engagement, n, pearson, pearson_p, pearson_p_holm, spearman, spearman_p,
        spearman_p_holm, marks``; Holm over the whole table, ``marks`` after Pearson's corrected
        p-value. p-values are those of :func:`correlation_p`; they take the rows as independent,
        which folds are only nearly.
    """
    rows = [
        {"emotion": one, "engagement": other, **_correlations(scores[one], scores[other])}
        for one in emotion
        for other in engagement
    ]
    names = ["n", "pearson", "pearson_p", "spearman", "spearman_p"]
    table = pd.DataFrame(rows, columns=["emotion", "engagement", *names])
    for kind in ("pearson", "spearman"):
        position = table.columns.get_loc(f"{kind}_p")
        assert isinstance(position, int)
        table.insert(position + 1, f"{kind}_p_holm", holm(table[f"{kind}_p"].to_numpy(dtype=float)))
    return table.assign(marks=[significance_marks(p) for p in table["pearson_p_holm"]])


def _correlations(first: pd.Series, second: pd.Series) -> dict[str, float]:
    ours, theirs = first.to_numpy(dtype=np.float64), second.to_numpy(dtype=np.float64)
    known = np.isfinite(ours) & np.isfinite(theirs)
    ours, theirs = ours[known], theirs[known]
    found = {"n": float(known.sum())}
    varied = len(ours) >= _LEAST_PAIRS and np.ptp(ours) > 0 and np.ptp(theirs) > 0
    read = {"pearson": (ours, theirs), "spearman": (stats.rankdata(ours), stats.rankdata(theirs))}
    for name, (left, right) in read.items():
        found[name] = float(stats.pearsonr(left, right).statistic) if varied else float("nan")
        found[f"{name}_p"] = correlation_p(left, right) if varied else float("nan")
    return found


@cache
def _orders(n: int) -> NDArray[np.intp]:
    """All orders of n things, (n!, n)."""
    return np.array(list(permutations(range(n))), dtype=np.intp)


def _two_sided_t(statistic: float, freedom: int) -> float:
    return float(2 * stats.t.sf(abs(statistic), freedom)) if freedom > 0 else float("nan")


def _hedges_factor(freedom: int) -> float:
    """What takes the bias from Cohen's d (Hedges 1981, exact form)."""
    if freedom < 2:
        return float("nan")
    logarithm = special.gammaln(freedom / 2) - special.gammaln((freedom - 1) / 2)
    return float(np.exp(logarithm) / np.sqrt(freedom / 2))


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    return array[np.isfinite(array)]

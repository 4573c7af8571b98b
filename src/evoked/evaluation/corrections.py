"""p-values of several tests at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Holm's step-down correction: bounds the chance of any false positive (Holm 1979).

    Parameters
    ----------
    p_values
        Any shape; NaN (a test that could not be made) stays NaN and is not counted.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    return _corrected(p_values, _holm_sorted)


def benjamini_hochberg(p_values: ArrayLike) -> NDArray[np.float64]:
    """Benjamini and Hochberg's correction: bounds the share of false among all positives (1995).

    Parameters as in :func:`holm`.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.04, 0.04]
    """
    return _corrected(p_values, _benjamini_hochberg_sorted)


def step_down(statistics: ArrayLike, shuffled: ArrayLike) -> NDArray[np.float64]:
    """p-values corrected by what shuffled data give (Westfall and Young 1993, Algorithm 2.8).

    They bound the chance of any false positive, as Holm's do, and are smaller than those where
    tests resemble each other.

    Parameters
    ----------
    statistics
        (n,): how far each of n tests lies from what is expected of no effect, such as abs(t).
    shuffled
        (shuffles, n): the same of data in which nothing has an effect.

    Examples
    --------
    >>> step_down([3.0, 1.0], [[0.5, 1.2], [0.1, 0.2], [2.0, 0.3]]).round(2).tolist()
    [0.25, 0.5]
    """
    found, drawn = np.asarray(statistics, np.float64), np.asarray(shuffled, np.float64)
    order = np.argsort(found, kind="stable")
    # The largest among a test and all weaker ones, the weakest first.
    largest = np.maximum.accumulate(drawn[:, order], axis=1)
    reached = ((largest >= found[order]).sum(axis=0) + 1) / (len(drawn) + 1)
    corrected = np.empty(len(found))
    corrected[order] = np.maximum.accumulate(reached[::-1])[::-1]
    return corrected


def attainable(least: ArrayLike, level: float = 0.05) -> NDArray[np.bool_]:
    """Which tests a correction has to count, when some could not have passed it anyway.

    Discrete tests have a least p-value. With K the smallest number such that at most K tests could
    reach ``level`` / K, only these are corrected for (Tarone 1990; Gilbert 2005).

    Parameters
    ----------
    least
        (n,): least p-value that each test could have had; NaN for tests that could not be made.
    level
        Level of the correction.

    Examples
    --------
    >>> attainable([0.5, 0.25, 0.001, 0.02]).tolist()
    [False, False, True, True]
    """
    values = np.asarray(least, dtype=np.float64)
    for counted in range(1, len(values) + 1):
        reaching = values <= level / counted
        if reaching.sum() <= counted:
            return np.asarray(reaching)
    return np.zeros(len(values), dtype=bool)


def _corrected(
    p_values: ArrayLike, of_sorted: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> NDArray[np.float64]:
    values = np.asarray(p_values, dtype=np.float64)
    corrected = np.full(values.shape, np.nan)
    known = np.flatnonzero(np.isfinite(values.ravel()))
    order = known[values.ravel()[known].argsort(kind="stable")]
    corrected.ravel()[order] = np.minimum(of_sorted(values.ravel()[order]), 1.0)
    return corrected


def _holm_sorted(p: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum.accumulate(p * np.arange(len(p), 0, -1))


def _benjamini_hochberg_sorted(p: NDArray[np.float64]) -> NDArray[np.float64]:
    scaled = p * len(p) / np.arange(1, len(p) + 1)
    return np.minimum.accumulate(scaled[::-1])[::-1]

"""Logistic curves, without the second that importing SciPy takes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def expit(values: ArrayLike) -> NDArray[np.float64]:
    """The logistic curve 1 / (1 + exp(-x)), of the shape of ``values``.

    Examples
    --------
    >>> expit([0.0, -1000.0]).tolist()
    [0.5, 0.0]
    """
    with np.errstate(over="ignore"):
        return np.asarray(1.0 / (1.0 + np.exp(-np.asarray(values, dtype=np.float64))))


def logit(shares: ArrayLike) -> NDArray[np.float64]:
    """Inverse of :func:`expit`, for shares between 0 and 1, both excluded."""
    own = np.asarray(shares, dtype=np.float64)
    return np.asarray(np.log(own) - np.log1p(-own))

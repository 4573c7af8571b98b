"""Does y change with x, where the posts of one author resemble each other?

Bell and McCaffrey (2002), "Bias reduction in standard errors for linear regression with multi-stage
samples": the cluster-robust error of a slope whose residuals are corrected for the line having been
fitted to them (CR2), and degrees of freedom that are few where few clusters bear the slope. As
recommended by Imbens and Kolesár (2016), "Robust standard errors in small samples".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]

# What is left of the fit without a cluster, from which on the cluster decides it alone.
_ALONE = 1e-9


class SlopeTest(NamedTuple):
    """Whether a slope differs from zero.

    Attributes
    ----------
    p
        Two-sided.
    freedom
        Degrees of freedom of Student's t.
    inflation
        Robust over classical standard error: the square root of the design effect.
    slope
        Change of y when x grows by one.
    error
        Robust standard error of it.
    """

    p: float
    freedom: float
    inflation: float
    slope: float
    error: float

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Confidence interval of the slope; NaN where the test could not be made."""
        reach = float(stats.t.ppf((1 + level) / 2, self.freedom)) * self.error
        return self.slope - reach, self.slope + reach


UNKNOWN = SlopeTest(*5 * (float("nan"),))


def clustered_slope(x: ArrayLike, y: ArrayLike, clusters: ArrayLike) -> SlopeTest:
    """Test the slope of y on x, which is also the test of their correlation.

    All sums run over clusters, as both columns of the design are known: time and memory grow with
    the posts only.

    Parameters
    ----------
    x, y
        (n,), finite. With an x of 0 and 1 it is the test of two means.
    clusters
        (n,): what resembles each other, such as the author of each post.

    Returns
    -------
    SlopeTest
        NaN with fewer than three clusters, where the line fits perfectly, and where one cluster
        alone decides the slope (all posts of one half are by one author, say).
    """
    deviation, response = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    deviation, response = deviation - deviation.mean(), response - response.mean()
    names, cluster = np.unique(np.asarray(clusters), return_inverse=True)
    n, number = len(deviation), len(names)
    length = np.sqrt((deviation**2).sum())
    if number < 3 or length <= 0:
        return UNKNOWN
    design = np.column_stack([np.full(n, n**-0.5), deviation / length])
    slope = float(design[:, 1] @ response)
    residual = response - slope * design[:, 1]

    def summed(values: Floats) -> Floats:
        return np.bincount(cluster, values, minlength=number).astype(np.float64)

    shared = summed(design[:, 0] * design[:, 1])
    diagonal = [summed(design[:, column] ** 2) for column in (0, 1)]
    share = np.array([[diagonal[0], shared], [shared, diagonal[1]]]).transpose(2, 0, 1)
    remaining, directions = np.linalg.eigh(np.eye(2) - share)
    if remaining.min() < _ALONE:
        return UNKNOWN
    # The second column of (1 - share) to the power of -1/2, cluster by cluster.
    weights = (directions * (remaining**-0.5 * directions[:, 1, :])[:, None, :]).sum(axis=2)
    scores = np.column_stack([summed(design[:, column] * residual) for column in (0, 1)])
    variance = float(((weights * scores).sum(axis=1) ** 2).sum())
    freedom = _freedom(share, weights)
    classical = (residual**2).sum() / (n - 2) if n > 2 else 0.0
    if not (variance > 0 and classical > 0 and freedom > 0):
        return UNKNOWN
    p = float(2 * stats.t.sf(abs(slope) / np.sqrt(variance), freedom))
    return SlopeTest(
        p,
        freedom,
        float(np.sqrt(variance / classical)),
        float(slope / length),
        float(np.sqrt(variance) / length),
    )


def _freedom(share: Floats, weights: Floats) -> float:
    """Satterthwaite's degrees of freedom, were the posts independent and equally noisy."""
    fitted = np.einsum("gij,gj->gi", share, weights)
    own = (weights * fitted).sum(axis=1)
    taken = (fitted**2).sum(axis=1)
    squares = (own**2 - 2 * own * taken).sum() + ((fitted.T @ fitted) ** 2).sum()
    return float((own - taken).sum() ** 2 / squares) if squares > 0 else 0.0

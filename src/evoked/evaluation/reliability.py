"""Do probabilities come true as often as they say?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Reliability(NamedTuple):
    """Posts in equally wide bins of their probability; empty bins are left out.

    Attributes
    ----------
    predicted, observed
        (bins,): mean probability, and share of the posts that it came true for.
    posts
        (bins,): how many.
    error
        Expected calibration error: mean distance of the two, bins weighted by their posts (Guo et
        al. 2017); 0 at best, NaN without posts.
    """

    predicted: Floats
    observed: Floats
    posts: NDArray[np.int64]
    error: float


def reliability(probability: Floats, came_true: NDArray[np.bool_], bins: int = 10) -> Reliability:
    """Compare probabilities with how often they came true.

    Parameters
    ----------
    probability
        (n,), in [0, 1]; for classes the probability of the predicted one.
    came_true
        (n,).
    bins
        Equally wide; a probability at an edge belongs to the lower one.
    """
    if not len(probability):
        nothing = np.zeros(0)
        return Reliability(nothing, nothing, nothing.astype(np.int64), float("nan"))
    edges = np.linspace(0, 1, bins + 1)
    positions = np.searchsorted(edges[1:-1], probability, side="left")
    posts = np.bincount(positions, minlength=bins)
    held = posts > 0
    predicted, observed = (
        np.bincount(positions, values, minlength=bins)[held] / posts[held]
        for values in (probability, came_true.astype(np.float64))
    )
    weights = posts[held] / len(probability)
    error = float((weights * np.abs(predicted - observed)).sum())
    return Reliability(predicted, observed, posts[held], error)

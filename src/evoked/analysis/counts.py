"""Counts of engagement as numbers, and what they are divided by."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.posts.schema import ENGAGEMENT

Floats = NDArray[np.float64]


def engagement_counts(posts: pd.DataFrame) -> tuple[Floats, Floats]:
    """Counts of likes, comments, shares and saves, and what they are divided by.

    Parameters
    ----------
    posts
        n posts with these counts and ``followers``.

    Returns
    -------
    counts, followers
        (n, 4) in the order of :data:`evoked.posts.schema.ENGAGEMENT`, and (n,); NaN where unknown.
    """
    counts = posts[list(ENGAGEMENT)].to_numpy(dtype=np.float64, na_value=np.nan)
    return counts, posts["followers"].to_numpy(dtype=np.float64, na_value=np.nan)

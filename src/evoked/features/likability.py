"""The feature ``likability.known``: the likes that a post has already got (EIJL, Eq. 2).

They are unknown before posting. A model that reads this feature answers a different question from
a model for drafts, and has to say so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.targets.base import numeric


@dataclass(frozen=True)
class Likability:
    """log(1 + likes), standardised on the training posts.

    Attributes
    ----------
    mean, spread
        Mean and standard deviation of log(1 + likes) among the training posts; 0 and 1 where no
        likes are known.
    """

    mean: float
    spread: float

    @classmethod
    def fit(cls, posts: pd.DataFrame) -> Self:
        """Learn mean and standard deviation from training posts."""
        known = _log_likes(posts)
        known = known[np.isfinite(known)]
        if not len(known):
            return cls(0.0, 1.0)
        return cls(float(known.mean()), float(known.std()) or 1.0)

    def transform(self, posts: pd.DataFrame) -> NDArray[np.float32]:
        """float32, (n, 1); NaN where the likes are unknown."""
        standardised = (_log_likes(posts) - self.mean) / self.spread
        return standardised[:, None].astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """The state, ready for JSON."""
        return {"mean": self.mean, "spread": self.spread}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        return cls(float(state["mean"]), float(state["spread"]))


def _log_likes(posts: pd.DataFrame) -> NDArray[np.float64]:
    likes = numeric(posts, "likes")
    # Counts below zero are errors of the source that they were imported from.
    return np.log1p(np.where(likes < 0, np.nan, likes))

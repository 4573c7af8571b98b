"""Rates of engagement as ABMF learns them: quantiles among the training posts.

The rate of each kind of engagement is its count per follower, and a model learns the *quantile* of
the rate among the training posts, in [0, 1], since rates spread over orders of magnitude (Lu and Li
2025, Section 3.2 and Table 5). No post is predicted to do better than the best training post, and
an account that grew is predicted by what it was: for one's own posts use ``emotion_engagement``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoked.targets.base import Outcome, Wording
from evoked.targets.engagement import EmotionAndRates, outcomes_with, restored_emotions

if TYPE_CHECKING:
    import pandas as pd

    from evoked.posts.columns import Posts


@dataclass(frozen=True)
class EngagementRates(EmotionAndRates):
    """Valence, arousal, and quantiles of rates; its state is that of
    :class:`evoked.targets.engagement.EmotionAndRates`."""

    name: ClassVar[str] = "engagement_rates"
    description: ClassVar[str] = (
        "valence, arousal, and quantiles of rates of likes, comments, shares, saves, as published"
    )
    source: ClassVar[str] = "Lu and Li 2025, Section 3.2"
    outcomes: ClassVar[tuple[Outcome, ...]] = outcomes_with("percentile points", "quantile")
    wording: ClassVar[Wording] = Wording(
        introduction="Predicts the emotion that a post evokes (valence from −4 to 4, arousal from "
        "0 to 8) and its engagement per follower.",
        scores="Engagement is scored as a ranking by rate; “engagement” is the mean over likes, "
        "comments, shares and saves.",
        errors="valence, arousal and the quantiles of engagement",
        promise="The highest mean predicted quantile of engagement (without engagement: valence).",
    )

    @classmethod
    def fit(cls, posts: pd.DataFrame) -> EngagementRates:
        """Learn the denominators and quantiles from training posts.

        Raises
        ------
        DataError
            No post has any target at all.
        """
        return cls(*cls.learned_rates(posts))

    def engagement_column(self, name: str, posts: Posts) -> NDArray[np.float64]:
        """Quantile of the rate among the training posts."""
        return self._quantile(name, self.rates_of(name, posts))

    def restored(self, predicted: Mapping[str, ArrayLike], posts: Posts) -> dict[str, NDArray[Any]]:
        """Turn predicted target values back into what people read.

        Parameters
        ----------
        predicted
            Columns of :data:`TARGETS`, (n,) each: quantiles for engagement.
        posts
            The same n posts, for their denominators.

        Returns
        -------
        dict
            valence and arousal (project scales); for each engagement target known from the
            training posts ``likes_quantile`` [0, 1], ``likes_rate`` (per follower or other
            denominator) and ``likes`` (that rate as a count; NaN without the denominator, or, per
            view, where no one says how often the post is expected to be seen).
        """
        found = restored_emotions(predicted)
        divisor = self._divisor(posts)
        for name in self.engagement:
            quantile = np.asarray(predicted[name], dtype=np.float64).clip(0, 1)
            levels = np.linspace(0, 1, len(self.knots[name]))
            rates = np.interp(quantile, levels, self.knots[name])
            found |= {f"{name}_quantile": quantile, f"{name}_rate": rates, name: rates * divisor}
        return found

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready state."""
        return {"denominator": self.denominator, "knots": self.knots}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> EngagementRates:
        """Inverse of :meth:`to_dict`."""
        return cls(state["denominator"], state["knots"])

    def _quantile(self, name: str, rates: NDArray[np.float64]) -> NDArray[np.float64]:
        knots = np.asarray(self.knots[name])
        if not len(knots):
            return np.full(len(rates), np.nan)
        # The middle of the ranks that a tied value spans, so that equal rates get equal targets.
        below = np.searchsorted(knots, rates, side="left")
        above = np.searchsorted(knots, rates, side="right")
        steps = (below + above - 1) / 2
        # Between two knots both ranks agree and lie half a step off: interpolate instead.
        levels = np.linspace(0, 1, len(knots))
        between = np.interp(rates, knots, levels)
        tied = above > below
        quantile = np.where(tied, steps / max(len(knots) - 1, 1), between)
        return np.where(np.isnan(rates), np.nan, np.clip(quantile, 0, 1))

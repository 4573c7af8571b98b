"""The emotion that people feel at a post, and its rates of likes, comments, shares and saves.

Emotion targets are valence and arousal on the project's scales. Engagement targets follow ABMF
(Section 3.2 and Table 5): the rate of each kind of engagement is its count per follower, and a
model learns the *quantile* of the rate among the training posts, in [0, 1], since rates spread
over orders of magnitude. :meth:`EmotionEngagement.inverse_transform` turns quantiles back into
rates and counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.errors import DataError
from evoked.posts.schema import ENGAGEMENT, SCALES
from evoked.targets.base import (
    OVERALL,
    Outcome,
    ReportPart,
    ScoreKey,
    TargetTable,
    Task,
    Wording,
    numeric,
)

EMOTION_TARGETS = ("valence", "arousal")
ENGAGEMENT_TARGETS = ENGAGEMENT
TARGETS = (*EMOTION_TARGETS, *ENGAGEMENT_TARGETS)

GROUP = "engagement"

_EMOTION_METRICS = ("MAE", "CCC", "Pearson", "Spearman", "R2")
EMOTION_ENGAGEMENT_OUTCOMES = (
    *(
        Outcome(
            name,
            "value",
            columns=(name,),
            unit="points",
            span=SCALES[name][1] - SCALES[name][0],
            metrics=_EMOTION_METRICS,
        )
        for name in EMOTION_TARGETS
    ),
    *(
        Outcome(
            f"{name}_rate",
            "value",
            columns=(name,),
            unit="percentile points",
            span=1.0,
            percent=True,
            ranked=True,
            group=GROUP,
            count=name,
            restored_column=f"{name}_quantile",
        )
        for name in ENGAGEMENT_TARGETS
    ),
)

# What a count is divided by, in order of preference; 'none' leaves the count itself.
_DENOMINATORS = ("followers", "reach", "impressions", "views")
_KNOTS = 1001


def choose_denominator(posts: pd.DataFrame) -> str:
    """Followers if most posts have them, else reach, impressions, views, else ``none``."""
    for name in _DENOMINATORS:
        if name in posts and (posts[name] > 0).mean() > 0.5:
            return name
    return "none"


def engagement_rates(posts: pd.DataFrame, denominator: str = "followers") -> pd.DataFrame:
    """Engagement per follower (or another denominator).

    Parameters
    ----------
    posts
        n posts with any of the columns of :mod:`evoked.posts.schema`.
    denominator
        A column of ``posts``, or ``none`` for the counts themselves.

    Returns
    -------
    DataFrame
        (n, 4), columns likes, comments, shares, saves; NaN where the count or the denominator is
        unknown or the denominator is zero.
    """
    if denominator == "none":
        divisor = pd.Series(1.0, index=posts.index)
    elif denominator in posts:
        divisor = pd.to_numeric(posts[denominator]).astype(float)
    else:
        divisor = pd.Series(np.nan, index=posts.index)
    divisor = divisor.where(divisor > 0)
    return pd.DataFrame(
        {
            name: (posts[name].astype(float) if name in posts else np.nan) / divisor
            for name in ENGAGEMENT
        },
        index=posts.index,
    )


@dataclass(frozen=True)
class EmotionEngagement(Task):
    """The transformation between posts and target values, fitted on training posts.

    Attributes
    ----------
    denominator
        What counts are divided by.
    knots
        Per engagement target, the rates at equally spaced quantiles of the training posts;
        empty if no training post has the count.
    """

    name: ClassVar[str] = "emotion_engagement"
    description: ClassVar[str] = "valence, arousal, and rates of likes, comments, shares, saves"
    source: ClassVar[str] = "Lu and Li 2025, Section 3.2"
    columns: ClassVar[tuple[str, ...]] = TARGETS
    outcomes: ClassVar[tuple[Outcome, ...]] = EMOTION_ENGAGEMENT_OUTCOMES
    learns_emotion: ClassVar[bool] = True
    headline_metrics: ClassVar[tuple[ScoreKey, ...]] = (
        ("valence", "MAE"),
        ("arousal", "MAE"),
        ("valence", "CCC"),
        ("arousal", "CCC"),
        (OVERALL, "MAP"),
        (OVERALL, "AUC"),
        (OVERALL, "NDCG@10"),
    )
    report_metrics: ClassVar[tuple[ScoreKey, ...]] = (
        ("valence", "CCC"),
        ("valence", "MAE"),
        ("arousal", "CCC"),
        ("arousal", "MAE"),
        (OVERALL, "MAP"),
        (OVERALL, "AUC"),
        (OVERALL, "NDCG@10"),
        (OVERALL, "Spearman"),
        ("image and text", "MRS"),
    )
    summary_metrics: ClassVar[tuple[ScoreKey, ...]] = (
        ("valence", "CCC"),
        ("arousal", "CCC"),
        (OVERALL, "MAP"),
    )
    metric_meanings: ClassVar[dict[str, str]] = {
        "CCC": "agreement of predicted and rated values, 1 at best, 0 for a constant",
        "MAE": "mean absolute error in points of the scale",
        "MAP": "how far up the posts stand that belong to the top quarter, 1 at best",
        "AUC": "chance that a post of the top quarter is ranked above another, 0.5 by guessing",
        "NDCG@10": "how good the ten highest ranked posts are, 1 at best",
        "Spearman": "rank correlation of predicted and observed rates",
        "MRS": "how alike the model sees a post's picture and text (cosine, 1 at most)",
    }
    charts: ClassVar[tuple[ReportPart, ...]] = ("calibration", "emotion_plane")
    wording: ClassVar[Wording] = Wording(
        introduction="Predicts the emotion that a post evokes (valence from −4 to 4, arousal from "
        "0 to 8) and its engagement per follower.",
        scores="Engagement is scored as a ranking by rate; “engagement” is the mean over likes, "
        "comments, shares and saves.",
        errors="valence, arousal and the quantiles of engagement",
        promise="The highest mean predicted quantile of engagement (without engagement: valence).",
        numbers="Valence and arousal are points of their scales; engagement is the percentage of "
        "the training posts that a post outranks.",
        units="engagement as quantiles",
        shown_units="engagement in percentile points among the training posts",
    )
    short_list: ClassVar[tuple[str, ...]] = (
        "linear",
        "gradient_boosting",
        "early_fusion",
        "mmbt",
        "abmf",
    )

    denominator: str
    knots: dict[str, list[float]] = field(repr=False)

    @classmethod
    def fit(cls, posts: pd.DataFrame) -> EmotionEngagement:
        """Learn the denominators and quantiles from training posts.

        Raises
        ------
        DataError
            No post has any target at all.
        """
        denominator = choose_denominator(posts)
        rates = engagement_rates(posts, denominator)
        knots = {}
        for name in ENGAGEMENT:
            known = rates[name].dropna().to_numpy()
            levels = np.linspace(0, 1, _KNOTS)
            # Observed rates, not rates between them, so that ties stay exact.
            knots[name] = (
                np.quantile(known, levels, method="closest_observation").tolist()
                if len(known) > _KNOTS
                else np.sort(known).tolist()
            )
        has_emotion = any(name in posts and posts[name].notna().any() for name in EMOTION_TARGETS)
        if not has_emotion and not any(knots.values()):
            raise DataError(
                "no training post has a rating (valence, arousal) or a count "
                f"({', '.join(ENGAGEMENT)}), so there is nothing to learn.",
                fix="Import the posts with the columns that hold them (--map likes=…).",
            )
        return cls(denominator, knots)

    @property
    def engagement(self) -> list[str]:
        """The engagement targets that some training post has."""
        return [name for name in ENGAGEMENT if self.knots[name]]

    @classmethod
    def bounds(cls, column: str) -> tuple[float, float]:
        return SCALES.get(column, (0.0, 1.0))

    def rates(self, posts: pd.DataFrame) -> pd.DataFrame:
        """The posts' own rates, (n, 4)."""
        return engagement_rates(posts, self.denominator)

    @property
    def count_basis(self) -> str | None:
        return None if self.denominator == "none" else self.denominator

    def relevance_values(self) -> pd.DataFrame:
        return pd.DataFrame({f"{name}_rate": pd.Series(self.knots[name]) for name in ENGAGEMENT})

    def transform(
        self, posts: pd.DataFrame, estimates: NDArray[np.float32] | None = None
    ) -> TargetTable:
        """Target values of posts.

        Parameters
        ----------
        posts
            n posts.
        estimates
            (n, 2) valence and arousal from an emotion reader, for posts without ratings.
        """
        columns = []
        estimated = np.zeros((len(posts), len(TARGETS)), dtype=bool)
        for position, name in enumerate(EMOTION_TARGETS):
            low, high = SCALES[name]
            rated = numeric(posts, name)
            if estimates is not None:
                guess = np.clip(estimates[:, position], low, high)
                estimated[:, position] = np.isnan(rated) & ~np.isnan(guess)
                rated = np.where(np.isnan(rated), guess, rated)
            columns.append(rated)
        rates = self.rates(posts)
        columns += [self._quantile(name, rates[name].to_numpy()) for name in ENGAGEMENT]
        return TargetTable(np.stack(columns, axis=1).astype(np.float32), estimated)

    def inverse_transform(self, predicted: pd.DataFrame, posts: pd.DataFrame) -> pd.DataFrame:
        """Turn predicted target values back into what people read.

        Parameters
        ----------
        predicted
            (n, targets) with columns of :data:`TARGETS`: quantiles for engagement.
        posts
            The same n posts, for their denominators.

        Returns
        -------
        DataFrame
            Columns valence and arousal (project scales); for each engagement target known from the
            training posts ``likes_quantile`` [0, 1], ``likes_rate`` (per follower or other
            denominator) and ``likes`` (that rate as a count; NaN without the denominator).
        """
        table = pd.DataFrame(index=predicted.index)
        for name in EMOTION_TARGETS:
            table[name] = predicted[name].astype(float)
        divisor = self._divisor(posts)
        for name in self.engagement:
            quantile = predicted[name].astype(float).clip(0, 1)
            table[f"{name}_quantile"] = quantile
            levels = np.linspace(0, 1, len(self.knots[name]))
            table[f"{name}_rate"] = np.interp(quantile, levels, self.knots[name])
            table[name] = table[f"{name}_rate"].to_numpy() * divisor
        return table

    def truth(self, posts: pd.DataFrame) -> pd.DataFrame:
        """What posts really got: post_id, valence, arousal, rates and counts; NaN where unknown.

        Only what people rated counts as truth; estimates never do.
        """
        rates = self.rates(posts).add_suffix("_rate")
        counts = posts[list(ENGAGEMENT)].astype(float)
        emotions = posts[list(EMOTION_TARGETS)].astype(float)
        return pd.concat([posts[["post_id"]], emotions, rates, counts], axis=1)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready state."""
        return {"denominator": self.denominator, "knots": self.knots}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> EmotionEngagement:
        """Inverse of :meth:`to_dict`."""
        return cls(state["denominator"], state["knots"])

    def _divisor(self, posts: pd.DataFrame) -> NDArray[np.float64]:
        if self.denominator == "none":
            return np.ones(len(posts))
        return numeric(posts, self.denominator)

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

"""What tasks of emotion and engagement have in common: valence, arousal, and rates of likes,
comments, shares and saves per follower.

Emotion targets are valence and arousal on the project's scales. How a count becomes the column that
a model learns, and how it is restored, is each task's own matter.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoked.errors import DataError
from evoked.posts.vocabulary import ENGAGEMENT, EXPECTED_VIEWS, EXPOSURE, SCALES
from evoked.targets.base import (
    OVERALL,
    Outcome,
    ReportPart,
    ScoreKey,
    TargetTable,
    Task,
    numeric,
)

if TYPE_CHECKING:
    import pandas as pd

    from evoked.posts.columns import Posts

EMOTION_TARGETS = ("valence", "arousal")
ENGAGEMENT_TARGETS = ENGAGEMENT
TARGETS = (*EMOTION_TARGETS, *ENGAGEMENT_TARGETS)

GROUP = "engagement"

_EMOTION_METRICS = ("MAE", "CCC", "Pearson", "Spearman", "R2")


def outcomes_with(unit: str, column: str) -> tuple[Outcome, ...]:
    """Outcomes of a task of emotion and engagement.

    Parameters
    ----------
    unit
        Unit of hundredths of an engagement column.
    column
        What the restored column is called after the kind of engagement, as in ``likes_quantile``.
    """
    emotions = (
        Outcome(
            name,
            "value",
            columns=(name,),
            unit="points",
            span=SCALES[name][1] - SCALES[name][0],
            metrics=_EMOTION_METRICS,
        )
        for name in EMOTION_TARGETS
    )
    rates = (
        Outcome(
            f"{name}_rate",
            "value",
            columns=(name,),
            unit=unit,
            span=1.0,
            percent=True,
            ranked=True,
            group=GROUP,
            count=name,
            restored_column=f"{name}_{column}",
        )
        for name in ENGAGEMENT_TARGETS
    )
    return (*emotions, *rates)


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
    import pandas as pd

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


def knots_of(values: NDArray[np.float64]) -> list[float]:
    """The known ones of n values at equally spaced quantiles, at most 1001 of them, ascending."""
    known = np.sort(values[np.isfinite(values)])
    if len(known) <= _KNOTS:
        return known.tolist()
    # Observed values, not values between them, so that ties stay exact.
    levels = np.linspace(0, 1, _KNOTS)
    return np.quantile(known, levels, method="closest_observation").tolist()


def restored_emotions(predicted: Mapping[str, ArrayLike]) -> dict[str, NDArray[Any]]:
    """Valence and arousal as they are predicted."""
    return {name: np.asarray(predicted[name], dtype=np.float64) for name in EMOTION_TARGETS}


@dataclass(frozen=True)
class EmotionAndRates(Task):
    """What is learned of training posts by every task of emotion and engagement.

    Attributes
    ----------
    denominator
        What counts are divided by.
    knots
        Per engagement target, the rates at equally spaced quantiles of the training posts;
        empty if no training post has the count.
    """

    columns: ClassVar[tuple[str, ...]] = TARGETS
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
    short_list: ClassVar[tuple[str, ...]] = (
        "linear",
        "gradient_boosting",
        "blend",
        "early_fusion",
        "mmbt",
        "abmf",
    )

    denominator: str
    knots: dict[str, list[float]] = field(repr=False)

    @staticmethod
    def learned_rates(posts: pd.DataFrame) -> tuple[str, dict[str, list[float]]]:
        """Denominator and knots of training posts.

        Raises
        ------
        DataError
            No post has any target at all.
        """
        denominator = choose_denominator(posts)
        rates = engagement_rates(posts, denominator)
        knots = {name: knots_of(rates[name].to_numpy()) for name in ENGAGEMENT}
        has_emotion = any(name in posts and posts[name].notna().any() for name in EMOTION_TARGETS)
        if not has_emotion and not any(knots.values()):
            raise DataError(
                "no training post has a rating (valence, arousal) or a count "
                f"({', '.join(ENGAGEMENT)}), so there is nothing to learn.",
                fix="Import the posts with the columns that hold them (--map likes=…).",
            )
        return denominator, knots

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

    def rates_of(self, name: str, posts: Posts) -> NDArray[np.float64]:
        """The posts' own rates of one kind of engagement, (n,); NaN where unknown."""
        if self.denominator == "none":
            return numeric(posts, name)
        divisor = numeric(posts, self.denominator)
        return numeric(posts, name) / np.where(divisor > 0, divisor, np.nan)

    @property
    def count_basis(self) -> str | None:
        return None if self.denominator == "none" else self.denominator

    def relevance_values(self) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame({f"{name}_rate": pd.Series(self.knots[name]) for name in ENGAGEMENT})

    @abstractmethod
    def engagement_column(self, name: str, posts: Posts) -> NDArray[np.float64]:
        """What a model learns of one kind of engagement, (n,) in [0, 1]; NaN where unknown."""

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
        columns += [self.engagement_column(name, posts) for name in ENGAGEMENT]
        return TargetTable(np.stack(columns, axis=1).astype(np.float32), estimated)

    def truth(self, posts: pd.DataFrame) -> pd.DataFrame:
        """What posts really got: post_id, valence, arousal, rates and counts; NaN where unknown.

        Only what people rated counts as truth; estimates never do.
        """
        import pandas as pd

        rates = self.rates(posts).add_suffix("_rate")
        counts = posts[list(ENGAGEMENT)].astype(float)
        emotions = posts[list(EMOTION_TARGETS)].astype(float)
        return pd.concat([posts[["post_id"]], emotions, rates, counts], axis=1)

    @property
    def is_per_view(self) -> bool:
        """Whether counts are divided by how often a post is seen, which nobody knows before."""
        return self.denominator in EXPOSURE

    def _divisor(self, posts: Posts) -> NDArray[np.float64]:
        """What the counts of n posts are reckoned to be divided by, as far as it is known before
        they appear, (n,): how often drafts are expected to be seen; NaN where unknown."""
        if self.denominator == "none":
            return np.ones(len(posts))
        return numeric(posts, EXPECTED_VIEWS if self.is_per_view else self.denominator)

"""The emotion that people feel at a post, and how its engagement departs from what its author's
posts usually get.

A model that learns likes themselves spends most of what it can learn on who posts: an account's
last ten posts predict its next one better than any picture. So what is learned of each kind of
engagement is the deviation of log(1 + count) from the post's level
(:class:`evoked.targets.author_level.AuthorLevel`), brought to (0, 1) by a logistic curve:
logistic(1.7 / 2.5 · (deviation − median) / standard deviation), median and standard deviation being
those of the training posts. 0.5 stands for a usual post of its author. Restored to counts the level
comes back, so an account that grew is predicted from where it stands, and nothing keeps a post from
doing better than the best training post.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoked.posts.author_history import PREFIX, known_counts, with_history
from evoked.posts.vocabulary import ENGAGEMENT, EXPOSURE, MAX_COUNT
from evoked.targets._logistic import expit, logit
from evoked.targets.author_level import AuthorLevel
from evoked.targets.base import NEAREST, Outcome, TargetTable, Wording
from evoked.targets.engagement import EmotionAndRates, outcomes_with, restored_emotions

if TYPE_CHECKING:
    import pandas as pd

    from evoked.posts.columns import Posts

Floats = NDArray[np.float64]

# A logistic curve of slope 1.7 is close to the normal distribution's; its slope is divided by 2.5
# so that deviations of some standard deviations can still be distinguished.
_SLOPE = 1.7 / 2.5


# What trivial baselines are worth to tasks whose columns are deviations.
BASELINES = (
    "Of counts, mean, author_mean and category_mean are what the author usually gets, moved by the "
    "mean deviation of all training posts, of the author's or of the category's."
)


@dataclass(frozen=True)
class Deviations:
    """How the counts of one kind deviate from the level of the training posts.

    Attributes
    ----------
    level
        The level of posts.
    median, spread
        Median and standard deviation of the training posts' deviations.
    """

    level: AuthorLevel
    median: float
    spread: float

    @classmethod
    def fit(cls, name: str, posts: pd.DataFrame) -> Deviations | None:
        """Learn from training posts with their history; None if none has the count."""
        level = AuthorLevel.fit(name, posts)
        if level is None:
            return None
        deviations = np.log1p(known_counts(posts, name)) - level.of(posts)
        deviations = deviations[np.isfinite(deviations)]
        spread = float(deviations.std())
        return cls(level, float(np.median(deviations)), spread if spread > 1e-9 else 1.0)

    def standing(self, posts: Posts) -> Floats:
        """Deviations of posts in (0, 1), (n,); NaN where the count is unknown."""
        deviation = np.log1p(known_counts(posts, self.level.kind)) - self.level.of(posts)
        return np.asarray(expit(_SLOPE * (deviation - self.median) / self.spread))

    def usual(self, posts: Posts) -> Floats:
        """The level of posts on the scale of what :meth:`standing` is a curve of, (n,)."""
        return _SLOPE * self.level.of(posts) / self.spread

    def counts(self, standing: Floats, posts: Posts) -> Floats:
        """Counts of posts whose :meth:`standing` is given, (n,)."""
        score = logit(np.clip(standing, NEAREST, 1 - NEAREST)) / _SLOPE
        logs = self.level.of(posts) + self.median + self.spread * score
        return np.expm1(np.clip(logs, 0.0, np.log1p(MAX_COUNT)))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready state."""
        return {"level": self.level.to_dict(), "median": self.median, "spread": self.spread}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Deviations:
        """Inverse of :meth:`to_dict`."""
        return cls(AuthorLevel(**state["level"]), state["median"], state["spread"])


@dataclass(frozen=True)
class EmotionEngagement(EmotionAndRates):
    """The transformation between posts and target values, fitted on training posts.

    Posts are read with what their authors' earlier posts achieved
    (:func:`evoked.posts.author_history.attach_history`); without it, they see each other's past
    alone.

    Attributes
    ----------
    denominator, knots
        See :class:`evoked.targets.engagement.EmotionAndRates`.
    deviations
        What was learned of each engagement target that a training post has.
    usual_divisor
        Geometric mean of the training posts' denominators.
    exposure
        Level of the denominator where that is how often a post was seen; None otherwise.
    """

    name: ClassVar[str] = "emotion_engagement"
    description: ClassVar[str] = (
        "valence, arousal, and likes, comments, shares, saves beside what the author usually gets"
    )
    source: ClassVar[str] = "after Lu and Li 2025, Section 3.2"
    outcomes: ClassVar[tuple[Outcome, ...]] = outcomes_with("points of standing", "standing")
    wording: ClassVar[Wording] = Wording(
        introduction="Predicts the emotion that a post evokes (valence from −4 to 4, arousal from "
        "0 to 8) and its engagement, from what its author's last posts got and from the post.",
        scores="Engagement is scored as a ranking by rate; “engagement” is the mean over likes, "
        "comments, shares and saves.",
        baselines=BASELINES,
        errors="valence, arousal and the standing of engagement",
        promise="The highest mean predicted standing of engagement (without engagement: valence).",
    )

    deviations: dict[str, Deviations] = field(repr=False)
    usual_divisor: float
    exposure: AuthorLevel | None

    @classmethod
    def spread_column(cls, column: str) -> str | None:
        """How far the author's last counts lay apart, as logarithms."""
        return f"{PREFIX}spread_{column}" if column in ENGAGEMENT else None

    @classmethod
    def fit(cls, posts: pd.DataFrame) -> EmotionEngagement:
        """Learn denominators, levels and deviations from training posts.

        Raises
        ------
        DataError
            No post has any target at all.
        """
        denominator, knots = cls.learned_rates(posts)
        attached = with_history(posts)
        fitted = {name: Deviations.fit(name, attached) for name in ENGAGEMENT}
        deviations = {name: each for name, each in fitted.items() if each}
        exposure = AuthorLevel.fit(denominator, attached) if denominator in EXPOSURE else None
        return cls(denominator, knots, deviations, _usual(posts, denominator), exposure)

    @classmethod
    def is_logistic(cls, column: str) -> bool:
        return column in ENGAGEMENT

    def levels(self, posts: Posts) -> dict[str, Floats]:
        attached = with_history(posts)
        return {name: each.usual(attached) for name, each in self.deviations.items()}

    @property
    def engagement(self) -> list[str]:
        """The engagement targets that some training post has."""
        return [name for name in ENGAGEMENT if name in self.deviations]

    def transform(
        self, posts: pd.DataFrame, estimates: NDArray[np.float32] | None = None
    ) -> TargetTable:
        return super().transform(with_history(posts), estimates)

    def engagement_column(self, name: str, posts: Posts) -> Floats:
        """Standing of the count beside the post's level."""
        if name not in self.deviations:
            return np.full(len(posts), np.nan)
        return self.deviations[name].standing(posts)

    def restored(self, predicted: Mapping[str, ArrayLike], posts: Posts) -> dict[str, NDArray[Any]]:
        """Turn predicted target values back into what people read.

        Parameters
        ----------
        predicted
            Columns of :data:`evoked.targets.TARGETS`, (n,) each: standings for engagement.
        posts
            The same n posts, for their levels and denominators.

        Returns
        -------
        dict
            valence and arousal (project scales); for each engagement target known from the
            training posts ``likes_standing`` [0, 1], ``likes_rate`` (per follower or other
            denominator; NaN where that is unknown, but not the author's past) and ``likes`` (NaN
            where both are unknown: the rate is then that of an account of usual size). Per view,
            both are of a post that is seen as often as the author's usually are, and likes rise
            with how often a draft is expected to be seen.
        """
        attached = with_history(posts)
        found = restored_emotions(predicted)
        divisor, usual = self._divisor(posts), self.usual_basis(posts)
        known = divisor > 0
        for name in self.engagement:
            standing = np.clip(np.asarray(predicted[name], dtype=np.float64), 0, 1)
            counts = self.deviations[name].counts(standing, attached)
            found[f"{name}_standing"] = standing
            if usual is not None:
                found[f"{name}_rate"] = counts / usual
                found[name] = counts * np.where(known, divisor / usual, 1.0)
                continue
            level = self.deviations[name].level
            # Of an account of unknown size and past only the rate of a usual account is known.
            placed = known | level.knows(attached)
            rates = counts / np.where(known, divisor, self.usual_divisor)
            found[f"{name}_rate"] = np.where(known | ~placed, rates, np.nan)
            found[name] = np.where(placed, counts, np.nan)
        return found

    def usual_basis(self, posts: Posts) -> Floats | None:
        if self.exposure is None:
            return None
        return np.maximum(np.expm1(self.exposure.of(with_history(posts))), 1.0)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready state."""
        return {
            "denominator": self.denominator,
            "knots": self.knots,
            "deviations": {name: each.to_dict() for name, each in self.deviations.items()},
            "usual_divisor": self.usual_divisor,
            "exposure": None if self.exposure is None else self.exposure.to_dict(),
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> EmotionEngagement:
        """Inverse of :meth:`to_dict`."""
        deviations = {
            str(name): Deviations.from_dict(own) for name, own in state["deviations"].items()
        }
        level = state["exposure"]
        return cls(
            state["denominator"],
            state["knots"],
            deviations,
            state["usual_divisor"],
            None if level is None else AuthorLevel(**level),
        )


def _usual(posts: pd.DataFrame, denominator: str) -> float:
    """Geometric mean of the posts' denominators, 1 if counts are divided by nothing."""
    if denominator == "none":
        return 1.0
    divisors = known_counts(posts, denominator)
    return float(np.exp(np.log(divisors[divisors > 0]).mean()))

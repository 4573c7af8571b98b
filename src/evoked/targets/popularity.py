"""How popular a post is, as a number and in five levels (PixelRec report, Sections 3 and 4.1).

The report has two labels of five levels: Section 4.1 weights counts and divides them by views
(:class:`Level`); Section 3 scales each count from 0 to 1, views included, and adds them up
(:class:`LevelOfScaledCounts`). Its results are of the first.

The tasks sum likes *l*, comments *c*, shares *s* and favourites *f*. Favourites are what this
project calls saves: on PixelRec's platform, items that people keep.

A count that is known for less than half as many training posts as the best-known one is left out
of the sum for all posts; a post that lacks one of the other counts has no target. If most posts do
not have their views, what :func:`evoked.targets.choose_denominator` finds takes their place
(followers, reach or impressions); if there is nothing of the sort, the counts stand alone. The
state of a fitted task says what was used.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoked.errors import DataError
from evoked.posts.vocabulary import ENGAGEMENT
from evoked.targets.base import (
    Outcome,
    TargetTable,
    Task,
    numeric,
    one_hot,
    restored_classes,
    stacked,
)
from evoked.targets.engagement import choose_denominator

if TYPE_CHECKING:
    import pandas as pd

    from evoked.posts.columns import Posts

_LEVEL_WEIGHTS = {"likes": 1.0, "comments": 2.0, "shares": 3.0, "saves": 3.0}
_LEVELS = ("very_low", "low", "medium", "high", "very_high")
_QUINTILES = (0.2, 0.4, 0.6, 0.8)


@dataclass(frozen=True)
class Popularity(Task):
    """log(1 + popularity score), Eq. 1 of the report; made by :meth:`fit`.

    The score weights each count by 1 - Cor(V, count), the part of it that views do not explain; the
    Pearson correlations are those of the training posts (the report takes the entire dataset's). A
    count that never varies, or that only one post has, correlates with nothing: its weight is 1.

    Attributes
    ----------
    exposure
        The column that stands for V, or ``none``.
    weights
        Weight of each count that is summed.
    """

    name: ClassVar[str] = "popularity"
    description: ClassVar[str] = (
        "log(1 + popularity score), counts weighted by what views don't explain"
    )
    source: ClassVar[str] = "PixelRec report, Eq. 1"
    columns: ClassVar[tuple[str, ...]] = ("log_popularity",)
    outcomes: ClassVar[tuple[Outcome, ...]] = (
        Outcome("log_popularity", "value", columns=("log_popularity",), unit="natural logarithm"),
    )
    short_list: ClassVar[tuple[str, ...]] = (
        "linear",
        "gradient_boosting",
        "blend",
        "pixelrec_catboost",
        "pixelrec_regressor",
    )

    exposure: str
    weights: dict[str, float]

    @property
    def notes(self) -> list[str]:
        return [] if self.exposure == "views" else [_without_views(self.exposure)]

    @classmethod
    def bounds(cls, column: str) -> tuple[float, float]:
        """Zero and no upper end."""
        return (0.0, float("inf"))

    @classmethod
    def fit(cls, posts: pd.DataFrame) -> Self:
        """Learn the weights.

        Raises
        ------
        DataError
            No post has any of the counts.
        """
        exposure = _exposure(posts)
        views = _count(posts, exposure)
        return cls(
            exposure,
            {name: 1 - _correlation(views, _count(posts, name)) for name in _known_counts(posts)},
        )

    def transform(
        self, posts: pd.DataFrame, estimates: NDArray[np.float32] | None = None
    ) -> TargetTable:
        """log(1 + score), (n, 1); NaN for posts that lack a count."""
        values = np.log1p(_weighted_sum(posts, self.weights))
        return TargetTable(values[:, None].astype(np.float32), np.zeros((len(posts), 1), bool))

    def restored(self, predicted: Mapping[str, ArrayLike], posts: Posts) -> dict[str, NDArray[Any]]:
        """``log_popularity`` and the score itself, ``popularity``."""
        values = np.asarray(predicted["log_popularity"], dtype=np.float64)
        return {"log_popularity": values, "popularity": np.expm1(values)}

    def truth(self, posts: pd.DataFrame) -> pd.DataFrame:
        """post_id and ``log_popularity``."""
        import pandas as pd

        values = self.transform(posts).values[:, 0].astype(np.float64)
        return pd.DataFrame({"post_id": posts["post_id"], "log_popularity": values})

    @property
    def formula(self) -> str:
        """The score in words."""
        terms = " + ".join(f"{weight:.3f} {name}" for name, weight in self.weights.items())
        if self.exposure == "none":
            return f"log(1 + {terms})"
        return f"log(1 + {terms}); weights: 1 - correlation with {self.exposure}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready state."""
        return {"exposure": self.exposure, "weights": self.weights, "formula": self.formula}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        weights = {str(name): float(weight) for name, weight in state["weights"].items()}
        return cls(str(state["exposure"]), weights)


@dataclass(frozen=True)
class _Levels(Task):
    """Fifths of a score; a score at an edge belongs to the lower level.

    Attributes
    ----------
    edges
        The four scores between the levels, of the training posts.
    """

    columns: ClassVar[tuple[str, ...]] = tuple(f"level_{number}" for number in range(1, 6))
    outcomes: ClassVar[tuple[Outcome, ...]] = (
        Outcome("level", "classes", _LEVELS, ordered=True, columns=columns),
    )
    short_list: ClassVar[tuple[str, ...]] = (
        "linear",
        "gradient_boosting",
        "blend",
        "pixelrec_catboost",
        "pixelrec_classifier",
    )

    edges: tuple[float, ...]

    @abstractmethod
    def scores(self, posts: pd.DataFrame) -> NDArray[np.float64]:
        """The score of each post, (n,); NaN for posts that lack a count."""

    def transform(
        self, posts: pd.DataFrame, estimates: NDArray[np.float32] | None = None
    ) -> TargetTable:
        """A column of 0 and 1 per level, (n, 5); NaN for posts that lack a count."""
        values = one_hot(self._levels(posts), len(self.columns)).astype(np.float32)
        return TargetTable(values, np.zeros(values.shape, dtype=bool))

    def restored(self, predicted: Mapping[str, ArrayLike], posts: Posts) -> dict[str, NDArray[Any]]:
        """``level`` and the probability of each."""
        return restored_classes(self.outcomes[0], stacked(predicted, self.columns))

    def truth(self, posts: pd.DataFrame) -> pd.DataFrame:
        """post_id and ``level``."""
        import pandas as pd

        levels = self._levels(posts)
        known = np.isfinite(levels)
        labels = np.full(len(posts), None, dtype=object)
        labels[known] = np.array(self.outcomes[0].labels, object)[levels[known].astype(int)]
        return pd.DataFrame({"post_id": posts["post_id"], "level": labels})

    def _with_edges(self, posts: pd.DataFrame, read: Iterable[str]) -> Self:
        """The task with the edges of these posts.

        Raises
        ------
        DataError
            None has all of the columns that are ``read``.
        """
        scores = self.scores(posts)
        if np.isnan(scores).all():
            raise DataError(
                f"no training post has all of {', '.join(read)}, from which its level is computed.",
                fix="Leave out the column that most posts lack (--map saves=).",
            )
        return replace(self, edges=tuple(np.nanquantile(scores, _QUINTILES).tolist()))

    def _levels(self, posts: pd.DataFrame) -> NDArray[np.float64]:
        scores = self.scores(posts)
        levels = np.searchsorted(self.edges, scores, side="left").astype(np.float64)
        levels[np.isnan(scores)] = np.nan
        return levels


@dataclass(frozen=True)
class Level(_Levels):
    """Five levels of engagement per view (report, Section 4.1); made by :meth:`fit`.

    The score is (likes + 2 comments + 3 shares + 3 saves) / max(views, 1); its levels are fifths of
    the training posts.

    Attributes
    ----------
    exposure
        The column that the sum is divided by, or ``none``.
    counts
        Counts that are summed.
    """

    name: ClassVar[str] = "level"
    description: ClassVar[str] = (
        "one of five levels of engagement per view, fifths of the training posts"
    )
    source: ClassVar[str] = "PixelRec report, Section 4.1"

    exposure: str
    counts: tuple[str, ...]

    @property
    def notes(self) -> list[str]:
        return [] if self.exposure == "views" else [_without_views(self.exposure)]

    @classmethod
    def fit(cls, posts: pd.DataFrame) -> Self:
        """Learn the edges of the levels.

        Raises
        ------
        DataError
            No post has any of the counts, or none has all of those that are summed.
        """
        exposure, counts = _exposure(posts), _known_counts(posts)
        read = [*counts, *([exposure] if exposure != "none" else [])]
        return cls((), exposure, counts)._with_edges(posts, read)

    def scores(self, posts: pd.DataFrame) -> NDArray[np.float64]:
        total = _weighted_sum(posts, {name: _LEVEL_WEIGHTS[name] for name in self.counts})
        if self.exposure == "none":
            return total
        return total / np.maximum(_count(posts, self.exposure), 1)

    @property
    def formula(self) -> str:
        """The score in words."""
        terms = " + ".join(
            name if _LEVEL_WEIGHTS[name] == 1 else f"{_LEVEL_WEIGHTS[name]:g} {name}"
            for name in self.counts
        )
        return terms if self.exposure == "none" else f"({terms}) / max({self.exposure}, 1)"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready state."""
        return {
            "exposure": self.exposure,
            "counts": list(self.counts),
            "edges": list(self.edges),
            "formula": self.formula,
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        edges = tuple(float(edge) for edge in state["edges"])
        return cls(edges, str(state["exposure"]), tuple(map(str, state["counts"])))


@dataclass(frozen=True)
class LevelOfScaledCounts(_Levels):
    """Five levels of the sum of counts that are scaled from 0 to 1 each (report, Section 3); made
    by :meth:`fit`.

    Smallest and largest count are the training posts'. A single post far above all others decides
    how much its count says of the rest.

    Attributes
    ----------
    ranges
        Smallest and largest value of each count that is summed, views among them.
    """

    name: ClassVar[str] = "level_scaled"
    description: ClassVar[str] = (
        "one of five levels of the sum of all counts, scaled from 0 to 1 each; fifths of the "
        "training posts"
    )
    source: ClassVar[str] = "PixelRec report, Section 3"

    ranges: dict[str, tuple[float, float]]

    @classmethod
    def fit(cls, posts: pd.DataFrame) -> Self:
        """Learn ranges and edges.

        Raises
        ------
        DataError
            No post has any of the counts, or none has all of those that are summed.
        """
        views = ("views",) if _exposure(posts) == "views" else ()
        counts = {name: _count(posts, name) for name in (*_known_counts(posts), *views)}
        ranges = {
            name: (float(np.nanmin(each)), float(np.nanmax(each))) for name, each in counts.items()
        }
        return cls((), ranges)._with_edges(posts, ranges)

    def scores(self, posts: pd.DataFrame) -> NDArray[np.float64]:
        parts = [
            (_count(posts, name) - low) / (high - low if high > low else 1.0)
            for name, (low, high) in self.ranges.items()
        ]
        total: NDArray[np.float64] = np.sum(parts, axis=0)
        return total

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready state."""
        ranges = {name: list(each) for name, each in self.ranges.items()}
        return {"ranges": ranges, "edges": list(self.edges)}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        edges = tuple(float(edge) for edge in state["edges"])
        return cls(
            edges, {str(name): (float(a), float(b)) for name, (a, b) in state["ranges"].items()}
        )


def _without_views(exposure: str) -> str:
    """That the report's formula is not what is learned, and what takes the place of views."""
    missing = "Most training posts lack their views, which the published formula goes by"
    if exposure == "none":
        return f"{missing}; the counts stand alone."
    return f"{missing}; {exposure} take their place."


def _exposure(posts: pd.DataFrame) -> str:
    """Views if most posts have them, else what rates elsewhere are divided by."""
    views = _count(posts, "views")
    viewed = len(views) > 0 and np.mean(views > 0) > 0.5
    return "views" if viewed else choose_denominator(posts)


def _known_counts(posts: pd.DataFrame) -> tuple[str, ...]:
    known = {name: int(np.isfinite(_count(posts, name)).sum()) for name in ENGAGEMENT}
    most = max(known.values())
    if not most:
        raise DataError(
            f"no training post has a count ({', '.join(ENGAGEMENT)}), so there is no popularity to "
            "learn.",
            fix="Import the posts with the columns that hold them (--map likes=…).",
        )
    return tuple(name for name, count in known.items() if 2 * count >= most)


def _weighted_sum(posts: pd.DataFrame, weights: dict[str, float]) -> NDArray[np.float64]:
    parts = [weight * _count(posts, name) for name, weight in weights.items()]
    total: NDArray[np.float64] = np.sum(parts, axis=0)
    return total


def _count(posts: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """A count, (n,); NaN where it is unknown or negative."""
    values = numeric(posts, name)
    return np.where(values >= 0, values, np.nan)


def _correlation(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """Pearson's r over the posts that have both; 0 if it is undefined."""
    both = np.isfinite(left) & np.isfinite(right)
    left, right = left[both], right[both]
    if len(left) < 2 or np.ptp(left) == 0 or np.ptp(right) == 0:
        return 0.0
    return float(np.clip(np.corrcoef(left, right)[0, 1], -1, 1))

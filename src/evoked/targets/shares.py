"""How often a post is shared, as a number and in 13 classes (EIJL, Sections 4.2 and 5).

A model learns log(1 + shares) and, beside it, in which of 13 equally wide parts of the training
posts' range of log(1 + shares) a post lies; the paper's error (Eq. 3) is in shares. The paper says
that the logarithm is divided into 13 parts but not how: equal widths are our reading.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoked.errors import DataError
from evoked.posts.author_history import PREFIX
from evoked.targets.base import (
    Outcome,
    TargetTable,
    Task,
    numeric,
    one_hot,
    restored_classes,
    stacked,
)

if TYPE_CHECKING:
    import pandas as pd

    from evoked.posts.columns import Posts

SHARE_CLASSES = 13
_LABELS = tuple(str(number) for number in range(1, SHARE_CLASSES + 1))
_CLASS_COLUMNS = tuple(f"share_class_{label}" for label in _LABELS)
_ROUNDING = 1e-9  # of expm1, which turns logarithms back into whole numbers


@dataclass(frozen=True)
class Shares(Task):
    """log(1 + shares) and its class; made by :meth:`fit`.

    Attributes
    ----------
    lowest, highest
        Ends of log(1 + shares) among the training posts, which are the outer edges of the classes.
        What lies beyond them belongs to the first or the last class.
    """

    name: ClassVar[str] = "shares"
    description: ClassVar[str] = "how often a post is shared: log(1 + shares), and 13 classes of it"
    source: ClassVar[str] = "Leng and Yan 2025, Section 4.2"
    columns: ClassVar[tuple[str, ...]] = ("log_shares", *_CLASS_COLUMNS)
    outcomes: ClassVar[tuple[Outcome, ...]] = (
        Outcome("log_shares", "value", columns=("log_shares",), unit="natural logarithm"),
        Outcome("shares", "value"),
        Outcome("share_class", "classes", _LABELS, ordered=True, columns=_CLASS_COLUMNS),
    )
    short_list: ClassVar[tuple[str, ...]] = ("linear", "gradient_boosting", "blend", "eijl")

    lowest: float
    highest: float

    @classmethod
    def bounds(cls, column: str) -> tuple[float, float]:
        """Shares are never negative, and have no upper end."""
        return (0.0, float("inf")) if column == "log_shares" else (0.0, 1.0)

    @classmethod
    def spread_column(cls, column: str) -> str | None:
        """How far the author's last numbers of shares lay apart, as logarithms."""
        return f"{PREFIX}spread_shares" if column == "log_shares" else None

    @classmethod
    def fit(cls, posts: pd.DataFrame) -> Self:
        """Learn the range of the training posts.

        Raises
        ------
        DataError
            No post has its number of shares.
        """
        known = _log_shares(posts)
        known = known[np.isfinite(known)]
        if not len(known):
            raise DataError(
                "no training post has its number of shares, so there is nothing to learn.",
                field="shares",
                fix="Import the posts with the column that holds it (--map shares=…).",
            )
        return cls(float(known.min()), float(known.max()))

    @property
    def edges(self) -> NDArray[np.float64]:
        """The 14 edges of the classes, as log(1 + shares); a class holds its lower edge."""
        # If all were shared equally often, the range has no width to divide.
        highest = self.highest if self.highest > self.lowest else self.lowest + 1.0
        return np.linspace(self.lowest, highest, SHARE_CLASSES + 1)

    def meanings(self, outcome: Outcome) -> dict[str, str]:
        """How many shares the posts of a class have, such as "26–39 shares"; what lies beyond the
        training posts' range belongs to the first and the last class."""
        if outcome.name != "share_class":
            return {}
        # A class holds the whole numbers from its lower edge on, below its upper one.
        starts = np.ceil(np.expm1(self.edges) - _ROUNDING).astype(np.int64).tolist()
        ranges = [_range(*ends) for ends in pairwise(starts)]
        ranges[0], ranges[-1] = _range(0, starts[1]), f"{starts[-2]} shares or more"
        return dict(zip(_LABELS, ranges, strict=True))

    def transform(
        self, posts: pd.DataFrame, estimates: NDArray[np.float32] | None = None
    ) -> TargetTable:
        """log(1 + shares) and a column of 0 and 1 per class, (n, 14); NaN where shares are unknown
        (or negative)."""
        values = np.concatenate(
            [_log_shares(posts)[:, None], one_hot(self._classes(posts), SHARE_CLASSES)], axis=1
        ).astype(np.float32)
        return TargetTable(values, np.zeros(values.shape, dtype=bool))

    def restored(self, predicted: Mapping[str, ArrayLike], posts: Posts) -> dict[str, NDArray[Any]]:
        """``log_shares``, ``shares``, ``share_class`` (from 1) and the probability of each."""
        logs = np.asarray(predicted["log_shares"], dtype=np.float64).clip(min=0.0)
        classes = restored_classes(self.outcomes[-1], stacked(predicted, self.columns[1:]))
        return {"log_shares": logs, "shares": np.expm1(logs), **classes}

    def truth(self, posts: pd.DataFrame) -> pd.DataFrame:
        """post_id, ``log_shares``, ``shares`` and ``share_class``."""
        import pandas as pd

        logs, classes = _log_shares(posts), self._classes(posts)
        known = np.isfinite(classes)
        labels = np.full(len(posts), None, dtype=object)
        labels[known] = np.array(_LABELS, dtype=object)[classes[known].astype(int)]
        return pd.DataFrame(
            {
                "post_id": posts["post_id"],
                "log_shares": logs,
                "shares": np.where(known, numeric(posts, "shares"), np.nan),
                "share_class": labels,
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready state; the edges are given for people, in shares."""
        edges = np.expm1(self.edges).round(1).tolist()
        return {"lowest": self.lowest, "highest": self.highest, "class_edges_in_shares": edges}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        return cls(float(state["lowest"]), float(state["highest"]))

    def _classes(self, posts: pd.DataFrame) -> NDArray[np.float64]:
        """Number of each post's class from 0, (n,); NaN where unknown."""
        logs = _log_shares(posts)
        classes = np.searchsorted(self.edges[1:-1], logs, side="right").astype(np.float64)
        classes[np.isnan(logs)] = np.nan
        return classes


def _range(start: int, end: int) -> str:
    """The whole numbers from ``start`` to just below ``end``, in words."""
    if start >= end:
        return "no whole number of shares"
    if start == end - 1:
        return "1 share" if start == 1 else f"{start} shares"
    return f"{start}–{end - 1} shares"


def _log_shares(posts: pd.DataFrame) -> NDArray[np.float64]:
    shares = numeric(posts, "shares")
    # Counts below zero are errors in the source that was imported.
    return np.log1p(np.where(shares < 0, np.nan, shares))

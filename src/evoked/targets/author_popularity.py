"""Popularity within one author's posts: will a post be among the author's popular ones?

Zhang et al. (2018), *How to Become Instagram Famous: Post Popularity Prediction with
Dual-Attention*, Section IV-A: of each author's posts the quarter with the most likes is popular,
the quarter with the fewest is not, and the half between has no label.

The paper computes the quartiles over all posts of an author and splits the posts afterwards. That
defines the labels and leaks no feature, but nobody can do it for posts that are not published yet.
Here :meth:`AuthorPopularity.fit` computes them from the posts that it is given, which for a run are
the training posts; later posts of these authors are compared with the same two numbers. Fit on the
whole dataset to get the paper's labels. Posts by an author whom ``fit`` has not seen (held-out
authors, say) are compared with the author's other posts that are given with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.errors import DataError
from evoked.posts.author_hashes import author_hashes
from evoked.targets.base import Outcome, TargetTable, Task, numeric

# With fewer posts there is no quarter.
LEAST_POSTS = 4
_QUARTERS = (0.25, 0.75)


@dataclass(frozen=True)
class AuthorPopularity(Task):
    """Whether a post is popular among its author's posts; made by :meth:`fit`.

    A post is popular when it has at least as many likes as the upper quartile of its author's
    posts, and unpopular when it has at most as many as the lower one (quartiles interpolated
    linearly). Ties with a quartile share its label, so that either group can be larger than a
    quarter. If both quartiles are the same number, only posts above and below it are labelled;
    those at it have no label.

    Attributes
    ----------
    thresholds
        Lower and upper quartile of the likes of each author, by the author's hash; NaN for an
        author with fewer than four posts whose likes are known.
    """

    name: ClassVar[str] = "author_popularity"
    description: ClassVar[str] = (
        "whether a post is in the top or the bottom quarter of its author's"
    )
    source: ClassVar[str] = "Zhang et al. 2018"
    columns: ClassVar[tuple[str, ...]] = ("popular",)
    outcomes: ClassVar[tuple[Outcome, ...]] = (Outcome("popular", "binary", columns=("popular",)),)
    short_list: ClassVar[tuple[str, ...]] = (
        "linear",
        "gradient_boosting",
        "blend",
        "dual_baseline",
        "dual_attention",
    )

    thresholds: pd.DataFrame

    @classmethod
    def fit(cls, posts: pd.DataFrame) -> Self:
        """Learn each author's quartiles.

        Raises
        ------
        DataError
            No author has four posts with known likes.
        """
        thresholds = _quartiles(author_hashes(posts), _likes(posts))
        if not thresholds["low"].notna().any():
            raise DataError(
                f"no author has {LEAST_POSTS} training posts with known likes, so no post is "
                "popular or unpopular for its author.",
                fix="Import the posts with the columns that hold author and likes "
                "(--map author_id=… --map likes=…).",
            )
        return cls(thresholds)

    def transform(
        self, posts: pd.DataFrame, estimates: NDArray[np.float32] | None = None
    ) -> TargetTable:
        """1 for popular, 0 for unpopular, NaN for the middle half, for unknown likes or authors
        and for authors with fewer than four posts; (n, 1)."""
        authors, likes = author_hashes(posts), _likes(posts)
        strangers = ~np.isin(authors, self.thresholds.index.to_numpy())
        own = _quartiles(authors[strangers], likes[strangers])
        known = pd.concat([self.thresholds, own]).reindex(authors)
        low, high = known["low"].to_numpy(), known["high"].to_numpy()
        same = low == high
        labels = np.full(len(posts), np.nan, dtype=np.float32)
        labels[np.where(same, likes < low, likes <= low)] = 0
        labels[np.where(same, likes > high, likes >= high)] = 1
        return TargetTable(labels[:, None], np.zeros((len(posts), 1), dtype=bool))

    def inverse_transform(self, predicted: pd.DataFrame, posts: pd.DataFrame) -> pd.DataFrame:
        """``popular``: whether that is more probable than not; ``popular_probability``."""
        probability = predicted["popular"].astype(float).clip(0, 1)
        return pd.DataFrame({"popular": probability > 0.5, "popular_probability": probability})

    def truth(self, posts: pd.DataFrame) -> pd.DataFrame:
        """post_id and ``popular``: True, False, or missing for posts without a label."""
        labels = pd.Series(self.transform(posts).values[:, 0], index=posts.index)
        popular = labels.map({1.0: True, 0.0: False}).astype("boolean")
        return pd.DataFrame({"post_id": posts["post_id"], "popular": popular})

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready state, with authors as hashes."""
        lines = self.thresholds.astype(object).where(self.thresholds.notna(), None)
        return {
            "authors": lines.index.tolist(),
            "low": lines["low"].tolist(),
            "high": lines["high"].tolist(),
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        values = {name: state[name] for name in ("low", "high")}
        index = pd.Index(state["authors"], dtype=object)
        return cls(pd.DataFrame(values, index=index, dtype=np.float64))


def _likes(posts: pd.DataFrame) -> NDArray[np.float64]:
    """Known likes, (n,); NaN where unknown or negative."""
    likes = numeric(posts, "likes")
    return np.where(likes >= 0, likes, np.nan)


def _quartiles(authors: NDArray[np.object_], likes: NDArray[np.float64]) -> pd.DataFrame:
    """Lower and upper quartile of each author's likes by the author's hash, columns low, high."""
    named = authors != ""
    by_author = pd.Series(likes[named]).groupby(authors[named])
    enough = by_author.count() >= LEAST_POSTS
    table = {
        name: by_author.quantile(level).where(enough)
        for name, level in zip(("low", "high"), _QUARTERS, strict=True)
    }
    return pd.DataFrame(table).astype(np.float64)

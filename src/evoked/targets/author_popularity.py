"""Popularity within one author's posts: will a post be among the author's popular ones?

Zhang et al. (2018), *How to Become Instagram Famous: Post Popularity Prediction with
Dual-Attention*, Section IV-A: of each author's posts the quarter with the most likes is popular,
the quarter with the fewest is not, and the half between has no label. That is
:class:`AuthorQuartiles`, which the experiments run. :class:`AuthorPopularity` is the task for one's
own posts: where an account grew, its quarters are of likes beside the level of its last posts,
since those of likes alone would only show when a post appeared.

The paper computes the quartiles over all posts of an author and splits the posts afterwards. That
defines the labels and leaks no feature, but nobody can do it for posts that are not published yet.
Here ``fit`` computes them from the posts that it is given, which for a run are the training posts;
later posts of these authors are compared with the same two numbers. Fit on the whole dataset to get
the paper's labels. Posts by an author whom ``fit`` has not seen (held-out authors, say) are
compared with the author's other posts that are given with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoked.errors import DataError
from evoked.posts.author_hashes import author_hashes
from evoked.posts.author_history import known_counts, with_history
from evoked.posts.columns import numbered
from evoked.targets.account_growth import grown_accounts, relative_counts
from evoked.targets.base import Outcome, TargetTable, Task

if TYPE_CHECKING:
    import pandas as pd

    from evoked.posts.columns import Posts

Floats = NDArray[np.float64]
Authors = NDArray[np.object_]

# With fewer posts there is no quarter.
LEAST_POSTS = 4
_QUARTERS = (0.25, 0.75)
_NONE = (float("nan"), float("nan"))

Quartiles = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class AuthorQuartiles(Task):
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

    name: ClassVar[str] = "author_quartiles"
    description: ClassVar[str] = (
        "whether a post is in the top or the bottom quarter of its author's by likes, as published"
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

    thresholds: Quartiles

    @classmethod
    def fit(cls, posts: pd.DataFrame) -> Self:
        """Learn each author's quartiles.

        Raises
        ------
        DataError
            No author has four posts with known likes.
        """
        return cls(_learned_quartiles(author_hashes(posts), known_counts(posts, "likes")))

    def compared(self, posts: pd.DataFrame) -> Floats:
        """What posts of an author are ranked by, (n,), NaN where it is unknown: likes."""
        return known_counts(posts, "likes")

    def transform(
        self, posts: pd.DataFrame, estimates: NDArray[np.float32] | None = None
    ) -> TargetTable:
        """1 for popular, 0 for unpopular, NaN for the middle half, for unknown likes or authors
        and for authors with fewer than four posts; (n, 1)."""
        authors, values = author_hashes(posts), self.compared(posts)
        strangers = ~np.isin(authors, list(self.thresholds))
        known = {**self.thresholds, **_quartiles(authors[strangers], values[strangers])}
        low, high = np.array([known.get(each, _NONE) for each in authors]).reshape(-1, 2).T
        same = low == high
        labels = np.full(len(posts), np.nan, dtype=np.float32)
        labels[np.where(same, values < low, values <= low)] = 0
        labels[np.where(same, values > high, values >= high)] = 1
        return TargetTable(labels[:, None], np.zeros((len(posts), 1), dtype=bool))

    def restored(self, predicted: Mapping[str, ArrayLike], posts: Posts) -> dict[str, NDArray[Any]]:
        """``popular``: whether that is more probable than not; ``popular_probability``."""
        probability = np.asarray(predicted["popular"], dtype=np.float64).clip(0, 1)
        return {"popular": probability > 0.5, "popular_probability": probability}

    def truth(self, posts: pd.DataFrame) -> pd.DataFrame:
        """post_id and ``popular``: True, False, or missing for posts without a label."""
        import pandas as pd

        labels = pd.Series(self.transform(posts).values[:, 0], index=posts.index)
        popular = labels.map({1.0: True, 0.0: False}).astype("boolean")
        return pd.DataFrame({"post_id": posts["post_id"], "popular": popular})

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready state, with authors as hashes."""
        low, high = (
            [None if np.isnan(each[end]) else each[end] for each in self.thresholds.values()]
            for end in (0, 1)
        )
        return {"authors": list(self.thresholds), "low": low, "high": high}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        low, high = (np.array(state[name], dtype=np.float64).tolist() for name in ("low", "high"))
        ends = zip(low, high, strict=True)
        return cls({str(name): own for name, own in zip(state["authors"], ends, strict=True)})


@dataclass(frozen=True)
class AuthorPopularity(AuthorQuartiles):
    """Whether a post is popular among its author's posts, beside their level where it changed.

    As :class:`AuthorQuartiles`, but the posts of an account that grew
    (:func:`evoked.targets.account_growth.judged_accounts`) are ranked by
    :func:`evoked.targets.account_growth.relative_counts`, so that its first three have no label.
    Posts bring their history along (:func:`evoked.posts.author_history.attach_history`); without
    it, they see each other's past.

    Attributes
    ----------
    thresholds
        Quartiles of likes, of relative likes for the accounts that grew.
    grown
        Hashes of the accounts that grew.
    """

    name: ClassVar[str] = "author_popularity"
    description: ClassVar[str] = (
        "whether a post is in the top or the bottom quarter of its author's, "
        "beside the last posts where the account grew"
    )

    grown: tuple[str, ...] = ()

    @classmethod
    def fit(cls, posts: pd.DataFrame) -> Self:
        """Learn which accounts grew, and each author's quartiles.

        Raises
        ------
        DataError
            No author has four posts with known likes.
        """
        attached = with_history(posts)
        grown = grown_accounts(attached)
        values = _beside_level(attached, grown)
        return cls(_learned_quartiles(author_hashes(posts), values), tuple(grown.tolist()))

    def compared(self, posts: pd.DataFrame) -> Floats:
        """What posts of an author are ranked by, (n,), NaN where it is unknown: likes, relative
        likes where the account grew. Whether an unknown author's did is seen from these posts."""
        attached = with_history(posts)
        strangers = ~np.isin(author_hashes(posts), list(self.thresholds))
        grown = np.append(np.array(self.grown, dtype=object), grown_accounts(attached[strangers]))
        return _beside_level(attached, grown)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready state, with authors as hashes."""
        return {**super().to_dict(), "grown": list(self.grown)}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        return replace(super().from_dict(state), grown=tuple(state["grown"]))


def _beside_level(posts: pd.DataFrame, grown: Authors) -> Floats:
    """Likes of n posts with their history, (n,); relative likes of the accounts that grew."""
    moved = np.isin(author_hashes(posts), grown)
    return np.where(moved, relative_counts(posts, "likes"), known_counts(posts, "likes"))


def _learned_quartiles(authors: Authors, values: Floats) -> Quartiles:
    """Quartiles of authors, refused if there are none."""
    thresholds = _quartiles(authors, values)
    if np.isnan([low for low, _ in thresholds.values()]).all():
        raise DataError(
            f"no author has {LEAST_POSTS} training posts with known likes, so no post is "
            "popular or unpopular for its author.",
            fix="Import the posts with the columns that hold author and likes "
            "(--map author_id=… --map likes=…).",
        )
    return thresholds


def _quartiles(authors: Authors, values: Floats) -> Quartiles:
    """Lower and upper quartile of each author's values by the author's hash, in the hashes'
    order; NaN for an author with fewer than four posts of a known value."""
    codes, names = numbered(authors)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(names)))
    own = np.split(values[order], ends)[: len(names)]
    found: dict[str, tuple[float, float]] = {}
    for name, counts in sorted(zip(names, own, strict=True), key=lambda pair: str(pair[0])):
        known = counts[np.isfinite(counts)]
        if name != "":
            low, high = np.quantile(known, _QUARTERS) if len(known) >= LEAST_POSTS else _NONE
            found[name] = (float(low), float(high))
    return found

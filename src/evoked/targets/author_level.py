"""The level of posts: how many likes an author's posts usually get, before anything is known of
the post itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from evoked.posts.author_history import PREFIX, known_counts
from evoked.posts.columns import numbers_of
from evoked.posts.vocabulary import MAX_COUNT

if TYPE_CHECKING:
    import pandas as pd

    from evoked.posts.columns import Posts

Floats = NDArray[np.float64]

# The guess is worth at most so many earlier posts.
_MOST_PRIOR_POSTS = 10.0
# With so many earlier posts nothing is guessed any more.
_POSTS_ENOUGH = 5
_MOST_FOLLOWERS = float(np.log1p(MAX_COUNT))


@dataclass(frozen=True)
class AuthorLevel:
    """Level of one kind of count; made by :meth:`fit`.

    The median of the author's last ten posts and, where there are few of them, a guess from the
    number of followers: (n · median + w · guess) / (n + w), where n is the number of the author's
    earlier posts. The weight w falls from k to nothing as n rises from 0 to 5, and k is the
    variance within authors divided by that between them, as in empirical Bayes estimates of means
    (Efron and Morris 1975, *Data analysis using Stein's estimator and its generalizations*). On the
    newest tenth of 8,403 real posts of 455 authors the rule for n makes no difference (mean squared
    error 0.610 with any), on 30 posts of 20 authors guessing more loses up to a quarter. All values
    are log(1 + count).

    Attributes
    ----------
    kind
        Column of counts.
    mean
        The guess where the number of followers is unknown.
    slope, mean_followers
        The guess rises by ``slope``, from 0 to 1, per unit of log(1 + followers) above
        ``mean_followers``.
    lowest_followers, highest_followers
        The training posts' range of log(1 + followers). Beyond it the guess is proportional to the
        number of followers: a line learned among accounts of one size says nothing about others.
    prior_posts
        k: how many earlier posts the guess is worth to a new author, at most 10.
    """

    kind: str
    mean: float
    slope: float
    mean_followers: float
    lowest_followers: float
    highest_followers: float
    prior_posts: float

    @classmethod
    def fit(cls, kind: str, posts: pd.DataFrame) -> Self | None:
        """Learn from training posts with their history; None if none has the count."""
        logs = np.log1p(known_counts(posts, kind))
        known = np.isfinite(logs)
        if not known.any():
            return None
        followers = np.log1p(known_counts(posts, "followers"))
        mean, slope, middle = _ridge(followers[known], logs[known])
        lowest, highest = _range(followers[known])
        level = cls(kind, mean, slope, middle, lowest, highest, prior_posts=0.0)
        last = posts[f"{PREFIX}last_{kind}"].to_numpy(np.float64)
        return replace(level, prior_posts=_prior_posts(logs, last, level._guess(posts)))

    def of(self, posts: Posts) -> Floats:
        """Level of each of n posts with their history, (n,); never NaN."""
        guess, median = self._guess(posts), _median(self.kind, posts)
        known = np.isfinite(median)
        number = np.where(known, np.nan_to_num(numbers_of(posts, f"{PREFIX}posts")), 0.0)
        weight = self.prior_posts * np.maximum(1 - number / _POSTS_ENOUGH, 0.0)
        believed = number + weight
        share = np.where(believed > 0, number / np.where(believed > 0, believed, 1.0), 0.0)
        return share * np.where(known, median, 0.0) + (1 - share) * guess

    def knows(self, posts: Posts) -> NDArray[np.bool_]:
        """Whether the count of an earlier post of the author is known, (n,)."""
        return np.isfinite(_median(self.kind, posts))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready state."""
        return asdict(self)

    def _guess(self, posts: Posts) -> Floats:
        followers = np.log1p(known_counts(posts, "followers"))
        followers = np.where(np.isfinite(followers), followers, self.mean_followers)
        seen = np.clip(followers, self.lowest_followers, self.highest_followers)
        return self.mean + self.slope * (seen - self.mean_followers) + (followers - seen)


def _median(kind: str, posts: Posts) -> Floats:
    return numbers_of(posts, f"{PREFIX}median10_{kind}")


def _ridge(followers: Floats, logs: Floats) -> tuple[float, float, float]:
    """Mean of the counts, their slope over followers, and the mean of those, all as logarithms; the
    penalty is one post's worth."""
    known = np.isfinite(followers)
    if not known.any():
        return float(logs.mean()), 0.0, 0.0
    middle, mean = float(followers[known].mean()), float(logs[known].mean())
    above = followers[known] - middle
    spread = float(above @ above)
    if spread < 1e-9 * len(above):
        return mean, 0.0, middle
    slope = float(above @ (logs[known] - mean)) / (spread * (1 + 1 / len(above)))
    return mean, min(max(slope, 0.0), 1.0), middle


def _range(followers: Floats) -> tuple[float, float]:
    """Lowest and highest known value; a range that nothing exceeds if none is known."""
    known = followers[np.isfinite(followers)]
    return (float(known.min()), float(known.max())) if len(known) else (0.0, _MOST_FOLLOWERS)


def _prior_posts(logs: Floats, last: Floats, guess: Floats) -> float:
    """Variance within authors, from the differences of successive posts so that an account's growth
    is not part of it, divided by what the guess misses beyond."""
    known = np.isfinite(logs) & np.isfinite(last)
    if not known.any():
        return 1.0
    within = float(((logs - last)[known] ** 2).mean()) / 2
    between = float(((logs - guess)[known] ** 2).mean()) - within
    if between <= within / _MOST_PRIOR_POSTS:
        return _MOST_PRIOR_POSTS
    return within / between

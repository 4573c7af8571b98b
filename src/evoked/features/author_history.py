"""What an author's earlier posts achieved, as it was known when a post appeared.

A post sees the strictly earlier posts of its own author and nothing else: not itself, nothing
later, nothing of the same instant. Posts without a date or an author have no history and belong to
nobody's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.posts.author_hashes import author_hashes
from evoked.posts.schema import ENGAGEMENT, MAX_COUNT

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

# A model carries the history for drafts: an author's latest posts one by one, the older as a sum.
_RECENT = 5
# A model carries the history of at most so many authors, those active last: about 12 MB of JSON.
_MAX_AUTHORS = 20_000
_MICROSECONDS_PER_HOUR = 3_600_000_000
_NUMBERS = [
    "author's earlier posts (log)",
    "author's hours since previous post (log)",
    *(f"author's mean {name} (log)" for name in ENGAGEMENT),
    *(f"author's mean {name} rate (log)" for name in ENGAGEMENT),
    "author's trend over the last 5 posts",
]


@dataclass(frozen=True)
class AuthorHistory:
    """What authors have achieved, as events: single posts, or sums of an author's oldest posts.

    Attributes
    ----------
    author
        Hash of each event's author, str, (events,): a model's folder names nobody.
    instant
        Microseconds since 1970, (events,); for a sum, those of its latest post.
    posts
        Number of posts that each event stands for, (events,).
    known, total
        (events, 8): number of these posts whose value is known, and the sum of those values:
        log(1 + count) of likes, comments, shares and saves, then log((1 + count) / (1 +
        followers)) for the same four.
    """

    author: NDArray[np.object_]
    instant: Whole
    posts: Whole
    known: Whole
    total: Floats

    @classmethod
    def of(cls, posts: pd.DataFrame) -> Self:
        """One event for each dated post by a known author."""
        instant, dated = _instants(posts)
        author = author_hashes(posts)
        chosen = dated & (author != "")
        values = _engagement(posts)[chosen]
        return cls(
            author=author[chosen],
            instant=instant[chosen],
            posts=np.ones(int(chosen.sum()), dtype=np.int64),
            known=np.isfinite(values).astype(np.int64),
            total=np.nan_to_num(values),
        )

    def select(self, rows: NDArray[Any]) -> Self:
        """The events at ``rows``, positions or a mask."""
        columns = (self.author, self.instant, self.posts, self.known, self.total)
        return type(self)(*(column[rows] for column in columns))

    def joined(self, other: Self) -> Self:
        """The events of both histories."""
        return type(self)(
            *(
                np.concatenate([getattr(self, name), getattr(other, name)])
                for name in ("author", "instant", "posts", "known", "total")
            )
        )

    def completed_by(self, carried: Self) -> Self:
        """These events, with the carried ones in their place for authors of whom those know more.

        Both may contain the same posts. Up to the carried history's last instant, each author's
        events are therefore taken from one of the two: the one with more posts.
        """
        codes, authors = pd.factorize(np.concatenate([carried.author, self.author]))
        theirs, ours = codes[: len(carried.author)], codes[len(carried.author) :]
        last = np.full(len(authors), np.iinfo(np.int64).min)
        np.maximum.at(last, theirs, carried.instant)
        covered = self.instant <= last[ours]
        number_theirs = np.bincount(theirs, weights=carried.posts, minlength=len(authors))
        number_ours = np.bincount(ours, weights=self.posts * covered, minlength=len(authors))
        believed = number_theirs > number_ours
        remaining = self.select(~(believed[ours] & covered))
        return remaining.joined(carried.select(believed[theirs]))

    def compact(self) -> Self:
        """The same history with at most six events per author, for the authors active last.

        Events of one instant keep their order, on which the trend depends.
        """
        if not len(self.author):
            return self
        events = self._sorted_from_latest()
        codes = pd.factorize(events.author)[0]
        events = events.select(codes < _MAX_AUTHORS)
        codes = codes[codes < _MAX_AUTHORS]
        starts = np.flatnonzero(np.diff(codes, prepend=-1))
        age = np.arange(len(codes)) - starts[codes]
        old = events.select(age >= _RECENT)
        recent = events.select(np.flatnonzero(age < _RECENT)[::-1])
        if not len(old.author):
            return recent
        first = np.flatnonzero(np.diff(codes[age >= _RECENT], prepend=-1))
        summed = type(self)(
            author=old.author[first],
            instant=old.instant[first],
            posts=np.add.reduceat(old.posts, first),
            known=np.add.reduceat(old.known, first),
            total=np.add.reduceat(old.total, first),
        )
        return summed.joined(recent)

    def to_dict(self) -> dict[str, list[Any]]:
        """The state, ready for JSON."""
        return {
            "author": self.author.tolist(),
            "instant": self.instant.tolist(),
            "posts": self.posts.tolist(),
            "known": self.known.tolist(),
            "total": self.total.round(4).tolist(),
        }

    @classmethod
    def from_dict(cls, state: dict[str, list[Any]]) -> Self:
        """Inverse of :meth:`to_dict`.

        Raises
        ------
        KeyError, TypeError, ValueError
            This is not the state of a history.
        """
        size, values = len(state["author"]), 2 * len(ENGAGEMENT)
        return cls(
            author=np.array(state["author"], dtype=object),
            instant=np.array(state["instant"], dtype=np.int64).reshape(size),
            posts=np.array(state["posts"], dtype=np.int64).reshape(size),
            known=np.array(state["known"], dtype=np.int64).reshape(size, values),
            total=np.array(state["total"], dtype=np.float64).reshape(size, values),
        )

    def before(self, posts: pd.DataFrame) -> dict[str, Floats]:
        """What is known about the author at the instant of each of n posts; NaN where nothing is.

        Returns
        -------
        dict
            Arrays (n,) by name: number of earlier posts, hours since the previous one, mean of each
            kind of engagement (counts and rates) and the trend of the last five, all in natural
            logarithms; the trend is the mean slope per post over the kinds.
        """
        instant, dated = _instants(posts)
        author = author_hashes(posts)
        usable = dated & (author != "")
        events, start, stop = self._ranges(author, instant)
        number = stop - start
        latest = np.where(number > 0, stop - 1, -1)
        running = _cumulated(events.author, np.column_stack([events.posts, events.known]))
        totals = _cumulated(events.author, events.total)
        seen, known = np.split(_rows(running, latest), [1], axis=1)
        means = np.where(known > 0, _rows(totals, latest) / np.maximum(known, 1), np.nan)
        previous = _rows(events.instant[:, None], latest)[:, 0]
        hours = np.where(number > 0, (instant - previous) / _MICROSECONDS_PER_HOUR, np.nan)
        columns = [np.log1p(seen[:, 0]), np.log1p(hours), *means.T, _trend(events, start, stop)]
        return {
            name: np.where(usable, column, np.nan)
            for name, column in zip(_NUMBERS, columns, strict=True)
        }

    def _ranges(self, author: NDArray[np.object_], instant: Whole) -> tuple[Self, Whole, Whole]:
        """Events sorted by author and time, and for each post the range that it may see."""
        codes = pd.factorize(np.concatenate([self.author, author]))[0].astype(np.int64)
        ranks = np.unique(np.concatenate([self.instant, instant]), return_inverse=True)[1]
        # One whole number orders by author first, then by instant.
        span = int(ranks.max(initial=0)) + 1
        keys = codes * span + ranks
        own, asked = keys[: len(self.author)], keys[len(self.author) :]
        order = np.argsort(own, kind="stable")
        events, sorted_keys = self.select(order), own[order]
        first_key = codes[len(self.author) :] * span
        return events, np.searchsorted(sorted_keys, first_key), np.searchsorted(sorted_keys, asked)

    def _sorted_from_latest(self) -> Self:
        """Events by author, the author active last first, and within an author the latest first."""
        codes, authors = pd.factorize(self.author)
        last = np.full(len(authors), np.iinfo(np.int64).min)
        np.maximum.at(last, codes, self.instant)
        backwards = -np.arange(len(codes))
        return self.select(np.lexsort((backwards, -self.instant, codes, -last[codes])))


def known_counts(posts: pd.DataFrame, name: str) -> Floats:
    """A column of counts, (n,): NaN where absent or negative, at most 10^11."""
    if name not in posts:
        return np.full(len(posts), np.nan)
    counts = pd.to_numeric(posts[name], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return np.where(counts >= 0, np.minimum(counts, MAX_COUNT), np.nan)


def _engagement(posts: pd.DataFrame) -> Floats:
    """log(1 + count) for each kind, then the logarithm of its rate; (n, 8)."""
    counts = np.log1p(np.column_stack([known_counts(posts, name) for name in ENGAGEMENT]))
    followers = np.log1p(known_counts(posts, "followers"))
    return np.hstack([counts, counts - followers[:, None]])


def _trend(events: AuthorHistory, start: Whole, stop: Whole) -> Floats:
    """Slope of log(1 + count) per post over the last five before ``stop``, mean over the kinds."""
    rows = stop[:, None] - np.arange(1, _RECENT + 1)
    inside = rows >= start[:, None]
    rows = np.where(inside, rows, 0)
    steps = -np.arange(_RECENT, dtype=np.float64)
    slopes = np.full((len(stop), len(ENGAGEMENT)), np.nan)
    if not len(events.author):
        return slopes[:, 0]
    for kind in range(len(ENGAGEMENT)):
        # A sum of older posts is not a point on a line.
        single = (events.posts == 1) & (events.known[:, kind] == 1)
        used = (inside & single[rows]).astype(np.float64)
        number = np.maximum(used.sum(axis=1), 1)
        offset = steps - (used @ steps / number)[:, None]
        values = events.total[rows, kind]
        spread = (used * offset**2).sum(axis=1)
        product = (used * offset * values).sum(axis=1)
        slopes[:, kind] = np.where(spread > 0, product / np.where(spread > 0, spread, 1), np.nan)
    known = np.isfinite(slopes)
    mean = np.nan_to_num(slopes).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.where(known.any(axis=1), mean, np.nan)


def _cumulated(author: NDArray[np.object_], values: NDArray[Any]) -> Floats:
    """Running sums within each author's events."""
    return pd.DataFrame(values).groupby(author, sort=False).cumsum().to_numpy(np.float64)


def _rows(values: NDArray[Any], rows: Whole) -> Floats:
    """``values[rows]``, zeros where a row is -1."""
    padded = np.vstack([values, np.zeros((1, values.shape[1]))])
    return padded[rows]


def _instants(posts: pd.DataFrame) -> tuple[Whole, NDArray[np.bool_]]:
    """Microseconds since 1970 and which posts have a date, (n,) each."""
    if "posted_at" not in posts:
        return np.zeros(len(posts), dtype=np.int64), np.zeros(len(posts), dtype=bool)
    dates = pd.to_datetime(posts["posted_at"], utc=True).dt.as_unit("us")
    known = dates.notna().to_numpy()
    return np.where(known, dates.astype("int64").to_numpy(), 0), known

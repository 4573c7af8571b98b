"""What an author's earlier posts achieved, as it was known when a post appeared.

A post sees the strictly earlier posts of its own author and nothing else: not itself, nothing
later, nothing of the same instant. Posts without a date or an author have no history and belong to
nobody's. Where counts were observed over time, an earlier post counts with what had been observed
of it by then (:mod:`evoked.posts.observed_counts`); elsewhere, the counts of posts younger than a
given age can be left out. Posts of one instant have no order: in what is said of the last posts,
each counts with their mean. :func:`attach_history` adds what a post sees to its row of the posts'
table, once, before posts are split: features and tasks read the columns ``history.*`` from there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from evoked.errors import DataError
from evoked.files import read_json, write_text
from evoked.posts.author_hashes import author_hashes
from evoked.posts.columns import Columns, instants_of, looked_up, numbered, numbers_of
from evoked.posts.observed_counts import ObservedCounts
from evoked.posts.vocabulary import ENGAGEMENT, EXPOSURE, MAX_COUNT

if TYPE_CHECKING:
    import pandas as pd

    from evoked.posts.columns import Posts

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

PREFIX = "history."
# Counts of a post of which an author's history is kept.
KINDS = (*ENGAGEMENT, *EXPOSURE)
# Columns of posts that a history is made of.
READ = ("post_id", "author_id", "posted_at", *KINDS, "followers")
# How many of an author's last posts a mean or a median is over.
MEANS_OVER = (5, 10)
MEDIANS_OVER = (3, 5, 10, 20)
TREND_OVER = 5
SPREAD_OVER = 10
EVERYONE_OVER = 50

_RATES = tuple(f"{name}_rate" for name in ENGAGEMENT)
VALUES = (*KINDS, *_RATES, "followers")
# A run carries an author's latest posts one by one, the older as a sum.
_SINGLY = max(MEDIANS_OVER)
# Of an author's last posts, so many are looked up in the counts over time: the youngest of them may
# not have been observed yet.
_LOOKED_AT = 3 * _SINGLY
# Of so many events, what is worked out for one count is not kept beside what is for the others.
_FEW_EVENTS = 500_000
# A run carries the history of at most so many authors, those active last, and of fewer where posts
# have more than likes and comments: a post takes some 13 bytes of JSON for itself, thrice, and for
# each of these, so that all of it stays well below the 64 MiB that are read.
_MAX_AUTHORS = 20_000
_MAX_NUMBERS = 3_600_000
_MICROSECONDS_PER_HOUR = 3_600_000_000


class EveryonesCounts(Protocol):
    """What the last posts of all authors achieved, known beforehand."""

    def columns(self, posts: pd.DataFrame, min_age_hours: float = 0.0) -> dict[str, Floats]:
        """The columns ``history.everyone_*`` of n posts, (n,) each."""


def attach_history(
    posts: pd.DataFrame,
    carried: AuthorHistory | None = None,
    drafts: bool = False,
    min_age_hours: float = 0.0,
    activity: pd.DataFrame | None = None,
    among: pd.DataFrame | None = None,
    everyones: EveryonesCounts | None = None,
) -> pd.DataFrame:
    """Add to each post what its author's earlier posts achieved.

    Parameters
    ----------
    posts
        n posts of one dataset together, so that each sees its author's earlier ones. A post without
        any count may not have been published: it sees the others, and none of them sees it.
    carried
        What a run knows from its own posts; for an author of whom it knows more posts than
        ``posts`` does, it takes their place.
    drafts
        Whether none of the posts has been published: then only ``carried`` counts.
    min_age_hours
        Age in hours that an earlier post needs for its counts to be seen: younger posts' counts
        still grow. Where the activity shows how they grew, it decides.
    activity
        Counts over time of some of the posts, with the columns of
        :data:`evoked.posts.schema.ACTIVITY`: what a post sees of these is what had been observed
        by then, nothing before the first observation. Posts beyond the author's last 60, and
        beyond the last 50 of all authors, are taken to have their final counts.
    among
        All posts of the dataset, with the columns :data:`READ` at least, where ``posts`` are some
        of them: each sees its author's earlier ones among these. By default ``posts`` are all.
    everyones
        What the last posts of all authors achieved, if ``posts`` are not all there are: all posts
        of some authors.

    Returns
    -------
    DataFrame
        The posts with columns ``history.*``, float64, NaN where unknown: ``posts``, number of the
        author's earlier posts; ``hours`` since the previous one; ``last_followers`` and, for each
        kind of count k in :data:`KINDS`, all as log(1 + count) over earlier posts whose count is
        known: ``last_k``, ``mean_k`` (of all), ``mean5_k``, ``mean10_k``, ``median3_k``,
        ``median5_k``, ``median10_k``, ``median20_k``, ``trend_k`` (slope per post over the last
        five), ``spread_k`` (mean distance of the last ten from their median),
        ``everyone_k`` (mean of the last 50 posts of all authors); for likes, comments,
        shares and saves also ``mean_k_rate``, mean of log((1 + count) / (1 + followers)).
    """
    import pandas as pd

    everyone = posts if among is None else among
    published = published_posts(everyone.iloc[:0] if drafts else everyone)
    observed = None
    if activity is not None and len(activity) and len(published):
        observed = ObservedCounts.of(activity, published["post_id"])
    if carried is not None and not len(published):
        history = carried  # as it is, and so with what it has worked out for drafts before
    else:
        history = AuthorHistory.of(published)
        if carried is not None:
            history = history.completed_by(carried)
    columns = history.before(posts, min_age_hours, observed)
    if everyones is not None:
        columns |= everyones.columns(posts, min_age_hours)
    seen = pd.DataFrame(
        np.column_stack(list(columns.values())), index=posts.index, columns=list(columns)
    )
    others = [name for name in posts if not str(name).startswith(PREFIX)]
    return pd.concat([posts[others], seen], axis=1)


def published_history(posts: pd.DataFrame, carried: AuthorHistory | None = None) -> AuthorHistory:
    """What a run carries of posts for drafts, in few events.

    Parameters
    ----------
    posts
        The posts.
    carried
        What a run carries of earlier ones, some of which may be among ``posts``.
    """
    history = AuthorHistory.of(published_posts(posts))
    return (history if carried is None else history.completed_by(carried)).compact()


def has_history(posts: Posts) -> bool:
    """Whether :func:`attach_history` has been called on the posts."""
    return f"{PREFIX}posts" in posts


def with_history(posts: Posts) -> Any:
    """The posts with what they see of each other's past, unless a history is attached already."""
    if has_history(posts):
        return posts
    if isinstance(posts, Columns):
        raise TypeError("columns of posts come with what their authors' earlier posts achieved")
    return attach_history(posts)


@dataclass(frozen=True)
class AuthorHistory:
    """What authors have achieved, as events: single posts, or sums of an author's oldest posts.

    Attributes
    ----------
    author
        Hash of each event's author, str, (events,): a run's folder names nobody.
    instant
        Microseconds since 1970, (events,); for a sum, those of its latest post.
    posts
        Number of posts that each event stands for, (events,).
    known, total
        (events, 12): number of these posts whose value is known, and the sum of those values:
        log(1 + count) of each of :data:`KINDS`, then log((1 + count) / (1 +
        followers)) for the first four, then log(1 + followers).
    row
        Which of the posts that the history was made of an event is, (events,); -1 for a sum, and
        for what was carried from elsewhere.
    """

    author: NDArray[np.object_]
    instant: Whole
    posts: Whole
    known: Whole
    total: Floats
    row: Whole

    @classmethod
    def of(cls, posts: pd.DataFrame) -> Self:
        """One event for each dated post by a known author."""
        instant, dated = instants_of(posts)
        author = author_hashes(posts)
        chosen = dated & (author != "")
        values = _values(posts)[chosen]
        return cls(
            author=author[chosen],
            instant=instant[chosen],
            posts=np.ones(int(chosen.sum()), dtype=np.int64),
            known=np.isfinite(values).astype(np.int64),
            total=np.nan_to_num(values),
            row=np.flatnonzero(chosen),
        )

    def __len__(self) -> int:
        return len(self.author)

    def select(self, rows: NDArray[Any]) -> Self:
        """The events at ``rows``, positions or a mask."""
        return type(self)(*(getattr(self, each.name)[rows] for each in fields(self)))

    def of_authors(self, authors: Iterable[str]) -> Self:
        """The events of some authors, given by their hashes."""
        rows = [self._rows_of[each] for each in authors if each in self._rows_of]
        return self.select(np.concatenate(rows) if rows else np.zeros(0, np.int64))

    @cached_property
    def _rows_of(self) -> dict[str, Whole]:
        order = np.argsort(self.author, kind="stable")
        names, starts = np.unique(self.author[order], return_index=True)
        return dict(zip(names, np.split(order, starts[1:]), strict=True)) if len(self) else {}

    def joined(self, other: Self) -> Self:
        """The events of both histories."""
        return type(self)(
            *(
                np.concatenate([getattr(self, each.name), getattr(other, each.name)])
                for each in fields(self)
            )
        )

    def completed_by(self, carried: Self) -> Self:
        """These events, with the carried ones in their place for authors of whom those know more.

        Both may contain the same posts. Up to the carried history's last instant, each author's
        events are therefore taken from one of the two: the one with more posts.
        """
        codes, authors = numbered(chain(carried.author, self.author))
        theirs, ours = codes[: len(carried)], codes[len(carried) :]
        last = np.full(len(authors), np.iinfo(np.int64).min)
        np.maximum.at(last, theirs, carried.instant)
        covered = self.instant <= last[ours]
        number_theirs = np.bincount(theirs, weights=carried.posts, minlength=len(authors))
        number_ours = np.bincount(ours, weights=self.posts * covered, minlength=len(authors))
        believed = number_theirs > number_ours
        remaining = self.select(~(believed[ours] & covered))
        taken = carried.select(believed[theirs])
        return remaining.joined(replace(taken, row=np.full(len(taken), -1)))

    def compact(self) -> Self:
        """The same history in few events, for the authors active last: their last 20 posts and the
        last 50 of all authors one by one, and with each of these all of its instant, and a sum of
        each author's older posts."""
        if not len(self):
            return self
        events = self._sorted_from_latest()
        codes, _ = numbered(events.author)
        numbers = _SINGLY * (3 + int(self.known.any(axis=0).sum()))
        carried = codes < min(_MAX_AUTHORS, _MAX_NUMBERS // numbers)
        events, codes = events.select(carried), codes[carried]
        starts = np.flatnonzero(np.diff(codes, prepend=-1))
        sizes = np.diff(starts, append=len(codes))
        oldest = events.instant[starts + np.minimum(sizes, _SINGLY) - 1]
        everyones = np.sort(self.instant)[-EVERYONE_OVER:][0]
        old = events.instant < np.minimum(oldest, everyones)[codes]
        recent = events.select(np.flatnonzero(~old)[::-1])
        if not old.any():
            return recent
        first = np.flatnonzero(np.diff(codes[old], prepend=-1))
        older = events.select(old)
        summed = type(self)(
            author=older.author[first],
            instant=older.instant[first],
            posts=np.add.reduceat(older.posts, first),
            known=np.add.reduceat(older.known, first),
            total=np.add.reduceat(older.total, first),
            row=np.full(len(first), -1),
        )
        return summed.joined(recent)

    def to_dict(self) -> dict[str, Any]:
        """The state, ready for JSON; counts that no post has are left out."""
        kept = [(name, at) for at, name in enumerate(VALUES) if self.known[:, at].any()]
        return {
            "author": self.author.tolist(),
            "instant": self.instant.tolist(),
            "posts": self.posts.tolist(),
            "known": {name: self.known[:, at].tolist() for name, at in kept},
            "total": {name: self.total[:, at].round(4).tolist() for name, at in kept},
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`.

        Raises
        ------
        AttributeError, KeyError, TypeError, ValueError
            This is not the state of a history.
        """
        size = len(state["author"])
        nothing = [0] * size
        known, total = (
            np.array([state[name].get(value, nothing) for value in VALUES], dtype=np.float64).T
            for name in ("known", "total")
        )
        return cls(
            author=np.array(state["author"], dtype=object),
            instant=np.array(state["instant"], dtype=np.int64).reshape(size),
            posts=np.array(state["posts"], dtype=np.int64).reshape(size),
            known=known.reshape(size, len(VALUES)).astype(np.int64),
            total=total.reshape(size, len(VALUES)),
            row=np.full(size, -1),
        )

    def save(self, path: Path) -> None:
        """Write the history as JSON, in one line."""
        write_text(path, json.dumps(self.to_dict(), separators=(",", ":")) + "\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Inverse of :meth:`save`.

        Raises
        ------
        DataError
            The file is missing or holds something else.
        """
        state = read_json(path)
        try:
            return cls.from_dict(state)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"not what authors' earlier posts achieved ({error}).",
                file=path,
                fix="Train the model again.",
            ) from error

    def last_counts(self, posts: Posts, kind: str, number: int) -> Floats:
        """Counts of the posts that each of n posts' authors published last before it, the latest
        first, (n, number); NaN where there are fewer of a known count.

        Parameters
        ----------
        kind
            One of :data:`KINDS`.
        """
        instant, _ = instants_of(posts)
        ordered = self._in_order
        single = ordered._single(kind)
        window = single.window(ordered._codes_of(author_hashes(posts)), instant, number)
        return np.expm1(_at(window, single.values))

    def before(
        self,
        posts: Posts,
        min_age_hours: float = 0.0,
        observed: ObservedCounts | None = None,
    ) -> dict[str, Floats]:
        """What is known about the author at the instant of each of n posts, (n,) by column of
        :func:`attach_history`; NaN where nothing is.

        Parameters
        ----------
        posts, min_age_hours
            As in :func:`attach_history`.
        observed
            Counts over time of the posts that the history was made of.
        """
        posts = looked_up(posts)
        instant, dated = instants_of(posts)
        author = author_hashes(posts)
        usable = dated & (author != "")
        age = _microseconds(min_age_hours)
        ordered = self._in_order
        moments = _Moments(ordered._codes_of(author), instant, age, observed)
        columns = ordered._earlier_posts(moments)
        latest, _ = ordered._latest_before(moments.author, moments.until)
        for name in VALUES:
            columns |= ordered._counts_seen(name, moments, latest)
        return {
            f"{PREFIX}{name}": np.where(usable, values, np.nan) for name, values in columns.items()
        }

    def _earlier_posts(self, moments: _Moments) -> dict[str, Floats]:
        """Number of earlier posts, and hours since the previous one."""
        latest, has_any = self._latest_before(moments.author, moments.instant)
        number = _at(latest, _cumulated(self._codes, self.posts), absent=0.0)
        since = (moments.instant - _at(latest, self.instant, absent=0)) / _MICROSECONDS_PER_HOUR
        return {"posts": number, "hours": np.where(has_any, since, np.nan)}

    def _latest_before(self, author: Whole, until: Whole) -> tuple[Whole, NDArray[np.bool_]]:
        """Positions of each author's last event before ``until``, (n,), -1 where there is none, and
        whether there is one."""
        start, stop = _ranges(self._codes, self.instant, author, until)
        has_any = stop > start
        return np.where(has_any, stop - 1, -1), has_any

    def _counts_seen(self, name: str, moments: _Moments, latest: Whole) -> dict[str, Floats]:
        """Columns of one of the values of earlier posts, as known at each moment, (n,), whose
        author's last event before it is at ``latest``, (n,)."""
        number, total = (_at(latest, sums, absent=0.0) for sums in self._running(name))
        if name in _RATES and moments.observed is None:
            return {f"mean_{name}": _mean_of(number, total)}
        single = self._single(name)
        if moments.observed is None or name == "followers":
            window = single.window(moments.author, moments.until, _SINGLY)
            seen = _at(window, single.tied)
            everyones = single.everyones(moments.until)
        else:
            window = single.window(moments.author, moments.until, _LOOKED_AT)
            final, then = _at(window, single.values), moments.seen(single, name, window)
            number += np.isfinite(then).sum(axis=1) - np.isfinite(final).sum(axis=1)
            total += np.nansum(then, axis=1) - np.nansum(final, axis=1)
            seen = _tied_then(_at(window, single.instant.astype(np.float64)), then)
            all_authors = _last_of_all(single.instant, moments.until)
            everyones = _mean(moments.seen(single, name, all_authors))
        if name == "followers":
            return {"last_followers": seen[:, 0]}
        columns = {f"mean_{name}": _mean_of(number, total)}
        if name in _RATES:
            return columns
        columns[f"last_{name}"] = seen[:, 0]
        columns |= {f"mean{each}_{name}": _mean(seen[:, :each]) for each in MEANS_OVER}
        columns |= {f"median{each}_{name}": _median(seen[:, :each]) for each in MEDIANS_OVER}
        columns[f"trend_{name}"] = _trend(seen[:, :TREND_OVER])
        columns[f"spread_{name}"] = _spread(seen[:, :SPREAD_OVER])
        columns[f"everyone_{name}"] = everyones
        return columns

    def _single(self, name: str) -> _Single:
        """Events of single posts of which a value is known: a sum is no point on a line."""
        if name in self._singles:
            return self._singles[name]
        place = VALUES.index(name)
        count = VALUES.index(name.removesuffix("_rate"))
        rows = np.flatnonzero((self.posts == 1) & (self.known[:, place] == 1))
        single = _Single(
            author=self._codes[rows],
            instant=self.instant[rows],
            values=self.total[rows, place],
            counts=self.total[rows, count],
            row=self.row[rows],
        )
        if len(self) <= _FEW_EVENTS:
            self._singles[name] = single
        return single

    @cached_property
    def _singles(self) -> dict[str, _Single]:
        return {}

    @cached_property
    def _numbered(self) -> tuple[Whole, list[str]]:
        return numbered(self.author)

    @property
    def _codes(self) -> Whole:
        """Number of each event's author, in the order in which the events have them."""
        return self._numbered[0]

    @cached_property
    def _number_of(self) -> dict[str, int]:
        """The number of each author."""
        return {author: number for number, author in enumerate(self._numbered[1])}

    def _codes_of(self, author: NDArray[np.object_]) -> Whole:
        """Numbers of authors; of those without events, one that none has."""
        number_of = self._number_of
        return np.array([number_of.get(each, len(number_of)) for each in author], dtype=np.int64)

    def _running(self, name: str) -> tuple[Floats, Floats]:
        """Running sums, within each author's events, of how many posts a value is known of and of
        the value, (events,) each."""
        if name in self._running_sums:
            return self._running_sums[name]
        place = VALUES.index(name)
        known, total = (
            _cumulated(self._codes, each[:, place]) for each in (self.known, self.total)
        )
        if len(self) <= _FEW_EVENTS:
            self._running_sums[name] = known, total
        return known, total

    @cached_property
    def _running_sums(self) -> dict[str, tuple[Floats, Floats]]:
        return {}

    @cached_property
    def _in_order(self) -> Self:
        """Events by author, instant and counts, so that the order of rows decides nothing."""
        codes, authors = numbered(self.author)
        place = {author: rank for rank, author in enumerate(sorted(authors))}
        ranks = np.array([place[author] for author in authors], dtype=np.int64)
        # Most columns say nothing, and sorting by each takes as long as by any other.
        said = self.total[:, self.known.any(axis=0)]
        return self.select(np.lexsort((*said.T, self.instant, ranks[codes])))

    def _sorted_from_latest(self) -> Self:
        """Events by author, the author active last first, and within an author the latest first."""
        events = self._in_order
        codes, authors = numbered(events.author)
        last = np.full(len(authors), np.iinfo(np.int64).min)
        np.maximum.at(last, codes, events.instant)
        backwards = -np.arange(len(codes))
        return events.select(np.lexsort((backwards, -events.instant, codes, -last[codes])))


@dataclass(frozen=True)
class _Single:
    """Events of single posts of which one value is known, by author and instant.

    Attributes
    ----------
    author, instant, row
        As of :class:`AuthorHistory`, authors by number, (events,) each.
    values, counts
        The value, and log(1 + count) behind it if it is a rate, (events,) each.
    """

    author: Whole
    instant: Whole
    values: Floats
    counts: Floats
    row: Whole

    @cached_property
    def tied(self) -> Floats:
        """The values, each the mean of those of its author and instant, (events,)."""
        return tied_means((self.author, self.instant), self.values)

    @cached_property
    def _in_time(self) -> tuple[Whole, Floats]:
        """When events were, the earliest first, and the sums of the values of so many of them,
        which begin with 0."""
        order = np.argsort(self.instant, kind="stable")
        means = tied_means((self.instant[order],), self.values[order])
        return self.instant[order], np.concatenate([[0.0], np.cumsum(means)])

    def everyones(self, until: Whole) -> Floats:
        """Mean of the last 50 values before ``until``, whoever posted them, (n,)."""
        instant, sums = self._in_time
        stop = np.searchsorted(instant, until)
        start = np.maximum(stop - EVERYONE_OVER, 0)
        return _mean_of(stop - start, sums[stop] - sums[start])

    def window(self, author: Whole, until: Whole, number: int) -> Whole:
        """Positions of an author's last events before ``until``, the latest first, (n, number); -1
        where there are fewer."""
        start, stop = _ranges(self.author, self.instant, author, until)
        rows = stop[:, None] - np.arange(1, number + 1)
        return np.where(rows >= start[:, None], rows, -1)


@dataclass(frozen=True)
class _Moments:
    """The instants of n posts, and what can be known of earlier posts by then.

    Attributes
    ----------
    author, instant
        Of each of the n posts, (n,); authors by number.
    age
        In microseconds: what an earlier post needs for its counts to be seen, unless they were
        observed over time.
    observed
        The counts over time; None if there are none.
    """

    author: Whole
    instant: Whole
    age: int
    observed: ObservedCounts | None

    @property
    def until(self) -> Whole:
        """Earlier posts are strictly earlier than this, (n,)."""
        return _until(self.instant, self.age if self.observed is None else 0)

    def seen(self, events: _Single, name: str, window: Whole) -> Floats:
        """A value of the events at positions ``window``, (n, width), as known at each instant; NaN
        where it wasn't yet, and where a position is -1."""
        assert self.observed is not None
        kind, count, value = name.removesuffix("_rate"), events.counts, events.values
        ages = self.instant[:, None] - np.append(events.instant, 0)[window]
        final = np.where(ages >= self.age, _at(window, count), np.nan)
        rows = np.where(window >= 0, np.append(events.row, -1)[window], -1)
        return self.observed.at(kind, rows, ages, otherwise=final) + _at(window, value - count)


def known_counts(posts: Posts, name: str) -> Floats:
    """A column of counts, (n,): NaN where absent or negative, at most 10^11."""
    counts = numbers_of(posts, name)
    return np.where(counts >= 0, np.minimum(counts, MAX_COUNT), np.nan)


def instants_seen(posts: Posts, min_age_hours: float) -> tuple[Whole, NDArray[np.bool_]]:
    """Before which instant, in microseconds since 1970, earlier posts are seen by each of n posts,
    and which posts see any, (n,) each."""
    instant, dated = instants_of(posts)
    return _until(instant, _microseconds(min_age_hours)), dated & (author_hashes(posts) != "")


def _until(instant: Whole, age: int) -> Whole:
    return instant - age + 1 if age > 0 else instant


def _microseconds(hours: float) -> int:
    return round(hours * _MICROSECONDS_PER_HOUR)


def are_published(posts: Posts) -> NDArray[np.bool_]:
    """Of which of n posts any count is known, (n,): the others may be drafts."""
    counts = np.column_stack([known_counts(posts, name) for name in KINDS])
    return np.asarray(np.isfinite(counts).any(axis=1))


def published_posts(posts: pd.DataFrame) -> pd.DataFrame:
    """The posts of which any count is known."""
    return posts.iloc[np.flatnonzero(are_published(posts))]


def _values(posts: Posts) -> Floats:
    """What an event keeps of each post, (n, 12), NaN where unknown."""
    counts = np.log1p(np.column_stack([known_counts(posts, name) for name in KINDS]))
    followers = np.log1p(known_counts(posts, "followers"))[:, None]
    return np.hstack([counts, counts[:, : len(ENGAGEMENT)] - followers, followers])


def _mean_of(number: NDArray[Any], total: Floats) -> Floats:
    """Means of so many values by their sums, (n,); NaN of none."""
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def _mean(window: Floats) -> Floats:
    return _mean_of(np.isfinite(window).sum(axis=1), np.nansum(window, axis=1))


def _median(window: Floats) -> Floats:
    known = np.isfinite(window).sum(axis=1)
    ordered = np.sort(window, axis=1)  # NaN is sorted to the end
    row = np.arange(len(window))
    middle = ordered[row, np.maximum(known - 1, 0) // 2] + ordered[row, known // 2]
    return np.where(known > 0, middle / 2, np.nan)


def _trend(window: Floats) -> Floats:
    """Slope of the values per post; NaN for fewer than two."""
    used = np.isfinite(window)
    number = used.sum(axis=1)
    steps = -np.arange(window.shape[1], dtype=np.float64)
    offset = steps - (used @ steps / np.maximum(number, 1))[:, None]
    spread = (used * offset**2).sum(axis=1)
    product = (used * offset * np.nan_to_num(window)).sum(axis=1)
    return np.where(number > 1, product / np.where(number > 1, spread, 1), np.nan)


def _spread(window: Floats) -> Floats:
    """Mean distance of the values from their median; NaN for fewer than two. One value less than
    there are is divided by, since the median lies among them."""
    number = np.isfinite(window).sum(axis=1)
    total = np.nansum(np.abs(window - _median(window)[:, None]), axis=1)
    return np.where(number > 1, total / np.maximum(number - 1, 1), np.nan)


def _last_of_all(instant: Whole, until: Whole) -> Whole:
    """Positions of the last 50 events before ``until``, the latest first, (n, 50); -1 where there
    are fewer."""
    order = np.argsort(instant, kind="stable")
    rows = np.searchsorted(instant[order], until)[:, None] - np.arange(1, EVERYONE_OVER + 1)
    return np.append(order, -1)[np.where(rows >= 0, rows, len(order))]


def tied_means(keys: Sequence[NDArray[Any]], values: Floats) -> Floats:
    """Values of events in order, (n,), each the mean of those whose keys are the same."""
    if not len(values):
        return values
    starts = np.flatnonzero(_differ(keys))
    sizes = np.diff(starts, append=len(values))
    return np.repeat(np.add.reduceat(values, starts) / sizes, sizes)


def _differ(keys: Sequence[NDArray[Any]]) -> NDArray[np.bool_]:
    """Which of n events differs in a key, (n,) each, from the one before it, (n,)."""
    differs = np.ones(len(keys[0]), dtype=bool)
    differs[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return differs


def _tied_then(instants: Floats, values: Floats) -> Floats:
    """Values of windows, (n, width), each the mean of those of its instant; the known ones first,
    in their order."""
    known = np.isfinite(values)
    row, _ = np.nonzero(known)
    means = np.full(values.shape, np.nan)
    means[known] = tied_means((row, instants[known]), values[known])
    return np.take_along_axis(means, np.argsort(~known, axis=1, kind="stable"), axis=1)


def _ranges(
    authors: Whole, instants: Whole, author: Whole, until: Whole
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For each post the range of its author's events before ``until``; events are in order."""
    different, ranks = np.unique(instants, return_inverse=True)
    # One whole number orders by author first, then by instant.
    span = len(different) + 1
    keys = authors * span + ranks
    first = author * span
    last = first + np.searchsorted(different, until)
    return np.searchsorted(keys, first), np.searchsorted(keys, last)


def _at(rows: NDArray[Any], values: NDArray[Any], absent: float = np.nan) -> Any:
    """``values[rows]``, and ``absent`` where a row is -1."""
    return np.append(values, absent)[rows]


def _cumulated(author: Whole, values: NDArray[Any]) -> Floats:
    """Running sums within each author's events, (events,); events are in order by author."""
    sums = np.zeros(values.shape, dtype=np.float64)
    ends = np.append(np.flatnonzero(_differ((author,))), len(author))
    for start, stop in pairwise(ends):
        np.cumsum(values[start:stop], dtype=np.float64, out=sums[start:stop])
    return sums

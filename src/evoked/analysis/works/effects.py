"""How much better posts do that have something, than the account's others of the same time.

Every post is compared with the nine that its author published around it, so that neither the
account's growth nor the season nor a word that came up one summer can pass for an effect: what all
posts of a time share is taken out, and so is a straight line through each account. What is left is
freed of the surroundings (hour, length, format, …) by regression (Frisch and Waugh 1933).

Of many things some differ by chance. So the logarithms of counts are shuffled among posts of one
time, two thousand times, and a thing stands out if its t is beyond what the largest t of all things
is in 39 of 40 shuffles (Westfall and Young 1993), *and* the range that allows for posts of one time
(or of one author, where there are twelve authors or more) to resemble each other (CR2, see
:mod:`evoked.evaluation.clusters`) lies on one side of zero.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.analysis.works.traits import Floats, Surroundings, Trait, comparable
from evoked.errors import DataError
from evoked.evaluation.clusters import clustered_slope
from evoked.evaluation.corrections import step_down
from evoked.posts.author_hashes import author_hashes

Integers = NDArray[np.int64]

TOGETHER = 10
"""Posts of an author, one after the other, that are compared with each other."""
FEWEST_TIMES = 5
"""Times at which some posts must have a thing and others lack it."""
FEWEST_KNOWN = 30
"""Posts with a known count from which on anything is compared."""
LEVEL = 0.05
"""p of the range from which on a thing may stand out."""
CORRECTED_LEVEL = 0.025
"""p_corrected from which on it does: half of LEVEL, because luck carries over from one post to the
next, which shuffling does away with. With LEVEL itself, 7 % of 200 accounts in which nothing works
had something that stood out (``benchmarks/works.py``)."""
_SHUFFLES = 2000
# From so many authors on, what holds must hold for others like them.
_AUTHORS = 12
# Posts times shuffles at once: 16 MB.
_CHUNK = 2_000_000
_NOTHING_LEFT = 1e-9
# Logarithm beyond which no end of a range says anything.
_FARTHEST = 20.0


@dataclass(frozen=True, eq=False)
class Times:
    """Which posts are compared with each other.

    Attributes
    ----------
    time
        (n,): number of the group of posts that were published around the same time.
    author
        (n,): number of each post's author.
    place
        (n,): place of each post among its author's.
    dated
        Whether posts have dates; else all posts of an author are of one time.
    """

    time: Integers
    author: Integers
    place: Integers
    dated: bool

    @classmethod
    def of(cls, posts: pd.DataFrame) -> Times:
        """The times of n posts; posts without a date, where others have one, are a time of their
        own."""
        hashes = author_hashes(posts)
        author = pd.factorize(hashes)[0].astype(np.int64)
        when = posts["posted_at"].reset_index(drop=True)
        dated = bool(when.notna().any())
        if not dated:
            return cls(author, author, np.zeros(len(posts), np.int64), dated)
        order = np.lexsort((when.isna().to_numpy(), when.to_numpy(), author))
        place = np.empty(len(posts), np.int64)
        place[order] = pd.Series(author[order]).groupby(author[order]).cumcount().to_numpy()
        known = when.notna().to_numpy()
        size = np.bincount(author[known], minlength=author.max(initial=0) + 1)[author]
        # Nobody is left with a handful at the end: groups are of ten posts or a few more.
        number = np.minimum(place // TOGETHER, np.maximum(size // TOGETHER, 1) - 1)
        number = np.where(known, number, -1)
        pairs = pd.MultiIndex.from_arrays([author, number])
        return cls(pairs.factorize()[0].astype(np.int64), author, place, dated)

    def free(self, values: Floats) -> Floats:
        """Columns (n, any) without what posts of a time share, and without each account's line."""
        free = _less_mean(values, self.time)
        if not self.dated:
            return free
        place = _less_mean(self.place[:, None].astype(np.float64), self.time)
        authors = int(self.author.max(initial=0)) + 1
        squares = np.bincount(self.author, place[:, 0] ** 2, minlength=authors)
        slopes = _sums(free * place, self.author) / np.maximum(squares, 1e-12)[:, None]
        return np.asarray(free - place * slopes[self.author])

    @cached_property
    def clustered_by(self) -> str:
        """What may resemble each other: ``authors`` where there are many, ``times``, ``posts``."""
        if len(np.unique(self.author)) >= _AUTHORS:
            return "authors"
        return "times" if self.dated else "posts"

    @cached_property
    def clusters(self) -> Integers:
        """(n,): number of what each post may resemble others of."""
        each = {"authors": self.author, "times": self.time, "posts": np.arange(len(self.time))}
        return each[self.clustered_by]


@dataclass(frozen=True, eq=False)
class Effects:
    """What was found.

    Attributes
    ----------
    table
        A row per trait, the surest first: ``kind``, ``phrase``, ``effect`` (how many times more of
        the count, less one: 0.2 is 20 % more) with its 95 % range ``low`` and ``high``, ``plain``
        (the effect freed of time alone), ``having`` and ``lacking`` (posts), ``times`` (at which
        there are both), ``p`` (of the range), ``p_corrected`` (over all rows), ``stands`` (whether
        it stands out) and ``beside``: of one that does, the surer one beside which nothing is left
        of it, or "".
    traits
        The trait of each row.
    relative
        (n,): logarithm of each post's count, less that of the posts of its time.
    dated
        Whether the posts have dates, so that the effects are free of time.
    clusters
        What the ranges allow to resemble each other: ``authors``, ``times`` or ``posts``.
    """

    table: pd.DataFrame
    traits: list[Trait]
    relative: Floats
    dated: bool
    clusters: str


def effects(
    posts: pd.DataFrame,
    count: str,
    traits: Sequence[Trait],
    surroundings: Sequence[Surroundings] = (),
    seed: int = 0,
    elsewhere: Collection[str] = (),
) -> Effects:
    """The effect of each trait on a count.

    Parameters
    ----------
    posts
        n posts that all have the count.
    count
        A column of counts.
    traits
        Things that they have; those that too few have or lack, or at too few times, are left out.
    surroundings
        What effects are freed of, unless it is a trait's kin.
    seed
        Random seed of the shuffles.
    elsewhere
        Kinds of traits of which something else says whether they stand out
        (:func:`with_verdicts`): here, none does.

    Raises
    ------
    DataError
        There are fewer than thirty posts, or no trait can be compared.
    """
    if len(posts) < FEWEST_KNOWN:
        raise DataError(f"{len(posts)} posts have {count}, and {FEWEST_KNOWN} are needed.")
    times = Times.of(posts)
    relative = times.free(np.log1p(posts[[count]].to_numpy(np.float64)))[:, 0]
    least = FEWEST_TIMES if times.dated else 1
    varying = [(each, _varies(each, times)) for each in comparable(traits)]
    chosen = [each for each, number in varying if number >= least]
    if not chosen:
        raise DataError("nothing is found in enough posts, at enough times, and lacking in others.")
    bases = {kin: _basis(surroundings, kin, times) for kin in {each.kin for each in chosen}}
    centred = [_centred(each, times) for each in chosen]
    free = _freed(chosen, centred, bases, relative)
    tests = [clustered_slope(*pair, times.clusters) for pair in free]
    ranges = np.clip([each.interval() for each in tests], -_FARTHEST, _FARTHEST)
    p = np.array([each.p for each in tests])
    corrected = step_down(_t(free), _shuffled(free, chosen, times, seed))
    with np.errstate(invalid="ignore"):
        stands = (corrected < CORRECTED_LEVEL) & (p < LEVEL)
    stands &= np.array([each.kind not in elsewhere for each in chosen])
    slopes = np.array([_slope(*pair) for pair in free])
    table = pd.DataFrame(
        {
            "kind": [each.kind for each in chosen],
            "phrase": [each.phrase for each in chosen],
            "effect": np.expm1(slopes),
            "low": np.expm1(ranges[:, 0]),
            "high": np.expm1(ranges[:, 1]),
            "plain": np.expm1([_slope(each, relative) for each in centred]),
            "having": [each.having for each in chosen],
            "lacking": [each.lacking for each in chosen],
            "times": [number for _, number in varying if number >= least],
            "p": p,
            "p_corrected": corrected,
            "stands": stands,
        }
    )
    order = np.lexsort([-np.abs(slopes), p, corrected, ~stands])
    chosen, centred, free = ([each[row] for row in order] for each in (chosen, centred, free))
    table = table.iloc[order].reset_index(drop=True)
    table["beside"] = _beside(table, [bases[each.kin] for each in chosen], centred, free, times)
    return Effects(table, chosen, relative, times.dated, times.clustered_by)


def with_verdicts(found: Effects, signs: Mapping[str, int]) -> Effects:
    """Effects of which some more stand out.

    Parameters
    ----------
    signs
        By phrase, 1 for a trait that goes with more of the count for sure, -1 for one with less.
    """
    table = found.table
    named = table["phrase"].map(signs).fillna(0) * table["effect"] > 0
    table = table.assign(stands=table["stands"] | named)
    order = np.argsort(~table["stands"].to_numpy(), kind="stable")
    return replace(
        found,
        table=table.iloc[order].reset_index(drop=True),
        traits=[found.traits[row] for row in order],
    )


def content_of(
    found: Effects,
    posts: pd.DataFrame,
    surroundings: Sequence[Surroundings],
    kinds: Collection[str],
) -> Floats:
    """What n posts got more than others of their time, in logarithms, as far as surroundings,
    traits of some ``kinds`` and what stands out explain it, (n,)."""
    chosen = found.table["stands"] | found.table["kind"].isin(kinds)
    named = [Surroundings("", found.traits[row].values[:, None]) for row in np.flatnonzero(chosen)]
    basis = _basis([*surroundings, *named], frozenset(), Times.of(posts))
    return np.asarray(basis @ (basis.T @ found.relative))


Pair = tuple[Floats, Floats]
"""A trait and the outcome, (n,) each, both freed of time and surroundings."""


Bases = dict[frozenset[str], Floats]
"""Orthonormal columns of all surroundings but some kin, by these kin."""


def _freed(
    traits: Sequence[Trait], centred: Sequence[Floats], bases: Bases, relative: Floats
) -> list[Pair]:
    """Each trait and the outcome, both freed of all surroundings but the trait's kin."""
    outcomes = {kin: _less(relative, basis) for kin, basis in bases.items()}
    return [
        (_less(values, bases[each.kin]), outcomes[each.kin])
        for each, values in zip(traits, centred, strict=True)
    ]


def _basis(surroundings: Sequence[Surroundings], kin: frozenset[str], times: Times) -> Floats:
    """Orthonormal columns that span the surroundings, (n, at most all columns)."""
    used = [each.columns for each in surroundings if each.name not in kin]
    if not used:
        return np.zeros((len(times.time), 0))
    columns = times.free(_filled(np.column_stack(used), times.time))
    spread = np.sqrt((columns**2).sum(axis=0))
    columns = columns[:, spread > _NOTHING_LEFT] / spread[spread > _NOTHING_LEFT]
    if not columns.shape[1]:
        return columns
    left, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(left[:, sizes > 1e-6])


def _less(values: Floats, basis: Floats) -> Floats:
    return np.asarray(values - basis @ (basis.T @ values))


def _centred(trait: Trait, times: Times) -> Floats:
    return times.free(_filled(trait.values[:, None], times.time))[:, 0]


def _filled(values: Floats, time: Integers) -> Floats:
    """Unknown numbers become the mean of their time, which says nothing about an effect."""
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    number = _sums(known.astype(np.float64), time)
    means = _sums(filled, time) / np.maximum(number, 1)
    return np.where(known, values, means[time])


def _slope(x: Floats, y: Floats) -> float:
    squares = float(x @ x)
    return float(x @ y) / squares if squares > _NOTHING_LEFT else 0.0


def _t(pairs: Sequence[Pair]) -> Floats:
    """Absolute t of every trait's slope, (traits,)."""
    return np.array([float(_sizes_of_t(x[:, None], y[None])[0, 0]) for x, y in pairs])


def _sizes_of_t(x: Floats, y: Floats) -> Floats:
    """Absolute t of the slopes of each row of y, (m, n), on each column of x, (n, k): (m, k)."""
    length = np.sqrt((x**2).sum(axis=0))
    # What the surroundings explain wholly has a t of zero.
    explained = y @ (x / np.where(length > _NOTHING_LEFT, length, np.inf))
    rest = np.maximum((y**2).sum(axis=1)[:, None] - explained**2, _NOTHING_LEFT)
    return np.asarray(np.abs(explained) * np.sqrt(len(x) - 2) / np.sqrt(rest))


def _shuffled(pairs: Sequence[Pair], traits: Sequence[Trait], times: Times, seed: int) -> Floats:
    """Absolute t of every trait when outcomes are shuffled among the posts of a time, (shuffles,
    traits). All traits see the same shuffles, so that the largest t is that of one shuffle."""
    generator = np.random.default_rng(seed)
    n = len(times.time)
    by_time = np.argsort(times.time, kind="stable")
    groups: dict[frozenset[str], list[int]] = {}
    for place, each in enumerate(traits):
        groups.setdefault(each.kin, []).append(place)
    alike = [
        (places, np.stack([pairs[place][0] for place in places], axis=1), pairs[places[0]][1])
        for places in groups.values()
    ]
    found = np.empty((_SHUFFLES, len(traits)))
    step = max(1, _CHUNK // n)
    for start in range(0, _SHUFFLES, step):
        rows = slice(start, min(start + step, _SHUFFLES))
        drawn = generator.random((rows.stop - start, n)) + times.time[by_time]
        order = np.empty(drawn.shape, np.int64)
        order[:, by_time] = by_time[np.argsort(drawn, axis=1)]
        for places, x, y in alike:
            found[rows, places] = _sizes_of_t(x, y[order])
    return found


def _beside(
    table: pd.DataFrame,
    bases: Sequence[Floats],
    centred: Sequence[Floats],
    pairs: Sequence[Pair],
    times: Times,
) -> list[str]:
    """Of each trait that stands out, the surer one beside which nothing is left of it.

    ``bases``, ``centred`` and ``pairs`` are in the order of the table's rows.
    """
    kept: list[int] = []
    found = [""] * len(table)
    for row in np.flatnonzero(table["stands"]).tolist():
        x, y = pairs[row]
        if kept:
            others = np.column_stack([centred[other] for other in kept])
            basis = np.linalg.qr(_less(others, bases[row]))[0]
            left = _less(x, basis)
            test = clustered_slope(left, _less(y, basis), times.clusters)
            same = _slope(left, y) * _slope(x, y) > 0
            if not (test.p < LEVEL and same):
                near = kept[int(np.argmax(np.abs(others.T @ x)))]
                found[row] = str(table["phrase"].iloc[near])
                continue
        kept.append(row)
    return found


def _varies(trait: Trait, times: Times) -> int:
    """At how many times some posts have it and others lack it."""
    number = int(times.time.max(initial=-1)) + 1
    both = [
        np.bincount(times.time[trait.values == value], minlength=number) > 0 for value in (0, 1)
    ]
    return int((both[0] & both[1]).sum())


def _less_mean(values: Floats, groups: Integers) -> Floats:
    sizes = np.maximum(np.bincount(groups), 1)
    return np.asarray(values - (_sums(values, groups) / sizes[:, None])[groups])


def _sums(values: Floats, groups: Integers) -> Floats:
    """Sum of each column (n, m) over groups, (groups, m)."""
    number = int(groups.max(initial=-1)) + 1
    return np.stack([np.bincount(groups, column, number) for column in values.T], axis=1)

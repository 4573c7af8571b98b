"""Which posts, or viewings of posts, a model learns from, is tuned on and is tested on.

A split is decided by the posts' ids, authors and dates together with the seed, never by the order
of rows or the Python process: the same posts give the same parts everywhere.

Viewings are what a table with a column ``user_id`` holds; they have kinds of split of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.errors import DataError, SettingsError

Rows = NDArray[np.int64]

PARTS = ("train", "validation", "calibration", "test")
KINDS = ("column", "time", "author", "random")
VIEWING_KINDS = ("time", "user", "image", "random")
FRACTIONS = (0.7, 0.15, 0.15)
VIEWING_FRACTIONS = (0.8, 0.1, 0.1)
"""As in Bhattacharyya et al. (2024), *HMG-Emo*, Section IV."""

# A forecast can be judged when nearly all posts have a date.
_ENOUGH_DATES = 0.9
_COLUMN_VALUES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}


@dataclass(frozen=True, repr=False)
class Split:
    """Row numbers of parts that share no post.

    Attributes
    ----------
    train, validation, test
        int64, ascending; ``validation`` may be empty.
    kind
        One of :data:`KINDS` or :data:`VIEWING_KINDS`.
    reason
        One or two sentences on which split it is, why, and what was left out.
    calibration
        Held out from validation to calibrate intervals; empty unless :func:`with_calibration` is
        asked for it.
    """

    train: Rows
    validation: Rows
    test: Rows
    kind: str
    reason: str
    calibration: Rows = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name}={len(getattr(self, name))}" for name in PARTS)
        return f"Split({self.kind!r}, {sizes})"

    def part_names(self, n: int) -> NDArray[np.object_]:
        """The part of each of n rows by name, ``unused`` for those in none."""
        names = np.full(n, "unused", dtype=object)
        for name in PARTS:
            names[getattr(self, name)] = name
        return names


def choose_split(
    posts: pd.DataFrame,
    kind: str | None = None,
    seed: int = 0,
    fractions: tuple[float, float, float] = FRACTIONS,
) -> Split:
    """Split posts, or viewings, into training, validation and test parts.

    ============ ===================================================================
    ``column``   as the column ``split`` says (validation is cut from train if absent)
    ``time``     train on the earliest posts, test on the latest; posts of one instant stay together
    ``author``   no author in two parts
    ``random``   by a hash of ``post_id``
    ============ ===================================================================

    Viewings are split by:

    ============ ===================================================================
    ``time``     train on the earliest viewings, test on the latest
    ``user``     no user's viewings in two parts: users that are new when tested
    ``image``    no image's viewings in two parts: images that are new when tested
    ``random``   by a hash of ``user_id`` and ``post_id``, as in the paper of HMG-Emo
    ============ ===================================================================

    Parameters
    ----------
    posts
        ``post_id`` and, where known, ``author_id``, ``posted_at``, ``split``; (n,) rows. Viewings
        have ``user_id``, ``post_id`` and, where known, ``viewed_at``.
    kind
        One of the above. By default the split column if it names train and test; else by time when
        at least 90 % of the posts have a date, since a draft is scored before what it is judged by
        exists; else by author when authors have several posts, since a post by an author seen in
        training is easier than one by a stranger; else random. Viewings are split by time when
        at least 90 % of them have one, since what a user will feel is asked before it is felt,
        and at random a model would know what others felt later; else random.
    seed
        Seed of the hash; it changes neither ``column`` (with a validation part) nor ``time``.
    fractions
        Shares of train, validation and test; validation or test may be 0.

    Raises
    ------
    DataError
        Fewer posts, authors or instants than parts, or a split column without train or test.
    SettingsError
        An unknown ``kind``, or fractions that don't add up to 1.
    """
    _check_fractions(fractions)
    kinds = VIEWING_KINDS if _are_viewings(posts) else KINDS
    if kind not in (None, *kinds):
        raise SettingsError(
            f"there is no split {kind!r} of {_noun(posts)}; choose one of {', '.join(kinds)}."
        )
    chosen, why = _default_kind(posts, fractions) if kind is None else (kind, "as asked")
    if chosen == "column":
        return from_column(posts, seed, fractions, why)
    units = _units(posts, chosen, seed, min(share for share in fractions if share > 0))
    train, validation, test = _parts(units.codes, _cut(units.sizes, fractions, units.many))
    reason = f"Split by {chosen}: {why}." if chosen != "random" else f"Random split: {why}."
    details = [_about_time(posts, train, test) if chosen == "time" else "", units.left_out]
    return Split(train, validation, test, chosen, " ".join([reason, *filter(None, details)]))


def from_column(
    posts: pd.DataFrame,
    seed: int = 0,
    fractions: tuple[float, float, float] = FRACTIONS,
    why: str = "as asked",
) -> Split:
    """The split that the column ``split`` names.

    Parameters
    ----------
    posts
        With a column ``split`` of train, validation (val, valid, dev) and test; posts with
        another value or none are left out.
    seed, fractions
        How validation is cut from train, at random and in their proportion, when the column has
        none.
    why
        Closes the first sentence of the reason.

    Raises
    ------
    DataError
        The column names no training or no test post.
    """
    part = _named_parts(posts)
    train, validation, test = (
        np.flatnonzero(part.eq(name)) for name in ("train", "validation", "test")
    )
    if not len(train) or not len(test):
        raise DataError(
            f"it names {len(train)} training and {len(test)} test posts.",
            field="split",
            fix="Give both, or choose another kind of split.",
        )
    notes = [f"Split by column: {why}."]
    if not len(validation) and fractions[1] > 0 and len(train) > 1:
        inner = (fractions[0], fractions[1]) / np.sum(fractions[:2])
        units = _units(posts.iloc[train], "random", seed, 1.0)
        chosen, held_out = _parts(units.codes, _cut(units.sizes, tuple(inner), units.many))
        train, validation = train[chosen], train[held_out]
        notes.append("Validation posts are taken from train at random, the column names none.")
    left_out = len(posts) - len(train) - len(validation) - len(test)
    if left_out:
        notes.append(f"{left_out} posts that the column gives no part are left out.")
    return Split(train, validation, test, "column", " ".join(notes))


def with_calibration(posts: pd.DataFrame, split: Split, seed: int, fewest: int) -> Split:
    """A split that sets half of its validation posts aside for calibration, if none are yet.

    Halves are made as the split was: no author (user, image) in both where it is by author (user,
    image), the later half for calibration where it is by time, else at random.

    Parameters
    ----------
    posts, seed
        As in :func:`choose_split`.
    fewest
        Where there are no two halves of so many posts, all stay validation posts.
    """
    if len(split.calibration):
        return split
    rows = split.validation
    kind = split.kind if split.kind in _kinds(posts) else "random"
    units = _units(posts.iloc[rows], kind, seed, 1.0)
    if len(units.sizes) < 2:
        return split
    halves = _parts(units.codes, _cut(units.sizes, (0.5, 0.5), units.many))
    if min(map(len, halves)) < fewest:
        return split
    validation, calibration = (rows[half] for half in halves)
    return replace(split, validation=validation, calibration=calibration)


def leave_one_author_out(
    authors: Iterable[object], seed: int = 0, validation: float = 0.15
) -> Iterator[Split]:
    """One split per author, whose posts are the test part; authors in sorted order.

    Parameters
    ----------
    authors
        Author of each post, (n,); posts without one are never used.
    seed
        Seed of the choice of validation authors.
    validation
        Share of the other authors' posts held out for early stopping, by whole authors; with a
        single other author, or at 0, the validation part is empty.

    Raises
    ------
    DataError
        Fewer than two authors.
    """
    posts = pd.DataFrame({"author_id": pd.Series(list(authors), dtype=object)})
    units = _units(posts, "author", seed, 1.0)
    if len(units.sizes) < 2:
        raise DataError(
            f"leaving one author out needs two authors or more, not {len(units.sizes)}.",
            field="author_id",
        )
    names = posts["author_id"].to_numpy()
    first_rows = np.unique(units.codes, return_index=True)[1][-len(units.sizes) :]
    for code in sorted(range(len(units.sizes)), key=lambda unit: str(names[first_rows[unit]])):
        reason = f"Leave one author out: {names[first_rows[code]]}."
        yield _held_out(units, (code, code + 1), validation, "author", reason)


def k_fold(
    posts: pd.DataFrame,
    k: int = 5,
    kind: str = "random",
    seed: int = 0,
    validation: float = 0.15,
) -> Iterator[Split]:
    """Cross-validation in ``k`` folds.

    Parameters
    ----------
    posts
        As in :func:`choose_split`.
    k
        Number of folds, at least 2.
    kind
        ``random``; ``author``: no author in two parts; ``time``: the later half of the posts is
        cut into k spans, and each is the test part once, after training on all before it.
        Viewings have :data:`VIEWING_KINDS`.
    seed
        Seed of the hash of ids.
    validation
        Share of the remaining posts held out for early stopping, the latest ones for ``time``;
        empty when only one post, author or instant remains.

    Raises
    ------
    DataError
        Fewer posts, authors or instants than folds.
    SettingsError
        An unknown ``kind``, or ``k`` below 2.
    """
    if kind not in _kinds(posts):
        raise SettingsError(f"folds are made by {', '.join(_kinds(posts))}, not by {kind!r}.")
    if k < 2:
        raise SettingsError(f"cross-validation needs at least 2 folds, not {k}.")
    # By time every fold learns from the earlier half at least: who is to forecast has a past, and
    # what a model is worth on a few posts says little of what it is worth on all of them.
    spans = (0.5, *(0.5 / k,) * k) if kind == "time" else (1 / k,) * k
    units = _units(posts, kind, seed, 1 / k)
    bounds = _cut(units.sizes, spans, units.many, "ask for fewer folds (--folds)")
    for fold, span in enumerate(bounds[-k:], start=1):
        yield _held_out(units, span, validation, kind, f"Fold {fold} of {k}, by {kind}.")


def kind_of_folds(posts: pd.DataFrame, split: Split) -> str:
    """How to make folds that ask what the split asks: of new authors, of later posts, or neither.

    A split by column is read as what it keeps apart.
    """
    if split.kind != "column":
        return split.kind
    test, others = posts.iloc[split.test], posts.iloc[np.append(split.train, split.validation)]
    authors, dates = others["author_id"], others["posted_at"]
    strangers = not test["author_id"].isin(authors.dropna()).any()
    if strangers and authors.notna().all() and test["author_id"].notna().all():
        return "author"
    dated = dates.notna().all() and test["posted_at"].notna().all()
    return "time" if dated and test["posted_at"].min() > dates.max() else "random"


def repeated_runs(
    posts: pd.DataFrame,
    runs: int = 3,
    kind: str = "random",
    seed: int = 0,
    fractions: tuple[float, float, float] = VIEWING_FRACTIONS,
) -> Iterator[Split]:
    """Several splits of the same fractions whose test parts share nothing (HMG-Emo, Section IV: the
    mean and deviation of three runs).

    Parameters
    ----------
    posts
        Posts or viewings, as in :func:`choose_split`.
    runs
        How many, at least 1.
    kind
        One of :data:`VIEWING_KINDS` for viewings; ``random``, ``author`` or ``time`` for posts. By
        ``time`` the test parts are the last spans, each after all that its run learns from.
    seed
        Seed of the hash of ids.
    fractions
        Shares of train, validation and test; ``runs`` test parts have to fit.

    Raises
    ------
    DataError
        Fewer posts, authors, users, images or instants than parts.
    SettingsError
        An unknown ``kind``, no runs, or more than the test parts allow.
    """
    _check_fractions(fractions)
    if kind not in _kinds(posts):
        raise SettingsError(f"runs are made by {', '.join(_kinds(posts))}, not by {kind!r}.")
    if runs < 1 or not 0 < runs * fractions[2] <= 1 - fractions[1] * (kind == "time"):
        raise SettingsError(f"{runs} test parts of {fractions[2]:.0%} each do not fit.")
    units = _units(posts, kind, seed, min(share for share in fractions if share > 0))
    shares = (max(1 - runs * fractions[2], 0.0), *(fractions[2],) * runs)
    validation = fractions[1] / (fractions[0] + fractions[1])
    for run, span in enumerate(_cut(units.sizes, shares, units.many)[1:], start=1):
        reason = f"Run {run} of {runs}, by {kind}; no two runs share test {_noun(posts)}."
        yield _held_out(units, span, validation, kind, reason)


def held_together(posts: pd.DataFrame, kind: str) -> pd.Series | None:
    """What a bootstrap has to draw whole if posts or viewings were split by ``kind``.

    It is the author (the post itself if unknown), user or image of each, (n,); None if each post or
    viewing stands alone.
    """
    if kind not in ("author", "user", "image"):
        return None
    names = posts[_kinds(posts)[kind].column]
    return names.fillna(posts["post_id"])


class _Kind(NamedTuple):
    """What a split holds together: its column, the name of one, and the name of several."""

    column: str
    one: str
    many: str


_OF_POSTS = {
    "time": _Kind("posted_at", "date", "different dates"),
    "author": _Kind("author_id", "author", "authors"),
    "random": _Kind("post_id", "id", "posts"),
}
_OF_VIEWINGS = {
    "time": _Kind("viewed_at", "date", "different dates"),
    "user": _Kind("user_id", "user", "users"),
    "image": _Kind("post_id", "image", "images"),
    "random": _Kind("pair", "user and image", "viewings"),
}


def _are_viewings(posts: pd.DataFrame) -> bool:
    return "user_id" in posts


def _noun(posts: pd.DataFrame) -> str:
    return "viewings" if _are_viewings(posts) else "posts"


def _kinds(posts: pd.DataFrame) -> dict[str, _Kind]:
    return _OF_VIEWINGS if _are_viewings(posts) else _OF_POSTS


class _Units(NamedTuple):
    """What a split must not tear apart, in the order in which it fills the parts.

    codes: number of each post's unit, (n,), -1 for posts left out. sizes: posts in each unit.
    many: what the units are called. left_out: a sentence about posts left out, or nothing.
    """

    codes: Rows
    sizes: Rows
    many: str
    left_out: str


def _units(posts: pd.DataFrame, kind: str, seed: int, smallest_part: float) -> _Units:
    unit = _kinds(posts)[kind]
    if kind == "time":
        instants = _column(posts, unit.column)
        codes = instants.rank(method="dense").fillna(0).to_numpy().astype(np.int64) - 1
    else:
        names = _pairs(posts) if unit.column == "pair" else _column(posts, unit.column)
        found, known = pd.factorize(names)
        sizes = np.bincount(found[found >= 0], minlength=len(known))
        # An author with more posts than the smallest part should hold can only go to train.
        large = sizes > max(1.0, smallest_part * sizes.sum())
        rank = np.empty(len(known), dtype=np.int64)
        rank[np.lexsort((_hashes(known, seed), ~large))] = np.arange(len(known))
        codes = np.where(found >= 0, rank[found], -1) if len(known) else found.astype(np.int64)
    unknown = int((codes < 0).sum())
    left_out = f"{unknown} {_noun(posts)} without {unit.one} are left out." if unknown else ""
    return _Units(codes, np.bincount(codes[codes >= 0]), unit.many, left_out)


def _pairs(viewings: pd.DataFrame) -> pd.Series:
    """A name for each viewing, missing if its user or image is unknown."""
    users, images = _column(viewings, "user_id"), _column(viewings, "post_id")
    return users.astype("string") + "\n" + images.astype("string")


def _hashes(names: Iterable[object], seed: int) -> list[bytes]:
    return [
        hashlib.blake2b(f"{seed}:{name}".encode("utf-8", "replace"), digest_size=16).digest()
        for name in names
    ]


def _cut(
    sizes: Rows, fractions: tuple[float, ...], what: str, fix: str = "hold out fewer parts"
) -> list[tuple[int, int]]:
    """First and last-but-one unit of each part: as near to the fractions as whole units allow, and
    no part empty that has a fraction."""
    needed = np.array([int(share > 0) for share in fractions])
    if len(sizes) < needed.sum():
        raise DataError(
            f"{needed.sum()} parts need at least as many {what}; there are {len(sizes)}.",
            fix=f"Add some, {fix}, or choose another kind of split (--split).",
        )
    posts_before = np.concatenate([[0], np.cumsum(sizes)])
    wanted = np.cumsum(fractions)[:-1] * posts_before[-1]
    bounds = [0]
    for part, target in enumerate(wanted):
        nearest = int(np.abs(posts_before - target).argmin())
        latest = len(sizes) - int(needed[part + 1 :].sum())
        bounds.append(min(max(nearest, bounds[-1] + int(needed[part])), latest))
    bounds.append(len(sizes))
    # A last part without a fraction must not get what rounding left over.
    if not needed[-1]:
        bounds[-2] = bounds[-1]
    return list(pairwise(bounds))


def _parts(codes: Rows, bounds: list[tuple[int, int]]) -> list[Rows]:
    return [np.flatnonzero((codes >= start) & (codes < stop)) for start, stop in bounds]


def _held_out(
    units: _Units, tested: tuple[int, int], validation: float, kind: str, reason: str
) -> Split:
    """The units of a span are the test part, the others (by time: those before it) the rest."""
    start, stop = tested
    rest = np.arange(len(units.sizes))
    rest = rest[(rest < start) | ((rest >= stop) & (kind != "time"))]
    share = validation if len(rest) > 1 else 0.0
    (_, cut), _ = _cut(units.sizes[rest], (1 - share, share), units.many)
    train, held_out, test = (
        np.flatnonzero(np.isin(units.codes, chosen))
        for chosen in (rest[:cut], rest[cut:], np.arange(start, stop))
    )
    return Split(train, held_out, test, kind, " ".join(filter(None, [reason, units.left_out])))


def _default_kind(posts: pd.DataFrame, fractions: tuple[float, ...]) -> tuple[str, str]:
    needed = sum(share > 0 for share in fractions)
    if _are_viewings(posts):
        return _default_kind_of_viewings(posts, needed)
    if {"train", "test"} <= set(_named_parts(posts).dropna()):
        return "column", "the posts come with one"
    dates = _column(posts, "posted_at")
    dated = dates.notna().mean() if len(posts) else 0.0
    if dated >= _ENOUGH_DATES and dates.nunique() >= needed:
        return "time", (
            f"{dated:.0%} of the posts have a date, and a draft is scored before its engagement "
            "exists"
        )
    authors = _column(posts, "author_id")
    if needed <= authors.nunique() < authors.notna().sum():
        return "author", (
            f"dates ({dated:.0%} of the posts have one) do not allow a forecast, and posts of one "
            "author in training and test would flatter the scores"
        )
    return "random", (
        f"dates ({dated:.0%} of the posts have one) and authors ({authors.nunique()}) give nothing "
        "better to split by"
    )


def _default_kind_of_viewings(viewings: pd.DataFrame, needed: int) -> tuple[str, str]:
    times = _column(viewings, "viewed_at")
    dated = times.notna().mean() if len(viewings) else 0.0
    if dated >= _ENOUGH_DATES and times.nunique() >= needed:
        return "time", (
            f"{dated:.0%} of the viewings have a date, and what a user will feel is asked before "
            "others have felt it later"
        )
    return "random", (
        f"dates ({dated:.0%} of the viewings have one) do not allow a forecast; a test viewing is "
        "of a user and an image that occur in other viewings"
    )


def _about_time(posts: pd.DataFrame, train: Rows, test: Rows) -> str:
    """When training ends, and how many test posts are by authors seen in training."""
    if not len(test):
        return ""
    dates = posts[_kinds(posts)["time"].column]
    authors = _column(posts, "user_id" if _are_viewings(posts) else "author_id")
    text = f"Train ends {dates.iloc[train].max():%Y-%m-%d}"
    text += f", test begins {dates.iloc[test].min():%Y-%m-%d}"
    if authors.notna().any():
        met = authors.iloc[test].isin(authors.iloc[train].dropna()).mean()
        whose = "users" if _are_viewings(posts) else "authors"
        text += f"; {met:.0%} of the test {_noun(posts)} are by {whose} seen in training"
    return text + "."


def _named_parts(posts: pd.DataFrame) -> pd.Series:
    return _column(posts, "split").astype("string").str.strip().str.lower().map(_COLUMN_VALUES)


def _column(posts: pd.DataFrame, name: str) -> pd.Series:
    if name in posts:
        return posts[name].reset_index(drop=True)
    return pd.Series(pd.NA, index=range(len(posts)), dtype=object)


def _check_fractions(fractions: tuple[float, ...]) -> None:
    right = len(fractions) == 3 and min(fractions) >= 0 and fractions[0] > 0
    if not right or abs(sum(fractions) - 1) > 1e-9:
        raise SettingsError(
            f"train, validation and test are three shares that add up to 1, not {fractions}."
        )

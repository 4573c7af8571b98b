"""Rates of engagement in fixed bins, so that accounts can be compared without their counts.

Quantiles of a group's posts can't be averaged, but counts of posts per bin can be added, even
encrypted ones: see :mod:`evoked.posts.privacy.peer_files`. The bins are the same for everybody and
for good: twenty to each power of ten from a millionth to one, so that neighbours differ by 12 %,
one below and one above these, and rates of zero in the first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.posts.schema import ENGAGEMENT

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

BASES = ("followers", "views")
"""What counts are divided by."""
FORMATS = ("image", "carousel", "video", "text")
MOST_CATEGORIES = 3
PER_DECADE = 20
_LOWEST, _DECADES = -6, 6
EDGES = 10.0 ** (_LOWEST + np.arange(_DECADES * PER_DECADE + 1) / PER_DECADE)
"""Between one bin and the next, (121,)."""
BINS = len(EDGES) + 1
RATES = tuple((count, basis) for basis in BASES for count in ENGAGEMENT)
"""Every count over everything that it is divided by."""
FEWEST_POSTS = 5
"""Posts of one's own that a comparison needs."""


@dataclass(frozen=True)
class Histograms:
    """Posts per bin.

    Attributes
    ----------
    parts
        Which posts are counted: "all", formats, and categories as "category NAME".
    posts
        (parts, rates, bins): posts per bin, rates in the order of :data:`RATES`.
    accounts
        (parts, rates): accounts that have such posts.
    """

    parts: tuple[str, ...]
    posts: Whole
    accounts: Whole


def parts_of(categories: tuple[str, ...]) -> tuple[str, ...]:
    """What a group's posts are counted by."""
    return ("all", *FORMATS, *(f"category {name}" for name in categories))


def rates(posts: pd.DataFrame, count: str, basis: str) -> Floats:
    """A count of n posts over what it is divided by, (n,); NaN where either is unknown, or the
    latter zero."""
    counts, bases = (
        posts[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in (count, basis)
    )
    return np.asarray(counts / np.where(bases > 0, bases, np.nan))


def member_rows(posts: pd.DataFrame, part: str) -> NDArray[np.bool_]:
    """Which of n posts belong to a part, (n,)."""
    if part == "all":
        return np.ones(len(posts), dtype=bool)
    if part in FORMATS:
        return posts["media_type"].eq(part).to_numpy(bool)
    name = part.removeprefix("category ").casefold()
    return posts["category"].str.casefold().eq(name).to_numpy(bool, na_value=False)


def histograms(posts: pd.DataFrame, categories: tuple[str, ...] = ()) -> Histograms:
    """Posts per bin of one account."""
    parts = parts_of(categories)
    found = np.zeros((len(parts), len(RATES), BINS), dtype=np.int64)
    for number, (count, basis) in enumerate(RATES):
        values = rates(posts, count, basis)
        for place, part in enumerate(parts):
            own = values[member_rows(posts, part) & np.isfinite(values)]
            found[place, number] = np.bincount(bins_of(own), minlength=BINS)
    return Histograms(parts, found, (found.sum(axis=2) > 0).astype(np.int64))


def bins_of(values: Floats) -> Whole:
    """Number of each rate's bin; a rate on an edge belongs to the bin above."""
    return np.searchsorted(EDGES, values, side="right").astype(np.int64)


def quantile(counts: Whole, share: float) -> float:
    """A quantile of binned rates, taken to lie evenly in the logarithm within a bin.

    Parameters
    ----------
    counts
        (bins,): posts per bin; at least one.
    share
        Between 0 and 1.

    Returns
    -------
    float
        The rate; the outer edge for what lies beyond the edges, 0 in the first bin.
    """
    wanted = share * counts.sum()
    cumulated = np.cumsum(counts)
    at = int(np.searchsorted(cumulated, wanted))
    at = min(at, int(np.flatnonzero(counts)[-1]))
    if at == 0:
        return 0.0
    if at == BINS - 1:
        return float(EDGES[-1])
    within = (wanted - (cumulated[at] - counts[at])) / counts[at]
    return float(EDGES[at - 1] * (EDGES[at] / EDGES[at - 1]) ** np.clip(within, 0, 1))


def share_below(counts: Whole, value: float) -> tuple[float, float, float]:
    """The share of binned rates below a rate: what it most probably is, and its bounds, which
    differ by what lies in the rate's own bin."""
    at = int(bins_of(np.array([value]))[0])
    total, below = counts.sum(), counts[:at].sum()
    low, high = below / total, (below + counts[at]) / total
    if at in (0, BINS - 1):
        return float((low + high) / 2), float(low), float(high)
    within = np.log(value / EDGES[at - 1]) / np.log(EDGES[at] / EDGES[at - 1])
    return float(low + within * (high - low)), float(low), float(high)


def standing(posts: pd.DataFrame, peers: Histograms, fewest_accounts: int) -> pd.DataFrame:
    """Where an account's typical rates stand among the posts of a group.

    Parameters
    ----------
    posts
        The account's posts.
    peers
        The group's histograms.
    fewest_accounts
        Accounts that must have such posts, so that none of them can be made out.

    Returns
    -------
    DataFrame
        A row for each part and rate that five own posts and enough accounts have: ``part``,
        ``count``, ``basis``, ``own`` (median), ``own_posts``, ``lower``, ``median`` and ``upper``
        (quartiles of the group), ``below`` (share of the group's posts with a lower rate) with
        bounds ``below_low`` and ``below_high``, ``posts`` and ``accounts`` of the group.
    """
    rows = []
    for place, part in enumerate(peers.parts):
        chosen = member_rows(posts, part)
        for number, (count, basis) in enumerate(RATES):
            own = rates(posts, count, basis)[chosen]
            own = own[np.isfinite(own)]
            counts, accounts = peers.posts[place, number], peers.accounts[place, number]
            if len(own) < FEWEST_POSTS or accounts < fewest_accounts or not counts.sum():
                continue
            median = float(np.median(own))
            below, low, high = share_below(counts, median)
            quartiles = [quantile(counts, share) for share in (0.25, 0.5, 0.75)]
            group = (int(counts.sum()), int(accounts))
            rows.append(
                [part, count, basis, median, len(own), *quartiles, below, low, high, *group]
            )
    return pd.DataFrame(
        rows,
        columns=[
            "part", "count", "basis", "own", "own_posts", "lower", "median", "upper",
            "below", "below_low", "below_high", "posts", "accounts",
        ],
    )  # fmt: skip

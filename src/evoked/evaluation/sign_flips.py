"""Is something found more among one kind of posts than the other, where authors differ?

Every author is compared with themselves: what was counted in their posts of one kind less what was
counted in their posts of the other. Were the kinds alike, each author's difference might as well
have had the other sign (Fisher 1935, *The Design of Experiments*, Section 21), whatever the posts
of one author have in common. Differences are whole numbers, so the distribution of their sum over
all ways of choosing signs is known exactly: nothing is drawn, and no number of draws bounds how
small a p-value can be.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse, stats

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Two to the power of -5: with fewer signs to flip, no two-sided p-value is below 0.05.
FEWEST_UNITS = 6
# If an author has unequally many posts of the two kinds, differences are rounded to quarters.
_FINENESS = 4


def sign_flip_p(differences: ArrayLike) -> float:
    """Two-sided p of the sum of differences, each of whose signs might have been the other.

    Parameters
    ----------
    differences
        Whole numbers, one per author (or other unit whose sign is independent of the others').

    Returns
    -------
    float
        The share of all choices of signs whose sum is as far from zero. With differences of 1 and
        -1 it is the binomial (sign) test. NaN where every difference is zero.

    Examples
    --------
    >>> round(sign_flip_p([3, 1, 2, 0]), 6)
    0.25
    >>> round(sign_flip_p([1, 1, 1, 1, -1, 1]), 6)
    0.21875
    """
    values = np.asarray(differences, dtype=np.int64)
    return float(_p_of_sums(values, np.array([values.sum()]))[0])


def _p_of_sums(differences: Integers, sums: Integers) -> Floats:
    """p of each of ``sums``, all of them sums of these differences under some signs."""
    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    if not len(sizes):
        return np.full(len(sums), np.nan)
    # Probability that the sizes whose sign is plus sum to 0, 1, … all.
    probability = np.ones(1)
    for size, count in zip(sizes, counts, strict=True):
        step = np.zeros(size * count + 1)
        step[::size] = _coins(int(count))
        probability = np.convolve(probability, step)
    total = len(probability) - 1
    # A sum is as far from zero when at most so much has one of the two signs.
    as_far = np.cumsum(probability)[(total - np.abs(sums)) // 2]
    return np.where(sums == 0, 1.0, np.minimum(2 * as_far, 1.0))


@lru_cache(maxsize=10_000)
def _coins(count: int) -> Floats:
    """Probability that 0, 1, … all of so many coins show heads."""
    return np.asarray(stats.binom.pmf(np.arange(count + 1), count, 0.5))


def flipping_units(authors: ArrayLike | None, kind: ArrayLike) -> Integers | None:
    """Whose signs are flipped: authors', or posts' where too few authors have both kinds.

    Parameters
    ----------
    authors
        (n,): author of each post, missing where nobody knows; None where nobody knows any.
    kind
        (n,) bool: the two kinds of posts.

    Returns
    -------
    array or None
        (n,): number of each post's author, -1 for posts whose author is not known or has one kind
        only. None where fewer than 6 authors have both: then posts are the units.
    """
    of_kind = np.asarray(kind, dtype=bool)
    if authors is None:
        return None
    codes, _ = pd.factorize(np.asarray(authors, dtype=object))
    known = codes >= 0
    number = int(codes.max(initial=-1)) + 1
    first = np.bincount(codes[known & of_kind], minlength=number)
    second = np.bincount(codes[known & ~of_kind], minlength=number)
    both = (first > 0) & (second > 0)
    if both.sum() < FEWEST_UNITS:
        return None
    return np.where(known, np.where(both, np.arange(number), -1)[codes], -1).astype(np.int64)


def unit_differences(
    counts: sparse.csr_array, kind: ArrayLike, units: Integers | None
) -> sparse.csc_array:
    """What was counted in posts of the one kind less what was counted in the other, per unit.

    Parameters
    ----------
    counts
        (n, items): whole numbers.
    kind
        (n,) bool: whether a post is of the first kind.
    units
        Units that :func:`flipping_units` gives.

    Returns
    -------
    csc_array
        int64 (units, items), ready for :func:`sign_flip_p` column by column. A unit with unequally
        many posts of both kinds has its means compared; differences are then in quarters.
    """
    first = np.asarray(kind, dtype=bool)
    of_post = np.zeros(len(first), dtype=np.int64) if units is None else units
    used = of_post >= 0
    number = int(of_post.max(initial=-1)) + 1
    sizes = np.stack(
        [np.bincount(of_post[used & side], minlength=number) for side in (first, ~first)]
    ).astype(np.float64)
    # Harmonic mean: with as many posts of either kind the weights are 1.
    weights = 2 * sizes[::-1] / np.maximum(sizes.sum(axis=0), 1)
    fineness = 1 if (sizes[0] == sizes[1]).all() else _FINENESS
    weight = np.where(first, weights[0][of_post], -weights[1][of_post]) * used
    rows = np.arange(len(first)) if units is None else np.where(used, of_post, 0)
    shape = (len(first) if units is None else number, len(first))
    collect = sparse.csr_array((weight * fineness, (rows, np.arange(len(first)))), shape=shape)
    found = sparse.csc_array(collect @ counts)
    found.data = np.rint(found.data)
    return found.astype(np.int64)


def column_p(differences: sparse.csc_array, signs: Integers | None = None) -> Floats:
    """p of :func:`sign_flip_p` for every column of :func:`unit_differences`.

    Parameters
    ----------
    differences
        Whole numbers, (units, items).
    signs
        (draws, units), 1 or -1: to have p-values as if some differences were the other way round.

    Returns
    -------
    array
        (items,); with ``signs`` (draws, items).
    """
    turned = np.ones((1, differences.shape[0]), dtype=np.int64) if signs is None else signs
    sums = np.asarray(turned @ differences)
    bounds = differences.indptr
    p = np.empty(sums.shape)
    for column, (start, end) in enumerate(pairwise(bounds)):
        p[:, column] = _p_of_sums(differences.data[start:end], sums[:, column])
    return p[0] if signs is None else p


def least_p(differences: sparse.csc_array) -> Floats:
    """The least p that each column could have had, whatever its signs: (items,), 2 without any.

    It is blind to the signs, so a correction need not count the columns that could not have passed
    it anyway (Tarone 1990).
    """
    units = np.diff(sparse.csc_array(differences != 0).indptr)
    return np.asarray(2.0 ** (1 - units))

"""Is something found more among one kind of posts than the other, where authors differ?

Every author is compared with themselves: what was counted in their posts of one kind less what was
counted in their posts of the other. Were the kinds alike, each author's difference might as well
have had the other sign (Fisher 1935, *The Design of Experiments*, Section 21), whatever the posts
of one author have in common. Differences are whole numbers, so the distribution of their sum over
all ways of choosing signs is known exactly: nothing is drawn, and no number of draws bounds how
small a p-value can be.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse, stats

Integers = NDArray[np.int64]

# Two to the power of -5: with fewer signs to flip, no two-sided p-value is below 0.05.
FEWEST_UNITS = 6
# Of an author with unequally many posts of both kinds, differences are rounded to quarters.
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
    sizes, counts = np.unique(np.abs(values[values != 0]), return_counts=True)
    if not len(sizes):
        return float("nan")
    # Probability that the sizes whose sign is plus sum to 0, 1, … all.
    probability = np.ones(1)
    for size, count in zip(sizes, counts, strict=True):
        step = np.zeros(size * count + 1)
        step[::size] = stats.binom.pmf(np.arange(count + 1), count, 0.5)
        probability = np.convolve(probability, step)
    total = len(probability) - 1
    extreme = np.abs(2 * np.arange(total + 1) - total) >= abs(int(values.sum()))
    return float(min(probability[extreme].sum(), 1.0))


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
        Of :func:`flipping_units`.

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


def column_p(differences: sparse.csc_array) -> NDArray[np.float64]:
    """p of :func:`sign_flip_p` for every column of :func:`unit_differences`."""
    bounds = differences.indptr
    return np.array([sign_flip_p(differences.data[start:end]) for start, end in pairwise(bounds)])

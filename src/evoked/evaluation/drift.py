"""Whether posts still come as they used to, watched one by one without raising false alarms.

A conformal test martingale (Vovk, Gammerman and Shafer 2005, section 7.1; Vovk et al. 2021,
*Retrain or not retrain*). Each new number is ranked among all before it: if they are exchangeable,
these ranks, as shares, are independent and uniform (conformal p-values). A gambler who bets on the
next one by fair odds then can't grow rich: the chance that their wealth ever reaches 25 times what
they began with is at most 1 in 25 (Ville 1939), however often one looks. That is what a test of the
last posts, looked at after every post, does not promise. Posts of an account are exchangeable only
nearly, so that 1 in 25 is asked for where 1 in 20 is promised.

The bets are the densities of a normal score of the rank if the posts' numbers moved up or down by
:data:`SHIFT` standard deviations, or the misses of their predictions spread :data:`SPREAD` times as
far, beside no bet at all; a fiftieth of the wealth is shared out anew before each (the *simple
jumper*), since nobody knows when a change comes. Ranks of several properties of the same posts are
independent of all ranks before them as well, so the bets may be on both. The numbers themselves are
watched for a shift, not the misses: posts that were predicted from one level of their account share
that level's error, and would look shifted. And each is taken beside the author's earlier ones, the
last few left out, since an account that grows gets more with every post (:func:`series_of`).

MAPIE 1.6 has this martingale, too, but its bets are linear, at most 1.5 to 1, and it wants
scikit-learn and an estimator of its kind, which take a second to import: it is the reference in our
tests instead.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]

SHIFT = 1.2
SPREAD = 1.8
ALARM = 25.0
"""Wealth at which an alarm is raised: without change one in so many sequences reaches it."""
_JUMP = 0.02
_FEWEST_EARLIER = 5
_LAST_MISSES = 10
KINDS = ("lower", "higher", "wider")
"""What may have changed: see :class:`Alarm`."""


class Series(NamedTuple):
    """Numbers of n posts, in the order in which they came, and the misses of their predictions,
    (n,) each, both without a level of their own."""

    values: Floats
    misses: Floats


class Alarm(NamedTuple):
    """That posts no longer come as they used to.

    Attributes
    ----------
    at
        Position of the post that raised it.
    since
        Position of the post from which on they most probably differ.
    kind
        One of :data:`KINDS`: posts get less than before, or more, or predictions miss by further.
    """

    at: int
    since: int
    kind: str


def series_of(values: ArrayLike, misses: ArrayLike, authors: ArrayLike) -> Series:
    """Numbers of n posts and the misses of their predictions, without levels of their own: see
    :func:`beside_earlier`. Of the misses only the last ten count, since those of one level share
    its error, which the next level doesn't."""
    return Series(
        beside_earlier(values, authors),
        beside_earlier(misses, authors, left_out=0, earlier=_LAST_MISSES),
    )


def beside_earlier(
    values: ArrayLike, authors: ArrayLike, left_out: int = 10, earlier: int = 40
) -> Floats:
    """Each of n values, in the order in which they came, less the mean of its author's earlier
    ones, (n,): the last ``left_out`` don't count, the ``earlier`` before them do; all of them where
    those are fewer than five, NaN without any."""
    numbers, whose = np.asarray(values, np.float64), np.asarray(authors, object)
    found = np.full(len(numbers), np.nan)
    known: dict[object, list[float]] = {}
    for place, (value, author) in enumerate(zip(numbers, whose, strict=True)):
        own = known.setdefault(author, [])
        far = own[: max(len(own) - left_out, 0)][-earlier:]
        used = far if len(far) >= _FEWEST_EARLIER else own
        if used:
            found[place] = value - np.mean(used)
        own.append(value)
    return found


def conformal_p_values(reference: ArrayLike, misses: ArrayLike, seed: int = 0) -> Floats:
    """Rank of each of n misses among all before it, from the largest, as a share, (n,).

    Parameters
    ----------
    reference
        Misses from before, (m,).
    misses
        New ones in the order in which they came, (n,).
    seed
        Of the ranks among equal misses, drawn at random.
    """
    past, new = (np.asarray(each, np.float64) for each in (reference, misses))
    drawn = np.random.default_rng(seed).uniform(size=len(new))
    everything, shares = np.concatenate([past, new]), []
    for number, miss in enumerate(new, start=len(past)):
        before = everything[:number]
        higher, equal = (before > miss).sum(), (before == miss).sum() + 1
        shares.append((higher + drawn[number - len(past)] * equal) / (number + 1))
    return np.array(shares, dtype=np.float64)


def bets_of(of_values: ArrayLike, of_misses: ArrayLike) -> Floats:
    """What a unit of wealth on each of :data:`KINDS`, and on none, becomes, (n, 4).

    Parameters
    ----------
    of_values, of_misses
        Conformal p-values of the posts' numbers and of the misses of their predictions, (n,).
    """
    value, miss = (
        # The largest has the smallest share, and the highest score.
        -ndtri(np.clip(np.asarray(each, np.float64), 1e-12, 1 - 1e-12))
        for each in (of_values, of_misses)
    )
    up, down = (np.exp(sign * SHIFT * value - SHIFT**2 / 2) for sign in (1, -1))
    wide = np.exp(miss**2 / 2 * (1 - SPREAD**-2)) / SPREAD
    return np.column_stack([down, up, wide, np.ones_like(value)])


def wealth_of(bets: Floats, jump: float = _JUMP) -> Floats:
    """Wealth on each bet after each of n steps, (n, bets): in total 1 before the first; before each
    a share ``jump`` of all is divided among the bets anew."""
    number = bets.shape[1]
    now, after = np.full(number, 1 / number), []
    for bet in bets:
        now = ((1 - jump) * now + jump * now.sum() / number) * bet
        after.append(now)
    return np.array(after).reshape(-1, number)


class Watch(NamedTuple):
    """What watching posts has shown.

    Attributes
    ----------
    alarms
        Each time that posts had changed, the first first.
    wealth
        The gambler's after each post, (n,): 1 before the first and after an alarm, which
        :data:`ALARM` raises.
    """

    alarms: list[Alarm]
    wealth: Floats


def watch(reference: Series, came: Series, seed: int = 0) -> Watch:
    """When posts had changed, by so much that chance is no explanation.

    After an alarm, the gambler begins anew with what they began with.

    Parameters
    ----------
    reference
        Posts from before.
    came
        New ones, in the order in which they came.
    seed
        As for :func:`conformal_p_values`.
    """
    ranks = [conformal_p_values(past, new, seed) for past, new in zip(reference, came, strict=True)]
    bets = bets_of(*ranks)
    found: list[Alarm] = []
    course = np.ones(len(bets))
    start = 0
    while start < len(bets):
        wealth = wealth_of(bets[start:])
        course[start:] = wealth.sum(axis=1)
        rich = np.flatnonzero(course[start:] >= ALARM)
        if not len(rich):
            break
        at = start + int(rich[0])
        kind = int(wealth[rich[0], : len(KINDS)].argmax())
        gains = np.log(bets[start : at + 1, kind])[::-1].cumsum()
        found.append(Alarm(at, at - int(gains.argmax()), KINDS[kind]))
        start = at + 1
    return Watch(found, course)


def alarms(reference: Series, came: Series, seed: int = 0) -> list[Alarm]:
    """The alarms of :func:`watch`."""
    return watch(reference, came, seed).alarms

"""How often the draft that a run puts first is really ahead.

Posts that a run has not seen show it: they were predicted before anyone knew what they got. Pairs
of posts of one author that appeared near each other in time are what a choice between drafts is
like, so each post is paired with the next ten of its author. The chance that the first of a pair is
ahead is a logistic curve of the difference of their predictions (Bradley and Terry 1952, with the
predictions as the strengths), through one half where there is no difference. Its one slope says how
much a difference is worth. Before any pair is looked at, that is half of what it would be worth if
predictions were right on average and missed as far as they do. Its interval comes from resampling
posts, not pairs, since each post stands in twenty of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from evoked.evaluation.bootstrap import bootstrap_draws, interval_bounds

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# The posts of its author that each post is paired with: those that came next.
NEXT_POSTS = 10
# The slope before any pair is looked at, as a share of what it would be if predictions were right
# on average, and how far it may be from that, in spreads of the pairs. Brier scores of left-out
# authors or months, sixty authors, the twenty largest and 1,000 synthetic posts: .235, .217 and
# .241; around nothing with 1.5 spreads .235, .216 and .241; around the whole .236, .225 and .241.
_EXPECTED, _PRIOR_SPREAD = 0.5, 0.5
# A normal curve of standard deviation one is nearly a logistic one of this slope.
_LOGISTIC = 1.702
# Deviation of a normal variable by its median distance from its middle.
_DEVIATION = 1.4826
_NEWTON_STEPS = 25
_RESAMPLES = 400
# Fewer authors than this are too few to resample, so their posts are.
_FEW_AUTHORS = 10
# A curve's slope beyond which nothing changes any more: no pair is ever lost.
_STEEPEST = 1e4
# Draws of drafts to choose from, and the fewest posts of which such a draw says something.
_CHOICES = 2000
_FEWEST_CHOSEN_FROM = 20


@dataclass(frozen=True)
class HeldOut:
    """Posts that a run has not learned from, with what it said of them.

    Attributes
    ----------
    predicted, true
        n numbers each, on the scale on which errors are alike: logarithms of counts.
    authors
        Whose each post is, (n,).
    posted_at
        When each appeared, (n,); the order is theirs where none has a date.
    """

    predicted: Floats
    true: Floats
    authors: NDArray[np.object_]
    posted_at: NDArray[np.datetime64]

    @classmethod
    def of(
        cls, predicted: ArrayLike, true: ArrayLike, authors: ArrayLike, posted_at: ArrayLike
    ) -> Self:
        """Those of n posts of which both numbers are known, oldest first."""
        guessed, got = (np.asarray(each, np.float64) for each in (predicted, true))
        when = np.asarray(posted_at, "datetime64[us]")
        known = np.flatnonzero(np.isfinite(guessed) & np.isfinite(got))
        order = known[np.argsort(when[known], kind="stable")]
        whose = np.asarray(authors, object)
        return cls(guessed[order], got[order], whose[order], when[order])

    def __len__(self) -> int:
        return len(self.predicted)

    def by(self, author: object) -> HeldOut:
        """The posts of one author."""
        return self.select(self.authors == author)

    def select(self, chosen: NDArray[np.bool_]) -> HeldOut:
        """Some of the posts, (n,)."""
        return HeldOut(
            self.predicted[chosen],
            self.true[chosen],
            self.authors[chosen],
            self.posted_at[chosen],
        )

    def pairs(self) -> tuple[Integers, Integers]:
        """Positions of the first and the second post of each pair, (pairs,) each."""
        rows = np.arange(len(self))
        # Of each author the posts stand together, in order of time.
        numbers, _ = pd.factorize(self.authors)
        order = np.argsort(numbers, kind="stable")
        firsts, seconds = [], []
        for step in range(1, NEXT_POSTS + 1):
            first, second = order[: max(len(rows) - step, 0)], order[step:]
            same = numbers[first] == numbers[second]
            firsts.append(first[same])
            seconds.append(second[same])
        return np.concatenate([[], *firsts]).astype(np.int64), np.concatenate(
            [[], *seconds]
        ).astype(np.int64)


@dataclass(frozen=True)
class WinCurve:
    """The chance that one draft is ahead of another; made by :meth:`fit`.

    Attributes
    ----------
    slope, low, high
        Log odds per unit of the difference of predictions, with their 95 % interval.
    orders
        Whether the run puts posts in order better than chance does: whether the post that was ahead
        had the higher prediction, by how much it was higher, in all but one of forty resamples.
    pairs, posts, authors
        How many pairs of how many test posts of how many authors it was fitted on.
    right
        Share of the pairs in which the post that was put first was ahead; NaN without a pair.
    """

    slope: float
    low: float
    high: float
    orders: bool
    pairs: int
    posts: int
    authors: int
    right: float

    @classmethod
    def fit(cls, held_out: HeldOut, seed: int = 0) -> Self:
        """Learn from test posts. Pairs of equal truth say nothing of who is ahead and don't count;
        without any pair the slope is 0, and every chance one half."""
        first, second = held_out.pairs()
        ahead = held_out.true[first] - held_out.true[second]
        first, second, ahead = (each[ahead != 0] for each in (first, second, ahead))
        difference = held_out.predicted[first] - held_out.predicted[second]
        spread = float(np.sqrt(np.mean(difference**2))) if len(first) else 0.0
        posts = len(np.unique(np.concatenate([first, second])))
        authors = len(set(held_out.authors[first]))
        if spread == 0:
            return cls(0.0, 0.0, 0.0, False, len(first), posts, authors, float("nan"))
        expected = _EXPECTED * _slope_if_right(ahead, difference) * spread
        # Turned so that the first of each pair is the one that was ahead.
        won = np.where(ahead > 0, difference, -difference) / spread
        # Twenty pairs that share a post say less than twenty pairs: together they count as many as
        # there would be if each post stood in one.
        share = min(posts / 2 / len(first), 1.0)

        def found(weights: Floats) -> Floats:
            of_pairs = share * weights[:, first] * weights[:, second]
            return np.stack([_slopes(won, of_pairs, expected), of_pairs @ won], axis=1)

        groups = held_out.authors if authors >= _FEW_AUTHORS else None
        draws = bootstrap_draws(found, len(held_out), groups, _RESAMPLES, seed)
        (low, least), (high, _) = interval_bounds(draws)
        slope = found(np.ones((1, len(held_out))))[0, 0]
        right = float(np.mean(np.where(won == 0, 0.5, won > 0)))
        middle, lower, upper = (float(each) / spread for each in (slope, low, high))
        orders = bool(least > 0)
        return cls(middle, lower, upper, orders, len(first), posts, authors, right)

    def chance(self, difference: ArrayLike) -> tuple[Floats, Floats, Floats]:
        """The chance that a draft is ahead of one whose prediction is ``difference`` lower, with
        its 95 % interval; of a slope below zero nothing is expected, and the chance is one half."""
        values = np.asarray(difference, np.float64)
        slopes = (max(each, 0.0) for each in (self.slope, self.low, self.high))
        middle, low, high = (expit(slope * values) for slope in slopes)
        return middle, np.minimum(low, high), np.maximum(low, high)


def _slope_if_right(ahead: Floats, difference: Floats) -> float:
    """Log odds per unit, if predictions are right on average and differences of two posts miss as
    far as they do; infinite misses and none at all are kept within what numbers can hold."""
    miss = _DEVIATION * float(np.median(np.abs(ahead - difference)))
    return min(_LOGISTIC / max(miss, 1e-9), _STEEPEST)


def _slopes(won: Floats, weights: Floats, expected: float) -> Floats:
    """The most probable slope for each row of weights: Newton's method for one coefficient.

    Parameters
    ----------
    won
        By how much the prediction of the post that was ahead was higher, (pairs,).
    weights
        How often each pair counts, (draws, pairs).
    expected
        The middle of the prior.
    """
    slope = np.full(len(weights), expected)
    for _ in range(_NEWTON_STEPS):
        lost = expit(-slope[:, None] * won)
        gradient = (weights * lost) @ won - (slope - expected) / _PRIOR_SPREAD**2
        curvature = (weights * lost * (1 - lost)) @ won**2 + 1 / _PRIOR_SPREAD**2
        # Steps of at most 2: far from the top the curve is nearly flat, and a full step overshoots.
        slope = np.clip(slope + np.clip(gradient / curvature, -2, 2), -_STEEPEST, _STEEPEST)
    return slope


def flattery(held_out: HeldOut, drafts: int, coverage: float, seed: int = 0) -> tuple[float, float]:
    """How much further a range has to reach down and up because its draft was chosen.

    Whoever takes the best of several predictions takes one that is too high more often than too
    low (the winner's curse; optimiser's curse, Smith and Winkler 2006). Test posts show by how
    much: of ``drafts`` of one author that appeared near each other, the one with the best
    prediction is taken, many times; the ends of its misses are held against those of all posts.

    Parameters
    ----------
    held_out
        Test posts.
    drafts
        How many there are to choose from.
    coverage
        How often the range is to hold the truth.

    Returns
    -------
    tuple
        Widening below and above, zero or more, in the unit of the predictions; zero with fewer
        than twenty posts, which show nothing of it.
    """
    first, second = held_out.pairs()
    if drafts < 2 or len(held_out) < _FEWEST_CHOSEN_FROM or not len(first):
        return 0.0, 0.0
    generator = np.random.default_rng(seed)
    misses = held_out.true - held_out.predicted
    # A draw is a post and others near it: of each pair the second, by the post that comes first.
    order = np.argsort(first, kind="stable")
    starts, begins, numbers = np.unique(first[order], return_index=True, return_counts=True)
    drawn = generator.integers(len(starts), size=_CHOICES)
    shares = generator.random((_CHOICES, drafts - 1))
    picks = begins[drawn, None] + (shares * numbers[drawn, None]).astype(int)
    candidates = np.column_stack([starts[drawn], second[order][picks]])
    best = np.argmax(held_out.predicted[candidates], axis=1)
    chosen = candidates[np.arange(_CHOICES), best]
    ends = [(1 - coverage) / 2, (1 + coverage) / 2]
    usual = np.quantile(misses, ends)
    of_chosen = np.quantile(misses[chosen], ends)
    return float(max(usual[0] - of_chosen[0], 0)), float(max(of_chosen[1] - usual[1], 0))

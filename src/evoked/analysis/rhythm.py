"""What hours and weekdays add to a post: a Gaussian model that shrinks, in closed form.

The outcome of a post is its author's level, which drifts, and a curve over the week, and chance:

    y = level(author, time) + f(hour, weekday) + e

The level is a constant and an Ornstein-Uhlenbeck process. The curve is made of sines and cosines of
the hour, shared by all days and of weekdays or weekends alone, and a shift of each weekday. Its
coefficients are everyone's plus the author's own, each normal around zero (or around everyone's):
few posts are shrunk to no difference, or to everyone's. How far is not set but weighed: every pair
of spreads on a grid counts as much as it explains the posts (empirical Bayes, integrated over the
grid; Rasmussen and Williams 2006, chapters 2 and 5). The spread of chance is integrated over as
well, so that all is linear algebra on sums over posts.

Whether there is any curve at all is asked of permutations: under that hypothesis, outcomes whose
level is taken out can be exchanged. Curves of many authors can differ though nothing is common to
them; then their signs are flipped instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

HOURS, WEEKDAYS = 24, 7
# Saturday and Sunday, Monday = 0.
WEEKEND = (5, 6)
# Sines and cosines that go round up to so many times a day; of order k they are 1/k^2 as large,
# so that curves are smooth: nobody's audience comes and goes within an hour.
_ORDERS = 4
# Shares of the curve's variance: what weekdays and weekends have apart, and weekdays' shifts.
_APART, _SHIFTS = 0.15, 0.15
# Variances of the curve, in those of chance.
_VARIANCES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
# Variances of the drifting level, in those of chance, and the days within which it drifts.
_DRIFTS, _DRIFT_DAYS = (0.1, 0.4, 1.5, 5.0), (20.0, 90.0, 400.0)
_NO_DRIFT = (0.0, 1.0)
# So much larger than chance that the level itself is not shrunk.
_FREE = 1e3
# Outcomes farther from the others than so many standard deviations count as just that far: one
# that went viral says little about its hour.
_FARTHEST = 3.0
_DEVIATION = 1.4826
# Latest posts per author and authors with most posts: a level takes the cube of the one.
_MOST_POSTS, _MOST_AUTHORS = 1000, 2000
# Fewer authors than this cannot show by their signs what they have in common.
_FEWEST_FOR_SIGNS = 10
_RESAMPLES = 999


def curve_columns(hours: ArrayLike, weekdays: ArrayLike) -> Floats:
    """What the curve is made of at n moments, (n, columns); the squares of a row sum up to one.

    Parameters
    ----------
    hours
        Hours of the day, [0, 24), (n,).
    weekdays
        Days of the week, Monday = 0, (n,).
    """
    angle = 2 * np.pi * np.asarray(hours, np.float64)[:, None] / HOURS * np.arange(1, _ORDERS + 1)
    sizes = 1 / np.arange(1, _ORDERS + 1) ** 2
    waves = np.hstack([np.cos(angle) * sizes, np.sin(angle) * sizes])
    waves /= np.sqrt((sizes**2).sum())
    days = np.asarray(weekdays, np.int64)
    weekend = np.isin(days, WEEKEND)[:, None]
    shared, apart = np.sqrt(1 - _APART - _SHIFTS) * waves, np.sqrt(_APART) * waves
    shifts = np.sqrt(_SHIFTS) * (days[:, None] == np.arange(WEEKDAYS))
    return np.hstack([shared, apart * ~weekend, apart * weekend, shifts])


# Of :func:`curve_columns`, those of hours and those of weekdays.
_OF_HOURS, _OF_WEEKDAYS = slice(0, -WEEKDAYS), slice(-WEEKDAYS, None)


@dataclass(frozen=True)
class Rhythm:
    """What hours and weekdays add, of everyone and of each author; made by :meth:`fit`.

    Attributes
    ----------
    authors
        Authors by number, (authors,).
    posts
        Number of posts that were read.
    spread
        Standard deviation of what neither level nor curve explains.
    chances
        Chance of each pair of spreads, (everyone's, authors' own); they sum up to one.
    """

    authors: NDArray[np.object_]
    posts: int
    spread: float
    chances: Floats
    _parts: tuple[_Part, ...]
    _sums: _Sums

    @classmethod
    def fit(
        cls,
        outcomes: ArrayLike,
        hours: ArrayLike,
        weekdays: ArrayLike,
        authors: ArrayLike,
        days: ArrayLike | None = None,
        kinds: ArrayLike | None = None,
        noise: ArrayLike | None = None,
    ) -> Self:
        """Learn from n posts.

        Parameters
        ----------
        outcomes
            What posts got on a scale on which effects add up, such as log(1 + likes) less what was
            expected, (n,).
        hours, weekdays
            Hours of the day, [0, 24), and days of the week, Monday = 0, (n,) each.
        authors
            Whose each post is, (n,).
        days
            When each appeared, in days, (n,), for levels that drift; constant ones if left out.
        kinds
            Outcomes of different kinds, whole numbers, have levels of their own, (n,); all are of
            one kind if left out.
        noise
            Variances of chance, each relative to the others, (n,); equal if left out.
        """
        values = np.asarray(outcomes, np.float64)
        columns = curve_columns(hours, weekdays)
        weights = np.ones(len(values)) if noise is None else np.asarray(noise, np.float64)
        times = np.zeros(len(values)) if days is None else np.asarray(days, np.float64)
        kind = np.zeros(len(values)) if kinds is None else np.asarray(kinds)
        numbers, names = pd.factorize(np.asarray(authors, object))
        groups = _groups(numbers, times)
        levels = [_Level(weights[rows], times[rows], kind[rows]) for rows in groups]
        drift = _NO_DRIFT
        if days is not None:
            drift = _drift([values[rows] for rows in groups], levels)
        parts = _bounded(
            tuple(
                _Part(*level.taken_out(values[rows], columns[rows], drift))
                for rows, level in zip(groups, levels, strict=True)
            )
        )
        sums = _Sums.of(parts)
        chances = sums.chances()
        found = cls(
            np.asarray(names, object)[[numbers[rows[0]] for rows in groups]],
            sum(len(rows) for rows in groups),
            0.0,
            chances,
            parts,
            sums,
        )
        squares = sum(
            chances[common, own] * sums.solved(common, own).squares / sums.freedom
            for common, own in np.argwhere(chances > 0)
        )
        return cls(found.authors, found.posts, float(np.sqrt(squares)), chances, parts, sums)

    def number_of(self, author: object) -> int | None:
        """The number of an author; None for one whose posts were not read."""
        found = np.flatnonzero(self.authors == author)
        return int(found[0]) if len(found) else None

    def draws(self, author: object = None, number: int = 2000, seed: int = 0) -> Floats:
        """Coefficients of :func:`curve_columns` as they may be, given the posts, (number, columns).

        Parameters
        ----------
        author
            Whose; what is everyone's if None. An author without posts has everyone's.
        number, seed
            How many draws, and what they are drawn with.
        """
        generator = np.random.default_rng(seed)
        position = self.number_of(author)
        if position is None and len(self._parts) == 1:
            position = 0
        often = generator.multinomial(number, self.chances.ravel()).reshape(self.chances.shape)
        return np.vstack(
            [
                self._sums.draws(common, own, position, int(often[common, own]), generator)
                for common, own in np.argwhere(often)
            ]
        )

    def chance_of_none(self, author: object = None, of: str = "hours", seed: int = 0) -> float:
        """How often posts would look as uneven if there were no difference: the p-value of
        permutations.

        Parameters
        ----------
        author
            Whose posts are asked; what is common to everyone's if None.
        of
            ``hours`` or ``weekdays``.
        seed
            What resamples are drawn with.
        """
        columns = _OF_HOURS if of == "hours" else _OF_WEEKDAYS
        generator = np.random.default_rng(seed)
        position = self.number_of(author)
        if author is not None and position is None:
            return 1.0
        if position is None and len(self._parts) >= _FEWEST_FOR_SIGNS:
            return self._by_signs(columns, generator)
        parts = self._parts if position is None else (self._parts[position],)
        width = parts[0].columns[:, columns].shape[1]
        observed, drawn = np.zeros(width), np.zeros((_RESAMPLES, width))
        for part in parts:
            observed += part.columns[:, columns].T @ part.values
            orders = generator.permuted(
                np.tile(np.arange(len(part.values)), (_RESAMPLES, 1)), axis=1
            )
            drawn += part.values[orders] @ part.columns[:, columns]
        return _share_as_large(observed, drawn)

    def _by_signs(self, columns: slice, generator: np.random.Generator) -> float:
        own = int(np.argmax(self.chances.sum(axis=0)))
        scores = self._sums.of_own[own].scores[:, columns]
        signs = generator.choice([-1.0, 1.0], (_RESAMPLES, len(scores)))
        return _share_as_large(scores.sum(axis=0), signs @ scores)


def _share_as_large(observed: Floats, drawn: Floats) -> float:
    sizes = (drawn**2).sum(axis=1)
    return float((1 + (sizes >= (observed**2).sum()).sum()) / (1 + len(sizes)))


@dataclass(frozen=True)
class _Part:
    """Posts of an author whose level is taken out: values (m,) that chance alone makes independent
    and equally spread, and the curve's columns (m, columns) to match."""

    values: Floats
    columns: Floats


def _groups(numbers: Integers, times: Floats) -> list[Integers]:
    """Positions of each author's latest posts in order of time, of those with most posts; one post
    alone says nothing."""
    order = np.lexsort((times, numbers))
    starts = np.flatnonzero(np.diff(numbers[order], prepend=-1))
    groups = np.split(order, starts[1:])
    several = [at for at, rows in enumerate(groups) if len(rows) > 1]
    by_size = sorted(several, key=lambda at: -len(groups[at]))[:_MOST_AUTHORS]
    return [groups[at][-_MOST_POSTS:] for at in sorted(by_size)]


@dataclass(frozen=True)
class _Level:
    """What an author's level may be at m posts.

    Attributes
    ----------
    noise
        Variances of chance, each relative to the others, (m,).
    days
        When the posts appeared, (m,).
    kinds
        Posts of different kinds have levels of their own, (m,).
    """

    noise: Floats
    days: Floats
    kinds: Floats

    def root(self, drift: tuple[float, float]) -> Floats:
        """The Cholesky factor of the covariance without a curve, in variances of chance."""
        size, days = drift
        found = np.full((len(self.days), len(self.days)), _FREE)
        if size:
            found += size * np.exp(-np.abs(self.days[:, None] - self.days) / days)
        found *= self.kinds[:, None] == self.kinds
        found[np.diag_indices(len(found))] += self.noise
        return np.linalg.cholesky(found)

    def taken_out(
        self, values: Floats, columns: Floats, drift: tuple[float, float]
    ) -> tuple[Floats, Floats]:
        """Values and columns without the level; the first post of each kind says what that is, and
        nothing else."""
        both = np.column_stack([values, columns])
        left = solve_triangular(self.root(drift), both, lower=True, check_finite=False)
        first = np.unique(self.kinds, return_index=True)[1]
        left = np.delete(left, first, axis=0)
        return left[:, 0], left[:, 1:]


def _drift(values: list[Floats], levels: list[_Level]) -> tuple[float, float]:
    """Variance and days of the drift under which the posts are most probable."""
    freedom = sum(len(level.days) - len(np.unique(level.kinds)) for level in levels)
    best, found = -np.inf, _NO_DRIFT
    for drift in [_NO_DRIFT, *((size, days) for size in _DRIFTS for days in _DRIFT_DAYS)]:
        squares, determinant = 0.0, 0.0
        for own, level in zip(values, levels, strict=True):
            root = level.root(drift)
            left = solve_triangular(root, own, lower=True, check_finite=False)
            squares += float(left @ left)
            determinant += float(np.log(np.diag(root)).sum())
        likelihood = -determinant - freedom / 2 * np.log(max(squares, 1e-12))
        if likelihood > best:
            best, found = likelihood, drift
    return found


def _bounded(parts: tuple[_Part, ...]) -> tuple[_Part, ...]:
    """The parts with values that are no farther from zero than a few standard deviations."""
    every = np.concatenate([part.values for part in parts])
    bound = _FARTHEST * _DEVIATION * float(np.median(np.abs(every))) if len(every) else 0.0
    if bound == 0:
        return parts
    return tuple(_Part(np.clip(part.values, -bound, bound), part.columns) for part in parts)


@dataclass(frozen=True)
class _OfOwn:
    """What authors say of everyone's coefficients when their own have a given variance.

    Attributes
    ----------
    inverses
        Covariances of own coefficients, in variances of chance, (authors, columns, columns).
    precision, score
        Of everyone's coefficients, (columns, columns) and (columns,).
    scores
        Each author's share of the score, (authors, columns).
    squares, determinant
        What is left of the sum of squares, and half the logarithm of the determinant.
    """

    inverses: Floats
    precision: Floats
    score: Floats
    scores: Floats
    squares: float
    determinant: float


@dataclass(frozen=True)
class _Solved:
    """Everyone's coefficients under given variances: mean (columns,) and covariance in variances
    of chance, (columns, columns); the sum of squares that is left, and the log likelihood."""

    mean: Floats
    covariance: Floats
    squares: float
    likelihood: float


@dataclass(frozen=True)
class _Sums:
    """All that the coefficients depend on: sums over each author's posts.

    Attributes
    ----------
    products
        Of columns with columns, (authors, columns, columns).
    scores
        Of columns with values, (authors, columns).
    squares
        Of values, over all posts.
    freedom
        Number of posts beyond the first of each author.
    """

    products: Floats
    scores: Floats
    squares: float
    freedom: int

    @classmethod
    def of(cls, parts: tuple[_Part, ...]) -> Self:
        return cls(
            np.stack([part.columns.T @ part.columns for part in parts]),
            np.stack([part.columns.T @ part.values for part in parts]),
            # Posts that are all alike have no chance in them; a trace keeps logarithms finite.
            max(float(sum(part.values @ part.values for part in parts)), 1e-12),
            max(sum(len(part.values) for part in parts), 1),
        )

    @property
    def single(self) -> bool:
        """Whether there is one author only, so that everyone's coefficients are zero."""
        return len(self.scores) == 1

    @cached_property
    def of_own(self) -> list[_OfOwn]:
        """What authors say of everyone's coefficients, by the variance of their own."""
        return [self._of_own(variance) for variance in _VARIANCES]

    def _of_own(self, variance: float) -> _OfOwn:
        width = self.scores.shape[1]
        inverses = _inverse(np.eye(width) / variance + self.products)
        taken = self.products @ inverses
        scores = self.scores - np.einsum("aij,aj->ai", taken, self.scores)
        quadratic = np.einsum("ai,aij,aj->", self.scores, inverses, self.scores)
        determinants = np.linalg.slogdet(np.eye(width) + variance * self.products)[1]
        return _OfOwn(
            inverses,
            (self.products - taken @ self.products).sum(axis=0),
            scores.sum(axis=0),
            scores,
            self.squares - float(quadratic),
            float(determinants.sum()) / 2,
        )

    def solved(self, common: int, own: int) -> _Solved:
        given = self.of_own[own]
        width = len(given.score)
        if self.single:
            squares, determinant = given.squares, given.determinant
            mean, covariance = np.zeros(width), np.zeros((width, width))
        else:
            variance = _VARIANCES[common]
            covariance = _inverse(np.eye(width) / variance + given.precision)
            mean = covariance @ given.score
            squares = given.squares - float(given.score @ mean)
            determinant = (
                given.determinant
                + float(np.linalg.slogdet(np.eye(width) + variance * given.precision)[1]) / 2
            )
        likelihood = -determinant - self.freedom / 2 * float(np.log(squares))
        return _Solved(mean, covariance, squares, likelihood)

    def chances(self) -> Floats:
        """Chance of each pair of variances, (everyone's, own); of a single author everyone's don't
        count."""
        size = len(_VARIANCES)
        found = np.full((size, size), -np.inf)
        for own in range(size):
            for common in range(1 if self.single else size):
                found[common, own] = self.solved(common, own).likelihood
        shares = np.exp(found - found.max())
        return np.asarray(shares / shares.sum())

    def draws(
        self,
        common: int,
        own: int,
        position: int | None,
        number: int,
        generator: np.random.Generator,
    ) -> Floats:
        solved = self.solved(common, own)
        spread = np.sqrt(solved.squares / generator.chisquare(self.freedom, number))[:, None]
        shared = solved.mean + spread * _normal(solved.covariance, number, generator)
        if position is None:
            return shared
        inverse = self.of_own[own].inverses[position]
        middle = (self.scores[position] + shared / _VARIANCES[own]) @ inverse
        return middle + spread * _normal(inverse, number, generator)


def _inverse(matrices: Floats) -> Floats:
    return np.asarray(np.linalg.inv(matrices), np.float64)


def _normal(covariance: Floats, number: int, generator: np.random.Generator) -> Floats:
    """Draws around zero, (number, columns)."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))
    return np.asarray(generator.standard_normal((number, len(covariance))) @ root.T)

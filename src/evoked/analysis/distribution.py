"""Do counts follow a log-normal law? EIJL's Figure 2a, with the test that the paper leaves out.

Counts are whole, and a log-normal variable is not: a count k stands for everything from k - ½ to
k + ½, and as posts with a count of zero are left out, the law is conditioned on exceeding ½. Its
two parameters are fitted by maximum likelihood under both.

Where parameters are fitted to the counts that are tested, the p-value of Kolmogorov and Smirnov is
far too large (Lilliefors 1967). So the largest gap between the observed and the fitted curve is
compared with the gaps of samples drawn from the fitted law, each fitted anew (Clauset, Shalizi and
Newman 2009, "Power-law distributions in empirical data", Section 4.1). Counts are put into bins,
narrow against the spread of their logarithms and single counts where these are few, so that a
sample is one multinomial draw and time does not grow with the number of posts.

A Pareto law above ½ is the limit of such laws (location to minus infinity), so no test of this kind
can distinguish it from them; :func:`compare_laws` can, and a fit that expects mostly zeros shows
it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

from evoked.errors import DataError
from evoked.evaluation.bootstrap import interval_bounds

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

FEWEST_COUNTS = 10
"""With fewer counts above zero nothing is fitted."""

# Width of a bin, and of the grid beyond the largest count, in standard deviations of the logarithm.
_BIN_WIDTH = 0.05
_BEYOND = 4.0
_LOWEST = 0.5
_STEPS = 60
_TOLERANCE = 1e-8
_QUANTILES = 200


class LogNormalLaw(NamedTuple):
    """The law of counts above zero whose logarithms are normal.

    Attributes
    ----------
    location, scale
        Mean and standard deviation of the logarithm, before rounding and before zeros are left out.
    """

    location: float
    scale: float

    def cumulative(self, edges: ArrayLike) -> Floats:
        """Share of the counts above zero that lie below each edge (a half-integer of ½ or more)."""
        with np.errstate(divide="ignore"):
            z = (np.log(np.asarray(edges, dtype=np.float64)) - self.location) / self.scale
        first = special.ndtr(-(np.log(_LOWEST) - self.location) / self.scale)
        return np.asarray(1 - special.ndtr(-z) / first)

    def quantiles(self, levels: ArrayLike) -> Floats:
        """The counts below which shares of them lie, rounded as counts are."""
        first = special.ndtr(-(np.log(_LOWEST) - self.location) / self.scale)
        z = -special.ndtri((1 - np.asarray(levels, dtype=np.float64)) * first)
        return np.maximum(1.0, np.round(np.exp(self.location + self.scale * z)))

    @property
    def zeros(self) -> float:
        """Share of all posts that would be rounded to zero."""
        return float(special.ndtr((np.log(_LOWEST) - self.location) / self.scale))


class LogNormalTest(NamedTuple):
    """A log-normal law fitted to counts above zero, and whether they follow it.

    Attributes
    ----------
    law
        The fitted law.
    location, scale
        Ends of the parameters' parametric bootstrap intervals.
    gap
        Largest distance between the observed and the fitted cumulative share.
    p
        Share of samples of the fitted law, each fitted anew, whose gap is as large.
    n
        Counts above zero.
    levels, low, high
        Shares, and the band in which each quantile of a sample of the fitted law lies.
    """

    law: LogNormalLaw
    location: tuple[float, float]
    scale: tuple[float, float]
    gap: float
    p: float
    n: int
    levels: Floats
    low: Floats
    high: Floats


def positive_counts(values: ArrayLike) -> Counts:
    """The known counts above zero, ascending."""
    known = np.asarray(values, dtype=np.float64)
    return np.sort(known[np.isfinite(known) & (known > 0)]).round().astype(np.int64)


def fit_log_normal(counts: ArrayLike) -> LogNormalLaw:
    """The log-normal law under which the counts above zero are likeliest.

    Raises
    ------
    DataError
        Fewer than ten counts above zero, or all of them alike.
    """
    values = _checked(counts)
    edges = _edges(values)
    return LogNormalLaw(*(float(each[0]) for each in _fit(edges, _binned(values, edges)[None])))


def log_normal_test(
    counts: ArrayLike, draws: int = 1000, level: float = 0.95, seed: int = 0
) -> LogNormalTest:
    """Fit a log-normal law to counts and test whether they follow it.

    Posts are taken as independent: where authors have several posts that resemble each other, p is
    somewhat too small.

    Parameters
    ----------
    counts
        Any counts; unknown ones and zeros are left out.
    draws
        Samples of the fitted law.
    level
        Confidence level of the intervals and of the band.
    seed
        Random seed of the samples.

    Raises
    ------
    DataError
        Fewer than ten counts above zero, or all of them alike.
    """
    values = _checked(counts)
    edges = _edges(values)
    observed = _binned(values, edges)[None]
    location, scale = _fit(edges, observed)
    law = LogNormalLaw(float(location[0]), float(scale[0]))
    shares = np.diff(law.cumulative(edges))
    samples = np.random.default_rng(seed).multinomial(len(values), shares / shares.sum(), draws)
    again = _fit(edges, samples, law)
    gap = float(_gaps(edges, observed, location, scale)[0])
    # What equals the observed gap but for rounding is as large.
    as_large = int((_gaps(edges, samples, *again) >= gap - 1e-12).sum())
    levels = (np.arange(min(len(values), _QUANTILES)) + 0.5) / min(len(values), _QUANTILES)
    low, high = interval_bounds(_binned_quantiles(edges, samples, levels), level)
    ends = [interval_bounds(each, level) for each in again]
    return LogNormalTest(
        law,
        (float(ends[0][0]), float(ends[0][1])),
        (float(ends[1][0]), float(ends[1][1])),
        gap,
        (as_large + 1) / (draws + 1),
        len(values),
        levels,
        low,
        high,
    )


def compare_laws(counts: ArrayLike, law: LogNormalLaw | None = None) -> pd.DataFrame:
    """How likely three laws make the counts above zero.

    Parameters
    ----------
    counts
        Any counts; unknown ones and zeros are left out.
    law
        The fitted log-normal law; fitted here by default.

    Returns
    -------
    DataFrame
        By Akaike's criterion, the best first: ``law`` (log-normal; Pareto, rounded and above ½ as
        well; negative binomial without zeros), ``parameters`` (as text), ``n``,
        ``log_likelihood``, ``aic`` and ``aic_difference`` from the best. A difference below 2 says
        nothing, one above 10 much (Burnham and Anderson 2002).

    Raises
    ------
    DataError
        Fewer than ten counts above zero, or all of them alike.
    """
    values = _checked(counts)
    law = law or fit_log_normal(values)
    unique, times = np.unique(values, return_counts=True)
    within = law.cumulative(unique + 0.5) - law.cumulative(unique - 0.5)
    fits = [
        (
            "log-normal",
            f"μ = {law.location:.3f}, σ = {law.scale:.3f}",
            2,
            float(times @ np.log(np.maximum(within, np.finfo(float).tiny))),
        ),
        _pareto(unique, times),
        _negative_binomial(unique, times),
    ]
    table = pd.DataFrame(fits, columns=["law", "parameters", "k", "log_likelihood"])
    table["aic"] = 2 * table.pop("k") - 2 * table["log_likelihood"]
    table["aic_difference"] = table["aic"] - table["aic"].min()
    table.insert(2, "n", len(values))
    return table.sort_values("aic", kind="stable", ignore_index=True)


def _checked(counts: ArrayLike) -> Counts:
    values = positive_counts(counts)
    if len(values) < FEWEST_COUNTS:
        raise DataError(
            f"{len(values)} counts above zero; at least {FEWEST_COUNTS} are needed for a fit."
        )
    if values[0] == values[-1]:
        raise DataError(
            f"all counts above zero are {values[0]}, and no law can be fitted to equal counts."
        )
    return values


def _edges(values: Counts) -> Floats:
    """Half-integers from ½ to infinity between which counts lie, (bins + 1,)."""
    logarithms = np.log(values)
    spread = float(logarithms.std())
    end = logarithms[-1] + _BEYOND * spread
    between = np.exp(np.arange(0.0, end + _BIN_WIDTH * spread, _BIN_WIDTH * spread))
    return np.concatenate([[_LOWEST], np.unique(np.floor(between)) + 0.5, [np.inf]])


def _binned(values: Counts, edges: Floats) -> Counts:
    place = np.searchsorted(edges, values, side="right") - 1
    return np.bincount(place, minlength=len(edges) - 1).astype(np.int64)


def _fit(edges: Floats, counts: Counts, start: LogNormalLaw | None = None) -> tuple[Floats, Floats]:
    """Location and scale that make each row of binned counts (draws, bins) likeliest, (draws,).

    Newton's method on 1/scale and location/scale, in which the likelihood of rounded normal values
    is concave (Burridge 1981); steps are damped because the condition of exceeding ½ is not.
    """
    places = np.log(edges[:-1])
    if start is None:
        middle = np.append((places[:-1] + places[1:]) / 2, places[-1])
        n = counts.sum(axis=1)
        mean = counts @ middle / n
        deviation = np.sqrt((counts * (middle - mean[:, None]) ** 2).sum(axis=1) / n)
        point = np.column_stack([1 / deviation, mean / deviation])
    else:
        point = np.tile([1 / start.scale, start.location / start.scale], (len(counts), 1))
    damping = np.full(len(counts), 1e-6)
    likelihood, gradient, curvature = _log_likelihood(places, counts, point)
    active = np.arange(len(counts))
    for _ in range(_STEPS):
        step = _damped_step(gradient[active], curvature[active], damping[active])
        candidate = point[active] + step
        candidate[:, 0] = np.maximum(candidate[:, 0], point[active, 0] / 4)
        tried = _log_likelihood(places, counts[active], candidate)
        gain = tried[0] - likelihood[active]
        better = gain >= 0
        rows = active[better]
        point[rows] = candidate[better]
        for current, new in zip((likelihood, gradient, curvature), tried, strict=True):
            current[rows] = new[better]
        damping[active] = np.where(better, damping[active] / 10, damping[active] * 10 + 1e-6)
        # A row is done when a step no longer changes it, or damping is so strong that none could.
        done = (better & (gain < _TOLERANCE)) | (damping[active] > 1e8)
        active = active[~done]
        if not len(active):
            break
    return point[:, 1] / point[:, 0], 1 / point[:, 0]


def _damped_step(gradient: Floats, curvature: Floats, damping: Floats) -> Floats:
    """Newton's step where the negative curvature, damped on its diagonal, is positive definite."""
    matrix = -curvature
    size = np.abs(matrix[:, [0, 1], [0, 1]]) + 1e-12
    smallest = np.linalg.eigvalsh(matrix)[:, 0]
    lift = damping[:, None] * size + np.maximum(-2 * smallest, 0)[:, None]
    matrix[:, [0, 1], [0, 1]] += lift
    return np.asarray(np.linalg.solve(matrix, gradient[..., None])[..., 0])


def _log_likelihood(places: Floats, counts: Counts, point: Floats) -> tuple[Floats, Floats, Floats]:
    """Log-likelihood (draws,), its gradient (draws, 2) and second derivatives (draws, 2, 2)."""
    n = counts.sum(axis=1)
    z = point[:, :1] * places - point[:, 1:]
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    # The last bin has no upper end.
    none = np.zeros((len(z), 1))
    below, above = special.ndtr(z), special.ndtr(-z)
    within = np.where(
        z > 0,
        above - np.append(above[:, 1:], none, axis=1),
        np.append(below[:, 1:], none + 1, axis=1) - below,
    )
    within = np.maximum(within, np.finfo(float).tiny)
    upper_z, upper_place = np.append(z[:, 1:], none, axis=1), np.append(places[1:], 0.0)
    upper, lower = np.append(density[:, 1:], none, axis=1) / within, density / within
    exceeding = np.maximum(above[:, 0], np.finfo(float).tiny)
    hazard = density[:, 0] / exceeding
    bend = hazard * (hazard - z[:, 0])

    likelihood = (counts * np.log(within)).sum(axis=1) - n * np.log(exceeding)
    gradient = np.column_stack(
        [
            (counts * (upper * upper_place - lower * places)).sum(axis=1) + n * hazard * places[0],
            (counts * (lower - upper)).sum(axis=1) - n * hazard,
        ]
    )
    of_upper, of_lower = -upper_z * upper - upper**2, z * lower - lower**2
    both = upper * lower
    scale_scale = of_upper * upper_place**2 + 2 * both * places * upper_place + of_lower * places**2
    scale_place = -of_upper * upper_place - both * (places + upper_place) - of_lower * places
    place_place = of_upper + 2 * both + of_lower
    curvature = np.empty((len(z), 2, 2))
    curvature[:, 0, 0] = (counts * scale_scale).sum(axis=1) + n * bend * places[0] ** 2
    curvature[:, 0, 1] = (counts * scale_place).sum(axis=1) - n * bend * places[0]
    curvature[:, 1, 0] = curvature[:, 0, 1]
    curvature[:, 1, 1] = (counts * place_place).sum(axis=1) + n * bend
    return likelihood, gradient, curvature


def _gaps(edges: Floats, counts: Counts, location: Floats, scale: Floats) -> Floats:
    """Largest distance of the cumulative shares at the edges, (draws,)."""
    z = (np.log(edges[:-1]) - location[:, None]) / scale[:, None]
    above = special.ndtr(-z)
    fitted = 1 - above[:, 1:] / np.maximum(above[:, :1], np.finfo(float).tiny)
    observed = np.cumsum(counts, axis=1)[:, :-1] / counts.sum(axis=1)[:, None]
    return np.asarray(np.abs(observed - fitted).max(axis=1))


def _binned_quantiles(edges: Floats, counts: Counts, levels: Floats) -> Floats:
    """Quantiles of binned counts, (draws, levels): the middle of the bin, in the logarithm."""
    ends = np.append(edges[:-1], edges[-2] * edges[-2] / edges[-3])
    middle = np.round(np.sqrt(ends[:-1] * ends[1:]))
    held = np.cumsum(counts, axis=1) / counts.sum(axis=1)[:, None]
    place = [np.searchsorted(row, levels - 1e-12) for row in held]
    return np.asarray(middle[np.minimum(place, len(middle) - 1)])


def _pareto(unique: Counts, times: Counts) -> tuple[str, str, int, float]:
    """The rounded Pareto law above ½, P(count ≥ k) = (2k - 1) to the power of -α."""

    def likelihood(log_exponent: float) -> float:
        exponent = np.exp(log_exponent)
        within = (2 * unique - 1.0) ** -exponent - (2 * unique + 1.0) ** -exponent
        return float(times @ np.log(np.maximum(within, np.finfo(float).tiny)))

    best = optimize.minimize_scalar(lambda x: -likelihood(x), bounds=(-7, 3), method="bounded")
    return "Pareto", f"α = {np.exp(best.x):.3f}", 1, -float(best.fun)


def _negative_binomial(unique: Counts, times: Counts) -> tuple[str, str, int, float]:
    """The negative binomial law without its zeros."""
    mean = float(times @ unique / times.sum())

    def likelihood(point: Floats) -> float:
        size, average = np.exp(np.clip(point, -12, 25))
        chance = size / (size + average)
        without = np.log(-np.expm1(size * np.log(chance)))
        return float(times @ (stats.nbinom.logpmf(unique, size, chance) - without))

    start = np.array([0.0, np.log(mean)])
    best = optimize.minimize(lambda x: -likelihood(x), start, method="Nelder-Mead")
    size, average = np.exp(np.clip(best.x, -12, 25))
    return "negative binomial", f"size = {size:.3g}, mean = {average:.3g}", 2, -float(best.fun)

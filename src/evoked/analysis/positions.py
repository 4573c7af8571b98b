"""Where on the plane of valence and arousal posts of a category get most of a kind of engagement.

The surface is a kernel regression (Nadaraya and Watson) of log rates, so it takes any shape that
the posts show; only places with enough posts near them are considered. The best of many places is
better than it should be by chance alone, so its gain is corrected for that, and whether there is a
best place at all is tested against authors whose rates were turned around, with all their posts
(against posts whose rates were shuffled, where no author has several or there are fewer than three
authors).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evoked.analysis.base import Analysis, PostContext, Tables
from evoked.analysis.correlations import author_numbers
from evoked.analysis.counts import engagement_counts
from evoked.analysis.needs import needs_emotion, needs_engagement
from evoked.evaluation.bootstrap import bootstrap_draws
from evoked.evaluation.corrections import holm
from evoked.evaluation.significance import p_value
from evoked.posts.emotion_and_rates import AROUSAL_MIDPOINT, METRICS, log_rates
from evoked.posts.schema import SCALES

Floats = NDArray[np.float64]

FEWEST_POSTS = 50
"""Posts of a category; with fewer no position is looked for."""

ALL = "all categories"

_STEP = 0.5
# Posts that a place needs near it, each counted by the kernel's height.
_LEAST_SUPPORT = 5.0
_BANDWIDTHS = (0.5, 1.5)
# A place is ranked by the lower end of a one-sided 95 % interval.
_NORMAL_95 = 1.645
# A direction is named if this share of resamples has it.
_DIRECTION_LEVEL = 0.9
_MOST_SENTENCES = 10
_MOST_DRAWS = 300
# Of more posts a sample is taken: the surface is smooth, and the tests take time.
_MOST_POSTS = 10_000
_SIGNIFICANT = 0.05
# With more, 2000 permutations could no longer pass the correction.
_MOST_CATEGORIES = 15
_CHUNK = 4_000_000


@dataclass(frozen=True)
class Surface:
    """A smooth surface over the plane of emotions.

    Attributes
    ----------
    valence, arousal
        The grid's axes, (v,) and (a,).
    values
        (v, a): mean of what was smoothed; NaN where too few posts are near.
    errors
        (v, a): standard errors of these means, posts taken as independent.
    support
        (v, a): posts near each place, each counted by the kernel's height.
    bandwidth
        Standard deviation of the kernel, in points.
    n
        Posts.
    """

    valence: Floats
    arousal: Floats
    values: Floats
    errors: Floats
    support: Floats
    bandwidth: float
    n: int


def plane(step: float = _STEP) -> tuple[Floats, Floats]:
    """Axes of a grid over valence [-4, 4] and arousal [0, 8]."""
    valence, arousal = (
        np.arange(low, high + step / 2, step)
        for low, high in (SCALES["valence"], SCALES["arousal"])
    )
    return valence, arousal


def smooth(
    valence: ArrayLike, arousal: ArrayLike, values: ArrayLike, step: float = 0.25
) -> Surface:
    """Smooth values of posts over the plane; posts where any is unknown are left out.

    Parameters
    ----------
    valence, arousal, values
        (n,).
    step
        Width of the grid, in points.
    """
    points = np.column_stack([valence, arousal]).astype(np.float64)
    y = np.asarray(values, dtype=np.float64)
    known = np.isfinite(points).all(axis=1) & np.isfinite(y)
    points, y = points[known], y[known]
    axes = plane(step)
    shape = (len(axes[0]), len(axes[1]))
    bandwidth = _bandwidth(points)
    # Sums of k, k y, k², k² y and k² y² over the posts, k the kernel's height.
    sums = np.zeros((5, *shape))
    chunk = max(1, _CHUNK // (shape[0] * shape[1]))
    for start in range(0, len(y), chunk):
        rows = slice(start, start + chunk)
        value = y[rows]
        v, a = (
            np.exp(-0.5 * ((axis[:, None] - column) / bandwidth) ** 2)
            for axis, column in zip(axes, points[rows].T, strict=True)
        )
        once, twice = (v, a.T), (v**2, a.T**2)
        factors = ((once, 1.0), (once, value), (twice, 1.0), (twice, value), (twice, value**2))
        sums += [(left * factor) @ right for (left, right), factor in factors]
    support = sums[0]
    enough = support >= _LEAST_SUPPORT
    size = np.where(enough, support, 1)
    mean = sums[1] / size
    variance = np.maximum(sums[4] - 2 * mean * sums[3] + mean**2 * sums[2], 0)
    return Surface(
        *axes,
        np.where(enough, mean, np.nan),
        np.where(enough, np.sqrt(variance) / size, np.nan),
        support,
        bandwidth,
        len(y),
    )


def best_positions(
    posts: pd.DataFrame,
    level: float = 0.95,
    draws: int = 300,
    permutations: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """The best position per category and kind of engagement.

    Parameters
    ----------
    posts
        Posts with the columns of :data:`evoked.posts.schema.POSTS`.
    level
        Confidence level of the interval of the gain.
    draws
        Resamples of authors with all their posts (of posts where no author is known).
    permutations
        Permutations of the test, within the category.
    seed
        Random seed of both, and of the sample of 10,000 posts that is taken where there are more.

    Returns
    -------
    DataFrame
        Per category (the 15 largest, and all together with rates relative to the category) and
        metric of :data:`evoked.posts.emotion_and_rates.METRICS`: ``category``, ``metric``,
        ``valence``, ``arousal`` (the best position) with ``valence_low`` … ``arousal_high`` (90 %
        of the resamples), ``gain`` (rate there over the category's typical rate, less one;
        corrected for the choice of the best) with ``low`` and ``high``, ``n``, ``p`` (whether any
        position is better than typical, were the rates of an author as likely to be as far on the
        other side of it; at least ``p_posts``), ``p_posts`` (the same by shuffling posts, as if
        they were independent; where no author has several posts, or with fewer than three
        authors, ``p`` is the same), ``p_holm``
        (``p`` corrected over all rows), ``clear`` (p_holm below 0.05, a gain surely above 0 and at
        least one direction sure), ``direction`` ("calm and positive"; empty if not clear) and
        ``advice``, a sentence.
    """
    points = posts[["valence", "arousal"]].to_numpy(dtype=np.float64, na_value=np.nan)
    rates = log_rates(*engagement_counts(posts), posts["category"])
    authors = _author_names(posts)
    rows: list[dict[str, Any]] = []
    for name, members in _groups(posts["category"]).items():
        for metric, rate in zip(METRICS, rates.T, strict=True):
            used = members & np.isfinite(points).all(axis=1) & np.isfinite(rate)
            chosen = np.flatnonzero(used)
            if len(chosen) > _MOST_POSTS:
                chosen = np.random.default_rng(seed).choice(chosen, _MOST_POSTS, replace=False)
            row: dict[str, Any] = {"category": name, "metric": metric, "n": len(chosen)}
            if len(chosen) >= FEWEST_POSTS and np.ptp(rate[chosen]) > 0:
                row |= _best(
                    points[chosen],
                    rate[chosen],
                    authors[chosen],
                    level,
                    draws,
                    permutations,
                    seed,
                )
            rows.append(row)
    return _with_advice(pd.DataFrame(rows).reindex(columns=_COLUMNS))


_COLUMNS = [
    "category",
    "metric",
    "valence",
    "valence_low",
    "valence_high",
    "arousal",
    "arousal_low",
    "arousal_high",
    "gain",
    "low",
    "high",
    "n",
    "p",
    "p_posts",
]


def _author_names(posts: pd.DataFrame) -> NDArray[np.object_]:
    """Author of each post; a post whose author is unknown counts as an author of its own, and with
    few authors every post does."""
    names = ("post " + posts["post_id"].astype(str)).to_numpy(dtype=object)
    if author_numbers(posts) is None:
        return names
    known = posts["author_id"].notna().to_numpy()
    return np.where(known, posts["author_id"].to_numpy(dtype=object), names)


def _groups(categories: pd.Series) -> dict[str, NDArray[np.bool_]]:
    groups = {ALL: np.ones(len(categories), dtype=bool)}
    counts = categories.value_counts()
    if len(counts) > 1:
        for name in counts.index[:_MOST_CATEGORIES]:
            groups[str(name)] = (categories == name).to_numpy(dtype=bool)
    return groups


def _best(
    points: Floats,
    rate: Floats,
    authors: NDArray[np.object_],
    level: float,
    draws: int,
    permutations: int,
    seed: int,
) -> dict[str, float]:
    """The best position among posts (n, 2) with log rates (n,), and how sure it is."""
    rate = rate - rate.mean()
    places, kernel = _kernel(points)
    if not len(places):
        return {}
    support = kernel.sum(axis=1)
    weights = kernel / support[:, None]
    caution = _NORMAL_95 * rate.std() * np.sqrt((weights**2).sum(axis=1))
    surface = weights @ rate
    best = int((surface - caution).argmax())
    drawn = bootstrap_draws(
        lambda counts: (counts * rate) @ kernel.T / np.maximum(counts @ kernel.T, 1e-9),
        len(rate),
        authors,
        draws,
        seed,
    )
    chosen = (drawn - caution).argmax(axis=1)
    # What choosing the best adds: the chosen place looks better in its resample than it is.
    optimism = float((drawn[np.arange(len(drawn)), chosen] - surface[chosen]).mean())
    low, high = np.quantile(drawn[:, best] - optimism, [(1 - level) / 2, (1 + level) / 2])
    outside = (1 - _DIRECTION_LEVEL) / 2
    ends = np.quantile(places[chosen], [outside, 1 - outside], axis=0)
    p_posts = _permutation_p(weights, rate, caution, permutations, seed)
    p = p_posts
    if len(set(authors)) < len(authors):
        # Signs suppose that rates lie evenly about their mean, which shuffling does not.
        p = max(p, _author_p(weights, rate, caution, authors, permutations, seed))
    return {
        "valence": places[best, 0],
        "valence_low": ends[0, 0],
        "valence_high": ends[1, 0],
        "arousal": places[best, 1],
        "arousal_low": ends[0, 1],
        "arousal_high": ends[1, 1],
        "gain": float(np.expm1(surface[best] - optimism)),
        "low": float(np.expm1(low)),
        "high": float(np.expm1(high)),
        "p": p,
        "p_posts": p_posts,
    }


def _kernel(points: Floats) -> tuple[Floats, Floats]:
    """Places with enough posts near them, (places, 2), and how near each post is, (places, n)."""
    places = np.stack(np.meshgrid(*plane(), indexing="ij"), axis=-1).reshape(-1, 2)
    distance = ((places[:, None] - points) ** 2).sum(axis=-1)
    kernel = np.exp(-0.5 * distance / _bandwidth(points) ** 2)
    enough = kernel.sum(axis=1) >= _LEAST_SUPPORT
    return places[enough], kernel[enough]


def _bandwidth(points: Floats) -> float:
    """Scott's rule for two dimensions (1992), within bounds, in points of the scales."""
    if len(points) < 2:
        return _BANDWIDTHS[1]
    spread = float(points.std(axis=0).mean())
    return float(np.clip(spread * len(points) ** (-1 / 6), *_BANDWIDTHS))


def _permutation_p(
    weights: Floats, rate: Floats, caution: Floats, permutations: int, seed: int
) -> float:
    """How often the best place looks as good as ours among posts whose rates were shuffled."""
    observed = (weights @ rate - caution).max()
    generator = np.random.default_rng(seed)
    chunk = max(1, _CHUNK // len(rate))
    reached = 0
    for start in range(0, permutations, chunk):
        shuffled = np.tile(rate, (min(chunk, permutations - start), 1))
        generator.permuted(shuffled, axis=1, out=shuffled)
        reached += int(((shuffled @ weights.T - caution).max(axis=1) >= observed - 1e-12).sum())
    return (reached + 1) / (permutations + 1)


def _author_p(
    weights: Floats,
    rate: Floats,
    caution: Floats,
    authors: NDArray[np.object_],
    draws: int,
    seed: int,
) -> float:
    """How often the best place looks as good as ours when authors change sides of the mean.

    Without a relation, an author's rates lie as likely above the typical one as below it, all
    together, whatever their emotions: signs are drawn per author (the wild bootstrap with the null
    imposed: Cameron, Gelbach and Miller 2008), which keeps how alike an author's posts are.
    """
    codes, names = pd.factorize(authors)
    # What every author adds to each place, less what they add to the mean: (authors, places).
    member = np.zeros((len(names), len(weights)))
    np.add.at(member, codes, (weights * rate).T - rate[:, None] / len(rate))
    observed = (member.sum(axis=0) - caution).max()
    generator = np.random.default_rng(seed)
    chunk = max(1, _CHUNK // max(member.shape))
    reached = 0
    for start in range(0, draws, chunk):
        signs = generator.choice([-1.0, 1.0], (min(chunk, draws - start), len(names)))
        reached += int(((signs @ member - caution).max(axis=1) >= observed - 1e-12).sum())
    return (reached + 1) / (draws + 1)


def _with_advice(table: pd.DataFrame) -> pd.DataFrame:
    table = table.assign(p_holm=holm(table["p"]))
    directions = [_direction(dict(row)) for _, row in table.iterrows()]
    sure = (table["p_holm"] < _SIGNIFICANT) & (table["low"] > 0)
    table["clear"] = sure & (np.array(directions, dtype=object) != "")
    table["direction"] = np.where(table["clear"], directions, "")
    table["advice"] = [_sentence(dict(row)) for _, row in table.iterrows()]
    return table


def _direction(row: dict[str, Any]) -> str:
    arousal = _side(row["arousal_low"], row["arousal_high"], AROUSAL_MIDPOINT, ("calm", "aroused"))
    valence = _side(row["valence_low"], row["valence_high"], 0.0, ("negative", "positive"))
    return " and ".join(word for word in (arousal, valence) if word)


def _side(low: float, high: float, middle: float, words: tuple[str, str]) -> str:
    """The side of the middle on which the whole interval lies, if it lies on one."""
    if high < middle:
        return words[0]
    return words[1] if low > middle else ""


def _sentence(row: dict[str, Any]) -> str:
    metric = "engagement overall" if row["metric"] == "overall" else row["metric"]
    subject = f"For {metric} in {row['category']}"
    if not np.isfinite(row["p"]):
        return (
            f"{subject}: unknown (n = {row['n']} posts with emotion and rate; at least "
            f"{FEWEST_POSTS} that differ are needed)."
        )
    if not row["clear"]:
        return f"{subject}: no clear position (n = {row['n']}, p = {p_value(row['p_holm'])})."
    return (
        f"{subject}: {row['direction']} (best near valence {row['valence']:+.1f}, arousal "
        f"{row['arousal']:.1f}: {row['gain']:+.0%} over the typical rate, 95 % interval "
        f"{row['low']:+.0%} to {row['high']:+.0%}, n = {row['n']}, p = {p_value(row['p_holm'])})."
    )


def advice(positions: pd.DataFrame | None) -> list[str]:
    """A sentence for each category and metric with a clear position, then for the others.

    Parameters
    ----------
    positions
        Table of :func:`best_positions`; None gives no sentence.
    """
    if positions is None:
        return []
    ordered = positions.sort_values("clear", ascending=False, kind="stable")
    return [str(sentence) for sentence in ordered["advice"]]


def _compute(context: PostContext) -> pd.DataFrame:
    # With fewer than 2000 permutations the correction could not be passed, so these stay.
    draws = min(context.draws, _MOST_DRAWS)
    return best_positions(context.rated, draws=draws, seed=context.seed)


def _summary(_: PostContext, tables: Tables) -> Iterator[str]:
    positions = tables["positions"]
    clear = positions[positions["clear"]]
    yield from clear["advice"][:_MOST_SENTENCES]
    if len(clear) > _MOST_SENTENCES:
        yield f"{len(clear) - _MOST_SENTENCES} more positions are on the page."
    yield (
        f"{len(positions) - len(clear)} of {len(positions)} combinations of category and metric "
        "have no clear position."
    )


POSITION_ANALYSIS = Analysis(
    name="positions",
    title="Best positions",
    explanation=(
        "valence, arousal: where on the plane the smoothed rate is most surely high; *_low and "
        "*_high of these hold 90 % of resamples (of authors); gain: how much higher the rate is "
        "there than is typical of the category, corrected for having chosen the best; p: would it "
        "look as good if authors, with all their posts, changed sides of the typical rate? "
        "p_posts: would it look as good if posts were shuffled?"
    ),
    compute=_compute,
    needs=(needs_emotion, needs_engagement),
    summary=_summary,
    measured="p",
    unmeasured=f"no category has {FEWEST_POSTS} posts with emotion and rate that differ",
    folded=True,
)

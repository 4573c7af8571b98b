"""Figures of posts on the plane of emotions: ABMF's Figures 2, 4 (Table 8) and 6."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from numpy.typing import NDArray

from evoked.analysis.counts import engagement_counts
from evoked.analysis.positions import Surface, smooth
from evoked.evaluation.significance import significance_marks
from evoked.explain.figures import (
    BLUE,
    DIVERGING,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PALE,
    PURPLE,
    SKY,
    VERMILLION,
    Picture,
    figure,
    look,
    shortened,
)
from evoked.posts.emotion_and_rates import (
    AROUSAL_MIDPOINT,
    DIMENSIONS,
    METRICS,
    QUADRANTS,
    log_rates,
)
from evoked.posts.schema import ENGAGEMENT
from evoked.report.figure_parts import cells_of, heat, matrix, noted, plane_axes

Floats = NDArray[np.float64]

_MOST_PANELS = 8
_NAME_CHARACTERS = 20
# Contours around the densest part that holds these shares of the posts.
_SHARES = (0.9, 0.6, 0.3)
_FEWEST_CONTOURED = 30
_MOST_POINTS = 600
_POINT_AREAS = (1.0, 16.0)
# Distinct from each other, and from the red and blue below them; the other categories are grey.
_CATEGORY_COLOURS = (ORANGE, GREEN, PURPLE, SKY, INK)
# Engagement relative to the typical rate, from a third to three times.
_LARGEST_CHANGE = np.log(3)
_CHANGES = (-0.5, -0.25, 0.0, 0.5, 1.0)
_ARROW_STEP = 4


def emotion_density(posts: pd.DataFrame, note: str = "") -> Picture:
    """Where each category's posts lie on the plane (Figure 2).

    Parameters
    ----------
    posts
        With ``category``, ``valence`` and ``arousal``; at least one post has both.
    note
        What has to be said about the emotions, after the caption.
    """
    known = posts.dropna(subset=["valence", "arousal"])
    groups = _panels(known)
    columns = min(4, len(groups))
    rows = -(-len(groups) // columns)
    means = {name: (part["valence"].mean(), part["arousal"].mean()) for name, part in groups}
    with look():
        drawn = figure(2.05 * columns + 0.4, 2.05 * rows + 0.35)
        axes = drawn.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        every = smooth(known["valence"], known["arousal"], np.zeros(len(known)))
        for axis, (name, part) in zip(axes.flat, groups, strict=False):
            _midlines(axis)
            _density(axis, part)
            if len(groups) > 1 and len(known) >= _FEWEST_CONTOURED:
                levels = _mass_levels(every.support, (0.6,))
                axis.contour(
                    every.valence,
                    every.arousal,
                    every.support.T,
                    levels=levels,
                    colors=[INK],
                    linewidths=0.8,
                    linestyles=":",
                )
            axis.plot(*means[name], "+", color=VERMILLION, markersize=9, markeredgewidth=2)
            axis.set_title(f"{shortened(name, _NAME_CHARACTERS)} (n = {len(part)})", fontsize=8)
        for axis in axes.flat[len(groups) :]:
            axis.set_visible(False)
        plane_axes(axes)
    others = known["category"].nunique() - len(groups) if len(groups) > 1 else 0
    reference = "; dotted: 60 % of all posts" if len(groups) > 1 else ""
    left_out = f" {others} smaller categories are not shown." if others > 0 else ""
    return Picture(
        "figure2_emotion_density",
        f"Emotions by category: contours hold 30, 60 and 90 % of the posts, the cross is their "
        f"mean{reference} (n = {len(known)} posts).{left_out}{noted(note)}",
        "Density maps; the means are "
        + "; ".join(f"{name}: valence {v:+.1f}, arousal {a:.1f}" for name, (v, a) in means.items())
        + ".",
        drawn,
    )


def correlation_matrix(table: pd.DataFrame, note: str = "") -> Picture:
    """Table 8 as a matrix with marks of significance (Figure 4's form).

    Parameters
    ----------
    table
        From :func:`evoked.analysis.engagement.emotion_engagement_table`.
    note
        As in :func:`emotion_density`.
    """
    cells = cells_of(table, "dimension", DIMENSIONS, "metric", METRICS)
    values = np.array([[cell["r"] for cell in row] for row in cells])
    texts = [
        [
            f"{_number(cell['r'])}{significance_marks(cell['p_holm'])}\n({cell['published']:.2f})"
            for cell in row
        ]
        for row in cells
    ]
    with look():
        drawn = figure(6.4, 3.5)
        axis = drawn.subplots()
        matrix(axis, values, texts, DIMENSIONS, METRICS)
        axis.set_title("Correlation of emotion with the log rate of engagement")
    return Picture(
        "figure4_emotion_engagement",
        "Pearson's r within halves (Table 8), in brackets the published figure; * p < 0.05, "
        "** p < 0.01, *** p < 0.001 after Holm's correction over the table, the posts of one "
        "author counted as resembling each other "
        f"(n = {int(table['n'].min())} to {int(table['n'].max())} posts per cell; – where these "
        f"are too few for a correlation).{noted(note)}",
        "Matrix; the table beside it holds the figures.",
        drawn,
    )


def engagement_plane(posts: pd.DataFrame, surfaces: dict[str, Surface], note: str = "") -> Picture:
    """Engagement over the plane, with the direction in which it grows (Figure 6).

    Parameters
    ----------
    posts
        Posts with emotions.
    surfaces
        From :func:`engagement_surfaces`.
    note
        As in :func:`emotion_density`.
    """
    overall = surfaces["overall"]
    metrics = [name for name in ENGAGEMENT if surfaces[name].n]
    with look():
        drawn = figure(8.6, 4.3)
        left, right = drawn.subfigures(1, 2, squeeze=False, width_ratios=[1.05, 1])[0]
        main = left.subplots()
        _surface(main, overall, labelled=True)
        _points(main, posts)
        _arrows(main, overall)
        plane_axes(np.array([[main]]))
        main.set_title(f"All engagement (n = {overall.n})")
        axes = right.subplots(2, 2, sharex=True, sharey=True, squeeze=False)
        for axis, name in zip(axes.flat, metrics, strict=False):
            _surface(axis, surfaces[name], labelled=False)
            axis.set_title(f"{name.capitalize()} (n = {surfaces[name].n})", fontsize=8)
        for axis in axes.flat[len(metrics) :]:
            axis.set_visible(False)
        plane_axes(axes)
        _change_bar(right, axes)
    best = np.unravel_index(np.nanargmax(overall.values), overall.values.shape)
    return Picture(
        "figure6_engagement_plane",
        "Rates relative to what is typical of the category, smoothed over the plane (Gaussian "
        f"kernel, {overall.bandwidth:.1f} points); white where fewer than 5 posts are near. "
        "Contours at −50, −25, 0, +50 and +100 %; arrows point to where engagement grows, the "
        f"longer the faster; dots are posts, up to {_MOST_POINTS} of them, the larger the more "
        f"engagement they had for their category (n = {overall.n} posts).{noted(note)}",
        f"Heat maps; all engagement is highest near valence {overall.valence[best[0]]:+.1f}, "
        f"arousal {overall.arousal[best[1]]:.1f}.",
        drawn,
    )


def peak_hours(table: pd.DataFrame, note: str = "") -> Picture:
    """Time to peak per emotional quadrant with intervals (Table 9).

    Parameters
    ----------
    table
        From :func:`evoked.analysis.peaks.time_to_peak`.
    note
        As in :func:`emotion_density`.
    """
    metrics = [name for name in ENGAGEMENT if table.loc[table["metric"] == name, "n"].sum()]
    with look():
        drawn = figure(2.0 + 1.6 * len(metrics), 2.3)
        axes = drawn.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
        for axis, name in zip(axes, metrics, strict=True):
            rows = table[table["metric"] == name].reset_index(drop=True)
            axis.plot(rows["published"], rows.index, "|", color=INK, markersize=11)
            axis.hlines(rows.index, rows["low"], rows["high"], color=BLUE)
            axis.plot(rows["hours"], rows.index, "o", color=BLUE, markersize=4)
            axis.set_title(name.capitalize())
            axis.set_xlabel("hours")
            axis.set_xlim(left=0)
        axes[0].set_yticks(range(len(QUADRANTS)), [name.replace(", ", ",\n") for name in QUADRANTS])
        axes[0].set_ylim(len(QUADRANTS) - 0.5, -0.5)
    used = table.groupby("metric")["n"].sum()
    return Picture(
        "table9_time_to_peak",
        "Mean hours until engagement peaks, with 95 % bootstrap intervals (dots, often wider than "
        f"their interval), beside the published means (bars) (n = {int(used.min())} to "
        f"{int(used.max())} posts per metric).{noted(note)}",
        "Dots; the table beside it holds the figures.",
        drawn,
    )


def engagement_surfaces(posts: pd.DataFrame, step: float = 0.25) -> dict[str, Surface]:
    """By metric, log rates less those typical of the category, smoothed over the plane."""
    rates = log_rates(*engagement_counts(posts), posts["category"])
    valence, arousal = posts["valence"].astype(float), posts["arousal"].astype(float)
    return {
        name: smooth(valence, arousal, rate, step)
        for name, rate in zip(METRICS, rates.T, strict=True)
    }


def _panels(known: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    counts = known["category"].value_counts()
    if len(counts) < 2:
        return [("all posts", known)]
    return [(str(name), known[known["category"] == name]) for name in counts.index[:_MOST_PANELS]]


def _density(axis: Axes, part: pd.DataFrame) -> None:
    if len(part) < _FEWEST_CONTOURED:
        axis.plot(part["valence"], part["arousal"], "o", color=BLUE, markersize=3, alpha=0.7)
        return
    surface = smooth(part["valence"], part["arousal"], np.zeros(len(part)))
    levels = [*_mass_levels(surface.support, _SHARES), surface.support.max() * 1.001]
    axis.contourf(
        surface.valence,
        surface.arousal,
        surface.support.T,
        levels=levels,
        colors=["#C6DBEF", "#6BAED6", "#2171B5"],
    )


def _mass_levels(density: Floats, shares: tuple[float, ...]) -> list[float]:
    """Densities above which the densest places hold these shares of all posts, ascending."""
    ordered = np.sort(density.ravel())[::-1]
    held = np.cumsum(ordered) / ordered.sum()
    return [float(ordered[min(int((held < share).sum()), len(held) - 1)]) for share in shares]


def _surface(axis: Axes, surface: Surface, labelled: bool) -> None:
    heat(axis, surface, _LARGEST_CHANGE)
    levels = np.log1p(_CHANGES)
    lines = axis.contour(
        surface.valence,
        surface.arousal,
        surface.values.T,
        levels=levels,
        colors=[INK],
        linewidths=[0.6, 0.6, 1.2, 0.6, 0.6],
        linestyles="solid",
    )
    if labelled:
        names = {float(level): _percent(np.expm1(level)) for level in lines.levels}
        axis.clabel(lines, fmt=names, fontsize=7)
    _midlines(axis)


def _points(axis: Axes, posts: pd.DataFrame) -> None:
    """Posts in their category's colour, the larger the more engagement they had for it."""
    rates = log_rates(*engagement_counts(posts), posts["category"])[:, METRICS.index("overall")]
    placed = posts.assign(size=_areas(rates), category=posts["category"].fillna("none"))
    known = placed.dropna(subset=["valence", "arousal"])
    if len(known) > _MOST_POINTS:
        known = known.sample(_MOST_POINTS, random_state=0)
    named = known["category"].value_counts().index[: len(_CATEGORY_COLOURS)]
    for name, part in known.groupby(known["category"].where(known["category"].isin(named))):
        colour = _CATEGORY_COLOURS[list(named).index(name)]
        _scattered(axis, part, colour, shortened(str(name), _NAME_CHARACTERS))
    _scattered(axis, known[~known["category"].isin(named)], GREY, "others")
    if len(named) > 1:
        axis.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, fontsize=7, frameon=False
        )


def _areas(rates: Floats) -> Floats:
    """Areas of points by the rank of their rate; unknown ones are the smallest."""
    ranks = pd.Series(rates).rank(pct=True).to_numpy(dtype=np.float64)
    small, large = _POINT_AREAS
    return np.asarray(small + (large - small) * np.nan_to_num(ranks) ** 2, np.float64)


def _scattered(axis: Axes, part: pd.DataFrame, colour: str, name: str) -> None:
    if len(part):
        axis.scatter(
            part["valence"],
            part["arousal"],
            s=part["size"],
            color=colour,
            alpha=0.55,
            linewidths=0,
            rasterized=True,
            label=name,
        )


def _arrows(axis: Axes, surface: Surface) -> None:
    """Draw the gradient of the surface where it is known."""
    step = float(surface.valence[1] - surface.valence[0])
    places = slice(None, None, _ARROW_STEP)
    u, v = (np.gradient(surface.values, step, axis=side)[places, places] for side in (0, 1))
    grid = np.meshgrid(surface.valence[places], surface.arousal[places], indexing="ij")
    known = np.isfinite(u) & np.isfinite(v)
    axis.quiver(
        grid[0][known],
        grid[1][known],
        u[known],
        v[known],
        angles="xy",
        scale_units="xy",
        scale=0.6,
        width=0.005,
        color="white",
        edgecolor=INK,
        linewidth=0.7,
        pivot="mid",
        zorder=5,
    )


def _change_bar(drawn: Any, axes: NDArray[Any]) -> None:
    scale = ScalarMappable(Normalize(-_LARGEST_CHANGE, _LARGEST_CHANGE), DIVERGING)
    bar = drawn.colorbar(scale, ax=axes, fraction=0.05, pad=0.02)
    ticks = np.array([-0.6, *_CHANGES, 2.0])
    bar.set_ticks(np.log1p(ticks), labels=[_percent(tick) for tick in ticks])
    bar.set_label("rate against the typical one")
    bar.outline.set_visible(False)


def _midlines(axis: Axes) -> None:
    axis.axhline(AROUSAL_MIDPOINT, color=PALE, linewidth=0.8, zorder=0)
    axis.axvline(0, color=PALE, linewidth=0.8, zorder=0)
    axis.tick_params(colors=GREY, labelcolor=INK)


def _number(value: float) -> str:
    return "–" if not np.isfinite(value) else f"{value:.2f}".replace("-", "−")


def _percent(share: float) -> str:
    sign = "+" if share > 0.005 else "−" if share < -0.005 else ""
    return f"{sign}{abs(share):.0%}".replace("%", " %")

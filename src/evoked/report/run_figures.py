"""Figures of what a run does with posts: ABMF's Figures 3, 4 and 5."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import ConnectionPatch
from numpy.typing import NDArray

from evoked.analysis.accuracy import EMOTION_SCORES, ENGAGEMENT_SCORES
from evoked.analysis.positions import Surface
from evoked.analysis.projection import Projection
from evoked.evaluation.significance import significance_marks
from evoked.explain import Explanation
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
from evoked.posts.emotion_and_rates import QUADRANTS
from evoked.report.figure_parts import cells_of, heat, matrix, noted, plane_axes

Floats = NDArray[np.float64]

# Colour and marker of each quadrant, so that they differ without colour as well.
QUADRANT_COLOURS = (VERMILLION, ORANGE, PURPLE, BLUE, GREY)
_QUADRANT_MARKERS = ("^", "v", "s", "o", ".")
_MODEL_COLOURS = (BLUE, ORANGE, GREEN, PURPLE)
_MODEL_LINES = ("-", "--", "-.", ":")
_MOST_WORDS = 12
_NAME_CHARACTERS = 16
_LINKED_WORDS = 6
_REGIONS_PER_WORD = 2
_NORMAL_95 = 1.96
_MOST_AXES = 12


def fusion_projection(
    before: Projection, after: Projection, quadrant: NDArray[np.int64], note: str = ""
) -> Picture:
    """Posts before and after fusion, coloured by emotion (Figure 3 D).

    Parameters
    ----------
    before, after
        Projections of the same posts.
    quadrant
        (n,): index of each projected post's quadrant in QUADRANTS.
    note
        What has to be said about the emotions, after the caption.
    """
    with look():
        drawn = figure(7.0, 3.9)
        axes = drawn.subplots(1, 2)
        for axis, title, each in zip(
            axes, ("Before fusion", "After fusion"), (before, after), strict=True
        ):
            for number, name in enumerate(QUADRANTS):
                rows = quadrant[each.rows] == number
                axis.scatter(
                    *each.points[rows].T,
                    s=14,
                    alpha=0.75,
                    linewidths=0,
                    label=name,
                    color=QUADRANT_COLOURS[number],
                    marker=_QUADRANT_MARKERS[number],
                )
            axis.set_title(
                f"{title}: neighbours {each.neighbours:.0%}, silhouette {_signed(each.silhouette)}",
                fontsize=8,
            )
            axis.set_xticks([])
            axis.set_yticks([])
            axis.set_xlabel("t-SNE 1 (no unit)")
            axis.set_ylabel("t-SNE 2 (no unit)")
        drawn.legend(
            *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=7.5
        )
    return Picture(
        "figure3d_fusion",
        "t-SNE of the pooled features and of what the model makes of them, coloured by the "
        "quadrant of their emotion. Neighbours: balanced accuracy with which a post's quadrant "
        f"follows from its 15 nearest posts (guessing: {before.chance:.0%}), in the vectors' own "
        f"space; silhouette: 0 where quadrants don't separate (n = {len(before.rows)} test posts)."
        f"{noted(note)}",
        f"Two scatters; the accuracy from neighbours goes from {before.neighbours:.0%} to "
        f"{after.neighbours:.0%}.",
        drawn,
    )


def word_to_word(explanation: Explanation, weights: Floats, number: int) -> Picture:
    """Textual self-attention between the most attended words of a caption (Figure 3 B)."""
    chosen = explanation.most_attended(_MOST_WORDS)
    rows = np.flatnonzero(explanation.words.index.isin(chosen.index))
    shown = 100 * weights[np.ix_(rows, rows)]
    names = [shortened(word, _NAME_CHARACTERS) for word in chosen["word"]]
    with look():
        drawn = figure(1.9 + 0.33 * len(names), 1.5 + 0.3 * len(names))
        axis = drawn.subplots()
        image = axis.imshow(shown, cmap="cividis", vmin=0)
        axis.set_xticks(range(len(names)), names, rotation=60, ha="right", rotation_mode="anchor")
        axis.set_yticks(range(len(names)), names)
        axis.tick_params(length=0)
        axis.set_xlabel("attention received by")
        axis.set_ylabel("attention given by")
        bar = drawn.colorbar(image, ax=axis, fraction=0.05, pad=0.02)
        bar.set_label("% of the giver's attention")
        bar.outline.set_visible(False)
    row, column = np.unravel_index(shown.argmax(), shown.shape)
    return Picture(
        f"figure3b_words_{number}",
        f"Textual self-attention between the {len(names)} most attended words of the caption, in "
        "reading order; the other words and the hashtags get the rest "
        f"(n = {len(explanation.words)} words).",
        f"Matrix; most goes from “{names[row]}” to “{names[column]}”: {shown[row, column]:.0f} %.",
        drawn,
    )


def word_region_links(explanation: Explanation, picture: NDArray[np.uint8], number: int) -> Picture:
    """Lines from words to the regions that they attend to most (Figure 3 C)."""
    assert explanation.word_regions is not None
    words = explanation.most_attended(_LINKED_WORDS)
    weights = [explanation.word_regions[row] for row in words.index]
    ratio = min(max(picture.shape[0] / picture.shape[1], 0.6), 1.5)
    widest = max(float(each.relative.max()) for each in weights)
    colours = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY)
    with look():
        drawn = figure(6.2, 3.6 * ratio)
        left, right = drawn.subplots(1, 2, width_ratios=[2.2, 1])
        left.imshow(picture)
        left.set_axis_off()
        right.set_axis_off()
        right.set_xlim(0, 1)
        right.set_ylim(len(words) - 0.5, -0.5)
        for place, (word, each) in enumerate(zip(words["word"], weights, strict=True)):
            label = f"“{shortened(word, _NAME_CHARACTERS)}”"
            right.text(0.12, place, label, va="center", color=INK, fontsize=9)
            for region in np.argsort(each.grid.ravel())[::-1][:_REGIONS_PER_WORD]:
                strength = float(each.relative.ravel()[region]) / widest
                x, y = _centre(int(region), each.grid.shape, picture.shape)
                # Lines to the same region end next to each other.
                x += (place - (len(words) - 1) / 2) * 0.012 * picture.shape[1]
                line = _link(right, left, place, (x, y), colours[place], strength)
                drawn.add_artist(line)
                left.plot(x, y, "o", color=colours[place], markersize=6, markeredgecolor="white")
    return Picture(
        f"figure3c_links_{number}",
        f"Cross-modal attention: each of the {len(words)} most attended words and the "
        f"{_REGIONS_PER_WORD} regions that it attends to most; the thickest line is {widest:.1f} "
        f"times an even share (n = {explanation.tokens} tokens, {weights[0].n} regions).",
        "Lines from words to regions.",
        drawn,
    )


def accuracy_matrix(table: pd.DataFrame) -> Picture:
    """Emotion accuracy against engagement accuracy across categories (Figure 4).

    Parameters
    ----------
    table
        From :func:`evoked.evaluation.significance.accuracy_correlations`.
    """
    rows = [name for name in ENGAGEMENT_SCORES if name in set(table["engagement"])]
    columns = [name for name in EMOTION_SCORES if name in set(table["emotion"])]
    cells = cells_of(table, "engagement", rows, "emotion", columns)
    texts = [
        [
            f"{_signed(cell['pearson'])}{significance_marks(cell['pearson_p'])}"
            f"\n(ρ {_signed(cell['spearman'])}{significance_marks(cell['spearman_p'])})"
            for cell in row
        ]
        for row in cells
    ]
    with look():
        drawn = figure(1.6 + 1.2 * len(columns), 0.8 + 0.42 * len(rows))
        axis = drawn.subplots()
        values = np.array([[cell["pearson"] for cell in row] for row in cells], dtype=np.float64)
        matrix(axis, values, texts, rows, columns)
        axis.set_title("Correlation across categories")
    n = int(table["n"].max())
    survivors = int((table["pearson_p_holm"] < 0.05).sum())
    return Picture(
        "figure4_accuracy",
        "Is engagement predicted better in categories whose emotion is read better? Pearson's r, "
        "in brackets Spearman's ρ; * p < 0.05, ** p < 0.01, *** p < 0.001, not corrected; after "
        f"Holm's correction {survivors} of {len(table)} remain (n = {n} categories, few for a "
        "correlation).",
        "Matrix; the table beside it holds the figures.",
        drawn,
    )


def category_radar(scores: pd.DataFrame) -> Picture:
    """Scores per category of up to four models (Figure 5 A).

    Parameters
    ----------
    scores
        From :func:`evoked.analysis.accuracy.scores_by_category`, with at least three categories.
    """
    models = list(dict.fromkeys(scores["model"]))[: len(_MODEL_COLOURS)]
    categories = list(dict.fromkeys(scores["category"]))[:_MOST_AXES]
    emotion = scores.reindex(columns=["valence CCC", "arousal CCC"]).mean(axis=1)
    panels = {"Emotion CCC": emotion, "Engagement MAP": scores.get("overall MAP")}
    known = {
        name: values
        for name, values in panels.items()
        if values is not None and values.notna().any()
    }
    angles = np.linspace(0, 2 * np.pi, len(categories), endpoint=False)
    with look():
        drawn = figure(3.5 * len(known) + 0.3, 4.0)
        axes = drawn.subplots(1, len(known), subplot_kw={"projection": "polar"}, squeeze=False)[0]
        for axis, (title, values) in zip(axes, known.items(), strict=True):
            for model, colour, line in zip(models, _MODEL_COLOURS, _MODEL_LINES, strict=False):
                own = scores.assign(value=values)[scores["model"] == model]
                radii = own.set_index("category")["value"].reindex(categories).clip(lower=0)
                closed = np.append(radii.to_numpy(), radii.iloc[0])
                around = np.append(angles, angles[0])
                axis.plot(around, closed, line, color=colour, label=model, linewidth=1.6)
                axis.fill(around, closed, color=colour, alpha=0.06)
            _radar_axis(axis, angles, categories, title)
        drawn.legend(
            *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(models)
        )
    sizes = scores.drop_duplicates("category").set_index("category")["n"]
    return Picture(
        "figure5a_categories",
        "Scores per category: mean CCC of valence and arousal (below 0 drawn at 0), and mean MAP "
        "of engagement, on the test posts (n = "
        + ", ".join(f"{sizes[name]} {name}" for name in categories)
        + ").",
        "Radar charts; the table beside it holds the figures.",
        drawn,
    )


def gain_plane(surfaces: dict[str, Surface], baseline: str, model: str, note: str = "") -> Picture:
    """Where on the plane a model errs less than a baseline (Figure 5 B).

    Parameters
    ----------
    surfaces
        By title with its unit: the baseline's absolute error less the model's, smoothed.
    baseline, model
        Names of the two.
    note
        As in :func:`fusion_projection`.
    """
    with look():
        drawn = figure(3.5 * len(surfaces) + 0.2, 3.3)
        axes = drawn.subplots(1, len(surfaces), squeeze=False)
        for axis, (title, surface) in zip(axes[0], surfaces.items(), strict=True):
            reach = max(float(np.nanmax(np.abs(surface.values))), 1e-6)
            heat(axis, surface, reach)
            unsure = np.abs(surface.values) < _NORMAL_95 * surface.errors
            axis.contourf(
                surface.valence,
                surface.arousal,
                np.where(unsure, 1.0, 0.0).T,
                levels=[0.5, 1.5],
                colors=["none"],
                hatches=["////"],
            )
            axis.set_title(title, fontsize=8)
            bar = drawn.colorbar(
                ScalarMappable(Normalize(-reach, reach), DIVERGING), ax=axis, fraction=0.046
            )
            bar.outline.set_visible(False)
        plane_axes(axes)
    each = next(iter(surfaces.values()))
    return Picture(
        "figure5b_gain",
        f"By how much {model} errs less than {baseline} (blue) or more (red), smoothed over the "
        "emotion; hatched where the 95 % interval includes no gain, white where fewer than 5 posts "
        "are near "
        f"(n = {each.n} test posts).{noted(note)}",
        "Heat maps; "
        + "; ".join(
            f"{title}: {np.nanmean(surface.values):+.2f} on average over the plane"
            for title, surface in surfaces.items()
        )
        + ".",
        drawn,
    )


def _link(
    words: Axes, regions: Axes, row: int, end: tuple[float, float], colour: str, strength: float
) -> ConnectionPatch:
    """A line from a word to a region; the stronger, the thicker."""
    return ConnectionPatch(
        (0.1, row),
        end,
        coordsA=words.transData,
        coordsB=regions.transData,
        color=colour,
        linewidth=0.4 + 2.2 * strength**2,
        alpha=0.9,
    )


def _radar_axis(axis: Any, angles: Floats, categories: list[str], title: str) -> None:
    axis.set_theta_offset(np.pi / 2)
    axis.set_theta_direction(-1)
    axis.set_xticks(angles, [shortened(name, _NAME_CHARACTERS) for name in categories], fontsize=8)
    axis.set_ylim(0, max(axis.get_ylim()[1], 0.1))
    axis.set_yticks(np.arange(0.2, axis.get_ylim()[1], 0.2))
    axis.tick_params(axis="y", labelsize=7, labelcolor=GREY)
    axis.tick_params(axis="x", pad=13)
    axis.grid(color=PALE)
    axis.spines["polar"].set_color(PALE)
    axis.set_title(title, pad=14)


def _centre(region: int, grid: tuple[int, ...], picture: tuple[int, ...]) -> tuple[float, float]:
    """Middle of a grid's cell in pixels, (x, y)."""
    row, column = divmod(region, grid[1])
    return (column + 0.5) * picture[1] / grid[1], (row + 0.5) * picture[0] / grid[0]


def _signed(value: float) -> str:
    return "–" if not np.isfinite(value) else f"{value:+.2f}".replace("-", "−")

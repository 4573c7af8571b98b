"""Pictures of what a model sees in a post's picture, as colours over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from evoked.explain.explanation import Explanation
from evoked.explain.figures import (
    DIVERGING,
    GREY,
    HEAT,
    INK,
    Picture,
    drawable,
    figure,
    look,
    shortened,
)
from evoked.explain.readings import Reading
from evoked.models.explanations import RegionWeights

WORDS_DRAWN = 14
_WORDS_LINKED = 4
# An even share is 1. Weaker attention than this stays dark, however little the rest gets.
_LEAST_HEAT = 2.0
_HEAT_OPACITY = 0.45
_EFFECT_OPACITY = 0.75
# Probabilities that differ by less than this don't fill the range of colours.
_LEAST_SPAN = 0.1


def draw_regions(explanation: Explanation, picture: NDArray[np.uint8]) -> Picture:
    """The picture, and spatial attention as a heat map over it."""
    weights = explanation.regions
    assert weights is not None
    height = 2.9 * min(max(picture.shape[0] / picture.shape[1], 0.5), 1.6)
    with look():
        drawn = figure(6.6, height + 0.35)
        plain, heated = drawn.subplots(1, 2)
        plain.imshow(picture)
        plain.set_title("Picture")
        top = heat_top([weights])
        heated.imshow(heat_over(picture, weights, top))
        heated.set_title("Attention")
        _boxes(heated, explanation, weights, picture)
        for axis in (plain, heated):
            axis.set_axis_off()
        _heat_bar(drawn, heated, top)
    of_objects = (
        f" Boxes: {weights.objects.size} objects, which get {weights.objects.sum():.0%} of it."
        if weights.objects.size
        else ""
    )
    return Picture(
        "regions",
        f"Where the model's spatial attention lies, as a multiple of an even share "
        f"(n = {weights.n} regions).{of_objects}",
        f"Heat map; the strongest region, {weights.relative.max():.1f} times an even share, lies "
        f"{_place(weights)}.",
        drawn,
    )


def draw_popularity(explanation: Explanation, picture: NDArray[np.uint8]) -> Picture:
    """Which regions promise popularity, and the attention that words receive (Figure 5)."""
    assert explanation.region_probabilities is not None
    weighed = explanation.shows_word_attention
    words = explanation.most_attended(WORDS_DRAWN) if weighed else explanation.words.iloc[:0]
    words = words[drawable(words["word"])]
    return popularity_map(
        picture,
        explanation.region_probabilities,
        [shortened(word) for word in words["word"]],
        words["attention"].to_numpy(dtype=np.float64),
        len(explanation.words),
    )


def draw_region_effects(explanation: Explanation, picture: NDArray[np.uint8]) -> Picture:
    """The picture, and the effect of each region on the first target as colours over it."""
    effects, reading = _first_effects(explanation)
    reach = float(np.abs(effects).max()) * reading.scale
    height = 2.9 * min(max(picture.shape[0] / picture.shape[1], 0.5), 1.6)
    with look():
        drawn = figure(6.6, height + 0.35)
        plain, coloured = drawn.subplots(1, 2)
        plain.imshow(picture)
        plain.set_title("Picture")
        coloured.imshow(effects_over(picture, effects))
        coloured.set_title(f"Effect on {reading.title.lower()}")
        for axis in (plain, coloured):
            axis.set_axis_off()
        scale = ScalarMappable(Normalize(-reach, reach), DIVERGING)
        bar = drawn.colorbar(scale, ax=coloured, fraction=0.05, pad=0.02, ticks=[-reach, 0, reach])
        ends = (reading.shown(sign * reach / reading.scale, signed=True) for sign in (-1, 0, 1))
        bar.ax.set_yticklabels(list(ends))
        bar.set_label(reading.unit)
        bar.outline.set_visible(False)
    row, column = np.unravel_index(int(np.abs(effects).argmax()), effects.shape)
    return Picture(
        "regions_effect",
        effects_sentence(explanation),
        f"Heat map; the strongest effect is in row {row + 1}, column {column + 1} of "
        f"{effects.shape[0]} by {effects.shape[1]}: "
        f"{reading.with_unit(float(effects[row, column]))}.",
        drawn,
    )


def _first_effects(explanation: Explanation) -> tuple[NDArray[np.float64], Reading]:
    effects = explanation.moving_regions()
    assert effects is not None
    return effects, explanation.readings[0]


def draw_word_regions(explanation: Explanation, picture: NDArray[np.uint8]) -> Picture:
    """The regions that the words with most attention attend to."""
    assert explanation.word_regions is not None
    words = explanation.most_attended(_WORDS_LINKED)
    weights = [explanation.word_regions[row] for row in words.index]
    top = heat_top(weights)
    ratio = min(max(picture.shape[0] / picture.shape[1], 0.5), 1.6)
    columns = min(len(words), 2)
    rows = -(-len(words) // columns)
    with look():
        drawn = figure(3.1 * columns + 0.6, rows * (2.9 * ratio + 0.3))
        axes = drawn.subplots(rows, columns, squeeze=False)
        for axis, word, each in zip(axes.flat, words["word"], weights, strict=False):
            axis.imshow(heat_over(picture, each, top))
            _mark_strongest(axis, picture, each)
            axis.set_title(f"“{shortened(word)}” (up to {each.relative.max():.1f})")
        for axis in axes.flat:
            axis.set_axis_off()
        _heat_bar(drawn, axes, top)
    return Picture(
        "words_regions",
        f"Which regions each of the {len(words)} most attended words attends to, as a multiple of "
        f"an even share; the strongest region is framed (n = {explanation.tokens} tokens, "
        f"{weights[0].n} regions).",
        "; ".join(
            f"“{word}”: {_place(each)}" for word, each in zip(words["word"], weights, strict=True)
        )
        + ".",
        drawn,
    )


def popularity_map(
    picture: NDArray[np.uint8],
    probabilities: NDArray[np.floating],
    words: Sequence[str] = (),
    attention: ArrayLike = (),
    n_words: int = 0,
) -> Picture:
    """Probability of being popular over a picture's regions, words' attention below (Figure 5).

    Parameters
    ----------
    picture
        uint8 RGB, (height, width, 3).
    probabilities
        (rows, columns): probability of being popular with each cell in place of the picture.
    words, attention
        Words in reading order, and the share of attention that each receives; without words, the
        bars are left out.
    n_words
        Number of words in the caption, of which ``words`` may be a part.
    """
    low, high = float(probabilities.min()), float(probabilities.max())
    margin = max(0.0, _LEAST_SPAN - (high - low)) / 2
    bottom, top = low - margin, high + margin
    ratio = min(max(picture.shape[0] / picture.shape[1], 0.5), 1.6)
    received = np.asarray(attention, dtype=np.float64)
    with look():
        drawn = figure(6.6, 2.9 * ratio + 0.35 + (1.9 if len(words) else 0.0))
        parts: list[Any] = [drawn]
        if words:
            heights = [2.9 * ratio + 0.35, 1.9]
            parts = drawn.subfigures(2, 1, squeeze=False, height_ratios=heights)[:, 0].tolist()
        above = parts[0]
        plain, heated = above.subplots(1, 2)
        plain.imshow(picture)
        plain.set_title("Picture")
        heated.imshow(blended(picture, (probabilities - bottom) / (top - bottom)))
        heated.set_title("Probability of being popular")
        for axis in (plain, heated):
            axis.set_axis_off()
        bar = above.colorbar(
            ScalarMappable(Normalize(bottom, top), HEAT), ax=heated, fraction=0.05, pad=0.02
        )
        bar.set_label("probability with this region alone")
        bar.outline.set_visible(False)
        if words:
            axis = parts[1].subplots()
            axis.bar(range(len(words)), 100 * received, color=GREY, width=0.7)
            axis.set_xticks(range(len(words)), words, rotation=40, ha="right")
            axis.tick_params(axis="x", length=0)
            axis.set_ylabel("% of attention")
    of_words = (
        f" Below: the attention that words receive (n = {n_words} words, the {len(words)} that "
        "receive most shown)."
        if words
        else ""
    )
    row, column = np.unravel_index(int(probabilities.argmax()), probabilities.shape)
    return Picture(
        "popularity_map",
        "Probability that the post is among its author's popular ones if the whole picture were "
        f"like each of its regions (n = {probabilities.size} regions)."
        f"{of_words}",
        f"Heat map; probabilities from {low:.2f} to {high:.2f}, the highest in row {row + 1}, "
        f"column {column + 1} of {probabilities.shape[0]} by {probabilities.shape[1]}.",
        drawn,
    )


def effects_sentence(explanation: Explanation) -> str:
    """What the colours over a picture stand for, with their n."""
    effects, reading = _first_effects(explanation)
    largest = reading.with_unit(float(np.abs(effects).max())).lstrip("+")
    return (
        f"What parts of the picture add to {reading.title.lower()}, compared with the same picture "
        f"with the part blurred: blue raises it, red lowers it, by up to {largest} "
        f"(n = {effects.size} parts)."
    )


def effects_over(picture: NDArray[np.uint8], effects: NDArray[np.floating]) -> NDArray[np.uint8]:
    """The picture under the colours of smoothed signed effects (rows, columns): the larger an
    effect, the more its colour covers, and none at all where there is none."""
    height, width = picture.shape[:2]
    share = effects / max(float(np.abs(effects).max()), 1e-12)
    smooth = np.asarray(
        Image.fromarray(share.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
    ).clip(-1, 1)
    colours = colormaps[DIVERGING](0.5 + smooth / 2)[..., :3] * 255
    cover = _EFFECT_OPACITY * np.abs(smooth)[..., None]
    return np.asarray(((1 - cover) * picture + cover * colours).round(), np.uint8)


def heat_over(
    picture: NDArray[np.uint8], weights: RegionWeights, top: float | None = None
) -> NDArray[np.uint8]:
    """The picture in grey under a smooth heat map.

    Parameters
    ----------
    picture
        uint8 RGB, (height, width, 3).
    weights
        Attention over its regions.
    top
        Multiple of an even share that has the brightest colour; colours start at 0.
    """
    return blended(picture, weights.relative / (top or heat_top([weights])))


def blended(
    picture: NDArray[np.uint8], grid: NDArray[np.floating], colour_map: str = HEAT
) -> NDArray[np.uint8]:
    """The picture in grey under the colours of a smoothed grid of values from 0 to 1."""
    height, width = picture.shape[:2]
    smooth = np.asarray(
        Image.fromarray(grid.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
    )
    colours = colormaps[colour_map](smooth)[..., :3] * 255
    grey = picture.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    mixed = (1 - _HEAT_OPACITY) * grey[..., None] + _HEAT_OPACITY * colours
    return mixed.round().astype(np.uint8)


def heat_top(weights: Sequence[RegionWeights]) -> float:
    """End of a colour scale for several heat maps, as a multiple of an even share."""
    return max(_LEAST_HEAT, *(float(each.relative.max()) for each in weights))


def _heat_bar(drawn: Figure, axes: Any, top: float) -> None:
    scale = ScalarMappable(Normalize(0, top), HEAT)
    bar = drawn.colorbar(scale, ax=axes, fraction=0.05, pad=0.02)
    bar.set_label("attention ÷ even share")
    bar.outline.set_visible(False)


def _boxes(
    axis: Axes, explanation: Explanation, weights: RegionWeights, picture: NDArray[np.uint8]
) -> None:
    height, width = picture.shape[:2]
    for (left, top, right, bottom), weight in zip(explanation.boxes, weights.objects, strict=False):
        axis.add_patch(
            Rectangle(
                (left * width, top * height),
                (right - left) * width,
                (bottom - top) * height,
                fill=False,
                edgecolor="white",
                linewidth=float(np.clip(weight * weights.n, 0.5, 3)),
            )
        )


def _mark_strongest(axis: Axes, picture: NDArray[np.uint8], weights: RegionWeights) -> None:
    rows, columns = weights.grid.shape
    row, column = weights.strongest
    height, width = picture.shape[0] / rows, picture.shape[1] / columns
    for colour, line in ((INK, 2.6), ("white", 1.2)):  # seen on light and dark
        axis.add_patch(
            Rectangle(
                (column * width, row * height),
                width,
                height,
                fill=False,
                edgecolor=colour,
                linewidth=line,
            )
        )


def _place(weights: RegionWeights) -> str:
    """Position of the strongest cell in words."""
    row, column = weights.strongest
    rows, columns = weights.grid.shape
    vertical = ("at the top", "in the middle", "at the bottom")[min(3 * row // rows, 2)]
    horizontal = ("left", "centre", "right")[min(3 * column // columns, 2)]
    return f"{vertical}, {horizontal}"

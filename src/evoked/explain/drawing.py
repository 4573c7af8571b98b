"""Pictures of an explanation."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from evoked.errors import ImageError
from evoked.explain.attention import RegionWeights
from evoked.explain.explanation import Explanation
from evoked.explain.figures import (
    DIVERGING,
    GREY,
    HEAT,
    INK,
    NEGATIVE,
    POSITIVE,
    figure,
    look,
    to_png,
)
from evoked.explain.readings import Reading
from evoked.files import atomic_path
from evoked.posts.images import load_image
from evoked.targets import task_class

_PICTURE_EDGE = 480
_WORDS_DRAWN = 14
_WORDS_LINKED = 4
_FACTS_DRAWN = 10
_WORD_CHARACTERS = 18
# An even share is 1. Weaker attention than this stays dark, however little the rest gets.
_LEAST_HEAT = 2.0
_HEAT_OPACITY = 0.45
# Probabilities that differ by less than this don't fill the range of colours.
_LEAST_SPAN = 0.1


@dataclass(frozen=True)
class Picture:
    """A drawn figure, its name, what it shows in a sentence, and what a person who can't see it
    should know."""

    name: str
    caption: str
    alternative: str
    figure: Figure


def draw_all(explanation: Explanation, folder: Path) -> list[Path]:
    """Write every picture of an explanation as PNG into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for picture in pictures(explanation):
        _write_caption(picture)
        paths.append(folder / f"{picture.name}.png")
        with atomic_path(paths[-1]) as temporary:
            temporary.write_bytes(to_png(picture.figure))
    return paths


def pictures(explanation: Explanation) -> list[Picture]:
    """Draw what an explanation has something for."""
    shown = shown_picture(explanation)
    drawn = [draw_contributions(explanation)]
    if shown is not None and explanation.regions is not None:
        drawn.append(draw_regions(explanation, shown))
    if shown is not None and explanation.region_probabilities is not None:
        drawn.append(draw_popularity(explanation, shown))
    if shown is not None and explanation.region_effects:
        drawn.append(draw_region_effects(explanation, shown))
    if len(explanation.words):
        drawn.append(draw_words(explanation))
    if shown is not None and explanation.word_regions:
        drawn.append(draw_word_regions(explanation, shown))
    if len(explanation.metadata):
        drawn.append(draw_metadata(explanation))
    return drawn


def shown_picture(explanation: Explanation, edge: int = _PICTURE_EDGE) -> NDArray[np.uint8] | None:
    """The post's picture, at most ``edge`` pixels wide and high; None if it can't be read."""
    if explanation.image is None:
        return None
    try:
        picture = Image.fromarray(load_image(explanation.image))
    except ImageError:
        return None
    picture.thumbnail((edge, edge))
    return np.asarray(picture)


def draw_contributions(explanation: Explanation) -> Picture:
    """A panel per target: what each modality adds to the prediction, from base to outcome."""
    readings = explanation.readings
    columns = min(2, len(readings))
    rows = -(-len(readings) // columns)
    values = explanation.contributions
    with look():
        drawn = figure(3.3 * columns, 0.75 + rows * (0.55 + 0.24 * len(values)))
        axes = drawn.subplots(rows, columns, squeeze=False)
        for axis in axes.flat[len(readings) :]:
            axis.set_visible(False)
        for axis, each in zip(axes.flat, readings, strict=False):
            alike = [other.name for other in readings if other.unit == each.unit]
            _signed_bars(axis, values[each.name] * each.scale, _reach(values[alike], each))
            start, end = (
                of[each.name] * each.scale for of in (explanation.base, explanation.outcome)
            )
            axis.set_title(f"{each.title}: {start:.{each.digits}f} → {end:.{each.digits}f}")
            axis.set_xlabel(each.unit)
    largest = values.abs().mean(axis=1)
    return Picture(
        "contributions",
        "What each modality adds to the prediction, from a post that shows nothing to this one: "
        f"exact Shapley values over {len(values)} {_plural('modality', len(values))} "
        f"(n = {2 ** len(values)} predictions); "
        f"{_measures(explanation)}.{estimation(explanation)}",
        f"Bars; the largest contribution comes from the {largest.idxmax()}."
        if len(largest)
        else "No modality.",
        drawn,
    )


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
    """Where the picture promises popularity, and the attention that words receive (Figure 5)."""
    assert explanation.region_probabilities is not None
    told = len(explanation.words) and not explanation.words["attention"].isna().any()
    words = explanation.strongest_words(_WORDS_DRAWN) if told else explanation.words.iloc[:0]
    return popularity_map(
        picture,
        explanation.region_probabilities,
        [_shortened(word) for word in words["word"]],
        words["attention"].to_numpy(dtype=np.float64),
        len(explanation.words),
    )


def draw_region_effects(explanation: Explanation, picture: NDArray[np.uint8]) -> Picture:
    """The picture, and what each region does to the first target, as colours over it."""
    assert explanation.region_effects is not None
    reading = explanation.readings[0]
    effects = explanation.region_effects[reading.name] * reading.scale
    reach = max(float(np.abs(effects).max()), 1e-6)
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
        bar = drawn.colorbar(scale, ax=coloured, fraction=0.05, pad=0.02)
        bar.set_label(reading.unit)
        bar.outline.set_visible(False)
    row, column = np.unravel_index(int(np.abs(effects).argmax()), effects.shape)
    return Picture(
        "regions_effect",
        effects_sentence(explanation),
        f"Heat map; most does row {row + 1}, column {column + 1} of {effects.shape[0]} by "
        f"{effects.shape[1]}: {effects[row, column]:+.2g}.",
        drawn,
    )


def effects_sentence(explanation: Explanation) -> str:
    """What colours over a picture stand for, with their n."""
    assert explanation.region_effects is not None
    reading = explanation.readings[0]
    effects = explanation.region_effects[reading.name] * reading.scale
    unit = f" {reading.unit}" if reading.unit else ""
    return (
        f"What each region adds to {reading.title.lower()}, against what the other regions show "
        f"on average: blue raises it, red lowers it, by up to {np.abs(effects).max():.2g}{unit} "
        f"(n = {effects.size} regions)."
    )


def effects_over(picture: NDArray[np.uint8], effects: NDArray[np.floating]) -> NDArray[np.uint8]:
    """The picture in grey under the colours of signed effects (rows, columns), made smooth."""
    reach = max(float(np.abs(effects).max()), 1e-6)
    return blended(picture, 0.5 + effects / (2 * reach), DIVERGING)


def draw_words(explanation: Explanation) -> Picture:
    """Attention per word beside what leaving the word out changes."""
    words = explanation.strongest_words(_WORDS_DRAWN).iloc[::-1]
    names = [_shortened(word) for word in words["word"]]
    has_attention = not words["attention"].isna().any()
    headline = explanation.headline
    panels = int(has_attention) + len(headline)
    with look():
        drawn = figure(1.2 + 1.6 * panels, 1.0 + 0.21 * len(words))
        axes = drawn.subplots(1, panels, sharey=True, squeeze=False)[0]
        if has_attention:
            axes[0].barh(range(len(words)), words["attention"] * 100, color=GREY, height=0.7)
            axes[0].set_title("Attention")
            axes[0].set_xlabel("% received")
        _effect_panels(axes[int(has_attention) :], words, explanation)
        _name_rows(axes, names)
    caption = words_sentence(explanation) + estimation(explanation)
    return Picture("words", caption, words_alternative(explanation), drawn)


def draw_word_regions(explanation: Explanation, picture: NDArray[np.uint8]) -> Picture:
    """For the words that receive most attention, the regions that they attend to."""
    assert explanation.word_regions is not None
    words = explanation.strongest_words(_WORDS_LINKED)
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
            axis.set_title(f"“{_shortened(word)}” (up to {each.relative.max():.1f})")
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
        (rows, columns): of being popular with each cell in place of the picture.
    words, attention
        Words in reading order, and the share of attention that each receives; none leave it out.
    n_words
        Words of the caption, of which ``words`` may be some.
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
        "How probable the model holds it that the post is among its author's popular ones, were "
        f"the whole picture like each of its regions (n = {probabilities.size} regions)."
        f"{of_words}",
        f"Heat map; probabilities from {low:.2f} to {high:.2f}, the highest in row {row + 1}, "
        f"column {column + 1} of {probabilities.shape[0]} by {probabilities.shape[1]}.",
        drawn,
    )


def draw_metadata(explanation: Explanation) -> Picture:
    """The facts about the post that move the prediction most."""
    facts = explanation.metadata.iloc[:_FACTS_DRAWN].iloc[::-1]
    names = [
        f"{_shortened(str(name), 42)} ({value:+.1f})" for name, value in facts["value"].items()
    ]
    headline = explanation.headline
    with look():
        drawn = figure(2.4 + 1.6 * len(headline), 1.0 + 0.21 * len(facts))
        axes = drawn.subplots(1, len(headline), sharey=True, squeeze=False)[0]
        _effect_panels(axes, facts, explanation)
        _name_rows(axes, names)
    return Picture(
        "metadata",
        "Facts about the post (in brackets: standard deviations from the training mean) and what "
        "putting the training mean in their place would take away from the prediction "
        f"(n = {len(explanation.metadata)} columns, the {len(facts)} strongest shown)."
        f"{estimation(explanation)}",
        "Bars; the strongest fact is " + str(explanation.metadata.index[0]) + ".",
        drawn,
    )


def words_sentence(explanation: Explanation) -> str:
    """What a picture or table of words shows, with its n and how far attention may be trusted."""
    n = f"n = {explanation.tokens} tokens, {len(explanation.words)} words"
    effect = "how the prediction changes when the word is left out"
    if explanation.words["attention"].isna().any():
        return f"For each word, {effect} ({n})."
    agreement = explanation.attention_agreement
    trust = (
        ""
        if agreement is None
        else f" Rank correlation of attention and size of effect: {agreement:.2f}."
    )
    return f"For each word, the attention it receives, and {effect} ({n}).{trust}"


def estimation(explanation: Explanation) -> str:
    """What has to be said where emotion was learned from estimates."""
    return " Valence and arousal were learned from estimates." if explanation.estimated else ""


def words_alternative(explanation: Explanation) -> str:
    """The words' picture in words."""
    strongest = explanation.strongest_words(3)["word"]
    return "Bars; the strongest words are " + ", ".join(f"“{word}”" for word in strongest) + "."


def _measures(explanation: Explanation) -> str:
    units = (each.unit or each.title.lower() for each in explanation.readings)
    listed = f"in units of {', '.join(dict.fromkeys(units))}"
    return task_class(explanation.task).wording.shown_units or listed


def _signed_bars(axis: Axes, values: pd.Series, reach: float) -> None:
    shown = values.iloc[::-1]
    colours = np.where(shown >= 0, POSITIVE, NEGATIVE)
    axis.barh(shown.index, shown, color=colours, height=0.65)
    axis.axvline(0, color=GREY, linewidth=0.8)
    # Room for the figures beside the bars.
    axis.set_xlim(-1.45 * reach, 1.45 * reach)
    digits = 2 if reach < 10 else 1
    for position, value in enumerate(shown):
        side = 1 if value >= 0 else -1
        axis.annotate(
            f"{value:+.{digits}f}",
            (value, position),
            xytext=(3 * side, 0),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center",
            fontsize=7.5,
        )
    axis.tick_params(axis="y", length=0)
    axis.locator_params(axis="x", nbins=5)


def _effect_panels(axes: Sequence[Axes], effects: pd.DataFrame, explanation: Explanation) -> None:
    """A panel per headline target, a row per effect."""
    readings = {each.name: each for each in explanation.readings}
    for axis, target in zip(axes, explanation.headline, strict=True):
        effect = effects[target] * readings[target].scale
        colours = np.where(effect >= 0, POSITIVE, NEGATIVE)
        # By position: names may repeat.
        axis.barh(range(len(effect)), effect, color=colours, height=0.7)
        axis.axvline(0, color=GREY, linewidth=0.8)
        reach = max(float(effect.abs().max()) * 1.1, 1e-3)
        axis.set_xlim(-reach, reach)
        axis.set_title(f"Effect on {readings[target].title.lower()}")
        axis.set_xlabel(readings[target].unit)


def _name_rows(axes: Sequence[Axes], names: list[str]) -> None:
    axes[0].set_yticks(range(len(names)), names)
    for axis in axes:
        axis.tick_params(axis="y", length=0)
        axis.locator_params(axis="x", nbins=3)


def _reach(values: pd.DataFrame, reading: Reading) -> float:
    return max(float(values.abs().to_numpy().max(initial=0)) * reading.scale, 1e-3)


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
        Even shares that the brightest colour stands for; the colours begin at 0.
    """
    return blended(picture, weights.relative / (top or heat_top([weights])))


def blended(
    picture: NDArray[np.uint8], grid: NDArray[np.floating], colour_map: str = HEAT
) -> NDArray[np.uint8]:
    """The picture in grey under the colours of a grid of values from 0 to 1, made smooth."""
    height, width = picture.shape[:2]
    smooth = np.asarray(
        Image.fromarray(grid.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
    )
    colours = colormaps[colour_map](smooth)[..., :3] * 255
    grey = picture.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    mixed = (1 - _HEAT_OPACITY) * grey[..., None] + _HEAT_OPACITY * colours
    return mixed.round().astype(np.uint8)


def heat_top(weights: Sequence[RegionWeights]) -> float:
    """End of a colour scale that several heat maps share, in even shares."""
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
    """Where the strongest cell lies, in words."""
    row, column = weights.strongest
    rows, columns = weights.grid.shape
    vertical = ("at the top", "in the middle", "at the bottom")[min(3 * row // rows, 2)]
    horizontal = ("left", "centre", "right")[min(3 * column // columns, 2)]
    return f"{vertical}, {horizontal}"


def _write_caption(picture: Picture) -> None:
    """Put the sentence below the figure, for a file that stands alone."""
    width = int(picture.figure.get_figwidth() * 15)
    with look():
        picture.figure.supxlabel(
            textwrap.fill(picture.caption, width), fontsize=7.5, x=0.01, ha="left", color=INK
        )


def _shortened(word: str, characters: int = _WORD_CHARACTERS) -> str:
    return word if len(word) <= characters else word[: characters - 1] + "…"


def _plural(word: str, n: int) -> str:
    return word if n == 1 else f"{word[:-1]}ies"

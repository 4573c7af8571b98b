"""Pictures of an explanation."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray
from PIL import Image

from evoked.errors import ImageError
from evoked.explain.explanation import Explanation
from evoked.explain.figures import (
    GREY,
    INK,
    NEGATIVE,
    POSITIVE,
    Picture,
    figure,
    look,
    shortened,
    to_png,
)
from evoked.explain.heat_maps import (
    WORDS_DRAWN,
    draw_popularity,
    draw_region_effects,
    draw_regions,
    draw_word_regions,
)
from evoked.explain.readings import Reading
from evoked.files import atomic_path
from evoked.posts.images import load_image
from evoked.targets import task_class

_PICTURE_EDGE = 480
_FACTS_DRAWN = 10


def draw_explanation(explanation: Explanation, folder: Path | str) -> list[Path]:
    """Draw an explanation as PNG files, each with its caption.

    Words in a script that no installed font covers are drawn as boxes (Noto Sans CJK and Noto Sans
    Arabic help).

    Parameters
    ----------
    explanation
        The explanation of a post.
    folder
        Gets contributions.png, regions.png, popularity_map.png, regions_effect.png, words.png,
        words_regions.png and metadata.png, as far as the explanation has something to draw;
        created if need be.

    Returns
    -------
    list of Path
        The files written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for picture in pictures(explanation):
        _write_caption(picture)
        paths.append(folder / f"{picture.name}.png")
        with atomic_path(paths[-1]) as temporary:
            temporary.write_bytes(to_png(picture.figure))
    return paths


def pictures(explanation: Explanation) -> list[Picture]:
    """Every picture that the explanation has something to draw for."""
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
            axis.set_title(f"{each.measure}: {start:.{each.digits}f} → {end:.{each.digits}f}")
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


def draw_words(explanation: Explanation) -> Picture:
    """For each word, its attention and what leaving it out changes."""
    words = explanation.strongest_words(WORDS_DRAWN).iloc[::-1]
    names = [shortened(word) for word in words["word"]]
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


def draw_metadata(explanation: Explanation) -> Picture:
    """The facts about the post that move the prediction most."""
    facts = explanation.metadata.iloc[:_FACTS_DRAWN].iloc[::-1]
    names = [f"{shortened(str(name), 42)} ({value:+.1f})" for name, value in facts["value"].items()]
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
    """What a picture or table of words shows, with its n and how far to trust attention."""
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
    """A note if the model learned emotion from estimates; empty otherwise."""
    return " Valence and arousal were learned from estimates." if explanation.estimated else ""


def words_alternative(explanation: Explanation) -> str:
    """Text alternative of the picture of words."""
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
    # Room for the numbers beside the bars.
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


def _write_caption(picture: Picture) -> None:
    """Put the caption below the figure, for a file that stands alone."""
    width = int(picture.figure.get_figwidth() * 15)
    with look():
        picture.figure.supxlabel(
            textwrap.fill(picture.caption, width), fontsize=7.5, x=0.01, ha="left", color=INK
        )


def _plural(word: str, n: int) -> str:
    return word if n == 1 else f"{word[:-1]}ies"

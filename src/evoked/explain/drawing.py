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
    drawable,
    figure,
    look,
    shortened,
    to_png,
    undrawable,
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
from evoked.models.hiding import MODALITY_NAMES
from evoked.posts.images import load_image
from evoked.targets import EMOTION_TARGETS

_PICTURE_EDGE = 480
_FACTS_DRAWN = 10
_FACT_CHARACTERS = 48


def draw_explanation(explanation: Explanation, folder: Path | str) -> list[Path]:
    """Draw an explanation as PNG files, each with its caption.

    What adds nothing as it is shown is not drawn. Words in a script that no installed font covers
    would be boxes: they are left out, and :func:`missing_fonts` names the font.

    Parameters
    ----------
    explanation
        The explanation of a post.
    folder
        Gets contributions.png, regions_effect.png, regions.png (attention), popularity_map.png,
        words.png, words_regions.png and facts.png, as far as the explanation has something to draw;
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
    drawn = [draw_contributions(explanation)] if explanation.moving_modalities else []
    if shown is not None:
        drawn += _over_the_picture(explanation, shown)
    if len(_drawn_words(explanation)):
        drawn.append(draw_words(explanation))
    linked = explanation.shows_word_attention and explanation.shows_region_attention
    if shown is not None and explanation.word_regions and linked:
        drawn.append(draw_word_regions(explanation, shown))
    if len(_drawn_facts(explanation)):
        drawn.append(draw_facts(explanation))
    return drawn


def _over_the_picture(explanation: Explanation, picture: NDArray[np.uint8]) -> list[Picture]:
    drawn = []
    if explanation.moving_regions() is not None:
        drawn.append(draw_region_effects(explanation, picture))
    if explanation.shows_region_attention:
        drawn.append(draw_regions(explanation, picture))
    if explanation.region_probabilities is not None:
        drawn.append(draw_popularity(explanation, picture))
    return drawn


def missing_fonts(explanation: Explanation) -> str | None:
    """Which words are not drawn, and the font that would draw them; None if all are."""
    texts = [
        *explanation.moving_words(WORDS_DRAWN)["word"],
        *explanation.moving_facts(_FACTS_DRAWN).index,
    ]
    left_out = [text for text in texts if undrawable([text])]
    if not left_out:
        return None
    fonts = ", ".join(sorted(undrawable(left_out)))
    return (
        f"{len(left_out)} of the strongest words and facts are not drawn: no installed font has "
        f"their characters. Install {fonts}."
    )


def _drawn_words(explanation: Explanation) -> pd.DataFrame:
    words = explanation.moving_words(WORDS_DRAWN)
    return words[drawable(words["word"])]


def _drawn_facts(explanation: Explanation) -> pd.DataFrame:
    facts = explanation.moving_facts(_FACTS_DRAWN)
    return facts[drawable(map(str, facts.index))]


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
    values = explanation.contributions.loc[explanation.moving_modalities]
    values = values.rename(index=MODALITY_NAMES)
    with look():
        drawn = figure(3.3 * columns, 0.75 + rows * (0.55 + 0.24 * len(values)))
        axes = drawn.subplots(rows, columns, squeeze=False)
        for axis in axes.flat[len(readings) :]:
            axis.set_visible(False)
        for axis, each in zip(axes.flat, readings, strict=False):
            _signed_bars(axis, values[each.name], each)
            start, end = (
                each.shown(of[each.name]) for of in (explanation.base, explanation.outcome)
            )
            axis.set_title(f"{each.measure}: {start} → {end}")
            axis.set_xlabel(each.unit)
    largest = values[explanation.headline[0]].abs()
    return Picture(
        "contributions",
        "What each part of the post adds to the prediction, from a post that shows nothing to this "
        f"one: exact Shapley values over {len(explanation.contributions)} "
        f"{_plural('modality', len(explanation.contributions))} "
        f"(n = {2 ** len(explanation.contributions)} predictions).{estimation(explanation)}",
        f"Bars; the largest contribution comes from the {largest.idxmax()}.",
        drawn,
    )


def draw_words(explanation: Explanation) -> Picture:
    """For the words that move the prediction most, what leaving them out changes; also their
    attention where it agrees."""
    words = _drawn_words(explanation).iloc[::-1]
    names = [shortened(word) for word in words["word"]]
    attends = explanation.shows_word_attention
    panels = int(attends) + len(explanation.headline)
    with look():
        drawn = figure(1.6 + 1.9 * panels, 1.0 + 0.21 * len(words))
        axes = drawn.subplots(1, panels, sharey=True, squeeze=False)[0]
        _effect_panels(axes, words, explanation)
        if attends:
            axes[-1].barh(range(len(words)), words["attention"] * 100, color=GREY, height=0.7)
            axes[-1].set_title("Attention")
            axes[-1].set_xlabel("% received")
        _name_rows(axes, names)
    caption = f"{words_sentence(explanation)}{estimation(explanation)}"
    strongest = ", ".join(f"“{word}”" for word in words["word"].iloc[::-1][:3])
    return Picture("words", caption, f"Bars; the strongest words are {strongest}.", drawn)


def draw_facts(explanation: Explanation) -> Picture:
    """The facts about the post that move the prediction most."""
    facts = _drawn_facts(explanation).iloc[::-1]
    names = [shortened(str(name), _FACT_CHARACTERS) for name in facts.index]
    headline = explanation.headline
    with look():
        drawn = figure(3.4 + 1.9 * len(headline), 1.0 + 0.21 * len(facts))
        axes = drawn.subplots(1, len(headline), sharey=True, squeeze=False)[0]
        _effect_panels(axes, facts, explanation)
        _name_rows(axes, names)
    return Picture(
        "facts",
        "Facts about the post, and what putting the training posts' mean in their place would take "
        f"away from the prediction (n = {len(explanation.facts)} facts, the {len(facts)} strongest "
        f"shown).{estimation(explanation)}",
        f"Bars; the strongest fact is “{facts.index[-1]}”.",
        drawn,
    )


def words_sentence(explanation: Explanation) -> str:
    """What a picture or table of words shows, with its n, and whether attention agrees."""
    agreement = explanation.word_agreement
    trust = (
        f" Attention goes with it: rank correlation {agreement.correlation:.2f}."
        if agreement is not None and agreement.holds
        else ""
    )
    return (
        "For the strongest words, how the prediction changes when the word is left out "
        f"(n = {len(explanation.words)} words).{trust}"
    )


def estimation(explanation: Explanation) -> str:
    """A note if the model learned emotion from estimates; empty otherwise."""
    shown = {each.name for each in explanation.readings}
    if not explanation.estimated or not shown.intersection(EMOTION_TARGETS):
        return ""
    return " Valence and arousal were learned from estimates."


def _signed_bars(axis: Axes, values: pd.Series, reading: Reading) -> None:
    shown = values.iloc[::-1] * reading.scale
    moves = np.array([reading.moves(float(value)) for value in values.iloc[::-1]])
    shown = shown.where(moves)
    colours = np.where(shown >= 0, POSITIVE, NEGATIVE)
    axis.barh(shown.index, shown, color=colours, height=0.65)
    axis.axvline(0, color=GREY, linewidth=0.8)
    reach = _reach(shown)
    # Room for the numbers beside the bars.
    axis.set_xlim(-2 * reach, 2 * reach)
    for position, value in enumerate(shown):
        if not moves[position]:
            continue
        side = 1 if value >= 0 else -1
        axis.annotate(
            reading.shown(value / reading.scale, signed=True),
            (value, position),
            xytext=(3 * side, 0),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center",
            fontsize=7.5,
        )
    axis.tick_params(axis="y", length=0)
    _few_ticks(axis)


def _effect_panels(axes: Sequence[Axes], effects: pd.DataFrame, explanation: Explanation) -> None:
    """A panel per headline target, a row per effect; no bar where it is nothing as shown."""
    readings = {each.name: each for each in explanation.readings}
    for axis, target in zip(axes, explanation.headline, strict=False):
        reading = readings[target]
        moves = np.array([reading.moves(float(value)) for value in effects[target]])
        effect = (effects[target] * reading.scale).where(moves)
        colours = np.where(effect >= 0, POSITIVE, NEGATIVE)
        # By position: names may repeat.
        axis.barh(range(len(effect)), effect, color=colours, height=0.7)
        axis.axvline(0, color=GREY, linewidth=0.8)
        reach = 1.1 * _reach(effect)
        axis.set_xlim(-reach, reach)
        axis.set_title(f"Effect on {reading.title.lower()}")
        axis.set_xlabel(reading.unit)


def _few_ticks(axis: Axes) -> None:
    axis.locator_params(axis="x", nbins=3)
    axis.xaxis.set_major_formatter(_short_number)


def _short_number(value: float, _: float) -> str:
    """A number for an axis: "1.5M", "20k", "0.25"."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _name_rows(axes: Sequence[Axes], names: list[str]) -> None:
    axes[0].set_yticks(range(len(names)), names)
    for axis in axes:
        axis.tick_params(axis="y", length=0)
        _few_ticks(axis)


def _reach(values: pd.Series) -> float:
    known = values.abs().dropna()
    return float(known.max()) if len(known) else 1.0


def _write_caption(picture: Picture) -> None:
    """Put the caption below the figure, for a file that stands alone."""
    width = int(picture.figure.get_figwidth() * 15)
    with look():
        picture.figure.supxlabel(
            textwrap.fill(picture.caption, width), fontsize=7.5, x=0.01, ha="left", color=INK
        )


def _plural(word: str, n: int) -> str:
    return word if n == 1 else f"{word[:-1]}ies"

"""Figures of what popular posts have: Dual-Attention's Figures 6 to 8 and Table III."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager, get_font
from matplotlib.ft2font import FT2Font
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from numpy.typing import NDArray
from PIL import Image

from evoked.analysis.popular_images import PUBLISHED_RATIOS, ImageClusters
from evoked.analysis.popular_words import TextStatistics
from evoked.errors import ImageError
from evoked.explain.figures import (
    BLUE,
    GREY,
    INK,
    PALE,
    VERMILLION,
    Picture,
    figure,
    installed_fonts,
    look,
    shortened,
)
from evoked.files import records
from evoked.posts.images import load_image

_THUMBNAIL = 96
_SHOWN = 6
_WORDS_PER_BAND = 12
_EMOJI_PER_BAND = 13
_NAME_CHARACTERS = 24


def cluster_figure(clusters: ImageClusters, covers: Sequence[Sequence[Path]]) -> Picture:
    """Typical covers of every cluster beside its share of unpopular posts, the highest first.

    Parameters
    ----------
    clusters
        From :func:`evoked.analysis.popular_images.popular_clusters`.
    covers
        Per row of its table, up to six pictures; those that can't be read are left out.
    """
    rows = records(clusters.table)
    with look():
        drawn = figure(7.2, 1.0 + 0.62 * (len(rows) + 1))
        shown, axis = drawn.subplots(1, 2, width_ratios=[3.9, 3.3], sharey=True)
        for position, paths in enumerate(covers):
            for place, picture in enumerate(thumbnails(paths)):
                box = OffsetImage(picture, zoom=0.4)
                shown.add_artist(AnnotationBbox(box, (place + 0.5, position), frameon=False))
        shown.set_xlim(0, _SHOWN)
        shown.set_xticks([])
        shown.spines[:].set_visible(False)
        _ratios(axis, rows, clusters.base)
        published = list(PUBLISHED_RATIOS.values())
        axis.plot(published, [len(rows)] * len(published), "|", color=INK, markersize=9)
        names = [
            "\n".join(
                [
                    f"{row['cluster']}{'*' if row['picked'] else ''}",
                    *textwrap.wrap(row.get("shows", ""), _NAME_CHARACTERS),
                    f"n = {row['n']} + {row['n_held_out']}",
                ]
            )
            for row in rows
        ]
        shown.set_yticks(range(len(rows) + 1), [*names, "published\n(12 clusters)"], fontsize=7.5)
        shown.set_ylim(len(rows) + 0.6, -0.6)
        shown.tick_params(axis="y", length=0)
        axis.tick_params(axis="y", length=0)
        shown.set_title("Cluster and typical covers")
        axis.set_title("R, share of unpopular posts")
    confirmed = (clusters.table["p_held_out_holm"] < 0.05).sum()
    picked = int(clusters.table["picked"].sum())
    held_out = int((~clusters.found_on).sum())
    return Picture(
        "popular_images",
        "Clusters of covers by R. Circles: R where clusters were found (n first), which is biased "
        "for those picked out (*), as they were chosen by it; dots: R on "
        f"{clusters.split} that were held out (n second), with 95 % intervals. Of {picked} picked, "
        f"{confirmed} hold there (Holm p < 0.05). Ticks: R of the paper's clusters, of "
        f"other posts (n = {len(clusters.members)} posts, {held_out} of them held out).",
        "Dots; held out, R goes from "
        f"{clusters.table['ratio_held_out'].min():.2f} to "
        f"{clusters.table['ratio_held_out'].max():.2f}.",
        drawn,
    )


def word_figure(texts: TextStatistics) -> Picture:
    """How often words occur in popular and in unpopular captions, by band (Figure 8 a)."""
    table = texts.words
    strongest = {
        "top 25 %": lambda part: part.head(_WORDS_PER_BAND),
        "middle 50 %": lambda part: _most_used(part, _WORDS_PER_BAND),
        "bottom 25 %": lambda part: part.tail(_WORDS_PER_BAND),
    }
    panels = [(band, choose(table[table["band"] == band])) for band, choose in strongest.items()]
    shown = [
        (band, part, [shortened(word, _NAME_CHARACTERS) for word in part["word"]])
        for band, part in panels
    ]
    return Picture(
        "popular_words",
        f"Occurrences of words in popular (right) and unpopular captions (left), by the rank of "
        f"their difference: the most popular, the most frequent, and the least popular of each "
        f"band. {_verdict(texts, 'words')}",
        _ends(table, "word"),
        _bands(shown),
    )


def emoji_figure(texts: TextStatistics) -> Picture:
    """How often emoji occur in popular and in unpopular captions, by band (Figure 8 b).

    Emoji that no installed font can draw are shown by their names.
    """
    table = texts.emoji
    top, bottom = (table[table["band"] == band] for band in ("top 50 %", "bottom 50 %"))
    panels = [
        ("top 50 %", top.head(_EMOJI_PER_BAND)),
        ("bottom 50 %", bottom.tail(_EMOJI_PER_BAND)),
    ]
    shown = [
        (
            band,
            part,
            [_emoji_label(*pair) for pair in zip(part["emoji"], part["name"], strict=True)],
        )
        for band, part in panels
    ]
    return Picture(
        "popular_emoji",
        f"Occurrences of emoji in popular (right) and unpopular captions (left); the ends of the "
        f"ranking by their difference. {_verdict(texts, 'emoji')}",
        _ends(table, "name"),
        _bands(shown),
    )


def thumbnails(paths: Sequence[Path], edge: int = _THUMBNAIL) -> list[NDArray[np.uint8]]:
    """The middle square of each picture that can be read, so many pixels wide."""
    found = []
    for path in paths:
        try:
            picture = Image.fromarray(load_image(path))
        except ImageError:
            continue
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        square = picture.crop((left, top, left + side, top + side))
        found.append(np.asarray(square.resize((edge, edge))))
    return found


@lru_cache(maxsize=5000)
def can_draw(text: str) -> bool:
    """Whether the installed fonts have every character of a text."""
    return all(any(font.get_char_index(ord(sign)) for font in _fonts()) for sign in text)


@lru_cache(maxsize=1)
def _fonts() -> list[FT2Font]:
    names = installed_fonts()
    return [get_font(font.fname) for font in fontManager.ttflist if font.name in names]


def _ratios(axis: Axes, rows: list[dict[str, Any]], base: float) -> None:
    axis.axvline(base, color=PALE, linewidth=1)
    for position, row in enumerate(rows):
        colour = VERMILLION if row["ratio_held_out"] > base else BLUE
        axis.plot([row["low"], row["high"]], [position] * 2, color=colour)
        axis.plot(row["ratio_held_out"], position, "o", color=colour, markersize=5)
        axis.plot(row["ratio"], position, "o", color=GREY, markersize=6, markerfacecolor="none")
    axis.set_xlim(0, 1)
    axis.set_xlabel("R")


def _bands(panels: Sequence[tuple[str, pd.DataFrame, list[str]]]) -> Figure:
    """A figure with a panel per band and a row per text."""
    panels = [panel for panel in panels if len(panel[1])]
    longest = max(len(part) for _, part, _ in panels)
    reach = max(part[["popular", "unpopular"]].to_numpy().max() for _, part, _ in panels)
    with look():
        drawn = figure(7.2, 0.85 + 0.2 * longest)
        axes = drawn.subplots(1, len(panels), squeeze=False)[0]
        for axis, (band, part, names) in zip(axes, panels, strict=True):
            places = np.arange(len(part))
            axis.barh(places, part["popular"], color=BLUE, height=0.7)
            axis.barh(places, -part["unpopular"], color=VERMILLION, height=0.7)
            axis.plot(part["difference"], places, "|", color=INK, markersize=8)
            axis.axvline(0, color=GREY, linewidth=0.8)
            marks = ["*" if p < 0.05 else "" for p in part["p_bh"]]
            axis.set_yticks(places, [n + m for n, m in zip(names, marks, strict=True)], fontsize=8)
            axis.set_ylim(longest - 0.4, -0.6)
            axis.set_xlim(-1.05 * reach, 1.05 * reach)
            axis.tick_params(axis="y", length=0)
            axis.locator_params(axis="x", nbins=5)
            axis.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
            axis.set_title(band[0].upper() + band[1:])
            axis.set_xlabel("unpopular | popular")
    return drawn


def _most_used(part: pd.DataFrame, n: int) -> pd.DataFrame:
    used = part["popular"] + part["unpopular"]
    return part.loc[used.sort_values(ascending=False, kind="stable").index[:n].sort_values()]


def _verdict(texts: TextStatistics, kind: str) -> str:
    row = texts.summary.set_index("text").loc[kind]
    return (
        f"Strokes: m_p − m_n. Of {row['kept']:.0f} {kind}, {row['significant']:.0f} differ after "
        f"correction (*, exact test of {texts.unit}s, BH p < 0.05), and "
        f"{row['significant_shuffled']:.1f} where a coin decides what was popular "
        f"(n = {texts.n_popular} popular and {texts.n_unpopular} unpopular captions)."
    )


def _ends(table: pd.DataFrame, column: str) -> str:
    first, last = table[column].head(3), table[column].tail(3)
    return f"Bars; at the top are {', '.join(first)}, at the bottom {', '.join(last)}."


def _emoji_label(symbol: str, name: str) -> str:
    return (
        f"{shortened(name, _NAME_CHARACTERS)} {symbol}"
        if can_draw(symbol)
        else shortened(name, _NAME_CHARACTERS)
    )

"""One look for every picture that evoked draws."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import RLock
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

# Okabe and Ito 2008: distinct with any kind of colour vision.
BLUE = "#0072B2"
ORANGE = "#E69F00"
GREEN = "#009E73"
VERMILLION = "#D55E00"
PURPLE = "#CC79A7"
SKY = "#56B4E9"
INK, GREY, PALE = "#222222", "#767676", "#D9D9D9"
POSITIVE, NEGATIVE = BLUE, VERMILLION
DIVERGING = "RdBu"  # red to blue, distinct with any kind of colour vision; blue is more
HEAT = "cividis"  # Nuñez, Anderton and Renslow 2018: even in lightness for all readers

# Each draws the characters that the ones before it lack.
_FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "WenQuanYi Zen Hei",
    "Noto Sans Arabic",
    "Noto Emoji",
)
_FONT_FILES = ("NotoSansCJK", "NotoSansArabic", "NotoEmoji", "wqy-zenhei")
# A font for characters that none of these draws, and the package that has it.
_FONTS_BY_SCRIPT = (
    (
        "Noto Sans CJK",
        "fonts-noto-cjk",
        "[\u1100-\u11ff\u2e80-\ua4cf\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef]",
    ),
    ("Noto Emoji", "fonts-noto-color-emoji", "[\u2600-\u27bf\U0001f000-\U0001faff]"),
)
_WORD_CHARACTERS = 18
_PENCIL = RLock()

Say = Callable[[str], str]
"""Puts what is written into a picture into another language."""


@dataclass(frozen=True)
class Picture:
    """A drawn figure.

    Attributes
    ----------
    name
        For files and pages.
    caption
        What it shows, in a sentence.
    alternative
        What somebody who can't see it should know.
    figure
        The drawing.
    """

    name: str
    caption: str
    alternative: str
    figure: Figure


@contextmanager
def look() -> Iterator[None]:
    """Use evoked's settings of matplotlib within the block.

    They hold for the whole process, so threads draw one after the other; a block may stand within
    another of the same thread.
    """
    with (
        _PENCIL,
        matplotlib.rc_context(
            {
                "font.family": installed_fonts(),
                "font.size": 9,
                "axes.titlesize": 9,
                "axes.titleweight": "bold",
                "axes.titlelocation": "left",
                "axes.labelsize": 9,
                "axes.edgecolor": GREY,
                "axes.labelcolor": INK,
                "axes.spines.top": False,
                "axes.spines.right": False,
                "text.color": INK,
                "xtick.color": GREY,
                "ytick.color": GREY,
                "xtick.labelcolor": INK,
                "ytick.labelcolor": INK,
                "legend.frameon": False,
                "legend.fontsize": 8,
                "lines.linewidth": 1.6,
                "text.parse_math": False,  # a caption's "$" is a dollar
                "svg.fonttype": "none",  # text stays text: small, sharp, searchable
                "svg.hashsalt": "evoked",  # the same figure gives the same bytes
            }
        ),
    ):
        yield


def figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches; to be made within :func:`look`."""
    return Figure(figsize=(width, height), layout="constrained")


def to_png(drawn: Figure, dpi: int = 150) -> bytes:
    """The figure as PNG."""
    return _saved(drawn, format="png", dpi=dpi)


def to_svg(drawn: Figure) -> bytes:
    """The figure as SVG."""
    return _saved(drawn, format="svg", dpi=150, metadata={"Date": None, "Creator": None})


def _saved(drawn: Figure, **options: Any) -> bytes:
    stream = io.BytesIO()
    with look(), warnings.catch_warnings():
        # Words in a script without an installed font become boxes; a warning for each is noise.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        drawn.savefig(stream, **options)
    return stream.getvalue()


@lru_cache(maxsize=1)
def installed_fonts() -> list[str]:
    """Font families that :func:`look` draws with and that this machine has."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    if not installed.issuperset(_FONTS):
        _add_new_fonts()
        installed = {font.name for font in fontManager.ttflist}
    return [name for name in _FONTS if name in installed]


def _add_new_fonts() -> None:
    """Fonts that were installed after matplotlib made its list of them."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    known = {font.fname for font in fontManager.ttflist}
    for path in findSystemFonts():
        if path not in known and Path(path).name.startswith(_FONT_FILES):
            fontManager.addfont(path)


def undrawable(texts: Iterable[str]) -> set[str]:
    """Scripts of characters that no installed font draws, as Debian's fonts are named: for example
    "Noto Sans CJK (fonts-noto-cjk)"."""
    return {_font_for(character) for character in set("".join(texts)) - _drawn_characters()}


def drawable(texts: Iterable[str]) -> NDArray[np.bool_]:
    """Which texts have all their characters in the installed fonts, (n,)."""
    return np.array([not undrawable([text]) for text in texts], dtype=bool)


@lru_cache(maxsize=1)
def _drawn_characters() -> frozenset[str]:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    files = {findfont(FontProperties(family=name)) for name in installed_fonts()}
    codes = (code for file in files for code in get_font(file).get_charmap())
    return frozenset(chr(code) for code in codes) | frozenset("\n\t\r\u200d\ufe0f")


def _font_for(character: str) -> str:
    for name, package, pattern in _FONTS_BY_SCRIPT:
        if re.match(pattern, character):
            return f"{name} ({package} on Debian and Ubuntu)"
    return "Noto Sans (fonts-noto-core on Debian and Ubuntu)"


def shortened(word: str, characters: int = _WORD_CHARACTERS) -> str:
    """The word, cut to at most this many characters."""
    return word if len(word) <= characters else word[: characters - 1] + "…"

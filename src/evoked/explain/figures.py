"""One look for every picture that evoked draws."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import matplotlib
from matplotlib.figure import Figure

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
_WORD_CHARACTERS = 18


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
    """Use evoked's settings of matplotlib within the block."""
    with matplotlib.rc_context(
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
    return [name for name in _FONTS if name in installed]


def shortened(word: str, characters: int = _WORD_CHARACTERS) -> str:
    """The word, cut to at most this many characters."""
    return word if len(word) <= characters else word[: characters - 1] + "…"

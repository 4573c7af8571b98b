"""Sheets of paper: sentences, a picture and a table, as a PDF of A4 pages or as one PNG."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.image import imread

from evoked.explain.figures import GREY, INK, PALE, installed_fonts, look, shortened, to_png

_WIDTH, _HEIGHT, _MARGIN = 8.27, 11.69, 0.75
_INNER = _WIDTH - 2 * _MARGIN
_TITLE, _TEXT, _CELL, _FOOT = 15.0, 10.0, 8.5, 7.5
# Distances in inches: after a paragraph or a picture, and between columns.
_GAP, _BETWEEN = 0.12, 0.16
_LINE = 1.35
# Of the letters of a word that would fit by their mean width, so many surely do, nearly.
_SURE = 0.9
_POINTS = 72
_TALLEST_PICTURE = 4.6
# A table's text column never becomes narrower than this, however wide the numbers are.
_NARROWEST = 0.9
_MOST_ROWS = 2000
# Titles and cells are cut to so many characters, so that none is taller than a page.
_LONGEST_TITLE, _LONGEST_CELL = 200, 400
_MEASURED_DPI = 144
# Blanks at which lines may break.
_BLANKS = re.compile(r"[^\S\xa0]+")


@dataclass(frozen=True)
class Sheet:
    """What a sheet shows, from top to bottom.

    Attributes
    ----------
    title
        Its heading.
    sentences
        Paragraphs; the first is set larger.
    columns
        Headings of the table; none for a sheet without one.
    rows
        Its cells, a text for each heading.
    foot
        What stands at the end of every page.
    """

    title: str
    sentences: Sequence[str]
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    foot: str = "evoked"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {name: _listed(value) for name, value in vars(self).items()}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """The sheet that :meth:`to_dict` wrote."""
        return cls(**content)


@dataclass(frozen=True)
class _Piece:
    """A part of a page that is never broken: its height, and what draws it at a place."""

    height: float
    draw: Any
    is_head: bool = False


def sheet_pdf(sheet: Sheet, picture: bytes | None = None) -> bytes:
    """A sheet as PDF, as many A4 pages as it needs; the head of a table stands on each.

    Parameters
    ----------
    sheet
        What it shows.
    picture
        A PNG that stands between the sentences and the table.
    """
    stream = io.BytesIO()
    with look(), _any_script():
        pages = list(_in_pages(_pieces(sheet, picture), _HEIGHT - 2 * _MARGIN))
        metadata = {"Title": sheet.title, "Creator": "evoked", "CreationDate": None}
        with PdfPages(stream, metadata=metadata) as file:
            for number, page in enumerate(pages, start=1):
                foot = f"{sheet.foot} · {number}/{len(pages)}"
                file.savefig(_page(page, _HEIGHT, foot))
    return stream.getvalue()


def sheet_png(sheet: Sheet, picture: bytes | None = None) -> bytes:
    """The same as one PNG, as tall as it needs to be, its table cut to what a page holds."""
    with look():
        pieces = next(_in_pages(_pieces(sheet, picture), _HEIGHT - 2 * _MARGIN))
        height = sum(piece.height for piece in pieces) + 2 * _MARGIN
        return to_png(_page(pieces, height, sheet.foot))


def _listed(value: Any) -> Any:
    return value if isinstance(value, str) else [_listed(each) for each in value]


def _in_pages(pieces: Sequence[_Piece], room: float) -> Iterator[list[_Piece]]:
    """Pieces in pages; a page that begins within a table begins with its head."""
    page: list[_Piece] = []
    head: _Piece | None = None
    for piece in pieces:
        if page and sum(each.height for each in page) + piece.height > room:
            yield page
            page = [] if head is None else [head]
        page.append(piece)
        head = piece if piece.is_head else head
    yield page


def _page(pieces: Sequence[_Piece], height: float, foot: str) -> Figure:
    page = Figure(figsize=(_WIDTH, height))
    top = height - _MARGIN
    for piece in pieces:
        piece.draw(page, top)
        top -= piece.height
    _write(page, _MARGIN, _MARGIN / 2, foot, _FOOT, color=GREY, va="center")
    return page


def _write(page: Figure, x: float, y: float, text: str, size: float, **look_of: Any) -> None:
    """Write at a place in inches from the lower left corner."""
    look_of = {"va": "top", "color": INK, **look_of}
    page.text(x / _WIDTH, y / page.get_figheight(), text, fontsize=size, **look_of)


def _pieces(sheet: Sheet, picture: bytes | None) -> list[_Piece]:
    pieces = [_paragraph(shortened(sheet.title, _LONGEST_TITLE), _TITLE, bold=True)]
    for number, sentence in enumerate(sheet.sentences):
        pieces += _paragraphs(sentence, _TEXT + (1.5 if number == 0 else 0))
    if picture is not None:
        pieces.append(_picture(picture))
    if sheet.columns and sheet.rows:
        columns, *rows = (
            [shortened(cell, _LONGEST_CELL) for cell in row]
            for row in (sheet.columns, *sheet.rows[:_MOST_ROWS])
        )
        pieces += _table(columns, rows)
    return pieces


def _paragraphs(text: str, size: float) -> Iterator[_Piece]:
    """A text in pieces of some lines, so that a very long one breaks over pages."""
    lines = _wrapped(text, size, _INNER, False)
    for start in range(0, len(lines), 40):
        yield _paragraph("\n".join(lines[start : start + 40]), size)


def _paragraph(text: str, size: float, bold: bool = False) -> _Piece:
    lines = [line for part in text.split("\n") for line in _wrapped(part, size, _INNER, bold)]
    weight = "bold" if bold else "normal"

    def draw(page: Figure, top: float) -> None:
        for number, line in enumerate(lines):
            _write(page, _MARGIN, top - number * _step(size), line, size, weight=weight)

    return _Piece(len(lines) * _step(size) + _GAP, draw)


def _picture(content: bytes) -> _Piece:
    pixels = imread(io.BytesIO(content), format="png")
    ratio = pixels.shape[0] / pixels.shape[1]
    height = min(_INNER * ratio, _TALLEST_PICTURE)
    width = height / ratio

    def draw(page: Figure, top: float) -> None:
        tall = page.get_figheight()
        place = (_MARGIN / _WIDTH, (top - height) / tall, width / _WIDTH, height / tall)
        axis = page.add_axes(place)
        axis.imshow(pixels, aspect="auto")
        axis.set_axis_off()

    return _Piece(height + _GAP, draw)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[_Piece]:
    widths = _widths(columns, rows)
    number = [_is_number_column([row[place] for row in rows]) for place in range(len(columns))]
    head = _row(columns, widths, number, bold=True)
    return [head, *(_row(row, widths, number) for row in rows)]


def _row(
    cells: Sequence[str], widths: Sequence[float], number: Sequence[bool], bold: bool = False
) -> _Piece:
    wrapped = [
        _wrapped(cell, _CELL, width, bold) for cell, width in zip(cells, widths, strict=True)
    ]
    height = max(map(len, wrapped)) * _step(_CELL) + 0.07
    rule = INK if bold else PALE

    def draw(page: Figure, top: float) -> None:
        tall, left = page.get_figheight(), _MARGIN
        for lines, width, right in zip(wrapped, widths, number, strict=True):
            x, align = (left + width, "right") if right else (left, "left")
            for place, line in enumerate(lines):
                weight = "bold" if bold else "normal"
                y = top - place * _step(_CELL)
                _write(page, x, y, line, _CELL, ha=align, weight=weight)
            left += width + _BETWEEN
        under = (top - height + 0.035) / tall
        ends = (_MARGIN / _WIDTH, min(left - _BETWEEN, _WIDTH - _MARGIN) / _WIDTH)
        page.add_artist(_line(ends, under, rule))

    return _Piece(height, draw, is_head=bold)


def _line(ends: tuple[float, float], y: float, colour: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D(ends, (y, y), color=colour, linewidth=0.6)


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[float]:
    """A width for each column in inches: what its cells need, the widest ones cut until all fit."""
    wanted = [
        max(
            _inches(columns[place], _CELL, True),
            *(_inches(row[place], _CELL, False) for row in rows),
        )
        + 0.02
        for place in range(len(columns))
    ]
    room = _INNER - _BETWEEN * (len(columns) - 1)
    narrowest = min(_NARROWEST, room / len(columns))
    while sum(wanted) > room + 1e-6:
        widest = int(np.argmax(wanted))
        if wanted[widest] <= narrowest:
            return [room / len(columns)] * len(columns)
        # Down to the next widest column, or to what is left for it.
        others = [width for width in wanted if width < wanted[widest]]
        over = (sum(wanted) - room) / sum(width == wanted[widest] for width in wanted)
        least = max(wanted[widest] - over, narrowest, *(others or [0.0]))
        wanted = [least if width == wanted[widest] else width for width in wanted]
    return wanted


def _is_number_column(cells: Sequence[str]) -> bool:
    """Whether all of a column begins with a digit or a sign and is no sentence, or is a dash."""
    known = [cell for cell in cells if cell and cell != "–"]
    return bool(known) and all(
        (cell[0].isdigit() or cell[0] in "+-−") and not cell.endswith(".") for cell in known
    )


def _wrapped(text: str, size: float, width: float, bold: bool) -> list[str]:
    """A text in lines that fit; words that are wider than a line are broken, and blanks that
    hold words together are kept: "19\xa0%"."""
    lines, line = [], ""
    for word in _BLANKS.sub(" ", text).strip(" ").split(" "):
        longer = f"{line} {word}".strip()
        if _inches(longer, size, bold) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        *whole, line = _broken(word, size, width, bold)
        lines += whole
    return [*lines, line]


def _broken(word: str, size: float, width: float, bold: bool) -> list[str]:
    """A word in parts that fit."""
    wide = _inches(word, size, bold)
    if wide <= width:
        return [word]
    fits = max(1, int(len(word) * width / wide * _SURE))
    return [word[start : start + fits] for start in range(0, len(word), fits)]


def _step(size: float) -> float:
    """From one line to the next, in inches."""
    return size * _LINE / _POINTS


@contextmanager
def _any_script() -> Iterator[None]:
    """Let characters without an installed font become boxes, without a warning for each."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


@lru_cache(maxsize=1)
def _renderer() -> RendererAgg:
    return RendererAgg(1, 1, _MEASURED_DPI)


@lru_cache(maxsize=16)
def _font(size: float, bold: bool) -> FontProperties:
    weight = "bold" if bold else "normal"
    return FontProperties(family=installed_fonts(), size=size, weight=weight)


@lru_cache(maxsize=8192)
def _word_inches(word: str, size: float, bold: bool) -> float:
    with _any_script():
        width, _, _ = _renderer().get_text_width_height_descent(word, _font(size, bold), False)
    return float(width) / _MEASURED_DPI


def _inches(text: str, size: float, bold: bool) -> float:
    """Width of a text, word by word, since words come again."""
    words = text.split(" ")
    blanks = (len(words) - 1) * _word_inches("n n", size, bold)
    blanks -= 2 * (len(words) - 1) * _word_inches("n", size, bold)
    return sum(_word_inches(word, size, bold) for word in words) + blanks

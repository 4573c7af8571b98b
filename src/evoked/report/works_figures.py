"""The figure of what works: an effect and its range for each thing that posts have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from evoked.analysis.works.findings import Works, shown_rows, signed
from evoked.explain.figures import (
    BLUE,
    GREY,
    INK,
    VERMILLION,
    Picture,
    Say,
    figure,
    look,
    shortened,
    to_png,
)
from evoked.files import records

_NAME_CHARACTERS = 52
# Effects beyond a hundredfold are drawn at it.
_MOST = np.log(100)
_TICKS = (-0.9, -0.75, -0.5, -0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.5, 1, 3, 9, 29, 99)
# Least distance of two ticks, as a share of the axis.
_APART = 0.1


def works_figure(found: Works) -> Picture:
    """Dots and ranges of the surest dozen things, in colour where they stand out."""
    total, standing = len(found.effects.table), int(found.effects.table["stands"].sum())
    return Picture(
        "works",
        f"What goes with more (right) or fewer {found.count}, with 95 % ranges. In colour: what "
        f"stands out among {total} things that were looked at; grey: what chance may explain "
        f"(n = {len(found.effects.relative):,} posts; in brackets, how many have it).",
        f"Dots with ranges; {standing} of {total} stand out.",
        _drawn(records(shown_rows(found.effects.table)), found.count, str),
    )


def works_png(rows: Sequence[Mapping[str, Any]], count: str, say: Say) -> bytes:
    """The figure as PNG, of rows of the table of effects as JSON has them, whose phrases may be in
    another language; ``say`` puts what else is written into it."""
    return to_png(_drawn(rows, count, say))


def _drawn(rows: Sequence[Mapping[str, Any]], count: str, say: Say) -> Figure:
    rows = sorted(rows, key=lambda row: -row["effect"])
    with look():
        drawn = figure(7.2, 0.9 + 0.27 * len(rows))
        axis = drawn.subplots()
        axis.axvline(0, color=GREY, linewidth=0.8)
        for place, row in enumerate(rows):
            more = BLUE if row["effect"] > 0 else VERMILLION
            colour = more if row["stands"] else GREY
            ends = np.array([row["low"], row["high"]], np.float64)  # of None, NaN
            ends = np.clip(np.log1p(ends), -_MOST, _MOST)
            if np.isfinite(ends).all():
                axis.plot(ends, [place, place], color=colour, linewidth=2)
            axis.plot(np.log1p(row["effect"]), place, "o", color=colour, markersize=5)
        axis.set_yticks(range(len(rows)), [_name(row) for row in rows], fontsize=8)
        for label, row in zip(axis.get_yticklabels(), rows, strict=True):
            label.set_color(INK if row["stands"] else GREY)
        axis.set_ylim(len(rows) - 0.4, -0.6)
        axis.tick_params(axis="y", length=0)
        low, high = axis.get_xlim()
        axis.set_xticks(_ticks(low, high))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: say(signed(np.expm1(value)))))
        axis.set_xlabel(say(f"{count} beside the account's other posts of the time"))
    return drawn


def _ticks(low: float, high: float) -> list[float]:
    """Places of ticks that don't touch, from zero outwards."""
    chosen: list[float] = []
    for place in sorted(np.log1p(_TICKS), key=abs):
        apart = all(abs(place - other) >= _APART * (high - low) for other in chosen)
        if low <= place <= high and apart:
            chosen.append(float(place))
    return chosen


def _name(row: Mapping[str, Any]) -> str:
    return f"{shortened(str(row['phrase']), _NAME_CHARACTERS)} ({row['having']:,})"

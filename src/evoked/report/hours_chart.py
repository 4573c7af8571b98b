"""A picture of the week: what hours and weekdays add to a post."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evoked.advice.hours import Hours
from evoked.analysis.rhythm import HOURS
from evoked.analysis.week_words import percent
from evoked.explain.figures import (
    BLUE,
    DIVERGING,
    GREY,
    INK,
    PALE,
    Say,
    figure,
    look,
    to_png,
    to_svg,
)
from evoked.files import atomic_path
from evoked.report.charts import Chart, data_uri
from evoked.runs.spoken import WEEKDAYS

_WIDTH, _HEIGHT, _SMALL_HEIGHT = 7.6, 4.6, 2.4
# Colours are full at this gain at least, so that a week without differences looks like one.
_FULL = 0.2
_EVERY = 3


def draw_hours(found: Hours, path: Path) -> Path:
    """Write the picture as PNG to ``path``."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(hours_png(found))
    return path


def hours_png(found: Hours, say: Say = str) -> bytes:
    """The picture as PNG; ``say`` puts what is written in it into another language."""
    return to_png(_drawn(found, say))


def week_chart(found: Hours) -> Chart:
    """Weekdays by hours in colours, small."""
    with look():
        drawn = figure(_WIDTH, _SMALL_HEIGHT)
        axis = drawn.subplots()
        _week(axis, found, drawn, str)
        _mark_hours(axis)
    return Chart(
        data_uri(to_svg(drawn), "image/svg+xml"),
        f"What hours add to {found.noun}, by weekday (n = {found.week.posts:,} posts).",
        f"Weekdays by hours of the day; colours show by how much {found.noun} lie above or below "
        f"those of the usual hours. {found.sentences[0]}",
    )


def _drawn(found: Hours, say: Say = str) -> Figure:
    """Weekdays by hours in colours, and below the hours of all days with their ranges."""
    with look():
        drawn = figure(_WIDTH, _HEIGHT)
        week, curve = drawn.subplots(2, 1, height_ratios=(1.25, 1), sharex=True)
        _week(week, found, drawn, say)
        _curve(curve, found, say)
        for axis in (week, curve):
            _mark_hours(axis)
    return drawn


def _mark_hours(axis: Axes) -> None:
    marked = range(0, HOURS, _EVERY)
    axis.set_xticks(marked, [f"{hour}:00" for hour in marked])
    axis.set_xlim(0, HOURS)


def _week(axis: Axes, found: Hours, drawn: Figure, say: Say) -> None:
    slots = found.week.slots.sort_values(["weekday", "hour"])
    gains = slots["gain"].to_numpy(np.float64).reshape(len(WEEKDAYS), HOURS)
    known = gains[np.isfinite(gains)]
    reach = max(_FULL, float(np.abs(known).max())) if len(known) else _FULL
    axis.set_facecolor(PALE)
    colours = axis.pcolormesh(
        np.arange(HOURS + 1),
        np.arange(len(WEEKDAYS) + 1),
        np.ma.masked_invalid(gains),
        cmap=DIVERGING,
        vmin=-reach,
        vmax=reach,
    )
    axis.set_yticks(np.arange(len(WEEKDAYS)) + 0.5, [say(day) for day in WEEKDAYS])
    axis.invert_yaxis()
    axis.tick_params(length=0)
    zone = found.time_zone or "no time zone"
    axis.set_title(
        say(f"{found.noun.capitalize()} against the usual hours ({zone}; grey: too few posts)")
    )
    bar = drawn.colorbar(colours, ax=axis, pad=0.01)
    bar.ax.yaxis.set_major_formatter(lambda value, _: say(percent(value)))


def _curve(axis: Axes, found: Hours, say: Say) -> None:
    hours = found.week.hours
    middles = hours["hour"] + 0.5
    axis.axhline(0, color=GREY, linewidth=0.8)
    axis.fill_between(middles, hours["low"], hours["high"], color=BLUE, alpha=0.18, linewidth=0)
    axis.plot(middles, hours["gain"], color=BLUE)
    best = found.week.best_hour
    if best is not None:
        gain = float(hours["gain"].iloc[best])
        axis.plot(best + 0.5, gain, "o", color=INK, markersize=5)
        axis.annotate(
            f"{best}:00", (best + 0.5, gain), (0, 6), textcoords="offset points", ha="center"
        )
    axis.yaxis.set_major_formatter(lambda value, _: say(percent(value)))
    verdict = "no hour is reliably better" if best is None else f"{best}:00 is best"
    axis.set_title(say(f"All days, with 90 % ranges: {verdict} (n = {found.week.posts:,} posts)"))

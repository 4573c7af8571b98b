"""A picture of a run's watch: how sure it became, post by post, that posts had changed."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from evoked.advice.review import Review
from evoked.evaluation.drift import ALARM
from evoked.explain.figures import BLUE, GREY, INK, VERMILLION, figure, look, to_png

_WIDTH, _HEIGHT = 7.2, 2.9
# Below this, wealth says no more than that nothing has changed.
_LEAST = 0.05
_TICKS = (0.1, 1, 5, 25, 125, 625)


def drift_png(found: Review) -> bytes:
    """The picture as PNG; of a review that watched nothing, an empty one."""
    return to_png(_drawn(found))


def _drawn(found: Review) -> Figure:
    """The gambler's wealth after each post on a logarithmic axis, the alarm, and when the changes
    that were found began."""
    dates = pd.to_datetime(found.course["posted_at"], utc=True)
    wealth = np.maximum(found.course["wealth"].to_numpy(np.float64), _LEAST)
    with look():
        drawn = figure(_WIDTH, _HEIGHT)
        axis = drawn.subplots()
        axis.set_yscale("log")
        axis.axhline(1, color=GREY, linewidth=0.8)
        axis.axhline(ALARM, color=VERMILLION, linewidth=1, linestyle="--")
        axis.annotate(
            "alarm",
            (0, ALARM),
            (3, 3),
            ("axes fraction", "data"),
            "offset points",
            color=VERMILLION,
        )
        for change in found.drift:
            axis.axvspan(
                *date2num([change.since, change.noticed]), color=VERMILLION, alpha=0.12, linewidth=0
            )
        axis.plot(dates, wealth, "-o", color=BLUE, markersize=3, linewidth=1.2)
        noticed = dates.isin([change.noticed for change in found.drift]).to_numpy()
        axis.plot(dates[noticed], wealth[noticed], "o", color=VERMILLION, markersize=6)
        top = max(ALARM * 2.5, float(wealth.max(initial=0)) * 1.5)
        axis.set_ylim(_LEAST * 0.8, top)
        ticks = [tick for tick in _TICKS if tick <= top]
        axis.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.yaxis.set_minor_locator(NullLocator())
        if len(dates):
            locator = AutoDateLocator(minticks=3, maxticks=8)
            axis.xaxis.set_major_locator(locator)
            axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axis.set_ylabel("what a fair bet on a change\nwould have grown to")
        axis.set_title(
            f"{found.watched_noun.capitalize()} of {found.watched} posts beside those from before",
            color=INK,
        )
    return drawn

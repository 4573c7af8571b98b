"""A picture of what an audience feels at an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from evoked.analysis.audience import Audience
from evoked.explain.figures import BLUE, GREY, INK, ORANGE, figure, look, to_png, to_svg
from evoked.files import atomic_path
from evoked.report.charts import Chart, data_uri

_WIDTH, _HEIGHT = 6.4, 3.8
_BAR = 0.62


def draw_audience(found: Audience, path: Path) -> Path:
    """Write the picture as PNG to ``path``."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(audience_png(found))
    return path


def audience_png(found: Audience) -> bytes:
    """The picture as PNG."""
    return to_png(_drawn(found))


def audience_chart(found: Audience) -> Chart:
    """The picture for the report."""
    first = found.table.sort_values("share", ascending=False).iloc[0]
    return Chart(
        data_uri(to_svg(_drawn(found)), "image/svg+xml"),
        f"What {found.name} would feel at {found.image} (n = {found.n['share']} of "
        f"{found.members} users). {found.note}",
        f"Bars; the largest is {first['emotion']} with {first['share']:.0%}.",
    )


def _drawn(found: Audience) -> Figure:
    """Bars of the audience's shares with intervals; marks for all users, and for what viewers of
    the image felt."""
    table = found.table
    positions = np.arange(len(table))[::-1]
    with look():
        drawn = figure(_WIDTH, _HEIGHT)
        axis = drawn.subplots()
        share = table["share"].to_numpy()
        reach = np.abs(table[["low", "high"]].to_numpy() - share[:, None]).T
        axis.barh(
            positions, share, _BAR, color=BLUE, label=f"{found.name} (n = {found.n['share']})"
        )
        axis.errorbar(
            share, positions, xerr=np.nan_to_num(reach), fmt="none", ecolor=INK, elinewidth=1
        )
        marks = (("everyone", "all users", "D", ORANGE), ("viewers", "its viewers felt", "o", INK))
        for column, label, marker, colour in marks:
            if found.n[column]:
                named = f"{label} (n = {found.n[column]})"
                axis.plot(table[column], positions, marker, color=colour, markersize=5, label=named)
        anywhere = f"felt at any image (n = {found.n['all_viewings']} viewings learned from)"
        axis.plot(table["all_viewings"], positions, "|", color=GREY, markersize=14, label=anywhere)
        axis.set_yticks(positions, table["emotion"])
        axis.set_xlim(left=-0.01)  # marks at zero are whole
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axis.set_xlabel("share of the audience (mean predicted probability, 95 % interval)")
        axis.set_title(f"What {found.name} would feel at {found.image}")
        drawn.legend(loc="outside lower center", ncols=2)
    return drawn

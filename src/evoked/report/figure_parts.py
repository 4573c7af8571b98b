"""Parts that several figures are made of: matrices, the plane of emotions, and notes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from evoked.analysis.positions import Surface
from evoked.explain.figures import DIVERGING, INK
from evoked.files import records

Floats = NDArray[np.float64]


def matrix(
    axis: Axes, values: Floats, texts: list[list[str]], rows: Any, columns: Any, reach: float = 1.0
) -> None:
    """Draw a matrix of numbers around zero, each written in its cell."""
    axis.imshow(values, cmap=DIVERGING, vmin=-reach, vmax=reach, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        # White on the darkest cells only.
        dark = np.isfinite(value) and abs(value) > 0.65 * reach
        axis.text(
            column,
            row,
            texts[row][column],
            ha="center",
            va="center",
            fontsize=8,
            color="white" if dark else INK,
        )
    axis.set_xticks(range(len(columns)), columns)
    axis.set_yticks(range(len(rows)), rows)
    axis.tick_params(length=0)
    for spine in axis.spines.values():
        spine.set_visible(False)


def cells_of(
    table: pd.DataFrame, row: str, rows: Any, column: str, columns: Any
) -> list[list[dict[str, Any]]]:
    """The records of a long table as a matrix, by the values of two of its columns."""
    found = {(record[row], record[column]): record for record in records(table)}
    return [[found[first, second] for second in columns] for first in rows]


def plane_axes(axes: NDArray[Any]) -> None:
    """Set limits and labels of panels that show the plane of emotions."""
    for axis in axes.flat:
        axis.set_xlim(-4.2, 4.2)
        axis.set_ylim(-0.2, 8.2)
        axis.set_xticks([-4, -2, 0, 2, 4])
        axis.set_yticks([0, 2, 4, 6, 8])
        axis.set_aspect("equal")
    shown = [[axis for axis in row if axis.get_visible()] for row in axes]
    for row in shown:
        if row:
            row[0].set_ylabel("arousal (points)")
    for column in axes.T:
        visible = [axis for axis in column if axis.get_visible()]
        if visible:
            visible[-1].set_xlabel("valence (points)")
            visible[-1].tick_params(labelbottom=True)


def heat(axis: Axes, surface: Surface, reach: float) -> None:
    """Draw a surface over the plane in colours; the darkest stand for ``reach`` and beyond."""
    axis.pcolormesh(
        surface.valence,
        surface.arousal,
        surface.values.T,
        cmap=DIVERGING,
        vmin=-reach,
        vmax=reach,
        shading="nearest",
        rasterized=True,
    )


def noted(note: str) -> str:
    """A note as the sentence that follows a caption; nothing where there is none."""
    return f" {note[0].upper()}{note[1:]}." if note else ""

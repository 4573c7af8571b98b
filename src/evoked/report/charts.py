"""Charts of the report: small, one message each, with n in the caption."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from evoked.explain.figures import BLUE, GREY, INK, ORANGE, PALE, figure, look, to_svg
from evoked.posts.schema import SCALES

_WIDTH, _HEIGHT = 3.3, 2.7
_MANY_POINTS = 1500
_NAME_CHARACTERS = 24
_DECILES = 10
_FEWEST_PER_BIN = 5
# Half the width of a 95 % interval in standard errors.
_NORMAL_95 = 1.96


@dataclass(frozen=True)
class Chart:
    """An inline picture with what is said below it and what is said instead of it."""

    source: str
    caption: str
    alternative: str


def data_uri(content: bytes, kind: str) -> str:
    """``content`` of a media type as an address that needs no request."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def learning_curve(log: pd.DataFrame) -> Chart:
    """Training and validation loss per epoch; columns epoch, train_loss, validation_loss, and
    validation_score where that decided which weights were kept."""
    with look():
        drawn = figure(_WIDTH, _HEIGHT)
        axis = drawn.subplots()
        axis.plot(log["epoch"], log["train_loss"], color=ORANGE, label="training")
        loss = log["validation_loss"].to_numpy(dtype=float)
        validated = np.isfinite(loss).any()
        goodness = log.get("validation_score", -log["validation_loss"]).to_numpy(dtype=float)
        best = int(np.nanargmax(goodness)) if validated else len(loss) - 1
        if validated:
            axis.plot(log["epoch"], loss, color=BLUE, label="validation")
            axis.plot(best + 1, loss[best], "o", color=BLUE, markersize=5)
        axis.set_xlabel("epoch")
        axis.set_ylabel("loss")
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axis.legend()
    kept = (
        f"the weights of epoch {best + 1} (dot) were kept"
        if validated
        else "there were no validation posts, so the last weights were kept"
    )
    return _chart(
        drawn,
        f"Loss per epoch; {kept} (n = {len(log)} epochs).",
        f"Lines; the training loss goes from {log['train_loss'].iloc[0]:.2f} to "
        f"{log['train_loss'].iloc[-1]:.2f}.",
    )


def intervals(rows: Sequence[dict[str, Any]], title: str, better: str) -> Chart:
    """A score of every model, the run's own first: model, value, low, high, n."""
    names = [row["model"] for row in rows]
    drawn = _dots(rows, names, title, [BLUE] + [GREY] * (len(rows) - 1))
    told = "; ".join(f"{row['model']} {row['value']:.2f}" for row in rows)
    return _chart(
        drawn,
        f"{title} with 95 % bootstrap intervals; {better} (n = {rows[0]['n']} posts).",
        f"Dots with intervals: {told}.",
    )


def calibration(predicted: NDArray, observed: NDArray, title: str, unit: str) -> Chart | None:
    """Observed against predicted means of equally large groups of posts, 10 where there are
    enough posts; None for fewer than two groups of 5."""
    known = np.isfinite(predicted) & np.isfinite(observed)
    predicted, observed = predicted[known], observed[known]
    bins = min(_DECILES, len(predicted) // _FEWEST_PER_BIN)
    if bins < 2:
        return None
    groups = np.array_split(np.argsort(predicted, kind="stable"), bins)
    x = np.array([predicted[rows].mean() for rows in groups])
    y = np.array([observed[rows].mean() for rows in groups])
    error = np.array([observed[rows].std(ddof=1) / np.sqrt(len(rows)) for rows in groups])
    with look():
        drawn = figure(_WIDTH, _HEIGHT)
        axis = drawn.subplots()
        _diagonal(axis, np.concatenate([x, y - error, y + error]))
        axis.errorbar(x, y, _NORMAL_95 * error, fmt="o", color=BLUE, markersize=4, linewidth=1.2)
        axis.set_title(title)
        axis.set_xlabel(f"predicted ({unit})")
        axis.set_ylabel(f"observed ({unit})")
    smallest, largest = len(groups[-1]), len(groups[0])
    each = f"{smallest}" if smallest == largest else f"{smallest} or {largest}"
    return _chart(
        drawn,
        f"{title}: observed and predicted means of {bins} groups by prediction, with 95 % "
        f"intervals; on the line they agree (n = {len(predicted)} posts, {each} per group).",
        f"Dots; the lowest group is predicted {x[0]:.2f} and observed {y[0]:.2f}, the highest "
        f"{x[-1]:.2f} and {y[-1]:.2f}.",
    )


def predicted_and_true(predicted: NDArray, true: NDArray, target: str) -> Chart:
    """One dot per post, or for many posts their density."""
    low, high = SCALES[target]
    with look():
        drawn = figure(_WIDTH, _HEIGHT)
        axis = drawn.subplots()
        axis.plot([low, high], [low, high], color=GREY, linewidth=0.8)
        _cloud(axis, true, predicted, (low, high, low, high))
        axis.set_title(target.capitalize())
        axis.set_xlabel("rated (points)")
        axis.set_ylabel("predicted (points)")
    return _chart(
        drawn,
        f"Predicted and rated {target}; on the line they agree (n = {len(true)} posts).",
        f"Scatter; rated {target} has mean {true.mean():.2f}, predicted {predicted.mean():.2f}.",
    )


def emotion_plane(points: NDArray, what: str) -> Chart:
    """Posts on the plane of valence and arousal, (n, 2)."""
    valence, arousal = points.T
    with look():
        drawn = figure(_WIDTH, _HEIGHT)
        axis = drawn.subplots()
        axis.axhline(4, color=PALE, linewidth=0.8, zorder=0)
        axis.axvline(0, color=PALE, linewidth=0.8, zorder=0)
        _cloud(axis, valence, arousal, (-4, 4, 0, 8))
        axis.set_title(what.capitalize())
        axis.set_xlabel("valence (points)")
        axis.set_ylabel("arousal (points)")
    quadrants = {
        "positive and aroused": (valence > 0) & (arousal > 4),
        "positive and calm": (valence > 0) & (arousal <= 4),
        "negative and aroused": (valence <= 0) & (arousal > 4),
        "negative and calm": (valence <= 0) & (arousal <= 4),
    }
    shares = ", ".join(f"{rows.mean():.0%} {name}" for name, rows in quadrants.items())
    return _chart(drawn, f"{what.capitalize()}: {shares} (n = {len(valence)} posts).", "Scatter.")


def by_category(rows: Sequence[dict[str, Any]], title: str) -> Chart:
    """A score per category: category, value, low, high, n."""
    ranked = sorted(rows, key=lambda row: -row["value"])
    names = [str(row["category"])[:_NAME_CHARACTERS] for row in ranked]
    return _chart(
        _dots(ranked, names, title, [BLUE] * len(ranked)),
        f"{title} by category with 95 % bootstrap intervals "
        f"(n = {sum(int(row['n']) for row in rows)} posts).",
        "Dots with intervals; the table above holds the figures.",
    )


def _dots(
    rows: Sequence[dict[str, Any]], names: Sequence[str], title: str, colours: Sequence[str]
) -> Figure:
    """Values with their intervals, the first row on top."""
    with look():
        drawn = figure(_WIDTH, 0.85 + 0.26 * len(rows))
        axis = drawn.subplots()
        for position, (row, colour) in enumerate(zip(rows, colours, strict=True)):
            axis.plot([row["low"], row["high"]], [position] * 2, color=colour)
            axis.plot(row["value"], position, "o", color=colour, markersize=5)
        axis.set_yticks(range(len(rows)), names)
        axis.set_ylim(len(rows) - 0.4, -0.6)
        axis.tick_params(axis="y", length=0)
        axis.locator_params(axis="x", nbins=5)
        axis.set_xlabel(title)
    return drawn


def _diagonal(axis: Axes, values: NDArray) -> None:
    ends = [float(np.min(values)), float(np.max(values))]
    axis.plot(ends, ends, color=GREY, linewidth=0.8)
    axis.locator_params(nbins=5)


def _cloud(axis: Axes, x: NDArray, y: NDArray, extent: tuple[float, float, float, float]) -> None:
    if len(x) > _MANY_POINTS:
        axis.hexbin(x, y, gridsize=32, extent=extent, cmap="Blues", bins="log", mincnt=1)
    else:
        # Dots as one embedded picture: the file stays small.
        opacity = float(np.clip(60 / max(len(x), 1), 0.25, 0.9))
        axis.scatter(x, y, s=9, color=BLUE, alpha=opacity, linewidths=0, rasterized=True)
    left, right, bottom, top = extent
    margin = 0.2
    axis.set_xlim(left - margin, right + margin)
    axis.set_ylim(bottom - margin, top + margin)
    axis.tick_params(colors=INK)


def _chart(drawn: Figure, caption: str, alternative: str) -> Chart:
    return Chart(data_uri(to_svg(drawn), "image/svg+xml"), caption, alternative)

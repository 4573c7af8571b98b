"""Charts of the report: small, one message each, with n in the caption."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from PIL import Image

from evoked.evaluation.coverage import share_range
from evoked.evaluation.reliability import Reliability
from evoked.explain.figures import BLUE, GREY, INK, ORANGE, PALE, figure, look, to_svg
from evoked.posts.schema import SCALES

_WIDTH, _HEIGHT = 3.3, 2.7
_MANY_POINTS = 1500
_JPEG_QUALITY = 80
_NAME_CHARACTERS = 24
_DECILES = 10
_FEWEST_PER_BIN = 5
# Classes up to which names and counts are written into a figure.
_MOST_WRITTEN = 7
# Half the width of a 95 % interval in standard errors.
_NORMAL_95 = 1.96


@dataclass(frozen=True)
class Chart:
    """An inline picture with its caption and the text that stands in for it."""

    source: str
    caption: str
    alternative: str


def data_uri(content: bytes, kind: str) -> str:
    """``content`` of a media type as an address that needs no request."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def jpeg_uri(picture: NDArray[np.uint8]) -> str:
    """A picture, uint8 RGB, as JPEG in an address that needs no request."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=_JPEG_QUALITY)
    return data_uri(stream.getvalue(), "image/jpeg")


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
    """A score of every model, the run's own first; rows have model, value, low, high, n."""
    names = [row["model"] for row in rows]
    drawn = _dots(rows, names, title, [BLUE] + [GREY] * (len(rows) - 1))
    values = "; ".join(f"{row['model']} {row['value']:.2f}" for row in rows)
    return _chart(
        drawn,
        f"{title} with 95 % bootstrap intervals; {better} (n = {rows[0]['n']}).",
        f"Dots with intervals: {values}.",
    )


def calibration(predicted: NDArray, observed: NDArray, title: str, unit: str) -> Chart | None:
    """Observed against predicted means of equally large groups of posts, 10 where there are
    enough posts; None for fewer than two groups of 5."""
    known = np.isfinite(predicted) & np.isfinite(observed)
    predicted, observed = predicted[known], observed[known]
    bins = _groups_of(len(predicted))
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


def value_scatter(
    predicted: NDArray, true: NDArray, title: str, unit: str, agreement: str
) -> Chart:
    """Predicted against true values of any range; ``agreement`` gives their scores."""
    low, high = (float(edge(np.concatenate([predicted, true]))) for edge in (np.min, np.max))
    with look():
        drawn = figure(_WIDTH, _HEIGHT)
        axis = drawn.subplots()
        axis.plot([low, high], [low, high], color=GREY, linewidth=0.8)
        _cloud(axis, true, predicted, (low, high, low, high))
        axis.set_title(title)
        axis.set_xlabel(f"true ({unit})")
        axis.set_ylabel(f"predicted ({unit})")
    return _chart(
        drawn,
        f"{title}: predicted and true; on the line they agree. {agreement} (n = {len(true)} "
        "posts).",
        f"Scatter; the true values have mean {true.mean():.2f} and standard deviation "
        f"{true.std():.2f}, the predicted ones {predicted.mean():.2f} and {predicted.std():.2f}.",
    )


def residuals(predicted: NDArray, true: NDArray, title: str, unit: str) -> Chart:
    """Residuals, true minus predicted values, against the predictions."""
    left = true - predicted
    reach = max(float(np.abs(left).max()), 1e-3)
    ends = (float(predicted.min()), float(predicted.max()))
    groups = np.array_split(np.argsort(predicted, kind="stable"), _groups_of(len(left)))
    with look():
        drawn = figure(_WIDTH, _HEIGHT)
        axis = drawn.subplots()
        axis.axhline(0, color=GREY, linewidth=0.8)
        _cloud(axis, predicted, left, (*ends, -reach, reach))
        x, y = ([float(values[rows].mean()) for rows in groups] for values in (predicted, left))
        axis.plot(x, y, "o-", color=ORANGE, markersize=4, linewidth=1.2)
        axis.set_title(f"{title}: residuals")
        axis.set_xlabel(f"predicted ({unit})")
        axis.set_ylabel(f"true − predicted ({unit})")
    return _chart(
        drawn,
        f"{title}: true less predicted; orange: means of {len(groups)} groups by prediction. "
        f"Mean {left.mean():+.2f}, standard deviation {left.std():.2f} (n = {len(left)} "
        "posts).".replace("-", "−"),
        f"Scatter around zero; the group predicted lowest is off by {y[0]:+.2f} on average, the "
        f"highest by {y[-1]:+.2f}.",
    )


def confusion(counts: NDArray, labels: Sequence[str], title: str) -> Chart:
    """True classes (rows) and what they were taken for (columns), coloured by share of the row."""
    true = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, true, out=np.zeros(counts.shape), where=true > 0)
    many = len(labels) > _MOST_WRITTEN
    with look():
        drawn = figure(_WIDTH, 3.2)
        axis = drawn.subplots()
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), count in [] if many else list(np.ndenumerate(counts)):
            colour = "white" if shares[row, column] > 0.6 else INK
            axis.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8)
        positions = range(len(labels))
        turned = max(map(len, labels)) > 2
        axis.set_xticks(
            positions, labels, rotation=45 if turned else 0, ha="right" if turned else "center"
        )
        axis.set_yticks(positions, labels)
        axis.tick_params(length=0, labelsize=8)
        axis.set_title(title)
        axis.set_xlabel("predicted")
        axis.set_ylabel("true")
    right = int(np.trace(counts))
    return _chart(
        drawn,
        f"{title}: true classes (rows) and what they were taken for; the darker, the larger the "
        f"share of the row (n = {int(counts.sum())}).",
        f"Matrix; {right} of {int(counts.sum())} lie on the diagonal; the table holds the figures.",
    )


def class_shares(counts: NDArray, labels: Sequence[str], title: str) -> Chart:
    """How frequent each class is among the true and among the predicted ones."""
    n = max(int(counts.sum()), 1)
    true, predicted = 100 * counts.sum(axis=1) / n, 100 * counts.sum(axis=0) / n
    positions = np.arange(len(labels))
    with look():
        drawn = figure(_WIDTH, _HEIGHT)
        axis = drawn.subplots()
        axis.bar(positions - 0.2, true, 0.38, color=GREY, label="true")
        axis.bar(positions + 0.2, predicted, 0.38, color=BLUE, label="predicted")
        turned = max(map(len, labels)) > 2
        axis.set_xticks(
            positions, labels, rotation=30 if turned else 0, ha="right" if turned else "center"
        )
        axis.tick_params(axis="x", length=0)
        axis.set_ylim(0, 1.25 * max(true.max(), predicted.max(), 1.0))
        axis.set_title(title)
        axis.set_ylabel("share (%)")
        axis.legend(ncols=2, loc="upper right")
    most = int(predicted.argmax())
    return _chart(
        drawn,
        f"{title}: share of each class; where blue gathers in one class, the model calls most "
        f"of them the same (n = {int(counts.sum())}).",
        f"Bars; the class predicted most often is {labels[most]}: {predicted[most]:.0f} %, and "
        f"{true[most]:.0f} % are.",
    )


def probabilities(found: Reliability, title: str, what: str) -> Chart:
    """How often probabilities came true; ``what`` names what they are probabilities of."""
    shown = zip(found.observed, found.posts, strict=True)
    bounds = [share_range(round(o * n), int(n)) for o, n in shown]
    with look():
        drawn = figure(_WIDTH, _HEIGHT)
        axis = drawn.subplots()
        axis.plot([0, 100], [0, 100], color=GREY, linewidth=0.8)
        for x, (low, high) in zip(found.predicted, bounds, strict=True):
            axis.plot([100 * x] * 2, [100 * low, 100 * high], color=BLUE, linewidth=1.2)
        axis.plot(100 * found.predicted, 100 * found.observed, "o", color=BLUE, markersize=4)
        axis.set_xlim(-4, 104)
        axis.set_ylim(-4, 104)
        axis.set_title(title)
        axis.set_xlabel("predicted probability (%)")
        axis.set_ylabel("came true (%)")
    return _chart(
        drawn,
        f"{title}: how often {what} came true, in bins of 10 points with 95 % intervals; on the "
        f"line probabilities hold. Expected calibration error {100 * found.error:.1f} points "
        f"(n = {int(found.posts.sum())}).",
        "Dots; "
        + "; ".join(
            f"{100 * p:.0f} % came true for {100 * o:.0f} % of {n}"
            for p, o, n in zip(found.predicted, found.observed, found.posts, strict=True)
        )
        + ".",
    )


def importances(shares: Mapping[str, float], title: str, caption: str) -> Chart:
    """Bars of shares in per cent by name, in the given order."""
    names = [
        name if len(name) <= _NAME_CHARACTERS else f"{name[: _NAME_CHARACTERS - 1]}…"
        for name in shares
    ]
    with look():
        drawn = figure(_WIDTH, 0.85 + 0.26 * len(shares))
        axis = drawn.subplots()
        axis.barh(range(len(names)), list(shares.values()), color=BLUE, height=0.65)
        axis.set_yticks(range(len(names)), names)
        axis.invert_yaxis()
        axis.tick_params(axis="y", length=0)
        axis.set_title(title)
        axis.set_xlabel("% of all")
    return _chart(
        drawn,
        caption,
        "Bars; " + ", ".join(f"{name} {share:.0f} %" for name, share in shares.items()) + ".",
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


def by_category(rows: Sequence[dict[str, Any]], title: str, what: str = "category") -> Chart:
    """A score per category or size of account; rows have category, value, low, high, n."""
    ranked = sorted(rows, key=lambda row: -row["value"])
    names = [str(row["category"])[:_NAME_CHARACTERS] for row in ranked]
    return _chart(
        _dots(ranked, names, title, [BLUE] * len(ranked)),
        f"{title} by {what} with 95 % bootstrap intervals "
        f"(n = {sum(int(row['n']) for row in rows)} posts).",
        "Dots with intervals; the table above holds the figures.",
    )


def _groups_of(posts: int) -> int:
    """How many groups posts are divided into whose means are shown."""
    return max(min(_DECILES, posts // _FEWEST_PER_BIN), 1)


def _dots(
    rows: Sequence[dict[str, Any]], names: Sequence[str], title: str, colours: Sequence[str]
) -> Figure:
    """Values with their intervals, the first row on top."""
    with look():
        drawn = figure(_WIDTH, 0.85 + 0.26 * len(rows))
        axis = drawn.subplots()
        for position, (row, colour) in enumerate(zip(rows, colours, strict=True)):
            if row["low"] is not None:
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

"""Figures of what goes with shares: EIJL's Figures 2 and 3 and its Table 1."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from evoked.analysis.distribution import LogNormalTest, positive_counts
from evoked.analysis.interactions import MODELS
from evoked.analysis.sharing import TOGETHER
from evoked.evaluation.significance import p_value, significance_marks
from evoked.explain.figures import BLUE, GREY, INK, PALE, VERMILLION, Picture, figure, look
from evoked.files import records
from evoked.report.figure_parts import matrix

Floats = NDArray[np.float64]

_BARS = 30


def count_distribution(counts: Floats, test: LogNormalTest, name: str) -> Picture:
    """Counts above zero with their log-normal fit, and quantile against quantile (Figure 2a).

    Parameters
    ----------
    counts
        (posts,); unknown ones and zeros are not drawn.
    test
        From :func:`evoked.analysis.distribution.log_normal_test`.
    name
        What is counted, such as "shares".
    """
    values = positive_counts(counts)
    zeros = int((counts == 0).sum())
    with look():
        drawn = figure(8.4, 3.4)
        left, right = drawn.subplots(1, 2)
        _histogram(left, values, test, name)
        _quantiles(right, values, test, name)
    verdict = "no departure found" if test.p >= 0.05 else "they depart from it"
    return Picture(
        "eijl_figure2a_distribution",
        f"Left: posts by {name}, bins even in the logarithm, and what the log-normal fit expects. "
        f"Right: quantiles, with the band that holds 95 % of samples of the fitted law at each "
        f"(n = {test.n} posts; {zeros} with zero left out). Largest gap of the cumulative shares "
        f"{test.gap:.3f}, p {_equals(test.p)} (parametric bootstrap): {verdict}.",
        f"Histogram and curve; μ = {test.law.location:.2f}, σ = {test.law.scale:.2f}.",
        drawn,
    )


def text_emotion(table: pd.DataFrame, name: str) -> Picture:
    """Posts of each of the five classes of captions, and their popularity (Figure 2b).

    Parameters
    ----------
    table
        From :func:`evoked.analysis.sharing.popularity_by_class`.
    name
        What popularity is, such as "shares".
    """
    rows, overall = table.iloc[:-1], table.iloc[-1]
    places = np.arange(len(rows))
    with look():
        drawn = figure(7.6, 2.7)
        left, right = drawn.subplots(1, 2, sharey=True)
        left.barh(places, rows["share"] * 100, color=BLUE, height=0.65)
        for place, row in zip(places, records(rows), strict=True):
            left.annotate(
                f"{row['posts']}",
                (row["share"] * 100, place),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=7.5,
            )
        left.set_xlabel("% of the posts")
        left.set_xlim(0, max(float(rows["share"].max()) * 118, 1))
        left.set_title("Posts")
        left.set_yticks(places, rows["class"])
        left.tick_params(axis="y", length=0)
        right.hlines(places, rows["low"], rows["high"], color=BLUE)
        right.plot(rows["mean"], places, "o", color=BLUE, markersize=5)
        right.plot(rows["median"], places, "|", color=INK, markersize=10)
        right.axvline(overall["mean"], color=PALE, linewidth=0.9, zorder=0)
        right.set_xlabel(f"{name} per post")
        right.set_xlim(left=0)
        right.set_title("Mean (dot), median (bar)")
    return Picture(
        "eijl_figure2b_text_emotion",
        f"Emotion of captions in five classes (n = {overall['posts']} posts whose caption can be "
        f"read), and mean {name} with 95 % bootstrap intervals (n = {overall['n']} of them with "
        f"known {name}; grey: mean of all). Does any class differ, in ranks: "
        f"p {_equals(overall['p'])}.",
        "Bars and dots; the table beside it holds the figures.",
        drawn,
    )


def counts_together(table: pd.DataFrame) -> Picture:
    """Correlations of likes, saves, comments and shares (Figure 3).

    Parameters
    ----------
    table
        From :func:`evoked.analysis.sharing.counts_together`.
    """
    found = {(row["first"], row["second"]): row for row in records(table)}
    names = [name for name in TOGETHER if any(name in pair for pair in found)]
    values = np.full((len(names), len(names)), np.nan)
    texts = [[""] * len(names) for _ in names]
    for (first, second), row in found.items():
        i, j = names.index(first), names.index(second)
        # Pearson's below the diagonal, Spearman's above.
        for place, kind, p in (
            ((j, i), "r", "p_holm"),
            ((i, j), "spearman", "spearman_p_holm"),
        ):
            values[place] = row[kind]
            texts[place[0]][place[1]] = f"{row[kind]:.2f}{significance_marks(row[p])}"
    with look():
        drawn = figure(4.6, 3.2)
        axis = drawn.subplots()
        matrix(axis, values, texts, names, names)
        axis.set_title("Correlation of the counts")
    return Picture(
        "eijl_figure3_counts",
        "Below the diagonal Pearson's r of log(1 + count), above it Spearman's of ranks; * p < "
        "0.05, ** p < 0.01, *** p < 0.001 after Holm's correction over the pairs, the posts of one "
        "author counted as resembling each other "
        f"(n = {_range(table['n'])} posts per pair).",
        "Matrix; the table beside it holds the figures.",
        drawn,
    )


def interactions(terms: pd.DataFrame, fits: pd.DataFrame, name: str) -> Picture:
    """Coefficients of Eq. 1, linear and logistic, beside the published ones (Table 1).

    Parameters
    ----------
    terms, fits
        From :func:`evoked.analysis.interactions.interaction_models`.
    name
        What popularity is, such as "shares".
    """
    own = terms[(terms["design"] == "Eq. 1") & (terms["term"] != "constant")]
    fitted = {row["model"]: row for row in records(fits[fits["design"] == "Eq. 1"])}
    names = list(dict.fromkeys(own["term"]))
    with look():
        drawn = figure(8.4, 1.2 + 0.42 * len(names))
        axes = drawn.subplots(1, 2, sharey=True)
        for axis, model in zip(axes, MODELS, strict=True):
            rows = own[own["model"] == model].reset_index(drop=True)
            kinds = ("coefficient", "low", "high")
            if model == "logistic":
                kinds = ("odds_ratio", "odds_low", "odds_high")
            _coefficients(axis, rows, kinds)
            axis.set_title(f"{model.capitalize()} (R² {_digits(fitted[model]['r2'])})")
        axes[0].plot(own["published"][: len(names)], range(len(names)), "|", color=INK, ms=11)
        axes[0].set_xlabel("change in the probability")
        axes[1].set_xlabel("odds ratio")
        axes[0].set_yticks(range(len(names)), [each.replace(" × ", " ×\n") for each in names])
        axes[0].set_ylim(len(names) - 0.5, -0.5)
    linear = fitted["linear"]
    notes = "".join(f" {model}: {row['note']}." for model, row in fitted.items() if row["note"])
    return Picture(
        "eijl_table1_interactions",
        f"Eq. 1: is a post among the fifth with most {name}? Coefficients with 95 % intervals "
        f"({linear['errors']}), beside the published ones (bars); logistic: odds ratios "
        f"and McFadden's R² (n = {linear['n']} posts, {linear['popular']} popular).{notes}",
        "Dots; the table beside it holds the figures.",
        drawn,
    )


def _histogram(axis: Axes, values: NDArray[np.int64], test: LogNormalTest, name: str) -> None:
    edges = _half_integers(values, _BARS)
    observed = np.histogram(values, edges)[0]
    expected = np.diff(test.law.cumulative(edges)) * len(values)
    # Bins hold whole counts, so the lowest are unequal: heights are posts per factor of e.
    widths = np.diff(np.log(edges))
    axis.stairs(observed / widths, edges, fill=True, color="#9ECAE1", label="posts")
    middle = np.sqrt(edges[:-1] * edges[1:])
    axis.plot(middle, expected / widths, color=VERMILLION, label="log-normal fit")
    _logarithmic(axis, "x")
    axis.set_ylim(0, 1.2 * max((observed / widths).max(), (expected / widths).max()))
    axis.set_xlabel(f"{name} per post")
    axis.set_ylabel("posts per factor of e")
    axis.set_title(f"μ = {test.law.location:.2f}, σ = {test.law.scale:.2f}")
    axis.legend(loc="upper right", ncols=2)


def _quantiles(axis: Axes, values: NDArray[np.int64], test: LogNormalTest, name: str) -> None:
    expected = test.law.quantiles(test.levels)
    observed = np.quantile(values, test.levels, method="inverted_cdf")
    axis.fill_between(expected, test.low, test.high, color="#C6DBEF", linewidth=0)
    ends = [1, max(float(observed[-1]), float(expected[-1]))]
    axis.plot(ends, ends, color=GREY, linewidth=0.8)
    axis.plot(expected, observed, "o", color=BLUE, markersize=2.5)
    _logarithmic(axis, "xy")
    axis.set_xlabel(f"{name}, log-normal fit")
    axis.set_ylabel(f"{name}, observed")
    axis.set_title(f"p {_equals(test.p)} (n = {test.n})")


def _half_integers(values: NDArray[np.int64], most: int) -> Floats:
    """Edges at half-integers from ½ to above the largest count, about even in the logarithm."""
    even = np.geomspace(0.5, values[-1] + 0.5, most + 1)
    return np.unique(np.append(np.floor(even), values[-1])) + 0.5


def _coefficients(axis: Axes, rows: pd.DataFrame, kinds: tuple[str, str, str]) -> None:
    value, low, high = (rows[kind].to_numpy(dtype=np.float64) for kind in kinds)
    nothing = 1.0 if kinds[0] == "odds_ratio" else 0.0
    axis.axvline(nothing, color=PALE, linewidth=0.9, zorder=0)
    axis.hlines(rows.index, low, high, color=BLUE)
    axis.plot(value, rows.index, "o", color=BLUE, markersize=4)
    axis.tick_params(axis="y", length=0)
    if kinds[0] != "odds_ratio":
        return
    known = np.concatenate([low, high])[np.isfinite(np.concatenate([low, high]))]
    if len(known):
        wide = known.max() > 30 * known.min()
        _logarithmic(axis, "x", (1.0,) if wide else (1.0, 2.0, 5.0))
    else:
        axis.text(0.5, 0.5, "no finite fit", ha="center", transform=axis.transAxes)


def _logarithmic(axis: Axes, sides: str, steps: tuple[float, ...] = (1.0,)) -> None:
    """Make axes logarithmic, with plain numbers; ``steps`` are labelled in each power of ten."""
    if "x" in sides:
        axis.set_xscale("log")
    if "y" in sides:
        axis.set_yscale("log")
    for side in (axis.xaxis if each == "x" else axis.yaxis for each in sides):
        side.set_major_locator(LogLocator(subs=steps, numticks=7))
        side.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        side.set_minor_formatter(NullFormatter())


def _equals(p: float) -> str:
    """A p-value with the sign that follows the letter p."""
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def _range(n: pd.Series) -> str:
    least, most = int(n.min()), int(n.max())
    return f"{least}" if least == most else f"{least} to {most}"


def _digits(value: float) -> str:
    return "–" if not np.isfinite(value) else f"{value:.3f}"

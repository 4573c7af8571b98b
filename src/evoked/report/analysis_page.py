"""Write an analysis: tables as CSV, figures as PNG and SVG, and one page that stands alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

import evoked
from evoked.analysis.study import PostAnalysis
from evoked.explain.drawing import Picture
from evoked.explain.figures import to_png, to_svg
from evoked.files import atomic_folder, check_free, plain, records, write_json, write_text
from evoked.posts.emotion_engagement import METRICS
from evoked.report import emotion_figures, interactive
from evoked.report.charts import Chart, data_uri
from evoked.report.interactive import Spec
from evoked.report.run_analysis import RunAnalysis

RECORD_FILE = "analysis.json"
PAGE_FILE = "index.html"


@dataclass(frozen=True)
class Section:
    """What the page says of one table: where it belongs and how to read it."""

    title: str
    explained: str
    long: bool = False


_SECTIONS = {
    "categories": Section(
        "Categories (Table 2)",
        "Caption length in words, hashtags not counted; rates of all engagement in per cent, 10th, "
        "50th and 90th percentile. published: the paper's, where it has a category of this name.",
    ),
    "agreement": Section(
        "Agreement of annotators",
        "Krippendorff's alpha (interval level) with 95 % bootstrap intervals over posts. Within a "
        "category ratings vary less, which lowers alpha without anybody agreeing less.",
    ),
    "annotators": Section(
        "Annotators",
        "bias: own ratings less the others' mean, points; r: correlation with the others' mean; "
        "alpha_without: agreement of the others. outlier: a bias of at least 1 point and 3 "
        "standard errors, or r more than 0.2 below the median annotator's.",
    ),
    "correlations": Section(
        "Emotion and engagement (Table 8)",
        "Pearson's r with the log rate, the category's mean taken out. Valence (Positive): posts "
        "above 0; Valence (Negative): −valence of posts below 0; Arousal (High): posts above 4; "
        "Arousal (Low): 4 − arousal of posts below 4; Valence × Arousal: |valence| × arousal of "
        "all. p and intervals (Fisher): each cell alone, the posts of one author counted as "
        "resembling each other; p_holm and p_bh: p corrected over the table; p_posts: each alone, "
        "as if posts were independent, which finds too much where authors have several.",
        long=True,
    ),
    "lifts": Section(
        "Lifts (Section 4.3)",
        "How much higher the mean rate is in one half (0.5 is 50 % more). Intervals resample "
        "authors with all their posts; p counts the posts of one author as resembling each other, "
        "p_holm is corrected over the table; p_posts permutes posts as if they were independent.",
    ),
    "positions": Section(
        "Best positions",
        "Where on the plane the smoothed rate is surely highest; *_low and *_high of valence and "
        "arousal hold 90 % of resamples (of authors); gain: over the category's typical rate, "
        "corrected for having chosen the best; p: would it look as good if authors, with all their "
        "posts, changed sides of the typical rate? p_posts: would shuffled posts look as good?",
        long=True,
    ),
    "time_to_peak": Section(
        "Time to peak (Table 9)",
        "A post's peak is the maximum of its smoothed rate of new events. Posts with fewer than 30 "
        "events of a metric (too_few_events), or followed at fewer than 4 points in time "
        "(too_few_points), or whose rate still rises at the last of them (still_rising), are left "
        "out of that mean and counted here. 95 % bootstrap intervals over authors.",
    ),
    "peak_differences": Section(
        "Differences between quadrants",
        "Do quadrants peak at different times? p: of ranks, the posts of one author counted as "
        "resembling each other, over all quadrants (each against the others, Bonferroni) and of "
        "pairs; p_holm over all pairs; p_posts: Kruskal and Wallis, Mann and Whitney, as if posts "
        "were independent.",
        long=True,
    ),
    "recovery": Section(
        "Recovery of what was planted",
        "This is a synthetic dataset: what it was made to show, and what the analyses find.",
        long=True,
    ),
    "accuracy": Section(
        "Accuracy by half of arousal",
        "MAP on the test posts with 95 % bootstrap intervals (over authors where the run was split "
        "by author); chance: the share of relevant posts, "
        "which is higher among aroused posts. high over low: ratio less one (0.237 is 23.7 %).",
        long=True,
    ),
    "by_category": Section(
        "Scores by category", "Categories with at least 20 test posts.", long=True
    ),
    "accuracy_correlations": Section(
        "Emotion accuracy and engagement accuracy",
        "Correlations across categories (Figure 4); n is the number of categories.",
        long=True,
    ),
    "separability": Section(
        "Separability of emotions before and after fusion",
        "How well a post's quadrant follows from its 15 nearest posts (balanced accuracy), beside "
        "chance; silhouette: 0 where quadrants don't separate.",
    ),
}


@dataclass(frozen=True)
class Shown:
    """A section of the page."""

    name: str
    section: Section
    columns: list[str]
    rows: list[list[str]]
    numeric: list[bool]
    charts: list[Chart]
    figures: dict[str, str]


def write_analysis(posts: PostAnalysis, out: Path | str, run: RunAnalysis | None = None) -> Path:
    """Write everything that an analysis found.

    Parameters
    ----------
    posts
        Of :func:`evoked.analysis.study.analyse_posts`.
    out
        Folder; an earlier analysis there is replaced. It gets ``index.html`` (no network needed;
        only the scripts that it was written with run in it), ``tables/*.csv``, ``figures/*.png``
        and ``*.svg``, and ``analysis.json``.
    run
        Of :func:`evoked.report.run_analysis.analyse_run`, to add the model's part.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    SettingsError
        ``out`` holds something else than an analysis.
    """
    out = Path(out)
    check_free(out, RECORD_FILE, "an analysis")
    pictures = list(_pictures(posts)) + ([] if run is None else run.pictures)
    tables = posts.tables | ({} if run is None else run.tables)
    with atomic_folder(out) as folder:
        for name, table in tables.items():
            path = folder / "tables" / f"{name}.csv"
            path.parent.mkdir(exist_ok=True)
            table.to_csv(path, index=False)
        charts = {picture.name: _save(picture, folder / "figures") for picture in pictures}
        write_json(folder / RECORD_FILE, to_record(posts, run))
        write_text(folder / PAGE_FILE, _page(posts, run, tables, charts))
    return out / PAGE_FILE


def to_record(posts: PostAnalysis, run: RunAnalysis | None = None) -> dict[str, Any]:
    """The analysis as JSON takes it; unknown numbers are None."""
    tables = posts.tables | ({} if run is None else run.tables)
    return {
        "evoked": evoked.__version__,
        "dataset": posts.name,
        "posts": len(posts.emotions.posts),
        "model": None if run is None else run.name,
        "test_posts": None if run is None else run.n,
        "denominator": posts.denominator,
        "emotions_estimated": int(posts.emotions.estimated.sum()),
        "note": posts.note,
        "advice": posts.advice,
        "skipped": posts.skipped | ({} if run is None else run.skipped),
        "tables": {name: plain(records(table)) for name, table in tables.items()},
    }


def _pictures(posts: PostAnalysis) -> Iterator[Picture]:
    table, note = posts.emotions.posts, posts.note
    if posts.emotions.known.any():
        yield emotion_figures.emotion_density(table, note)
    if "correlations" in posts.tables:
        yield emotion_figures.correlation_matrix(posts.tables["correlations"], note)
        surfaces = emotion_figures.engagement_surfaces(table)
        if np.isfinite(surfaces["overall"].values).any():
            yield emotion_figures.engagement_plane(table, note)
    if "time_to_peak" in posts.tables and posts.tables["time_to_peak"]["n"].sum():
        yield emotion_figures.peak_hours(posts.tables["time_to_peak"], note)


def _specs(posts: PostAnalysis, run: RunAnalysis | None) -> dict[str, tuple[Spec, str]]:
    """Interactive figures by name, each with its caption."""
    specs: dict[str, tuple[Spec, str]] = {}
    n = len(posts.emotions.posts)
    if "correlations" in posts.tables:
        specs["interactive-correlations"] = (
            interactive.correlations(posts.tables["correlations"]),
            f"Table 8; point at a cell for interval, n and p-values (n = {n} posts).",
        )
        surfaces = emotion_figures.engagement_surfaces(posts.emotions.posts)
        if any(np.isfinite(surfaces[name].values).any() for name in METRICS):
            specs["interactive-engagement"] = (
                interactive.engagement_surface(surfaces, posts.emotions.posts),
                "Engagement over the plane of emotions relative to what is typical of the category;"
                f" choose a metric, point at a post (n = {n} posts, 1,500 at most drawn).",
            )
    if run is not None and run.gain:
        specs["interactive-gain"] = (
            interactive.gain(run.gain),
            f"Gain of {run.name} over the best baseline; turn it (n = {run.n} test posts).",
        )
    if run is not None:
        for name, each in run.projections.items():
            specs[f"interactive-{name.split()[0]}"] = (
                interactive.projection(each, run.posts),
                f"Test posts {name}, t-SNE; point at a post (n = {len(each.rows)}).",
            )
    return specs


def _save(picture: Picture, folder: Path) -> Chart:
    """Write a picture as PNG and SVG; the chart that shows it on the page."""
    folder.mkdir(exist_ok=True)
    svg = to_svg(picture.figure)
    picture.figure.set_layout_engine("none")  # stays as it was laid out, which takes the most time
    (folder / f"{picture.name}.svg").write_bytes(svg)
    (folder / f"{picture.name}.png").write_bytes(to_png(picture.figure))
    return Chart(data_uri(svg, "image/svg+xml"), picture.caption, picture.alternative)


# What stands beside which table, by the beginning of the figure's name.
_FIGURES = {
    "categories": ("figure2",),
    "correlations": ("figure4_emotion", "figure6"),
    "time_to_peak": ("table9",),
    "accuracy_correlations": ("figure4_accuracy",),
    "by_category": ("figure5a",),
    "accuracy": ("figure5b",),
    "separability": ("figure3d",),
}
_INTERACTIVE = {
    "correlations": ("interactive-correlations", "interactive-engagement"),
    "accuracy": ("interactive-gain",),
    "separability": ("interactive-before", "interactive-after"),
}


def _page(
    posts: PostAnalysis,
    run: RunAnalysis | None,
    tables: dict[str, pd.DataFrame],
    charts: dict[str, Chart],
) -> str:
    specs = _specs(posts, run)
    starter = interactive.starter_script() if specs else ""
    plotly = interactive.plotly_script() if specs else ""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    clear = posts.tables.get("positions", pd.DataFrame({"clear": []}))["clear"].sum()
    return environment.get_template("analysis.html").render(
        posts=posts,
        run=run,
        n=len(posts.emotions.posts),
        version=evoked.__version__,
        metrics=METRICS,
        advice=posts.advice[: int(clear)],
        unclear=posts.advice[int(clear) :],
        glance=_glance(posts),
        skipped=posts.skipped | ({} if run is None else run.skipped),
        sections=[
            _shown(name, tables[name], charts, specs) for name in _SECTIONS if name in tables
        ],
        attention=[chart for name, chart in charts.items() if _is_attention(name)],
        data=interactive.figures_json({name: spec for name, (spec, _) in specs.items()}),
        plotly=plotly,
        starter=starter,
        scripts=" ".join(interactive.script_hash(each) for each in (plotly, starter) if each),
    )


def _glance(posts: PostAnalysis) -> dict[str, list[str]]:
    """The advice as a matrix: by category, a cell per metric."""
    table = posts.tables.get("positions")
    if table is None:
        return {}
    return {
        str(name): [
            f"{row['direction']} ({row['gain']:+.0%})".replace("-", "−") if row["clear"] else "–"
            for row in records(part)
        ]
        for name, part in table.groupby("category", sort=False)
    }


def _is_attention(name: str) -> bool:
    return name.startswith(("figure3a", "figure3b", "figure3c"))


def _shown(
    name: str,
    table: pd.DataFrame,
    charts: dict[str, Chart],
    specs: dict[str, tuple[Spec, str]],
) -> Shown:
    table = table.drop(columns=["advice"], errors="ignore")
    columns = [str(column) for column in table]
    return Shown(
        name,
        _SECTIONS[name],
        columns,
        [[_cell(column, row[column]) for column in columns] for row in records(table)],
        [pd.api.types.is_numeric_dtype(table[column]) for column in columns],
        [
            chart
            for key, chart in charts.items()
            if any(key.startswith(start) for start in _FIGURES.get(name, ()))
        ],
        {key: specs[key][1] for key in _INTERACTIVE.get(name, ()) if key in specs},
    )


def _cell(column: str, value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        number = float(value)
        if "p" in column.split("_") and number < 0.001:
            return "< 0.001"
        digits = 1 if abs(number) >= 100 else 2 if abs(number) >= 10 else 3
        return f"{number:.{digits}f}".replace("-", "−")
    return str(value)

"""Write an analysis: tables as CSV, figures as PNG and SVG, and one page that stands alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import evoked
from evoked.analysis.popular_images import PUBLISHED_RATIOS
from evoked.analysis.sharing import SharingAnalysis
from evoked.analysis.study import PostAnalysis
from evoked.explain.figures import Picture, to_png, to_svg
from evoked.files import atomic_folder, check_free, plain, records, write_json, write_text
from evoked.posts.emotion_and_rates import METRICS
from evoked.report import emotion_figures, interactive, popularity_figures, sharing_figures
from evoked.report.charts import Chart, data_uri
from evoked.report.interactive import Spec
from evoked.report.run_analysis import RunAnalysis
from evoked.report.templates import templates

RECORD_FILE = "analysis.json"
PAGE_FILE = "index.html"


@dataclass(frozen=True)
class Section:
    """What the page says of one table: where it belongs and how to read it."""

    title: str
    explained: str
    long: bool = False
    of_emotion: bool = True
    """Whether it rests on valence and arousal."""


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
    "sharing_counts": Section(
        "Sharing: the distribution (EIJL, Figure 2a)",
        "How the count that stands for popularity is distributed. A count k is taken as everything "
        "from k − ½ to k + ½ of a log-normal variable, zeros left out and allowed for. p: share of "
        "samples of the fitted law, each fitted anew, whose largest gap is as large as the one "
        "here; a large p is no proof of the law, least of all with few posts, and with thousands "
        "a small gap is enough for a small p. Posts count as independent. Popular posts are the "
        "fifth with most. published: Leng and Yan (2025), on posts of their own.",
        of_emotion=False,
    ),
    "sharing_laws": Section(
        "Sharing: other laws",
        "The same counts under other laws, the best by Akaike's criterion first. A difference "
        "below 2 says nothing, one above 10 much.",
        of_emotion=False,
    ),
    "sharing_text_emotion": Section(
        "Sharing: emotion of captions (EIJL, Figure 2b)",
        "Read by SnowNLP (Chinese) or VADER (English, and emoji of other captions), rated by "
        "nobody; classes are the fifths of polarity from −1 to 1. p: do the ranks of a class "
        "differ from the others', the posts of one author counted as resembling each other? all: "
        "does any? p_posts: as if posts were independent.",
        of_emotion=False,
    ),
    "sharing_faces": Section(
        "Sharing: covers with faces (EIJL, Section 3)",
        "By a detector of frontal faces (Haar cascades), which misses many; the paper's is "
        "DeepFace. p as above.",
        of_emotion=False,
    ),
    "sharing_together": Section(
        "Sharing: counts together (EIJL, Figure 3)",
        "Pearson's r of log(1 + count) with Fisher's interval, and Spearman's of ranks. p: robust "
        "against the posts of one author resembling each other; p_holm over the pairs. The paper "
        "shows its figures as colours alone; it says that likes go with shares more closely than "
        "comments do.",
        of_emotion=False,
    ),
    "sharing_interaction_fits": Section(
        "Sharing: interactions (EIJL, Eq. 1, Table 1)",
        "Is a post among the fifth that is shared most, by text emotion (−2 to 2), image emotion "
        "(a face, 0 or 1) and likability (thirds of likes: 0, 1, 2)? linear: the paper's model of "
        "an outcome of 0 and 1; logistic: the one that it asks for, r2 is McFadden's. Caution: "
        "likes are unknown before posting and come from the readers who share, so likability "
        "nearly is the outcome; 'without likability' shows what is left without it. Eq. 1 has "
        "the product of all three but not those of likability with one emotion; 'all products' "
        "has. Large accounts have more of everything: nothing here is cause and effect.",
        of_emotion=False,
    ),
    "sharing_interaction_terms": Section(
        "Sharing: coefficients (EIJL, Table 1)",
        "marginal_effect: mean change in probability with one more of a variable (a face, a "
        "level), all its products included; products have none of their own. vif: variance "
        "inflation; above 10 a coefficient can hardly be told from the others. p_holm over the "
        "terms of a model. published_p of 0.001: below it. Of text emotion × image emotion the "
        "paper's table says 0.049, its text −0.049.",
        long=True,
        of_emotion=False,
    ),
    "popular_images": Section(
        "Popular and unpopular covers (Dual-Attention, Table III)",
        "Posts in the top and the bottom quarter of their author's likes, clustered by their "
        "covers on half of the authors (or posts); clusters whose share of unpopular posts (ratio, "
        "R) lies more than 0.1 from that of all, with p_corrected below 0.05, are picked out and "
        "the others clustered again. ratio_held_out, low, high: R on the other half, which had no "
        "say, with its 95 % interval; believe this one. p: exact test of authors (signs of each "
        "author's difference); p_corrected: over clusters and rounds; p_posts: as if posts were "
        "independent; p_held_out_holm: over the picked clusters. Published R, of other posts and "
        "named by people: "
        + ", ".join(f"{name} {ratio:.3f}" for name, ratio in PUBLISHED_RATIOS.items())
        + ".",
        of_emotion=False,
    ),
    "popular_texts": Section(
        "Popular words and emoji: what was counted",
        "Left out: function words (of nine languages), numbers, single letters; rare ones (fewer "
        "than 10 times); those of fewer than 6 authors, or more than half by one. tested: kept and "
        "used by enough authors that a difference could pass the correction; significant: p_bh "
        "below 0.05; significant_shuffled: how many are when a coin per author decides what was "
        "popular; nominal: share with p below 0.05.",
        of_emotion=False,
    ),
    "popular_words": Section(
        "Words of popular and unpopular posts (Dual-Attention, Figure 8)",
        "popular, unpopular: occurrences in captions of either kind (m_p, m_n); ranked by their "
        "difference. p: exact test of authors, each compared with themselves; p_bh: corrected over "
        "the tested words (Benjamini and Hochberg); p_posts: as if every occurrence were "
        "independent, which one author's habits make too small.",
        long=True,
        of_emotion=False,
    ),
    "popular_emoji": Section(
        "Emoji of popular and unpopular posts (Dual-Attention, Figure 8)",
        "As of words; skin tones are not told apart.",
        long=True,
        of_emotion=False,
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
        "popularity": posts.sharing.popularity,
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
    yield from _sharing_pictures(posts.sharing)
    yield from popularity_figures.figures(posts.author_popularity)


def _sharing_pictures(found: SharingAnalysis) -> Iterator[Picture]:
    tables, name = found.tables, found.popularity
    if found.test is not None:
        yield sharing_figures.count_distribution(found.counts, found.test, name)
    if "text_emotion" in tables:
        yield sharing_figures.text_emotion(tables["text_emotion"], name)
    if "together" in tables:
        yield sharing_figures.counts_together(tables["together"])
    if "interaction_terms" in tables:
        yield sharing_figures.interactions(
            tables["interaction_terms"], tables["interaction_fits"], name
        )


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
    "sharing_counts": ("eijl_figure2a",),
    "sharing_text_emotion": ("eijl_figure2b",),
    "sharing_together": ("eijl_figure3",),
    "sharing_interaction_fits": ("eijl_table1",),
    **{name: (name,) for name in ("popular_images", "popular_words", "popular_emoji")},
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
    clear = posts.tables.get("positions", pd.DataFrame({"clear": []}))["clear"].sum()
    return (
        templates()
        .get_template("analysis.html")
        .render(
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

"""Write an analysis: tables as CSV, figures as PNG and SVG, and one page that stands alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import evoked
from evoked.analysis.analyses import ANALYSES
from evoked.analysis.base import Analysis, Findings, Given, PostFindings, Tables
from evoked.analysis.positions import advice
from evoked.analysis.works.findings import Example, Works, works
from evoked.explain.figures import Picture, to_png, to_svg
from evoked.files import (
    atomic_folder,
    check_free,
    plain,
    records,
    write_csv,
    write_json,
    write_text,
)
from evoked.posts.emotion_and_rates import METRICS
from evoked.report import interactive
from evoked.report.analysis_figures import (
    FIGURES,
    INTERACTIVE_FIGURES,
    INTERACTIVE_RUN_FIGURES,
    RUN_FIGURES,
    InteractiveFigure,
)
from evoked.report.charts import Chart, data_uri, jpeg_uri
from evoked.report.popularity_figures import thumbnails
from evoked.report.run_analysis import RunFindings
from evoked.report.run_tables import RUN_ANALYSES
from evoked.report.templates import templates
from evoked.runs.spoken import spoken, spoken_share

RECORD_FILE = "analysis.json"
PAGE_FILE = "index.html"
_EXAMPLE_EDGE = 240


@dataclass(frozen=True)
class Section:
    """An analysis on the page.

    Attributes
    ----------
    analysis
        Gives title and explanation.
    columns, rows, numeric
        The table as text, and which of its columns hold numbers.
    charts
        Static figures.
    figures
        Interactive figures.
    """

    analysis: Analysis[Any]
    columns: list[str]
    rows: list[list[str]]
    numeric: list[bool]
    charts: list[Chart]
    figures: list[InteractiveFigure]


@dataclass(frozen=True)
class Card:
    """A post on the page that has something that works.

    Attributes
    ----------
    picture
        Its cover as an address, or None.
    caption
        The beginning of its caption.
    got
        What it got, in words.
    """

    picture: str | None
    caption: str
    got: str


@dataclass(frozen=True)
class Point:
    """Something that works, or doesn't: a sentence, and posts that show it."""

    sentence: str
    cards: list[Card]


def write_analysis(posts: PostFindings, out: Path | str, run: RunFindings | None = None) -> Path:
    """Write everything that an analysis found.

    Parameters
    ----------
    posts
        From :func:`evoked.analysis.analyses.analyse_posts`.
    out
        Folder; an earlier analysis there is replaced. It gets ``index.html`` (no network needed;
        only the scripts that it was written with run in it), ``tables/*.csv``, ``figures/*.png``
        and ``*.svg``, and ``analysis.json``.
    run
        From :func:`evoked.report.run_analysis.analyse_run`, to add the model's part.

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
    with atomic_folder(out) as folder:
        for name, table in _tables(posts, run).items():
            path = folder / "tables" / f"{name}.csv"
            write_csv(path, table)
        figures = folder / "figures"
        sections = list(_sections(posts, ANALYSES, FIGURES, INTERACTIVE_FIGURES, figures))
        attention: list[Chart] = []
        if run is not None:
            sections += _sections(run, RUN_ANALYSES, RUN_FIGURES, INTERACTIVE_RUN_FIGURES, figures)
            attention = [_save(picture, figures) for picture in run.attention]
        write_json(folder / RECORD_FILE, to_record(posts, run))
        write_text(folder / PAGE_FILE, _page(posts, run, sections, attention))
    return out / PAGE_FILE


def to_record(posts: PostFindings, run: RunFindings | None = None) -> dict[str, Any]:
    """The analysis as JSON takes it; unknown numbers are None."""
    return {
        "evoked": evoked.__version__,
        "dataset": posts.name,
        "posts": len(posts.emotions.posts),
        "model": None if run is None else run.name,
        "test_posts": None if run is None else run.n,
        "denominator": posts.denominator,
        "popularity": posts.context.popularity,
        "relative": posts.context.levels.relative,
        "levels_note": posts.context.levels.note,
        "emotions_estimated": int(posts.emotions.estimated.sum()),
        "emotion_readers": posts.emotions.readers,
        "note": posts.note,
        "works": _works_record(posts),
        "advice": advice(posts.tables.get("positions")),
        "skipped": _skipped(posts, run),
        "tables": {name: plain(records(table)) for name, table in _tables(posts, run).items()},
    }


def _tables(posts: PostFindings, run: RunFindings | None) -> dict[str, pd.DataFrame]:
    return posts.tables | ({} if run is None else run.tables)


def _skipped(posts: PostFindings, run: RunFindings | None) -> dict[str, str]:
    return posts.skipped | ({} if run is None else run.skipped)


def _works_record(posts: PostFindings) -> dict[str, Any] | None:
    found = _works(posts)
    return None if found is None else plain(found.to_dict())


def _works(posts: PostFindings) -> Works | None:
    """What works, where enough posts could be compared."""
    return posts.context.once(works) if "works" in posts.tables else None


def _points(found: Works) -> list[Point]:
    """The sentences on what works, each with its examples."""
    dated = found.effects.dated
    cards = [
        [
            _card(each, found.count, dated)
            for each in found.examples[row]
            if each.cover is not None or each.caption
        ]
        for row in found.standing.index
    ]
    cards += [[] for _ in found.sentences[len(cards) :]]
    return [Point(*pair) for pair in zip(found.sentences, cards, strict=True)]


def _card(example: Example, count: str, dated: bool) -> Card:
    """A post as an example; one without a picture and a caption would show nothing."""
    others = "others of its time" if dated else "others"
    beside = f"{example.beside:.2g} times what {others} got"
    if example.beside < 1:
        beside = f"{spoken_share(example.beside)} of what {others} got"
    pictures = thumbnails([example.cover] if example.cover else [], _EXAMPLE_EDGE)
    return Card(
        jpeg_uri(pictures[0]) if pictures else None,
        example.caption,
        f"{spoken(example.count)} {count}, {beside}",
    )


def _sections(
    findings: Findings[Given],
    analyses: Mapping[str, Analysis[Given]],
    figures: Mapping[str, Callable[[Given, Tables], Iterable[Picture]]],
    interactive_figures: Mapping[str, Callable[[Given, Tables], Iterable[InteractiveFigure]]],
    folder: Path,
) -> Iterator[Section]:
    """The section of every table that was made; its figures are drawn and written to ``folder``."""
    context, tables = findings.context, findings.tables
    for name, analysis in analyses.items():
        if name not in tables:
            continue
        # The advice has a section of its own.
        table = _known(analysis, tables[name].drop(columns=["advice"], errors="ignore"))
        columns = [str(column) for column in table]
        pictures = figures[name](context, tables) if name in figures else ()
        drawn = interactive_figures[name](context, tables) if name in interactive_figures else ()
        yield Section(
            analysis,
            columns,
            [[_cell(column, row[column]) for column in columns] for row in records(table)],
            [pd.api.types.is_numeric_dtype(table[column]) for column in columns],
            [_save(picture, folder) for picture in pictures],
            list(drawn),
        )


def _known(analysis: Analysis[Any], table: pd.DataFrame) -> pd.DataFrame:
    """The rows in which something was measured, and the columns that any row of these has."""
    measured = table[analysis.measured].notna() if analysis.measured else slice(None)
    return table[measured].dropna(axis="columns", how="all").reset_index(drop=True)


def _save(picture: Picture, folder: Path) -> Chart:
    """Write a picture as PNG and SVG; the chart that shows it on the page."""
    folder.mkdir(exist_ok=True)
    svg = to_svg(picture.figure)
    picture.figure.set_layout_engine("none")  # keeps the layout, which takes most of the time
    (folder / f"{picture.name}.svg").write_bytes(svg)
    (folder / f"{picture.name}.png").write_bytes(to_png(picture.figure))
    return Chart(data_uri(svg, "image/svg+xml"), picture.caption, picture.alternative)


def _page(
    posts: PostFindings,
    run: RunFindings | None,
    sections: list[Section],
    attention: list[Chart],
) -> str:
    specs = {figure.name: figure.spec for section in sections for figure in section.figures}
    starter = interactive.starter_script() if specs else ""
    plotly = interactive.plotly_script() if specs else ""
    positions = posts.tables.get("positions")
    sentences = advice(positions)
    found = _works(posts)
    clear = 0 if positions is None else int(positions["clear"].sum())
    return (
        templates()
        .get_template("analysis.html")
        .render(
            posts=posts,
            run=run,
            n=len(posts.emotions.posts),
            version=evoked.__version__,
            metrics=METRICS,
            advice=sentences[:clear],
            unclear=sentences[clear:],
            glance=_glance(positions),
            skipped=_skipped(posts, run),
            found=found,
            points=[] if found is None else _points(found),
            works=next((each for each in sections if each.analysis.name == "works"), None),
            sections=[each for each in sections if each.analysis.name != "works"],
            attention=attention,
            data=interactive.figures_json(specs),
            plotly=plotly,
            starter=starter,
            scripts=" ".join(interactive.script_hash(each) for each in (plotly, starter) if each),
        )
    )


def _glance(positions: pd.DataFrame | None) -> dict[str, list[str]]:
    """The best positions as a matrix: by category, a cell per metric."""
    if positions is None:
        return {}
    return {
        str(name): [
            f"{row['direction']} ({row['gain']:+.0%})".replace("-", "−") if row["clear"] else "–"
            for row in records(part)
        ]
        for name, part in positions.groupby("category", sort=False)
    }


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

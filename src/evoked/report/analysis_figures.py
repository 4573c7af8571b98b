"""The figures that stand beside the tables of analyses, by the analysis's name.

An analysis without an entry has no figures. A figure gets what the analysis got, and all tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from evoked.analysis.base import PostContext, Tables
from evoked.analysis.popular_posts import author_popularity
from evoked.analysis.positions import Surface
from evoked.analysis.sharing_tables import sharing
from evoked.analysis.works.findings import works
from evoked.explain.figures import Picture
from evoked.report import (
    emotion_figures,
    interactive,
    popularity_figures,
    run_figures,
    sharing_figures,
    works_figures,
)
from evoked.report.interactive import Spec
from evoked.report.run_context import RunContext
from evoked.report.run_tables import gain, projections, quadrants


@dataclass(frozen=True)
class InteractiveFigure:
    """A figure that a reader can turn or point at.

    Attributes
    ----------
    name
        Its identifier on the page.
    spec
        What plotly draws.
    caption
        What it shows, with the number of posts.
    """

    name: str
    spec: Spec
    caption: str


def _works(context: PostContext, _: Tables) -> Iterator[Picture]:
    yield works_figures.works_figure(context.once(works))


def _emotions(context: PostContext, _: Tables) -> Iterator[Picture]:
    if context.emotions.known.any():
        yield emotion_figures.emotion_density(context.posts, context.emotions.note or "")


def _correlations(context: PostContext, tables: Tables) -> Iterator[Picture]:
    note = context.emotions.note or ""
    yield emotion_figures.correlation_matrix(tables["correlations"], note)
    surfaces = context.once(_surfaces)
    if np.isfinite(surfaces["overall"].values).any():
        yield emotion_figures.engagement_plane(context.rated, surfaces, note)


def _surfaces(context: PostContext) -> dict[str, Surface]:
    return emotion_figures.engagement_surfaces(context.rated)


def _peak_hours(context: PostContext, tables: Tables) -> Iterator[Picture]:
    table = tables["time_to_peak"]
    if table["n"].sum():
        yield emotion_figures.peak_hours(table, context.emotions.note or "")


def _counts(context: PostContext, _: Tables) -> Iterator[Picture]:
    found = context.once(sharing)
    if found.test is not None:
        yield sharing_figures.count_distribution(found.counts, found.test, found.popularity)


def _caption_emotion(context: PostContext, tables: Tables) -> Iterator[Picture]:
    yield sharing_figures.text_emotion(tables["sharing_text_emotion"], context.popularity)


def _count_correlations(_: PostContext, tables: Tables) -> Iterator[Picture]:
    yield sharing_figures.counts_together(tables["sharing_together"])


def _interactions(context: PostContext, tables: Tables) -> Iterator[Picture]:
    yield sharing_figures.interactions(
        tables["sharing_interaction_terms"],
        tables["sharing_interaction_fits"],
        context.popularity,
    )


def _covers(context: PostContext, _: Tables) -> Iterator[Picture]:
    found = context.once(author_popularity)
    if found.clusters is not None:
        yield popularity_figures.cluster_figure(found.clusters, found.covers)


def _words(context: PostContext, _: Tables) -> Iterator[Picture]:
    found = context.once(author_popularity)
    if found.texts is not None:
        yield popularity_figures.word_figure(found.texts)


def _emoji(context: PostContext, _: Tables) -> Iterator[Picture]:
    found = context.once(author_popularity)
    if found.texts is not None:
        yield popularity_figures.emoji_figure(found.texts)


FIGURES: dict[str, Callable[[PostContext, Tables], Iterator[Picture]]] = {
    "works": _works,
    "categories": _emotions,
    "correlations": _correlations,
    "time_to_peak": _peak_hours,
    "sharing_counts": _counts,
    "sharing_text_emotion": _caption_emotion,
    "sharing_together": _count_correlations,
    "sharing_interaction_fits": _interactions,
    "popular_images": _covers,
    "popular_words": _words,
    "popular_emoji": _emoji,
}
"""Static figures beside the table of each analysis of posts."""


def _interactive_correlations(context: PostContext, tables: Tables) -> Iterator[InteractiveFigure]:
    n = len(context.posts)
    yield InteractiveFigure(
        "interactive-correlations",
        interactive.correlations(tables["correlations"]),
        f"Table 8; point at a cell for interval, n and p-values (n = {n} posts).",
    )
    surfaces = context.once(_surfaces)
    if any(np.isfinite(surface.values).any() for surface in surfaces.values()):
        yield InteractiveFigure(
            "interactive-engagement",
            interactive.engagement_surface(surfaces, context.rated),
            "Engagement over the plane of emotions relative to what is typical of the category; "
            f"choose a metric, point at a post (n = {n} posts, 1,500 at most drawn).",
        )


INTERACTIVE_FIGURES: dict[str, Callable[[PostContext, Tables], Iterator[InteractiveFigure]]] = {
    "correlations": _interactive_correlations
}
"""Interactive figures beside the table of each analysis of posts."""


def _gain_figure(context: RunContext, _: Tables) -> Iterator[Picture]:
    found = context.once(gain)
    if found.surfaces:
        model = context.run.model.name
        yield run_figures.gain_plane(found.surfaces, found.baseline, model, context.note)


def _category_figure(_: RunContext, tables: Tables) -> Iterator[Picture]:
    yield run_figures.category_radar(tables["by_category"])


def _correlation_figure(_: RunContext, tables: Tables) -> Iterator[Picture]:
    yield run_figures.accuracy_matrix(tables["accuracy_correlations"])


def _fusion_figure(context: RunContext, _: Tables) -> Iterator[Picture]:
    found = context.once(projections)
    yield run_figures.fusion_projection(
        found.before, found.after, context.once(quadrants), context.note
    )


RUN_FIGURES: dict[str, Callable[[RunContext, Tables], Iterator[Picture]]] = {
    "accuracy": _gain_figure,
    "by_category": _category_figure,
    "accuracy_correlations": _correlation_figure,
    "separability": _fusion_figure,
}
"""Static figures beside the table of each analysis of a run."""


def _interactive_gain(context: RunContext, _: Tables) -> Iterator[InteractiveFigure]:
    found = context.once(gain)
    if found.surfaces:
        yield InteractiveFigure(
            "interactive-gain",
            interactive.gain(found.surfaces),
            f"Gain of {context.run.model.name} over the best baseline; turn it "
            f"(n = {len(context.tested)} test posts).",
        )


def _interactive_fusion(context: RunContext, _: Tables) -> Iterator[InteractiveFigure]:
    found = context.once(projections)
    for when, projection in (("before", found.before), ("after", found.after)):
        yield InteractiveFigure(
            f"interactive-{when}",
            interactive.projection(projection, context.posts),
            f"Test posts {when} fusion, t-SNE; point at a post (n = {len(projection.rows)}).",
        )


INTERACTIVE_RUN_FIGURES: dict[str, Callable[[RunContext, Tables], Iterator[InteractiveFigure]]] = {
    "accuracy": _interactive_gain,
    "separability": _interactive_fusion,
}
"""Interactive figures beside the table of each analysis of a run."""

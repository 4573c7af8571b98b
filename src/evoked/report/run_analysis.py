"""Analyse what a run does with its test posts: tables, and attention to the best predicted ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evoked.analysis.base import Findings, carry_out
from evoked.analysis.emotions import PostsWithEmotion
from evoked.errors import DataError
from evoked.explain import Explanation, explain_posts
from evoked.explain.drawing import draw_words, shown_picture
from evoked.explain.figures import Picture
from evoked.explain.heat_maps import draw_regions, draw_word_regions
from evoked.explain.word_matrix import word_matrix
from evoked.posts.dataset import PostDataset
from evoked.report import run_figures
from evoked.report.held_out import HeldOutPosts
from evoked.report.run_context import RunContext
from evoked.report.run_tables import RUN_ANALYSES, gain
from evoked.runs.posts import Run

_EXAMPLE_POSTS = 2


@dataclass(frozen=True)
class RunFindings(Findings[RunContext]):
    """What a run does with its test posts.

    Attributes
    ----------
    attention
        Figure 3 of the test posts that are predicted best.
    """

    attention: list[Picture] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.context.run.model.name

    @property
    def n(self) -> int:
        """How many test posts there are."""
        return len(self.context.tested)


def analyse_run(
    run: Run,
    dataset: PostDataset,
    emotions: PostsWithEmotion,
    others: Sequence[Run] = (),
    draws: int = 1000,
    seed: int = 0,
) -> RunFindings:
    """Analyse a run's predictions of its test posts.

    These are the tables of :data:`evoked.report.run_tables.RUN_ANALYSES` that the posts allow, and
    attention where the model has some.

    Parameters
    ----------
    run
        Any run.
    dataset
        The posts that it was made from.
    emotions
        The dataset's posts with emotions, as :func:`evoked.analysis.analyses.analyse_posts` returns
        them.
    others
        Further runs to compare it with, on the posts that are test posts of all; by default the
        trivial baselines.
    draws, seed
        Resamples of the intervals; random seed of these and of the projection.

    Raises
    ------
    DataError
        The dataset holds none of the run's test posts, or none that all runs share, or a run is of
        another task.
    """
    tested = _common(run, dataset, others)
    posts = emotions.posts.iloc[tested.rows].reset_index(drop=True)
    context = RunContext(
        run=run,
        dataset=dataset,
        tested=tested,
        posts=posts,
        note=PostsWithEmotion(posts, emotions.estimated[tested.rows]).note or "",
        others=others,
        draws=draws,
        seed=seed,
    )
    findings = RunFindings(context)
    carry_out(RUN_ANALYSES.values(), findings)
    if "accuracy" in findings.tables and not context.once(gain).surfaces:
        findings.skipped["gain over a baseline"] = "too few test posts with an emotion"
    findings.attention.extend(_attention(context))
    if not findings.attention:
        findings.skipped["attention"] = (
            f"the model {findings.name} has no attention to show, or no test post has both a "
            "picture and a caption"
        )
    return findings


def _common(run: Run, dataset: PostDataset, others: Sequence[Run]) -> HeldOutPosts:
    """The run's test posts that are test posts of the others as well."""
    tested = HeldOutPosts.find(run, dataset)
    if tested is None:
        raise DataError(
            "holds none of the run's test posts.",
            file=dataset.folder,
            fix="Give the dataset that the run was made from: --data.",
        )
    shared = np.ones(len(tested), dtype=bool)
    for other in others:
        if other.task.name != run.task.name:
            raise DataError(
                f"{other.folder} predicts {other.task.name}, not {run.task.name}.",
                fix="Compare runs of the same task.",
            )
        theirs = HeldOutPosts.find(other, dataset)
        names = set() if theirs is None else set(theirs.posts["post_id"])
        shared &= tested.posts["post_id"].isin(names).to_numpy()
    if not shared.any():
        raise DataError(
            "no post is a test post of all runs.", fix="Compare runs with the same split and seed."
        )
    return HeldOutPosts(
        run,
        tested.posts[shared].reset_index(drop=True),
        tested.predictions[shared].reset_index(drop=True),
        tested.rows[shared],
    )


def _attention(context: RunContext) -> list[Picture]:
    """Attention of the best predicted test posts that have a picture and a caption (Figure 3)."""
    run, tested = context.run, context.tested
    captions = tested.posts["caption"].fillna("").str.strip().ne("")
    whole_posts = captions & (tested.posts["images"].str.len() > 0)
    best_first = tested.error[whole_posts].dropna().sort_values(kind="stable").index
    rows = best_first[:_EXAMPLE_POSTS].tolist()
    if not rows:
        return []
    posts = tested.posts.iloc[rows].reset_index(drop=True)
    paths = context.dataset.cover_paths()
    images = [paths[tested.rows[row]] for row in rows]
    explanations = explain_posts(run, posts, images, context.dataset)
    examples = run.examples(posts, images)[0]
    drawn: list[Picture] = []
    for position, explanation in enumerate(explanations):
        weights = word_matrix(run.model, examples.select([position]), explanation.words)
        drawn += _attention_pictures(explanation, weights, position + 1)
    return drawn


def _attention_pictures(
    explanation: Explanation, weights: NDArray[np.float64] | None, number: int
) -> list[Picture]:
    picture = shown_picture(explanation)
    drawn = []
    if picture is not None and explanation.regions is not None:
        drawn.append(_named(draw_regions(explanation, picture), f"figure3a_regions_{number}"))
    if weights is not None:
        drawn.append(_named(draw_words(explanation), f"figure3b_effects_{number}"))
        drawn.append(run_figures.word_to_word(explanation, weights, number))
    if picture is not None and explanation.word_regions:
        links = draw_word_regions(explanation, picture)
        drawn.append(_named(links, f"figure3c_regions_{number}"))
        drawn.append(run_figures.word_region_links(explanation, picture, number))
    return drawn


def _named(picture: Picture, name: str) -> Picture:
    return Picture(name, picture.caption, picture.alternative, picture.figure)

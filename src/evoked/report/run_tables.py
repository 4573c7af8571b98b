"""The tables on what a run does with its test posts, as analyses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.analysis.accuracy import (
    EMOTION_SCORES,
    ENGAGEMENT_SCORES,
    map_by_arousal,
    scores_by_category,
)
from evoked.analysis.base import Analysis, Tables
from evoked.analysis.excerpts import Excerpt, excerpt, two_decimals, whole
from evoked.analysis.positions import Surface, smooth
from evoked.analysis.projection import FEWEST_POSTS, Projection, pooled_features, project
from evoked.errors import DataError
from evoked.evaluation.significance import accuracy_correlations
from evoked.features.table import FeatureTable
from evoked.models import TRIVIAL_BASELINES, Examples, load_model
from evoked.posts.emotion_and_rates import emotion_quadrant
from evoked.posts.schema import ENGAGEMENT
from evoked.report.held_out import HeldOutPosts
from evoked.report.run_context import RunContext
from evoked.runs.base import queries_of
from evoked.targets import EMOTION_TARGETS

_FEWEST_CATEGORIES = 3


def _predicts_emotion(context: RunContext) -> bool:
    return context.run.task.learns_emotion


def _needs_emotion_task(context: RunContext) -> str:
    if _predicts_emotion(context):
        return ""
    return f"the run predicts {context.run.task.description}; its report shows how well"


def _predictions(context: RunContext) -> dict[str, pd.DataFrame]:
    """Predictions of the test posts by model, the run's own first."""
    run, tested = context.run, context.tested
    found = {run.model.name: tested.predictions}
    for other in context.others:
        theirs = HeldOutPosts.find(other, context.dataset)
        assert theirs is not None
        rows = pd.Index(theirs.posts["post_id"]).get_indexer(tested.posts["post_id"])
        name = other.model.name
        found[name if name not in found else f"{name} ({other.folder.name})"] = (
            theirs.predictions.iloc[rows].reset_index(drop=True)
        )
    if context.others:
        return found
    examples = Examples(tested.posts, FeatureTable({}))
    for kind in TRIVIAL_BASELINES:
        baseline = load_model(run.folder / "baselines" / kind.name)
        found[kind.name] = run.task.inverse_transform(baseline.predict(examples), tested.posts)
    return found


def _accuracy(context: RunContext) -> pd.DataFrame:
    task, tested = context.run.task, context.tested
    truth = task.truth(tested.posts)
    rates = truth[[outcome.name for outcome in task.outcomes if outcome.ranked]]
    # Which half of arousal a post is in may be estimated; what predictions are scored on may not.
    halves = pd.concat([context.posts[["arousal"]].astype(float), rates], axis=1)
    by_author = context.run.description["split"]["kind"] == "author"
    tables = [
        map_by_arousal(
            predictions,
            halves,
            queries_of(tested.posts),
            task.relevance_values(),
            draws=context.draws,
            seed=context.seed,
            authors=tested.posts["author_id"] if by_author else None,
        ).assign(model=name)
        for name, predictions in context.once(_predictions).items()
    ]
    return pd.concat(tables, ignore_index=True)


def _accuracy_summary(_: RunContext, tables: Tables) -> Iterator[Excerpt]:
    table = tables["accuracy"]
    yield excerpt(
        "MAP on the test posts (95 %), by half of arousal",
        table[table["model"] == table["model"].iloc[0]],
        {
            "metric": str,
            "half": str,
            "value": two_decimals,
            "low": two_decimals,
            "high": two_decimals,
            "chance": two_decimals,
            "n": whole,
            "published": two_decimals,
        },
    )


def _category_scores(context: RunContext) -> pd.DataFrame:
    task, posts = context.run.task, context.tested.posts
    return scores_by_category(
        context.once(_predictions), task.truth(posts), posts["category"], task.relevance_values()
    )


def _by_category(context: RunContext) -> pd.DataFrame:
    scores = context.once(_category_scores)
    if scores["category"].nunique() < _FEWEST_CATEGORIES:
        raise DataError(f"fewer than {_FEWEST_CATEGORIES} categories with 20 test posts")
    return scores


@dataclass(frozen=True)
class _OwnScores:
    """The run's scores by category, and which of them are known, of emotion and of engagement."""

    table: pd.DataFrame
    emotion: list[str]
    engagement: list[str]


def _own_scores(context: RunContext) -> _OwnScores:
    scores = context.once(_category_scores)
    own = scores[scores["model"] == context.run.model.name]
    emotion, engagement = (
        [name for name in names if name in own and own[name].notna().any()]
        for names in (EMOTION_SCORES, ENGAGEMENT_SCORES)
    )
    return _OwnScores(own, emotion, engagement)


def _has_scores_of_both(context: RunContext) -> bool:
    """Whether scores of emotion and of engagement can be correlated across categories."""
    if not _predicts_emotion(context):
        return False
    own = context.once(_own_scores)
    enough = own.table["category"].nunique() >= _FEWEST_CATEGORIES
    return enough and bool(own.emotion and own.engagement)


def _accuracy_correlations(context: RunContext) -> pd.DataFrame:
    own = context.once(_own_scores)
    return accuracy_correlations(own.table, own.emotion, own.engagement)


@dataclass(frozen=True)
class Gain:
    """By how much a run errs less than the best of the models beside it.

    Attributes
    ----------
    baseline
        Name of that model.
    surfaces
        By title with its unit: the baseline's absolute error less the run's, smoothed over the
        plane of emotions; those that the posts allow.
    """

    baseline: str
    surfaces: dict[str, Surface]


def gain(context: RunContext) -> Gain:
    """The gain over the best of the models beside a run; ask for it with ``context.once``."""
    predictions = context.once(_predictions)
    own, *others = predictions
    kinds = {"Emotion (points)": EMOTION_TARGETS, "Engagement (hundredths)": ENGAGEMENT}
    errors = {
        title: {
            name: _errors(context.tested, table, targets) for name, table in predictions.items()
        }
        for title, targets in kinds.items()
    }
    best = min(others, key=lambda name: _relative_error(errors, name))
    surfaces = {
        title: smooth(
            context.posts["valence"], context.posts["arousal"], by_model[best] - by_model[own]
        )
        for title, by_model in errors.items()
    }
    return Gain(
        best,
        {
            title: surface
            for title, surface in surfaces.items()
            if np.isfinite(surface.values).any()
        },
    )


def _errors(
    tested: HeldOutPosts, predicted: pd.DataFrame, targets: Sequence[str]
) -> NDArray[np.float64]:
    """Mean absolute error of each test post over the targets that are known, (n,)."""
    columns = {
        outcome.target: outcome.restored_column or outcome.name
        for outcome in tested.task.outcomes
        if outcome.target in targets
    }
    errors = [
        (predicted[column].astype(float) - tested.true[name]).abs()
        * (1 if name in EMOTION_TARGETS else 100)
        for name, column in columns.items()
        if column in predicted
    ]
    if not errors:
        return np.full(len(tested), np.nan)
    return pd.concat(errors, axis=1).mean(axis=1).to_numpy()


def _relative_error(errors: dict[str, dict[str, NDArray[np.float64]]], name: str) -> float:
    """A model's mean error relative to the worst model's, over the kinds that are known."""
    shares = []
    for by_model in errors.values():
        means = {
            model: float(np.nanmean(values))
            for model, values in by_model.items()
            if np.isfinite(values).any()
        }
        if name in means:
            shares.append(means[name] / max(means.values()))
    return float(np.mean(shares)) if shares else float("inf")


def _tested_examples(context: RunContext) -> Examples:
    """The test posts as the model reads them."""
    # All posts together, so that each sees what its author's earlier posts achieved.
    examples, _ = context.run.examples(context.dataset.posts, context.dataset.cover_paths())
    return examples.select(context.tested.rows)


def quadrants(context: RunContext) -> NDArray[np.int64]:
    """Quadrant of each test post's emotion, (n,); negative where it is unknown."""
    return emotion_quadrant(context.posts["valence"], context.posts["arousal"])


@dataclass(frozen=True)
class Projections:
    """The test posts by t-SNE.

    Attributes
    ----------
    before, after
        Before and after the model fuses their features.
    """

    before: Projection
    after: Projection


def projections(context: RunContext) -> Projections:
    """The test posts by t-SNE; ask for it with ``context.once``.

    Raises
    ------
    DataError
        The model has no fused representation, or too few test posts have an emotion.
    """
    model = context.run.model
    examples = context.once(_tested_examples)
    fused = model.fused_vectors(examples)
    if fused is None:
        raise DataError(f"the model {model.name} has no fused representation")
    quadrant = context.once(quadrants)
    if (quadrant >= 0).sum() < FEWEST_POSTS:
        raise DataError(f"fewer than {FEWEST_POSTS} test posts with an emotion")
    return Projections(
        project(pooled_features(examples.features), quadrant, context.seed),
        project(fused, quadrant, context.seed),
    )


def _separability(context: RunContext) -> pd.DataFrame:
    found = context.once(projections)
    return pd.DataFrame(
        {
            "representation": name,
            "neighbour_accuracy": each.neighbours,
            "silhouette": each.silhouette,
            "chance": each.chance,
            "n": len(each.rows),
        }
        for name, each in (
            ("before fusion", found.before),
            ("after fusion", found.after),
        )
    )


RUN_ANALYSES: dict[str, Analysis[RunContext]] = {
    analysis.name: analysis
    for analysis in (
        Analysis(
            name="accuracy",
            title="Accuracy by half of arousal",
            explanation=(
                "value: MAP on the test posts; low, high: its 95 % bootstrap interval (over "
                "authors where the run was split by author); chance: the share of relevant posts, "
                "which is higher among aroused posts. The rows high over low hold ratios less one "
                "(0.237 is 23.7 %)."
            ),
            compute=_accuracy,
            needs=(_needs_emotion_task,),
            summary=_accuracy_summary,
            left_out_as="accuracy by emotion",
            folded=True,
        ),
        Analysis(
            name="by_category",
            title="Scores by category",
            explanation="Scores of each model in categories with at least 20 test posts.",
            compute=_by_category,
            concerns=_predicts_emotion,
            left_out_as="categories of the run",
            folded=True,
            rests_on_emotion=False,  # scores are of rated emotions alone
        ),
        Analysis(
            name="accuracy_correlations",
            title="Emotion accuracy and engagement accuracy",
            explanation="Correlations across categories (Figure 4); n is the number of categories.",
            compute=_accuracy_correlations,
            concerns=_has_scores_of_both,
            folded=True,
        ),
        Analysis(
            name="separability",
            title="Separability of emotions before and after fusion",
            explanation=(
                "neighbour_accuracy: how well a post's quadrant follows from its 15 nearest posts "
                "(balanced accuracy), to be compared with chance; silhouette: 0 where quadrants "
                "don't separate."
            ),
            compute=_separability,
            left_out_as="fusion",
        ),
    )
}
"""By name, in the order in which people read them."""

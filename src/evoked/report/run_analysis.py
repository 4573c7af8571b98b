"""What a run does with its test posts: tables and pictures for the analysis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.analysis.accuracy import (
    EMOTION_SCORES,
    ENGAGEMENT_SCORES,
    map_by_arousal,
    scores_by_category,
)
from evoked.analysis.emotions import PostsWithEmotion
from evoked.analysis.positions import Surface, smooth
from evoked.analysis.projection import FEWEST_POSTS, Projection, pooled_features, project
from evoked.errors import DataError
from evoked.evaluation.significance import accuracy_correlations
from evoked.explain import Explanation, explain_posts
from evoked.explain.drawing import draw_words, shown_picture
from evoked.explain.figures import Picture
from evoked.explain.heat_maps import draw_regions, draw_word_regions
from evoked.explain.word_matrix import word_matrix
from evoked.features.table import FeatureTable
from evoked.models import TRIVIAL_BASELINES, Examples, load_model
from evoked.posts.dataset import PostDataset
from evoked.posts.emotion_and_rates import emotion_quadrant
from evoked.posts.schema import ENGAGEMENT
from evoked.report import run_figures
from evoked.report.held_out import HeldOutPosts
from evoked.runs.posts import Run, queries_of
from evoked.targets import EMOTION_TARGETS, EmotionEngagement

_EXAMPLE_POSTS = 2
_FEWEST_CATEGORIES = 3


@dataclass(frozen=True)
class RunAnalysis:
    """What a run does with its test posts.

    Attributes
    ----------
    name
        Of the model.
    n
        Test posts.
    tables
        ``accuracy`` (MAP per metric and half of arousal), ``by_category``,
        ``accuracy_correlations``, ``separability``: those that the posts allow.
    pictures
        Figures 3 to 5.
    skipped
        Why something is missing, by name.
    gain, projections
        What the pictures of gain and of fusion show, for interactive ones.
    """

    name: str
    n: int
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    pictures: list[Picture] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    gain: dict[str, Surface] = field(default_factory=dict)
    projections: dict[str, Projection] = field(default_factory=dict)
    posts: pd.DataFrame = field(default_factory=pd.DataFrame)


def analyse_run(
    run: Run,
    dataset: PostDataset,
    emotions: PostsWithEmotion,
    others: Sequence[Run] = (),
    draws: int = 1000,
    seed: int = 0,
) -> RunAnalysis:
    """Analyse a run's predictions of its test posts.

    Parameters
    ----------
    run
        Any run.
    dataset
        The posts that it was made from.
    emotions
        The dataset's posts with emotions, as :func:`evoked.analysis.study.analyse_posts` gives
        them.
    others
        Further runs to show beside it, compared on the posts that are test posts of all; by
        default the trivial baselines.
    draws, seed
        Of the bootstrap, and of the projection.

    Raises
    ------
    DataError
        The dataset holds none of the run's test posts, or none that all runs share, or a run is of
        another task.
    """
    tested = _common(run, dataset, others)
    posts = emotions.posts.iloc[tested.rows].reset_index(drop=True)
    note = PostsWithEmotion(posts, emotions.estimated[tested.rows]).note or ""
    found = RunAnalysis(run.model.name, len(tested), posts=posts)
    if isinstance(run.task, EmotionEngagement):
        predictions = _predictions(tested, dataset, others)
        _accuracy(found, run.task, tested, posts, predictions, draws, seed)
        _gain(found, tested, posts, predictions, note)
    else:
        found.skipped["accuracy by emotion"] = (
            f"the run predicts {run.task.description}; its report shows how well"
        )
    # All posts together, so that each sees what its author's earlier posts achieved.
    examples, _ = run.examples(dataset.posts, dataset.cover_paths())
    _fusion(found, run, examples.select(tested.rows), posts, note, seed)
    _examples(found, run, dataset, tested)
    return found


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


def _predictions(
    tested: HeldOutPosts, dataset: PostDataset, others: Sequence[Run]
) -> dict[str, pd.DataFrame]:
    """Predictions of the test posts by model, the run's own first."""
    run = tested.run
    found = {run.model.name: tested.predictions}
    for other in others:
        theirs = HeldOutPosts.find(other, dataset)
        assert theirs is not None
        rows = pd.Index(theirs.posts["post_id"]).get_indexer(tested.posts["post_id"])
        name = other.model.name
        found[name if name not in found else f"{name} ({other.folder.name})"] = (
            theirs.predictions.iloc[rows].reset_index(drop=True)
        )
    if others:
        return found
    examples = Examples(tested.posts, FeatureTable({}))
    for kind in TRIVIAL_BASELINES:
        baseline = load_model(run.folder / "baselines" / kind.name)
        found[kind.name] = run.task.inverse_transform(baseline.predict(examples), tested.posts)
    return found


def _accuracy(
    found: RunAnalysis,
    task: EmotionEngagement,
    tested: HeldOutPosts,
    posts: pd.DataFrame,
    predictions: dict[str, pd.DataFrame],
    draws: int,
    seed: int,
) -> None:
    rates = task.rates(tested.posts).add_suffix("_rate")
    train_rates, queries = task.training_rates(), queries_of(tested.posts)
    # Which half of arousal a post is in may be estimated; what predictions are scored on may not.
    halves = pd.concat([posts[["arousal"]].astype(float), rates], axis=1)
    by_author = tested.run.description["split"]["kind"] == "author"
    authors = tested.posts["author_id"] if by_author else None
    found.tables["accuracy"] = pd.concat(
        [
            map_by_arousal(
                *(table, halves, queries, train_rates), draws=draws, seed=seed, authors=authors
            ).assign(model=name)
            for name, table in predictions.items()
        ],
        ignore_index=True,
    )
    truth = task.truth(tested.posts)
    scores = scores_by_category(predictions, truth, tested.posts["category"], train_rates)
    if scores["category"].nunique() < _FEWEST_CATEGORIES:
        found.skipped["categories of the run"] = (
            f"fewer than {_FEWEST_CATEGORIES} categories with 20 test posts"
        )
        return
    found.tables["by_category"] = scores
    found.pictures.append(run_figures.category_radar(scores))
    own = scores[scores["model"] == next(iter(predictions))]
    emotion = [name for name in EMOTION_SCORES if name in own and own[name].notna().any()]
    engagement = [name for name in ENGAGEMENT_SCORES if name in own and own[name].notna().any()]
    if emotion and engagement:
        table = accuracy_correlations(own, emotion, engagement)
        found.tables["accuracy_correlations"] = table
        found.pictures.append(run_figures.accuracy_matrix(table))


def _gain(
    found: RunAnalysis,
    tested: HeldOutPosts,
    posts: pd.DataFrame,
    predictions: dict[str, pd.DataFrame],
    note: str,
) -> None:
    """Smooth by how much the run errs less than the best of the others."""
    names = list(predictions)
    kinds = {"Emotion (points)": EMOTION_TARGETS, "Engagement (percentile points)": ENGAGEMENT}
    errors = {
        title: {name: _errors(tested, predictions[name], targets) for name in names}
        for title, targets in kinds.items()
    }
    best = min(names[1:], key=lambda name: _total(errors, name))
    for title, by_model in errors.items():
        difference = by_model[best] - by_model[names[0]]
        surface = smooth(posts["valence"], posts["arousal"], difference)
        if np.isfinite(surface.values).any():
            found.gain[title] = surface
    if found.gain:
        found.pictures.append(run_figures.gain_plane(found.gain, best, names[0], note))
    else:
        found.skipped["gain over a baseline"] = "too few test posts with an emotion"


def _errors(
    tested: HeldOutPosts, predicted: pd.DataFrame, targets: Sequence[str]
) -> NDArray[np.float64]:
    """Mean absolute error of each test post over the targets that are known, (n,)."""
    columns = {name: name if name in EMOTION_TARGETS else f"{name}_quantile" for name in targets}
    errors = [
        (predicted[column].astype(float) - tested.true[name]).abs()
        * (1 if name in EMOTION_TARGETS else 100)
        for name, column in columns.items()
        if column in predicted
    ]
    if not errors:
        return np.full(len(tested), np.nan)
    return pd.concat(errors, axis=1).mean(axis=1).to_numpy()


def _total(errors: dict[str, dict[str, NDArray[np.float64]]], name: str) -> float:
    """Mean error relative to the worst model's, over the kinds that are known."""
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


def _fusion(
    found: RunAnalysis, run: Run, examples: Examples, posts: pd.DataFrame, note: str, seed: int
) -> None:
    fused = run.model.fused_vectors(examples)
    if fused is None:
        found.skipped["fusion"] = f"the model {run.model.name} has no fused representation"
        return
    quadrant = emotion_quadrant(posts["valence"], posts["arousal"])
    if (quadrant >= 0).sum() < FEWEST_POSTS:
        found.skipped["fusion"] = f"fewer than {FEWEST_POSTS} test posts with an emotion"
        return
    before = project(pooled_features(examples.features), quadrant, seed)
    after = project(fused, quadrant, seed)
    found.projections.update({"before fusion": before, "after fusion": after})
    found.tables["separability"] = pd.DataFrame(
        {
            "representation": name,
            "neighbour_accuracy": each.neighbours,
            "silhouette": each.silhouette,
            "chance": each.chance,
            "n": len(each.rows),
        }
        for name, each in found.projections.items()
    )
    found.pictures.append(run_figures.fusion_projection(before, after, quadrant, note))


def _examples(found: RunAnalysis, run: Run, dataset: PostDataset, tested: HeldOutPosts) -> None:
    """Attention of the best predicted test posts that have a picture and a caption (Figure 3)."""
    captions = tested.posts["caption"].fillna("").str.strip().ne("")
    whole = captions & (tested.posts["images"].str.len() > 0)
    rows = tested.error[whole].dropna().sort_values(kind="stable").index[:_EXAMPLE_POSTS].tolist()
    posts = tested.posts.iloc[rows].reset_index(drop=True)
    paths = dataset.cover_paths()
    images = [paths[tested.rows[row]] for row in rows]
    explanations = explain_posts(run, posts, images, history=dataset.posts)
    examples = run.examples(posts, images)[0] if rows else None
    drawn: list[Picture] = []
    for position, explanation in enumerate(explanations):
        assert examples is not None
        weights = word_matrix(run.model, examples.select([position]), explanation.words)
        drawn += _attention_pictures(explanation, weights, position + 1)
    if not drawn:
        found.skipped["attention"] = (
            f"the model {run.model.name} has no attention to show, or no test post has both a "
            "picture and a caption"
        )
    found.pictures.extend(drawn)


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

"""What predicts such posts best: a quick trial before a run where no model is asked for.

A few models that take seconds are tried on folds of the posts that the run learns from, made as its
split is. The run is a blend of the author's last posts and of these models, weighted by what they
add there; what adds nothing is left out, so that it may be the last posts alone.
:func:`evoked.train_automatically` compares more models, at length.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.errors import DataError
from evoked.evaluation.splits import Rows, Split, k_fold
from evoked.features.catalog import FeatureSettings
from evoked.models import MODELS, Examples, Model, build_model
from evoked.models.baselines import RecentPosts
from evoked.models.blend import Blend, blended, learned_weights
from evoked.models.catalogue import model_entry
from evoked.posts.author_history import PREFIX, has_history
from evoked.progress import Progress
from evoked.targets import TargetTable, Task

# On real posts, 200 slow trees predict as well as a number chosen on folds, in a fraction of the
# time.
_TREES: dict[str, Any] = {"trees": 200, "fixed": True, "components": 8, "feature_share": 0.4}
# On 2,500 videos more and deeper trees explain .02 more of the variance.
_MORE_TREES: dict[str, Any] = {**_TREES, "trees": 600, "depth": 6}
_POSTS_FOR_MORE_TREES = 1000
# What a few hundred posts teach of pictures and captions: on twenty accounts' 100 to 170 posts such
# a line explains .73 of the variance of the next 20 to 30, one on whole vectors .63 and the last
# posts .69, in the mean of five spans of time.
_COMPONENTS: dict[str, Any] = {"components": 24, "vector_weights": [1.0]}
_SLOW = "abmf"
# ABMF takes minutes, and had nothing over the others on 4,000 posts by 150 authors.
_POSTS_FOR_SLOW = 10_000
# Of so many posts, one fold is enough.
_MANY_POSTS = 2000
MOST_TRIED = 20_000
"""Posts that models are tried on: of more, so many are drawn, since weights learned of some
thousand held-out posts are sure to a hundredth, and a trial takes as long as several fits."""
_FOLDS = 3

# Makes the examples, with targets, of some of a dataset's posts.
ExamplesOf = Callable[[Rows, Task], Examples]


class Candidate(NamedTuple):
    """A model that is tried, and its settings where they aren't the defaults."""

    model: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """What the trial found.

    Attributes
    ----------
    model, settings
        The chosen model, and its settings where they aren't the defaults.
    explained
        Share of the variance that each candidate explains in posts that it has not learned from,
        mean of the task's outcomes, and so for a blend of them, of the posts by which it was
        weighted; empty where the posts are too few for a trial.
    weights
        Mean weight of each candidate over the task's outcomes, those left out excepted.
    kind, folds, posts
        Kind and number of the folds, and number of the posts that they were made of.
    reason
        What was chosen and why, in a sentence.
    """

    model: str
    settings: dict[str, Any]
    explained: dict[str, float]
    weights: dict[str, float]
    kind: str
    folds: int
    posts: int
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def quick_candidates(task: type[Task], posts: int, *, content: bool = True) -> dict[str, Candidate]:
    """What is tried for a task on so many posts, by name: seconds each for some hundreds of posts.

    ``content`` says whether any has a picture or a caption: without, there are no components of
    these, and a network of them is none.

    Trees learn counts themselves, since the level of authors with a few unsteady posts hides more
    than it shows, and what a line misses.
    """
    trees = _MORE_TREES if posts >= _POSTS_FOR_MORE_TREES else _TREES
    found = {name: Candidate(name, {}) for name in (RecentPosts.name, "linear")}
    if content:
        found["linear on components"] = Candidate("linear", dict(_COMPONENTS))
    found["gradient_boosting"] = Candidate("gradient_boosting", {**trees, "start": "counts"})
    if any(outcome.kind == "value" for outcome in task.outcomes):
        after = Candidate("gradient_boosting", {**trees, "start": "line"})
        found["gradient_boosting after linear"] = after
    if content and posts >= _POSTS_FOR_SLOW:
        found[_SLOW] = Candidate(_SLOW, {})
    return {
        name: each
        for name, each in found.items()
        if task.name in model_entry(each.model).tasks
        and all(map(find_spec, MODELS[each.model].needs))
    }


def choose_model(
    task: type[Task],
    posts: pd.DataFrame,
    examples_of: ExamplesOf,
    candidates: dict[str, Candidate],
    features: FeatureSettings,
    *,
    rows: Rows,
    kind: str,
    seed: int,
    progress: Progress | None = None,
) -> Choice:
    """Try models on folds, and blend the last posts with what adds to them: see
    :func:`evoked.models.blend.learned_weights`.

    Parameters
    ----------
    task
        What is learned.
    posts
        All posts of the dataset, (n,).
    examples_of
        Gives the examples of some rows of ``posts``.
    candidates
        By name, the last posts first.
    features
        Settings of the features that the models read.
    rows
        The posts that the run learns from.
    kind, seed
        How folds are made: see :func:`evoked.evaluation.splits.k_fold`. Many posts are one fold
        by time, or one of several otherwise: scores of thousands of posts are sure enough.
    progress
        Called after every fit.
    """
    kind, folds = _folds(posts.iloc[rows], kind, seed)
    predicted: dict[str, list[NDArray[np.float64]]] = {name: [] for name in candidates}
    truth: list[NDArray[np.float64]] = []
    for number, fold in enumerate(folds):
        parts = _parts(task, posts, examples_of, rows, fold)
        if parts is None:
            continue
        truth.append(_truth(parts.test))
        for place, (name, candidate) in enumerate(candidates.items(), start=1):
            model = build_model(*candidate, features, task.name)
            predicted[name].append(_predictions(model, parts, seed))
            if progress is not None:
                done = number * len(candidates) + place
                progress("trying models", done, len(folds) * len(candidates))
    weights: dict[str, tuple[float, ...]] = {}
    explained: dict[str, float] = {}
    if truth:
        joined = {name: np.concatenate(each) for name, each in predicted.items()}
        weights = learned_weights(task, list(joined.values()), np.concatenate(truth))
        blend = {Blend.name: blended(task, weights, list(joined.values()))} if weights else {}
        explained = _explained(task, joined | blend, np.concatenate(truth))
    chosen, used = _chosen(candidates, weights)
    return Choice(
        model=chosen.model,
        settings=chosen.settings,
        explained=explained,
        weights=used,
        kind=kind,
        folds=len(truth),
        posts=len(rows),
        reason=_reason(used, explained, kind, len(truth), posts.iloc[rows]),
    )


def _chosen(
    candidates: dict[str, Candidate], weights: Mapping[str, Sequence[float]]
) -> tuple[Candidate, dict[str, float]]:
    """The blend of candidates that have a weight, or the only one, and their mean weights over
    outcomes; the first candidate where there are no weights."""
    names = list(candidates)
    if not weights:
        return candidates[names[0]], {names[0]: 1.0}
    table = np.array(list(weights.values()))
    used = np.flatnonzero(table.max(axis=0))
    mean = {names[number]: float(table[:, number].mean()) for number in used}
    if len(used) == 1:
        return candidates[names[used[0]]], mean
    members = [candidates[name]._asdict() for name in mean]
    shares = {outcome: table[row, used].tolist() for row, outcome in enumerate(weights)}
    return Candidate(Blend.name, {"members": members, "weights": shares}), mean


class _Parts(NamedTuple):
    """Examples of a fold."""

    train: Examples
    validation: Examples
    test: Examples


def _folds(posts: pd.DataFrame, kind: str, seed: int) -> tuple[str, list[Split]]:
    """The kind of the folds and the folds: random ones where posts lack the author or the date that
    others are made by; none where the posts are too few."""
    needed = {"author": "author_id", "time": "posted_at"}.get(kind, "post_id")
    made = "random" if posts[needed].isna().all() else kind
    try:
        folds = list(k_fold(posts, _FOLDS, made, seed))
    except DataError:
        return made, []
    return made, folds[-1:] if len(posts) >= _MANY_POSTS else folds


def _parts(
    task: type[Task], posts: pd.DataFrame, examples_of: ExamplesOf, rows: Rows, fold: Split
) -> _Parts | None:
    """Examples of a fold of the posts at ``rows``; None where it has nothing to learn."""
    train, validation, test = (rows[part] for part in (fold.train, fold.validation, fold.test))
    try:
        fitted = task.fit(posts.iloc[train])
    except DataError:
        return None
    parts = _Parts(*(_certain(examples_of(part, fitted)) for part in (train, validation, test)))
    return parts if np.isfinite(_truth(parts.train)).any() else None


def _certain(examples: Examples) -> Examples:
    """Examples without targets that were only estimated, which nothing is scored on."""
    targets = examples.targets
    assert targets is not None
    known = np.where(targets.estimated, np.float32("nan"), targets.values)
    return replace(examples, targets=TargetTable(known, np.zeros_like(targets.estimated)))


def _truth(examples: Examples) -> NDArray[np.float64]:
    assert examples.targets is not None
    return examples.targets.values.astype(np.float64)


def _predictions(model: Model, parts: _Parts, seed: int) -> NDArray[np.float64]:
    training = model.default_training.model_copy(update={"seed": seed})
    with TemporaryDirectory() as folder:
        model.fit(parts.train, parts.validation, folder=Path(folder), training=training)
    return model.predict(parts.test).to_numpy(np.float64)


def _explained(
    task: type[Task], predicted: dict[str, NDArray[np.float64]], truth: NDArray[np.float64]
) -> dict[str, float]:
    """Share of the variance that each model explains, mean of the outcomes that vary; nothing where
    none does."""
    known = np.isfinite(truth)
    for values in predicted.values():
        known &= np.isfinite(values)
    shares: dict[str, list[float]] = {name: [] for name in predicted}
    for outcome in task.outcomes:
        columns = [task.columns.index(name) for name in outcome.columns]
        rows = known[:, columns].all(axis=1)
        true = truth[rows][:, columns]
        if not len(true) or not (variance := float(((true - true.mean(axis=0)) ** 2).sum())):
            continue
        for name, values in predicted.items():
            missed = float(((values[rows][:, columns] - true) ** 2).sum())
            shares[name].append(1 - missed / variance)
    return {name: float(np.mean(each)) for name, each in shares.items() if each}


def _reason(
    weights: dict[str, float],
    explained: dict[str, float],
    kind: str,
    folds: int,
    posts: pd.DataFrame,
) -> str:
    number = len(posts)
    dated = has_history(posts) and posts[f"{PREFIX}posts"].gt(0).any()
    if not explained:
        usual = "the last posts predict the next" if dated else "what they usually get is predicted"
        return f"{number} posts are too few to try models on, so {usual}."
    where = f"on {folds} fold{'s' if folds > 1 else ''} by {kind} of {number} posts"
    each = ", ".join(f"{name} {share:.2f}" for name, share in explained.items())
    shares = f"explained beyond the author's usual {where}: {each}"
    if list(weights) == [RecentPosts.name]:
        usual = (
            "the author's last posts predict" if dated else "what they usually get predicts them"
        )
        return f"For these posts, {usual} as well as any model ({shares})."
    parts = ", ".join(f"{name} {weight:.0%}" for name, weight in weights.items())
    if len(weights) == 1:
        return f"Chosen and weighed by trial: {parts} ({shares})."
    return (
        "A blend is learned, the weighted mean of what several models predict, weighed by trial: "
        f"{parts} ({shares}; 1 is everything, below 0 is worse than the usual)."
    )

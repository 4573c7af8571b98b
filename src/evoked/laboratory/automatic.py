"""A model chosen by the posts: a short list on the same folds, and the simplest that will do.

::

    my_run/
        auto/               the study: every model of the short list on folds of the posts that the
                            run learns from
        leaderboard.json    what each scored, which was chosen, and why
        …                   then the chosen model as any other run

The test posts of the run take no part in the choice, nor do those that calibrate its intervals.
Whenever it is interrupted, the same call goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.errors import DataError, SettingsError, did_you_mean
from evoked.evaluation.conformal import DEFAULT_COVERAGE, fewest_posts
from evoked.evaluation.splits import Split, choose_split, kind_of_folds, with_calibration
from evoked.evaluation.tables import LOWER_IS_BETTER, Scorer, depends_on_prevalence, headlines
from evoked.experiments import Experiment, PublishedTable
from evoked.features.cache import FeatureCache
from evoked.features.catalog import FeatureSettings
from evoked.features.languages import for_captions
from evoked.files import check_free, read_object, write_json, write_text
from evoked.laboratory.leaderboard import (
    LEADERBOARD_FILE,
    Leaderboard,
    Standing,
    behind_best,
    card_section,
    one_standard_error,
    standings_of,
    whole_scores,
)
from evoked.laboratory.study import PLAN_FILE, Study, StudyCallbacks
from evoked.laboratory.worker import COLUMNS_FILE, SCORES_FILE
from evoked.models import MODELS, TRIVIAL_BASELINES
from evoked.models.blend import Blend
from evoked.models.catalogue import catalogue
from evoked.models.stacking import Stack, StackSettings, combined, learn_lines
from evoked.parquet import read_frame
from evoked.posts.author_history import attach_history
from evoked.posts.dataset import PostDataset
from evoked.runs.base import Callbacks, queries_of
from evoked.runs.card import model_card
from evoked.runs.folder import mark
from evoked.runs.posts import Run
from evoked.runs.training import check_devices_help, task_for, train_posts
from evoked.targets import Task, task_class
from evoked.training.settings import TrainingSettings

AUTO = "auto"
STUDY_FOLDER = "auto"
FOLDS = 5

Stacking = Literal["no", "if_better", "always"]

# A member that weighs less than this everywhere is left out of a stack.
_LEAST_WEIGHT = 1e-6


def train_automatically(
    dataset: PostDataset,
    out: Path | str = "run",
    *,
    task: str | None = None,
    metric: str | None = None,
    folds: int = FOLDS,
    models: Sequence[str] | None = None,
    stack: Stacking = "no",
    features: FeatureSettings | None = None,
    training: TrainingSettings | None = None,
    split: str | Split | None = None,
    estimate: bool = True,
    cache: FeatureCache | None = None,
    workers: int | None = 1,
    callbacks: Callbacks | None = None,
    study_callbacks: StudyCallbacks | None = None,
) -> Run:
    """Choose a model by cross-validation, train it, score it on held-out posts, and save it all.

    The rule is that of one standard error (Breiman et al. 1984, *Classification and Regression
    Trees*, Section 3.4.3): of the models that are behind the best by no more than one standard
    error, the simplest. The standard error is that of the difference from the best, fold by fold:
    that some folds are harder than others is common to all models and says nothing of them. A
    trivial baseline is chosen only if nothing is better than it at all.

    Parameters
    ----------
    dataset, out, features, training, split, estimate, cache, callbacks
        As in :func:`evoked.train`.
    task
        What to predict; emotion and engagement by default, or how often posts are seen where they
        report nothing else.
    metric
        The score that decides, such as ``"likes Spearman"`` or ``"level macro F1"``; by default the
        first of the task's headlines that the posts have, and AUC where the truth is yes or no.
    folds
        Number of folds of the posts that the run learns from; they are made as its split is: by
        author, by time or random.
    models
        What to try beside the trivial baselines; the task's short list by default.
    stack
        ``if_better``: stack the models as well and choose that if it beats the best of them by
        more than one standard error; ``always``: choose it in any case.
    workers
        Processes that fit side by side; None for as many as there are cores (a script then needs
        ``if __name__ == "__main__"``). The choice does not depend on it.
    study_callbacks
        Callbacks that report the progress of the short list.

    Returns
    -------
    Run
        A run of the chosen model; :meth:`Leaderboard.load` reads from its folder how the model was
        chosen.

    Raises
    ------
    DataError
        Too few posts for the folds, none with a target, or no model could be trained.
    SettingsError
        A metric that the posts don't have (the message lists those they have), an unknown model or
        one that does not learn the task, or ``out`` holds something else.
    """
    out, training = Path(out), training or TrainingSettings()
    check_devices_help(training)
    features = for_captions(features, dataset.posts["caption"].tolist())
    kind = task_class(task_for(dataset, task, callbacks or Callbacks()))
    if split is None or isinstance(split, str):
        split = choose_split(dataset.posts, split, training.seed)
    chosen_on = dataset.select(_rows_to_choose_on(dataset.posts, split, training.seed))
    decisive = _decisive_metric(kind, chosen_on.posts, metric)
    check_free(out, f"{STUDY_FOLDER}/{PLAN_FILE}", "a run that was begun with --model auto")
    study = Study(
        chosen_on,
        _short_list(kind, models, features, training),
        out / STUDY_FOLDER,
        folds=folds,
        split=kind_of_folds(dataset.posts, split),
        seed=training.seed,
        estimate=estimate,
        cache=cache,
    )
    leaderboard = _choose(study, decisive, stack, workers, study_callbacks)
    write_json(out / LEADERBOARD_FILE, leaderboard.to_dict())
    mark(out)
    run = train_posts(
        dataset,
        leaderboard.chosen,
        out,
        task=kind.name,
        model_settings=leaderboard.settings,
        features=features,
        training=training,
        split=split,
        estimate=estimate,
        cache=cache,
        callbacks=callbacks,
    )
    write_text(
        out / "README.md", model_card(run.description, run.metrics) + card_section(leaderboard)
    )
    return run


def measurable(task: type[Task], posts: pd.DataFrame) -> list[tuple[str, str]]:
    """The scores, as (target, metric), that predictions of these posts can be given.

    Raises
    ------
    DataError
        No post has what the task is about.
    """
    fitted = task.fit(posts)
    truth = fitted.truth(posts)
    columns = pd.DataFrame(fitted.transform(posts).values, columns=list(task.columns))
    predicted = fitted.inverse_transform(columns, posts)
    predicted["post_id"] = posts["post_id"].to_numpy()
    scorer = Scorer.of_task(fitted, predicted, truth, queries_of(posts))
    return [(target, name) for target, name, _ in scorer.labels]


def _rows_to_choose_on(posts: pd.DataFrame, split: Split, seed: int) -> NDArray[np.int64]:
    """The training and validation posts of the run that is to come, without those that it sets
    aside to calibrate intervals."""
    parts = with_calibration(posts, split, seed, fewest_posts(DEFAULT_COVERAGE))
    return np.sort(np.concatenate([parts.train, parts.validation]))


def _decisive_metric(task: type[Task], posts: pd.DataFrame, metric: str | None) -> tuple[str, str]:
    known = measurable(task, posts)
    if not known:
        raise DataError(f"no post has the truth of the task {task.name}, so nothing is scored.")
    if metric is None:
        return next((each for each in _usual_metrics(task) if each in known), known[0])
    names = {f"{target} {name}": (target, name) for target, name in known}
    if metric not in names:
        hint = did_you_mean(metric, names)
        raise SettingsError(
            f"these posts have no score {metric!r} in the task {task.name}.{hint} There are: "
            f"{', '.join(names)}."
        )
    return names[metric]


def _usual_metrics(task: type[Task]) -> list[tuple[str, str]]:
    """What decides by default, the best first: the task's headlines, but last those that depend on
    how frequent the true ones are. That changes over time, and a model that knows nothing would
    now and then be the best."""
    return sorted(headlines(task), key=lambda each: depends_on_prevalence(task, *each))


def _short_list(
    task: type[Task],
    models: Sequence[str] | None,
    features: FeatureSettings,
    training: TrainingSettings,
) -> PublishedTable:
    if models is None:
        models = task.short_list or tuple(
            name
            for name, entry in catalogue().items()
            if task.name in entry.tasks and name != Stack.name
        )
    trivial = [kind.name for kind in TRIVIAL_BASELINES]
    names = list(dict.fromkeys([*models, *trivial]))
    rows = tuple(
        Experiment(
            name=name,
            label=name,
            model=name,
            task=task.name,
            features=features,
            training=training,
            needs=MODELS[name].requires if name in MODELS else (),
        )
        for name in names
    )
    return PublishedTable(
        name=AUTO, title="Short list", source="", reference=names[0], experiments=rows
    )


def _choose(
    study: Study,
    decisive: tuple[str, str],
    stack: Stacking,
    workers: int | None,
    callbacks: StudyCallbacks | None,
) -> Leaderboard:
    target, metric = decisive
    lower = metric in LOWER_IS_BETTER
    results = study.run(workers, callbacks)
    ran = [each.name for each in results.table.experiments]
    if not ran:
        reasons = "; ".join(f"{row}: {why}" for row, why in results.skipped.items())
        raise DataError(f"no model could be trained ({reasons}).")
    entries = results.scores.query("target == @target and metric == @metric")
    scores = entries.set_index(["row", "fold"])["value"].unstack().reindex(ran)
    costs = _costs(study, ran)
    costs["n"] = entries.groupby("row")["n"].sum().reindex(ran, fill_value=0)
    order = sorted(ran, key=lambda name: _complexity(name, int(costs["weights"][name])))
    trivial = {kind.name for kind in TRIVIAL_BASELINES}
    best, chosen = one_standard_error(
        scores.loc[order], order, trivial=trivial, lower_is_better=lower
    )
    settings: dict[str, Any] = {}
    behind, errors = behind_best(scores, best, lower_is_better=lower)
    why = "the best, and no simpler one is within one standard error of it"
    if chosen in trivial:
        why = "no model that looks at the post predicts better"
    elif chosen != best:
        why = (
            f"behind the best, {best}, by {behind[chosen]:.4f}, no more than one standard error "
            f"({errors[chosen]:.4f}), and simpler"
        )
    if stack != "no":
        stacked = _Stacked.of(study, [name for name in order if name not in ("mean", Blend.name)])
        scores.loc[Stack.name] = stacked.scores(decisive)
        costs.loc[Stack.name] = {**costs.sum(), "n": costs["n"][best]}
        behind, errors = behind_best(scores, best, lower_is_better=lower)
        ahead, error = -behind[Stack.name], errors[Stack.name]
        whole = Stack.name in whole_scores(scores).index
        if stack == "always" or (whole and ahead > error):
            chosen, settings = Stack.name, stacked.settings()
            why = (
                f"{ahead:+.4f} against the best of its members, {best} (one standard error: "
                f"{error:.4f})" + (", as asked" if stack == "always" else "")
            )
    standings = standings_of(scores, costs, best, chosen, lower_is_better=lower)
    standings += [Standing(row, note=reason) for row, reason in results.skipped.items()]
    return Leaderboard(
        task=study.context.task.name,
        metric=f"{target} {metric}",
        lower_is_better=lower,
        split=study.context.splits[0].kind,
        folds=len(study.context.splits),
        posts=len(study.context.dataset),
        chosen=chosen,
        why=why,
        settings=settings,
        standings=tuple(standings),
    )


def _complexity(name: str, weights: int) -> tuple[int, int, str]:
    """Sorts models from simple to complex."""
    return (MODELS[name].complexity, weights, name)


def _costs(study: Study, rows: Sequence[str]) -> pd.DataFrame:
    """Seconds per fold and weights of a network, a row per model."""
    jobs = [job for job in study.jobs if job.row in rows]
    found = pd.DataFrame([read_object(job.folder(study.folder) / SCORES_FILE) for job in jobs])
    by_row = found.groupby([job.row for job in jobs])
    return pd.DataFrame({"seconds": by_row["seconds"].mean(), "weights": by_row["weights"].max()})


@dataclass(frozen=True)
class _Stacked:
    """The stack of a study's models, from what they predicted of the folds that they had not seen.

    predicted and truth are, per fold, (members, n, targets) and (n, targets); tasks are the folds',
    posts all of the study's.
    """

    study: Study
    posts: pd.DataFrame
    members: list[str]
    tasks: list[Task]
    predicted: list[NDArray[np.float64]]
    truth: list[NDArray[np.float32]]

    @classmethod
    def of(cls, study: Study, members: list[str]) -> Self:
        splits, features = study.context.splits, study.context.experiments[0].features
        age = features.history_min_age_hours
        dataset = study.context.dataset
        posts = attach_history(dataset.posts, min_age_hours=age, activity=dataset.table("activity"))
        tasks = [study.context.task.fit(posts.iloc[split.train]) for split in splits]
        predicted = []
        for fold in range(1, len(splits) + 1):
            folders = [study.folder / "fits" / name / f"fold-{fold}" for name in members]
            tables = [read_frame(folder / COLUMNS_FILE) for folder in folders]
            predicted.append(np.stack([table.to_numpy(np.float64) for table in tables]))
        truth = [
            task.transform(posts.iloc[split.test].reset_index(drop=True)).values
            for task, split in zip(tasks, splits, strict=True)
        ]
        return cls(study, posts, members, tasks, predicted, truth)

    def scores(self, decisive: tuple[str, str]) -> list[float]:
        """The score of each fold, with lines that were learned on the other folds."""
        found = []
        for fold, split in enumerate(self.study.context.splits):
            others = [each for each in range(len(self.tasks)) if each != fold]
            lines = self._lines(others)
            posts = self.posts.iloc[split.test].reset_index(drop=True)
            columns = list(self.study.context.task.columns)
            tables = [pd.DataFrame(each, columns=columns) for each in self.predicted[fold]]
            stacked = combined(self.study.context.task, lines, tables)
            task = self.tasks[fold]
            predicted = task.inverse_transform(pd.DataFrame(stacked, columns=columns), posts)
            predicted["post_id"] = posts["post_id"]
            scorer = Scorer.of_task(task, predicted, task.truth(posts), queries_of(posts))
            values = {
                label[:2]: value for label, value in zip(scorer.labels, scorer(), strict=True)
            }
            found.append(float(values.get(decisive, np.nan)))
        return found

    def settings(self) -> dict[str, Any]:
        """Settings of the stack with lines learned on all folds; members without weight are left
        out."""
        lines = self._lines(range(len(self.tasks)))
        weights = np.array([line.weights for line in lines.values()])
        kept = np.flatnonzero((weights > _LEAST_WEIGHT).any(axis=0))
        kept = kept if len(kept) else np.array([0])
        settings = StackSettings.model_validate(
            {
                "members": [{"model": self.members[number]} for number in kept],
                "lines": {
                    name: {"weights": [line.weights[number] for number in kept], "bias": line.bias}
                    for name, line in lines.items()
                },
            }
        )
        return settings.model_dump(mode="json")

    def _lines(self, folds: Sequence[int]) -> dict[str, Any]:
        predicted = np.concatenate([self.predicted[fold] for fold in folds], axis=1)
        truth = np.concatenate([self.truth[fold] for fold in folds])
        task = self.study.context.task
        known = np.isfinite(predicted).any(axis=(0, 1))
        names = [name for name, there in zip(task.columns, known, strict=True) if there]
        return learn_lines(task, predicted, truth, names)

"""What one process of a study does: fit a row on a fold, score it on what the fold held out."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from evoked.errors import EvokedError
from evoked.evaluation.bootstrap import bootstrap_draws
from evoked.evaluation.collapse import collapse_warnings
from evoked.evaluation.splits import held_together
from evoked.evaluation.tables import Scorer
from evoked.files import plain, write_json, write_parquet
from evoked.laboratory.study_data import StudyContext, kind_of
from evoked.models import Model
from evoked.runs.base import modal_relevance, pair_scores, queries_of
from evoked.targets import Task

SCORES_FILE = "scores.json"
PREDICTIONS_FILE = "predictions.parquet"
COLUMNS_FILE = "columns.parquet"
DRAWS_FILE = "draws.parquet"
DRAWS = 1000
# A category with fewer test posts in a fold has no score of its own.
_LEAST_POSTS = 10
# Scores whose resamples are kept: those that tables show.
_RESAMPLED = (
    "MAE",
    "CCC",
    "MAP",
    "AUC",
    "NDCG@5",
    "NDCG@10",
    "R2",
    "accuracy",
    "macro F1",
    "weighted F1",
    "quadratic kappa",
    "F1",
)


@dataclass(frozen=True)
class Job:
    """One fit: a row on a fold, counted from 1."""

    row: str
    fold: int

    def folder(self, study: Path) -> Path:
        """Where its results lie."""
        return study / "fits" / self.row / f"fold-{self.fold}"

    def is_finished(self, study: Path) -> bool:
        """Whether its scores, which are written last, are there."""
        return (self.folder(study) / SCORES_FILE).is_file()


class Worker:
    """Fits rows one after the other; ``data`` keeps what they share."""

    def __init__(self, context: StudyContext) -> None:
        self.context = context
        self.experiments = {experiment.name: experiment for experiment in context.experiments}
        self.data = kind_of(context.experiments)(context)

    def run(self, job: Job) -> str | None:
        """Do a job unless it is done; returns why it could not be done, for a person."""
        if not job.is_finished(self.context.folder):
            try:
                self._run(job)
            except EvokedError as error:
                return str(error)
        # Left over if the process was killed right after the scores were written.
        shutil.rmtree(job.folder(self.context.folder) / "training", ignore_errors=True)
        return None

    def _run(self, job: Job) -> None:
        started = time.perf_counter()
        folder = job.folder(self.context.folder)
        experiment, split = self.experiments[job.row], self.context.splits[job.fold - 1]
        model = experiment.build()
        fold = self.data.fold(experiment, model, job.fold)
        model.fit(
            fold.train,
            fold.validation,
            folder=folder / "training",
            training=experiment.training.model_copy(update={"seed": self.context.seed}),
        )
        predicted = model.predict(fold.test)
        predictions = fold.task.inverse_transform(predicted, fold.test.posts)
        predictions.insert(0, "post_id", fold.test.posts["post_id"].to_numpy())
        scored = self._scores(fold.task, predictions, fold.test.posts, split.kind, job.fold)
        scored["scores"] += pair_scores(model, fold.test)
        relevance = modal_relevance(model, fold.test)
        if relevance is not None:
            scored["scores"].append({"target": "image and text", "metric": "MRS", **relevance})
        write_parquet(folder / PREDICTIONS_FILE, predictions)
        write_parquet(folder / COLUMNS_FILE, predicted)
        write_parquet(folder / DRAWS_FILE, scored.pop("draws"))
        known = len(fold.train) + len(fold.validation)
        sizes = {"learned_from": known, "tested_on": len(fold.test), "weights": _weights(model)}
        seconds = time.perf_counter() - started
        write_json(folder / SCORES_FILE, plain({**scored, **sizes, "seconds": seconds}))

    def _scores(
        self, task: Task, predictions: pd.DataFrame, posts: pd.DataFrame, kind: str, fold: int
    ) -> dict[str, Any]:
        """Scores of the whole fold, of its categories, resamples of the former, and what is wrong
        with the predictions."""
        truth, queries = task.truth(posts), queries_of(posts)
        shares = self.context.relevant_shares
        scorer = Scorer.of_task(task, predictions, truth, queries, shares)
        groups = held_together(posts, kind)
        # The same resamples for every row, so that rows can be compared post by post.
        seed = self.context.seed * 1_000_003 + fold
        resampled = scorer.only(_RESAMPLED)
        draws = bootstrap_draws(resampled, scorer.size, groups, DRAWS, seed)
        names = [f"{target} {metric}" for target, metric, _ in resampled.labels]
        categories = []
        for category, rows in _groups(queries):
            asked = None if queries is None else queries.iloc[rows]
            part = Scorer.of_task(task, predictions.iloc[rows], truth.iloc[rows], asked)
            categories += [{"category": category, **entry} for entry in _entries(part)]
        return {
            "scores": _entries(scorer),
            "categories": categories,
            "warnings": collapse_warnings(task, predictions, truth),
            "notes": task.notes,
            "draws": pd.DataFrame(draws.astype(np.float32), columns=names),
        }


@contextmanager
def one_thread() -> Iterator[None]:
    """Numbers that depend neither on the cores nor on how many processes share them."""
    import torch  # also for models without networks, which may run in the same process

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def _weights(model: Model) -> int:
    """Numbers that a network has learned; 0 for what is no network."""
    from evoked.models import NeuralModel

    if not isinstance(model, NeuralModel):
        return 0
    return sum(weight.numel() for weight in model.network.parameters() if weight.requires_grad)


def _groups(queries: pd.Series | None) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Rows of each category that has posts enough."""
    if queries is not None:
        for category, rows in sorted(queries.groupby(queries.to_numpy()).indices.items()):
            if len(rows) >= _LEAST_POSTS:
                yield str(category), np.asarray(rows)


def _entries(scorer: Scorer) -> list[dict[str, Any]]:
    return [
        {"target": target, "metric": metric, "value": float(value), "n": n}
        for (target, metric, n), value in zip(scorer.labels, scorer(), strict=True)
    ]

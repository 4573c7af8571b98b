"""What one process of a study does: fit a row on a fold, score it on what the fold held out."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from evoked.errors import EvokedError
from evoked.evaluation.bootstrap import bootstrap_draws
from evoked.evaluation.collapse import collapse_warnings
from evoked.evaluation.splits import Split
from evoked.evaluation.tables import Scorer
from evoked.experiments import Experiment
from evoked.features.cache import FeatureCache
from evoked.features.catalog import CATALOG, FeatureSettings
from evoked.features.extract import extract
from evoked.features.pipeline import FeaturePipeline
from evoked.features.table import FeatureColumn, FeatureTable
from evoked.files import atomic_path, plain, write_json
from evoked.models import Examples, Model, NeuralModel
from evoked.posts.dataset import PostDataset
from evoked.run import Progress, estimate_emotions, modal_relevance, queries_of
from evoked.targets import EmotionEngagement, Task

SCORES_FILE = "scores.json"
PREDICTIONS_FILE = "predictions.parquet"
COLUMNS_FILE = "columns.parquet"
DRAWS_FILE = "draws.parquet"
DRAWS = 1000
# A category with fewer test posts in a fold has no score of its own.
_LEAST_POSTS = 10
# Scores whose resamples are kept: those that tables show.
_RESAMPLED = (
    *("MAE", "CCC", "MAP", "AUC", "NDCG@5", "NDCG@10"),
    *("R2", "accuracy", "macro F1", "weighted F1", "quadratic kappa", "F1"),
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


@dataclass(frozen=True)
class Workplace:
    """Everything that a process needs to know of a study."""

    folder: Path
    dataset: PostDataset
    splits: tuple[Split, ...]
    experiments: tuple[Experiment, ...]
    seed: int
    estimate: bool
    cache: Path | None

    @property
    def task(self) -> type[Task]:
        """What all rows learn."""
        return self.experiments[0].build().task

    def extracted_names(self, features: FeatureSettings) -> list[str]:
        """Features that need no training posts, of all rows with these settings, those from which
        others are made included."""
        return FeaturePipeline(self._names(features), features).extracted

    def fitted_names(self, features: FeatureSettings) -> list[str]:
        """Features that are fitted on the training posts, of all rows with these settings."""
        return [name for name in self._names(features) if CATALOG[name].fitted]

    def _names(self, features: FeatureSettings) -> list[str]:
        models = [each.build() for each in self.experiments if each.features == features]
        return list(dict.fromkeys(name for model in models for name in model.features))


class Bench:
    """Fits rows one after the other and keeps what they share.

    Extracted features are read from the cache once; those fitted on the training posts are
    computed once per fold.
    """

    def __init__(self, place: Workplace) -> None:
        self.place = place
        self.posts = place.dataset.posts
        self.cache = FeatureCache(place.cache)
        self.experiments = {experiment.name: experiment for experiment in place.experiments}
        self._extracted: dict[FeatureSettings, dict[str, FeatureColumn]] = {}
        self._estimates: dict[FeatureSettings, NDArray[np.float32] | None] = {}
        self._fold = 0
        self._task: Task | None = None
        self._fitted: dict[FeatureSettings, dict[str, FeatureColumn]] = {}

    def run(self, job: Job) -> str | None:
        """Do a job unless it is done; returns what kept it from being done, for a person."""
        if not job.is_finished(self.place.folder):
            try:
                self._run(job)
            except EvokedError as error:
                return str(error)
        # Left over if the process was killed right after the scores were written.
        shutil.rmtree(job.folder(self.place.folder) / "training", ignore_errors=True)
        return None

    def extracted(self, features: FeatureSettings) -> dict[str, FeatureColumn]:
        """Columns of all posts that need no training posts."""
        if features not in self._extracted:
            names = self.place.extracted_names(features)
            table, _ = extract(self.place.dataset, names, features, cache=self.cache)
            self._extracted[features] = table.columns
        return self._extracted[features]

    def _run(self, job: Job) -> None:
        started = time.perf_counter()
        folder = job.folder(self.place.folder)
        experiment, split = self.experiments[job.row], self.place.splits[job.fold - 1]
        model = experiment.build()
        examples = self._examples(experiment, model.features, job.fold)
        train, validation, test = (
            examples.select(rows) for rows in (split.train, split.validation, split.test)
        )
        model.fit(
            train,
            validation,
            folder=folder / "training",
            training=experiment.training.model_copy(update={"seed": self.place.seed}),
        )
        assert self._task is not None
        predicted = model.predict(test)
        predictions = self._task.restore(predicted, test.posts)
        predictions.insert(0, "post_id", test.posts["post_id"].to_numpy())
        scored = self._scores(predictions, test.posts, split.kind, job.fold)
        relevance = modal_relevance(model, test)
        if relevance is not None:
            scored["scores"].append({"target": "image and text", "metric": "MRS", **relevance})
        _write_parquet(folder / PREDICTIONS_FILE, predictions)
        _write_parquet(folder / COLUMNS_FILE, predicted)
        _write_parquet(folder / DRAWS_FILE, scored.pop("draws"))
        known = len(train) + len(validation)
        sizes = {"learned_from": known, "tested_on": len(test), "weights": _weights(model)}
        seconds = time.perf_counter() - started
        write_json(folder / SCORES_FILE, plain({**scored, **sizes, "seconds": seconds}))

    def _examples(self, experiment: Experiment, names: Sequence[str], fold: int) -> Examples:
        task = self._of_fold(fold)
        columns = {**self.extracted(experiment.features), **self._fitted_for(experiment.features)}
        chosen = {name: columns[name] for name in names}
        return Examples(
            self.posts,
            # A model that reads the posts' own table is shown any column.
            FeatureTable(chosen or columns),
            task.transform(self.posts, self._estimated(experiment.features)),
        )

    def _of_fold(self, fold: int) -> Task:
        """The task of a fold; what was fitted on another fold is forgotten."""
        if fold != self._fold or self._task is None:
            self._fold, self._fitted = fold, {}
            self._task = self.place.task.fit(self._train_posts())
        return self._task

    def _fitted_for(self, features: FeatureSettings) -> dict[str, FeatureColumn]:
        if features not in self._fitted:
            pipeline = FeaturePipeline(self.place.fitted_names(features), features)
            covers = self.place.dataset.cover_paths()
            train = self.place.splits[self._fold - 1].train
            pipeline.fit(
                self._train_posts(),
                self.place.seed,
                images=[covers[row] for row in train],
                cache=self.cache,
            )
            table, _ = pipeline.transform(self.posts, covers, cache=self.cache)
            self._fitted[features] = table.columns
        return self._fitted[features]

    def _train_posts(self) -> pd.DataFrame:
        return self.posts.iloc[self.place.splits[self._fold - 1].train]

    def _estimated(self, features: FeatureSettings) -> NDArray[np.float32] | None:
        if not self.place.estimate or self.place.task is not EmotionEngagement:
            return None
        if features not in self._estimates:
            self._estimates[features] = estimate_emotions(
                self.place.dataset, features, self.cache, Progress()
            )
        return self._estimates[features]

    def _scores(
        self, predictions: pd.DataFrame, posts: pd.DataFrame, kind: str, fold: int
    ) -> dict[str, Any]:
        """Scores of the whole fold, of its categories, resamples of the former, and what is wrong
        with the predictions."""
        assert self._task is not None
        truth, queries = self._task.truth(posts), queries_of(posts)
        scorer = Scorer.of_task(self._task, predictions, truth, queries)
        authors = posts["author_id"].fillna(posts["post_id"]) if kind == "author" else None
        # The same resamples for every row, so that rows can be compared post by post.
        seed = self.place.seed * 1_000_003 + fold
        resampled = scorer.only(_RESAMPLED)
        draws = bootstrap_draws(resampled, scorer.size, authors, DRAWS, seed)
        names = [f"{target} {metric}" for target, metric, _ in resampled.labels]
        categories = []
        for category, rows in _groups(queries):
            asked = None if queries is None else queries.iloc[rows]
            part = Scorer.of_task(self._task, predictions.iloc[rows], truth.iloc[rows], asked)
            categories += [{"category": category, **entry} for entry in _entries(part)]
        return {
            "scores": _entries(scorer),
            "categories": categories,
            "warnings": collapse_warnings(self._task, predictions, truth),
            "draws": pd.DataFrame(draws.astype(np.float32), columns=names),
        }


@contextmanager
def one_thread() -> Iterator[None]:
    """Numbers that depend neither on the cores nor on how many processes share them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def _weights(model: Model) -> int:
    """Numbers that a network has learned; 0 for what is no network."""
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


def _write_parquet(path: Path, table: pd.DataFrame) -> None:
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)

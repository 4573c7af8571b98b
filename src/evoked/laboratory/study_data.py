"""What the fits of a study are made of: posts with their features, or viewings with their graph.

A table's rows all learn from one of the two; which one, their models say.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import pandas as pd

from evoked.evaluation.splits import Split, k_fold, repeated_runs
from evoked.evaluation.tables import RELEVANT_SHARES
from evoked.experiments import Experiment
from evoked.features.cache import FeatureCache
from evoked.features.catalog import CATALOG, FeatureSettings
from evoked.features.extract import Problem, extract
from evoked.features.pipeline import FeaturePipeline
from evoked.features.table import FeatureColumn, FeatureTable
from evoked.features.viewings import ViewingData, kept_viewings, read_network
from evoked.models import TRIVIAL_BASELINES, VIEWING_BASELINES, Examples, Model
from evoked.models.viewings import viewing_examples
from evoked.posts.author_history import attach_history
from evoked.posts.dataset import PostDataset
from evoked.progress import Progress
from evoked.runs.base import Callbacks
from evoked.runs.training import Estimates, estimate_emotions, part_examples, values_of
from evoked.runs.viewings import ENCODED_FEATURES, NETWORK_TABLES
from evoked.targets import Task


@dataclass(frozen=True)
class StudyContext:
    """Everything that a process needs to know of a study."""

    folder: Path
    dataset: PostDataset
    splits: tuple[Split, ...]
    experiments: tuple[Experiment, ...]
    task: type[Task]
    seed: int
    estimate: bool
    cache: Path | None
    relevant_shares: tuple[float, ...] = RELEVANT_SHARES


class Fold(NamedTuple):
    """What a row learns from and is scored on."""

    task: Task
    train: Examples
    validation: Examples
    test: Examples


class StudyData(ABC):
    """Examples of a study's folds; keeps what rows share from fit to fit.

    Attributes
    ----------
    baselines
        Trivial models that every study shows beside its rows.
    tables
        Tables of the dataset that decide what a study finds.
    """

    baselines: ClassVar[tuple[type[Model], ...]]
    tables: ClassVar[tuple[str, ...]] = ("posts",)

    def __init__(self, context: StudyContext) -> None:
        self.context = context
        self.cache = FeatureCache(context.cache)

    @staticmethod
    @abstractmethod
    def rows(dataset: PostDataset) -> pd.DataFrame:
        """The posts or viewings that folds are made of."""

    @staticmethod
    @abstractmethod
    def splits(
        rows: pd.DataFrame, folds: int, kind: str, seed: int, validation: float
    ) -> Iterator[Split]:
        """The folds; ``validation`` is a share of what a fold learns from."""

    @abstractmethod
    def encoded(self, features: FeatureSettings) -> list[str]:
        """Features that encoders compute, of all rows with these settings."""

    @abstractmethod
    def extract(self, features: FeatureSettings, progress: Progress | None) -> list[Problem]:
        """Compute what needs no training posts, for all rows with these settings."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the tables has to know of the data."""
        return ()

    @abstractmethod
    def fold(self, experiment: Experiment, model: Model, number: int) -> Fold:
        """Examples of a fold, counted from 1, with what the model reads."""

    def _split(self, number: int) -> Split:
        return self.context.splits[number - 1]

    def _task(self, rows: pd.DataFrame, number: int) -> Task:
        """The task, fitted on what the fold learns from."""
        return self.context.task.fit(rows.iloc[self._split(number).train])


class Posts(StudyData):
    """Posts: features without training are read from the cache once, and those that are fitted on
    the training posts are computed once per fold."""

    baselines = TRIVIAL_BASELINES

    def __init__(self, context: StudyContext) -> None:
        super().__init__(context)
        # By the age from which an earlier post's counts are seen.
        self._posts: dict[float, pd.DataFrame] = {}
        self._extracted: dict[FeatureSettings, dict[str, FeatureColumn]] = {}
        self._estimates: dict[FeatureSettings, Estimates | None] = {}
        # Fitted on the last fold; what was fitted on the one before is forgotten.
        self._fitted: dict[FeatureSettings, dict[str, FeatureColumn]] = {}
        self._fold = 0

    @staticmethod
    def rows(dataset: PostDataset) -> pd.DataFrame:
        return dataset.posts

    @staticmethod
    def splits(
        rows: pd.DataFrame, folds: int, kind: str, seed: int, validation: float
    ) -> Iterator[Split]:
        return k_fold(rows, folds, kind, seed, validation)

    def encoded(self, features: FeatureSettings) -> list[str]:
        """Includes those from which other features are made."""
        return FeaturePipeline(self._names(features), features).extracted

    def extract(self, features: FeatureSettings, progress: Progress | None) -> list[Problem]:
        dataset, names = self.context.dataset, self.encoded(features)
        table, problems = extract(dataset, names, features, cache=self.cache, progress=progress)
        self._extracted[features] = table.columns
        return problems

    def fold(self, experiment: Experiment, model: Model, number: int) -> Fold:
        posts = self._attached(experiment.features)
        task, split = self._task(posts, number), self._split(number)
        columns = self._columns(experiment.features, number)
        chosen = {name: columns[name] for name in model.features}
        # A model that reads the posts' own table is shown any column.
        examples = Examples(posts, FeatureTable(chosen or columns))
        estimates = values_of(self._estimated(experiment.features))
        parts = (
            part_examples(examples, rows, task, estimates)
            for rows in (split.train, split.validation, split.test)
        )
        return Fold(task, *parts)

    def _attached(self, features: FeatureSettings) -> pd.DataFrame:
        """The posts with what their authors' earlier ones achieved."""
        age = features.history_min_age_hours
        if age not in self._posts:
            dataset = self.context.dataset
            self._posts[age] = attach_history(
                dataset.posts, min_age_hours=age, activity=dataset.table("activity")
            )
        return self._posts[age]

    def _names(self, features: FeatureSettings) -> list[str]:
        models = [each.build() for each in self.context.experiments if each.features == features]
        return list(dict.fromkeys(name for model in models for name in model.features))

    def _columns(self, features: FeatureSettings, number: int) -> dict[str, FeatureColumn]:
        if features not in self._extracted:
            self.extract(features, None)
        if number != self._fold:
            self._fold, self._fitted = number, {}
        if features not in self._fitted:
            fitted = [name for name in self._names(features) if CATALOG[name].fitted]
            pipeline = FeaturePipeline(fitted, features)
            posts = self._attached(features)
            covers, train = self.context.dataset.cover_paths(), self._split(number).train
            pipeline.fit(
                posts.iloc[train],
                self.context.seed,
                images=[covers[row] for row in train],
                cache=self.cache,
            )
            table, _ = pipeline.transform(posts, covers, cache=self.cache)
            self._fitted[features] = table.columns
        return {**self._extracted[features], **self._fitted[features]}

    @property
    def notes(self) -> tuple[str, ...]:
        chosen = dict.fromkeys(each.features for each in self.context.experiments)
        estimates = [self._estimated(features) for features in chosen]
        return tuple(dict.fromkeys(each.note for each in estimates if each is not None))

    def _estimated(self, features: FeatureSettings) -> Estimates | None:
        if not (self.context.estimate and self.context.task.learns_emotion):
            return None
        if features not in self._estimates:
            self._estimates[features] = estimate_emotions(
                self.context.dataset, features, self.cache, Callbacks()
            )
        return self._estimates[features]


class Viewings(StudyData):
    """Viewings, and the graph around those that are learned from."""

    baselines = VIEWING_BASELINES
    tables = ("posts", *NETWORK_TABLES)

    def __init__(self, context: StudyContext) -> None:
        super().__init__(context)
        self._networks: dict[FeatureSettings, ViewingData] = {}

    @staticmethod
    def rows(dataset: PostDataset) -> pd.DataFrame:
        return kept_viewings(dataset)[0]

    @staticmethod
    def splits(
        rows: pd.DataFrame, folds: int, kind: str, seed: int, validation: float
    ) -> Iterator[Split]:
        """Runs that hold out a tenth each, as the paper's do, and a tenth for validation."""
        return repeated_runs(rows, folds, kind, seed)

    def encoded(self, features: FeatureSettings) -> list[str]:
        return list(ENCODED_FEATURES)

    def extract(self, features: FeatureSettings, progress: Progress | None) -> list[Problem]:
        self._networks[features] = read_network(
            self.context.dataset, features, cache=self.cache, progress=progress
        )
        return self._networks[features].problems

    def fold(self, experiment: Experiment, model: Model, number: int) -> Fold:
        if experiment.features not in self._networks:
            self.extract(experiment.features, None)
        network, split = self._networks[experiment.features], self._split(number)
        task = self._task(network.viewings, number)
        parts = (
            viewing_examples(network, model, task, split.train, rows)
            for rows in (split.train, split.validation, split.test)
        )
        return Fold(task, *parts)


KINDS: dict[str, type[StudyData]] = {"posts": Posts, "viewings": Viewings}


def kind_of(experiments: Sequence[Experiment]) -> type[StudyData]:
    """What the rows of a table learn from: viewings if any model does."""
    kinds = {each.build().rows for each in experiments}
    return KINDS["viewings" if "viewings" in kinds else "posts"]

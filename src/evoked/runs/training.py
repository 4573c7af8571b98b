"""Train a run on posts or on viewings, by the same steps.

What a run is made of (:class:`_RunData`) differs between the two: its rows, how they become
examples, and the kind of run that comes out. The steps, in :func:`_train`, are the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Generic, Literal, NamedTuple, TypeVar, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import ValidationError

from evoked.errors import DataError, SettingsError, settings_problem
from evoked.evaluation.conformal import DEFAULT_COVERAGE, Intervals, Predicted, fewest_posts
from evoked.evaluation.splits import (
    FRACTIONS,
    PARTS,
    VIEWING_FRACTIONS,
    Rows,
    Split,
    choose_split,
    k_fold,
    kind_of_folds,
    with_calibration,
)
from evoked.features.affect import enough_read
from evoked.features.cache import FeatureCache
from evoked.features.catalog import CATALOG, FeatureSettings
from evoked.features.emotions import read_emotions
from evoked.features.extract import Problem
from evoked.features.languages import caption_languages, captions_note, for_captions
from evoked.features.pipeline import FeaturePipeline
from evoked.features.social_graph import Integers
from evoked.features.viewings import ViewingData, read_network
from evoked.files import check_free, only_writer, remove_all_leftovers
from evoked.models import MODELS, Examples, Model, build_model
from evoked.models.viewings import viewing_examples
from evoked.posts.author_history import READ, attach_history, published_history
from evoked.posts.author_profiles import PROFILE, AuthorProfiles
from evoked.posts.dataset import PostDataset
from evoked.posts.fact_leaks import too_good
from evoked.posts.facts import Fact, describe_facts
from evoked.posts.schema import ENGAGEMENT, EXPOSURE
from evoked.runs.base import BASELINES_FOLDER, Callbacks, RunContents, TrainedRun
from evoked.runs.choice import MOST_TRIED, Choice, choose_model, quick_candidates
from evoked.runs.drawing import draw, some_rows
from evoked.runs.folder import (
    PLAN_FILE,
    TRAINING_FOLDER,
    claim,
    data_description,
    environment,
    finish,
    plan_of,
    save_calibration,
)
from evoked.runs.notes import (
    calibration_notes,
    emotions_note,
    fold_notes,
    reads_facts,
    unread_facts_note,
    unseen_inputs,
    unseen_note,
)
from evoked.runs.past import PastPosts, at_any_time
from evoked.runs.posts import Run, posts_in_parts
from evoked.runs.viewings import (
    ENCODED_FEATURES,
    NETWORK_TABLES,
    NetworkRun,
    viewings_in_parts,
)
from evoked.targets import DEFAULT_TASK, EMOTION_TARGETS, Task, default_task, task_class
from evoked.training.devices import machine_number
from evoked.training.settings import TrainingSettings

TrainedRunT = TypeVar("TrainedRunT", bound=TrainedRun)

# How often a quick model is fitted again to calibrate intervals.
_FOLDS = 5
# Of more posts, the calibration part is large enough, and fits take their time.
_MOST_FOR_FOLDS = 5000


@overload
def train(
    dataset: PostDataset,
    model: None = ...,
    out: Path | str = ...,
    *,
    task: str | None = ...,
    model_settings: dict[str, Any] | None = ...,
    features: FeatureSettings | None = ...,
    training: TrainingSettings | None = ...,
    epochs: int | None = ...,
    split: str | Split | None = ...,
    estimate: bool = ...,
    cache: FeatureCache | None = ...,
    callbacks: Callbacks | None = ...,
) -> Run: ...


@overload
def train(
    dataset: PostDataset,
    model: str | type[Model] | Model,
    out: Path | str = ...,
    *,
    task: str | None = ...,
    model_settings: dict[str, Any] | None = ...,
    features: FeatureSettings | None = ...,
    training: TrainingSettings | None = ...,
    epochs: int | None = ...,
    split: str | Split | None = ...,
    estimate: bool = ...,
    cache: FeatureCache | None = ...,
    callbacks: Callbacks | None = ...,
) -> Run | NetworkRun: ...


def train(
    dataset: PostDataset,
    model: str | type[Model] | Model | None = None,
    out: Path | str = "run",
    *,
    task: str | None = None,
    model_settings: dict[str, Any] | None = None,
    features: FeatureSettings | None = None,
    training: TrainingSettings | None = None,
    epochs: int | None = None,
    split: str | Split | None = None,
    estimate: bool = True,
    cache: FeatureCache | None = None,
    callbacks: Callbacks | None = None,
) -> Run | NetworkRun:
    """Train a model, score it on held-out posts or viewings, and save it all as a folder.

    Started again with the same arguments after an interruption, it goes on where it stopped.

    Parameters
    ----------
    dataset
        The posts; for a model of viewings a network, which has viewings, connections, groups and
        memberships as well.
    model
        A name that ``evoked models`` prints, or a model of your own: a subclass of
        :class:`evoked.Model`, or an instance of one, which is fitted in place. To load such a run
        again, give the class: ``evoked.load(folder, model=MyModel)``. By default a quick trial on
        the posts chooses one for posts: see :mod:`evoked.runs.choice`.
        :func:`evoked.train_automatically` compares more models, at length.
    out
        Folder of the run.
    task
        What to predict: one of the tasks that ``evoked models`` prints beside the model; by default
        the first of them, or ``views`` where the posts report how often they were seen and nothing
        else.
    model_settings
        Settings of the model by name; the others keep their defaults. An instance has its own.
    features
        Encoders and their settings; an instance has its own.
    training
        How to train; ``model.default_training`` by default.
    epochs
        Train for this many epochs at most, in place of ``training.max_epochs``.
    split
        ``random``, ``author``, ``time`` or ``column`` (for viewings ``random``, ``user``, ``image``
        or ``time``), or a split made by hand (for viewings, of
        ``read_network(dataset).viewings``). By default the kind that fits the posts;
        ``run.description`` gives the reason.
    estimate
        Let the emotion readers estimate valence and arousal of posts that nobody rated; models of
        viewings ignore it.
    cache
        Where extracted features are kept; the user's cache folder by default.
    callbacks
        Callbacks that report progress.

    Returns
    -------
    Run or NetworkRun
        A run of posts or of viewings, whichever the model learns from.

    Raises
    ------
    DataError
        Too few posts or viewings, or none with a target.
    SettingsError
        An unknown model or setting, settings given together with an instance or without a
        model, several devices for what is not a network, or ``out`` holds another run.
    PartDone
        This is not the first of several machines; the first one writes the run.
    """
    if model is None:
        given = training if epochs is None else _with_epochs(training or TrainingSettings(), epochs)
        return train_posts(
            dataset,
            None,
            out,
            task=task,
            model_settings=model_settings,
            features=features,
            training=given,
            split=split,
            estimate=estimate,
            cache=cache,
            callbacks=callbacks,
        )
    callbacks = callbacks or Callbacks()
    task = _task_of(dataset, model, task, callbacks)
    features = _for_captions(dataset, model, model_settings, features)
    built = _built(model, model_settings, features, task)
    settings = _with_epochs(training or built.default_training, epochs)
    if built.rows == "viewings":
        return train_viewings(
            dataset,
            built,
            out,
            training=settings,
            split=split,
            cache=cache,
            callbacks=callbacks,
        )
    return train_posts(
        dataset,
        built,
        out,
        training=settings,
        split=split,
        estimate=estimate,
        cache=cache,
        callbacks=callbacks,
    )


def train_posts(
    dataset: PostDataset,
    model: str | type[Model] | Model | None = None,
    out: Path | str = "run",
    *,
    task: str | None = None,
    model_settings: dict[str, Any] | None = None,
    features: FeatureSettings | None = None,
    training: TrainingSettings | None = None,
    split: str | Split | None = None,
    estimate: bool = True,
    cache: FeatureCache | None = None,
    callbacks: Callbacks | None = None,
) -> Run:
    """:func:`train` for a model of posts.

    Raises
    ------
    SettingsError
        The model learns from viewings, or as for :func:`train`.
    """
    callbacks, choice, everyone = callbacks or Callbacks(), None, dataset
    most = (training or TrainingSettings()).max_posts
    if len(dataset) > most:
        dataset, split = draw(dataset, split, (training or TrainingSettings()).seed, most)
    if model is None:
        if model_settings:
            raise SettingsError(
                f"{', '.join(model_settings)}: settings are for one model. Give its name, too."
            )
        check_devices_help(training or TrainingSettings())
        check_free(Path(out), f"{TRAINING_FOLDER}/{PLAN_FILE}", "a run")
        task = task_for(dataset, task, callbacks)
        kind, features = task_class(task), for_captions(features, _captions(dataset))
        seed = (training or TrainingSettings()).seed
        if split is None or isinstance(split, str):
            split = choose_split(dataset.posts, split, seed)
        choice = _choose(dataset, everyone, kind, features, split, seed, estimate, cache, callbacks)
        callbacks.note(choice.reason)
        model, model_settings = choice.model, choice.settings
    features = _for_captions(dataset, model, model_settings, features)
    built = _built(model, model_settings, features, _task_of(dataset, model, task, callbacks))
    _check_rows(built, "posts")
    data = _Posts(dataset, built, cache, callbacks, estimate, everyone, choice)
    return _train(data, Path(out), training or built.default_training, split)


def train_viewings(
    dataset: PostDataset,
    model: str | type[Model] | Model = "hmg_emo",
    out: Path | str = "run",
    *,
    task: str | None = None,
    model_settings: dict[str, Any] | None = None,
    features: FeatureSettings | None = None,
    training: TrainingSettings | None = None,
    split: str | Split | None = None,
    cache: FeatureCache | None = None,
    callbacks: Callbacks | None = None,
) -> NetworkRun:
    """:func:`train` for a model of viewings.

    The graph shows the training viewings alone, those without an emotion included.

    Raises
    ------
    SettingsError
        The model learns from posts, or as for :func:`train`.
    """
    callbacks = callbacks or Callbacks()
    built = _built(model, model_settings, features, task)
    _check_rows(built, "viewings")
    data = _Viewings(dataset, built, cache, callbacks)
    return _train(data, Path(out), training or built.default_training, split)


class _Prepared(NamedTuple):
    """What a model is fitted on.

    examples are those of each part by name; problems are the pictures that could not be read;
    facts are entries of run.json that are known only once the features are computed; at gives the
    examples of any rows.
    """

    examples: dict[str, Examples]
    pipeline: FeaturePipeline
    problems: list[Problem]
    facts: dict[str, Any]
    at: Callable[[Rows], Examples]


@dataclass
class _RunData(ABC, Generic[TrainedRunT]):
    """What a run is made of, and what differs between posts and viewings.

    Attributes
    ----------
    kind
        The run that comes out.
    tables
        Tables of the dataset that the run depends on.
    fractions
        Sizes of the training, validation and test parts.
    """

    dataset: PostDataset
    model: Model
    cache: FeatureCache | None
    callbacks: Callbacks

    kind: ClassVar[type[TrainedRun]]
    tables: ClassVar[tuple[str, ...]] = ("posts",)
    fractions: ClassVar[tuple[float, float, float]] = FRACTIONS

    def calibrates_on_folds(self, split: Split) -> bool:
        """Whether the model is fitted again on folds of what it learns from, to calibrate intervals
        there; otherwise a part of the validation rows is kept from it for that."""
        return False

    @property
    @abstractmethod
    def rows(self) -> pd.DataFrame:
        """The posts or viewings, one row each."""

    @property
    def notes(self) -> list[str]:
        """What a person should know about the rows."""
        return []

    @property
    def sizes(self) -> dict[str, int]:
        """Counts that run.json gives in addition to those of every dataset."""
        return {}

    @property
    def choices(self) -> dict[str, Any]:
        """Choices that the run depends on, in addition to those of every run."""
        return {}

    @abstractmethod
    def prepare(self, task: Task, split: Split, seed: int) -> _Prepared:
        """Compute features, and make each part's examples."""

    @abstractmethod
    def in_parts(self, split: Split) -> pd.DataFrame:
        """Which row is in which part, as the run keeps it."""

    @abstractmethod
    def run(self, contents: RunContents, split: Split) -> TrainedRunT:
        """Make the run from the contents that every run has."""

    def keep_past(
        self, run: TrainedRunT, prepared: _Prepared, split: Split, whenever: Predicted
    ) -> None:
        """Write what advice needs of the rows into the run's folder; viewings need nothing.

        Of posts that calibrate the intervals, whenever is what was predicted at any time.
        """


class _ReadPosts(NamedTuple):
    """All posts of a dataset, read.

    posts are examples without targets; problems are the pictures that could not be read; estimates
    are those of emotion readers, or None.
    """

    posts: Examples
    pipeline: FeaturePipeline
    problems: list[Problem]
    estimates: Estimates | None


@dataclass
class _Posts(_RunData[Run]):
    """Posts, each an example.

    Attributes
    ----------
    estimate
        Whether an emotion reader stands in for ratings.
    everyone
        All posts, of which the dataset may be some that were drawn.
    choice
        How the model was chosen; None where it was asked for.
    """

    estimate: bool
    everyone: PostDataset
    choice: Choice | None = None

    kind: ClassVar[type[TrainedRun]] = Run

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The posts with what their authors' earlier ones achieved, whatever part those are in."""
        age = self.model.feature_settings.history_min_age_hours
        activity = self.everyone.table("activity")
        return attach_history(
            self.dataset.posts, min_age_hours=age, activity=activity, among=self.published
        )

    @cached_property
    def published(self) -> pd.DataFrame:
        """What a history and the authors' profiles are made of, of all posts."""
        if self.everyone is self.dataset:
            return self.dataset.posts
        return self.everyone.frame(list(dict.fromkeys([*READ, *PROFILE])))

    @property
    def sizes(self) -> dict[str, int]:
        drawn = len(self.everyone) > len(self.dataset)
        return {"drawn from": len(self.everyone)} if drawn else {}

    @property
    def choices(self) -> dict[str, Any]:
        return {"estimate": self.estimate}

    @cached_property
    def reads_captions(self) -> bool:
        """Whether the model reads captions."""
        return "caption" in {CATALOG[name].modality for name in self.model.features}

    @cached_property
    def captions_note(self) -> str | None:
        """What captions are written in and what reads it; None for a model that reads none."""
        if not self.reads_captions:
            return None
        encoder = self.model.feature_settings.text_encoder
        return captions_note(_captions(self.dataset), encoder)

    @property
    def notes(self) -> list[str]:
        return [self.captions_note] if self.captions_note else []

    def calibrates_on_folds(self, split: Split) -> bool:
        number = len(split.train) + len(split.validation)
        return self.model.quick and not len(split.calibration) and number <= _MOST_FOR_FOLDS

    def prepare(self, task: Task, split: Split, seed: int) -> _Prepared:
        model, note = self.model, self.callbacks.note
        learned_from = _learned_from(self, split)
        read = self.read(model.features, learned_from, seed)
        for text in read.pipeline.notes:
            note(text)
        if read.problems:
            number = len(read.problems)
            note(f"{number} pictures could not be read; their posts count as imageless.")
        unseen = unseen_inputs(model, read.posts.features.select(learned_from))
        if unseen:
            note(unseen_note(model, unseen))

        def at(rows: Rows) -> Examples:
            return part_examples(read.posts, rows, task, values_of(read.estimates))

        examples = {name: at(getattr(split, name)) for name in PARTS}
        targets = examples["train"].targets
        assert targets is not None
        guessed = bool(targets.estimated.any())
        if read.estimates is not None:
            note(read.estimates.note)
        facts: dict[str, Any] = {
            "unseen": unseen,
            "estimated_emotions": guessed,
            "emotions_note": None if read.estimates is None else read.estimates.note,
            "captions_note": self.captions_note,
            "languages": caption_languages(_captions(self.dataset)) if self.reads_captions else {},
        }
        facts["facts"] = [fact.to_dict() for fact in self._own_facts(learned_from)]
        if self.choice is not None:
            facts["choice"] = self.choice.to_dict()
        return _Prepared(examples, read.pipeline, read.problems, facts, at)

    def read(self, names: Sequence[str], learned_from: Rows, seed: int) -> _ReadPosts:
        """Features of all posts by name, fitted on those at ``learned_from``."""
        posts, covers = self.rows, self.dataset.cover_paths()
        features, stage = self.model.feature_settings, self.callbacks.stage
        pipeline = FeaturePipeline(names, features).fit(
            posts.iloc[learned_from],
            seed,
            images=[covers[row] for row in learned_from],
            cache=self.cache,
            progress=stage,
        )
        table, problems = pipeline.transform(posts, covers, cache=self.cache, progress=stage)
        estimates = None
        if self.estimate and self.model.task.learns_emotion:
            estimates = estimate_emotions(self.dataset, features, self.cache, self.callbacks)
        return _ReadPosts(Examples(posts, table), pipeline, problems, estimates)

    def _own_facts(self, learned_from: Rows) -> list[Fact]:
        """Facts of a person's own that the model learns from."""
        posts = self.rows.iloc[learned_from]
        found = describe_facts(posts)
        if not found:
            return []
        if not reads_facts(self.model):
            self.callbacks.note(unread_facts_note(self.model, found))
            return []
        for text in too_good(posts):
            self.callbacks.note(text)
        return found

    def in_parts(self, split: Split) -> pd.DataFrame:
        return posts_in_parts(self.rows, split)

    def run(self, contents: RunContents, split: Split) -> Run:
        posts = self.published
        return Run(contents, published_history(posts), AuthorProfiles.of(posts), self.cache)

    def keep_past(self, run: Run, prepared: _Prepared, split: Split, whenever: Predicted) -> None:
        everything = prepared.at(np.arange(len(self.rows)))
        held_out = np.isin(np.arange(len(self.rows)), split.test)
        test = at_any_time(prepared.examples["test"], prepared.pipeline)
        predicted = [whenever]
        if len(test):
            predicted.append(Predicted(test.posts, run.model.predict(test)))
        PastPosts.of(run.model, run.task, everything, held_out, predicted).save(run.folder)


@dataclass
class _Viewings(_RunData[NetworkRun]):
    """Viewings, each an example in the graph of those that are learned from."""

    kind: ClassVar[type[TrainedRun]] = NetworkRun
    tables: ClassVar[tuple[str, ...]] = ("posts", *NETWORK_TABLES)
    fractions: ClassVar[tuple[float, float, float]] = VIEWING_FRACTIONS

    @cached_property
    def network(self) -> ViewingData:
        """The dataset as a graph."""
        return read_network(
            self.dataset,
            self.model.feature_settings,
            cache=self.cache,
            progress=self.callbacks.stage,
        )

    @property
    def rows(self) -> pd.DataFrame:
        return self.network.viewings

    @property
    def notes(self) -> list[str]:
        return self.network.notes

    @property
    def sizes(self) -> dict[str, int]:
        graph = self.network.graph
        return {
            "users": len(graph.users),
            "images": len(graph.images),
            "viewings": graph.viewings.shape[1],
            "with emotion": int(self.network.known.sum()),
            "with comment": int(graph.comment_vectors.present.sum()),
            "connections": graph.connections.shape[1] // 2,
            "memberships": graph.memberships.shape[1],
        }

    def prepare(self, task: Task, split: Split, seed: int) -> _Prepared:
        problems = self.network.problems
        if problems:
            self.callbacks.note(
                f"{len(problems)} pictures could not be read; their images have no vector."
            )

        def at(rows: Rows) -> Examples:
            known = self._known(rows)
            return viewing_examples(self.network, self.model, task, split.train, known)

        examples = {name: at(getattr(split, name)) for name in PARTS}
        pipeline = FeaturePipeline(ENCODED_FEATURES, self.model.feature_settings)
        facts = {
            "unseen": [],
            "estimated_emotions": False,
            "emotions_note": None,
            "captions_note": None,
            "languages": {},
        }
        return _Prepared(examples, pipeline.fit(self.dataset.posts), problems, facts, at)

    def _known(self, rows: Integers) -> Integers:
        """The viewings among ``rows`` whose emotion is known: nothing can be learned from the
        others, and they are not scored."""
        return rows[self.network.known[rows]]

    def in_parts(self, split: Split) -> pd.DataFrame:
        return viewings_in_parts(self.rows, split)

    def run(self, contents: RunContents, split: Split) -> NetworkRun:
        graph = self.network.graph.with_viewings(split.train)
        return NetworkRun(contents, graph, self.network.groups, self.cache)


def _train(
    data: _RunData[TrainedRunT],
    out: Path,
    training: TrainingSettings,
    split: str | Split | None,
) -> TrainedRunT:
    """Make a run in a folder that nobody else writes meanwhile."""
    check_devices_help(training, data.model)
    if machine_number(training) > 0:  # the first machine writes
        return _train_alone(data, out, training, split)
    with only_writer(out):
        remove_all_leftovers(out)
        return _train_alone(data, out, training, split)


def _train_alone(
    data: _RunData[TrainedRunT],
    out: Path,
    training: TrainingSettings,
    split: str | Split | None,
) -> TrainedRunT:
    """Claim the folder, split, fit, calibrate, score and write: the same for every run."""
    model, callbacks = data.model, data.callbacks
    for note in data.notes:
        callbacks.note(note)
    if split is None or isinstance(split, str):
        split = choose_split(data.rows, split, training.seed, data.fractions)
    if data.calibrates_on_folds(split):
        callbacks.note(split.reason)
    else:
        split = calibrated_split(data.rows, split, training.seed, callbacks)
    described = {**data_description(data.dataset, [split], data.tables), **data.sizes}
    plan = plan_of(described, model, model.feature_settings, training, split) | data.choices
    if machine_number(training) == 0:
        claim(out, plan)
    if model.caution:
        callbacks.note(model.caution)

    learned_from = _learned_from(data, split)
    task = model.task.fit(data.rows.iloc[learned_from])
    for note in task.notes:
        callbacks.note(note)
    prepared = data.prepare(task, split, training.seed)
    learned = prepared.at(learned_from)
    trivial = type(model) in data.kind.baselines
    model.fit(
        learned if trivial else prepared.examples["train"],
        prepared.examples["validation"],
        folder=out / TRAINING_FOLDER,
        training=training,
        progress=callbacks.epoch,
    )
    _fit_baselines(data.kind.baselines, model, learned, out)
    if data.calibrates_on_folds(split):
        calibration, whenever = _predicted_on_folds(data, task, prepared, split, training)
        difficulty = calibration
    else:
        held_out = prepared.examples["calibration"]
        difficulty, calibration, whenever = (
            Predicted(part.posts, model.predict(part))
            for part in (
                prepared.examples["validation"],
                held_out,
                at_any_time(held_out, prepared.pipeline),
            )
        )
    intervals = Intervals.fit(task, difficulty, calibration, by_time=split.kind == "time")
    contents = RunContents(
        folder=out,
        model=model,
        pipeline=prepared.pipeline,
        task=task,
        description={
            **plan,
            "caution": model.caution,
            **prepared.facts,
            "calibrated_on_folds": data.calibrates_on_folds(split),
            "environment": environment(),
        },
        parts=data.in_parts(split),
        intervals=intervals,
    )
    run = data.run(contents, split)
    data.keep_past(run, prepared, split, whenever)
    save_calibration(run, calibration)
    finish(run, prepared.examples["test"], prepared.problems, callbacks)
    return run


def check_devices_help(training: TrainingSettings, model: Model | None = None) -> None:
    """Refuse several devices for what is not trained on them.

    Raises
    ------
    SettingsError
        The model is not a network, or, without one, is yet to be chosen.
    """
    if training.processes == 1:
        return
    from evoked.models.neural import NeuralModel  # torch takes long to import

    if not isinstance(model, NeuralModel):
        who = "the model is yet to be chosen" if model is None else f"{model.name} is no network"
        raise SettingsError(
            f"devices and nodes: {who}, and only a network is trained on several devices. Leave "
            "them out, or name a network, such as the model abmf."
        )


def _choose(
    dataset: PostDataset,
    everyone: PostDataset,
    task: type[Task],
    features: FeatureSettings,
    split: Split,
    seed: int,
    estimate: bool,
    cache: FeatureCache | None,
    callbacks: Callbacks,
) -> Choice:
    """The model for a run on these posts; the posts that test it take no part in the choice, nor do
    those that calibrate its intervals where these are many enough for a part of their own."""
    if len(split.train) + len(split.validation) > _MOST_FOR_FOLDS:
        split = with_calibration(dataset.posts, split, seed, fewest_posts(DEFAULT_COVERAGE))
    rows = np.sort(np.concatenate([split.train, split.validation]))
    kind, learnable = kind_of_folds(dataset.posts, split), len(rows)
    if learnable > MOST_TRIED:
        dataset = dataset.select(some_rows(dataset.posts["post_id"], rows, MOST_TRIED, seed))
        rows = np.arange(len(dataset))
    posts = dataset.posts
    content = posts["caption"].notna().any() or posts["images"].str.len().gt(0).any()
    candidates = quick_candidates(task, len(rows), content=bool(content))
    models = [build_model(*each, features, task.name) for each in candidates.values()]
    names = list(dict.fromkeys(name for model in models for name in model.features))
    stage = Callbacks(stage=callbacks.stage)
    data = _Posts(dataset, models[-1], cache, stage, estimate, everyone)
    read = data.read(names, rows, seed)
    choice = choose_model(
        task,
        read.posts.posts,
        lambda chosen, fitted: part_examples(read.posts, chosen, fitted, values_of(read.estimates)),
        candidates,
        features,
        rows=rows,
        kind=kind,
        seed=seed,
        progress=callbacks.stage,
    )
    if len(rows) == learnable:
        return choice
    drawn = f"These {len(rows):,} posts were drawn from the {learnable:,} that are learned from."
    return replace(choice, reason=f"{choice.reason} {drawn}")


def task_for(dataset: PostDataset, task: str | None, callbacks: Callbacks) -> str:
    """The task that is asked for, or that the posts suggest; a note says what was made of posts
    that suggest another than usual."""
    if task is not None:
        return task
    suggested = default_task(dataset.posts)
    if suggested is not DEFAULT_TASK:
        seen = " and ".join(name for name in EXPOSURE if dataset.known(name).any())
        callbacks.note(
            f"The posts report {seen}, but no {', '.join(ENGAGEMENT[:-1])} or {ENGAGEMENT[-1]}: "
            f"what is predicted is {seen} (task {suggested.name})."
        )
    return suggested.name


def calibrated_split(rows: pd.DataFrame, split: Split, seed: int, callbacks: Callbacks) -> Split:
    """A split with a calibration part, where there are enough posts or viewings for one."""
    split = with_calibration(rows, split, seed, fewest_posts(DEFAULT_COVERAGE))
    for note in (split.reason, *calibration_notes(rows, split)):
        callbacks.note(note)
    return split


def part_examples(
    examples: Examples, rows: Rows, task: Task, estimates: NDArray[np.float32] | None = None
) -> Examples:
    """The examples at ``rows`` with targets, as :meth:`evoked.targets.Task.truth` has them.

    A task may compare posts with the others that it is given: given all parts at once, it would let
    the test posts decide how validation posts are labelled.

    Parameters
    ----------
    estimates
        Valence and arousal of all of ``examples``, (n, 2).
    """
    part = examples.select(rows)
    own = None if estimates is None else estimates[rows]
    return replace(part, targets=task.transform(part.posts, own))


class Estimates(NamedTuple):
    """What emotion readers made of captions and covers.

    Attributes
    ----------
    values
        Valence and arousal, (n, 2); NaN where neither could be read, and everywhere if too few
        posts could.
    note
        Of how many posts the emotion is estimated, and from what, in a sentence.
    """

    values: NDArray[np.float32]
    note: str


def values_of(estimates: Estimates | None) -> NDArray[np.float32] | None:
    """The values of estimates, where there are any."""
    return None if estimates is None else estimates.values


def estimate_emotions(
    dataset: PostDataset,
    features: FeatureSettings,
    cache: FeatureCache | None,
    callbacks: Callbacks,
) -> Estimates | None:
    """Valence and arousal read from captions and covers, if any post lacks a rating."""
    unrated = dataset.posts[list(EMOTION_TARGETS)].isna().any(axis=1).to_numpy()
    if not unrated.any():
        return None
    read = read_emotions(
        dataset.posts, dataset.cover_paths(), features, cache=cache, progress=callbacks.stage
    )
    counts, wanted = read.counts(unrated), int(unrated.sum())
    if not enough_read(sum(counts.values()), wanted):
        read.values[:] = np.nan
    return Estimates(read.values, emotions_note(counts, wanted, features.affect_reader))


def _captions(dataset: PostDataset) -> list[str | None]:
    return dataset.posts["caption"].tolist()


def _for_captions(
    dataset: PostDataset,
    model: str | type[Model] | Model,
    settings: dict[str, Any] | None,
    features: FeatureSettings | None,
) -> FeatureSettings | None:
    """The settings of features with what reads the captions; as they are for an instance, which has
    its own, and for models of viewings or with encoders in training."""
    if isinstance(model, Model):
        return features
    built = _built(model, settings, features, None)
    trains_encoder = any(name.endswith(".ids") for name in built.features)
    if built.rows != "posts" or trains_encoder:
        return features
    return for_captions(features, _captions(dataset))


def _built(
    model: str | type[Model] | Model,
    settings: dict[str, Any] | None,
    features: FeatureSettings | None,
    task: str | None,
) -> Model:
    """The model to fit, from its name, its class, or an instance of it.

    Raises
    ------
    SettingsError
        An unknown model or setting, a class whose name another model has, or settings given beside
        an instance.
    """
    if model == "auto":
        raise SettingsError(
            "no model is called 'auto': evoked.train_automatically chooses a model by the posts."
        )
    if isinstance(model, str):
        return build_model(model, settings, features, task)
    _check_name(model if isinstance(model, type) else type(model))
    if isinstance(model, type):
        return build_model(model, settings, features, task)
    given = {"model_settings": settings, "features": features, "task": task}
    beside = [name for name, value in given.items() if value is not None]
    if beside:
        raise SettingsError(
            f"{', '.join(beside)}: a model that is already built has its own. Give them to "
            f"{type(model).__name__}(…), or give the class in place of the instance."
        )
    return model


def _task_of(
    dataset: PostDataset, model: str | type[Model] | Model, task: str | None, callbacks: Callbacks
) -> str | None:
    """The task for a model that is not built yet, None for its first: that is learned unless the
    posts suggest another that it can learn."""
    kind, suggested = (
        MODELS.get(model) if isinstance(model, str) else model,
        default_task(dataset.posts),
    )
    learns_it = isinstance(kind, type) and suggested.name in kind.tasks
    return (
        task_for(dataset, task, callbacks) if learns_it and suggested is not DEFAULT_TASK else task
    )


def _check_name(kind: type[Model]) -> None:
    """Raise SettingsError if a run's folder could not say which class its model is of."""
    name = getattr(kind, "name", None)
    if not isinstance(name, str) or not name:
        raise SettingsError(f"{kind.__name__} needs a name: give the class name = 'my_model'.")
    if name in MODELS and MODELS[name] is not kind:
        raise SettingsError(
            f"{kind.__name__} has the name {name!r}, as one of evoked's own models does: give the "
            "class another one."
        )


def _check_rows(model: Model, rows: Literal["posts", "viewings"]) -> None:
    if model.rows != rows:
        raise SettingsError(
            f"{model.name} learns from {model.rows}, not from {rows}: evoked.train trains both."
        )


def _with_epochs(training: TrainingSettings, epochs: int | None) -> TrainingSettings:
    if epochs is None:
        return training
    try:
        return TrainingSettings.model_validate({**training.model_dump(), "max_epochs": epochs})
    except ValidationError as error:
        problem = settings_problem(error, TrainingSettings.model_fields)
        raise SettingsError(f"epochs: {problem}") from error


def _fit_baselines(
    kinds: Sequence[type[Model]], model: Model, train_examples: Examples, out: Path
) -> None:
    """Fit the trivial models that are scored beside a run's model, and save them in its folder."""
    for kind in kinds:
        trivial = kind(task=model.task.name)
        trivial.fit(train_examples, folder=out / TRAINING_FOLDER)
        trivial.save(out / BASELINES_FOLDER / kind.name)


def _learned_from(data: _RunData[Any], split: Split) -> Rows:
    """What the task, the features and the trivial baselines learn from: training rows, and with
    folds for calibration the validation rows as well."""
    if not data.calibrates_on_folds(split):
        return split.train
    return np.sort(np.concatenate([split.train, split.validation]))


def _predicted_on_folds(
    data: _RunData[Any], task: Task, prepared: _Prepared, split: Split, training: TrainingSettings
) -> tuple[Predicted, Predicted]:
    """What is predicted for the posts that a model learned from, each by one of the same settings
    that was fitted on other folds: as they are, and whenever they appeared."""
    model, rows = data.model, _learned_from(data, split)
    kind = kind_of_folds(data.rows, split)
    parts: list[tuple[Rows, pd.DataFrame, pd.DataFrame]] = []
    for number, fold in enumerate(_folds(data.rows.iloc[rows], kind, training.seed), start=1):
        train, validation, held_out = (
            rows[part] for part in (fold.train, fold.validation, fold.test)
        )
        again = type(model)(model.settings, model.feature_settings, model.task.name)
        trivial = type(model) in data.kind.baselines
        with TemporaryDirectory() as folder:
            again.fit(
                prepared.at(np.sort(np.append(train, validation)) if trivial else train),
                prepared.at(validation),
                folder=Path(folder),
                training=training,
            )
        examples = prepared.at(held_out)
        timeless = at_any_time(examples, prepared.pipeline)
        parts.append((held_out, again.predict(examples), again.predict(timeless)))
        if data.callbacks.stage is not None:
            data.callbacks.stage("calibrating intervals", number, _FOLDS)
    missed = np.concatenate([rows[:0], *(held_out for held_out, *_ in parts)])
    for note in fold_notes(data.rows.iloc[missed], split.kind):
        data.callbacks.note(note)
    posts = data.rows.iloc[missed].reset_index(drop=True)
    none = pd.DataFrame(columns=list(task.columns), dtype=np.float64)
    as_they_are = pd.concat([none, *(each for _, each, _ in parts)], ignore_index=True)
    whenever = pd.concat([none, *(each for _, _, each in parts)], ignore_index=True)
    return Predicted(posts, as_they_are), Predicted(posts, whenever)


def _folds(posts: pd.DataFrame, kind: str, seed: int) -> list[Split]:
    """Folds of posts; fewer where there are few authors or instants, none where one is all."""
    for number in range(_FOLDS, 1, -1):
        try:
            return list(k_fold(posts, number, kind, seed))
        except DataError:
            continue
    return []

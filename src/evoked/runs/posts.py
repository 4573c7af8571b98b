"""A run: posts go in, a trained model comes out as a folder that can be handed on.

::

    my_run/
        README.md             model card
        run.json              data, split, seed, versions: what is needed to repeat the run
        model.json            the model's settings
        weights.safetensors   its weights
        features.json …       the encoders, and what was fitted on the training posts (what each
                              author's posts achieved, authors as hashes, for drafts)
        targets.json          the task: how posts become targets and back
        intervals.json        how far predictions missed on the calibration posts
        metrics.json          scores on the test posts, trivial baselines beside them, and how often
                              the intervals held
        split.parquet         which post was in which part, captions as hashes
        predictions.parquet   of the test posts
        truth.parquet         what the test posts really got, authors as hashes
        baselines/            the trivial baselines, with their predictions of the test posts
        training/             log.csv and the last checkpoint
"""

from __future__ import annotations

import hashlib
import platform
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata as packages
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

import evoked
from evoked.errors import DataError, SettingsError
from evoked.evaluation.collapse import collapse_warnings
from evoked.evaluation.conformal import (
    DEFAULT_COVERAGE,
    NOMINAL_COVERAGES,
    Intervals,
    Predicted,
    fewest_posts,
)
from evoked.evaluation.metrics import modal_relevance_score
from evoked.evaluation.splits import (
    PARTS,
    Rows,
    Split,
    choose_split,
    held_together,
    with_calibration,
)
from evoked.evaluation.tables import evaluate_task
from evoked.features.author_history import author_hashes
from evoked.features.cache import FeatureCache
from evoked.features.catalog import CATALOG, FeatureSettings
from evoked.features.extract import ImageSource, Problem, picture_digest
from evoked.features.pipeline import FeaturePipeline
from evoked.features.table import FeatureTable
from evoked.files import (
    atomic_path,
    check_free,
    plain,
    read_json,
    records,
    write_json,
    write_text,
)
from evoked.models import TRIVIAL_BASELINES, Examples, Model, build_model, load_model
from evoked.models.baselines import AuthorMean, CategoryMean, MeanOfTraining
from evoked.posts.author_hashes import hashes
from evoked.posts.dataset import PostDataset
from evoked.posts.drafts import Draft, as_posts
from evoked.progress import Progress as StageProgress
from evoked.runs.card import authors_of, model_card
from evoked.targets import EMOTION_TARGETS, EmotionEngagement, Task, load_task, task_state
from evoked.training.loop import LAST_CHECKPOINT, EpochRecord, TrainingSettings

RUN_FILE = "run.json"
INTERVALS_FILE = "intervals.json"
# What a post may lack, as notes name it, by the modality of the features that are made of it.
_INPUTS = {
    "image": "a picture",
    "caption": "a caption",
    "hashtags": "hashtags",
    "metadata": "known likes",  # other facts are always there, if only as unknown ones
    "environment": "an author with other posts",
}
# Fewer test posts than this would make scores that say nothing.
_SMALL_TEST = 30


@dataclass
class Progress:
    """What a caller wants to hear of while a run goes on; each is optional."""

    stage: StageProgress | None = None
    epoch: Callable[[EpochRecord], None] | None = None
    note: Callable[[str], None] = field(default=lambda text: None)


@dataclass(frozen=True)
class Evaluation:
    """Scores of a run and of the trivial baselines on the same posts.

    Attributes
    ----------
    table
        Tidy: model, target, metric, value, low, high (95 % bootstrap interval), n.
    predictions
        The run's predictions, one row per post.
    truth
        What the posts really got: see :meth:`evoked.targets.Task.truth`.
    split
        How the posts came to be test posts.
    excluded
        Posts left out because the run had learned from them.
    intervals
        How often the run's prediction intervals held, and how wide they were, by outcome and
        nominal coverage (see :meth:`evoked.evaluation.conformal.Intervals.coverage`); empty for a
        run without.
    warnings
        What is wrong with the predictions, such as that nearly all are of one class.
    """

    table: pd.DataFrame
    predictions: pd.DataFrame
    truth: pd.DataFrame
    split: str
    excluded: int
    intervals: pd.DataFrame
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready scores."""
        rows = self.table.astype(object).where(self.table.notna(), None)
        return {
            "posts": len(self.predictions),
            "excluded": self.excluded,
            "split": self.split,
            "scores": rows.to_dict(orient="records"),
            "intervals": plain(records(self.intervals)),
            "warnings": list(self.warnings),
        }


class TrainedRun(ABC):
    """What runs have in common, whether their rows are posts or viewings of posts.

    Attributes
    ----------
    folder
        Where it is kept.
    model, task, intervals
        What predicts, what is predicted, and how far off that may be; None for runs from before
        there were intervals.
    description
        Contents of run.json.
    parts
        Which row was in which part when the run was made.
    cache
        Where extracted features are kept; None for the user's cache.
    baselines
        Trivial models that stand beside it.
    """

    baselines: ClassVar[tuple[type[Model], ...]]
    # What its rows are, for messages.
    noun: ClassVar[str] = "posts"

    def __init__(
        self,
        folder: Path,
        model: Model,
        task: Task,
        description: dict[str, Any],
        parts: pd.DataFrame,
        cache: FeatureCache | None = None,
        intervals: Intervals | None = None,
    ) -> None:
        self.folder = folder
        self.model = model
        self.task = task
        self.description = description
        self.parts = parts
        self.cache = cache
        self.intervals = intervals

    @abstractmethod
    def identify(self, posts: pd.DataFrame) -> pd.DataFrame:
        """The columns that tell whose prediction a row is, which a table begins with."""

    @abstractmethod
    def save_inputs(self) -> None:
        """Write what leads from posts to examples into the folder."""

    @abstractmethod
    def facts(self, posts: pd.DataFrame) -> dict[str, Any]:
        """Columns that stand beside the truth of test posts in the folder; they name nobody."""

    def anonymised(self, table: pd.DataFrame) -> pd.DataFrame:
        """A table of predictions as it may stand in the folder, which names nobody."""
        return table

    @property
    def estimated(self) -> bool:
        """Whether valence and arousal were learned from an emotion reader's estimates."""
        return bool(self.description.get("estimated_emotions"))

    @property
    def unseen(self) -> list[str]:
        """What the model reads and no training post had: see :func:`unseen_inputs`."""
        # Absent from older runs and from those of viewings.
        return list(self.description.get("unseen", []))

    @property
    def metrics(self) -> dict[str, Any]:
        """The scores that were measured when the run was made."""
        scores: dict[str, Any] = read_json(self.folder / "metrics.json")
        return scores

    def table(
        self,
        examples: Examples,
        problems: Sequence[Problem],
        coverage: float = DEFAULT_COVERAGE,
    ) -> pd.DataFrame:
        """Predictions of examples as :meth:`predict` returns them."""
        return self._described(
            Predicted(examples.posts, self.model.predict(examples)), problems, coverage
        )

    def _described(
        self, predicted: Predicted, problems: Sequence[Problem], coverage: float
    ) -> pd.DataFrame:
        """What the model predicts as people read it, with intervals and problems."""
        if self.intervals is None:
            table = self.task.inverse_transform(predicted.columns, predicted.posts)
        else:
            table = self.intervals.table(self.task, predicted, coverage)
        table = pd.concat([self.identify(predicted.posts), table], axis=1)
        if isinstance(self.task, EmotionEngagement):
            table["emotion_estimated"] = self.estimated
        messages = {problem.post_id: problem.message for problem in problems}
        table["problem"] = [messages.get(name) for name in table["post_id"]]
        return table

    def score(
        self,
        examples: Examples,
        problems: Sequence[Problem],
        baselines: dict[str, pd.DataFrame],
        split: str,
        excluded: int,
    ) -> Evaluation:
        """Scores of examples whose truth is known, ``baselines``' predictions beside the model's;
        ``split`` and ``excluded`` as in :class:`Evaluation`."""
        posts = examples.posts
        predicted = Predicted(posts, self.model.predict(examples))
        predictions = self._described(predicted, problems, DEFAULT_COVERAGE)
        truth = self.task.truth(posts)
        # Posts of one author resemble each other: where authors were held out, authors are drawn.
        groups = held_together(posts, self.description["split"]["kind"])
        tables = []
        for name, restored in {self.model.name: predictions, **baselines}.items():
            scores = evaluate_task(self.task, restored, truth, queries_of(posts), groups=groups)
            scores.insert(0, "model", name)
            tables.append(scores)
        relevance = modal_relevance(self.model, examples)
        if relevance is not None:
            row = {"model": self.model.name, "target": "image and text", "metric": "MRS"}
            tables.append(pd.DataFrame([{**row, **relevance}]))
        covered = (
            pd.DataFrame()
            if self.intervals is None
            else self.intervals.coverage(self.task, predicted, authors=groups)
        )
        return Evaluation(
            pd.concat(tables, ignore_index=True),
            predictions,
            truth,
            split,
            excluded,
            covered,
            self._warnings(predictions, truth),
        )

    def _warnings(self, predictions: pd.DataFrame, truth: pd.DataFrame) -> tuple[str, ...]:
        """What is wrong with predictions; where the model sees nothing of the posts, that alone,
        since no other settings could help."""
        if _sees_nothing(self.model, self.unseen):
            return (unseen_note(self.model, self.unseen),)
        return tuple(collapse_warnings(self.task, predictions, truth))

    def restored(self, model: Model, examples: Examples) -> pd.DataFrame:
        """What a model of the task predicts, as people read it."""
        restored = self.task.inverse_transform(model.predict(examples), examples.posts)
        return pd.concat([self.identify(examples.posts), restored], axis=1)

    def baseline_predictions(self, examples: Examples) -> dict[str, pd.DataFrame]:
        """Predictions that are scored beside the model's, by name: the trivial baselines'."""
        return {
            kind.name: self.restored(load_model(self.folder / "baselines" / kind.name), examples)
            for kind in self.baselines
        }


class Run(TrainedRun):
    """A trained model with everything that leads from posts to its predictions.

    Examples
    --------
    >>> run = evoked.train(evoked.open("my_posts"), out="my_run")        # doctest: +SKIP
    >>> run.predict([evoked.Draft(image="draft.jpg", caption="Hello")])  # doctest: +SKIP
    """

    baselines = TRIVIAL_BASELINES

    def __init__(
        self,
        folder: Path,
        model: Model,
        pipeline: FeaturePipeline,
        task: Task,
        description: dict[str, Any],
        parts: pd.DataFrame,
        cache: FeatureCache | None = None,
        intervals: Intervals | None = None,
    ) -> None:
        super().__init__(folder, model, task, description, parts, cache, intervals)
        self.pipeline = pipeline

    @classmethod
    def load(cls, folder: Path | str, cache: FeatureCache | None = None) -> Run:
        """Load a run's folder; nothing in it is executed.

        Raises
        ------
        DataError
            The folder holds no finished run.
        """
        folder = Path(folder)
        stored = load_parts(folder)
        if stored.model.rows == "viewings":
            raise DataError(
                f"a run of viewings ({stored.model.name}); this is made for runs of posts.",
                file=folder,
                fix="'evoked evaluate', 'predict', 'explain' and 'audience' take it, and "
                "evoked.runs.viewings.load_run in Python.",
            )
        return cls(
            folder,
            stored.model,
            FeaturePipeline.load(folder),
            stored.task,
            stored.description,
            stored.parts,
            cache,
            stored.intervals,
        )

    def identify(self, posts: pd.DataFrame) -> pd.DataFrame:
        return posts[["post_id"]].reset_index(drop=True)

    def save_inputs(self) -> None:
        self.pipeline.save(self.folder)

    def facts(self, posts: pd.DataFrame) -> dict[str, Any]:
        return {"category": queries_of(posts), "author": author_hashes(posts)}

    @property
    def training_categories(self) -> list[str]:
        """Categories of the training posts, sorted."""
        return sorted(self._training_groups(CategoryMean))

    def knows_category(self, category: str) -> bool:
        """Whether a training post is of a category, however its letters are capitalised."""
        known = {each.strip().casefold() for each in self.training_categories}
        return category.strip().casefold() in known

    def knows_author(self, author: str) -> bool:
        """Whether a training post is by an author."""
        return hashes(pd.Series([author]))[0] in self._training_groups(AuthorMean)

    def _training_groups(self, kind: type[MeanOfTraining]) -> Collection[str]:
        """What the training posts are grouped by in a trivial baseline."""
        baseline = load_model(self.folder / "baselines" / kind.name)
        assert isinstance(baseline, MeanOfTraining)
        return baseline.group_means.keys()

    def part_of(self, posts: pd.DataFrame) -> pd.Series:
        """The part that each of n posts had when the run was made; missing for new posts.

        A post is the run's own if its id is and its date or its caption is the same as well: ids
        alone don't tell, since many files number their posts from one.
        """
        own = posts[["post_id"]].merge(self.parts, on="post_id", how="left")
        same_date = own["posted_at"].to_numpy() == posts["posted_at"].to_numpy()
        same_caption = own["caption"].to_numpy() == _caption_hashes(posts)
        return own["part"].where(same_date | same_caption)

    def examples(
        self,
        posts: pd.DataFrame,
        images: Sequence[ImageSource],
        progress: Progress | None = None,
    ) -> tuple[Examples, list[Problem]]:
        """Features of posts as the model reads them, the authors' earlier posts included."""
        features, problems = self.pipeline.transform(
            posts,
            images,
            cache=self.cache,
            progress=None if progress is None else progress.stage,
        )
        return Examples(posts, features), problems

    def predict(
        self,
        posts: PostDataset | Sequence[Draft],
        progress: Progress | None = None,
        coverage: float = DEFAULT_COVERAGE,
    ) -> pd.DataFrame:
        """Predict what posts evoke.

        Parameters
        ----------
        posts
            A dataset, or drafts.
        progress
            Whom to tell how far it is.
        coverage
            How often the intervals are to hold the truth, between 0 and 1.

        Returns
        -------
        DataFrame
            A row per post: post_id, what the task predicts (see its ``inverse_transform``: valence,
            arousal, rates and counts with :class:`evoked.targets.EmotionEngagement`) with intervals
            (``likes_low``, ``likes_high``; of classes ``level_set``: see
            :meth:`evoked.evaluation.conformal.Intervals.table`), where it predicts
            emotion ``emotion_estimated``: whether that was learned from estimates, and
            ``problem``: what could not be read.
        """
        if isinstance(posts, PostDataset):
            examples, problems = self.examples(posts.posts, posts.cover_paths(), progress)
        else:
            examples, problems = self.examples(*as_posts(posts), progress)
        if progress is not None and self._shows_unseen(examples):
            progress.note(unseen_note(self.model, self.unseen))
        return self.table(examples, problems, coverage)

    def _shows_unseen(self, examples: Examples) -> bool:
        """Whether a post has what the model reads and no training post had."""
        return not set(self.unseen) <= set(unseen_inputs(self.model, examples.features))

    def evaluate(self, dataset: PostDataset, progress: Progress | None = None) -> Evaluation:
        """Score the run on posts that it has not learned from, beside the trivial baselines.

        Raises
        ------
        DataError
            The run has learned from all of the posts.
        """
        part = self.part_of(dataset.posts)
        fresh = (part.isna() | (part == "test")).to_numpy()
        if not fresh.any():
            raise DataError(
                f"the run has learned from all {len(dataset)} posts.",
                file=dataset.folder,
                fix="Evaluate on other posts.",
            )
        # All posts together, so that each sees what its author's earlier posts achieved.
        everything, problems = self.examples(dataset.posts, dataset.cover_paths(), progress)
        examples = everything.select(np.flatnonzero(fresh))
        own = part[fresh].notna().all()
        split = self.description["split"]["reason"] if own else "posts new to the run"
        baselines = self.baseline_predictions(examples)
        return self.score(examples, problems, baselines, split, int((~fresh).sum()))


def train(
    dataset: PostDataset,
    model: str = "abmf",
    out: Path | str = "run",
    *,
    task: str | None = None,
    model_settings: dict[str, Any] | None = None,
    features: FeatureSettings | None = None,
    training: TrainingSettings | None = None,
    split: str | Split | None = None,
    estimate: bool = True,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
) -> Run:
    """Train a model on posts, score it on held-out ones, and save it all.

    Started again with the same arguments after an interruption, it goes on where it stopped.

    Parameters
    ----------
    dataset
        The posts.
    model
        A name that ``evoked models`` prints.
    out
        Folder of the run.
    task
        What to predict, of those that ``evoked models`` prints beside the model; its first one by
        default.
    model_settings
        Settings of the model by name; the others keep their defaults.
    features, training
        Encoders, and how to train.
    split
        ``random``, ``author``, ``time``, ``column``, or a split made by hand; by default the one
        that fits the posts, with its reason in ``run.description``.
    estimate
        Let the emotion reader estimate valence and arousal of posts that nobody rated.
    cache
        Where extracted features are kept; the user's cache folder by default.
    progress
        Whom to tell how far it is.

    Raises
    ------
    DataError
        Too few posts, or none with a target.
    SettingsError
        An unknown model or setting, or ``out`` holds another run.
    """
    progress = progress or Progress()
    features = features or FeatureSettings()
    out = Path(out)
    built = build_model(model, model_settings, features, task)
    training = training or built.default_training
    posts = dataset.posts
    if built.rows != "posts":
        raise SettingsError(
            f"{built.name} learns from {built.rows}, not from posts: use evoked.train or "
            "evoked.runs.viewings.train_network."
        )
    if split is None or isinstance(split, str):
        split = choose_split(posts, split, training.seed)
    split = calibrated_split(posts, split, training.seed, progress)
    plan = plan_of(data_description(dataset, [split]), built, features, training, split)
    plan["estimate"] = estimate
    claim(out, plan)
    if built.caution:
        progress.note(built.caution)

    train_posts = posts.iloc[split.train]
    fitted_task = built.task.fit(train_posts)
    covers = dataset.cover_paths()
    pipeline = FeaturePipeline(built.features, features).fit(
        train_posts,
        training.seed,
        images=[covers[row] for row in split.train],
        cache=cache,
        progress=progress.stage,
    )
    for note in pipeline.notes:
        progress.note(note)
    table, problems = pipeline.transform(posts, covers, cache=cache, progress=progress.stage)
    if problems:
        progress.note(
            f"{len(problems)} pictures could not be read; their posts count as imageless."
        )
    unseen = unseen_inputs(built, table.select(split.train))
    if unseen:
        progress.note(unseen_note(built, unseen))
    reads_emotion = estimate and built.task is EmotionEngagement
    estimates = estimate_emotions(dataset, features, cache, progress) if reads_emotion else None
    parts = {
        name: part_examples(Examples(posts, table), getattr(split, name), fitted_task, estimates)
        for name in PARTS
    }
    assert parts["train"].targets is not None
    guessed = bool(parts["train"].targets.estimated.any())
    if guessed:
        progress.note("Valence and arousal of unrated posts are estimated by the emotion reader.")

    built.fit(
        parts["train"],
        parts["validation"],
        folder=out / "training",
        training=training,
        progress=progress.epoch,
    )
    fit_baselines(Run.baselines, built, parts["train"], out)
    run = Run(
        out,
        built,
        pipeline,
        fitted_task,
        {
            **plan,
            "caution": built.caution,
            "unseen": unseen,
            "estimated_emotions": guessed,
            "environment": environment(),
        },
        _parts(posts, split),
        cache,
        fit_intervals(fitted_task, built, parts),
    )
    finish(run, parts["test"], problems, progress)
    return run


class StoredRun(NamedTuple):
    """What the folder of any run holds."""

    model: Model
    task: Task
    description: dict[str, Any]
    parts: pd.DataFrame
    intervals: Intervals | None


def load_parts(folder: Path) -> StoredRun:
    """Read what every run's folder holds; nothing in it is executed.

    Raises
    ------
    DataError
        The folder holds no finished run.
    """
    if not (folder / RUN_FILE).is_file():
        raise DataError(
            "not a finished run: there is no run.json in it.",
            file=folder,
            fix="Make one with 'evoked train', or start the same command again to finish it.",
        )
    return StoredRun(
        load_model(folder),
        load_task(read_json(folder / "targets.json")),
        read_json(folder / RUN_FILE),
        pd.read_parquet(folder / "split.parquet"),
        _load_intervals(folder),
    )


def calibrated_split(posts: pd.DataFrame, split: Split, seed: int, progress: Progress) -> Split:
    """A split with a calibration part, where there are enough posts or viewings for one."""
    split = with_calibration(posts, split, seed, fewest_posts(DEFAULT_COVERAGE))
    progress.note(split.reason)
    if not len(split.calibration):
        progress.note(
            f"Too few validation rows ({len(split.validation)}) to calibrate intervals on half of "
            "them: every interval is the whole range."
        )
    elif split.kind == "author":
        authors = posts["author_id"].iloc[split.calibration].nunique()
        # A new author is to those that calibrate what a new post is to posts.
        if authors < fewest_posts(max(NOMINAL_COVERAGES)):
            progress.note(
                f"The posts that calibrate intervals are by {authors_of(authors)} only: for posts "
                "by others, intervals may hold less often than they promise."
            )
    return split


def unseen_inputs(model: Model, features: FeatureTable) -> list[str]:
    """Modalities that a model of posts reads and none of the posts has."""
    columns = {name: features.columns[name] for name in model.features}
    seen = {CATALOG[name].modality for name, column in columns.items() if column.present.any()}
    return sorted(_modalities(model) - seen)


def unseen_note(model: Model, unseen: Sequence[str]) -> str:
    """What a person should know of a model whose training posts had none of ``unseen``."""
    *others, last = (_INPUTS[modality] for modality in unseen)
    lacking = f"{', '.join(others)} or {last}" if others else last
    told = f"None of the posts learned from has {lacking}"
    if _sees_nothing(model, unseen):
        return f"{told}, which is all that {model.name} reads: it can't tell posts apart."
    return f"{told}, so {model.name} has not learned what that tells of a post."


def _sees_nothing(model: Model, unseen: Sequence[str]) -> bool:
    """Whether all that a model reads is ``unseen``; a model that reads no features needs none."""
    return bool(unseen) and set(unseen) >= _modalities(model)


def _modalities(model: Model) -> set[str]:
    return {CATALOG[name].modality for name in model.features}


def part_examples(
    examples: Examples, rows: Rows, task: Task, estimates: NDArray[np.float32] | None = None
) -> Examples:
    """The examples at ``rows`` with targets, as :meth:`evoked.targets.Task.truth` has them.

    A task may hold posts against those that it is given together with them: given all parts at
    once, it would let the test posts decide what validation posts are labelled as.

    Parameters
    ----------
    estimates
        Valence and arousal of all of ``examples``, (n, 2).
    """
    part = examples.select(rows)
    own = None if estimates is None else estimates[rows]
    return replace(part, targets=task.transform(part.posts, own))


def fit_baselines(
    kinds: Sequence[type[Model]], model: Model, train: Examples, folder: Path
) -> None:
    """Fit the trivial models that stand beside a run's model, and save them in its folder."""
    for kind in kinds:
        trivial = kind(task=model.task.name)
        trivial.fit(train, folder=folder / "training")
        trivial.save(folder / "baselines" / kind.name)


def fit_intervals(task: Task, model: Model, parts: dict[str, Examples]) -> Intervals:
    """Learn from the validation and calibration parts how far a fitted model misses."""
    difficulty, calibration = (
        Predicted(parts[name].posts, model.predict(parts[name]))
        for name in ("validation", "calibration")
    )
    return Intervals.fit(task, difficulty, calibration)


def queries_of(posts: pd.DataFrame) -> pd.Series | None:
    """Category of each post, the queries of MAP and NDCG; None where no post has one."""
    known = "category" in posts and posts["category"].notna().any()
    return posts["category"].fillna("none") if known else None


def modal_relevance(model: Model, examples: Examples) -> dict[str, float] | None:
    """Modal Relevance Score (ABMF Table 5) of the posts that have both modalities: value and n;
    None for models without a space that image and text share."""
    vectors = model.modal_vectors(examples)
    if vectors is None:
        return None
    content = [
        examples.features.columns[name].present
        for name in model.features
        if name != "image.objects" and CATALOG[name].modality in ("image", "caption")
    ]
    whole = np.logical_and.reduce(content)
    score = modal_relevance_score(vectors[whole, 0], vectors[whole, 1])
    return {"value": float(score), "n": int(whole.sum())}


def plan_of(
    data: dict[str, Any],
    model: Model,
    features: FeatureSettings,
    training: TrainingSettings,
    split: Split,
) -> dict[str, Any]:
    """What decides what a run becomes; two runs with equal plans are the same run."""
    return {
        "data": data,
        "model": {"name": model.name, "settings": model.settings.model_dump(mode="json")},
        "task": model.task.name,
        "features": features.model_dump(mode="json"),
        "training": training.model_dump(mode="json"),
        "split": {
            "kind": split.kind,
            "reason": split.reason,
            **{name: len(getattr(split, name)) for name in PARTS},
        },
    }


def data_description(
    dataset: PostDataset, splits: Sequence[Split], tables: Sequence[str] = ("posts",)
) -> dict[str, Any]:
    """Which posts a run or study is made of; the digest covers posts, cover pictures, parts and
    those of ``tables`` that the dataset has."""
    content = hashlib.sha256("\n".join(dataset.posts["post_id"]).encode())
    for name in dataset.tables:
        if name in tables:
            with (dataset.folder / f"{name}.parquet").open("rb") as stream:
                content.update(hashlib.file_digest(stream, "sha256").digest())
    for digest in map(picture_digest, dataset.cover_paths()):
        content.update(digest if isinstance(digest, bytes) else b"|")
    for split in splits:
        for rows in (split.train, split.validation, split.test):
            content.update(np.ascontiguousarray(rows, dtype=np.int64).tobytes() + b"|")
    return {
        "name": dataset.folder.resolve().name,
        "sha256": content.hexdigest(),
        "provenance": dataset.description.get("provenance", {}),
        **dataset.describe(),
    }


def claim(out: Path, plan: dict[str, Any]) -> None:
    """Make ``out`` this run's folder, or go on with it if it already is."""
    path = out / "training" / "plan.json"
    # A run that failed before its first epoch (an encoder's name mistyped, say) bars nobody.
    begun = (out / RUN_FILE).is_file() or (path.parent / LAST_CHECKPOINT).is_file()
    if begun and path.is_file() and read_json(path) != plan:
        raise SettingsError(
            f"{out} holds another run (other posts, settings or split). Choose another folder, or "
            "remove that one."
        )
    check_free(out, str(path.relative_to(out)), "a run")
    write_json(path, plan)


def estimate_emotions(
    dataset: PostDataset, features: FeatureSettings, cache: FeatureCache | None, progress: Progress
) -> NDArray[np.float32] | None:
    """Valence and arousal read from the captions, (n, 2), if any post lacks a rating."""
    if dataset.known("valence").all() and dataset.known("arousal").all():
        return None
    reader = FeaturePipeline(["affect.text"], features).fit(dataset.posts)
    table, _ = reader.transform(
        dataset.posts, [None] * len(dataset), cache=cache, progress=progress.stage
    )
    column = table.columns["affect.text"]
    read = column.take(np.arange(len(dataset)), None)[""].numpy()[:, : len(EMOTION_TARGETS)]
    return np.where(column.present[:, None], read, np.nan).astype(np.float32)


def _parts(posts: pd.DataFrame, split: Split) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "post_id": posts["post_id"],
            "part": split.part_names(len(posts)),
            "posted_at": posts["posted_at"],
            "caption": _caption_hashes(posts),
        }
    )


def _caption_hashes(posts: pd.DataFrame) -> NDArray[np.object_]:
    captions = posts["caption"].fillna("")
    return np.array(
        [hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16] for text in captions],
        dtype=object,
    )


def environment() -> dict[str, Any]:
    """Versions and hardware that numbers depend on."""
    libraries = ("torch", "transformers", "lightning", "numpy", "pandas", "scikit-learn")
    return {
        "evoked": evoked.__version__,
        "python": platform.python_version(),
        **{name: packages.version(name) for name in libraries},
        "platform": platform.platform(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def finish(
    run: TrainedRun,
    test: Examples,
    problems: Sequence[Problem],
    progress: Progress,
) -> None:
    """Write the run's folder; run.json comes last, so a folder that has it is whole."""
    out = run.folder
    run.model.save(out)
    run.save_inputs()
    write_json(out / "targets.json", task_state(run.task))
    assert run.intervals is not None
    write_json(out / INTERVALS_FILE, run.intervals.to_dict())
    _write_parquet(out / "split.parquet", run.parts)
    if len(test):
        baselines = run.baseline_predictions(test)
        reason = run.description["split"]["reason"]
        evaluation = run.score(test, problems, baselines, reason, excluded=0)
        if len(test) < _SMALL_TEST:
            progress.note(f"Only {len(test)} {run.noun} were held out: their scores say little.")
        for warning in evaluation.warnings:
            progress.note(warning)
        _write_parquet(out / "predictions.parquet", run.anonymised(evaluation.predictions))
        _write_parquet(out / "truth.parquet", evaluation.truth.assign(**run.facts(test.posts)))
        for name, predicted in baselines.items():
            path = out / "baselines" / name / "predictions.parquet"
            _write_parquet(path, run.anonymised(predicted))
        write_json(out / "metrics.json", evaluation.to_dict())
    else:
        write_json(out / "metrics.json", {"posts": 0, "scores": [], "intervals": []})
    write_text(out / "README.md", model_card(run.description, run.metrics))
    write_json(out / RUN_FILE, run.description)


def _load_intervals(folder: Path) -> Intervals | None:
    path = folder / INTERVALS_FILE
    return Intervals.from_dict(read_json(path), path) if path.is_file() else None


def _write_parquet(path: Path, table: pd.DataFrame) -> None:
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)

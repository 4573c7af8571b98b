"""What runs of posts and runs of viewings have in common: what they hold, and how they score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd

from evoked.errors import DataError, EvokedError
from evoked.evaluation.classification import accuracy, weighted_f1, weighted_precision
from evoked.evaluation.collapse import collapse_warnings
from evoked.evaluation.conformal import DEFAULT_COVERAGE, Intervals, Predicted
from evoked.evaluation.metrics import modal_relevance_score, roc_auc
from evoked.evaluation.splits import held_together
from evoked.evaluation.tables import evaluate_task
from evoked.features.cache import FeatureCache
from evoked.features.catalog import CATALOG
from evoked.features.extract import Problem
from evoked.features.pipeline import FeaturePipeline
from evoked.files import damage, plain, records
from evoked.models import Examples, Model, load_model
from evoked.models.viewings import pairs_that_never_met
from evoked.parquet import read_frame
from evoked.posts.columns import looked_up
from evoked.posts.schema import MIKELS
from evoked.progress import Progress
from evoked.runs.answer import Quantity, RecentCounts, add_answers, columns_to_widen
from evoked.runs.description import TRAIN_AGAIN, read_metrics
from evoked.runs.drafts import ASSUMED, DOUBT
from evoked.runs.notes import sees_nothing, unseen_note
from evoked.runs.track_record import TrackRecord
from evoked.targets import EMOTION_TARGETS, Task
from evoked.targets.emotion import emotion_classes
from evoked.training.records import EpochRecord

if TYPE_CHECKING:
    from evoked.posts.columns import Posts

BASELINES_FOLDER = "baselines"
METRICS_FILE = "metrics.json"
# What is scored of viewings and random pairs together.
PAIRS = "emotion or none"
EXISTENCE = "viewing or none"
PREDICTIONS_FILE = "predictions.parquet"
TRUTH_FILE = "truth.parquet"
_TESTED_FILES = (METRICS_FILE, PREDICTIONS_FILE, TRUTH_FILE)


@dataclass
class Callbacks:
    """Callbacks that report progress while a run is made or used; each is optional.

    Attributes
    ----------
    stage
        Called with what is being done, how much of it is done, and how much there is.
    epoch
        Called after every epoch of a network's training.
    note
        Called with a sentence that a person should read.
    """

    stage: Progress | None = None
    epoch: Callable[[EpochRecord], None] | None = None
    note: Callable[[str], None] = field(default=lambda text: None)


@dataclass(frozen=True, repr=False)
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
        Number of posts left out because the run had learned from them.
    intervals
        How often the run's prediction intervals held, and how wide they were, by outcome and
        nominal coverage: see :meth:`evoked.evaluation.conformal.Intervals.coverage`.
    warnings
        What is wrong with the predictions, for example that nearly all are of one class.
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

    def __repr__(self) -> str:
        models = list(dict.fromkeys(self.table["model"]))
        return (
            f"Evaluation(models={models}, posts={len(self.predictions)}, "
            f"excluded={self.excluded}, split={self.split!r}, warnings={len(self.warnings)})"
        )


@dataclass(frozen=True)
class RunContents:
    """What every run is made of.

    Attributes
    ----------
    folder
        Where the run is kept.
    model
        What predicts.
    pipeline
        What leads from posts to the features that the model reads.
    task
        What is predicted, fitted on the training posts.
    description
        Contents of run.json.
    parts
        Which row was in which part when the run was made.
    intervals
        How far predictions missed on the calibration posts.
    """

    folder: Path
    model: Model
    pipeline: FeaturePipeline
    task: Task
    description: dict[str, Any]
    parts: pd.DataFrame
    intervals: Intervals


class TrainedRun(ABC):
    """What runs have in common, whether their rows are posts or viewings of posts.

    Attributes
    ----------
    folder, model, pipeline, task, description, parts, intervals
        See :class:`RunContents`.
    cache
        Where extracted features are kept; None for the user's cache.
    baselines
        Trivial models that are scored beside the run's model.
    noun
        What the rows are.
    """

    baselines: ClassVar[tuple[type[Model], ...]]
    noun: ClassVar[Literal["posts", "viewings"]]

    def __init__(self, contents: RunContents, cache: FeatureCache | None = None) -> None:
        self.folder = contents.folder
        self.model = contents.model
        self.pipeline = contents.pipeline
        self.task = contents.task
        self.description = contents.description
        self.parts = contents.parts
        self.intervals = contents.intervals
        self.cache = cache
        self._record: tuple[tuple[int, ...], TrackRecord] | None = None

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({str(self.folder)!r}, model={self.model!r}, "
            f"task={self.task.name!r}, {self.noun}={len(self.parts)})"
        )

    @abstractmethod
    def identify(self, posts: pd.DataFrame) -> pd.DataFrame:
        """The columns that say which post or viewing a row is; a table of predictions begins with
        them."""

    @abstractmethod
    def facts(self, posts: pd.DataFrame) -> dict[str, Any]:
        """Columns that stand beside the truth of test posts in the folder; they name nobody."""

    def save_inputs(self) -> None:
        """Write what leads from posts to examples into the folder."""
        self.pipeline.save(self.folder)

    def anonymised(self, table: pd.DataFrame) -> pd.DataFrame:
        """A table of predictions as the folder may hold it, which names nobody."""
        return table

    @property
    def estimated(self) -> bool:
        """Whether valence and arousal were learned from an emotion reader's estimates."""
        return bool(self.description["estimated_emotions"])

    @property
    def unseen(self) -> list[str]:
        """What the model reads and no training post had: see
        :func:`evoked.runs.notes.unseen_inputs`."""
        return list(self.description["unseen"])

    @property
    def metrics(self) -> dict[str, Any]:
        """The scores that were measured when the run was made."""
        return read_metrics(self.folder / METRICS_FILE)

    @property
    def tested(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """What was predicted of the test posts, and what they really got, row by row.

        Raises
        ------
        DataError
            A file is missing or damaged, or the two don't go together.
        """
        files = [self.folder / name for name in (PREDICTIONS_FILE, TRUTH_FILE)]
        predictions, truth = (read_frame(file) for file in files)
        if len(predictions) != len(truth):
            raise DataError(
                f"{len(truth)} rows; there are {len(predictions)} predictions.", file=files[1]
            )
        for outcome in self.task.outcomes:
            for file, table in zip(files, (predictions, truth), strict=True):
                if outcome.name not in table or outcome.kind != "value":
                    continue
                if not pd.api.types.is_numeric_dtype(table[outcome.name]):
                    raise DataError("expected numbers.", file=file, field=outcome.name)
        return predictions, truth

    @abstractmethod
    def predict_nothing(self) -> None:
        """Predict a post that shows and says nothing, which any whole run can."""

    @contextmanager
    def checked(self) -> Iterator[None]:
        """Find out, when the block fails, whether that is the fault of the run's folder.

        Raises
        ------
        DataError
            The block raised an error that no input should lead to, and so does a post that shows
            and says nothing: the folder is damaged, or was made to be.
        """
        try:
            yield
        except (EvokedError, MemoryError):
            raise
        except Exception as error:
            try:
                self.predict_nothing()
                self.tested  # noqa: B018 (read for its errors)
            except DataError:
                raise
            except Exception:
                with damage(self.folder, "a whole run", f"{TRAIN_AGAIN}."):
                    raise
            raise error

    def table(
        self,
        examples: Examples,
        problems: Sequence[Problem],
        coverage: float = DEFAULT_COVERAGE,
        about: Quantity | None = None,
    ) -> pd.DataFrame:
        """Predictions of examples as :meth:`predict` returns them; the sentence is ``about`` one
        of the numbers, the first by default."""
        posts = looked_up(examples.posts)
        restored = posts if self.task.restores_columns() else examples.posts
        predicted = Predicted(restored, self.model.predict(examples))
        record = self.track_record
        widened = columns_to_widen(self.task, record, coverage)
        table = self.intervals.table(self.task, predicted, coverage, widened=widened)
        return add_answers(
            self.task,
            self.described(table, examples.posts, problems),
            record,
            coverage,
            self.recent_counts(posts),
            unbounded=self.intervals.unbounded(self.task, coverage),
            whose=self.whose,
            about=about,
        )

    def calibrate_on_tests(self, test: Examples) -> None:
        """Let test posts, once they are scored, calibrate the intervals of drafts."""
        if len(test):
            predicted = Predicted(test.posts, self.model.predict(test))
            self.intervals = self.intervals.with_tested(self.task, predicted)

    @property
    def unrated_emotions(self) -> list[str]:
        """Which of valence and arousal the task predicts although nobody rated any post's."""
        data = self.description["data"]
        names = EMOTION_TARGETS if self.task.learns_emotion else ()
        return [name for name in names if not data[f"with {name}"]]

    @property
    def track_record(self) -> TrackRecord:
        """What the test posts showed of the run; read again when its files have changed."""
        written = tuple(map(_written, (self.folder / name for name in _TESTED_FILES)))
        if self._record is None or self._record[0] != written:
            self._record = written, TrackRecord(self.folder, self.metrics["intervals"])
        return self._record[1]

    @property
    def whose(self) -> str:
        """Whose last posts a prediction is held against, in words."""
        return "your" if self.description["data"]["authors"] == 1 else "the author's"

    def recent_counts(self, posts: Posts) -> RecentCounts:
        """Counts of the last posts of each post's author: see
        :data:`evoked.runs.answer.RecentCounts`."""
        return {}

    def influence(self, test: Examples) -> list[dict[str, Any]]:
        """What hiding parts of the test posts changes: see
        :func:`evoked.runs.influence.influence_of`."""
        return []

    def described(
        self, table: pd.DataFrame, posts: pd.DataFrame, problems: Sequence[Problem]
    ) -> pd.DataFrame:
        """What :meth:`evoked.evaluation.conformal.Intervals.table` gives, with what identifies the
        posts, and problems."""
        table = pd.concat([self.identify(posts), table], axis=1)
        if self.task.learns_emotion:
            table["emotion_estimated"] = self.estimated
        messages = {each.post_id: each.message for each in problems}
        unread = [messages.get(name) for name in table["post_id"]]
        doubts = posts[DOUBT] if DOUBT in posts else [None] * len(posts)
        table["problem"] = [
            " ".join(filter(None, pair)) or None for pair in zip(unread, doubts, strict=True)
        ]
        if ASSUMED in posts:
            table[ASSUMED] = posts[ASSUMED].set_axis(table.index)
        return table

    def score(
        self,
        examples: Examples,
        problems: Sequence[Problem],
        baselines: dict[str, pd.DataFrame],
        split: str,
        excluded: int,
    ) -> Evaluation:
        """Scores of examples whose truth is known, the baselines' scores beside the model's.

        Parameters
        ----------
        examples, problems
            The posts, and their pictures that could not be read.
        baselines
            The baselines' predictions of the same examples, by name.
        split, excluded
            As in :class:`Evaluation`.
        """
        posts = examples.posts
        predicted = Predicted(posts, self.model.predict(examples))
        restored = self.intervals.table(self.task, predicted, DEFAULT_COVERAGE, in_turn=True)
        predictions = self.described(restored, posts, problems)
        truth = self.task.truth(posts)
        # Posts of one author resemble each other: where authors were held out, authors are drawn.
        groups = held_together(posts, self.description["split"]["kind"])
        tables = [self.scored(predictions, truth, baselines, queries_of(posts), groups)]
        pairs = pair_scores(self.model, examples)
        tables.append(pd.DataFrame([{"model": self.model.name, **row} for row in pairs]))
        relevance = modal_relevance(self.model, examples)
        if relevance is not None:
            row = {"model": self.model.name, "target": "image and text", "metric": "MRS"}
            tables.append(pd.DataFrame([{**row, **relevance}]))
        return Evaluation(
            table=pd.concat(tables, ignore_index=True),
            predictions=predictions,
            truth=truth,
            split=split,
            excluded=excluded,
            intervals=self.intervals.coverage(self.task, predicted, authors=groups),
            warnings=self.warnings_of(predictions, truth, baselines),
        )

    def scored(
        self,
        predictions: pd.DataFrame,
        truth: pd.DataFrame,
        baselines: dict[str, pd.DataFrame],
        categories: pd.Series | None,
        groups: pd.Series | None,
    ) -> pd.DataFrame:
        """Scores of predictions of n posts, the baselines' beside the model's, as
        :attr:`Evaluation.table` has them.

        Parameters
        ----------
        predictions, truth, baselines
            Tables of n rows.
        categories, groups
            As :func:`evoked.evaluation.tables.evaluate_task` takes them, (n,).
        """
        tables = []
        for name, table in {self.model.name: predictions, **baselines}.items():
            scores = evaluate_task(self.task, table, truth, categories, groups=groups)
            scores.insert(0, "model", name)
            tables.append(scores)
        return pd.concat(tables, ignore_index=True)

    def warnings_of(
        self,
        predictions: pd.DataFrame,
        truth: pd.DataFrame,
        baselines: dict[str, pd.DataFrame],
    ) -> tuple[str, ...]:
        """What is wrong with predictions; where the model sees nothing of the posts, that alone,
        since no other settings could help.

        Parameters
        ----------
        predictions
            What the model predicts of n posts, as people read it.
        truth
            What came of them, with the same outcomes.
        baselines
            What the trivial baselines predict of them, by name.

        Returns
        -------
        tuple of str
            A sentence each; empty where nothing is wrong.
        """
        if sees_nothing(self.model, self.unseen):
            return (unseen_note(self.model, self.unseen),)
        return tuple(collapse_warnings(self.task, predictions, truth))

    def restored(self, model: Model, examples: Examples) -> pd.DataFrame:
        """What a model of the task predicts, as people read it."""
        restored = self.task.inverse_transform(model.predict(examples), examples.posts)
        return pd.concat([self.identify(examples.posts), restored], axis=1)

    def baseline(self, kind: type[Model]) -> Model:
        """One of the trivial baselines, as fitted on the run's training posts."""
        return load_model(self.folder / BASELINES_FOLDER / kind.name, kind)

    def baseline_predictions(self, examples: Examples) -> dict[str, pd.DataFrame]:
        """Predictions that are scored beside the model's, by name: those of the trivial
        baselines."""
        return {kind.name: self.restored(self.baseline(kind), examples) for kind in self.baselines}


def _written(file: Path) -> int:
    """When a file was written, in nanoseconds since 1970; 0 if there is none."""
    return file.stat().st_mtime_ns if file.is_file() else 0


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
    present = {name: examples.features.columns[name].present for name in model.features}
    # One of several texts is enough: few posts have both a title and a caption.
    seen, read = (
        np.logical_or.reduce(
            [
                each
                for name, each in present.items()
                if name != "image.objects" and CATALOG[name].modality == modality
            ]
        )
        for modality in ("image", "caption")
    )
    whole = seen & read
    score = modal_relevance_score(vectors[whole, 0], vectors[whole, 1])
    return {"value": float(score), "n": int(whole.sum())}


def pair_scores(model: Model, examples: Examples) -> list[dict[str, Any]]:
    """Scores of viewings and of about as many pairs that never met (HMG-Emo, Table V), each a
    target, metric, value and n; none of a model that learned nothing of such pairs.

    Of the emotions and *none* as one more class, and of whether user and image met at all.
    """
    found = model.pair_probabilities(examples)
    if found is None:
        return []
    pairs = model.pair_probabilities(pairs_that_never_met(examples))
    assert pairs is not None
    none = len(MIKELS)
    felt = emotion_classes(examples.posts["emotion"])
    known = np.concatenate([felt >= 0, np.ones(len(pairs), dtype=bool)])
    truth = np.concatenate([felt, np.full(len(pairs), none)])[known]
    probabilities = np.concatenate([found, pairs])
    guess = probabilities[known].argmax(axis=1)
    met = np.repeat([1.0, 0.0], [len(found), len(pairs)])
    scores = {
        (PAIRS, "weighted F1"): weighted_f1(truth, guess),
        (PAIRS, "weighted precision"): weighted_precision(truth, guess),
        (PAIRS, "accuracy"): accuracy(truth, guess),
        (PAIRS, "swapped F1"): weighted_f1(guess, truth),
        (PAIRS, "swapped precision"): weighted_precision(guess, truth),
        (EXISTENCE, "AUC"): roc_auc(met, 1 - probabilities[:, none]),
    }
    return [
        {
            "target": target,
            "metric": metric,
            "value": float(value),
            "n": len(met) if target == EXISTENCE else len(truth),
        }
        for (target, metric), value in scores.items()
    ]

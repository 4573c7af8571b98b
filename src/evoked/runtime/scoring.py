"""An exported run that is loaded once and answers drafts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoked.errors import DataError, EvokedError
from evoked.evaluation.conformal import Intervals, Predicted
from evoked.evaluation.coverage import DEFAULT_COVERAGE, check_coverage
from evoked.features.table import FeatureTable
from evoked.files import damage
from evoked.posts.author_hashes import author_hashes
from evoked.posts.author_history import KINDS, AuthorHistory
from evoked.posts.author_profiles import AuthorProfiles
from evoked.posts.columns import Columns, values_of
from evoked.posts.drafts import Draft, as_columns, draft_from, draft_row, pictures_of
from evoked.posts.facts import Fact
from evoked.runs.answer import ANSWER_COLUMNS, LAST_POSTS, answers_of, columns_to_widen
from evoked.runs.drafts import (
    ASSUMED,
    DOUBT,
    KnownAuthors,
    complete_drafts,
    with_fact_notes,
    with_usual_views,
)
from evoked.runs.track_record import ErrorRecord, TypicalError
from evoked.runtime.folder import (
    EXPORT_AGAIN,
    HISTORY_FILE,
    MANIFEST_FILE,
    PROFILES_FILE,
    ExportFolder,
)
from evoked.runtime.graphs import Graph, load_graph
from evoked.runtime.sources import FeatureReader
from evoked.targets import Task, load_task
from evoked.targets.last_posts import means_of_groups, with_last_posts

Row = Draft | Mapping[str, Any]
"""A draft, or the facts of one by the names of its fields."""

ERROR = "error"

# Drafts that are scored together: their pictures are in memory at once.
_BATCH = 64


def load(folder: Path | str, *, once: bool = False) -> ExportedRun:
    """An exported run; nothing in its folder is executed.

    Parameters
    ----------
    folder
        What ``evoked export`` has written.
    once
        Whether it will answer one or two drafts only: its graphs are then loaded in half the time,
        and take longer to run.

    Raises
    ------
    DataError
        The folder holds no exported run, or one that is damaged or was altered.
    """
    return ExportedRun(ExportFolder.read(folder), once=once)


class ExportedRun:
    """Scores drafts as the run does that was exported; every row gets an answer or an error.

    Parameters
    ----------
    folder
        The export.
    once
        As for :func:`load`.

    Attributes
    ----------
    folder
        The export.
    task
        What is predicted, fitted on the run's training posts.
    intervals
        How far its predictions may be off.

    Examples
    --------
    >>> export = evoked.runtime.load("my_export")                            # doctest: +SKIP
    >>> export.score([{"image": "draft.jpg", "caption": "Golden hour"}])     # doctest: +SKIP
    """

    def __init__(self, folder: ExportFolder, *, once: bool = False) -> None:
        self.folder = folder
        manifest, file = folder.manifest, folder.path / MANIFEST_FILE
        with self._damage():
            self.task: Task = load_task(manifest["task"], file)
            self.intervals = Intervals.from_dict(manifest["intervals"], file)
            self._facts = [Fact.from_dict(state) for state in manifest["drafts"]["facts"]]
            self._reader = FeatureReader(folder, once=once)
        self._turn = Lock()

    def score(
        self, rows: Iterable[Row], coverage: float = DEFAULT_COVERAGE
    ) -> list[dict[str, Any]]:
        """Score drafts of which some may be wrong.

        Parameters
        ----------
        rows
            Drafts, or their facts: see :func:`evoked.posts.drafts.draft_from`.
        coverage
            How often the intervals are to hold the truth, between 0 and 1.

        Returns
        -------
        list of dict
            One per draft, in order: what a row of :meth:`evoked.Scorer.score` holds, None where
            that holds nothing.

        Raises
        ------
        SettingsError
            ``coverage`` is not between 0 and 1.
        DataError
            A file of the export is missing, or was altered.
        MissingExtraError
            A library that the run's features need is not installed.
        """
        check_coverage(coverage)
        answers: list[dict[str, Any]] = []
        numbered = enumerate(rows, start=1)
        with self._turn, self._damage():
            while batch := list(islice(numbered, _BATCH)):
                answers += self._scored(
                    [self._asked(row, number) for number, row in batch], coverage
                )
        return answers

    def predict(
        self,
        drafts: Sequence[Draft],
        coverage: float = DEFAULT_COVERAGE,
        note: Callable[[str], None] | None = None,
    ) -> list[dict[str, Any]]:
        """As :meth:`score`, of drafts of which none may be wrong, without ``error``.

        Parameters
        ----------
        drafts, coverage
            As for :meth:`score`.
        note
            Called with a sentence that a person should read.

        Raises
        ------
        DataError, SettingsError
            A draft is wrong: see :func:`evoked.posts.drafts.as_posts`; otherwise as :meth:`score`.
        MissingExtraError
            As :meth:`score`.
        """
        check_coverage(coverage)
        rows = [self._row(draft, number) for number, draft in enumerate(drafts, start=1)]
        with self._turn, self._damage():
            return self._predicted(drafts, rows, coverage, note)

    def features(self, drafts: Sequence[Draft]) -> FeatureTable:
        """What the run reads of n drafts."""
        posts = self._posts(drafts, [self._row(draft) for draft in drafts])
        return self._reader.read(posts, pictures_of(drafts))[0]

    def head(self, posts: Columns, features: FeatureTable) -> NDArray[np.float64]:
        """What the model predicts of n posts with their history, (n, columns of the task); NaN for
        what no training post has."""
        head, n = self.folder.manifest["head"], len(posts)
        inputs: dict[str, NDArray[Any]] = dict(features.arrays(np.arange(n)))
        if head["last_posts"] is not None:
            inputs["last posts"] = self._last_posts(head["last_posts"], posts)
        if head["levels"] is not None:
            inputs["levels"] = self._levels(head["levels"], posts)
        predicted = self._head({name: inputs[name] for name in head["inputs"]})["predicted"]
        known = np.isin(self.task.columns, head["known_targets"])
        return np.where(known, np.asarray(predicted, dtype=np.float64), np.nan)

    @property
    def description(self) -> Mapping[str, Any]:
        """What run.json says of the run, as far as drafts are concerned."""
        found: Mapping[str, Any] = self._about["description"]
        return found

    @property
    def estimated(self) -> bool:
        """Whether valence and arousal were learned from an emotion reader's estimates."""
        return bool(self._about["estimated_emotions"])

    @property
    def unrated_emotions(self) -> list[str]:
        """Which of valence and arousal the task predicts although nobody rated any post's."""
        return list(self._about["unrated_emotions"])

    @property
    def training_categories(self) -> list[str]:
        """Categories of the training posts, sorted."""
        return list(self._about["categories"])

    @property
    def learned_fields(self) -> list[str]:
        """Fields of a draft that the run has learned from: see
        :attr:`evoked.runs.posts.Run.learned_fields`."""
        return list(self._about["learned_fields"])

    def knows_category(self, category: str) -> bool:
        """Whether a training post is of a category, however its letters are capitalised."""
        known = {each.strip().casefold() for each in self.training_categories}
        return category.strip().casefold() in known

    @property
    def _about(self) -> Mapping[str, Any]:
        """What is taken for granted about drafts."""
        found: Mapping[str, Any] = self.folder.manifest["drafts"]
        return found

    @cached_property
    def authors(self) -> KnownAuthors:
        """The authors of the run's posts."""
        state = self.folder.manifest["authors"]
        return KnownAuthors(state["number"], frozenset(state["hashes"]), self._profiles)

    @cached_property
    def track_record(self) -> ErrorRecord:
        """What the run's test posts showed."""
        state = self.folder.manifest["record"]
        errors = {
            name: None if own is None else TypicalError(*own)
            for name, own in state["errors"].items()
        }
        return ErrorRecord(state["intervals"], errors)

    def _damage(self) -> AbstractContextManager[None]:
        """What turns whatever the files of the export raise into one error: whoever made them may
        have given them the digests of a sound export."""
        return damage(self.folder.path, "the folder of an exported run", f"{EXPORT_AGAIN}.")

    def _scored(self, asked: Sequence[_Asked], coverage: float) -> list[dict[str, Any]]:
        sound = [each for each in asked if each.row is not None]
        drafts = [each.draft for each in sound if each.draft is not None]
        found = iter(self._predicted(drafts, [each.row or {} for each in sound], coverage))
        names = self._names()
        return [
            {**next(found), ERROR: None}
            if each.row is not None
            else {**dict.fromkeys(names), "post_id": each.name, ERROR: each.why}
            for each in asked
        ]

    def _predicted(
        self,
        drafts: Sequence[Draft],
        rows: Sequence[Mapping[str, Any]],
        coverage: float,
        note: Callable[[str], None] | None = None,
    ) -> list[dict[str, Any]]:
        """What is predicted of n drafts, a row each by the names of :meth:`_names`."""
        posts = self._posts(drafts, rows)
        features, problems = self._reader.read(posts, pictures_of(drafts))
        if note is not None and self._shows_unseen(features):
            note(str(self._about["unseen_note"]))
        table = self._table(posts, self.head(posts, features), coverage)
        doubts = values_of(posts, DOUBT)
        said = [
            " ".join(filter(None, (problems.get(row), doubts[row]))) or None
            for row in range(len(posts))
        ]
        found: dict[str, Sequence[Any]] = {"post_id": values_of(posts, "post_id"), **table}
        if self.task.learns_emotion:
            found["emotion_estimated"] = [self.estimated] * len(posts)
        found |= {"problem": said, ASSUMED: values_of(posts, ASSUMED)}
        lines = [
            dict(zip(found, values, strict=True)) for values in zip(*found.values(), strict=True)
        ]
        answers = answers_of(
            self.task,
            lines,
            self.track_record,
            coverage,
            {kind: self._history.last_counts(posts, kind, LAST_POSTS) for kind in KINDS},
            unbounded=self.intervals.unbounded(self.task, coverage),
            whose=self._about["whose"],
        )
        return [
            {name: _plain(value) for name, value in line.items()}
            | {name: _plain(value) for name, value in zip(ANSWER_COLUMNS, answer, strict=True)}
            for line, answer in zip(lines, answers, strict=True)
        ]

    def _shows_unseen(self, features: FeatureTable) -> bool:
        """Whether a draft has what the model reads and no training post had."""
        shown = {
            self._about["modalities"][name]
            for name, column in features.columns.items()
            if name in self._about["modalities"] and column.present.any()
        }
        return bool(set(self._about["unseen"]) & shown)

    def _table(
        self, posts: Columns, predicted: NDArray[np.float64], coverage: float
    ) -> dict[str, list[Any]]:
        columns = dict(zip(self.task.columns, predicted.T, strict=True))
        widened = columns_to_widen(self.task, self.track_record, coverage)
        found = self.intervals.restored(
            self.task, Predicted(posts, columns), coverage, widened=widened
        )
        return {name: values.tolist() for name, values in found.items()}

    def _names(self) -> list[str]:
        """The names of a row's entries."""
        nothing = as_columns([], [])
        blank = Columns({name: [] for name in nothing}, 0)
        columns = {name: np.zeros(0) for name in self.task.columns}
        attached = blank.assign(**self._history.before(blank))
        table = self.intervals.restored(self.task, Predicted(attached, columns))
        emotion = ["emotion_estimated"] if self.task.learns_emotion else []
        return ["post_id", *table, *emotion, "problem", ASSUMED, *ANSWER_COLUMNS]

    def _posts(self, drafts: Sequence[Draft], rows: Sequence[Mapping[str, Any]]) -> Columns:
        """Drafts as posts with what the run knows of their authors."""
        posts = as_columns(drafts, rows)
        are_drafts = np.ones(len(posts), dtype=bool)
        completed = complete_drafts(posts, self.authors, are_drafts)
        noted = with_fact_notes(completed, self._facts, are_drafts)
        age = self._about["history_min_age_hours"]
        seen = noted.assign(**self._history.before(noted, age))
        posts = with_usual_views(seen, self.task, are_drafts)
        assert isinstance(posts, Columns)
        return posts

    def _asked(self, row: Row, number: int) -> _Asked:
        given = row.get("name") if isinstance(row, Mapping) else row.name
        name = f"draft-{number}" if given is None else str(given)
        try:
            draft = row if isinstance(row, Draft) else draft_from(row)
            draft = replace(draft, name=name)
            return _Asked(name, draft, self._row(draft), None)
        except EvokedError as error:
            why = error.about_row if isinstance(error, DataError) else str(error)
            return _Asked(name, None, None, why)

    def _row(self, draft: Draft, number: int = 1) -> dict[str, Any]:
        return draft_row(draft, number, self._about["time_zone"], self._facts)

    def _last_posts(self, state: Mapping[str, Any], posts: Columns) -> NDArray[np.float32]:
        """What the baseline of an author's last posts predicts, (n, targets); 0 for targets that no
        training post has."""
        hashed = [name or None for name in author_hashes(posts)]
        means = means_of_groups(state["means"], state["group_means"], hashed)
        if state["task"] is None:
            return np.nan_to_num(means).astype(np.float32)
        task = load_task(state["task"], self.folder.path / MANIFEST_FILE)
        found = with_last_posts(means, task, posts, state["recent"])
        return np.nan_to_num(found).astype(np.float32)

    def _levels(self, state: Mapping[str, Any], posts: Columns) -> NDArray[np.float32]:
        """What the author of each post usually gets, (n, targets); 0 where that is not known."""
        task = load_task(state, self.folder.path / MANIFEST_FILE)
        levels = np.zeros((len(posts), len(task.columns)), dtype=np.float32)
        for name, level in task.levels(posts).items():
            levels[:, task.columns.index(name)] = level
        return levels

    @cached_property
    def _head(self) -> Graph:
        return load_graph(self.folder, "head")

    @cached_property
    def _history(self) -> AuthorHistory:
        return AuthorHistory.load(self.folder.checked(HISTORY_FILE))

    @cached_property
    def _profiles(self) -> AuthorProfiles:
        return AuthorProfiles.load(self.folder.checked(PROFILES_FILE))


class _Asked(NamedTuple):
    """A row: its draft's name, the draft and its row in a table of posts, or why there is none."""

    name: str
    draft: Draft | None
    row: dict[str, Any] | None
    why: str | None


def _plain(value: Any) -> Any:
    """A value as JSON has it; None for what is not a number."""
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value

"""A run that is loaded once and answers rows: drafts in, answers out, errors in a column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, Self, TypeVar

import pandas as pd

from evoked.errors import DataError, EvokedError, SettingsError
from evoked.evaluation.coverage import DEFAULT_COVERAGE, check_coverage
from evoked.features.cache import FeatureCache
from evoked.features.extract import ImageSource
from evoked.files import damage, is_out_of_space
from evoked.posts.drafts import Draft, draft_from
from evoked.runs.base import Callbacks
from evoked.runs.posts import Run

Row = Draft | Mapping[str, Any] | EvokedError
"""A draft, the facts of one by the names of its fields, or why there is none to score."""

ERROR = "error"
"""Column of answers: why a row could not be scored; None if it was."""

Answer = TypeVar("Answer")

# Drafts that are scored together: their pictures are in memory at once.
_BATCH = 64


class Scorer:
    """Scores drafts with one run; every row gets an answer or an error.

    The run and its encoders stay in memory, so that only the first call takes long. A scorer may be
    called from several threads; what is asked while it works is answered together, as soon as it is
    free: most of what a draft costs is paid once for all that are scored together.

    Parameters
    ----------
    run
        A run of posts.
    batch
        Drafts that are scored together.

    Attributes
    ----------
    turn
        Held by whoever uses the run and its encoders.

    Examples
    --------
    >>> scorer = evoked.Scorer.load("my_run")                                # doctest: +SKIP
    >>> scorer.score([{"image": "draft.jpg", "caption": "Golden hour"}])     # doctest: +SKIP
    """

    def __init__(self, run: Run, batch: int = _BATCH) -> None:
        self.run = run
        self.batch = batch
        self.turn = Lock()
        self._waiting: list[_Call] = []  # whoever waits, and whoever is answered

    @classmethod
    def load(
        cls,
        folder: Path | str,
        cache: FeatureCache | None = None,
        *,
        allow_download: bool = False,
    ) -> Self:
        """A scorer of the run in a folder.

        Parameters
        ----------
        folder
            The folder that ``evoked train`` or :func:`evoked.train` made.
        cache
            Where extracted features are kept; the user's cache folder by default.
        allow_download
            Fetch encoders that the run names, and read them from whatever folder it names.

        Returns
        -------
        Scorer
            A scorer that keeps the run loaded.

        Raises
        ------
        DataError
            The folder holds no finished run of posts.
        """
        return cls(Run.load(folder, cache, allow_download=allow_download))

    def predict(
        self,
        drafts: Sequence[Draft],
        callbacks: Callbacks | None = None,
        coverage: float = DEFAULT_COVERAGE,
    ) -> pd.DataFrame:
        """What :meth:`evoked.runs.posts.Run.predict` says of drafts; the first that can't be scored
        raises its error.

        Parameters
        ----------
        drafts
            The drafts.
        callbacks
            Callbacks that report progress.
        coverage
            How often the intervals are to hold the truth, between 0 and 1.

        Returns
        -------
        DataFrame
            A row per draft.
        """
        if callbacks is not None:  # which hear of the own drafts alone
            with self.turn:
                return self.run.predict(drafts, callbacks, coverage)
        call = _Call(list(drafts), coverage)
        self._waiting.append(call)
        try:
            with self.turn:
                if call.table is None:
                    self._answer(call)
        finally:
            self._waiting.remove(call)
        assert call.table is not None
        return call.table

    def _answer(self, call: _Call) -> None:
        """Answer a call, and with it others that wait, as many as a batch holds. Where their drafts
        can't be scored together, whichever is at fault, each is answered alone."""
        together = [call, *self._fellows(call)]
        drafts = [draft for each in together for draft in each.drafts]
        try:
            table = self.run.predict(drafts, None, call.coverage)
        except Exception:
            if len(together) == 1:
                raise
            for each in together:
                each.alone = True
            self._answer(call)
        else:
            end = 0
            for each in together:
                begin, end = end, end + len(each.drafts)
                each.table = table.iloc[begin:end].reset_index(drop=True)

    def _fellows(self, call: _Call) -> list[_Call]:
        """The calls that wait and can be answered with this one."""
        found, room = [], self.batch - len(call.drafts)
        for each in list(self._waiting):
            waits = each is not call and each.table is None and not (each.alone or call.alone)
            if waits and each.coverage == call.coverage and len(each.drafts) <= room:
                found.append(each)
                room -= len(each.drafts)
        return found

    def score(
        self,
        rows: Iterable[Row],
        callbacks: Callbacks | None = None,
        coverage: float = DEFAULT_COVERAGE,
    ) -> pd.DataFrame:
        """Score drafts of which some may be wrong.

        Parameters
        ----------
        rows
            Drafts, or the facts of drafts by the names of :class:`evoked.Draft`'s fields: ``image``
            is the path of a picture, ``posted_at`` a date or its text (ISO 8601), ``hashtags`` a
            list or a text. They are read as they are needed.
        callbacks
            Callbacks that report progress.
        coverage
            How often the intervals are to hold the truth, between 0 and 1.

        Returns
        -------
        DataFrame
            A row per draft, in order: what :meth:`evoked.runs.posts.Run.predict` returns, and
            ``error``: why the row could not be scored, else None. ``post_id`` is the draft's name,
            or ``draft-`` and its number.

        Raises
        ------
        SettingsError
            ``coverage`` is not between 0 and 1.
        DataError
            The run's folder is damaged.
        """
        check_coverage(coverage)
        tables: list[pd.DataFrame] = []
        names: list[str] = []
        errors: dict[int, str] = {}
        numbered = enumerate(rows, start=1)
        while batch := list(islice(numbered, self.batch)):
            first = len(names)
            drafts = [self._draft_or_why(row, number) for number, row in batch]
            names += [str(draft.name) for draft in drafts]
            unread = {i: draft.why for i, draft in enumerate(drafts) if isinstance(draft, _Unread)}
            sound = {i: draft for i, draft in enumerate(drafts) if isinstance(draft, Draft)}
            found, refused = self._answers(sound, callbacks, coverage)
            tables += [table.set_axis(table.index + first, axis=0) for table in found]
            errors |= {first + i: why for i, why in (unread | refused).items()}
        return _joined(tables, names, errors)

    def score_posts(
        self,
        posts: pd.DataFrame,
        images: Sequence[ImageSource],
        coverage: float = DEFAULT_COVERAGE,
    ) -> pd.DataFrame:
        """Score posts of which some may be wrong.

        Parameters
        ----------
        posts
            n posts as :meth:`evoked.runs.posts.Run.completed_posts` returns them.
        images
            Cover picture of each: a path, bytes or None.
        coverage
            As in :meth:`score`.

        Returns
        -------
        DataFrame
            As of :meth:`score`.

        Raises
        ------
        DataError
            The run's folder is damaged, or the disk is full.
        """

        def predict(rows: Sequence[int]) -> pd.DataFrame:
            chosen = posts.iloc[list(rows)]
            with self.turn, damage(None, "a post that can be scored"):
                return self.run.predict_completed(chosen, [images[row] for row in rows], coverage)

        found, errors = halved(range(len(posts)), predict, self._check_run)
        return _joined(_numbered(found), posts["post_id"].tolist(), errors)

    def draft(self, row: Row, number: int) -> Draft:
        """The draft of a row; ``draft-`` and its number is its name if it has none.

        Parameters
        ----------
        row
            A draft, or its facts by name.
        number
            Its place among the rows, for its name.

        Returns
        -------
        Draft
            The row as a draft.

        Raises
        ------
        DataError, SettingsError
            A fact that no draft has, or that is not of its kind.
        """
        if isinstance(row, EvokedError):
            raise row
        draft = row if isinstance(row, Draft) else draft_from(row)
        return replace(draft, name=_name(row, number))

    def _answers(
        self, drafts: Mapping[int, Draft], callbacks: Callbacks | None, coverage: float
    ) -> tuple[list[pd.DataFrame], dict[int, str]]:
        """The answers to numbered drafts, tables whose index is these numbers, and the errors of
        the others."""

        def predict(numbers: Sequence[int]) -> pd.DataFrame:
            return self.predict([drafts[number] for number in numbers], callbacks, coverage)

        found, errors = halved(list(drafts), predict, self._check_run)
        return _numbered(found), errors

    def _draft_or_why(self, row: Row, number: int) -> Draft | _Unread:
        try:
            return self.draft(row, number)
        except EvokedError as error:
            return _Unread(_name(row, number), _said(error))

    def _check_run(self) -> None:
        """Raise DataError if not the draft but the run's folder is at fault."""
        with self.turn:
            self.run.predict_nothing()


@dataclass(eq=False)
class _Call:
    """Drafts that a thread waits for.

    Attributes
    ----------
    alone
        Whether they are not to be scored with others'.
    table
        The answer, once there is one.
    """

    drafts: list[Draft]
    coverage: float
    alone: bool = False
    table: pd.DataFrame | None = None


class _Unread(NamedTuple):
    """A row that is no draft: its name, and why."""

    name: str
    why: str


def halved(
    rows: Sequence[int],
    answer: Callable[[Sequence[int]], Answer],
    check: Callable[[], None] = lambda: None,
) -> tuple[list[tuple[Sequence[int], Answer]], dict[int, str]]:
    """The answers to numbered rows, several together, and the errors of the others. Where one is
    wrong, halves are tried: one among many takes few attempts.

    Parameters
    ----------
    answer
        Gives the answer to some rows together.
    check
        Raises an error if a row that can't be answered is not itself at fault.

    Raises
    ------
    DataError
        The disk is full, which is no fault of any row.
    """
    if not rows:
        return [], {}
    try:
        return [(rows, answer(rows))], {}
    except (DataError, SettingsError) as error:
        if is_out_of_space(error):
            raise
        if len(rows) == 1:
            check()
            return [], {rows[0]: _said(error)}
    middle = len(rows) // 2
    answers, errors = halved(rows[:middle], answer, check)
    others, further = halved(rows[middle:], answer, check)
    return answers + others, errors | further


def _numbered(answers: Sequence[tuple[Sequence[int], pd.DataFrame]]) -> list[pd.DataFrame]:
    """Tables whose index is the numbers of their rows."""
    return [table.set_axis(pd.Index(rows), axis=0) for rows, table in answers]


def _name(row: Row, number: int) -> str:
    given = row.get("name") if isinstance(row, Mapping) else getattr(row, "name", None)
    return f"draft-{number}" if given is None else str(given)


def _said(error: EvokedError) -> str:
    """What an error says of its row, without the row's number within a batch."""
    return error.about_row if isinstance(error, DataError) else str(error)


def _joined(
    tables: Sequence[pd.DataFrame], names: Sequence[str], errors: Mapping[int, str]
) -> pd.DataFrame:
    """Every row in order: those that were scored, and the others with their errors."""
    every = range(len(names))
    scored = pd.concat(tables) if tables else pd.DataFrame({"post_id": []}, dtype=object)
    if errors:  # which leave gaps; without any, columns keep their types
        texts = [name for name in scored.columns if not pd.api.types.is_numeric_dtype(scored[name])]
        scored = scored.reindex(every)
        for name in texts:
            scored[name] = scored[name].astype(object).where(scored[name].notna(), None)
    scored["post_id"] = pd.Series(list(names), every, dtype=object)
    scored[ERROR] = pd.Series([errors.get(row) for row in every], every, dtype=object)
    return scored

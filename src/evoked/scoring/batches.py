"""A folder of answers, one Parquet file for each batch of posts, and the worker that writes them.

::

    scores/
        part-00000000.parquet …      answers to a batch; written whole or not at all
        refused-00000000.parquet …   rows that are no posts: only post_id and error are known
        _evoked.json                 what was asked, of which posts; how many are answered
        .work/                       gathered posts, while not all are answered

Tools that read a folder of Parquet files pass over names that begin with a dot or an underscore.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from evoked.errors import DataError, EvokedError
from evoked.files import atomic_path, is_out_of_space, write_problem, writing
from evoked.parquet import count_rows, read_names, read_table
from evoked.posts.gathering import ERROR, GatheredPosts
from evoked.scoring.recipes import Recipe, completed

STATE_FILE = "_evoked.json"
GATHERED = "gathered"
_WORK_FOLDER = ".work"
# A batch that has ended so many workers, as the first to lack memory does, is given up.
_MOST_ATTEMPTS = 3
_GIVEN_UP = (
    f"the worker that had this post in its batch was ended from outside {_MOST_ATTEMPTS} times, "
    "most often because memory ran out."
)


class BatchDone(NamedTuple):
    """What became of a batch: its rows and how many of them have an error; or why the work can't go
    on."""

    number: int
    rows: int
    errors: int
    failure: str | None = None


@dataclass(frozen=True)
class AnswerFolder:
    """Where answers lie, and what is put aside while not all are there."""

    folder: Path

    @property
    def work(self) -> Path:
        """What is put aside."""
        return self.folder / _WORK_FOLDER

    @property
    def gathered(self) -> Path:
        """The gathered posts."""
        return self.work / GATHERED

    @property
    def scratch(self) -> Path:
        """What workers put aside for moments."""
        return self.work / "scratch"

    def part(self, number: int) -> Path:
        """The answers to a batch."""
        return self.folder / f"part-{number:08d}.parquet"

    def refused(self, number: int) -> Path:
        """Rows that are no posts."""
        return self.folder / f"refused-{number:08d}.parquet"

    def attempts(self, session: str, number: int) -> Path:
        """A file with a byte for each time that a batch was begun by the workers of one command."""
        return self.work / "attempts" / session / f"{number:08d}"

    @property
    def parts(self) -> Iterator[Path]:
        """All files of answers, in order."""
        for pattern in ("part-*.parquet", "refused-*.parquet"):
            yield from sorted(self.folder.glob(pattern))

    def answered(self, gathered: GatheredPosts) -> dict[int, int]:
        """The batches whose answers are whole, and the number of posts of each."""
        return {
            number: size
            for number, size in enumerate(gathered.sizes)
            if _is_whole(self.part(number), size)
        }

    def rows(self) -> int:
        """How many rows there are, in all files that are whole."""
        return sum(_rows(part) for part in self.parts)

    def errors(self) -> int:
        """How many rows have an error, in all files."""
        return sum(_errors(read_table(part, [ERROR])) for part in self.parts)


@dataclass(frozen=True)
class Assignment:
    """What a worker needs to answer any batch; it can be sent to another process.

    Attributes
    ----------
    recipe
        What to do.
    answers
        Where batches and answers lie.
    session
        Names the command: batches are given up that end its workers again and again.
    """

    recipe: Recipe
    answers: AnswerFolder
    session: str


class BatchWorker:
    """Answers batches of posts, and writes each answer; what it loads stays warm.

    Raises
    ------
    EvokedError
        What the recipe needs can't be loaded.
    """

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self.prepared = assignment.recipe.prepare()
        self.gathered = GatheredPosts(assignment.answers.gathered)
        self.everyones = self.gathered.everyones

    def __call__(self, number: int) -> BatchDone:
        """Answer a batch, unless its answers are there."""
        answers, size = self.assignment.answers, self.gathered.sizes[number]
        part = answers.part(number)
        try:
            if _is_whole(part, size):
                return BatchDone(number, size, _errors(read_table(part, [ERROR])))
            if self._begun(number) >= _MOST_ATTEMPTS:
                table = self._without(number, _GIVEN_UP)
            else:
                table = self._answer(number)
            with atomic_path(part) as temporary:
                pq.write_table(table, temporary, compression="zstd")
            return BatchDone(number, len(table), _errors(table))
        except EvokedError as error:
            return BatchDone(number, 0, 0, str(error))

    def _answer(self, number: int) -> pa.Table:
        posts, others = self.gathered.batch(number)
        scratch = self.assignment.answers.scratch
        with writing(scratch):
            scratch.mkdir(parents=True, exist_ok=True)
        try:
            history = self.gathered.history(number)
            scored = len(posts) - others
            return self.prepared.answer(posts, scored, scratch, self.everyones, history)
        except EvokedError:
            raise
        except MemoryError:
            os._exit(1)  # as if it were killed: the next attempt begins with all memory free
        except Exception as error:
            if is_out_of_space(error):
                raise write_problem(error, scratch) or error from error
            lines = str(error).strip().splitlines() or [""]
            return self._without(number, f"{type(error).__name__}: {lines[0][:200]}")

    def _without(self, number: int, why: str) -> pa.Table:
        """Errors in place of answers."""
        names = self.gathered.batch(number)[0]["post_id"][: self.gathered.sizes[number]]
        errors = pa.array([why] * len(names), pa.string())
        return completed(self.prepared.schema, {"post_id": names, ERROR: errors})

    def _begun(self, number: int) -> int:
        """How often the batch was begun before, for what is noted now."""
        file = self.assignment.answers.attempts(self.assignment.session, number)
        with writing(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            before = file.stat().st_size if file.is_file() else 0
            with open(file, "ab") as stream:
                stream.write(b".")
        return before


def _is_whole(part: Path, rows: int) -> bool:
    """Whether there are answers to so many posts."""
    return part.is_file() and _rows(part) == rows


def _rows(part: Path) -> int:
    """Number of answers in a file; 0 if it is damaged."""
    try:
        return count_rows(part) if ERROR in read_names(part) else 0
    except DataError:
        return 0


def _errors(table: pa.Table) -> int:
    return len(table) - table[ERROR].null_count

"""Jobs: commands of evoked that take long, one after the other, in the order they were asked for.

A job is a list of steps, each a command that can be started again after it was killed and then
goes on where it stopped. The jobs' table is the queue: a job leaves it only when it has ended, so
nothing is lost when the desk, its worker or the job itself is killed. :mod:`evoked.serve.worker`
runs them.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from evoked.errors import EvokedError
from evoked.files import parse_json
from evoked.serve.database import DATABASE, transaction
from evoked.serve.settings import Limits

JOBS_FOLDER = "jobs"
LOG_FILE = "log.txt"
OUT_FILE = "out.txt"
LOCK_FILE = "lock"
_COUNT = re.compile(r"^(?P<stage>\D+?) (?P<done>[\d,]+)(/(?P<total>[\d,]+))?( ·|$)")
_TAIL_BYTES = 16_384


class State(StrEnum):
    """Where a job is."""

    waiting = "waiting"
    running = "running"
    done = "done"
    failed = "failed"
    cancelled = "cancelled"


ENDED = (State.done, State.failed, State.cancelled)


class QueueFullError(EvokedError):
    """More jobs wait than the desk takes."""


@dataclass(frozen=True)
class Step:
    """One command of a job.

    Attributes
    ----------
    name
        What it does, a key of the texts: ``steps.NAME``.
    words
        The command after ``evoked``.
    makes
        A file that appears, whole, when the command has done its work; None where it leaves
        none, so that it is run again if nobody saw it end.
    """

    name: str
    words: tuple[str, ...]
    makes: str | None = None


@dataclass(frozen=True)
class Progress:
    """How far the stage of a command is that it reported last."""

    stage: str
    done: int
    total: int | None


@dataclass(frozen=True)
class Job:
    """A job as the table has it; times are seconds since 1970."""

    id: str
    kind: str
    title: str
    steps: tuple[Step, ...]
    facts: Mapping[str, Any]
    state: State
    step: int
    attempts: int
    process: int | None
    cancel: bool
    error: str
    created: float
    started: float | None
    ended: float | None

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED


class Jobs:
    """The jobs of a desk, in its SQLite file.

    Parameters
    ----------
    data
        The desk's folder.
    limits
        How many jobs may wait, and how large the folder may grow.
    """

    def __init__(self, data: Path, limits: Limits) -> None:
        self.data = data
        self.limits = limits

    def folder(self, job: Job) -> Path:
        """Where a job's log and results lie; its name is the job's random id."""
        return self.data / JOBS_FOLDER / job.id

    def add(
        self, kind: str, title: str, steps: Sequence[Step], facts: Mapping[str, Any] | None = None
    ) -> Job:
        """Put a job at the end of the queue.

        Steps may name the job's own folder as ``{job}``.

        Raises
        ------
        QueueFullError
            Too many jobs wait already.
        """
        identifier = uuid.uuid4().hex
        folder = self.data / JOBS_FOLDER / identifier
        own = [_placed(step, folder) for step in steps]
        with transaction(self.data) as connection:
            waiting = connection.execute(
                "SELECT count(*) FROM jobs WHERE state IN ('waiting', 'running')"
            ).fetchone()[0]
            if waiting >= self.limits.queue:
                raise QueueFullError(
                    f"{waiting} jobs wait or run already. Wait for one to end, or cancel one."
                )
            folder.mkdir(parents=True)
            connection.execute(
                "INSERT INTO jobs (id, kind, title, steps, facts, state, created) "
                "VALUES (?, ?, ?, ?, ?, 'waiting', ?)",
                (
                    identifier,
                    kind,
                    title,
                    json.dumps([asdict(step) for step in own]),
                    json.dumps(dict(facts or {})),
                    time.time(),
                ),
            )
        found = self.get(identifier)
        assert found is not None
        return found

    def get(self, identifier: str) -> Job | None:
        """A job; None if there is none of this id."""
        with transaction(self.data) as connection:
            row = connection.execute("SELECT * FROM jobs WHERE id = ?", (identifier,)).fetchone()
        return None if row is None else _job(row)

    def all(
        self, offset: int = 0, limit: int = 50, kind: str | None = None
    ) -> tuple[list[Job], int]:
        """Some jobs, of one kind if one is given, the newest first, and how many there are."""
        where, values = ("", ()) if kind is None else ("WHERE kind = ?", (kind,))
        with transaction(self.data) as connection:
            rows = connection.execute(
                f"SELECT * FROM jobs {where} ORDER BY created DESC, id LIMIT ? OFFSET ?",
                (*values, limit, offset),
            ).fetchall()
            total = connection.execute(f"SELECT count(*) FROM jobs {where}", values).fetchone()[0]
        return [_job(row) for row in rows], total

    def undone(self) -> list[Job]:
        """Jobs that are not done, but may still be: those that wait, run, or could be resumed."""
        with transaction(self.data) as connection:
            rows = connection.execute("SELECT * FROM jobs WHERE state != 'done'").fetchall()
        return [_job(row) for row in rows]

    def counts(self) -> dict[str, int]:
        """Number of jobs in each state."""
        with transaction(self.data) as connection:
            rows = connection.execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall()
        return {state.value: 0 for state in State} | dict(map(tuple, rows))

    def cancel(self, job: Job) -> Job:
        """Ask for a job to be stopped: at once if it waits, soon if it runs."""
        with transaction(self.data) as connection:
            connection.execute(
                "UPDATE jobs SET state = 'cancelled', ended = ? WHERE id = ? AND state = 'waiting'",
                (time.time(), job.id),
            )
            connection.execute(
                "UPDATE jobs SET cancel = 1 WHERE id = ? AND state = 'running'", (job.id,)
            )
        return self._again(job)

    def resume(self, job: Job) -> Job:
        """Put a job that failed or was cancelled back into the queue, where it stopped."""
        self._change(
            job,
            "state = 'waiting', cancel = 0, error = '', attempts = 0, ended = NULL",
            " AND state IN ('failed', 'cancelled')",
        )
        return self._again(job)

    def delete(self, job: Job) -> None:
        """Forget a job that has ended, with its log and results."""
        with transaction(self.data) as connection:
            ended = connection.execute(
                "DELETE FROM jobs WHERE id = ? AND state NOT IN ('waiting', 'running')", (job.id,)
            ).rowcount
        if ended:
            shutil.rmtree(self.folder(job), ignore_errors=True)

    def claim(self) -> Job | None:
        """The job that runs, or else the first that waits, which then runs; None if there is
        none."""
        with transaction(self.data) as connection:
            row = connection.execute(
                "SELECT * FROM jobs WHERE state IN ('running', 'waiting') "
                "ORDER BY state = 'waiting', created, id LIMIT 1"
            ).fetchone()
            if row is None:
                return None
            connection.execute(
                "UPDATE jobs SET state = 'running', started = coalesce(started, ?) WHERE id = ?",
                (time.time(), row["id"]),
            )
            changed = connection.execute("SELECT * FROM jobs WHERE id = ?", (row["id"],))
            return _job(changed.fetchone())

    def is_cancelled(self, job: Job) -> bool:
        """Whether somebody has asked for a running job to be stopped."""
        return self._again(job).cancel

    def note_process(self, job: Job, process: int) -> None:
        """Keep which group of processes runs a step, and that it was started once more."""
        self._change(job, "process = ?, attempts = attempts + 1", "", process)

    def next_step(self, job: Job) -> None:
        """Keep that a step is done."""
        self._change(job, "step = step + 1, attempts = 0, process = NULL", "")

    def end(self, job: Job, state: State, error: str = "") -> None:
        """Keep how a job ended."""
        self._change(
            job, "state = ?, error = ?, ended = ?, process = NULL", "", state, error, time.time()
        )

    def progress(self, job: Job) -> Progress | None:
        """How far the command is that runs; None while it has said nothing of it."""
        for line in reversed(self.log(job)):
            found = _COUNT.match(line)
            if found:
                total = found["total"]
                of = None if total is None else _number(total)
                return Progress(found["stage"].strip(), _number(found["done"]), of)
        return None

    def log(self, job: Job) -> list[str]:
        """The last lines of what the running command, or the last one, said."""
        return _tail(self.folder(job) / LOG_FILE)

    def output(self, job: Job) -> Path:
        """What the last step wrote to standard output."""
        return self.folder(job) / OUT_FILE

    def _change(self, job: Job, assignments: str, condition: str, *values: Any) -> None:
        with transaction(self.data) as connection:
            connection.execute(
                f"UPDATE jobs SET {assignments} WHERE id = ?{condition}",
                (*values, job.id),
            )

    def _again(self, job: Job) -> Job:
        found = self.get(job.id)
        return job if found is None else found


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def _placed(step: Step, folder: Path) -> Step:
    """A step with the job's folder in place of ``{job}``; only whole words begin with it, so that
    nothing a person typed is taken for it."""
    words = tuple(
        str(folder / word.removeprefix("{job}/")) if word.startswith("{job}/") else word
        for word in step.words
    )
    makes = step.makes
    if makes is not None and makes.startswith("{job}/"):
        makes = str(folder / makes.removeprefix("{job}/"))
    return Step(step.name, words, makes)


def _job(row: sqlite3.Row) -> Job:
    values = dict(row)
    steps = tuple(
        Step(each["name"], tuple(each["words"]), each["makes"])
        for each in parse_json(values.pop("steps"), DATABASE)
    )
    facts = parse_json(values.pop("facts"), DATABASE)
    state, cancel = State(values.pop("state")), bool(values.pop("cancel"))
    return Job(**values, steps=steps, facts=facts, state=state, cancel=cancel)


def _tail(path: Path) -> list[str]:
    """The last lines of a text."""
    if not path.is_file():
        return []
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        text = stream.read().decode("utf-8", "replace")
    return [line.rstrip() for line in text.splitlines() if line.strip()]

"""The process that runs a desk's jobs, one at a time: ``python -m evoked.serve.worker DATA``.

Each step runs as a command in a group of processes of its own, with the lock on the job's file
inherited: the lock is held for as long as one of them lives, whoever else was killed. A worker that
finds a job running therefore waits for the one that is there, and starts a step again only when
nobody runs it any more.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from evoked.files import locked, read_json, write_json
from evoked.serve.database import prepare
from evoked.serve.jobs import LOCK_FILE, LOG_FILE, OUT_FILE, Job, Jobs, State, Step
from evoked.serve.room import SECONDS_BETWEEN_LOOKS, folder_bytes
from evoked.serve.settings import Limits

WORKER_LOCK = "worker.lock"
LIMITS_FILE = "limits.json"
_SECONDS_BETWEEN_LOOKS = 0.2
_SECONDS_TO_END = 5.0


@dataclass(frozen=True)
class _End:
    """How a step ended: with an exit status, or None where nobody saw it; or stopped, and why."""

    status: int | None = None
    stopped: str = ""


class Worker:
    """Runs jobs.

    Parameters
    ----------
    data
        The desk's folder.
    limits
        Bounds on the folder's size, and on a step's time and attempts.
    wanted
        Asked again and again: whether to go on.
    """

    def __init__(self, data: Path, limits: Limits, wanted: Callable[[], bool]) -> None:
        self.jobs = Jobs(data, limits)
        self.data, self.limits, self.wanted = data, limits, wanted

    def run(self) -> None:
        """Run jobs until this is no longer wanted; a step that runs then goes on by itself."""
        while self.wanted():
            job = self.jobs.claim()
            if job is None:
                time.sleep(_SECONDS_BETWEEN_LOOKS)
            else:
                self.run_step(job)

    def run_step(self, job: Job) -> None:
        """Run the step that a job is at, or wait for the one that runs."""
        if job.step >= len(job.steps):
            self.jobs.end(job, State.done)
            return
        step = job.steps[job.step]
        with open(self.jobs.folder(job) / LOCK_FILE, "a", encoding="utf-8") as lock:
            if _is_free(lock):
                if job.cancel:
                    self.jobs.end(job, State.cancelled)
                    return
                if _is_made(step):
                    self.jobs.next_step(job)
                    return
                if job.attempts >= self.limits.attempts:
                    self.jobs.end(job, State.failed, "killed")
                    return
                if self._is_full():
                    self.jobs.end(job, State.failed, "disk")
                    return
                process = self._start(job, step, lock)
                self.jobs.note_process(job, process.pid)
                lock.close()  # from here on the command alone holds it
                end = self._watch(job, process.pid, process.poll)
            else:
                end = self._watch(job, job.process, lambda: 0 if _is_free(lock) else None)
                end = _End(None, end.stopped)
        if self.wanted() or end.stopped or end.status is not None:
            self._ended(job, step, end)

    def _is_full(self) -> bool:
        return folder_bytes(self.data) > self.limits.disk_bytes

    def _start(self, job: Job, step: Step, lock: IO[str]) -> subprocess.Popen[bytes]:
        folder = self.jobs.folder(job)
        with open(folder / LOG_FILE, "wb") as log, open(folder / OUT_FILE, "wb") as out:
            return subprocess.Popen(
                [sys.executable, "-m", "evoked", *step.words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                cwd=folder,
                env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1"},
                start_new_session=True,
                pass_fds=[lock.fileno()],
            )

    def _watch(self, job: Job, group: int | None, status: Callable[[], int | None]) -> _End:
        """Wait for a step to end, and stop it when that is asked for or it goes beyond a bound."""
        began = measured = time.monotonic()
        while True:
            ended = status()
            if ended is not None:
                _kill(group)  # what the command may have left behind
                return _End(ended)
            now, why = time.monotonic(), ""
            if self.jobs.is_cancelled(job):
                why = "cancelled"
            elif now - began > self.limits.job_seconds:
                why = "time"
            elif now - measured > SECONDS_BETWEEN_LOOKS:
                measured = now
                why = "disk" if self._is_full() else ""
            if why:
                _stop(group, status)
                return _End(stopped=why)
            if not self.wanted():
                return _End()
            time.sleep(_SECONDS_BETWEEN_LOOKS)

    def _ended(self, job: Job, step: Step, end: _End) -> None:
        if end.stopped == "cancelled":
            self.jobs.end(job, State.cancelled)
        elif end.stopped:
            self.jobs.end(job, State.failed, end.stopped)
        elif end.status == 0:
            self.jobs.next_step(job)
        elif end.status is None or end.status < 0:
            return  # nobody saw its end, or a signal ended it: looked at again, see run_step
        else:
            self.jobs.end(job, State.failed, _last_words(self.jobs.log(job)))


def start_worker(data: Path, limits: Limits) -> subprocess.Popen[bytes]:
    """A worker in a process of its own, which ends when this process does."""
    write_json(data / LIMITS_FILE, asdict(limits))
    return subprocess.Popen(
        [sys.executable, "-m", "evoked.serve.worker", str(data)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def _is_made(step: Step) -> bool:
    return step.makes is not None and Path(step.makes).exists()


def _is_free(lock: IO[str]) -> bool:
    """Whether nobody else holds a lock, which then is ours until the file is closed."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stop(group: int | None, status: Callable[[], int | None]) -> None:
    """End a group of processes: politely, and after a while at once."""
    for number, seconds in ((signal.SIGTERM, _SECONDS_TO_END), (signal.SIGKILL, _SECONDS_TO_END)):
        _kill(group, number)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if status() is not None:
                break
            time.sleep(0.05)
        else:
            continue
        break
    _kill(group)


def _kill(group: int | None, number: signal.Signals = signal.SIGKILL) -> None:
    if group is not None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)


def _last_words(lines: list[str]) -> str:
    """What a command said before it failed."""
    errors = [number for number, line in enumerate(lines) if line.startswith("Error:")]
    said = lines[errors[-1] :] if errors else lines[-1:]
    return " ".join(said).removeprefix("Error:").strip()


def main(data: Path) -> None:
    """Run the jobs of a desk for as long as the process lives that started this one."""
    prepare(data)
    parent = os.getppid()

    def wanted() -> bool:
        return os.getppid() == parent

    limits = Limits(**read_json(data / LIMITS_FILE))
    while wanted():
        with suppress(BlockingIOError), locked(data / WORKER_LOCK, wait=False):
            Worker(data, limits, wanted).run()
        time.sleep(_SECONDS_BETWEEN_LOOKS)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Who works: processes of this machine, or a cluster of Ray's.

Both keep as many workers as are asked for, each loaded once; a worker that is killed is replaced,
and its batch is begun again.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import re
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from multiprocessing.connection import Connection, wait
from typing import Any

from evoked.errors import EvokedError, MissingExtraError, SettingsError
from evoked.processes import end_with_parent, usual_workers
from evoked.scoring.batches import Assignment, BatchDone, BatchWorker


class Engine(StrEnum):
    """Who works."""

    local = "local"
    ray = "ray"


# Libraries that would each take every core for themselves.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# Workers that end one after the other before any of them is ready.
_MOST_FALSE_STARTS = 3
# Of a cluster's memory for what its workers pass on: numbers of batches.
_OBJECT_STORE_BYTES = 128 * 2**20
_MOST_BLOCKS = 1000
_SECONDS_TO_ANSWER = 10.0
# It reports to nobody, and says nothing of workers that it replaces.
_RAY_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}


def check_engine(engine: Engine, address: str | None) -> None:
    """Refuse what can't work here, before anything is read.

    Raises
    ------
    MissingExtraError
        Ray is not installed.
    SettingsError
        There is an address, but no cluster is asked for, or nobody answers there.
    """
    if engine is Engine.ray:
        _ray()
        _check_answers(address)
    elif address is not None:
        raise SettingsError("--address is a cluster's: give --engine ray, too.")


def work(
    engine: Engine,
    assignment: Assignment,
    batches: Sequence[int],
    workers: int,
    address: str | None = None,
) -> Iterator[BatchDone]:
    """Answer batches, in any order.

    Parameters
    ----------
    engine
        Who works.
    assignment
        What to do.
    batches
        Numbers of batches.
    workers
        How many work side by side.
    address
        Of a cluster of Ray's; one is started on this machine by default.

    Raises
    ------
    EvokedError
        The work can't go on: the disk is full, or workers end before they begin.
    """
    found = (
        _in_processes(assignment, batches, workers)
        if engine is Engine.local
        else _on_ray(assignment, batches, workers, address)
    )
    for done in found:
        if done.failure is not None:
            raise EvokedError(done.failure)
        yield done


class _Hand:
    """A process that answers the batches it is sent."""

    def __init__(self, assignment: Assignment, threads: int) -> None:
        # Fresh processes: a forked one would inherit threads in the middle of their work.
        spawning = multiprocessing.get_context("spawn")
        self.connection, its_end = spawning.Pipe()
        self.process = spawning.Process(target=_serve, args=(its_end, assignment), daemon=True)
        with _environment(dict.fromkeys(_THREADS, str(threads))):
            self.process.start()
        its_end.close()  # so that its end is noticed
        self.ready = False
        self.batch: int | None = None

    def send(self, batch: int) -> None:
        """Give it a batch; if it has just ended, that is noticed when it should answer."""
        self.batch = batch
        with suppress(OSError):
            self.connection.send(batch)

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()
        self.connection.close()


def _in_processes(
    assignment: Assignment, batches: Sequence[int], workers: int
) -> Iterator[BatchDone]:
    waiting, false_starts = deque(batches), 0
    workers = max(1, min(workers, len(batches)))
    threads = max(1, usual_workers() // workers)
    crew = [_Hand(assignment, threads) for _ in range(workers)]
    try:
        while waiting or any(hand.batch is not None for hand in crew):
            reported = wait([hand.connection for hand in crew])
            for place, hand in enumerate(crew):
                if hand.connection not in reported:
                    continue
                try:
                    message = hand.connection.recv()
                except (EOFError, OSError):  # it was killed
                    false_starts += not hand.ready
                    if false_starts >= _MOST_FALSE_STARTS:
                        raise EvokedError(
                            "the workers are ended from outside before they begin, most often "
                            "because memory runs out. Run the same command again with fewer "
                            "--workers."
                        ) from None
                    if hand.batch is not None:
                        waiting.appendleft(hand.batch)
                    hand.end()
                    crew[place] = _Hand(assignment, threads)
                    continue
                false_starts, hand.ready, hand.batch = 0, True, None
                if isinstance(message, BatchDone):
                    yield message
                if waiting:
                    hand.send(waiting.popleft())
    finally:
        for hand in crew:
            hand.end()


def _serve(connection: Connection, assignment: Assignment) -> None:
    """What a worker's process does until it is ended."""
    end_with_parent()
    try:
        worker = BatchWorker(assignment)
    except EvokedError as error:
        connection.send(BatchDone(-1, 0, 0, str(error)))
        return
    connection.send(None)
    while True:
        connection.send(worker(connection.recv()))


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Variables for processes that are started in the block, where the user has set none."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


class _RayWorker:
    """A worker as ``map_batches`` calls it: a column of numbers in, what became of them out."""

    def __init__(self, assignment: Assignment) -> None:
        self._failure: str | None = None
        try:
            self._answer: Callable[[int], BatchDone] = BatchWorker(assignment)
        except EvokedError as error:
            self._failure = str(error)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        done = [
            self._answer(int(number))
            if self._failure is None
            else BatchDone(-1, 0, 0, self._failure)
            for number in batch["number"]
        ]
        return {
            "number": [each.number for each in done],
            "rows": [each.rows for each in done],
            "errors": [each.errors for each in done],
            "failure": [each.failure or "" for each in done],
        }


def _on_ray(
    assignment: Assignment, batches: Sequence[int], workers: int, address: str | None
) -> Iterator[BatchDone]:
    ray = _ray()
    own = {} if address else {"num_cpus": workers, "object_store_memory": _OBJECT_STORE_BYTES}
    with _environment(_RAY_ENVIRONMENT):
        ray.init(
            address=address or "local",
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level="ERROR",
            **own,
        )
        try:
            logging.getLogger("ray.data").setLevel(logging.ERROR)
            ray.data.DataContext.get_current().enable_progress_bars = False
            numbers = ray.data.from_items(
                [{"number": number} for number in batches],
                override_num_blocks=min(len(batches), _MOST_BLOCKS),
            )
            answered = numbers.map_batches(
                _RayWorker,
                fn_constructor_args=(assignment,),
                batch_size=1,
                compute=ray.data.ActorPoolStrategy(size=min(workers, len(batches))),
                num_cpus=1,
            )
            for row in answered.iter_rows():
                yield BatchDone(row["number"], row["rows"], row["errors"], row["failure"] or None)
        finally:
            ray.shutdown()


def _check_answers(address: str | None) -> None:
    """Raise SettingsError if nobody answers at HOST:PORT: Ray would try for minutes."""
    found = re.fullmatch(r"(?:ray://)?([^:/]+):(\d+)", address or "")
    if found is None:
        return
    try:
        socket.create_connection((found[1], int(found[2])), _SECONDS_TO_ANSWER).close()
    except (OSError, OverflowError) as error:
        raise SettingsError(
            f"--address {address}: nobody answers there ({error}). Start Ray on that machine, or "
            "leave the address out to work on this one."
        ) from error


def _ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtraError("ray", "scale", "--engine ray") from error
    return ray

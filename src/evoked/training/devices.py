"""Training on several devices: a process for each, on this machine or on several.

The command's own process stays apart. It does everything else (features, intervals, scores, the
run's folder) once, starts the processes that train, and shows what the first of them reports. When
one of them ends before its work is done, all are ended.
"""

from __future__ import annotations

import mmap
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from pickle import PicklingError
from typing import Any

import numpy as np

from evoked.errors import EvokedError, SettingsError
from evoked.processes import end_with_parent, usual_workers
from evoked.training.records import EpochRecord
from evoked.training.settings import TrainingSettings

# What a process of the training gets beside its work, and hands to Lightning.
_ADDRESS, _PORT, _MACHINE = _MEETING = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK")
_DEVICE = "LOCAL_RANK"
# Torch's warnings from C++ are for whoever writes a training, not for whoever runs it.
_QUIET = ("TORCH_CPP_LOG_LEVEL", "ERROR")
_STARTED_BY_TORCHRUN = "TORCHELASTIC_RUN_ID"

Report = Callable[[EpochRecord], None]
Work = Callable[[Report | None], list[EpochRecord]]


def machine_number(settings: TrainingSettings) -> int:
    """Number of this machine among those that train together, from 0, as ``NODE_RANK`` says.

    Raises
    ------
    SettingsError
        Several machines are to train, and the environment does not say where they meet.
    """
    if settings.nodes == 1:
        return 0
    missing = [name for name in _MEETING if not os.environ.get(name)]
    if missing:
        raise SettingsError(
            f"nodes={settings.nodes}: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} "
            "not set. Run the same command on every machine, with MASTER_ADDR (the first machine's "
            "address), MASTER_PORT (a free port there) and NODE_RANK (0 on the first machine, 1 on "
            "the next) in the environment."
        )
    number = os.environ[_MACHINE]
    if not number.isdecimal() or int(number) >= settings.nodes:
        raise SettingsError(
            f"NODE_RANK is {number!r}, where one of the numbers from 0 to {settings.nodes - 1} was "
            f"expected, a different one on each of {settings.nodes} machines."
        )
    return int(number)


def check_devices(settings: TrainingSettings, posts: int) -> None:
    """Refuse what several devices can't train.

    Raises
    ------
    SettingsError
        There are fewer devices, or fewer training posts, than asked for, or torchrun has started
        this process, which would start processes of its own.
    """
    import torch

    machine_number(settings)
    if _STARTED_BY_TORCHRUN in os.environ:
        raise SettingsError(
            "torchrun has started this process, and evoked starts one for each device itself. Run "
            "the command once on every machine, without torchrun."
        )
    on_gpu = settings.device != "cpu" and torch.cuda.is_available()
    if on_gpu and torch.cuda.device_count() < settings.devices:
        raise SettingsError(
            f"devices={settings.devices}: this machine has {torch.cuda.device_count()} GPUs. Ask "
            "for as many at most, or set device=cpu."
        )
    if posts < settings.processes:
        raise SettingsError(
            f"{posts} training posts are fewer than {settings.processes} devices: each needs one "
            "at least. Ask for fewer devices."
        )


def on_every_device(
    work: Work, settings: TrainingSettings, progress: Report | None
) -> list[EpochRecord]:
    """Do the same work in a fresh process for each of this machine's devices.

    Parameters
    ----------
    work
        What each process does, given what receives its epochs (None for all but one); handed over
        by :mod:`multiprocessing`.
    settings
        How many devices and machines; see :class:`TrainingSettings`.
    progress
        Called after every epoch, in this process.

    Returns
    -------
    list of dict
        What the work returned.

    Raises
    ------
    EvokedError
        A process failed or was killed; all others have been ended.
    """
    meeting = {name: os.environ[name] for name in _MEETING} if settings.nodes > 1 else _alone()
    with _crew(work, meeting, settings) as crew:
        return _followed(crew, progress)


def _alone() -> dict[str, str]:
    from lightning.fabric.plugins.environments.lightning import find_free_network_port

    return {_ADDRESS: "127.0.0.1", _PORT: str(find_free_network_port()), _MACHINE: "0"}


class _Hand:
    """A process that trains on one device."""

    def __init__(self, variables: dict[str, str], device: int, threads: int) -> None:
        # Fresh processes: a forked one would inherit threads in the middle of their work.
        spawning = multiprocessing.get_context("spawn")
        self.device, self.begun = device, False
        self.connection, its_end = spawning.Pipe()
        given = (its_end, {**variables, _DEVICE: str(device)}, threads)
        self.process = spawning.Process(target=_take_part, args=given)
        with suppress(BrokenPipeError):  # it ended at once, which is noticed when it should report
            self.process.start()
        its_end.close()  # so that its end is noticed

    def take(self, work: Work) -> None:
        """Hand over what it works on.

        Raises
        ------
        SettingsError
            That can't be handed over, as classes and functions that are defined within functions
            can't.
        """
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # as above
                self.connection.send(work)
        except (PicklingError, AttributeError, TypeError) as error:
            raise SettingsError(
                f"this network can't be handed to the processes of several devices ({error}). "
                "Define its classes and functions in a module, not within a function, or train on "
                "one device."
            ) from error

    def died(self) -> bool:
        """Whether it was ended from outside."""
        self.process.join(timeout=0)
        return (self.process.exitcode or 0) < 0

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()
        self.connection.close()


@contextmanager
def _crew(
    work: Work, variables: dict[str, str], settings: TrainingSettings
) -> Iterator[list[_Hand]]:
    threads = max(1, usual_workers() // settings.devices)
    crew: list[_Hand] = []
    try:
        for device in range(settings.devices):
            crew.append(_Hand(variables, device, threads))
        for hand in crew:
            hand.take(work)
        yield crew
    finally:
        for hand in crew:
            hand.end()


def _followed(crew: list[_Hand], progress: Report | None) -> list[EpochRecord]:
    """Pass reports on until all processes are done; what the first has returned."""
    at_work, history = {hand.connection: hand for hand in crew}, []
    while at_work:
        for connection in wait(list(at_work)):
            hand = at_work[connection]  # type: ignore[index]
            try:
                kind, content = hand.connection.recv()
            except (EOFError, OSError):
                del at_work[hand.connection]
                hand.process.join()
                if hand.process.exitcode:
                    raise _ended(hand) from None
                continue
            hand.begun = True
            if kind == "epoch" and progress is not None:
                progress(content)
            elif kind == "history":
                history = content
            elif kind == "refused":
                raise EvokedError(content)
            elif kind == "failed":
                # Of a process that is gone, the others only know that they don't reach it.
                for other in filter(_Hand.died, crew):
                    raise _ended(other)
                raise RuntimeError(f"training on device {hand.device} failed:\n{content}")
    return history


def _ended(hand: _Hand) -> EvokedError:
    code = hand.process.exitcode or 0
    if code >= 0 and not hand.begun:
        return EvokedError(
            f"the process for device {hand.device} ended before it began (exit code {code}). A "
            "script that trains on several devices does so below: if __name__ == '__main__':"
        )
    how = f"signal {-code}, {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return EvokedError(
        f"the process that trained on device {hand.device} was ended from outside ({how}), most "
        "often because memory ran out; the others have been ended, too. Start the same command "
        "again to go on after the last finished epoch."
    )


def _take_part(connection: Connection, variables: dict[str, str], threads: int) -> None:
    """What the process of a device does."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command ends its processes itself
    os.environ.update(variables)
    os.environ.setdefault(*_QUIET)
    try:
        import torch

        if "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(threads)
        connection.send(("begun", None))
        first = variables[_DEVICE] == "0"
        work: Work = connection.recv()
        history = work(_reporting(connection) if first else None)
        connection.send(("history", history))
    except EvokedError as error:
        connection.send(("refused", str(error)))
    except Exception:  # of any library; the command prints it
        connection.send(("failed", traceback.format_exc()))
    finally:
        connection.close()


def _reporting(connection: Connection) -> Report:
    return lambda record: connection.send(("epoch", record))


def _mapped_again(array: np.memmap[Any, Any]) -> Any:
    """How a process is handed a memory-mapped array: by name, to map it again."""
    if isinstance(array.base, mmap.mmap):
        return np.memmap, (array.filename, array.dtype, "r", array.offset, array.shape)
    return array.__reduce__()


ForkingPickler.register(np.memmap, _mapped_again)

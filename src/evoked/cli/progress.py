"""How far work is, shown on standard error: bars in a terminal, now and then a line elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from evoked.cli.application import notes, say_aside

if TYPE_CHECKING:
    from evoked.laboratory import FitsDone, StudyCallbacks
    from evoked.runs.base import Callbacks

# Outside a terminal a stage prints a line at its end, before that whenever it has come this much
# further, but not within seconds of the line before, and at least twice a minute.
_STEP = 0.1
_LEAST_SECONDS = 2.0
_MOST_SECONDS = 30.0
_BAR_WIDTH = 12


class _Stage:
    """One stage: how far it is, and the time that it takes.

    Parameters
    ----------
    started
        When its work began, in seconds of the display's clock.
    now, done
        When it was first reported, and what was done by then.
    """

    def __init__(self, name: str, started: float, now: float, done: int) -> None:
        self.name = name
        self.started = started
        self.first = self.last = (now, done)
        self.line = (now, done)  # when a line was last printed, and what was done by then
        self.total: int | None = None
        self.details = ""
        self.left: float | None = None
        self.running = True

    @property
    def finished(self) -> bool:
        """Whether all is done."""
        return self.last[1] == self.total

    def seconds_left(self, now: float) -> float | None:
        """Seconds that it will still take; None while that can't be estimated."""
        last, done = self.last
        if self.left is not None:
            return self.left - (now - last)
        # What was done before the first report says nothing about the speed: a stage may go on
        # where it was interrupted.
        first, before = self.first
        if not self.total or done == before:
            return None
        return (last - first) / (done - before) * (self.total - done) - (now - last)

    def text(self, now: float) -> str:
        """Count, time and details, for people."""
        done = self.last[1]
        running = self.running and not self.finished
        time_text = duration((now if running else self.last[0]) - self.started)
        left = self.seconds_left(now) if running else None
        if left is not None:
            time_text += f", {duration(max(left, 0))} left"
        count = f"{done:,}" if self.total is None else f"{done:,}/{self.total:,}"
        return " · ".join(part for part in (count, time_text, self.details) if part)

    def is_line_due(self, now: float) -> bool:
        """Whether a line is to be printed."""
        then, before = self.line
        if self.finished:
            return self.last[1] != before or self.first == self.last
        further = self.total is not None and self.last[1] - before >= _STEP * self.total
        return now - then >= (_LEAST_SECONDS if further else _MOST_SECONDS)


class _StageText(ProgressColumn):
    """What stands to the right of a bar; it goes on while nothing is reported."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        """The text at this moment."""
        return Text(task.fields["text"](), no_wrap=True)


class ProgressDisplay:
    """An :class:`evoked.progress.Progress` that people see.

    Stages follow each other: what starts a new one stops the time of the one before.

    Parameters
    ----------
    bars
        Bars of a terminal; without them, lines are printed.
    console
        Where lines are printed.
    clock
        Seconds since some moment.
    """

    def __init__(
        self,
        bars: Progress | None,
        console: Console = notes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bars = bars
        self._console = console
        self._clock = clock
        self._stages: dict[str, _Stage] = {}
        self._tasks: dict[str, TaskID] = {}
        self._last_report = clock()

    def __call__(
        self,
        stage: str,
        done: int,
        total: int | None,
        /,
        details: str = "",
        left: float | None = None,
    ) -> None:
        """Show how far a stage is.

        Parameters
        ----------
        stage, done, total
            See :class:`evoked.progress.Progress`. A stage of 0 items is not shown.
        details
            What else to show beside the time.
        left
            Seconds that the stage will still take; estimated from its speed if left out.
        """
        if total == 0:
            return
        now = self._clock()
        shown = self._stage(stage, now, done)
        shown.last, shown.total = (now, done), total
        shown.details, shown.left = details, left
        self._last_report = now
        if self._bars is not None:
            self._show_bar(self._bars, shown)
        elif shown.is_line_due(now):
            shown.line = shown.last
            self._console.print(
                f"{_title(stage)} {shown.text(now)}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )

    def _stage(self, name: str, now: float, done: int) -> _Stage:
        if name not in self._stages:
            # A first report that something is done already comes after the work began.
            started = self._last_report if done else now
            self._stages[name] = _Stage(name, started, now, done)
        for stage in self._stages.values():
            stage.running = stage.name == name
        return self._stages[name]

    def _show_bar(self, bars: Progress, stage: _Stage) -> None:
        if stage.name not in self._tasks:
            self._tasks[stage.name] = bars.add_task(
                _title(stage.name), total=None, text=lambda: stage.text(self._clock())
            )
        bars.update(self._tasks[stage.name], completed=stage.last[1], total=stage.total)


@contextmanager
def progress_display() -> Iterator[ProgressDisplay]:
    """Show on standard error how far work is; yields an :class:`evoked.progress.Progress`."""
    if not notes.is_terminal:
        yield ProgressDisplay(None)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=_BAR_WIDTH),
        _StageText(),
    )
    with Progress(*columns, console=notes) as bars:
        yield ProgressDisplay(bars)


def run_callbacks(display: ProgressDisplay, epochs: int = 1) -> Callbacks:
    """Callbacks that show the stages and epochs of a run.

    Parameters
    ----------
    epochs
        Epochs of its training at most.
    """
    from evoked.runs.base import Callbacks

    return Callbacks(display, lambda record: _show_epoch(display, record, epochs), say_aside)


def study_callbacks(display: ProgressDisplay) -> StudyCallbacks:
    """Callbacks that show the stages and fits of a study."""
    from evoked.laboratory import StudyCallbacks

    return StudyCallbacks(display, lambda done: _show_fits(display, done), say_aside)


def duration(seconds: float) -> str:
    """Seconds as a person writes them, for example ``0:07`` or ``1:02:03``."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def _show_epoch(display: ProgressDisplay, record: Any, epochs: int) -> None:
    losses = f"loss {record['train_loss']:.3f}, held out {record['validation_loss']:.3f}"
    display("training", int(record["epoch"]), epochs, losses)


def _show_fits(display: ProgressDisplay, done: FitsDone) -> None:
    folds = f"folds {done.folds}/{done.of_folds}"
    display("fits", done.fits, done.of, folds, done.seconds_left)


def _title(stage: str) -> str:
    return stage[:1].upper() + stage[1:]

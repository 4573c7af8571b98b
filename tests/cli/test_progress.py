"""Progress: lines where there is no terminal, bars where there is one, and the time of a stage."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress as Bars

from evoked.cli import progress
from evoked.cli.progress import ProgressDisplay, duration, progress_display
from tests.support.command_line import evoked


class Screen:
    """A display with a clock that is set by hand."""

    def __init__(self, bars: Bars | None = None) -> None:
        self.now = 0.0
        self.file = io.StringIO()
        self.display = ProgressDisplay(bars, Console(file=self.file, width=80), lambda: self.now)

    def at(self, now: float, stage: str, done: int, total: int | None, **more: object) -> None:
        self.now = now
        self.display(stage, done, total, **more)  # type: ignore[arg-type]

    @property
    def lines(self) -> list[str]:
        return self.file.getvalue().splitlines()


def test_a_line_is_printed_every_tenth_and_at_the_end() -> None:
    screen = Screen()
    for done in range(101):
        screen.at(done, "pictures", done, 100)
    assert screen.lines == [
        "Pictures 10/100 · 0:10, 1:30 left",
        "Pictures 20/100 · 0:20, 1:20 left",
        "Pictures 30/100 · 0:30, 1:10 left",
        "Pictures 40/100 · 0:40, 1:00 left",
        "Pictures 50/100 · 0:50, 0:50 left",
        "Pictures 60/100 · 1:00, 0:40 left",
        "Pictures 70/100 · 1:10, 0:30 left",
        "Pictures 80/100 · 1:20, 0:20 left",
        "Pictures 90/100 · 1:30, 0:10 left",
        "Pictures 100/100 · 1:40",
    ]


def test_what_is_quick_prints_one_line() -> None:
    screen = Screen()
    for done in range(101):
        screen.at(done / 100, "pictures", done, 100)
    assert screen.lines == ["Pictures 100/100 · 0:01"]


def test_what_is_slow_prints_a_line_now_and_then() -> None:
    screen = Screen()
    for done in range(10):
        screen.at(20 * done, "reading", done, None)
    assert screen.lines == [
        "Reading 2 · 0:40",
        "Reading 4 · 1:20",
        "Reading 6 · 2:00",
        "Reading 8 · 2:40",
    ]


def test_a_stage_that_was_done_before_prints_one_line() -> None:
    screen = Screen()
    screen.at(0, "captions", 70, 70)
    screen.at(9, "captions", 70, 70)
    screen.at(9, "nothing", 0, 0)
    assert screen.lines == ["Captions 70/70 · 0:00"]


def test_a_stage_that_goes_on_is_not_the_faster_for_what_was_done_before() -> None:
    screen = Screen()
    screen.at(0, "pictures", 900, 1000)
    screen.at(10, "pictures", 950, 1000)
    screen.at(40, "pictures", 960, 1000)
    assert screen.lines == ["Pictures 960/1,000 · 0:40, 0:27 left"]


def test_the_time_is_that_of_the_stage() -> None:
    bars = Bars(console=Console(file=io.StringIO()))
    screen = Screen(bars)
    screen.at(0, "pictures", 0, 8)
    screen.at(60, "pictures", 8, 8)
    screen.at(70, "training", 1, 40, details="loss 0.5")
    screen.now = 75
    pictures, training = bars.tasks
    assert training.fields["text"]() == "1/40 · 0:15 · loss 0.5"  # since what came before it
    screen.at(80, "training", 2, 40, details="loss 0.4")
    screen.now = 85
    assert training.fields["text"]() == "2/40 · 0:25, 6:15 left · loss 0.4"
    screen.at(90, "captions", 0, 3)
    screen.now = 500
    assert pictures.fields["text"]() == "8/8 · 1:00"
    assert training.fields["text"]() == "2/40 · 0:20 · loss 0.4"  # it stopped early
    assert (training.completed, training.total) == (2, 40)


def test_time_left_that_was_estimated_elsewhere_is_shown() -> None:
    screen = Screen()
    screen.at(0, "fits", 0, 4, details="folds 0/2")
    screen.at(30, "fits", 1, 4, details="folds 0/2", left=45.0)
    assert screen.lines == ["Fits 1/4 · 0:30, 0:45 left · folds 0/2"]


@pytest.mark.parametrize(("seconds", "text"), [(7, "0:07"), (754, "12:34"), (3723, "1:02:03")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_terminal_shows_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, width=80)
    monkeypatch.setattr(progress, "notes", terminal)
    with progress_display() as display:
        display("training", 39, 40, "loss 0.512, held out 0.634")
        display("training", 40, 40, "loss 0.512, held out 0.634")
    shown = terminal.file.getvalue()  # type: ignore[attr-defined]
    assert "━" in shown
    assert "40/40 · 0:00 · loss 0.512, held out 0.634" in shown


def test_commands_report_progress_without_a_terminal(tmp_path: Path) -> None:
    answer = evoked("synth", tmp_path / "posts", "--n", "120")
    assert answer.stderr.startswith("Drawing 120/120 · ")
    assert answer.stdout == f"120 posts in {tmp_path / 'posts'}\n"

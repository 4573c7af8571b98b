"""What holds for every command: help, clear refusals, and nothing imported in vain."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from evoked.cli import app
from tests.support.command_line import evoked


def commands(group: Any, *words: str) -> Iterator[tuple[str, ...]]:
    """The words of every command there is."""
    for name, command in group.commands.items():
        inner = getattr(command, "commands", None)
        yield from commands(command, *words, name) if inner else [(*words, name)]


@pytest.mark.parametrize("words", commands(typer.main.get_command(app)), ids=" ".join)
def test_help_of_every_command(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*words, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train nowhere --out run", "not a dataset"),
        ("predict nowhere --caption x", "not a finished run"),
        ("predict nowhere --title x", "not a finished run"),
        ("predict nowhere", "not a finished run"),
        ("predict nowhere --posts posts --caption x", "in place of a draft"),
        ("predict nowhere --caption x --out scores.txt", "ending in .csv"),
        ("predict nowhere --image missing.jpg", "no picture missing.jpg"),
        ("predict nowhere --image .", "is a folder: give one picture"),
        (
            "predict nowhere --caption x --posted-at 13.05.2024",
            "--posted-at: '13.05.2024' is not a date",
        ),
        ("train nowhere --out run --set width", "NAME=VALUE"),
        ("import csv nowhere.csv out --scale valence=5", "DIMENSION=LOW:HIGH"),
        ("import csv nowhere.csv out", "nowhere.csv"),
    ],
)
def test_mistakes_are_answered_in_a_sentence(
    arguments: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = evoked(*shlex.split(arguments), fails=True)
    assert message in " ".join(answer.stderr.split())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "status", "stdout", "stderr"),
    [
        ("privacy explain", 0, "What is not protected", ""),
        ("predict nowhere", 2, "", "not a finished run"),
    ],
)
def test_in_a_process_of_its_own(arguments: str, status: int, stdout: str, stderr: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "evoked", *arguments.split()],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status
    assert stdout in done.stdout
    assert stderr in done.stderr
    assert bool(done.stderr) == bool(stderr)
    assert "Traceback" not in done.stderr


def test_names_are_printed_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    folder = tmp_path / ("[bold]posts[/] " * 9)
    assert evoked("synth", folder, "--n", "20").stdout == f"20 posts in {folder}\n"

"""The README's examples, run as they stand on a machine without any other data."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from evoked.posts.dataset import PostDataset
from tests.support.command_line import evoked
from tests.support.reader_sources import instaloader_source

REPOSITORY = Path(__file__).resolve().parents[1]


def blocks(language: str) -> list[str]:
    """The README's blocks of code in a language."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def shell_commands() -> list[str]:
    """Lines of the README's shell blocks that call evoked."""
    lines = "".join(blocks("sh")).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("evoked ")]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``make demo`` makes, smaller."""
    folder = tmp_path_factory.mktemp("readme") / "demo"
    evoked("demo", folder, "--n", "60", "--epochs", "1")
    return folder


@pytest.fixture
def in_checkout(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the demo in the place that the README names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVOKED_CACHE", str(demo / "cache"))
    (tmp_path / "demo").symlink_to(demo)
    return tmp_path


def test_the_shell_tour_runs_as_it_stands(in_checkout: Path) -> None:
    instaloader_source(in_checkout / "downloads")
    commands = shell_commands()
    assert len(commands) >= 8
    for command in commands:
        evoked(*shlex.split(command, comments=True)[1:])
    assert len(PostDataset(in_checkout / "my_posts")) == 3
    assert (in_checkout / "scores.csv").is_file()
    assert (in_checkout / "report.html").is_file()


def test_the_python_example_runs_as_it_stands(
    in_checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = blocks("python")
    exec(compile(example, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "valence" in printed
    assert (in_checkout / "another_run" / "run.json").is_file()

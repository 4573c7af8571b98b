"""A demo that the tests of several commands share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import evoked


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small demo: posts, run, explanation and report, made by one command."""
    folder = tmp_path_factory.mktemp("demo") / "demo"
    answer = evoked("demo", folder, "--n", "60", "--epochs", "1")
    (folder.parent / "said.txt").write_text(answer.stdout, encoding="utf-8")
    return folder

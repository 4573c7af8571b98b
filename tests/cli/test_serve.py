"""Opening the desk from the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.command_line import evoked


def test_without_locks_of_files_the_desk_is_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, which has no module of this name."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    answer = evoked("serve", "--data", tmp_path / "desk", fails=True)
    assert answer.stdout == ""
    assert "needs Linux or macOS" in answer.stderr
    assert "WSL" in answer.stderr
    assert not (tmp_path / "desk").exists()

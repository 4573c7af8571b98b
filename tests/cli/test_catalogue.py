"""Lists of models, tasks and features."""

from __future__ import annotations

import json

import pytest

from tests.support.command_line import evoked


def test_lists_for_programs() -> None:
    models = json.loads(evoked("models", "--json").stdout)
    assert "abmf" in [model["name"] for model in models]
    features = json.loads(evoked("features", "--json").stdout)
    assert "image.map" in [feature["name"] for feature in features]


@pytest.mark.parametrize("command", ["models", "features", "reproduce --list"])
def test_lists_fit_a_narrow_terminal_without_breaking_a_word(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "5000")
    whole = evoked(*command.split()).stdout
    monkeypatch.setenv("COLUMNS", "80")
    narrow = evoked(*command.split()).stdout
    assert max(map(len, narrow.splitlines())) <= 80
    assert words(narrow) == words(whole)
    assert len(words(whole)) > 100


def words(text: str) -> set[str]:
    return {word for word in text.split() if set(word) != {"─"}}

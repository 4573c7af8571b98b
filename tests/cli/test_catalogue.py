"""Lists of models, tasks and features."""

from __future__ import annotations

import json

from tests.support.command_line import evoked


def test_lists_for_programs() -> None:
    models = json.loads(evoked("models", "--json").stdout)
    assert "abmf" in [model["name"] for model in models]
    features = json.loads(evoked("features", "--json").stdout)
    assert "image.map" in [feature["name"] for feature in features]

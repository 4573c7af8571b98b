"""What is the blend's own, beyond the contract of models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evoked.errors import DataError, SettingsError
from evoked.models import MODELS, Examples, build_model, load_model
from evoked.models.blend import Blend
from evoked.models.members import CombinationSettings
from evoked.testing.examples import random_examples

SETTINGS = {"members": [{"model": "linear"}, {"model": "author_mean"}]}


def fitted(examples: Examples, folder: Path, task: str = "emotion_engagement") -> Blend:
    model = Blend(CombinationSettings.model_validate(SETTINGS), task=task)
    model.fit(examples, folder=folder)
    return model


@pytest.mark.parametrize("task", ["emotion_engagement", "level"])
def test_it_predicts_the_mean_of_its_members(task: str, tmp_path: Path) -> None:
    examples, others = (random_examples(60, seed=seed, task=task) for seed in (0, 1))
    predicted = fitted(examples, tmp_path, task).predict(others)
    parts = []
    for name in ("linear", "author_mean"):
        member = MODELS[name](task=task)
        member.fit(examples, folder=tmp_path / name)
        parts.append(member.predict(others).to_numpy())
    np.testing.assert_allclose(predicted, (parts[0] + parts[1]) / 2, atol=1e-6)
    assert np.abs(parts[0] - parts[1]).max() > 0.01
    if task == "level":
        np.testing.assert_allclose(predicted.sum(axis=1), 1, atol=1e-6)


def test_it_is_saved_with_its_members(tmp_path: Path) -> None:
    examples = random_examples(60)
    model = fitted(examples, tmp_path / "training")
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    pd.testing.assert_frame_equal(again.predict(examples), model.predict(examples))
    path = tmp_path / "model" / "model.json"
    state = json.loads(path.read_text())
    state["settings"]["members"].reverse()
    path.write_text(json.dumps(state))
    with pytest.raises(DataError, match=r"not a whole blend.*a member is linear, not author_mean"):
        load_model(tmp_path / "model")


@pytest.mark.parametrize("member", ["blend", "stack"])
def test_what_has_members_is_no_member(member: str) -> None:
    with pytest.raises(SettingsError, match=f"a {member} can't be a member"):
        build_model("blend", {"members": [{"model": member}]})


@pytest.mark.parametrize(("member", "quick"), [("author_mean", True), ("text_bert", False)])
def test_it_is_quick_if_all_members_are(member: str, quick: bool) -> None:
    members = [{"model": "linear"}, {"model": member}]
    assert Blend(CombinationSettings.model_validate({"members": members})).quick == quick

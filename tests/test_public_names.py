"""What ``import evoked`` offers: names, signatures, and what prints as a recipe."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any, get_overloads

import pytest

import evoked
from evoked.features.catalog import FeatureSettings
from evoked.runs.training import train
from evoked.training.settings import TrainingSettings


def test_every_public_name_can_be_had_and_is_known_to_type_checkers() -> None:
    for name in evoked.__all__:
        assert getattr(evoked, name) is not None
    tree = ast.parse(Path(str(evoked.__file__)).read_text(encoding="utf-8"))
    (checked,) = [node for node in tree.body if isinstance(node, ast.If)]
    names = {
        alias.asname
        for node in checked.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert names | {"open"} == set(evoked.__all__)
    assert set(evoked.__all__) <= set(dir(evoked))
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = evoked.trian


@pytest.mark.parametrize("name", ["train", "train_automatically", "load"])
def test_arguments_are_spelt_out_and_typed(name: str) -> None:
    parameters = inspect.signature(getattr(evoked, name)).parameters.values()
    kinds = {each.kind for each in parameters}
    assert kinds <= {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    assert all(each.annotation is not inspect.Parameter.empty for each in parameters)
    documented = inspect.getdoc(getattr(evoked, name)) or ""
    assert all(each.name in documented for each in parameters)


def test_overloads_of_train_have_its_arguments() -> None:
    own = list(inspect.signature(train).parameters)
    overloads = get_overloads(train)
    assert len(overloads) == 2
    assert all(list(inspect.signature(each).parameters) == own for each in overloads)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (TrainingSettings(), "TrainingSettings()"),
        (
            TrainingSettings(max_epochs=5, device="cpu"),
            "TrainingSettings(max_epochs=5, device='cpu')",
        ),
        (FeatureSettings(views=2, text_steps=()), "FeatureSettings(views=2, text_steps=())"),
    ],
)
def test_settings_print_as_what_makes_them(settings: Any, text: str) -> None:
    assert repr(settings) == text
    names = {"TrainingSettings": evoked.TrainingSettings, "FeatureSettings": evoked.FeatureSettings}
    assert eval(text, names) == settings

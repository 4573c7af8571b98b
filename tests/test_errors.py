"""Messages about names and settings that don't exist."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evoked.errors import SettingsError, settings_problem
from evoked.models import build_model
from evoked.targets import task_class


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    size: int = 1


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    width: int = Field(64, ge=8)
    heads: int = 4
    inner: Inner = Inner()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"widht": 8},
            "there is no setting 'widht'. Did you mean 'width'? There are: width, heads, inner.",
        ),
        ({"nonsense": 1}, "there is no setting 'nonsense'. There are: width, heads, inner."),
        ({"width": 3}, "width: Input should be greater than or equal to 8."),
        ({"inner": {"colour": 1}}, "inner.colour: Extra inputs are not permitted."),
    ],
)
def test_the_first_problem_is_a_sentence(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(given)
    assert settings_problem(caught.value, Settings.model_fields) == message


@pytest.mark.parametrize(
    ("model", "task", "message"),
    [
        ("lineer", None, "no model is called 'lineer'. Did you mean 'linear'[?] There are: abmf, "),
        ("weather", None, "no model is called 'weather'. There are: abmf, "),
        ("linear", "share", "does not learn the task 'share'; .*[.] Did you mean 'shares'[?]$"),
        ("eijl", "level", "does not learn the task 'level'; it learns [a-z_, ]+[.]$"),
    ],
)
def test_unknown_models_and_tasks_are_answered_with_the_closest_name(
    model: str, task: str | None, message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        build_model(model, task=task)


def test_an_unknown_task_is_answered_with_the_closest_name() -> None:
    with pytest.raises(SettingsError, match=r"no task is called 'share'. Did you mean 'shares'\?"):
        task_class("share")


def test_an_unknown_setting_is_answered_with_those_of_the_model() -> None:
    with pytest.raises(SettingsError, match=r"^abmf: there is no setting 'widht'. Did you mean 'w"):
        build_model("abmf", {"widht": 8})
    with pytest.raises(SettingsError, match=r"^mean: there is no setting 'widht'. There are: none"):
        build_model("mean", {"widht": 8})

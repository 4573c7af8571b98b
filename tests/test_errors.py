"""What a person is told of settings that don't fit."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evoked.errors import SettingsError, settings_problem
from evoked.models import build_model


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    size: int = 1


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    width: int = Field(64, ge=8)
    heads: int = 4
    inner: Inner = Inner()


@pytest.mark.parametrize(
    ("given", "told"),
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
def test_the_first_problem_is_a_sentence(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(given)
    assert settings_problem(caught.value, Settings.model_fields) == told


def test_models_tell_their_settings() -> None:
    with pytest.raises(SettingsError, match=r"^abmf: there is no setting 'widht'. Did you mean 'w"):
        build_model("abmf", {"widht": 8})
    with pytest.raises(SettingsError, match=r"^mean: there is no setting 'widht'. There are: none"):
        build_model("mean", {"widht": 8})

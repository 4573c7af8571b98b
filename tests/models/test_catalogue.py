from __future__ import annotations

import pytest

from evoked.errors import SettingsError
from evoked.models import MODELS, build_model
from evoked.models.catalogue import (
    CATALOGUE_FILE,
    catalogue,
    check_model,
    entry_of,
    model_entry,
    render,
)


def test_the_catalogue_says_what_the_classes_say() -> None:
    written = CATALOGUE_FILE.read_text(encoding="utf-8")
    assert written == render(MODELS.values()), "run 'make render'"


def test_an_entry_is_read_as_it_was_written() -> None:
    assert list(catalogue()) == list(MODELS)
    assert model_entry("abmf") == entry_of(MODELS["abmf"])


def test_every_model_is_registered_under_its_own_name() -> None:
    assert [model.name for model in MODELS.values()] == list(MODELS)


def test_names_are_looked_up_as_in_a_dictionary() -> None:
    assert "abmf" in MODELS
    assert "abmv" not in MODELS
    assert None not in MODELS
    assert len(MODELS) == len(list(MODELS))
    with pytest.raises(KeyError):
        MODELS["abmv"]


@pytest.mark.parametrize(
    ("name", "task", "settings", "message"),
    [
        ("abmv", None, {}, r"no model is called 'abmv'\. Did you mean 'abmf'\? There are: abmf,"),
        ("abmf", "sharse", {}, r"abmf does not learn the task 'sharse'; it learns "),
        ("abmf", None, {"widht": 3}, r"abmf: there is no setting 'widht'\. Did you mean 'width'\?"),
    ],
)
def test_what_can_not_be_built_is_refused_alike_before_and_after_the_import(
    name: str, task: str | None, settings: dict[str, int], message: str
) -> None:
    with pytest.raises(SettingsError, match=message) as early:
        check_model(name, task, settings)
    with pytest.raises(SettingsError) as late:
        build_model(name, settings, task=task)
    assert str(early.value) == str(late.value)


def test_what_can_be_built_passes() -> None:
    entry = check_model("abmf", "emotion_engagement", ["width"])
    assert entry == model_entry("abmf")

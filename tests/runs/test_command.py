"""The command and the call that repeat a run give back each of its settings."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from evoked.cli.application import app
from evoked.features.catalog import FeatureSettings
from evoked.models import MODELS, model_class
from evoked.runs.command import OWN_OPTIONS, training_call, training_command
from evoked.training import TrainingSettings

# A value of each setting that is nobody's default.
OTHER: dict[str, dict[str, Any]] = {
    "features": {
        "image_encoder": "timm:resnet18",
        "text_encoder": "transformers:some/model with a space",
        "object_encoder": "torchvision:fasterrcnn",
        "face_encoder": "fer",
        "affect_reader": "use",
        "views": 3,
        "max_tokens": 64,
        "text_steps": ("urls", "lower"),
        "hashtag_vectors": "vectors/tags ünd 🎉.txt",
        "hashtag_stems": True,
        "topics": 50,
        "generated_comments": True,
        "history_min_age_hours": 12.0,
    },
    "training": {
        "max_epochs": 7,
        "batch_size": 48,
        "learning_rate": 3e-5,
        "optimizer": "adamw",
        "weight_decay": 1e-6,
        "schedule": "drop",
        "drop_after": 5,
        "drop_factor": 0.25,
        "warmup": 0.125,
        "patience": 3,
        "accumulate": 4,
        "clip": 2.5,
        "precision": "32",
        "device": "cpu",
        "devices": 2,
        "nodes": 3,
        "workers": 2,
        "max_posts": 5000,
        "seed": 11,
    },
}
KINDS: dict[str, type[BaseModel]] = {"features": FeatureSettings, "training": TrainingSettings}
EVERY_SETTING = [(group, field) for group, fields in OTHER.items() for field in fields]
# There is only one way in which devices train together.
ALWAYS_THE_SAME = {"training": {"strategy"}}


class Called(Exception):  # noqa: N818 (no error: what a call was given)
    """Raised in place of training, with the arguments."""


def described(
    model: str = "linear",
    features: FeatureSettings | None = None,
    training: TrainingSettings | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """What run.json holds of the settings of a run."""
    kind = model_class(model)
    return {
        "data": {"name": "my posts"},
        "model": {"name": model, "settings": kind.Settings(**settings).model_dump(mode="json")},
        "task": kind.tasks[0],
        "features": (features or FeatureSettings()).model_dump(mode="json"),
        "training": (training or kind.default_training).model_dump(mode="json"),
        "split": {"kind": "random"},
        "estimate": False,
    }


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(*positional: Any, **named: Any) -> None:
        raise Called(positional, named)

    monkeypatch.setattr("evoked.runs.training.train", train)
    monkeypatch.setattr("evoked.posts.dataset.PostDataset", str)
    monkeypatch.setattr("evoked.train", train, raising=False)
    monkeypatch.setattr("evoked.open", str, raising=False)


def typed(command: str | None) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What a command line has trained."""
    assert command is not None
    program, *words = shlex.split(command)
    assert program == "evoked"
    result = CliRunner().invoke(app, words)
    assert isinstance(result.exception, Called), result.output
    positional, named = result.exception.args
    return positional, named


def test_every_setting_is_tried() -> None:
    for group, kind in KINDS.items():
        assert set(OTHER[group]) == set(kind.model_fields) - ALWAYS_THE_SAME.get(group, set())
    assert set(OWN_OPTIONS) - set(EVERY_SETTING) == {("training", "strategy")}


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(("group", "field"), EVERY_SETTING)
def test_a_changed_setting_comes_back(group: str, field: str) -> None:
    settings = KINDS[group](**{field: OTHER[group][field]})
    description = described(**{group: settings})
    _, given = typed(training_command(description, "runs/my_run"))
    assert given[group] == settings
    with pytest.raises(Called) as called:
        exec(training_call(description, "runs/my_run"), {})
    assert called.value.args[1] == {group: settings, "split": "random", "estimate": False}


@pytest.mark.usefixtures("no_training")
def test_all_settings_at_once_come_back() -> None:
    features, training = FeatureSettings(**OTHER["features"]), TrainingSettings(**OTHER["training"])
    command = training_command(described("abmf", features, training, width=48), "runs/my_run")
    (dataset, model, folder), given = typed(command)
    assert (dataset, model, str(folder)) == ("my posts", "abmf", "my_run")
    assert given["features"] == features
    assert given["training"] == training
    assert given["model_settings"] == {"width": 48}
    assert given["split"] == "random"
    assert given["estimate"] is False


@pytest.mark.usefixtures("no_training")
def test_no_text_steps_come_back() -> None:
    features = FeatureSettings(text_steps=())
    _, given = typed(training_command(described(features=features), "run"))
    assert given["features"] == features


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("model", MODELS)
def test_what_a_model_does_by_itself_needs_no_option(model: str) -> None:
    command = training_command(described(model), "my_run")
    assert command == f"evoked train 'my posts' --model {model} --out my_run --split random" + (
        " --no-estimate"
    )
    _, given = typed(command)
    assert given["training"] == model_class(model).default_training
    assert given["features"] == FeatureSettings()
    assert not given["model_settings"]


def test_another_task_than_the_models_first_is_named() -> None:
    description = {**described(), "task": "level"}
    command, usual = training_command(description, "run"), training_command(described(), "run")
    assert command is not None
    assert "--task level" in command
    assert "task='level'" in training_call(description, "run")
    assert usual is not None
    assert "task" not in usual


def test_an_encoder_that_captions_would_replace_is_named() -> None:
    """English captions leave the usual encoder; others would bring another one."""
    english = {**described(), "languages": {"English": 90, "undecided": 10}}
    japanese = {**described(), "languages": {"Japanese": 90, "English": 10}}
    assert "--text-encoder" not in str(training_command(english, "run"))
    words = str(training_command(japanese, "run"))
    assert "--text-encoder builtin" in words
    assert "affect_reader" in words

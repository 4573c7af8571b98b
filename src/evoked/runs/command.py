"""How a run is repeated: its ``evoked train`` line, and the same call in Python.

Every setting of features and training has an option: one of its own (:data:`OWN_OPTIONS`), or the
general one of its group (:data:`GENERAL_OPTIONS`), which takes ``NAME=VALUE``.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel

from evoked.features.catalog import FeatureSettings
from evoked.features.languages import CHOSEN_BY_CAPTIONS, unread_languages
from evoked.training.settings import TrainingSettings

if TYPE_CHECKING:
    from evoked.models import Model

# The command line makes its options from these tables, so the models, whose tasks need pandas, are
# imported within the functions.

Group = Literal["model", "features", "training"]

# Settings that 'evoked train' has an option for, by group and field.
OWN_OPTIONS: dict[tuple[Group, str], str] = {
    ("features", "image_encoder"): "--image-encoder",
    ("features", "text_encoder"): "--text-encoder",
    ("features", "object_encoder"): "--object-encoder",
    ("features", "face_encoder"): "--face-encoder",
    ("features", "views"): "--views",
    ("features", "text_steps"): "--text-steps",
    ("features", "hashtag_vectors"): "--hashtag-vectors",
    ("training", "seed"): "--seed",
    ("training", "max_epochs"): "--epochs",
    ("training", "patience"): "--patience",
    ("training", "batch_size"): "--batch-size",
    ("training", "learning_rate"): "--learning-rate",
    ("training", "accumulate"): "--accumulate",
    ("training", "precision"): "--precision",
    ("training", "device"): "--device",
    ("training", "devices"): "--devices",
    ("training", "nodes"): "--nodes",
    ("training", "strategy"): "--strategy",
}
# Options that take NAME=VALUE of any other setting of their group, and may be repeated.
GENERAL_OPTIONS: dict[Group, str] = {
    "model": "--set",
    "features": "--features",
    "training": "--training",
}
# What '--text-steps' takes for an empty list.
NO_STEPS = "none"


def training_command(
    description: dict[str, Any], folder: Path | str, model: type[Model] | None = None
) -> str | None:
    """The command line that repeats a run.

    Parameters
    ----------
    description
        What ``run.json`` holds.
    folder
        Folder of the run; the command names it without its parents, as it names the dataset.
    model
        Class of the run's model; needed where that is not one of evoked's.

    Returns
    -------
    str or None
        None if the model is not one of evoked's, since a command line can't give a class.
    """
    from evoked.models import MODELS

    if description["model"]["name"] not in MODELS:
        return None
    words = ["evoked", "train", description["data"]["name"]]
    words += ["--model", description["model"]["name"], "--out", Path(folder).name]
    words += ["--task", task] if (task := _chosen_task(description, model)) else []
    words += ["--split", description["split"]["kind"]]
    for group, settings in _changed_settings(description, model).items():
        for field, value in settings.items():
            words += setting_words(group, field, value)
    # Runs of viewings estimate nothing, so their description doesn't mention it.
    words += [] if description.get("estimate", True) else ["--no-estimate"]
    return shlex.join(words)


def setting_words(group: Group, field: str, value: Any) -> list[str]:
    """The option that gives a setting its value, and what follows it."""
    if (group, field) not in OWN_OPTIONS:
        # JSON is YAML, which is what the general options read.
        return [GENERAL_OPTIONS[group], f"{field}={json.dumps(value, ensure_ascii=False)}"]
    text = ",".join(value) or NO_STEPS if isinstance(value, list | tuple) else str(value)
    return [OWN_OPTIONS[group, field], text]


def training_call(
    description: dict[str, Any], folder: Path | str, model: type[Model] | None = None
) -> str:
    """The lines of Python that repeat a run; the parameters are those of
    :func:`training_command`."""
    from evoked.models import MODELS

    changed = _changed_settings(description, model)
    # In Python training settings are given whole, not on top of the model's own.
    changed["training"] = changed["training"] and _differing(
        description["training"], TrainingSettings()
    )
    name = description["model"]["name"]
    arguments = [
        f"evoked.open({description['data']['name']!r})",
        repr(name) if name in MODELS or model is None else model.__name__,
        f"{Path(folder).name!r}",
        f"split={description['split']['kind']!r}",
    ]
    if task := _chosen_task(description, model):
        arguments.append(f"task={task!r}")
    if changed["model"]:
        arguments.append(f"model_settings={changed['model']!r}")
    if changed["features"]:
        arguments.append(f"features=evoked.FeatureSettings({_keywords(changed['features'])})")
    if changed["training"]:
        arguments.append(f"training=evoked.TrainingSettings({_keywords(changed['training'])})")
    if not description.get("estimate", True):
        arguments.append("estimate=False")
    return "import evoked\n\nevoked.train(\n    " + ",\n    ".join(arguments) + ",\n)"


def _chosen_task(description: dict[str, Any], model: type[Model] | None) -> str | None:
    """The task, unless it is the one that the model learns anyway."""
    task: str = description["task"]
    return None if task == _class_of(description, model).tasks[0] else task


def _class_of(description: dict[str, Any], model: type[Model] | None) -> type[Model]:
    from evoked.models import model_class

    return model_class(description["model"]["name"]) if model is None else model


def _changed_settings(
    description: dict[str, Any], model: type[Model] | None
) -> dict[Group, dict[str, Any]]:
    """The settings that differ from those of ``evoked train`` without options, by group."""
    kind = _class_of(description, model)
    features = _differing(description["features"], FeatureSettings())
    # What reads captions is chosen by the posts where they are in other languages than English.
    if unread_languages(description.get("languages", {}), "builtin"):
        chosen = {name: description["features"][name] for name in CHOSEN_BY_CAPTIONS}
        features = {**chosen, **features}
    return {
        "model": _differing(description["model"]["settings"], kind.Settings()),
        "features": features,
        "training": _differing(description["training"], kind.default_training),
    }


def _differing(settings: dict[str, Any], defaults: BaseModel) -> dict[str, Any]:
    usual = defaults.model_dump(mode="json")
    return {field: value for field, value in settings.items() if usual.get(field) != value}


def _keywords(settings: dict[str, Any]) -> str:
    return ", ".join(f"{field}={value!r}" for field, value in settings.items())

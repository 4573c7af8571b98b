"""How a run is repeated: its ``evoked train`` line, and the same call in Python.

Every setting of features and training has an option: one of its own (:data:`OWN_OPTIONS`), or the
general one of its group (:data:`GENERAL_OPTIONS`), which takes ``NAME=VALUE``.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from evoked.features.catalog import FeatureSettings
from evoked.models import model_class
from evoked.training.settings import TrainingSettings

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
    ("training", "device"): "--device",
}
# Options that take NAME=VALUE of any other setting of their group, and may be repeated.
GENERAL_OPTIONS: dict[Group, str] = {
    "model": "--set",
    "features": "--features",
    "training": "--training",
}
# What '--text-steps' takes for an empty list.
NO_STEPS = "none"


def training_command(description: dict[str, Any], folder: Path | str) -> str:
    """The command line that repeats a run.

    Parameters
    ----------
    description
        What ``run.json`` holds.
    folder
        Folder of the run; the command names it without its parents, as it names the dataset.
    """
    words = ["evoked", "train", description["data"]["name"]]
    words += ["--model", description["model"]["name"], "--out", Path(folder).name]
    words += ["--task", task] if (task := _chosen_task(description)) else []
    words += ["--split", description["split"]["kind"]]
    for group, settings in _changed_settings(description).items():
        for field, value in settings.items():
            words += setting_words(group, field, value)
    # Runs of viewings estimate nothing, so that their description doesn't mention it.
    words += [] if description.get("estimate", True) else ["--no-estimate"]
    return shlex.join(words)


def setting_words(group: Group, field: str, value: Any) -> list[str]:
    """The option that gives a setting its value, and what follows it."""
    if (group, field) not in OWN_OPTIONS:
        # JSON is YAML, which is what the general options read.
        return [GENERAL_OPTIONS[group], f"{field}={json.dumps(value, ensure_ascii=False)}"]
    text = ",".join(value) or NO_STEPS if isinstance(value, list | tuple) else str(value)
    return [OWN_OPTIONS[group, field], text]


def training_call(description: dict[str, Any], folder: Path | str) -> str:
    """The lines of Python that repeat a run; parameters as of :func:`training_command`."""
    changed = _changed_settings(description)
    # In Python training settings are given whole, not on top of the model's own.
    changed["training"] = changed["training"] and _differing(
        description["training"], TrainingSettings()
    )
    arguments = [
        f"evoked.open({description['data']['name']!r})",
        f"{description['model']['name']!r}",
        f"{Path(folder).name!r}",
        f"split={description['split']['kind']!r}",
    ]
    imports = ["import evoked"]
    if task := _chosen_task(description):
        arguments.append(f"task={task!r}")
    if changed["model"]:
        arguments.append(f"model_settings={changed['model']!r}")
    if changed["features"]:
        arguments.append(f"features=FeatureSettings({_keywords(changed['features'])})")
        imports.append("from evoked.features.catalog import FeatureSettings")
    if changed["training"]:
        arguments.append(f"training=TrainingSettings({_keywords(changed['training'])})")
        imports.append("from evoked.training import TrainingSettings")
    if not description.get("estimate", True):
        arguments.append("estimate=False")
    return "\n".join(imports) + "\n\nevoked.train(\n    " + ",\n    ".join(arguments) + ",\n)"


def _chosen_task(description: dict[str, Any]) -> str | None:
    """The task, unless it is the one that the model learns anyway."""
    task: str = description["task"]
    return None if task == model_class(description["model"]["name"]).tasks[0] else task


def _changed_settings(description: dict[str, Any]) -> dict[Group, dict[str, Any]]:
    """The settings that differ from those of ``evoked train`` without options, by group."""
    kind = model_class(description["model"]["name"])
    return {
        "model": _differing(description["model"]["settings"], kind.Settings()),
        "features": _differing(description["features"], FeatureSettings()),
        "training": _differing(description["training"], kind.default_training),
    }


def _differing(settings: dict[str, Any], defaults: BaseModel) -> dict[str, Any]:
    usual = defaults.model_dump(mode="json")
    return {field: value for field, value in settings.items() if usual.get(field) != value}


def _keywords(settings: dict[str, Any]) -> str:
    return ", ".join(f"{field}={value!r}" for field, value in settings.items())

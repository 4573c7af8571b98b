"""What is known about each model without importing it: ``catalogue.json``, made of the classes.

Listing the models, or refusing a mistyped name, needs no network library, which takes seconds and a
gigabyte to import. ``make render`` writes the file anew, and a test fails where it differs from the
classes.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from evoked.errors import SettingsError, did_you_mean, unknown_setting
from evoked.targets import TASKS

if TYPE_CHECKING:
    from evoked.models.base import Model

CATALOGUE_FILE = Path(__file__).with_name("catalogue.json")


@dataclass(frozen=True)
class ModelEntry:
    """What the catalogue holds of a model.

    Attributes
    ----------
    name, description, source, rows, tasks
        See :class:`evoked.models.base.Model`.
    features
        What it reads with its default settings: names of :mod:`evoked.features.catalog`.
    settings
        Names of its settings.
    """

    name: str
    description: str
    source: str
    rows: Literal["posts", "viewings"]
    tasks: tuple[str, ...]
    features: tuple[str, ...]
    settings: tuple[str, ...]


def entry_of(model: type[Model]) -> ModelEntry:
    """The entry of a class."""
    return ModelEntry(
        name=model.name,
        description=model.description,
        source=model.source,
        rows=model.rows,
        tasks=tuple(model.tasks),
        features=tuple(model().features),
        settings=tuple(model.Settings.model_fields),
    )


def render(models: Iterable[type[Model]]) -> str:
    """The text of ``catalogue.json`` for these classes."""
    entries = [asdict(entry_of(model)) for model in models]
    return json.dumps(entries, ensure_ascii=False, indent=2) + "\n"


@cache
def catalogue() -> dict[str, ModelEntry]:
    """Every model's entry by name, in the order in which models are listed."""
    entries = json.loads(CATALOGUE_FILE.read_text(encoding="utf-8"))
    for entry in entries:
        entry |= {key: tuple(value) for key, value in entry.items() if isinstance(value, list)}
    return {entry["name"]: ModelEntry(**entry) for entry in entries}


def model_entry(name: str) -> ModelEntry:
    """The entry of one model.

    Raises
    ------
    SettingsError
        There is none; the message lists the names.
    """
    check_name(name, catalogue())
    return catalogue()[name]


def check_model(name: str, task: str | None = None, settings: Iterable[str] = ()) -> ModelEntry:
    """Refuse what no model can be built from, before a library of networks is imported.

    Parameters
    ----------
    name
        As ``evoked models`` prints it.
    task
        What it should learn; its first task by default.
    settings
        Names of the settings that it is given; their values are checked when it is built.

    Returns
    -------
    The model's entry.

    Raises
    ------
    SettingsError
        There is no such model, it doesn't learn the task, or it has no such setting.
    """
    entry = model_entry(name)
    if task is not None:
        check_task(name, entry.tasks, task)
    for setting in settings:
        if setting not in entry.settings:
            raise SettingsError(f"{name}: {unknown_setting(setting, entry.settings)}")
    return entry


def check_name(name: str, known: Collection[str]) -> None:
    """Refuse a name that is not among the ``known`` ones.

    Raises
    ------
    SettingsError
        It isn't; the message lists them.
    """
    if name not in known:
        hint = did_you_mean(name, known)
        raise SettingsError(f"no model is called {name!r}.{hint} There are: {', '.join(known)}.")


def check_task(name: str, learned: Collection[str], task: str) -> None:
    """Refuse a task that is not among those ``learned`` by the model called ``name``.

    Raises
    ------
    SettingsError
        It isn't; the message lists the tasks.
    """
    if task not in learned:
        hint = "" if task in TASKS else did_you_mean(task, TASKS)
        raise SettingsError(
            f"{name} does not learn the task {task!r}; it learns {', '.join(learned)}.{hint}"
        )

"""What there is to choose from: models and tasks, features (models, features)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evoked.cli.application import app
from evoked.cli.options import JsonFlag
from evoked.cli.printing import print_json, print_table

if TYPE_CHECKING:
    from evoked.models.catalogue import ModelEntry
    from evoked.targets import Task


@app.command(epilog="Example: [dim]evoked models --json[/]")
def models(as_json: JsonFlag = False) -> None:
    """List the models, and the tasks that they learn."""
    from evoked.models.catalogue import catalogue
    from evoked.targets import TASKS

    entries = list(catalogue().values())
    if as_json:
        print_json([vars(entry) for entry in entries])
        return
    print_table(
        "Models",
        ["name", "what it is"],
        [[entry.name, _about(entry, every=set(TASKS))] for entry in entries],
        spaced=True,
    )
    print_table(
        "Tasks",
        ["name", "what is predicted"],
        [[task.name, _with_source(task)] for task in TASKS.values()],
        spaced=True,
    )


@app.command(epilog="Example: [dim]evoked features --json[/]")
def features(as_json: JsonFlag = False) -> None:
    """List the features that models can read."""
    from evoked.features.catalog import CATALOG

    entries = list(CATALOG.values())
    if as_json:
        print_json([vars(entry) for entry in entries])
        return
    print_table(
        "Features",
        ["name", "kind", "what it holds"],
        [
            [entry.name, entry.kind, f"{entry.description}\ncomputed by: {entry.source}"]
            for entry in entries
        ],
        whole=(0, 1),
        spaced=True,
    )


def _about(entry: ModelEntry, every: set[str]) -> str:
    """What a model is, learns and reads, a line for each."""
    learned = "every task" if set(entry.tasks) == every else ", ".join(entry.tasks)
    return "\n".join(
        [
            _with_source(entry),
            f"learns {learned} from {entry.rows}",
            f"reads {', '.join(entry.features) or 'nothing'}",
        ]
    )


def _with_source(entry: ModelEntry | type[Task]) -> str:
    return f"{entry.description} ({entry.source})" if entry.source else entry.description

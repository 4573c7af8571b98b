"""What there is to choose from: models and tasks, features."""

from __future__ import annotations

from dataclasses import asdict

from evoked.cli.application import app
from evoked.cli.options import JsonFlag
from evoked.cli.printing import print_json, print_table


@app.command(epilog="Example: [dim]evoked models --json[/]")
def models(as_json: JsonFlag = False) -> None:
    """List the models, and the tasks that they learn."""
    from evoked.models.catalogue import ModelEntry, catalogue
    from evoked.targets import TASKS

    entries = list(catalogue().values())
    if as_json:
        print_json([asdict(entry) for entry in entries])
        return

    def about(entry: ModelEntry) -> str:
        every = set(entry.tasks) == set(TASKS)
        return (
            f"{entry.description} ({entry.source})\n"
            f"learns {'every task' if every else ', '.join(entry.tasks)} from {entry.rows}\n"
            f"reads {', '.join(entry.features) or 'nothing'}"
        )

    print_table("Models", ["name", "what it is"], [[entry.name, about(entry)] for entry in entries])
    print_table(
        "Tasks",
        ["name", "what is predicted"],
        [[task.name, f"{task.description} ({task.source})"] for task in TASKS.values()],
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
    )

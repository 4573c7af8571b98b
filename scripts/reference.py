"""What ``scripts/render.py`` renders: :data:`PARTS` of README, CONTRIBUTING and docs, by name, and
whole :data:`FILES`, by path."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from render import markdown_table

import evoked

PACKAGE = Path(evoked.__file__).parent
# In the order in which imports point: a room knows only those that stand before it.
ROOMS = (
    "posts",
    "targets",
    "layers",
    "affect",
    "features",
    "training",
    "models",
    "evaluation",
    "experiments",
    "runs",
    "analysis",
    "explain",
    "report",
    "laboratory",
    "cli",
)


def models_table() -> str:
    """Every model: name, what it is, what it learns, whose it is."""
    from evoked.models import MODELS
    from evoked.targets import TASKS

    rows = []
    for model in MODELS.values():
        every = set(model.tasks) == set(TASKS)
        learns = "every task" if every else ", ".join(f"`{task}`" for task in model.tasks)
        learns += " (of viewings)" if model.rows == "viewings" else ""
        rows.append([f"`{model.name}`", model.description, learns, model.source])
    return markdown_table(["model", "what it is", "learns", "source"], rows)


def tasks_table() -> str:
    """Every task, with the models that learn it and hardly any other."""
    from evoked.models import MODELS
    from evoked.targets import TASKS

    rows = []
    for task in TASKS.values():
        own = [
            f"`{model.name}`"
            for model in MODELS.values()
            if task.name in model.tasks and len(model.tasks) <= 2
        ]
        rows.append([f"`{task.name}`", task.description, ", ".join(own), task.source])
    return markdown_table(["task", "what is predicted", "its own models", "source"], rows)


def rooms_table() -> str:
    """Every package with the first sentence of its docstring; those without a place come last."""
    packages = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
    rooms = [*ROOMS, *(name for name in packages if name not in ROOMS)]
    rows = [[f"`{room}/`", first_sentence(docstring(f"{room}/__init__.py"))] for room in rooms]
    return markdown_table(["room", "what it is for"], rows)


def first_sentence(text: str) -> str:
    """First sentence of a docstring, on one line."""
    return re.split(r"(?<=\.)\s", as_markdown(text.split("\n\n", maxsplit=1)[0]))[0]


def as_markdown(text: str) -> str:
    """A docstring's text on one line, its code in Markdown's quotes."""
    return re.sub(r":\w+:`~?([^`]+)`|``([^`]+)``", r"`\1\2`", " ".join(text.split()))


def docstring(file: str) -> str:
    """A module's docstring, read without importing it; ``file`` is relative to the package."""
    source = (PACKAGE / file).read_text(encoding="utf-8")
    return ast.get_docstring(ast.parse(source)) or ""


def run_folder() -> str:
    """The trees of files that docstrings draw of a run's folder."""
    titles = {
        "runs/folder.py": "Every run holds",
        "runs/viewings.py": "A run of viewings also holds",
    }
    return "\n".join(
        f"{title}:\n\n```text\n{inspect.cleandoc(drawing(docstring(file)))}\n```\n"
        for file, title in titles.items()
    )


def drawing(text: str) -> str:
    """The indented block that follows ``::`` in a docstring."""
    found = re.search(r"::\n\n((?:(?:    .*)?\n)*    .*)", text)
    if found is None:
        raise ValueError("the docstring draws no folder: an indented block after '::'")
    return "\n" + found[1]


def commands() -> str:
    """Every command: what it does, its examples, its arguments and options."""
    import typer

    from evoked.cli import app

    return "\n".join(
        command_section(words, command)
        for words, command in leaves(typer.main.get_command(app), "evoked")
    )


def leaves(group: Any, *words: str) -> Iterator[tuple[str, Any]]:
    """The words of every command, and the command."""
    for name, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from leaves(command, *words, name)
        else:
            yield " ".join([*words, name]), command


def command_section(words: str, command: Any) -> str:
    """One command as Markdown."""
    examples = re.findall(r"\[(?:dim|bold)\](.*?)\[/", command.epilog or "")
    shown = "\n".join(["```sh", *map(unescaped, examples), "```\n\n"]) if examples else ""
    rows = [parameter_row(each) for each in command.params if not getattr(each, "hidden", False)]
    kept = [row for row in rows if row[0] != "`--help`"]
    table = markdown_table(["argument or option", "what it says", "default"], kept) if kept else ""
    return f"## {words}\n\n{unescaped(inspect.cleandoc(command.help or ''))}\n\n{shown}{table}"


def parameter_row(parameter: Any) -> list[str]:
    """Name, help and default of an argument or option."""
    names = [*parameter.opts, *parameter.secondary_opts]
    if not names[0].startswith("-"):
        names = [parameter.metavar or names[0].upper()]
    help_text = unescaped(getattr(parameter, "help", None) or "")
    return [" / ".join(f"`{name}`" for name in names), help_text, default_of(parameter)]


def default_of(parameter: Any) -> str:
    """A default as ``--help`` shows it; empty where nothing is chosen."""
    if parameter.required:
        return "required"
    value, shown = parameter.default, getattr(parameter, "show_default", True)
    if isinstance(shown, str):
        return f"({shown})"
    if not shown or callable(value) or value in (None, False, (), []):
        return ""
    value = value.value if isinstance(value, Enum) else value
    return "yes" if value is True else f"`{value}`"


def unescaped(text: str) -> str:
    """Help without Rich's marks."""
    return re.sub(r"\[/?(?:dim|bold|italic)?\]", "", text).replace("\\[", "[")


def settings_of(kind: type[BaseModel]) -> str:
    """The fields of a settings class: name, default, values, meaning."""
    rows = [
        [f"`{name}`", f"`{default_text(field)}`", values_of(field), field.description or ""]
        for name, field in kind.model_fields.items()
    ]
    return markdown_table(["setting", "default", "values", "what it does"], rows)


def default_text(field: Any) -> str:
    """A field's default as Python writes it."""
    value = field.get_default(call_default_factory=True)
    return str(value.value) if isinstance(value, Enum) else repr(value)


def values_of(field: Any) -> str:
    """What a field takes: its choices, its bounds, or its type."""
    kind = field.annotation
    several = "any of " if get_origin(kind) is tuple else ""
    choices = list(literals(kind))
    if choices:
        return several + ", ".join(f"`{choice}`" for choice in choices)
    name = kind.__name__ if isinstance(kind, type) else re.sub(r"[a-z_]+\.(?=\w)", "", str(kind))
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    bounds = [
        f"{sign} {getattr(limit, key)}"
        for limit in field.metadata
        for key, sign in signs.items()
        if getattr(limit, key, None) is not None
    ]
    return " ".join([name, ", ".join(bounds)]).strip()


def literals(annotation: Any) -> Iterator[str]:
    """The choices of a Literal, wherever it stands in a type."""
    for each in get_args(annotation):
        if isinstance(each, str):
            yield each
        else:
            yield from literals(each)


def feature_settings() -> str:
    """What decides the content of features."""
    from evoked.features.catalog import FeatureSettings

    return settings_of(FeatureSettings)


def training_settings() -> str:
    """How networks are trained."""
    from evoked.training.settings import TrainingSettings

    return settings_of(TrainingSettings)


def model_settings() -> str:
    """The settings of every model that has some."""
    from evoked.models import MODELS

    parts = []
    for model in MODELS.values():
        if model.Settings.model_fields:
            parts.append(f"### {model.name}\n\n{settings_of(model.Settings)}")
    return "\n".join(parts)


def features_table() -> str:
    """The catalog of features."""
    from evoked.features.catalog import CATALOG

    rows = [
        [
            f"`{each.name}`",
            each.kind,
            each.source,
            "yes" if each.fitted else "",
            each.description,
        ]
        for each in CATALOG.values()
    ]
    headings = ["feature", "kind", "computed by", "learns from training posts", "what it holds"]
    return markdown_table(headings, rows)


def encoders_table() -> str:
    """The names that each kind of encoder takes, from the registry's docstrings."""
    from evoked.features.encoders import registry

    kinds = ("image", "text", "object", "face")
    rows = [[f"`--{kind}-encoder`", names_taken(registry, f"{kind}_encoder")] for kind in kinds]
    return markdown_table(["option", "names it takes"], rows)


def names_taken(registry: Any, function: str) -> str:
    """What the docstring of an encoder's function says of its parameter ``name``."""
    text = inspect.getdoc(getattr(registry, function)) or ""
    found = re.search(r"^name\n((?:    .*\n|\n)+)", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"the docstring of {function} doesn't describe its parameter 'name'")
    return as_markdown(re.sub(r"(?m)^    - ", "", found[1]))


def models_catalogue() -> str:
    """What commands know about each model without importing it."""
    from evoked.models import MODELS
    from evoked.models.catalogue import render

    return render(MODELS.values())


def privacy_page() -> str:
    """What ``evoked privacy explain`` prints."""
    from evoked.posts.privacy import page

    return page()


def peers_page() -> str:
    """What ``evoked benchmark explain`` prints."""
    from evoked.posts.privacy import peer_page

    return peer_page()


PARTS: dict[str, Callable[[], str]] = {
    "models": models_table,
    "tasks": tasks_table,
    "encoders": encoders_table,
    "rooms": rooms_table,
    "run-folder": run_folder,
    "commands": commands,
    "features": features_table,
    "feature-settings": feature_settings,
    "training-settings": training_settings,
    "model-settings": model_settings,
    "privacy": privacy_page,
    "peers": peers_page,
}

FILES: dict[str, Callable[[], str]] = {"src/evoked/models/catalogue.json": models_catalogue}

"""The site's page of each model, beside its paper: made of the registry, the experiments, the page
on fidelity and the measurements, none of which is copied by hand."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path

from reference import models_table, settings_of
from render import MISSING, markdown_table

from evoked.experiments import Experiment, PublishedTable, load_table, published_tables
from evoked.models import MODELS
from evoked.models.base import Model

TRIVIAL = "mean"  # the row that every other has to beat


def model_pages(repository: Path) -> Iterator[tuple[str, str]]:
    """The path on the site and the text of the page of all models, and of each."""
    yield "models/index.md", f"# Models\n\n{_INTRODUCTION}\n\n{linked(models_table())}"
    for model in MODELS.values():
        yield f"models/{model.name}.md", model_page(model, repository)


_INTRODUCTION = """A model learns a task from features; `evoked train --model NAME` takes one by
name. Each page stands beside the paper: what the model is, its settings, the rows of published
tables that it is, what differs from the paper, and what was measured here."""


def linked(table: str) -> str:
    """The table of all models with a link from each to its page."""
    for name in MODELS:
        table = table.replace(f"| `{name}` |", f"| [`{name}`]({name}.md) |", 1)
    return table


def model_page(model: type[Model], repository: Path) -> str:
    """Everything that is known of one model."""
    sections = {
        "What it is": about(model),
        "Settings": settings(model),
        "Rows of published tables": rows_of_tables(model),
        "Fidelity": fidelity(model, repository),
        "Measured": measured(model, repository),
        "From Python": python(model),
    }
    shown = [f"## {heading}\n\n{text}" for heading, text in sections.items() if text]
    return "\n\n".join([f"# {model.name}", model_summary(model), *shown])


def model_summary(model: type[Model]) -> str:
    """Command, source, tasks and features of a model."""
    every = set(model.tasks) >= {task for other in MODELS.values() for task in other.tasks}
    tasks = "every task" if every else ", ".join(f"`{task}`" for task in model.tasks)
    said = [
        ("source", model.source or "none: a trivial baseline"),
        ("learns", tasks),
        ("a row is", "one user at one image" if model.rows == "viewings" else "a post"),
        ("reads", ", ".join(f"`{name}`" for name in model().features) or "no feature"),
        ("needs", ", ".join(model.needs)),
    ]
    table = markdown_table(["", ""], [[name, text] for name, text in said if text])
    first = f"{model.description[:1].upper()}{model.description[1:]}."
    return (
        f"{first}\n\n```sh\nevoked train my_posts --model {model.name} --out my_run\n```\n\n{table}"
    )


def about(model: type[Model]) -> str:
    """The docstring of the model's file."""
    return directive("automodule", model.__module__, "no-members", "no-index")


def python(model: type[Model]) -> str:
    """The class."""
    path = f"{model.__module__}.{model.__qualname__}"
    return directive("autoclass", path, "no-members", "no-index")


def directive(name: str, argument: str, *options: str) -> str:
    """A directive of Sphinx's autodoc on a page of Markdown."""
    written = [option if ":" in option else f"{option}:" for option in options]
    lines = [f".. {name}:: {argument}", *(f"   :{option}" for option in written)]
    return "\n".join(["```{eval-rst}", *lines, "```"])


def settings(model: type[Model]) -> str:
    """The table of its settings, if it has some."""
    if not model.Settings.model_fields:
        return ""
    note = f"`--set NAME=VALUE` of `evoked train --model {model.name}` changes one."
    published = hasattr(model.Settings, "published")
    note += " `published()` of the class has the paper's." if published else ""
    return f"{note}\n\n{settings_of(model.Settings)}"


def rows_of_tables(model: type[Model]) -> str:
    """The rows of published tables that are this model."""
    rows = [
        [f"`{table.name}`", f"`{row.name}`", row.label, changed(row), published(row)]
        for table in tables()
        for row in table.experiments
        if row.model == model.name
    ]
    if not rows:
        return ""
    headings = ["table", "row", "label", "settings that differ", "published"]
    note = "`evoked reproduce TABLE --rows ROW` fits one on your posts, beside its figures."
    return f"{note}\n\n{markdown_table(headings, rows)}"


@cache
def tables() -> tuple[PublishedTable, ...]:
    """Every table that can be reproduced."""
    return tuple(load_table(name) for name in published_tables())


def changed(row: Experiment) -> str:
    """The settings that a row states."""
    return ", ".join(f"`{name}={value}`" for name, value in row.settings.items()) or MISSING


def published(row: Experiment) -> str:
    """The figures that a paper has of a row."""
    return ", ".join(f"{score} {value:g}" for score, value in row.published.items()) or MISSING


def fidelity(model: type[Model], repository: Path) -> str:
    """The rows of the page on fidelity that speak of the model; all of its paper's, if the
    page has a section for it."""
    lines = (repository / "docs" / "fidelity.md").read_text(encoding="utf-8").splitlines()
    file = f"src/{model.__module__.replace('.', '/')}.py"
    heading, kept = "", []
    for line in lines:
        heading = line if line.startswith("## ") else heading
        is_row = line.startswith("| ") and not line.startswith(("| ---", "| item "))
        whole = bool(model.source) and f"({model.source})" in heading
        if is_row and (whole or f"`{model.name}" in line or f"`{file}`" in line):
            kept.append([cell.strip() for cell in line.strip().strip("|").split(" | ")])
    if not kept:
        return ""
    note = "From [the page on fidelity](../fidelity.md), which also explains the last column."
    headings = ["item", "where", "as published", "ours", "measured in"]
    return f"{note}\n\n{markdown_table(headings, kept)}"


def measured(model: type[Model], repository: Path) -> str:
    """Every score of the model in the tables that were measured, beside the paper's and the mean
    of the training posts."""
    parts = []
    for file in sorted((repository / "results").rglob("*.csv")):
        table = table_of(file)
        if table is None:
            continue
        names = {row.name for row in table.experiments if row.model == model.name}
        rows = scores(file, names | ({TRIVIAL} if model.name == TRIVIAL else set()))
        if rows:
            page = file.with_suffix(".md").relative_to(repository)
            headings = ["row", "score", "published", "measured", "95 % (posts)", "mean", "n"]
            right = [False, False, True, True, True, True, True]
            heading = f"### {' '.join(page.with_suffix('').parts[1:])}"
            body = markdown_table(headings, rows, right)
            parts.append(f"{heading}\n\n[All rows, splits and tests](../{page}).\n\n{body}")
    return "\n\n".join(parts)


def table_of(file: Path) -> PublishedTable | None:
    """The published table that a file of scores reproduces: the one most of whose rows it has."""
    lines = read_scores(file)
    if not lines or not {"row", "target", "metric", "mean"} <= set(lines[0]):
        return None
    names = {line["row"] for line in lines}
    shared = {
        len(names & {row.name for row in table.experiments}): table
        for table in tables()
        if table.name.rpartition("/")[2] in file.stem
    }
    return shared[max(shared)] if shared and max(shared) else None


@cache
def read_scores(file: Path) -> tuple[Mapping[str, str], ...]:
    """The lines of a table of scores, as ``evoked reproduce`` writes it."""
    with file.open(encoding="utf-8", newline="") as stream:
        return tuple(csv.DictReader(stream))


def scores(file: Path, names: Collection[str]) -> list[list[str]]:
    """The lines of some rows, with the score of the mean beside each."""
    trivial = {
        (line["target"], line["metric"]): line["mean"]
        for line in read_scores(file)
        if line["row"] == TRIVIAL
    }
    return [
        [
            line["label"],
            f"{line['target']} {line['metric']}",
            number(line["published"]),
            number(line["mean"]),
            f"{number(line['posts_low'])} … {number(line['posts_high'])}",
            number(trivial.get((line["target"], line["metric"]), "")),
            line["n"],
        ]
        for line in read_scores(file)
        if line["row"] in names
    ]


def number(text: str) -> str:
    """A figure with three decimals, or a dash."""
    return f"{float(text):.3f}" if text else MISSING

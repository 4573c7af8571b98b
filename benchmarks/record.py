"""How a benchmark records what it measured: figures, tables, and all that made them.

A benchmark ends with :func:`finish`, which prints one line of JSON, and writes the same to the file
of ``--json FILE``. The files in ``results/`` are made so; ``scripts/render.py`` renders their
tables into the pages beside them. A measurement holds

- ``command``, ``commit`` (or "uncommitted changes"), ``date``, ``versions``, ``cores``;
- ``code``: the files and folders whose change makes the figures old;
- ``figures``: whatever the benchmark measured;
- ``tables``: by name, ``columns`` (name, and perhaps ``format`` and ``align``) and ``rows``.

``"transcribed": true`` marks files that were written from the tables of a page, after the
measurement's own JSON was gone: they have no figures beside the tables, and their commit is the one
that brought the page's figures.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from evoked.files import write_text

REPOSITORY = Path(__file__).resolve().parents[1]
UNCOMMITTED = "uncommitted changes"


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Give a benchmark the option that :func:`finish` reads."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="file for the measurement")


def finish(
    arguments: argparse.Namespace,
    figures: Any,
    *,
    tables: Mapping[str, dict[str, Any]] | None = None,
    code: Sequence[str] = (),
    libraries: Sequence[str] = ("torch",),
) -> None:
    """Print the measurement as the last line, and write it where ``--json`` says.

    Parameters
    ----------
    arguments
        With ``json``, see :func:`add_json_option`.
    figures
        Anything that JSON can hold; NaN becomes null.
    tables
        By name, each made by :func:`table`.
    code
        Files and folders, relative to the repository, whose change makes the figures old. The
        benchmark itself is added.
    libraries
        Whose versions matter, beside evoked's and Python's.
    """
    measurement = {
        **circumstances(libraries),
        "code": [benchmark_path(), *code],
        "figures": without_nan(figures),
        "tables": dict(tables or {}),
    }
    if arguments.json is not None:
        write_text(arguments.json, as_json(measurement))
    print(json.dumps(measurement))


def circumstances(libraries: Sequence[str]) -> dict[str, Any]:
    """What was called, when, on which commit, with which versions and how many cores."""
    versions = {name: metadata.version(name) for name in ("evoked", *libraries)}
    return {
        "command": shlex.join(["python", benchmark_path(), *sys.argv[1:]]),
        "commit": current_commit(),
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {**versions, "python": platform.python_version()},
        "cores": os.cpu_count(),
    }


def benchmark_path() -> str:
    """The running script, relative to the repository where it lies in it."""
    script = Path(sys.argv[0]).resolve()
    inside = script.is_relative_to(REPOSITORY)
    return (script.relative_to(REPOSITORY) if inside else script).as_posix()


def current_commit(repository: Path = REPOSITORY) -> str | None:
    """The commit that is checked out, :data:`UNCOMMITTED`, or None outside of a git repository."""
    try:
        changed = _git(repository, "status", "--porcelain", "--", "src", "benchmarks")
        return UNCOMMITTED if changed else _git(repository, "rev-parse", "--short=10", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(repository: Path, *arguments: str) -> str:
    command = ["git", "-C", str(repository), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def table(frame: pd.DataFrame, default_format: str = ".3f", **formats: str) -> dict[str, Any]:
    """A table for :func:`finish`.

    Parameters
    ----------
    frame
        Its index is left out.
    default_format
        Of columns of floating-point numbers, as in ``format(value, ".3f")``; integers have "d".
    formats
        By column, in place of the default.
    """
    columns = []
    for name in map(str, frame.columns):
        column = {"name": name}
        if name in formats:
            column["format"] = formats[name]
        elif pd.api.types.is_float_dtype(frame[name]):
            column["format"] = default_format
        elif pd.api.types.is_integer_dtype(frame[name]):
            column["format"] = "d"
        columns.append(column)
    return {"columns": columns, "rows": without_nan(frame.to_numpy(dtype=object).tolist())}


def without_nan(value: Any) -> Any:
    """The same with None for NaN, and with Python's own numbers for NumPy's."""
    if isinstance(value, Mapping):
        return {str(name): without_nan(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(inner) for inner in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value


def as_json(measurement: Mapping[str, Any]) -> str:
    """JSON for people: a line for each row of a table."""
    text = json.dumps(measurement, indent=2, ensure_ascii=False)
    # Innermost lists and objects on one line; within strings JSON has no line breaks.
    return re.sub(r"[\[{][^\[\]{}]*[\]}]", lambda found: on_one_line(found[0]), text) + "\n"


def on_one_line(text: str) -> str:
    """A list or object of indented JSON without its line breaks."""
    return re.sub(r"\n\s*", " ", re.sub(r"^(.)\n\s*|\n\s*(.)$", r"\1\2", text))

"""The command line: parse, call, print. A new group of commands: a file here, imported below."""

from __future__ import annotations

import sys
from typing import NoReturn

from rich.markup import escape

from evoked.cli import (  # noqa: F401 (register their commands)
    advice,
    affect,
    analyse,
    benchmark,
    catalogue,
    comment_generation,
    demo,
    exporting,
    importing,
    labels,
    laboratory,
    ledger,
    privacy,
    questions,
    scale,
    scoring,
    serve,
    timing,
    training,
    viewings,
)
from evoked.cli.application import app, notes
from evoked.errors import EvokedError
from evoked.files import write_problem


def main() -> None:
    """Run the command line; errors made for people are printed without a traceback."""
    try:
        app()
    except EvokedError as error:
        _refuse(error)
    except (OSError, RuntimeError) as error:  # of a file that is not written through evoked.files
        problem = write_problem(error)
        if problem is None:
            raise
        _refuse(problem)


def _refuse(error: EvokedError) -> NoReturn:
    # What follows a line break may be a name of others: as a line of its own it could pass for one
    # that evoked says.
    text = str(error).replace("\n", "\n  ")
    notes.print(f"[bold red]Error:[/] {escape(text)}", highlight=False, soft_wrap=True)
    sys.exit(2)

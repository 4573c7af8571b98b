"""The application that every command registers with, and where commands print."""

from __future__ import annotations

import typer
from rich.console import Console

app = typer.Typer(
    name="evoked",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    help="Predicts what a social-media post evokes: the emotion people feel and the engagement "
    "that follows.",
    epilog="First steps: [bold]evoked demo my_demo[/bold]",
)

# Results go to standard output; progress and notes don't, so that '--json' can be piped.
out = Console()
notes = Console(stderr=True)


def say(text: str, style: str | None = None) -> None:
    """Print text on standard output as it is: without markup, and without breaking its lines."""
    out.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def say_aside(text: str) -> None:
    """Print text on standard error as it is, like :func:`say`."""
    notes.print(text, markup=False, highlight=False, soft_wrap=True)

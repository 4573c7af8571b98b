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

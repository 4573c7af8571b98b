"""The application that every command registers with, and the options that several share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
affect = typer.Typer(
    no_args_is_help=True, help="The emotion reader: valence and arousal of posts that nobody rated."
)
app.add_typer(affect, name="affect")

# Results go to standard output; progress and notes don't, so that '--json' can be piped.
out = Console()
notes = Console(stderr=True)

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
CacheOption = Annotated[
    Path | None, typer.Option("--cache", help="Folder of computed features.", show_default=False)
]

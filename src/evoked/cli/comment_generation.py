"""Missing comments, written by a model (generate-comments)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evoked.cli.application import app, say
from evoked.cli.options import JsonFlag, open_dataset
from evoked.cli.printing import print_json
from evoked.cli.progress import progress_display


@app.command(
    "generate-comments",
    epilog="Examples: [dim]evoked generate-comments my_network with_comments "
    "--model llava-hf/llava-1.5-7b-hf[/]  ·  "
    "[dim]evoked generate-comments my_network some --model ./llava --limit 1000[/]",
)
def generate_comments(
    dataset: Annotated[
        Path,
        typer.Argument(
            metavar="NETWORK", help="Network whose viewings lack comments; it stays as it is."
        ),
    ],
    dest: Annotated[Path, typer.Argument(help="Folder of the copy with comments.")],
    model: Annotated[
        str,
        typer.Option(
            metavar="ID_OR_FOLDER",
            help="A vision-language model, for example LLaVA; safetensors only.",
        ),
    ],
    limit: Annotated[
        int | None,
        typer.Option(
            min=1, help="Comments to write at most; a later call can continue from the copy."
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Viewings to comment on at a time.")] = 8,
    longest: Annotated[int, typer.Option(min=1, help="Tokens per comment at most.")] = 40,
    seed: Annotated[
        int, typer.Option(help="Random seed for the choice of synonyms and for sampling.")
    ] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Have a model comment on viewings that lack a comment (HMG-Emo, Table III).

    The model is given the emotion that the viewer felt, so what it writes gives the label away.
    These comments are marked, and no model sees them unless the feature setting
    [bold]generated_comments[/] is on.
    """
    network = open_dataset(dataset)
    network.check_apart(dest)  # before minutes of loading

    from evoked.features.comment_generation import CommentWriter, generate_comments

    writer = CommentWriter(model, longest)
    with progress_display() as progress:
        made = generate_comments(
            network, writer, dest, seed=seed, batch=batch, limit=limit, progress=progress
        )
    if as_json:
        print_json({"dataset": str(dest), "written": made.written, "left": made.left})
        return
    say(f"{made.written} comments written to {dest}.")
    for reason, count in made.left.items():
        say(f"{count} viewings stay without: {reason}.")

"""The command that has a model write the comments that are missing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evoked.cli.application import app, out
from evoked.cli.options import JsonFlag
from evoked.cli.printing import print_json
from evoked.cli.progress import progress_display


@app.command(
    "generate-comments",
    epilog="Examples: [dim]evoked generate-comments my_network with_comments "
    "--model llava-hf/llava-1.5-7b-hf[/]  ·  "
    "[dim]evoked generate-comments my_network some --model ./llava --limit 1000[/]",
)
def generate_comments(
    dataset: Annotated[Path, typer.Argument(metavar="NETWORK", help="It stays as it is.")],
    dest: Annotated[Path, typer.Argument(help="Folder of the copy with comments.")],
    model: Annotated[
        str,
        typer.Option(
            metavar="ID_OR_FOLDER", help="A vision-language model such as LLaVA; safetensors only."
        ),
    ],
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Comments to write at most; the copy can be gone on with."),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Viewings that are asked about at a time.")] = 8,
    longest: Annotated[int, typer.Option(min=1, help="Tokens of a comment at most.")] = 40,
    seed: Annotated[int, typer.Option(help="Of synonyms and sampling.")] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Have a model comment on viewings that lack a comment (HMG-Emo, Table III).

    It is told the emotion that the viewer felt: what it writes gives the label away. Such comments
    are marked, and no model sees them unless the feature setting [bold]generated_comments[/] is on.
    """
    from evoked.features.comment_generation import CommentWriter, generate_comments
    from evoked.posts.dataset import PostDataset

    network = PostDataset(dataset)
    network.check_apart(dest)  # before minutes of loading
    writer = CommentWriter(model, longest)
    with progress_display() as progress:
        made = generate_comments(
            network, writer, dest, seed=seed, batch=batch, limit=limit, progress=progress
        )
    if as_json:
        print_json({"dataset": str(dest), "written": made.written, "left": made.left})
        return
    out.print(f"{made.written} comments written to {dest}.", highlight=False, soft_wrap=True)
    for reason, count in made.left.items():
        out.print(f"{count} viewings stay without: {reason}.", highlight=False, soft_wrap=True)

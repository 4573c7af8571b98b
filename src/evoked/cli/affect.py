"""The emotion reader: fit one, and score one (affect fit, affect evaluate)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evoked.cli.application import app, say
from evoked.cli.options import JsonFlag, open_dataset
from evoked.cli.printing import print_json, print_table
from evoked.cli.progress import progress_display

affect = typer.Typer(
    no_args_is_help=True,
    help="The emotion readers, which estimate valence and arousal of posts that nobody rated.",
)
app.add_typer(affect, name="affect")


@affect.command(
    "fit",
    epilog="Examples: [dim]evoked affect fit emobank --out my_reader[/]  ·  "
    "[dim]evoked affect fit emobank --out my_reader --recipe low-rank[/] (faster and smaller)",
)
def affect_fit(
    dataset: Annotated[Path, typer.Argument(help="Posts with ratings.")],
    out_folder: Annotated[Path, typer.Option("--out", help="Folder of the reader.")],
    split: Annotated[
        str, typer.Option(help="Part to learn from, if the posts are divided into parts.")
    ] = "train",
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            help="How to train the text reader: low-rank (two members, better on valence) or whole "
            "(three, better on arousal); both averaged by default, as in the reader that comes "
            "with evoked. Repeatable."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed for the weights and batches.")] = 0,
) -> None:
    """Train an emotion reader on rated texts, or rated pictures, or both."""
    import evoked.affect

    recipes = evoked.affect.recipes_by_name(recipe or [])
    posts = open_dataset(dataset)
    with progress_display() as progress:
        evoked.affect.fit_reader(
            posts,
            out_folder,
            split=split,
            recipes=recipes,
            seed=seed,
            progress=progress,
        )
    say(f"The reader is in {out_folder}")


@affect.command(
    "evaluate", epilog="Example: [dim]evoked affect evaluate emobank --split test --json[/]"
)
def affect_evaluate(
    dataset: Annotated[Path, typer.Argument(help="Posts with ratings.")],
    split: Annotated[
        str | None,
        typer.Option(
            help="Part to score, if the posts are divided into parts; all of them by default."
        ),
    ] = None,
    reader: Annotated[
        Path | None,
        typer.Option(help="Folder of a fitted reader; by default the one that comes with evoked."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Score an emotion reader: Pearson r, CCC, MAE and n per dimension."""
    import evoked.affect

    posts = open_dataset(dataset)
    scores = evoked.affect.evaluate_reader(posts, split=split, reader=reader)
    if as_json:
        print_json(scores)
        return
    rows = [
        [
            part,
            dimension,
            f"{entry['pearson']:.3f}",
            f"{entry['ccc']:.3f}",
            f"{entry['mae']:.3f}",
            str(entry["n"]),
        ]
        for part, dimensions in scores.items()
        for dimension, entry in dimensions.items()
    ]
    print_table("Emotion reader", ["read from", "dimension", "r", "CCC", "MAE", "n"], rows)

"""Emotions read from comments and captions (label)."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from evoked.cli.application import app
from evoked.cli.options import JsonFlag, open_dataset
from evoked.cli.printing import print_json, print_table


class LabelledText(StrEnum):
    """Texts that labels can be read from."""

    comments = "comments"
    captions = "captions"


class Reference(StrEnum):
    """What the values of texts can be standardised by."""

    norms = "norms"
    texts = "texts"


@app.command(
    epilog="Examples: [dim]evoked label my_network --norms vad_norms.csv --out labelled[/]  ·  "
    "[dim]evoked label my_posts --norms vad_norms.csv --of captions --standardise texts "
    "--out labelled[/]"
)
def label(
    dataset: Annotated[Path, typer.Argument(help="Dataset with comments or captions.")],
    norms: Annotated[
        Path, typer.Option(help="CSV of words with their valence, arousal and dominance.")
    ],
    out_folder: Annotated[Path, typer.Option("--out", help="Folder of the labelled dataset.")],
    of: Annotated[
        LabelledText,
        typer.Option(help="What to read: comments label viewings, captions label posts."),
    ] = LabelledText.comments,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the labels that are there.")
    ] = False,
    min_words: Annotated[
        int, typer.Option(min=1, help="Words of a text that must be in the norms.")
    ] = 2,
    standardise: Annotated[
        Reference,
        typer.Option(
            help="What to standardise by: the spread of the norms' words, or of the texts read."
        ),
    ] = Reference.norms,
    as_json: JsonFlag = False,
) -> None:
    """Read emotions from comments or captions into a new dataset.

    A text gets the emotion whose name is nearest to the mean valence, arousal and dominance of its
    words.

    These labels are weak: by the spread of Warriner's norms, most texts come out as awe.
    """
    from evoked.affect.emotion_labels import label_dataset, read_norms

    found = label_dataset(
        open_dataset(dataset),
        read_norms(norms),
        out_folder,
        of=of.value,
        replace=replace,
        min_words=min_words,
        standardise=standardise.value,
    )
    if as_json:
        print_json(found.as_dict())
        return
    read = sum(found.counts.values()) + found.unknown
    rows = [
        *found.counts.items(),
        ("unknown: too few words", found.unknown),
    ]
    table = [[name, str(count), f"{count / max(read, 1):.1%}"] for name, count in rows]
    table += [
        ["without text", str(found.without_text), ""],
        ["labelled before", str(found.kept), ""],
    ]
    print_table(f"Labels of {of.value} in {out_folder}", ["emotion", "how many", "share"], table)

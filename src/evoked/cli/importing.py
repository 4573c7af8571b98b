"""Datasets: import them from what is there, or make them up (import, synth)."""

from __future__ import annotations

import shlex
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evoked.cli.application import app, say
from evoked.cli.options import JsonFlag, pair, scale
from evoked.cli.printing import print_json, print_table
from evoked.cli.progress import progress_display
from evoked.errors import SettingsError
from evoked.posts.fact_kinds import KINDS
from evoked.posts.readers import READERS
from evoked.sentences import on_one_line

if TYPE_CHECKING:
    from evoked.posts.importing import ImportResult

# Examples that are shown of what an import skipped or put right.
_EXAMPLES = 10
# Posts, and characters of their fields, that a dry run shows.
_FIRST_POSTS = 3
_CELL_CHARACTERS = 20
_NETWORK = "Networks (with --network)"


@app.command(
    "import",
    epilog="Examples: [dim]evoked import auto export.zip my_posts[/]  ·  "
    "[dim]evoked import auto monthly_files/ my_posts --dry-run[/]  ·  "
    "[dim]evoked import instaloader downloads/ my_posts[/]  ·  "
    "[dim]evoked import csv july.csv my_posts --append[/]  ·  "
    "[dim]evoked import csv insights.csv my_posts --map likes='Like count'[/]  ·  "
    "[dim]evoked import csv ads.csv my_ads --fact spend --fact placement[/]  ·  "
    "[dim]evoked import csv emobank.csv emobank --scale valence=1:5 --scale arousal=1:5[/]  ·  "
    "[dim]evoked import edges likes.csv my_network --map user_id=fan[/]  ·  "
    "[dim]evoked import iesn iesn_files/ iesn --map viewings=emotions.txt --map viewings.user_id=2"
    "[/]",
)
def import_command(
    format_: Annotated[
        str, typer.Argument(metavar="FORMAT", help=f"What SOURCE is: {', '.join(READERS)}.")
    ],
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="File or folder to read.")],
    dest: Annotated[
        Path | None,
        typer.Argument(metavar="DEST", help="Folder of the new dataset.", show_default=False),
    ] = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="FIELD=COLUMN",
            help="Column to read a field from, where the guess is wrong; repeatable. For networks "
            "also TABLE.FIELD=COLUMN and TABLE=FILE.",
        ),
    ] = None,
    scales: Annotated[
        list[str] | None,
        typer.Option(
            "--scale",
            metavar="DIMENSION=LOW:HIGH",
            help="Scale on which a dimension was rated; repeatable.",
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the pictures, if they don't lie beside the source; bare names are "
            "searched in its subfolders, too."
        ),
    ] = None,
    time_zone: Annotated[
        str | None,
        typer.Option(
            metavar="REGION/CITY",
            help="Where the account lives, for example Europe/Berlin: by its clocks hours and "
            "weekdays are counted, and dates without an offset read; UTC if left out.",
        ),
    ] = None,
    facts: Annotated[
        list[str] | None,
        typer.Option(
            "--fact",
            metavar="COLUMN[:KIND]",
            help="A column of your own to predict from, known before posting, such as spend; "
            f"repeatable. KIND, one of {', '.join(KINDS)}, is guessed if left out.",
        ),
    ] = None,
    author: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Whose posts they all are, if the source doesn't say."),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Encoding of a CSV file, such as cp1251 or gbk, if it is not found out rightly.",
        ),
    ] = None,
    blur_faces: Annotated[
        bool, typer.Option("--blur-faces", help="Blur faces in the copied pictures.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option(help="Replace a dataset that was made from another source.")
    ] = False,
    append: Annotated[
        bool,
        typer.Option(
            "--append",
            help="Put the posts to those of the dataset that is there: of a post that it has, the "
            "newer counts stay.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be read, and write no dataset.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Read posts from a file or folder into a dataset."""
    if dest is None and not (dry_run and format_ in READERS):
        raise SettingsError(_usage(format_, source))

    from evoked.posts.importing import import_posts

    find_faces = None
    if blur_faces:
        from evoked.features.encoders.faces import find_faces_to_hide

        find_faces = find_faces_to_hide
    with TemporaryDirectory(prefix="evoked-") as trial, progress_display() as progress:
        result = import_posts(
            format_,
            source,
            Path(trial) / "posts" if dest is None or dry_run else dest,
            mapping=dict(pair(item, "--map") for item in mapping or []),
            scales=dict(scale(item) for item in scales or []),
            images=images,
            time_zone=time_zone,
            facts=facts or (),
            author=author,
            encoding=encoding,
            find_faces=find_faces,
            overwrite=overwrite,
            append=append,
            progress=progress,
        )
        languages = _languages(result)
        if as_json:
            said = {**result.as_dict(), "captions_note": languages, "dry_run": dry_run}
            first = {"first_posts": _first_posts(result)} if dry_run else {}
            print_json({**said, **first})
            return
        done = "Imported" if result.appended is None else "Appended"
        title = "Would be imported" if dry_run else f"{done} to {dest}"
        _print_import(result, title, languages)
        if dry_run:
            _print_posts(result)


def _languages(result: ImportResult) -> str | None:
    """What the captions are written in, and what will read them; None where there are none."""
    from evoked.features.languages import captions_note, for_captions

    captions = result.dataset.frame(["caption"])["caption"].tolist()
    return captions_note(captions, for_captions(None, captions).text_encoder)


def _usage(first: str, second: Path) -> str:
    """What to type in place of two arguments, of which the first may be the source."""
    formats = f"FORMAT SOURCE DEST. The formats: {', '.join(READERS)}."
    if first in READERS:
        return f"say where the dataset goes as well: evoked import {formats}"
    suffix = Path(first).suffix.lower().lstrip(".")
    known = suffix if suffix in READERS else "auto"
    example = shlex.join(["evoked", "import", known, first, str(second)])
    return f"say in which format {first} is: {example}. In general, evoked import {formats}"


def _print_posts(result: ImportResult) -> None:
    """The first posts, field by field."""
    first = _first_posts(result)
    numbers = range(1, 1 + max(map(len, first.values()), default=0))
    rows = [[name, *shown] for name, shown in first.items()]
    print_table("The first posts", ["field", *map(str, numbers)], rows)
    say("Nothing was written.")


def _first_posts(result: ImportResult) -> dict[str, list[str]]:
    """The values of the first posts as they are shown, by field."""
    posts = result.dataset.select(range(min(_FIRST_POSTS, len(result.dataset)))).posts
    known = [name for name in posts.columns if posts[name].map(_is_known).any()]
    return {name: [_shown(value) for value in posts[name]] for name in known}


def _is_known(value: Any) -> bool:
    from evoked.posts.readers.values import is_missing

    if hasattr(value, "__len__"):
        return len(value) > 0
    return not is_missing(value) and str(value) != "NaT"


def _shown(value: Any) -> str:
    if not _is_known(value):
        return "–"
    several = hasattr(value, "__len__") and not isinstance(value, str)
    text = ", ".join(map(str, value)) if several else str(value)
    shown = text.replace("\n", " ").removesuffix("+00:00").removesuffix(".0")
    return shown if len(shown) <= _CELL_CHARACTERS else shown[: _CELL_CHARACTERS - 1] + "…"


def _print_import(result: ImportResult, title: str, languages: str | None) -> None:
    from evoked.posts.importing import reasons, summary_rows

    if result.mapping:
        print_table(
            "Columns", ["field", "column"], [[k, str(v)] for k, v in result.mapping.items()]
        )
    if result.facts:
        print_table(
            "Facts",
            ["fact", "kind", "posts", "values"],
            [[fact.name, fact.kind, str(fact.known), fact.shown] for fact in result.facts],
        )
    print_table(
        title,
        ["what", "how many", "of what, or why"],
        [[what, str(count), why] for what, count, why in summary_rows(result)],
    )
    shown = list(islice(reasons(result), _EXAMPLES))
    more = sum(result.tally.skipped.values()) + sum(result.tally.changed.values()) - len(shown)
    if more:
        shown.append(f"… and {more} more; --json lists them all.")
    if result.appended is not None and not result.already_there:
        say(result.appended.words)
    for line in [*shown, *result.notes, *([languages] if languages else [])]:
        say(on_one_line(line))
    for line in result.warnings:
        say(on_one_line(line), style="bold red")
    if result.already_there:
        say("The same source was imported there before, so nothing was done.")


@app.command(
    epilog="Examples: [dim]evoked synth my_posts --n 2000 --seed 1[/]  ·  "
    "[dim]evoked synth my_network --network --scale 0.1[/]"
)
def synth(
    dest: Annotated[Path, typer.Argument(help="Folder of the new dataset.")],
    n: Annotated[int, typer.Option(min=1, help="Number of posts.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Random seed; the same seed makes the same posts.")] = 0,
    posts_per_author: Annotated[
        float, typer.Option(min=1, help="Posts of an author on average.")
    ] = 25,
    version: Annotated[
        int, typer.Option(help="Version of the generator: 1 makes the posts of older tables.")
    ] = 2,
    without: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Leave out something that version 2 plants: exposure (reach and views), titles, "
            "faces, interaction (of emotions and likes on shares), categories (effects that differ "
            "by category) or hours (a best hour of each author's own); repeatable.",
        ),
    ] = None,
    network: Annotated[
        bool,
        typer.Option(
            "--network",
            help="Make a social network, with who felt what at which image, instead of posts.",
            rich_help_panel=_NETWORK,
        ),
    ] = False,
    scale: Annotated[
        float,
        typer.Option(
            min=0,
            help="Size as a share of the network of HMG-Emo, which has 108,899 users.",
            rich_help_panel=_NETWORK,
        ),
    ] = 0.1,
    users: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of users, in place of the scale's.", rich_help_panel=_NETWORK
        ),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of images, in place of the scale's.", rich_help_panel=_NETWORK
        ),
    ] = None,
    pictures: Annotated[
        int,
        typer.Option(
            min=1,
            help="Number of different pictures at most; images share them.",
            rich_help_panel=_NETWORK,
        ),
    ] = 384,
    several: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Share of the viewings that have two emotions.",
            rich_help_panel=_NETWORK,
        ),
    ] = 0.0,
    rewire: Annotated[
        bool,
        typer.Option(
            "--rewire",
            help="Make the copy whose connections join users at random.",
            rich_help_panel=_NETWORK,
        ),
    ] = False,
) -> None:
    """Make up posts, or a social network, with a known truth and the published statistics."""
    if network:
        from evoked.posts.synthetic.network import synthesise_network

        with progress_display() as progress:
            dataset = synthesise_network(
                dest,
                scale,
                seed,
                users=users,
                images=images,
                pictures=pictures,
                rewired=rewire,
                several=several,
                progress=progress,
            )
        say(f"{len(dataset)} images and {len(dataset.table('viewings'))} viewings in {dest}")
        return
    from evoked.posts.synthetic.posts import synthesise

    with progress_display() as progress:
        dataset = synthesise(
            dest,
            n=n,
            seed=seed,
            progress=progress,
            version=version,
            without=without or (),
            posts_per_author=posts_per_author,
        )
    say(f"{len(dataset)} posts in {dest}")

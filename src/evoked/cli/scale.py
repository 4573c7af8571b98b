"""Posts of any number of files: score them (predict), or extract their features (extract)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evoked.cli.application import app, say, say_aside
from evoked.cli.options import CacheOption, check_runs, names_in, option, with_options
from evoked.cli.progress import progress_display
from evoked.cli.settings_options import checked, given, settings_options
from evoked.errors import SettingsError
from evoked.features.catalog import FeatureSettings, feature

if TYPE_CHECKING:
    from evoked.scoring.at_scale import Answered

ONLY_OF_FOLDERS = "goes with --posts and a folder as --out"
NOT_OF_FOLDERS = "can't be given with a folder as --out"

_PANEL = "Any number of posts"
_ENGINES = ("local", "ray")

SCALE_OPTIONS = (
    option(
        "engine",
        str | None,
        typer.Option(
            help=f"Who works: {' or '.join(_ENGINES)}; processes of this machine if left out.",
            rich_help_panel=_PANEL,
        ),
    ),
    option(
        "workers",
        int | None,
        typer.Option(
            min=1,
            help="How many work side by side; one per core if left out.",
            rich_help_panel=_PANEL,
        ),
    ),
    option(
        "address",
        str | None,
        typer.Option(
            help="Of a cluster of Ray's, such as ray://head:10001 or auto; one is started on this "
            "machine if left out.",
            rich_help_panel=_PANEL,
        ),
    ),
    option(
        "pictures",
        str | None,
        typer.Option(
            help="Folder or address (s3://…, gs://…) beneath which the posts' pictures lie; the "
            "dataset's own, or the folder images beside the files, if left out.",
            rich_help_panel=_PANEL,
        ),
    ),
)

_FEATURE_OPTIONS = settings_options("features", "for example max_tokens=64", "the usual one")


@app.command(
    epilog="Examples: [dim]evoked extract my_posts --names caption.vector,image.vector "
    "--out vectors[/]  ·  [dim]evoked extract 'parts/*.parquet' --names caption.vector "
    "--out vectors --engine ray[/]"
)
@with_options(scale=SCALE_OPTIONS, features=_FEATURE_OPTIONS)
def extract(
    source: Annotated[
        Path,
        typer.Argument(
            help="Dataset, folder of Parquet files with the columns of posts, or a pattern for "
            "them in quotes."
        ),
    ],
    names: Annotated[
        str, typer.Option("--names", help="Features that 'evoked features' lists, with commas.")
    ],
    out_folder: Annotated[
        Path,
        typer.Option(
            "--out", help="Folder of Parquet files; the same command goes on where it stopped."
        ),
    ],
    scale: dict[str, Any],
    features: dict[str, Any],
    cache: CacheOption = None,
) -> None:
    """Extract features of any number of posts, as a folder of Parquet files."""
    settings = checked(FeatureSettings(), given("features", features), "features")
    chosen = [feature(name).name for name in names_in(names) or []]
    if not chosen:
        raise SettingsError("--names: name one at least; 'evoked features' lists them.")
    _check_engine(scale)

    from evoked.scoring.at_scale import extract_parts

    with progress_display() as display:
        found = extract_parts(
            source, out_folder, chosen, settings, cache=cache, progress=display, **_chosen(scale)
        )
    _say_what(found, "features of")


def is_folder(out: Path) -> bool:
    """Whether answers are to be written as a folder."""
    return out.is_dir() or not out.suffix


def score_into_folder(
    run: Path,
    source: Path,
    out: Path,
    coverage: float,
    cache: Path | None,
    allow_download: bool,
    scale: dict[str, Any],
) -> None:
    """Score posts of any number of files into a folder, and say how many."""
    _check_engine(scale)
    check_runs(run)

    from evoked.scoring.at_scale import score_parts

    with progress_display() as display:
        found = score_parts(
            run,
            source,
            out,
            coverage=coverage,
            cache=cache,
            allow_download=allow_download,
            progress=display,
            note=say_aside,
            **_chosen(scale),
        )
    _say_what(found, "predictions of")


def _check_engine(scale: dict[str, Any]) -> None:
    if scale["engine"] is not None and scale["engine"] not in _ENGINES:
        raise SettingsError(f"--engine: {' or '.join(_ENGINES)}, not {scale['engine']!r}.")


def _chosen(scale: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in scale.items() if value is not None}


def _say_what(found: Answered, what: str) -> None:
    say_aside(f"{what.capitalize()} {found.rows:,} posts in {found.folder}")
    if found.before:
        say_aside(f"{found.before:,} of them were there before.")
    if found.errors:
        say(f"{found.errors:,} rows have none: the column 'error' says why.")

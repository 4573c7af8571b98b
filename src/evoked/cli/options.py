"""Options that several commands share, and what is typed turned into what the code takes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
import yaml

from evoked.errors import SettingsError

if TYPE_CHECKING:
    from evoked.posts.dataset import PostDataset
    from evoked.runs.posts import Run
    from evoked.runs.viewings import NetworkRun

_Result = TypeVar("_Result")

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
CacheOption = Annotated[
    Path | None,
    typer.Option("--cache", help="Folder where computed features are kept.", show_default=False),
]
DownloadFlag = Annotated[
    bool,
    typer.Option(
        "--allow-download",
        help="Fetch encoders that the run names, and read them from any folder that it names.",
    ),
]
CoverageOption = Annotated[
    float,
    typer.Option(
        "--coverage",
        help="Share of posts whose true value the intervals are meant to contain.",
    ),
]
OutTableOption = Annotated[
    Path | None, typer.Option("--out", help="File to write: .csv, .json, .parquet or .xlsx.")
]
KeepFlag = Annotated[
    bool,
    typer.Option(
        "--keep",
        help="Keep this in the run's ledger, to be checked when the posts have come: see 'evoked "
        "ledger'.",
    ),
]
EstimateOption = Annotated[
    bool, typer.Option(help="Estimate valence and arousal of posts that nobody rated.")
]
WorkersOption = Annotated[
    int | None,
    typer.Option(min=1, help="Processes that fit side by side; one per core by default."),
]


class SplitKind(StrEnum):
    """Ways to hold posts or viewings out."""

    random = "random"
    author = "author"
    time = "time"
    column = "column"
    user = "user"
    image = "image"


class FoldKind(StrEnum):
    """Ways to make folds."""

    random = "random"
    author = "author"
    time = "time"
    user = "user"
    image = "image"


def with_options(
    **collected: Sequence[inspect.Parameter],
) -> Callable[[Callable[..., _Result]], Callable[..., _Result]]:
    """Replace parameters of a command by several options each.

    Parameters
    ----------
    collected
        By the parameter's name, the options in its place. The command gets their values there as
        one dict by the options' names.

    Examples
    --------
    >>> @app.command()                          # doctest: +SKIP
    ... @with_options(draft=DRAFT_OPTIONS)
    ... def predict(run: Path, draft: dict[str, Any]) -> None: ...
    """

    def decorate(command: Callable[..., _Result]) -> Callable[..., _Result]:
        own = inspect.signature(command, eval_str=True)
        parameters = [
            option.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for parameter in own.parameters.values()
            for option in collected.get(parameter.name, [parameter])
        ]

        @functools.wraps(command)
        def call(**values: Any) -> _Result:
            for name, options in collected.items():
                values[name] = {option.name: values.pop(option.name) for option in options}
            return command(**values)

        call.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        return call

    return decorate


def option(name: str, kind: Any, info: Any, default: Any = None) -> inspect.Parameter:
    """One option for :func:`with_options`.

    Parameters
    ----------
    name
        Of the parameter; the option is called the same, with dashes, unless ``info`` names it.
    kind
        Type of its value.
    info
        A ``typer.Option(...)``.
    """
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind, info],
    )


def open_dataset(folder: Path) -> PostDataset:
    """A dataset, opened before anything that takes long to import."""
    from evoked.posts.dataset import PostDataset

    return PostDataset(folder)


def check_runs(*folders: Path) -> None:
    """Raise DataError for a folder that holds no finished run, before anything slow is imported."""
    from evoked.runs.description import read_description

    for folder in folders:
        read_description(folder)


def load_any_run(folder: Path, cache: Path | None, allow_download: bool) -> Run | NetworkRun:
    """A run of posts or of viewings."""
    check_runs(folder)

    from evoked.features.cache import FeatureCache
    from evoked.runs.loading import load

    return load(folder, FeatureCache(cache), allow_download=allow_download)


def load_run(folder: Path, cache: Path | None, allow_download: bool) -> Run:
    """A run of posts."""
    check_runs(folder)

    from evoked.features.cache import FeatureCache
    from evoked.runs.posts import Run

    return Run.load(folder, FeatureCache(cache), allow_download=allow_download)


def names_in(text: str | None) -> list[str] | None:
    """The names in a list separated by commas; None stays None."""
    if text is None:
        return None
    return [name.strip() for name in text.split(",") if name.strip()]


def pair(text: str, option: str) -> tuple[str, str]:
    """Name and value of NAME=VALUE."""
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise SettingsError(f"{option} takes NAME=VALUE, not {text!r}.")
    return name.strip(), value


def setting(text: str, option: str = "--set") -> tuple[str, Any]:
    """Name and value of NAME=VALUE, the value read as YAML."""
    name, value = pair(text, option)
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise SettingsError(f"{option} {name}: {value!r} is not a value.") from error


def scale(text: str) -> tuple[str, tuple[float, float]]:
    """Dimension and ends of DIMENSION=LOW:HIGH."""
    name, value = pair(text, "--scale")
    try:
        low, high = (float(end) for end in value.split(":"))
    except ValueError as error:
        raise SettingsError(f"--scale takes DIMENSION=LOW:HIGH, not {text!r}.") from error
    return name, (low, high)


def moment(text: str) -> datetime:
    """The date of ``--posted-at``, with or without the time of day."""
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(
            f"--posted-at: {text!r} is not a date; write year-month-day, for example 2024-05-13 "
            "or, with the time of day, 2024-05-13T18:30."
        ) from error


def check_picture(path: Path) -> Path:
    """The path, if it is a file's."""
    if path.is_dir():
        raise SettingsError(f"{path} is a folder: give one picture.")
    if not path.is_file():
        raise SettingsError(f"there is no picture {path}.")
    return path


def flag_of(name: str) -> str:
    """An option as it is typed: "posted_at" as "--posted-at"."""
    return f"--{name.replace('_', '-')}"


def given_flags(options: dict[str, Any]) -> str:
    """The options that were given, as they are typed; those left out are None."""
    return ", ".join(flag_of(name) for name, value in options.items() if value is not None)


def refuse(options: dict[str, Any], why: str) -> None:
    """Raise SettingsError if any of ``options`` was given; those left out are None."""
    if flags := given_flags(options):
        raise SettingsError(f"{flags} {why}.")

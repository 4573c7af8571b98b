"""Whole studies: reproduce a published table, compare runs (reproduce, compare)."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evoked.cli.application import app, say, say_aside
from evoked.cli.options import (
    CacheOption,
    FoldKind,
    JsonFlag,
    WorkersOption,
    check_runs,
    names_in,
    open_dataset,
    setting,
    with_options,
)
from evoked.cli.printing import print_json, print_table
from evoked.cli.progress import progress_display, study_callbacks
from evoked.cli.settings_options import checked, given, settings_options
from evoked.errors import SettingsError
from evoked.features.catalog import FeatureSettings
from evoked.files import records
from evoked.training.settings import TrainingSettings

if TYPE_CHECKING:
    from evoked.experiments import PublishedTable
    from evoked.laboratory import RunComparison, StudyResults
    from evoked.posts.dataset import PostDataset

# Options that don't change what is found, only where it goes and how fast; and whether each takes a
# value.
_INCIDENTAL = {"--out": True, "--workers": True, "--cache": True, "--json": False}
_TRAINING_OPTIONS = settings_options(
    "training",
    "for example optimizer=adamw or clip=0",
    "the row's own",
    without=("seed", "devices", "nodes", "strategy"),
)
_FEATURE_OPTIONS = settings_options("features", "for example max_tokens=64", "the row's own")


class RowsAs(StrEnum):
    """What the rows of a table are."""

    ours = "ours"
    published = "published"


@app.command(
    epilog="Examples: [dim]evoked reproduce --list[/]  ·  "
    "[dim]evoked reproduce abmf/table6 --data my_posts --out my_study[/]  ·  "
    "[dim]evoked reproduce abmf/table7 --data my_posts --out parts --split author "
    "--rows abmf,without_metadata --epochs 5[/]  ·  "
    "[dim]evoked reproduce abmf/table6 --data my_posts --out published --as published "
    "--image-encoder torchvision:resnet50 --epochs 10[/]"
)
@with_options(training=_TRAINING_OPTIONS, features=_FEATURE_OPTIONS)
def reproduce(
    table: Annotated[
        str | None,
        typer.Argument(help="Table, for example abmf/table6; the tables are listed if left out."),
    ] = None,
    *,
    data: Annotated[Path | None, typer.Option(help="Dataset to run the rows on.")] = None,
    out_folder: Annotated[
        Path | None,
        typer.Option("--out", help="Folder of the study; an interrupted study is resumed there."),
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Folds of the cross-validation.")] = 5,
    seed: Annotated[int, typer.Option(help="Random seed for the folds, weights and batches.")] = 0,
    rows: Annotated[
        str | None, typer.Option(help="Rows to run, for example mmbt,abmf; all by default.")
    ] = None,
    split: Annotated[
        FoldKind,
        typer.Option(help="How folds are made; user and image are for models of viewings."),
    ] = FoldKind.random,
    as_: Annotated[
        RowsAs,
        typer.Option(
            "--as",
            help="published: only rows that a paper has, with its sizes, encoders, rates, epochs "
            "and nothing of ours; what could not be taken over is named.",
        ),
    ] = RowsAs.ours,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="ROW.NAME=VALUE",
            help="Value of a setting of a row's model; repeatable.",
        ),
    ] = None,
    relevant: Annotated[
        list[float] | None,
        typer.Option(
            metavar="SHARE",
            help="Show MAP and AUC also where this share of the training posts counts as "
            "relevant, such as 0.1, beside the top quarter; repeatable.",
        ),
    ] = None,
    workers: WorkersOption = None,
    list_tables: Annotated[
        bool, typer.Option("--list", help="List the tables and their rows.")
    ] = False,
    as_json: JsonFlag = False,
    cache: CacheOption = None,
    training: dict[str, Any],
    features: dict[str, Any],
) -> None:
    """Run a published table's rows on your posts, on the same folds, beside what was published."""
    trained, read = given("training", training), given("features", features)
    checked(TrainingSettings(), trained, "training")
    checked(FeatureSettings(), read, "features")

    from evoked.experiments import load_table

    if table is None or list_tables:
        _list_tables(as_json)
        return
    if data is None or out_folder is None:
        raise SettingsError("reproduce needs --data DATASET and --out FOLDER.")
    chosen = load_table(table)
    posts = open_dataset(data)
    if (names := names_in(rows)) is not None:
        chosen = chosen.select(names)
    if as_ is RowsAs.published:
        chosen = chosen.as_published()
    chosen = chosen.with_training(**trained).with_features(**read)
    for text in settings or []:
        key, value = setting(text)
        row, _, name = key.partition(".")
        chosen = chosen.with_setting(row, name, value)
    _run_study(
        chosen,
        posts,
        out_folder,
        folds=folds,
        split=split,
        seed=seed,
        workers=workers,
        cache=cache,
        as_json=as_json,
        relevant_shares=relevant or (),
    )


@app.command(
    epilog="Examples: [dim]evoked compare run_a run_b --out comparison[/]  ·  "
    "[dim]evoked compare run_a run_b --data my_posts --folds 5 --out study[/]"
)
def compare(
    run_folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN RUN…", help="Runs; the first is set against each of the others."
        ),
    ],
    data: Annotated[
        Path | None, typer.Option(help="Posts to fit the runs' models to again, with --folds.")
    ] = None,
    folds: Annotated[
        int | None, typer.Option(min=2, help="Number of folds to fit in again, with --data.")
    ] = None,
    split: Annotated[
        FoldKind,
        typer.Option(help="How folds are made; user and image are for models of viewings."),
    ] = FoldKind.random,
    seed: Annotated[
        int, typer.Option(help="Random seed for the bootstrap, or for the folds and fits.")
    ] = 0,
    rows: Annotated[
        str | None, typer.Option(help="Names of runs and baselines to show; all by default.")
    ] = None,
    out_folder: Annotated[
        Path | None, typer.Option("--out", help="Folder for CSV, Markdown and HTML files.")
    ] = None,
    workers: WorkersOption = None,
    as_json: JsonFlag = False,
    cache: CacheOption = None,
) -> None:
    """Compare runs on the posts that all of them held out, or fitted again on the same folds."""
    names = names_in(rows)
    if (data is None) != (folds is None):
        raise SettingsError("to fit the runs again, give --data and --folds together.")
    if data is not None and out_folder is None:
        raise SettingsError("fitting the runs again needs --out FOLDER for the study.")
    check_runs(*run_folders)
    posts = None if data is None else open_dataset(data)

    from evoked.laboratory import compare_runs, table_of_runs, write_comparison

    if posts is not None and folds is not None and out_folder is not None:
        table = table_of_runs(run_folders)
        _run_study(
            table if names is None else table.select(names),
            posts,
            out_folder,
            folds=folds,
            split=split,
            seed=seed,
            workers=workers,
            cache=cache,
            as_json=as_json,
        )
        return
    comparison = compare_runs(run_folders, rows=names, seed=seed)
    _print_comparison(comparison, as_json)
    if out_folder is not None:
        paths = write_comparison(comparison, out_folder, _command(sys.argv[1:]))
        say_aside(f"Written: {', '.join(str(path) for path in paths)}")


def _run_study(
    table: PublishedTable,
    posts: PostDataset,
    folder: Path,
    *,
    folds: int,
    split: FoldKind,
    seed: int,
    workers: int | None,
    cache: Path | None,
    as_json: bool,
    relevant_shares: Sequence[float] = (),
) -> None:
    from evoked.features.cache import FeatureCache
    from evoked.laboratory import Study, write_results

    study = Study(
        posts,
        table,
        folder,
        folds=folds,
        split=split.value,
        seed=seed,
        cache=FeatureCache(cache),
        relevant_shares=relevant_shares,
    )
    command = _command(sys.argv[1:])
    with progress_display() as display:
        results = study.run(workers, study_callbacks(display), command)
    paths = write_results(study, results, command)
    _print_results(results, as_json)
    say_aside(f"Written: {', '.join(str(path) for path in paths)}")


def _print_comparison(comparison: RunComparison, as_json: bool) -> None:
    from evoked.laboratory import writing

    if as_json:
        print_json(
            {
                "posts": comparison.posts,
                "of": comparison.of,
                "by_author": comparison.by_author,
                "table": records(comparison.table),
            }
        )
        return
    say(writing.about_comparison(comparison))
    for title, lines in writing.score_blocks(comparison.table, writing.comparison_cells):
        if writing.is_headline(title):
            cells = [[cell.replace(" … ", "\n… ") for cell in line] for line in lines]
            print_table(title, writing.COMPARISON_COLUMNS, cells, whole=range(1, 8))
    for note in writing.comparison_footnotes(comparison):
        say(note, style="dim")


def _list_tables(as_json: bool) -> None:
    from evoked.experiments import load_table, published_tables

    tables = [load_table(name) for name in published_tables()]
    if as_json:
        print_json([table.model_dump(mode="json") for table in tables])
        return
    print_table(
        "Tables",
        ["name", "what it compares"],
        [
            [
                table.name,
                f"{table.title} ({table.source})\n"
                f"rows {', '.join(experiment.name for experiment in table.experiments)}",
            ]
            for table in tables
        ],
        spaced=True,
    )


def _print_results(results: StudyResults, as_json: bool) -> None:
    from evoked.laboratory import correlation_table, result_table
    from evoked.laboratory.writing import about, footnotes, is_headline, score_blocks

    table = result_table(results)
    if as_json:
        print_json(
            {
                "plan": results.plan,
                "table": records(table),
                "correlations": records(correlation_table(results)),
                "skipped": results.skipped,
                "notes": footnotes(results),
            }
        )
        return
    say(f"{results.table.title}. {about(results)}")
    for title, lines in score_blocks(table):
        if is_headline(title):
            print_table(title, *_for_terminal(lines), whole=range(1, 9))
    for row, why in results.skipped.items():
        say(f"Not run: {row}: {why}.")
    for note in footnotes(results):
        say(note, style="dim")


def _for_terminal(lines: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """The columns that a terminal has room for, in cells of two lines; the files have them all."""
    from evoked.laboratory.writing import COLUMNS

    column = COLUMNS.index
    tests = [(column(name), column(name) + 1) for name in ("p t", "p Wilcoxon")]
    cells = [
        [
            line[column("row")],
            line[column("published")],
            line[column("measured")].replace(" ± ", "\n± "),
            line[column("95 % (folds)")].replace(" … ", "\n… "),
            line[column("difference")],
            *(f"{line[raw]}\n({line[corrected]})" for raw, corrected in tests),
            line[column("g_z")],
            line[column("n")],
        ]
        for line in lines
    ]
    headings = ["row", "pub-\nlished", "measured", "95 %", "differ-\nence", "p t\n(Holm)"]
    return [*headings, "Wilcoxon\n(Holm)", "g_z", "n"], cells


def _command(arguments: list[str]) -> str:
    """The command as typed, without options that don't decide the results, and without the places
    of files on this machine."""
    kept, skip = ["evoked"], False
    for argument in arguments:
        name = argument.partition("=")[0]
        if not skip and name not in _INCIDENTAL:
            kept.append(Path(argument).name if Path(argument).is_absolute() else argument)
        skip = not skip and _INCIDENTAL.get(name, False) and "=" not in argument
    return shlex.join(kept)

"""Commands of the laboratory: reproduce a published table, compare runs."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from evoked.cli.application import app, notes, out
from evoked.cli.options import (
    CacheOption,
    JsonFlag,
    SplitKind,
    WorkersOption,
    setting,
)
from evoked.cli.printing import print_json, print_table
from evoked.cli.progress import progress_display, study_callbacks
from evoked.errors import SettingsError
from evoked.files import records

if TYPE_CHECKING:
    from evoked.experiments import PublishedTable
    from evoked.laboratory import RunComparison, StudyResults

# Options that change where and how fast, but not what is found, and whether they take a value.
_INCIDENTAL = {"--out": True, "--workers": True, "--cache": True, "--json": False}


@app.command(
    epilog="Examples: [dim]evoked reproduce --list[/]  ·  "
    "[dim]evoked reproduce abmf/table6 --data my_posts --out my_study[/]  ·  "
    "[dim]evoked reproduce abmf/table7 --data my_posts --out parts --split author "
    "--rows abmf,without_metadata --epochs 5[/]"
)
def reproduce(
    table: Annotated[
        str | None, typer.Argument(help="Such as abmf/table6; left out, the tables are listed.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Dataset to run it on.")] = None,
    out_folder: Annotated[
        Path | None, typer.Option("--out", help="Folder of the study; started again, it goes on.")
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Folds of the cross-validation.")] = 5,
    seed: Annotated[int, typer.Option(help="Of the folds, the weights and the batches.")] = 0,
    rows: Annotated[
        str | None, typer.Option(help="Rows to run, such as mmbt,abmf; all by default.")
    ] = None,
    split: Annotated[
        SplitKind, typer.Option(help="How folds are made: random, author or time.")
    ] = SplitKind.random,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs at most, in place of the table's.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="ROW.NAME=VALUE, a setting of a row's model; repeatable."),
    ] = None,
    workers: WorkersOption = None,
    list_tables: Annotated[bool, typer.Option("--list", help="List the tables and rows.")] = False,
    as_json: JsonFlag = False,
    cache: CacheOption = None,
) -> None:
    """Run a published table's rows on your posts, on the same folds, beside what was published."""
    from evoked.experiments import load_table

    if table is None or list_tables:
        _list_tables(as_json)
        return
    if data is None or out_folder is None:
        raise SettingsError("reproduce needs --data DATASET and --out FOLDER.")
    chosen = load_table(table)
    if rows is not None:
        chosen = chosen.select([name.strip() for name in rows.split(",") if name.strip()])
    if epochs is not None:
        chosen = chosen.with_training(max_epochs=epochs)
    for text in settings or []:
        place, value = setting(text)
        row, _, name = place.partition(".")
        chosen = chosen.with_setting(row, name, value)
    _run_study(chosen, data, out_folder, folds, split, seed, workers, cache, as_json)


@app.command(
    epilog="Examples: [dim]evoked compare run_a run_b --out comparison[/]  ·  "
    "[dim]evoked compare run_a run_b --data my_posts --folds 5 --out study[/]"
)
def compare(
    run_folders: Annotated[
        list[Path], typer.Argument(metavar="RUN RUN…", help="The first is compared with each.")
    ],
    data: Annotated[
        Path | None, typer.Option(help="Posts to fit the runs' models on again, with --folds.")
    ] = None,
    folds: Annotated[
        int | None, typer.Option(min=2, help="Fit again in so many folds, with --data.")
    ] = None,
    split: Annotated[
        SplitKind, typer.Option(help="How folds are made: random, author or time.")
    ] = SplitKind.random,
    seed: Annotated[int, typer.Option(help="Of the bootstrap, or of the folds and fits.")] = 0,
    rows: Annotated[
        str | None, typer.Option(help="Runs and baselines to show, by name; all by default.")
    ] = None,
    out_folder: Annotated[
        Path | None, typer.Option("--out", help="Folder for CSV, Markdown and HTML.")
    ] = None,
    workers: WorkersOption = None,
    as_json: JsonFlag = False,
    cache: CacheOption = None,
) -> None:
    """Compare runs on the posts that all of them held out, or fitted again on the same folds."""
    from evoked.laboratory import compare_runs, table_of_runs, write_comparison

    names = None if rows is None else [name.strip() for name in rows.split(",") if name.strip()]
    if (data is None) != (folds is None):
        raise SettingsError("to fit the runs again, give --data and --folds together.")
    if data is not None and folds is not None:
        if out_folder is None:
            raise SettingsError("fitting the runs again needs --out FOLDER for the study.")
        table = table_of_runs(run_folders)
        table = table if names is None else table.select(names)
        _run_study(table, data, out_folder, folds, split, seed, workers, cache, as_json)
        return
    comparison = compare_runs(run_folders, rows=names, seed=seed)
    _print_comparison(comparison, as_json)
    if out_folder is not None:
        paths = write_comparison(comparison, out_folder, _command(sys.argv[1:]))
        notes.print(f"Written: {', '.join(str(path) for path in paths)}", soft_wrap=True)


def _run_study(
    table: PublishedTable,
    data: Path,
    folder: Path,
    folds: int,
    split: SplitKind,
    seed: int,
    workers: int | None,
    cache: Path | None,
    as_json: bool,
) -> None:
    from evoked.features.cache import FeatureCache
    from evoked.laboratory import Study, write_results
    from evoked.posts.dataset import PostDataset

    study = Study(
        PostDataset(data),
        table,
        folder,
        folds=folds,
        split=split.value,
        seed=seed,
        cache=FeatureCache(cache),
    )
    command = _command(sys.argv[1:])
    with progress_display() as display:
        results = study.run(workers, study_callbacks(display), command)
    paths = write_results(study, results, command)
    _print_results(results, as_json)
    notes.print(f"Written: {', '.join(str(path) for path in paths)}", soft_wrap=True)


def _print_comparison(comparison: RunComparison, as_json: bool) -> None:
    from evoked.laboratory import writing

    if as_json:
        told = {"posts": comparison.posts, "of": comparison.of, "by_author": comparison.by_author}
        print_json({**told, "table": records(comparison.table)})
        return
    out.print(writing.about_comparison(comparison), highlight=False, soft_wrap=True)
    for title, lines in writing.score_blocks(comparison.table, writing.comparison_cells):
        if writing.is_headline(title):
            cells = [[cell.replace(" … ", "\n… ") for cell in line] for line in lines]
            print_table(title, writing.COMPARISON_COLUMNS, cells, whole=range(1, 8))
    for note in writing.comparison_footnotes(comparison):
        out.print(escape(note), highlight=False, soft_wrap=True, style="dim")


def _list_tables(as_json: bool) -> None:
    from evoked.experiments import load_table, published_tables

    tables = [load_table(name) for name in published_tables()]
    if as_json:
        print_json([table.model_dump(mode="json") for table in tables])
        return
    print_table(
        "Tables",
        ["name", "title", "source", "rows"],
        [
            [table.name, table.title, table.source, ", ".join(e.name for e in table.experiments)]
            for table in tables
        ],
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
    out.print(f"{results.table.title}. {about(results)}", highlight=False, soft_wrap=True)
    for title, lines in score_blocks(table):
        if is_headline(title):
            print_table(title, *_for_terminal(lines), whole=range(1, 9))
    for row, why in results.skipped.items():
        out.print(escape(f"Not run: {row}: {why}."), highlight=False, soft_wrap=True)
    for note in footnotes(results):
        out.print(escape(note), highlight=False, soft_wrap=True, style="dim")


def _for_terminal(lines: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """What a terminal has room for, in cells of two lines; the files hold all columns."""
    from evoked.laboratory.writing import COLUMNS

    place = COLUMNS.index
    tests = [(place(name), place(name) + 1) for name in ("p t", "p Wilcoxon")]
    cells = [
        [
            line[place("row")],
            line[place("published")],
            line[place("measured")].replace(" ± ", "\n± "),
            line[place("95 % (folds)")].replace(" … ", "\n… "),
            line[place("difference")],
            *(f"{line[raw]}\n({line[corrected]})" for raw, corrected in tests),
            line[place("g_z")],
            line[place("n")],
        ]
        for line in lines
    ]
    headings = ["row", "pub-\nlished", "measured", "95 %", "differ-\nence", "p t\n(Holm)"]
    return [*headings, "Wilcoxon\n(Holm)", "g_z", "n"], cells


def _command(arguments: list[str]) -> str:
    """The command as typed, without what does not decide the results, and without where on this
    machine files lie."""
    kept, skip = ["evoked"], False
    for argument in arguments:
        name = argument.partition("=")[0]
        if not skip and name not in _INCIDENTAL:
            kept.append(Path(argument).name if Path(argument).is_absolute() else argument)
        skip = not skip and _INCIDENTAL.get(name, False) and "=" not in argument
    return shlex.join(kept)

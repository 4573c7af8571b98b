"""What a run is asked for: evaluate, predict, explain, report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evoked.cli.application import app, out, say, say_aside
from evoked.cli.drafts import DRAFT_OPTIONS, check_said, draft_of, shared_draft
from evoked.cli.ledger import keep_answer
from evoked.cli.options import (
    CacheOption,
    CoverageOption,
    DownloadFlag,
    JsonFlag,
    KeepFlag,
    load_any_run,
    open_dataset,
    refuse,
    with_options,
)
from evoked.cli.printing import (
    check_suffix,
    print_coverage,
    print_json,
    print_prediction,
    print_predictions,
    print_scores,
    write_table,
)
from evoked.cli.progress import progress_display, run_callbacks
from evoked.cli.scale import (
    NOT_OF_FOLDERS,
    ONLY_OF_FOLDERS,
    SCALE_OPTIONS,
    is_folder,
    score_into_folder,
)
from evoked.cli.viewings import VIEWING_OPTIONS, explain_viewing, image_of, viewing_of
from evoked.errors import EvokedError, MissingExtraError, SettingsError
from evoked.evaluation.coverage import DEFAULT_COVERAGE, check_coverage
from evoked.files import records

if TYPE_CHECKING:
    import pandas as pd

    from evoked.posts.drafts import Draft
    from evoked.runs.base import Callbacks
    from evoked.runs.posts import Run
    from evoked.runs.viewings import NetworkRun, Viewing

_ONLY_DRAFTS = "goes with drafts of posts, not with a run of viewings (--user, --image)"
_NOT_VIEWINGS = "goes with a run of viewings (such as hmg_emo); this run is of posts"

RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="Folder of a run: what 'evoked train' made.")
]


@app.command(
    epilog="Examples: [dim]evoked evaluate my_run other_posts --json[/]  ·  "
    "[dim]evoked evaluate my_network_run my_network[/]"
)
def evaluate(
    run_folder: RunArgument,
    dataset: Annotated[
        Path, typer.Argument(help="Posts to score; those that the run learned from are left out.")
    ],
    as_json: JsonFlag = False,
    cache: CacheOption = None,
    allow_download: DownloadFlag = False,
) -> None:
    """Score a run on posts, beside the trivial baselines."""
    posts = open_dataset(dataset)
    run = load_any_run(run_folder, cache, allow_download)
    with progress_display() as display:
        evaluation = run.evaluate(posts, run_callbacks(display))
    found = evaluation.to_dict()
    if as_json:
        print_json(found)
        return
    say(evaluation.split[:1].upper() + evaluation.split[1:])
    if evaluation.excluded:
        say(f"{evaluation.excluded} {run.noun} left out: the run has learned from them.")
    for warning in evaluation.warnings:
        say(warning, style="bold red")
    scored = f"{len(evaluation.predictions)} {run.noun} of {dataset}"
    print_scores(found["scores"], scored, run.task)
    print_coverage(found["intervals"])


@app.command(
    epilog="Examples: [dim]evoked predict my_run --image draft.jpg --caption 'Golden hour'[/]  ·  "
    "[dim]evoked predict my_run --posts new_posts --coverage 0.9 --out scores.csv[/]  ·  "
    "[dim]evoked predict my_run --drafts drafts.xlsx --out scores.xlsx[/]  ·  "
    "[dim]evoked predict my_run --posts 'parts/*.parquet' --pictures s3://mine/pictures --out "
    "scores --engine ray[/]  ·  "
    "[dim]evoked predict my_network_run --user user-17 --image draft.jpg[/]"
)
@with_options(draft=DRAFT_OPTIONS, viewing=VIEWING_OPTIONS, scale=SCALE_OPTIONS)
def predict(
    run_folder: RunArgument,
    draft: dict[str, Any],
    viewing: dict[str, Any],
    scale: dict[str, Any],
    posts: Annotated[
        Path | None,
        typer.Option(
            help="Dataset whose posts are scored, in place of a draft; with a folder as --out also "
            "a folder of Parquet files, or a pattern for them in quotes."
        ),
    ] = None,
    drafts: Annotated[
        Path | None,
        typer.Option(
            help="Table of drafts, a row each (.csv, .tsv, .jsonl, .parquet, .xlsx), whose columns "
            "an import would know; a row that can't be scored says why in the column 'error'. The "
            "options of a draft hold for rows that don't say otherwise."
        ),
    ] = None,
    coverage: CoverageOption = DEFAULT_COVERAGE,
    out_file: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="File to write: .csv, .json, .parquet or .xlsx; or a folder of Parquet files, for "
            "any number of --posts: goes on where it stopped when the command is given again.",
        ),
    ] = None,
    as_json: JsonFlag = False,
    keep: KeepFlag = False,
    cache: CacheOption = None,
    allow_download: DownloadFlag = False,
) -> None:
    """Predict what a draft, or every post of a dataset or row of a table, evokes."""
    check_coverage(coverage)
    refuse(
        {} if drafts is None else {"posts": posts}, "can't be given: --drafts stands in its place"
    )
    if posts is not None and out_file is not None and is_folder(out_file):
        refuse({**draft, **viewing}, "can't be given: --posts stands in place of a draft")
        refuse({"json": as_json or None, "keep": keep or None}, NOT_OF_FOLDERS)
        score_into_folder(run_folder, posts, out_file, coverage, cache, allow_download, scale)
        return
    refuse(scale, ONLY_OF_FOLDERS)
    if out_file is not None:
        check_suffix(out_file)
    if posts is not None:
        refuse({**draft, **viewing}, "can't be given: --posts stands in place of a draft")
    elif drafts is None:
        _check_image(draft)
    elsewhere = (posts, drafts, out_file, viewing["user"])
    if (
        not keep
        and elsewhere == (None,) * len(elsewhere)
        and _told_by_export(run_folder, draft, coverage, as_json)
    ):
        return
    dataset = None if posts is None else open_dataset(posts)
    run = load_any_run(run_folder, cache, allow_download)
    with progress_display() as display:
        callbacks = run_callbacks(display)
        subject: Any = dataset
        if dataset is not None:
            table = run.predict(dataset, callbacks, coverage)
        elif drafts is not None:
            table, subject = _scored(run, drafts, draft, viewing, callbacks, coverage)
        else:
            table, subject = _predicted(run, draft, viewing, callbacks, coverage)
    if keep:
        known = table[table["error"].isna()] if "error" in table else table
        keep_answer(run, "prediction", subject, known, coverage)
    if out_file is not None:
        write_table(table, out_file)
        say_aside(f"{len(table)} predictions in {out_file}")
    if as_json:
        print_json(records(table))
    elif out_file is None:
        print_predictions(table, run, coverage)


@app.command(
    epilog="Examples: [dim]evoked explain my_run --image draft.jpg --caption 'Golden hour' "
    "--data my_posts --out why[/]  ·  [dim]evoked explain my_network_run --user user-17 "
    "--image draft.jpg[/]"
)
@with_options(draft=DRAFT_OPTIONS, viewing=VIEWING_OPTIONS)
def explain(
    run_folder: RunArgument,
    draft: dict[str, Any],
    viewing: dict[str, Any],
    data: Annotated[
        Path | None,
        typer.Option(help="The run's dataset, to show the past posts most like the draft."),
    ] = None,
    out_folder: Annotated[
        Path | None, typer.Option("--out", help="Folder for the pictures.")
    ] = None,
    as_json: JsonFlag = False,
    cache: CacheOption = None,
    allow_download: DownloadFlag = False,
) -> None:
    """Show what a prediction rests on: what words, parts of the picture and facts add to it."""
    _check_image(draft)
    dataset = None if data is None else open_dataset(data)
    run = load_any_run(run_folder, cache, allow_download)

    from evoked.explain import explain as explain_draft
    from evoked.explain import print_explanation
    from evoked.runs.posts import Run

    if not isinstance(run, Run):
        refuse({"data": data, "out": out_folder}, _ONLY_DRAFTS)
        explain_viewing(run, _viewing(run, draft, viewing), as_json)
        return
    explanation = explain_draft(run, _draft(run, draft, viewing), dataset)
    if out_folder is not None:
        from evoked.explain.drawing import draw_explanation, missing_fonts  # of matplotlib

        for path in draw_explanation(explanation, out_folder):
            say_aside(f"Drawn: {path}")
        if note := missing_fonts(explanation):
            say_aside(note)
    if as_json:
        print_json(explanation.to_dict())
    else:
        print_explanation(explanation, out)
        if dataset is None:
            say("With --data DATASET: the past posts most like this one, and what they got.")


@app.command(epilog="Example: [dim]evoked report my_run --data my_posts[/]")
def report(
    run_folder: RunArgument,
    data: Annotated[
        Path | None,
        typer.Option(help="The run's dataset, to show and explain some of its posts."),
    ] = None,
    out_file: Annotated[
        Path | None, typer.Option("--out", help="HTML file; RUN/report.html by default.")
    ] = None,
    cache: CacheOption = None,
    allow_download: DownloadFlag = False,
) -> None:
    """Write one HTML file that shows how good a run is, and where."""
    dataset = None if data is None else open_dataset(data)
    run = load_any_run(run_folder, cache, allow_download)

    from evoked.report import write_report

    path = write_report(run, dataset, out_file or run_folder / "report.html")
    say(f"Report: {path}")


def _told_by_export(
    run_folder: Path, draft: dict[str, Any], coverage: float, as_json: bool
) -> bool:
    """Print what the run's export says of a draft; False if there is none that is up to date."""
    from evoked.runtime.twins import twin_of

    try:
        export = twin_of(run_folder, say_aside)
        if export is None:
            return False
        check_said(export, draft)
        (row,) = export.predict([draft_of(export, draft)], coverage, say_aside)
    except MissingExtraError as error:
        say_aside(f"{error} Predicted without the export.")
        return False
    if as_json:
        print_json([row])
    else:
        print_prediction(row, export, coverage)
    return True


def _predicted(
    run: Run | NetworkRun,
    draft: dict[str, Any],
    viewing: dict[str, Any],
    callbacks: Callbacks,
    coverage: float,
) -> tuple[pd.DataFrame, list[Draft] | list[Viewing]]:
    """The prediction of the draft or the viewing that the options describe, and that."""
    from evoked.runs.posts import Run
    from evoked.scoring import Scorer

    if isinstance(run, Run):
        drafts = [_draft(run, draft, viewing)]
        return Scorer(run).predict(drafts, callbacks, coverage), drafts
    viewings = [_viewing(run, draft, viewing)]
    return run.predict(viewings, callbacks, coverage), viewings


def _scored(
    run: Run | NetworkRun,
    table: Path,
    draft: dict[str, Any],
    viewing: dict[str, Any],
    callbacks: Callbacks,
    coverage: float,
) -> tuple[pd.DataFrame, list[Draft]]:
    """The answers to a table of drafts, a row each, and the drafts that could be scored."""
    from evoked.posts.draft_tables import draft_rows
    from evoked.posts.readers.base import Remark
    from evoked.runs.posts import Run
    from evoked.scoring import Scorer

    if not isinstance(run, Run):
        raise SettingsError(f"--drafts {_ONLY_DRAFTS}.")
    refuse(viewing, _NOT_VIEWINGS)
    usual, scorer = shared_draft(draft), Scorer(run)
    asked: list[Draft | EvokedError] = []

    def rows() -> Iterator[Draft | EvokedError]:
        for row in draft_rows(table, usual):
            if isinstance(row, Remark):
                say_aside(f"{table.name}, row {row.row}, {row.field}: {row.why} ({row.value})")
            else:
                asked.append(row)
                yield row

    found = scorer.score(rows(), callbacks, coverage)
    sound = [row for row, fine in enumerate(found["error"].isna()) if fine]
    return found, [scorer.draft(asked[row], row + 1) for row in sound]


def _check_image(draft: dict[str, Any]) -> None:
    """Raise SettingsError for a picture that is not there, before a run is loaded."""
    if draft["image"] is not None:
        image_of(draft["image"])


def _draft(run: Run, draft: dict[str, Any], viewing: dict[str, Any]) -> Draft:
    refuse(viewing, _NOT_VIEWINGS)
    check_said(run, draft)
    return draft_of(run, draft)


def _viewing(run: NetworkRun, draft: dict[str, Any], viewing: dict[str, Any]) -> Viewing:
    others = {name: value for name, value in draft.items() if name != "image"}
    refuse(others, _ONLY_DRAFTS)
    return viewing_of(run, draft["image"], **viewing)

"""The command 'evoked analyse'."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from evoked.cli.application import app, notes, out
from evoked.cli.options import CacheOption, DownloadFlag, JsonFlag, load_run
from evoked.cli.printing import print_json, print_sentence, print_table
from evoked.cli.progress import progress_display
from evoked.errors import SettingsError
from evoked.files import check_free

if TYPE_CHECKING:
    from evoked.analysis.base import Analysis, Findings, Given, PostFindings
    from evoked.report.run_analysis import RunFindings
    from evoked.runs.posts import Run


class Popularity(StrEnum):
    """The counts that popularity can be."""

    shares = "shares"
    likes = "likes"
    comments = "comments"
    saves = "saves"
    views = "views"


class Ratings(StrEnum):
    """Ways to make one rating of several annotators'."""

    mean = "mean"
    reliability = "reliability"


@app.command(
    epilog="Examples: [dim]evoked analyse my_posts --out analysis[/]  ·  "
    "[dim]evoked analyse my_posts --popularity likes --out analysis[/]  ·  "
    "[dim]evoked analyse my_posts --absolute --out analysis[/]  ·  "
    "[dim]evoked analyse my_run --data my_posts --out analysis[/]  ·  "
    "[dim]evoked analyse run_a --data my_posts --compare run_b --compare run_c --out analysis[/]"
)
def analyse(
    target: Annotated[Path, typer.Argument(metavar="DATASET|RUN", help="Posts, or a run.")],
    out_folder: Annotated[Path, typer.Option("--out", help="Folder of tables, figures and page.")],
    data: Annotated[
        Path | None,
        typer.Option(help="A run's dataset; by default the folder of that name next to the run."),
    ] = None,
    compare: Annotated[
        list[Path] | None,
        typer.Option(help="A further run to compare the first with; repeatable."),
    ] = None,
    ratings: Annotated[
        Ratings | None,
        typer.Option(help="Take emotions anew from the annotators' ratings, combined like this."),
    ] = None,
    estimate: Annotated[
        bool, typer.Option(help="Estimate valence and arousal of posts that nobody rated.")
    ] = True,
    popularity: Annotated[
        Popularity | None,
        typer.Option(
            help="The count that something works for, and popularity in the papers' tables.",
            show_default="likes where known; in the papers' tables shares",
        ),
    ] = None,
    relative: Annotated[
        bool | None,
        typer.Option(
            "--relative/--absolute",
            help="In the papers' tables, compare counts with the account's last posts, or with all "
            "its posts.",
            show_default="with the last posts where an account grew",
        ),
    ] = None,
    image_encoder: Annotated[
        str,
        typer.Option(
            help="Encoder that pictures are grouped by: builtin, or KIND:WHERE "
            "(torchvision:resnet50)."
        ),
    ] = "builtin",
    draws: Annotated[int, typer.Option(min=100, help="Resamples for each interval.")] = 1000,
    seed: Annotated[int, typer.Option(help="Random seed of the resamples.")] = 0,
    as_json: JsonFlag = False,
    cache: CacheOption = None,
    allow_download: DownloadFlag = False,
) -> None:
    """Say what works for the account of these posts, then the papers' tables or a run's errors."""
    from evoked.posts.dataset import PostDataset

    of_run = _is_run(target)
    if not of_run and (data is not None or compare):
        raise SettingsError("--data and --compare need a run: give a run's folder first.")
    if not of_run:
        PostDataset(target)  # refuses a mistyped folder before the slow imports

    from evoked.analysis.analyses import analyse_posts
    from evoked.features.cache import FeatureCache
    from evoked.features.catalog import FeatureSettings
    from evoked.report.analysis_page import RECORD_FILE, to_record, write_analysis
    from evoked.report.run_analysis import analyse_run

    check_free(out_folder, RECORD_FILE, "an analysis")  # before minutes of work
    run = load_run(target, cache, allow_download) if of_run else None
    dataset = PostDataset(target if run is None else data or _data_of(run))
    others = [load_run(folder, cache, allow_download) for folder in compare or []]
    notes.print(f"Analysing {len(dataset)} posts")
    with progress_display() as progress:
        found = analyse_posts(
            dataset,
            ratings=None if ratings is None else ratings.value,
            estimate=estimate,
            popularity=None if popularity is None else popularity.value,
            relative=relative,
            features=FeatureSettings(image_encoder=image_encoder),
            cache=FeatureCache(cache),
            progress=progress,
            draws=draws,
            seed=seed,
        )
    tested = None
    if run is not None:
        notes.print("Analysing the run's test posts")
        tested = analyse_run(run, dataset, found.emotions, others, draws, seed)
    page = write_analysis(found, out_folder, tested)
    if as_json:
        print_json(to_record(found, tested))
        return
    _print_all(found, tested)
    out.print(f"Page: {page}", soft_wrap=True, highlight=False)


def _is_run(folder: Path) -> bool:
    from evoked.runs.description import RUN_FILE

    return (folder / RUN_FILE).is_file()


def _data_of(run: Run) -> Path:
    """The folder next to the run that has the name of its dataset."""
    from evoked.posts.dataset import DESCRIPTION_FILE

    beside = run.folder.resolve().parent / Path(run.description["data"]["name"]).name
    if not (beside / DESCRIPTION_FILE).is_file():
        raise SettingsError(f"the run's dataset is not at {beside}: give its folder with --data.")
    return beside


def _print_all(found: PostFindings, tested: RunFindings | None) -> None:
    """Print what the posts and the run show, then what is left out and why."""
    from evoked.analysis.analyses import ANALYSES
    from evoked.report.run_tables import RUN_ANALYSES

    papers = {name: each for name, each in ANALYSES.items() if name != "works"}
    _print_findings({"works": ANALYSES["works"]}, found)
    out.rule("The papers' tables", style="default")
    print_sentence(found.context.levels.note)
    if found.emotions.unread:
        print_sentence(found.emotions.unread)
    if found.note:
        notice = f"Estimated emotion: {found.note}. Emotion readers read {found.emotions.who}."
        out.print(f"[yellow]{escape(notice)}[/]", highlight=False, soft_wrap=True)
    _print_findings(papers, found)
    skipped = found.skipped
    if tested is not None:
        _print_findings(RUN_ANALYSES, tested)
        skipped = skipped | tested.skipped
    for name, why in skipped.items():
        out.print(f"Left out: {escape(name.replace('_', ' '))}: {escape(why)}.", soft_wrap=True)


def _print_findings(analyses: Mapping[str, Analysis[Given]], findings: Findings[Given]) -> None:
    """Print the tables and sentences of every analysis that has some for the console."""
    for name, analysis in analyses.items():
        if name not in findings.tables:
            continue
        for each in analysis.summarise(findings.context, findings.tables):
            if isinstance(each, str):
                print_sentence(each)
            else:
                print_table(each.title, each.columns, each.rows, each.whole)

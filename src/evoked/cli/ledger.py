"""What a run said, kept and held against what came: ledger and update."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evoked.cli.application import app, say, say_aside
from evoked.cli.options import (
    CacheOption,
    DownloadFlag,
    JsonFlag,
    OutTableOption,
    check_runs,
    load_run,
    open_dataset,
)
from evoked.cli.printing import (
    check_suffix,
    print_json,
    print_sentence,
    print_table,
    write_table,
)
from evoked.cli.progress import progress_display, run_callbacks
from evoked.errors import SettingsError

if TYPE_CHECKING:
    import pandas as pd

    from evoked.advice.ledger import Kind
    from evoked.advice.review import Review
    from evoked.posts.dataset import PostDataset
    from evoked.runs.posts import Run
    from evoked.runs.viewings import NetworkRun

RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="Folder of a run of posts: what 'evoked train' made.")
]

# Answers that could be one of several posts, as many as are shown.
_SHOWN = 5


def keep_answer(
    run: Run | NetworkRun,
    kind: Kind,
    drafts: Any,
    table: pd.DataFrame,
    coverage: float,
    said: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Keep an answer in the run's ledger (:func:`evoked.advice.ledger.keep`), and say so."""
    from evoked.advice.ledger import keep
    from evoked.runs.folder import LEDGER_FILE
    from evoked.runs.posts import Run

    if not isinstance(run, Run):
        raise SettingsError("--keep goes with runs of posts; this one is of viewings.")
    number = keep(run, kind, drafts, table, coverage, said)
    left = len(table) - number
    posts = "1 draft" if number == 1 else f"{number:,} drafts"
    say_aside(
        f"Kept {posts} in {run.folder / LEDGER_FILE}: no texts or pictures, but hashes of them."
        + (f" {left:,} posts that have counts already are no drafts." if left else "")
    )


@app.command(
    epilog="Examples: [dim]evoked ledger my_run[/]  ·  [dim]evoked ledger my_run my_posts[/]  ·  "
    "[dim]evoked ledger my_run my_posts --out came.csv[/]"
)
def ledger(
    run_folder: RunArgument,
    posts: Annotated[
        Path | None,
        typer.Argument(
            metavar="[POSTS]", help="Dataset with the posts that have come since, imported anew."
        ),
    ] = None,
    out_file: OutTableOption = None,
    as_json: JsonFlag = False,
    cache: CacheOption = None,
    allow_download: DownloadFlag = False,
) -> None:
    """Hold what was kept with --keep against what came, and say whether to trust the run still."""
    if out_file is not None:
        check_suffix(out_file)
    dataset = None if posts is None else open_dataset(posts)
    run = load_run(run_folder, cache, allow_download)

    from evoked.advice.review import review

    found = review(run, dataset)
    if out_file is not None:
        write_table(found.table, out_file)
        say_aside(f"{len(found.table)} answers in {out_file}")
    if as_json:
        print_json(found.to_dict())
    elif out_file is None:
        _print(found, dataset is not None)


@app.command(
    epilog="Examples: [dim]evoked update my_run new_posts[/]  ·  "
    "[dim]evoked update my_run all_posts --retrain[/]"
)
def update(
    run_folder: RunArgument,
    posts: Annotated[
        Path,
        typer.Argument(help="Dataset with new posts of known counts; old ones may be in it."),
    ],
    retrain: Annotated[
        bool,
        typer.Option("--retrain", help="Let the model learn anew from all posts of the dataset."),
    ] = False,
    all_authors: Annotated[
        bool,
        typer.Option(
            "--all-authors", help="Take in posts of authors whom the run doesn't know as well."
        ),
    ] = False,
    as_json: JsonFlag = False,
    cache: CacheOption = None,
    allow_download: DownloadFlag = False,
) -> None:
    """Take new posts into a run: its level, its ranges, its track record; say what changed."""
    dataset = open_dataset(posts)
    check_runs(run_folder)

    from evoked.features.cache import FeatureCache
    from evoked.runs.updating import update as take_in

    with progress_display() as display:
        found = take_in(
            run_folder,
            dataset,
            retrain=retrain,
            all_authors=all_authors,
            cache=FeatureCache(cache),
            allow_download=allow_download,
            callbacks=run_callbacks(display),
        )
    kept = _kept_of(load_run(run_folder, cache, allow_download), dataset)
    if as_json:
        print_json({**found.to_dict(), "kept": kept})
        return
    for sentence in found.sentences:
        print_sentence(sentence)
    if found.posts and kept:
        which = "1 post" if kept == 1 else f"{kept:,} posts"
        print_sentence(
            f"{which} of the dataset had been predicted with --keep before they came: 'evoked "
            "ledger' counts these alone."
        )


def _kept_of(run: Run | NetworkRun, dataset: PostDataset) -> int:
    """How many of a dataset's posts a run's ledger has lines of."""
    from evoked.advice.review import review
    from evoked.runs.folder import LEDGER_FILE
    from evoked.runs.posts import Run

    if not isinstance(run, Run) or not (run.folder / LEDGER_FILE).is_file():
        return 0
    return int(review(run, dataset).table["post_id"].dropna().nunique())


def _print(found: Review, given: bool) -> None:
    if found.since is not None:
        kept = "1 answer" if found.kept == 1 else f"{found.kept:,} answers"
        say(f"{kept} kept since {found.since:%Y-%m-%d}.{_what_came(found) if given else ''}")
    if found.damaged:
        say(f"{found.damaged} lines of the ledger are damaged or unfinished, and passed over.")
    rows = [
        [
            each.name,
            f"{each.held} of {each.posts}",
            f"{100 * each.low:.0f} to {100 * each.high:.0f}",
            f"{100 * each.promised:.0f}",
            str(each.too_high),
        ]
        for each in found.ranges
    ]
    if rows:
        titles = ["", "held", "of 100\n(95 %)", "promised\nof 100", "got less than\npredicted"]
        print_table("How often ranges held", titles, rows, whole=range(5))
    for sentence in found.sentences:
        print_sentence(sentence)


def _what_came(found: Review) -> str:
    """How many answers have become posts, by what, and which could be several."""
    signs = found.table["recognised_by"].value_counts()
    by = ", ".join(f"{sign} {number}" for sign, number in signs.items())
    came = f"{found.came:,} have" if found.came != 1 else "1 has"
    text = f" {came} become {'posts' if found.came != 1 else 'a post'}"
    text += f" (recognised by {by})." if by else "."
    unclear = found.ambiguous
    if len(unclear):
        shown = "; ".join(
            f"{kind} of {when:%Y-%m-%d %H:%M}: {posts.replace('|', ' or ')}"
            for kind, when, posts in unclear[["kind", "kept_at", "could_be"]]
            .head(_SHOWN)
            .itertuples(index=False)
        )
        more = f", and {len(unclear) - _SHOWN} more" if len(unclear) > _SHOWN else ""
        text += f" {len(unclear)} could be one of several, and count as none: {shown}{more}."
    return text

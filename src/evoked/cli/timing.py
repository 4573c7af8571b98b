"""When to post: when and plan."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evoked.cli.application import app, say_aside
from evoked.cli.drafts import SHARED_OPTIONS, draft_of
from evoked.cli.ledger import keep_answer
from evoked.cli.options import (
    CacheOption,
    DownloadFlag,
    JsonFlag,
    KeepFlag,
    OutTableOption,
    check_picture,
    check_runs,
    load_run,
    open_dataset,
    refuse,
    with_options,
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
from evoked.evaluation.coverage import DEFAULT_COVERAGE

if TYPE_CHECKING:
    from evoked.advice import Hours, Plan


@app.command(
    epilog="Examples: [dim]evoked when my_run --out hours.png[/]  ·  "
    "[dim]evoked when my_run draft.jpg --caption 'Golden hour' --posted-at 2024-05-13T15:00[/]  ·  "
    "[dim]evoked when my_run --author my_account --by comments[/]"
)
@with_options(facts=SHARED_OPTIONS)
def when(
    run_folder: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="Folder of a run of posts: what 'evoked train' made."),
    ],
    facts: dict[str, Any],
    draft: Annotated[
        Path | None,
        typer.Argument(metavar="[DRAFT]", help="Picture of a draft, to be shown its best hour."),
    ] = None,
    caption: Annotated[str | None, typer.Option(help="Text of the draft.")] = None,
    by: Annotated[
        str | None,
        typer.Option(help="What is compared: likes, comments, views, …", metavar="WHAT"),
    ] = None,
    out_file: Annotated[
        Path | None, typer.Option("--out", help="Picture of the week to draw: .png.")
    ] = None,
    as_json: JsonFlag = False,
    keep: KeepFlag = False,
    cache: CacheOption = None,
    allow_download: DownloadFlag = False,
) -> None:
    """Say when to post: hours and weekdays in local time, and how sure it is that one is better."""
    if out_file is not None and out_file.suffix != ".png":
        raise SettingsError(f"--out: a file ending in .png, not {out_file.name!r}.")
    described = {**facts, "image": None if draft is None else str(draft), "caption": caption}
    is_draft = any(value is not None for name, value in described.items() if name != "author")
    if keep and not is_draft:
        raise SettingsError("--keep keeps what is said of a draft: give a picture or --caption.")
    if is_draft:
        if draft is not None:
            check_picture(draft)
        run = load_run(run_folder, cache, allow_download)

        from evoked.advice.hours import when as when_to_post

        asked = draft_of(run, described)
        with progress_display() as display:
            found = when_to_post(run, asked, by=by, callbacks=run_callbacks(display))
        if keep:
            keep_answer(run, "hours", [asked], found.table, DEFAULT_COVERAGE, found.said)
    else:
        check_runs(run_folder)

        from evoked.advice.hours import when as when_to_post

        found = when_to_post(run_folder, by=by, author=facts["author"])
    if out_file is not None:
        from evoked.report.hours_chart import draw_hours

        say_aside(f"Drawn: {draw_hours(found, out_file)}")
    if as_json:
        print_json(found.to_dict())
    else:
        _print_hours(found)


def _print_hours(found: Hours) -> None:
    """Print gains by hour and weekday where they are known, then what follows."""
    from evoked.analysis.week_words import clock, percent
    from evoked.runs.spoken import WEEKDAYS

    hours = found.week.hours[found.week.hours["gain"].notna()]
    gains = found.week.slots.pivot(index="hour", columns="weekday", values="gain")
    texts = gains.map(percent, na_action="ignore").fillna("·")
    rows = [
        [
            clock(row["hour"]),
            *texts.loc[row["hour"]],
            percent(row["gain"]),
            f"{100 * row['chance']:.0f}",
            f"{row['posts']:.0f}",
        ]
        for _, row in hours.iterrows()
    ]
    if rows:
        titles = ["from", *(day[:3] for day in WEEKDAYS), "all\ndays", "best in\n100", "posts"]
        whole = range(len(titles))
        print_table(f"{found.noun.capitalize()} against the usual hours", titles, rows, whole)
    for sentence in found.sentences:
        print_sentence(sentence)


@app.command(
    epilog="Examples: [dim]evoked plan my_run --out plan.csv --calendar plan.ics[/]  ·  "
    "[dim]evoked plan my_run --question hashtags --weeks 10 --start 2024-06-03[/]  ·  "
    "[dim]evoked plan my_run --arm 'with a face' --arm 'without a face'[/]  ·  "
    "[dim]evoked plan my_run --check new_posts[/]"
)
def plan(
    run_folder: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="Folder of a run of posts: what 'evoked train' made."),
    ],
    question: Annotated[
        str | None,
        typer.Option(
            help="What is tested: hours (the two that 'evoked when' would try; the default), "
            "question (one in the caption or none), hashtags or format.",
            show_default=False,
        ),
    ] = None,
    arm: Annotated[
        list[str] | None,
        typer.Option(help="One of two arms of your own, in words; give two.", metavar="TEXT"),
    ] = None,
    weeks: Annotated[int | None, typer.Option(help="How many weeks; 6 by default.")] = None,
    per_week: Annotated[
        int | None, typer.Option(help="Posts in each week, 7 at most; 4 by default.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(help="First day, for example 2024-06-03; next Monday by default."),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(help="What is compared at the end: likes, comments, …", metavar="WHAT"),
    ] = None,
    author: Annotated[
        str | None, typer.Option(help="Whose plan, where the run has several authors.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed; 0 by default.")] = None,
    out_file: OutTableOption = None,
    calendar: Annotated[
        Path | None, typer.Option(help="Calendar file to write: .ics.", metavar="FILE")
    ] = None,
    replace_kept: Annotated[
        bool, typer.Option("--replace", help="Put it in the place of a plan that the run keeps.")
    ] = False,
    posts: Annotated[
        Path | None,
        typer.Option(
            "--check",
            metavar="POSTS",
            help="Posts, imported when those of the kept plan have appeared: what it has shown.",
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Draw a schedule that tests a question on your next posts, and say later what it has shown."""
    drawing: dict[str, Any] = {"question": question, "arm": arm, "weeks": weeks}
    drawing |= {"per_week": per_week}
    drawing |= {"start": start, "by": by, "author": author, "seed": seed, "out": out_file}
    drawing |= {"calendar": calendar}
    check_runs(run_folder)
    if posts is not None:
        refuse(drawing, "is for drawing a plan, and --check is for one that was drawn")
        _check(run_folder, posts, as_json)
        return
    if out_file is not None:
        check_suffix(out_file)
    if calendar is not None and calendar.suffix != ".ics":
        raise SettingsError(f"--calendar: a file ending in .ics, not {calendar.name!r}.")

    from evoked.advice.planning import plan as draw

    drawn = draw(
        run_folder,
        question,
        arms=arm,
        start=None if start is None else _day(start),
        by=by,
        author=author,
        **{
            name: value
            for name, value in (("weeks", weeks), ("per_week", per_week), ("seed", seed))
            if value is not None
        },
    )
    drawn.save(run_folder, replace_kept)
    if out_file is not None:
        write_table(drawn.table, out_file)
        say_aside(f"{len(drawn.table)} posts in {out_file}")
    if calendar is not None:
        drawn.write_calendar(calendar)
        say_aside(f"{len(drawn.table)} entries in {calendar}")
    if as_json:
        print_json(drawn.to_dict())
    else:
        _print_plan(drawn)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(
            f"--start: {text!r} is not a day; write year-month-day, for example 2024-06-03."
        ) from error


def _check(run_folder: Path, posts: Path, as_json: bool) -> None:
    dataset = open_dataset(posts)

    from evoked.advice import Plan, check_plan
    from evoked.advice.tested import keep_tested

    found = check_plan(Plan.load(run_folder), dataset)
    keep_tested(run_folder, found)
    if as_json:
        print_json(found.to_dict())
        return
    for sentence in found.sentences:
        print_sentence(sentence)


def _print_plan(drawn: Plan) -> None:
    rows = [[str(cell) for cell in row] for row in drawn.table.itertuples(index=False)]
    titles = ["post", "week", "date", "day", "time", "what"]
    print_table("The plan", titles, rows, whole=range(5))
    for sentence in drawn.sentences:
        print_sentence(sentence)

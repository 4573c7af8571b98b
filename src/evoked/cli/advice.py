"""Advice on drafts: rank and advise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evoked.cli.application import app, say_aside
from evoked.cli.drafts import (
    DRAFT_OPTIONS,
    SHARED_OPTIONS,
    check_authors,
    check_said,
    draft_of,
    learned_columns,
    shared_draft,
)
from evoked.cli.ledger import keep_answer
from evoked.cli.options import (
    CacheOption,
    CoverageOption,
    DownloadFlag,
    JsonFlag,
    KeepFlag,
    OutTableOption,
    check_picture,
    load_run,
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
from evoked.evaluation.coverage import DEFAULT_COVERAGE, check_coverage

if TYPE_CHECKING:
    from evoked.advice import Advice, Ranking
    from evoked.posts.drafts import Draft
    from evoked.runs.posts import Run

_SHOWN_CAPTION = 24


@app.command(
    epilog="Examples: [dim]evoked rank my_run a.jpg b.jpg --caption 'Golden hour'[/]  ·  "
    "[dim]evoked rank my_run a.jpg --caption 'One' --caption 'Two' --by comments[/]  ·  "
    "[dim]evoked rank my_run drafts.csv --out order.csv[/]"
)
@with_options(shared=SHARED_OPTIONS)
def rank(
    run_folder: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="Folder of a run of posts: what 'evoked train' made."),
    ],
    shared: dict[str, Any],
    drafts: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[DRAFT]...",
            help="Pictures, a draft each, or one table (.csv, .tsv, .jsonl, .parquet) of drafts.",
        ),
    ] = None,
    caption: Annotated[
        list[str] | None,
        typer.Option(
            help="Text of a draft; repeatable. One goes with every picture, as many as pictures "
            "with one each, and several go with a single picture, or with none.",
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(help="What they are ordered by: likes, comments, valence, …", metavar="WHAT"),
    ] = None,
    coverage: CoverageOption = DEFAULT_COVERAGE,
    out_file: OutTableOption = None,
    as_json: JsonFlag = False,
    keep: KeepFlag = False,
    cache: CacheOption = None,
    allow_download: DownloadFlag = False,
) -> None:
    """Put drafts in order, and say how often the first is really ahead."""
    if out_file is not None:
        check_suffix(out_file)
    check_coverage(coverage)
    paths, captions = drafts or [], caption or []
    table = _table_in(paths)
    pairs = [] if table is not None else _pictures_and_captions(paths, captions)
    run = load_run(run_folder, cache, allow_download)

    from evoked.advice import rank as rank_drafts

    said = {**shared, "image": None, "caption": None}
    if table is not None:
        chosen = _of_table(table, shared_draft(said))
        check_authors(run, chosen)
    else:
        _check_content(run)
        chosen = _named(pairs, draft_of(run, said))
    with progress_display() as display:
        ranking = rank_drafts(run, chosen, by, coverage, run_callbacks(display))
    if keep:
        keep_answer(run, "rank", chosen, ranking.table, coverage, ranking.said)
    if out_file is not None:
        write_table(ranking.table, out_file)
        say_aside(f"{len(ranking.table)} drafts in {out_file}")
    if as_json:
        print_json(ranking.to_dict())
    elif out_file is None:
        _print(ranking, coverage)
    else:  # an order without its worth would be believed
        for sentence in ranking.sentences:
            print_sentence(sentence)


def _table_in(paths: Sequence[Path]) -> Path | None:
    """The table of drafts among what was given; None if these are pictures."""
    from evoked.posts.draft_tables import TABLE_SUFFIXES

    tables = [path for path in paths if path.suffix.lower() in TABLE_SUFFIXES]
    if tables and len(paths) > 1:
        raise SettingsError("give pictures or one table of drafts, not both.")
    return tables[0] if tables else None


def _of_table(table: Path, usual: Draft) -> list[Draft]:
    from evoked.posts.draft_tables import read_drafts

    found, remarks = read_drafts(table, usual)
    for remark in remarks:
        say_aside(f"{table.name}, row {remark.row}, {remark.field}: {remark.why} ({remark.value})")
    return found


def _check_content(run: Run) -> None:
    """Raise SettingsError if a run can't put pictures and captions in order, since it has learned
    from facts alone."""
    learned = set(run.learned_fields)
    if learned and not learned & {"image", "caption", "hashtags"}:
        raise SettingsError(
            "this run has learned from neither pictures nor captions, so that it can't put them in "
            "order. Give a table of drafts, a row each (.csv), with columns of what it has learned "
            f"from: {learned_columns(run)}."
        )


def _pictures_and_captions(
    pictures: Sequence[Path], captions: Sequence[str]
) -> list[tuple[Path | None, str | None]]:
    """The picture and the caption of each draft."""
    images = [check_picture(path) for path in pictures]
    if not images and not captions:
        raise SettingsError(
            "an order needs drafts: pictures, --caption, or a table of drafts (.csv)."
        )
    if not images:
        return [(None, text) for text in captions]
    if not captions:
        return [(image, None) for image in images]
    if len(images) == 1 or len(captions) == 1:
        return [(image, text) for image in images for text in captions]
    if len(images) != len(captions):
        raise SettingsError(
            f"{len(images)} pictures and {len(captions)} captions: give one caption for all, one "
            "for each, or one picture for all captions."
        )
    return list(zip(images, captions, strict=True))


def _named(pairs: Sequence[tuple[Path | None, str | None]], usual: Draft) -> list[Draft]:
    """The drafts, each called by what it differs in from the others: picture, caption or both."""
    several_captions = len({caption for _, caption in pairs}) > 1
    several_images = len({image for image, _ in pairs}) > 1
    names = []
    for number, (image, caption) in enumerate(pairs, start=1):
        parts = [image.name] if image is not None and several_images else []
        if caption is not None and several_captions:
            parts.append(_shortened(caption))
        names.append(" + ".join(parts) or f"draft {number}")
    doubled = {name for name in names if names.count(name) > 1}
    return [
        replace(
            usual,
            image=image,
            caption=caption,
            name=f"{number}: {name}" if name in doubled else name,
        )
        for number, ((image, caption), name) in enumerate(zip(pairs, names, strict=True), start=1)
    ]


def _shortened(caption: str) -> str:
    text = " ".join(caption.split())
    return f"“{text if len(text) <= _SHOWN_CAPTION else text[: _SHOWN_CAPTION - 1] + '…'}”"


def _print(ranking: Ranking, coverage: float) -> None:
    from evoked.runs.spoken import spoken, spoken_alike

    by, table = ranking.by, ranking.table
    low, high = f"{by.column}_low", f"{by.column}_high"
    against = ranking.pairs[ranking.pairs["better"] == table["post_id"].iloc[0]]["chance"]
    chances = ["", *(f"{100 * chance:.0f}" for chance in against)]
    whole, base = by.counts and not by.basis, ranking.base
    amounts = spoken_alike((table[by.column] * base).tolist(), whole=whole)
    rows = []
    for number, (_, row) in enumerate(table.iterrows()):
        ends = "–"
        if low in table and not table[[low, high]].isna().any(axis=None):
            ends = " to ".join(spoken(row[end] * base, whole=whole) for end in (low, high))
        rows.append([str(row["rank"]), row["post_id"], amounts[number], ends, chances[number]])
    titles = ["", "draft", ranking.noun, f"range ({coverage:.0%})", "first ahead\nin 100"]
    # A run that orders posts no better than chance does has nothing to say of single pairs.
    shown = [0, 1, 2, *([3] if any(row[3] != "–" for row in rows) else [])]
    shown += [4] if ranking.curve.orders else []
    rows = [[row[each] for each in shown] for row in rows]
    unbroken = [place for place, each in enumerate(shown) if each != 1]
    print_table(f"By {ranking.noun}", [titles[each] for each in shown], rows, unbroken)
    for sentence in ranking.sentences:
        print_sentence(sentence)
    for note in dict.fromkeys(filter(None, [*table["assumed"], *table["problem"]])):
        print_sentence(note)


@app.command(
    epilog="Examples: [dim]evoked advise my_run --image draft.jpg --caption 'Golden hour'[/]  ·  "
    "[dim]evoked advise my_run --caption 'New in' --by comments[/]  ·  "
    "[dim]evoked advise my_run --image draft.jpg --alternatives other_pictures --json[/]"
)
@with_options(draft=DRAFT_OPTIONS)
def advise(
    run_folder: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="Folder of a run of posts: what 'evoked train' made."),
    ],
    draft: dict[str, Any],
    by: Annotated[
        str | None,
        typer.Option(help="What is to become more: likes, comments, …", metavar="WHAT"),
    ] = None,
    alternatives: Annotated[
        Path | None,
        typer.Option(help="Folder of other pictures that the draft could have.", metavar="DIR"),
    ] = None,
    as_json: JsonFlag = False,
    keep: KeepFlag = False,
    cache: CacheOption = None,
    allow_download: DownloadFlag = False,
) -> None:
    """Say what to change about a draft, as far as past posts show that it helps."""
    run = load_run(run_folder, cache, allow_download)
    check_said(run, draft)

    from evoked.advice import advise as advise_on
    from evoked.advice.actions import alternatives_in
    from evoked.advice.following import said_of

    others = [] if alternatives is None else alternatives_in(alternatives)
    asked = draft_of(run, draft)
    with progress_display() as display:
        advice = advise_on(run, asked, by, others, run_callbacks(display))
    if keep:
        said = said_of(run, advice)
        keep_answer(run, "advice", [asked], advice.table, DEFAULT_COVERAGE, said)
    if as_json:
        print_json(advice.to_dict())
    else:
        _print_advice(advice)


def _print_advice(advice: Advice) -> None:
    from evoked.advice.advising import LABELS

    if advice.answer:
        print_sentence(advice.answer)
    for number, each in enumerate(advice.advised, start=1):
        print_sentence(f"{number}. {each.action.text}: {each.worth(advice.by.noun)}.", "bold")
        print_sentence(f"{each.evidence(advice.own)} ({each.label})")
    if advice.rewritten is not None:
        print_sentence("The draft with what can be changed without you:", "bold")
        for field, value in advice.changes.items():
            print_sentence(_in_words(field, value))
    for text in advice.sentences:
        print_sentence(text)
    for label in dict.fromkeys(each.label for each in advice.advised):
        print_sentence(f"{label}: {LABELS[label]}", "dim")
    for note in advice.notes:
        print_sentence(note)


def _in_words(field: str, value: Any) -> str:
    """A changed field of a draft."""
    if field == "hashtags":
        return f"Hashtags: {' '.join(f'#{tag}' for tag in value) or 'none'}"
    if field == "posted_at":
        return f"Time: {value:%A, %Y-%m-%d %H:%M}"
    if field == "image":
        return f"Picture: {'cropped' if isinstance(value, bytes) else value}"
    return f"Caption: {value}"

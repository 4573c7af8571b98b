"""Downloads of what pages show: as CSV, as a picture, and as a PDF with the page's own words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from evoked.files import parse_json, read_bounded
from evoked.serve import advice, planning
from evoked.serve.api.common import TheDesk, attached, attached_table
from evoked.serve.pages.common import Page, shown_moment, wording_of
from evoked.serve.pages.paper import SHEET_FILE, all_said, sheet_of
from evoked.serve.problems import RefusalError
from evoked.serve.said import amount, noun, phrase, said
from evoked.serve.wording import Wording

if TYPE_CHECKING:
    from evoked.advice import Plan
    from evoked.report.sheets import Sheet

router = APIRouter(prefix="/downloads")
page = Page("downloads", None, router)

Kind = Literal["csv", "png", "pdf"]
Text = Annotated[str, Query(max_length=500)]


@router.get("/when.{kind}")
def when(
    request: Request, desk: TheDesk, kind: Kind, run: Text = "", by: Text = "", author: Text = ""
) -> Response:
    """The week: its slots as CSV, drawn, or on paper with its hours and weekdays."""
    from evoked.serve.pages.when import shown

    found = advice.when(desk, run, by or None, author or None)
    if kind == "csv":
        return attached_table(found.week.slots, "when", "csv")
    t, week = wording_of(request), shown(found)
    picture = advice.week_png(found, t.code)
    if kind == "png":
        return attached(picture, "when.png")
    heads = ("when.from", "when.gain", "when.range", "when.best", "when.n")
    rows = [
        [
            row["name"] if what == "hours" else t(f"weekdays.{row['name']}"),
            amount(row["said"], t.code),
            _range(row["ends"], t),
            str(row["chance"]),
            t.number(row["posts"]),
        ]
        for what in ("hours", "weekdays")
        for row in week[what]
    ]
    sentences = [*all_said((week["first"], *week["others"]), t), t("when.gains_hint")]
    foot = desk.run_of_posts(run).name
    columns = [t(head) for head in heads]
    return _drawn(
        sheet_of(t("when.heading"), sentences, columns, rows, foot), "when", kind, picture
    )


@router.get("/works/{job}.{kind}")
def works(request: Request, desk: TheDesk, kind: Kind, job: str) -> Response:
    """What works: everything that was looked at as CSV, drawn, or on paper."""
    from evoked.report.works_figures import works_png
    from evoked.serve.pages.works import shown

    found = desk.job(job)
    table = desk.works_file(found, "csv")
    values = shown(desk.analysis(found))
    if values is None or values["why"] is not None or table is None:
        raise RefusalError(404, "there is no such result (yet).")
    if kind == "csv":
        return attached(table.read_bytes(), "works.csv")
    t = wording_of(request)
    picture = works_png(
        [row | {"phrase": phrase(row["phrase"], "trait", t.code)} for row in values["rows"]],
        values["count"],
        lambda text: said(text, t.code).text,
    )
    if kind == "png":
        return attached(picture, "works.png")
    heads = ("posts", "effect", "range", "having", "lacking", "sure")
    rows = [
        [
            phrase(row["phrase"], "trait", t.code),
            amount(row["said"], t.code),
            _range(row["ends"], t),
            t.number(row["having"]),
            t.number(row["lacking"]),
            t(f"works.verdicts.{row['verdict']}"),
        ]
        for row in values["rows"]
    ]
    count = t.known(f"fields.{values['count']}", values["count"])
    sheet = sheet_of(
        t("works.for_count", count=count),
        all_said([*values["sentences"], values["how"]], t),
        [t(f"works.{head}") for head in heads],
        rows,
        foot=str(found.facts.get("dataset", "")),
    )
    return _drawn(sheet, "works", kind, picture)


@router.get("/ledger.{kind}")
def ledger(
    request: Request, desk: TheDesk, kind: Kind, run: Text = "", posts: Text = ""
) -> Response:
    """The ledger: a row per line as CSV, or its sentences and its last lines on paper."""
    from evoked.serve.pages.ledger import shown

    entry = desk.run_of_posts(run)
    found = advice.review(desk, entry.name, posts)
    if kind == "csv":
        return attached_table(found.table, "ledger", "csv")
    t = wording_of(request)
    values = shown(found, desk.scorer(entry.name).run)
    rows = [
        [
            shown_moment(line["kept_at"], t),
            t.known(f"ledger.kinds.{line['kind']}", line["kind"]),
            _said(line["number"], t),
            amount(line["number"]["came"], t.code)
            if line["number"] and line["number"]["came"]
            else "–",
            line["post"] or (t("ledger.several") if line["unclear"] else "–"),
        ]
        for line in values["lines"]
    ]
    held = [
        f"{t('ledger.ranges')}: {phrase(each['what'], 'measure', t.code)}, "
        f"{t('draft.held_of', held=each['held'], posts=each['posts'])} "
        f"({each['low']} {t('to')} {each['high']} {t('ledger.of_100')}; "
        f"{t('ledger.promised')} {each['promised']})."
        for each in values["ranges"]
    ]
    heads = ("kept_at", "kind", "said", "got", "post")
    sheet = sheet_of(
        t("ledger.heading"),
        [*all_said((values["verdict"], *values["others"]), t), *held]
        if found.kept
        else [t("ledger.empty")],
        [t(f"ledger.{head}") for head in heads],
        rows,
        foot=entry.name,
    )
    return _drawn(sheet, "ledger", kind)


@router.get("/plan.{kind}")
def plan(request: Request, desk: TheDesk, kind: Literal["png", "pdf"], run: Text = "") -> Response:
    """The plan that a run keeps, on paper; as CSV and for calendars it is under /api/v1."""
    t = wording_of(request)
    found = planning.the_kept(desk, run)
    return _drawn(_plan_sheet(found, desk.run_of_posts(run).name, t), "plan", kind)


@router.get("/advice/{identifier}.{kind}")
def advised(desk: TheDesk, kind: Kind, identifier: str) -> Response:
    """Advice that was given, for as long as uploads are kept: every change that was looked at as
    CSV, or what was advised on paper."""
    import pandas as pd

    from evoked.report.sheets import Sheet

    path = desk.uploads.made(identifier, SHEET_FILE, "json")
    if path is None:
        raise RefusalError(404, "this advice is not there (any more). Ask again.")
    kept = parse_json(read_bounded(path), path.name)
    if kind == "csv":
        return attached_table(pd.DataFrame(kept["table"], columns=kept["columns"]), "advice", "csv")
    return _drawn(Sheet.from_dict(kept["sheet"]), "advice", kind)


def _plan_sheet(found: Plan, run: str, t: Wording) -> Sheet:
    from evoked.serve.pages.plan import arm_in_words, shown

    values = shown(found)
    arms = [arm_in_words(values, number, t) for number in (0, 1)]
    day = values["checked_from"].strftime(t("day_format"))
    by = t.known(f"nouns.{found.by}", found.by.replace("_", " "))
    return sheet_of(
        t("plan.heading"),
        [
            t("plan.compared", one=arms[0], other=arms[1]),
            *all_said(values["sentences"], t),
            t("plan.check_hint", day=day, by=by),
            t("plan.table", zone=values["time_zone"]),
        ],
        [t(key) for key in ("plan.post", "plan.week", "when.day", "fields.posted_at", "plan.what")],
        [
            [
                str(number),
                str(row["week"]),
                t(f"weekdays.{row['day']}"),
                shown_moment(row["at"], t),
                arms[row["arm"]],
            ]
            for number, row in enumerate(values["rows"], start=1)
        ],
        foot=run,
    )


def _drawn(sheet: Sheet, stem: str, kind: str, picture: bytes | None = None) -> Response:
    from evoked.report.sheets import sheet_pdf, sheet_png

    draw: Callable[[Sheet, bytes | None], bytes] = sheet_pdf if kind == "pdf" else sheet_png
    return attached(draw(sheet, picture), f"{stem}.{kind}")


def _range(ends: Sequence[str], t: Wording) -> str:
    low, high = (amount(end, t.code) for end in ends)
    return f"{low} {t('to')} {high}"


def _said(number: dict[str, Any] | None, t: Wording) -> str:
    """A number of the ledger as its page has it."""
    if number is None:
        return "–"
    ends = f" ({_range(number['ends'], t)})" if number["ends"] else ""
    return f"{amount(number['about'], t.code)} {noun(number['noun'], t.code)}{ends}"

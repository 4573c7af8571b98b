"""A plan: which of two arms each of the next posts gets, drawn by lot, and what that has shown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from evoked.errors import DataError, EvokedError
from evoked.serve import planning
from evoked.serve.api.common import TheDesk
from evoked.serve.desk import Desk
from evoked.serve.library import RunEntry
from evoked.serve.pages.common import Form, Page, go, render, text_of, wording_of
from evoked.serve.pages.when import DAYS, counts_of
from evoked.serve.planning import Question
from evoked.serve.problems import RefusalError
from evoked.serve.said import phrase
from evoked.serve.wording import Wording

if TYPE_CHECKING:
    from evoked.advice import Plan

router = APIRouter()
page = Page("plan", "/plan", router)

_FIELDS = ("question", "one", "other", "weeks", "per_week", "start", "by", "author")
_LONGEST = 200


@router.get("/plan")
def plan(request: Request, desk: TheDesk, run: str = "", posts: str = "") -> Response:
    """The plan that a run keeps, and what the posts of a dataset have shown of it."""
    return _page(request, desk, run, posts[:_LONGEST])


@router.post("/plan")
def draw(request: Request, desk: TheDesk, form: Form) -> Response:
    """Draw a plan; where that is not possible, the form says why."""
    run = text_of(form, "run")
    typed = {name: text_of(form, name)[:_LONGEST] for name in _FIELDS}
    try:
        planning.draw(desk, run, _question(typed), replace=bool(text_of(form, "replace")))
    except (EvokedError, RefusalError) as error:
        problem = desk.places.left_out(str(error))
        return _page(request, desk, run, "", typed=typed, problem=problem, status=422)
    return go(f"/plan?{urlencode({'run': run})}")


@router.post("/plan/check")
def check(desk: TheDesk, form: Form) -> Response:
    """Compare the plan with posts that came, and let advice know."""
    run, posts = text_of(form, "run"), text_of(form, "posts")[:_LONGEST]
    if posts:
        planning.keep_checked(desk, run, planning.check(desk, run, posts))
    return go(f"/plan?{urlencode({'run': run, 'posts': posts})}")


def _page(
    request: Request,
    desk: Desk,
    run: str,
    posts: str,
    *,
    typed: Mapping[str, str] | None = None,
    problem: str | None = None,
    status: int = 200,
) -> Response:
    from evoked.advice.planning import HOURS_QUESTION, OWN_QUESTION, QUESTIONS

    runs = [each for each in desk.library.runs() if each.of_posts]
    entry = desk.run_of_posts(run) if run else next(iter(runs), None)
    values: dict[str, Any] = {
        "runs": runs,
        "entry": entry,
        "posts": posts,
        "plan": None,
        "tested": None,
        "typed": typed or dict.fromkeys(_FIELDS, ""),
        "problem": problem,
        "questions": [HOURS_QUESTION, *QUESTIONS, OWN_QUESTION],
    }
    if entry is not None:
        values |= _of_run(desk, entry)
        try:
            kept = planning.kept(desk, entry.name)
            values["plan"] = None if kept is None else shown(kept)
            values["arm"] = partial(arm_in_words, values["plan"], t=wording_of(request))
            if kept is not None and posts:
                values["tested"] = planning.check(desk, entry.name, posts).to_dict()
        except EvokedError as error:
            values["problem"] = desk.places.left_out(str(error))
    return render(request, "plan.html", values, status=status)


def _of_run(desk: Desk, entry: RunEntry) -> dict[str, Any]:
    return {
        "counts": counts_of(entry),
        "authors": int(entry.description["data"].get("authors", 1)),
        "datasets": desk.library.datasets(),
    }


def shown(found: Plan) -> dict[str, Any]:
    """A plan as a page has it: a row per post, which of them is next, and what it can show."""
    now = datetime.now(UTC)
    coming = [number for number, moment in enumerate(found.moments) if moment >= now]
    return {
        "question": found.question,
        "arms": found.arms,
        "by": found.by,
        "time_zone": found.time_zone or "UTC",
        "made": found.made.astimezone(),
        "number": len(found.drawn),
        "counts": [found.drawn.count(arm) for arm in (0, 1)],
        "sentences": found.sentences[:-1],  # the last one names a command
        "checked_from": found.checked_from,
        "is_due": found.checked_from <= now.date(),
        "next": coming[0] if coming else None,
        "rows": [
            {
                "week": week,
                "day": DAYS[local.weekday()],
                "at": local,
                "arm": arm,
            }
            for week, local, arm in zip(found.weeks, found.local, found.drawn, strict=True)
        ],
    }


def arm_in_words(values: Mapping[str, Any], arm: int, t: Wording) -> str:
    """An arm of a plan, as :func:`shown` has it, in the person's language."""
    return phrase(values["arms"][arm], "arm", t.code)


def _question(typed: Mapping[str, str]) -> Question:
    """What the form asks for; empty fields are left to their defaults.

    Raises
    ------
    DataError
        A field holds no number or no day.
    """
    own = typed["question"] == "own"
    return Question(
        question=None if own else typed["question"] or None,
        arms=(typed["one"], typed["other"]) if own else None,
        weeks=_number(typed, "weeks"),
        per_week=_number(typed, "per_week"),
        start=_day(typed["start"]),
        by=typed["by"] or None,
        author=typed["author"] or None,
    )


def _number(typed: Mapping[str, str], name: str) -> int | None:
    text = typed[name]
    if text and not (text.isascii() and text.isdigit() and len(text) < 6):
        raise DataError("expected a whole number.", field=name.replace("_", " "))
    return int(text) if text else None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise DataError(
            f"{text[:40]!r} is not a day; write year-month-day.", field="start"
        ) from error

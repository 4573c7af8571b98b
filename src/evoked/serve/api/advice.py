"""Advice of a run: when to post, what to change, and the ledger of what it has said."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from evoked.evaluation.coverage import DEFAULT_COVERAGE
from evoked.serve import advice
from evoked.serve.api.common import (
    Key,
    Limit,
    Offset,
    Page,
    TheDesk,
    attached,
    attached_table,
    once,
    problems,
)
from evoked.serve.api.drafts import DraftFacts, ShortText
from evoked.serve.problems import RefusalError

router = APIRouter(prefix="/runs/{run}", tags=["advice"])

By = Annotated[
    ShortText | None, Query(description="The count that is asked for; the first if left out.")
]
Author = Annotated[
    ShortText | None,
    Query(description="Id of an author; of several, what is common to all if left out."),
]
_DRAFT: JsonValue = {
    "caption": "Golden hour over the bay #sunset",
    "posted_at": "2026-05-13T18:30",
    "picture": "0123456789abcdef0123456789abcdef",
}


class DraftQuestion(BaseModel):
    """A draft, and what is asked about it."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"draft": _DRAFT, "by": "likes"}]}
    )

    draft: DraftFacts
    by: ShortText | None = Field(None, description="The count that is asked for, such as likes.")


class KeepRequest(BaseModel):
    """Drafts whose scores are to be kept."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"drafts": [_DRAFT], "coverage": 0.8}]}
    )

    drafts: list[DraftFacts] = Field(min_length=1, max_length=200)
    coverage: float = Field(
        DEFAULT_COVERAGE, gt=0, lt=1, description="How often ranges are to hold the truth."
    )


class WeekAnswer(BaseModel):
    """What hours and weekdays add, and how sure that is."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "run": "summer",
                    "by": "likes",
                    "of_author": True,
                    "time_zone": "Europe/Vienna",
                    "best_hour": 18,
                    "best_weekday": None,
                    "worst_hour": None,
                    "worst_weekday": 5,
                    "hours_differ": True,
                    "weekdays_differ": True,
                    "to_try": [18, 12],
                    "test": [{"gain": 0.2, "posts_at_each": 190}],
                    "posts": 214,
                    "own_posts": 214,
                    "authors": 1,
                    "adjusted": 214,
                    "known_posts": 214,
                    "without_time": 0,
                    "spread": 0.72,
                    "level": 410.0,
                    "draft": None,
                    "hours": [
                        {
                            "hour": 18,
                            "posts": 31,
                            "gain": 0.21,
                            "low": 0.07,
                            "high": 0.36,
                            "chance": 0.41,
                        }
                    ],
                    "weekdays": [
                        {
                            "weekday": 0,
                            "posts": 28,
                            "gain": 0.02,
                            "low": -0.08,
                            "high": 0.13,
                            "chance": 0.16,
                        }
                    ],
                    "slots": [
                        {
                            "weekday": 0,
                            "hour": 18,
                            "posts": 4,
                            "gain": 0.23,
                            "low": 0.05,
                            "high": 0.44,
                            "chance": 0.06,
                        }
                    ],
                    "sentences": ["Post at about 18:00: +21% likes against your usual hours …"],
                }
            ]
        }
    )

    run: str
    by: str
    of_author: bool = Field(description="Whether these are one author's own hours.")
    time_zone: str | None = Field(description="Whose clocks count.")
    best_hour: int | None = Field(description="Null if none is reliably better.")
    best_weekday: int | None = Field(description="0 is Monday; null if none is reliably better.")
    worst_hour: int | None = Field(description="Null if none is reliably worse.")
    worst_weekday: int | None = Field(description="0 is Monday; null if none is reliably worse.")
    hours_differ: bool = Field(description="Whether hours differ by more than chance explains.")
    weekdays_differ: bool = Field(description="Whether weekdays do.")
    to_try: list[int] = Field(description="Two hours for a test.")
    test: list[dict[str, Any]] = Field(description="Posts that a test needs, by the difference.")
    posts: int
    own_posts: int
    authors: int
    adjusted: int = Field(description="Of how many posts the content was taken into account.")
    known_posts: int = Field(description="Posts of the run with a known count.")
    without_time: int = Field(description="Posts that were left out for want of a time of day.")
    spread: float | None
    level: float | None = Field(description="Median count of the author's last posts.")
    draft: dict[str, Any] | None = Field(description="What a draft gets then and at the best hour.")
    hours: list[dict[str, Any]] = Field(description="Gains by hour, with 90 % ranges.")
    weekdays: list[dict[str, Any]]
    slots: list[dict[str, Any]] = Field(description="Gains by weekday and hour.")
    sentences: list[str]


class AdviceAnswer(BaseModel):
    """What to change about a draft."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "run": "summer",
                    "by": "likes",
                    "answer": "About 410 likes (260 to 660) …",
                    "advice": [
                        {
                            "about": "question",
                            "do": "Ask a question in the caption",
                            "before": "no",
                            "after": "yes",
                            "mechanical": False,
                            "effect": 0.21,
                            "low": 0.09,
                            "high": 0.33,
                            "gain": 96.0,
                            "gain_low": 39.0,
                            "gain_high": 161.0,
                            "did": 64,
                            "did_not": 150,
                            "usual_did": 1.16,
                            "usual_did_not": 0.94,
                            "label": "adjusted",
                            "model": 0.03,
                        }
                    ],
                    "rewritten": {
                        "caption": "Golden hour over the bay #sunset #sea",
                        "hashtags": None,
                        "posted_at": "2026-05-13T18:00:00+02:00",
                        "picture": "0123456789abcdef0123456789abcdef",
                    },
                    "looked_at": [],
                    "measured": {
                        "posts": 214,
                        "authors": 1,
                        "known_posts": 214,
                        "own": True,
                        "own_posts": 214,
                    },
                    "resembles": True,
                    "sentences": ["23 changes were looked at on 214 posts with known likes. …"],
                    "notes": [],
                }
            ]
        }
    )

    run: str
    by: str
    answer: str | None = Field(description="What is predicted of the draft, in a sentence.")
    advice: list[dict[str, Any]] = Field(description="At most five changes, the surest first.")
    rewritten: dict[str, Any] | None = Field(
        description="The draft with what needs no person; its picture by an id."
    )
    looked_at: list[dict[str, Any]] = Field(description="Every change that was looked at.")
    measured: dict[str, Any] = Field(description="On how many posts of how many authors.")
    resembles: bool = Field(description="Whether the draft resembles any past post.")
    sentences: list[str]
    notes: list[str]


class LedgerAnswer(BaseModel):
    """What was kept, beside what came of it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "run": "summer",
                    "kept": 24,
                    "damaged": 0,
                    "since": "2026-04-02T09:12:44+00:00",
                    "came": 21,
                    "ranges": [
                        {
                            "what": "likes",
                            "noun": "likes",
                            "promised": 0.8,
                            "held": 17,
                            "posts": 21,
                            "low": 0.6,
                            "high": 0.92,
                            "too_high": 9,
                        }
                    ],
                    "orders": None,
                    "advice": [],
                    "drift": [],
                    "watched": 21,
                    "updated_at": None,
                    "trust": "yes",
                    "sentences": ["Of 21 posts that came, 17 lay within their ranges …"],
                    "lines": {"items": [], "total": 24, "offset": 0, "next": None},
                }
            ]
        }
    )

    run: str
    kept: int
    damaged: int = Field(description="Lines that could not be read.")
    since: str | None
    came: int = Field(description="Lines that have become posts.")
    ranges: list[dict[str, Any]] = Field(description="How often ranges held, by number.")
    orders: dict[str, Any] | None
    advice: list[dict[str, Any]]
    drift: list[dict[str, Any]]
    watched: int
    updated_at: str | None
    trust: str = Field(description="unknown, no, less or yes.")
    sentences: list[str]
    lines: Page[dict[str, Any]] = Field(description="A line per draft, the oldest first.")


class Kept(BaseModel):
    """What was kept."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"run": "summer", "kept": 1}]})

    run: str
    kept: int = Field(description="Drafts.")


@router.get("/when", responses=problems(404), summary="When to post")
def when(desk: TheDesk, run: str, by: By = None, author: Author = None) -> WeekAnswer:
    """Gains of hours and weekdays, in the numbers of ``evoked when --json``."""
    found = advice.when(desk, run, by, author)
    return WeekAnswer(run=run, **found.to_dict())


@router.post("/when", responses=problems(404), summary="When to post a draft")
def when_of_draft(desk: TheDesk, run: str, asked: DraftQuestion) -> WeekAnswer:
    """The same, and what a draft gets at its time and at the best hour."""
    found = advice.when(desk, run, asked.by, asked.draft.author, asked.draft.row())
    return WeekAnswer(run=run, **found.to_dict())


@router.get(
    "/when.{kind}",
    responses={**problems(404), 200: {"content": {"text/csv": {}, "image/png": {}}}},
    response_class=Response,
    summary="The week as a table or a picture",
)
def week(
    desk: TheDesk, run: str, kind: Literal["csv", "png"], by: By = None, author: Author = None
) -> Response:
    """Gains by weekday and hour as CSV, or drawn as PNG."""
    found = advice.when(desk, run, by, author)
    if kind == "png":
        return attached(advice.week_png(found), "when.png")
    return attached_table(found.week.slots, "when", "csv")


@router.post("/advise", responses=problems(404, 507), summary="What to change about a draft")
def advise(desk: TheDesk, run: str, asked: DraftQuestion) -> AdviceAnswer:
    """Changes that past posts show to help, in the numbers of ``evoked advise --json``."""
    _, answer = advice.advise(desk, run, asked.draft.row(), asked.by)
    return AdviceAnswer(run=run, **answer)


@router.get("/ledger", responses=problems(404), summary="What was kept, and what came")
def ledger(
    desk: TheDesk,
    run: str,
    posts: Annotated[
        ShortText, Query(description="Dataset with the posts that came since; none if left out.")
    ] = "",
    offset: Offset = 0,
    limit: Limit = 50,
) -> LedgerAnswer:
    """The numbers of ``evoked ledger --json``; its lines come in parts."""
    answer = advice.review(desk, run, posts).to_dict()
    lines = answer.pop("lines")
    part = Page[dict[str, Any]].of(lines[offset : offset + limit], len(lines), offset)
    return LedgerAnswer(run=run, lines=part, **answer)


@router.post(
    "/ledger",
    status_code=201,
    response_model=Kept,
    responses=problems(404, 409),
    summary="Keep the scores of drafts",
)
def keep(
    desk: TheDesk, run: str, asked: KeepRequest, request: Request, key: Key = None
) -> JSONResponse:
    """Scores drafts and keeps the answers, to be held against what comes: no texts or pictures,
    but hashes of them."""
    if len(asked.drafts) > desk.limits.drafts:
        raise RefusalError(422, f"at most {desk.limits.drafts} drafts at once.")
    rows = [draft.row() for draft in asked.drafts]
    body = asked.model_dump(mode="json")
    return once(desk, request, key, body, lambda: advice.keep(desk, run, rows, asked.coverage), 201)

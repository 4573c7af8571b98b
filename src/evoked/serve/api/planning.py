"""Plans: schedules that test a question, and what they have shown."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from evoked.serve import planning
from evoked.serve.api.common import Key, TheDesk, attached, attached_table, once, problems
from evoked.serve.api.drafts import ShortText
from evoked.serve.planning import Question

router = APIRouter(prefix="/runs/{run}/plan", tags=["plans"])


class PlanRequest(BaseModel):
    """What a plan is to test."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"question": "hashtags", "weeks": 6, "per_week": 4, "start": "2026-06-01"}]
        },
    )

    question: ShortText | None = Field(
        None, description="hours (the default), question, hashtags or format."
    )
    arms: tuple[ShortText, ShortText] | None = Field(
        None, description="Two arms of your own in place of a question."
    )
    weeks: int | None = Field(None, ge=1, le=104, description="6 if left out.")
    per_week: int | None = Field(None, ge=1, le=7, description="4 if left out.")
    start: date | None = Field(None, description="First day; next Monday if left out.")
    by: ShortText | None = Field(None, description="What is compared at the end, such as likes.")
    author: ShortText | None = Field(None, description="Whose plan, if the run has several.")
    seed: int | None = Field(None, ge=0, le=2**31, description="0 if left out.")
    replace: bool = Field(False, description="Put it in the place of a plan that the run keeps.")

    def asked(self) -> Question:
        return Question(**self.model_dump(exclude={"replace"}))


class PlanAnswer(BaseModel):
    """A schedule that tests a question."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "run": "summer",
                    "question": "hashtags",
                    "arms": ["your usual hashtags", "no hashtags"],
                    "by": "likes",
                    "time_zone": "Europe/Vienna",
                    "seed": 0,
                    "spread": 0.72,
                    "posts": [
                        {
                            "post": 1,
                            "week": 1,
                            "date": "2026-06-01",
                            "weekday": "Mon",
                            "time": "18:00",
                            "arm": "no hashtags",
                            "at": "2026-06-01T16:00:00+00:00",
                        }
                    ],
                    "sentences": ["24 posts, 12 with “your usual hashtags” and 12 with …"],
                }
            ]
        }
    )

    run: str
    question: str
    arms: list[str]
    by: str
    time_zone: str | None
    seed: int
    spread: float | None = Field(description="Of single posts, in logarithms.")
    posts: list[dict[str, Any]]
    sentences: list[str]


class TestedAnswer(BaseModel):
    """What a plan has shown."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "run": "summer",
                    "label": "tested",
                    "question": "hashtags",
                    "arms": ["your usual hashtags", "no hashtags"],
                    "by": "likes",
                    "posts": [12, 11],
                    "missing": 1,
                    "ahead": 0,
                    "strayed": 0,
                    "difference": {"gain": 0.31, "low": 0.06, "high": 0.62, "chance": 0.016},
                    "sentences": ["Tested: “your usual hashtags” gets +31% likes against …"],
                }
            ]
        }
    )

    run: str
    label: str
    question: str
    arms: list[str]
    by: str
    posts: list[int] = Field(description="Of each arm, that appeared with a known count.")
    missing: int = Field(description="Have no known count, though their time has come.")
    ahead: int = Field(description="Are still to come.")
    strayed: int | None = Field(description="Did not follow the plan; null if that can't be seen.")
    difference: dict[str, float] | None = Field(
        description="Of the first arm against the second, with its 95 % range; null of too few."
    )
    sentences: list[str]


@router.get("", responses=problems(404), summary="The plan that a run keeps")
def kept(desk: TheDesk, run: str) -> PlanAnswer:
    """In the numbers of ``evoked plan --json``."""
    return PlanAnswer(run=run, **planning.the_kept(desk, run).to_dict())


@router.post(
    "",
    status_code=201,
    response_model=PlanAnswer,
    responses=problems(404, 409),
    summary="Draw a plan by lot",
)
def draw(
    desk: TheDesk, run: str, asked: PlanRequest, request: Request, key: Key = None
) -> JSONResponse:
    """Draws a plan and keeps it with the run; the same question and seed give the same plan."""

    def make() -> dict[str, Any]:
        drawn = planning.draw(desk, run, asked.asked(), replace=asked.replace)
        return {"run": desk.run(run).name, **drawn.to_dict()}

    return once(desk, request, key, asked.model_dump(mode="json"), make, 201)


@router.post("/check", responses=problems(404), summary="What a plan has shown")
def check(
    desk: TheDesk,
    run: str,
    posts: Annotated[ShortText, Query(description="Dataset with the posts that came since.")],
) -> TestedAnswer:
    """Compares both arms on the posts that came, week by week, and lets advice know, as
    ``evoked plan --check`` does."""
    found = planning.check(desk, run, posts)
    planning.keep_checked(desk, run, found)
    return TestedAnswer(run=desk.run(run).name, **found.to_dict())


@router.get(
    ".{kind}",
    responses={**problems(404), 200: {"content": {"text/csv": {}, "text/calendar": {}}}},
    response_class=Response,
    summary="The plan as a table or for a calendar",
)
def file(desk: TheDesk, run: str, kind: Literal["csv", "ics"]) -> Response:
    """A row per post as CSV, or an entry per post as a calendar file."""
    found = planning.the_kept(desk, run)
    if kind == "ics":
        return attached(planning.calendar(found), "plan.ics")
    return attached_table(found.table, "plan", "csv")

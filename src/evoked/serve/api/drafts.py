"""Drafts: score them, put them in order, explain one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from evoked.evaluation.coverage import DEFAULT_COVERAGE
from evoked.posts.schema import MAX_CAPTION_CHARACTERS, MAX_COUNT
from evoked.serve.api.common import TheDesk, problems
from evoked.serve.desk import rows_of
from evoked.serve.problems import RefusalError

router = APIRouter(tags=["drafts"])

Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
ShortText = Annotated[str, Field(max_length=500)]
LongText = Annotated[str, Field(max_length=MAX_CAPTION_CHARACTERS)]
Fact = str | float | int | bool | list[str] | None


class DraftFacts(BaseModel):
    """A post that is not published yet; anything may be left out."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "caption": "Golden hour over the bay #sunset",
                    "posted_at": "2026-05-13T18:30",
                    "picture": "0123456789abcdef0123456789abcdef",
                }
            ]
        },
    )

    picture: ShortText | None = Field(None, description="Id of a picture: POST /pictures.")
    caption: LongText | None = Field(None, description="Text, hashtags included.")
    title: LongText | None = Field(None, description="Heading, on networks that have one.")
    hashtags: list[ShortText] | None = Field(
        None, max_length=1000, description="Hashtags; those in the caption if left out."
    )
    author: ShortText | None = Field(None, description="Id of an author of the training posts.")
    category: ShortText | None = Field(None, description="One of the training posts' categories.")
    followers: Count | None = Field(None, description="Accounts that follow the author.")
    following: Count | None = Field(None, description="Accounts that the author follows.")
    author_posts: Count | None = Field(None, description="Posts of the author.")
    views: Count | None = Field(None, description="How often it is expected to be seen.")
    paid: bool | None = Field(None, description="Whether it is advertising.")
    media_type: Literal["image", "carousel", "video", "text"] | None = Field(
        None, description="Format; by default image with a picture, else text."
    )
    posted_at: ShortText | None = Field(
        None, description="When it will appear (ISO 8601); this hour if left out."
    )
    facts: dict[str, Fact] | None = Field(None, description="Facts of your own by name.")
    name: ShortText | None = Field(None, description="Id of the draft in the answer.")

    def row(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


class Asked(BaseModel):
    """What is asked about drafts."""

    model_config = ConfigDict(extra="forbid")

    run: ShortText = Field("", description="Name of a run; the newest if left out.")
    coverage: float = Field(
        DEFAULT_COVERAGE, gt=0, lt=1, description="How often ranges are to hold the truth."
    )


class ScoreRequest(Asked):
    """Drafts to be scored."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "run": "summer",
                    "drafts": [
                        {
                            "caption": "Golden hour over the bay #sunset",
                            "posted_at": "2026-05-13T18:30",
                        },
                        {"caption": "Monday again", "posted_at": "2026-05-13T18:30"},
                    ],
                }
            ]
        }
    )

    drafts: list[DraftFacts] = Field(min_length=1, max_length=1000)


class RankRequest(Asked):
    """Drafts to be put in order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "run": "summer",
                    "by": "likes",
                    "drafts": [
                        {
                            "caption": "Golden hour over the bay #sunset",
                            "posted_at": "2026-05-13T18:30",
                        },
                        {"caption": "Monday again", "posted_at": "2026-05-13T18:30"},
                    ],
                }
            ]
        }
    )

    drafts: list[DraftFacts] = Field(min_length=2, max_length=100)
    by: ShortText | None = Field(None, description="What they are ordered by, such as likes.")


class ExplainRequest(Asked):
    """A draft to be explained."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "run": "summer",
                    "draft": {
                        "caption": "Golden hour over the bay #sunset",
                        "posted_at": "2026-05-13T18:30",
                    },
                }
            ]
        }
    )

    draft: DraftFacts


class Scores(BaseModel):
    """Answers, a row per draft: ``answer`` says it in a sentence, ``error`` why there is none."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "run": "summer",
                    "scores": [
                        {
                            "post_id": "draft-1",
                            "likes": 412.0,
                            "likes_low": 260,
                            "likes_high": 655,
                            "answer": "About 410 likes (260 to 660), better than 6 of your last 10 "
                            "posts; ranges like this held for 71 of 90 test posts.",
                            "error": None,
                        }
                    ],
                }
            ]
        }
    )

    run: str
    scores: list[dict[str, Any]]


class Order(BaseModel):
    """Drafts in order, the chance that one is ahead of another, and what the order is worth."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "run": "summer",
                    "by": "likes",
                    "drafts": [
                        {
                            "rank": 1,
                            "post_id": "draft-1",
                            "likes": 412.0,
                            "likes_low": 260,
                            "likes_high": 655,
                        }
                    ],
                    "pairs": [
                        {
                            "better": "draft-1",
                            "worse": "draft-2",
                            "chance": 0.63,
                            "chance_low": 0.57,
                            "chance_high": 0.69,
                            "close": False,
                        }
                    ],
                    "measured": {
                        "pairs": 812,
                        "posts": 90,
                        "authors": 1,
                        "right": 0.64,
                        "own": True,
                    },
                    "sentences": [
                        "Take draft-1: of 100 such pairs it gets more likes than draft-2 …"
                    ],
                }
            ]
        }
    )

    run: str
    by: str
    drafts: list[dict[str, Any]]
    pairs: list[dict[str, Any]]
    measured: dict[str, Any]
    sentences: list[str]


class Why(BaseModel):
    """What a prediction rests on, and pictures of it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "run": "summer",
                    "explanation": {"shows": ["sunset"], "notes": []},
                    "pictures": {
                        "regions_effect": {
                            "address": "/api/v1/explanations/0123456789abcdef/regions_effect.png",
                            "caption": "What each part of the picture adds.",
                            "alternative": "The sun adds most.",
                        }
                    },
                }
            ]
        }
    )

    run: str
    explanation: dict[str, Any]
    pictures: dict[str, dict[str, str]] = Field(
        description="PNG files by what they show: address, caption, and a text in their place."
    )


@router.post("/score", responses=problems(404), summary="Score drafts")
def score(desk: TheDesk, asked: ScoreRequest) -> Scores:
    """A row per draft, in order. A draft that can't be scored says why in ``error`` and sinks no
    other. The numbers are those of ``evoked predict --json``."""
    if len(asked.drafts) > desk.limits.drafts:
        raise RefusalError(422, f"at most {desk.limits.drafts} drafts at once; bring a table.")
    run = desk.run_of_posts(asked.run)
    table = desk.score(run, [draft.row() for draft in asked.drafts], asked.coverage)
    return Scores(run=run.name, scores=rows_of(table))


@router.post("/rank", responses=problems(404), summary="Put drafts in order")
def rank(desk: TheDesk, asked: RankRequest) -> Order:
    """The order of ``evoked rank --json``, with the chance that each draft is ahead of another."""
    drafts = [draft.row() for draft in asked.drafts]
    run = desk.run_of_posts(asked.run)
    ranking = desk.rank(run, drafts, asked.by, asked.coverage)
    return Order(run=run.name, **ranking.to_dict())


@router.post("/explain", responses=problems(404, 507), summary="Explain a draft")
def explain(desk: TheDesk, asked: ExplainRequest) -> Why:
    """What words, parts of the picture and facts add to a prediction, and past posts like it."""
    run = desk.run_of_posts(asked.run)
    explanation, pictures = desk.explain(run, asked.draft.row())
    return Why(run=run.name, explanation=explanation.to_dict(), pictures=pictures)


@router.get(
    "/explanations/{explanation}/{picture}",
    responses={**problems(404), 200: {"content": {"image/png": {}}}},
    response_class=FileResponse,
    summary="A picture of an explanation",
)
def explanation_picture(
    desk: TheDesk,
    explanation: Annotated[str, Path(max_length=64)],
    picture: Annotated[str, Path(max_length=64)],
) -> FileResponse:
    """A PNG file; it is kept for as long as uploads are."""
    path = desk.uploads.made(explanation, picture)
    if path is None:
        raise RefusalError(404, "there is no such picture (any more).")
    return FileResponse(path, media_type="image/png")

"""Runs side by side, and whether posts still come as they did when a run was made."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from evoked.serve import comparing, drifting
from evoked.serve.api.common import (
    Limit,
    Offset,
    Page,
    TheDesk,
    attached,
    attached_table,
    problems,
)
from evoked.serve.api.drafts import ShortText

router = APIRouter(tags=["runs"])

Posts = Annotated[
    ShortText, Query(description="Dataset with the posts that came since; none if left out.")
]


class ComparisonAnswer(BaseModel):
    """Runs side by side."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "runs": ["summer", "autumn"],
                    "rows": "posts",
                    "tested": {"summer": 39, "autumn": 39},
                    "common": 39,
                    "same": True,
                    "paired": True,
                    "scores": [
                        {
                            "target": "likes",
                            "metric": "Spearman",
                            "lower_is_better": False,
                            "is_main": True,
                            "n": 39,
                            "cells": {
                                "summer": {"value": 0.61, "low": 0.42, "high": 0.75, "n": 39},
                                "autumn": {
                                    "value": 0.52,
                                    "low": 0.31,
                                    "high": 0.69,
                                    "n": 39,
                                    "difference": 0.09,
                                    "difference_low": -0.03,
                                    "difference_high": 0.22,
                                    "p": 0.15,
                                },
                            },
                            "trivial": {"run": "recent_posts", "value": 0.4, "n": 39},
                        }
                    ],
                    "settings": [
                        {
                            "setting": "model.name",
                            "values": {"summer": "linear", "autumn": "gradient_boosting"},
                        }
                    ],
                }
            ]
        }
    )

    runs: list[str]
    rows: str = Field(description="posts or viewings.")
    tested: dict[str, int] = Field(description="Test rows of each run.")
    common: int = Field(description="Test rows that all of them have.")
    same: bool = Field(description="Whether all have the same test rows.")
    paired: bool = Field(
        description="Whether scores are of the common rows; else each run's are of its own."
    )
    scores: list[dict[str, Any]] = Field(description="The main ones first.")
    settings: list[dict[str, Any]] = Field(description="Settings that differ.")


class CoursePoint(BaseModel):
    """A post that was watched."""

    posted_at: datetime
    wealth: float = Field(description="What a fair bet on a change has grown to; 25 is an alarm.")


class DriftAnswer(BaseModel):
    """What watching a run's posts has shown."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "run": "summer",
                    "kept": 70,
                    "came": 61,
                    "watched": 60,
                    "noun": "likes",
                    "drift": [
                        {
                            "noun": "likes",
                            "kind": "lower",
                            "since": "2026-05-02 16:01:29+00:00",
                            "noticed": "2026-05-19 08:36:42+00:00",
                        }
                    ],
                    "trust": "no",
                    "sentence": "Don't trust it as it is: since about 2 May 2026 …",
                    "course": {
                        "items": [{"posted_at": "2026-04-03 09:12:00+00:00", "wealth": 1.07}],
                        "total": 60,
                        "offset": 0,
                        "next": 1,
                    },
                }
            ]
        }
    )

    run: str
    kept: int
    came: int
    watched: int = Field(description="Posts that were watched; 0 where too few were held out.")
    noun: str = Field(description="The number that was watched.")
    drift: list[dict[str, Any]] = Field(description="Each change: lower, higher or wider.")
    trust: str = Field(description="unknown, no, less or yes.")
    sentence: str
    course: Page[CoursePoint] = Field(description="A row per post, in the order they appeared.")


@router.get("/compare", responses=problems(404), summary="Runs side by side")
def compare(
    desk: TheDesk,
    run: Annotated[
        list[ShortText],
        Query(
            min_length=2,
            max_length=comparing.MOST_RUNS,
            description="Names of runs.",
            examples=["summer", "autumn"],
        ),
    ],
) -> ComparisonAnswer:
    """Scores on the rows that all runs held out, with ranges and paired differences, and the
    settings that differ. The numbers of posts are those of ``evoked compare``."""
    return ComparisonAnswer(**comparing.compare(desk, run).to_dict())


@router.get("/runs/{run}/drift", responses=problems(404), summary="Whether posts have changed")
def drift(
    desk: TheDesk, run: str, posts: Posts = "", offset: Offset = 0, limit: Limit = 50
) -> DriftAnswer:
    """What watching the posts of kept forecasts has shown; its course comes in parts."""
    answer = drifting.drift_dict(drifting.drift(desk, run, posts))
    course = [CoursePoint(**each) for each in answer.pop("course")]
    part = Page[CoursePoint].of(course[offset : offset + limit], len(course), offset)
    return DriftAnswer(run=run, course=part, **answer)


@router.get(
    "/runs/{run}/drift.{kind}",
    responses={**problems(404), 200: {"content": {"text/csv": {}, "image/png": {}}}},
    response_class=Response,
    summary="The watch as a table or a picture",
)
def drift_file(desk: TheDesk, run: str, kind: Literal["csv", "png"], posts: Posts = "") -> Response:
    """A row per post as CSV, or drawn as PNG."""
    found = drifting.drift(desk, run, posts)
    if kind == "png":
        return attached(drifting.drift_png(found), "drift.png")
    return attached_table(found.course, "drift", "csv")

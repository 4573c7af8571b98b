"""Runs of viewings: what an audience feels at an image, and why one user does."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from evoked.serve import networks
from evoked.serve.api.common import TheDesk, attached, problems
from evoked.serve.api.drafts import LongText, ShortText
from evoked.serve.networks import Whom

router = APIRouter(prefix="/runs/{run}", tags=["networks"])


class _Image(BaseModel):
    """An image of the network, or a picture that was brought."""

    model_config = ConfigDict(extra="forbid")

    image: ShortText = Field("", description="post_id of an image of the network.")
    picture: ShortText = Field("", description="Or the id of a picture: POST /pictures.")


class AudienceRequest(_Image):
    """An image, and one of three audiences."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"image": "post-3", "community": "street dogs"}]},
    )

    followers_of: ShortText | None = Field(None, description="The contacts of a user.")
    community: ShortText | None = Field(None, description="The members of a group: id or name.")
    users: list[ShortText] | None = Field(
        None, min_length=1, max_length=10_000, description="Users by their ids."
    )

    def whom(self) -> Whom:
        users = None if self.users is None else tuple(self.users)
        return Whom(self.followers_of, self.community, users)


class AudienceAnswer(BaseModel):
    """Predicted emotions of an audience."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "run": "network",
                    "image": "post-3",
                    "name": "members of street dogs",
                    "members": 130,
                    "table": [
                        {
                            "emotion": "amusement",
                            "share": 0.54,
                            "low": 0.51,
                            "high": 0.57,
                            "most_probable": 0.81,
                            "most_probable_low": 0.73,
                            "most_probable_high": 0.87,
                            "everyone": 0.47,
                            "viewers": 0.6,
                            "all_viewings": 0.2,
                        }
                    ],
                    "n": {"share": 130, "everyone": 2000, "viewers": 10, "all_viewings": 9120},
                    "unknown": [],
                    "note": "95 % intervals show how much another audience …",
                }
            ]
        }
    )

    run: str
    image: str
    name: str
    members: int
    table: list[dict[str, Any]] = Field(description="A row per emotion.")
    n: dict[str, int] = Field(description="Users or viewings behind each share.")
    unknown: list[str] = Field(description="Ids that the network does not hold.")
    note: str


class ViewingRequest(_Image):
    """One user at an image."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"image": "post-3", "user": "user-17"}]}
    )

    user: ShortText | None = Field(None, description="Id; unknown or left out, a new user.")
    groups: list[LongText] = Field(
        [], max_length=100, description="What the groups of a new user are about."
    )
    comment: LongText | None = Field(None, description="For models that read what users wrote.")


class ViewingAnswer(BaseModel):
    """What a prediction for one user rests on."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "run": "network",
                    "known": True,
                    "prediction": {"user_id": "user-17", "post_id": "post-3", "emotion": "awe"},
                    "emotion": "awe",
                    "probability": 0.49,
                    "parts": [
                        {"hidden": "the picture", "count": None, "without": 0.22, "effect": 0.27}
                    ],
                    "neighbours": [
                        {
                            "user": "03e826a968c9851f",
                            "image": "post-2",
                            "emotion": "awe",
                            "attention": 0.36,
                            "effect": 0.02,
                        }
                    ],
                    "beta": 0.47,
                    "inside": {"image": 0.29},
                }
            ]
        }
    )

    run: str
    known: bool = Field(description="Whether the network holds the user.")
    prediction: dict[str, Any]
    emotion: str
    probability: float
    parts: list[dict[str, Any]] = Field(description="What each part adds when it is hidden.")
    neighbours: list[dict[str, Any]] = Field(description="Single neighbours; users as hashes.")
    beta: float | None
    inside: dict[str, float]


@router.post("/audience", responses=problems(404), summary="What an audience feels at an image")
def audience(desk: TheDesk, run: str, asked: AudienceRequest) -> AudienceAnswer:
    """Contacts of a user, members of a group, or listed users, in the numbers of ``evoked audience
    --json``."""
    found = networks.audience(desk, run, asked.image, asked.picture, asked.whom())
    return AudienceAnswer(run=run, **found.to_dict())


@router.post(
    "/audience.png",
    responses={**problems(404), 200: {"content": {"image/png": {}}}},
    response_class=Response,
    summary="The same, drawn",
)
def audience_picture(desk: TheDesk, run: str, asked: AudienceRequest) -> Response:
    """A picture of the shares with their ranges."""
    from evoked.report.audience_chart import audience_png

    found = networks.audience(desk, run, asked.image, asked.picture, asked.whom())
    return attached(audience_png(found), "audience.png")


@router.post(
    "/explain-viewing", responses=problems(404), summary="Why a user feels something at an image"
)
def explain(desk: TheDesk, run: str, asked: ViewingRequest) -> ViewingAnswer:
    """What of the picture, the user and the people around a prediction rests on, in the numbers of
    ``evoked explain --json``."""
    found, known = networks.explain(
        desk, run, asked.image, asked.picture, asked.user, asked.groups, asked.comment
    )
    return ViewingAnswer(run=run, known=known, **found.to_dict())

"""Errors of the interface for programs, all in one shape: problem details (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """Why a request was not answered."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "there is no run 'summer'.",
                }
            ]
        }
    )

    type: str = "about:blank"
    title: str = Field(description="What the status says.")
    status: int
    detail: str = Field(description="What is wrong, and what to do about it.")
    errors: list[dict[str, Any]] = Field(
        default=[], description="Fields that are wrong: where, and why."
    )


class RefusalError(Exception):
    """What the desk refuses, with the status of the answer."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers


def problem(
    status: int,
    detail: str,
    errors: list[dict[str, Any]] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """The answer that says why there is no other."""
    content = Problem(
        title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors or []
    )
    return JSONResponse(
        content.model_dump(), status_code=status, media_type=MEDIA_TYPE, headers=headers
    )

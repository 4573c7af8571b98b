"""What the parts of the interface share: the desk, pages of lists, answers given once."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Generic, Literal, TypeVar

import pandas as pd
from fastapi import Depends, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from evoked.files import TABLE_WRITERS, parse_json
from evoked.serve.database import DATABASE, transaction
from evoked.serve.desk import Desk
from evoked.serve.problems import Problem, RefusalError

Entry = TypeVar("Entry")


def desk_of(request: Request) -> Desk:
    """The desk that answers."""
    found: Desk = request.app.state.desk
    return found


TheDesk = Annotated[Desk, Depends(desk_of)]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=200,
        description="A text of your own: the same request with the same key, within a day, is done "
        "once and answered the same.",
    ),
]
Offset = Annotated[int, Query(ge=0, le=1_000_000, description="Entries to leave out.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Entries at most.")]

Kind = Literal["csv", "parquet", "xlsx"]
_MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "png": "image/png",
    "pdf": "application/pdf",
    "ics": "text/calendar; charset=utf-8",
}

_SAID = {
    400: "The request can't be read.",
    401: "The token is missing or wrong.",
    403: "The request comes from another site.",
    404: "There is no such thing.",
    408: "The request came too slowly.",
    409: "A request with the same key is being answered.",
    413: "The body is too large.",
    421: "The desk is not called by this name.",
    422: "The request doesn't fit.",
    429: "Too many requests, or jobs.",
    503: "The newest run is being loaded.",
    507: "The desk's folder has no room.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that an answer may be, for the description of the interface."""
    usual = (400, 401, 403, 408, 413, 421, 422, 429)
    return {
        status: {
            "model": Problem,
            "description": _SAID[status],
            "content": {"application/problem+json": {}},
        }
        for status in sorted({*usual, *statuses})
    }


class Page(BaseModel, Generic[Entry]):
    """A part of a list."""

    items: list[Entry]
    total: int = Field(description="Entries of the whole list.")
    offset: int = Field(description="Entries before this part.")
    next: int | None = Field(description="The offset of the next part; null at the end.")

    @classmethod
    def of(cls, items: list[Entry], total: int, offset: int) -> Page[Entry]:
        after = offset + len(items)
        return cls(
            items=items, total=total, offset=offset, next=after if items and after < total else None
        )


def attached(content: bytes, name: str) -> Response:
    """A file to be kept under a name, whose ending says of what kind it is."""
    named = {"Content-Disposition": f'attachment; filename="{name}"'}
    kind = name.rpartition(".")[2]
    return Response(content, media_type=_MEDIA_TYPES[kind], headers=named)


def attached_table(table: pd.DataFrame, stem: str, kind: Kind) -> Response:
    """A table as a file to be kept."""
    name = f"{stem}.{kind}"
    with TemporaryDirectory(prefix="evoked-") as folder:
        path = Path(folder) / name
        TABLE_WRITERS[path.suffix](path, table)
        return attached(path.read_bytes(), name)


def once(
    desk: Desk, request: Request, key: str | None, body: Any, make: Callable[[], Any], status: int
) -> JSONResponse:
    """The answer to a request that makes something, made once for each key.

    Parameters
    ----------
    key
        What the client calls the request; None to make it each time.
    body
        What the request asks for: with another body the same key is refused.
    make
        Makes what is answered, ready for JSON.
    status
        The status of the answer.
    """
    if key is None:
        return JSONResponse(make(), status)
    asked = json.dumps([request.method, request.url.path, body], sort_keys=True, default=str)
    digest = hashlib.sha256(asked.encode("utf-8", "replace")).hexdigest()
    with transaction(desk.data) as connection:
        found = connection.execute("SELECT * FROM answers WHERE key = ?", (key,)).fetchone()
        if found is None:
            connection.execute(
                "INSERT INTO answers (key, request, created) VALUES (?, ?, ?)",
                (key, digest, time.time()),
            )
    if found is not None:
        return _again(found, digest)
    try:
        content = make()
    except BaseException:
        with transaction(desk.data) as connection:
            connection.execute("DELETE FROM answers WHERE key = ?", (key,))
        raise
    with transaction(desk.data) as connection:
        connection.execute(
            "UPDATE answers SET status = ?, body = ? WHERE key = ?",
            (status, json.dumps(content), key),
        )
    return JSONResponse(content, status)


def _again(found: sqlite3.Row, digest: str) -> JSONResponse:
    """The answer that was given to a key before."""
    if found["request"] != digest:
        raise RefusalError(422, "this Idempotency-Key was used for another request.")
    if found["body"] is None:
        raise RefusalError(409, "a request with this Idempotency-Key is being answered.")
    return JSONResponse(
        parse_json(found["body"], DATABASE),
        found["status"],
        headers={"Idempotent-Replayed": "true"},
    )

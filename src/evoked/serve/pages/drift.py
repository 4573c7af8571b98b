"""Drift: whether posts still come as they did when a run was made, drawn post by post."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from evoked.errors import EvokedError
from evoked.serve import drifting
from evoked.serve.api.common import TheDesk
from evoked.serve.pages.common import Page, render

router = APIRouter()
page = Page("drift", None, router)


@router.get("/runs/{run}/drift")
def drift(
    request: Request, desk: TheDesk, run: str, posts: Annotated[str, Query(max_length=100)] = ""
) -> Response:
    """What watching a run's posts has shown."""
    entry = desk.run_of_posts(run)
    values: dict[str, Any] = {
        "entry": entry,
        "datasets": desk.library.datasets(),
        "posts": posts,
        "found": None,
        "problem": None,
        "query": urlencode({"posts": posts}),
    }
    try:
        values["found"] = drifting.drift(desk, entry.name, posts)
    except EvokedError as error:
        values["problem"] = desk.places.left_out(str(error))
    return render(request, "drift.html", values)

"""A table of posts: bring it, have it scored, take the scores away."""

from __future__ import annotations

from fastapi import APIRouter, Request, UploadFile
from starlette.responses import Response

from evoked.serve.api.common import TheDesk
from evoked.serve.bodies import takes
from evoked.serve.desk import TABLE
from evoked.serve.pages.common import Form, Page, go, render, text_of

router = APIRouter()
page = Page("table", "/table", router)


@router.get("/table")
def table(request: Request, desk: TheDesk) -> Response:
    """Where a table is dropped."""
    runs = desk.library.runs_of_posts()
    jobs = desk.jobs.all(limit=5, kind=TABLE)[0]
    return render(request, "table.html", {"runs": runs, "jobs": jobs})


@router.post("/table")
@takes("table_bytes")
def bring(desk: TheDesk, files: list[UploadFile], form: Form) -> Response:
    """Keep a table, and its pictures if there are some, and score it."""
    chosen = [(file.filename or "", file.file) for file in files if file.filename]
    upload = desk.uploads.add(chosen)
    return go(f"/jobs/{desk.score_table(upload, text_of(form, 'run')).id}")

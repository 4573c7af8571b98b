"""Start: bring an export, see what was read, import it and train."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, UploadFile
from starlette.datastructures import FormData
from starlette.responses import Response

from evoked.errors import DataError
from evoked.serve.api.common import TheDesk
from evoked.serve.bodies import takes
from evoked.serve.pages.common import Form, Page, go, render, text_of

router = APIRouter()
page = Page("start", "/", router)

# What a person may correct, in the order in which it matters.
FIELDS = (
    *("caption", "posted_at", "likes", "comments", "shares", "saves", "views", "reach"),
    *("impressions", "followers", "hashtags", "images", "author_id", "category", "title"),
    "post_id",
)


@router.get("/")
def start(request: Request, desk: TheDesk) -> Response:
    """Where an export is dropped."""
    values = {"runs": desk.library.runs()[:5], "jobs": desk.jobs.all(limit=5)[0]}
    return render(request, "start.html", values)


@router.post("/start")
@takes("export_bytes")
def bring(desk: TheDesk, files: list[UploadFile], form: Form) -> Response:
    """Keep the files, and read them without importing anything."""
    chosen = [(file.filename or "", file.file) for file in files if file.filename]
    upload = desk.uploads.add(chosen)
    job = desk.read_upload(upload, _options(form))
    return go(f"/jobs/{job.id}")


@router.post("/start/{job}")
def decide(desk: TheDesk, job: str, form: Form) -> Response:
    """Read an upload again with other columns, or import it and train."""
    reading = desk.job(job)
    upload = desk.upload(str(reading.facts.get("upload", "")))
    options = _options(form)
    if text_of(form, "action") == "again":
        return go(f"/jobs/{desk.read_upload(upload, options).id}")
    title = text_of(form, "name")
    if not title:
        raise DataError("the account has no name.", field="name", fix="Give it one.")
    return go(f"/jobs/{desk.import_upload(upload, title[:100], options).id}")


def _options(form: FormData) -> dict[str, Any]:
    """How the upload is to be read: the columns that differ from what was found, and the rest."""
    mapping = {}
    for field in FIELDS:
        column = text_of(form, f"column.{field}")
        if column and column != text_of(form, f"found.{field}"):
            mapping[field] = column
    kept = {field: text_of(form, f"kept.{field}") for field in FIELDS}
    mapping = {field: column for field, column in kept.items() if column} | mapping
    options: dict[str, Any] = {"mapping": mapping}
    for name in ("time_zone", "author"):
        if text_of(form, name):
            options[name] = text_of(form, name)[:100]
    return options

"""Runs and data: what there is, how good, how old."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response

from evoked.serve.api.common import TheDesk
from evoked.serve.pages.common import Page, go, is_part, render
from evoked.serve.problems import RefusalError

router = APIRouter()
page = Page("library", "/library", router)

# A report brings its own styles and pictures, and may do nothing else.
_REPORT_POLICY = (
    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


@router.get("/library")
def library(request: Request, desk: TheDesk) -> Response:
    """All runs, datasets and jobs."""
    values = {
        "runs": desk.library.runs(),
        "datasets": desk.library.datasets(),
        "jobs": desk.jobs.all(limit=20)[0],
    }
    return render(request, "library.html", values)


@router.get("/runs/{run}/verdicts")
def verdicts(request: Request, desk: TheDesk, run: str) -> Response:
    """How good a run is: not part of the list, since it is worked out from what was tested."""
    entry = desk.run(run)
    template = "part_verdicts.html" if is_part(request) else "verdicts.html"
    return render(request, template, {"run": entry, "verdicts": entry.verdicts()})


@router.get("/runs/{run}/report")
def report(desk: TheDesk, run: str) -> Response:
    """The report that lies in a run's folder."""
    path = desk.run(run).report
    if path is None:
        raise RefusalError(404, "this run has no report.")
    headers = {"Content-Security-Policy": _REPORT_POLICY}
    return FileResponse(path, media_type="text/html", headers=headers)


@router.post("/runs/{run}/delete")
def delete_run(desk: TheDesk, run: str) -> Response:
    """Delete one of the desk's own runs."""
    desk.library.delete_run(desk.run(run))
    return go("/library")


@router.post("/datasets/{dataset}/delete")
def delete_dataset(desk: TheDesk, dataset: str) -> Response:
    """Delete a dataset."""
    desk.library.delete_dataset(desk.dataset(dataset))
    return go("/library")

"""Runs and data: what there is, how good, how old."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response

from evoked.serve import removing
from evoked.serve.api.common import TheDesk
from evoked.serve.library import RunEntry
from evoked.serve.pages.common import Page, go, is_part, render
from evoked.serve.pages.goodness import best_scores
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
    damaged: dict[str, str] = {}
    values = {
        "runs": [_shown(run) for run in desk.library.runs(damaged)],
        "damaged": damaged,
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
    removing.delete_run(desk, run)
    return go("/library")


@router.post("/datasets/{dataset}/delete")
def delete_dataset(desk: TheDesk, dataset: str) -> Response:
    """Delete a dataset."""
    removing.delete_dataset(desk, dataset)
    return go("/library")


def _shown(run: RunEntry) -> dict[str, Any]:
    """A run with what its folder says of it, without loading it."""
    return {"entry": run, "scores": best_scores(run), "age": _age(run)}


def _age(run: RunEntry) -> int | None:
    """How many days old the newest post is that a run learned from; None where that is unknown."""
    last = run.description["data"].get("last")
    if not last:
        return None
    newest = datetime.fromisoformat(str(last))
    if newest.tzinfo is None:
        newest = newest.replace(tzinfo=UTC)
    return max(0, (datetime.now(UTC) - newest).days)

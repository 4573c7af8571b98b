"""Jobs: how far they are, and what came of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from evoked.runs.answer import quantities
from evoked.serve.api.common import TheDesk
from evoked.serve.desk import Desk, rows_of
from evoked.serve.jobs import Job, State
from evoked.serve.library import RunEntry
from evoked.serve.pages.common import Page, go, render
from evoked.serve.pages.start import FIELDS
from evoked.serve.pages.works import shown

router = APIRouter()
page = Page("jobs", None, router)

_ROWS = 20
_LOG_LINES = 12


@router.get("/jobs/{job}")
def show(request: Request, desk: TheDesk, job: str) -> Response:
    """A job's page."""
    return render(request, "job.html", _values(desk, desk.job(job)))


@router.get("/jobs/{job}/part")
def part(request: Request, desk: TheDesk, job: str) -> Response:
    """What of a job's page changes while it runs."""
    return render(request, "part_job.html", _values(desk, desk.job(job)))


@router.post("/jobs/{job}/cancel")
def cancel(desk: TheDesk, job: str) -> Response:
    """Stop a job."""
    return go(f"/jobs/{desk.jobs.cancel(desk.job(job)).id}")


@router.post("/jobs/{job}/resume")
def resume(desk: TheDesk, job: str) -> Response:
    """Go on with a job that failed or was stopped."""
    return go(f"/jobs/{desk.jobs.resume(desk.job(job)).id}")


def _values(desk: Desk, job: Job) -> dict[str, Any]:
    running = job.state == State.running
    reading = desk.reading(job)
    table = desk.table(job)
    run = desk.library.run(str(job.facts["run"])) if job.facts.get("run") else None
    return {
        "job": replace(job, error=desk.places.left_out(job.error)),
        "progress": desk.jobs.progress(job) if running else None,
        "log": desk.places.left_out(desk.jobs.log(job)[-_LOG_LINES:]),
        "reading": reading,
        "columns": [] if reading is None else _columns(reading, job),
        "total": 0 if table is None else len(table),
        "scored": None if table is None else rows_of(table.head(_ROWS)),
        "failed": 0 if table is None else int(table["error"].notna().sum()),
        "numbers": [] if table is None or run is None else _numbers(run, list(table.columns)),
        "works": shown(desk.analysis(job)) if job.state == State.done else None,
        "run": run,
    }


def _columns(reading: dict[str, Any], job: Job) -> list[dict[str, str]]:
    """Each field that may be corrected: the column that it was read from, and the one that a
    person had chosen before."""
    if not reading["columns"]:
        return []
    mapping, kept = reading["mapping"], job.facts.get("options", {}).get("mapping", {})
    return [
        {"field": field, "column": mapping.get(field, ""), "kept": kept.get(field, "")}
        for field in FIELDS
    ]


def _numbers(run: RunEntry, columns: list[str]) -> list[str]:
    """Columns of the numbers that a page shows: counts, or rates where there are none."""
    shown = [each for each in quantities(run.task()) if each.counts]
    known = [each.column for each in shown if each.column in columns]
    return known[:4]

"""What works: what goes with more or fewer of a count, in sentences and drawn."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from evoked.serve.api.common import TheDesk
from evoked.serve.desk import WORKS, Desk, checked_count
from evoked.serve.jobs import Job, State
from evoked.serve.pages.common import Form, Page, go, render, text_of
from evoked.serve.pages.ranges import WIDTH, with_places

router = APIRouter()
page = Page("works", "/works", router)

# Things that are shown; those that stand out always are.
_SHOWN = 12
_JOBS = 200


@router.get("/works")
def works(request: Request, desk: TheDesk, dataset: str = "") -> Response:
    """The newest look at a dataset's posts, and how to have one."""
    datasets = desk.library.datasets()
    entry = desk.dataset(dataset) if dataset else next(iter(datasets), None)
    jobs = [] if entry is None else _jobs(desk, entry.name)
    done = next((job for job in jobs if job.state == State.done), None)
    values = {
        "datasets": datasets,
        "entry": entry,
        "counts": _counts(),
        "going": next((job for job in jobs if not job.has_ended), None),
        "job": done,
        "found": None if done is None else shown(desk.analysis(done)),
    }
    return render(request, "works.html", values)


@router.post("/works")
def look(desk: TheDesk, form: Form) -> Response:
    """Look at a dataset's posts."""
    entry = desk.dataset(text_of(form, "dataset"))
    return go(f"/jobs/{desk.look_at_posts(entry, checked_count(text_of(form, 'count'))).id}")


def shown(analysis: dict[str, Any] | None) -> dict[str, Any] | None:
    """What works as a page has it, or why nothing could be compared; None without an analysis."""
    if analysis is None:
        return None
    if analysis["works"] is None:
        return {"why": analysis["skipped"].get("works", "")}
    from evoked.analysis.works.findings import signed, verdict

    table = analysis["tables"]["works"]
    rows = table[: max(_SHOWN, sum(bool(row["stands"]) for row in table))]
    return {
        "why": None,
        "count": analysis["works"]["count"],
        "sentences": analysis["works"]["sentences"],
        "how": analysis["works"]["how"],
        "looked_at": len(table),
        "posts": analysis["posts"],
        "rows": [
            {
                **row,
                "said": signed(row["effect"]),
                "ends": [_end(row["low"]), _end(row["high"])],
                "verdict": verdict(row).replace(" ", "_"),
            }
            for row in with_places(rows, "effect")
        ],
        "width": WIDTH,
    }


def _end(value: float | None) -> str:
    from evoked.analysis.works.findings import signed

    return "–" if value is None else signed(value)


def _jobs(desk: Desk, dataset: str) -> list[Job]:
    """The looks at a dataset's posts, the newest first."""
    return [
        job
        for job in desk.jobs.all(limit=_JOBS, kind=WORKS)[0]
        if job.facts.get("dataset") == dataset
    ]


def _counts() -> tuple[str, ...]:
    from evoked.analysis.works.findings import COUNTS

    return COUNTS

"""Jobs: what takes long, how far it is, and its results."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from evoked.serve.api.common import (
    Kind,
    Limit,
    Offset,
    Page,
    TheDesk,
    attached,
    attached_table,
    problems,
)
from evoked.serve.desk import Desk
from evoked.serve.jobs import Job, State
from evoked.serve.problems import RefusalError

router = APIRouter(tags=["jobs"])


class JobProgress(BaseModel):
    """How far the command is that runs."""

    stage: str
    done: int
    total: int | None


class JobFacts(BaseModel):
    """A job."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0123456789abcdef0123456789abcdef",
                    "kind": "import",
                    "title": "Summer café",
                    "state": "running",
                    "step": 1,
                    "steps": ["import", "train", "report"],
                    "progress": {"stage": "pictures", "done": 64, "total": 251},
                    "error": "",
                    "created": "2026-05-13T16:30:00Z",
                    "ended": None,
                    "run": "summer-cafe",
                    "dataset": "summer-cafe",
                    "result": None,
                }
            ]
        }
    )

    id: str
    kind: str
    title: str
    state: State
    step: int = Field(description="Number of steps that are done.")
    steps: list[str]
    progress: JobProgress | None
    error: str
    created: datetime
    ended: datetime | None
    run: str | None = Field(description="The run that it makes or uses.")
    dataset: str | None = Field(description="The dataset that it makes or looks at.")
    result: dict[str, Any] | None = Field(
        None,
        description="Of a reading that is done, what was read, and what was not; of a look at "
        "posts, what works.",
    )

    @classmethod
    def of(cls, desk: Desk, job: Job) -> JobFacts:
        running = desk.jobs.progress(job) if job.state == State.running else None
        return cls(
            id=job.id,
            kind=job.kind,
            title=job.title,
            state=job.state,
            step=job.step,
            steps=[step.name for step in job.steps],
            progress=running
            and JobProgress(stage=running.stage, done=running.done, total=running.total),
            error=desk.places.left_out(job.error),
            created=datetime.fromtimestamp(job.created, UTC),
            ended=None if job.ended is None else datetime.fromtimestamp(job.ended, UTC),
            run=job.facts.get("run"),
            dataset=job.facts.get("dataset"),
            result=None,
        )

    def json_ready(self) -> dict[str, Any]:
        return self.model_dump(mode="json")


@router.get("/jobs", responses=problems(), summary="Jobs, the newest first")
def jobs(desk: TheDesk, offset: Offset = 0, limit: Limit = 50) -> Page[JobFacts]:
    """A part of the list of jobs."""
    found, total = desk.jobs.all(offset, limit)
    return Page[JobFacts].of([JobFacts.of(desk, job) for job in found], total, offset)


@router.get("/jobs/{job}", responses=problems(404), summary="A job")
def job(desk: TheDesk, job: str) -> JobFacts:
    """How far it is; of a reading, or a look at what works, that is done also what it found."""
    found = desk.job(job)
    facts = JobFacts.of(desk, found)
    facts.result = desk.reading(found) or (desk.analysis(found) or {}).get("works")
    return facts


@router.post("/jobs/{job}/cancel", responses=problems(404), summary="Stop a job")
def cancel(desk: TheDesk, job: str) -> JobFacts:
    """Asks for a job to be stopped; one that has ended stays as it is."""
    return JobFacts.of(desk, desk.jobs.cancel(desk.job(job)))


@router.post("/jobs/{job}/resume", responses=problems(404), summary="Resume a job")
def resume(desk: TheDesk, job: str) -> JobFacts:
    """Puts a job that failed or was stopped back into the queue, where it stopped."""
    return JobFacts.of(desk, desk.jobs.resume(desk.job(job)))


@router.delete("/jobs/{job}", status_code=204, responses=problems(404), summary="Forget a job")
def delete(desk: TheDesk, job: str) -> Response:
    """Deletes a job that has ended, with its log and its table of scores."""
    found = desk.job(job)
    if not found.has_ended:
        raise RefusalError(422, "the job has not ended. Cancel it first.")
    desk.jobs.delete(found)
    return Response(status_code=204)


@router.get(
    "/jobs/{job}/scores.{kind}",
    responses={**problems(404), 200: {"content": {"text/csv": {}}}},
    response_class=Response,
    summary="The scores of a table",
)
def scores(desk: TheDesk, job: str, kind: Kind) -> Response:
    """The table of a job that scored one, as CSV, Parquet or Excel workbook."""
    table = desk.table(desk.job(job))
    if table is None:
        raise RefusalError(404, "there are no scores (yet).")
    return attached_table(table, "scores", kind)


@router.get(
    "/jobs/{job}/works.{kind}",
    responses={**problems(404), 200: {"content": {"text/csv": {}, "image/png": {}}}},
    response_class=Response,
    summary="What works, as a table or a picture",
)
def works(desk: TheDesk, job: str, kind: Literal["csv", "png"]) -> Response:
    """Of a job that looked at posts: every thing that was looked at as CSV, the surest as PNG."""
    path = desk.works_file(desk.job(job), kind)
    if path is None:
        raise RefusalError(404, "there is no such result (yet).")
    return attached(path.read_bytes(), f"works.{kind}")

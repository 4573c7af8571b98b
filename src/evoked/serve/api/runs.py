"""Runs and datasets: what there is, how good, how old."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from evoked.serve import removing
from evoked.serve.api.common import Key, Limit, Offset, Page, TheDesk, once, problems
from evoked.serve.api.jobs import JobFacts
from evoked.serve.desk import checked_count
from evoked.serve.library import DatasetEntry, RunEntry

router = APIRouter(tags=["runs"])


_EXAMPLE: JsonDict = {
    "name": "summer",
    "model": "linear",
    "task": "emotion_engagement",
    "rows": "posts",
    "dataset": "summer",
    "made": "2026-05-13T18:30:00+02:00",
    "own": True,
}


class RunFacts(BaseModel):
    """A run."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    name: str
    model: str
    task: str
    rows: str = Field(description="What it predicts of: posts or viewings.")
    dataset: str
    made: datetime
    own: bool = Field(description="Whether it lies in the desk's folder, and can be deleted.")

    @classmethod
    def of(cls, run: RunEntry) -> RunFacts:
        described = run.description
        return cls(
            name=run.name,
            model=run.model,
            task=described["task"],
            rows=described["rows"],
            dataset=described["data"]["name"],
            made=run.made,
            own=run.own,
        )


class RunDetails(RunFacts):
    """A run, and how good it is."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_EXAMPLE,
                    "split": {
                        "kind": "time",
                        "train": 182,
                        "validation": 39,
                        "calibration": 0,
                        "test": 39,
                    },
                    "scores": [
                        {
                            "model": "linear",
                            "target": "likes",
                            "metric": "Spearman",
                            "value": 0.61,
                            "low": 0.42,
                            "high": 0.75,
                            "n": 39,
                        }
                    ],
                }
            ]
        }
    )

    split: dict[str, Any]
    scores: list[dict[str, Any]] = Field(description="On test posts, trivial baselines beside.")


class DatasetFacts(BaseModel):
    """A dataset."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "summer", "made": "2026-05-13T18:30:00+02:00", "posts": 260}]
        }
    )

    name: str
    made: datetime
    posts: int

    @classmethod
    def of(cls, dataset: DatasetEntry) -> DatasetFacts:
        return cls(name=dataset.name, made=dataset.made, posts=len(dataset.open()))


@router.get("/runs", responses=problems(), summary="Runs, the newest first")
def runs(desk: TheDesk, offset: Offset = 0, limit: Limit = 50) -> Page[RunFacts]:
    """A part of the list of runs."""
    found = desk.library.runs()
    shown = [RunFacts.of(run) for run in found[offset : offset + limit]]
    return Page[RunFacts].of(shown, len(found), offset)


@router.get("/runs/{run}", responses=problems(404), summary="A run")
def run(desk: TheDesk, run: str) -> RunDetails:
    """What it is, and how good."""
    found = desk.run(run)
    return RunDetails(
        **RunFacts.of(found).model_dump(),
        split=found.description["split"],
        scores=found.scores,
    )


@router.delete("/runs/{run}", status_code=204, responses=problems(404, 409), summary="Delete a run")
def delete_run(desk: TheDesk, run: str) -> Response:
    """Deletes one of the desk's own runs, unless a job uses it that has not ended."""
    removing.delete_run(desk, run)
    return Response(status_code=204)


@router.get("/datasets", responses=problems(), summary="Datasets, the newest first")
def datasets(desk: TheDesk, offset: Offset = 0, limit: Limit = 50) -> Page[DatasetFacts]:
    """A part of the list of datasets."""
    found = desk.library.datasets()
    shown = [DatasetFacts.of(each) for each in found[offset : offset + limit]]
    return Page[DatasetFacts].of(shown, len(found), offset)


@router.delete(
    "/datasets/{dataset}", status_code=204, responses=problems(404, 409), summary="Delete a dataset"
)
def delete_dataset(desk: TheDesk, dataset: str) -> Response:
    """Deletes a dataset, unless a job uses it that has not ended; runs made from it stay."""
    removing.delete_dataset(desk, dataset)
    return Response(status_code=204)


@router.post(
    "/datasets/{dataset}/works",
    status_code=202,
    response_model=JobFacts,
    responses=problems(404, 409),
    summary="Find what works for the account",
)
def find_works(
    request: Request,
    desk: TheDesk,
    dataset: str,
    count: Annotated[str, Query(description="For what; the first of them if left out.")] = "",
    key: Key = None,
) -> JSONResponse:
    """A job whose result says what goes with more or fewer of a count: GET /jobs/{job}, and
    /jobs/{job}/works.csv or .png."""
    found = desk.dataset(dataset)

    def make() -> dict[str, object]:
        return JobFacts.of(desk, desk.look_at_posts(found, checked_count(count))).json_ready()

    return once(desk, request, key, {"count": count}, make, 202)

"""What pages and interface both do: names, loaded runs, room on the disk."""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from evoked.files import write_json
from evoked.runs.description import FORMAT_VERSION, RUN_FILE
from evoked.serve.desk import IMPORT, TABLE, Desk
from evoked.serve.jobs import State
from evoked.serve.settings import DeskSettings, Limits
from evoked.serve.uploads import Upload
from tests.serve.conftest import client_of

MakeDesk = Callable[..., Desk]


@pytest.fixture
def make_desk(tmp_path: Path) -> MakeDesk:
    """A desk without runs, whose jobs nobody runs."""

    def making(**limits: float) -> Desk:
        return Desk(DeskSettings(tmp_path / "desk", limits=Limits(**limits)))  # type: ignore[arg-type]

    return making


def brought(desk: Desk, name: str = "posts.csv", content: bytes = b"caption\nhello\n") -> Upload:
    return desk.uploads.add([(name, io.BytesIO(content))])


def test_imports_of_one_name_make_two_datasets(make_desk: MakeDesk) -> None:
    """Also while neither has begun, at the same moment, and where one failed and may go on."""
    desk = make_desk()
    upload = brought(desk)

    def importing(_: int) -> str:
        return str(desk.import_upload(upload, "Shop", {}).facts["dataset"])

    with ThreadPoolExecutor(4) as pool:
        names = list(pool.map(importing, range(4)))
    assert sorted(names) == ["shop", "shop-2", "shop-3", "shop-4"]
    first = next(job for job in desk.jobs.undone() if job.facts["dataset"] == "shop")
    assert all("/shop/" in str(step.makes) for step in first.steps)
    desk.jobs.end(first, State.failed, "killed")
    assert importing(0) == "shop-5"
    desk.jobs.delete(desk.job(first.id))
    assert importing(0) == "shop"


def test_jobs_of_a_kind_are_found_behind_many_others(make_desk: MakeDesk) -> None:
    desk = make_desk(queue=1000)
    desk.jobs.add(TABLE, "table", [])
    for number in range(60):
        desk.jobs.add(IMPORT, f"import {number}", [], {"dataset": str(number)})
    found, total = desk.jobs.all(limit=5, kind=TABLE)
    assert ([job.title for job in found], total) == (["table"], 1)
    assert desk.jobs.all(limit=5)[1] == 61


def run_json(folder: Path, rows: str = "posts") -> Path:
    """A folder that holds the description of a run, and nothing else of one."""
    folder.mkdir(parents=True)
    parts = dict.fromkeys(("train", "validation", "calibration", "test"), 10)
    description = {
        "format_version": FORMAT_VERSION,
        "data": {"name": "d", "sha256": "", "authors": 1, "with valence": 0, "with arousal": 0},
        "rows": rows,
        "model": {"name": "linear", "settings": {}},
        "task": "emotion_engagement",
        "features": {},
        "training": {},
        "split": {"kind": "random", "reason": "", **parts},
        "estimated_emotions": False,
        "unseen": [],
        "environment": {},
    }
    write_json(folder / RUN_FILE, description)
    return folder


def test_a_table_of_posts_is_not_sent_to_a_run_of_viewings(tmp_path: Path) -> None:
    run = run_json(tmp_path / "network", "viewings")
    with client_of(tmp_path / "desk", run) as client:
        files = {"files": ("drafts.csv", b"caption\nhello\n")}
        page = client.post("/table", files=files, data={"run": "network"})
        upload = client.post("/api/v1/uploads", files=files).json()["upload"]
        answer = client.post("/api/v1/tables", json={"upload": upload, "run": "network"})
        assert page.status_code == answer.status_code == 422
        assert "is of viewings" in answer.json()["detail"]
        assert client.get("/api/v1/jobs").json()["total"] == 0

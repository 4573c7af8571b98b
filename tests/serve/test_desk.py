"""What pages and interface both do: names, loaded runs, room on the disk."""

from __future__ import annotations

import html
import io
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from fastapi.testclient import TestClient

from evoked.evaluation.coverage import DEFAULT_COVERAGE
from evoked.features.cache import FeatureCache
from evoked.files import write_json
from evoked.posts.dataset import PostDataset
from evoked.runs.answer import verdicts
from evoked.runs.description import FORMAT_VERSION, RUN_FILE, read_description
from evoked.runs.posts import Run
from evoked.serve.desk import IMPORT, TABLE, Desk
from evoked.serve.jobs import State
from evoked.serve.library import Library
from evoked.serve.settings import DeskSettings, Limits
from evoked.serve.uploads import Upload
from tests.serve.conftest import client_of
from tests.support.desk_runs import desk_run
from tests.support.small_runs import Workshop

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


def test_a_run_is_read_once_for_a_request(
    desk_client: TestClient, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, read = desk.run("").name, []

    def reading(folder: Path) -> dict[str, Any]:
        read.append(folder.name)
        return read_description(folder)

    monkeypatch.setattr("evoked.serve.library.read_description", reading)
    draft = {"caption": "Golden hour over the bay"}
    asked = {"run": name, "drafts": [draft, draft]}
    for path, sent in {
        "score": {"json": asked},
        "rank": {"json": asked},
        f"runs/{name}/when": {"json": {"draft": draft}},
        f"runs/{name}/advise": {"json": {"draft": draft}},
    }.items():
        assert desk_client.post(f"/api/v1/{path}", **sent).status_code == 200
        assert read == [name], path
        read.clear()
    for path in ("/draft/score", "/draft/why", "/draft/advice"):
        assert desk_client.post(path, data=draft | {"run": name}).status_code == 200
        assert read == [name], path
        read.clear()
    for path in (f"/when?run={name}", f"/ledger?run={name}", f"/draft?run={name}", "/library"):
        assert desk_client.get(path).status_code == 200
        assert read == [name], path
        read.clear()


def test_lists_of_runs_load_none_and_say_how_good_each_is(
    workshop: Workshop, dataset: PostDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even one whose model is damaged is listed."""
    run = tmp_path / "good"
    shutil.copytree(desk_run(workshop, dataset).folder, run)
    empty = run_json(tmp_path / "empty")
    with client_of(tmp_path / "desk", run, empty) as client:
        found = client.app.state.desk  # type: ignore[attr-defined]
        found.warm.wait(60)
        monkeypatch.setattr("evoked.scoring.Scorer.load", None)
        page = client.get("/library")
        assert page.status_code == 200
        assert [f"<h3>{name}</h3>" in page.text for name in ("good", "empty")] == [True, True]
        assert 'hx-get="/runs/good/verdicts"' in page.text
        expected = Run.load(run, workshop.cache)
        sentences = verdicts(expected.task, expected.track_record, DEFAULT_COVERAGE)
        for headers in ({"hx-request": "true"}, {}):
            said = html.unescape(client.get("/runs/good/verdicts", headers=headers).text)
            assert all(sentence in said for sentence in sentences)
            assert ("<h1>" in said) == (not headers)
        assert (
            client.get("/runs/empty/verdicts", headers={"accept": "text/html"}).status_code == 422
        )


def test_a_damaged_run_is_named_and_keeps_no_page_from_opening(tmp_path: Path) -> None:
    good, bad = (run_json(tmp_path / name) for name in ("good", "bad"))
    (bad / "run.json").write_text("{")
    with client_of(tmp_path / "desk", bad, good) as client:
        for path in ("/", "/compare"):
            assert client.get(path).status_code == 200, path
        page = html.unescape(client.get("/library").text)
        assert ["<h3>good</h3>" in page, "<h3>bad</h3>" in page] == [True, False]
        assert "bad can't be read:" in page
        assert [each["name"] for each in client.get("/api/v1/runs").json()["items"]] == ["good"]


def test_a_run_that_loads_keeps_nobody_waiting_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [run_json(tmp_path / name) for name in ("slow", "quick")]
    library = Library(tmp_path / "desk", entries, FeatureCache(tmp_path / "cache"))
    slow, quick = (library.run(name) for name in ("slow", "quick"))
    assert slow is not None
    assert quick is not None
    go_on, loads = Event(), []

    def loading(folder: Path, cache: FeatureCache) -> str:
        loads.append(folder.name)
        assert folder.name == "quick" or go_on.wait(30)
        return f"scorer of {folder.name}"

    monkeypatch.setattr("evoked.scoring.Scorer.load", loading)
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(library.scorer, slow) for _ in range(2)]
        try:
            assert str(library.scorer(quick)) == "scorer of quick"
        finally:
            go_on.set()
        assert [each.result() for each in waiting] == ["scorer of slow"] * 2
    assert sorted(loads) == ["quick", "slow"]
    os.utime(slow.folder / RUN_FILE, (1, 1))  # trained anew
    library.scorer(slow)
    assert sorted(loads) == ["quick", "slow", "slow"]

"""Runs side by side, and the watch of a run: the command line's numbers, in words and drawn."""

from __future__ import annotations

import html
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from evoked.advice.pairs import HeldOut
from evoked.evaluation.drift import ALARM
from evoked.files import read_json, write_json
from evoked.laboratory import compare_runs
from evoked.posts.dataset import PostDataset
from evoked.serve import comparing
from evoked.serve.desk import IMPORT, Desk
from evoked.serve.jobs import State, Step
from evoked.serve.pages.compare import verdicts
from tests.serve.conftest import client_of
from tests.support.desk_runs import desk_run
from tests.support.small_runs import Workshop, by_hand

API = "/api/v1"


@pytest.fixture(scope="module")
def place(
    workshop: Workshop, dataset: PostDataset, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Two runs with the same test posts, one with others, and one that a job uses."""
    folder = tmp_path_factory.mktemp("compared")
    first = desk_run(workshop, dataset).folder
    second = workshop.run(dataset, "compared-second", "mean").folder
    third = workshop.run(dataset, "compared-third", "mean", split=by_hand(60, tests=15)).folder
    (folder / "desk" / "runs").mkdir(parents=True)
    for name, source in (("one", first), ("two", second), ("three", third)):
        shutil.copytree(source, folder / "desk" / "runs" / name)
    shutil.copytree(dataset.folder, folder / "desk" / "datasets" / "cafe")
    return folder


@pytest.fixture(scope="module")
def client(place: Path, workshop: Workshop) -> Iterator[TestClient]:
    with client_of(place / "desk", cache=workshop.cache.folder) as found:
        yield found


@pytest.fixture(scope="module")
def its_desk(client: TestClient) -> Desk:
    app: Any = client.app
    found: Desk = app.state.desk
    return found


def compared(client: TestClient, *names: str) -> dict[str, Any]:
    answer = client.get(f"{API}/compare", params={"run": list(names)})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_runs_are_compared_as_the_command_line_does(client: TestClient, place: Path) -> None:
    found = compared(client, "one", "two")
    assert (found["common"], found["same"], found["paired"]) == (25, True, True)
    runs = place / "desk" / "runs"
    wanted = compare_runs([runs / "one", runs / "two"])
    assert found["tested"] == wanted.of
    table = wanted.table.set_index(["target", "metric", "run"])
    checked = 0
    for score in found["scores"]:
        for name, cell in score["cells"].items():
            row = table.loc[(score["target"], score["metric"], name)]
            for key in ("value", "low", "high", "difference", "difference_low", "n"):
                assert cell[key] == pytest.approx(row[key], nan_ok=True) or cell[key] is None
                checked += 1
    assert checked > 100
    assert any(score["is_main"] for score in found["scores"])
    settings = {each["setting"]: each["values"] for each in found["settings"]}
    assert settings["model.name"] == {"one": "linear", "two": "mean"}
    assert not any(name.startswith("environment") for name in settings)
    page = client.get("/compare?run=one&run=two").text
    assert "All were tested on the same 25 test posts" in page
    assert "main scores" in page


def test_runs_with_other_test_posts_say_so(client: TestClient) -> None:
    found = compared(client, "one", "three")
    assert (found["common"], found["same"], found["paired"]) == (15, False, True)
    assert {cell["n"] for score in found["scores"] for cell in score["cells"].values()} <= set(
        range(16)
    )
    page = client.get("/compare?run=one&run=three").text
    assert "Their test posts differ; what follows is of the 15 that all have" in page
    assert "one: 25, three: 15." in page


def test_runs_without_a_common_test_post_are_shown_with_their_own_numbers(
    place: Path, workshop: Workshop, tmp_path: Path
) -> None:
    runs = place / "desk" / "runs"
    shutil.copytree(runs / "two", tmp_path / "apart")
    split = pd.read_parquet(tmp_path / "apart" / "split.parquet")
    split["caption"] = split["caption"].astype(str) + " changed"
    split.to_parquet(tmp_path / "apart" / "split.parquet", index=False)
    with client_of(place / "desk", tmp_path / "apart", cache=workshop.cache.folder) as client:
        found = compared(client, "one", "apart")
        assert (found["common"], found["paired"]) == (0, False)
        own = read_json(tmp_path / "apart" / "metrics.json")["scores"]
        values = {
            (row["target"], row["metric"]): row["value"] for row in own if row["model"] == "mean"
        }
        for score in found["scores"]:
            if "apart" in score["cells"]:
                key = (score["target"], score["metric"])
                assert score["cells"]["apart"]["value"] == values[key]
        page = client.get("/compare?run=one&run=apart").text
        assert "They have no test posts in common" in page
        assert "reliably" not in page


def test_what_cannot_be_compared_is_refused_in_words(client: TestClient, place: Path) -> None:
    for query in ("run=one", "run=one&run=one", "&".join(f"run=r{n}" for n in range(7))):
        assert client.get(f"{API}/compare?{query}").status_code == 422
        page = client.get(f"/compare?{query}")
        assert "choose two to 6 runs" in page.text.lower()
    assert client.get(f"{API}/compare?run=one&run=none").status_code == 404
    other = place / "desk" / "runs" / "other-task"
    shutil.copytree(place / "desk" / "runs" / "two", other)
    description = read_json(other / "run.json")
    write_json(other / "run.json", description | {"task": "shares"})
    try:
        assert "predicts shares" in client.get(f"{API}/compare?run=one&run=other-task").text
        write_json(other / "run.json", description | {"rows": "viewings"})
        assert "different things" in client.get(f"{API}/compare?run=one&run=other-task").text
    finally:
        shutil.rmtree(other)


def test_a_verdict_counts_what_chance_does_not_explain(its_desk: Desk) -> None:
    found = comparing.compare(its_desk, ["one", "two"])
    (counted,) = verdicts(found)
    by_hand = [
        (score.cells["two"]["difference"] < 0) == score.lower_is_better
        for score in found.scores
        if score.is_main and (score.cells["two"]["p"] or 1) < 0.05
    ]
    assert (counted["better"], counted["worse"]) == (sum(by_hand), len(by_hand) - sum(by_hand))
    assert counted["of"] == sum(score.is_main for score in found.scores)


def test_what_a_job_uses_is_not_deleted(client: TestClient, its_desk: Desk) -> None:
    facts = {"run": "three", "dataset": "cafe"}
    job = its_desk.jobs.add(IMPORT, "Summer", [Step("train", ("train",))], facts)
    try:
        refused = client.delete(f"{API}/runs/three")
        assert refused.status_code == 409
        assert "Summer" in refused.json()["detail"]
        assert client.delete(f"{API}/datasets/cafe").status_code == 409
        assert client.post("/runs/three/delete").status_code == 409
        assert its_desk.library.run("three") is not None
    finally:
        its_desk.jobs.end(job, State.cancelled)
    page = client.get("/library").text
    assert "Delete three for good?" in page
    assert client.post("/runs/three/delete", follow_redirects=False).status_code == 303
    assert its_desk.library.run("three") is None
    assert client.delete(f"{API}/datasets/cafe").status_code == 204
    assert its_desk.library.dataset("cafe") is None


@pytest.fixture
def watched(
    client: TestClient, its_desk: Desk, place: Path, dataset: PostDataset, monkeypatch: Any
) -> int:
    """Forty forecasts of a run, kept, and the posts that came, which fall midway."""
    draw = np.random.default_rng(5)
    run = place / "desk" / "runs" / "one"
    author = str(dataset.posts["author_id"].iloc[0])
    names = [f"new-{number}" for number in range(40)]
    if not (run / "ledger.jsonl").exists():
        drafts = [{"caption": name, "name": name, "author": author} for name in names]
        assert client.post(f"{API}/runs/one/ledger", json={"drafts": drafts}).status_code == 201
    hashed = json.loads((run / "ledger.jsonl").read_text().splitlines()[0])["author"]
    days = np.datetime64("2020-01-01") + np.arange(120).astype("timedelta64[D]")
    past = np.log1p(100) + draw.normal(0, 0.4, 120)
    held_out = HeldOut.of(np.full(120, np.log1p(100)), past, [hashed] * 120, days)
    monkeypatch.setattr("evoked.advice.review.held_out_posts", lambda *_, **__: held_out)
    logs = np.log1p(100) + draw.normal(0, 0.4, 40) - np.where(np.arange(40) < 20, 0, 1.5)
    folder = place / "desk" / "datasets" / "since"
    if not folder.exists():
        posts = dataset.posts.head(40).assign(
            post_id=names,
            author_id=author,
            caption=names,
            images=[[] for _ in names],
            posted_at=pd.date_range("2100-01-01", periods=40, tz="UTC"),
            likes=np.expm1(logs).round(),
        )
        PostDataset.create(folder, {"posts": posts})
    return 40


def test_a_fall_is_watched_and_drawn(client: TestClient, watched: int) -> None:
    nothing = client.get("/runs/one/drift").text
    assert "Choose the posts that have come since" in nothing
    found = client.get(f"{API}/runs/one/drift", params={"posts": "since", "limit": 200}).json()
    course = found["course"]["items"]
    assert found["watched"] == len(course) == watched
    assert found["drift"][0]["kind"] == "lower"
    assert max(row["wealth"] for row in course) >= ALARM
    assert all(row["wealth"] > 0 for row in course)
    noticed = pd.Timestamp(found["drift"][0]["noticed"])
    reached = [pd.Timestamp(row["posted_at"]) for row in course if row["wealth"] >= ALARM]
    assert reached[0] == noticed
    part = client.get(f"{API}/runs/one/drift", params={"posts": "since", "limit": 7}).json()
    assert (len(part["course"]["items"]), part["course"]["next"]) == (7, 7)
    page = html.unescape(client.get("/runs/one/drift?posts=since").text)
    assert found["sentence"] in page
    assert "Posts get less than before" in page
    assert "drift.png?posts=since" in page
    assert client.get(f"{API}/runs/one/drift.png?posts=since").content.startswith(b"\x89PNG")
    assert client.get(f"{API}/runs/one/drift.csv?posts=since").text.startswith("posted_at,wealth")
    assert client.get("/runs/one/drift?posts=nowhere").status_code == 404


def test_a_run_that_kept_nothing_says_so(client: TestClient) -> None:
    assert "Nothing is kept yet" in client.get("/runs/two/drift").text
    assert client.get(f"{API}/runs/two/drift").json()["watched"] == 0
    assert client.get("/runs/none/drift").status_code == 404

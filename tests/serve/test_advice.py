"""Advice at the desk: the command line's numbers, and pages that say them."""

from __future__ import annotations

import html
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from evoked.advice.ledger import read_ledger
from evoked.analysis.works.findings import what_works
from evoked.files import plain, records, write_json
from evoked.posts.dataset import PostDataset
from evoked.serve.desk import WORKS, Desk
from evoked.serve.jobs import State
from evoked.serve.pages.ranges import shades, with_places
from tests.serve.conftest import client_of
from tests.support import command_line
from tests.support.desk_runs import desk_run
from tests.support.small_runs import HOSTILE, Workshop

API = "/api/v1"
NAME = "advised"
DRAFT = {"caption": "Golden hour over the bay #sunset", "posted_at": "2024-05-13T15:00"}
RUN = f"{API}/runs/{NAME}"


@pytest.fixture(scope="module")
def advised(
    workshop: Workshop, dataset: PostDataset, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    """A client of a desk with a run of its own, and its posts: ledgers are written."""
    place = tmp_path_factory.mktemp("advised")
    run = place / NAME
    shutil.copytree(desk_run(workshop, dataset).folder, run)
    data = place / "desk"
    (data / "datasets").mkdir(parents=True)
    shutil.copytree(dataset.folder, data / "datasets" / "cafe")
    with client_of(data, run, cache=workshop.cache.folder) as client:
        yield client


@pytest.fixture(scope="module")
def its_desk(advised: TestClient) -> Desk:
    app: Any = advised.app
    found: Desk = app.state.desk
    return found


@pytest.fixture(scope="module")
def author(dataset: PostDataset) -> str:
    return str(dataset.posts["author_id"].iloc[0])


def typed(desk: Desk, command: str, *words: object) -> dict[str, Any]:
    """What a command prints as JSON about the desk's run."""
    run = desk.run(NAME).folder
    found: dict[str, Any] = json.loads(command_line.evoked(command, run, *words, "--json").stdout)
    return found


def test_hours_are_those_of_the_command_line(advised: TestClient, its_desk: Desk) -> None:
    for by in ("likes", "comments"):
        found = advised.get(f"{RUN}/when", params={"by": by}).json()
        assert found.pop("run") == NAME
        assert found == typed(its_desk, "when", "--by", by)
    assert advised.get(f"{RUN}/when").json()["by"] == "likes"
    wrong = advised.get(f"{RUN}/when", params={"by": "like"})
    assert wrong.status_code == 422
    assert "no count 'like'" in wrong.json()["detail"]
    assert advised.get(f"{API}/runs/none/when").status_code == 404


def test_hours_of_a_draft_are_those_of_the_command_line(
    advised: TestClient, its_desk: Desk, author: str
) -> None:
    facts = DRAFT | {"author": author}
    found = advised.post(f"{RUN}/when", json={"draft": facts}).json()
    assert found["draft"]["predicted"] > 0
    options = ["--caption", DRAFT["caption"], "--posted-at", DRAFT["posted_at"]]
    cache = ["--cache", its_desk.settings.cache]
    assert found.pop("run") == NAME
    assert found == typed(its_desk, "when", *options, "--author", author, *cache)


def test_advice_is_that_of_the_command_line(
    advised: TestClient, its_desk: Desk, author: str
) -> None:
    facts = DRAFT | {"author": author}
    found = advised.post(f"{RUN}/advise", json={"draft": facts, "by": "comments"}).json()
    options = ["--caption", DRAFT["caption"], "--posted-at", DRAFT["posted_at"]]
    cache = ["--cache", its_desk.settings.cache]
    wanted = typed(its_desk, "advise", *options, "--author", author, "--by", "comments", *cache)
    assert found.pop("run") == NAME
    for answer, name in ((found, "picture"), (wanted, "image")):
        if answer["rewritten"] is not None:
            assert answer["rewritten"].pop(name) is None
    assert found == wanted
    assert found["sentences"]


def test_answers_are_kept_once_and_counted(
    advised: TestClient, its_desk: Desk, author: str
) -> None:
    assert "Nothing is kept yet" in advised.get("/ledger").text
    folder = its_desk.run(NAME).folder
    facts = DRAFT | {"author": author}
    body = {"drafts": [facts, facts | {"name": "mine"}]}
    answers = [
        advised.post(f"{RUN}/ledger", json=body, headers={"Idempotency-Key": "keep one"})
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json() == {"run": NAME, "kept": 2}
    entries = read_ledger(folder).entries
    assert len(entries) == 2
    assert [entry.post is None for entry in entries] == [True, False]
    scored = advised.post(f"{API}/score", json={"run": NAME, "drafts": [facts]}).json()
    (score,) = scored["scores"]
    for entry in entries:
        assert entry.predicted["likes"][0] == pytest.approx(score["likes"], rel=1e-5)
    bad = {"drafts": [DRAFT, {"caption": "x", "posted_at": "soon"}]}
    assert advised.post(f"{RUN}/ledger", json=bad).status_code == 422
    assert len(read_ledger(folder).entries) == 2
    found = advised.get(f"{RUN}/ledger", params={"limit": 1}).json()
    lines = found.pop("lines")
    wanted = typed(its_desk, "ledger")
    assert [line["id"] for line in lines["items"]] == [wanted.pop("lines")[0]["id"]]
    assert (lines["total"], lines["next"]) == (2, 1)
    assert found == wanted | {"run": NAME}
    page = advised.get("/ledger").text
    assert "2 kept since" in page
    assert page.count('<tr><th scope="row">') == 2
    assert "None of the kept drafts" in advised.get("/ledger?posts=cafe").text
    assert advised.get(f"{RUN}/ledger?posts=none").status_code == 404


def test_a_draft_is_advised_and_kept_on_its_page(advised: TestClient, its_desk: Desk) -> None:
    form = DRAFT | {"run": NAME}
    before = len(read_ledger(its_desk.run(NAME).folder).entries)
    answer = advised.post("/draft/score", data=form).text
    assert "What should I change?" in answer
    wanted = advised.post(f"{RUN}/advise", json={"draft": DRAFT}).json()
    advice = html.unescape(advised.post("/draft/advice", data=form).text)
    for said in (*wanted["sentences"], *(each["do"] for each in wanted["advice"])):
        assert said in advice
    assert f"/ledger?run={NAME}" in advised.post("/draft/keep", data=form).text
    assert len(read_ledger(its_desk.run(NAME).folder).entries) == before + 1
    assert advised.post("/draft/use", data={"use": "0" * 32}).status_code == 404


def test_the_week_is_drawn_with_its_posts(advised: TestClient) -> None:
    wanted = advised.get(f"{RUN}/when").json()
    page = html.unescape(advised.get("/when").text)
    for sentence in wanted["sentences"]:
        assert sentence in page
    counted = re.findall(r"posts </span>(\d+)</small>", page)
    assert sum(map(int, counted)) == wanted["own_posts"] > 0
    table = pd.read_csv(io.BytesIO(advised.get(f"{RUN}/when.csv").content))
    assert len(table) == 168
    assert table["posts"].sum() == wanted["own_posts"]
    assert table["gain"].tolist() == pytest.approx(
        [float("nan") if row["gain"] is None else row["gain"] for row in wanted["slots"]],
        nan_ok=True,
    )
    assert advised.get(f"{RUN}/when.png").content.startswith(b"\x89PNG")
    assert advised.get(f"{RUN}/when.exe").status_code == 422
    wrong = advised.get("/when", params={"by": HOSTILE, "author": HOSTILE})
    assert wrong.status_code == 200
    assert HOSTILE not in wrong.text
    assert "no count" in wrong.text


def test_a_run_that_kept_no_times_says_so(
    workshop: Workshop, dataset: PostDataset, tmp_path: Path
) -> None:
    run = tmp_path / "old"
    shutil.copytree(desk_run(workshop, dataset).folder, run)
    (run / "past.parquet").unlink()
    with client_of(tmp_path / "desk", run, cache=workshop.cache.folder) as client:
        page = client.get("/when")
        assert page.status_code == 200
        assert "keeps no past posts" in page.text
        assert str(tmp_path) not in page.text
        answer = client.get(f"{API}/runs/old/when")
        assert answer.status_code == 422
        assert str(tmp_path) not in answer.text


def test_pages_without_a_run_or_posts_say_what_to_do(tmp_path: Path) -> None:
    with client_of(tmp_path / "desk") as client:
        assert "There is no trained model yet" in client.get("/when").text
        assert "There is no trained model yet" in client.get("/ledger").text
        assert "There are no posts yet" in client.get("/works").text


def test_what_works_is_a_job_and_is_said_with_its_numbers(
    advised: TestClient, its_desk: Desk, dataset: PostDataset, workshop: Workshop
) -> None:
    assert "Nobody has looked" in advised.get("/works").text
    refused = advised.post("/works", data={"dataset": "cafe", "count": "applause"})
    assert refused.status_code == 422
    advised.post("/works", data={"dataset": "cafe", "count": "likes"}, follow_redirects=False)
    (job,) = [each for each in its_desk.jobs.all()[0] if each.kind == WORKS]
    assert job.steps[0].words[0] == "analyse"
    assert "--popularity=likes" in job.steps[0].words
    assert "under way" in advised.get("/works").text
    assert advised.get(f"{API}/jobs/{job.id}/works.csv").status_code == 404
    found = what_works(dataset, "likes", cache=workshop.cache)
    folder = its_desk.jobs.folder(job) / "analysis"
    table = found.effects.table
    (folder / "tables").mkdir(parents=True)
    table.to_csv(folder / "tables" / "works.csv", index=False)
    record = {"works": plain(found.to_dict()), "posts": len(dataset), "skipped": {}}
    write_json(folder / "analysis.json", record | {"tables": {"works": plain(records(table))}})
    its_desk.jobs.end(job, State.done)
    for address in ("/works", f"/jobs/{job.id}"):
        page = html.unescape(advised.get(address).text)
        for said in (*found.sentences, found.how, *table["phrase"].head(12)):
            assert said in page
    assert advised.get(f"{API}/jobs/{job.id}").json()["result"]["count"] == "likes"
    downloaded = pd.read_csv(io.BytesIO(advised.get(f"{API}/jobs/{job.id}/works.csv").content))
    assert downloaded["effect"].tolist() == pytest.approx(table["effect"].tolist(), nan_ok=True)
    its_desk.jobs.delete(job)


@pytest.mark.slow
def test_the_command_of_what_works_leaves_what_the_page_reads(
    advised: TestClient, its_desk: Desk
) -> None:
    made = advised.post(f"{API}/datasets/cafe/works", params={"count": "comments"})
    assert made.status_code == 202
    job = its_desk.job(made.json()["id"])
    command_line.evoked(*job.steps[0].words)
    its_desk.jobs.end(job, State.done)
    result = advised.get(f"{API}/jobs/{job.id}").json()["result"]
    page = html.unescape(advised.get("/works").text)
    assert result["count"] == "comments"
    assert result["sentences"][0] in page
    assert advised.get(f"{API}/jobs/{job.id}/works.png").content.startswith(b"\x89PNG")
    its_desk.jobs.delete(job)


def test_places_keep_the_order_of_numbers() -> None:
    rows: list[dict[str, float | None]] = [
        {"gain": 0.2, "low": 0.1, "high": 0.4},
        {"gain": -0.3, "low": -0.5, "high": 0.0},
        {"gain": None, "low": None, "high": None},
    ]
    more, fewer, unknown = (row["places"] for row in with_places(rows, "gain"))
    assert unknown is None
    assert more["zero"] == fewer["zero"] == fewer["high"] < more["low"] < more["dot"] < more["high"]
    assert fewer["low"] < fewer["dot"] < fewer["zero"]


def test_shades_are_pale_where_nothing_differs() -> None:
    assert shades([0.01, -0.01, None]) == [0, 0, None]
    assert shades([0.2, -0.2, 0.1]) == [5, -5, 2]
    assert shades([1.0, -0.2]) == [5, -1]

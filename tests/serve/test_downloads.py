"""Downloads: the page's own words and numbers, each under a link that needs no script."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from evoked.analysis.works.findings import what_works
from evoked.files import plain, records, write_json
from evoked.posts.dataset import PostDataset
from evoked.report import sheets
from evoked.serve.desk import Desk
from evoked.serve.jobs import State
from tests.serve.conftest import client_of
from tests.support.desk_runs import desk_run
from tests.support.small_runs import Workshop

NAME = "paper"
DRAFT = {"caption": "Golden hour over the bay #sunset", "posted_at": "2024-05-13T15:00"}
BEGINS = {"pdf": b"%PDF", "png": b"\x89PNG"}


@pytest.fixture(scope="module")
def client(
    workshop: Workshop, dataset: PostDataset, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    place = tmp_path_factory.mktemp("paper")
    shutil.copytree(desk_run(workshop, dataset).folder, place / NAME)
    (place / "desk" / "datasets").mkdir(parents=True)
    shutil.copytree(dataset.folder, place / "desk" / "datasets" / "cafe")
    with client_of(place / "desk", place / NAME, cache=workshop.cache.folder) as found:
        yield found


@pytest.fixture(scope="module")
def its_desk(client: TestClient) -> Desk:
    app: Any = client.app
    found: Desk = app.state.desk
    return found


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[sheets.Sheet]:
    """The sheets that are drawn as PDF."""
    found: list[sheets.Sheet] = []
    original = sheets.sheet_pdf

    def noted(sheet: sheets.Sheet, picture: bytes | None = None) -> bytes:
        found.append(sheet)
        return original(sheet, picture)

    monkeypatch.setattr(sheets, "sheet_pdf", noted)
    return found


def links(page: str) -> dict[str, str]:
    """The downloads that a page offers, by their endings."""
    found = re.findall(r'<a class="button" href="(/downloads/[^"]+)" download>', page)
    return {
        re.split(r"[?]", link)[0].rpartition(".")[2]: link.replace("&amp;", "&") for link in found
    }


def check(client: TestClient, offered: dict[str, str]) -> pd.DataFrame:
    """All three are there and are what they say; the table."""
    assert set(offered) == {"csv", "png", "pdf"}
    for kind, begin in BEGINS.items():
        answer = client.get(offered[kind])
        assert answer.content.startswith(begin)
        assert f'.{kind}"' in answer.headers["content-disposition"]
    return pd.read_csv(io.BytesIO(client.get(offered["csv"]).content))


def test_the_week_on_paper(client: TestClient, drawn: list[sheets.Sheet]) -> None:
    table = check(client, links(client.get("/when").text))
    found = client.get(f"/api/v1/runs/{NAME}/when").json()
    assert len(table) == 168
    (sheet,) = drawn
    assert list(sheet.sentences[: len(found["sentences"])]) == found["sentences"]
    known = [row for row in (*found["hours"], *found["weekdays"]) if row["gain"] is not None]
    assert len(sheet.rows) == len(known) > 0
    drawn.clear()
    assert client.get("/downloads/when.pdf", headers={"accept-language": "de"}).status_code == 200
    assert drawn[0].title == "Wann veröffentlichen?"
    assert client.get("/downloads/when.pdf?by=luck").status_code == 422


def test_the_ledger_on_paper(client: TestClient, drawn: list[sheets.Sheet]) -> None:
    assert links(client.get("/ledger").text) == {}
    draft = DRAFT | {"name": "mine"}
    client.post(f"/api/v1/runs/{NAME}/ledger", json={"drafts": [draft]})
    table = check(client, links(client.get("/ledger").text))
    found = client.get(f"/api/v1/runs/{NAME}/ledger").json()
    assert table["id"].tolist() == [row["id"] for row in found["lines"]["items"]]
    assert drawn[0].sentences[0] == found["sentences"][-1]
    assert len(drawn[0].rows) == 1


@pytest.mark.parametrize("known", [True, False])
def test_advice_on_paper(
    client: TestClient, dataset: PostDataset, drawn: list[sheets.Sheet], known: bool
) -> None:
    """Of a draft by one of the run's authors, on whose posts changes are looked at, and of none."""
    draft = DRAFT | ({"author": str(dataset.posts["author_id"].iloc[0])} if known else {})
    offered = links(client.post("/draft/advice", data=draft | {"run": NAME}).text)
    found = client.post(f"/api/v1/runs/{NAME}/advise", json={"draft": draft}).json()
    assert set(offered) == {"csv", "png", "pdf"}
    for kind, begin in BEGINS.items():
        assert client.get(offered[kind]).content.startswith(begin)
    (sheet,) = drawn
    assert sheet.sentences[0] == found["answer"]
    assert set(found["sentences"]) <= set(sheet.sentences)
    assert len(sheet.rows) == len(found["advice"])
    table = pd.read_csv(io.BytesIO(client.get(offered["csv"]).content))
    assert table["do"].tolist() == [row["do"] for row in found["looked_at"]]
    name = offered["pdf"].split("/")[-1].split(".")[0]
    assert client.get(f"/api/v1/explanations/{name}/advice_sheet.json").status_code == 404
    for other in ("0" * 32, "..", "x"):
        assert client.get(f"/downloads/advice/{other}.pdf").status_code == 404


def test_what_works_on_paper(
    client: TestClient,
    its_desk: Desk,
    dataset: PostDataset,
    workshop: Workshop,
    drawn: list[sheets.Sheet],
) -> None:
    job = its_desk.look_at_posts(its_desk.dataset("cafe"), "likes")
    assert client.get(f"/downloads/works/{job.id}.pdf").status_code == 404
    found = what_works(dataset, "likes", cache=workshop.cache)
    folder = its_desk.jobs.folder(job) / "analysis"
    (folder / "tables").mkdir(parents=True)
    table = found.effects.table
    table.to_csv(folder / "tables" / "works.csv", index=False)
    record = {"works": plain(found.to_dict()), "posts": len(dataset), "skipped": {}}
    write_json(folder / "analysis.json", record | {"tables": {"works": plain(records(table))}})
    its_desk.jobs.end(job, State.done)
    read = check(client, links(client.get("/works").text))
    assert len(read) == len(table)
    assert set(found.sentences) <= set(drawn[0].sentences)
    assert drawn[0].rows[0][0] == table["phrase"].iloc[0]


def test_formulas_in_a_table_are_harmless(client: TestClient) -> None:
    draft = {"caption": "x", "name": "=cmd|' /C calc'!A0"}
    client.post(f"/api/v1/runs/{NAME}/ledger", json={"drafts": [draft]})
    text = client.get("/downloads/ledger.csv").text
    assert not re.search(r"(^|,)[\"']?=cmd", text, re.MULTILINE)


def test_downloads_of_nothing_are_refused(client: TestClient, tmp_path: Path) -> None:
    for path in ("when.exe", "ledger.csv?run=none", "works/none.pdf", "plan.pdf", "plan.csv"):
        assert client.get(f"/downloads/{path}").status_code in (404, 422), path

"""Plans at the desk: drawn once, kept, downloaded and checked, in the command line's numbers."""

from __future__ import annotations

import html
import io
import json
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from evoked.advice import Plan
from evoked.advice.tested import kept_tests
from evoked.posts.dataset import PostDataset
from evoked.runs.folder import SCHEDULE_FILE
from tests.serve.conftest import client_of
from tests.support import command_line
from tests.support.desk_runs import desk_run
from tests.support.small_runs import HOSTILE, Workshop

NAME = "planned"
API = f"/api/v1/runs/{NAME}/plan"


@pytest.fixture(scope="module")
def place(
    workshop: Workshop, dataset: PostDataset, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("planned")
    shutil.copytree(desk_run(workshop, dataset).folder, folder / NAME)
    return folder


@pytest.fixture
def run(place: Path) -> Iterator[Path]:
    """The run's folder, without a plan."""
    yield place / NAME
    (place / NAME / SCHEDULE_FILE).unlink(missing_ok=True)


@pytest.fixture
def client(place: Path, run: Path, workshop: Workshop) -> Iterator[TestClient]:
    with client_of(place / "desk", run, cache=workshop.cache.folder) as found:
        yield found


@pytest.fixture(scope="module")
def author(dataset: PostDataset) -> str:
    return str(dataset.posts["author_id"].iloc[0])


def test_a_plan_is_that_of_the_command_line_and_drawn_once(
    client: TestClient, run: Path, author: str
) -> None:
    body = {"question": "question", "weeks": 3, "per_week": 2, "start": "2030-01-07"}
    body |= {"author": author}
    key = {"Idempotency-Key": "one plan"}
    first = client.post(API, json=body, headers=key)
    assert first.status_code == 201
    assert client.post(API, json=body, headers=key).json() == first.json()
    found = first.json()
    assert found.pop("run") == NAME
    words = ("--question", "question", "--weeks", 3, "--per-week", 2, "--start", "2030-01-07")
    wanted = command_line.evoked("plan", run, *words, "--author", author, "--json")
    assert found == json.loads(wanted.stdout)
    assert client.get(API).json() == first.json()
    other = client.post(API, json=body | {"weeks": 4})
    assert other.status_code == 409
    assert client.get(API).json() == first.json()
    assert client.post(API, json=body | {"weeks": 4, "replace": True}).status_code == 201
    assert len(client.get(API).json()["posts"]) == 8
    assert client.post(API, json={"weeks": 0}).status_code == 422
    assert client.post(API, json={"question": "luck"}).status_code == 422


def test_a_plan_is_downloaded(client: TestClient, run: Path, author: str) -> None:
    assert client.get(f"{API}.ics").status_code == 404
    client.post(API, json={"arms": [HOSTILE[:60], "other"], "author": author, "weeks": 2})
    calendar = client.get(f"{API}.ics")
    assert calendar.headers["content-type"].startswith("text/calendar")
    assert calendar.text.count("BEGIN:VEVENT") == len(Plan.load(run).drawn) == 8
    table = pd.read_csv(io.BytesIO(client.get(f"{API}.csv").content))
    assert table["arm"].nunique() == 2
    assert client.get(f"{API}.exe").status_code == 422
    for kind, begin in (("pdf", b"%PDF"), ("png", b"\x89PNG")):
        assert client.get(f"/downloads/plan.{kind}?run={NAME}").content.startswith(begin)


def test_a_plan_is_drawn_on_its_page(client: TestClient, run: Path, author: str) -> None:
    assert "Draw by lot" in client.get("/plan").text
    form = {"run": NAME, "question": "own", "one": HOSTILE[:60], "other": "calm", "weeks": "2"}
    for wrong in ({"weeks": "many"}, {"start": "soon"}, {"other": HOSTILE[:60]}, {"author": "x"}):
        answer = client.post("/plan", data=form | {"author": author} | wrong)
        assert answer.status_code == 422
        assert 'role="alert"' in answer.text
        assert 'value="calm"' in answer.text or "other" in wrong
    answer = client.post("/plan", data=form | {"author": author}, follow_redirects=False)
    assert answer.headers["location"] == f"/plan?run={NAME}"
    page = client.get("/plan")
    assert HOSTILE[:60] not in page.text
    assert HOSTILE[:60] in html.unescape(page.text)
    assert "Next is post 1 of 8" in page.text
    assert page.text.count('<tr class="next" aria-current="step">') == 1
    assert 'name="replace"' in page.text
    again = client.post("/plan", data=form | {"author": author, "weeks": "3"})
    assert again.status_code == 422
    assert "keeps another plan" in again.text
    german = client.get("/plan?lang=de").text
    assert "Als Nächstes kommt Beitrag 1 von 8" in german


def test_a_plan_is_checked_on_posts_that_came(
    client: TestClient, run: Path, place: Path, author: str, dataset: PostDataset
) -> None:
    client.post(
        API, json={"question": "question", "weeks": 3, "author": author, "start": "2024-01-01"}
    )
    plan = Plan.load(run)
    rows = dataset.posts[dataset.posts["author_id"] == author].head(1)
    posts = pd.concat([rows] * len(plan.drawn), ignore_index=True).assign(
        post_id=[f"came-{number}" for number in range(len(plan.drawn))],
        posted_at=pd.to_datetime(
            [moment + timedelta(minutes=9) for moment in plan.moments], utc=True
        ),
        caption=["Why?" if arm == 0 else "So." for arm in plan.drawn],
        likes=[(200 if arm == 0 else 100) + number for number, arm in enumerate(plan.drawn)],
        images=[[] for _ in plan.drawn],
    )
    came = place / "desk" / "datasets" / "came"
    if not came.exists():
        PostDataset.create(came, {"posts": posts})
    found = client.post(f"{API}/check", params={"posts": "came"}).json()
    assert found.pop("run") == NAME
    wanted = command_line.evoked("plan", run, "--check", came, "--json")
    assert found == json.loads(wanted.stdout)
    assert found["difference"]["gain"] > 0.5
    assert found["strayed"] == 0
    (run / "tested.json").unlink()
    answer = client.post("/plan/check", data={"run": NAME, "posts": "came"}, follow_redirects=False)
    assert answer.status_code == 303
    assert [each.question for each in kept_tests(run)] == ["question"]
    page = html.unescape(client.get(answer.headers["location"]).text)
    assert found["sentences"][0] in page
    assert "All posts of this plan are over" in page
    assert client.post(f"{API}/check", params={"posts": "none"}).status_code == 404


def test_a_damaged_plan_says_so_without_the_folders_name(
    client: TestClient, run: Path, place: Path
) -> None:
    (run / SCHEDULE_FILE).write_text("{}")
    page = client.get("/plan")
    assert page.status_code == 200
    assert "not a plan as evoked writes it" in page.text
    assert str(place) not in page.text
    assert client.get(API).status_code == 422


def test_without_a_run_a_plan_says_what_to_do(tmp_path: Path) -> None:
    with client_of(tmp_path / "desk") as client:
        assert "There is no trained model yet" in client.get("/plan").text
        assert client.get("/api/v1/runs/none/plan").status_code == 404
        assert client.post("/plan", data={"run": "none"}).status_code in (404, 422)

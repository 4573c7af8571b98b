"""Runs of viewings at the desk: the command line's numbers, on a page and in the interface."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from evoked.features.cache import FeatureCache
from evoked.posts.schema import MIKELS
from evoked.runs.training import train_viewings
from evoked.serve.pages.audience import PARTS
from evoked.serve.wording import languages, texts
from evoked.training import TrainingSettings
from tests.serve.conftest import client_of
from tests.support import command_line
from tests.support.desk_runs import desk_run
from tests.support.small_networks import create_network, draw_picture, network_tables
from tests.support.small_runs import HOSTILE, Workshop

NAME = "island"
API = f"/api/v1/runs/{NAME}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("networks")
    tables = network_tables()
    tables["groups"].loc[0, "name"] = HOSTILE
    train_viewings(
        create_network(folder / "data", tables),
        "viewing_boosting",
        folder / NAME,
        model_settings={"trees": 30},
        training=TrainingSettings(max_epochs=2, batch_size=64, device="cpu"),
        split="random",
        cache=FeatureCache(folder / "cache"),
    )
    return folder


@pytest.fixture(scope="module")
def client(place: Path, workshop: Workshop, dataset: Any) -> Iterator[TestClient]:
    posts = desk_run(workshop, dataset).folder
    with client_of(place / "desk", place / NAME, posts, cache=place / "cache") as found:
        yield found


def typed(place: Path, command: str, *words: str) -> dict[str, Any]:
    answer = command_line.evoked(
        command, place / NAME, *words, "--json", "--cache", place / "cache"
    )
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"image": "p3", "community": "dogs"}, ("--image", "p3", "--community", "dogs")),
        ({"image": "p3", "followers_of": "u3"}, ("--image", "p3", "--followers-of", "u3")),
    ],
)
def test_an_audience_feels_what_the_command_line_says(
    client: TestClient, place: Path, asked: dict[str, str], words: tuple[str, ...]
) -> None:
    found = client.post(f"{API}/audience", json=asked).json()
    assert found.pop("run") == NAME
    assert found == typed(place, "audience", *words)
    picture = client.post(f"{API}/audience.png", json=asked)
    assert picture.content.startswith(b"\x89PNG")


def test_an_explanation_is_that_of_the_command_line(client: TestClient, place: Path) -> None:
    found = client.post(f"{API}/explain-viewing", json={"image": "p3", "user": "u3"}).json()
    assert (found.pop("run"), found.pop("known")) == (NAME, True)
    assert found == typed(place, "explain", "--image", "p3", "--user", "u3")
    assert {row["hidden"] for row in found["parts"]} <= set(PARTS)
    new = client.post(f"{API}/explain-viewing", json={"image": "p3", "user": "nobody"}).json()
    assert new["known"] is False


def test_a_page_says_what_an_audience_and_a_user_feel(client: TestClient, place: Path) -> None:
    empty = client.get("/audience")
    assert "How good this model is" in empty.text
    assert "<table" not in empty.text.split("<form")[0]
    asked = {"run": NAME, "image": "p3", "community": "dogs", "user": "u3", "users": ""}
    answer = client.post("/audience", data=asked, files={"file": ("", b"")}, follow_redirects=False)
    assert answer.status_code == 303
    page = client.get(answer.headers["location"]).text
    shares = client.post(f"{API}/audience", json={"image": "p3", "community": "dogs"}).json()
    for row in shares["table"]:
        assert f"{100 * row['share']:.0f}%" in page
    assert page.count('<th scope="row">') >= len(MIKELS)
    assert "Members of dogs, at p3" in page
    assert "u3, at p3" in page
    assert "Each part is hidden in turn" in page
    assert "Am meisten" in client.get(f"{answer.headers['location']}&lang=de").text
    client.cookies.clear()


def test_a_picture_that_is_brought_is_felt_too(client: TestClient, place: Path) -> None:
    picture = draw_picture(place / "901-2.png").read_bytes()
    form = {"run": NAME, "image": "p3", "users": "u1, u2\nnobody", "groups": "Street dogs"}
    files = {"file": ("dog.png", picture)}
    answer = client.post("/audience", data=form, files=files, follow_redirects=False)
    page = client.get(answer.headers["location"]).text
    assert "at your picture" in page
    assert "left out: nobody" in page
    assert "A new user, at your picture" in page
    assert 'src="/api/v1/pictures/' in page
    assert client.get("/audience?picture=0&user=u1").status_code == 200


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("image=nowhere&user=u1", "holds no image"),
        ("image=p3", "nobody was named"),
        ("user=u1", "no image was given"),
        ("image=p3&community=dogs&followers_of=u1", "an audience is followers of a user"),
        (f"image=p3&community={'x' * 300}", "holds no group"),
        ("image=p3&followers_of=nobody", "holds no user"),
        ("picture=" + "0" * 32 + "&user=u1", "there is no picture"),
    ],
)
def test_what_cannot_be_answered_is_said_on_the_page(
    client: TestClient, place: Path, query: str, said: str
) -> None:
    page = client.get(f"/audience?{query}")
    assert page.status_code == 200
    alert = html.unescape(page.text).split('role="alert">')[1].split("</p>")[0]
    assert said in alert[:1].lower() + alert[1:]
    assert str(place) not in page.text


def test_what_people_called_things_stays_text(client: TestClient) -> None:
    page = client.get("/audience", params={"image": HOSTILE, "community": HOSTILE, "user": HOSTILE})
    assert HOSTILE not in page.text
    assert HOSTILE in html.unescape(page.text)


def test_runs_of_posts_and_of_viewings_are_not_mixed_up(client: TestClient) -> None:
    asked = {"image": "p3", "community": "dogs"}
    wrong = client.post("/api/v1/runs/desk-run/audience", json=asked)
    assert wrong.status_code == 422
    assert "knows no users" in wrong.json()["detail"]
    assert client.get("/audience?run=desk-run").status_code == 422
    assert client.get(f"/plan?run={NAME}").status_code == 422
    too_many = {"image": "p3", "users": ["u"] * 10_001}
    assert client.post(f"{API}/audience", json=too_many).status_code == 422
    library = client.get("/library").text
    assert "macro F1" in library
    assert f"/audience?run={NAME}" in library


def test_without_a_network_the_page_says_how_to_get_one(tmp_path: Path) -> None:
    with client_of(tmp_path / "desk") as client:
        assert "There is no trained model of viewings yet" in client.get("/audience").text


def test_emotions_and_parts_have_texts() -> None:
    for code in languages():
        known = texts(code)
        assert {f"emotions.{name}" for name in MIKELS} <= set(known)
        assert {f"audience.what.{key}" for key in PARTS.values()} <= set(known)

"""The same twenty drafts lead to the same numbers, whoever asks: command line, Python, page and
interface."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

import evoked
from evoked.posts.dataset import PostDataset
from evoked.serve.desk import Desk, rows_of
from tests.support import command_line
from tests.support.desk_runs import NUMBER, as_options, twenty_drafts

API = "/api/v1"


@pytest.fixture(scope="module")
def python(desk: Desk, dataset: PostDataset) -> list[dict[str, Any]]:
    """What Python says of each draft alone."""
    entry = desk.run("")
    scorer = evoked.Scorer.load(entry.folder, desk.library.cache)
    return [rows_of(scorer.score([row]))[0] for row in twenty_drafts(dataset)]


@pytest.fixture(scope="module")
def brought(desk_client: TestClient, dataset: PostDataset) -> list[dict[str, Any]]:
    """The drafts as the interface takes them: their pictures by ids."""
    rows = []
    for facts in twenty_drafts(dataset):
        image = facts.pop("image", None)
        if image is not None:
            with Path(image).open("rb") as stream:
                answer = desk_client.post(f"{API}/pictures", files={"file": stream})
            facts["picture"] = answer.json()["picture"]
        rows.append(facts)
    return rows


def test_the_command_line_has_the_numbers_of_python(
    desk: Desk, dataset: PostDataset, python: list[dict[str, Any]]
) -> None:
    words = ("--json", "--cache", desk.library.cache.folder)
    for row, wanted in zip(twenty_drafts(dataset), python, strict=True):
        typed = command_line.evoked("predict", desk.run("").folder, *as_options(row), *words)
        (found,) = json.loads(typed.stdout)
        assert found == {name: value for name, value in wanted.items() if name != "error"}


def test_the_interface_has_the_numbers_of_python(
    desk_client: TestClient, brought: list[dict[str, Any]], python: list[dict[str, Any]]
) -> None:
    for facts, wanted in zip(brought, python, strict=True):
        (found,) = desk_client.post(f"{API}/score", json={"drafts": [facts]}).json()["scores"]
        assert found == wanted


def test_the_page_says_the_numbers_of_python(
    desk_client: TestClient, brought: list[dict[str, Any]], python: list[dict[str, Any]]
) -> None:
    said = 0
    for facts, wanted in zip(brought, python, strict=True):
        if not {"picture", "caption"} & set(facts):
            continue
        form = {name: value for name, value in facts.items() if name not in ("name", "hashtags")}
        form["hashtags"] = " ".join(facts.get("hashtags", []))
        page = html.unescape(desk_client.post("/draft/score", data=form).text)
        assert wanted["answer"] in page
        said += 1
    assert said > NUMBER / 2

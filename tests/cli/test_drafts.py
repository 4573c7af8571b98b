"""Options that describe a draft."""

from __future__ import annotations

import json
import shlex
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import typer

from evoked.cli import app
from evoked.posts.dataset import PostDataset
from evoked.posts.drafts import Draft
from evoked.runs.posts import Run
from tests.support.command_line import evoked

WHOLE_DRAFT = shlex.split(
    "--name evening --caption 'What a view! #travel' --title Views --hashtags '#sea, sun' "
    "--author someone --category travel --followers 5000 --following 20 --author-posts 300 "
    "--paid --posted-at 2024-05-13T18:30"
)


@pytest.mark.parametrize("command", ["predict", "explain"])
@pytest.mark.parametrize("field", [field.name for field in fields(Draft)])
def test_every_field_has_an_option_with_its_description(command: str, field: str) -> None:
    group: Any = typer.main.get_command(app)
    (option,) = (each for each in group.commands[command].params if each.name == field)
    _, description = get_args(get_type_hints(Draft, include_extras=True)[field])
    typed = {"facts": "fact"}.get(field, field)
    assert option.opts == ["--" + typed.replace("_", "-")]
    assert option.help.startswith(description)
    assert option.default is None


def test_options_describe_a_whole_draft(demo: Path) -> None:
    draft = Draft(
        caption="What a view! #travel",
        title="Views",
        hashtags=["sea", "sun"],
        author="someone",
        category="travel",
        followers=5000,
        following=20,
        author_posts=300,
        paid=True,
        posted_at=datetime(2024, 5, 13, 18, 30, tzinfo=UTC),
    )
    run = Run.load(demo / "run")
    (row,) = json.loads(evoked("predict", demo / "run", *WHOLE_DRAFT, "--json").stdout)
    assert row["post_id"] == "evening"
    assert row["likes"] == pytest.approx(run.predict([draft])["likes"][0])
    assert row["likes"] != pytest.approx(run.predict([replace(draft, paid=False)])["likes"][0])
    (unpaid,) = json.loads(
        evoked("predict", demo / "run", *WHOLE_DRAFT, "--not-paid", "--json").stdout
    )
    assert unpaid["likes"] == pytest.approx(run.predict([replace(draft, paid=False)])["likes"][0])
    assert json.loads(evoked("explain", demo / "run", *WHOLE_DRAFT, "--json").stdout)


def test_categories_and_authors_that_no_training_post_has_are_pointed_out(demo: Path) -> None:
    run = Run.load(demo / "run")
    category = run.training_categories[0]
    draft = ("--caption", "x", "--author", "nobody")
    answer = evoked("predict", demo / "run", *draft, "--category", category + "s")
    assert f"No training post is of the category '{category}s'" in answer.stderr
    assert f"Did you mean '{category}'? There are: {category}" in answer.stderr
    assert "valence" in answer.stdout
    for command in ("predict", "explain"):
        answer = evoked(command, demo / "run", "--caption", "x", "--author", "nobody")
        said = " ".join((answer.stdout + answer.stderr).split())
        assert said.count("No training post is by the author 'nobody'") == 1
    posts = PostDataset(demo / "posts").posts
    author = posts["author_id"][(run.parts["part"] == "train").to_numpy()].iloc[0]
    known = ("--category", category.upper(), "--author", author)
    assert (
        "No training post" not in evoked("predict", demo / "run", "--caption", "x", *known).stderr
    )


def test_a_run_of_several_authors_asks_for_one(demo: Path) -> None:
    authors = Run.load(demo / "run").description["data"]["authors"]
    for command in ("predict", "explain"):
        answer = evoked(command, demo / "run", "--caption", "x", fails=True)
        assert f"this run knows {authors} authors" in answer.stderr
        assert "--author new" in answer.stderr
    answer = evoked("predict", demo / "run", "--caption", "x", "--author", "new")
    said = " ".join(answer.stdout.split())
    assert "No training post is by the author 'new': predicted as a new author's" in said


def test_followers_of_a_known_author_are_filled_in_and_said(demo: Path) -> None:
    posts = PostDataset(demo / "posts").posts.sort_values("posted_at")
    author = posts["author_id"].iloc[-1]
    followers = posts["followers"].iloc[-1]
    answer = evoked("predict", demo / "run", "--caption", "x", "--author", author)
    said = " ".join(answer.stdout.split())
    assert "as of the author's last post:" in said
    assert f"{followers:,.0f}" in said
    assert "Counts need the number of followers" not in said
    (row,) = json.loads(
        evoked("predict", demo / "run", "--caption", "x", "--author", author, "--json").stdout
    )
    assert row["likes"] > 0
    assert "as of the author's last post" in row["assumed"]

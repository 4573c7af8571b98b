"""``evoked ledger``, ``evoked update`` and ``--keep``, as a person types them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from evoked.posts.dataset import PostDataset
from tests.support.command_line import evoked

AUTHOR = ("--author", "new", "--followers", "5000")


@pytest.fixture
def run(demo: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(demo / "run", tmp_path / "run"))


@pytest.fixture
def came(demo: Path, tmp_path: Path) -> Path:
    """Posts that came after what the tests keep: captions One and Two."""
    posts = PostDataset(demo / "posts").posts.head(4).reset_index(drop=True)
    dates = pd.date_range("2100-01-01", periods=4, tz="UTC")
    posts = posts.assign(
        post_id=list("wxyz"),
        author_id="new",
        posted_at=dates,
        caption=["One", "Two", "Three", "Three"],
        images=[[] for _ in range(4)],
    )
    PostDataset.create(tmp_path / "came", {"posts": posts})
    return tmp_path / "came"


def test_what_is_kept_is_held_against_what_came(run: Path, came: Path, tmp_path: Path) -> None:
    first = evoked("predict", run, "--caption", "One", *AUTHOR, "--keep")
    assert "Kept 1 draft" in first.stderr
    captions = [word for text in ("Two", "Three") for word in ("--caption", text)]
    assert "Kept 2 drafts" in evoked("rank", run, *captions, *AUTHOR, "--keep").stderr
    evoked("predict", run, "--caption", "Four", *AUTHOR)
    alone = " ".join(evoked("ledger", run).stdout.split())
    assert "3 answers kept since" in alone
    assert "None of it can be checked yet" in alone
    shown = " ".join(evoked("ledger", run, came).stdout.split())
    assert "2 have become posts (recognised by caption 2)." in shown
    assert "1 could be one of several, and count as none" in shown
    assert "y or z" in shown
    assert "Too early to say whether to trust it: 2 posts" in shown
    found = json.loads(evoked("ledger", run, came, "--json").stdout)
    assert (found["kept"], found["came"], found["trust"]) == (3, 2, "unknown")
    table = tmp_path / "came.csv"
    evoked("ledger", run, came, "--out", table)
    assert pd.read_csv(table)["post_id"].tolist()[:2] == ["w", "x"]


def test_why_nothing_matched_is_said(run: Path, demo: Path) -> None:
    evoked("predict", run, "--caption", "One", *AUTHOR, "--keep")
    shown = " ".join(evoked("ledger", run, demo / "posts").stdout.split())
    assert "1 answer kept since" in shown
    assert "0 have become posts." in shown
    assert "1 answer is by an author of whom none of these posts is" in shown
    assert "--author NAME" in shown


def test_new_posts_are_taken_in_and_what_changed_is_said(run: Path, came: Path) -> None:
    strange = " ".join(evoked("update", run, came).stdout.split())
    assert "4 posts of an author whom the run doesn't know: left out." in strange
    shown = " ".join(evoked("update", run, came, "--all-authors").stdout.split())
    assert "It has taken in 4 new posts." in shown
    assert "The level of a new author" in shown
    assert "--keep" not in shown
    assert "nothing has changed" in " ".join(evoked("update", run, came).stdout.split())
    anew = evoked("update", run, came, "--retrain", fails=False).stdout
    assert "nothing has changed" in " ".join(anew.split())


def test_what_was_kept_is_taken_in_and_counted_as_the_ledger_does(run: Path, came: Path) -> None:
    for caption in ("One", "Two", "Two"):
        evoked("predict", run, "--caption", caption, *AUTHOR, "--keep")
    shown = " ".join(evoked("update", run, came).stdout.split())
    assert "It has taken in 4 new posts." in shown
    assert "2 posts of the dataset had been predicted with --keep before they came" in shown
    assert json.loads(evoked("update", run, came, "--json").stdout)["kept"] == 2
    lines = json.loads(evoked("ledger", run, came, "--json").stdout)["lines"]
    assert len({line["post_id"] for line in lines}) == 2


def test_viewings_have_no_ledger(run: Path) -> None:
    answer = evoked("ledger", run / "nowhere", fails=True)
    assert "not a finished run" in answer.stderr
    out = evoked("ledger", run, "--out", "table.txt", fails=True)
    assert "--out: a file ending in" in out.stderr

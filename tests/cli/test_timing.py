"""``evoked when`` and ``evoked plan``, as a person types them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from evoked.posts.dataset import PostDataset
from tests.support.command_line import evoked

AUTHOR = ("--author", "new", "--followers", "5000")


@pytest.fixture(scope="module")
def pictures(demo: Path) -> list[Path]:
    return [path for path in PostDataset(demo / "posts").cover_paths() if path is not None][:3]


def test_when_says_hours_and_draws_them(demo: Path, tmp_path: Path) -> None:
    shown = " ".join(evoked("when", demo / "run").stdout.split())
    assert "Likes against the usual hours" in shown
    assert "from Mon Tue Wed Thu Fri Sat Sun days 100 posts" in shown
    assert "No hour is reliably better" in shown
    picture = tmp_path / "week.png"
    answer = evoked("when", demo / "run", "--by", "comments", "--out", picture, "--json")
    assert json.loads(answer.stdout)["by"] == "comments"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "Drawn" in answer.stderr


def test_when_tells_a_draft_its_hour(demo: Path, pictures: list[Path]) -> None:
    at = ("--posted-at", "2024-06-05T08:30")
    shown = evoked("when", demo / "run", pictures[0], "--caption", "Hello", *AUTHOR, *at).stdout
    assert "at its time, Wednesday 8:30" in " ".join(shown.split())
    told = evoked("when", demo / "run", "--caption", "Hello", *AUTHOR, *at, "--json").stdout
    assert json.loads(told)["draft"]["hour"] == 8.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("when", "RUN", "--out", "week.jpg"), "a file ending in .png"),
        (("when", "RUN", "nowhere.jpg", *AUTHOR), "there is no picture nowhere.jpg"),
        (("when", "RUN", "--author", "nobody"), "no post of known time is by the author"),
        (("when", "RUN", "--by", "lieks"), "Did you mean 'likes'"),
        (("plan", "RUN"), "Say whose plan it is"),
        (("plan", "RUN", "--calendar", "plan.txt"), "a file ending in .ics"),
        (("plan", "RUN", "--out", "plan.txt"), "a file ending in"),
        (("plan", "RUN", "--start", "soon"), "is not a day"),
        (("plan", "RUN", "--check", "POSTS", "--weeks", "3"), "--weeks is for drawing a plan"),
        (("plan", "RUN", "--check", "POSTS"), "no plan is kept in it"),
    ],
)
def test_mistakes_in_hours_and_plans_are_said(
    demo: Path, arguments: tuple[str, ...], message: str
) -> None:
    folders = {"RUN": demo / "run", "POSTS": demo / "posts"}
    typed = [folders.get(each, each) for each in arguments]
    assert message in " ".join(evoked(*typed, fails=True).stderr.split())


def test_a_plan_is_drawn_kept_and_checked(demo: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(demo / "run", tmp_path / "run"))
    author = PostDataset(demo / "posts").posts["author_id"].value_counts().index[0]
    drawing = ("plan", run, "--author", author, "--weeks", "2", "--start", "2024-06-03")
    table, calendar = tmp_path / "plan.csv", tmp_path / "plan.ics"
    answer = evoked(*drawing, "--out", table, "--calendar", calendar)
    assert "8 posts, 4 with" in " ".join(answer.stdout.split())
    assert len(pd.read_csv(table)) == 8
    assert calendar.read_bytes().count(b"BEGIN:VEVENT") == 8
    again = json.loads(evoked(*drawing, "--json").stdout)
    assert [each["date"] for each in again["posts"]] == pd.read_csv(table)["date"].tolist()
    assert "--replace" in evoked(*drawing, "--seed", "1", fails=True).stderr
    evoked(*drawing, "--seed", "1", "--replace")
    checked = evoked("plan", run, "--check", demo / "posts", "--json").stdout
    assert json.loads(checked)["label"] == "tested"
    assert "planned posts did not appear" in evoked("plan", run, "--check", demo / "posts").stdout

"""The command line, as a person calls it."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from evoked.cli import app, main
from evoked.posts.dataset import PostDataset
from evoked.posts.drafts import Draft
from evoked.runs.posts import Run


class Answer(NamedTuple):
    """What a command printed, and how it ended."""

    stdout: str
    stderr: str
    status: int


def evoked(*arguments: object, fails: bool = False) -> Answer:
    """Run the command line in this process, where libraries and encoders are loaded already."""
    stdout, stderr = io.StringIO(), io.StringIO()
    typed = [str(argument) for argument in arguments]
    status = 0
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        patch.setattr(sys, "argv", ["evoked", *typed])
        try:
            main()
        except SystemExit as ended:
            status = int(ended.code or 0)
    answer = Answer(stdout.getvalue(), stderr.getvalue(), status)
    assert (answer.status != 0) == fails, answer
    return answer


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small demo: posts, run, explanation and report, made by one command."""
    folder = tmp_path_factory.mktemp("demo") / "demo"
    evoked("demo", folder, "--n", "60", "--epochs", "1")
    return folder


def test_demo_makes_everything(demo: Path) -> None:
    assert len(PostDataset(demo / "posts")) == 60
    assert (demo / "run" / "run.json").is_file()
    assert list((demo / "explanation").glob("*.png"))
    report = (demo / "report.html").read_text()
    assert "<svg" in report or "data:image" in report
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=[\"']https?:", report)


def test_evaluate_predict_and_explain_print_json(demo: Path) -> None:
    scores = json.loads(
        evoked("evaluate", demo / "run", demo / "posts", "--json", "--cache", demo / "cache").stdout
    )
    assert {row["model"] for row in scores["scores"]} >= {"abmf", "mean", "author_mean"}
    picture = next(path for path in PostDataset(demo / "posts").cover_paths() if path is not None)
    draft = ["--image", picture, "--caption", "What a view! #travel", "--followers", "5000"]
    (row,) = json.loads(evoked("predict", demo / "run", *draft, "--json").stdout)
    assert -4 <= row["valence"] <= 4
    assert row["likes"] > 0
    reasons = json.loads(evoked("explain", demo / "run", *draft, "--json").stdout)
    assert reasons
    shown = evoked("predict", demo / "run", *draft).stdout
    assert "valence" in shown


WHOLE_DRAFT = (
    *("--caption", "What a view! #travel", "--title", "Views", "--hashtags", "#sea, sun"),
    *("--author", "someone", "--category", "travel", "--followers", "5000", "--following", "20"),
    *("--author-posts", "300", "--paid", "--posted-at", "2024-05-13T18:30"),
)


def test_options_tell_a_whole_draft(demo: Path) -> None:
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
    assert row["likes"] == pytest.approx(run.predict([draft])["likes"][0])
    assert row["likes"] != pytest.approx(run.predict([replace(draft, paid=False)])["likes"][0])
    (told,) = json.loads(
        evoked("predict", demo / "run", *WHOLE_DRAFT, "--not-paid", "--json").stdout
    )
    assert told["likes"] == pytest.approx(run.predict([replace(draft, paid=False)])["likes"][0])
    assert json.loads(evoked("explain", demo / "run", *WHOLE_DRAFT, "--json").stdout)


def test_categories_and_authors_that_no_training_post_has_are_told(demo: Path) -> None:
    run = Run.load(demo / "run")
    category = run.training_categories[0]
    answer = evoked("predict", demo / "run", "--caption", "x", "--category", category + "s")
    assert f"No training post is of the category '{category}s'" in answer.stderr
    assert f"Did you mean '{category}'? There are: {category}" in answer.stderr
    assert "valence" in answer.stdout
    answer = evoked("explain", demo / "run", "--caption", "x", "--author", "nobody", "--json")
    assert "No training post is by the author 'nobody'" in answer.stderr
    posts = PostDataset(demo / "posts").posts
    author = posts["author_id"][(run.parts["part"] == "train").to_numpy()].iloc[0]
    known = ("--category", category.upper(), "--author", author)
    assert (
        "No training post" not in evoked("predict", demo / "run", "--caption", "x", *known).stderr
    )


def test_scores_fit_a_narrow_terminal(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    arguments = ("evaluate", demo / "run", demo / "posts", "--cache", demo / "cache")
    lines = evoked(*arguments).stdout.splitlines()
    assert lines[0].startswith("Split by time: ")
    (row,) = (line for line in lines if re.match(r"valence +MAE", line))
    assert re.search(r"\d \(-?\d+\.\d\d…-?\d+\.\d\d\) ", row)


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
def test_predictions_of_a_dataset_go_to_a_file(demo: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"scores{suffix}"
    evoked(
        *("predict", demo / "run", "--posts", demo / "posts"),
        *("--out", path, "--cache", demo / "cache"),
    )
    readers = {".csv": pd.read_csv, ".json": pd.read_json, ".parquet": pd.read_parquet}
    table = readers[suffix](path)  # type: ignore[operator]
    assert len(table) == 60
    assert table["arousal"].between(0, 8).all()


def test_lists_for_programs() -> None:
    models = json.loads(evoked("models", "--json").stdout)
    assert "abmf" in [model["name"] for model in models]
    features = json.loads(evoked("features", "--json").stdout)
    assert "image.map" in [feature["name"] for feature in features]


def commands(group: Any, *words: str) -> Iterator[tuple[str, ...]]:
    """The words of every command there is."""
    for name, command in group.commands.items():
        inner = getattr(command, "commands", None)
        yield from commands(command, *words, name) if inner else [(*words, name)]


@pytest.mark.parametrize("words", commands(typer.main.get_command(app)), ids=" ".join)
def test_help_of_every_command(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*words, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train nowhere --out run", "not a dataset"),
        ("predict nowhere --caption x", "not a finished run"),
        ("predict nowhere", "needs --image or --caption"),
        ("predict nowhere --posts posts --caption x", "in place of a draft"),
        ("predict nowhere --caption x --out scores.xlsx", "ending in .csv"),
        ("predict nowhere --image missing.jpg", "no picture missing.jpg"),
        ("predict nowhere --image .", "is a folder: give one picture"),
        (
            "predict nowhere --caption x --posted-at 13.05.2024",
            "--posted-at: '13.05.2024' is not a date",
        ),
        ("train nowhere --out run --set width", "NAME=VALUE"),
        ("import csv nowhere.csv out --scale valence=5", "DIMENSION=LOW:HIGH"),
        ("import csv nowhere.csv out", "nowhere.csv"),
    ],
)
def test_mistakes_are_answered_in_a_sentence(
    arguments: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = evoked(*shlex.split(arguments), fails=True)
    assert message in " ".join(answer.stderr.split())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "status", "stdout", "stderr"),
    [
        ("privacy explain", 0, "What is not protected", ""),
        ("predict nowhere", 2, "", "needs --image or --caption"),
    ],
)
def test_in_a_process_of_its_own(arguments: str, status: int, stdout: str, stderr: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "evoked", *arguments.split()],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status
    assert stdout in done.stdout
    assert stderr in done.stderr
    assert bool(done.stderr) == bool(stderr)
    assert "Traceback" not in done.stderr


def test_import_shows_what_was_read_and_skipped(tmp_path: Path) -> None:
    source = tmp_path / "posts.csv"
    source.write_text("id,text,like count\na,Hello #sun,5\na,Again,6\nb,Bye,-7\n", encoding="utf-8")
    shown = evoked("import", "csv", source, tmp_path / "posts").stdout
    assert "like count" in shown
    assert "skipped" in shown
    assert "row 2: the id is repeated (a)" in shown
    assert "nothing was done" in evoked("import", "csv", source, tmp_path / "posts").stdout
    told = json.loads(evoked("import", "csv", source, tmp_path / "posts", "--json").stdout)
    assert told["read"] == 2
    posts = PostDataset(tmp_path / "posts").posts
    assert posts["likes"].isna().tolist() == [False, True]


def test_import_tells_how_much_more_was_skipped(tmp_path: Path) -> None:
    source = tmp_path / "posts.csv"
    source.write_text("id,text\n" + "a,Hello\n" * 18, encoding="utf-8")
    shown = evoked("import", "csv", source, tmp_path / "posts").stdout
    assert shown.count("the id is repeated (a)") == 10
    assert "… and 7 more; --json tells up to twenty of each kind." in shown
    source.write_text("id,text\n" + "a,Hello\n" * 11, encoding="utf-8")
    shown = evoked("import", "csv", source, tmp_path / "posts", "--overwrite").stdout
    assert "more;" not in shown

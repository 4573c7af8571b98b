"""What needs no network imports none: help, lists, refusals, imports, made-up posts, and, where
ONNX Runtime is installed, training and using models that are no networks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
import typer

from evoked.cli.application import app
from evoked.features.encoders._sessions import without_torch
from evoked.posts.importing import import_posts
from evoked.posts.readers import READERS
from evoked.posts.synthetic.posts import synthesise
from tests.support.reader_sources import SOURCES

# Runs commands in one process. Prints of each what it said, and which libraries that take long to
# import (torch and transformers seconds, and a gigabyte of memory) are there since then.
PROGRAM = """
import json, sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from evoked.cli import main

HEAVY = {
    "catboost", "gensim", "lightning", "matplotlib", "nltk", "plotly", "scipy.stats",
    "sklearn", "statsmodels", "torch", "transformers",
}
HEAVY -= set(sys.argv[1:])
results, before = {}, set()
for command in json.load(sys.stdin):
    sys.argv = ["evoked", *command.split()]
    with redirect_stdout(StringIO()) as said, redirect_stderr(said):
        try:
            main()
        except SystemExit:
            pass
    imported = HEAVY & sys.modules.keys()
    results[command] = [said.getvalue(), sorted(imported - before)]
    before = imported
json.dump(results, sys.stdout)
"""

LISTS = {
    "models": "gradient_boosting",
    "models --json": "gradient_boosting",
    "features": "image.map",
    "reproduce --list": "abmf/table6",
}

REFUSALS = {
    "train posts --out run --model abmv": "no model is called 'abmv'. Did you mean 'abmf'?",
    "train posts --out run --task sharse": "no task is called 'sharse'",
    "train posts --out run --set width=3": "--set is for one model",
    "train posts --out run --model abmf --task sharse": "abmf does not learn the task 'sharse'",
    "train posts --out run --model abmf --set widht=3": "Did you mean 'width'?",
    "train posts --out run --training epohcs=3": "epohcs",
    "train posts --out run --model auto --task sharse": "no task is called 'sharse'",
    "train posts --out run --model auto --models abfm": "no model is called 'abfm'",
    "train posts --out run --split tim": "tim",
    "train posts --out run --lerning-rate 1": "--lerning-rate",
    "train missing --out run": "missing",
    "train missing --out run --model auto": "missing",
    "evaluate missing posts": "missing",
    "predict missing --caption hello": "missing",
    "explain missing --caption hello": "missing",
    "predict missing --posts missing": "missing",
    "predict missing --image missing.jpg": "missing",
    "report missing": "missing",
    "when missing": "missing",
    "when missing nowhere.jpg": "nowhere.jpg",
    "plan missing": "missing",
    "plan missing --check posts": "missing",
    "compare missing posts": "missing",
    "generate-comments missing copy --model x": "missing",
    "analyse missing --out new": "missing",
    "compare missing missing": "missing",
    "audience missing --image posts/posts.parquet": "missing",
    "label missing --norms norms.csv --out new": "missing",
    "affect fit missing --out new": "missing",
    "affect evaluate missing": "missing",
    "reproduce abmf/tabel6 --data posts --out new": "abmf/table6",
    "reproduce abmf/table6 --data missing --out new": "missing",
    "import csv missing new": "missing",
}

WORK = {
    "synth new --n 3": "3 posts in new",
    "synth network --network --scale 0.001 --pictures 96": "viewings in network",
    "privacy keys keys": "keys",
    "privacy explain": "What is not protected",
}

# What a model that is no network is trained, scored and used by: each reads captions and pictures.
USES = {
    "train made --out run --model linear --cache features": "is the folder run",
    "evaluate run made --cache features": "recent",
    "predict run --caption hello --image made/images/picture.jpg --author new --cache other": (
        "likes"
    ),
    "advise run --caption hello --author new --cache other --keep": "Kept 1 draft",
    "when run --caption hello --author new --cache other --keep": "Kept 1 draft",
    "ledger run made --cache other": "2 answers kept",
}
# Hours need only what a run keeps of them.
HOURS = {
    "when run --author author-00001": "posts with known likes",
    "plan run --author author-00001 --calendar plan.ics": "drawn by lot",
}
# Imported by what fits: not slow beside torch, and not by predicting.
FITTING = {"catboost", "gensim", "scipy.stats", "sklearn"}
# scipy.stats takes half a second, a quarter of a prediction; hashtags are read with sklearn.
PREDICTING = {"sklearn"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the commands run: it holds ``posts``, and nothing that is called ``missing``."""
    (tmp_path / "source").mkdir()
    import_posts("csv", SOURCES["csv"](tmp_path / "source"), tmp_path / "posts")
    return tmp_path


def run(folder: Path, expected: dict[str, str], allowed: Collection[str] = ()) -> None:
    """Run commands and check what each of them says, and that none imports anything heavy that is
    not ``allowed``."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *allowed],
        input=json.dumps(list(expected)),
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env={"COLUMNS": "200", "OMP_NUM_THREADS": "1", "PYTHONPATH": ":".join(sys.path)},
    )
    results = json.loads(done.stdout)
    unexpected = {
        command: said for command, (said, _) in results.items() if expected[command] not in said
    }
    assert unexpected == {}
    assert {command: found for command, (_, found) in results.items() if found} == {}


def test_the_check_finds_what_is_imported(folder: Path) -> None:
    with pytest.raises(AssertionError, match=r"\['torch'"):
        run(folder, {"affect evaluate posts": ""})


@pytest.mark.parametrize("expected", [LISTS, REFUSALS, WORK], ids=["lists", "refusals", "work"])
def test_nothing_heavy_is_imported(folder: Path, expected: dict[str, str]) -> None:
    run(folder, expected)


def test_a_mistyped_metric_is_refused_before_torch_is_imported(folder: Path) -> None:
    metric = "train posts --out run --model auto --metric likse"
    run(
        folder, {metric: "these posts have no score 'likse'"}, allowed={"matplotlib", "scipy.stats"}
    )


def test_help_is_quick(folder: Path) -> None:
    run(folder, {f"{command} --help": "Usage" for command in ["", *_commands()]})


@pytest.mark.skipif(not without_torch(), reason="needs ONNX Runtime and no graphics card")
def test_models_that_are_no_networks_need_no_torch(folder: Path) -> None:
    posts = synthesise(folder / "made", n=60)
    posts.cover_paths()[0].rename(folder / "made" / "images" / "picture.jpg")
    run(folder, USES, allowed=FITTING)
    predict = next(command for command in USES if command.startswith("predict"))
    run(folder, {predict: USES[predict]}, allowed=PREDICTING)
    run(folder, HOURS)


def test_imports_need_no_networks(folder: Path) -> None:
    expected = {}
    for name in READERS:
        (folder / name).mkdir()
        source = SOURCES[name](folder / name)
        expected[f"import {name} {source} dataset-{name}"] = "Imported to"
    run(folder, expected)


def _commands() -> list[str]:
    """Every command, those of groups with the group's name."""
    found = []
    whole: Any = typer.main.get_command(app)
    for name, command in whole.commands.items():
        found += [name, *(f"{name} {each}" for each in getattr(command, "commands", ()))]
    return found

"""Fidelity to the papers: the page names files, settings and features that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evoked.features.catalog import CATALOG
from evoked.models import MODELS, model_class
from evoked.targets import TASKS

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = (REPOSITORY / "docs" / "fidelity.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and "---" not in line]


def problem_of(name: str) -> str | None:
    """What is wrong with a name on the page; None where nothing is."""
    place, _, setting = name.partition(".")
    if "/" in name and not name.startswith("-"):
        return None if (REPOSITORY / name).is_file() else "no such file"
    if place in MODELS:
        return None if setting in model_class(place).Settings.model_fields else "no such setting"
    if name.startswith("--"):
        commands = (REPOSITORY / "docs" / "commands.md").read_text(encoding="utf-8")
        return None if name.split(maxsplit=1)[0] in commands else "no such option"
    return None if "." not in name or name in CATALOG else "no such feature"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_what_the_page_names_is_there(row: str) -> None:
    assert len(row.split("|")) == 7, "five cells"
    problems = {name: problem_of(name) for name in re.findall(r"`([^`]+)`", row)}
    assert not {name: problem for name, problem in problems.items() if problem}
    for name in re.findall(r"task `([^`]+)`", row):
        assert name in TASKS


def test_what_is_not_there_is_found() -> None:
    for name in ("src/evoked/missing.py", "dual_attention.speed", "--fast", "image.sound"):
        assert problem_of(name), name

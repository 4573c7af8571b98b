"""What is installed holds all that the code reads, and the container is built from it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "src/evoked"
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_wheel_takes_every_file_that_is_no_code() -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["evoked"]
    taken = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    there = {
        path
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    }
    assert there - taken == set()
    for kind in ("templates/*.html", "static/*.css", "static/*.js", "static/*.svg", "texts/*.yaml"):
        assert set((PACKAGE / "serve").glob(kind)) & taken, kind


def test_the_container_copies_what_the_wheel_needs_and_no_more() -> None:
    said = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    copied = {
        word.strip("./")
        for line in re.findall(r"^COPY (.+) \S+$", said, re.M)
        for word in line.split()
    }
    ignored = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    assert {line[1:] for line in ignored if line.startswith("!")} == copied
    project = PROJECT["project"]
    needed = [project["readme"], *project["license-files"], "pyproject.toml", "src/evoked"]
    for name in needed:
        assert (REPOSITORY / name).exists(), name
        assert any(Path(name).is_relative_to(each) for each in copied), name
    extras = re.search(r"whl\)\[([\w,]+)\]", said)
    assert extras is not None
    assert set(extras[1].split(",")) <= set(project["optional-dependencies"])


def test_the_container_runs_as_nobody_in_particular_and_asks_for_a_token() -> None:
    said = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    last = said[said.rindex("FROM ") :]
    assert re.search(r"^USER (?!root|0)\w+$", last, re.M)
    assert "/health" in last
    desk = yaml.safe_load((REPOSITORY / "compose.yaml").read_text(encoding="utf-8"))
    service = desk["services"]["desk"]
    (secret,) = service["secrets"]
    assert f"/run/secrets/{secret}" in last
    token = desk["secrets"][secret]["file"]
    assert Path(token).name in (REPOSITORY / ".gitignore").read_text(encoding="utf-8").split()
    volumes = {each.split(":")[0]: each.split(":")[1] for each in service["volumes"]}
    assert set(volumes) == set(desk["volumes"])
    assert all(f'"{place}"' in last for place in volumes.values())

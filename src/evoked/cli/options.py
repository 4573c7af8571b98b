"""Options as they are typed, turned into what the code takes."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from evoked.errors import SettingsError

if TYPE_CHECKING:
    from evoked.runs.posts import Run
    from evoked.runs.viewings import NetworkRun


def load_any_run(folder: Path, cache: Path | None) -> Run | NetworkRun:
    """A run of posts or of viewings."""
    from evoked.features.cache import FeatureCache
    from evoked.runs.loading import load

    return load(folder, FeatureCache(cache))


def load_run(folder: Path, cache: Path | None) -> Run:
    """A run of posts."""
    from evoked.features.cache import FeatureCache
    from evoked.runs.posts import Run

    return Run.load(folder, FeatureCache(cache))


def pair(text: str, option: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise SettingsError(f"{option} takes NAME=VALUE, not {text!r}.")
    return name.strip(), value


def setting(text: str, option: str = "--set") -> tuple[str, Any]:
    name, value = pair(text, option)
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise SettingsError(f"{option} {name}: {value!r} is not a value.") from error


def scale(text: str) -> tuple[str, tuple[float, float]]:
    name, value = pair(text, "--scale")
    try:
        low, high = (float(end) for end in value.split(":"))
    except ValueError as error:
        raise SettingsError(f"--scale takes DIMENSION=LOW:HIGH, not {text!r}.") from error
    return name, (low, high)


def moment(text: str) -> datetime:
    """The date of ``--posted-at``, with or without the time of day."""
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(
            f"--posted-at: {text!r} is not a date; write year-month-day, such as 2024-05-13 or, "
            "with the time of day, 2024-05-13T18:30."
        ) from error


def check_picture(path: Path) -> Path:
    """A path, if it is a file's."""
    if path.is_dir():
        raise SettingsError(f"{path} is a folder: give one picture.")
    if not path.is_file():
        raise SettingsError(f"there is no picture {path}.")
    return path


def validated(kind: Any, **values: Any) -> Any:
    from pydantic import ValidationError

    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = "--" + str(first["loc"][0]).replace("_", "-")
        raise SettingsError(f"{name}: {first['msg']}.") from error

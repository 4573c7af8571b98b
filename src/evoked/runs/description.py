"""What a run's folder says about itself: run.json, read without what loading the run needs."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from evoked.errors import DataError
from evoked.files import (
    check_format_version,
    check_nothing_to_wait_for,
    damage,
    read_object,
    remove_leftovers,
)
from evoked.posts.facts import Fact
from evoked.posts.time_zones import zone_of

FORMAT_VERSION = 1
RUN_FILE = "run.json"
TRAIN_AGAIN = "Train the run again in a new folder"


class _Part(BaseModel):
    """A part of a file, as far as it is read; further entries stay as they are."""

    model_config = ConfigDict(extra="allow", strict=True)


class _Data(_Part):
    name: str
    sha256: str
    authors: int = Field(ge=0)
    time_zone: str | None = None
    with_valence: int = Field(alias="with valence")
    with_arousal: int = Field(alias="with arousal")


class _Model(_Part):
    name: str
    settings: dict[str, Any]


class _Split(_Part):
    kind: str
    reason: str
    train: int = 0
    validation: int = 0
    calibration: int = 0
    test: int = 0


class _Update(_Part):
    at: datetime = Field(strict=False)
    posts: int = Field(ge=0)
    retrained: bool


class _Description(_Part):
    """What run.json holds."""

    data: _Data
    rows: Literal["posts", "viewings"]
    model: _Model
    task: str
    features: dict[str, Any]
    training: dict[str, Any]
    split: _Split
    estimated_emotions: bool
    unseen: list[str]
    environment: dict[str, Any]
    facts: list[dict[str, Any]] = []
    updates: list[_Update] = []


class _Score(_Part):
    model: str
    target: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int


class _Coverage(_Part):
    outcome: str
    nominal: float
    coverage: float
    low: float | None
    high: float | None
    width: float | None
    n: int
    enough: bool


class _Influence(_Part):
    modality: str
    outcome: str
    change: float | None
    n: int


class _Metrics(_Part):
    """What metrics.json holds."""

    posts: int = Field(ge=0)
    scores: list[_Score]
    intervals: list[_Coverage]
    warnings: list[str]
    influence: list[_Influence] = []


def read_description(folder: Path) -> dict[str, Any]:
    """Contents of a run's run.json.

    Raises
    ------
    DataError
        The folder holds no finished run, or one of another format version, or a pipe or a device.
    """
    path = folder / RUN_FILE
    if not folder.exists():  # a killed update may have moved it aside
        remove_leftovers(folder.parent, folder.name)
    if not path.is_file():
        raise DataError(
            "not a finished run: there is no run.json in it.",
            file=folder,
            fix="Make one with 'evoked train', or start the same command again to finish it.",
        )
    check_nothing_to_wait_for(folder)
    description = read_object(path)
    check_format_version(description, FORMAT_VERSION, path, TRAIN_AGAIN)
    with damage(path, "the description of a run", f"{TRAIN_AGAIN}."):
        checked = _Description.model_validate(description)
        zone_of(checked.data.time_zone)
        for fact in checked.facts:
            Fact.from_dict(fact)
    return description


def read_metrics(file: Path) -> dict[str, Any]:
    """Contents of a run's metrics.json.

    Raises
    ------
    DataError
        The file is missing or damaged.
    """
    metrics = read_object(file)
    with damage(file, "the scores of a run", f"{TRAIN_AGAIN}."):
        _Metrics.model_validate(metrics)
    return metrics

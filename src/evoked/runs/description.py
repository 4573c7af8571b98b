"""What a run's folder says about itself: run.json, read without what loading the run needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evoked.errors import DataError
from evoked.files import check_format_version, read_json

FORMAT_VERSION = 1
RUN_FILE = "run.json"
TRAIN_AGAIN = "Train the run again in a new folder"


def read_description(folder: Path) -> dict[str, Any]:
    """Contents of a run's run.json.

    Raises
    ------
    DataError
        The folder holds no finished run, or one of another format version.
    """
    path = folder / RUN_FILE
    if not path.is_file():
        raise DataError(
            "not a finished run: there is no run.json in it.",
            file=folder,
            fix="Make one with 'evoked train', or start the same command again to finish it.",
        )
    description: dict[str, Any] = read_json(path)
    check_format_version(description, FORMAT_VERSION, path, TRAIN_AGAIN)
    return description

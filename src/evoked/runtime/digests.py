"""The digest of a run, by which an export is known to be its own."""

from __future__ import annotations

import hashlib
from pathlib import Path

# What predictions and their answers are made of, by names in a run's folder; folders with all that
# they hold.
_DECIDING = (
    "run.json",
    "model.json",
    "weights.safetensors",
    "members",
    "line",
    "features.json",
    "hashtags",
    "topics",
    "environment",
    "targets.json",
    "intervals.json",
    "metrics.json",
    "history.json",
    "profiles.json",
    "predictions.parquet",
    "truth.parquet",
    "baselines",
)


def run_digest(folder: Path) -> str:
    """SHA-256 of the files that decide what a run says of a draft."""
    digest = hashlib.sha256()
    for name in _DECIDING:
        path = folder / name
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file():
                with file.open("rb") as stream:
                    content = hashlib.file_digest(stream, "sha256").hexdigest()
                digest.update(f"{file.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()

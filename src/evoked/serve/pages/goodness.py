"""How good a run of viewings is: its scores beside the best trivial baseline's."""

from __future__ import annotations

from typing import Any

from evoked.errors import EvokedError
from evoked.serve.library import RunEntry

# Larger is better for all of them.
_METRICS = ("accuracy", "macro F1")


def best_scores(entry: RunEntry) -> list[dict[str, Any]]:
    """The main scores of a run of viewings, as its metrics.json has them, each with ``trivial``:
    that of the best trivial baseline; empty for others, and where the folder holds no scores."""
    try:
        scores = [] if entry.of_posts else entry.scores
    except EvokedError:
        return []
    found = []
    for metric in _METRICS:
        rows = [row for row in scores if row["metric"] == metric and row["value"] is not None]
        own = next((row for row in rows if row["model"] == entry.model), None)
        others = [row for row in rows if row["model"] != entry.model]
        if own is not None and others:
            found.append({**own, "trivial": max(others, key=lambda row: row["value"])})
    return found

"""The watch of a run at the desk: whether posts still come as they did when it was made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evoked.files import plain, records
from evoked.serve import advice
from evoked.serve.desk import Desk

if TYPE_CHECKING:
    from evoked.advice.review import Review


def drift(desk: Desk, run: str, dataset: str) -> Review:
    """A run's ledger held against the posts of a dataset; nothing has come if its name is empty."""
    return advice.review(desk, run, dataset)


def drift_dict(found: Review) -> dict[str, Any]:
    """What was watched, ready for JSON."""
    return {
        "kept": found.kept,
        "came": found.came,
        "watched": found.watched,
        "noun": found.watched_noun,
        "drift": [plain(each._asdict()) for each in found.drift],
        "trust": found.trust,
        "sentence": found.sentences[-1],
        "course": plain(records(found.course)),
    }


def drift_png(found: Review) -> bytes:
    """The watch, drawn."""
    from evoked.report.drift_chart import drift_png as drawn

    return drawn(found)

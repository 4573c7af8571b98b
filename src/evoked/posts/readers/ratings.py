"""Ratings by annotators: rows of the table of annotations, and their means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from evoked.posts.readers.base import Remark
from evoked.posts.readers.values import is_missing, parse_number
from evoked.posts.schema import MIKELS


@dataclass(frozen=True)
class Rating:
    """One annotator's answer on one dimension, not yet checked."""

    annotator: str | None
    dimension: str
    value: Any


def rating_rows(
    ratings: Iterable[Rating],
    scales: Mapping[str, tuple[float, float]],
    file: str,
    row: int | None,
) -> tuple[list[dict[str, Any]], list[Remark]]:
    """Rows of the table of annotations, and a remark on each rating outside its scale.

    Dimensions without a scale are left out.
    """
    rows: list[dict[str, Any]] = []
    remarks = []
    for rating in ratings:
        if rating.dimension not in scales or is_missing(rating.value):
            continue
        low, high = scales[rating.dimension]
        number = number_or_none(rating.value)
        if number is None or not low <= number <= high:
            why = "not on the scale of the ratings, left out"
            remarks.append(Remark(why, file, row, rating.dimension, str(rating.value)[:80]))
            continue
        rows.append(
            {"annotator_id": rating.annotator, "dimension": rating.dimension, "rating": number}
        )
    return rows, remarks


def number_or_none(value: Any) -> float | None:
    """A finite number, or None for anything else."""
    try:
        return parse_number(value)
    except ValueError:
        return None


def mean_ratings(rows: Iterable[dict[str, Any]]) -> dict[str, float]:
    """Mean rating by dimension, from rows of the table of annotations."""
    by_dimension: dict[str, list[float]] = {}
    for row in rows:
        by_dimension.setdefault(row["dimension"], []).append(row["rating"])
    return {name: sum(values) / len(values) for name, values in by_dimension.items()}


def prevailing_emotion(chosen: Iterable[Any]) -> str | None:
    """The emotion chosen most often; None on a draw, or if no choice is one of Mikels' eight."""
    names = (str(value).strip().casefold() for value in chosen)
    votes = Counter(name for name in names if name in MIKELS).most_common(2)
    if not votes or (len(votes) == 2 and votes[0][1] == votes[1][1]):
        return None
    return votes[0][0]

"""Guess which column of a table holds which field, and on which scale ratings were made."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from evoked.errors import SettingsError
from evoked.posts.readers.names import Recognised, fields, normalise, recognise
from evoked.posts.schema import EMOTIONS, POSTS, SCALES

CAROUSEL = "carousel"
"""A field of its own: some sources only say whether a post is a carousel."""

TIME_OF_DAY = "posted_time"
"""A field of its own: some sources give the day in one column and the time in another."""

# Single letters are taken for ratings only if a table has both v and a.
_LETTERS = {"valence": "v", "arousal": "a", "dominance": "d"}

_RATER_COLUMN = re.compile(r"(valence|arousal|dominance)(?:rating|rater|annotator)?(\d+)")

_COMMON_SCALES: tuple[Mapping[str, tuple[float, float]], ...] = (
    dict.fromkeys(EMOTIONS, (0.0, 1.0)),
    dict.fromkeys(EMOTIONS, (-1.0, 1.0)),
    dict.fromkeys(EMOTIONS, (1.0, 5.0)),
    dict.fromkeys(EMOTIONS, (1.0, 7.0)),
    dict.fromkeys(EMOTIONS, (1.0, 9.0)),
    SCALES,
    dict.fromkeys(EMOTIONS, (1.0, 10.0)),
    dict.fromkeys(EMOTIONS, (0.0, 10.0)),
    dict.fromkeys(EMOTIONS, (0.0, 100.0)),
)


def choose_mapping(columns: Sequence[str], overrides: Mapping[str, str]) -> dict[str, str]:
    """Which column holds which field, guessed from the names unless a person decided.

    Parameters
    ----------
    columns
        Names of the source's columns.
    overrides
        Column by field; an empty name leaves the field out. Case, spaces and punctuation are
        ignored.

    Raises
    ------
    SettingsError
        An override names a field or a column that doesn't exist.
    """
    return recognise_columns(columns, overrides).mapping


def recognise_columns(
    columns: Sequence[str],
    overrides: Mapping[str, str],
    cells: Mapping[str, Sequence[Any]] | None = None,
) -> Recognised:
    """As :func:`choose_mapping`, but guessed from some cells of each column as well."""
    by_name = {normalise(column): column for column in reversed(columns)}
    decided = {field: _decide(field, name, columns, by_name) for field, name in overrides.items()}
    open_columns = [column for column in columns if column not in decided.values()]
    found = recognise(open_columns, cells, taken=list(decided))
    guessed = found.mapping
    if (
        cells is None
        and "caption" not in guessed
        and normalise(guessed.get("post_id", "")) == "post"
    ):
        guessed["caption"] = guessed.pop("post_id")  # the post itself, not its number
    if {"v", "a"} <= by_name.keys():
        letters = {field: letter for field, letter in _LETTERS.items() if letter in by_name}
        guessed |= {
            field: by_name[letter] for field, letter in letters.items() if field not in guessed
        }
    mapping = guessed | {field: column for field, column in decided.items() if column}
    ordered = {field: mapping[field] for field in fields() if field in mapping}
    spares = {name: column for name, column in found.spares.items() if name in ordered}
    return Recognised(ordered, found.platform, found.rivals, spares)


def _decide(field: str, name: str, columns: Sequence[str], by_name: Mapping[str, str]) -> str:
    if field not in fields():
        raise SettingsError(
            f"there is no field {field!r} to map a column to; there are {', '.join(POSTS.names)}."
        )
    if not name or name in columns:
        return name
    if normalise(name) not in by_name:
        raise SettingsError(
            f"field {field}: the source has no column {name!r}; it has {', '.join(columns)}."
        )
    return by_name[normalise(name)]


def choose_rater_columns(
    columns: Sequence[str], mapping: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """Columns with one annotator's ratings each, such as ``Valence1`` and ``Valence2``.

    Returns
    -------
    For each dimension that no column of ``mapping`` holds, the column of each annotator's number.
    A single column doesn't count.
    """
    found: dict[str, dict[str, str]] = {}
    for column in columns:
        match = _RATER_COLUMN.fullmatch(normalise(column))
        if match and match[1] not in mapping:
            found.setdefault(match[1], {})[match[2]] = column
    return {name: raters for name, raters in found.items() if len(raters) > 1}


def check_scales(scales: Mapping[str, tuple[float, float]]) -> None:
    """Raise SettingsError for an unknown dimension, or a scale without extent."""
    for dimension, (low, high) in scales.items():
        if dimension not in EMOTIONS:
            raise SettingsError(
                f"there is no dimension {dimension!r}; there are {', '.join(EMOTIONS)}."
            )
        if not low < high:
            raise SettingsError(
                f"scale of {dimension}: {low:g}:{high:g} does not run from a lower to a higher end."
            )


def choose_scales(
    ranges: Mapping[str, tuple[float, float]], declared: Mapping[str, tuple[float, float]]
) -> tuple[dict[str, tuple[float, float]], list[str]]:
    """The scale of each rated dimension, and a note on every one that was guessed.

    A scale is guessed only for all undeclared dimensions together: the first common one (0–1, −1–1,
    1–5, 1–7, 1–9, this project's own, 1–10, 0–10, 0–100) that contains every rating, if the ratings
    of some dimension span at least half of it. Otherwise the dimensions are left out, and a note
    says so.

    Parameters
    ----------
    ranges
        Lowest and highest rating found, by dimension.
    declared
        Scales that a person gave.
    """
    check_scales(declared)
    open_ranges = {name: found for name, found in ranges.items() if name not in declared}
    chosen = {name: declared[name] for name in ranges if name in declared}
    if not open_ranges:
        return chosen, []
    guess = next((scales for scales in _COMMON_SCALES if _fits(open_ranges, scales)), None)
    if guess is None:
        found = ", ".join(
            f"{name} {low:g} to {high:g}" for name, (low, high) in open_ranges.items()
        )
        return chosen, [
            f"Ratings are left out, since no common scale fits them ({found}). Say on which scale "
            f"they were made, for example --scale {next(iter(open_ranges))}=1:9."
        ]
    notes = [
        f"Scale of {name} guessed as {guess[name][0]:g} to {guess[name][1]:g}, since they run "
        f"from {low:g} to {high:g}. If that is wrong: --scale {name}=LOW:HIGH."
        for name, (low, high) in open_ranges.items()
    ]
    return chosen | {name: guess[name] for name in open_ranges}, notes


def _fits(
    ranges: Mapping[str, tuple[float, float]], scales: Mapping[str, tuple[float, float]]
) -> bool:
    inside = all(
        scales[name][0] <= low and high <= scales[name][1] for name, (low, high) in ranges.items()
    )
    return inside and any(
        high - low >= (scales[name][1] - scales[name][0]) / 2
        for name, (low, high) in ranges.items()
    )

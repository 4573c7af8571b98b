"""What a table of posts seems to lack, and which of its other columns may hold it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from evoked.posts.readers.base import PICTURE_SUFFIXES
from evoked.posts.readers.values import is_missing, parse_count, parse_date
from evoked.posts.schema import COUNTS

# Columns that a sentence names where several may hold what is lacking.
_NAMED = 5
# Of a column that holds something, most cells do; texts shorter than this are labels.
_MOST = 0.5
_CAPTION_CHARACTERS = 12


def lacking(
    fields: Iterable[str], columns: Sequence[str], rows: Iterable[Mapping[str, Any]]
) -> list[str]:
    """A sentence for each field that no column of a table was recognised to hold.

    Parameters
    ----------
    fields
        Those that are missed: counts, ``caption``, ``title``, ``author_id``, ``posted_at`` or
        ``images``. Posts do without pictures, so these are missed only where a column looks as
        if it held them.
    columns
        Names of the columns that hold no other field.
    rows
        Some rows of the table: cells by column.

    Returns
    -------
    Sentences that also name the columns which look as if they held it, and how to say so.
    """
    cells: dict[str, list[Any]] = {column: [] for column in columns}
    for row in rows:
        for column, values in cells.items():
            values.append(row.get(column))
    sentences = (
        _sentence(field, [name for name in columns if _mostly(cells[name], _LOOKS[field])])
        for field in fields
    )
    return [sentence for sentence in sentences if sentence]


def _sentence(field: str, candidates: Sequence[str]) -> str:
    if not candidates and field == "images":
        return ""
    if not candidates:
        return f"No column holds {_WORDS[field]}."
    if len(candidates) == 1:
        given = shlex.quote(f"{field}={candidates[0]}")
        return (
            f"No column is recognised to hold {_WORDS[field]}. If {candidates[0]!r} does: "
            f"--map {given}"
        )
    more = len(candidates) - _NAMED
    return (
        f"No column is recognised to hold {_WORDS[field]}. Say which does: --map {field}=COLUMN, "
        f"perhaps {', '.join(candidates[:_NAMED])}" + (f" or {more} more." if more > 0 else ".")
    )


def _mostly(values: Sequence[Any], looks_right: Callable[[Any], bool]) -> bool:
    known = [value for value in values if not is_missing(value)]
    right = sum(map(looks_right, known))
    return bool(known) and right == len(known) and right >= _MOST * len(values)


def _is_count(value: Any) -> bool:
    try:
        return parse_count(value) is not None
    except ValueError:
        return False


def _is_text(value: Any) -> bool:
    return (
        isinstance(value, str)
        and len(value.strip()) >= _CAPTION_CHARACTERS
        and not _is_count(value)
        and not _is_date(value)
        and not _is_picture(value)
        and "://" not in value
    )


def _is_label(value: Any) -> bool:
    return isinstance(value, str) and not _is_count(value) and not _is_date(value)


def _is_picture(value: Any) -> bool:
    return isinstance(value, str) and value.strip().lower().endswith(PICTURE_SUFFIXES)


def _is_date(value: Any) -> bool:
    try:
        return parse_date(value) is not None
    except ValueError:
        return False


_WORDS = {
    **{name: name for name in COUNTS},
    "caption": "captions",
    "title": "titles",
    "posted_at": "a date",
    "images": "pictures",
    "author_id": "authors",
}
_LOOKS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(COUNTS, _is_count),
    "title": _is_text,
    "author_id": _is_label,
    "caption": _is_text,
    "posted_at": _is_date,
    "images": _is_picture,
}

"""Drafts in a table: a row each, with the columns that an import knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from evoked.errors import DataError, EvokedError, ImageError, SettingsError
from evoked.posts.cleaning import clean
from evoked.posts.drafts import Draft
from evoked.posts.readers import READERS
from evoked.posts.readers.base import PostRecord, ReadOptions, Remark
from evoked.posts.readers.values import is_missing

# The reader of each kind of table, by how its name ends.
_READERS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".parquet": "parquet",
    ".xlsx": "xlsx",
}
TABLE_SUFFIXES = tuple(_READERS)
# Columns of the posts table by the field of a draft that they fill.
_COLUMNS = {
    "caption": "caption",
    "title": "title",
    "hashtags": "hashtags",
    "author": "author_id",
    "category": "category",
    "followers": "followers",
    "following": "following",
    "author_posts": "author_posts",
    "paid": "paid",
    "posted_at": "posted_at",
    "media_type": "media_type",
}
# Columns of posts that say when a post appeared, which of a draft only a date says.
_WITHOUT_DATE = ("posted_hour", "posted_weekday")
_MOST_DRAFTS = 10_000


def read_drafts(path: Path, usual: Draft) -> tuple[list[Draft], list[Remark]]:
    """The drafts of a table, and remarks on values that could not be read.

    Parameters
    ----------
    path, usual
        As in :func:`draft_rows`.

    Raises
    ------
    DataError
        As of :func:`draft_rows`, or a picture that is not there.
    SettingsError
        The file's name doesn't end as one of a table.
    """
    drafts: list[Draft] = []
    remarks: list[Remark] = []
    for row in draft_rows(path, usual):
        if isinstance(row, EvokedError):
            raise row
        if isinstance(row, Remark):
            remarks.append(row)
        else:
            drafts.append(row)
    return drafts, remarks


def draft_rows(path: Path, usual: Draft) -> Iterator[Draft | Remark | DataError]:
    """The rows of a table of drafts, read as they are needed: a draft, or why there is none (its
    picture can't be read), each after the remarks on its values.

    Parameters
    ----------
    path
        A CSV, JSON Lines or Parquet file or an Excel workbook with a row per draft; names of
        pictures start from its folder.
    usual
        What holds for drafts whose row doesn't say otherwise.

    Raises
    ------
    DataError
        The file can't be read, has no row, or more than 10,000.
    SettingsError
        Its name doesn't end as one of a table.
    """
    if path.suffix.lower() not in _READERS:
        endings = ", ".join(TABLE_SUFFIXES)
        raise SettingsError(f"{path.name}: a table of drafts ends in {endings}.")
    source = READERS[_READERS[path.suffix.lower()]](path, ReadOptions())
    number = 0
    for record in source.records:
        if isinstance(record, Remark):
            yield record
            continue
        if number == _MOST_DRAFTS:
            raise DataError(f"more than {_MOST_DRAFTS:,} drafts.", file=path)
        number += 1
        row, remarks = clean(record)
        yield from [*remarks, *_undated(row, number)]
        try:
            yield _draft(record, row, usual, number)
        except ImageError as error:
            yield error
    if not number:
        raise DataError("no draft in it.", file=path, fix="Give a row per draft.")


def _undated(row: Mapping[str, Any], number: int) -> list[Remark]:
    """Remarks on hours and weekdays without a date, of the first row, as they are of all."""
    if number > 1 or row.get("posted_at") is not None:
        return []
    why = "not read of drafts: give the date and time at which each will appear (posted_at)"
    return [
        Remark(why, row=number, field=name, value=f"{row[name]:g}")
        for name in _WITHOUT_DATE
        if row.get(name) is not None
    ]


def _draft(record: PostRecord, row: Mapping[str, Any], usual: Draft, number: int) -> Draft:
    """The draft of a row; its id is its name, or else its number in the table."""
    said = {field: row.get(column) for field, column in _COLUMNS.items()}
    given = {field: value for field, value in said.items() if value is not None}
    # A cover that can't be read is an error here: a draft without its picture is another draft.
    image = record.images[0].read() if record.images else usual.image
    unnamed = is_missing(record.fields.get("post_id"))
    name = f"row {number}" if unnamed else str(row["post_id"])
    return replace(usual, **given, image=image, name=name)

"""IAED, the annotated Instagram ads of ABMF (Section 3.1), in a layout of our own.

The dataset isn't public and its paper names no files, so it has to be arranged like this::

    iaed/
        posts.csv         id, category, caption, hashtags, image, likes, comments, shares, saves,
                          followers, and anything else that a CSV of posts may hold
        annotations.csv   id, annotator, valence, arousal (and dominance), on the 9-point scale
        …                 pictures, named in posts.csv relative to this folder
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from evoked.errors import DataError
from evoked.posts.readers.base import (
    PostRecord,
    ReadOptions,
    Remark,
    Skipped,
    Source,
    require_folder,
)
from evoked.posts.readers.columns import check_scales, choose_mapping, normalise
from evoked.posts.readers.csv_file import open_table
from evoked.posts.readers.ratings import Rating, mean_ratings, rating_rows
from evoked.posts.readers.tabular import read_table
from evoked.posts.readers.values import plain_text
from evoked.posts.schema import EMOTIONS

NINE_POINTS = (1.0, 9.0)

_ANNOTATOR_NAMES = ("annotator", "annotatorid", "rater", "raterid", "worker", "user")
_Ratings = dict[str, list[dict[str, Any]]]


def read(source: Path, options: ReadOptions) -> Source:
    """Posts with the ratings of each annotator; a post's own ratings are their means.

    All posts count as paid unless a column says otherwise. The annotations are held in memory, the
    posts are not.

    Raises
    ------
    DataError
        ``posts.csv`` or ``annotations.csv`` is missing, or has no column that is recognised.
    SettingsError
        A mapping or a scale of something that doesn't exist.
    """
    require_folder(source)
    check_scales(options.scales)
    scales = dict.fromkeys(EMOTIONS, NINE_POINTS) | dict(options.scales)
    ratings, remarks = _annotations(source / "annotations.csv", scales)
    reading = read_table(open_table(source / "posts.csv"), replace(options, scales={}))
    if "post_id" not in reading.mapping:
        raise DataError(
            "no column holds the posts' ids, to which the annotations refer.",
            file=source / "posts.csv",
            fix="Say which does: --map post_id=COLUMN.",
        )
    rated = {row["dimension"] for rows in ratings.values() for row in rows}
    reading.scales = {name: scale for name, scale in scales.items() if name in rated}
    reading.records = _join(reading.records, ratings, remarks)
    reading.total = None
    return reading


def _annotations(
    path: Path, scales: Mapping[str, tuple[float, float]]
) -> tuple[_Ratings, list[Remark]]:
    table = open_table(path)
    mapping = choose_mapping(table.columns, {})
    annotator = next(
        (column for column in table.columns if normalise(column) in _ANNOTATOR_NAMES), ""
    )
    dimensions = [name for name in EMOTIONS if name in mapping]
    if "post_id" not in mapping or not dimensions:
        raise DataError(
            f"expected columns id, annotator, valence, arousal; found {', '.join(table.columns)}.",
            file=path,
            fix="Name the columns like this.",
        )
    ratings: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    remarks: list[Remark] = []
    for item in table.rows():
        if isinstance(item, Skipped):
            remarks.append(Remark(item.why, item.file, item.row))
            continue
        number, row = item
        person = plain_text(row.get(annotator, "")) or None
        given = [Rating(person, name, row.get(mapping[name])) for name in dimensions]
        rows, further = rating_rows(given, scales, path.name, number)
        ratings[plain_text(row.get(mapping["post_id"])).strip()] += rows
        remarks += further
    return dict(ratings), remarks


def _join(
    records: Iterator[PostRecord | Remark], ratings: _Ratings, remarks: list[Remark]
) -> Iterator[PostRecord | Remark]:
    left = dict(ratings)
    yield from remarks
    for record in records:
        if isinstance(record, PostRecord):
            identifier = plain_text(record.fields.get("post_id") or "").strip()
            rows = left.pop(identifier, [])
            record.fields |= mean_ratings(rows)
            record.fields.setdefault("paid", True)  # adverts, all of them
            record.tables["annotations"] = rows
        yield record
    for identifier in left:
        yield Remark(
            "annotations of a post that posts.csv lacks", "annotations.csv", None, "id", identifier
        )

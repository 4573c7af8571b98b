"""Turn a post as a source has it into a row of the posts table, the same way for every format.

A value that can't be understood or can't be true becomes missing, with a remark; the post is kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from evoked.posts.readers.base import PostRecord, Remark
from evoked.posts.readers.values import (
    Unreadable,
    hashtags_in,
    is_missing,
    mentions_in,
    parse_bool,
    parse_count,
    parse_date,
    parse_emotion,
    parse_hour,
    parse_media_type,
    parse_number,
    parse_presence,
    parse_split,
    parse_tags,
    parse_weekday,
    plain_text,
)
from evoked.posts.schema import (
    COUNTS,
    EMOTIONS,
    FACT_PREFIX,
    MAX_CAPTION_CHARACTERS,
    SCALES,
    convert_scale,
)
from evoked.posts.time_zones import local_hour, local_weekday, zone_of

_MAX_NAME_CHARACTERS = 1000
_MAX_TAGS = 1000
_MAX_REMARK_CHARACTERS = 80
_TEXT_LIMITS = {
    "title": MAX_CAPTION_CHARACTERS,
    "caption": MAX_CAPTION_CHARACTERS,
    **dict.fromkeys(("post_id", "author_id", "category", "language"), _MAX_NAME_CHARACTERS),
}
_PARSERS: dict[str, Callable[[Any], Any]] = {
    "posted_at": parse_date,
    "posted_hour": parse_hour,
    "posted_weekday": parse_weekday,
    "hashtags": parse_tags,
    "mentions": parse_tags,
    "media_type": parse_media_type,
    "paid": parse_bool,
    "has_location": parse_presence,
    **dict.fromkeys(COUNTS, parse_count),
    **dict.fromkeys(EMOTIONS, parse_number),
    "emotion": parse_emotion,
    "split": parse_split,
}


def clean(record: PostRecord, time_zone: str | None = None) -> tuple[dict[str, Any], list[Remark]]:
    """A row of the posts table, without its pictures, and remarks on what had to be corrected.

    Ratings stay on the source's scale (see :func:`convert_ratings`). A post without an id gets one
    made from its content. The title of a post without a caption is its caption, too. Hashtags and
    mentions come from the caption if the source has no field for them. With a time zone, dates
    without an offset are in it, and the hour and the weekday are those of its clocks, unless the
    source gives them.
    """
    zone = zone_of(time_zone)
    row: dict[str, Any] = {}
    remarks = list(record.remarks)

    def remark(field: str, why: str, value: Any) -> None:
        shown = plain_text(value)[:_MAX_REMARK_CHARACTERS]
        remarks.append(Remark(why, record.file, record.row, field, shown))

    for field, value in record.fields.items():
        if value is None:
            continue
        if isinstance(value, Unreadable):
            remark(field, f"{value}, left empty", "")
            continue
        if field.startswith(FACT_PREFIX):
            row[field] = value  # whose kind the reader knows
            continue
        if field in _TEXT_LIMITS:
            row[field] = _clean_text(field, value, _TEXT_LIMITS[field], remark)
            continue
        try:
            parse = partial(parse_date, zone=zone) if field == "posted_at" else _PARSERS[field]
            row[field] = parse(value)
        except ValueError as error:
            remark(field, f"{error}, left empty", value)
    if is_missing(row.get("post_id")):
        row["post_id"] = content_id(record)
    if time_zone is not None and row.get("posted_at") is not None:
        row.setdefault("posted_hour", local_hour(row["posted_at"], zone))
        row.setdefault("posted_weekday", local_weekday(row["posted_at"], zone))
    if is_missing(row.get("caption")) and row.get("title") is not None:
        row["caption"] = row["title"]
    _add_tags(row, record)
    row.setdefault("media_type", None)
    if row["media_type"] is None and record.images:
        row["media_type"] = "carousel" if len(record.images) > 1 else "image"
    return row, remarks


def _clean_text(
    field: str, value: Any, limit: int, remark: Callable[[str, str, Any], None]
) -> str | None:
    text = plain_text(value)
    if isinstance(value, str) and len(text) < len(value):
        remark(field, "characters that can't be stored, removed", text)
    if len(text) > limit:
        remark(field, f"longer than {limit:,} characters, cut", text)
        text = text[:limit]
    if limit == _MAX_NAME_CHARACTERS:
        text = text.strip()
    return text or None


def _add_tags(row: dict[str, Any], record: PostRecord) -> None:
    caption = row.get("caption")
    for field, find in (("hashtags", hashtags_in), ("mentions", mentions_in)):
        if field not in record.fields and caption is not None:
            row[field] = find(caption)
        if row.get(field):
            row[field] = row[field][:_MAX_TAGS]


def content_id(record: PostRecord) -> str:
    """An id made from the content of a post: equal content gets an equal id."""
    content = record.fields if record.content is None else dict(record.content)
    canonical = json.dumps(content, sort_keys=True, default=str)
    return "post-" + hashlib.sha256(canonical.encode()).hexdigest()[:20]


def convert_ratings(
    rows: Iterable[dict[str, Any]], scales: Mapping[str, tuple[float, float]]
) -> list[tuple[int, str]]:
    """Convert the ratings of rows to this project's scales, in place.

    Ratings outside their scale, and those whose scale isn't known, become missing.

    Returns
    -------
    Row number and dimension of each rating that was left out.
    """
    rows = list(rows)
    left_out = []
    for dimension in EMOTIONS:
        values = [row.get(dimension) for row in rows]
        ratings = np.array([np.nan if value is None else value for value in values], dtype=float)
        low, high = scales.get(dimension, (np.inf, -np.inf))
        outside = (ratings < low) | (ratings > high)
        left_out += [(int(number), dimension) for number in np.flatnonzero(outside)]
        ratings[outside] = np.nan
        if not np.isnan(ratings).all():
            ratings = convert_scale(ratings, (low, high), SCALES[dimension])
        for row, rating in zip(rows, ratings.tolist(), strict=True):
            row[dimension] = None if np.isnan(rating) else rating
    return left_out

"""The columns of every table of a dataset, and the scales of emotion.

Every column but the identifiers may be missing, entirely or in single rows. Unknown counts, ratings
and dates are null, never zero.

Scales of this project (ABMF, Section 3.2): *valence* in [-4, 4], *arousal* in [0, 8], *dominance*
in [-4, 4]. A rating r on a 9-point scale becomes the valence r - 5, the arousal r - 1 and the
dominance r - 5. :func:`convert_scale` converts any other scale to these.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

from evoked.errors import DataError
from evoked.posts.vocabulary import (  # noqa: F401 (whoever reads tables finds their words here)
    COUNTS,
    EMOTION_SEPARATOR,
    EMOTIONS,
    ENGAGEMENT,
    EXPECTED_VIEWS,
    EXPOSURE,
    FACT_PREFIX,
    MAX_CAPTION_CHARACTERS,
    MAX_COUNT,
    MIKELS,
    SCALES,
    SPLITS,
)

TIMESTAMP = pa.timestamp("us", tz="UTC")
_TEXTS = pa.list_(pa.string())

POSTS = pa.schema(
    [
        pa.field("post_id", pa.string(), nullable=False),
        ("author_id", pa.string()),
        ("posted_at", TIMESTAMP),
        # By local clocks, Monday = 0: for datasets with a time zone, and for sources that give the
        # hour and the weekday but no date.
        ("posted_hour", pa.float64()),
        ("posted_weekday", pa.float64()),
        ("title", pa.string()),
        ("caption", pa.string()),
        ("hashtags", _TEXTS),  # without '#'
        ("mentions", _TEXTS),  # without '@'
        ("images", _TEXTS),  # plain names of files in images/; the first is the cover
        ("media_type", pa.string()),  # image, carousel, video, text
        ("category", pa.string()),
        ("language", pa.string()),
        ("paid", pa.bool_()),
        ("has_location", pa.bool_()),
        ("followers", pa.int64()),
        ("following", pa.int64()),
        ("author_posts", pa.int64()),
        ("likes", pa.int64()),
        ("comments", pa.int64()),
        ("shares", pa.int64()),
        ("saves", pa.int64()),
        ("views", pa.int64()),
        ("reach", pa.int64()),
        ("impressions", pa.int64()),
        ("valence", pa.float64()),  # [-4, 4]
        ("arousal", pa.float64()),  # [0, 8]
        ("dominance", pa.float64()),  # [-4, 4]
        ("emotion", pa.string()),  # one of Mikels' eight
        ("split", pa.string()),  # train, validation, test
    ]
)

ANNOTATIONS = pa.schema(
    [
        pa.field("post_id", pa.string(), nullable=False),
        ("annotator_id", pa.string()),
        ("dimension", pa.string()),  # valence, arousal, dominance
        ("rating", pa.float64()),  # as given; its scale is in dataset.json
    ]
)
VIEWINGS = pa.schema(
    [
        ("user_id", pa.string()),
        ("post_id", pa.string()),
        ("viewed_at", TIMESTAMP),
        ("comment", pa.string()),
        ("emotion", pa.string()),
        ("generated", pa.bool_()),  # whether a model wrote the comment; null: no model was asked
    ]
)
CONNECTIONS = pa.schema([("user_id", pa.string()), ("other_id", pa.string())])
GROUPS = pa.schema([("group_id", pa.string()), ("name", pa.string()), ("description", pa.string())])
MEMBERSHIPS = pa.schema([("user_id", pa.string()), ("group_id", pa.string())])
ACTIVITY = pa.schema(
    [
        pa.field("post_id", pa.string(), nullable=False),
        ("hours", pa.float64()),  # since the post appeared
        ("likes", pa.int64()),  # so far, as are the other counts
        ("comments", pa.int64()),
        ("shares", pa.int64()),
        ("saves", pa.int64()),
    ]
)
# When the counts in the table of posts were observed; no model reads it.
OBSERVATIONS = pa.schema(
    [pa.field("post_id", pa.string(), nullable=False), ("observed_at", TIMESTAMP)]
)

TABLES: dict[str, pa.Schema | None] = {
    "posts": POSTS,
    "annotations": ANNOTATIONS,
    "viewings": VIEWINGS,
    "connections": CONNECTIONS,
    "groups": GROUPS,
    "memberships": MEMBERSHIPS,
    "activity": ACTIVITY,
    "observations": OBSERVATIONS,
    # The latent truth of a synthetic dataset; no model reads it. Its columns are the generator's.
    "truth": None,
}

_FACT_TYPES = (pa.float64(), pa.bool_(), pa.string(), _TEXTS)

# What pandas' dates in nanoseconds can hold, and finite numbers.
_BOUNDS_BY_TYPE: dict[pa.DataType, tuple[Any, Any]] = {
    TIMESTAMP: (datetime(1700, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)),
    pa.float64(): (-1e300, 1e300),
}
_BOUNDS: dict[str, tuple[Any, Any]] = {
    **dict.fromkeys(COUNTS, (0, MAX_COUNT)),
    "posted_hour": (0.0, 24.0),
    "posted_weekday": (0.0, 6.0),
}


def convert_scale(
    values: ArrayLike, source: tuple[float, float], target: tuple[float, float]
) -> NDArray[np.float64]:
    """Convert ratings linearly from one scale to another.

    Parameters
    ----------
    values
        Ratings, any shape; NaN stays NaN.
    source, target
        Lowest and highest point of each scale, such as ``(1, 9)`` and ``(-4, 4)``.

    Raises
    ------
    DataError
        A scale whose lower end is not below its higher end, or a rating outside the source scale.

    Examples
    --------
    >>> convert_scale([1, 3, 5], source=(1, 5), target=(-4, 4)).tolist()
    [-4.0, 0.0, 4.0]
    """
    (low, high), (target_low, target_high) = source, target
    if not high > low or not target_high > target_low:
        raise DataError(f"a scale runs from a lower to a higher end, not {source} or {target}.")
    ratings = np.asarray(values, dtype=np.float64)
    outside = (ratings < low - 1e-9) | (ratings > high + 1e-9)
    if outside.any():
        raise DataError(
            f"{int(outside.sum())} ratings lie outside the scale {low:g} to {high:g}, "
            f"{ratings[outside][0]:g} for one.",
            fix="Give the scale that the ratings were made on.",
        )
    return target_low + (ratings - low) / (high - low) * (target_high - target_low)


def conform(table: pa.Table, schema: pa.Schema, name: str, file: object | None = None) -> pa.Table:
    """Give ``table`` the columns, order and types of ``schema``; absent columns become null.

    A table of posts may have columns of facts as well, which follow in alphabetical order.

    Parameters
    ----------
    name
        Of the table.
    file
        What errors call the table; by its name by default.

    Raises
    ------
    DataError
        A column that the schema doesn't have or that occurs twice, values that can't be converted
        to its type, or a date, a count or a number that none can be.
    """
    file = f"table {name}" if file is None else file
    repeated = {column for column in table.column_names if table.column_names.count(column) > 1}
    if repeated:
        raise DataError(f"the columns {sorted(repeated)} occur twice.", file=file)
    if schema is POSTS:
        schema = with_facts(_fact_types(table, file))
        table = _without_unknown_facts(table)
    unknown = [column for column in table.column_names if column not in schema.names]
    if unknown:
        raise DataError(
            f"unknown columns {unknown} in the table {name!r}; known are {schema.names}.",
            file=file,
            fix="Rename them or leave them out.",
        )
    columns: list[Any] = []
    for field in schema:
        if field.name not in table.column_names:
            columns.append(pa.nulls(table.num_rows, field.type))
            continue
        try:
            columns.append(table.column(field.name).cast(field.type))
        except pa.ArrowException as error:
            raise DataError(
                f"values are not of type {field.type} ({str(error)[:200]}).",
                file=file,
                field=field.name,
            ) from error
    for field, column in zip(schema, columns, strict=True):
        _check_values(field, column, file)
    return pa.Table.from_arrays(columns, schema=schema)


def _check_values(field: pa.Field, column: Any, file: object) -> None:
    """Raise DataError for a value that is impossible, whoever wrote it."""
    if not field.nullable and column.null_count:
        row = pc.index(pc.is_null(column), True).as_py() + 1
        raise DataError("every post needs an id.", file=file, row=row, field=field.name)
    if pa.types.is_list(field.type):
        if (
            field.name != "images"
            and isinstance(column, pa.ChunkedArray)
            and pc.list_flatten(column).null_count
        ):
            missing = pc.list_parent_indices(column).filter(pc.is_null(pc.list_flatten(column)))
            raise DataError(
                "an empty value in a list.", file=file, row=missing[0].as_py() + 1, field=field.name
            )
        return
    bounds = _BOUNDS.get(field.name, _BOUNDS_BY_TYPE.get(field.type))
    if bounds is None:
        return
    low, high = (pa.scalar(bound, field.type) for bound in bounds)
    wrong = pc.or_(pc.less(column, low), pc.greater(column, high))
    first = pc.index(pc.fill_null(wrong, False), True).as_py()
    if first >= 0:
        raise DataError(
            f"{str(column[first])[:100]} can't be; expected {bounds[0]} to {bounds[1]}.",
            file=file,
            row=first + 1,
            field=field.name,
        )


def with_facts(types: Mapping[str, pa.DataType]) -> pa.Schema:
    """The schema of posts with columns of facts, given their types by column."""
    return pa.schema([*POSTS, *sorted(types.items())])


def _without_unknown_facts(table: pa.Table) -> pa.Table:
    """The table without columns of facts whose kind nobody can know, since they have no value."""
    empty = [
        field.name
        for field in table.schema
        if field.name.startswith(FACT_PREFIX) and pa.types.is_null(field.type)
    ]
    return table.drop_columns(empty)


def _fact_types(table: pa.Table, file: object) -> dict[str, pa.DataType]:
    """The types that a table's columns of facts should have; those without a value are left out."""
    found = {}
    for field in table.schema:
        if not field.name.startswith(FACT_PREFIX) or pa.types.is_null(field.type):
            continue
        is_number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
        kind = pa.float64() if is_number else field.type
        kind = _TEXTS if pa.types.is_list(kind) else kind
        kind = pa.string() if pa.types.is_large_string(kind) else kind
        if kind not in _FACT_TYPES:
            raise DataError(
                f"a fact is of type {field.type}; expected a number, a text, yes or no, or a list "
                "of texts.",
                file=file,
                field=field.name,
            )
        found[field.name] = kind
    return found

"""Posts from tables, as CSV, JSON Lines and Parquet hold them: rows with named columns."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from evoked.errors import DataError, SettingsError
from evoked.posts.readers.addresses import id_in_address
from evoked.posts.readers.base import (
    PICTURE_SUFFIXES,
    PostRecord,
    ReadOptions,
    Remark,
    Skipped,
    Source,
    deeper_files,
    file_image,
    is_file_in,
)
from evoked.posts.readers.columns import (
    CAROUSEL,
    TIME_OF_DAY,
    choose_rater_columns,
    choose_scales,
    recognise_columns,
)
from evoked.posts.readers.conventions import Conventions
from evoked.posts.readers.dates import has_time
from evoked.posts.readers.fact_columns import (
    Cells,
    FactColumn,
    are_drafts,
    choose_columns,
    settle_columns,
    suggested,
)
from evoked.posts.readers.lacking import lacking
from evoked.posts.readers.names import Recognised, expected_of, means_nothing
from evoked.posts.readers.not_posts import NotPosts, only_posts
from evoked.posts.readers.object_cells import without_objects
from evoked.posts.readers.outcome_names import is_outcome
from evoked.posts.readers.ratings import Rating, mean_ratings, number_or_none, rating_rows
from evoked.posts.readers.repeated_posts import (
    ANNOTATOR,
    OBSERVED_AT,
    RepeatedIds,
    extra_columns,
    notes_on_extra_columns,
    observed_column,
    one_per_post,
)
from evoked.posts.readers.values import is_missing, parse_bool, parse_names, plain_text
from evoked.posts.schema import COUNTS, EMOTIONS, EXPOSURE, FACT_PREFIX
from evoked.posts.time_zones import zone_of

MOST_COLUMNS = 2000
"""Columns of a table that is read: each is looked at, and no export has nearly as many."""

# Number of rows that a note names.
_EXAMPLES = 5
# Number of columns that a note names.
_MOST_NAMED = 30
# Rows from which it is judged what a column holds that is not recognised by its name.
_SAMPLE = 200
# Rows from which it is judged whether a column would be useful as a fact.
_LONG_SAMPLE = 1000
_SHOWN_CHARACTERS = 80

Row = Mapping[str, Any]
_Raters = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Table:
    """A table of a source.

    Attributes
    ----------
    path
        Its file; pictures are looked for beside it.
    columns
        Names of its columns.
    rows
        Function that starts reading and yields the number and cells of each row, or a remark on a
        row that is left out.
    notes
        How the file was read.
    cut
        Function that reads whole columns, with the result of :func:`read_columns`, for formats
        that have a faster way than row by row.
    has_width
        Whether each row should have a cell for every column, as in CSV.
    """

    path: Path
    columns: list[str]
    rows: Callable[[], Iterator[tuple[int, Row] | Skipped]]
    notes: list[str] = field(default_factory=list)
    cut: Callable[[Sequence[str]], tuple[pd.DataFrame, list[Skipped]]] | None = None
    has_width: bool = False

    def __post_init__(self) -> None:
        if len(self.columns) > MOST_COLUMNS:
            raise DataError(
                f"{len(self.columns):,} columns, where at most {MOST_COLUMNS:,} are read.",
                file=self.path,
                fix="Keep those that say something about the posts.",
            )


@dataclass
class _Survey:
    """What can only be known after reading all rows of a table."""

    conventions: Conventions
    not_posts: NotPosts
    repeated: RepeatedIds
    rows: int = 0
    short_rows: int = 0
    first_short_rows: list[int] = field(default_factory=list)
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    facts: dict[str, Cells] = field(default_factory=dict)
    gaps: Counter[str] = field(default_factory=Counter)


def read_columns(table: Table, columns: Sequence[str]) -> tuple[pd.DataFrame, list[Skipped]]:
    """Some columns of a whole table, indexed by row number, and remarks on the rows left out.

    Cells are as the source has them: texts, or any value of JSON and Parquet.
    """
    if table.cut is not None:
        return table.cut(columns)
    numbers: list[int] = []
    cells: dict[str, list[Any]] = {name: [] for name in columns}
    skipped = []
    for item in table.rows():
        if isinstance(item, Skipped):
            skipped.append(item)
            continue
        numbers.append(item[0])
        for name, values in cells.items():
            values.append(item[1].get(name))
    return pd.DataFrame(cells, index=pd.Index(numbers, dtype="int64"), dtype=object), skipped


def read_table(table: Table, options: ReadOptions) -> Source:
    """Posts of a table, one per row.

    The table is read twice: first for the number of rows, the range of the ratings and the format
    of the dates, then for the posts.

    Raises
    ------
    DataError
        No column is recognised.
    SettingsError
        A mapping or a scale of something that doesn't exist.
    """
    table = without_objects(table, {*options.mapping.values(), *options.facts})
    recognised = recognise_columns(table.columns, options.mapping, _sample_of(table))
    mapping = recognised.mapping
    if not mapping:
        raise DataError(
            f"none of the columns is recognised: {', '.join(table.columns[:30])}.",
            file=table.path,
            fix="Say which column holds what, for example --map caption=COLUMN.",
        )
    if options.author is not None and "author_id" in mapping:
        raise SettingsError(
            f"--author {options.author}: the column {mapping['author_id']!r} holds authors "
            "already. Leave --author out, or that column with --map author_id="
        )
    raters = choose_rater_columns(table.columns, mapping)
    chosen = choose_columns(options.facts, table.columns, mapping)
    survey = _survey(table, mapping, raters, list(chosen), recognised.spares)
    facts, fact_notes = settle_columns(
        chosen,
        survey.facts,
        drafts=are_drafts([*mapping, *raters]),
        known=options.known_facts,
    )
    scales, scale_notes = choose_scales(survey.ranges, options.scales)
    unscaled = [name for name in survey.ranges if name not in scales]
    named = observed_column(table.columns, mapping)
    extra = {
        name: column
        for name, column in extra_columns(table.columns, mapping).items()
        if (name == OBSERVED_AT and (survey.repeated or column == named))
        or (name == ANNOTATOR and survey.ranges)
    }
    spares = {
        name: column
        for name, column in recognised.spares.items()
        if name in COUNTS and survey.gaps.get(name)
    }
    left_out = {*unscaled, *survey.conventions.only_counted}
    used = {name: column for name, column in mapping.items() if name not in left_out}
    return Source(
        records=one_per_post(
            _records(table, used | extra, raters, facts, scales, survey, options, spares),
            survey.repeated,
            scales,
        ),
        total=survey.rows,
        mapping=mapping | {name: ", ".join(columns.values()) for name, columns in raters.items()},
        scales=scales,
        notes=[
            *table.notes,
            *scale_notes,
            *_notes_on_rivals(recognised),
            *(
                f"Where {mapping[name]!r} is empty, {name} are read from {column!r}."
                for name, column in spares.items()
            ),
            *_notes(table, mapping, raters, survey, options),
            *fact_notes,
            *notes_on_extra_columns(extra),
            *_notes_on_unused(
                table, mapping, raters, [*chosen, *extra.values()], recognised.platform
            ),
        ],
        warnings=_warnings(table, mapping, raters, chosen, recognised.platform),
        facts={fact.name: fact.kind for fact in facts},
        columns=list(table.columns),
        platform=recognised.platform,
    )


def _sample_of(table: Table) -> dict[str, list[Any]]:
    """The first cells of each column."""
    rows = [row for _, row in _first_rows(table, _SAMPLE)]
    return {column: [row.get(column) for row in rows] for column in table.columns}


def _notes_on_rivals(recognised: Recognised) -> list[str]:
    """The columns that could as well hold what is read from another."""
    return [
        f"{name} is read from {recognised.mapping[name]!r}, though {column!r} could hold it as "
        f"well. If it does: --map {shlex.quote(f'{name}={column}')}"
        for name, column in recognised.rivals.items()
        if name in (*COUNTS, "posted_at", "caption")
    ]


def _survey(
    table: Table,
    mapping: Mapping[str, str],
    raters: _Raters,
    facts: Sequence[str],
    spares: Mapping[str, str],
) -> _Survey:
    survey = _Survey(
        Conventions({**mapping, **extra_columns(table.columns, mapping)}),
        NotPosts(mapping, table.columns, table.has_width),
        RepeatedIds(mapping.get("post_id", "")),
        facts={column: Cells() for column in facts},
    )
    rated = [(name, mapping[name]) for name in EMOTIONS if name in mapping]
    rated += [(name, column) for name, columns in raters.items() for column in columns.values()]
    for item in table.rows():
        survey.rows += 1
        if isinstance(item, Skipped):
            continue
        number, row = item
        survey.not_posts.add(number, row)
        if survey.not_posts.why(number, row):
            continue
        if table.has_width and len(row) < len(table.columns):
            survey.short_rows += 1
            survey.first_short_rows = [*survey.first_short_rows, number][:_EXAMPLES]
        for name, column in rated:
            rating = number_or_none(row.get(column))
            if rating is not None:
                low, high = survey.ranges.get(name, (rating, rating))
                survey.ranges[name] = (min(low, rating), max(high, rating))
        for name, column in spares.items():
            survey.gaps[name] += is_missing(row.get(mapping[name])) and not is_missing(
                row.get(column)
            )
        survey.conventions.add(row)
        survey.repeated.add(row)
        for column, cells in survey.facts.items():
            cells.add(row.get(column))
    return survey


def _notes(
    table: Table,
    mapping: Mapping[str, str],
    raters: _Raters,
    survey: _Survey,
    options: ReadOptions,
) -> list[str]:
    notes = []
    if survey.short_rows:
        notes.append(
            f"Rows with fewer cells than the header has columns: {survey.short_rows} (the first: "
            f"{', '.join(map(str, survey.first_short_rows))}). What is missing at their end counts "
            "as empty; if it is missing elsewhere, their cells are in the wrong columns."
        )
    if "post_id" not in mapping:
        notes.append("No column holds ids: an id is made from each row's content.")
    if "title" in mapping and "caption" not in mapping:
        notes.append("No column holds captions: titles are read as such.")
    if "posted_at" in mapping and not (survey.conventions.has_times or TIME_OF_DAY in mapping):
        place = options.time_zone or "UTC"
        notes.append(f"Dates have no time of day; it counts as midnight {place}.")
    elif "posted_at" in mapping and options.time_zone:
        notes.append(
            f"Dates without an offset are read as local time of {options.time_zone}. If they are "
            "in UTC, let them end in Z."
        )
    notes += survey.conventions.notes()
    notes += [
        f"Each of {', '.join(columns.values())} is one annotator's rating; {name} is their mean."
        for name, columns in raters.items()
    ]
    if "author_id" not in mapping and "posted_at" in mapping and options.author is None:
        notes.append(
            "No column holds authors, so no post knows its author's earlier ones. If all are by "
            "one account: --author NAME"
        )
    return notes


def _notes_on_unused(
    table: Table,
    mapping: Mapping[str, str],
    raters: _Raters,
    facts: Collection[str],
    platform: str,
) -> list[str]:
    """The columns that are not used, and which of them could be taken as facts."""
    unused = _unused(table, mapping, raters, facts)
    if not unused:
        return []
    cells = {column: Cells() for column in unused}
    for _, row in _first_rows(table, _LONG_SAMPLE):
        for column in unused:
            cells[column].add(row.get(column))
    notes = [f"Columns that are not used: {', '.join(unused[:_MOST_NAMED])}."]
    if outcomes := [column for column in unused if is_outcome(column)]:
        notes.append(
            f"Of these, known only after posting: {', '.join(outcomes[:_MOST_NAMED])}. They are "
            "never taken as facts."
        )
    known_before = [column for column in unused if not means_nothing(column, platform)]
    if useful := suggested(known_before, cells)[:_MOST_NAMED]:
        options = " ".join(f"--fact {shlex.quote(column)}" for column in useful)
        notes.append(
            f"Posts could also be predicted from what is known beforehand in {', '.join(useful)}: "
            f"{options}"
        )
    return notes


def _first_rows(table: Table, number: int) -> Iterator[tuple[int, Row]]:
    return (item for item in islice(table.rows(), number) if not isinstance(item, Skipped))


def _warnings(
    table: Table,
    mapping: Mapping[str, str],
    raters: _Raters,
    facts: Collection[str],
    platform: str,
) -> list[str]:
    """What the posts lack. Those that people rated need no likes and no dates."""
    rated = any(name in mapping or name in raters for name in EMOTIONS)
    content = () if rated and "images" in mapping else ("caption",)
    wanted = content if rated else ("likes", *content, "posted_at", "images")
    wanted += tuple(name for name in expected_of(platform) if name not in wanted)
    first = (row for _, row in _first_rows(table, _SAMPLE))
    # Titles are read in place of captions, and who knows views has something to learn.
    instead = {"caption": ("title",), "likes": EXPOSURE}
    missed = [
        name
        for name in wanted
        if name not in mapping and not any(other in mapping for other in instead.get(name, ()))
    ]
    return lacking(missed, _unused(table, mapping, raters, facts), first) if missed else []


def _unused(
    table: Table, mapping: Mapping[str, str], raters: _Raters, facts: Collection[str]
) -> list[str]:
    used = {*mapping.values(), *facts}
    used |= {column for columns in raters.values() for column in columns.values()}
    return [column for column in table.columns if column not in used]


def _records(
    table: Table,
    mapping: Mapping[str, str],
    raters: _Raters,
    facts: Sequence[FactColumn],
    scales: Mapping[str, tuple[float, float]],
    survey: _Survey,
    options: ReadOptions,
    spares: Mapping[str, str],
) -> Iterator[PostRecord | Remark]:
    converters = survey.conventions.converters(zone_of(options.time_zone))
    folder = options.images or table.path.parent
    deeper = {} if options.images is None else deeper_files(folder)
    for item in only_posts(table.rows, survey.not_posts, table.path.name):
        if isinstance(item, Skipped):
            yield item
            continue
        number, row = item
        fields = {name: row.get(column) for name, column in mapping.items()}
        for name, column in spares.items():
            if is_missing(fields.get(name)):
                fields[name] = row.get(column)
        fields = with_time_of_day(fields)
        if "post_id" in fields:
            fields["post_id"] = _id_in_address(fields["post_id"])
        misread = _convert(fields, converters, table.path.name, number)
        names = _picture_names(fields.pop("images", None), folder)
        annotations, remarks = rating_rows(_ratings(row, raters), scales, table.path.name, number)
        fields |= mean_ratings(annotations)
        known, unreadable = _facts(row, facts, table.path.name, number)
        yield PostRecord(
            with_media_type(fields | known),
            file=table.path.name,
            row=number,
            images=[file_image(folder, name, deeper) for name in names],
            tables={"annotations": annotations} if raters else {},
            remarks=[*misread, *remarks, *unreadable],
            content=row,
        )


def _convert(
    fields: dict[str, Any],
    converters: Mapping[str, Callable[[Any], Any]],
    file: str,
    number: int,
) -> list[Remark]:
    """Read a post's fields, in place, as their columns write them; a remark on each that is left
    empty."""
    remarks = []
    for name, value in fields.items():
        if name not in converters:
            continue
        try:
            fields[name] = converters[name](value)
        except ValueError as error:
            fields[name] = None
            shown = plain_text(value)[:_SHOWN_CHARACTERS]
            remarks.append(Remark(f"{error}, left empty", file, number, name, shown))
    return remarks


def _facts(
    row: Row, facts: Sequence[FactColumn], file: str, number: int
) -> tuple[dict[str, Any], list[Remark]]:
    """A post's facts by column of the table of posts, and a remark on each that isn't of its
    kind."""
    known, remarks = {}, []
    for fact in facts:
        value = row.get(fact.column)
        try:
            known[FACT_PREFIX + fact.name] = fact.parse(value)
        except ValueError as error:
            shown = plain_text(value)[:_SHOWN_CHARACTERS]
            remarks.append(Remark(f"{error}, left empty", file, number, fact.name, shown))
    return known, remarks


def _ratings(row: Row, raters: _Raters) -> list[Rating]:
    return [
        Rating(rater, name, row.get(column))
        for name, columns in raters.items()
        for rater, column in columns.items()
    ]


def with_media_type(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a post, with a yes-or-no column for carousels turned into the media type."""
    try:
        is_carousel = parse_bool(fields.pop(CAROUSEL, None))
    except ValueError:
        is_carousel = None
    if is_carousel and not fields.get("media_type"):
        fields["media_type"] = "carousel"
    return fields


def _picture_names(value: Any, folder: Path) -> list[str]:
    """Names of pictures; a text that is a file's name as it stands is one name."""
    names = parse_names(value) or []
    if not isinstance(value, str):
        return names
    if is_file_in(folder, value.strip()):
        return [value.strip()]
    parts = [part.strip() for name in names for part in name.split(",")]
    all_pictures = all(part.lower().endswith(PICTURE_SUFFIXES) for part in parts)
    return parts if all_pictures else names


def with_time_of_day(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a post, with the time of a column of its own put after a date without one."""
    time, date = fields.pop(TIME_OF_DAY, None), fields.get("posted_at")
    if is_missing(time) or is_missing(date) or has_time(date):
        return fields
    day = date.date().isoformat() if isinstance(date, datetime) else str(date).strip()
    return fields | {"posted_at": f"{day} {str(time).strip()}"}


def _id_in_address(value: Any) -> Any:
    """The id in the address of a post, or the value itself."""
    found = id_in_address(value) if isinstance(value, str) and "/" in value else None
    return found or value

"""One post in several rows of a table: one for each day it was looked at, or for each annotator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from evoked.posts.readers.base import PostRecord, Remark, Skipped
from evoked.posts.readers.columns import normalise
from evoked.posts.readers.ratings import Rating, mean_ratings, prevailing_emotion, rating_rows
from evoked.posts.readers.values import is_missing, plain_text
from evoked.posts.schema import EMOTIONS, ENGAGEMENT, EXPOSURE

OBSERVED_AT = "observed_at"
"""A field of its own: when the counts of a row were observed."""

ANNOTATOR = "annotator_id"
"""A field of its own: whose ratings a row holds."""

EARLIER = "another state of a post, kept as its activity"
ANNOTATION = "another annotation of a post"
REPEATED = "the id is repeated"
SEVERAL_DATES = "differs between the rows of a post: the earliest counts as when it appeared"
FALLING = (
    "counts fall by more than half from one row of the post to the next; if each row holds the "
    "counts of one day alone, add them up before the import"
)

_OBSERVED = (
    "trending observed observation snapshot scraped scrape scraping collected collection collect "
    "crawled crawl fetched fetch retrieved retrieval queried query recorded record measured "
    "measurement checked extracted extraction export exported report reporting updated"
)
_OBSERVED_ENDINGS = ("", "at", "on", "date", "time", "day", "timestamp", "datetime")
_OBSERVED_ELSE = "asof asofdate lastupdated stichtag abrufdatum erhebungsdatum abgerufenam"
# They are when a row was observed only where another column holds when the post appeared.
_DAYS = "date day datum tag fecha dia jour data giorno 日期 日付 날짜 дата"
_ANNOTATORS = (
    "annotator rater worker coder judge participant subject respondent labeler labeller evaluator "
    "assessor annotatedby ratedby labeledby completedby"
)
_ANNOTATOR_ENDINGS = ("", "id", "name", "no", "number")


def notes_on_extra_columns(columns: Mapping[str, str]) -> list[str]:
    """What the columns of :func:`extra_columns` are taken for."""
    said = {
        OBSERVED_AT: "{} is taken for when a row's counts were observed: a post's last ones count.",
        ANNOTATOR: "{} is taken for who made a row's ratings: a post's ratings are their means.",
    }
    return [said[name].format(column) for name, column in columns.items()]


def observed_column(columns: Sequence[str], mapping: Mapping[str, str]) -> str | None:
    """The column that says by its name when a row was observed."""
    free = [column for column in columns if column not in mapping.values()]
    return _first(free, {*_with(_OBSERVED, _OBSERVED_ENDINGS), *_OBSERVED_ELSE.split()})


def extra_columns(columns: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """The columns that say when a row was observed and whose ratings it holds, by field."""
    free = [column for column in columns if column not in mapping.values()]
    observed = observed_column(columns, mapping)
    if observed is None and "posted_at" in mapping:
        observed = _first(free, _DAYS.split())
    annotator = _first(free, _with(_ANNOTATORS, _ANNOTATOR_ENDINGS))
    found = {OBSERVED_AT: observed, ANNOTATOR: annotator}
    return {name: column for name, column in found.items() if column is not None}


def _with(words: str, endings: Sequence[str]) -> set[str]:
    return {word + ending for word in words.split() for ending in endings}


def _first(columns: Sequence[str], names: Collection[str]) -> str | None:
    return next((column for column in columns if normalise(column) in names), None)


class RepeatedIds:
    """Counts the rows of each post that has several."""

    def __init__(self, column: str) -> None:
        self._column = column
        self._seen: set[int] = set()  # hashes of ids, which take less memory than ids
        self._rows: Counter[int] = Counter()

    def add(self, row: Mapping[str, Any]) -> None:
        """Take a row into account."""
        value = row.get(self._column) if self._column else None
        if is_missing(value):
            return
        key = _key(value)
        if key in self._seen:
            self._rows[key] += 1
        self._seen.add(key)

    def __bool__(self) -> bool:
        return bool(self._rows)

    def rows(self, record: PostRecord) -> int:
        """Number of rows of a record's post."""
        if is_missing(record.fields.get("post_id")):
            return 1
        return self._rows[_key(record.content[self._column])] + 1


def _key(identifier: Any) -> int:
    return hash(plain_text(identifier).strip())


@dataclass
class _Group:
    """The rows of one post so far.

    Attributes
    ----------
    states
        Each row's record and when it was observed.
    left
        Number of rows still to come.
    """

    left: int
    states: list[tuple[PostRecord, datetime | None]] = field(default_factory=list)


def one_per_post(
    records: Iterator[PostRecord | Remark],
    repeated: RepeatedIds,
    scales: Mapping[str, tuple[float, float]],
) -> Iterator[PostRecord | Remark]:
    """The records of a table's rows with those of one post put together where its last one is.

    The last state of a post counts; all of them become its activity. Rows that differ in ratings
    become its annotations. Rows that share an id but not the text are different posts, of which
    the first is kept.

    Parameters
    ----------
    records
        One per row, with the fields :data:`OBSERVED_AT` and :data:`ANNOTATOR` where a column has
        them.
    repeated
        The posts that have several rows.
    scales
        The scale of the ratings, by dimension.
    """
    groups: dict[str, _Group] = {}
    for record in records:
        if not isinstance(record, PostRecord):
            yield record
            continue
        observed = record.fields.pop(OBSERVED_AT, None)
        rows = repeated.rows(record)
        if rows == 1:
            _note_observation(record, observed)
            yield _annotated([record], scales) if ANNOTATOR in record.fields else record
            continue
        identifier = plain_text(record.fields["post_id"])
        group = groups.setdefault(identifier, _Group(rows))
        group.left -= 1
        remark = _add(group, record, observed)
        if group.left == 0:
            yield from _together(groups.pop(identifier), scales)
        if remark is not None:
            yield remark


def _add(group: _Group, record: PostRecord, observed: datetime | None) -> Remark | None:
    """Add a row to its post's; a remark on each but the first."""
    if not group.states:
        group.states.append((record, observed))
        return None
    previous, before = group.states[-1]
    identifier = plain_text(record.fields["post_id"])
    grown = before != observed or _counts(previous) != _counts(record)
    if not _same_text(previous, record) or not (grown or _is_rated(record)):
        return Skipped(REPEATED, record.file, record.row, value=identifier)
    group.states.append((record, observed))
    why = ANNOTATION if _is_rated(record) else EARLIER
    return Remark(why, record.file, record.row, value=identifier)


def _counts(record: PostRecord) -> list[Any]:
    return [record.fields.get(name) for name in (*ENGAGEMENT, *EXPOSURE)]


def _same_text(first: PostRecord, other: PostRecord) -> bool:
    """Whether two rows have the same caption and title, as far as these are known in both."""
    pairs = ((first.fields.get(name), other.fields.get(name)) for name in ("caption", "title"))
    return all(is_missing(one) or is_missing(two) or one == two for one, two in pairs)


def _is_rated(record: PostRecord) -> bool:
    return any(not is_missing(record.fields.get(name)) for name in (*EMOTIONS, "emotion"))


def _together(
    group: _Group, scales: Mapping[str, tuple[float, float]]
) -> Iterator[PostRecord | Remark]:
    """One record for all rows of a post, the last state's with what only earlier ones know."""
    states = _in_time(group.states)
    records = [record for record, _ in states]
    last = records[-1]
    for earlier in reversed(records[:-1]):
        for name, value in earlier.fields.items():
            if is_missing(last.fields.get(name)):
                last.fields[name] = value
    if any(map(_is_rated, records)):
        yield _annotated(records, scales)
        return
    dates = [moment for _, moment in states if moment is not None]
    _note_observation(last, states[-1][1])
    identifier = plain_text(last.fields["post_id"])
    posted = _posted(records)
    if posted is not None:
        if any(record.fields.get("posted_at") not in (None, posted) for record in records):
            yield Remark(SEVERAL_DATES, last.file, last.row, "posted_at", identifier)
        last.fields["posted_at"] = posted
        if dates:
            last.tables["activity"] = _activity(states, posted)
    if _falls(records):
        yield Remark(FALLING, last.file, last.row, value=identifier)
    yield last


def _in_time(
    states: list[tuple[PostRecord, datetime | None]],
) -> list[tuple[PostRecord, datetime | None]]:
    """The rows of a post by when they were observed, or as they stand in the source.

    Where no column says when, and the dates of the rows differ, these are days of observation.
    """
    posted = [record.fields.get("posted_at") for record, _ in states]
    if all(moment is None for _, moment in states) and len(set(map(str, posted))) > 1:
        states = [
            (record, date if isinstance(date, datetime) else None)
            for (record, _), date in zip(states, posted, strict=True)
        ]
    if any(moment is None for _, moment in states):
        return states
    return sorted(states, key=lambda state: str(state[1].isoformat() if state[1] else ""))


def _posted(records: Sequence[PostRecord]) -> datetime | None:
    """The earliest date of a post's rows."""
    dates = (record.fields.get("posted_at") for record in records)
    return min((date for date in dates if isinstance(date, datetime)), default=None)


def _activity(
    states: Sequence[tuple[PostRecord, datetime | None]], posted: datetime
) -> list[dict[str, Any]]:
    """Rows of the table of activity, one per state whose time is known."""
    return [
        {"hours": _age(observed, posted) / timedelta(hours=1)}
        | {name: record.fields.get(name) for name in ENGAGEMENT}
        for record, observed in states
        if observed is not None
    ]


def _note_observation(record: PostRecord, observed: datetime | None) -> None:
    """Let a record say when its counts were observed, for the posts that may be appended later."""
    if isinstance(observed, datetime):
        record.tables["observations"] = [{"observed_at": _observed_by(observed)}]


def _observed_by(observed: datetime) -> datetime:
    """When counts had been observed. A day without a time was observed when it was over, as far as
    anyone knows: an earlier moment would let models see counts before they were there."""
    return observed + timedelta(days=observed.time().isoformat() == "00:00:00")


def _age(observed: datetime, posted: datetime) -> timedelta:
    """A post's age when it was observed."""
    return max(_observed_by(observed) - posted, timedelta(0))


def _falls(records: Sequence[PostRecord]) -> bool:
    for name in (*ENGAGEMENT, *EXPOSURE):
        counts = [record.fields.get(name) for record in records]
        known = [count for count in counts if isinstance(count, int)]
        if any(later < 0.5 * count - 10 for count, later in pairwise(known)):
            return True
    return False


def _annotated(
    records: Sequence[PostRecord], scales: Mapping[str, tuple[float, float]]
) -> PostRecord:
    """The last record with the ratings of all, and their means as its own."""
    last = records[-1]
    rows, remarks = [], []
    emotions = [record.fields.get("emotion") for record in records]
    for record in records:
        annotator = record.fields.pop(ANNOTATOR, None)
        person = None if is_missing(annotator) else plain_text(annotator)
        given = [Rating(person, name, record.fields.get(name)) for name in EMOTIONS]
        found, doubts = rating_rows(given, scales, record.file, record.row)
        rows += found
        remarks += doubts
    last.fields |= dict.fromkeys(EMOTIONS) | mean_ratings(rows)
    if "emotion" in last.fields:
        last.fields["emotion"] = prevailing_emotion(emotions)
    last.tables["annotations"] = [*last.tables.get("annotations", []), *rows]
    last.remarks += remarks
    return last

"""Several tables as one source: months one after the other, and figures of the same posts beside
each other."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evoked.errors import DataError
from evoked.posts.readers.addresses import id_in_address
from evoked.posts.readers.base import PostRecord, ReadOptions, Remark, Skipped, Source
from evoked.posts.readers.columns import choose_mapping
from evoked.posts.readers.tabular import Row, Table, read_table
from evoked.posts.readers.values import is_missing, plain_text

# Tables about the same posts share more of their ids, or of the texts and dates beside these.
_SAME_POSTS = 0.5
_TELLING = ("caption", "title", "posted_at")


@dataclass
class _Group:
    """Tables that are read as one."""

    table: Table
    place: Callable[[PostRecord | Remark], PostRecord | Remark]
    mapping: dict[str, str]


def read_tables(
    tables: Sequence[Table],
    options: ReadOptions,
    folder: Path,
    name: str,
    left_out: Sequence[Remark] = (),
) -> Source:
    """Posts of several tables.

    Tables with the same columns are one table, so that their dates and numbers are read alike. A
    table that has one row for each of another's posts, by their ids, adds its columns to that one.
    All others follow each other, those with most fields first.

    Parameters
    ----------
    tables
        At least one.
    folder
        Where they lie.
    name
        What the source is called.
    left_out
        Remarks that come before the records.

    Raises
    ------
    DataError
        Ratings of the tables seem to be on different scales; or as
        :func:`evoked.posts.readers.tabular.read_table`.
    """
    alike: dict[tuple[str, ...], list[Table]] = {}
    for table in tables:
        alike.setdefault(tuple(sorted(table.columns)), []).append(table)
    groups = _joined_by_id([_together(group, folder) for group in alike.values()])
    readings = []
    for group in groups:
        reading = read_table(group.table, options)
        readings.append(replace(reading, records=map(group.place, reading.records)))
    return _merged(readings, left_out, [table.path.name for table in tables], name)


class _Rows:
    """The rows of tables with equal columns, numbered from the first to the last."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self.tables = tables
        self._starts: list[int] = []

    def rows(self) -> Iterator[tuple[int, Row] | Skipped]:
        """All rows; those left out keep the file and number that they have."""
        last = 0
        self._starts.clear()
        for table in self.tables:
            start = last
            self._starts.append(start)
            for item in table.rows():
                if isinstance(item, Skipped):
                    yield item
                else:
                    last = start + item[0]
                    yield last, item[1]

    def place(self, record: PostRecord | Remark) -> PostRecord | Remark:
        """A record or a remark with the file and number of its row."""
        if isinstance(record, Skipped) or record.row is None:
            return record
        number = bisect_right(self._starts, record.row - 1) - 1
        where: dict[str, Any] = {
            "file": self.tables[number].path.name,
            "row": record.row - self._starts[number],
        }
        if isinstance(record, Remark):
            return replace(record, **where)
        remarks = [replace(remark, **where) for remark in record.remarks]
        return replace(record, remarks=remarks, **where)


def _together(tables: Sequence[Table], folder: Path) -> _Group:
    """Tables with equal columns as one."""
    mapping = choose_mapping(tables[0].columns, {})
    if len(tables) == 1:
        return _Group(tables[0], lambda record: record, mapping)
    joined = _Rows(tables)
    notes = list(dict.fromkeys(note for table in tables for note in table.notes))
    table = Table(folder / tables[0].path.name, tables[0].columns, joined.rows, notes)
    return _Group(table, joined.place, mapping)


def _joined_by_id(groups: list[_Group]) -> list[_Group]:
    """Groups, those with most fields first, of which some took in the columns of others."""
    groups = sorted(groups, key=lambda group: -len(group.mapping))
    if sum("post_id" in group.mapping for group in groups) < 2:
        return groups
    rows = {id(group): _rows_by_id(group) for group in groups}
    kept: list[_Group] = []
    for group in groups:
        own = rows[id(group)]
        base = next((each for each in kept if _adds_to(group, own, each, rows[id(each)])), None)
        if base is None:
            kept.append(group)
        else:
            base.table = _with_columns(base, group, own)
            base.mapping = choose_mapping(base.table.columns, {})
    return kept


def _rows_by_id(group: _Group) -> dict[str, Row]:
    """The rows of a group by the ids of their posts; none if it has no ids or repeats them."""
    column = group.mapping.get("post_id")
    found: dict[str, Row] = {}
    for item in group.table.rows() if column else ():
        if isinstance(item, Skipped) or is_missing(item[1].get(column or "")):
            continue
        key = _key(item[1][column or ""])
        if key in found:
            return {}
        found[key] = item[1]
    return found


def _key(identifier: Any) -> str:
    text = plain_text(identifier).strip()
    return id_in_address(text) or text if "/" in text else text


def _adds_to(
    group: _Group, own: dict[str, Row], base: _Group, rows_of_base: dict[str, Row]
) -> bool:
    """Whether a group is about the posts of another one, and knows something that it doesn't.

    Ids such as 1, 2, 3 occur in tables of different posts: those also differ in texts and dates.
    """
    shared = own.keys() & rows_of_base.keys()
    if not shared or group.mapping.keys() <= base.mapping.keys():
        return False
    common = [
        (group.mapping[field], base.mapping[field])
        for field in _TELLING
        if field in group.mapping and field in base.mapping
    ]
    if not common:
        return len(shared) > _SAME_POSTS * len(own)
    same = sum(
        any(
            _text(own[key].get(one)) == _text(rows_of_base[key].get(other)) for one, other in common
        )
        for key in shared
    )
    return same > _SAME_POSTS * len(shared)


def _text(value: Any) -> str:
    return "" if is_missing(value) else plain_text(value).strip()


def _with_columns(base: _Group, group: _Group, rows: dict[str, Row]) -> Table:
    """A table with the columns that another has of the same posts, and the posts that only that
    one has at its end."""
    table, id_column = base.table, base.mapping["post_id"]
    further = [column for column in group.table.columns if column not in table.columns]
    nothing = dict.fromkeys(further, "")
    common = {field: name for field, name in group.mapping.items() if field in base.mapping}

    def joined() -> Iterator[tuple[int, Row] | Skipped]:
        left, last = dict(rows), 0
        for item in table.rows():
            if isinstance(item, Skipped):
                yield item
                continue
            last, row = item
            more = left.pop(_key(row.get(id_column)), nothing)
            yield last, {**row, **{column: more.get(column, "") for column in further}}
        for number, row in enumerate(left.values(), start=last + 1):
            whole = {column: row.get(column, "") for column in [*table.columns, *further]}
            same = {base.mapping[field]: row.get(column) for field, column in common.items()}
            yield number, whole | same

    names = table.path.name, group.table.path.name
    note = f"{names[1]} is about the posts of {names[0]}: its columns are added by their ids."
    notes = [*table.notes, *group.table.notes, note]
    return replace(table, columns=[*table.columns, *further], rows=joined, notes=notes, cut=None)


def _merged(
    readings: Sequence[Source], left_out: Sequence[Remark], files: Sequence[str], name: str
) -> Source:
    first = readings[0]
    scales: dict[str, tuple[float, float]] = {}
    for reading in readings:
        for dimension, scale in reading.scales.items():
            if scales.setdefault(dimension, scale) != scale:
                raise DataError(
                    f"ratings of {dimension} in its tables seem to be on different scales.",
                    file=name,
                    fix=f"Say on which they were made: --scale {dimension}=LOW:HIGH.",
                )
    mapping: dict[str, str] = {}
    for reading in readings:
        for field, column in reading.mapping.items():
            known = mapping.setdefault(field, column)
            if column not in known.split(", "):
                mapping[field] = f"{known}, {column}"
    listed = ", ".join(files[:5]) + (f" and {len(files) - 5} more" if len(files) > 5 else "")
    notes = [f"{name} holds {len(files)} tables, read as one: {listed}."]
    notes += dict.fromkeys(note for reading in readings for note in reading.notes)
    counts = [reading.total for reading in readings if reading.total is not None]
    return replace(
        first,
        records=_chained(left_out, readings),
        total=sum(counts) + len(left_out) if len(counts) == len(readings) else None,
        mapping=mapping,
        scales=scales,
        notes=notes if len(files) > 1 else notes[1:],
        warnings=list(dict.fromkeys(each for reading in readings for each in reading.warnings)),
        facts={fact: kind for reading in readings for fact, kind in reading.facts.items()},
    )


def _chained(
    left_out: Sequence[Remark], readings: Sequence[Source]
) -> Iterator[PostRecord | Remark]:
    yield from left_out
    for reading in readings:
        yield from reading.records

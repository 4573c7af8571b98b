"""JSON: files with one object per line, an array of objects, or an object that holds an array."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from evoked.errors import DataError
from evoked.files import parse_json, read_bounded
from evoked.posts.readers.base import MAX_JSON_BYTES, ReadOptions, Skipped, Source, require_file
from evoked.posts.readers.names import recognise
from evoked.posts.readers.tabular import Row, Table, read_table

MAX_LINE_BYTES = 16 * 2**20
"""Longest line that is read; no post is longer."""

_SAMPLE_ROWS = 1000
_MAX_DEPTH = 6
_MAX_COLUMNS = 2000
_BOM = b"\xef\xbb\xbf"
# Archives of X are programs that assign an array.
_ASSIGNMENT = re.compile(rb"\s*(?:var\s+|const\s+|let\s+)?[\w.$\[\]\"']+\s*=\s*(?=[\[{])")
# What each of several objects is called, such as a hashtag or a mentioned account.
_CALLED = (
    "name", "tag", "tag_name", "hashtagName", "hashtag_name", "username", "screen_name", "text",
    "title", "display_name",
)  # fmt: skip
# An object with fewer of these fields is no post but holds posts.
_FIELDS_OF_POSTS = ("post_id", "caption", "title", "posted_at", "likes", "images", "comments")


def read(source: Path, options: ReadOptions) -> Source:
    """Posts from a file of JSON objects: one per line, an array, or an object that holds an array.

    Nested objects become columns with dots in their names, such as ``owner.followers``. The columns
    are those of the first thousand objects. Pictures are named relative to the file's folder.

    Raises
    ------
    DataError
        There is no such file, no object in it, or no column that is recognised; or an array of more
        than 256 MiB.
    """
    return read_table(open_table(source), options)


def open_table(source: Path) -> Table:
    """The table in a file of JSON objects, of which the first thousand give the columns."""
    require_file(source)
    if _is_document(source):
        objects = _objects_in(parse_json(_document(source), source), source)
        rows = partial(_numbered, source, objects)
    else:
        rows = partial(_rows, source)
    sample = (item[1] for item in islice(rows(), _SAMPLE_ROWS) if not isinstance(item, Skipped))
    columns = list(dict.fromkeys(column for row in sample for column in row))
    if not columns:
        raise DataError(
            "it holds no JSON object.",
            file=source,
            fix="Write one object per line, or an array of objects.",
        )
    return Table(source, columns, rows)


def _is_document(source: Path) -> bool:
    """Whether a file is one JSON value rather than one per line."""
    with source.open("rb") as stream:
        first = b""
        while not first.strip() and (line := stream.readline(MAX_LINE_BYTES + 1)):
            first = line.removeprefix(_BOM)
        rest = any(line.strip() for line in iter(partial(stream.readline, 2**16), b""))
    if first.lstrip()[:1] == b"[" or _ASSIGNMENT.match(first):
        return not rest or first.strip() == b"[" or not _is_json(first)
    if first.lstrip()[:1] != b"{":
        return False
    if not _is_json(first):
        return rest and _is_json(_document(source))
    return not rest and _holds_posts(parse_json(first, source.name))


def _is_json(content: bytes) -> bool:
    try:
        parse_json(content, "")
    except DataError:
        return False
    return True


def _document(source: Path) -> bytes:
    content = read_bounded(source, MAX_JSON_BYTES).removeprefix(_BOM)
    match = _ASSIGNMENT.match(content)
    return content[match.end() :].rstrip().rstrip(b";") if match else content


def _holds_posts(value: Any) -> bool:
    """Whether an object is no post itself, but holds a list of objects."""
    if not isinstance(value, dict) or not _lists_of_objects(value):
        return False
    known = recognise([column for column, cell in flatten(value).items() if not _is_list(cell)])
    return sum(name in known.mapping for name in _FIELDS_OF_POSTS) < 2


def _objects_in(value: Any, source: Path) -> Sequence[Any]:
    """The objects of a document: an array, or the longest array that an object holds."""
    if isinstance(value, list):
        return value
    if not isinstance(value, dict):
        raise DataError("it holds no JSON object.", file=source)
    lists = _lists_of_objects(value)
    return max(lists, key=len) if lists and _holds_posts(value) else [value]


def _lists_of_objects(value: Mapping[str, Any], depth: int = 1) -> list[list[Any]]:
    found: list[list[Any]] = []
    for item in value.values():
        if _is_list(item) and any(isinstance(each, dict) for each in item):
            found.append(item)
        elif isinstance(item, dict) and depth < _MAX_DEPTH:
            found += _lists_of_objects(item, depth + 1)
    return found


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _numbered(source: Path, objects: Sequence[Any]) -> Iterator[tuple[int, Row] | Skipped]:
    for number, value in enumerate(objects, start=1):
        if isinstance(value, dict):
            yield number, flatten(value)
        else:
            yield Skipped("not a JSON object", source.name, number)


def _rows(source: Path) -> Iterator[tuple[int, Row] | Skipped]:
    number = 0
    with source.open("rb") as stream:
        while line := stream.readline(MAX_LINE_BYTES + 1):
            if len(line) > MAX_LINE_BYTES:
                raise DataError("a line of more than 16 MiB.", file=source, row=number + 1)
            if not line.strip():
                continue
            number += 1
            try:
                value = parse_json(line.removeprefix(_BOM), source.name)
            except DataError:
                yield Skipped("not JSON", source.name, number)
                continue
            if isinstance(value, dict):
                yield number, flatten(value)
            else:
                yield Skipped("not a JSON object", source.name, number)


def flatten(value: Mapping[str, Any]) -> dict[str, Any]:
    """An object's values by path, such as ``owner.followers``.

    Lists of named objects become lists of their names, and the figures of a Graph API's insights
    become values by name.

    Examples
    --------
    >>> flatten({"owner": {"followers": 3}, "hashtags": [{"name": "tea"}]})
    {'owner.followers': 3, 'hashtags': ['tea']}
    >>> flatten({"insights": {"data": [{"name": "reach", "values": [{"value": 7}]}]}})
    {'insights.data.reach': 7}
    """
    flat: dict[str, Any] = {}
    _flatten_into(flat, value, "", 1)
    return flat


def named_fields(value: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of one object, by the names in it."""
    flat = flatten(value)
    mapping = recognise(list(flat), {name: [cell] for name, cell in flat.items()}).mapping
    return {name: flat[column] for name, column in mapping.items() if flat[column] is not None}


def _flatten_into(flat: dict[str, Any], value: Mapping[str, Any], path: str, depth: int) -> None:
    for key, item in value.items():
        inner = _objects_as_one(key, item)
        if isinstance(inner, dict) and inner and depth < _MAX_DEPTH:
            _flatten_into(flat, inner, f"{path}{key}.", depth + 1)
        elif len(flat) < _MAX_COLUMNS:
            # No edges, and an empty object, mean that there is nothing.
            nothing = inner == {} or (key == "edges" and inner == [])
            flat[f"{path}{key}"] = None if nothing else _names_of(inner)


def _objects_as_one(key: str, value: Any) -> Any:
    """A list of figures by name as an object, and of a list of edges the first."""
    if not isinstance(value, list) or not value or not all(isinstance(x, dict) for x in value):
        return value
    if key == "edges":
        return {"0": value[0]}
    if all("name" in each and ("values" in each or "value" in each) for each in value):
        return {str(each["name"]): _figure(each) for each in value}
    return value


def _figure(item: Mapping[str, Any]) -> Any:
    values = item.get("values")
    first = values[0] if isinstance(values, list) and values else item
    return first.get("value") if isinstance(first, dict) else first


def _names_of(value: Any) -> Any:
    """What the objects of a list are called, if all have a name."""
    if not isinstance(value, list) or not value or not all(isinstance(x, dict) for x in value):
        return value
    for key in _CALLED:
        names = [each[key] for each in value if isinstance(each.get(key), str)]
        if len(names) == len(value) or (key.casefold().startswith("hashtag") and names):
            return names
    return value

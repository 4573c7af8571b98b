"""JSON: files with one object per line, an array of objects, or an object that holds an array."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

from evoked.errors import DataError
from evoked.files import json_text, parse_json, read_bounded
from evoked.posts.readers.base import MAX_JSON_BYTES, ReadOptions, Skipped, Source, require_file
from evoked.posts.readers.flat_objects import MAX_DEPTH, flatten
from evoked.posts.readers.json_values import Damaged, values_in
from evoked.posts.readers.names import recognise
from evoked.posts.readers.packed import is_gzipped, open_gzipped
from evoked.posts.readers.tabular import Row, Table, read_table
from evoked.posts.readers.text_encoding import decodes, find_encoding

MAX_LINE_BYTES = 16 * 2**20
"""Longest line that is read; no post is longer."""

NOT_JSON = "not JSON"
"""The remark on a damaged line or object."""

NO_POSTS = "a page without posts"
"""The remark on such a one among pages of posts."""

_SAMPLE_ROWS = 1000
_FIRST_VALUES = 20
_SHOWN_BYTES = 60
_BOM = b"\xef\xbb\xbf"
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")
# What may stand before a value: comments; what keeps other pages from running it as a program; an
# assignment, as in archives of X; the name of a function that is called with it.
_BEFORE_VALUE = re.compile(
    rb"\s*(?:(?://[^\n]*\n|/\*[^*]*\*/|\)\]\}',?|(?:for ?\(;;\)|while ?\(1\));)\s*)*"
    rb"(?:(?:var\s+|const\s+|let\s+)?[\w.$\[\]\"']+\s*=\s*|[\w.$]+\s*\(\s*)?(?=[\[{])"
)
_AFTER_VALUE = b" \t\r\n;)"
# An object with fewer of these fields is no post but holds posts.
_FIELDS_OF_POSTS = ("post_id", "caption", "title", "posted_at", "likes", "images", "comments")


def read(source: Path, options: ReadOptions) -> Source:
    """Posts from a file of JSON objects: one per line, an array, or an object that holds them.

    What holds objects may be the answer of an API, or several pages of it; an object by id; the
    columns of a table. Nested objects become columns with dots in their names, such as
    ``owner.followers``. The columns are those of the first thousand objects. Pictures are named
    relative to the file's folder.

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
    if is_gzipped(source):
        return open_gzipped(source, lambda copy: [open_table(copy)])[0]
    encoding = _encoding_of(source)
    if _is_document(source):
        objects = _objects(source, encoding)
        rows = partial(_numbered, source, objects)
    else:
        rows = partial(_rows, source, encoding)
    sample = (item[1] for item in islice(rows(), _SAMPLE_ROWS) if not isinstance(item, Skipped))
    columns = list(dict.fromkeys(column for row in sample for column in row))
    if not columns:
        raise DataError(
            "it holds no JSON object.",
            file=source,
            fix="Write one object per line, or an array of objects.",
        )
    notes = [f"{source.name} is read as {encoding}; JSON ought to be UTF-8."] if encoding else []
    return Table(source, columns, rows, notes)


def _encoding_of(source: Path) -> str:
    """The encoding of a file that is in none in which JSON may be; "" for the others."""
    with source.open("rb") as stream:
        first = stream.read(4)
    is_wide = first.startswith(_WIDE_MARKS) or b"\0" in first
    return "" if is_wide or decodes(source, "utf-8") else find_encoding(source)


def _decoded(content: bytes, encoding: str) -> bytes | str:
    return content.decode(encoding, errors="replace") if encoding else content


def _is_document(source: Path) -> bool:
    """Whether a file is one JSON value, or several one after the other, rather than one per
    line. Lines of which the first is damaged are read as the former, unless they are too many."""
    with source.open("rb") as stream:
        first = stream.read(4)
        if first.startswith(_WIDE_MARKS) or b"\0" in first:
            return True  # UTF-16 or UTF-32, which isn't split at the bytes of line ends
        stream.seek(0)
        first = b""
        while not first.strip() and (line := stream.readline(MAX_LINE_BYTES + 1)):
            first = line.removeprefix(_BOM)
        rest = any(line.strip() for line in iter(partial(stream.readline, 2**16), b""))
    begin = first.lstrip()[:1]
    if begin == b"[" or (begin != b"{" and _BEFORE_VALUE.match(first)):
        return not rest or first.strip() == b"[" or not _is_json(first)
    if begin != b"{":
        # A text that holds JSON, or lines before it.
        return begin in (b'"', b"\x1e") or first.lstrip().startswith((b"//", b"/*", b")]}'"))
    if not _is_json(first):
        return source.stat().st_size <= MAX_JSON_BYTES
    return len(objects_in(parse_json(first, source.name))) > 1


def _is_json(content: bytes) -> bool:
    try:
        parse_json(content, "")
    except DataError:
        return False
    return True


def _document(source: Path) -> bytes:
    content = read_bounded(source, MAX_JSON_BYTES).removeprefix(_BOM)
    match = _BEFORE_VALUE.match(content)
    is_after = match is not None and content[: match.end()].strip()
    return content[match.end() :].rstrip(_AFTER_VALUE) if match and is_after else content


def _objects(source: Path, encoding: str) -> list[Any]:
    """The objects of a document, and a remark in place of each that is damaged."""
    text = json_text(_decoded(_document(source), encoding), source)
    try:
        value = parse_json(text, source)
        if isinstance(value, str):  # a program wrote a text where it meant the value
            value = parse_json(value, source)
        return objects_in(value)
    except DataError as error:
        try:
            values = list(values_in(text))
        except ValueError:
            raise error from None
        good = [value for value in values if isinstance(value, dict | list)]
        if not good:
            raise error from None
        return _of_pages([_remark_on(value, source) for value in values])


def _remark_on(value: Any, source: Path) -> Any:
    if not isinstance(value, Damaged):
        return value
    return Skipped(NOT_JSON, source.name, value=f"line {value.line}: {value.start}")


def _of_pages(values: list[Any]) -> list[Any]:
    """The objects of several values: of pages, what each holds."""
    if not _are_pages(values):
        return values
    return [found for value in values for found in _of_page(value)]


def _are_pages(values: Sequence[Any]) -> bool:
    """Whether values are no posts but hold them; the first show it: to look at each would take
    long."""
    return any(map(_is_page, values[:_FIRST_VALUES]))


def _is_page(value: Any) -> bool:
    if isinstance(value, list):
        return any(isinstance(each, dict) for each in objects_in(value))
    return isinstance(value, dict) and objects_in(value) != [value]


def _of_page(value: Any) -> list[Any]:
    """The objects of a page of posts: none where it is empty, as the last one may be."""
    if not isinstance(value, dict | list):
        return [value]
    found = objects_in(value)
    if isinstance(value, list) or found != [value] or _number_of_fields(value) > 1:
        return found
    return [] if [] in value.values() else [Skipped(NO_POSTS, "", value=", ".join(value)[:80])]


def objects_in(value: Any) -> list[Any]:
    """The objects that a JSON value holds, one per post.

    Examples
    --------
    >>> objects_in({"data": [{"id": 1, "text": "Tea"}], "next": 3})
    [{'id': 1, 'text': 'Tea'}]
    >>> objects_in({"7": {"text": "Tea", "likes": 3}, "8": {"text": "Cup", "likes": 4}})[1]
    {'id': '8', 'text': 'Cup', 'likes': 4}
    >>> objects_in([["id", "text"], [7, "Tea"]])
    [{'id': 7, 'text': 'Tea'}]
    """
    if isinstance(value, list):
        if len(value) > 1 and all(map(_is_list, value)) and _are_names(value[0]):
            return _from_rows(value[0], value[1:])
        if _are_holders(value):
            return [inner for page in value if _holds_posts(page) for inner in objects_in(page)]
        return value
    if not isinstance(value, dict):
        return []
    for found in (_split_table(value), _from_columns(value), _by_id(value)):
        if found:
            return found
    return objects_in(max(_lists_of_objects(value), key=len)) if _holds_posts(value) else [value]


def _are_holders(values: Sequence[Any]) -> bool:
    """Whether some objects hold lists of objects, and none is a post itself."""
    first = values[:_FIRST_VALUES]
    return any(map(_holds_posts, first)) and not any(
        isinstance(each, dict) and _number_of_fields(each) > 1 for each in first
    )


def _holds_posts(value: Any) -> bool:
    """Whether an object is no post itself, but holds a list of objects."""
    if not isinstance(value, dict) or not _lists_of_objects(value):
        return False
    return _number_of_fields(value) < 2


def _number_of_fields(value: Mapping[str, Any]) -> int:
    """How many fields an object has that posts have."""
    cells = [column for column, cell in flatten(value).items() if not _is_list(cell)]
    return sum(name in recognise(cells).mapping for name in _FIELDS_OF_POSTS)


def _are_names(values: Any) -> bool:
    """Whether these are names of columns, of which some are known."""
    texts = _is_list(values) and all(isinstance(each, str) for each in values)
    return texts and len(recognise(list(dict.fromkeys(values))).mapping) > 1


def _from_rows(names: Sequence[str], rows: Sequence[Any]) -> list[Any]:
    return [dict(zip(names, row, strict=False)) if _is_list(row) else row for row in rows]


def _split_table(value: Mapping[str, Any]) -> list[Any]:
    """The rows of a table with its columns' names beside them."""
    rows = value.get("data")
    if _is_list(rows) and rows and all(map(_is_list, rows)) and _are_names(value.get("columns")):
        return _from_rows(value["columns"], rows)
    return []


def _from_columns(value: Mapping[str, Any]) -> list[Any]:
    """The rows of a table that is given column by column: lists, or objects by row number."""
    columns = [
        list(cells.values()) if isinstance(cells, dict) else cells for cells in value.values()
    ]
    alike = all(map(_is_list, columns)) and len(set(map(len, columns))) == 1
    numbered = all(
        _is_list(cells) or (cells and list(cells) == list(map(str, range(len(cells)))))
        for cells in value.values()
        if isinstance(cells, dict | list)
    )
    scalar = alike and not any(isinstance(cell, dict) for cells in columns for cell in cells[:1])
    if not (columns and alike and numbered and scalar and _are_names(list(value))):
        return []
    return [dict(zip(value, cells, strict=True)) for cells in zip(*columns, strict=True)]


def _by_id(value: Mapping[str, Any]) -> list[Any]:
    """Objects by id, each with it."""
    if len(value) < 2 or not all(isinstance(each, dict) for each in value.values()):
        return []
    first, *others = (set(each) for each in value.values())
    if not all(2 * len(first & other) > len(first | other) for other in others):
        return []
    if not _are_names(sorted(first)) or _are_names(list(value)):
        return []
    return [{"id": key, **each} for key, each in value.items()]


def _lists_of_objects(value: Mapping[str, Any], depth: int = 1) -> list[list[Any]]:
    found: list[list[Any]] = []
    for item in value.values():
        if _is_list(item) and any(isinstance(each, dict) for each in item):
            found.append(item)
        elif isinstance(item, dict) and depth < MAX_DEPTH:
            found += _lists_of_objects(item, depth + 1)
    return found


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _numbered(source: Path, objects: Sequence[Any]) -> Iterator[tuple[int, Row] | Skipped]:
    for number, value in enumerate(objects, start=1):
        yield _row(source, number, value)


def _row(source: Path, number: int, value: Any) -> tuple[int, Row] | Skipped:
    if isinstance(value, dict):
        return number, flatten(value)
    if isinstance(value, Skipped):
        return replace(value, file=source.name, row=number)
    return Skipped("not a JSON object", source.name, number)


def _rows(source: Path, encoding: str) -> Iterator[tuple[int, Row] | Skipped]:
    lines = _lines(source, encoding)
    first = list(islice(lines, _FIRST_VALUES))
    are_pages = _are_pages([value for _, value in first])
    for number, value in chain(first, lines):
        for found in _of_page(value) if are_pages else [value]:
            yield _row(source, number, found)


def _lines(source: Path, encoding: str) -> Iterator[tuple[int, Any]]:
    """The value of each line that isn't blank, by its number among them."""
    number = 0
    with source.open("rb") as stream:
        for line_number in count(1):
            line = stream.readline(MAX_LINE_BYTES + 1)
            if not line:
                return
            if len(line) > MAX_LINE_BYTES:
                raise DataError("a line of more than 16 MiB.", file=source, row=number + 1)
            if not line.strip():
                continue
            number += 1
            try:
                text = _decoded(line.removeprefix(_BOM), encoding)
                yield number, parse_json(text, source.name)
            except DataError:
                start = line[:_SHOWN_BYTES].decode(errors="replace").strip()
                yield number, _remark_on(Damaged(line_number, start), source)

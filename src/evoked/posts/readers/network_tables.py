"""Find which file of a folder holds which table of a network, and which column which field.

Network sources are folders of CSV (also .tsv and .txt), JSON Lines, JSON or Parquet files, each
with one of these tables::

    viewings      user, post; if known: when, emotion, comment's id, comment, author of the post
    posts         post; if known: author and anything else that a table of posts may hold
    connections   user, other user
    memberships   user, group
    groups        group; if known: description, name
    users         user: all who exist; rows of anybody else are dropped
    comments      comment's id, comment

A file's name (``likes.csv``, ``contacts.txt``) says which table it holds if its columns agree;
otherwise its columns do. A person can decide with ``--map TABLE=FILE``. Columns are found by their
names, ignoring case and punctuation (:data:`FIELDS`), unless a person decides with
``--map TABLE.FIELD=COLUMN``. A file whose first line names no known column has no header: its
columns are called 1, 2, 3 … and hold the table's fields in the order above.

A JSON file is a list of objects, or one object whose keys are column 1 and whose values are objects
or column 2: ``{"<comment's id>": "<comment>"}``, ``{"<user>": ["<contact>", …]}``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from evoked.errors import DataError, SettingsError
from evoked.files import parse_json, read_bounded
from evoked.posts.readers import csv_file, jsonl_file, parquet_file
from evoked.posts.readers.base import MAX_JSON_BYTES, Skipped
from evoked.posts.readers.columns import choose_mapping, normalise
from evoked.posts.readers.tabular import Row, Table
from evoked.posts.schema import POSTS

FIELDS: dict[str, dict[str, str]] = {
    "viewings": {
        "user_id": "liker likerid viewer viewerid commenter commenterid commentator reader fan "
        "userid user username account person nsid source from",
        "post_id": "postid post imageid image photoid photo pictureid picture itemid item mediaid "
        "media shortcode target to",
        "viewed_at": "viewedat likedat commentedat commenttime commentdate timestamp time datetime "
        "date createdat datecreate",
        "emotion": "emotion emotions emotionlabel emotionlabels emotioncategory actualemotion "
        "label labels",
        "comment_id": "commentid",
        "comment": "comment commenttext text message",
        "author_id": "authorid author ownerid owner uploaderid uploader",
    },
    "posts": {
        "post_id": "postid post imageid image photoid photo pictureid picture itemid item mediaid "
        "shortcode id",
        "author_id": "authorid author ownerid owner uploaderid uploader userid user username nsid",
    },
    "connections": {
        "user_id": "userid user username source from follower followerid user1 nsid",
        "other_id": "otherid other contactid contact contacts contactlist friendid friend friends "
        "followee followeeid followed following target to user2",
    },
    "memberships": {
        "user_id": "userid user username memberid member members memberlist nsid",
        "group_id": "groupid group groups grouplist community",
    },
    "groups": {
        "group_id": "groupid group id nsid",
        "description": "description groupdescription about text",
        "name": "name groupname title",
    },
    "users": {"user_id": "userid user username nsid id"},
    "comments": {"comment_id": "commentid id", "comment": "comment commenttext text content"},
}
"""Fields of each table, with the names that columns may have, without case and punctuation. For
posts, the names in :mod:`evoked.posts.readers.columns` count as well."""

_REQUIRED = {
    "viewings": ("user_id", "post_id"),
    "posts": ("post_id",),
    "connections": ("user_id", "other_id"),
    "memberships": ("user_id", "group_id"),
    "groups": ("group_id",),
    "users": ("user_id",),
    "comments": ("comment_id", "comment"),
}
# Parts of file names that hint at a table, the specific before the general.
_NAME_HINTS = {
    "memberships": ("member", "usergroup", "user_group"),
    "groups": ("group",),
    "viewings": ("view", "like", "actual", "interaction", "reaction", "emotion", "edge", "rating"),
    "comments": ("comment",),
    "connections": ("contact", "connection", "friend", "follow"),
    "posts": ("post", "image", "photo", "picture", "item", "media"),
    "users": ("user", "profile", "people", "account"),
}
_ALIASES = frozenset(
    alias for fields in FIELDS.values() for names in fields.values() for alias in names.split()
)
_TEXT_FILES = (".csv", ".tsv", ".txt")
_TABLE_FILES = (*_TEXT_FILES, ".jsonl", ".ndjson", ".json", ".parquet")

Overrides = dict[str, dict[str, str]]


def part_overrides(mapping: Mapping[str, str]) -> tuple[dict[str, str], Overrides]:
    """A person's decisions: the file of each table, and by table, the column of each field.

    A field that is given without its table belongs to the viewings if they have it, otherwise to
    the posts.

    Raises
    ------
    SettingsError
        There is no such table or field.
    """
    files: dict[str, str] = {}
    columns: Overrides = {name: {} for name in FIELDS}
    for key, value in mapping.items():
        if key in FIELDS:
            files[key] = value
            continue
        table, _, field = key.rpartition(".")
        table = table or ("viewings" if field in FIELDS["viewings"] else "posts")
        if field not in (POSTS.names if table == "posts" else FIELDS.get(table, ())):
            known = [f"{name}.{field}" for name, fields in FIELDS.items() for field in fields]
            raise SettingsError(
                f"there is no field {key!r} to map a column to; there are {', '.join(known)}, "
                f"and posts. with any field of posts."
            )
        columns[table][field] = value
    return files, columns


def find_tables(
    folder: Path, files: Collection[Path], chosen: Mapping[str, str], overrides: Overrides
) -> tuple[dict[str, Table], list[str]]:
    """The tables of a folder by name, and notes on the files that are not used.

    Parameters
    ----------
    folder, files
        The source's folder, and the files in it.
    chosen
        Name of a table's file, where a person decided; an empty name leaves the table out.
    overrides
        Column by table and field, where a person decided.

    Raises
    ------
    DataError
        Several files hold the same table, or a chosen file can't be read.
    SettingsError
        There is no file with a chosen name.
    """
    names = {path.relative_to(folder).as_posix(): path for path in files}
    found: dict[str, Table] = {}
    for wanted, file in chosen.items():
        if file and file not in names:
            raise SettingsError(
                f"{wanted}: there is no file {file!r} in the source; there are "
                f"{', '.join(list(names)[:30])}."
            )
        if file:
            found[wanted] = open_file(names[file], overrides)
    unused = []
    for name, path in names.items():
        if name in chosen.values() or path.suffix.lower() not in _TABLE_FILES:
            continue
        try:
            table = open_file(path, overrides)
        except DataError as error:
            unused.append(f"{name} is not used: {error.problem}")
            continue
        kind = _kind_of(table, overrides)
        if kind is None or kind in chosen:
            unused.append(f"{name} is not used.")
        elif kind in found:
            raise DataError(
                f"{found[kind].path.name} and {path.name} both look like the table of {kind}.",
                file=folder,
                fix=f"Say which one is: --map {kind}=FILE.",
            )
        else:
            found[kind] = table
    comments = found.get("comments")
    if "viewings" not in {*found, *chosen} and comments and _fits(comments, "viewings", overrides):
        found["viewings"] = found.pop("comments")  # comments with their users and posts
    return found, unused


def open_file(path: Path, overrides: Overrides) -> Table:
    """The table in a file, whatever its format."""
    suffix = path.suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        return jsonl_file.open_table(path)
    if suffix == ".json":
        return _open_json(path)
    if suffix == ".parquet":
        return parquet_file.open_table(path)
    named = {name for columns in overrides.values() for name in columns.values()}

    def is_header(cells: list[str]) -> bool:
        known = choose_mapping(cells, {})
        return bool(known) or any(cell in named or normalise(cell) in _ALIASES for cell in cells)

    return csv_file.open_table(path, is_header)


def map_fields(table: Table, name: str, overrides: Mapping[str, str]) -> dict[str, str]:
    """Column of each field of the table ``name``, guessed unless a person decided.

    Raises
    ------
    SettingsError
        There is no such column.
    """
    by_name = {normalise(column): column for column in reversed(table.columns)}
    mapping: dict[str, str] = {}
    for field, column in overrides.items():
        if column and normalise(column) not in by_name:
            raise SettingsError(
                f"field {name}.{field}: {table.path.name} has no column {column!r}; it has "
                f"{', '.join(table.columns)}."
            )
        if column:
            mapping[field] = column if column in table.columns else by_name[normalise(column)]
    open_fields = [field for field in FIELDS[name] if field not in overrides]
    for field in open_fields:
        named = [by_name[alias] for alias in FIELDS[name][field].split() if alias in by_name]
        free = [column for column in named if column not in mapping.values()]
        if free:
            mapping[field] = free[0]
    if table.columns[0] == "1":
        numbered = [column for column in table.columns if column.isdecimal()]
        left = [column for column in numbered if column not in mapping.values()]
        mapping |= dict(
            zip([each for each in open_fields if each not in mapping], left, strict=False)
        )
    return mapping


def _fits(table: Table, name: str, overrides: Overrides) -> bool:
    columns = {normalise(column) for column in table.columns}
    possible = {
        field: column
        for field, column in overrides[name].items()
        if not column or normalise(column) in columns
    }
    mapping = map_fields(table, name, possible)
    return set(_REQUIRED[name]) <= mapping.keys()


def _kind_of(table: Table, overrides: Overrides) -> str | None:
    fitting = [name for name in FIELDS if _fits(table, name, overrides)]
    stem = table.path.stem.casefold()
    hinted = [
        name
        for name, hints in _NAME_HINTS.items()
        if name in fitting and any(hint in stem for hint in hints)
    ]
    if table.columns[0] == "1":
        return hinted[0] if hinted else None
    joining = [name for name in ("viewings", "memberships", "connections") if name in fitting]
    if hinted and not (joining and hinted[0] in ("groups", "users")):
        return hinted[0]
    return next((name for name in [*joining, *hinted, "posts"] if name in fitting), None)


def _open_json(path: Path) -> Table:
    value = parse_json(read_bounded(path, MAX_JSON_BYTES), path)
    rows = list(_json_rows(value))
    columns = list(dict.fromkeys(column for row in rows for column in row))
    if not columns:
        raise DataError("neither a list of objects nor an object with entries.", file=path)
    return Table(path, columns, partial(_numbered, path, rows))


def _json_rows(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield {"1": key, **item} if isinstance(item, dict) else {"1": key, "2": item}
    elif isinstance(value, list):
        for item in value:
            yield item if isinstance(item, dict) else {}


def _numbered(path: Path, rows: list[dict[str, Any]]) -> Iterator[tuple[int, Row] | Skipped]:
    for number, row in enumerate(rows, start=1):
        yield (number, row) if row else Skipped("not a JSON object", path.name, number)

"""PixelRec (Cheng et al. 2023): covers, texts and counts of items of a video platform.

The layout is that of the publication (https://github.com/westlake-repl/PixelRec)::

    PixelRec50K/
        item_info.csv      item_id, view_number, comment_number, thumbup_number, share_number,
                           coin_number, favorite_number, barrage_number, title, tag, description
        interaction.csv    item_id, user_id, timestamp: who commented on what, and when
        cover/             a picture per item, named by its id; any folders

An item's title and description become title and caption, its tag (the platform's section) becomes
hashtag and category, thumbs-up become likes and favourites saves. Coins and barrages (comments that
fly over the video) are not imported. The files have neither authors nor dates.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from evoked.errors import DataError
from evoked.posts.readers.base import (
    PICTURE_SUFFIXES,
    PostRecord,
    ReadOptions,
    Remark,
    Skipped,
    Source,
    file_image,
    refuse_options,
    require_folder,
    walk_files,
)
from evoked.posts.readers.csv_file import open_table
from evoked.posts.readers.tabular import Row, Table
from evoked.posts.readers.values import is_missing, plain_text

_FIELDS = {
    "post_id": "item_id",
    "title": "title",
    "caption": "description",
    "views": "view_number",
    "likes": "thumbup_number",
    "comments": "comment_number",
    "shares": "share_number",
    "saves": "favorite_number",
}
_UNUSED = ("coin_number", "barrage_number", "title_en")
_ITEM_COLUMNS = {"item_id", "view_number"}
_INTERACTION_COLUMNS = {"item_id", "user_id"}
_TAG_SEPARATORS = re.compile(r"[,;|，、]")


def read(source: Path, options: ReadOptions) -> Source:
    """Items in a folder with PixelRec's files, whatever their names.

    The item table is the CSV file with the columns ``item_id`` and ``view_number``. If it has no
    ``comment_number``, an item's comments are counted in the table of interactions, each of which
    is a comment. Pictures are found by the item's id, in any folder.

    Raises
    ------
    DataError
        There is no such folder, or no item table in it, or several.
    SettingsError
        A mapping or a scale was given.
    """
    refuse_options(options, "pixelrec")
    require_folder(source)
    files = walk_files(source)
    tables = [open_table(path) for path in files if path.suffix.lower() == ".csv"]
    items = _only([each for each in tables if set(each.columns) >= _ITEM_COLUMNS], source)
    pictures = {
        path.stem: path.relative_to(source).as_posix()
        for path in reversed(files)
        if path.suffix.lower() in PICTURE_SUFFIXES
    }
    notes = [*items.notes, "No column holds authors or dates."]
    unused = [name for name in _UNUSED if name in items.columns]
    if unused:
        notes.append(f"Columns that are not used: {', '.join(unused)}.")
    comments: Mapping[str, int] = {}
    if "comment_number" not in items.columns:
        comments = _interactions(tables)
        notes.append("Comments are counted from the table of interactions.")
    mapping = {name: column for name, column in _FIELDS.items() if column in items.columns}
    if "tag" in items.columns:
        mapping |= {"hashtags": "tag", "category": "tag"}
    return Source(
        records=_records(source, items, pictures, mapping, comments), mapping=mapping, notes=notes
    )


def _only(tables: list[Table], source: Path) -> Table:
    if len(tables) != 1:
        found = ", ".join(str(table.path.relative_to(source)) for table in tables)
        raise DataError(
            f"expected one item table (a CSV file with the columns item_id and view_number), found "
            f"{found or 'none'}.",
            file=source,
            fix="Give the folder that holds item_info.csv and the covers, and one such table only.",
        )
    return tables[0]


def _interactions(tables: list[Table]) -> Counter[str]:
    """The number of interactions of each item."""
    counts: Counter[str] = Counter()
    for table in tables:
        if set(table.columns) >= _INTERACTION_COLUMNS and "view_number" not in table.columns:
            rows = (item[1] for item in table.rows() if not isinstance(item, Skipped))
            counts.update(plain_text(row.get("item_id")).strip() for row in rows)
    return counts


def _records(
    source: Path,
    items: Table,
    pictures: Mapping[str, str],
    mapping: Mapping[str, str],
    comments: Mapping[str, int],
) -> Iterator[PostRecord | Remark]:
    for item in items.rows():
        if isinstance(item, Skipped):
            yield item
            continue
        number, row = item
        identifier = plain_text(row.get("item_id")).strip()
        if is_missing(identifier):
            yield Skipped("an item without an id", items.path.name, number, "item_id")
            continue
        fields: dict[str, Any] = {name: row.get(column) for name, column in mapping.items()}
        fields |= {"post_id": identifier, **_tags(row)}
        if comments:
            fields["comments"] = comments.get(identifier, 0)
        record = PostRecord(fields, file=items.path.name, row=number, content=row)
        if identifier in pictures:
            record.images = [file_image(source, pictures[identifier])]
        else:
            record.remarks.append(
                Remark("no cover is named by the item's id", items.path.name, number, "images")
            )
        yield record


def _tags(row: Row) -> dict[str, Any]:
    """The hashtags, which keep the spaces in a section's name, and the category."""
    tag = row.get("tag")
    if is_missing(tag):
        return {}
    names = [name.strip() for name in _TAG_SEPARATORS.split(plain_text(tag)) if name.strip()]
    return {"hashtags": names, "category": names[0] if names else None}

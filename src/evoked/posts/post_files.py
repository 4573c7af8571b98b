"""The file, or the files by month, that hold a dataset's posts.

::

    my_posts/
        posts.parquet         all posts, where they are fewer than half a million
        posts/                otherwise a file per month (UTC), so that what is appended rewrites
            2024-05.parquet   the months that it changes and no others
            undated.parquet   posts without a date
"""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from evoked.errors import DataError

POSTS_FILE = "posts.parquet"
POSTS_FOLDER = "posts"

POSTS_BY_MONTH = 500_000
"""So many posts are kept by month: a file of fewer is rewritten in a second or two, which is hardly
more than the opening of many files costs every reader."""

_UNDATED = "undated"
_PART = re.compile(r"(\d{4}-\d{2}|undated)\.parquet")
# Row groups bound the memory that a reader needs.
_ROWS_OF_A_GROUP = 16_384


def post_files(folder: Path) -> list[Path]:
    """The files that hold a dataset's posts, in the order of its rows; none if it has none.

    Raises
    ------
    DataError
        There are both kinds, or a file that is no month's: one writer makes one or the other.
    """
    whole, parts = folder / POSTS_FILE, folder / POSTS_FOLDER
    if not parts.is_dir():
        return [whole] if whole.is_file() else []
    found = sorted(path for path in parts.iterdir() if not path.name.startswith("."))
    wrong = next((path for path in found if not _PART.fullmatch(path.name)), None)
    if wrong is not None or whole.is_file():
        raise DataError(
            "beside the files of posts by month; it can't be said which posts are the dataset's.",
            file=wrong or whole,
            fix="Remove it if you put it there; otherwise import the posts again.",
        )
    return found


def are_by_month(folder: Path) -> bool:
    """Whether a dataset's posts are kept by month."""
    return (folder / POSTS_FOLDER).is_dir()


def months_of(posts: pa.Table) -> pa.ChunkedArray:
    """The name of the month that each of n posts belongs to, (n,) of str."""
    months = pc.strftime(posts["posted_at"], format="%Y-%m")
    return pc.fill_null(months, _UNDATED)


def write_posts(posts: pa.Table, folder: Path, *, by_month: bool | None = None) -> None:
    """Write posts into a dataset's folder.

    Parameters
    ----------
    posts
        With the columns of :data:`evoked.posts.schema.POSTS`.
    by_month
        Whether to keep them by month; by default as many as :data:`POSTS_BY_MONTH` are.
    """
    if by_month is None:
        by_month = posts.num_rows >= POSTS_BY_MONTH
    if not by_month:
        _write(posts, folder / POSTS_FILE)
        return
    parts = folder / POSTS_FOLDER
    parts.mkdir(exist_ok=True)
    months = months_of(posts)
    for month in sorted(pc.unique(months).to_pylist()):
        _write(posts.filter(pc.equal(months, month)), parts / f"{month}.parquet")


def _write(posts: pa.Table, path: Path) -> None:
    pq.write_table(posts, path, row_group_size=_ROWS_OF_A_GROUP)

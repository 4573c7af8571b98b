"""Posts of any number of Parquet files, read a few at a time.

A dataset is one such file. Elsewhere the files, which are called parts, have columns of
:data:`evoked.posts.schema.POSTS`; a post's pictures are named in ``images`` and lie in a folder or
behind an address that all share (:mod:`evoked.posts.picture_places`).
"""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from evoked.errors import DataError
from evoked.parquet import count_rows, plain_rows, read_names, read_rows
from evoked.posts.dataset import DESCRIPTION_FILE, PostDataset
from evoked.posts.facts import fact_names
from evoked.posts.schema import POSTS, conform


class Wrong(NamedTuple):
    """A row that is no post: its place, the id that it gives itself, and why."""

    file: Path
    row: int
    post_id: str | None
    why: str


class Slice(NamedTuple):
    """Some rows of a file: posts with the columns of the schema, the row of each counted from 1,
    and the rows that are no posts."""

    file: Path
    posts: pa.Table
    rows: pa.Array
    wrong: list[Wrong]


class PostParts:
    """Posts in a dataset's folder, or in Parquet files.

    Parameters
    ----------
    source
        A dataset's folder, a Parquet file, a folder of them (those in folders within it, too; names
        that begin with a dot or an underscore are passed over), or a pattern such as
        ``parts/2024-*.parquet``.

    Attributes
    ----------
    files
        The files, in order of their names.
    pictures
        Where their pictures lie, unless said otherwise.
    has_activity
        Whether this is a dataset with counts over time.

    Raises
    ------
    DataError
        There are no such files, or a dataset's pictures are locked.
    """

    def __init__(self, source: Path | str) -> None:
        self.source = Path(source)
        if (self.source / DESCRIPTION_FILE).is_file():
            dataset = PostDataset(self.source)
            dataset.check_pictures()
            self.has_activity = len(dataset.table("activity")) > 0
            self._beside = [self.source / "activity.parquet"] if self.has_activity else []
            self.files = dataset.files("posts")
            self.pictures = str(dataset.image_folder)
        else:
            self.has_activity, self._beside = False, []
            self.files = _files(self.source)
            self.pictures = str((_beginning(self.source) / "images").absolute())

    def __len__(self) -> int:
        """Number of rows that the files say they have."""
        return sum(count_rows(file) for file in self.files)

    def digest(self) -> str:
        """A digest of names, sizes and times of the files: another one if a file has changed."""
        digest = hashlib.sha256()
        for file in (*self.files, *self._beside):
            state = file.stat()
            digest.update(f"{file.absolute()}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
        return digest.hexdigest()

    @property
    def facts(self) -> set[str]:
        """Names of the facts that any file has a column for."""
        return {name for file in self.files for name in fact_names(read_names(file))}

    def slices(self) -> Iterator[Slice]:
        """The rows of all files, a thousand at most at a time.

        Raises
        ------
        DataError
            A file can't be read, or has columns that no post has.
        """
        for file in self.files:
            first = 1
            if "post_id" not in read_names(file):
                raise DataError("no row has an id.", file=file, field="post_id")
            for batch in read_rows(file):
                _no_posts(batch, file)  # raises what is wrong with all of its rows alike
                yield _checked(batch, file, first)
                first += len(batch)


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    if source.is_dir():
        found = sorted(source.rglob("*.parquet"))
        shown = [path for path in found if not _is_hidden(path.relative_to(source))]
    else:
        shown = sorted(Path(name) for name in glob.glob(str(source), recursive=True))
    files = [path for path in shown if path.is_file()]
    if not files:
        raise DataError(
            "there is no dataset and no Parquet file.",
            file=source,
            fix="Give a dataset's folder, a folder of .parquet files, or a pattern for them in "
            "quotes: 'posts/*.parquet'.",
        )
    return files


def _is_hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)


def _beginning(source: Path) -> Path:
    """The folder of a file, or the part of a pattern that is the same for all files."""
    while source.is_file() or any(sign in str(source) for sign in "*?["):
        source = source.parent
    return source


def _checked(batch: pa.RecordBatch, file: Path, first: int) -> Slice:
    """Rows as posts; where one is none, halves are tried: one among many takes few attempts."""
    rows = pa.array(range(first, first + len(batch)), pa.int64())
    try:
        posts = conform(_with_lists(plain_rows(batch)), POSTS, "posts", file)
        _check_identifiers(posts)
    except DataError as error:
        if len(batch) == 1:
            why = str(DataError(error.problem, file=file, row=first, field=error.field))
            wrong = [_wrong(batch, file, first, why)]
            return Slice(file, _no_posts(batch, file), rows.slice(0, 0), wrong)
        middle = len(batch) // 2
        before = _checked(batch.slice(0, middle), file, first)
        after = _checked(batch.slice(middle), file, first + middle)
        return Slice(
            file,
            pa.concat_tables([before.posts, after.posts], promote_options="default"),
            pa.concat_arrays([before.rows, after.rows]),
            before.wrong + after.wrong,
        )
    return Slice(file, posts, rows, [])


def _with_lists(rows: pa.Table) -> pa.Table:
    """Rows whose pictures are named in a list, also where the file has one name each as a text."""
    if "images" not in rows.column_names or not pa.types.is_string(rows["images"].type):
        return rows
    names = [None if name is None else [name] for name in rows["images"].to_pylist()]
    place = rows.column_names.index("images")
    return rows.set_column(place, "images", pa.array(names, POSTS.field("images").type))


def _check_identifiers(posts: pa.Table) -> None:
    if "" in posts["post_id"].to_pylist():
        raise DataError("every post needs an id.", field="post_id")


def _no_posts(batch: pa.RecordBatch, file: Path) -> pa.Table:
    return conform(_with_lists(plain_rows(batch.slice(0, 0))), POSTS, "posts", file)


def _wrong(batch: pa.RecordBatch, file: Path, row: int, why: str) -> Wrong:
    names = batch.column("post_id").to_pylist() if "post_id" in batch.schema.names else [None]
    try:
        return Wrong(file, row, None if names[0] is None else str(names[0]), why)
    except UnicodeDecodeError:
        return Wrong(file, row, None, why)

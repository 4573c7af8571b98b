"""Posts of many files put into batches on disk, the posts of an author together.

What a post sees of its author's earlier posts needs these beside it, and nothing else: see
:mod:`evoked.posts.author_history`. So posts are spread over buckets by their authors' hashes, and
each bucket, which fits into memory, is cut into batches between two authors. An author of more
posts than a batch is cut, too, and each of these batches has the author's other posts beside it,
but for what nobody sees of them. Memory doesn't grow with the number of posts; it does with those
of one author.

::

    gathered/
        batches/00000/00000000.parquet …  posts, with the columns of the schema
        wrong/00000000.parquet …          post_id and error of the rows that are no posts
        everyones_means.bin               see evoked.posts.everyones_means
        histories/00000/00000000.parquet … what the posts of a batch see, if that was known before
        gathered.json                     how many rows each of them has
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from evoked.errors import DataError
from evoked.files import atomic_folder, damage, read_object, write_json, writing
from evoked.parquet import read_frame, read_table
from evoked.posts.author_hashes import author_hashes, hashes
from evoked.posts.author_history import KINDS, AuthorHistory, are_published, published_posts
from evoked.posts.everyones_means import EveryonesMeans, MeansWriter
from evoked.posts.post_parts import PostParts, Wrong
from evoked.posts.schema import POSTS, conform
from evoked.progress import Progress

ROWS_PER_BATCH = 2048
"""Posts of a batch, as far as authors allow it."""

GATHERED_FILE = "gathered.json"
_BATCH_FOLDER = "batches"
_BUCKET_FOLDER = "buckets"
_WRONG_FOLDER = "wrong"
_HISTORY_FOLDER = "histories"
_ROWS_PER_BUCKET = 32_768
# What waits in memory to be written into buckets.
_WAITING_BYTES = 32 * 2**20
_FILES_PER_FOLDER = 1024
_SAMPLED_INSTANTS = 65_536
_STAGE = "gathering posts"
ERROR = "error"
"""Column of answers: why a row could not be scored; None if it was."""

WRONG = pa.schema([("post_id", pa.string()), (ERROR, pa.string())])
# By which author's posts a post is seen, and where it comes from; no column of posts is called so.
_OWN = (_AUTHOR, _FILE, _ROW) = ("source author", "source file", "source row")
_SEEN = ["post_id", "author_id", "posted_at", "followers", *KINDS]


class GatheredPosts:
    """Batches of posts in a folder that :func:`gather` has made.

    Attributes
    ----------
    sizes
        Number of posts of each batch.
    wrong_sizes
        Number of rows of each table of rows that are no posts.

    Raises
    ------
    DataError
        The folder is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        state = read_object(folder / GATHERED_FILE, "batches", "wrong")
        with damage(folder / GATHERED_FILE, "what gathered posts are", "Remove the folder."):
            self.sizes = [int(size) for size in state["batches"]]
            self.wrong_sizes = [int(size) for size in state["wrong"]]

    def batch(self, number: int) -> tuple[pa.Table, int]:
        """The posts of a batch, and of how many further posts, which follow, these see something.

        All that a post sees of its author's posts is in its batch.
        """
        path = _batch_file(self.folder, number)
        posts = conform(read_table(path), POSTS, "posts", path)
        return posts, len(posts) - self.sizes[number]

    def history(self, number: int) -> pd.DataFrame | None:
        """The columns ``history.*`` of a batch's posts and of those beside them, in their order, if
        they were known before."""
        path = _numbered(self.folder / _HISTORY_FOLDER, number)
        return read_frame(path) if path.is_file() else None

    def wrong(self, number: int) -> pa.Table:
        """Rows that are no posts: ``post_id`` and ``error``."""
        return read_table(_wrong_file(self.folder / _WRONG_FOLDER, number))

    @property
    def everyones(self) -> EveryonesMeans:
        """What the last posts of all authors achieved at any instant."""
        return EveryonesMeans(self.folder)


def gather(
    parts: PostParts,
    folder: Path,
    carried: AuthorHistory | None = None,
    only_author: str = "",
    *,
    histories: pd.DataFrame | None = None,
    rows_per_batch: int = ROWS_PER_BATCH,
    progress: Progress | None = None,
) -> GatheredPosts:
    """Put posts into batches; the folder appears whole or not at all.

    Parameters
    ----------
    parts
        The posts.
    folder
        A folder that doesn't exist yet.
    carried
        What a run knows of authors from its own posts.
    only_author
        The hash of the author whose a draft without one is; '' for nobody.
    histories
        The columns ``history.*`` of all posts, by post_id, where they are known: of a dataset with
        counts over time they can only be worked out with all posts in memory.
    rows_per_batch
        Posts of a batch, of whole authors as far as it goes.
    progress
        Called with the number of rows read.

    Raises
    ------
    DataError
        A file can't be read, or the disk is full.
    """
    with atomic_folder(folder) as temporary:
        wrong = _WrongRows(temporary / _WRONG_FOLDER)
        buckets = _Buckets(temporary / _BUCKET_FOLDER, len(parts))
        instants = _fill(buckets, parts, only_author, wrong, progress)
        means = MeansWriter(temporary, buckets.posts, instants)
        unseen = set() if carried is None else set(carried.author)
        sizes: list[int] = []
        for bucket in range(buckets.number):
            posts = _without_repeated(buckets.read(bucket), parts.files, wrong)
            seen = posts.select(_SEEN).to_pandas()
            authors = set(posts[_AUTHOR].to_pylist())
            history = AuthorHistory.of(published_posts(seen))
            if carried is not None:
                history = history.completed_by(carried.of_authors(sorted(authors & unseen)))
            means.add(history)
            unseen -= authors
            for batch, others in _batches(posts, rows_per_batch):
                rows = _joined([batch.drop_columns([*_OWN]), others])
                _write(rows, _batch_file(temporary, len(sizes)))
                if histories is not None:
                    seen_by = histories.loc[rows["post_id"].to_pylist()]
                    path = _numbered(temporary / _HISTORY_FOLDER, len(sizes))
                    _write(pa.Table.from_pandas(seen_by, preserve_index=False), path)
                sizes.append(len(batch))
        if carried is not None:
            means.add(carried.of_authors(sorted(unseen)))
        means.finish()
        buckets.remove()
        wrong.flush()
        write_json(temporary / GATHERED_FILE, {"batches": sizes, "wrong": wrong.sizes})
    return GatheredPosts(folder)


class _Buckets:
    """Files among which posts are spread by their authors, or by their ids where these are unknown.

    A bucket's file is one stream of Arrow's after the other.
    """

    def __init__(self, folder: Path, rows: int) -> None:
        self.folder = folder
        self.number = max(1, -(-rows // _ROWS_PER_BUCKET))
        self.posts = 0
        self._waiting: list[list[pa.Table]] = [[] for _ in range(self.number)]
        self._bytes = 0
        folder.mkdir(parents=True)

    def add(self, posts: pa.Table) -> None:
        """Put posts aside; they are written once there are many."""
        authors = posts[_AUTHOR].to_numpy()
        hashed = np.where(authors == "", hashes(posts["post_id"].to_pandas()), authors)
        bucket = np.array([int(each, 16) % self.number for each in hashed], np.int64)
        for number in np.unique(bucket):
            chosen = posts.filter(pa.array(bucket == number))
            self._waiting[number].append(chosen)
            self._bytes += chosen.nbytes
        self.posts += len(posts)
        if self._bytes > _WAITING_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        for number, tables in enumerate(self._waiting):
            if tables:
                path = self._file(number)
                table = _joined(tables)
                with (
                    writing(path),
                    open(path, "ab") as stream,
                    pa.ipc.new_stream(stream, table.schema) as out,
                ):
                    out.write_table(table)
                tables.clear()
        self._bytes = 0

    def read(self, number: int) -> pa.Table:
        """The posts of a bucket, by author and place in the source."""
        tables = list(self._streams(self._file(number)))
        if not tables:
            return _nothing()
        table = _joined(tables)
        return table.sort_by([(name, "ascending") for name in _OWN])

    def remove(self) -> None:
        """Remove the files."""
        shutil.rmtree(self.folder)

    def _streams(self, path: Path) -> Iterator[pa.Table]:
        if not path.is_file():
            return
        with open(path, "rb") as stream:
            while stream.peek(1):
                with pa.ipc.open_stream(stream) as part:
                    yield part.read_all()

    def _file(self, number: int) -> Path:
        return self.folder / f"{number:06d}.arrows"


class _WrongRows:
    """Takes the rows that are no posts, and writes tables of ``post_id`` and ``error``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sizes: list[int] = []
        self._waiting: list[Wrong] = []
        folder.mkdir(parents=True)

    def add(self, rows: Sequence[Wrong]) -> None:
        """Take rows."""
        self._waiting += rows
        while len(self._waiting) >= ROWS_PER_BATCH:
            self._write(ROWS_PER_BATCH)

    def flush(self) -> None:
        """Write the rest."""
        if self._waiting:
            self._write(len(self._waiting))

    def _write(self, number: int) -> None:
        rows, self._waiting = self._waiting[:number], self._waiting[number:]
        columns = {"post_id": [row.post_id for row in rows], ERROR: [row.why for row in rows]}
        _write(pa.table(columns, schema=WRONG), _wrong_file(self.folder, len(self.sizes)))
        self.sizes.append(number)


def _fill(
    buckets: _Buckets,
    parts: PostParts,
    only_author: str,
    wrong: _WrongRows,
    progress: Progress | None,
) -> NDArray[np.int64]:
    """Spread all posts over buckets; the instants of some of them."""
    total, read = len(parts), 0
    step = max(1, total // _SAMPLED_INSTANTS)
    numbers = {file: number for number, file in enumerate(parts.files)}
    sampled: list[NDArray[np.int64]] = []
    for part in parts.slices():
        wrong.add(part.wrong)
        posts = part.posts.append_column(_AUTHOR, _authors(part.posts, only_author))
        files = pa.array([numbers[part.file]] * len(posts), pa.int64())
        posts = posts.append_column(_FILE, files).append_column(_ROW, part.rows)
        buckets.add(posts)
        instants = posts["posted_at"].cast(pa.int64()).drop_null().to_numpy()
        sampled.append(instants[-read % step :: step])
        read += len(part.posts) + len(part.wrong)
        if progress is not None:
            progress(_STAGE, read, total)
    buckets.flush()
    return np.concatenate(sampled) if sampled else np.zeros(0, np.int64)


def _authors(posts: pa.Table, only_author: str) -> pa.Array:
    """The hash of the author by whose posts each is seen, '' for nobody."""
    seen = posts.select(_SEEN).to_pandas()
    authors = author_hashes(seen)
    drafts = ~are_published(seen) & (authors == "")
    return pa.array(np.where(drafts, only_author, authors), pa.string())


def _without_repeated(posts: pa.Table, files: Sequence[Path], wrong: _WrongRows) -> pa.Table:
    """Posts of one bucket without those whose id an earlier one has."""
    repeated = posts["post_id"].to_pandas().duplicated().to_numpy()
    if not repeated.any():
        return posts
    places = posts.filter(pa.array(repeated)).select(["post_id", _FILE, _ROW]).to_pylist()
    wrong.add([_repeated(place, files) for place in places])
    return posts.filter(pa.array(~repeated))


def _repeated(place: dict[str, Any], files: Sequence[Path]) -> Wrong:
    name, file, row = place["post_id"], files[place[_FILE]], place[_ROW]
    problem = DataError(f"the id {name!r} occurs twice.", file=file, row=row, field="post_id")
    return Wrong(file, row, name, str(problem))


def _batches(posts: pa.Table, size: int) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Posts, which are in order of their authors, in batches of about ``size``, and beside each the
    other published posts of an author whose posts are more than a batch."""
    authors = posts[_AUTHOR].to_numpy()
    # Those of nobody known see nothing of each other: they are cut anywhere.
    same = np.concatenate([[False], (authors[1:] == authors[:-1]) & (authors[1:] != "")])
    starts = np.append(np.flatnonzero(~same), len(authors))
    begin = 0
    while begin < len(authors):
        # Where the last author ends who still fits in, or where the first is cut.
        end = int(starts[np.searchsorted(starts, begin + size, side="right") - 1])
        if end > begin:
            yield posts.slice(begin, end - begin), _no_others()
        else:
            end = int(starts[np.searchsorted(starts, begin, side="right")])
            yield from _cut_author(posts.slice(begin, end - begin), size)
        begin = end


def _cut_author(posts: pa.Table, size: int) -> Iterator[tuple[pa.Table, pa.Table]]:
    published = are_published(posts.select(_SEEN).to_pandas())
    for begin in range(0, len(posts), size):
        other = published.copy()
        other[begin : begin + size] = False
        yield posts.slice(begin, size), posts.select(_SEEN).filter(pa.array(other))


def _no_others() -> pa.Table:
    return pa.schema([POSTS.field(name) for name in _SEEN]).empty_table()


def _joined(tables: Sequence[pa.Table]) -> pa.Table:
    try:
        return pa.concat_tables(tables, promote_options="default")
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0][:200]
        raise DataError(
            f"a column is of one kind in one file and of another in the next ({reason}).",
            fix="Write all files with the same types.",
        ) from error


def _nothing() -> pa.Table:
    own = [(_AUTHOR, pa.string()), (_FILE, pa.int64()), (_ROW, pa.int64())]
    return pa.schema([*POSTS, *own]).empty_table()


def _write(table: pa.Table, path: Path) -> None:
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, compression="zstd")


def _batch_file(folder: Path, number: int) -> Path:
    return _numbered(folder / _BATCH_FOLDER, number)


def _wrong_file(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}.parquet"


def _numbered(folder: Path, number: int) -> Path:
    return folder / f"{number // _FILES_PER_FOLDER:05d}" / f"{number:08d}.parquet"

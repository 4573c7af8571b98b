"""PostDataset: a folder of posts and everything known about them.

::

    my_posts/
        dataset.json          provenance, scales, time zone, number of posts, facts
        posts.parquet         one row per post (see evoked.posts.schema), with a column for each
                              fact (see evoked.posts.facts); where posts are many, a folder posts/
                              with a file for each month (see evoked.posts.post_files)
        annotations.parquet   further tables, each of them optional
        activity.parquet …
        images/               the pictures named in the column images of the posts
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

from evoked.errors import DataError
from evoked.files import (
    atomic_folder,
    atomic_path,
    check_format_version,
    damage,
    link,
    read_bounded,
    read_object,
    write_json,
)
from evoked.parquet import count_rows, read_batches, read_names, read_table
from evoked.posts.facts import Fact, describe_facts
from evoked.posts.images import MAX_BYTES
from evoked.posts.picture_metadata import without_metadata
from evoked.posts.post_files import POSTS_FOLDER, post_files, write_posts
from evoked.posts.schema import (
    ENGAGEMENT,
    EXPOSURE,
    FACT_PREFIX,
    POSTS,
    TABLES,
    conform,
    with_facts,
)
from evoked.posts.time_zones import zone_of

FORMAT_VERSION = 1
DESCRIPTION_FILE = "dataset.json"
IMAGE_FOLDER = "images"
LOCK_FILE = "images.lock.json"
"""Exists while pictures are locked (see :mod:`evoked.posts.privacy.image_locking`)."""

_SHOWN_CHARACTERS = 100
# Empty, "." and "..", a separator of any system, a drive letter. In RE2, NUL is a character.
_NO_FILE_NAME = r"\A[. ]*\z|[/\\\x00]|\A[A-Za-z]:"


class _Description(BaseModel):
    """What dataset.json holds, as far as it is read; further entries stay as they are."""

    model_config = ConfigDict(extra="allow")

    posts: int = Field(ge=0)
    provenance: dict[str, Any] = {}
    scales: dict[str, tuple[float, float]] = {}
    time_zone: str | None = None
    facts: list[dict[str, Any]] = []


def read_description(folder: Path) -> dict[str, Any]:
    """Contents of a dataset's dataset.json.

    Raises
    ------
    DataError
        It is damaged, or of another format version.
    """
    file = folder / DESCRIPTION_FILE
    description = read_object(file)
    check_format_version(description, FORMAT_VERSION, file, "Import the posts again")
    with damage(file, "a dataset's description", "Import the posts again."):
        checked = _Description.model_validate(description)
        zone_of(checked.time_zone)
        for fact in checked.facts:
            Fact.from_dict(fact)
    return description


class PostDataset:
    """Posts in a folder, or a selection of them.

    Parameters
    ----------
    folder
        A folder made by ``evoked import``, ``evoked synth`` or :meth:`create`.
    rows
        Row numbers into ``posts.parquet``, shape (n,); all posts by default. :meth:`select` makes
        such selections without copying anything.

    Raises
    ------
    DataError
        The folder is not a dataset, or is of a newer format; a file of it is a link that leads out
        of the folder (raised where the file is read).

    Examples
    --------
    >>> posts = PostDataset("my_posts")           # doctest: +SKIP
    >>> len(posts), posts.describe()["authors"]   # doctest: +SKIP
    """

    def __init__(self, folder: Path | str, rows: ArrayLike | None = None) -> None:
        self.folder = Path(folder)
        _check_link(self.folder / DESCRIPTION_FILE, self.folder)
        if not (self.folder / DESCRIPTION_FILE).is_file():
            raise DataError(
                "not a dataset: there is no dataset.json in it.",
                file=self.folder,
                fix="Make one with 'evoked import' or 'evoked synth'.",
            )
        self.description = read_description(self.folder)
        self._rows = None if rows is None else np.asarray(rows, dtype=np.int64)

    @classmethod
    def create(
        cls,
        folder: Path | str,
        tables: Mapping[str, pa.Table | pd.DataFrame],
        *,
        images: Path | str | None = None,
        provenance: Mapping[str, Any] | None = None,
        scales: Mapping[str, Sequence[float]] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> PostDataset:
        """Write a dataset; the folder appears whole or not at all.

        Parameters
        ----------
        folder
            The dataset's folder; a dataset that is there already is replaced.
        tables
            Tables by name (``posts`` is required); see :data:`evoked.posts.schema.TABLES`.
        images
            A folder of pictures, on the same disk, that is *moved* to ``images/``.
        provenance
            Where the posts come from: source, format, command, date of the source, licence.
        scales
            Scale of the ratings in ``annotations``, such as ``{"valence": (1, 9)}``.
        extra
            Further entries of dataset.json, such as the figures that a generator planted.

        Returns
        -------
        PostDataset
            The dataset that was written.

        Raises
        ------
        DataError
            There is no table of posts, an unknown table or column, a missing or repeated
            ``post_id``, or a picture whose name is not a plain file name.
        """
        arrow = {name: as_arrow(name, table) for name, table in tables.items()}
        if "posts" not in arrow:
            raise DataError("a dataset needs a table named 'posts'.", file=folder)
        _check_identifiers(arrow["posts"], folder)
        _check_image_names(arrow["posts"], folder)
        facts = [fact.to_dict() for fact in describe_facts(as_pandas(_facts_of(arrow["posts"])))]
        with atomic_folder(folder) as temporary:
            for name, table in arrow.items():
                write_table(name, table, temporary)
            if images is None:
                (temporary / IMAGE_FOLDER).mkdir()
            else:
                Path(images).rename(temporary / IMAGE_FOLDER)
            write_json(
                temporary / DESCRIPTION_FILE,
                {
                    "format_version": FORMAT_VERSION,
                    "posts": arrow["posts"].num_rows,
                    "provenance": dict(provenance or {}),
                    "scales": {name: list(scale) for name, scale in (scales or {}).items()},
                    **(extra or {}),
                    **({"facts": facts} if facts else {}),
                },
            )
        return cls(folder)

    @property
    def image_folder(self) -> Path:
        """The folder of pictures.

        Raises
        ------
        DataError
            It is a link, which may lead to files that are no part of the dataset.
        """
        folder = self.folder / IMAGE_FOLDER
        if folder.is_symlink():
            raise DataError(
                "is a link; the pictures of a dataset lie in a folder of its own.",
                file=folder,
                fix="If you trust whoever made the dataset, put the folder in the link's place.",
            )
        return folder

    @property
    def tables(self) -> list[str]:
        """Names of the tables that this dataset has."""
        return [name for name in TABLES if self.files(name)]

    def files(self, table: str) -> list[Path]:
        """The files that hold a table, in the order of its rows; none if the dataset has none.

        Raises
        ------
        DataError
            A file, or the folder of the posts, is a link that leads out of the dataset.
        """
        if table == "posts":
            _check_link(self.folder / POSTS_FOLDER, self.folder)
            found = post_files(self.folder)
        else:
            path = self.folder / f"{table}.parquet"
            found = [path] if path.is_file() or path.is_symlink() else []
        for path in found:
            _check_link(path, self.folder)
        return found

    @cached_property
    def posts(self) -> pd.DataFrame:
        """The posts, one row each, with every column of the schema; index 0 … n - 1.

        Raises
        ------
        DataError
            The table can't be read, or names a picture outside the folder of pictures.
        """
        return as_pandas(self.arrow("posts"))

    def table(self, name: str) -> pd.DataFrame:
        """A further table, restricted to the selected posts; empty if the dataset has none.

        Raises
        ------
        DataError
            The name is not one of :data:`evoked.posts.schema.TABLES`.
        """
        if name not in TABLES:
            raise DataError(f"no table is called {name!r}; there are {list(TABLES)}.")
        if name == "posts":
            return self.posts
        table = self.arrow(name)
        with damage(self.folder / f"{name}.parquet", "a table of a dataset"):
            return as_pandas(table)  # dates, say, that pandas can't hold

    def arrow(self, name: str) -> pa.Table:
        """:meth:`table` as Arrow has it, which takes a fraction of the memory.

        Raises
        ------
        DataError
            As for :meth:`table` and :attr:`posts`.
        """
        if name == "posts":
            if self._rows is None:
                return self._read_posts()
            if len(self._rows) and np.all(np.diff(self._rows) > 0):  # in their order
                return pa.concat_tables(self.scan(self.post_schema.names))
            return self._read_posts().take(pa.array(self._rows))
        schema, files = TABLES[name], self.files(name)
        if not files:
            return (schema or pa.schema([])).empty_table()
        table = read_table(files[0])
        if schema is not None:  # the file may be older than a column
            table = conform(table, schema, name, files[0])
        if self._rows is not None and "post_id" in table.column_names:
            chosen = pa.array(self.frame(["post_id"])["post_id"], pa.string())
            table = table.filter(pc.is_in(table["post_id"], value_set=chosen))
        return table

    def scan(self, columns: Sequence[str] | None = None, batch: int = 65_536) -> Iterator[pa.Table]:
        """The posts, some rows and columns at a time: memory doesn't grow with the dataset.

        Values, types and names of pictures are checked as for :attr:`posts`, batch by batch; that
        no id occurs twice is checked within each batch.

        Parameters
        ----------
        columns
            Of :data:`evoked.posts.schema.POSTS`, or of facts, in this order; all by default. A
            column that no post has is null.
        batch
            Most posts at a time.

        Yields
        ------
        Table
            At most ``batch`` posts, in the order of the dataset also where a selection has another.

        Raises
        ------
        DataError
            There is no such column; a file can't be read, or holds a value that can't be.

        Examples
        --------
        >>> posts = PostDataset("my_posts")                                    # doctest: +SKIP
        >>> sum(len(part) for part in posts.scan(["likes"]))                   # doctest: +SKIP
        """
        wanted = None if columns is None else list(dict.fromkeys(columns))
        unknown = [name for name in wanted or () if not _may_have(name)]
        if unknown:
            raise DataError(
                f"posts have no columns {unknown}; they have {POSTS.names} and facts.",
                file=self.folder,
            )
        first = 0
        for path in self.files("posts"):
            for rows in _posts_in(path, wanted, batch):
                chosen = self._chosen(rows, first)
                first += rows.num_rows
                if chosen.num_rows:
                    yield chosen

    def _chosen(self, posts: pa.Table, first: int) -> pa.Table:
        """Those of some posts, of which the first has number ``first``, that are selected."""
        if self._rows is None:
            return posts
        inside = (self._rows >= first) & (self._rows < first + posts.num_rows)
        return posts.take(pa.array(self._rows[inside] - first))

    @property
    def post_schema(self) -> pa.Schema:
        """The columns of all posts: those of the schema, then the facts that any file has."""
        types: dict[str, pa.DataType] = {}
        for path in self.files("posts"):
            for part in read_batches(path, None, 1):
                found = conform(part, POSTS, "posts", path).schema
                types |= {each.name: each.type for each in found if each.name not in POSTS.names}
                break
        return with_facts(types)

    def frame(self, columns: Sequence[str]) -> pd.DataFrame:
        """Some columns of the posts, index 0 … n - 1, without reading the others."""
        if self._rows is not None and np.any(np.diff(self._rows) < 1):
            return self.posts[list(columns)]  # in an order of their own
        parts = list(self.scan(columns))
        if not parts:
            return self.select([]).posts.reindex(columns=list(columns))
        return as_pandas(pa.concat_tables(parts, promote_options="default"))

    def __len__(self) -> int:
        if self._rows is not None:
            return len(self._rows)
        return sum(map(count_rows, self._post_files()))

    def _post_files(self) -> list[Path]:
        files = self.files("posts")
        if not files:
            raise DataError("the file does not exist.", file=self.folder / "posts.parquet")
        return files

    def select(self, rows: ArrayLike) -> PostDataset:
        """The posts at ``rows``: positions (n,), or a boolean mask (len(self),)."""
        chosen = np.asarray(rows)
        if chosen.dtype == bool:
            chosen = np.flatnonzero(chosen)
        own = np.arange(len(self)) if self._rows is None else self._rows
        return PostDataset(self.folder, own[chosen.astype(np.int64)])

    def _read_posts(self) -> pa.Table:
        files = self._post_files()
        parts = []
        for path in files:
            parts.append(conform(read_table(path), POSTS, "posts", path))
            _check_image_names(parts[-1], path)
        table = pa.concat_tables(parts, promote_options="default")
        if len(parts) > 1:  # a fact may be missing in some of them
            table = conform(table, POSTS, "posts", self.folder)
        _check_identifiers(table, files[0] if len(files) == 1 else self.folder)
        return table

    @property
    def time_zone(self) -> str | None:
        """IANA name of the time zone by which hours and weekdays are counted; None for UTC."""
        return self.description.get("time_zone")

    @property
    def facts(self) -> list[Fact]:
        """Columns of a person's own that all posts of the folder can be predicted from."""
        return [Fact.from_dict(state) for state in self.description.get("facts", [])]

    def check_image_names(self) -> None:
        """Raise DataError if a picture's name is not a plain file name, as ``posts`` does too."""
        self._read_posts()

    def check_pictures(self) -> None:
        """Raise DataError if the pictures are locked."""
        if (self.folder / LOCK_FILE).is_file():
            raise DataError(
                "the pictures are locked.",
                file=self.folder,
                fix="Unlock them with 'evoked privacy unlock'.",
            )

    def check_apart(self, folder: Path | str) -> None:
        """Raise DataError if ``folder``, for a copy, exists already or lies in the dataset."""
        if Path(folder).exists():
            raise DataError("exists already.", file=folder, fix="Choose another folder.")
        if Path(folder).resolve().is_relative_to(self.folder.resolve()):
            raise DataError("lies in the dataset.", file=folder, fix="Choose a folder beside it.")

    def cover_paths(self) -> list[Path | None]:
        """Path of each post's cover picture, or None.

        Raises
        ------
        DataError
            The pictures are locked, or one is a link that leads out of their folder.
        """
        self.check_pictures()
        covers = [names[0] if len(names) else None for names in self.posts["images"]]
        folder = self.image_folder
        _check_links(folder, (name for name in covers if name is not None))
        return [None if name is None else folder / name for name in covers]

    def picture_files(self) -> list[Path]:
        """All files in the folder of pictures, whether a post names them or not.

        Raises
        ------
        DataError
            One is a link that leads out of the folder.
        """
        if not self.image_folder.is_dir():
            return []
        found = sorted(
            Path(entry.path)
            for entry in os.scandir(self.image_folder)
            if entry.is_file() and not entry.name.startswith(".")
        )
        _check_links(self.image_folder, (path.name for path in found))
        return found

    def link_pictures_into(self, folder: Path) -> None:
        """Link all pictures into the folder of another dataset. Imports name pictures by their
        content, so that of two with one name, the one that is there will do.

        Raises
        ------
        DataError
            As for :meth:`picture_files`.
        """
        images = folder / IMAGE_FOLDER
        images.mkdir(exist_ok=True)
        for path in self.picture_files():
            if not (images / path.name).exists():
                link(path.resolve(), images / path.name)

    def stripped_pictures(self, folder: Path) -> Path:
        """A new folder with copies of the pictures that posts name, without what cameras noted
        beside them; lost and unreadable ones are left out.

        Raises
        ------
        DataError
            A picture is a link that leads out of the folder of pictures.
        """
        for name, picture in self._begin_copy(folder).items():
            try:
                content = without_metadata(read_bounded(picture, MAX_BYTES))
            except DataError:  # lost, or no picture: what it holds nobody can say
                continue
            with atomic_path(folder / name) as temporary:
                temporary.write_bytes(content)
        return folder

    def linked_pictures(self, folder: Path) -> Path:
        """A new folder with links to the pictures that posts name; lost ones are left out.

        Raises
        ------
        DataError
            A picture is a link that leads out of the folder of pictures, or the new folder's file
            system takes two names for one.
        """
        for name, picture in self._begin_copy(folder).items():
            if not os.path.isfile(picture):
                continue
            try:
                link(picture.resolve() if picture.is_symlink() else picture, folder / name)
            except FileExistsError as error:
                raise DataError(
                    "this file system takes the name for that of another picture.",
                    file=folder / name,
                    fix="Choose a destination on a disk that distinguishes upper from lower case.",
                ) from error
        return folder

    def _begin_copy(self, folder: Path) -> dict[str, Path]:
        """Make a new folder for the pictures that posts name; where each lies by its name, none out
        of the dataset."""
        names = sorted({name for names in self.posts["images"] for name in names})
        own = self.image_folder
        _check_links(own, names)
        folder.mkdir()
        return {name: own / name for name in names}

    def copy(
        self,
        dest: Path | str,
        tables: Mapping[str, pd.DataFrame],
        *,
        extra: Mapping[str, Any] | None = None,
    ) -> PostDataset:
        """A copy with some tables replaced; pictures are linked where the file system can.

        Parameters
        ----------
        dest
            A folder that doesn't exist yet; it appears whole or not at all. Callers keep other
            processes away with :func:`evoked.files.only_writer`.
        tables
            Tables by name, in place of the dataset's own.
        extra
            Further entries of dataset.json.

        Returns
        -------
        PostDataset
            The copy.

        Raises
        ------
        DataError
            ``dest`` exists or lies in the dataset, or the pictures are locked.
        """
        self.check_apart(dest)
        self.check_pictures()
        kept = {name: self.table(name) for name in self.tables if name not in tables}
        rewritten = ("format_version", "posts", "provenance", "scales", "facts")
        kept_entries = {
            name: value for name, value in self.description.items() if name not in rewritten
        }
        with atomic_folder(dest) as temporary:
            PostDataset.create(
                temporary,
                {**kept, **tables},
                images=self.linked_pictures(temporary / "pictures"),
                provenance=self.description.get("provenance"),
                scales=self.description.get("scales"),
                extra={**kept_entries, **(extra or {})},
            )
        return PostDataset(dest)

    def known(self, column: str) -> NDArray[np.bool_]:
        """Which posts have a value in ``column``, shape (n,)."""
        return self.posts[column].notna().to_numpy()

    def describe(self) -> dict[str, Any]:
        """Counts and coverage, as shown to people and in reports."""
        posts = self.posts
        with_image = np.array([len(names) > 0 for names in posts["images"]], dtype=bool)
        dates = posts["posted_at"].dropna()
        return {
            "posts": len(posts),
            "authors": int(posts["author_id"].nunique()),
            "with image": int(with_image.sum()),
            "with caption": int(posts["caption"].fillna("").str.strip().ne("").sum()),
            "with date": len(dates),
            "first": dates.min().isoformat() if len(dates) else None,
            "last": dates.max().isoformat() if len(dates) else None,
            **{
                f"with {name}": int(posts[name].notna().sum())
                for name in (*ENGAGEMENT, *EXPOSURE, "followers")
            },
            "with valence": int(posts["valence"].notna().sum()),
            "with arousal": int(posts["arousal"].notna().sum()),
            "categories": sorted(posts["category"].dropna().unique().tolist()),
            **({"facts": [fact.name for fact in self.facts]} if self.facts else {}),
            "tables": self.tables,
        }

    def __repr__(self) -> str:
        return f"PostDataset({str(self.folder)!r}, {len(self)} posts)"


def describe_again(folder: Path, description: Mapping[str, Any]) -> None:
    """Write dataset.json beside tables that have changed: their number of posts and their facts are
    counted anew."""
    kept = {name: value for name, value in description.items() if name not in ("posts", "facts")}
    file = folder / DESCRIPTION_FILE
    write_json(file, {**kept, "posts": 0})
    dataset = PostDataset(folder)
    names = {name for path in dataset.files("posts") for name in read_names(path)}
    found = [
        fact.to_dict()
        for name in sorted(names)
        if name.startswith(FACT_PREFIX)
        for fact in describe_facts(dataset.frame([name]))
    ]
    counted = {"posts": len(dataset), **({"facts": found} if found else {})}
    write_json(file, {**kept, **counted})


def _may_have(column: str) -> bool:
    return column in POSTS.names or column.startswith(FACT_PREFIX)


def _posts_in(path: Path, columns: list[str] | None, batch: int) -> Iterator[pa.Table]:
    """The posts of a file, checked, some at a time."""
    own = read_names(path)
    # The id goes with them, since errors name it.
    read = None if columns is None else ["post_id", *columns]
    there = None if read is None else [name for name in dict.fromkeys(read) if name in own]
    first = 0
    for rows in read_batches(path, there, batch):
        with _rows_from(first):
            posts = conform(rows, POSTS, "posts", path)
            _check_identifiers(posts, path)
            _check_image_names(posts, path)
        first += posts.num_rows
        yield posts if columns is None else _with_columns(posts, columns)


@contextmanager
def _rows_from(first: int) -> Iterator[None]:
    """Let errors in a part of a file name the row of the file."""
    try:
        yield
    except DataError as error:
        if not isinstance(error.row, int):
            raise
        raise DataError(
            error.problem,
            file=error.file,
            row=error.row + first,
            field=error.field,
            fix=error.fix,
        ) from error


def _with_columns(posts: pa.Table, columns: list[str]) -> pa.Table:
    """The posts with some columns, in their order; a fact that they lack is null."""
    names = posts.column_names
    found = [
        posts[name] if name in names else pa.chunked_array([pa.nulls(posts.num_rows)])
        for name in columns
    ]
    return pa.Table.from_arrays(found, names=columns)


def write_table(name: str, table: pa.Table, folder: Path) -> None:
    """Write a table of :func:`as_arrow` into a dataset's folder."""
    if name == "posts":
        write_posts(table, folder)
    else:
        # Row groups bound the memory that a reader needs.
        pq.write_table(table, folder / f"{name}.parquet", row_group_size=16_384)


def as_arrow(name: str, table: pa.Table | pd.DataFrame) -> pa.Table:
    """A table of a dataset with the columns and types of its schema.

    Raises
    ------
    DataError
        There is no table of this name, or a column or a value that it can't have.
    """
    if name not in TABLES:
        raise DataError(f"no table is called {name!r}; there are {list(TABLES)}.")
    if isinstance(table, pd.DataFrame):
        table = pa.Table.from_pandas(table, preserve_index=False)
    schema = TABLES[name]
    table = table if schema is None else conform(table, schema, name)
    return table.replace_schema_metadata(None)


def _facts_of(posts: pa.Table) -> pa.Table:
    return posts.select([name for name in posts.column_names if name.startswith(FACT_PREFIX)])


def _check_identifiers(posts: pa.Table, folder: Path | str) -> None:
    column = posts["post_id"]
    distinct = pc.count_distinct(column).as_py()
    if distinct == len(posts) and not pc.any(pc.fill_null(pc.equal(column, ""), True)).as_py():
        return
    identifiers = column.to_pandas()
    missing = identifiers.isna() | identifiers.eq("")
    if missing.any():
        row = int(np.flatnonzero(missing)[0]) + 1
        raise DataError("every post needs an id.", file=folder, row=row, field="post_id")
    repeated = identifiers.duplicated()
    if repeated.any():
        row = int(np.flatnonzero(repeated)[0]) + 1
        raise DataError(
            f"the id {identifiers[row - 1]!r} occurs twice.",
            file=folder,
            row=row,
            field="post_id",
            fix="Keep one of the posts.",
        )


def _check_image_names(posts: pa.Table, file: Path | str) -> None:
    """Raise DataError if a name could lead out of the folder of pictures."""
    images = posts["images"].combine_chunks()
    names = pc.list_flatten(images)
    wrong = pc.fill_null(pc.match_substring_regex(names, _NO_FILE_NAME), True)
    first = pc.index(wrong, True).as_py()
    if first < 0:
        return
    row = pc.list_parent_indices(images)[first].as_py()
    raise DataError(
        f"the post {_short(posts['post_id'][row])} names the picture {_short(names[first])}; "
        "expected the plain name of a file in images/, without folders and drives.",
        file=file,
        row=row + 1,
        field="images",
        fix="Don't use the dataset if somebody else made it: it may be after other files. If it is "
        "yours, put the picture into images/ and name it without a folder.",
    )


def _short(value: pa.Scalar) -> str:
    return repr(value.as_py())[:_SHOWN_CHARACTERS]


def _check_links(folder: Path, names: Iterable[str]) -> None:
    """Raise DataError if a picture is a link that leads out of the folder, even to nothing."""
    # One look at the folder is far cheaper than one at each of a million pictures.
    if not folder.is_dir() or not any(entry.is_symlink() for entry in os.scandir(folder)):
        return
    for name in names:
        _check_link(folder / name, folder)


def _check_link(path: Path, folder: Path) -> None:
    """Raise DataError if ``path`` is a link that leads out of ``folder``, even to nothing."""
    if not path.is_symlink():
        return
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise DataError(
            f"is a link that leads out of the folder {folder}.",
            file=path,
            fix="Don't use the dataset if somebody else made it: it may be after other files. If "
            "it is yours, put the file in the link's place.",
        )


def as_pandas(table: pa.Table) -> pd.DataFrame:
    """A table as datasets give it out: lists become lists (empty when null), integers with gaps
    floats with NaN."""
    frame = table.to_pandas()
    for field in table.schema:
        if pa.types.is_list(field.type):
            frame[field.name] = [
                [] if value is None else list(value) for value in frame[field.name]
            ]
    return frame

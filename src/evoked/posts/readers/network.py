"""Networks of users and posts, read from the tables that ``network_tables`` finds.

Viewings, connections and memberships are processed as columns, not row by row: a million take
seconds. Some rows are dropped, and counted: rows that lack one of their two ids; viewings of posts
that are not in the dataset; rows of users whom the table of users lacks, if there is one;
connections of a user with themselves; and repeated rows, so that a user views a post only once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from evoked.errors import DataError
from evoked.posts.readers.base import (
    PICTURE_SUFFIXES,
    NetworkTables,
    PostRecord,
    ReadOptions,
    Remark,
    Skipped,
    Source,
    file_image,
    refuse_facts,
    walk_files,
)
from evoked.posts.readers.date_order import DateOrder
from evoked.posts.readers.network_tables import find_tables, map_fields, open_file, part_overrides
from evoked.posts.readers.tabular import read_columns, read_table
from evoked.posts.readers.values import MISSING, is_missing, parse_date, plain_text
from evoked.posts.schema import (
    EMOTION_SEPARATOR,
    MAX_CAPTION_CHARACTERS,
    MIKELS,
    VIEWINGS,
)

_ID_FIELDS = ("user_id", "post_id", "author_id", "comment_id", "other_id", "group_id")
_ID_SEPARATORS = r"[\s,;|]+"
_LABEL_SEPARATORS = re.compile(r"[\s,;|/+]+")
_MAX_ID_CHARACTERS = 1000
_MAX_REMARK_CHARACTERS = 80
_FIRST_MOMENT = pd.Timestamp("1990-01-01", tz="UTC")
_UNKNOWN, _OTHER = "unknown", "other"
_EMOTION_PROBLEMS = {
    _UNKNOWN: "the emotion is unknown",
    _OTHER: "not one of Mikels' eight emotions",
}

Mask = NDArray[np.bool_]


class NetworkSource:
    """The tables of a folder, or one file of viewings.

    Parameters
    ----------
    source
        Folder or file.
    options
        A person's decisions on files and columns; see
        :mod:`evoked.posts.readers.network_tables`.
    labelled
        Whether, as in Bhattacharyya et al. (2024), Section IV-A, a viewing counts only if it has
        one of Mikels' eight emotions, and a post only if it has a picture (provided that the source
        has pictures at all). Rows of one user and post are then one viewing with all their
        emotions. Otherwise, any other emotion is left empty.
    split_ids
        Whether a text may hold several users or groups, separated by white space or one of
        ``, ; |``. A list in JSON always may.

    Raises
    ------
    DataError
        There is no such source, or no table of viewings in it, or several.
    SettingsError
        A mapping of a table, field or column that doesn't exist.
    """

    def __init__(
        self,
        source: Path,
        options: ReadOptions,
        *,
        labelled: bool = False,
        split_ids: bool = False,
    ) -> None:
        if not source.exists():
            raise DataError("there is no such file or folder.", file=source)
        self.folder = source if source.is_dir() else source.parent
        self.options = options
        self.labelled = labelled
        self.split_ids = split_ids
        self.remarks: list[tuple[Remark, int]] = []
        self.viewed = DateOrder()
        files = walk_files(source) if source.is_dir() else [source]
        refuse_facts(options, "a network")
        self.image_folder = options.images or self.folder
        pictures = files if options.images is None else walk_files(options.images)
        self.pictures = _pictures(pictures, self.image_folder)
        chosen, overrides = part_overrides(options.mapping)
        if source.is_dir():
            self.tables, self.notes = find_tables(source, files, chosen, overrides)
        else:
            self.tables, self.notes = {"viewings": open_file(source, overrides)}, []
        if "viewings" not in self.tables:
            raise DataError(
                f"no table says who viewed what. {' '.join(self.notes)}".strip(),
                file=source,
                fix="Say which table does, and how: --map viewings=FILE --map user_id=COLUMN "
                "--map post_id=COLUMN.",
            )
        self.mapping = {
            name: map_fields(table, name, overrides[name]) for name, table in self.tables.items()
        }
        viewed = self.mapping["viewings"]
        if "comments" in self.tables and "comment" in viewed and "comment_id" not in viewed:
            viewed["comment_id"] = viewed.pop("comment")
        needed = ("user_id", "post_id", *(["emotion"] if labelled else []))
        missing = [field for field in needed if field not in viewed]
        if missing:
            raise DataError(
                f"no column holds {' or '.join(missing)}; there are "
                f"{', '.join(self.tables['viewings'].columns)}.",
                file=self.tables["viewings"].path,
                fix=f"Say which does: --map {missing[0]}=COLUMN.",
            )

    def reading(self) -> Source:
        """The posts, and a function that reads the network after them."""
        if "posts" in self.tables:
            mapping = self.mapping["posts"]
            posts = read_table(self.tables["posts"], replace(self.options, mapping=mapping))
            self.mapping["posts"] = posts.mapping
        else:
            posts = Source(self._viewed_posts())
            self.notes.append("No table holds posts: the posts are those that were viewed.")
        shown = {}
        for name, fields in self.mapping.items():
            shown[name] = self.tables[name].path.relative_to(self.folder).as_posix()
            shown |= {f"{name}.{field}": column for field, column in fields.items()}
        tables = [table for name, table in self.tables.items() if name != "posts"]
        read_as = [note for table in tables for note in table.notes]
        return Source(
            records=self._completed(posts.records),
            total=posts.total,
            mapping=shown,
            scales=posts.scales,
            notes=[*read_as, *posts.notes, *self.notes],
            network=self.network,
        )

    def network(self, post_ids: pd.Series) -> NetworkTables:
        """The users' tables for the posts with these ids.

        Raises
        ------
        DataError
            No viewing is left.
        """
        users = self._identified("users")["user_id"] if "users" in self.tables else None
        viewings = self._judged_viewings(post_ids, users)
        if viewings.empty:
            reasons = "; ".join(f"{count} × {remark.why}" for remark, count in self.remarks)
            raise DataError(
                f"no viewing is left ({reasons or 'there is none'}).",
                file=self.tables["viewings"].path,
                fix="Check which column holds what: --map FIELD=COLUMN.",
            )
        tables = {"viewings": viewings}
        if "connections" in self.tables:
            tables["connections"] = self._connections(users)
        if "groups" in self.tables:
            tables["groups"] = self._groups()
        if "memberships" in self.tables:
            tables["memberships"] = self._memberships(users)
        notes = self.viewed.notes()
        if "comment" in viewings:
            share = viewings["comment"].notna().mean()
            notes.append(f"{share:.0%} of {len(viewings)} viewings have the text of a comment.")
        if "emotion" in viewings:
            several = int(viewings["emotion"].str.contains(EMOTION_SEPARATOR, regex=False).sum())
            if several:
                notes.append(
                    f"{several} of {len(viewings)} viewings have several emotions: each is learned "
                    "from by its share, and none is scored."
                )
        return NetworkTables(tables, self.remarks, notes)

    # Posts

    def _viewed_posts(self) -> Iterator[PostRecord]:
        file = self.tables["viewings"].path.name
        viewings = self._viewings.dropna(subset=["user_id", "post_id"])
        posts = viewings["post_id"].drop_duplicates()
        for row, identifier in posts.items():
            yield PostRecord({"post_id": identifier}, file, int(row))  # type: ignore[call-overload]

    def _completed(self, records: Iterator[PostRecord | Remark]) -> Iterator[PostRecord | Remark]:
        """Posts with the pictures named by their ids, and with the authors in the viewings."""
        have_authors = "author_id" in self.mapping.get("posts", {})
        authors = {} if have_authors else self._authors()
        for record in records:
            if isinstance(record, Remark):
                yield record
                continue
            identifier = plain_text(record.fields.get("post_id") or "").strip()
            if is_missing(identifier):
                yield Skipped("a post without an id", record.file, record.row)
                continue
            if not record.images and identifier in self.pictures:
                record.images = [file_image(self.image_folder, self.pictures[identifier])]
            if self.labelled and self.pictures and not record.images:
                yield Skipped("the image is gone", record.file, record.row, "", identifier)
                continue
            if identifier in authors:
                record.fields["author_id"] = authors[identifier]
            yield record

    def _authors(self) -> dict[str, str]:
        if "author_id" not in self.mapping["viewings"]:
            return {}
        known = self._viewings.dropna(subset=["post_id", "author_id"]).drop_duplicates("post_id")
        return dict(zip(known["post_id"], known["author_id"], strict=True))

    # Users

    @cached_property
    def _viewings(self) -> pd.DataFrame:
        """All viewings of the source, with clean ids but nothing else checked."""
        return self._identified("viewings")

    def _judged_viewings(self, post_ids: pd.Series, users: pd.Series | None) -> pd.DataFrame:
        viewings = self._viewings

        def drop(wrong: pd.Series | Mask, why: str, field: str = "post_id") -> None:
            nonlocal viewings
            viewings = self._without("viewings", viewings, wrong, f"a viewing: {why}", field)

        drop(viewings["user_id"].isna(), "no user", "user_id")
        drop(viewings["post_id"].isna(), "no post")
        drop(_not_among(viewings["post_id"], post_ids), "the post is gone, or was left out")
        if users is not None:
            drop(_not_among(viewings["user_id"], users), "the user is gone", "user_id")
        if "emotion" in viewings:
            emotions, problems = _emotions(viewings["emotion"])
            if self.labelled:
                drop(problems.isna() & emotions.isna(), "no emotion", "emotion")
            for problem, why in _EMOTION_PROBLEMS.items():
                found = problems.loc[viewings.index].eq(problem)
                if self.labelled:
                    drop(found, why, "emotion")
                else:
                    self._remark("viewings", viewings, found, f"{why}, left empty", "emotion")
            viewings = viewings.assign(emotion=emotions.loc[viewings.index])
        if self.labelled:
            viewings = viewings.assign(emotion=_of_pairs(viewings))
        drop(viewings.duplicated(["user_id", "post_id"]), "its user and post are repeated")
        if "viewed_at" in viewings:
            times, wrong = _moments(viewings["viewed_at"], self.viewed)
            self._remark("viewings", viewings, wrong, "not a date, left empty", "viewed_at")
            viewings = viewings.assign(viewed_at=times)
        if "comments" in self.tables and "comment_id" in viewings:
            viewings = viewings.assign(comment=self._comments(viewings))
        present = [name for name in VIEWINGS.names if name in viewings]
        return viewings[present].reset_index(drop=True)

    def _comments(self, viewings: pd.DataFrame) -> pd.Series:
        """The text of each viewing's comment, null where it is missing, as most of IESN's are."""
        comments = self._identified("comments").dropna(subset=["comment_id", "comment"])
        texts = comments.drop_duplicates("comment_id").set_index("comment_id")["comment"]
        place = pd.Index(texts.index).get_indexer(pd.Index(viewings["comment_id"]))
        found = pd.Series(texts.to_numpy(dtype=object), dtype=object).reindex(place)
        found = found.set_axis(viewings.index)
        return viewings["comment"].fillna(found) if "comment" in viewings else found

    def _connections(self, users: pd.Series | None) -> pd.DataFrame:
        pairs = self._identified("connections")
        loops = pairs["user_id"].eq(pairs["other_id"])
        pairs = self._without("connections", pairs, loops, "a connection with oneself", "user_id")
        return self._pairs("connections", "a connection", pairs, users)

    def _memberships(self, users: pd.Series | None) -> pd.DataFrame:
        return self._pairs("memberships", "a membership", self._identified("memberships"), users)

    def _pairs(
        self, name: str, what: str, pairs: pd.DataFrame, users: pd.Series | None
    ) -> pd.DataFrame:
        columns = list(pairs.columns)
        absent = pairs.isna().any(axis=1)
        pairs = self._without(name, pairs, absent, f"{what}: one side is missing", columns[0])
        for column in columns:
            if users is not None and column != "group_id":
                gone = _not_among(pairs[column], users)
                pairs = self._without(name, pairs, gone, f"{what}: the user is gone", column)
        twice = pairs.duplicated()
        pairs = self._without(name, pairs, twice, f"{what}: repeated", columns[0])
        return pairs.reset_index(drop=True)

    def _groups(self) -> pd.DataFrame:
        groups = self._identified("groups")
        absent = groups["group_id"].isna()
        groups = self._without("groups", groups, absent, "a group: no id", "group_id")
        twice = groups["group_id"].duplicated()
        groups = self._without("groups", groups, twice, "a group: its id is repeated", "group_id")
        return groups.reset_index(drop=True)

    def _identified(self, name: str) -> pd.DataFrame:
        """A table's fields as texts, indexed by the row numbers in the file."""
        table, mapping = self.tables[name], self.mapping[name]
        cells, skipped = read_columns(table, list(dict.fromkeys(mapping.values())))
        self.remarks += [(remark, 1) for remark in skipped]
        frame = pd.DataFrame({field: cells[column] for field, column in mapping.items()})
        if name in ("connections", "memberships"):
            for field in mapping:
                frame = self._one_a_row(frame, field)
        return pd.DataFrame(
            {
                field: _identifiers(values) if field in _ID_FIELDS else _texts(values)
                for field, values in frame.items()
            }
        )

    def _one_a_row(self, frame: pd.DataFrame, field: str) -> pd.DataFrame:
        """Turn a cell with several users or groups into a row for each."""
        values = frame[field]
        if self.split_ids:
            if values.dtype != object and not _any_match(values, _ID_SEPARATORS):
                return frame
            values = values.map(
                lambda cell: (
                    re.split(_ID_SEPARATORS, cell.strip()) if isinstance(cell, str) else cell
                )
            )
        return frame.assign(**{field: values}).explode(field) if values.dtype == object else frame

    def _without(
        self, name: str, frame: pd.DataFrame, wrong: pd.Series | Mask, why: str, field: str
    ) -> pd.DataFrame:
        """The rows that are not wrong; the wrong ones are counted."""
        self._remark(name, frame, wrong, why, field, Skipped)
        return frame[~np.asarray(wrong, dtype=bool)]

    def _remark(
        self,
        name: str,
        frame: pd.DataFrame,
        wrong: pd.Series | Mask,
        why: str,
        field: str,
        kind: type[Remark] = Remark,
    ) -> None:
        places = np.flatnonzero(np.asarray(wrong, dtype=bool))
        if len(places):
            value = frame[field].iloc[places[0]]
            shown = "" if is_missing(value) else str(value)[:_MAX_REMARK_CHARACTERS]
            row = int(frame.index[places[0]])
            label = "" if kind is Skipped else field
            remark = kind(why, self.tables[name].path.name, row, label, shown)
            self.remarks.append((remark, len(places)))


def _pictures(files: list[Path], folder: Path) -> dict[str, str]:
    """Paths of pictures by name.

    A name such as Flickr's ``<id>_<secret>.jpg`` also counts without what follows the first '_'.
    """
    paths = [path for path in reversed(files) if path.suffix.lower() in PICTURE_SUFFIXES]
    places = [(path.stem, path.relative_to(folder).as_posix()) for path in paths]
    return {stem.partition("_")[0]: place for stem, place in places} | dict(places)


def _any_match(texts: pd.Series, pattern: str) -> bool:
    matches = pc.match_substring_regex(pa.Array.from_pandas(texts, type=pa.string()), pattern)
    return bool(pc.any(matches).as_py())


def _not_among(ids: pd.Series, known: pd.Series) -> Mask:
    """Which ids are not among the known ones; pandas' ``isin`` takes ten times as long."""
    among = pc.is_in(
        pa.Array.from_pandas(ids, type=pa.string()),
        value_set=pa.Array.from_pandas(known, type=pa.string()),
    )
    return ~np.asarray(among)


def _identifiers(values: pd.Series) -> pd.Series:
    """Ids, cleaned as :mod:`evoked.posts.cleaning` does those of posts; null where missing."""
    texts = pc.replace_substring(_as_arrow(values), "\0", "")
    texts = pc.utf8_trim_whitespace(pc.utf8_slice_codeunits(texts, 0, _MAX_ID_CHARACTERS))
    missing = pc.is_in(pc.utf8_lower(texts), pa.array(sorted(MISSING)))
    return pc.if_else(missing, None, texts).to_pandas().set_axis(values.index)


def _texts(values: pd.Series) -> pd.Series:
    """Texts that can be stored; null where they are empty or white space."""
    texts = pc.replace_substring(_as_arrow(values), "\0", "")
    texts = pc.utf8_slice_codeunits(texts, 0, MAX_CAPTION_CHARACTERS)
    empty = pc.equal(pc.utf8_trim_whitespace(texts), "")
    return pc.if_else(empty, None, texts).to_pandas().set_axis(values.index)


def _as_arrow(values: pd.Series) -> pa.Array:
    if values.dtype == object:
        values = values.map(_as_text)
    return pa.Array.from_pandas(values, type=pa.string())


def _as_text(value: Any) -> str | None:
    """A cell of JSON as text; the entries of a list are joined by ';'."""
    if isinstance(value, list | tuple):
        return ";".join(plain_text(item) for item in value)
    return None if is_missing(value) else plain_text(value)


def _emotions(labels: pd.Series) -> tuple[pd.Series, pd.Series]:
    """The emotion of each label, and what is wrong with it; both null where there is no label."""
    read = {label: _read_label(label) for label in labels.dropna().unique()}
    emotions = labels.map({label: emotion for label, (emotion, _) in read.items()})
    problems = labels.map({label: problem for label, (_, problem) in read.items()})
    return emotions.astype(object), problems.astype(object)


def _read_label(label: str) -> tuple[str | None, str | None]:
    words = (word.strip("[](){}'\"") for word in _LABEL_SEPARATORS.split(label.casefold()))
    found = {word for word in words if word not in MISSING}
    emotions = sorted(found & set(MIKELS))
    if emotions or not found:
        return EMOTION_SEPARATOR.join(emotions) or None, None
    return None, _UNKNOWN if found == {_UNKNOWN} else _OTHER


def _of_pairs(viewings: pd.DataFrame) -> pd.Series:
    """Emotions of each row, and of all rows of the same user and post."""
    pair = viewings.groupby(["user_id", "post_id"], sort=False).ngroup()
    emotions = viewings["emotion"]
    differ = emotions.groupby(pair).transform("nunique").gt(1)
    together = emotions[differ].groupby(pair[differ]).transform(_together)
    return emotions.where(~differ, together)


def _together(emotions: pd.Series) -> str:
    found = {name for text in emotions for name in text.split(EMOTION_SEPARATOR)}
    return EMOTION_SEPARATOR.join(sorted(found))


def _moments(texts: pd.Series, order: DateOrder) -> tuple[pd.Series, pd.Series]:
    """Times in UTC, read as by :func:`~evoked.posts.readers.values.parse_date`, and which texts are
    neither a time nor empty; ``order`` is shown the dates that Pandas can't read."""
    given = texts.notna() & ~texts.str.strip().str.lower().isin(MISSING)
    texts = texts.where(given).str.strip().str.removesuffix(" UTC")
    is_epoch = texts.str.fullmatch(r"\d{9,18}(?:\.\d*)?").fillna(False).astype(bool)
    seconds = pd.to_numeric(texts.where(is_epoch), errors="coerce").astype("float64")
    for _ in range(3):  # they may be millionths or thousandths
        seconds = seconds.where(~(seconds > 1e11), seconds / 1000)
    moments = pd.to_datetime(seconds, unit="s", utc=True, errors="coerce").dt.as_unit("us")
    rest = texts.where(~is_epoch)
    as_iso = pd.to_datetime(rest, format="ISO8601", utc=True, errors="coerce")
    moments = moments.fillna(as_iso.dt.as_unit("us"))
    left = texts[given & moments.isna()]
    if len(left):
        for text in left.unique():
            order.add(text)
        read = {text: _read_moment(text, order.orders) for text in left.unique()}
        as_written = pd.to_datetime(left.map(read), utc=True).dt.as_unit("us")
        moments = moments.fillna(as_written.reindex(texts.index))
    possible = moments.between(_FIRST_MOMENT, pd.Timestamp.now("UTC") + pd.Timedelta(days=1))
    return moments.where(possible), given & ~possible


def _read_moment(text: str, orders: Mapping[str, str]) -> datetime | None:
    try:
        return parse_date(text, orders=orders)
    except ValueError:
        return None

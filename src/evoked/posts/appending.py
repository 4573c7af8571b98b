"""Put newly imported posts to those of a dataset, as importing both at once would have done.

A post that is known already keeps its place: what the newer of its two states says counts, what
only the earlier one knows stays, and where it is known when both were observed, both become its
activity. A dataset's posts by month are rewritten only where a month changes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from evoked.errors import DataError
from evoked.files import link
from evoked.parquet import count_rows
from evoked.posts.dataset import (
    DESCRIPTION_FILE,
    PostDataset,
    as_arrow,
    write_table,
)
from evoked.posts.post_files import POSTS_FOLDER, are_by_month, months_of, write_posts
from evoked.posts.readers.base import Remark, Skipped
from evoked.posts.schema import (
    ACTIVITY,
    ENGAGEMENT,
    POSTS,
    SCALES,
    TABLES,
    convert_scale,
    with_facts,
)

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]

OTHER_POST = "the id is that of a post with another text, which is kept"
"""Why a post is left out."""

# What cleaning makes of a post's content where the source has no ids: it changes with the counts.
_MADE_UP = re.compile(r"post-[0-9a-f]{20}")
_MICROSECONDS_PER_HOUR = 3_600_000_000
# The table that describes what one generator made, and nothing else.
_OF_A_GENERATOR = "truth"


@dataclass(frozen=True)
class Appended:
    """What became of the posts that were appended.

    Attributes
    ----------
    new
        Number of posts that the dataset did not have.
    known
        Number of those that it had, the changed ones included.
    changed
        Of how many of these anything differs.
    observed
        For how many of the changed ones both states are in the activity.
    left_out
        Number of posts under an id that another post has.
    """

    new: int
    known: int
    changed: int
    observed: int
    left_out: int

    @property
    def words(self) -> str:
        """The same in a sentence."""
        text = f"New posts: {self.new:,}; known: {self.known:,}, of which changed: {self.changed:,}"
        unseen = self.changed - self.observed
        if unseen:
            text += (
                f". When the counts of {unseen:,} of these were observed is not known, so that the "
                "earlier ones are not in the activity"
            )
        return text + "."


@dataclass(frozen=True)
class _Matched:
    """Which posts are the same.

    Attributes
    ----------
    own, other
        Rows of the dataset and of what is appended that are one post, (known,) each.
    new
        Rows of what is appended that are new.
    left_out
        Rows of what is appended that would take another post's id.
    """

    own: Rows
    other: Rows
    new: Rows
    left_out: Rows


def append(base: PostDataset, more: PostDataset, folder: Path) -> tuple[Appended, list[Remark]]:
    """Write the tables of both datasets together into an empty folder.

    Files that don't change are linked; the dataset itself is only read.

    Parameters
    ----------
    base
        All posts of a dataset.
    more
        All posts of another, which are put to them.

    Returns
    -------
    What became of them, and a remark on each that was left out.

    Raises
    ------
    DataError
        A fact is of another kind in each, or ratings are on another scale.
    """
    scales = _scales_of_both(base, more)
    posts = more.arrow("posts")
    matched = _match(base, posts)
    old, recent = _with_the_same_columns(_posts_at(base, matched.own), posts.take(matched.other))
    times = _Times.of(base, more, old["post_id"], recent["post_id"])
    merged = _merged(old, recent, times.later)
    pairs = _others(base, more, matched, posts, old["post_id"])
    tables = {name: _together(name, *pair) for name, pair in pairs.items()}
    if "annotations" in tables:
        both = set.intersection(*(set(each["post_id"]) for each in pairs["annotations"]))
        merged = _rated(merged, tables["annotations"], both, scales)
    if times.known.any():
        joined = tables.get("activity", ACTIVITY.empty_table().to_pandas())
        tables["activity"] = _activity(joined, old, recent, merged["posted_at"], times)
    if "observations" in tables:
        tables["observations"] = _latest(tables["observations"])
    changed = _differ(old, merged)
    differing = merged.filter(pa.array(changed))
    _write_posts(base, posts.take(matched.new), differing, matched.own[changed], folder)
    for name, table in tables.items():
        write_table(name, as_arrow(name, table), folder)
    for path in base.files(_OF_A_GENERATOR):
        link(path.resolve(), folder / path.name)
    counts = Appended(
        new=len(matched.new),
        known=len(matched.own),
        changed=int(changed.sum()),
        observed=int((times.known & changed).sum()),
        left_out=len(matched.left_out),
    )
    identifiers = posts["post_id"].take(matched.left_out).to_pylist()
    return counts, [Skipped(OTHER_POST, "", value=each) for each in identifiers]


def _scales_of_both(base: PostDataset, more: PostDataset) -> dict[str, Any]:
    own, other = (each.description.get("scales", {}) for each in (base, more))
    for name in own.keys() & other.keys():
        if list(own[name]) != list(other[name]):
            raise DataError(
                f"{name} is rated on {other[name][0]:g} to {other[name][1]:g}, and on "
                f"{own[name][0]:g} to {own[name][1]:g} in the dataset.",
                file=base.folder,
                fix=f"If the scale was guessed wrongly: --scale {name}=LOW:HIGH. Otherwise import "
                "these ratings into a dataset of their own.",
            )
    return {**other, **own}


def _match(base: PostDataset, posts: pa.Table) -> _Matched:
    """Which posts the dataset has, by their ids; made-up ids are looked through to the content."""
    own = pa.chunked_array(
        [part["post_id"].combine_chunks() for part in base.scan(["post_id"])], pa.string()
    )
    found = pc.fill_null(pc.index_in(posts["post_id"], value_set=own), -1).to_numpy()
    found = found.astype(np.int64)
    unmatched = _are_made_up(posts["post_id"]) & (found < 0)
    if unmatched.any():
        found[unmatched] = _by_content(base, posts.filter(pa.array(unmatched)))
    known = np.flatnonzero(found >= 0)
    same = _same_posts(_posts_at(base, found[known]), posts.take(known))
    return _Matched(found[known][same], known[same], np.flatnonzero(found < 0), known[~same])


def _are_made_up(identifiers: pa.ChunkedArray) -> Mask:
    return np.array([_MADE_UP.fullmatch(each) is not None for each in identifiers.to_pylist()])


def _by_content(base: PostDataset, posts: pa.Table) -> Rows:
    """Rows of the only post with a made-up id, and the author, date and text of each; or -1."""
    columns = ["author_id", "posted_at", "caption", "title"]
    own = base.frame(["post_id", *columns])
    own = own[_are_made_up(pa.chunked_array([pa.array(own["post_id"], pa.string())]))]
    if own.empty:
        return np.full(posts.num_rows, -1)
    keys = _keys(own, columns, "own")
    single = ~keys.duplicated(keep=False)
    wanted = _keys(posts.select(columns).to_pandas(), columns, "other")
    rows = pd.Series(keys.index[single], index=keys[single]).reindex(wanted).fillna(-1)
    found = rows.to_numpy(np.int64)
    # Two that look the same are not known to be the one post that does.
    return np.where(wanted.duplicated(keep=False).to_numpy(), -1, found)


def _keys(posts: pd.DataFrame, columns: list[str], side: str) -> pd.Series:
    """What a post is recognised by; on its side alone where it has neither a date nor a text."""
    texts = [posts[name].astype("string").fillna("").tolist() for name in columns]
    bare = posts[columns[1:]].isna().all(axis=1).tolist()
    keys = [
        f"\0{side}{number}" if alone else "\0".join(each)
        for number, (alone, each) in enumerate(zip(bare, zip(*texts, strict=True), strict=True))
    ]
    return pd.Series(keys, posts.index, object)


def _same_posts(old: pa.Table, recent: pa.Table) -> Mask:
    """Which of n pairs under one id are one post: their texts agree as far as both are known, or
    author and date do."""
    texts = np.ones(old.num_rows, dtype=bool)
    for name in ("caption", "title"):
        texts &= _agree(old[name], recent[name], unknown=True)
    identity = _agree(old["posted_at"], recent["posted_at"], unknown=False)
    identity &= _agree(old["author_id"], recent["author_id"], unknown=True)
    return texts | identity


def _agree(first: Any, second: Any, *, unknown: bool) -> Mask:
    equal = pc.fill_null(pc.equal(first, second), unknown)
    return np.asarray(equal.to_numpy(zero_copy_only=False), dtype=bool)


def _posts_at(base: PostDataset, rows: Rows) -> pa.Table:
    """The posts at some rows of a dataset, in that order, read without all the others."""
    order = np.argsort(rows, kind="stable")
    parts = list(base.select(rows[order]).scan())
    if not parts:
        return POSTS.empty_table()
    return pa.concat_tables(parts, promote_options="default").take(np.argsort(order))


def _with_the_same_columns(*tables: pa.Table) -> list[pa.Table]:
    """Tables of posts with the columns of all: facts that one lacks are unknown in it."""
    try:
        schema = pa.unify_schemas([table.schema for table in tables])
    except pa.ArrowException as error:
        raise DataError(
            f"a fact is of another kind in the dataset ({str(error)[:200]}).",
            fix="Give its kind: --fact COLUMN:KIND.",
        ) from error
    schema = with_facts({each.name: each.type for each in schema if each.name not in POSTS.names})
    return [
        pa.table(
            [
                table[each.name]
                if each.name in table.column_names
                else pa.chunked_array([pa.nulls(table.num_rows, each.type)])
                for each in schema
            ],
            schema=schema,
        )
        for table in tables
    ]


@dataclass(frozen=True)
class _Times:
    """When n posts were observed.

    Attributes
    ----------
    old, recent
        In the dataset, and in what is appended: microseconds since 1970, (n,), 0 where unknown.
    """

    old: Rows
    recent: Rows

    @classmethod
    def of(cls, base: PostDataset, more: PostDataset, old_ids: Any, recent_ids: Any) -> _Times:
        """By the tables of observations."""
        return cls(_observed(base, old_ids), _observed(more, recent_ids))

    @property
    def known(self) -> Mask:
        """Of which posts both are known."""
        return (self.old > 0) & (self.recent > 0)

    @property
    def later(self) -> Mask:
        """Whether what is appended is the newer state, as it is where nothing says otherwise."""
        return ~self.known | (self.recent >= self.old)


def _observed(dataset: PostDataset, identifiers: pa.ChunkedArray) -> Rows:
    table = dataset.arrow("observations")
    if not table.num_rows:
        return np.zeros(len(identifiers), dtype=np.int64)
    rows = pc.index_in(identifiers, value_set=table["post_id"])
    moments = table["observed_at"].cast(pa.int64()).take(rows)
    return np.asarray(pc.fill_null(moments, 0).to_numpy(zero_copy_only=False), dtype=np.int64)


def _merged(old: pa.Table, recent: pa.Table, later: Mask) -> pa.Table:
    """One state of n posts from two: the newer one's, with what only the earlier one knows."""
    chosen = pa.array(later)
    columns = []
    for field in old.schema:
        first, second = _known(old[field.name]), _known(recent[field.name])
        newer = pc.if_else(chosen, second, first)
        earlier = pc.if_else(chosen, first, second)
        columns.append(pc.coalesce(newer, earlier))
    merged = pa.table(columns, schema=old.schema)
    merged = _with(merged, "post_id", old["post_id"])
    # It appeared when the earlier date says, whichever state that is of.
    sooner = pc.fill_null(pc.less(recent["posted_at"], old["posted_at"]), False)
    for name in ("posted_at", "posted_hour", "posted_weekday"):
        first = pc.if_else(sooner, recent[name], old[name])
        merged = _with(merged, name, pc.coalesce(first, merged[name]))
    return merged


def _with(posts: pa.Table, name: str, values: Any) -> pa.Table:
    """The posts with other values in a column."""
    place = posts.schema.get_field_index(name)
    return posts.set_column(place, posts.schema.field(name), values)


def _known(column: pa.ChunkedArray) -> Any:
    """A column whose empty lists are unknown."""
    values = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if not pa.types.is_list(values.type):
        return values
    filled = pc.fill_null(pc.greater(pc.list_value_length(values), 0), False)
    return pc.if_else(filled, values, pa.scalar(None, values.type))


def _differ(old: pa.Table, merged: pa.Table) -> Mask:
    """Of which of n posts anything differs."""
    found = np.zeros(old.num_rows, dtype=bool)
    for name in old.column_names:
        first, second = (_comparable(table[name]) for table in (old, merged))
        unequal = pc.fill_null(pc.not_equal(first, second), False)
        gained = pc.xor(pc.is_null(first), pc.is_null(second))
        found |= pc.or_(unequal, gained).to_numpy(zero_copy_only=False).astype(bool)
    return found


def _comparable(column: pa.ChunkedArray) -> Any:
    values = _known(column)
    return pc.binary_join(values, "\0") if pa.types.is_list(values.type) else values


def _write_posts(
    base: PostDataset, new: pa.Table, changed: pa.Table, rows: Rows, folder: Path
) -> None:
    """Write the posts: all of them, or the months that change."""
    if not are_by_month(base.folder):
        write_posts(_replaced(base.arrow("posts"), changed, rows, new), folder)
        return
    (folder / POSTS_FOLDER).mkdir()
    states = [each for each in (_posts_at(base, rows), changed, new) if each.num_rows]
    touched = {month for each in states for month in pc.unique(months_of(each)).to_pylist()}
    rewritten, first = [np.empty(0, dtype=np.int64)], 0
    for path in base.files("posts"):
        count = count_rows(path)
        if path.stem in touched:
            rewritten.append(np.arange(first, first + count))
        else:
            link(path.resolve(), folder / POSTS_FOLDER / path.name)
        first += count
    places = np.concatenate(rewritten)
    own = _posts_at(base, places)
    posts = _replaced(own, changed, np.searchsorted(places, rows), new)
    write_posts(posts, folder, by_month=True)


def _replaced(posts: pa.Table, changed: pa.Table, rows: Rows, new: pa.Table) -> pa.Table:
    """Posts with those at ``rows`` in another state, and the new ones behind them."""
    posts, changed, new = _with_the_same_columns(posts, changed, new)
    order = np.arange(posts.num_rows)
    order[rows] = posts.num_rows + np.arange(changed.num_rows)
    kept = pa.concat_tables([posts, changed]).take(order) if changed.num_rows else posts
    return pa.concat_tables([kept, new])


def _others(
    base: PostDataset, more: PostDataset, matched: _Matched, posts: pa.Table, own_ids: Any
) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
    """The further tables of both, by name, under the ids that the dataset has."""
    there = posts["post_id"].to_pandas()
    renamed = dict(zip(there.iloc[matched.other], own_ids.to_pylist(), strict=True))
    left_out = set(there.iloc[matched.left_out])
    found = {}
    for name in TABLES:
        if name in ("posts", _OF_A_GENERATOR) or name not in {*base.tables, *more.tables}:
            continue
        rows = more.table(name)
        if "post_id" in rows:
            rows = rows[~rows["post_id"].isin(left_out)]
            rows = rows.assign(post_id=rows["post_id"].map(lambda each: renamed.get(each, each)))
        found[name] = (base.table(name), rows)
    return found


def _together(name: str, own: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """The rows of both, each once; of what one annotator said twice of a post, the later."""
    rows = pd.concat([own, other], ignore_index=True).drop_duplicates(ignore_index=True)
    if name != "annotations":
        return rows
    named = rows["annotator_id"].notna()
    repeated = rows.duplicated(["post_id", "annotator_id", "dimension"], keep="last")
    return rows[~(named & repeated)].reset_index(drop=True)


def _activity(
    joined: pd.DataFrame, old: pa.Table, recent: pa.Table, posted: Any, times: _Times
) -> pd.DataFrame:
    """The activity with both states of posts of which it is known when they were observed."""
    rows = [joined]
    for state, moments in ((old, times.old), (recent, times.recent)):
        seen = np.flatnonzero(times.known & pc.is_valid(posted).to_numpy(zero_copy_only=False))
        counts = state.select(["post_id", *ENGAGEMENT]).take(seen).to_pandas()
        since = posted.cast(pa.int64()).take(seen).to_numpy(zero_copy_only=False)
        hours = np.maximum(moments[seen] - since, 0) / _MICROSECONDS_PER_HOUR
        rows.append(counts.assign(post_id=old["post_id"].take(seen).to_pylist(), hours=hours))
    together = pd.concat([each for each in rows if len(each)] or [joined], ignore_index=True)
    kept = together.drop_duplicates(["post_id", "hours"], keep="last")
    return kept.sort_values(["post_id", "hours"], kind="stable", ignore_index=True)


def _latest(observations: pd.DataFrame) -> pd.DataFrame:
    """The last observation of each post."""
    in_time = observations.sort_values("observed_at", kind="stable")
    return in_time.drop_duplicates("post_id", keep="last").sort_index(ignore_index=True)


def _rated(
    merged: pa.Table, annotations: pd.DataFrame, both: set[str], scales: Mapping[str, Any]
) -> pa.Table:
    """The posts with the means of all their ratings, where both datasets have some."""
    rows = annotations[annotations["post_id"].isin(both)]
    if rows.empty:
        return merged
    means = rows.groupby(["post_id", "dimension"])["rating"].mean().unstack()
    identifiers = merged["post_id"].to_pandas()
    for name in means.columns.intersection(list(scales)):
        low, high = scales[name]
        values = convert_scale(means[name].to_numpy(), (low, high), SCALES[name])
        found = identifiers.map(dict(zip(means.index, values, strict=True)))
        column = pc.coalesce(pa.array(found, pa.float64(), from_pandas=True), merged[name])
        merged = _with(merged, name, column)
    return merged


def link_pictures(base: PostDataset, more: PostDataset, folder: Path) -> None:
    """Link the pictures of both datasets into a new folder of pictures, and whatever else lies
    beside the tables of the first.

    Raises
    ------
    DataError
        A file is a link that leads out of its dataset.
    """
    for dataset in (base, more):
        dataset.link_pictures_into(folder)
    ours = {DESCRIPTION_FILE, *(f"{name}.parquet" for name in TABLES)}
    for path in base.folder.iterdir():
        is_own = path.is_file() and not path.is_symlink() and not path.name.startswith(".")
        if is_own and path.name not in ours and not (folder / path.name).exists():
            link(path, folder / path.name)

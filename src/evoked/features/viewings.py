"""From a dataset of viewings to the user–image graph, and to the features of a viewing.

Bhattacharyya et al. (2024), *HMG-Emo*, Sections III-A and III-B: encoders turn
pictures, comments and descriptions of groups into vectors, through the same cache as features of
posts; a user's own vector is the mean over the descriptions of the user's groups (Eq. 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from evoked.errors import DataError
from evoked.features.cache import FeatureCache
from evoked.features.catalog import FeatureSettings
from evoked.features.extract import Problem, extract, extract_posts
from evoked.features.social_graph import Integers, SocialGraph
from evoked.features.table import Column, FeatureTable
from evoked.posts.author_hashes import hashes
from evoked.posts.dataset import PostDataset
from evoked.posts.schema import VIEWINGS
from evoked.progress import Progress
from evoked.targets.emotion import emotion_classes, emotion_shares

# Columns of a viewing that models read; the last three are rows of the graph.
VIEWING_COLUMNS = (*VIEWINGS.names, "author_id", "user", "image", "viewing")

# A leak where the user hasn't commented yet: only models that name it read it.
OWN_COMMENT = "viewing.comment"

_PICTURE = ["image.vector"]
_DROPPED_COLUMNS = ["user_id", "post_id", "reason"]


@dataclass(frozen=True)
class ViewingData:
    """A dataset as a graph of U users, I images and V viewings.

    Attributes
    ----------
    graph
        The graph, with all viewings, their comments and their emotions.
    viewings
        The V viewings, with :data:`VIEWING_COLUMNS`; ``viewing`` is the row itself.
    groups
        ``group_id`` and ``name`` (missing where unknown) of the graph's groups, by their number.
    dropped
        Viewings of the dataset that are not in the graph: ``user_id``, ``post_id``, ``reason``.
    problems
        Pictures that could not be read; their images have no vector.
    """

    graph: SocialGraph
    viewings: pd.DataFrame
    groups: pd.DataFrame
    dropped: pd.DataFrame
    problems: list[Problem]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which viewings have a known emotion, or several, (V,)."""
        known: NDArray[np.bool_] = np.isfinite(emotion_shares(self.viewings["emotion"])[:, 0])
        return known

    @property
    def notes(self) -> list[str]:
        """What a person should know: how many viewings were left out, and why."""
        return [
            f"{count} viewings are left out: {reason}."
            for reason, count in self.dropped["reason"].value_counts().items()
        ]

    def posts(self, rows: ArrayLike, shown: ArrayLike = ()) -> pd.DataFrame:
        """The viewings at ``rows`` (n,); ``viewing`` is their row among those at ``shown`` (m,)."""
        chosen = np.asarray(rows, dtype=np.int64)
        place = np.full(len(self.viewings), -1, dtype=np.int64)
        visible = np.asarray(shown, dtype=np.int64)
        place[visible] = np.arange(len(visible))
        frame = self.viewings.iloc[chosen].reset_index(drop=True)
        return frame.assign(viewing=place[chosen])

    def features(self, names: Sequence[str], rows: ArrayLike) -> FeatureTable:
        """Features ``names`` of the viewings at ``rows`` (n,), none of them copied; a placeholder
        for a model that reads none."""
        chosen = np.asarray(rows, dtype=np.int64)
        users, images = self.graph.viewings[:, chosen]
        return viewing_features(
            names,
            {
                "user.vector": self.graph.user_vectors.select(users),
                "image.vector": self.graph.image_vectors.select(images),
                OWN_COMMENT: self.graph.comment_vectors.select(chosen),
            },
            len(chosen),
        )


def read_network(
    dataset: PostDataset,
    settings: FeatureSettings | None = None,
    *,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
) -> ViewingData:
    """Read a dataset's viewings, connections, groups and memberships as a graph.

    Where a user viewed an image several times, the latest viewing with a known emotion is kept: a
    pair has one label (Section IV-A).

    Parameters
    ----------
    dataset
        Its posts are the images; users are all who view, are connected, are members or authors.
    settings
        Encoders; the builtin ones by default. Comments that a model wrote count as missing unless
        the settings ask for them.
    cache
        Where vectors are kept; the user's cache by default.
    progress
        Called with what is being read (``pictures``, ``comments``, ``groups``), the number of
        different ones done and the number of all.

    Raises
    ------
    DataError
        There are no viewings, or none of an image of the dataset by a user with an id.
    """
    settings = settings or FeatureSettings()
    table, dropped = kept_viewings(dataset)
    if not settings.generated_comments and "generated" in table:
        table["comment"] = table["comment"].mask(table["generated"].eq(True))
    posts = dataset.posts
    connections = _complete(dataset.table("connections"))
    memberships = _complete(dataset.table("memberships"))
    users, (viewer, one, other, member) = _numbered(
        [table["user_id"], connections["user_id"], connections["other_id"], memberships["user_id"]],
        posts["author_id"],
    )
    groups = dataset.table("groups").dropna(subset="group_id").drop_duplicates("group_id")
    group_ids, (described, joined) = _numbered([groups["group_id"], memberships["group_id"]])
    belongs = _unique(np.stack([member, joined]))

    pictures, problems = extract(dataset, _PICTURE, settings, cache=cache, progress=progress)
    image_vectors = pictures.columns["image.vector"]
    assert isinstance(image_vectors, Column)
    comments = text_vectors(table["comment"], settings, "comments", cache, progress)
    descriptions = text_vectors(groups["description"], settings, "groups", cache, progress)
    of_group = np.full(len(group_ids), -1, dtype=np.int64)
    of_group[described] = descriptions.index[:, 0]
    graph = SocialGraph(
        users=hashes(pd.Series(users)),
        images=posts["post_id"].to_numpy(dtype=object),
        user_vectors=mean_vectors(
            belongs, len(users), Column(descriptions.data, of_group[:, None])
        ),
        image_vectors=image_vectors,
        comment_vectors=comments,
        viewings=np.stack([viewer, table["image"].to_numpy(np.int64)]),
        emotions=emotion_classes(table["emotion"]),
        times=seconds(table["viewed_at"]),
        connections=_both_ways(np.stack([one, other])),
        memberships=belongs,
    )
    viewings = table.assign(
        author_id=posts["author_id"].to_numpy()[table["image"]],
        user=viewer,
        viewing=np.arange(len(table)),
    )
    named = groups.set_index("group_id")["name"].reindex(group_ids).to_numpy()
    return ViewingData(
        graph,
        viewings[list(VIEWING_COLUMNS)],
        pd.DataFrame({"group_id": group_ids, "name": named}),
        dropped,
        problems,
    )


def viewing_features(names: Sequence[str], columns: dict[str, Column], n: int) -> FeatureTable:
    """A table of the named columns of n viewings; a placeholder where nothing is named."""
    if not names:  # a model that reads the graph alone
        return FeatureTable({"viewing": Column.dense(np.zeros((n, 1), dtype=np.float32))})
    return FeatureTable({name: columns[name] for name in names})


def user_rows(graph: SocialGraph, user_ids: pd.Series) -> Integers:
    """Row of each user in the graph, (n,); -1 for one that it doesn't hold."""
    return rows_of(graph.users, hashes(user_ids))


def image_rows(graph: SocialGraph, post_ids: pd.Series) -> Integers:
    """Row of each image in the graph, (n,); -1 for one that it doesn't hold."""
    return rows_of(graph.images, post_ids.to_numpy(dtype=object))


def rows_of(names: NDArray[np.object_], wanted: NDArray[np.object_]) -> Integers:
    """Index of each wanted name among ``names``, (n,); -1 where it isn't among them."""
    return pd.Index(names).get_indexer(pd.Index(wanted)).astype(np.int64)


def text_vectors(
    texts: pd.Series,
    settings: FeatureSettings,
    stage: str,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
) -> Column:
    """Vectors of n texts as ``caption.vector`` is computed and cached, absent where a text is
    missing or empty; equal texts are encoded once.

    Parameters
    ----------
    stage
        What is being read, for ``progress``.
    """
    codes, different = pd.factorize(texts)
    table, _ = extract_posts(
        pd.DataFrame({"post_id": np.arange(len(different)), "caption": different}),
        [None] * len(different),
        ["caption.vector"],
        settings,
        cache=cache,
        progress=None if progress is None else lambda _, *counts: progress(stage, *counts),
    )
    column = table.columns["caption.vector"]
    assert isinstance(column, Column)
    nothing = np.full((1, column.index.shape[1]), -1, dtype=np.int64)
    return Column(column.data, np.concatenate([column.index, nothing])[codes])


def mean_vectors(memberships: Integers, users: int, descriptions: Column) -> Column:
    """A vector per user: the mean over the descriptions of the user's groups (Eq. 1).

    Parameters
    ----------
    memberships
        (2, M): user and group, no pair twice.
    users
        Number of users.
    descriptions
        A row per group; groups without a description don't count.

    Returns
    -------
    Column
        float16, as the encoders' vectors are kept; absent for users without a described group.
    """
    member, group = memberships[:, descriptions.present[memberships[1]]]
    shape = (users, len(descriptions.index))
    joined = csr_array((np.ones(len(member), dtype=np.float32), (member, group)), shape=shape)
    counts = np.diff(joined.indptr)
    own = np.flatnonzero(counts)
    of_group = descriptions.arrays(np.arange(shape[1]))[""]
    means = (joined[own] @ of_group / counts[own, None]).astype(np.float16)
    index = np.full((users, 1), -1, dtype=np.int64)
    index[own, 0] = np.arange(len(own))
    return Column(means, index)


def kept_viewings(dataset: PostDataset) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Viewings with the row ``image`` of their post; and those that are dropped, with reasons."""
    table = dataset.table("viewings")
    if table.empty:
        raise DataError(
            "there are no viewings: who saw which image, and what they felt.",
            file=dataset.folder / "viewings.parquet",
            fix="A network has the tables viewings (user_id, post_id, viewed_at, comment, "
            "emotion), connections (user_id, other_id), groups and memberships: make one with "
            "'evoked import iesn', 'evoked import edges' or 'evoked synth --network'.",
        )
    image = pd.Index(dataset.posts["post_id"]).get_indexer(table["post_id"])
    table = table.assign(image=image.astype(np.int64))
    reasons = np.select(
        [
            table["user_id"].isna() | table["user_id"].eq(""),
            table["image"] < 0,
            _outdated(table),
        ],
        [
            "the user has no id",
            "their post is not in the dataset",
            "the same user viewed the same image again, later or with a known emotion",
        ],
        default="",
    )
    kept = reasons == ""
    if not kept.any():
        raise DataError(
            f"none of {len(table)} viewings names a user and a post of the dataset.",
            file=dataset.folder / "viewings.parquet",
            fix="Their post_id has to be one of the posts', their user_id must not be empty.",
        )
    dropped = table.assign(reason=reasons)[~kept]
    return table[kept].reset_index(drop=True), dropped[_DROPPED_COLUMNS].reset_index(drop=True)


def _outdated(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Viewings that give way to another of the same pair. One with a known emotion is preferred,
    then the latest, then the one in the last row."""
    pair = table.groupby(["user_id", "image"], dropna=False).ngroup().to_numpy()
    known = np.isfinite(emotion_shares(table["emotion"])[:, 0])
    order = np.lexsort((np.arange(len(table)), np.nan_to_num(seconds(table["viewed_at"])), known))
    last = pd.Series(pair[order]).duplicated(keep="last").to_numpy()
    outdated = np.empty(len(table), dtype=bool)
    outdated[order] = last
    return outdated


def _complete(table: pd.DataFrame) -> pd.DataFrame:
    """Rows in which neither id is missing."""
    return table[table.replace("", None).notna().all(axis=1)]


def _numbered(
    columns: list[pd.Series], more: pd.Series | None = None
) -> tuple[NDArray[np.object_], list[Integers]]:
    """All names, sorted, and for each column the numbers of its names; ``more`` only adds names."""
    everything = [*columns, *([] if more is None else [more])]
    codes, names = pd.factorize(pd.concat(everything, ignore_index=True), sort=True)
    bounds = np.cumsum([len(column) for column in everything])[:-1]
    parts = np.split(codes.astype(np.int64), bounds)
    return np.asarray(names, dtype=object), parts[: len(columns)]


def _both_ways(pairs: Integers) -> Integers:
    """Every pair once in each direction, without pairs of the same; sorted."""
    apart = pairs[:, pairs[0] != pairs[1]]
    return _unique(np.concatenate([apart, apart[::-1]], axis=1))


def _unique(pairs: Integers) -> Integers:
    """(2, n) pairs without repetition, sorted."""
    if not pairs.size:
        return pairs
    span = int(pairs[1].max()) + 1
    # One number per pair: sorting these is many times faster than sorting rows.
    return np.stack(np.divmod(np.unique(pairs[0] * span + pairs[1]), span))


def seconds(times: pd.Series) -> NDArray[np.float64]:
    """Seconds since 1970, (n,), NaN where unknown."""
    since = (times - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)
    return np.asarray(since, dtype=np.float64)

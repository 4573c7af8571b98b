"""The features ``environment.*``: what an author is very likely to post (Zhang et al. 2018,
Section III-C).

The environment of a post is the mean vector of its author's *other* posts: the mean of their
pictures (I_e in Eq. 4 and 5: the mean of V, which is the mean over the regions of ``image.map``),
of their captions' topics (T_e) and, our addition, of ``image.vector`` and of their captions' own
vectors. Which posts these are depends on the author:

*known*
    The author has training posts. A held-out post or a draft gets their mean, whatever other posts
    are transformed with it.
*new*
    The author has no training posts, but others: those that are transformed together.
*cold*
    No other post of the author is known, or there is no author: the mean of all training posts.

A training post is left out of its own environment. The paper doesn't say whether it was. If it were
counted, training posts would resemble their environment more than held-out ones can, and the more
so the fewer posts an author has; a model would learn from a likeness that is missing later. No
label is read for any of this.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file
from scipy import sparse

from evoked.errors import DataError
from evoked.features.table import Column, FeatureColumn
from evoked.files import atomic_folder, read_object, write_json, write_safetensors
from evoked.posts.author_hashes import author_hashes

Whole = NDArray[np.int64]
Floats = NDArray[np.float32]

# Environments by name, with the feature that each is the mean of.
MEANS = {
    "environment.map": "image.map",
    "environment.topics": "topics",
    "environment.image": "image.vector",  # ours
    "environment.caption": "caption.vector",  # ours
}
SOURCES = ("known", "new", "cold")
_VERSION = 1
_MEANS_FILE = "means.safetensors"
_AUTHORS_FILE = "authors.json"
# The authors with the most training posts; 400 MB of sums of 2048 + 400 numbers.
_MAX_AUTHORS = 20_000
_BATCH = 256  # posts; 100 MB of a ResNet's maps


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums of one feature over the posts of each author.

    Attributes
    ----------
    total
        float64, (authors + 1, width): the last row sums all posts, with or without an author.
    count
        int64, (authors + 1,): number of posts that have the feature.
    """

    total: NDArray[np.float64]
    count: Whole

    @classmethod
    def of(cls, column: FeatureColumn, author: Whole, authors: int) -> Self:
        """Sums over the posts of ``column``; where ``author`` (n,) is -1, a post counts only in the
        sum over all posts."""
        total = np.zeros((authors + 1, column.width))
        present = column.present
        for start in range(0, len(author), _BATCH):
            rows = np.arange(start, min(start + _BATCH, len(author)))
            rows = rows[present[rows]]
            values = _vectors(column, rows)
            total[-1] += values.sum(axis=0, dtype=np.float64)
            own, named = author[rows], author[rows] >= 0
            membership = sparse.csr_matrix(
                (np.ones(int(named.sum())), (own[named], np.flatnonzero(named))),
                shape=(authors, len(rows)),
            )
            total[:-1] += membership @ values
        count = np.bincount(author[present & (author >= 0)], minlength=authors)
        return cls(total, np.append(count, present.sum()))

    def with_newcomers(self, newcomers: Sums) -> Sums:
        """These sums with further authors; the sums over all posts stay as they are."""
        return Sums(
            np.concatenate([self.total[:-1], newcomers.total[:-1], self.total[-1:]]),
            np.concatenate([self.count[:-1], newcomers.count[:-1], self.count[-1:]]),
        )


@dataclass(frozen=True, eq=False)
class Environment:
    """The environments of authors; made by :meth:`fit` or :meth:`load`.

    Attributes
    ----------
    authors
        Hashes of the training posts' authors: a model's folder names nobody.
    posts
        int64, (authors,): number of training posts of each.
    members
        int64, sorted: hashes of the training posts, by which they are left out of their own
        environment.
    sums
        Sums by environment.
    """

    authors: tuple[str, ...]
    posts: Whole
    members: Whole
    sums: dict[str, Sums]

    @classmethod
    def fit(cls, posts: pd.DataFrame, columns: Mapping[str, FeatureColumn]) -> Self:
        """Add up the training posts.

        Parameters
        ----------
        posts
            n training posts.
        columns
            Features of the same posts: any of those that :data:`MEANS` names.
        """
        hashes = author_hashes(posts)
        number = pd.Series(hashes[hashes != ""]).value_counts()[:_MAX_AUTHORS].sort_index()
        author = pd.Index(number.index, dtype=object).get_indexer(pd.Index(hashes))
        sums = {
            name: Sums.of(columns[source], author.astype(np.int64), len(number))
            for name, source in MEANS.items()
            if source in columns
        }
        members = np.unique(_post_hashes(posts, hashes))
        return cls(tuple(number.index), number.to_numpy().astype(np.int64), members, sums)

    def sources(self, posts: pd.DataFrame) -> NDArray[np.object_]:
        """Where the environment of each of n posts comes from, (n,): one of :data:`SOURCES`."""
        hashes = author_hashes(posts)
        known, member = self._known(posts, hashes)
        others = np.append(self.posts, 0)[known] - member
        brought = pd.Series(hashes).groupby(hashes).transform("size").to_numpy() - 1
        strange = (known < 0) & (hashes != "")
        conditions = [(known >= 0) & (others > 0), strange & (brought > 0)]
        return np.select(conditions, ["known", "new"], "cold").astype(object)

    def transform(
        self, posts: pd.DataFrame, columns: Mapping[str, FeatureColumn]
    ) -> dict[str, FeatureColumn]:
        """Environments of posts.

        Parameters
        ----------
        posts
            n posts; those of a new author make up each other's environment.
        columns
            Features of the same posts, as in :meth:`fit`.

        Returns
        -------
        dict
            A column of means by name, computed as they are read, so that memory doesn't grow with
            the number of posts. Absent where there isn't even a mean of all training posts, because
            none has a picture, say.
        """
        hashes = author_hashes(posts)
        known, member = self._known(posts, hashes)
        strange = (known < 0) & (hashes != "")
        newcomer, names = pd.factorize(hashes[strange])
        # Rows of the sums: known authors, new ones, and all posts together.
        author = known.copy()
        author[strange] = len(self.authors) + newcomer
        counted = (member & (known >= 0)) | strange
        found: dict[str, FeatureColumn] = {}
        for name, sums in self.sums.items():
            own = columns[MEANS[name]]
            brought = Sums.of(own.select(np.flatnonzero(strange)), newcomer, len(names))
            joined = sums.with_newcomers(brought)
            means = _MeansOfOthers(joined, own, author, counted & own.present)
            index = np.arange(len(posts)) if sums.count[-1] else np.full(len(posts), -1)
            # Not an array, but read as one.
            found[name] = Column(cast("NDArray[np.generic]", means), index[:, None])
        return found

    def save(self, folder: Path | str) -> None:
        """Write safetensors and a JSON list of authors' hashes into a folder of their own."""
        with atomic_folder(folder) as temporary:
            arrays: dict[str, NDArray[Any]] = {"members": self.members, "posts": self.posts}
            for name, sums in self.sums.items():
                arrays |= {f"{name}.total": sums.total, f"{name}.count": sums.count}
            write_safetensors(temporary / _MEANS_FILE, arrays)
            write_json(
                temporary / _AUTHORS_FILE, {"version": _VERSION, "authors": list(self.authors)}
            )

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Inverse of :meth:`save`.

        Raises
        ------
        DataError
            The folder doesn't hold environments, or holds another version of them.
        """
        folder = Path(folder)
        state = read_object(folder / _AUTHORS_FILE)
        try:
            version, authors = state["version"], tuple(map(str, state["authors"]))
            arrays = load_file(folder / _MEANS_FILE)
            numbers, members = arrays["posts"], arrays["members"]
            sums = {
                name: Sums(arrays[f"{name}.total"], arrays[f"{name}.count"])
                for name in MEANS
                if f"{name}.total" in arrays
            }
        except (KeyError, TypeError, OSError, SafetensorError) as error:
            raise DataError(f"not environments of authors ({error!r}).", file=folder) from error
        if version != _VERSION:
            raise DataError(f"version {version!r}; this release reads {_VERSION}.", file=folder)
        for each in sums.values():
            if each.total.ndim != 2 or not len(each.total) == len(each.count) == len(authors) + 1:
                raise DataError(
                    f"{len(authors)} authors do not fit sums of shape {each.total.shape}.",
                    file=folder,
                )
        return cls(authors, numbers, members, sums)

    def _known(
        self, posts: pd.DataFrame, hashes: NDArray[np.object_]
    ) -> tuple[Whole, NDArray[np.bool_]]:
        """Row of each post's author, -1 where unknown, and whether it is a training post."""
        known = pd.Index(self.authors, dtype=object).get_indexer(pd.Index(hashes))
        return known.astype(np.int64), np.isin(_post_hashes(posts, hashes), self.members)


@dataclass(frozen=True, eq=False)
class _MeansOfOthers:
    """An array (n, width) whose rows are computed when they are asked for.

    Attributes
    ----------
    sums
        Sums by author.
    own
        The feature of each of n posts.
    author
        int64, (n,): row of the sums, -1 for the sum over all posts.
    counted
        bool, (n,): whether the post itself is in its author's sum and has to be subtracted.
    """

    sums: Sums
    own: FeatureColumn
    author: Whole
    counted: NDArray[np.bool_]

    dtype = np.dtype(np.float32)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.author), self.own.width

    def __len__(self) -> int:
        return len(self.author)

    def __getitem__(self, rows: Whole) -> Floats:
        author, counted = self.author[rows], self.counted[rows]
        total, count = self.sums.total[author], self.sums.count[author] - counted
        total[counted] -= _vectors(self.own, rows[counted])
        nothing = count == 0
        total[nothing], count[nothing] = self.sums.total[-1], self.sums.count[-1]
        return (total / np.maximum(count, 1)[:, None]).astype(np.float32)


def _vectors(column: FeatureColumn, rows: Whole) -> Floats:
    """One vector of each post, (b, width): of a map, the mean over its regions."""
    values: Floats = column.arrays(rows, None)[""]
    return values if values.ndim == 2 else values.mean(axis=1)


def _post_hashes(posts: pd.DataFrame, authors: NDArray[np.object_]) -> Whole:
    """A hash for each post, (n,), made from its author and its id, since many files number their
    posts from one."""
    names = posts["post_id"].astype(str) if "post_id" in posts else [""] * len(posts)
    digests = b"".join(
        hashlib.blake2b(f"{author}|{name}".encode("utf-8", "replace"), digest_size=8).digest()
        for author, name in zip(authors, names, strict=True)
    )
    return np.frombuffer(digests, dtype=np.int64)

"""The user–image graph: who viewed what, who knows whom, and what is known about each.

Bhattacharyya et al. (2024), *HMG-Emo*, Section III-A: users and images are nodes; *views* joins a
user to an image and carries the user's comment, *connects* joins two users.

A graph holds only numbers, so that 100,000 users and two million edges fit into memory; pictures
and texts are held as the vectors that encoders made from them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from evoked.errors import DataError
from evoked.features.table import Column
from evoked.files import write_parquet, write_safetensors
from evoked.parquet import read_frame

Integers = NDArray[np.int64]

GRAPH_FILE = "graph.safetensors"
USERS_FILE, IMAGES_FILE = "users.parquet", "images.parquet"
_COLUMNS = ("user_vectors", "image_vectors", "comment_vectors")
_ARRAYS = ("viewings", "emotions", "times", "connections", "memberships")


def derangement(n: int, random: np.random.Generator) -> Integers:
    """Each of n numbers from 0 once, in random order and none at its own place, (n,); 0 for n of
    1."""
    order, found = random.permutation(n), np.empty(n, dtype=np.int64)
    found[order] = np.roll(order, 1)
    return found


@dataclass(frozen=True)
class SocialGraph:
    """A graph of U users, I images, V viewings and E connections.

    A model gets a graph with only the viewings that it may look at. Those that it has to predict
    are absent, and in training it hides those of the batch itself.

    Attributes
    ----------
    users, images
        Identifiers, (U,) and (I,): a user's id as a hash (see
        :func:`evoked.posts.author_hashes.hashes`), and the post_id of the picture.
    user_vectors
        U rows: the mean over the vectors of the descriptions of the user's groups (Eq. 1); absent
        for users without a described group.
    image_vectors
        I rows: the picture's vector; absent where there is no picture.
    comment_vectors
        V rows: the vector of the comment that a viewing left; absent where there is none.
    viewings
        int64, (2, V): row of the user and of the image.
    emotions
        int64, (V,): index in :data:`evoked.posts.schema.MIKELS`, -1 where unknown: what was felt
        at *other* viewings, for methods that read it; a model hides those of its batch.
    times
        float64, (V,): seconds since 1970, NaN where unknown.
    connections
        int64, (2, E): rows of two users. Every connection is listed once in each direction, and
        nobody is connected to themselves.
    memberships
        int64, (2, M): row of a user, and number of a group, from 0.
    """

    users: NDArray[np.object_]
    images: NDArray[np.object_]
    user_vectors: Column
    image_vectors: Column
    comment_vectors: Column
    viewings: Integers
    emotions: Integers
    times: NDArray[np.float64]
    connections: Integers
    memberships: Integers

    @property
    def widths(self) -> dict[str, int]:
        """Length of the vectors, by the feature's name in the catalog."""
        return {
            "user.vector": self.user_vectors.width,
            "image.vector": self.image_vectors.width,
            "viewing.comment": self.comment_vectors.width,
        }

    def with_viewings(self, rows: ArrayLike) -> SocialGraph:
        """The graph with all nodes and connections, but only the viewings at ``rows`` (n,), in that
        order."""
        chosen = np.asarray(rows, dtype=np.int64)
        return replace(
            self,
            comment_vectors=self.comment_vectors.select(chosen),
            viewings=self.viewings[:, chosen],
            emotions=self.emotions[chosen],
            times=self.times[chosen],
        )

    def save(self, folder: Path) -> None:
        """Write the graph into ``folder``: numbers as safetensors, identifiers as Parquet. Only
        vectors that a row refers to are kept."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors: dict[str, Any] = {name: getattr(self, name) for name in _ARRAYS}
        for name in _COLUMNS:
            column: Column = getattr(self, name).compact()
            tensors[f"{name}.data"], tensors[f"{name}.index"] = column.data, column.index
        for name, file in (("users", USERS_FILE), ("images", IMAGES_FILE)):
            write_parquet(folder / file, pd.DataFrame({"id": getattr(self, name)}))
        arrays = {name: np.ascontiguousarray(each) for name, each in tensors.items()}
        write_safetensors(folder / GRAPH_FILE, arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Inverse of :meth:`save`; runs nothing that the folder holds.

        Raises
        ------
        DataError
            A file is missing or damaged, or refers to a row that doesn't exist.
        """
        try:
            tensors = load_file(folder / GRAPH_FILE)
            values: dict[str, Any] = {name: tensors[name] for name in _ARRAYS}
            for name, file in (("users", USERS_FILE), ("images", IMAGES_FILE)):
                table = read_frame(folder / file, ["id"])
                values[name] = table["id"].to_numpy(dtype=object)
            for name in _COLUMNS:
                values[name] = Column(tensors[f"{name}.data"], tensors[f"{name}.index"])
            graph = cls(**values)
            graph._check()
        except (
            OSError,
            SafetensorError,
            AttributeError,
            KeyError,
            IndexError,
            TypeError,
            ValueError,
        ) as error:
            raise DataError(
                f"not the graph of a run, or damaged ({error}).",
                file=folder / GRAPH_FILE,
                fix="Train the model again.",
            ) from error
        return graph

    def _check(self) -> None:
        """Raise ValueError if a row refers to a node or a vector that doesn't exist."""
        users, images = len(self.users), len(self.images)
        limits = [
            (self.viewings, (users, images)),
            (self.connections, (users, users)),
            (self.memberships[:1], (users,)),
            *((getattr(self, name).index.T, (len(getattr(self, name).data),)) for name in _COLUMNS),
        ]
        for rows, ends in limits:
            for row, end in zip(rows, ends, strict=True):
                if row.max(initial=-1) >= end or row.min(initial=-1) < -1:
                    raise ValueError(f"a row lies outside 0 … {end - 1}")
        lengths = {"user_vectors": users, "image_vectors": images}
        for name in _COLUMNS:
            if len(getattr(self, name).index) != lengths.get(name, self.viewings.shape[1]):
                raise ValueError(f"{name} do not fit the nodes")
        if not len(self.emotions) == len(self.times) == self.viewings.shape[1]:
            raise ValueError("viewings, emotions and times differ in number")

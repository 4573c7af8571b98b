"""The user–image graph: who viewed what, who knows whom, and what is known of each.

Bhattacharyya et al. (2024), *HMG-Emo*, Section III-A: users and images are nodes; *views* joins a
user to an image and carries the user's comment, *connects* joins two users.

A graph holds numbers alone, so that 100,000 users and two million edges fit into memory; pictures
and texts stand in it as the vectors that encoders made of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoked.features.table import Column

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class SocialGraph:
    """U users, I images, V viewings and E connections.

    A model sees a graph that holds the viewings that it may look at, no others: those that it is
    to predict are absent, and of those that it learns from it hides the ones of the batch itself.

    Attributes
    ----------
    users, images
        Identifiers, (U,) and (I,): a user's id as a hash (see
        :func:`evoked.posts.author_hashes.hashes`), and the post_id of the picture.
    user_vectors
        U rows: the mean over the vectors of the descriptions of the user's groups (Eq. 1); absent
        for users of no described group.
    image_vectors
        I rows: the picture's vector; absent where there is no picture.
    comment_vectors
        V rows: the vector of the comment that a viewing left; absent where there is none.
    viewings
        int64, (2, V): row of the user and of the image.
    emotions
        int64, (V,): place in :data:`evoked.posts.schema.MIKELS`, -1 where unknown. What was felt
        at *other* viewings, for methods that look at it; a model hides those of its batch.
    times
        float64, (V,): seconds since 1970, NaN where unknown.
    connections
        int64, (2, E): rows of two users; every connection stands in both directions, once, and
        nobody is connected with themselves.
    memberships
        int64, (2, M): row of a user, and number of a group from 0.
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
        """Length of the vectors by the feature's name in the catalog."""
        return {
            "user.vector": self.user_vectors.width,
            "image.vector": self.image_vectors.width,
            "viewing.comment": self.comment_vectors.width,
        }

    def with_viewings(self, rows: ArrayLike) -> SocialGraph:
        """The graph with all nodes and connections and the viewings at ``rows`` (n,) alone, in
        that order."""
        chosen = np.asarray(rows, dtype=np.int64)
        return replace(
            self,
            comment_vectors=self.comment_vectors.select(chosen),
            viewings=self.viewings[:, chosen],
            emotions=self.emotions[chosen],
            times=self.times[chosen],
        )

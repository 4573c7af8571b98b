"""A small network of viewings for trying out models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from evoked.features.social_graph import SocialGraph
from evoked.features.table import Column, FeatureTable
from evoked.models.base import Examples
from evoked.posts.author_hashes import hashes
from evoked.posts.schema import MIKELS
from evoked.targets import Emotion

USER_WIDTH, IMAGE_WIDTH, COMMENT_WIDTH = 10, 12, 16
_COMMUNITIES, _COMMENTED = 4, 0.34


def small_network_examples(
    n_users: int = 60, n_images: int = 80, n_viewings: int = 600, seed: int = 0
) -> tuple[Examples, Examples, Examples]:
    """Training, validation and test viewings (8 : 1 : 1) of a network whose truth is planted.

    What a user feels follows from the picture (its vector shows a part of it, and what others felt
    and wrote the rest), from the user's own taste (which shows only in their viewings and, since
    connected users are alike, in their connections) and from how much their community likes the
    picture's theme. 34 % of the viewings have a comment, which shows the emotion with noise. A few
    users have no group, a few images no vector, a few viewings no known emotion. Of ten test
    viewings, one is by a user and one of an image that the graph doesn't hold; their vectors are in
    the features all the same.
    """
    random = np.random.default_rng(seed)
    community = random.integers(_COMMUNITIES, size=n_users)
    theme = random.integers(_COMMUNITIES, size=n_images)
    taste = 1.5 * random.normal(size=(_COMMUNITIES, 8))[community]
    taste = taste + 0.5 * random.normal(size=(n_users, 8))
    evoked = 1.5 * random.normal(size=(n_images, 8))
    liking = 1.0 * random.normal(size=(_COMMUNITIES, _COMMUNITIES, 8))

    chosen = random.choice(n_users * n_images, n_viewings, replace=False)  # a pair has one label
    pairs = np.stack(np.divmod(chosen, n_images))
    users, images = pairs
    logits = taste[users] + evoked[images] + liking[community[users], theme[images]]
    felt = (logits + random.gumbel(scale=0.7, size=logits.shape)).argmax(axis=1)

    graph = SocialGraph(
        users=hashes(pd.Series([f"user-{user}" for user in range(n_users)])),
        images=np.array([f"image-{image}" for image in range(n_images)], dtype=object),
        user_vectors=_vectors(np.eye(_COMMUNITIES)[community], USER_WIDTH, 0.5, 0.9, random),
        image_vectors=_vectors(
            np.column_stack([evoked[:, :4], np.eye(_COMMUNITIES)[theme]]),
            width=IMAGE_WIDTH,
            noise=0.5,
            present=0.95,
            random=random,
        ),
        comment_vectors=_vectors(np.eye(8)[felt], COMMENT_WIDTH, 0.3, _COMMENTED, random),
        viewings=pairs.astype(np.int64),
        emotions=np.where(random.random(n_viewings) < 0.97, felt, -1).astype(np.int64),
        times=1.7e9 + 3600.0 * np.arange(n_viewings, dtype=np.float64),
        connections=_connections(community, random),
        memberships=np.stack([np.arange(n_users), community]).astype(np.int64),
    )
    order = random.permutation(n_viewings)
    n_train, n_held_out = int(0.8 * n_viewings), int(0.1 * n_viewings)
    parts = np.split(order, [n_train, n_train + n_held_out])
    shown = graph.with_viewings(parts[0])
    train, validation, test = (viewing_examples(graph, rows, shown) for rows in parts)
    train.posts["viewing"] = np.arange(len(train))
    return train, validation, with_strangers(test, np.arange(0, len(test), 10), "user", "image")


def viewing_examples(graph: SocialGraph, rows: ArrayLike, shown: SocialGraph) -> Examples:
    """Examples of viewings of ``graph``, of which the graph ``shown`` holds none."""
    rows = np.asarray(rows)
    users, images = graph.viewings[:, rows]
    emotion = np.array([*MIKELS, None], dtype=object)[graph.emotions[rows]]
    comments = graph.comment_vectors.select(rows)
    posts = pd.DataFrame(
        {
            "user_id": [f"user-{user}" for user in users],
            "post_id": graph.images[images],
            "viewed_at": pd.to_datetime(graph.times[rows], unit="s", utc=True),
            "comment": np.array([None, "what a picture"], object)[comments.present.astype(int)],
            "emotion": emotion,
            "author_id": [f"user-{image % len(graph.users)}" for image in images],
            "user": users,
            "image": images,
            "viewing": np.full(len(users), -1, dtype=np.int64),
        }
    )
    features = FeatureTable(
        {
            "user.vector": graph.user_vectors.select(users),
            "image.vector": graph.image_vectors.select(images),
            "viewing.comment": comments,
        }
    )
    return Examples(posts, features, Emotion().transform(posts), shown)


def with_strangers(examples: Examples, rows: ArrayLike, *columns: str) -> Examples:
    """Each of ``columns`` ("user", "image") is unknown to the graph in a row, one after another:
    the first column in the first of ``rows``, the second in the row that follows it."""
    posts = examples.posts.copy()
    identifiers = {"user": "user_id", "image": "post_id"}
    for offset, column in enumerate(columns):
        chosen = (np.asarray(rows) + offset) % len(posts)
        posts.loc[chosen, column] = -1
        posts.loc[chosen, identifiers[column]] = [f"new-{column}-{row}" for row in chosen]
    return replace(examples, posts=posts)


def _vectors(
    shown: np.ndarray, width: int, noise: float, present: float, random: np.random.Generator
) -> Column:
    """Vectors that show ``shown`` (n, anything) through a random projection, with noise."""
    values = shown @ random.normal(size=(shown.shape[1], width))
    values = values + noise * random.normal(size=values.shape)
    return Column.dense(values.astype(np.float32), random.random(len(shown)) < present)


def _connections(community: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Some four connections per user, nine of ten within the community."""
    n = len(community)
    chance = np.where(community[:, None] == community, 0.9 * _COMMUNITIES, 0.1) * 4 / n
    known = np.triu(random.random((n, n)) < chance, 1)
    return np.stack(np.nonzero(known | known.T)).astype(np.int64)

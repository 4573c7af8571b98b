"""What models of viewings see of a network, and what is hidden from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoked.errors import DataError
from evoked.features.social_graph import SocialGraph, derangement
from evoked.features.table import Column, FeatureTable
from evoked.features.viewings import OWN_COMMENT, ViewingData
from evoked.models.base import Examples, Model
from evoked.targets import Task


def graph_of(model: Model, examples: Examples) -> SocialGraph:
    """The graph around examples of viewings.

    Raises
    ------
    DataError
        They have no graph; examples of posts never do.
    """
    if examples.graph is None:
        raise DataError(
            f"{model.name} needs a graph of users and images, and these examples have none.",
            fix="Use a dataset with a network of viewings.",
        )
    return examples.graph


def class_weights(counts: ArrayLike, balance: float) -> NDArray[np.float64]:
    """Weight of each of n classes, (n,): its frequency to the power of minus ``balance``, scaled so
    that the mean label weighs 1.

    Parameters
    ----------
    counts
        How many labels are of each class, or which share of them, (n,); not all are 0.
    balance
        0 for no weights, 1 where all classes count the same.
    """
    frequency = np.asarray(counts, dtype=np.float64)
    weights = np.where(frequency > 0, frequency, 1.0) ** -balance
    scaled: NDArray[np.float64] = weights * (frequency.sum() / (weights * frequency).sum())
    return scaled


def viewing_examples(
    network: ViewingData, model: Model, task: Task | None, learned: ArrayLike, rows: ArrayLike
) -> Examples:
    """Viewings as a model sees them, in the graph of those that it learned from.

    Other viewings are absent from the graph, so that a prediction never looks at viewings that are
    to be predicted. A model that reads the comment of the viewing under prediction sees those too,
    with their comments and without their emotions.

    Parameters
    ----------
    network
        All viewings.
    model
        The model, which names the features.
    task
        Turns emotions into targets; None if there are none.
    learned
        Rows of the training viewings, (m,).
    rows
        Rows of the viewings to make examples of, (n,).
    """
    learned, chosen = (np.asarray(each, dtype=np.int64) for each in (learned, rows))
    shown = learned
    if OWN_COMMENT in model.features:
        shown = np.concatenate([learned, np.setdiff1d(chosen, learned)])
    graph = network.graph.with_viewings(shown)
    hidden = np.where(np.arange(len(shown)) < len(learned), graph.emotions, -1)
    frame = network.posts(chosen, shown)
    return Examples(
        frame,
        network.features(model.features, chosen),
        None if task is None else task.transform(frame),
        replace(graph, emotions=hidden),
    )


def pairs_that_never_met(examples: Examples, seed: int = 0) -> Examples:
    """Users and images of n viewings paired anew, without pairs of which the graph or the examples
    hold a viewing: at most n, and without emotions.

    Every user and every image stands in about as many of the pairs as of the viewings, so nothing
    but who met whom sets the two apart.

    Parameters
    ----------
    examples
        Viewings, with their graph.
    seed
        Random seed of the pairs.

    Raises
    ------
    DataError
        The examples have no graph.
    """
    graph, posts = examples.graph, examples.posts
    if graph is None:
        raise DataError("users and images can't be paired anew without the graph around them.")
    users, images = (posts[kind].to_numpy(np.int64) for kind in ("user", "image"))
    other = derangement(len(posts), np.random.default_rng(seed))
    met = np.concatenate([graph.viewings, np.stack([users, images])], axis=1)
    span = len(graph.images) + 1
    numbers = met[0] * span + met[1]
    rows = np.flatnonzero(~np.isin(users * span + images[other], numbers))
    of_image = posts.iloc[other[rows]].reset_index(drop=True)
    frame = posts.iloc[rows].reset_index(drop=True)
    frame = frame.assign(
        post_id=of_image["post_id"], image=of_image["image"], viewing=-1, emotion=None
    )
    columns = {}
    for name, column in examples.features.columns.items():
        assert isinstance(column, Column)
        columns[name] = column.select(other[rows] if name.startswith("image.") else rows)
        if name == OWN_COMMENT:
            columns[name] = Column(column.data, np.full_like(columns[name].index, -1))
    return Examples(frame, FeatureTable(columns), None, graph)

"""What models of viewings see of a network, and what is hidden from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from evoked.errors import DataError
from evoked.features.social_graph import SocialGraph
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

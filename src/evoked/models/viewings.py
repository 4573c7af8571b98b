"""Examples of viewings: rows of a network, with a graph that shows no more than it may."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from evoked.features.network import OWN_COMMENT, Network
from evoked.models.base import Examples, Model
from evoked.targets import Task


def network_examples(
    network: Network, model: Model, task: Task | None, shown: ArrayLike, rows: ArrayLike
) -> Examples:
    """Viewings as a model reads them.

    Parameters
    ----------
    network
        All viewings.
    model
        Names the features. To one that reads the own comment of a viewing the graph shows the
        viewings at ``rows``, too: their comments, never their emotions.
    task
        Fitted; gives the targets, which are absent without it.
    shown
        Viewings that the graph shows, (m,): rows of ``network.viewings``, those of the training
        part.
    rows
        Viewings to make examples of, (n,).
    """
    chosen, told = np.asarray(rows, dtype=np.int64), np.asarray(shown, dtype=np.int64)
    visible = told
    if OWN_COMMENT in model.features:
        visible = np.concatenate([told, np.setdiff1d(chosen, told)])
    graph = network.graph.with_viewings(visible)
    hidden = np.where(np.arange(len(visible)) < len(told), graph.emotions, -1)
    posts = network.posts(chosen, visible)
    return Examples(
        posts,
        network.features(model.features, chosen),
        None if task is None else task.transform(posts),
        replace(graph, emotions=hidden),
    )

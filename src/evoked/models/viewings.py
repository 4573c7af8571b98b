"""Examples of viewings: rows of a network, with a graph that shows no more than it may."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from evoked.features.network import Network
from evoked.models.base import Examples
from evoked.targets import Task


def network_examples(
    network: Network,
    rows: ArrayLike,
    shown: ArrayLike,
    names: Sequence[str],
    task: Task | None = None,
    *,
    labelled: ArrayLike | None = None,
) -> Examples:
    """Viewings as a model of viewings reads them.

    Parameters
    ----------
    network
        All viewings.
    rows
        Viewings to make examples of, (n,): rows of ``network.viewings``.
    shown
        Viewings that the graph shows, (m,): those of the training part.
    names
        Features that the model names.
    task
        Fitted; gives the targets, which are absent without it.
    labelled
        Which of ``shown`` the graph shows with their emotion; all by default.
    """
    visible = np.asarray(shown, dtype=np.int64)
    graph = network.graph.with_viewings(visible)
    if labelled is not None:
        told = np.isin(visible, np.asarray(labelled, dtype=np.int64))
        graph = replace(graph, emotions=np.where(told, graph.emotions, -1))
    posts = network.posts(rows, visible)
    return Examples(
        posts,
        network.features(names, rows),
        None if task is None else task.transform(posts),
        graph,
    )

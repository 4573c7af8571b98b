"""What trivial baselines predict, from what they have learned: NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evoked.posts.author_history import KINDS, PREFIX
from evoked.posts.columns import numbers_of
from evoked.targets.base import Outcome, Task
from evoked.targets.engagement import EMOTION_TARGETS

if TYPE_CHECKING:
    from evoked.posts.columns import Posts

Means = Sequence[float | None]


def means_of_groups(
    means: Means, group_means: Mapping[str, Means], groups: Sequence[str | None]
) -> NDArray[np.float64]:
    """The mean of each post's group, and where nothing is known of it the mean of all posts.

    Parameters
    ----------
    means
        Of all posts, (targets,).
    group_means
        By group.
    groups
        Of n posts; None where unknown.

    Returns
    -------
    (n, targets)
    """
    overall = np.array(means, dtype=np.float64)
    table = np.tile(overall, (len(groups), 1))
    for row, group in enumerate(groups):
        if group is not None and group in group_means:
            own = np.array(group_means[group], dtype=np.float64)
            table[row] = np.where(np.isnan(own), overall, own)
    return table


def outcomes_of_counts(task: type[Task] | Task) -> list[Outcome]:
    """Outcomes that counts may decide. Whether a post is above its author's others, yes or no,
    is relative to them already."""
    return [each for each in task.outcomes if each.columns and each.kind != "binary"]


def values_of_last_posts(task: Task, posts: Posts, start: str) -> NDArray[np.float32]:
    """Target values of n posts that get what their author's last posts did, (n, targets); NaN
    where no count decides or nothing is known.

    Parameters
    ----------
    task
        Fitted on the training posts.
    posts
        With their history.
    start
        What of the last posts, such as ``median5``.
    """
    counts = {kind: np.expm1(numbers_of(posts, f"{PREFIX}{start}_{kind}")) for kind in KINDS}
    # No count says what a post made people feel.
    ratings = {name: np.full(len(posts), np.nan) for name in EMOTION_TARGETS}
    so: Any = posts.assign(**counts, **ratings)
    return task.transform(so).values


def with_last_posts(
    table: NDArray[np.float64], task: Task, posts: Posts, recent: Mapping[str, str]
) -> NDArray[np.float64]:
    """Predictions (n, targets), in their place what the author's last posts did, where that is
    known.

    Parameters
    ----------
    task, posts
        As for :func:`values_of_last_posts`.
    recent
        What of the last posts is taken, by outcome.
    """
    found = table.copy()
    for start in sorted(set(recent.values())):
        values = values_of_last_posts(task, posts, start)
        for outcome in outcomes_of_counts(task):
            if recent.get(outcome.name) == start:
                columns = [task.columns.index(name) for name in outcome.columns]
                own = values[:, columns]
                found[:, columns] = np.where(np.isnan(own), found[:, columns], own)
    return found

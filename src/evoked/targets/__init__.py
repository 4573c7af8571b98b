"""What is predicted: tasks by name. A new one: a file here, its class in ``TASKS``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from evoked.errors import SettingsError, did_you_mean
from evoked.files import damage
from evoked.posts.vocabulary import EXPOSURE
from evoked.targets.author_popularity import AuthorPopularity, AuthorQuartiles
from evoked.targets.base import Outcome, TargetTable, Task, Wording
from evoked.targets.emotion import Emotion, emotion_classes
from evoked.targets.emotion_engagement import EmotionEngagement
from evoked.targets.engagement import (
    EMOTION_TARGETS,
    ENGAGEMENT_TARGETS,
    TARGETS,
    choose_denominator,
    engagement_rates,
)
from evoked.targets.popularity import Level, LevelOfScaledCounts, Popularity
from evoked.targets.rate_quantiles import EngagementRates
from evoked.targets.shares import Shares
from evoked.targets.views import Views

if TYPE_CHECKING:
    import pandas as pd

TASKS: dict[str, type[Task]] = {
    task.name: task
    for task in (
        EmotionEngagement,
        EngagementRates,
        AuthorPopularity,
        AuthorQuartiles,
        Popularity,
        Level,
        LevelOfScaledCounts,
        Shares,
        Views,
        Emotion,
    )
}

# What is learned where no task is asked for: see default_task.
DEFAULT_TASK: type[Task] = EmotionEngagement
EMOTION_ENGAGEMENT_OUTCOMES = EmotionEngagement.outcomes
# Tasks with one and the same set of columns, so that a network for one of them learns the other.
ENGAGEMENT_TASKS = (EmotionEngagement.name, EngagementRates.name)
AUTHOR_TASKS = (AuthorPopularity.name, AuthorQuartiles.name)

__all__ = [
    "AUTHOR_TASKS",
    "DEFAULT_TASK",
    "EMOTION_ENGAGEMENT_OUTCOMES",
    "EMOTION_TARGETS",
    "ENGAGEMENT_TARGETS",
    "ENGAGEMENT_TASKS",
    "TARGETS",
    "TASKS",
    "AuthorPopularity",
    "AuthorQuartiles",
    "Emotion",
    "EmotionEngagement",
    "EngagementRates",
    "Level",
    "LevelOfScaledCounts",
    "Outcome",
    "Popularity",
    "Shares",
    "TargetTable",
    "Task",
    "Views",
    "Wording",
    "choose_denominator",
    "default_task",
    "emotion_classes",
    "engagement_rates",
    "load_task",
    "task_class",
    "task_state",
]


def default_task(posts: pd.DataFrame) -> type[Task]:
    """What is learned of posts where no task is asked for: :class:`Views` where they report how
    often they were seen, but no ratings and no engagement; :data:`DEFAULT_TASK` otherwise."""
    known = {name for name in (*TARGETS, *EXPOSURE) if name in posts and posts[name].notna().any()}
    return Views if known and known <= set(EXPOSURE) else DEFAULT_TASK


def task_class(name: str) -> type[Task]:
    """The task registered under ``name``.

    Raises
    ------
    SettingsError
        There is none; the message lists the names.
    """
    if name not in TASKS:
        hint = did_you_mean(name, TASKS)
        raise SettingsError(f"no task is called {name!r}.{hint} There are: {', '.join(TASKS)}.")
    return TASKS[name]


def task_state(task: Task) -> dict[str, Any]:
    """JSON-ready: the task's name and what it learned."""
    return {"task": task.name, **task.to_dict()}


def load_task(state: Any, file: Path | None = None) -> Task:
    """Inverse of :func:`task_state`.

    Parameters
    ----------
    file
        What errors call the state.

    Raises
    ------
    DataError
        It is not the state of a task.
    """
    with damage(file, "what a task learned", "Train the model again."):
        own = {name: value for name, value in state.items() if name != "task"}
        return task_class(str(state["task"])).from_dict(own)

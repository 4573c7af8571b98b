"""The contract of a task: what a model learns of posts, and how that is read and scored.

A task is fitted on the training posts (quantiles, weights, class edges), turns posts into columns
of numbers that a model learns, and leads predicted columns back to what people read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray


class Outcome(NamedTuple):
    """One thing that a task predicts and that is scored.

    Attributes
    ----------
    name
        Column of :meth:`Task.inverse_transform` and :meth:`Task.truth`.
    kind
        ``value`` (a number), ``classes`` (one of ``labels``) or ``binary`` (true or false).
    labels
        Of the classes, in order.
    ordered
        Whether the classes are levels, so that a near miss is better than a far one.
    """

    name: str
    kind: Literal["value", "classes", "binary"]
    labels: tuple[str, ...] = ()
    ordered: bool = False


@dataclass(frozen=True)
class TargetTable:
    """Target values of n posts.

    Attributes
    ----------
    values
        float32, (n, columns) in the order of the task's columns; NaN where unknown.
    estimated
        bool, (n, columns): values that an emotion reader estimated, not people.
    """

    values: NDArray[np.float32]
    estimated: NDArray[np.bool_]

    def select(self, rows: NDArray[np.int64]) -> TargetTable:
        """The table restricted to ``rows``."""
        return TargetTable(self.values[rows], self.estimated[rows])


class Task(ABC):
    """What is predicted. Fitted on training posts by :meth:`fit`.

    Attributes
    ----------
    name, description, source
        As ``evoked models`` prints them; the paper that poses the task.
    columns
        What a model learns and predicts, a number each: values; classes as one column of 0 and 1
        each, of which a model predicts the probability; likewise true (1) or false (0).
    outcomes
        What people read and what is scored.
    short_list
        Names of the models that automatic choice tries in addition to the trivial baselines; every
        model that learns the task if empty.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    source: ClassVar[str] = ""
    columns: ClassVar[tuple[str, ...]]
    outcomes: ClassVar[tuple[Outcome, ...]]
    short_list: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def bounds(cls, column: str) -> tuple[float, float]:
        """Lowest and highest value of a column; probabilities lie in [0, 1]."""
        return (0.0, 1.0)

    def meanings(self, outcome: Outcome) -> dict[str, str]:
        """What the labels of an outcome stand for, where they don't say so themselves."""
        return {}

    @classmethod
    @abstractmethod
    def fit(cls, posts: pd.DataFrame) -> Self:
        """Learn from training posts what turns posts into columns.

        Raises
        ------
        DataError
            No post tells what the task is about.
        """

    @abstractmethod
    def transform(
        self, posts: pd.DataFrame, estimates: NDArray[np.float32] | None = None
    ) -> TargetTable:
        """Columns of n posts.

        Parameters
        ----------
        posts
            With the columns of :mod:`evoked.posts.schema`.
        estimates
            (n, 2) valence and arousal from an emotion reader, for tasks that learn emotion.
        """

    @abstractmethod
    def inverse_transform(self, predicted: pd.DataFrame, posts: pd.DataFrame) -> pd.DataFrame:
        """Lead predicted columns of n posts back to what people read.

        Returns
        -------
        DataFrame
            Per outcome its ``name``: the number, the most probable label, or whether true is more
            probable than false; classes have ``name_probability_<label>`` beside it, true or false
            ``name_probability``.
        """

    @abstractmethod
    def truth(self, posts: pd.DataFrame) -> pd.DataFrame:
        """What posts really got: post_id and per outcome its ``name``, missing where unknown."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """JSON-ready state."""

    @classmethod
    @abstractmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""


def outcome_columns(task: type[Task], outcome: Outcome) -> list[str]:
    """Columns of a task that tell an outcome: one per class, or the one of its name; none for a
    number that is computed from a column of another name."""
    if outcome.kind == "classes":
        return [name for name in task.columns if name.startswith(f"{outcome.name}_")]
    return [name for name in task.columns if name == outcome.name]


def one_hot(classes: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Numbers of classes from 0, (n,) and NaN where unknown, as 0 and 1, (n, count)."""
    columns = (classes[:, None] == np.arange(count)).astype(np.float64)
    columns[np.isnan(classes)] = np.nan
    return columns


def inverse_transformed_classes(outcome: Outcome, predicted: NDArray[np.float64]) -> pd.DataFrame:
    """What :meth:`Task.inverse_transform` gives for an outcome of the kind ``classes``.

    Parameters
    ----------
    predicted
        (n, labels): probabilities, or what a model took for them; brought to a sum of 1, and equal
        where there is nothing to go by.
    """
    shares = np.clip(np.nan_to_num(predicted), 0.0, None)
    total = shares.sum(axis=1, keepdims=True)
    shares = np.where(total > 0, shares / np.where(total > 0, total, 1.0), 1 / len(outcome.labels))
    labels = np.array(outcome.labels, dtype=object)
    table = pd.DataFrame(
        shares, columns=[f"{outcome.name}_probability_{label}" for label in outcome.labels]
    )
    table.insert(0, outcome.name, labels[shares.argmax(axis=1)])
    return table


def numeric(posts: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """A column as float64, (n,); NaN where unknown or where the posts have no such column."""
    if name not in posts:
        return np.full(len(posts), np.nan)
    return np.array(pd.to_numeric(posts[name]), dtype=np.float64)

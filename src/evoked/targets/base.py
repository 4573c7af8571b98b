"""The contract of a task: what a model learns about posts, and how that is read and scored.

A task is fitted on the training posts (quantiles, weights, class edges), turns posts into columns
of numbers that a model learns, and turns predicted columns back into what people read. Whatever
differs from task to task is an attribute of the task or its outcomes; no other code asks which task
it is.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoked.posts.columns import numbers_of
from evoked.targets._logistic import expit, logit

if TYPE_CHECKING:
    import pandas as pd

    from evoked.posts.columns import Posts

# Logistic curves are read as if they came no nearer to 0 or 1 than this.
NEAREST = 1e-4


@dataclass(frozen=True)
class Outcome:
    """One thing that a task predicts and that is scored.

    Attributes
    ----------
    name
        Column of :meth:`Task.inverse_transform` and :meth:`Task.truth`.
    kind
        ``value`` (a number), ``classes`` (one of ``labels``) or ``binary`` (true or false).
    labels
        Names of the classes, in order.
    ordered
        Whether the classes are levels, so that a near miss is better than a far one.
    columns
        The task's columns that the outcome is read from: one for a value or a binary outcome, one
        per label for classes. Empty for a value that is computed from another outcome's column.
    unit
        Unit of a value's column, as an axis shows it; empty for plain numbers.
    span
        How far apart values of the column can lie; infinite if they have no upper end.
    percent
        Whether people see the column in percent.
    metrics
        Metrics of a value in the order in which they are shown; by default those of its kind.
    ranked
        Whether a value is scored as a ranking (MAP, AUC, NDCG): posts are relevant if they belong
        to the top of :meth:`Task.relevance_values`.
    group
        Name of the group of outcomes that it is averaged with, such as ``engagement``; None if
        there is no group. A task has one group at most.
    count
        Column of :meth:`Task.inverse_transform` and :meth:`Task.truth` with the count behind a
        rate, scored on a logarithmic scale; empty if there is none.
    restored_column
        Column of :meth:`Task.inverse_transform` that repeats the task's own column, where that is
        not ``name``.
    """

    name: str
    kind: Literal["value", "classes", "binary"]
    labels: tuple[str, ...] = ()
    ordered: bool = False
    columns: tuple[str, ...] = ()
    unit: str = ""
    span: float = math.inf
    percent: bool = False
    metrics: tuple[str, ...] = ()
    ranked: bool = False
    group: str | None = None
    count: str = ""
    restored_column: str = ""

    @property
    def target(self) -> str:
        """The name in tables of scores: a value goes by its column if it has one."""
        return self.columns[0] if self.kind == "value" and self.columns else self.name

    @property
    def probability_columns(self) -> tuple[str, ...]:
        """Columns of :meth:`Task.inverse_transform` that hold probabilities: one per label of
        classes, one of a binary outcome (that it is true), none of a value."""
        if self.kind == "binary":
            return (f"{self.name}_probability",)
        return tuple(f"{self.name}_probability_{label}" for label in self.labels)


@dataclass(frozen=True)
class Wording:
    """What is said about a task where sentences made from its outcomes would read badly.

    Attributes
    ----------
    introduction
        Sentence at the head of a report.
    scores
        Sentence beside the table of scores about how outcomes are scored.
    baselines
        Sentence beside tables of scores about trivial baselines that are more than their names say.
    errors
        What a post's error is averaged over.
    promise
        Sentence about which posts count as the most promising.
    """

    introduction: str = ""
    scores: str = ""
    baselines: str = ""
    errors: str = ""
    promise: str = ""


@dataclass(frozen=True)
class TargetTable:
    """Target values of n posts.

    Attributes
    ----------
    values
        float32, (n, columns) in the order of the task's columns; NaN where unknown.
    estimated
        bool, (n, columns): whether an emotion reader estimated the value, rather than people.
    """

    values: NDArray[np.float32]
    estimated: NDArray[np.bool_]

    def select(self, rows: NDArray[np.int64]) -> TargetTable:
        """The table restricted to ``rows``."""
        return TargetTable(self.values[rows], self.estimated[rows])


# Target under which the mean over a group of outcomes is scored.
OVERALL = "overall"
# (target, metric) of a table of scores.
ScoreKey = tuple[str, str]
# Parts of a report that a task may have: results by outcome, scores by size of the author's
# account, what the model looks at, calibration of every reading, the plane of valence and arousal.
ReportPart = Literal["outcomes", "author_sizes", "importance", "calibration", "emotion_plane"]


class Task(ABC):
    """What is predicted. Fitted on training posts by :meth:`fit`.

    Attributes
    ----------
    name, description, source
        As ``evoked models`` prints them; ``source`` is the paper that poses the task.
    columns
        What a model learns and predicts: a column of numbers per value, and a column of 0 and 1 per
        class or per outcome that is true or false, for which a model predicts the probability
        of 1.
    outcomes
        What people read and what is scored. Each of ``columns`` belongs to one of them.
    learns_emotion
        Whether valence and arousal are learned, so that an emotion reader's estimates may stand in
        for missing ratings.
    headline_metrics
        Scores that stand first wherever results are shown; if empty, the first three metrics of
        each outcome.
    report_metrics
        Scores in the report's table; if empty, the headline metrics.
    summary_metrics
        Scores that a report sums up and draws, more being better; if empty, those of the headline
        metrics that qualify.
    metric_meanings
        What metrics mean for this task, by name, where that differs from other tasks.
    charts
        Parts that a report has in addition to those of every task.
    wording
        Sentences about the task.
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
    learns_emotion: ClassVar[bool] = False
    headline_metrics: ClassVar[tuple[ScoreKey, ...]] = ()
    report_metrics: ClassVar[tuple[ScoreKey, ...]] = ()
    summary_metrics: ClassVar[tuple[ScoreKey, ...]] = ()
    metric_meanings: ClassVar[dict[str, str]] = {}
    charts: ClassVar[tuple[ReportPart, ...]] = ("outcomes", "author_sizes", "importance")
    wording: ClassVar[Wording] = Wording()

    @classmethod
    def group(cls) -> str | None:
        """Name of the group of outcomes, if the task has one."""
        return next((outcome.group for outcome in cls.outcomes if outcome.group), None)

    @property
    def notes(self) -> list[str]:
        """What a person should know about how the training posts decided the target."""
        return []

    @property
    def count_basis(self) -> str | None:
        """Column of posts that rates are multiplied by to give counts; None if none is needed."""
        return None

    def usual_basis(self, posts: Posts) -> NDArray[np.float64] | None:
        """What :attr:`count_basis` is taken to be for drafts that don't say it, (n,): as much as
        their author's posts usually have; None if it is not guessed."""
        return None

    def relevance_values(self) -> pd.DataFrame:
        """Values of the ranked outcomes among the training posts, a column per outcome's name: what
        reaches the highest quarter of them is relevant (MAP, AUC)."""
        import pandas as pd

        return pd.DataFrame()

    @classmethod
    def bounds(cls, column: str) -> tuple[float, float]:
        """Lowest and highest value of a column; probabilities lie in [0, 1]."""
        return (0.0, 1.0)

    @classmethod
    def is_logistic(cls, column: str) -> bool:
        """Whether a column holds a logistic curve of something without ends. Lines, trees and
        intervals are made on the scale of that, where a miss is as large at the ends as in the
        middle."""
        return False

    @classmethod
    def straightened(cls, column: str, values: ArrayLike) -> NDArray[np.float64]:
        """What a column is a logistic curve of, or its own values, (n,).

        Parameters
        ----------
        column
            Name of a target column.
        values
            Its values, (n,).

        Returns
        -------
        ndarray
            What the column is a logistic curve of where it is one, else the values, (n,).
        """
        own = np.asarray(values, dtype=np.float64)
        return (
            np.asarray(logit(np.clip(own, NEAREST, 1 - NEAREST)))
            if cls.is_logistic(column)
            else own
        )

    @classmethod
    def bent(cls, column: str, values: ArrayLike) -> NDArray[np.float64]:
        """Inverse of :meth:`straightened`.

        Parameters
        ----------
        column
            Name of a target column.
        values
            What :meth:`straightened` gives, (n,).

        Returns
        -------
        ndarray
            The column's values, (n,).
        """
        own = np.asarray(values, dtype=np.float64)
        return np.asarray(expit(own)) if cls.is_logistic(column) else own

    @classmethod
    def spread_column(cls, column: str) -> str | None:
        """Column of posts that shows how far their authors' last posts lay apart in what a column
        is about, in any unit; None where none does. Intervals are wider for unsteady authors."""
        return None

    def levels(self, posts: Posts) -> dict[str, NDArray[np.float64]]:
        """By column what each of n posts' author usually gets, (n,), on the scale of
        :meth:`straightened`; a column holds how a post departs from it. Nothing for tasks without
        such columns."""
        return {}

    def meanings(self, outcome: Outcome) -> dict[str, str]:
        """What the labels of an outcome stand for, by label, if they don't speak for themselves."""
        return {}

    @classmethod
    @abstractmethod
    def fit(cls, posts: pd.DataFrame) -> Self:
        """Learn from training posts how posts become columns.

        Raises
        ------
        DataError
            No post has what the task is about.
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

        Returns
        -------
        TargetTable
            A row per post; NaN where a value is unknown.
        """

    def inverse_transform(self, predicted: pd.DataFrame, posts: pd.DataFrame) -> pd.DataFrame:
        """Turn predicted columns of n posts back into what people read.

        A task defines this or :meth:`restored`.

        Parameters
        ----------
        predicted
            The task's columns, a row per post.
        posts
            The n posts, with what was known before posting.

        Returns
        -------
        DataFrame
            Each outcome's ``name``: the number, the most probable label, or whether true is more
            probable than false. The probabilities stand beside it: ``name_probability_<label>`` for
            classes, ``name_probability`` for true or false.
        """
        import pandas as pd

        if not self.restores_columns():
            raise NotImplementedError(f"{type(self).__name__} does not say how it is read")
        columns = {name: predicted[name].to_numpy() for name in self.columns if name in predicted}
        return pd.DataFrame(self.restored(columns, posts), index=predicted.index)

    def restored(self, predicted: Mapping[str, ArrayLike], posts: Posts) -> dict[str, NDArray[Any]]:
        """:meth:`inverse_transform` as arrays by name, (n,) each. A task that defines it needs no
        pandas to read a prediction, and its runs can be exported.

        Parameters
        ----------
        predicted
            The task's columns, (n,) each.
        posts
            The same n posts.

        Returns
        -------
        dict
            What :meth:`inverse_transform` says of each post, by the names of its columns.
        """
        import pandas as pd

        assert isinstance(posts, pd.DataFrame), "the task does not define restored()"
        table = self.inverse_transform(pd.DataFrame(dict(predicted)), posts)
        return {str(name): table[name].to_numpy() for name in table}

    @classmethod
    def restores_columns(cls) -> bool:
        """Whether the task defines :meth:`restored`."""
        return cls.restored is not Task.restored

    @abstractmethod
    def truth(self, posts: pd.DataFrame) -> pd.DataFrame:
        """What posts really got: post_id and each outcome's ``name``, missing where unknown."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """JSON-ready state."""

    @classmethod
    @abstractmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""


def one_hot(classes: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Numbers of classes from 0, (n,), as columns of 0 and 1, (n, count); NaN where unknown."""
    columns = (classes[:, None] == np.arange(count)).astype(np.float64)
    columns[np.isnan(classes)] = np.nan
    return columns


def inverse_transformed_classes(outcome: Outcome, predicted: NDArray[np.float64]) -> pd.DataFrame:
    """What :meth:`Task.inverse_transform` gives for an outcome of the kind ``classes``.

    Parameters
    ----------
    predicted
        (n, labels): probabilities or a model's estimates of them; rescaled to a sum of 1, and equal
        for all labels if nothing is known.
    """
    import pandas as pd

    return pd.DataFrame(restored_classes(outcome, predicted))


def restored_classes(outcome: Outcome, predicted: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """:func:`inverse_transformed_classes` as arrays by name, (n,) each."""
    shares = np.clip(np.nan_to_num(predicted), 0.0, None)
    total = shares.sum(axis=1, keepdims=True)
    shares = np.where(total > 0, shares / np.where(total > 0, total, 1.0), 1 / len(outcome.labels))
    labels = np.array(outcome.labels, dtype=object)
    chances = dict(zip(outcome.probability_columns, shares.T, strict=True))
    return {outcome.name: labels[shares.argmax(axis=1)], **chances}


def stacked(predicted: Mapping[str, ArrayLike], names: Sequence[str]) -> NDArray[np.float64]:
    """Columns by name side by side, (n, names)."""
    return np.stack([np.asarray(predicted[name], dtype=np.float64) for name in names], axis=1)


def numeric(posts: Posts, name: str) -> NDArray[np.float64]:
    """A column as float64, (n,); NaN where unknown or where the posts have no such column."""
    return numbers_of(posts, name)

"""The test posts of a run beside what they really got."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from evoked.evaluation.tables import evaluate_predictions
from evoked.explain.readings import read_predictions, read_truth, readings_of
from evoked.files import records
from evoked.parquet import read_frame
from evoked.posts.dataset import PostDataset
from evoked.runs.posts import Run
from evoked.targets import Task
from evoked.targets.base import numeric

SMALL = 30
_MOST_CATEGORIES = 20
_DRAWS = 200
# Followers at which an author counts as larger.
_AUTHOR_SIZES = (0.0, 1e3, 1e4, 1e5, 1e6, np.inf)


@dataclass(frozen=True)
class HeldOutPosts:
    """Test posts that a dataset holds, with predictions and truth.

    Attributes
    ----------
    run
        The run that predicts.
    posts
        n posts with their history, index 0 … n - 1.
    predictions
        The rows of predictions.parquet of the same posts.
    rows
        Their rows in the dataset.
    """

    run: Run
    posts: pd.DataFrame
    predictions: pd.DataFrame
    rows: np.ndarray

    @classmethod
    def find(cls, run: Run, dataset: PostDataset) -> HeldOutPosts | None:
        """The run's test posts among ``dataset``; None where there are none."""
        path = run.folder / "predictions.parquet"
        if not path.is_file():
            return None
        predictions = read_frame(path, ["post_id"])
        rows = pd.Index(dataset.posts["post_id"]).get_indexer(predictions["post_id"])
        found = (rows >= 0) & (run.part_of(dataset.posts) == "test").to_numpy()[rows]
        if not found.any():
            return None
        return cls(
            run,
            run.attach_history(dataset.posts, activity=dataset.table("activity"))
            .iloc[rows[found]]
            .reset_index(drop=True),
            predictions[found].reset_index(drop=True),
            rows[found],
        )

    def __len__(self) -> int:
        return len(self.posts)

    @property
    def task(self) -> Task:
        """The fitted task."""
        return self.run.task

    @cached_property
    def truth(self) -> pd.DataFrame:
        """What the posts really got, (n, outcomes)."""
        return self.task.truth(self.posts)

    @cached_property
    def true(self) -> pd.DataFrame:
        """(n, readings; see :mod:`evoked.explain.readings`), such as ratings by people; NaN where
        unknown."""
        return read_truth(self.task, self.posts)

    @cached_property
    def predicted(self) -> pd.DataFrame:
        """(n, readings) in the units of :attr:`true`."""
        return read_predictions(type(self.task), self.predictions)

    @cached_property
    def error(self) -> pd.Series:
        """(n,): mean absolute error over the known readings, each as a share of its range, or of
        the true values' range if its own has no end; NaN where none is known."""
        readings = readings_of(type(self.task))
        names, spans = [each.name for each in readings], np.array([each.span for each in readings])
        seen = (self.true[names].max() - self.true[names].min()).to_numpy(float)
        spans = np.where(np.isfinite(spans), spans, np.where(seen > 0, seen, 1.0))
        return (self.predicted[names] - self.true[names]).abs().div(spans).mean(axis=1)

    @cached_property
    def promise(self) -> pd.Series:
        """(n,): mean over the predicted readings of the task's group of outcomes; the first reading
        that is predicted if there is no group or none of its own is."""
        grouped = [each.name for each in readings_of(type(self.task)) if each.group]
        means = self.predicted[grouped].mean(axis=1)
        if means.notna().any():
            return means
        known = [name for name in self.predicted if self.predicted[name].notna().any()]
        return self.predicted[known[0]]

    def known(self, target: str) -> tuple[np.ndarray, np.ndarray]:
        """Predicted and true values of the posts that have both."""
        both = self.predicted[target].notna() & self.true[target].notna()
        return self.predicted.loc[both, target].to_numpy(), self.true.loc[both, target].to_numpy()

    def scores_by_category(self) -> dict[str, list[dict[str, Any]]]:
        """Scores within each category, the largest first; at most 20 categories.

        Returns
        -------
        dict
            By category, rows with target, metric, value, low, high (95 % bootstrap interval) and
            n; empty if no post has a category.
        """
        counts = self.posts["category"].value_counts().head(_MOST_CATEGORIES)
        return {
            str(name): self._scores((self.posts["category"] == name).to_numpy())
            for name in counts.index
        }

    def scores_by_author_size(self) -> dict[str, list[dict[str, Any]]]:
        """Scores by number of the authors' followers, as :meth:`scores_by_category` gives them;
        empty if no post has them."""
        followers = numeric(self.posts, "followers")
        names = [
            f"{low:,.0f} to {high - 1:,.0f}" if np.isfinite(high) else f"{low:,.0f} and more"
            for low, high in pairwise(_AUTHOR_SIZES)
        ]
        sizes = np.searchsorted(_AUTHOR_SIZES, followers, side="right") - 1
        scores = {
            name: self._scores(np.isfinite(followers) & (sizes == number))
            for number, name in enumerate(names)
        }
        return {name: rows for name, rows in scores.items() if rows}

    def _scores(self, chosen: np.ndarray) -> list[dict[str, Any]]:
        scores = evaluate_predictions(
            self.task.outcomes,
            self.predictions[chosen],
            self.truth[chosen],
            None,
            self.task.relevance_values(),
            draws=_DRAWS,
        )
        return records(scores)

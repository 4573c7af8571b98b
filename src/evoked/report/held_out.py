"""The test posts of a run beside what they really got."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from evoked.evaluation.tables import evaluate_predictions
from evoked.files import records
from evoked.posts.dataset import PostDataset
from evoked.posts.schema import ENGAGEMENT
from evoked.run import Run
from evoked.targets import EMOTION_TARGETS, TARGETS

SMALL = 30
_MOST_CATEGORIES = 20
_DRAWS = 200


@dataclass(frozen=True)
class HeldOutPosts:
    """Test posts that a dataset holds, with predictions and truth.

    Attributes
    ----------
    run
        Whose predictions.
    posts
        n posts, index 0 … n - 1.
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
        predictions = pd.read_parquet(path)
        rows = pd.Index(dataset.posts["post_id"]).get_indexer(predictions["post_id"])
        found = (rows >= 0) & (run.part_of(dataset.posts) == "test").to_numpy()[rows]
        if not found.any():
            return None
        return cls(
            run,
            dataset.posts.iloc[rows[found]].reset_index(drop=True),
            predictions[found].reset_index(drop=True),
            rows[found],
        )

    def __len__(self) -> int:
        return len(self.posts)

    @cached_property
    def true(self) -> pd.DataFrame:
        """(n, targets): ratings by people, and quantiles of engagement; NaN where unknown."""
        values = self.run.task.transform(self.posts).values
        return pd.DataFrame(values.astype(float), columns=list(TARGETS))

    @cached_property
    def predicted(self) -> pd.DataFrame:
        """(n, targets) in the units of :attr:`true`."""
        columns = {
            name: name if name in EMOTION_TARGETS else f"{name}_quantile" for name in TARGETS
        }
        return pd.DataFrame(
            {
                name: self.predictions[column].astype(float)
                if column in self.predictions
                else np.full(len(self), np.nan)
                for name, column in columns.items()
            }
        )

    @cached_property
    def error(self) -> pd.Series:
        """(n,): mean absolute error over the known targets, each as a share of its range; NaN
        where no target is known."""
        spans = [8.0 if name in EMOTION_TARGETS else 1.0 for name in TARGETS]
        return (self.predicted - self.true).abs().div(spans).mean(axis=1)

    @cached_property
    def promise(self) -> pd.Series:
        """(n,): mean predicted quantile of engagement; valence where that is not predicted."""
        engagement = self.predicted[list(ENGAGEMENT)].mean(axis=1)
        return engagement if engagement.notna().any() else self.predicted["valence"]

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
            n; empty where no post has a category.
        """
        counts = self.posts["category"].value_counts().head(_MOST_CATEGORIES)
        return {str(name): self._category(str(name)) for name in counts.index}

    def _category(self, name: str) -> list[dict[str, Any]]:
        chosen = (self.posts["category"] == name).to_numpy()
        posts = self.posts[chosen]
        emotions = posts[list(EMOTION_TARGETS)].astype(float)
        rates = self.run.task.rates(posts).add_suffix("_rate")
        knots = self.run.task.knots
        train_rates = pd.DataFrame({f"{n}_rate": pd.Series(knots[n], dtype=float) for n in knots})
        truth = pd.concat([emotions, rates], axis=1)
        predictions = self.predictions[chosen]
        scores = evaluate_predictions(predictions, truth, None, train_rates, draws=_DRAWS)
        return records(scores)

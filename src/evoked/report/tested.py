"""The test posts of a run beside what they really got."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from evoked.evaluation.tables import evaluate_predictions
from evoked.posts.dataset import PostDataset
from evoked.posts.schema import ENGAGEMENT
from evoked.run import Run
from evoked.targets import EMOTION_TARGETS, TARGETS

SMALL = 30
_MOST_CATEGORIES = 20
_DRAWS = 200
_CATEGORY_SCORES = {
    "MAP": ("overall", "MAP"),
    "valence CCC": ("valence", "CCC"),
    "arousal CCC": ("arousal", "CCC"),
}


@dataclass(frozen=True)
class TestedPosts:
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
    def find(cls, run: Run, dataset: PostDataset) -> TestedPosts | None:
        """The run's test posts among ``dataset``; None where there are none."""
        path = run.folder / "predictions.parquet"
        if not path.is_file():
            return None
        predictions = pd.read_parquet(path)
        rows = pd.Index(dataset.posts["post_id"]).get_indexer(predictions["post_id"])
        found = rows >= 0
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
        values = self.run.targets.transform(self.posts).values
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
        """(n,): mean predicted quantile of engagement; valence where engagement is not predicted."""
        engagement = self.predicted[list(ENGAGEMENT)].mean(axis=1)
        return engagement if engagement.notna().any() else self.predicted["valence"]

    def known(self, target: str) -> tuple[np.ndarray, np.ndarray]:
        """Predicted and true values of the posts that have both."""
        both = self.predicted[target].notna() & self.true[target].notna()
        return self.predicted.loc[both, target].to_numpy(), self.true.loc[both, target].to_numpy()

    def scores_by_category(self) -> pd.DataFrame:
        """Scores within each category, the largest first.

        Returns
        -------
        DataFrame
            Columns category, score, value, low, high (95 % bootstrap interval), n; empty where
            no post has a category. At most 20 categories.
        """
        columns = ["category", "score", "value", "low", "high", "n"]
        counts = self.posts["category"].value_counts().head(_MOST_CATEGORIES)
        tables = [self._category(str(name)) for name in counts.index]
        return (
            pd.concat(tables, ignore_index=True)[columns]
            if tables
            else pd.DataFrame(columns=columns)
        )

    def _category(self, name: str) -> pd.DataFrame:
        chosen = (self.posts["category"] == name).to_numpy()
        posts = self.posts[chosen]
        truth = pd.concat(
            [
                posts[list(EMOTION_TARGETS)].astype(float),
                self.run.targets.rates(posts).add_suffix("_rate"),
            ],
            axis=1,
        )
        knots = self.run.targets.knots
        train_rates = pd.DataFrame({f"{n}_rate": pd.Series(knots[n], dtype=float) for n in knots})
        scores = evaluate_predictions(
            self.predictions[chosen], truth, None, train_rates, draws=_DRAWS
        ).set_index(["target", "metric"])
        rows = [
            {"score": label, **scores.loc[key].to_dict()}
            for label, key in _CATEGORY_SCORES.items()
            if key in scores.index
        ]
        unscored = [{"score": "MAP", "value": np.nan, "low": np.nan, "high": np.nan, "n": 0}]
        return pd.DataFrame(rows or unscored).assign(category=name)

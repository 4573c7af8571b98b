"""Tables of scores: one model in full with intervals, or several models side by side.

Ranked outcomes, such as rates of engagement, are scored as ABMF's are (Section 4.1): a post is
relevant when its value lies in the top quarter of the training posts' values; MAP and NDCG take one
query per product category.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evoked.errors import DataError
from evoked.evaluation import classification, metrics
from evoked.evaluation.bootstrap import bootstrap_draws, interval_bounds
from evoked.evaluation.metrics import Score
from evoked.posts.schema import ENGAGEMENT
from evoked.targets import Outcome, Task
from evoked.targets.base import OVERALL, ScoreKey

COLUMNS = ("target", "metric", "value", "low", "high", "n")
# Metrics of which less is better.
LOWER_IS_BETTER = ("MAE", "calibration error")

# By kind of outcome; the first ones are what a table shows where there is room for few.
_OF_KIND: dict[str, tuple[str, ...]] = {
    "value": ("R2", "Spearman", "MAE", "Pearson", "CCC"),
    "classes": ("accuracy", "macro F1", "weighted F1", "balanced accuracy"),
    "binary": ("accuracy", "F1", "AUC", "precision", "recall"),
}
_OF_RANKING = ("MAP", "AUC", "NDCG@10", "NDCG@5", "Spearman")
_HEADLINES_OF_OUTCOME = 3
# Posts times resamples: of more than ten thousand posts, fewer resamples say as surely how far a
# score may be off, and a thousand of them would take longer than the training.
_MOST_RESAMPLED = 10_000_000
_FEWEST_RESAMPLES = 200

_AGREEMENT = {
    "MAE": metrics.mean_absolute_error,
    "CCC": metrics.concordance_correlation,
    "Pearson": metrics.pearson,
    "Spearman": metrics.spearman,
    "R2": metrics.r2,
}
_CLASSIFICATION = {
    "accuracy": classification.accuracy,
    "balanced accuracy": classification.balanced_accuracy,
    "macro F1": classification.macro_f1,
    "weighted F1": classification.weighted_f1,
    "weighted precision": classification.weighted_precision,
    "kappa": classification.kappa,
    "quadratic kappa": classification.quadratic_kappa,
    "F1": classification.f1,
    "precision": classification.precision,
    "recall": classification.recall,
}
# Weighted scores with truth and prediction exchanged: what the figures published of HMG-Emo imply,
# whose recall alone would stay (it is the accuracy either way).
_SWAPPED = {"swapped precision": "weighted precision", "swapped F1": "weighted F1"}
# Shares of the training posts that count as relevant.
RELEVANT_SHARES = (0.25,)
_COUNT_METRICS = ("R2", "Spearman", "MAE")
_NDCG_RANKS = (5, 10)


class _Resampling(NamedTuple):
    groups: ArrayLike | None
    draws: int
    level: float
    seed: int


@dataclass(frozen=True)
class _Row:
    target: str
    metric: str
    n: int
    score: Callable[[NDArray[np.float64] | None], Score]
    group: str | None = None


class Scorer:
    """All scores of one model's predictions at once, for any weights of the posts.

    Two scorers of the same posts, given the same weights, are compared post by post: that is what
    a paired bootstrap needs.

    Attributes
    ----------
    labels
        (target, metric, n) of each score.
    size
        Number of posts.
    """

    def __init__(self, rows: list[_Row], size: int) -> None:
        self._rows = rows
        self._means = _overall_means(rows)
        self.size = size
        self.labels = [(row.target, row.metric, row.n) for row in rows] + [
            (OVERALL, name, max(rows[i].n for i in members))
            for name, members in self._means.items()
        ]

    @classmethod
    def of(
        cls,
        outcomes: Sequence[Outcome],
        predictions: pd.DataFrame,
        truth: pd.DataFrame,
        categories: ArrayLike | None,
        training_values: pd.DataFrame | None,
        thresholds: Sequence[float] = RELEVANT_SHARES,
    ) -> Scorer:
        """The scores that :func:`evaluate_predictions` tabulates, whose parameters these are."""
        _check_same_posts(predictions, truth)
        queries = (
            np.zeros(len(truth)) if categories is None else np.asarray(categories, dtype=object)
        )
        rows: list[_Row] = []
        for outcome in outcomes:
            if outcome.name not in predictions or outcome.name not in truth:
                continue
            if outcome.ranked:
                cuts = _relevance_cuts(outcome, training_values, thresholds)
                own = _ranking_rows(outcome, predictions, truth, queries, cuts)
            else:
                own = _outcome_rows(outcome, predictions, truth)
            rows += [replace(row, group=outcome.group) for row in own]
        return cls([row for row in rows if row.n], len(truth))

    @classmethod
    def of_task(
        cls,
        task: Task,
        predictions: pd.DataFrame,
        truth: pd.DataFrame,
        categories: ArrayLike | None = None,
        thresholds: Sequence[float] = RELEVANT_SHARES,
    ) -> Scorer:
        """The scores of a task's predictions.

        Parameters
        ----------
        task
            Fitted on the training posts.
        predictions, truth
            n rows of :meth:`evoked.targets.Task.inverse_transform` and of
            :meth:`evoked.targets.Task.truth`.
        categories
            Query of each post for MAP and NDCG, (n,); None for one query of all posts.
        thresholds
            As in :func:`evaluate_predictions`.
        """
        values = task.relevance_values()
        return cls.of(task.outcomes, predictions, truth, categories, values, thresholds)

    def only(self, names: Collection[str]) -> Scorer:
        """The scorer of these metrics, which is faster than that of all."""
        return Scorer([row for row in self._rows if row.metric in names], self.size)

    def __call__(self, weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """The scores, (scores,), or (draws, scores) for weights (draws, size)."""
        if not self._rows:
            return np.empty((*np.shape(weights)[:-1], 0) if weights is not None else 0)
        scores = np.stack([np.asarray(row.score(weights)) for row in self._rows], axis=-1)
        overall = [_mean_of_defined(scores[..., members]) for members in self._means.values()]
        return np.concatenate([scores, *(mean[..., None] for mean in overall)], axis=-1)


def headlines(task: type[Task]) -> tuple[ScoreKey, ...]:
    """The scores, as (target, metric), that stand first wherever a task's results are shown."""
    first = (
        (OVERALL if outcome.group else outcome.target, metric)
        for outcome in task.outcomes
        for metric in _metrics_of(outcome)[:_HEADLINES_OF_OUTCOME]
    )
    return task.headline_metrics or tuple(dict.fromkeys(first))


def summary_scores(task: type[Task]) -> tuple[ScoreKey, ...]:
    """The scores that a report sums up and draws; more is better for each.

    By default headlines of outcomes that a model predicts itself: what is computed from another
    outcome would say the same twice. None of them depends on how frequent the true ones are: for
    posts that are mostly popular, always saying so is right more often than a baseline that goes by
    the training posts, and than many a model.
    """
    own = [OVERALL, *(outcome.target for outcome in task.outcomes if outcome.columns)]
    return task.summary_metrics or tuple(
        (target, metric)
        for target, metric in headlines(task)
        if target in own
        and not metric.startswith(LOWER_IS_BETTER)
        and not depends_on_prevalence(task, target, metric)
    )


def depends_on_prevalence(task: type[Task], target: str, metric: str) -> bool:
    """Whether a score of a binary outcome depends on how frequent the true ones are. All but AUC
    do: the more true ones there are, the more often it is right to say "true" always."""
    binary = {outcome.name for outcome in task.outcomes if outcome.kind == "binary"}
    return target in binary and metric != "AUC"


def evaluate_task(
    task: Task,
    predictions: pd.DataFrame,
    truth: pd.DataFrame,
    categories: ArrayLike | None = None,
    *,
    groups: ArrayLike | None = None,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Score a task's predictions, with percentile bootstrap intervals.

    Parameters
    ----------
    task, predictions, truth, categories
        As in :meth:`Scorer.of_task`.
    groups, draws, level, seed
        As in :func:`evaluate_predictions`.

    Returns
    -------
    DataFrame
        As :func:`evaluate_predictions` has it and, if outcomes have counts behind them, the scores
        of :func:`evaluate_counts`, called "R2 of log count" and so on.
    """
    scorer = Scorer.of_task(task, predictions, truth, categories)
    scores = _scored(scorer, _Resampling(groups, draws, level, seed))
    names = [outcome.count for outcome in task.outcomes if outcome.count]
    if not names:
        return scores
    counts = evaluate_counts(
        predictions, truth, names, groups=groups, draws=draws, level=level, seed=seed
    )
    counts["metric"] = [f"{metric} of log count" for metric in counts["metric"]]
    return pd.concat([scores, counts], ignore_index=True)


def evaluate_predictions(
    outcomes: Sequence[Outcome],
    predictions: pd.DataFrame,
    truth: pd.DataFrame,
    categories: ArrayLike | None,
    training_values: pd.DataFrame | None,
    thresholds: Sequence[float] = RELEVANT_SHARES,
    *,
    groups: ArrayLike | None = None,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Score one model's predictions, with percentile bootstrap intervals.

    Parameters
    ----------
    outcomes
        What is scored, such as :attr:`evoked.targets.Task.outcomes`.
    predictions, truth
        A column per outcome, (n,) rows, NaN where unknown; classes and binary outcomes have their
        probabilities beside them in ``predictions``. Predictions of ranked outcomes may be on any
        scale that rises with the outcome. An outcome that either table lacks, or that no post has
        in both, is left out of the result.
    categories
        Query of each post for MAP and NDCG, (n,); None for one query of all posts.
    training_values
        Ranked outcomes of the training posts, from which the thresholds of relevance come; None
        if no outcome is ranked.
    thresholds
        Shares of the training posts that count as relevant. The first gives the rows "MAP" and
        "AUC", a further one such as 0.1 the rows "MAP (top 10 %)" and "AUC (top 10 %)".
    groups
        Author of each post, (n,), to resample authors instead of posts.
    draws
        Number of resamples; 0 leaves ``low`` and ``high`` empty, which is much faster.
    level, seed
        Coverage of the intervals and seed of the resampling.

    Returns
    -------
    DataFrame
        Columns ``target, metric, value, low, high, n`` (n: posts scored). Values have R2, Spearman,
        MAE, Pearson and CCC; ranked ones MAP, AUC, NDCG@5, NDCG@10 and Spearman. Classes have
        accuracy, macro and weighted F1 and balanced accuracy; if ordered quadratic kappa, else
        kappa, weighted precision, weighted precision and F1 with truth and prediction swapped, F1
        of each class and the calibration error. Binary outcomes have accuracy, F1, AUC, precision
        and recall. The target ``overall`` has the means over the outcomes of a group that have a
        score.

    Raises
    ------
    DataError
        The tables differ in length or in their ``post_id``, or ``training_values`` lacks a ranked
        outcome.
    """
    scorer = Scorer.of(outcomes, predictions, truth, categories, training_values, thresholds)
    return _scored(scorer, _Resampling(groups, draws, level, seed))


def evaluate_counts(
    predictions: pd.DataFrame,
    truth: pd.DataFrame,
    names: Sequence[str] = ENGAGEMENT,
    *,
    groups: ArrayLike | None = None,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Score predicted counts on the scale log(1 + count), on which popularity is near normal.

    Parameters
    ----------
    predictions, truth
        (n,) rows of counts, NaN where unknown. Negative counts are taken as 0.
    names
        Columns to score; those that both tables have are.
    groups, draws, level, seed
        As in :func:`evaluate_predictions`.

    Returns
    -------
    DataFrame
        ``target, metric, value, low, high, n`` with R2, Spearman and MAE of each target.

    Raises
    ------
    DataError
        The tables differ in length or in their ``post_id``.
    """
    _check_same_posts(predictions, truth)
    rows: list[_Row] = []
    for target in names:
        if target in predictions and target in truth:
            known, guessed = (
                np.log1p(np.maximum(_floats(table[target]), 0.0)) for table in (truth, predictions)
            )
            rows += _agreement_rows(target, known, guessed, _COUNT_METRICS)
    scorer = Scorer([row for row in rows if row.n], len(truth))
    return _scored(scorer, _Resampling(groups, draws, level, seed))


def side_by_side(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Scores of several models side by side, on the same posts.

    Parameters
    ----------
    tables
        What :func:`evaluate_predictions` gives for each model, by name.

    Returns
    -------
    DataFrame
        A row per model in the given order (index ``model``), a column per score ("valence MAE",
        "likes MAP", "overall AUC" …) and the number of posts per target ("valence n" …).
    """
    wide = {name: _as_wide_row(table) for name, table in tables.items()}
    columns = dict.fromkeys(column for row in wide.values() for column in row)
    frame = pd.DataFrame.from_dict(wide, orient="index", columns=list(columns))
    return frame.rename_axis("model")


def _as_wide_row(table: pd.DataFrame) -> dict[str, float | int]:
    row: dict[str, float | int] = {}
    for target, scores in table.groupby("target", sort=False):
        row |= {f"{target} {metric}": value for metric, value in scores[["metric", "value"]].values}
        row[f"{target} n"] = int(scores["n"].iloc[0])
    return row


def _agreement_rows(
    target: str,
    truth: NDArray[np.float64],
    prediction: NDArray[np.float64],
    names: Sequence[str],
) -> list[_Row]:
    n = int(metrics.known_posts(truth, prediction).sum())
    return [_Row(target, name, n, partial(_AGREEMENT[name], truth, prediction)) for name in names]


def _metrics_of(outcome: Outcome) -> tuple[str, ...]:
    """Metrics of an outcome, the most informative ones first."""
    if outcome.metrics:
        return outcome.metrics
    if outcome.ranked:
        return _OF_RANKING
    names = _OF_KIND[outcome.kind]
    if outcome.kind == "classes":
        return (*names[:2], "quadratic kappa", *names[2:]) if outcome.ordered else (*names, "kappa")
    return names


def _unordered_rows(
    outcome: Outcome,
    known: NDArray[np.float64],
    guessed: NDArray[np.float64],
    predictions: pd.DataFrame,
    n: int,
) -> list[_Row]:
    """Further scores of classes of which none is nearer to another."""
    name = outcome.name
    rows = [
        _Row(
            name,
            "weighted precision",
            n,
            partial(_CLASSIFICATION["weighted precision"], known, guessed),
        )
    ]
    rows += [
        _Row(name, swapped, n, partial(_CLASSIFICATION[metric], guessed, known))
        for swapped, metric in _SWAPPED.items()
    ]
    rows += [
        _Row(
            name, f"F1 of {label}", n, partial(classification.class_f1, known, guessed, of=position)
        )
        for position, label in enumerate(outcome.labels)
    ]
    highest = predictions[list(outcome.probability_columns)].max(axis=1)
    right = np.where(np.isfinite(known), known == guessed, np.nan)
    error = partial(classification.calibration_error, right, _floats(highest))
    return [*rows, _Row(name, "calibration error", n, error)]


def _outcome_rows(outcome: Outcome, predictions: pd.DataFrame, truth: pd.DataFrame) -> list[_Row]:
    """Scores of an outcome that is not ranked."""
    name = outcome.name
    if outcome.kind == "value":
        known, guessed = _floats(truth[name]), _floats(predictions[name])
        return _agreement_rows(outcome.target, known, guessed, _metrics_of(outcome))
    labels = outcome.labels or (False, True)
    known, guessed = (_class_numbers(table[name], labels) for table in (truth, predictions))
    n = int(metrics.known_posts(known, guessed).sum())
    rows = [
        _Row(name, metric, n, partial(_CLASSIFICATION[metric], known, guessed))
        for metric in _metrics_of(outcome)
        if metric in _CLASSIFICATION
    ]
    if outcome.kind == "binary":
        (column,) = outcome.probability_columns
        chances = _floats(predictions[column])
        rows.insert(2, _Row(name, "AUC", n, partial(metrics.roc_auc, known, chances)))
    elif not outcome.ordered:
        rows += _unordered_rows(outcome, known, guessed, predictions, n)
    return rows


def _class_numbers(column: pd.Series, labels: Sequence[object]) -> NDArray[np.float64]:
    """Positions among the labels, (n,); NaN where missing."""
    known = pd.Index(list(labels), dtype=object)
    positions = known.get_indexer(pd.Index(column.astype(object)))
    return np.where(positions < 0, np.nan, positions.astype(np.float64))


def _ranking_rows(
    outcome: Outcome,
    predictions: pd.DataFrame,
    truth: pd.DataFrame,
    queries: NDArray[np.generic],
    cuts: Mapping[str, float],
) -> list[_Row]:
    values, scores = _floats(truth[outcome.name]), _floats(predictions[outcome.name])
    ranked: dict[str, Callable[[NDArray[np.float64] | None], Score]] = {}
    for label, cut in cuts.items():
        wanted = metrics.relevant(values, cut)
        ranked[f"MAP{label}"] = partial(_mean_average_precision, wanted, scores, queries)
        ranked[f"AUC{label}"] = partial(metrics.roc_auc, wanted, scores)
    for k in _NDCG_RANKS:
        ranked[f"NDCG@{k}"] = partial(_mean_ndcg, values, scores, queries, k)
    ranked["Spearman"] = partial(metrics.spearman, values, scores)
    n = int(metrics.known_posts(values, scores).sum())
    return [_Row(outcome.target, name, n, score) for name, score in ranked.items()]


def _mean_average_precision(
    relevance: NDArray[np.float64],
    scores: NDArray[np.float64],
    queries: NDArray[np.generic],
    weights: NDArray[np.float64] | None,
) -> Score:
    return metrics.grouped_average_precision(relevance, scores, queries, weights).score


def _mean_ndcg(
    rates: NDArray[np.float64],
    scores: NDArray[np.float64],
    queries: NDArray[np.generic],
    k: int,
    weights: NDArray[np.float64] | None,
) -> Score:
    return metrics.grouped_ndcg_at_k(rates, scores, queries, k, weights).score


def _relevance_cuts(
    outcome: Outcome, training_values: pd.DataFrame | None, thresholds: Sequence[float]
) -> dict[str, float]:
    """Value from which a post is relevant, by what follows the metric's name."""
    if training_values is None or outcome.name not in training_values:
        raise DataError(
            "the training posts' values are needed to know which posts are relevant.",
            field=outcome.name,
            fix="Give training_values with this column.",
        )
    values = _floats(training_values[outcome.name])
    return {
        f" (top {100 * share:g} %)" if position else "": metrics.relevance_threshold(values, share)
        for position, share in enumerate(thresholds)
    }


def _scored(scorer: Scorer, resampling: _Resampling) -> pd.DataFrame:
    values = scorer()
    low, high = np.full((2, len(values)), np.nan)
    if resampling.draws and len(values):
        groups, number, level, seed = resampling
        number = min(number, max(_FEWEST_RESAMPLES, _MOST_RESAMPLED // max(scorer.size, 1)))
        draws = bootstrap_draws(scorer, scorer.size, groups, number, seed)
        low, high = interval_bounds(draws, level)
    targets, names, counts = zip(*scorer.labels, strict=True) if scorer.labels else ((), (), ())
    columns = dict(zip(COLUMNS, (targets, names, values, low, high, counts), strict=True))
    return pd.DataFrame(columns).astype({"n": "int64"})


def _overall_means(rows: list[_Row]) -> dict[str, list[int]]:
    """Positions of the rows that are averaged, by metric."""
    members: dict[str, list[int]] = {}
    for position, row in enumerate(rows):
        if row.group is not None:
            members.setdefault(row.metric, []).append(position)
    return members


def _mean_of_defined(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the last axis without NaN; NaN where nothing is defined."""
    defined = np.isfinite(scores)
    number = defined.sum(axis=-1)
    total = np.where(defined, scores, 0.0).sum(axis=-1)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def _floats(column: pd.Series) -> NDArray[np.float64]:
    return pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)


def _check_same_posts(predictions: pd.DataFrame, truth: pd.DataFrame) -> None:
    if len(predictions) != len(truth):
        raise DataError(
            f"{len(predictions)} predictions for {len(truth)} posts; one for each is needed."
        )
    if "post_id" not in predictions or "post_id" not in truth:
        return
    differing = np.flatnonzero(predictions["post_id"].to_numpy() != truth["post_id"].to_numpy())
    if len(differing):
        raise DataError(
            "predictions and truth name different posts.",
            row=int(differing[0]) + 1,
            field="post_id",
            fix="Sort both alike.",
        )

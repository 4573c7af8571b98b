"""Test posts, outcome by outcome: predicted against true values, and confusions of classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.evaluation import metrics
from evoked.evaluation.classification import confusion
from evoked.evaluation.collapse import collapse_warning
from evoked.evaluation.reliability import reliability
from evoked.report import charts
from evoked.report.charts import Chart
from evoked.runs.base import TrainedRun
from evoked.targets import Outcome, Task

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class OutcomeResults:
    """What is shown of one outcome.

    Attributes
    ----------
    title
        For people.
    n
        Test posts whose truth is known.
    charts, calibration
        Figures of agreement, and of whether predictions hold.
    labels
        Names of the classes; none for values.
    counts
        (classes, classes): how often each true class (rows) was taken for each.
    classes
        A row per class: label, true, predicted (posts), precision, recall, f1 (None where
        undefined).
    warning
        Warning about predictions that hardly distinguish posts.
    """

    title: str
    n: int
    charts: list[Chart] = field(default_factory=list)
    calibration: list[Chart] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    counts: Counts = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))
    classes: list[dict[str, Any]] = field(default_factory=list)
    warning: str | None = None


def results_by_outcome(run: TrainedRun) -> list[OutcomeResults]:
    """Results of a run's test posts by outcome.

    Returns
    -------
    list
        Results of each outcome that the model predicts and at least one test post has; empty
        without test posts, and for tasks whose report does not go outcome by outcome.
    """
    files = [run.folder / name for name in ("predictions.parquet", "truth.parquet")]
    if "outcomes" not in run.task.charts or not all(file.is_file() for file in files):
        return []
    predictions, truth = run.tested
    found = []
    for outcome in run.task.outcomes:
        if outcome.name not in predictions:
            continue
        known = truth[outcome.name].notna() & predictions[outcome.name].notna()
        if known.any():
            found.append(_results(run.task, outcome, predictions[known], truth[known]))
    return [each for each in found if each is not None]


def class_labels(outcome: Outcome) -> list[str]:
    """Names of the classes, or of false and true, for people."""
    if outcome.kind == "binary":
        return [f"not {outcome.name}", outcome.name]
    return [label.replace("_", " ") for label in outcome.labels]


def class_numbers(outcome: Outcome, column: pd.Series) -> NDArray[np.float64]:
    """Position of each label (or of false and true) in its outcome, (n,); NaN where missing."""
    labels: list[object] = list(outcome.labels) or [False, True]
    positions = pd.Categorical(column.astype(object), categories=labels).codes.astype(np.float64)
    return np.where(positions < 0, np.nan, positions)


def _results(
    task: Task, outcome: Outcome, predictions: pd.DataFrame, truth: pd.DataFrame
) -> OutcomeResults | None:
    if outcome.kind != "value":
        return _of_classes(task, outcome, predictions, truth)
    # A value without columns shows on another scale what the outcome shows that it comes from.
    return _of_values(outcome, predictions, truth) if outcome.columns else None


def _of_values(outcome: Outcome, predictions: pd.DataFrame, truth: pd.DataFrame) -> OutcomeResults:
    title = outcome.name.replace("_", " ").capitalize()
    unit = outcome.unit or "as counted"
    pair = [table[outcome.name].to_numpy(np.float64) for table in (predictions, truth)]
    scores = {
        "R²": metrics.r2(pair[1], pair[0]),
        "Spearman": metrics.spearman(pair[1], pair[0]),
    }
    agreement = ", ".join(
        f"{name} {float(score):.2f}".replace("-", "−") if np.isfinite(score) else f"{name} –"
        for name, score in scores.items()
    )
    calibration = charts.calibration(pair[0], pair[1], title, unit)
    return OutcomeResults(
        title,
        len(truth),
        [
            charts.value_scatter(pair[0], pair[1], title, unit, f"{agreement}"),
            charts.residuals(pair[0], pair[1], title, unit),
        ],
        [] if calibration is None else [calibration],
    )


def _of_classes(
    task: Task, outcome: Outcome, predictions: pd.DataFrame, truth: pd.DataFrame
) -> OutcomeResults:
    title, labels = outcome.name.replace("_", " ").capitalize(), class_labels(outcome)
    guessed, known = (class_numbers(outcome, table[outcome.name]) for table in (predictions, truth))
    counts = confusion(known, guessed, classes=len(labels))[0].round().astype(np.int64)
    if outcome.kind == "binary":
        (column,) = outcome.probability_columns
        chance, came_true = predictions[column], known == 1
        what = f"the probability of “{outcome.name}”"
    else:
        chance = predictions[list(outcome.probability_columns)].max(axis=1)
        came_true = known == guessed
        what = "the probability of the predicted class"
    meanings = task.meanings(outcome)
    explained = [f"{label} ({meanings[label]})" if meanings else label for label in labels]
    held = reliability(chance.to_numpy(np.float64), came_true)
    return OutcomeResults(
        title,
        len(truth),
        [charts.confusion(counts, labels, title), charts.class_shares(counts, labels, title)],
        [charts.probabilities(held, title, what)],
        labels,
        counts,
        _per_class(counts, explained),
        collapse_warning(predictions, truth, outcome),
    )


def _per_class(counts: Counts, labels: list[str]) -> list[dict[str, Any]]:
    right, true, predicted = np.diagonal(counts), counts.sum(axis=1), counts.sum(axis=0)
    return [
        {
            "label": label,
            "true": int(true[position]),
            "predicted": int(predicted[position]),
            "precision": _share(right[position], predicted[position]),
            "recall": _share(right[position], true[position]),
            "f1": _share(2 * right[position], true[position] + predicted[position]),
        }
        for position, label in enumerate(labels)
    ]


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None

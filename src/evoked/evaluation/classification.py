"""Scores of predicted classes. As in :mod:`evoked.evaluation.metrics`, unknown posts are dropped, a
score is NaN where it is undefined, and ``weights`` count posts for a bootstrap.

Classes are numbers from 0, NaN where unknown. A class that neither truth nor prediction holds does
not count; one that is never predicted has an F1 of 0, as in scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from evoked.evaluation.metrics import Score, known_values, ratio, shaped

Floats = NDArray[np.float64]


def accuracy(truth: ArrayLike, prediction: ArrayLike, weights: ArrayLike | None = None) -> Score:
    """Share of posts whose class is predicted; [0, 1].

    Parameters
    ----------
    truth, prediction
        Numbers of classes, (n,).
    weights
        How often each post counts, (n,) or (draws, n); once each by default.
    """
    table = confusion(truth, prediction, weights)
    return shaped(ratio(_diagonal(table).sum(axis=1), table.sum(axis=(1, 2))), weights)


def balanced_accuracy(
    truth: ArrayLike, prediction: ArrayLike, weights: ArrayLike | None = None
) -> Score:
    """Mean over the true classes of the share that is found; [0, 1].

    Parameters as in :func:`accuracy`.
    """
    table = confusion(truth, prediction, weights)
    found = ratio(_diagonal(table), table.sum(axis=2))
    present = np.isfinite(found)
    return shaped(ratio(np.where(present, found, 0.0).sum(axis=1), present.sum(axis=1)), weights)


def macro_f1(truth: ArrayLike, prediction: ArrayLike, weights: ArrayLike | None = None) -> Score:
    """Mean over the classes of the harmonic mean of precision and recall; [0, 1].

    Parameters as in :func:`accuracy`.
    """
    scores = _f1(confusion(truth, prediction, weights))
    present = np.isfinite(scores)
    return shaped(ratio(np.where(present, scores, 0.0).sum(axis=1), present.sum(axis=1)), weights)


def weighted_f1(truth: ArrayLike, prediction: ArrayLike, weights: ArrayLike | None = None) -> Score:
    """Mean of each class's F1, weighted by how many posts are truly of it; [0, 1].

    Parameters as in :func:`accuracy`.
    """
    table = confusion(truth, prediction, weights)
    size = table.sum(axis=2)
    return shaped(ratio((np.nan_to_num(_f1(table)) * size).sum(axis=1), size.sum(axis=1)), weights)


def weighted_precision(
    truth: ArrayLike, prediction: ArrayLike, weights: ArrayLike | None = None
) -> Score:
    """Share of the posts called a class that are of it, averaged over the classes by how many posts
    are truly of them; [0, 1]. The like mean of recall is :func:`accuracy`.

    A class that is never predicted counts 0. Parameters as in :func:`accuracy`.
    """
    table = confusion(truth, prediction, weights)
    size = table.sum(axis=2)
    right = np.nan_to_num(ratio(_diagonal(table), table.sum(axis=1)))
    return shaped(ratio((right * size).sum(axis=1), size.sum(axis=1)), weights)


def class_f1(
    truth: ArrayLike, prediction: ArrayLike, weights: ArrayLike | None = None, *, of: int
) -> Score:
    """F1 of the class number ``of``; NaN if no post is of it or predicted to be.

    Parameters as in :func:`accuracy`.
    """
    scores = _f1(confusion(truth, prediction, weights))
    own = scores[:, of] if of < scores.shape[1] else np.full(len(scores), np.nan)
    return shaped(own, weights)


def calibration_error(
    came_true: ArrayLike, probability: ArrayLike, weights: ArrayLike | None = None
) -> Score:
    """Expected calibration error of the predicted class (Guo et al. 2017); 0 at best.

    Parameters
    ----------
    came_true
        1 where the predicted class is the true one, else 0; (n,).
    probability
        Probability of the predicted class, (n,); it is put into ten equally wide bins.
    weights
        As in :func:`accuracy`.
    """
    held, stated, counts = known_values(came_true, probability, weights)
    positions = np.searchsorted(np.linspace(0, 1, 11)[1:-1], stated, side="left")
    cells = sparse.csr_array(
        (np.ones(len(positions)), (np.arange(len(positions)), positions)),
        shape=(len(positions), 10),
    )
    # A bin's share of the posts times the distance of its two means is the distance of the sums.
    distance = np.abs((counts * (held - stated)) @ cells).sum(axis=1)
    return shaped(ratio(distance, counts.sum(axis=1)), weights)


def kappa(truth: ArrayLike, prediction: ArrayLike, weights: ArrayLike | None = None) -> Score:
    """Cohen's kappa (1960): accuracy beyond chance; [-1, 1], 0 for chance. Parameters as in
    :func:`accuracy`."""
    return _kappa(
        confusion(truth, prediction, weights), weights, lambda rows, columns: rows != columns
    )


def quadratic_kappa(
    truth: ArrayLike, prediction: ArrayLike, weights: ArrayLike | None = None
) -> Score:
    """Cohen's kappa of ordered classes, errors weighted by their squared distance (Cohen 1968).

    [-1, 1]; 0 for chance, NaN where truth and prediction are one and the same class. Parameters as
    in :func:`accuracy`.
    """
    return _kappa(
        confusion(truth, prediction, weights), weights, lambda rows, columns: (rows - columns) ** 2
    )


def precision(truth: ArrayLike, prediction: ArrayLike, weights: ArrayLike | None = None) -> Score:
    """Share of the posts predicted as 1 that are 1; 0 if none is predicted as 1.

    Parameters as in :func:`accuracy`.
    """
    return _of_ones(confusion(truth, prediction, weights, 2), 1, weights)


def recall(truth: ArrayLike, prediction: ArrayLike, weights: ArrayLike | None = None) -> Score:
    """Share of the posts that are 1 that are predicted as 1.

    Parameters as in :func:`accuracy`.
    """
    return _of_ones(confusion(truth, prediction, weights, 2), 2, weights)


def f1(truth: ArrayLike, prediction: ArrayLike, weights: ArrayLike | None = None) -> Score:
    """Harmonic mean of :func:`precision` and :func:`recall`. Parameters as in :func:`accuracy`."""
    table = confusion(truth, prediction, weights, 2)
    return shaped(np.nan_to_num(_f1(table)[:, 1]), weights)


def confusion(
    truth: ArrayLike,
    prediction: ArrayLike,
    weights: ArrayLike | None = None,
    classes: int | None = None,
) -> Floats:
    """How often each true class (second axis) is predicted as each class (last axis).

    Parameters
    ----------
    truth, prediction, weights
        As in :func:`accuracy`.
    classes
        Number of classes; by default as many as occur.

    Returns
    -------
    float64, (draws, classes, classes)
        One draw without ``weights``.
    """
    known, guessed, counts = known_values(truth, prediction, weights)
    highest = max(known.max(initial=0), guessed.max(initial=0))
    size = classes or int(highest) + 1
    cell = known.astype(np.int64) * size + guessed.astype(np.int64)
    cells = sparse.csr_array(
        (np.ones(len(cell)), (np.arange(len(cell)), cell)), shape=(len(cell), size * size)
    )
    return np.asarray(counts @ cells).reshape(-1, size, size)


def _diagonal(table: Floats) -> Floats:
    return np.diagonal(table, axis1=1, axis2=2)


def _f1(table: Floats) -> Floats:
    """F1 of every class, (draws, classes); NaN for a class that does not occur."""
    return ratio(2 * _diagonal(table), table.sum(axis=1) + table.sum(axis=2))


def _kappa(
    table: Floats,
    weights: ArrayLike | None,
    distance: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[Any]],
) -> Score:
    """One minus the errors seen per error expected by chance, each weighted by its distance."""
    position = np.arange(table.shape[1])
    heavy = distance(position[:, None], position[None, :])
    expected = ratio(
        table.sum(axis=2)[:, :, None] * table.sum(axis=1)[:, None, :],
        table.sum(axis=(1, 2))[:, None, None],
    )
    seen, chance = ((each * heavy).sum(axis=(1, 2)) for each in (table, expected))
    return shaped(1 - ratio(seen, chance), weights)


def _of_ones(table: Floats, axis: int, weights: ArrayLike | None) -> Score:
    """Share of right predictions among the true (axis 1) or the predicted (axis 2) classes."""
    return shaped(ratio(table[:, 1, 1], table.sum(axis=axis)[:, 1], otherwise=0.0), weights)

"""Does a classifier distinguish posts, or call nearly all of them the same?

The BERT + ViT classifier of the PixelRec report reached 35.94 % accuracy by predicting the most
frequent class for every post; its accuracy alone does not show that.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from evoked.targets import Outcome, Task

# From this share on a prediction says next to nothing.
_LARGEST_SHARE = 0.9
# Share of the true classes' entropy that predictions have to keep.
_LEAST_ENTROPY = 0.25
# Fewer posts may well be of one class.
_FEWEST_POSTS = 10

ADVICE = (
    "Try another learning rate (a tenth and ten times), more epochs, frozen encoders in place of "
    "fine-tuned ones, or gradient boosting on the same features."
)


def collapse_warning(
    predictions: pd.DataFrame, truth: pd.DataFrame, outcome: Outcome
) -> str | None:
    """Warning that a classifier predicts (nearly) one class for all posts.

    A prediction has collapsed when one class takes 90 % of the posts or more, or the entropy of the
    predicted classes is below a quarter of that of the true ones, although no class is that
    frequent among the true ones.

    Parameters
    ----------
    predictions, truth
        n rows of :meth:`evoked.targets.Task.inverse_transform` and of
        :meth:`evoked.targets.Task.truth`.
    outcome
        One of the task's outcomes.

    Returns
    -------
    str or None
        What is seen and what to try; None for values, for fewer than ten posts with a known class,
        for posts that really are of one class, and for predictions that distinguish posts.
    """
    if outcome.kind == "value" or outcome.name not in predictions:
        return None
    known = truth[outcome.name].notna().to_numpy() & predictions[outcome.name].notna().to_numpy()
    if known.sum() < _FEWEST_POSTS:
        return None
    predicted, true = (
        table[outcome.name].astype(object)[known].value_counts(normalize=True)
        for table in (predictions, truth)
    )
    largest = predicted.index[0]
    kept = _entropy(predicted) / _entropy(true) if len(true) > 1 else 1.0
    if true.iloc[0] >= _LARGEST_SHARE or (
        predicted.iloc[0] < _LARGEST_SHARE and kept >= _LEAST_ENTROPY
    ):
        return None
    return (
        f"COLLAPSED: {outcome.name} is predicted as {largest} for {predicted.iloc[0]:.0%} of "
        f"{int(known.sum())} rows, of which {true.get(largest, 0.0):.0%} are; {len(predicted)} of "
        f"{len(true)} classes are predicted at all. Accuracy then only says how frequent that "
        f"class is. {ADVICE}"
    )


def collapse_warnings(task: Task, predictions: pd.DataFrame, truth: pd.DataFrame) -> list[str]:
    """:func:`collapse_warning` of each of the task's outcomes that has one."""
    found = (collapse_warning(predictions, truth, outcome) for outcome in task.outcomes)
    return [message for message in found if message is not None]


def _entropy(shares: pd.Series) -> float:
    """Entropy of shares, in bits."""
    values = shares[shares > 0].to_numpy(dtype=np.float64)
    return float(-(values * np.log2(values)).sum())

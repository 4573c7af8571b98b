"""What each modality contributes to a prediction: exact Shapley values."""

from __future__ import annotations

from math import factorial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.explain.readings import Reader, plain_reader, readings_of
from evoked.models.base import Examples, Model
from evoked.models.hiding import hide, modalities_of


def shapley_values(
    model: Model, examples: Examples, reader: Reader | None = None
) -> tuple[NDArray, NDArray]:
    """Exact Shapley values of the modalities (Shapley 1953).

    A modality's value is its marginal contribution averaged over all orders in which modalities
    may be shown. Hidden modalities are absent, like a missing picture or an empty caption. All sets
    of hidden modalities (32 at most) are predicted in one batch.

    Parameters
    ----------
    model
        Any model of posts.
    examples
        n posts.
    reader
        Predicts what is read of a post; the model's own scale by default.

    Returns
    -------
    values, base
        (n, modalities, readings; see :func:`evoked.explain.readings.readings_of`) and
        (n, readings) predictions with everything hidden; ``base + values.sum(1)`` is the
        prediction.
    """
    reader = reader or plain_reader(model)
    players = modalities_of(model)
    k, n = len(players), len(examples)
    shown = np.array([[bool(subset >> i & 1) for i in range(k)] for subset in range(2**k)])
    rows = np.tile(np.arange(n), 2**k)
    hidden = pd.DataFrame(np.repeat(~shown, n, axis=0), columns=list(players))
    predicted = reader(hide(examples.select(rows), hidden), rows).to_numpy()
    outcomes = predicted.reshape(2**k, n, -1)

    values = np.zeros((n, k, outcomes.shape[-1]))
    for player in range(k):
        for subset in np.flatnonzero(~shown[:, player]):
            size = int(shown[subset].sum())
            weight = factorial(size) * factorial(k - size - 1) / factorial(k)
            values[:, player] += weight * (outcomes[subset | 1 << player] - outcomes[subset])
    return values, outcomes[0]


def modality_sizes(model: Model, examples: Examples) -> pd.DataFrame:
    """How much each modality moves the predictions of n posts.

    Returns
    -------
    DataFrame
        Index ``modality``, one column per reading: mean size of the Shapley values over the posts.
    """
    values, _ = shapley_values(model, examples)
    names = [each.name for each in readings_of(model.task)]
    index = pd.Index(modalities_of(model), name="modality")
    return pd.DataFrame(np.abs(values).mean(axis=0), index, names)

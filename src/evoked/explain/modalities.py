"""What each modality contributes to a prediction: exact Shapley values."""

from __future__ import annotations

from dataclasses import replace
from math import factorial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.explain.readings import predict_readings, readings_of
from evoked.features.catalog import CATALOG
from evoked.features.table import Column, FeatureColumn, FeatureTable, RaggedColumn
from evoked.models.base import Examples, Model
from evoked.posts.author_hashes import AUTHOR_HASH
from evoked.posts.schema import ENGAGEMENT

# The order in which people read a post.
MODALITIES = ("image", "caption", "hashtags", "metadata", "environment")
# Columns of the posts' own table that models read directly.
_OWN_COLUMNS = {
    "caption": ("title", "caption", "hashtags"),
    "metadata": ("author_id", AUTHOR_HASH, "category", "views", *ENGAGEMENT),
}


def modalities_of(model: Model) -> tuple[str, ...]:
    """The modalities that a model looks at, in the order of :data:`MODALITIES`.

    A model that names no features reads the posts' own table, which counts as metadata.
    """
    read = {CATALOG[name].modality for name in model.features} or {"metadata"}
    return tuple(name for name in MODALITIES if name in read)


def shapley_values(model: Model, examples: Examples) -> tuple[NDArray, NDArray]:
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

    Returns
    -------
    values, base
        (n, modalities, readings; see :func:`evoked.explain.readings.readings_of`) and
        (n, readings) predictions with everything hidden; ``base + values.sum(1)`` is the
        prediction.
    """
    players = modalities_of(model)
    k, n = len(players), len(examples)
    shown = np.array([[bool(subset >> i & 1) for i in range(k)] for subset in range(2**k)])
    rows = np.tile(np.arange(n), 2**k)
    hidden = pd.DataFrame(np.repeat(~shown, n, axis=0), columns=list(players))
    predicted = predict_readings(model, hide(examples.select(rows), hidden)).to_numpy()
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


def hide(examples: Examples, hidden: pd.DataFrame) -> Examples:
    """Examples without some modalities.

    Parameters
    ----------
    examples
        n posts.
    hidden
        bool, (n, any of :data:`MODALITIES`): what to hide of each post.
    """
    columns: dict[str, FeatureColumn] = {}
    for name, column in examples.features.columns.items():
        modality = CATALOG[name].modality if name in CATALOG else None
        gone = hidden[modality].to_numpy() if modality in hidden else None
        columns[name] = column if gone is None else _without(column, gone)
    posts = examples.posts
    for name in hidden.columns.intersection(list(_OWN_COLUMNS)):
        known = ~hidden[name].to_numpy()
        own = [each for each in _OWN_COLUMNS[name] if each in posts]
        posts = posts.assign(**{each: posts[each].where(known) for each in own})
    return Examples(posts, FeatureTable(columns))


def _without(column: FeatureColumn, gone: NDArray[np.bool_]) -> FeatureColumn:
    if isinstance(column, RaggedColumn):
        return replace(column, lengths=np.where(gone, 0, column.lengths))
    assert isinstance(column, Column)
    return replace(column, index=np.where(gone[:, None], -1, column.index))

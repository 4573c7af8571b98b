"""What changes when a word or a fact about a post is taken away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.explain.words import Words
from evoked.features.cache import FeatureCache
from evoked.features.catalog import CATALOG
from evoked.features.extract import extract_posts
from evoked.features.table import Column, FeatureTable
from evoked.models.base import Examples, Model


def word_effects(model: Model, examples: Examples, words: Sequence[Words]) -> list[pd.DataFrame]:
    """Leave one word out, encode the rest anew, and see how the prediction changes.

    Parameters
    ----------
    model
        Any model.
    examples
        n posts.
    words
        The words of each post's caption.

    Returns
    -------
    list of DataFrame
        Per post, (words, targets): prediction with the word minus prediction without it. Facts
        about the caption among the metadata (its length) are left as they were.
    """
    counts = [len(each) for each in words]
    names = [
        name
        for name in model.features
        if CATALOG[name].modality == "caption" and not CATALOG[name].fitted
    ]
    if not names or not sum(counts):
        return [pd.DataFrame(0.0, range(count), model.targets) for count in counts]
    rows = np.repeat(np.arange(len(examples)), counts)
    texts = [text for each in words for text in each.without_each()]
    variants = examples.select(rows)
    frame = pd.DataFrame({"post_id": [str(row) for row in range(len(texts))], "caption": texts})
    # Texts that nobody wrote have no place in the user's own cache.
    with TemporaryDirectory() as folder:
        table, _ = extract_posts(
            frame, [None] * len(texts), names, model.feature_settings, cache=FeatureCache(folder)
        )
        features = FeatureTable({**variants.features.columns, **table.columns})
        without = model.predict(replace(variants, features=features))
    effects = model.predict(examples).iloc[rows].reset_index(drop=True) - without
    return _per_post(effects, counts)


def metadata_effects(model: Model, examples: Examples, names: Sequence[str]) -> list[pd.DataFrame]:
    """Replace each metadata column by its mean over the training posts, one at a time.

    Parameters
    ----------
    model
        A model that reads ``metadata``.
    examples
        n posts.
    names
        What the columns are, as ``pipeline.metadata.names``.

    Returns
    -------
    list of DataFrame
        Per post, index ``names``: ``value`` (standardised: 0 is the training mean) and per target
        the prediction as it is minus the prediction with the mean.
    """
    column = examples.features.columns["metadata"]
    values = column.take(np.arange(len(examples)), None)[""].numpy()
    # Most columns of a post stand at the mean already (categories that are not its own, say).
    rows, changed = np.nonzero(values)
    replaced = values[rows]
    replaced[np.arange(len(rows)), changed] = 0
    variants = examples.select(rows)
    features = FeatureTable(
        {**variants.features.columns, "metadata": Column.dense(replaced, column.present[rows])}
    )
    without = model.predict(replace(variants, features=features)).to_numpy()
    effects = np.zeros((*values.shape, len(model.targets)))
    effects[rows, changed] = model.predict(examples).to_numpy()[rows] - without
    index = pd.Index(names, name="fact")
    tables = [pd.DataFrame(each, index, model.targets) for each in effects]
    for table, own in zip(tables, values, strict=True):
        table.insert(0, "value", own)
    return tables


def _per_post(effects: pd.DataFrame, counts: Sequence[int]) -> list[pd.DataFrame]:
    ends: NDArray[np.int64] = np.cumsum(counts)
    return [
        effects.iloc[end - count : end].reset_index(drop=True)
        for count, end in zip(counts, ends, strict=True)
    ]

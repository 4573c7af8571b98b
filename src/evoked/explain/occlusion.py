"""How predictions change without a word, a region or a fact about a post."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isqrt
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.explain.readings import predict_readings, readings_of
from evoked.explain.words import Words
from evoked.features.cache import FeatureCache
from evoked.features.catalog import CATALOG
from evoked.features.extract import extract_posts
from evoked.features.table import Column, FeatureTable
from evoked.models.base import Examples, Model

Grid = NDArray[np.float64]


def word_effects(model: Model, examples: Examples, words: Sequence[Words]) -> list[pd.DataFrame]:
    """Leave out one word at a time, encode the rest again, and compare the predictions.

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
        For each post, (words, readings): prediction with the word minus prediction without it.
        Metadata about the caption, such as its length, stay the same.
    """
    counts = [len(each) for each in words]
    names = [
        name
        for name in model.features
        if CATALOG[name].modality == "caption" and not CATALOG[name].fitted
    ]
    if not names or not sum(counts):
        read = [each.name for each in readings_of(model.task)]
        return [pd.DataFrame(0.0, range(count), read) for count in counts]
    rows = np.repeat(np.arange(len(examples)), counts)
    texts = [text for each in words for text in each.without_each()]
    variants = examples.select(rows)
    frame = pd.DataFrame({"post_id": [str(row) for row in range(len(texts))], "caption": texts})
    if "title" in variants.posts:
        frame["title"] = variants.posts["title"]
    frame["hashtags"] = _tags_outside_captions(examples.posts).iloc[rows].to_numpy()
    # Texts that nobody wrote don't belong in the user's own cache.
    with TemporaryDirectory() as folder:
        table, _ = extract_posts(
            frame, [None] * len(texts), names, model.feature_settings, cache=FeatureCache(folder)
        )
        features = FeatureTable({**variants.features.columns, **table.columns})
        without = predict_readings(model, replace(variants, features=features))
    effects = predict_readings(model, examples).iloc[rows].reset_index(drop=True) - without
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
        Names of the columns, as ``pipeline.metadata.names``.

    Returns
    -------
    list of DataFrame
        For each post, index ``names``: ``value`` (standardised: 0 is the training mean) and for
        each reading the prediction minus the prediction with the mean.
    """
    column = examples.features.columns["metadata"]
    values = column.arrays(np.arange(len(examples)))[""]
    # Most columns of a post have the mean already (for example categories that are not its own).
    rows, changed = np.nonzero(values)
    replaced = values[rows]
    replaced[np.arange(len(rows)), changed] = 0
    variants = examples.select(rows)
    features = FeatureTable(
        {**variants.features.columns, "metadata": Column.dense(replaced, column.present[rows])}
    )
    without = predict_readings(model, replace(variants, features=features)).to_numpy()
    predicted = predict_readings(model, examples)
    effects = np.zeros((*values.shape, predicted.shape[1]))
    effects[rows, changed] = predicted.to_numpy()[rows] - without
    index = pd.Index(names, name="fact")
    tables = [pd.DataFrame(each, index, predicted.columns) for each in effects]
    for table, own in zip(tables, values, strict=True):
        table.insert(0, "value", own)
    return tables


def region_effects(model: Model, examples: Examples) -> list[dict[str, Grid] | None]:
    """Replace one region of a picture at a time by the average of the others.

    Parameters
    ----------
    model
        A model that reads ``image.map``.
    examples
        n posts.

    Returns
    -------
    list
        For each post and reading, (rows, columns): prediction minus prediction without the region;
        None for a post without a picture.
    """
    column = examples.features.columns["image.map"]
    return [
        _regions_of(model, examples.select([row])) if column.present[row] else None
        for row in range(len(examples))
    ]


def _regions_of(model: Model, post: Examples) -> dict[str, Grid]:
    # One post at a time, since it has as many variants of its map as the map has regions.
    regions = post.features.arrays([0])["image.map"][0]
    n = len(regions)
    changed = np.repeat(regions[None], n, axis=0)
    changed[np.arange(n), np.arange(n)] = (regions.sum(axis=0) - regions) / max(n - 1, 1)
    variants = post.select([0] * n)
    features = FeatureTable({**variants.features.columns, "image.map": Column.dense(changed)})
    without = predict_readings(model, replace(variants, features=features))
    effects = predict_readings(model, post).iloc[0] - without
    return {str(name): effects[name].to_numpy(np.float64).reshape(isqrt(n), -1) for name in effects}


def _tags_outside_captions(posts: pd.DataFrame) -> pd.Series:
    """The tags of each post that its original caption does not contain."""
    captions = posts["caption"].fillna("").str.casefold()
    tags = posts["hashtags"] if "hashtags" in posts else pd.Series(None, posts.index, dtype=object)
    outside = [
        [tag for tag in ([] if own is None else own) if f"#{tag}".casefold() not in said]
        for own, said in zip(tags.where(tags.notna(), None), captions, strict=True)
    ]
    return pd.Series(outside, posts.index, dtype=object)


def _per_post(effects: pd.DataFrame, counts: Sequence[int]) -> list[pd.DataFrame]:
    ends: NDArray[np.int64] = np.cumsum(counts)
    return [
        effects.iloc[end - count : end].reset_index(drop=True)
        for count, end in zip(counts, ends, strict=True)
    ]

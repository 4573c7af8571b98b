"""Examples without some of their modalities, as if the posts lacked them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.features.catalog import CATALOG
from evoked.features.table import Column, FeatureColumn, FeatureTable, RaggedColumn
from evoked.models.base import Examples, Model
from evoked.posts.author_hashes import AUTHOR_HASH
from evoked.posts.schema import ENGAGEMENT, EXPOSURE

# The order in which people read a post.
MODALITIES = ("image", "caption", "hashtags", "metadata", "environment")
MODALITY_NAMES = {
    "image": "picture",
    "caption": "caption",
    "hashtags": "hashtags",
    "metadata": "facts",
    "environment": "author's other posts",
}
"""What people call the modalities."""

# Columns of the posts' own table that models read directly.
_OWN_COLUMNS = {
    "caption": ("title", "caption", "hashtags"),
    "metadata": ("author_id", AUTHOR_HASH, "category", *EXPOSURE, *ENGAGEMENT),
}


def modalities_of(model: Model) -> tuple[str, ...]:
    """The modalities that a model looks at, in the order of :data:`MODALITIES`.

    A model that names no features reads the posts' own table, which counts as metadata.
    """
    read = {CATALOG[name].modality for name in model.features} or {"metadata"}
    return tuple(name for name in MODALITIES if name in read)


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

"""Whether a dataset's posts are still what they were when a run was made from them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.posts.schema import ENGAGEMENT, FACT_PREFIX

PREFIX = "digest."

# What is compared, and how it is called where it changed.
_FIELDS = {
    **{name: name for name in (*ENGAGEMENT, "views", "reach", "impressions", "followers")},
    "posted_at": "dates",
    "title": "titles",
    "caption": "captions",
    "hashtags": "hashtags",
    "images": "pictures",
    "category": "categories",
    "valence": "valence",
    "arousal": "arousal",
    "emotion": "emotions",
}


def field_digests(posts: pd.DataFrame) -> pd.DataFrame:
    """A digest of each field of n posts that any of them has, (n, fields) of uint32."""
    known = [name for name in map(str, posts) if name in _FIELDS or name.startswith(FACT_PREFIX)]
    digests = {f"{PREFIX}{name}": _digest(posts[name]) for name in known}
    return pd.DataFrame(digests, index=posts.index)


def changes_since(then: pd.DataFrame, posts: pd.DataFrame) -> str | None:
    """A sentence on what has changed in posts.

    Parameters
    ----------
    then
        n rows with the columns of :func:`field_digests`, as they were.
    posts
        The same posts today.

    Returns
    -------
    None if nothing has changed.
    """
    now = field_digests(posts)
    both = [str(name) for name in now if name in then]
    differ = then[both].to_numpy() != now[both].to_numpy()
    number = int(differ.any(axis=1).sum())
    if not number:
        return None
    changed = sorted(zip(differ.sum(axis=0), both, strict=True), key=lambda pair: -pair[0])
    of_each = [f"{_words(name.removeprefix(PREFIX))} of {n}" for n, name in changed if n]
    return (
        f"{number} of the {len(posts)} posts that this run was made from have changed since: "
        f"{', '.join(of_each)}."
    )


def _words(column: str) -> str:
    return _FIELDS.get(column, column.removeprefix(FACT_PREFIX))


def _digest(values: pd.Series) -> NDArray[np.uint32]:
    if pd.api.types.is_datetime64_any_dtype(values):
        comparable = pd.to_datetime(values, utc=True).dt.as_unit("us").astype("int64").to_numpy()
    elif pd.api.types.is_numeric_dtype(values):
        comparable = values.to_numpy(np.float64, na_value=np.nan)
        comparable = np.where(np.isnan(comparable), -np.inf, comparable)
    else:
        texts = ["\0".join(each) if isinstance(each, list) else each for each in values]
        comparable = pd.Series(texts, dtype=object).fillna("").to_numpy(dtype=object)
    hashed = pd.util.hash_array(comparable, categorize=False)
    return (hashed & np.uint64(0xFFFFFFFF)).astype(np.uint32)

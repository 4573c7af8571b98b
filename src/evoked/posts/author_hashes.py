"""Hashes in place of the names of authors and users, so that a run's folder names nobody."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
from numpy.typing import NDArray

AUTHOR_HASH = "author_hash"
"""Column of posts whose author is known by hash alone, as a run knows its authors."""


def author_hashes(posts: pd.DataFrame) -> NDArray[np.object_]:
    """The hash of each post's author, '' where the author is unknown; (n,) of str."""
    if AUTHOR_HASH in posts:
        return posts[AUTHOR_HASH].fillna("").to_numpy(dtype=object)
    if "author_id" not in posts:
        return np.full(len(posts), "", dtype=object)
    return hashes(posts["author_id"])


def hashes(names: pd.Series) -> NDArray[np.object_]:
    """The hash of each author or user, '' where the name is missing; (n,) of str."""
    codes, known = pd.factorize(names)
    hashed = np.array([*(_hashed(str(name)) for name in known), ""], dtype=object)
    return hashed[codes]


def _hashed(author: str) -> str:
    return hashlib.blake2b(author.encode("utf-8", "replace"), digest_size=8).hexdigest()

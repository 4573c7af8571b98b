"""Hashes in place of the names of authors and users, so that a run's folder names nobody."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evoked.posts.columns import listed, values_of

if TYPE_CHECKING:
    import pandas as pd

    from evoked.posts.columns import Posts

AUTHOR_HASH = "author_hash"
"""Column of posts whose author is known by hash alone, as a run knows its authors."""


def author_hashes(posts: Posts) -> NDArray[np.object_]:
    """The hash of each post's author, '' where the author is unknown; (n,) of str."""
    if AUTHOR_HASH in posts:
        return np.array([each or "" for each in values_of(posts, AUTHOR_HASH)], dtype=object)
    if "author_id" not in posts:
        return np.full(len(posts), "", dtype=object)
    return hashes(posts["author_id"])


def hashes(names: pd.Series | Sequence[Any] | NDArray[Any]) -> NDArray[np.object_]:
    """The hash of each author or user, '' where the name is missing; (n,) of str."""
    hashed: dict[Any, str] = {None: ""}
    given = listed(names)
    for name in given:
        if name not in hashed:
            hashed[name] = _hashed(str(name))
    return np.array([hashed[name] for name in given], dtype=object)


def _hashed(author: str) -> str:
    return hashlib.blake2b(author.encode("utf-8", "replace"), digest_size=8).hexdigest()

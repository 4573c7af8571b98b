"""What stands for authors in what is made of posts: a run's folder names nobody."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def author_hashes(posts: pd.DataFrame) -> NDArray[np.object_]:
    """What stands for each post's author in a model folder, '' where unknown; (n,) of str."""
    if "author_id" not in posts:
        return np.full(len(posts), "", dtype=object)
    codes, authors = pd.factorize(posts["author_id"])
    hashes = np.array([*(_hashed(str(author)) for author in authors), ""], dtype=object)
    return hashes[codes]


def _hashed(author: str) -> str:
    return hashlib.blake2b(author.encode("utf-8", "replace"), digest_size=8).hexdigest()

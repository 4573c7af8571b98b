"""Rows for the feature cache, recognisable by their content."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evoked.features.cache import FeatureCache, Store, content_key

SHAPE = (3, 5)


def keys_of(numbers: list[int]) -> NDArray[np.uint8]:
    """The keys of items with these numbers, (n, 32)."""
    joined = b"".join(content_key(str(number).encode()) for number in numbers)
    return np.frombuffer(joined, np.uint8).reshape(-1, 32)


def rows_of(numbers: list[int]) -> NDArray[np.float32]:
    """Rows whose values show to which numbers they belong."""
    ramp = np.arange(15, dtype=np.float32).reshape(SHAPE)
    return np.array([number + ramp for number in numbers], np.float32).reshape(-1, *SHAPE)


def a_store(folder: Path, fingerprint: str = "encoder:1") -> Store:
    return FeatureCache(folder).store("image.map", fingerprint, np.float32, SHAPE)


def keep(store: Store, numbers: list[int]) -> None:
    store.append(keys_of(numbers), rows_of(numbers), np.ones(len(numbers), np.int64))

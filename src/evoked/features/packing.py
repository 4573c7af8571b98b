"""Vectors of regions and words, kept in bytes.

A vector is kept as integers of 8 bits with a scale for each 32 of them, 8.5 bits a value: the
largest of the 32 is the largest integer. A scale of its own for so few keeps one channel that is
far larger than the others, as networks of texts have, from costing the others their precision. A
value is off by at most half a scale, a 254th of the largest beside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

VALUES_PER_SCALE = 32
_LARGEST = 127
_LARGEST_SCALE = float(np.finfo(np.float16).max)


def packed_type(channels: int) -> np.dtype[Any]:
    """How a vector of so many channels is kept: packed, or in half precision where the channels
    can't be parted evenly.

    Examples
    --------
    >>> packed_type(384).itemsize, packed_type(48)
    (408, dtype('float16'))
    """
    if channels % VALUES_PER_SCALE or not channels:
        return np.dtype(np.float16)
    scales = (channels // VALUES_PER_SCALE,)
    return np.dtype([("scales", "<f2", scales), ("values", "i1", (channels,))])


def is_packed(kind: DTypeLike) -> bool:
    """Whether arrays of this type hold packed vectors."""
    return np.dtype(kind).names is not None


def channels_of(values: NDArray[Any]) -> int:
    """Channels of vectors, packed (…) or not (…, channels)."""
    shape = values.dtype["values"].shape if is_packed(values.dtype) else values.shape
    return int(shape[-1])


def as_kept(values: NDArray[Any], kind: DTypeLike) -> NDArray[Any]:
    """Values as the cache keeps them, rounded to a type.

    Parameters
    ----------
    values
        (…), or (…, channels) for a packed type.
    kind
        The type. What exceeds the range of float16 is cut to it, never infinite.

    Returns
    -------
    array
        (…) of this type.
    """
    if is_packed(kind):
        return pack(values, kind)
    if np.dtype(kind) != np.float16:
        return values.astype(kind, copy=False)
    limit = float(np.finfo(np.float16).max)
    return np.clip(values, -limit, limit).astype(np.float16)


def pack(vectors: NDArray[Any], kind: DTypeLike) -> NDArray[Any]:
    """Vectors (…, channels), finite, as (…) of a type that :func:`packed_type` gives."""
    parts = np.asarray(vectors, np.float32)
    parts = parts.reshape(*parts.shape[:-1], parts.shape[-1] // VALUES_PER_SCALE, VALUES_PER_SCALE)
    largest = np.maximum(parts.max(axis=-1), -parts.min(axis=-1))
    packed = np.empty(vectors.shape[:-1], kind)
    packed["scales"] = np.minimum(largest / _LARGEST, _LARGEST_SCALE)
    # By the scale as it is kept, so that its own rounding costs nothing.
    scales = packed["scales"].astype(np.float32)[..., None]
    scaled = np.divide(parts, scales, out=np.zeros_like(parts), where=scales > 0)
    np.clip(np.rint(scaled, out=scaled), -_LARGEST, _LARGEST, out=scaled)
    packed["values"] = scaled.reshape(vectors.shape)
    return packed


def unpack(packed: NDArray[Any]) -> NDArray[np.float32]:
    """Packed vectors (…) as float32 (…, channels)."""
    values = packed["values"].astype(np.float32)
    parts = values.reshape(*packed["scales"].shape, VALUES_PER_SCALE)
    parts *= packed["scales"][..., None].astype(np.float32)
    return values

"""Character n-grams of words, as the numbers of the columns that they are hashed into.

The same numbers as scikit-learn's ``HashingVectorizer`` gives (MurmurHash3 of 32 bits, Appleby
2011), which takes longer to import than a draft to predict.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.int64]
Words = NDArray[np.uint32]

_SPACES = re.compile(r"\s\s+")


def ngram_columns(
    words: Sequence[str], sizes: tuple[int, int], columns: int
) -> tuple[Whole, Whole]:
    """Which n-grams each of n words has, each n-gram once.

    Parameters
    ----------
    words
        n words.
    sizes
        Fewest and most characters of an n-gram.
    columns
        Number of columns that n-grams share.

    Returns
    -------
    word, column
        Ascending by word, then by column, (pairs,) each.
    """
    owners: dict[int, list[int]] = {}
    grams: dict[int, list[bytes]] = {}
    for number, word in enumerate(words):
        text = _SPACES.sub(" ", word)
        for size in range(sizes[0], min(sizes[1], len(text)) + 1):
            for start in range(len(text) - size + 1):
                gram = text[start : start + size].encode()
                owners.setdefault(len(gram), []).append(number)
                grams.setdefault(len(gram), []).append(gram)
    if not grams:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    keys = np.concatenate(
        [
            np.array(owners[length], np.int64) * columns + _columns_of(grams[length], columns)
            for length in grams
        ]
    )
    owner, column = np.divmod(np.unique(keys), columns)
    return owner, column


def _columns_of(grams: Sequence[bytes], columns: int) -> Whole:
    """The column of each of m n-grams of one length in bytes, (m,)."""
    hashed = murmur_hashes(grams).astype(np.int64)
    # Of the hash as a signed number, the distance from zero.
    return np.where(hashed >= 2**31, 2**32 - hashed, hashed) % columns


def murmur_hashes(keys: Sequence[bytes]) -> Words:
    """MurmurHash3 (x86, 32 bits, seed 0) of m keys of one length, (m,).

    Examples
    --------
    >>> murmur_hashes([b"test"]).tolist()
    [3127628307]
    """
    length = len(keys[0])
    content = np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), length)
    hashed = np.zeros(len(keys), np.uint32)
    whole = length - length % 4
    for start in range(0, whole, 4):
        hashed ^= _scrambled(_little_endian(content[:, start : start + 4]))
        hashed = _rotated(hashed, 13) * np.uint32(5) + np.uint32(0xE6546B64)
    if whole < length:
        hashed ^= _scrambled(_little_endian(content[:, whole:]))
    hashed ^= np.uint32(length)
    for factor, shift in ((0x85EBCA6B, 16), (0xC2B2AE35, 13)):
        hashed = (hashed ^ (hashed >> np.uint32(shift))) * np.uint32(factor)
    return hashed ^ (hashed >> np.uint32(16))


def _little_endian(content: NDArray[np.uint8]) -> Words:
    shifts = 8 * np.arange(content.shape[1], dtype=np.uint32)
    return np.bitwise_or.reduce(content.astype(np.uint32) << shifts, axis=1)


def _scrambled(block: Words) -> Words:
    return _rotated(block * np.uint32(0xCC9E2D51), 15) * np.uint32(0x1B873593)


def _rotated(values: Words, bits: int) -> Words:
    return (values << np.uint32(bits)) | (values >> np.uint32(32 - bits))

"""Words of a text, and the encoder's tokens that each consists of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Chinese and Japanese are written without spaces: there, every character counts as a word.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")
_EDGES = re.compile(r"^\W+|\W+$")


@dataclass(frozen=True)
class Words:
    """The words of a text that an encoder read.

    Attributes
    ----------
    text
        The prepared text.
    spans
        (start, end) of each word with a token, in characters.
    word_of_token
        int64, (tokens,): index into ``spans``.
    """

    text: str
    spans: list[tuple[int, int]]
    word_of_token: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.spans)

    @property
    def texts(self) -> list[str]:
        """The words themselves, without the punctuation around them."""
        words = [self.text[start:end] for start, end in self.spans]
        return [_EDGES.sub("", word) or word for word in words]

    @property
    def tokens(self) -> NDArray[np.int64]:
        """Tokens per word, (words,)."""
        return np.bincount(self.word_of_token, minlength=len(self))

    def total(self, per_token: NDArray[np.floating]) -> NDArray[np.float64]:
        """Sum over each word's tokens: (tokens, …) to (words, …)."""
        sums = np.zeros((len(self), *per_token.shape[1:]))
        np.add.at(sums, self.word_of_token, per_token)
        return sums

    def mean(self, per_token: NDArray[np.floating]) -> NDArray[np.float64]:
        """Mean over each word's tokens: (tokens, …) to (words, …)."""
        count = self.tokens.reshape(-1, *[1] * (per_token.ndim - 1))
        return self.total(per_token) / np.maximum(count, 1)

    def without_each(self) -> list[str]:
        """The text without each word in turn."""
        return [
            " ".join((self.text[:start] + self.text[end:]).split()) for start, end in self.spans
        ]


def words_of(text: str, offsets: Sequence[tuple[int, int]]) -> Words:
    """Merge an encoder's tokens into words.

    Parameters
    ----------
    text
        The prepared text.
    offsets
        (start, end) in characters of every token, as
        :meth:`evoked.features.encoders.base.TextEncoder.tokenize` gives them.
    """
    every = [match.span() for match in _WORD.finditer(text)]
    if not every or not offsets:
        return Words(text, [], np.zeros(0, dtype=np.int64))
    starts = np.array([start for start, _ in every])
    # Some tokenizers include the space before a word in its token: the last character decides.
    last = np.array([max(end - 1, start) for start, end in offsets])
    of_token = np.maximum(np.searchsorted(starts, last, side="right") - 1, 0)
    read, word_of_token = np.unique(of_token, return_inverse=True)
    return Words(text, [every[index] for index in read], word_of_token.astype(np.int64))

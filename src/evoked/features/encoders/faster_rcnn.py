"""Objects in pictures, as Faster R-CNN detects them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evoked.errors import SettingsError
from evoked.features.encoders._checkpoints import loading
from evoked.features.encoders._inference import fast_inference, inference_device
from evoked.features.encoders.objects import ObjectEncoder, ObjectFeatures
from evoked.features.encoders.pretrained_image import torchvision_weights

DETECTIONS = 16
_DETECTION_SIZE = 512
_DETECTION_BATCH = 4


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

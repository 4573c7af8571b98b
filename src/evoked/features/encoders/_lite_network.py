"""EfficientNet-Lite in torch: see :mod:`._lite`."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from evoked.features.encoders._lite import (
    EPSILON,
    HEAD,
    HEAD_LAYER,
    LARGEST_ACTIVATION,
    MEAN,
    POOLED_STAGES,
    SPREAD,
    STEM,
    Block,
    Floats,
    Layer,
    Lite,
    groups_of,
    lite_weights,
    stages_of,
)
from evoked.features.encoders.pretrained_image import Backbone, ImageNetwork

Weights = dict[str, Floats]


class LiteNetwork(ImageNetwork):
    """The network without its classifier.

    Parameters
    ----------
    lite
        Its size.
    map_stage
        Stage whose output is the map.
    """

    def __init__(self, lite: Lite, map_stage: int) -> None:
        super().__init__()
        weights = lite_weights(lite)
        self.map_stage = map_stage
        self.stem = _Layer(STEM, weights)
        self.stages = nn.ModuleList(
            nn.Sequential(*(_Block(block, weights) for block in stage)) for stage in stages_of(lite)
        )
        self.head = _Layer(HEAD_LAYER, weights)

    def features(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        values = self.stem(pixels)
        found = {}
        for number, stage in enumerate(self.stages):
            values = found[number] = stage(values)
        found[HEAD] = self.head(values)
        vector = torch.cat([found[stage].mean((2, 3)) for stage in POOLED_STAGES], 1)
        return found[self.map_stage].flatten(2).movedim(1, -1), vector


def lite_backbone(lite: Lite, map_stage: int, fingerprint: str) -> Backbone:
    """What :class:`.pretrained_image.NetworkImageEncoder` needs of the network."""
    return Backbone(
        lambda: LiteNetwork(lite, map_stage),
        fingerprint,
        lite.image_size,
        (MEAN / 255,) * 3,
        (SPREAD / 255,) * 3,
    )


class _Layer(nn.Module):
    def __init__(self, layer: Layer, weights: Weights) -> None:
        super().__init__()
        kernel = weights[f"{layer.convolution}.weight"]
        outputs = len(kernel)
        self.convolution = nn.Conv2d(
            kernel.shape[1] * groups_of(kernel),
            outputs,
            layer.kernel,
            layer.stride,
            groups=groups_of(kernel),
            bias=False,
        )
        self.normalisation = nn.BatchNorm2d(outputs, EPSILON)
        self.activated = layer.activated
        self.convolution.load_state_dict({"weight": torch.tensor(kernel)})
        parts = ("weight", "bias", "running_mean", "running_var")
        self.normalisation.load_state_dict(
            {part: torch.tensor(weights[f"{layer.normalisation}.{part}"]) for part in parts},
            strict=False,
        )

    def forward(self, values: Tensor) -> Tensor:
        padded = _padded(values, self.convolution.kernel_size[0], self.convolution.stride[0])
        values = self.normalisation(self.convolution(padded))
        return values.clamp(0, LARGEST_ACTIVATION) if self.activated else values


class _Block(nn.Module):
    def __init__(self, block: Block, weights: Weights) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(_Layer(layer, weights) for layer in block.layers))
        self.shortcut = block.shortcut

    def forward(self, values: Tensor) -> Tensor:
        found: Tensor = self.layers(values)
        return found + values if self.shortcut else found


def _padded(values: Tensor, kernel: int, stride: int) -> Tensor:
    """Zeros around, as TensorFlow puts them: where they are odd in number, one more at the end."""
    margins: list[int] = []
    for edge in (values.shape[3], values.shape[2]):
        missing = max((-(-edge // stride) - 1) * stride + kernel - edge, 0)
        margins += [missing // 2, missing - missing // 2]
    return F.pad(values, margins) if any(margins) else values

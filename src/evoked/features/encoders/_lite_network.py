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
        # The last convolution counts as a stage.
        self.stages = nn.ModuleList(
            [
                *(
                    nn.Sequential(*(_Block(block, weights) for block in stage))
                    for stage in stages_of(lite)
                ),
                _Layer(HEAD_LAYER, weights),
            ]
        )

    def features(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        found = self._stages_until(pixels, HEAD)
        vector = torch.cat([found[stage].mean((2, 3)) for stage in POOLED_STAGES], 1)
        return _positions(found[self.map_stage]), vector

    def forward(self, pixels: Tensor) -> Tensor:
        # What is trained for its map need not compute what comes after it.
        return _positions(self._stages_until(pixels, self.map_stage)[-1])

    def _stages_until(self, pixels: Tensor, last: int) -> list[Tensor]:
        """What every stage gives, from the first to the ``last``."""
        values = self.stem(pixels)
        found: list[Tensor] = []
        for stage in self.stages[: last + 1]:
            values = stage(values)
            found.append(values)
        return found


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
    """A convolution and the batch normalisation after it, computed as one.

    The normalisation keeps the statistics that it came with, in training as well: those of a small
    batch are worse, more so where posts without a picture are in it. Training a batch then takes
    five sixths of the time and two thirds of the memory that both layers, one after the other, do.
    """

    def __init__(self, layer: Layer, weights: Weights) -> None:
        super().__init__()
        kernel = weights[f"{layer.convolution}.weight"]
        self.weight = nn.Parameter(torch.tensor(kernel))
        self.scale, self.shift = (
            nn.Parameter(torch.tensor(weights[f"{layer.normalisation}.{part}"]))
            for part in ("weight", "bias")
        )
        mean, variance = (
            torch.tensor(weights[f"{layer.normalisation}.{part}"])
            for part in ("running_mean", "running_var")
        )
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", (variance + EPSILON).sqrt())
        self.stride, self.groups = layer.stride, groups_of(kernel)
        self.activated = layer.activated

    def forward(self, values: Tensor) -> Tensor:
        factor = self.scale / self.deviation
        values, padding = _padded(values, self.weight.shape[-1], self.stride)
        values = F.conv2d(
            values,
            self.weight * factor[:, None, None, None],
            self.shift - self.mean * factor,
            self.stride,
            padding,
            groups=self.groups,
        )
        return values.clamp(0, LARGEST_ACTIVATION) if self.activated else values


class _Block(nn.Module):
    def __init__(self, block: Block, weights: Weights) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(_Layer(layer, weights) for layer in block.layers))
        self.shortcut = block.shortcut

    def forward(self, values: Tensor) -> Tensor:
        found: Tensor = self.layers(values)
        return found + values if self.shortcut else found


def _positions(values: Tensor) -> Tensor:
    """From (n, channels, rows, columns) to (n, positions, channels)."""
    return values.flatten(2).movedim(1, -1)


def _padded(values: Tensor, kernel: int, stride: int) -> tuple[Tensor, tuple[int, int]]:
    """Values, and the zeros that the convolution itself puts on either side of columns and rows.

    The zeros lie as TensorFlow puts them: where they are odd in number, one more at the end, which
    no convolution of torch does, so that these are put around the values here.
    """
    missing = [
        max((-(-edge // stride) - 1) * stride + kernel - edge, 0) for edge in values.shape[2:]
    ]
    if all(number % 2 == 0 for number in missing):
        return values, (missing[0] // 2, missing[1] // 2)
    rows, columns = ((number // 2, number - number // 2) for number in missing)
    return F.pad(values, (*columns, *rows)), (0, 0)

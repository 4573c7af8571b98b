"""The weights that evoked takes from packages, as folders that peers can read without a hub.

A peer that is a network (see ``peer_networks.py``) would fetch its weights by name. It is given
those that evoked's own models read in their place: EfficientNet-Lite0 under the names of timm, and
MiniLM as its package has it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from peer_networks import (
    CAPTION_WEIGHTS,
    PICTURE_CHANNELS,
    PICTURE_EDGE,
    PICTURE_WEIGHTS,
    TIMM_NAME,
)

from evoked.features.encoders._lite import HEAD_LAYER, LITES, STEM, Layer, lite_weights, stages_of
from evoked.features.encoders._minilm import minilm_folder

LITE = LITES["lite0"]
# What timm calls the layers of a block, the first stage's and all others'.
_FIRST = (("conv_dw", "bn1"), ("conv_pw", "bn2"))
_OTHERS = (("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3"))


def write_checkpoints(folder: Path) -> None:
    """Write both below ``folder``, unless they are there."""
    if not (folder / CAPTION_WEIGHTS).exists():
        shutil.copytree(minilm_folder(), folder / CAPTION_WEIGHTS)
    if not (folder / PICTURE_WEIGHTS).exists():
        write_pictures(folder / PICTURE_WEIGHTS)


def write_pictures(folder: Path) -> None:
    """EfficientNet-Lite0 without its classes: ``pytorch_model.bin`` and ``config.json``."""
    import torch

    weights = lite_weights(LITE)
    named = {}
    for layer, convolution, normalisation in timm_layers():
        named[f"{convolution}.weight"] = weights[f"{layer.convolution}.weight"]
        for part in ("weight", "bias", "running_mean", "running_var"):
            named[f"{normalisation}.{part}"] = weights[f"{layer.normalisation}.{part}"]
    folder.mkdir(parents=True)
    tensors = {name: torch.tensor(values) for name, values in named.items()}
    torch.save(tensors, folder / "pytorch_model.bin")
    half = [0.5, 0.5, 0.5]
    config = {
        "architecture": TIMM_NAME,
        "num_classes": 0,
        "num_features": PICTURE_CHANNELS,
        "pretrained_cfg": {
            "input_size": [3, PICTURE_EDGE, PICTURE_EDGE],
            "interpolation": "bicubic",
            "mean": half,
            "std": half,
        },
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")


def timm_layers() -> Iterator[tuple[Layer, str, str]]:
    """Every layer with timm's names of its convolution and of its normalisation."""
    yield STEM, "conv_stem", "bn1"
    for stage, blocks in enumerate(stages_of(LITE)):
        for place, block in enumerate(blocks):
            names = _OTHERS if stage else _FIRST
            for layer, (convolution, normalisation) in zip(block.layers, names, strict=True):
                inside = f"blocks.{stage}.{place}"
                yield layer, f"{inside}.{convolution}", f"{inside}.{normalisation}"
    yield HEAD_LAYER, "conv_head", "bn2"

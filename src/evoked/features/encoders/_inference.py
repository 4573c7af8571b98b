"""How frozen networks are run: on which device, in which precision, in batches of which size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


@cache
def inference_device() -> torch.device:
    """The graphics card if there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@cache
def bfloat16_is_fast() -> bool:
    """Whether bfloat16 is faster than float32 here.

    A processor needs the tile unit (AMX) for that. With ``avx512_bf16`` alone it is *not* faster:
    products of bfloat16 ran at half the rate of float32 where it was measured (Emerald Rapids
    without AMX, torch 2.15: 49–55 against 97 GFLOP/s).
    """
    if inference_device().type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu._is_amx_tile_supported())


@contextmanager
def fast_inference() -> Iterator[None]:
    """Run without gradients, and with bfloat16 where that is faster."""
    device = inference_device().type
    with (
        torch.inference_mode(),
        torch.autocast(device, torch.bfloat16, enabled=bfloat16_is_fast()),
    ):
        yield


def images_per_batch() -> int:
    """Number of pictures that a convolutional network takes at a time.

    Few on a processor, so that the values between two layers stay in its cache.
    """
    return 8 if inference_device().type == "cpu" else 64


def prepared_for_inference(network: nn.Module) -> nn.Module:
    """The network in evaluation mode on the inference device, laid out for speed.

    Batch normalisation is folded into the convolution before it, and weights are channels-last.
    The network is changed in place and can't be trained any more.
    """
    network = network.eval().requires_grad_(False)
    fold_batch_norms(network)
    return network.to(inference_device(), memory_format=torch.channels_last)  # type: ignore[call-overload]


def fold_batch_norms(network: nn.Module) -> None:
    """Fold every batch normalisation that follows one convolution into it, in place.

    Where the flow of data through a module can't be traced, its parts are tried one at a time.
    """
    if not any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        return
    try:
        graph = fx.symbolic_trace(network).graph
    except Exception:  # control flow, or a forward that fx can't follow
        for part in network.children():
            fold_batch_norms(part)
        return
    modules = dict(network.named_modules())
    calls = [node for node in graph.nodes if node.op == "call_module"]
    targets = [node.target for node in calls]
    for node in calls:
        before = node.args[0]
        is_pair = (
            # Not a subclass that also holds the activation.
            type(modules[node.target]) is nn.BatchNorm2d
            and isinstance(before, fx.Node)
            and before.op == "call_module"
            and type(modules[before.target]) is nn.Conv2d
            and len(before.users) == 1
            # Neither of them is called elsewhere, too.
            and targets.count(node.target) == targets.count(before.target) == 1
        )
        if is_pair:
            folded = fuse_conv_bn_eval(modules[before.target], modules[node.target])
            network.set_submodule(before.target, folded)
            network.set_submodule(node.target, nn.Identity())

"""Activation checkpointing: what a block computes is not kept for the gradient but computed again.

Chen et al. (2016), *Training Deep Nets with Sublinear Memory Cost*.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import ActivationWrapper
from torch.utils.checkpoint import checkpoint

_LISTS = (nn.Sequential, nn.ModuleList)


class Checkpointed(ActivationWrapper):
    """A block of which only inputs and outputs are kept in training; its weights keep their names.

    Dropout drops the same elements when it is computed again.
    """

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """As of the block."""
        block = self._checkpoint_wrapped_module
        if self.training and torch.is_grad_enabled():
            return checkpoint(block, *args, use_reentrant=False, **kwargs)
        return block(*args, **kwargs)


def checkpointed(encoder: nn.Module) -> nn.Module:
    """An encoder whose blocks are checkpointed, each by itself: the layers of a transformer, the
    residual blocks of a convolutional network. One without such blocks is checkpointed as a whole.
    """
    return encoder if _wrap_blocks(encoder) else Checkpointed(encoder)


def _wrap_blocks(module: nn.Module) -> int:
    """Wrap what stands in a list of modules and has modules itself; returns how many there are."""
    wrapped = 0
    for name, child in list(module.named_children()):
        in_list = isinstance(module, _LISTS) and not isinstance(child, _LISTS)
        if in_list and any(True for _ in child.children()):
            setattr(module, name, Checkpointed(child))
            wrapped += 1
        else:
            wrapped += _wrap_blocks(child)
    return wrapped

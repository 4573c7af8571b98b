"""Blocks that are computed again for the gradient: less is kept, and nothing else changes."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from evoked.layers.checkpointing import Checkpointed, checkpointed


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(8, 64), nn.GELU(), nn.Dropout(0.5), nn.Linear(64, 8))

    def forward(self, rows: Tensor, *, scale: float = 1.0) -> Tensor:
        return rows + scale * self.inner(rows)


class Encoder(nn.Module):
    """Blocks in a list within a list, as ConvNeXt has them, and one that is called with a name."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.Sequential(nn.Sequential(Block(), Block()), nn.Sequential(Block()))
        self.last = nn.ModuleList([Block()])

    def forward(self, rows: Tensor) -> Tensor:
        return self.last[0](self.stages(rows), scale=0.5)


def learned(encoder: nn.Module, rows: Tensor) -> tuple[int, list[Tensor]]:
    """Bytes that are kept for the gradient, and the gradients."""
    kept = 0

    def count(tensor: Tensor) -> Tensor:
        nonlocal kept
        kept += tensor.numel() * tensor.element_size()
        return tensor

    torch.manual_seed(3)
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        loss = encoder(rows).square().sum()
    loss.backward()
    return kept, [each.grad.clone() for each in encoder.parameters() if each.grad is not None]


def test_less_is_kept_and_the_gradient_is_the_same() -> None:
    torch.manual_seed(0)
    usual = Encoder()
    encoder = checkpointed(copy.deepcopy(usual))
    rows = torch.randn(32, 8)
    kept, expected = learned(usual, rows)
    kept_less, found = learned(encoder, rows)
    assert kept_less < kept / 4
    assert len(found) == len(expected) == len(list(usual.parameters()))
    for one, two in zip(expected, found, strict=True):
        assert torch.equal(one, two)


def test_every_block_is_wrapped_by_itself_and_weights_keep_their_names() -> None:
    torch.manual_seed(0)
    usual = Encoder()
    encoder = checkpointed(copy.deepcopy(usual))
    assert sum(isinstance(module, Checkpointed) for module in encoder.modules()) == 4
    assert list(encoder.state_dict()) == list(usual.state_dict())
    encoder.load_state_dict(Encoder().state_dict())


def test_an_encoder_without_blocks_is_wrapped_as_a_whole() -> None:
    plain = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
    whole = checkpointed(copy.deepcopy(plain))
    assert isinstance(whole, Checkpointed)
    rows = torch.randn(4, 8)
    whole.load_state_dict(plain.state_dict())
    assert torch.equal(whole.eval()(rows), plain.eval()(rows))

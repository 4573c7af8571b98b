"""MMBT: the multimodal bitransformer.

Kiela et al. (2019), *Supervised Multimodal Bitransformers for Classifying Images and Text*: the
image's positions are projected to tokens and stand before the caption's in one transformer, which
attends over both; each kind of token has its segment embedding and counts its positions from 0.
Here hashtags are one more token, and metadata join the summary token's state before the heads.

With ``finetune`` the transformer is the text encoder itself, as in that paper. With frozen
encoders it is a small one on top of the text encoder's tokens.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from evoked.features.table import Batch
from evoked.layers.attention import AttentionBlock
from evoked.layers.tokens import or_placeholder, shown
from evoked.models.content import (
    BimodalSettings,
    ContentNetwork,
    FusionModel,
    Modality,
)
from evoked.models.finetuning import TrainableEncoders

_SEGMENTS = ("image", "caption", "hashtags")


class MMBTSettings(BimodalSettings):
    """Settings of MMBT."""

    heads: int = Field(4, ge=1, description="attention heads (frozen encoders)")
    layers: int = Field(2, ge=1, description="layers of the transformer (frozen encoders)")


class MMBTNetwork(ContentNetwork):
    """One transformer over a summary token, the image's tokens, the caption's, and the hashtags'.

    Parameters
    ----------
    settings
        With ``finetune``, the text encoder's width takes the place of ``width``.
    modalities, widths, encoders
        As in :class:`evoked.models.content.ContentNetwork`.
    """

    def __init__(
        self,
        settings: MMBTSettings,
        modalities: Collection[Modality],
        widths: Mapping[str, int],
        encoders: TrainableEncoders,
    ) -> None:
        language: Any = encoders.caption
        if language is not None:
            settings = settings.model_copy(update={"width": widths["caption.tokens"]})
        super().__init__(settings, modalities, widths, encoders)
        width = settings.width
        if language is not None:
            self.inputs["caption"] = _WordEmbeddings(language, width, settings.modality_dropout)
        self.layers = nn.ModuleList(
            AttentionBlock(width, settings.heads, nn.GELU, settings.dropout, settings.normalise)
            for _ in range(0 if language is not None else settings.layers)
        )
        self.summary = nn.Parameter(torch.randn(width) * 0.02)
        self.segments = nn.ParameterDict(
            {
                name: nn.Parameter(torch.randn(width) * 0.02)
                for name in _SEGMENTS
                if name in self.inputs
            }
        )
        self.output = self.heads(width * (1 + ("metadata" in self.inputs)))

    def forward(self, batch: Batch, hidden: Collection[str] = ()) -> Tensor:
        n = len(next(iter(batch.values())))
        tokens = [self.summary.expand(n, 1, -1)]
        masks = [torch.ones((n, 1), dtype=torch.bool, device=self.summary.device)]
        for name, segment in self.segments.items():
            part = self.inputs[name](batch, hidden)
            # Hashtags are one vector that always exists: their own or the placeholder.
            part, mask = part if isinstance(part, tuple) else (part[:, None], masks[0])
            tokens.append(part + segment)
            masks.append(mask)
        vectors = [self._read(tokens, masks)[:, 0]]
        if "metadata" in self.inputs:
            vectors.append(self.inputs["metadata"](batch, hidden))
        result: Tensor = self.output(torch.cat(vectors, dim=-1))
        return result

    def _read(self, tokens: list[Tensor], masks: list[Tensor]) -> Tensor:
        """States (b, length, width) of all tokens after the transformer."""
        states, mask = torch.cat(tokens, dim=1), torch.cat(masks, dim=1)
        if not self.layers:
            positions = [torch.arange(part.shape[1], device=mask.device) for part in tokens]
            read: Tensor = self.inputs["caption"].network.read(states, mask, torch.cat(positions))
            return read
        for layer in self.layers:
            states, _ = layer(states, states, mask)
        return states


class _WordEmbeddings(nn.Module):
    """The caption's tokens before the text encoder reads them.

    Parameters
    ----------
    network
        The text encoder.
    width
        Its channels.
    modality_dropout
        Probability that a post hides its caption in training.
    """

    def __init__(self, network: Any, width: int, modality_dropout: float) -> None:
        super().__init__()
        self.network = network
        self.placeholder = nn.Parameter(torch.randn(width) * 0.02)
        self.modality_dropout = modality_dropout

    def forward(self, batch: Batch, hidden: Collection[str] = ()) -> tuple[Tensor, Tensor]:
        words, mask = self.network.embed(batch["caption.ids"]), batch["caption.ids.mask"]
        dropout = self.modality_dropout if self.training else 0.0
        kept = shown(batch["caption.ids.present"], "caption" in hidden, dropout)
        return or_placeholder(words, mask, kept, self.placeholder)


class MMBT(FusionModel):
    """The multimodal bitransformer."""

    name = "mmbt"
    requires = ("image", "caption")
    description = "the image's positions and the caption's tokens in one transformer"
    source = "Lu and Li 2025, Table 6; Kiela et al. 2019"
    Settings = MMBTSettings
    Network = MMBTNetwork

    settings: MMBTSettings

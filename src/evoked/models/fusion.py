"""Three ways to fuse without attention (Lu and Li 2025, Section 4.2 and Table 6)."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from pydantic import Field
from torch import Tensor, nn

from evoked.features.table import Batch
from evoked.layers.fusion import LowRankBilinear
from evoked.models.content import (
    BimodalSettings,
    ContentNetwork,
    FusionModel,
    FusionSettings,
    Modality,
)
from evoked.models.finetuning import TrainableEncoders
from evoked.targets import TARGETS


class EarlyFusionNetwork(ContentNetwork):
    """The pooled modalities end to end, followed by heads."""

    def __init__(
        self,
        settings: FusionSettings,
        modalities: Collection[Modality],
        widths: Mapping[str, int],
        encoders: TrainableEncoders,
    ) -> None:
        super().__init__(settings, modalities, widths, encoders)
        self.output = self.heads(len(self.inputs) * settings.width)

    def forward(self, batch: Batch, hidden: Collection[str] = ()) -> Tensor:
        result: Tensor = self.output(torch.cat([*self.pooled(batch, hidden).values()], dim=-1))
        return result


class EarlyFusion(FusionModel):
    """Concatenation of pooled features."""

    name = "early_fusion"
    description = "concatenates the pooled modalities"
    source = "Lu and Li 2025, Table 6"
    Network = EarlyFusionNetwork


class LateFusionNetwork(ContentNetwork):
    """Heads for each modality, and for each target a weighted mean of their predictions.

    The weights are a learned softmax over modalities, the same for all posts.
    """

    def __init__(
        self,
        settings: FusionSettings,
        modalities: Collection[Modality],
        widths: Mapping[str, int],
        encoders: TrainableEncoders,
    ) -> None:
        super().__init__(settings, modalities, widths, encoders)
        self.outputs = nn.ModuleDict({name: self.heads(settings.width) for name in self.inputs})
        self.votes = nn.Parameter(torch.zeros(len(self.outputs), len(TARGETS)))

    def forward(self, batch: Batch, hidden: Collection[str] = ()) -> Tensor:
        vectors = self.pooled(batch, hidden)
        predicted = torch.stack([head(vectors[name]) for name, head in self.outputs.items()])
        return (self.votes.softmax(dim=0)[:, None] * predicted).sum(dim=0)


class LateFusion(FusionModel):
    """A prediction per modality, combined by learned weights."""

    name = "late_fusion"
    description = "predicts from each modality, then combines by learned weights"
    source = "Lu and Li 2025, Table 6"
    Network = LateFusionNetwork


class BilinearPoolingSettings(BimodalSettings):
    """Settings of bilinear pooling."""

    rank: int = Field(128, ge=1, description="rank of the bilinear form")


class BilinearPoolingNetwork(ContentNetwork):
    """Low-rank bilinear pooling of image and caption, then hashtags, metadata and heads."""

    def __init__(
        self,
        settings: BilinearPoolingSettings,
        modalities: Collection[Modality],
        widths: Mapping[str, int],
        encoders: TrainableEncoders,
    ) -> None:
        super().__init__(settings, modalities, widths, encoders)
        width = settings.width
        self.bilinear = LowRankBilinear(width, width, settings.rank, width, settings.dropout)
        self.output = self.heads((len(self.inputs) - 1) * width)

    def forward(self, batch: Batch, hidden: Collection[str] = ()) -> Tensor:
        vectors = self.pooled(batch, hidden)
        both = self.bilinear(vectors.pop("image"), vectors.pop("caption"))
        result: Tensor = self.output(torch.cat([both, *vectors.values()], dim=-1))
        return result


class BilinearPooling(FusionModel):
    """Low-rank bilinear pooling of image and caption."""

    name = "bilinear_pooling"
    requires = ("image", "caption")
    description = "low-rank bilinear pooling of image and caption"
    source = "Lu and Li 2025, Table 6; Kim et al. 2017"
    Settings = BilinearPoolingSettings
    Network = BilinearPoolingNetwork

    settings: BilinearPoolingSettings

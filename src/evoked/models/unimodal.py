"""Visual-CNN and Text-BERT: one modality alone (Lu and Li 2025, Section 4.2 and Table 6)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import isqrt

from torch import Tensor, nn

from evoked.features.table import Batch
from evoked.layers.tokens import mean_pool
from evoked.models.content import (
    ContentModel,
    ContentNetwork,
    ContentSettings,
    Modality,
)
from evoked.models.finetuning import TrainableEncoders


class VisualCNNNetwork(ContentNetwork):
    """Two 3 × 3 convolutions over the image's map, the mean over its positions, heads."""

    def __init__(
        self,
        settings: ContentSettings,
        modalities: Collection[Modality],
        widths: Mapping[str, int],
        encoders: TrainableEncoders,
    ) -> None:
        super().__init__(settings, modalities, widths, encoders)
        width = settings.width
        self.convolutions = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Dropout(settings.dropout),
        )
        self.output = self.heads(width)

    def forward(self, batch: Batch, hidden: Collection[str] = ()) -> Tensor:
        tokens, _ = self.inputs["image"](batch, hidden)
        # Every image encoder's map is a square grid.
        grid = tokens.transpose(1, 2).unflatten(-1, (isqrt(tokens.shape[1]), -1))
        # The convolutions add to the map, which is informative already.
        result: Tensor = self.output((grid + self.convolutions(grid)).mean(dim=(-2, -1)))
        return result


class VisualCNN(ContentModel):
    """The image alone: ``image.map``, or its pixels when the encoder is fine-tuned."""

    name = "visual_cnn"
    description = "the image alone: convolutions over its map"
    requires = ("image",)
    source = "Lu and Li 2025, Table 6"
    Settings = ContentSettings
    Network = VisualCNNNetwork

    settings: ContentSettings

    @property
    def modalities(self) -> tuple[Modality, ...]:
        return ("image",)


class TextBERTNetwork(ContentNetwork):
    """The mean of the caption's contextual tokens, heads."""

    def __init__(
        self,
        settings: ContentSettings,
        modalities: Collection[Modality],
        widths: Mapping[str, int],
        encoders: TrainableEncoders,
    ) -> None:
        super().__init__(settings, modalities, widths, encoders)
        self.output = self.heads(settings.width)

    def forward(self, batch: Batch, hidden: Collection[str] = ()) -> Tensor:
        result: Tensor = self.output(mean_pool(*self.inputs["caption"](batch, hidden)))
        return result


class TextBERT(ContentModel):
    """The caption alone: ``caption.tokens``, or its ids when the encoder is fine-tuned."""

    name = "text_bert"
    description = "the caption alone: the mean of a text encoder's tokens"
    requires = ("caption",)
    source = "Lu and Li 2025, Table 6"
    Settings = ContentSettings
    Network = TextBERTNetwork

    settings: ContentSettings

    @property
    def modalities(self) -> tuple[Modality, ...]:
        return ("caption",)

"""What models of the content of posts share: settings, inputs, heads.

The paper names its baselines (Lu and Li 2025, Table 6) without describing them. Ours read the same
features as ABMF, fill the same gaps with placeholders, and end in the same heads with the same loss
of the targets. Besides how they fuse, they differ in two things: ABMF also learns to match words
and regions (``matching_weight``), and codes metadata in 128 channels (Table 4), where they have
``width``. The two unimodal models read image or caption "solely" (Section 4.2). Models that fuse
have ABMF's setting ``modalities``: by default they see all that ABMF sees, objects, hashtags and
metadata included.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn

from evoked.features.table import Batch
from evoked.layers.heads import EmotionEngagementHeads, EmotionEngagementLoss
from evoked.layers.tokens import (
    CaptionTokens,
    ImageTokens,
    VectorInput,
    layer_norm,
    mean_pool,
    metadata_encoder,
    project,
)
from evoked.models.base import Examples, ModelSettings
from evoked.models.finetuning import (
    FinetuningModel,
    FinetuningSettings,
    TrainableEncoders,
    grouped_parameters,
    trainable_encoders,
)

Modality = Literal["image", "objects", "caption", "hashtags", "metadata"]
MODALITIES: tuple[Modality, ...] = ("image", "objects", "caption", "hashtags", "metadata")

_FROZEN = {
    "image": "image.map",
    "objects": "image.objects",
    "caption": "caption.tokens",
    "hashtags": "hashtags.vector",
    "metadata": "metadata",
}
_TRAINED = _FROZEN | {"image": "image.pixels", "caption": "caption.ids"}


class ContentSettings(FinetuningSettings):
    """Settings of all models of content. The defaults suit heads on frozen encoders."""

    width: int = Field(64, ge=8, description="channels of each modality's vector")
    dropout: float = Field(0.1, ge=0, lt=1)
    modality_dropout: float = Field(
        0.05, ge=0, lt=1, description="probability that a modality is hidden in training"
    )
    emotion_weight: float = Field(1.0, ge=0, description="weight of the emotion losses")
    engagement_weight: float = Field(1.0, ge=0, description="weight of the engagement losses")
    normalise: bool = Field(
        True,
        description="layer norms of the inputs, in front of attention and of the heads (ours)",
    )
    estimated_weight: float = Field(
        0.5,
        ge=0,
        le=1,
        description="weight of valence and arousal that a reader estimated",
    )
    category_balance: float = Field(
        0.0,
        ge=0,
        le=1,
        description="how far rare categories count more in the loss: a post counts as the "
        "category's number of posts to the power of minus this (ours; 1: all categories alike)",
    )
    category_sampling: bool = Field(
        False,
        description="draw posts of rare categories more often, as far as category_balance says, "
        "in place of a larger weight in the loss (ours)",
    )
    image_learning_rate: float = Field(
        5e-5, gt=0, description="when fine-tuning, of the encoder of pictures (ABMF, Table 4)"
    )
    caption_learning_rate: float = Field(
        2e-5, gt=0, description="when fine-tuning, of the encoder of captions (ABMF, Table 4)"
    )

    @model_validator(mode="after")
    def _sampling_needs_a_balance(self) -> Self:
        if self.category_sampling and not self.category_balance:
            raise ValueError("category_sampling does nothing unless category_balance is above 0")
        return self

    @classmethod
    def published(cls, **changes: Any) -> Self:
        """As in the paper, as far as it says: 1024 channels, encoders fine-tuned, nothing of ours.

        How it is trained stands in the experiments ``abmf/table6``.
        """
        ours_off = {"normalise": False, "modality_dropout": 0.0, "dropout": 0.0}
        return cls(
            **{"width": 1024, "finetune": True, "estimated_weight": 0.0, **ours_off, **changes}
        )


class FusionSettings(ContentSettings):
    """Settings of models that fuse modalities."""

    modalities: tuple[Modality, ...] = Field(
        MODALITIES, description="what the network looks at; the others are left out entirely"
    )

    @field_validator("modalities")
    @classmethod
    def _enough_to_look_at(cls, modalities: tuple[Modality, ...]) -> tuple[Modality, ...]:
        if not {"image", "caption"} & set(modalities):
            raise ValueError("needs at least one of 'image' and 'caption'")
        if "objects" in modalities and "image" not in modalities:
            raise ValueError("'objects' extend the image's positions and need 'image'")
        return modalities


class BimodalSettings(FusionSettings):
    """Settings of models that can't do without image or caption."""

    @field_validator("modalities")
    @classmethod
    def _both(cls, modalities: tuple[Modality, ...]) -> tuple[Modality, ...]:
        if not {"image", "caption"} <= set(modalities):
            raise ValueError("needs both 'image' and 'caption'")
        return modalities


class ContentModel(FinetuningModel):
    """A model of image, caption, hashtags and metadata, or of some of them.

    A subclass names its network.
    """

    Settings: ClassVar[type[ModelSettings]] = ContentSettings
    Network: ClassVar[type[ContentNetwork]]

    settings: ContentSettings

    @property
    @abstractmethod
    def modalities(self) -> tuple[Modality, ...]:
        """What the network looks at."""

    @property
    def parts(self) -> Collection[str]:
        return {"image", "caption"} & set(self.modalities)

    @property
    def features(self) -> list[str]:
        names = _TRAINED if self.settings.finetune else _FROZEN
        return [names[modality] for modality in self.modalities]

    @property
    def estimated_weight(self) -> float:
        return float(self.settings.estimated_weight)

    def build(self, widths: dict[str, int]) -> nn.Module:
        encoders = self.encoders_to_train()
        return self.Network(self.settings, self.modalities, widths | encoders.widths, encoders)

    def post_weights(self, train: Examples) -> NDArray[np.float32] | None:
        balance = self.settings.category_balance
        if not balance or "category" not in train.posts:
            return None
        categories = train.posts["category"].fillna("none")
        weights = categories.map(categories.value_counts()).to_numpy(np.float64) ** -balance
        return np.asarray(weights / weights.mean(), dtype=np.float32)

    @property
    def sample_posts(self) -> bool:
        return bool(self.settings.category_sampling)

    def encoders_to_train(self) -> TrainableEncoders:
        """Encoders of what the network looks at, if the settings say to fine-tune them."""
        wanted = self.modalities if self.settings.finetune else ()
        return trainable_encoders(
            wanted, self.feature_settings, self.settings.activation_checkpointing
        )


class FusionModel(ContentModel):
    """A model that fuses the modalities that its settings name."""

    Settings: ClassVar[type[ModelSettings]] = FusionSettings

    settings: FusionSettings

    @property
    def modalities(self) -> tuple[Modality, ...]:
        return self.settings.modalities


class ContentNetwork(nn.Module):
    """Inputs and loss of a network that reads posts; subclasses fuse.

    Parameters
    ----------
    settings
        See :class:`ContentSettings`.
    modalities
        What to look at.
    widths
        Channels of the features by catalog name.
    encoders
        Encoders to train with the network.

    Attributes
    ----------
    inputs
        Modules that read image (with objects), caption, hashtags and metadata, as far as the
        network looks at them.
    """

    def __init__(
        self,
        settings: ContentSettings,
        modalities: Collection[Modality],
        widths: Mapping[str, int],
        encoders: TrainableEncoders,
    ) -> None:
        super().__init__()
        self.settings = settings
        width, hiding, normalise = settings.width, settings.modality_dropout, settings.normalise
        self.inputs: Any = nn.ModuleDict()
        if "image" in modalities:
            self.inputs["image"] = ImageTokens(
                widths, width, hiding, encoders.image, normalise=normalise
            )
        if "caption" in modalities:
            self.inputs["caption"] = CaptionTokens(
                widths, width, hiding, encoders.caption, normalise=normalise
            )
        if "hashtags" in modalities:
            tags = project(widths["hashtags.vector"], width, normalise)
            self.inputs["hashtags"] = VectorInput(
                "hashtags.vector", "hashtags", tags, width, hiding
            )
        if "metadata" in modalities:
            facts = metadata_encoder(widths["metadata"], width, settings.dropout, normalise)
            self.inputs["metadata"] = VectorInput("metadata", "metadata", facts, width, hiding)
        self.task_loss = EmotionEngagementLoss(settings.emotion_weight, settings.engagement_weight)

    @abstractmethod
    def forward(self, batch: Batch, hidden: Collection[str] = ()) -> Tensor:
        """Predict all targets.

        Parameters
        ----------
        batch
            Features as :meth:`evoked.features.table.FeatureTable.take` gives them.
        hidden
            Modalities (image, caption, hashtags, metadata) to replace by a placeholder.

        Returns
        -------
        Tensor
            (b, 6) in the order of :data:`evoked.targets.TARGETS`.
        """

    def criterion(self, predicted: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """See :class:`evoked.layers.heads.EmotionEngagementLoss`."""
        loss: Tensor = self.task_loss(predicted, targets, weights)
        return loss

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """ABMF's Table 4 for encoders that are trained, ``learning_rate`` for the rest."""
        rates = {
            "image": self.settings.image_learning_rate,
            "caption": self.settings.caption_learning_rate,
        }
        trained = [
            (self.inputs[name].network, rate) for name, rate in rates.items() if name in self.inputs
        ]
        return grouped_parameters(self, trained, learning_rate)

    def pooled(self, batch: Batch, hidden: Collection[str]) -> dict[str, Tensor]:
        """One vector (b, width) per modality that the network reads."""
        read = {name: each(batch, hidden) for name, each in self.inputs.items()}
        # Tokens come with their mask.
        return {
            name: mean_pool(*values) if isinstance(values, tuple) else values
            for name, values in read.items()
        }

    def heads(self, inputs: int) -> nn.Module:
        """Normalisation and the heads, for a fused vector of this length."""
        width, dropout = 2 * self.settings.width, self.settings.dropout
        return nn.Sequential(
            layer_norm(inputs, self.settings.normalise),
            EmotionEngagementHeads(inputs, width, dropout),
        )

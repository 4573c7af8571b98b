"""PixelRec's three ways to predict engagement from a cover picture and its texts.

Shah, Alam and Powar, *First Impressions Matter: Predicting Visual Content Popularity through
Multimodal Models* (project report, COMS 6720), on the PixelRec dataset (Cheng et al. 2023):

- ``pixelrec_regressor`` (Section 4.3): SigLIP or CLIP with DeBERTa, log popularity (Eq. 1);
- ``pixelrec_classifier`` (Section 4.1): ViT with BERT, five levels of engagement;
- ``pixelrec_catboost`` (Section 4.2): boosted trees on frozen CLIP vectors, the same levels; see
  :mod:`evoked.models.pixelrec_catboost`.

The report gives no widths, depths or numbers of heads; those are ours. If encoders are fine-tuned,
title and context have an encoder each.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn

from evoked.features.catalog import FeatureSettings
from evoked.features.table import Batch
from evoked.layers.attention import AttentionBlock, AttentionPooling
from evoked.layers.fusion import GatedFusion
from evoked.layers.heads import mlp
from evoked.layers.losses import masked_huber, masked_mean
from evoked.layers.tokens import (
    CaptionTokens,
    ImageTokens,
    VectorInput,
    mean_pool,
    metadata_encoder,
)
from evoked.models.base import Examples
from evoked.models.finetuning import (
    FinetuningModel,
    FinetuningSettings,
    TrainableEncoders,
    grouped_parameters,
    trainable_encoders,
)
from evoked.training.records import EpochRecord
from evoked.training.settings import TrainingSettings

_TEXTS = ("title", "context", "text")
_LEAST_PROBABILITY = 1e-7


class PixelRecSettings(FinetuningSettings):
    """Settings of both networks. The defaults suit heads on frozen builtin encoders."""

    width: int = Field(64, ge=8, description="channels of the shared space")
    heads: int = Field(4, ge=1, description="attention heads")
    dropout: float = Field(0.1, ge=0, lt=1)
    modality_dropout: float = Field(
        0.05, ge=0, lt=1, description="probability that a modality is hidden in training"
    )
    image_learning_rate: float = Field(
        2e-5, gt=0, description="when fine-tuning, of the encoder of pictures"
    )
    text_learning_rate: float = Field(
        2e-5, gt=0, description="when fine-tuning, of the encoders of texts"
    )

    @field_validator("modalities", check_fields=False)
    @classmethod
    def _something_to_look_at(cls, modalities: tuple[str, ...]) -> tuple[str, ...]:
        if not modalities or len(set(modalities)) < len(modalities):
            raise ValueError("needs at least one modality, and each only once")
        return modalities

    @classmethod
    def published(cls, **changes: Any) -> Self:
        """With encoders fine-tuned, as in the report, and nothing of ours; it gives no widths. How
        it is trained stands in the experiments ``pixelrec``."""
        ours_off = {"dropout": 0.0, "modality_dropout": 0.0}
        if changes.get("finetune", True):
            ours_off["augment"] = False
        return cls(**{"width": 512, "finetune": True, **ours_off, **changes})


class RegressorSettings(PixelRecSettings):
    """Settings of the regressor."""

    modalities: tuple[Literal["image", "title", "context", "metadata"], ...] = Field(
        ("image", "title", "context"),
        description="what the network looks at; the report has no metadata",
    )
    fusion_layers: int = Field(2, ge=1, description="layers of the transformer after the gate")
    huber_share: float = Field(
        0.3, ge=0, le=1, description="Huber's share of the loss; the rest is MSE"
    )

    @classmethod
    def published(cls, **changes: Any) -> Self:
        """As :meth:`PixelRecSettings.published`, with 8 heads."""
        return super().published(**{"heads": 8, **changes})


class ClassifierSettings(PixelRecSettings):
    """Settings of the classifier."""

    modalities: tuple[Literal["image", "text", "metadata"], ...] = Field(
        ("image", "text"), description="what the network looks at; the report has no metadata"
    )
    fusion: Literal["concatenation", "cross_attention", "gated"] = Field(
        "concatenation", description="fusion of the modalities (Section 4.1)"
    )
    heads: int = Field(4, ge=1, description="attention heads of cross_attention")

    @classmethod
    def published(cls, **changes: Any) -> Self:
        """As :meth:`PixelRecSettings.published`, with 8 heads where there is attention."""
        heads = {"heads": 8} if changes.get("fusion") == "cross_attention" else {}
        return super().published(**heads, **changes)

    @model_validator(mode="after")
    def _heads_of_attention(self) -> Self:
        if (
            self.fusion != "cross_attention"
            and self.heads != type(self).model_fields["heads"].default
        ):
            raise ValueError(f"heads are those of fusion=cross_attention; {self.fusion} has none")
        return self


class PixelRecNetwork(nn.Module):
    """Inputs of both networks.

    Parameters
    ----------
    settings
        See :class:`PixelRecSettings`.
    widths
        Channels of the features by catalog name.
    encoders
        Encoders to train with the network.
    """

    def __init__(
        self, settings: Any, widths: Mapping[str, int], encoders: TrainableEncoders
    ) -> None:
        super().__init__()
        self.settings = settings
        width, hiding = settings.width, settings.modality_dropout
        # Image and texts give tokens, metadata one vector.
        self.streams: Any = nn.ModuleDict()
        if "image" in settings.modalities:
            self.streams["image"] = ImageTokens(widths, width, hiding, encoders.image)
        for name in (each for each in _TEXTS if each in settings.modalities):
            network = copy.deepcopy(encoders.caption)
            self.streams[name] = CaptionTokens(widths, width, hiding, network, name)
        self.metadata = None
        if "metadata" in settings.modalities:
            facts = metadata_encoder(widths["metadata"], width, settings.dropout)
            self.metadata = VectorInput("metadata", "metadata", facts, width, hiding)

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """Fine-tuned encoders with their own learning rates, the rest with ``learning_rate``."""
        rates = {"image": self.settings.image_learning_rate}
        modules = [
            (stream.network, rates.get(name, self.settings.text_learning_rate))
            for name, stream in self.streams.items()
        ]
        return grouped_parameters(self, modules, learning_rate)

    def tokens(self, batch: Batch, hidden: Collection[str]) -> dict[str, tuple[Tensor, Tensor]]:
        """Tokens (b, t, width) and mask (b, t) of image and texts."""
        return {name: stream(batch, hidden) for name, stream in self.streams.items()}


class RegressorNetwork(PixelRecNetwork):
    """Section 4.3: early bidirectional attention, pooling, gated fusion, transformer, scalar.

    The transformer reads the gated vector together with those of the modalities, since a single
    vector has nothing to attend to.

    Parameters
    ----------
    settings, widths, encoders
        As in :class:`PixelRecNetwork`.
    scale
        Mean and standard deviation of the training posts' targets.
    """

    def __init__(
        self,
        settings: RegressorSettings,
        widths: Mapping[str, int],
        encoders: TrainableEncoders,
        scale: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        super().__init__(settings, widths, encoders)
        width = settings.width

        def block() -> AttentionBlock:
            return AttentionBlock(width, settings.heads, nn.GELU, settings.dropout)

        texts = [name for name in _TEXTS if name in self.streams]
        self.segments = nn.ParameterDict(
            {name: nn.Parameter(torch.randn(width) * 0.02) for name in texts}
        )
        both = "image" in self.streams and bool(texts)
        self.image_to_text = block() if both else None
        self.text_to_image = block() if both else None
        self.pools = nn.ModuleDict({name: AttentionPooling(width) for name in self.streams})
        self.gate = GatedFusion(len(settings.modalities), width)
        self.layers = nn.ModuleList(block() for _ in range(settings.fusion_layers))
        self.head = nn.Sequential(nn.LayerNorm(width), mlp(width, 2 * width, 1, settings.dropout))
        self.scale: Tensor
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32))

    def forward(self, batch: Batch, hidden: Collection[str] = ()) -> Tensor:
        """Predict log popularity.

        Parameters
        ----------
        batch
            Features as :meth:`evoked.features.table.FeatureTable.take` gives them.
        hidden
            Modalities (image, caption, metadata) to replace by a placeholder; caption means all
            texts.

        Returns
        -------
        Tensor
            (b, 1), the target in its own unit; outside training at least 0, like the target.
        """
        mean, deviation = self.scale
        predicted = mean + deviation * self.head(self.fused_vectors(batch, hidden)).float()
        return predicted if self.training else predicted.clamp_min(0)

    def fused_vectors(self, batch: Batch, hidden: Collection[str] = ()) -> Tensor:
        """Input of the head, (b, width)."""
        vectors = torch.stack(list(self._vectors(batch, hidden).values()), dim=1)
        states = torch.cat([self.gate(vectors)[:, None], vectors], dim=1)
        mask = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
        for layer in self.layers:
            states, _ = layer(states, states, mask)
        return states[:, 0]

    def shared_vectors(self, batch: Batch) -> Tensor:
        """Pooled image and the mean of the texts that a post has, pooled, (b, 2, width), before
        they attend to each other."""
        pooled = {
            name: self.pools[name](*tokens) for name, tokens in self.tokens(batch, ()).items()
        }
        image = pooled.pop("image")
        texts = torch.stack(list(pooled.values()), dim=1)
        has = torch.stack([self.streams[name].present(batch) for name in pooled], dim=1)
        # Of a post without any text, the placeholders.
        return torch.stack([image, mean_pool(texts, has | ~has.any(dim=1, keepdim=True))], dim=1)

    def criterion(self, predicted: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """0.7 MSE + 0.3 Huber by default, of targets standardised with the training posts: in their
        own unit, the Huber term would depend on the dataset."""
        mean, deviation = self.scale
        guess, truth = (predicted - mean) / deviation, (targets - mean) / deviation
        squared = masked_mean((guess - truth) ** 2, weights)
        share = self.settings.huber_share
        return (1 - share) * squared + share * masked_huber(guess, truth, weights, delta=1.0)

    def validation_score(self, predicted: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """R², by which the report chooses its best model; minus the MSE if targets don't vary."""
        known = (weights > 0).float()
        variance = masked_mean((targets - masked_mean(targets, known)) ** 2, known)
        error = masked_mean((predicted - targets) ** 2, known)
        return 1 - error / variance if variance > 0 else -error

    def _vectors(self, batch: Batch, hidden: Collection[str]) -> dict[str, Tensor]:
        """One vector (b, width) per modality."""
        tokens = self.tokens(batch, hidden)
        if self.image_to_text is not None and self.text_to_image is not None:
            image, image_mask = tokens["image"]
            text = torch.cat([tokens[name][0] + self.segments[name] for name in self.segments], 1)
            text_mask = torch.cat([tokens[name][1] for name in self.segments], dim=1)
            seen, _ = self.image_to_text(image, text, text_mask)
            read, _ = self.text_to_image(text, image, image_mask)
            lengths = [tokens[name][1].shape[1] for name in self.segments]
            parts = zip(self.segments, read.split(lengths, dim=1), strict=True)
            tokens = {"image": (seen, image_mask)} | {
                name: (part, tokens[name][1]) for name, part in parts
            }
        vectors = {name: self.pools[name](*each) for name, each in tokens.items()}
        if self.metadata is not None:
            vectors["metadata"] = self.metadata(batch, hidden)
        return vectors


class ClassifierNetwork(PixelRecNetwork):
    """Section 4.1: image and text, one of three fusions, a light head; parameters as of
    :class:`PixelRecNetwork`."""

    def __init__(
        self,
        settings: ClassifierSettings,
        widths: Mapping[str, int],
        encoders: TrainableEncoders,
        classes: int,
    ) -> None:
        super().__init__(settings, widths, encoders)
        width, fusion = settings.width, settings.fusion

        def block() -> AttentionBlock:
            return AttentionBlock(width, settings.heads, nn.GELU, settings.dropout)

        crossed = fusion == "cross_attention" and {"image", "text"} <= set(self.streams)
        self.image_to_text = block() if crossed else None
        self.text_to_image = block() if crossed else None
        count = len(settings.modalities)
        self.gate = GatedFusion(count, width) if fusion == "gated" else None
        fused = width if fusion == "gated" else count * width
        self.head = nn.Sequential(
            nn.LayerNorm(fused), mlp(fused, 2 * width, classes, settings.dropout)
        )

    def forward(self, batch: Batch, hidden: Collection[str] = ()) -> Tensor:
        """Probabilities (b, classes); parameters as of :meth:`RegressorNetwork.forward`."""
        scores: Tensor = self.head(self.fused_vectors(batch, hidden))
        return scores.float().softmax(dim=-1)

    def fused_vectors(self, batch: Batch, hidden: Collection[str] = ()) -> Tensor:
        """Input of the head, (b, fused)."""
        tokens = self.tokens(batch, hidden)
        if self.image_to_text is not None and self.text_to_image is not None:
            (image, image_mask), (text, text_mask) = tokens["image"], tokens["text"]
            tokens["image"] = self.image_to_text(image, text, text_mask)[0], image_mask
            tokens["text"] = self.text_to_image(text, image, image_mask)[0], text_mask
        vectors = [mean_pool(*each) for each in tokens.values()]
        if self.metadata is not None:
            vectors.append(self.metadata(batch, hidden))
        if self.gate is None:
            return torch.cat(vectors, dim=-1)
        fused: Tensor = self.gate(torch.stack(vectors, dim=1))
        return fused

    def shared_vectors(self, batch: Batch) -> Tensor:
        """Pooled image and text, (b, 2, width), before they attend to each other."""
        tokens = self.tokens(batch, ())
        return torch.stack([mean_pool(*tokens[name]) for name in ("image", "text")], dim=1)

    def criterion(self, predicted: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Cross-entropy of predicted probabilities; a post has the weight of its first column."""
        losses = -(targets * predicted.clamp_min(_LEAST_PROBABILITY).log()).sum(dim=-1)
        return masked_mean(losses, weights[:, 0])


class PixelRecNeural(FinetuningModel):
    """What the models of both networks share."""

    settings: RegressorSettings | ClassifierSettings

    @property
    def parts(self) -> Collection[str]:
        named = {"text" if name in _TEXTS else name for name in self.settings.modalities}
        return named & {"image", "text"}

    @property
    def features(self) -> list[str]:
        names = {"image": "image.pixels" if self.settings.finetune else "image.map"}
        part = "ids" if self.settings.finetune else "tokens"
        names |= {text: f"{text}.{part}" for text in _TEXTS}
        return [names.get(modality, modality) for modality in self.settings.modalities]

    def build(self, widths: dict[str, int]) -> nn.Module:
        texts = [name for name in _TEXTS if name in self.settings.modalities]
        wanted = {"image"} & set(self.settings.modalities) | ({"caption"} if texts else set())
        encoders = trainable_encoders(
            wanted if self.settings.finetune else (),
            self.feature_settings,
            self.settings.activation_checkpointing,
        )
        if "caption.tokens" in encoders.widths:
            channels = encoders.widths["caption.tokens"]
            encoders.widths |= {f"{name}.tokens": channels for name in texts}
        return self._network(widths | encoders.widths, encoders)

    def modal_vectors(self, examples: Examples) -> NDArray[np.float32] | None:
        has_text = bool(set(_TEXTS) & set(self.settings.modalities))
        if not has_text or "image" not in self.settings.modalities or not len(examples):
            return None
        return self._outputs(examples, "shared_vectors")

    def fused_vectors(self, examples: Examples) -> NDArray[np.float32] | None:
        return self._outputs(examples, "fused_vectors") if len(examples) else None

    @abstractmethod
    def _network(self, widths: Mapping[str, int], encoders: TrainableEncoders) -> nn.Module:
        """The model's own network."""


class PixelRecRegressor(PixelRecNeural):
    """Log popularity from image, title and context."""

    name = "pixelrec_regressor"
    description = "cross-modal attention and a gate over image, title and context: log popularity"
    source = "PixelRec report, Section 4.3"
    tasks = ("popularity",)
    Settings = RegressorSettings

    settings: RegressorSettings

    def __init__(
        self,
        settings: RegressorSettings | None = None,
        feature_settings: FeatureSettings | None = None,
        task: str | None = None,
    ) -> None:
        super().__init__(settings, feature_settings, task)
        # Mean and standard deviation of the training posts' targets; a loaded network has its own.
        self._scale = (0.0, 1.0)

    def fit(
        self,
        train: Examples,
        validation: Examples | None = None,
        *,
        folder: Path,
        training: TrainingSettings | None = None,
        progress: Callable[[EpochRecord], None] | None = None,
    ) -> list[EpochRecord]:
        values = self._learn_targets(train)
        mean, deviation = float(np.nanmean(values)), float(np.nanstd(values))
        self._scale = mean, deviation or 1.0
        return super().fit(train, validation, folder=folder, training=training, progress=progress)

    def _network(self, widths: Mapping[str, int], encoders: TrainableEncoders) -> nn.Module:
        return RegressorNetwork(self.settings, widths, encoders, self._scale)


class PixelRecClassifier(PixelRecNeural):
    """Five levels of engagement from image and text."""

    name = "pixelrec_classifier"
    description = "image and text by concatenation, cross-attention or a gate: five levels"
    source = "PixelRec report, Section 4.1 and Table 1"
    tasks = ("level", "level_scaled")
    Settings = ClassifierSettings

    settings: ClassifierSettings

    def _network(self, widths: Mapping[str, int], encoders: TrainableEncoders) -> nn.Module:
        return ClassifierNetwork(self.settings, widths, encoders, len(self.targets))

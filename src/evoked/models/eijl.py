"""EIJL: how often a post is shared, from emotional interaction and joint learning.

Leng and Yan (2025), *EIJL: Popularity Prediction of Social Media Advertisements Based on Multimodal
Emotional Interaction and Joint Learning*. For one post: log(1 + shares), and one of 13 classes of
it.

Reading order follows Figure 4: text and image vectors (Section 4), CNNs with pooling, attention
over both, the emotional interaction layer (Eq. 2), joint learning (Section 4.2). What the paper
leaves open, and what we add, is marked *ours*.

**Two protocols, never mixed.** The paper's likability is the number of likes, which nobody knows
before posting. ``protocol: published`` reads the post's own likes, as the paper does: it explains
published posts, and its errors say nothing about drafts. ``protocol: draft``, the default (ours),
never reads them to predict: from the training posts' likes, the network learns to predict
likability from the content, or it does without.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn

from evoked.features.likability import Likability
from evoked.features.table import Batch, Column, FeatureTable
from evoked.layers.attention import AttentionBlock
from evoked.layers.gathering import gathered
from evoked.layers.heads import mlp
from evoked.layers.losses import masked_huber, masked_log_loss
from evoked.layers.tokens import VectorInput, layer_norm, shown
from evoked.models.base import Examples
from evoked.models.finetuning import (
    FinetuningModel,
    FinetuningSettings,
    TrainableEncoders,
    grouped_parameters,
    trainable_encoders,
)
from evoked.targets.shares import SHARE_CLASSES, Shares
from evoked.training.records import EpochRecord
from evoked.training.settings import TrainingSettings

EncodedModality = Literal["caption", "image"]
# The paper reads title and main text; "text" holds both, and further tags.
_VECTORS: dict[str, str] = {"caption": "text.vector", "image": "image.vector"}
_TRAINED: dict[str, str] = {"caption": "text.ids", "image": "image.pixels"}
# A feature of training posts only; no catalog has it and no other part of a run computes it.
_TRAINING_LIKES = "likability.training"

_LIKES_KNOWN = (
    "Published protocol: it reads the likes that a post already has, as in the paper. Its scores "
    "say nothing about drafts, whose likes nobody knows."
)

# The five levels of text emotion as an intensity.
_LEVELS = (-1.0, -0.5, 0.0, 0.5, 1.0)
# Columns of affect.face about emotion: whether there is a face, whether it smiles, and other
# expressions if the face encoder knows them.
_FACE_PRESENT, _FACE_SMILE, _FACE_EXPRESSIONS = 3, 2, 4


class EIJLSettings(FinetuningSettings):
    """Settings of EIJL. The paper gives no sizes: all of them are ours."""

    modalities: tuple[EncodedModality, ...] = Field(
        ("caption", "image"), description="vectors that the network looks at"
    )
    cnn: Literal["separate", "joint", "none"] = Field(
        "separate",
        description="a CNN for each vector, one over both end to end, or none (Table 2)",
    )
    attention: bool = Field(
        True, description="attention over what the CNNs leave of both (Section 4)"
    )
    joint_learning: bool = Field(
        True, description="let the 13 classes help the regression (Section 4.2)"
    )
    emotional_interaction: bool = Field(True, description="emotional interaction layer (Eq. 2)")
    protocol: Literal["draft", "published"] = Field(
        "draft",
        description="published: likability is the post's own likes, which are unknown before "
        "posting (as in the paper); draft: likability is predicted or left out",
    )
    likability: Literal["predicted", "none"] = Field(
        "predicted",
        description="draft protocol: likability predicted from the content, or left out",
    )
    width: int = Field(16, ge=8, description="channels of the CNNs")
    kernel: int = Field(5, ge=1, le=31, description="entries of a vector that a filter spans")
    # With 16 positions, pooling lost most of a vector: on 600 synthetic posts, R² of
    # log(1 + shares) was 0.01; with 96 it is 0.06 (ridge regression: 0.09).
    positions: int = Field(
        96, ge=1, le=256, description="positions that pooling leaves of each vector"
    )
    heads: int = Field(4, ge=1, description="attention heads")
    dropout: float = Field(0.1, ge=0, lt=1)
    modality_dropout: float = Field(
        0.05, ge=0, lt=1, description="probability that a modality is hidden in training"
    )
    normalise: bool = Field(
        True, description="layer norms of the vectors, of the content and in attention (ours)"
    )
    class_weight: float = Field(0.3, ge=0, description="weight of the classification loss")
    likability_weight: float = Field(
        0.3, ge=0, description="weight of the loss of predicted likability"
    )
    image_learning_rate: float = Field(
        1e-5, gt=0, description="when fine-tuning, of the encoder of pictures"
    )
    caption_learning_rate: float = Field(
        1e-5, gt=0, description="when fine-tuning, of the encoder of captions"
    )

    @classmethod
    def published(cls, **changes: Any) -> Self:
        """As in the paper, as far as it says: likes known where the layer reads them, and nothing
        of ours. It names neither sizes nor weights of losses: they stay ours."""
        reads_likes = changes.get("emotional_interaction", True)
        protocol = "published" if reads_likes else "draft"
        ours_off = {"normalise": False, "dropout": 0.0, "modality_dropout": 0.0}
        return cls(**{"protocol": protocol, **ours_off, **changes})

    @field_validator("modalities")
    @classmethod
    def _something(cls, modalities: tuple[EncodedModality, ...]) -> tuple[EncodedModality, ...]:
        if not modalities:
            raise ValueError("needs at least one of 'caption' and 'image'")
        return modalities

    @model_validator(mode="after")
    def _reads_likes(self) -> EIJLSettings:
        if self.protocol == "published" and not self.emotional_interaction:
            raise ValueError("'published' needs emotional_interaction, which reads the likes")
        return self

    @property
    def likes(self) -> Literal["known", "predicted", "none"]:
        """Where likability comes from."""
        if not self.emotional_interaction:
            return "none"
        return "known" if self.protocol == "published" else self.likability


class EIJL(FinetuningModel):
    """Emotional interaction and joint learning."""

    name = "eijl"
    description = (
        "CNNs over text and image vectors, emotional interaction, 13 classes beside the "
        "regression; drafts by default (protocol=published reads the post's own likes)"
    )
    source = "Leng and Yan 2025"
    tasks = (Shares.name,)
    Settings = EIJLSettings

    settings: EIJLSettings

    # Mean and standard deviation of the training posts' log(1 + shares).
    _scale = (0.0, 1.0)

    @property
    def parts(self) -> Collection[str]:
        return self.settings.modalities

    @property
    def features(self) -> list[str]:
        encoded = _TRAINED if self.settings.finetune else _VECTORS
        names = [encoded[modality] for modality in self.settings.modalities]
        if self.settings.emotional_interaction:
            names += ["sentiment.text", "affect.face"]
        if self.settings.likes == "known":
            names.append("likability.known")
        return names

    @property
    def caution(self) -> str:
        return _LIKES_KNOWN if self.settings.likes == "known" else ""

    def fit(
        self,
        train: Examples,
        validation: Examples | None = None,
        *,
        folder: Path,
        training: TrainingSettings | None = None,
        progress: Callable[[EpochRecord], None] | None = None,
    ) -> list[EpochRecord]:
        self._scale = _mean_and_spread(self._learn_targets(train)[:, 0])
        if self.settings.likes == "predicted":
            train = _with_likes(train)
        return super().fit(train, validation, folder=folder, training=training, progress=progress)

    def build(self, widths: dict[str, int]) -> nn.Module:
        wanted = self.settings.modalities if self.settings.finetune else ()
        encoders = trainable_encoders(
            wanted, self.feature_settings, self.settings.activation_checkpointing
        )
        return EIJLNetwork(self.settings, widths | encoders.widths, encoders, self._scale)

    def fused_vectors(self, examples: Examples) -> NDArray[np.float32] | None:
        if not len(examples):
            return None
        return self._outputs(examples, "fused_vectors")


class EIJLNetwork(nn.Module):
    """The network of Figure 4.

    Parameters
    ----------
    settings
        See :class:`EIJLSettings`.
    widths
        Lengths of ``text.vector``, ``image.vector`` and ``affect.face``.
    encoders
        Encoders to train with the network.
    scale
        Mean and standard deviation of log(1 + shares) among the training posts.
    """

    target_mean: Tensor
    target_spread: Tensor

    def __init__(
        self,
        settings: EIJLSettings,
        widths: Mapping[str, int],
        encoders: TrainableEncoders,
        scale: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        super().__init__()
        self.settings = settings
        self.encoders: Any = nn.ModuleDict(
            {
                name: network
                for name in settings.modalities
                if (network := getattr(encoders, name)) is not None
            }
        )
        self.register_buffer("target_mean", torch.tensor([scale[0]]))
        self.register_buffer("target_spread", torch.tensor([scale[1]]))

        # Text and image vectors; a learned placeholder where one is missing (ours).
        lengths = {name: widths[_VECTORS[name]] for name in settings.modalities}
        self.inputs: Any = nn.ModuleDict(
            {
                name: VectorInput(
                    _VECTORS[name],
                    name,
                    layer_norm(length, settings.normalise),
                    length,
                    settings.modality_dropout,
                )
                for name, length in lengths.items()
            }
        )

        # CNNs and pooling; attention over what they leave.
        self.content = (
            None if settings.cnn == "none" else ConvolvedContent(settings, len(self.inputs))
        )
        width, fused = settings.width, 4 * settings.width
        self.fuse = nn.Sequential(
            nn.Linear(self.content.outputs if self.content else sum(lengths.values()), fused),
            layer_norm(fused, settings.normalise),
            nn.ReLU(),
            nn.Dropout(settings.dropout),
        )

        # Emotional interaction (Eq. 2).
        self.interaction = (
            EmotionalInteraction(
                fused, settings.likes != "none", 2 + widths["affect.face"] - _FACE_EXPRESSIONS
            )
            if settings.emotional_interaction
            else None
        )
        self.guess_likability = (
            mlp(fused, width, 1, settings.dropout) if settings.likes == "predicted" else None
        )
        # Loss of the last batch, in training.
        self.likability_loss: Tensor | None = None

        # Joint learning (Section 4.2): regression and classification of the shared vector.
        self.regression = mlp(fused, 2 * width, 1, settings.dropout)
        self.classification = mlp(fused, 2 * width, SHARE_CLASSES, settings.dropout)

    def forward(self, batch: Batch, hidden: Collection[str] = ()) -> Tensor:
        """Predict shares.

        Parameters
        ----------
        batch
            Features as :meth:`evoked.features.table.FeatureTable.take` gives them.
        hidden
            Modalities (image, caption, metadata) to replace by a placeholder; metadata hides known
            likes.

        Returns
        -------
        Tensor
            (b, 14) in the order of :data:`evoked.targets.shares.Shares.columns`: log(1 + shares),
            never negative outside training, and the probabilities of the classes.
        """
        fused = self.fused_vectors(batch, hidden)
        logs = self.target_mean + self.target_spread * self.regression(fused)
        if not self.training:
            logs = logs.clamp_min(0)
        # Without joint learning the classes don't shape the vector: the gradient ends here.
        seen = fused if self.settings.joint_learning else fused.detach()
        return torch.cat([logs, self.classification(seen).softmax(dim=-1)], dim=-1)

    def fused_vectors(self, batch: Batch, hidden: Collection[str] = ()) -> Tensor:
        """Input of both heads, (b, fused): φ_emo of Eq. 2, or φ without emotional interaction."""
        if self.encoders:
            batch = batch | self._encoded(batch)
        vectors = [each(batch, hidden) for each in self.inputs.values()]
        content = torch.cat(vectors, dim=-1) if self.content is None else self.content(vectors)
        fused: Tensor = self.fuse(content)
        if self.interaction is None:
            return fused
        interacted: Tensor = self.interaction(
            fused,
            text_emotion(batch, hidden),
            image_emotion(batch, hidden),
            self._likability(fused, batch, hidden),
        )
        return interacted

    def criterion(self, predicted: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Scalar loss of predictions, targets and their weights, all (b, 14).

        Huber loss of log(1 + shares) in standard deviations, close to the absolute error (Eq. 3),
        whose best prediction remains the median when converted to shares; with joint learning, plus
        the cross-entropy of the classes; in training, plus the loss of predicted likability.
        """
        settings, spread = self.settings, self.target_spread
        known = weights[:, 0]
        loss = masked_huber(predicted[:, 0] / spread, targets[:, 0] / spread, known, delta=0.25)
        if settings.joint_learning or self.training:
            classes = masked_log_loss(predicted[:, 1:], targets[:, 1:], weights[:, 1:])
            loss = loss + settings.class_weight * classes
        if self.training and self.likability_loss is not None:
            loss = loss + settings.likability_weight * self.likability_loss
        return loss

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """Encoders with their own learning rates, everything else with ``learning_rate``."""
        rates = {
            "image": self.settings.image_learning_rate,
            "caption": self.settings.caption_learning_rate,
        }
        trained = [(network, rates[name]) for name, network in self.encoders.items()]
        return grouped_parameters(self, trained, learning_rate)

    def _encoded(self, batch: Batch) -> Batch:
        """The vectors of trained encoders, in the form that a batch has frozen ones."""
        encoded: Batch = {}
        if "image" in self.encoders:
            normalise, network = self.encoders["image"]
            encoded["image.vector"] = network.features(normalise(batch["image.pixels"]))[1]
            encoded["image.vector.present"] = batch["image.pixels.present"]
        if "caption" in self.encoders:
            mask, present = batch["text.ids.mask"], batch["text.ids.present"]
            # A text without tokens is masked entirely, which attention can't handle.
            encoded["text.vector"] = self.encoders["caption"].vector(
                batch["text.ids"], mask | ~present[:, None]
            )
            encoded["text.vector.present"] = present
        return encoded

    def _likability(self, fused: Tensor, batch: Batch, hidden: Collection[str]) -> Tensor | None:
        """Standardised log(1 + likes), (b, 1): known (0, the mean, where unknown) or predicted."""
        if self.settings.likes == "known":
            return _where_shown(batch, "likability.known", "metadata" in hidden)
        if self.guess_likability is None:
            return None
        guessed: Tensor = self.guess_likability(fused)
        if self.training and _TRAINING_LIKES in batch:
            known = batch[f"{_TRAINING_LIKES}.present"].float()[:, None]
            self.likability_loss = masked_huber(
                gathered(guessed), gathered(batch[_TRAINING_LIKES]), gathered(known), delta=1.0
            )
        # It stands for likes, so only likes shape it.
        return guessed.detach()


class ConvolvedContent(nn.Module):
    """CNN and pooling, for each vector or for all end to end, and attention over the result.

    Attributes
    ----------
    outputs
        Length of the result.
    """

    def __init__(self, settings: EIJLSettings, vectors: int) -> None:
        super().__init__()
        self.joint = settings.cnn == "joint"
        parts = [settings.positions * vectors] if self.joint else [settings.positions] * vectors
        self.cnns = nn.ModuleList(
            VectorCNN(settings.width, settings.kernel, positions) for positions in parts
        )
        self.outputs = sum(parts) * settings.width
        self.position = nn.Parameter(torch.randn(sum(parts), settings.width) * 0.02)
        self.attention = (
            AttentionBlock(
                settings.width, settings.heads, nn.ReLU, settings.dropout, settings.normalise
            )
            if settings.attention
            else None
        )

    def forward(self, vectors: list[Tensor]) -> Tensor:
        """Vectors (b, their length) to (b, outputs)."""
        if self.joint:
            vectors = [torch.cat(vectors, dim=-1)]
        pooled = [cnn(vector) for cnn, vector in zip(self.cnns, vectors, strict=True)]
        tokens = torch.cat(pooled, dim=1) + self.position
        if self.attention is None:
            return tokens.flatten(1)
        everywhere = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        attended: Tensor = self.attention(tokens, tokens, everywhere)[0]
        return attended.flatten(1)


class VectorCNN(nn.Module):
    """A convolution along a vector, and pooling.

    Parameters
    ----------
    width
        Number of filters.
    kernel
        Entries that a filter spans.
    positions
        Number of parts of the vector; the strongest response within each is kept.
    """

    def __init__(self, width: int, kernel: int, positions: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(1, width, kernel, padding="same"),
            nn.ReLU(),
            nn.AdaptiveMaxPool1d(positions),
        )

    def forward(self, vector: Tensor) -> Tensor:
        """(b, length) to (b, positions, width)."""
        pooled: Tensor = self.layers(vector[:, None]).transpose(1, 2)
        return pooled


class EmotionalInteraction(nn.Module):
    """Eq. 2: φ + ω₁·txt_emo + ω₂·img_emo + ω₃·likability.

    Each ω is a learned vector as long as φ that starts at zero. Image emotion is several numbers
    here, each with a vector of its own (ours): whether there is a face, which is all that the paper
    uses in effect, how much it smiles, and other expressions.
    """

    def __init__(self, width: int, likability: bool, of_image: int = 2) -> None:
        super().__init__()
        self.text = nn.Parameter(torch.zeros(1, width))
        self.image = nn.Parameter(torch.zeros(of_image, width))
        self.likability = nn.Parameter(torch.zeros(1, width)) if likability else None

    def forward(
        self, fused: Tensor, text: Tensor, image: Tensor, likability: Tensor | None
    ) -> Tensor:
        """φ_emo (b, width) from φ (b, width), text emotion (b, 1), image emotion (b, of_image) and
        likability (b, 1) or None."""
        interacted = fused + text @ self.text + image @ self.image
        if self.likability is not None and likability is not None:
            interacted = interacted + likability @ self.likability
        return interacted


def text_emotion(batch: Batch, hidden: Collection[str] = ()) -> Tensor:
    """The level of ``sentiment.text`` as -1, -1/2, 0, 1/2 or 1, (b, 1); 0 where it is unknown."""
    levels = _where_shown(batch, "sentiment.text", "caption" in hidden)[:, 1:]
    return levels @ levels.new_tensor(_LEVELS)[:, None]


def image_emotion(batch: Batch, hidden: Collection[str] = ()) -> Tensor:
    """Whether there is a face on the cover, how much it smiles, and with the face encoder 'fer' the
    probability of each expression, (b, 2) or (b, 9); 0 without a face."""
    face = _where_shown(batch, "affect.face", "image" in hidden)
    return torch.cat([face[:, [_FACE_PRESENT, _FACE_SMILE]], face[:, _FACE_EXPRESSIONS:]], dim=1)


def _where_shown(batch: Batch, feature: str, hidden: bool) -> Tensor:
    kept = shown(batch[f"{feature}.present"], hidden, 0.0)
    return batch[feature] * kept[:, None]


def _with_likes(examples: Examples) -> Examples:
    """Training posts with their likes, which the network learns to predict."""
    likes = Likability.fit(examples.posts).transform(examples.posts)
    column = Column.dense(likes, np.isfinite(likes[:, 0]))
    return replace(
        examples, features=FeatureTable({**examples.features.columns, _TRAINING_LIKES: column})
    )


def _mean_and_spread(values: NDArray[np.float32]) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if not len(known):
        return (0.0, 1.0)
    return (float(known.mean()), float(known.std()) or 1.0)

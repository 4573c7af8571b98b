"""ABMF: attention-based multimodal emotion and engagement.

Lu and Li (2025), *Attention-Based Multimodal Emotion Recognition for Fine-Grained Visual Ad
Engagement Prediction on Instagram*. For one post: valence, arousal and four engagement rates.

Reading order follows Figure 1: image and text streams (Table 1), cross-modal attention (Eq. 1) in
its early and late form (Section 3.3), emotion head, engagement head, multi-task loss. What the
paper leaves open is marked *ours*.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, field_validator
from torch import Tensor, nn

from evoked.features.table import Batch
from evoked.layers.attention import AttentionBlock, AttentionPooling, SpatialAttention
from evoked.layers.losses import MultiTaskLoss, concordance_loss, masked_huber
from evoked.models.base import Examples, ModelSettings, NeuralModel
from evoked.targets import EMOTION_TARGETS, TARGETS
from evoked.training.loop import predict_network

Modality = Literal["image", "objects", "caption", "hashtags", "metadata"]
MODALITIES: tuple[Modality, ...] = ("image", "objects", "caption", "hashtags", "metadata")

# A picture has at most this many positions: 512 pixels at a stride of 16.
_MAX_POSITIONS = 1024
_METADATA_WIDTH = 128  # Table 4


class ABMFSettings(ModelSettings):
    """Settings of ABMF. The defaults suit heads on frozen encoders; :meth:`published` gives the
    paper's sizes."""

    width: int = Field(64, ge=8, description="channels of the shared space (paper: 1024)")
    heads: int = Field(4, ge=1, description="attention heads")
    dropout: float = Field(0.1, ge=0, lt=1)
    modalities: tuple[Modality, ...] = Field(
        MODALITIES, description="what the network looks at; the others are left out altogether"
    )
    spatial_attention: bool = Field(True, description="weigh the image's positions (Table 1)")
    textual_self_attention: bool = Field(True, description="contextual self-attention (Table 1)")
    cross_modal_attention: bool = Field(True, description="bidirectional attention (Eq. 1)")
    early_fusion: bool = Field(True, description="concatenate before the attention (Section 3.3)")
    late_fusion: bool = Field(True, description="attend per modality, then combine")
    finetune: bool = Field(False, description="train the image and text encoders as well")
    modality_dropout: float = Field(
        0.05, ge=0, lt=1, description="chance that a modality is hidden in training (ours)"
    )
    emotion_weight: float = Field(1.0, ge=0, description="of the emotion losses")
    engagement_weight: float = Field(1.0, ge=0, description="of the engagement losses")
    uncertainty_weighting: bool = Field(False, description="learn the tasks' weights")
    estimated_weight: float = Field(
        0.5, ge=0, le=1, description="of valence and arousal that a reader estimated"
    )
    # Table 4; used when the encoders are fine-tuned.
    image_learning_rate: float = Field(5e-5, gt=0)
    objects_learning_rate: float = Field(3e-5, gt=0)
    caption_learning_rate: float = Field(2e-5, gt=0)
    hashtags_learning_rate: float = Field(1e-4, gt=0)
    metadata_learning_rate: float = Field(5e-4, gt=0)

    @field_validator("modalities")
    @classmethod
    def _some_content(cls, modalities: tuple[Modality, ...]) -> tuple[Modality, ...]:
        if not {"image", "caption"} & set(modalities):
            raise ValueError("needs at least one of 'image' and 'caption'")
        if "objects" in modalities and "image" not in modalities:
            raise ValueError("'objects' stand beside the image's positions and need 'image'")
        return modalities

    @classmethod
    def published(cls, **changes: Any) -> ABMFSettings:
        """The paper's configuration (Tables 1 and 4): 1024 channels, encoders fine-tuned."""
        return cls(**{"width": 1024, "heads": 8, "finetune": True, **changes})


class ABMF(NeuralModel):
    """Attention-based multimodal framework for emotion and engagement."""

    name = "abmf"
    description = "spatial, textual and cross-modal attention over image, caption and metadata"
    source = "Lu and Li 2025"
    Settings = ABMFSettings

    @property
    def features(self) -> list[str]:
        finetune = self.settings.finetune
        names = {
            "image": "image.pixels" if finetune else "image.map",
            "objects": "image.objects",
            "caption": "caption.ids" if finetune else "caption.tokens",
            "hashtags": "hashtags.vector",
            "metadata": "metadata",
        }
        return [names[modality] for modality in self.settings.modalities]

    @property
    def estimated_weight(self) -> float:
        return float(self.settings.estimated_weight)

    def modal_vectors(self, examples: Examples) -> NDArray[np.float32] | None:
        if not {"image", "caption"} <= set(self.settings.modalities) or not len(examples):
            return None
        return predict_network(self.network, examples.features, method="shared_vectors")

    def build(self, widths: dict[str, int]) -> nn.Module:
        from evoked.features.encoders.registry import image_encoder, text_encoder

        image = text = None
        widths = dict(widths)
        if self.settings.finetune and "image" in self.settings.modalities:
            encoder = image_encoder(self.feature_settings.image_encoder)
            image = nn.Sequential(_Normalise(encoder), encoder.network())
            widths["image.map"] = encoder.map_channels
        if self.settings.finetune and "caption" in self.settings.modalities:
            language = text_encoder(
                self.feature_settings.text_encoder, self.feature_settings.max_tokens
            )
            text = language.network()
            widths["caption.tokens"] = language.token_channels
        return ABMFNetwork(self.settings, widths, image, text)


class ABMFNetwork(nn.Module):
    """The network of Figure 1.

    Parameters
    ----------
    settings
        See :class:`ABMFSettings`.
    widths
        Channels of the features by catalog name.
    image_network, text_network
        Encoders to train along: pixels to a map, token ids and mask to token vectors.
    """

    def __init__(
        self,
        settings: ABMFSettings,
        widths: dict[str, int],
        image_network: nn.Module | None = None,
        text_network: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.image_network, self.text_network = image_network, text_network
        width, uses = settings.width, set(settings.modalities)

        def block(activation: type[nn.Module]) -> AttentionBlock:
            return AttentionBlock(width, settings.heads, activation, settings.dropout)

        # Image stream: positions, objects beside them, spatial attention.
        self.image_input = _project(widths.get("image.map"), width) if "image" in uses else None
        self.object_input = (
            _project(widths.get("image.objects"), width) if "objects" in uses else None
        )
        self.image_position = nn.Parameter(torch.randn(_MAX_POSITIONS, width) * 0.02)
        self.image_placeholder = nn.Parameter(torch.randn(width) * 0.02)
        self.spatial = SpatialAttention(width) if settings.spatial_attention else None

        # Text stream: caption tokens, hashtags as one token more, contextual self-attention.
        self.text_input = (
            _project(widths.get("caption.tokens"), width) if "caption" in uses else None
        )
        self.hashtag_input = (
            _project(widths.get("hashtags.vector"), width) if "hashtags" in uses else None
        )
        self.text_placeholder = nn.Parameter(torch.randn(width) * 0.02)
        self.hashtag_placeholder = nn.Parameter(torch.randn(width) * 0.02)
        self.textual = block(nn.GELU) if settings.textual_self_attention else None

        # Metadata encoder, 128-d (Table 4).
        self.metadata_input = None
        if "metadata" in uses:
            self.metadata_input = nn.Sequential(
                nn.Linear(widths["metadata"], _METADATA_WIDTH),
                nn.LayerNorm(_METADATA_WIDTH),
                nn.ReLU(),
                nn.Dropout(settings.dropout),
                nn.Linear(_METADATA_WIDTH, _METADATA_WIDTH),
            )
        self.metadata_placeholder = nn.Parameter(torch.zeros(_METADATA_WIDTH))

        # Cross-modal attention (Eq. 1): bidirectional, LeakyReLU in the feed-forward.
        crosses = settings.cross_modal_attention
        self.image_to_text = block(nn.LeakyReLU) if crosses and settings.late_fusion else None
        self.text_to_image = block(nn.LeakyReLU) if crosses and settings.late_fusion else None
        self.joint = block(nn.LeakyReLU) if crosses and settings.early_fusion else None
        self.modality_type = nn.Parameter(torch.randn(2, width) * 0.02)
        self.pool_image, self.pool_text = AttentionPooling(width), AttentionPooling(width)
        self.pool_joint = AttentionPooling(width)

        parts = 2 * settings.late_fusion + settings.early_fusion
        fused = max(parts, 1) * width + _METADATA_WIDTH
        self.fused_norm = nn.LayerNorm(fused)
        self.emotion_head = _mlp(fused, 2 * width, len(EMOTION_TARGETS), settings.dropout)
        self.engagement_head = _mlp(
            fused + len(EMOTION_TARGETS),
            2 * width,
            len(TARGETS) - len(EMOTION_TARGETS),
            settings.dropout,
        )
        self.task_loss = MultiTaskLoss(
            {"emotion": settings.emotion_weight, "engagement": settings.engagement_weight},
            settings.uncertainty_weighting,
        )

    def forward(
        self,
        batch: Batch,
        hidden: Collection[str] = (),
        attention: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """Predict all targets.

        Parameters
        ----------
        batch
            Features as :meth:`evoked.features.table.FeatureTable.take` gives them.
        hidden
            Modalities (image, caption, hashtags, metadata) to put a placeholder in place of.
        attention
            A dictionary to fill with attention weights, averaged over heads:
            ``spatial`` (b, positions), ``words`` (b, tokens, tokens), ``image_to_text``
            (b, positions, tokens), ``text_to_image`` (b, tokens, positions).

        Returns
        -------
        Tensor
            (b, 6) in the order of :data:`evoked.targets.TARGETS`: valence in [-4, 4], arousal in
            [0, 8], engagement quantiles in [0, 1].
        """
        image, image_mask = self._image_stream(batch, hidden, attention)
        text, text_mask = self._text_stream(batch, hidden, attention)
        parts = [*self._fuse(image, image_mask, text, text_mask, attention)]
        parts.append(self._metadata(batch, hidden, len(image)))
        fused = self.fused_norm(torch.cat(parts, dim=-1))

        # Emotion head: tanh, scaled to valence in [-4, 4] and arousal in [0, 8].
        emotion = torch.tanh(self.emotion_head(fused))
        # Engagement head: sigmoids, on the fused vector and the emotion.
        engagement = torch.sigmoid(self.engagement_head(torch.cat([fused, emotion], dim=-1)))
        valence, arousal = 4 * emotion[:, :1], 4 + 4 * emotion[:, 1:]
        return torch.cat([valence, arousal, engagement], dim=-1)

    def shared_vectors(self, batch: Batch) -> Tensor:
        """Pooled image and text in the shared space, (b, 2, width), for the Modal Relevance Score
        (Table 5)."""
        image, image_mask = self._image_stream(batch, (), None)
        text, text_mask = self._text_stream(batch, (), None)
        pooled = [self.pool_image(image, image_mask), self.pool_text(text, text_mask)]
        return torch.stack(pooled, dim=1)

    def criterion(self, predicted: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Weighted multi-task sum: per target 1 - CCC (the measure of Table 5) and a Huber term
        that keeps the scale where a batch varies little (*ours*: the paper names no loss)."""
        split = len(EMOTION_TARGETS)
        groups = {"emotion": slice(0, split), "engagement": slice(split, None)}
        losses = {
            name: _group_loss(predicted[:, part], targets[:, part], weights[:, part])
            for name, part in groups.items()
        }
        return self.task_loss(losses)

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """Table 4's learning rate per module when encoders are trained, one rate otherwise."""
        if self.image_network is None and self.text_network is None:
            return [{"params": list(self.parameters()), "lr": learning_rate}]
        settings = self.settings
        modules = [
            (self.image_network, settings.image_learning_rate),
            (self.object_input, settings.objects_learning_rate),
            (self.text_network, settings.caption_learning_rate),
            (self.hashtag_input, settings.hashtags_learning_rate),
            (self.metadata_input, settings.metadata_learning_rate),
        ]
        groups: list[dict[str, Any]] = [
            {"params": list(module.parameters()), "lr": rate}
            for module, rate in modules
            if module is not None
        ]
        named = {id(parameter) for group in groups for parameter in group["params"]}
        rest = [parameter for parameter in self.parameters() if id(parameter) not in named]
        return [*groups, {"params": rest, "lr": learning_rate}]

    def _image_stream(
        self, batch: Batch, hidden: Collection[str], attention: dict[str, Tensor] | None
    ) -> tuple[Tensor, Tensor]:
        if self.image_input is None:
            return self._only_placeholder(batch, self.image_placeholder)
        if self.image_network is not None:
            regions, present = self.image_network(batch["image.pixels"]), "image.pixels.present"
        else:
            regions, present = batch["image.map"], "image.map.present"
        tokens = self.image_input(regions) + self.image_position[: regions.shape[1]]
        mask = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        if self.object_input is not None:
            objects = self.object_input(batch["image.objects"])
            found = batch.get("image.objects.mask")
            if found is None:
                found = batch["image.objects.present"][:, None].expand(objects.shape[:2])
            tokens, mask = torch.cat([tokens, objects], dim=1), torch.cat([mask, found], dim=1)
        shown = self._shown(batch[present], "image" in hidden)
        tokens, mask = _or_placeholder(tokens, mask, shown, self.image_placeholder)
        if self.spatial is not None:
            tokens, weights = self.spatial(tokens, mask)
            _record(attention, "spatial", weights)
        return tokens, mask

    def _text_stream(
        self, batch: Batch, hidden: Collection[str], attention: dict[str, Tensor] | None
    ) -> tuple[Tensor, Tensor]:
        if self.text_input is None:
            tokens, mask = self._only_placeholder(batch, self.text_placeholder)
        else:
            if self.text_network is not None:
                mask, present = batch["caption.ids.mask"], batch["caption.ids.present"]
                # A text without tokens is masked altogether, which attention can't digest.
                words = self.text_network(batch["caption.ids"], mask | ~present[:, None])
            else:
                words, mask = batch["caption.tokens"], batch["caption.tokens.mask"]
                present = batch["caption.tokens.present"]
            shown = self._shown(present, "caption" in hidden)
            tokens, mask = _or_placeholder(
                self.text_input(words), mask, shown, self.text_placeholder
            )
        if self.hashtag_input is not None:
            tags = self.hashtag_input(batch["hashtags.vector"])[:, None]
            shown = self._shown(batch["hashtags.vector.present"], "hashtags" in hidden)
            tags = torch.where(shown[:, None, None], tags, self.hashtag_placeholder)
            tokens = torch.cat([tokens, tags], dim=1)
            mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
        if self.textual is not None:
            tokens, weights = self.textual(tokens, tokens, mask, attention is not None)
            _record(attention, "words", weights)
        return tokens, mask

    def _fuse(
        self,
        image: Tensor,
        image_mask: Tensor,
        text: Tensor,
        text_mask: Tensor,
        attention: dict[str, Tensor] | None,
    ) -> list[Tensor]:
        parts = []
        if self.settings.late_fusion:
            image_side, text_side = image, text
            if self.image_to_text is not None and self.text_to_image is not None:
                image_side, weights = self.image_to_text(
                    image, text, text_mask, attention is not None
                )
                _record(attention, "image_to_text", weights)
                text_side, weights = self.text_to_image(
                    text, image, image_mask, attention is not None
                )
                _record(attention, "text_to_image", weights)
            parts += [self.pool_image(image_side, image_mask), self.pool_text(text_side, text_mask)]
        if self.settings.early_fusion or not parts:
            both = torch.cat([image + self.modality_type[0], text + self.modality_type[1]], dim=1)
            mask = torch.cat([image_mask, text_mask], dim=1)
            if self.joint is not None:
                both, _ = self.joint(both, both, mask)
            parts.append(self.pool_joint(both, mask))
        return parts

    def _metadata(self, batch: Batch, hidden: Collection[str], n: int) -> Tensor:
        if self.metadata_input is None:
            return self.metadata_placeholder.expand(n, -1)
        encoded = self.metadata_input(batch["metadata"])
        shown = self._shown(batch["metadata.present"], "metadata" in hidden)
        return torch.where(shown[:, None], encoded, self.metadata_placeholder)

    def _shown(self, present: Tensor, hidden: bool) -> Tensor:
        """Which posts show a modality; in training some hide it, so that the placeholders learn."""
        if hidden:
            return torch.zeros_like(present)
        if not self.training or not self.settings.modality_dropout:
            return present
        kept = torch.rand(present.shape, device=present.device) >= self.settings.modality_dropout
        return present & kept

    def _only_placeholder(self, batch: Batch, placeholder: Tensor) -> tuple[Tensor, Tensor]:
        n = len(next(iter(batch.values())))
        mask = torch.ones((n, 1), dtype=torch.bool, device=placeholder.device)
        return placeholder.expand(n, 1, -1), mask


class _Normalise(nn.Module):
    """An encoder's own normalisation of pixels, as part of a network."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self._normalise = encoder.normalise

    def forward(self, pixels: Tensor) -> Tensor:
        normalised: Tensor = self._normalise(pixels)
        return normalised


def _project(channels: int | None, width: int) -> nn.Module:
    assert channels is not None
    # Features come on all sorts of scales; a norm in front makes one learning rate fit them.
    return nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, width), nn.LayerNorm(width))


def _mlp(inputs: int, width: int, outputs: int, dropout: float) -> nn.Module:
    return nn.Sequential(
        nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, outputs)
    )


def _or_placeholder(
    tokens: Tensor, mask: Tensor, shown: Tensor, placeholder: Tensor
) -> tuple[Tensor, Tensor]:
    """Where a modality isn't shown, one placeholder token takes the place of its tokens."""
    tokens = torch.where(shown[:, None, None], tokens, placeholder)
    first = torch.zeros_like(mask)
    first[:, 0] = True
    return tokens, torch.where(shown[:, None], mask, first)


def _group_loss(predicted: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Mean over the targets of a group, each on a range of about one."""
    scale = 8.0 if targets.shape[1] == len(EMOTION_TARGETS) else 1.0
    losses = [
        concordance_loss(p, t, w) + 4 * masked_huber(p / scale, t / scale, w, delta=0.25)
        for p, t, w in zip(predicted.T, targets.T, weights.T, strict=True)
        if bool((w > 0).any())
    ]
    return torch.stack(losses).mean() if losses else predicted.sum() * 0


def _record(attention: dict[str, Tensor] | None, name: str, weights: Tensor | None) -> None:
    if attention is not None and weights is not None:
        attention[name] = weights.detach()

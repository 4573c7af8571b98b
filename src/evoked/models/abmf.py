"""ABMF: attention-based multimodal emotion and engagement.

Lu and Li (2025), *Attention-Based Multimodal Emotion Recognition for Fine-Grained Visual Ad
Engagement Prediction on Instagram*. For one post: valence, arousal and four engagement rates.

Reading order follows Figure 1: image and text streams (Table 1), cross-modal attention (Eq. 1) in
its early and late form (Section 3.3), emotion head, engagement head, multi-task loss. What the
paper leaves open, and what we add, is marked *ours*.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from evoked.features.table import Batch
from evoked.layers.attention import (
    AttentionBlock,
    AttentionPooling,
    SpatialAttention,
    WordRegionMatching,
)
from evoked.layers.heads import EMOTIONS, ENGAGEMENTS, EmotionEngagementHeads, EmotionEngagementLoss
from evoked.layers.tokens import VectorInput, layer_norm, mean_pool, metadata_encoder
from evoked.models.attention import stream_attention
from evoked.models.base import Examples
from evoked.models.content import (
    ContentNetwork,
    FusionModel,
    FusionSettings,
    Modality,
)
from evoked.models.explanations import PostAttention
from evoked.models.finetuning import TrainableEncoders, grouped_parameters

_METADATA_WIDTH = 128  # Table 4


class ABMFSettings(FusionSettings):
    """Settings of ABMF. The defaults suit heads on frozen encoders; :meth:`published` gives the
    paper's sizes."""

    width: int = Field(64, ge=8, description="channels of the shared space (paper: 1024)")
    heads: int = Field(4, ge=1, description="attention heads")
    spatial_attention: bool = Field(True, description="weigh the image's positions (Table 1)")
    textual_self_attention: bool = Field(True, description="contextual self-attention (Table 1)")
    cross_modal_attention: bool = Field(True, description="bidirectional attention (Eq. 1)")
    early_fusion: bool = Field(True, description="concatenate before the attention (Section 3.3)")
    late_fusion: bool = Field(True, description="attend per modality, then combine")
    multi_task: bool = Field(
        True, description="one network for emotion and engagement; else two that share nothing"
    )
    matching_weight: float = Field(
        1.0,
        ge=0,
        description="weight of the loss that teaches cross-modal attention which words and regions "
        "belong together (ours; 0 leaves it out)",
    )
    chained_engagement: bool = Field(
        False,
        description="likes, comments, shares and saves one after the other, each in sight of those "
        "before (ours; the paper's targets are independent)",
    )
    uncertainty_weighting: bool = Field(False, description="learn the weights of the tasks")
    objects_learning_rate: float = Field(
        3e-5, gt=0, description="when fine-tuning, of what projects objects (Table 4)"
    )
    hashtags_learning_rate: float = Field(
        1e-4, gt=0, description="when fine-tuning, of what projects hashtags (Table 4)"
    )
    metadata_learning_rate: float = Field(
        5e-4, gt=0, description="when fine-tuning, of the encoder of metadata (Table 4)"
    )

    @classmethod
    def published(cls, **changes: Any) -> Self:
        """The paper's configuration (Tables 1 and 4): 1024 channels, encoders fine-tuned with a
        learning rate each, and nothing of ours. It names neither heads nor a loss: they stay ours.
        """
        return super().published(**{"heads": 8, "matching_weight": 0.0, **changes})


class ABMF(FusionModel):
    """Attention-based multimodal framework for emotion and engagement."""

    name = "abmf"
    description = "spatial, textual and cross-modal attention over image, caption and metadata"
    source = "Lu and Li 2025"
    Settings = ABMFSettings

    settings: ABMFSettings

    @property
    def parts(self) -> Collection[str]:
        return self.modalities

    def build(self, widths: dict[str, int]) -> nn.Module:
        if self.settings.multi_task:
            return self._network(widths)
        return SeparateTasks(self._network(widths), self._network(widths))

    def modal_vectors(self, examples: Examples) -> NDArray[np.float32] | None:
        # Without the matching loss nothing would bring image and text together in one space.
        matched = _first_network(self.network).matching is not None
        both = {"image", "caption"} <= set(self.modalities)
        if not (matched and both and len(examples)):
            return None
        return self._outputs(examples, "shared_vectors")

    def fused_vectors(self, examples: Examples) -> NDArray[np.float32] | None:
        if not len(examples):
            return None
        return self._outputs(examples, "fused_vectors")

    def attention(self, examples: Examples) -> list[PostAttention]:
        return stream_attention(self, examples)

    def _network(self, widths: dict[str, int]) -> ABMFNetwork:
        encoders = self.encoders_to_train()
        return ABMFNetwork(self.settings, self.modalities, widths | encoders.widths, encoders)


class ABMFNetwork(ContentNetwork):
    """The network of Figure 1; parameters as of :class:`evoked.models.content.ContentNetwork`."""

    settings: ABMFSettings

    def __init__(
        self,
        settings: ABMFSettings,
        modalities: Collection[Modality],
        widths: Mapping[str, int],
        encoders: TrainableEncoders,
    ) -> None:
        super().__init__(settings, modalities, widths, encoders)
        width, dropout, normalise = settings.width, settings.dropout, settings.normalise

        def block(activation: type[nn.Module]) -> AttentionBlock:
            return AttentionBlock(width, settings.heads, activation, dropout, normalise)

        # Image and text streams (Table 1): spatial attention; contextual self-attention, GELU.
        self.image_absent = nn.Parameter(torch.randn(width) * 0.02)
        self.text_absent = nn.Parameter(torch.randn(width) * 0.02)
        self.spatial = SpatialAttention(width) if settings.spatial_attention else None
        self.textual = block(nn.GELU) if settings.textual_self_attention else None

        # Metadata encoder, 128-d (Table 4).
        if "metadata" in modalities:
            facts = metadata_encoder(widths["metadata"], _METADATA_WIDTH, dropout, normalise)
            self.inputs["metadata"] = VectorInput(
                "metadata", "metadata", facts, _METADATA_WIDTH, settings.modality_dropout
            )

        # Cross-modal attention (Eq. 1): bidirectional, LeakyReLU in the feed-forward.
        late = settings.cross_modal_attention and settings.late_fusion
        early = settings.cross_modal_attention and settings.early_fusion
        self.image_to_text = block(nn.LeakyReLU) if late else None
        self.text_to_image = block(nn.LeakyReLU) if late else None
        self.joint = block(nn.LeakyReLU) if early else None
        self.matching = WordRegionMatching(width) if late and settings.matching_weight else None
        self.modality_type = nn.Parameter(torch.randn(2, width) * 0.02)
        self.pool_image, self.pool_text = AttentionPooling(width), AttentionPooling(width)
        self.pool_joint = AttentionPooling(width)

        parts = 2 * settings.late_fusion + settings.early_fusion
        fused = max(parts, 1) * width + ("metadata" in modalities) * _METADATA_WIDTH
        self.fused_norm = layer_norm(fused, normalise)
        self.target_heads = EmotionEngagementHeads(
            fused, 2 * width, dropout, settings.chained_engagement
        )
        self.task_loss = EmotionEngagementLoss(
            settings.emotion_weight, settings.engagement_weight, settings.uncertainty_weighting
        )
        # Loss of the last batch, in training.
        self.matching_loss: Tensor | None = None

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
            Modalities (image, caption, hashtags, metadata) to replace by a placeholder.
        attention
            A dictionary to fill with attention weights, averaged over heads:
            ``spatial`` (b, positions), ``words`` (b, tokens, tokens), ``image_to_text``
            (b, positions, tokens), ``text_to_image`` (b, tokens, positions), ``joint`` between
            all of them (b, positions + tokens, positions + tokens).

        Returns
        -------
        Tensor
            (b, 6) in the order of :data:`evoked.targets.TARGETS`: valence in [-4, 4], arousal in
            [0, 8], engagement in [0, 1].
        """
        predicted: Tensor = self.target_heads(self.fused_vectors(batch, hidden, attention))
        return predicted

    def fused_vectors(
        self,
        batch: Batch,
        hidden: Collection[str] = (),
        attention: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """Input of the heads, (b, fused): image, text and both together, then metadata."""
        image = self._image_stream(batch, hidden, attention)
        text = self._text_stream(batch, hidden, attention)
        parts = self._fuse(image, text, attention)
        if "metadata" in self.inputs:
            parts.append(self.inputs["metadata"](batch, hidden))
        fused: Tensor = self.fused_norm(torch.cat(parts, dim=-1))
        return fused

    def shared_vectors(self, batch: Batch) -> Tensor:
        """Image and text in the space in which they are matched, (b, 2, width), for the Modal
        Relevance Score (Table 5): the mean of the regions' keys, and of the words' queries by the
        importance that matching gives them."""
        assert self.text_to_image is not None
        assert self.matching is not None
        image, text = self._image_stream(batch, (), None), self._text_stream(batch, (), None)
        words, regions = self.text_to_image.queries_and_keys(text.tokens, image.tokens)
        pooled = [mean_pool(regions, image.mask), self.matching.pooled(words, text.mask)]
        return torch.stack(pooled, dim=1)

    def criterion(self, predicted: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Weighted multi-task sum; in training also the loss of matching words and regions."""
        loss: Tensor = self.task_loss(predicted, targets, weights)
        return loss + self.weighted_matching_loss()

    def weighted_matching_loss(self) -> Tensor | float:
        """Weighted matching loss of the last batch; 0 outside training."""
        if self.matching_loss is None or not self.training:
            return 0.0
        return float(self.settings.matching_weight) * self.matching_loss

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """Table 4's learning rate per module when encoders are trained, one rate otherwise."""
        if not self.settings.finetune:
            return [{"params": list(self.parameters()), "lr": learning_rate}]
        settings, inputs = self.settings, self.inputs
        modules: list[tuple[nn.Module | None, float]] = []
        if "image" in inputs:
            modules.append((inputs["image"].network, settings.image_learning_rate))
            modules.append((inputs["image"].project_objects, settings.objects_learning_rate))
        if "caption" in inputs:
            modules.append((inputs["caption"].network, settings.caption_learning_rate))
        if "hashtags" in inputs:
            modules.append((inputs["hashtags"], settings.hashtags_learning_rate))
        if "metadata" in inputs:
            modules.append((inputs["metadata"], settings.metadata_learning_rate))
        return grouped_parameters(self, modules, learning_rate)

    def _image_stream(
        self, batch: Batch, hidden: Collection[str], attention: dict[str, Tensor] | None
    ) -> Stream:
        if "image" not in self.inputs:
            return _only(self.image_absent, batch)
        tokens, mask = self.inputs["image"](batch, hidden)
        if self.spatial is None:
            return Stream(tokens, mask)
        prior = self.spatial(tokens, mask)
        _record(attention, "spatial", _masked_softmax(prior, mask))
        return Stream(tokens, mask, prior)

    def _text_stream(
        self, batch: Batch, hidden: Collection[str], attention: dict[str, Tensor] | None
    ) -> Stream:
        if "caption" in self.inputs:
            tokens, mask = self.inputs["caption"](batch, hidden)
        else:
            tokens, mask, _ = _only(self.text_absent, batch)
        if "hashtags" in self.inputs:  # one more token
            tags = self.inputs["hashtags"](batch, hidden)
            tokens = torch.cat([tokens, tags[:, None]], dim=1)
            mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
        if self.textual is not None:
            tokens, weights = self.textual(tokens, tokens, mask, attention is not None)
            _record(attention, "words", weights)
        return Stream(tokens, mask)

    def _fuse(
        self, image: Stream, text: Stream, attention: dict[str, Tensor] | None
    ) -> list[Tensor]:
        parts = []
        wanted = attention is not None
        if self.settings.late_fusion:
            image_side, text_side = image.tokens, text.tokens
            if self.image_to_text is not None and self.text_to_image is not None:
                image_side, weights = self.image_to_text(
                    image.tokens, text.tokens, text.mask, wanted
                )
                _record(attention, "image_to_text", weights)
                text_side, weights = self.text_to_image(
                    text.tokens, image.tokens, image.mask, wanted, image.prior
                )
                _record(attention, "text_to_image", weights)
            if self.training and self.matching is not None and self.text_to_image is not None:
                words, regions = self.text_to_image.queries_and_keys(text.tokens, image.tokens)
                self.matching_loss = self.matching(words, regions, text.mask, image.mask)
            parts.append(self.pool_image(image_side, image.mask, image.prior))
            parts.append(self.pool_text(text_side, text.mask))
        if self.settings.early_fusion or not parts:
            both = self._end_to_end(image, text)
            states = both.tokens
            if self.joint is not None:
                states, weights = self.joint(states, states, both.mask, wanted, both.prior)
                _record(attention, "joint", weights)
            parts.append(self.pool_joint(states, both.mask, both.prior))
        return parts

    def _end_to_end(self, image: Stream, text: Stream) -> Stream:
        """Both streams as one, each marked as what it is."""
        marked = [image.tokens + self.modality_type[0], text.tokens + self.modality_type[1]]
        prior = None
        if image.prior is not None:
            prior = torch.cat([image.prior, torch.zeros_like(text.tokens[..., 0])], dim=1)
        return Stream(torch.cat(marked, dim=1), torch.cat([image.mask, text.mask], dim=1), prior)


class Stream(NamedTuple):
    """Tokens (b, t, width), which of them exist (b, t), and the logarithm of how much more or less
    than others each counts (b, t), None for the same."""

    tokens: Tensor
    mask: Tensor
    prior: Tensor | None = None


class SeparateTasks(nn.Module):
    """A network for emotion and one for engagement that share nothing: ABMF without multi-task
    learning (Table 7). Twice the parameters, so that only the sharing is missing."""

    def __init__(self, emotion: ABMFNetwork, engagement: ABMFNetwork) -> None:
        super().__init__()
        self.emotion, self.engagement = emotion, engagement

    def forward(
        self,
        batch: Batch,
        hidden: Collection[str] = (),
        attention: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """As :meth:`ABMFNetwork.forward`; ``attention`` is that of the network for emotion."""
        emotion = self.emotion(batch, hidden, attention)
        engagement = self.engagement(batch, hidden)
        return torch.cat([emotion[:, EMOTIONS], engagement[:, ENGAGEMENTS]], dim=-1)

    def shared_vectors(self, batch: Batch) -> Tensor:
        """Those of the network for emotion."""
        return self.emotion.shared_vectors(batch)

    def fused_vectors(self, batch: Batch) -> Tensor:
        """Those of both networks."""
        parts = [self.emotion.fused_vectors(batch), self.engagement.fused_vectors(batch)]
        return torch.cat(parts, dim=-1)

    def criterion(self, predicted: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """The sum of the losses of both networks."""
        loss: Tensor = self.emotion.task_loss(predicted, targets, weights)
        matching = [each.weighted_matching_loss() for each in (self.emotion, self.engagement)]
        return loss + sum(matching)

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """Those of both networks."""
        groups = [each.parameter_groups(learning_rate) for each in (self.emotion, self.engagement)]
        return [group for pair in groups for group in pair]


def _first_network(network: Any) -> ABMFNetwork:
    """The network itself, or that for emotion."""
    first: ABMFNetwork = network.emotion if isinstance(network, SeparateTasks) else network
    return first


def _only(placeholder: Tensor, batch: Batch) -> Stream:
    """A stream that the network does not look at: one learned token for every post."""
    n = len(next(iter(batch.values())))
    mask = torch.ones((n, 1), dtype=torch.bool, device=placeholder.device)
    return Stream(placeholder.expand(n, 1, -1), mask)


def _masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    return scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)


def _record(attention: dict[str, Tensor] | None, name: str, weights: Tensor | None) -> None:
    if attention is not None and weights is not None:
        attention[name] = weights.detach()

"""The six baselines of Dual-Attention (Zhang et al. 2018, Section IV-B and Table I).

They read image and caption as Dual-Attention does, in the same modules, and differ in how they
fuse them. The paper describes each in a sentence; what it leaves open is marked *ours*.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from evoked.features.table import Batch
from evoked.layers.heads import mlp
from evoked.layers.tokens import mean_pool
from evoked.models.dual_attention import (
    ImageCaptionModel,
    ImageCaptionSettings,
    ImageVector,
    cross_entropy,
    word_encoder,
)

Fusion = Literal["visual", "textual", "early", "late", "ccr", "similarity"]


class DualBaselineSettings(ImageCaptionSettings):
    """Settings of the baselines."""

    fusion: Fusion = Field(
        "early",
        description="visual, textual: one modality; early: concatenation; late: the mean of both "
        "scores; ccr: three scores kept consistent; similarity: image times caption",
    )
    consistency_weight: float = Field(
        1.0, ge=0, description="weight of the divergence between CCR's scores (ours)"
    )


class DualBaseline(ImageCaptionModel):
    """Image and caption without attention."""

    name = "dual_baseline"
    description = "image and caption without attention: visual, textual, early, late, CCR, …"
    source = "Zhang et al. 2018, Table I"
    Settings = DualBaselineSettings

    settings: DualBaselineSettings

    @property
    def features(self) -> list[str]:
        names = {"visual": ["image.map"], "textual": [self.caption_feature]}
        return names.get(self.settings.fusion, ["image.map", self.caption_feature])

    def build(self, widths: dict[str, int]) -> nn.Module:
        return DualBaselineNetwork(self.settings, widths)


class DualBaselineNetwork(nn.Module):
    """Encoders, a fusion and a score; parameters as of
    :class:`evoked.models.dual_attention.DualAttentionNetwork`."""

    def __init__(self, settings: DualBaselineSettings, widths: Mapping[str, int]) -> None:
        super().__init__()
        self.settings = settings
        width, fusion = settings.width, settings.fusion
        self.image = self.words = None
        if fusion != "textual":
            self.image = ImageVector(
                widths["image.map"], settings.modality_dropout, settings.normalise
            )
            self.project_image = nn.Linear(widths["image.map"], width)
        if fusion != "visual":
            self.words = word_encoder(settings, widths)

        def score(inputs: int) -> nn.Module:
            return mlp(inputs, width, 1, settings.dropout)

        # By input; a score of one modality is missing if nothing reads it.
        self.scores = nn.ModuleDict()
        if fusion in ("visual", "late", "ccr"):
            self.scores["image"] = score(width)
        if fusion in ("textual", "late", "ccr"):
            self.scores["caption"] = score(width)
        if fusion in ("early", "ccr"):
            self.scores["both"] = score(2 * width)
        if fusion == "similarity":
            self.scores["product"] = score(width)
        # Scores of the single modalities for the last batch, in training.
        self._own_scores: list[Tensor] = []

    def forward(self, batch: Batch, hidden: Collection[str] = ()) -> Tensor:
        """Probability of being popular, (b, 1); parameters as of
        :meth:`evoked.models.dual_attention.DualAttentionNetwork.forward`."""
        seen = self._vectors(batch, hidden)
        scores = {name: torch.sigmoid(each(seen[name])) for name, each in self.scores.items()}
        if self.settings.fusion == "ccr":
            own = [scores["image"], scores["caption"]]
            self._own_scores = own if self.training else []
            return scores["both"]
        return torch.stack([*scores.values()]).mean(dim=0)

    def criterion(self, predicted: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Binary cross-entropy; in training of CCR (You et al. 2016), plus that of each modality's
        own score and the divergence of these from the score of both."""
        loss = cross_entropy(predicted, targets, weights)
        for own in self._own_scores:
            consistency = divergence(predicted, own).mean() + divergence(own, predicted).mean()
            loss = loss + cross_entropy(own, targets, weights)
            loss = loss + self.settings.consistency_weight * consistency
        self._own_scores = []
        return loss

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """All parameters with one learning rate."""
        return [{"params": list(self.parameters()), "lr": learning_rate}]

    def _vectors(self, batch: Batch, hidden: Collection[str]) -> dict[str, Tensor]:
        """Inputs of the scores, (b, width), or (b, 2 width) for both."""
        found: dict[str, Tensor] = {}
        if self.image is not None:
            found["image"] = functional.relu(self.project_image(self.image(batch, hidden)))
        if self.words is not None:
            found["caption"] = mean_pool(*self.words(batch, hidden))
        if len(found) == 2:
            found["both"] = torch.cat([found["image"], found["caption"]], dim=-1)
            # The sum would be the cosine; the product keeps more than one number (ours).
            unit = [functional.normalize(found[name], dim=-1) for name in ("image", "caption")]
            found["product"] = unit[0] * unit[1]
        return found


def divergence(p: Tensor, q: Tensor) -> Tensor:
    """Kullback-Leibler divergence of Bernoulli distributions, KL(p ‖ q), of the same shape."""
    p, q = (each.clamp(1e-6, 1 - 1e-6) for each in (p, q))
    return p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()

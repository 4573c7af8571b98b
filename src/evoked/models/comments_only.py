"""Emotion from the viewing's own comment alone.

Bhattacharyya et al. (2024), *HMG-Emo*, Table III: the features that HMG-Emo has on its edges, and
its classification module on them, without images, users or graph. A missing comment is one uniform
vector (Section III-B). The table's two rows differ in the comments: those of the dataset, and those
of the dataset with missing ones written by a model, see :mod:`evoked.features.comment_generation`.
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from evoked.features.table import Batch
from evoked.layers.heads import classifier
from evoked.layers.losses import masked_log_loss
from evoked.models.base import ModelSettings, NeuralModel
from evoked.targets import Emotion

COMMENT = "viewing.comment"
OWN_COMMENT = (
    "LEAKAGE: it reads the viewing's own comment, which nobody knows before the user has commented "
    "and from which the emotion may have been read. The scores say nothing of viewings to come."
)


class CommentsOnlySettings(ModelSettings):
    """Settings of the network; the width of comments is HMG-Emo's, Section IV-B."""

    comment_width: int = Field(256, ge=1, description="that comments are projected to")
    width: int = Field(64, ge=1, description="of the three hidden layers")
    dropout: float = Field(0.3, ge=0, lt=1)


class CommentsOnlyNetwork(nn.Module):
    """A projection of the comment and HMG-Emo's classification module.

    Parameters
    ----------
    settings
        See :class:`CommentsOnlySettings`.
    width
        Length of a comment's vector.
    classes
        Emotions to tell apart.
    """

    def __init__(self, settings: CommentsOnlySettings, width: int, classes: int) -> None:
        super().__init__()
        self.missing: Tensor
        self.register_buffer("missing", torch.rand(width))
        self.projection = nn.Linear(width, settings.comment_width)
        self.classifier = classifier(
            settings.comment_width, settings.width, classes, settings.dropout
        )

    def forward(self, batch: Batch) -> Tensor:
        """Probabilities (b, classes)."""
        present = batch[f"{COMMENT}.present"][:, None]
        comments = torch.where(present, batch[COMMENT], self.missing)
        scores: Tensor = self.classifier(self.projection(comments))
        return scores.float().softmax(dim=-1)

    def criterion(self, predicted: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Cross-entropy."""
        return masked_log_loss(predicted, targets, weights)

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """All parameters at one rate."""
        return [{"params": list(self.parameters()), "lr": learning_rate}]


class CommentsOnly(NeuralModel):
    """Table III: the comment and nothing else."""

    name = "comments_only"
    description = "the viewing's own comment alone, by HMG-Emo's classification module"
    source = "HMG-Emo, Table III"
    tasks = (Emotion.name,)
    rows = "viewings"
    Settings = CommentsOnlySettings

    @property
    def features(self) -> list[str]:
        return [COMMENT]

    @property
    def caution(self) -> str:
        return OWN_COMMENT

    def build(self, widths: dict[str, int]) -> nn.Module:
        return CommentsOnlyNetwork(self.settings, widths[COMMENT], len(self.targets))

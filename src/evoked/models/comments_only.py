"""Emotion from the viewing's own comment alone.

Bhattacharyya et al. (2024), *HMG-Emo*, Table III: the features that HMG-Emo has on its edges, and
its classification module on them, without images, users or graph. A missing comment is one uniform
vector (Section III-B). The table's two rows differ in the comments: those of the dataset, and those
of the dataset with missing ones written by a model, see :mod:`evoked.features.comment_generation`.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from evoked.features.catalog import FeatureSettings
from evoked.features.table import Batch
from evoked.features.viewings import OWN_COMMENT
from evoked.layers.heads import classifier
from evoked.layers.losses import macro_f1, masked_log_loss
from evoked.layers.tokens import VectorInput, project
from evoked.models.base import Examples, ModelSettings
from evoked.models.neural import NeuralModel
from evoked.models.viewings import class_weights
from evoked.targets import Emotion
from evoked.training.settings import TrainingSettings

LEAKAGE = (
    "LEAKAGE: it reads the viewing's own comment, which nobody knows before the user has commented "
    "and from which the emotion may have been read. The scores say nothing about future viewings."
)


class CommentsOnlySettings(ModelSettings):
    """Settings of the network; the width of comments is HMG-Emo's, Section IV-B."""

    comment_width: int = Field(256, ge=4, description="channels that comments are projected to")
    width: int = Field(64, ge=4, description="half the width of the three hidden layers")
    dropout: float = Field(0.3, ge=0, lt=1)
    input_norm: bool = Field(
        True, description="bring comments to one scale before and after they are projected (ours)"
    )
    class_balance: float = Field(
        0.3,
        ge=0,
        le=1,
        description="weight of an emotion: its frequency to the power of minus this, as hmg_emo's "
        "(ours; 1: all emotions count the same)",
    )
    keep: Literal["macro_f1", "loss"] = Field(
        "macro_f1", description="score on the validation viewings that decides which epoch is kept"
    )

    @classmethod
    def published(cls, **changes: Any) -> CommentsOnlySettings:
        """The paper's, without what is ours."""
        ours = {"input_norm": False, "class_balance": 0.0, "keep": "loss"}
        return cls(**{**ours, **changes})


class CommentsOnlyNetwork(nn.Module):
    """A projection of the comment and HMG-Emo's classification module.

    Parameters
    ----------
    settings
        See :class:`CommentsOnlySettings`.
    width
        Length of a comment's vector.
    weights
        Weight of each emotion in the loss, (classes,).
    """

    class_weights: Tensor

    def __init__(
        self, settings: CommentsOnlySettings, width: int, weights: NDArray[np.float64]
    ) -> None:
        super().__init__()
        wide = settings.comment_width
        projection = project(width, wide) if settings.input_norm else nn.Linear(width, wide)
        # The placeholder is the paper's uniform vector.
        self.comment = VectorInput(OWN_COMMENT, "comment", projection, wide)
        self.classify = classifier(wide, 2 * settings.width, len(weights), settings.dropout)
        self.register_buffer("class_weights", torch.from_numpy(weights).float(), persistent=False)
        if settings.keep == "macro_f1":
            self.validation_score = macro_f1

    def forward(self, batch: Batch) -> Tensor:
        """Probabilities (b, classes)."""
        scores: Tensor = self.classify(self.comment(batch))
        return scores.float().softmax(dim=-1)

    def criterion(self, predicted: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Cross-entropy."""
        return masked_log_loss(predicted, targets, weights * self.class_weights)

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """All parameters with one learning rate."""
        return [{"params": list(self.parameters()), "lr": learning_rate}]


class CommentsOnly(NeuralModel):
    """The model of Table III, which reads only the comment."""

    name = "comments_only"
    description = "the viewing's own comment alone, by HMG-Emo's classification module"
    source = "HMG-Emo, Table III"
    tasks = (Emotion.name,)
    rows = "viewings"
    Settings = CommentsOnlySettings

    settings: CommentsOnlySettings
    # Bhattacharyya et al. 2024, Section IV-B, but for the limit of the gradient.
    default_training = TrainingSettings(
        max_epochs=20, batch_size=512, learning_rate=0.005, weight_decay=0.0, warmup=0.0
    )
    published_training = default_training.model_copy(update={"clip": 0, "patience": 20})

    def __init__(
        self,
        settings: CommentsOnlySettings | None = None,
        feature_settings: FeatureSettings | None = None,
        task: str | None = None,
    ) -> None:
        super().__init__(settings, feature_settings, task)
        self._weights = np.ones(len(self.targets))

    @property
    def features(self) -> list[str]:
        return [OWN_COMMENT]

    @property
    def caution(self) -> str:
        return LEAKAGE

    def build(self, widths: dict[str, int]) -> nn.Module:
        return CommentsOnlyNetwork(self.settings, widths[OWN_COMMENT], self._weights)

    def _learn_targets(self, train: Examples) -> NDArray[np.float32]:
        values = super()._learn_targets(train)
        counts = np.nansum(values, axis=0, dtype=np.float64)
        self._weights = class_weights(counts, self.settings.class_balance)
        return values

"""Heads for emotion and engagement, and the loss that trains them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from evoked.layers.losses import MultiTaskLoss, concordance_loss, masked_huber
from evoked.targets import EMOTION_TARGETS, ENGAGEMENT_TARGETS

EMOTIONS = slice(0, len(EMOTION_TARGETS))
ENGAGEMENTS = slice(len(EMOTION_TARGETS), None)
_EMOTION_RANGE = 8.0  # points of valence, and of arousal


class EmotionEngagementHeads(nn.Module):
    """From one vector per post to all targets (ABMF, Figure 1).

    The engagement head sees the vector and the predicted emotion.

    Parameters
    ----------
    inputs
        Length of the vector.
    width
        Hidden units of each head.
    dropout
        Dropout after the hidden layer.
    chained
        Predict likes, comments, shares and saves one after the other, each in sight of those before
        (ours: the paper names independent targets as a limit, Section 5.2).
    """

    def __init__(self, inputs: int, width: int, dropout: float, chained: bool = False) -> None:
        super().__init__()
        emotions, targets = len(EMOTION_TARGETS), len(ENGAGEMENT_TARGETS)
        self.emotion = mlp(inputs, width, emotions, dropout)
        self.engagement: nn.Module = (
            ChainedHeads(inputs + emotions, width, targets, dropout)
            if chained
            else mlp(inputs + emotions, width, targets, dropout)
        )

    def forward(self, fused: Tensor) -> Tensor:
        """(b, inputs) to (b, 6) in the order of :data:`evoked.targets.TARGETS`: a tanh scaled to
        valence in [-4, 4] and arousal in [0, 8], sigmoids for engagement in [0, 1]."""
        emotion = torch.tanh(self.emotion(fused))
        engagement = torch.sigmoid(self.engagement(torch.cat([fused, emotion], dim=-1)))
        valence, arousal = 4 * emotion[:, :1], 4 + 4 * emotion[:, 1:]
        return torch.cat([valence, arousal, engagement], dim=-1)


class ChainedHeads(nn.Module):
    """Scores (b, targets) of vectors (b, inputs), each by a head that also reads those before."""

    def __init__(self, inputs: int, width: int, targets: int, dropout: float) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            mlp(inputs + earlier, width, 1, dropout) for earlier in range(targets)
        )

    def forward(self, vectors: Tensor) -> Tensor:
        """Scores before the sigmoid; what is handed on has passed it, as what people see has."""
        scores: list[Tensor] = []
        for head in self.heads:
            earlier = [torch.sigmoid(score) for score in scores]
            scores.append(head(torch.cat([vectors, *earlier], dim=-1)))
        return torch.cat(scores, dim=-1)


class EmotionEngagementLoss(nn.Module):
    """Weighted multi-task sum of an emotion and an engagement loss.

    Each is the mean over its known targets of 1 - CCC (the measure of ABMF's Table 5) and of a
    Huber term that keeps the scale if a batch varies little. (The paper names no loss.)

    Parameters
    ----------
    emotion_weight, engagement_weight
        Weights of the two tasks.
    uncertainty_weighting
        Also learn the weights; see :class:`evoked.layers.losses.MultiTaskLoss`.
    """

    def __init__(
        self,
        emotion_weight: float = 1.0,
        engagement_weight: float = 1.0,
        uncertainty_weighting: bool = False,
    ) -> None:
        super().__init__()
        self.tasks = MultiTaskLoss(
            {"emotion": emotion_weight, "engagement": engagement_weight}, uncertainty_weighting
        )

    def forward(self, predicted: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Scalar loss of predictions, targets and their weights, all (b, 6); a weight of zero
        stands for an unknown target."""
        parts = {"emotion": (EMOTIONS, _EMOTION_RANGE), "engagement": (ENGAGEMENTS, 1.0)}
        return self.tasks(
            {
                name: _mean_loss(predicted[:, part], targets[:, part], weights[:, part], span)
                for name, (part, span) in parts.items()
            }
        )


def mlp(inputs: int, width: int, outputs: int, dropout: float) -> nn.Module:
    """One hidden layer with ReLU and dropout."""
    return nn.Sequential(
        nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, outputs)
    )


def classifier(inputs: int, width: int, classes: int, dropout: float) -> nn.Module:
    """Three hidden layers, a ReLU and dropout after each (HMG-Emo, Section III-C1); scores
    (b, classes) of vectors (b, inputs)."""
    layers: list[nn.Module] = []
    for channels in (inputs, width, width):
        layers += [nn.Linear(channels, width), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(width, classes))


def _mean_loss(predicted: Tensor, targets: Tensor, weights: Tensor, span: float) -> Tensor:
    """Mean over targets known of some post in the batch, each with a range of about one."""
    losses = [
        concordance_loss(p, t, w) + 4 * masked_huber(p / span, t / span, w, delta=0.25)
        for p, t, w in zip(predicted.T, targets.T, weights.T, strict=True)
        if bool((w > 0).any())
    ]
    return torch.stack(losses).mean() if losses else predicted.sum() * 0

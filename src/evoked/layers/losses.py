"""Losses, and one score, that ignore unknown targets."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def masked_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of ``values``; zero (and differentiable) if all weights are zero."""
    return (values * weights).sum() / weights.sum().clamp_min(1e-8)


def concordance_loss(predicted: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """1 - CCC (ABMF Table 5) over a batch, (b,); zero with fewer than two known targets."""
    if int((weights > 0).sum()) < 2:
        return predicted.sum() * 0
    mean_p, mean_t = masked_mean(predicted, weights), masked_mean(truth, weights)
    deviation_p, deviation_t = predicted - mean_p, truth - mean_t
    covariance = masked_mean(deviation_p * deviation_t, weights)
    spread = masked_mean(deviation_p**2, weights) + masked_mean(deviation_t**2, weights)
    return 1 - 2 * covariance / (spread + (mean_p - mean_t) ** 2 + 1e-6)


def masked_huber(predicted: Tensor, truth: Tensor, weights: Tensor, delta: float) -> Tensor:
    """Huber loss over known targets."""
    return masked_mean(
        functional.huber_loss(predicted, truth, reduction="none", delta=delta), weights
    )


def masked_log_loss(probabilities: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of classes, all (b, classes), over posts whose class is known.

    ``truth`` is 1 for a post's class and 0 for the others; ``weights`` are zero where unknown.
    """
    per_post = -(weights * truth * probabilities.clamp_min(1e-8).log()).sum(dim=-1)
    return masked_mean(per_post, (weights > 0).any(dim=-1).to(per_post.dtype))


def macro_f1(predicted: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Mean F1 of the classes that occur or are predicted, for comparing epochs; all (n, c)."""
    known = (weights > 0).any(dim=-1)
    classes = predicted.shape[1]
    chosen = functional.one_hot(predicted[known].argmax(dim=-1), classes).float()
    truth = targets[known]
    hits, total = (chosen * truth).sum(dim=0), chosen.sum(dim=0) + truth.sum(dim=0)
    return (2 * hits / total.clamp_min(1))[total > 0].mean()


class MultiTaskLoss(nn.Module):
    """Weighted sum of task losses, with fixed weights or learned uncertainty.

    Parameters
    ----------
    weights
        Weight per task.
    uncertainty
        Learn a log variance s per task and sum w·exp(-s)·loss + s/2 (Kendall, Gal and Cipolla
        2018); the fixed weights remain factors.
    """

    def __init__(self, weights: dict[str, float], uncertainty: bool = False) -> None:
        super().__init__()
        self.weights = weights
        self.log_variance = (
            nn.ParameterDict({name: nn.Parameter(torch.zeros(())) for name in weights})
            if uncertainty
            else None
        )

    def forward(self, losses: dict[str, Tensor]) -> Tensor:
        """Sum the losses of the tasks, each a scalar."""
        if self.log_variance is None:
            return torch.stack([self.weights[name] * loss for name, loss in losses.items()]).sum()
        return torch.stack(
            [
                self.weights[name] * torch.exp(-self.log_variance[name]) * loss
                + self.log_variance[name] / 2
                for name, loss in losses.items()
            ]
        ).sum()

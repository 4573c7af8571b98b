"""Gradient boosting on what is known about user and image, without the graph.

CatBoost (Prokhorenkova et al. 2018): the model that HMG-Emo's graph has to beat. The trees see the
image's vector and the mean of the user's groups (Eq. 1) end to end. What a viewing lacks is a
missing value, for which trees have branches. One ensemble distinguishes all emotions
(``MultiClass``).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from evoked.features.viewings import OWN_COMMENT
from evoked.models.boosting import BoostedOutcome, BoostingSettings
from evoked.models.comments_only import LEAKAGE
from evoked.models.viewings import class_weights
from evoked.targets import Emotion


class ViewingBoostingSettings(BoostingSettings):
    """Settings of the trees."""

    trees: int = Field(300, ge=1, description="largest number of trees")
    learning_rate: float = Field(0.1, gt=0, le=1, description="share of each tree that is added")
    patience: int = Field(
        30, ge=1, description="trees without improvement on the validation viewings before stopping"
    )
    own_comment: bool = Field(
        False,
        description="use the viewing's own comment too, which nobody knows beforehand and from "
        "which the emotion may have been read: scores LEAK",
    )
    class_balance: float = Field(
        0.3,
        ge=0,
        le=1,
        description="weight of an emotion: its frequency to the power of minus this, as hmg_emo's "
        "(1: all emotions count the same)",
    )
    keep: Literal["macro_f1", "loss"] = Field(
        "macro_f1", description="score on the validation viewings that decides how many trees stay"
    )


class ViewingBoosting(BoostedOutcome):
    """Gradient-boosted trees on the vectors of image and user."""

    name = "viewing_boosting"
    description = "boosted trees on the vectors of image and user, without the graph"
    source = "Prokhorenkova et al. 2018"
    tasks = (Emotion.name,)
    rows = "viewings"
    Settings = ViewingBoostingSettings

    settings: ViewingBoostingSettings

    @property
    def features(self) -> list[str]:
        own = [OWN_COMMENT] if self.settings.own_comment else []
        return ["image.vector", "user.vector", *own]

    @property
    def caution(self) -> str:
        return LEAKAGE if self.settings.own_comment else ""

    def _extra_options(self, n: int) -> dict[str, Any]:
        if self.settings.keep == "loss":
            return {}
        return {"eval_metric": "TotalF1:average=Macro;use_weights=false"}

    def _label_weights(self, labels: NDArray[np.float64]) -> NDArray[np.float64]:
        classes = labels.astype(np.int64)
        counts = np.bincount(classes, minlength=len(self.targets))
        return class_weights(counts, self.settings.class_balance)[classes]

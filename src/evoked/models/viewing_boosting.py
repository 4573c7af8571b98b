"""Gradient boosting on what is known about user and image, without the graph.

CatBoost (Prokhorenkova et al. 2018): the model that HMG-Emo's graph has to beat. The trees see the
image's vector and the mean of the user's groups (Eq. 1) end to end. What a viewing lacks is a
missing value, for which trees have branches. One ensemble distinguishes all emotions
(``MultiClass``).
"""

from __future__ import annotations

from pydantic import Field

from evoked.features.viewings import OWN_COMMENT
from evoked.models.boosting import BoostedOutcome, BoostingSettings
from evoked.models.comments_only import LEAKAGE
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

"""The mean of several models' predictions.

Models that err in different ways err less together, and a mean without weights needs no posts to
learn weights from (Breiman 1996, *Bagging predictors*, Section 4, for why averaging helps). A line
and boosted trees differ in that way: a line goes on where trees stay level, and trees see what is
no line.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.features.catalog import FeatureSettings
from evoked.models.members import Combination, CombinationSettings


class Blend(Combination):
    """The mean of its members' predictions, each fitted on the same posts."""

    name = "blend"
    description = "the mean of a linear model's and of boosted trees' predictions"
    source = "Breiman 1996, Bagging predictors"
    needs = ("catboost",)
    complexity = 50
    test_settings: ClassVar[dict[str, Any]] = {
        "members": [{"model": "linear"}, {"model": "gradient_boosting", "settings": {"trees": 20}}]
    }

    def __init__(
        self,
        settings: CombinationSettings | None = None,
        feature_settings: FeatureSettings | None = None,
        task: str | None = None,
    ) -> None:
        super().__init__(settings, feature_settings, task)
        self.quick = all(member.quick for member in self.members)

    def combine(self, predicted: list[pd.DataFrame]) -> NDArray[np.float64]:
        return mean_of([each.to_numpy(np.float64) for each in predicted])


def mean_of(predicted: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """What a blend makes of its members' predictions, (n, targets) each."""
    return np.mean(predicted, axis=0)

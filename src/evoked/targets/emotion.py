"""Which of Mikels' eight emotions a post evokes, in people or in one user who views it.

Mikels et al. (2005), *Emotional category data on images from the International Affective Picture
System*; as the label of a user's viewing: Bhattacharyya et al. (2024), *HMG-Emo*, Section IV-A.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.errors import DataError
from evoked.posts.schema import MIKELS
from evoked.targets.base import Outcome, TargetTable, Task, inverse_transformed_classes, one_hot


@dataclass(frozen=True)
class Emotion(Task):
    """Which of eight emotions is felt; made by :meth:`fit`.

    Rows are posts or viewings: whatever has a column ``emotion``. Rows whose emotion is unknown, or
    is none of the eight, are neither learned from nor scored.
    """

    name: ClassVar[str] = "emotion"
    description: ClassVar[str] = "which of Mikels' eight emotions is felt, by a user or by people"
    source: ClassVar[str] = "Mikels et al. 2005; Bhattacharyya et al. 2024"
    columns: ClassVar[tuple[str, ...]] = tuple(f"emotion_{each}" for each in MIKELS)
    outcomes: ClassVar[tuple[Outcome, ...]] = (
        Outcome("emotion", "classes", MIKELS, columns=tuple(f"emotion_{each}" for each in MIKELS)),
    )
    short_list: ClassVar[tuple[str, ...]] = ("linear", "gradient_boosting")

    @classmethod
    def fit(cls, posts: pd.DataFrame) -> Self:
        """Check that some row has an emotion.

        Raises
        ------
        DataError
            None does.
        """
        if not np.isfinite(_classes(posts)).any():
            raise DataError(
                f"none of {len(posts)} rows has one of the emotions {', '.join(MIKELS)}.",
                field="emotion",
                fix="Import the rows with their emotion, or read it from comments with "
                "'evoked label'.",
            )
        return cls()

    def transform(
        self, posts: pd.DataFrame, estimates: NDArray[np.float32] | None = None
    ) -> TargetTable:
        """A column of 0 and 1 per emotion, (n, 8); NaN where the emotion is unknown."""
        columns = one_hot(_classes(posts), len(MIKELS)).astype(np.float32)
        return TargetTable(columns, np.zeros(columns.shape, dtype=bool))

    def inverse_transform(self, predicted: pd.DataFrame, posts: pd.DataFrame) -> pd.DataFrame:
        """``emotion``, the most probable one, and ``emotion_probability_<emotion>`` of each."""
        return inverse_transformed_classes(
            self.outcomes[0], predicted[list(self.columns)].to_numpy(float)
        )

    def truth(self, posts: pd.DataFrame) -> pd.DataFrame:
        """post_id and ``emotion``, missing where unknown."""
        known = posts["emotion"].where(np.isfinite(_classes(posts)))
        return pd.DataFrame({"post_id": posts["post_id"], "emotion": known})

    def to_dict(self) -> dict[str, Any]:
        """Nothing: the emotions are the same everywhere."""
        return {}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        return cls()


def emotion_classes(emotions: pd.Series) -> NDArray[np.int64]:
    """Position of each emotion in :data:`evoked.posts.schema.MIKELS`, (n,); -1 for others."""
    return pd.Categorical(emotions, categories=list(MIKELS)).codes.astype(np.int64)


def _classes(posts: pd.DataFrame) -> NDArray[np.float64]:
    if "emotion" not in posts:
        return np.full(len(posts), np.nan)
    codes = emotion_classes(posts["emotion"])
    return np.where(codes < 0, np.nan, codes.astype(np.float64))

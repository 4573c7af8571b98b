"""Which of Mikels' eight emotions a post evokes, in people or in one user who views it.

Mikels et al. (2005), *Emotional category data on images from the International Affective Picture
System*; as the label of a user's viewing: Bhattacharyya et al. (2024), *HMG-Emo*, Section IV-A.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoked.errors import DataError
from evoked.posts.vocabulary import EMOTION_SEPARATOR, MIKELS
from evoked.targets.base import Outcome, TargetTable, Task, restored_classes, stacked

if TYPE_CHECKING:
    import pandas as pd

    from evoked.posts.columns import Posts


@dataclass(frozen=True)
class Emotion(Task):
    """Which of eight emotions is felt; made by :meth:`fit`.

    Rows are posts or viewings: whatever has a column ``emotion``. Rows whose emotion is unknown, or
    is none of the eight, are neither learned from nor scored. Rows with several emotions are
    learned from by their shares, and not scored.
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
        if not np.isfinite(emotion_shares(_emotions(posts))).any():
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
        """A column per emotion, (n, 8): see :func:`emotion_shares`."""
        columns = emotion_shares(_emotions(posts))
        return TargetTable(columns, np.zeros(columns.shape, dtype=bool))

    def restored(self, predicted: Mapping[str, ArrayLike], posts: Posts) -> dict[str, NDArray[Any]]:
        """``emotion``, the most probable one, and ``emotion_probability_<emotion>`` of each."""
        return restored_classes(self.outcomes[0], stacked(predicted, self.columns))

    def truth(self, posts: pd.DataFrame) -> pd.DataFrame:
        """post_id and ``emotion``, missing where unknown or several."""
        import pandas as pd

        known = posts["emotion"].where(emotion_classes(_emotions(posts)) >= 0)
        return pd.DataFrame({"post_id": posts["post_id"], "emotion": known})

    def to_dict(self) -> dict[str, Any]:
        """Nothing: the emotions are the same everywhere."""
        return {}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        return cls()


def emotion_classes(emotions: pd.Series) -> NDArray[np.int64]:
    """Position of each emotion in :data:`evoked.posts.schema.MIKELS`, (n,); -1 for others, and
    where there are several."""
    import pandas as pd

    return pd.Categorical(emotions, categories=list(MIKELS)).codes.astype(np.int64)


def emotion_shares(emotions: pd.Series) -> NDArray[np.float32]:
    """Shares of the eight emotions of each row, (n, 8), float32: 1 for a single one, the same for
    each of several, NaN where none is known."""
    import pandas as pd

    codes, different = pd.factorize(emotions)
    shares = np.full((len(different) + 1, len(MIKELS)), np.nan, dtype=np.float32)
    for row, text in enumerate(different):
        found = np.isin(MIKELS, str(text).split(EMOTION_SEPARATOR))
        if found.any():
            shares[row] = found / found.sum()
    return shares[codes]  # -1, which is missing, is the last


def _emotions(posts: pd.DataFrame) -> pd.Series:
    import pandas as pd

    return posts.get("emotion", pd.Series(None, posts.index, dtype=object))

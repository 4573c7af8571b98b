"""The emotion of posts that nobody rated, by both emotion readers together.

Where caption and picture can both be read, valence and arousal are the mean of the two readings:
equal weights, for no post here says how much of either people go by. Otherwise the one that can be
read speaks alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.features.cache import FeatureCache
from evoked.features.extract import ImageSource, extract_posts
from evoked.progress import Progress
from evoked.targets import EMOTION_TARGETS


@dataclass(frozen=True)
class EmotionReadings:
    """What was read in n posts.

    Attributes
    ----------
    values
        float32, (n, 2): valence [-4, 4] and arousal [0, 8]; NaN where neither the caption nor the
        picture can be read.
    from_caption, from_picture
        bool, (n,): which of them was read.
    """

    values: NDArray[np.float32]
    from_caption: NDArray[np.bool_]
    from_picture: NDArray[np.bool_]

    def counts(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> dict[str, int]:
        """How many of the posts at ``rows`` were read in what way; ways of no post are left out."""
        caption, picture = self.from_caption[rows], self.from_picture[rows]
        ways = {
            "caption and picture": caption & picture,
            "caption alone": caption & ~picture,
            "picture alone": ~caption & picture,
        }
        return {way: int(of_posts.sum()) for way, of_posts in ways.items() if of_posts.any()}


def read_emotions(
    posts: pd.DataFrame,
    covers: Sequence[ImageSource],
    *,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
) -> EmotionReadings:
    """Read the emotion of posts with the readers that come with evoked.

    Parameters
    ----------
    posts, covers, cache, progress
        As in :func:`evoked.features.extract.extract_posts`.
    """
    names = ["affect.text", "affect.image"]
    table, _ = extract_posts(posts, covers, names, cache=cache, progress=progress)
    batch = table.arrays(np.arange(len(posts)))
    present = np.stack([batch[f"{name}.present"] for name in names])
    readings = np.stack([batch[name][:, : len(EMOTION_TARGETS)] for name in names])
    number = present.sum(axis=0)[:, None]
    total = np.where(present[:, :, None], readings, 0).sum(axis=0)
    values = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    return EmotionReadings(values.astype(np.float32), *present)


def who_read(counts: Mapping[str, int]) -> str:
    """What :meth:`EmotionReadings.counts` gives, in words: "12 from caption and picture, 3 from the
    caption alone"."""
    return ", ".join(
        f"{number} from {'the ' if way.endswith('alone') else ''}{way}"
        for way, number in counts.items()
    )

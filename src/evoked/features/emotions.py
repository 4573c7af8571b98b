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

from evoked.features.affect import without_other_languages
from evoked.features.cache import FeatureCache
from evoked.features.catalog import FeatureSettings
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

    @property
    def number(self) -> int:
        """How many posts were read."""
        return int((self.from_caption | self.from_picture).sum())

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
    features: FeatureSettings | None = None,
    *,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
) -> EmotionReadings:
    """Read the emotion of posts with the readers that come with evoked.

    Parameters
    ----------
    posts, covers, cache, progress
        As in :func:`evoked.features.extract.extract_posts`.
    features
        Settings, of which ``affect_reader`` says who reads the captions. A caption in a language
        that it doesn't read counts as unread.
    """
    reader = (features or FeatureSettings()).affect_reader
    names = ["affect.text", "affect.image"]
    settings = FeatureSettings(affect_reader=reader)  # no other setting decides a reading
    table, _ = extract_posts(posts, covers, names, settings, cache=cache, progress=progress)
    batch = table.arrays(np.arange(len(posts)))
    text, picture = (
        np.where(batch[f"{name}.present"][:, None], batch[name][:, : len(EMOTION_TARGETS)], np.nan)
        for name in names
    )
    text = without_other_languages(text, posts["caption"].tolist(), reader)
    from_caption, from_picture = np.isfinite(text[:, 0]), np.isfinite(picture[:, 0])
    both = (from_caption & from_picture)[:, None]
    alone = np.where(from_caption[:, None], text, picture)
    values = np.where(both, (text + picture) / 2, alone).astype(np.float32)
    return EmotionReadings(values, from_caption, from_picture)


def who_read(counts: Mapping[str, int]) -> str:
    """What :meth:`EmotionReadings.counts` gives, in words: "12 from caption and picture, 3 from the
    caption alone"."""
    return ", ".join(
        f"{number} from {'the ' if way.endswith('alone') else ''}{way}"
        for way, number in counts.items()
    )

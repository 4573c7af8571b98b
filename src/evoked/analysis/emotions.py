"""The emotions that analyses use: rated ones, and estimates where nobody rated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.analysis.ratings import Aggregation, aggregate_ratings
from evoked.features.affect import enough_read
from evoked.features.cache import FeatureCache
from evoked.features.emotions import read_emotions, who_read
from evoked.features.languages import for_captions
from evoked.posts.dataset import PostDataset
from evoked.posts.privacy.image_locking import is_locked
from evoked.progress import Progress
from evoked.runs.notes import too_few_note
from evoked.targets import EMOTION_TARGETS


@dataclass(frozen=True)
class PostsWithEmotion:
    """Posts with valence and arousal, rated or estimated, where either is possible.

    Attributes
    ----------
    posts
        The posts, estimates filled in.
    estimated
        (posts,): where valence or arousal is an emotion reader's estimate.
    unread
        Why none is estimated, in a sentence, where readers could read too few posts.
    readers
        How many posts were estimated from what:
        :meth:`evoked.features.emotions.EmotionReadings.counts`.
    """

    posts: pd.DataFrame
    estimated: NDArray[np.bool_]
    unread: str | None = None
    readers: Mapping[str, int] = field(default_factory=dict)

    @property
    def who(self) -> str:
        """Who estimated, in words, with the number of posts."""
        return who_read(self.readers)

    @property
    def known(self) -> NDArray[np.bool_]:
        """(posts,): where both valence and arousal are there, rated or estimated."""
        return self.posts[list(EMOTION_TARGETS)].notna().all(axis=1).to_numpy()

    @property
    def note(self) -> str | None:
        """What has to be said wherever these emotions are shown; None when people rated all."""
        n, posts = int(self.estimated.sum()), len(self.posts)
        if not n:
            return None
        unknown = posts - int(self.known.sum())
        note = f"valence and arousal of {n} of {posts} posts are estimated"
        return f"{note}, those of {unknown} unknown" if unknown else note


def posts_with_emotion(
    dataset: PostDataset,
    ratings: Aggregation | None = None,
    estimate: bool = True,
    *,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
) -> PostsWithEmotion:
    """The posts of a dataset with the emotions to analyse.

    Parameters
    ----------
    dataset
        The dataset.
    ratings
        Take valence and arousal anew from the annotations, by mean or weighted by reliability
        (:func:`evoked.analysis.ratings.aggregate_ratings`); by default the posts' own are used.
    estimate
        Let the emotion readers estimate what nobody rated, from captions and covers.
    cache
        Where what they read is kept; the user's cache by default.
    progress
        Called with what is read, how much of it is done and how much there is.

    Raises
    ------
    DataError
        ``ratings`` was given but there are no annotations.
    """
    posts = dataset.posts.copy()
    if ratings is not None:
        anew = aggregate_ratings(dataset, ratings)
        for name in set(EMOTION_TARGETS) & set(anew):
            posts[name] = anew[name].to_numpy()
    own = posts[list(EMOTION_TARGETS)].to_numpy(dtype=np.float64, na_value=np.nan)
    wanted = np.flatnonzero(np.isnan(own).any(axis=1))
    if not estimate or not len(wanted):
        return PostsWithEmotion(posts, np.zeros(len(posts), dtype=bool))
    covers = [None] * len(posts) if is_locked(dataset) else dataset.cover_paths()
    unrated = posts.iloc[wanted]
    features = for_captions(None, unrated["caption"].tolist())
    read = read_emotions(
        unrated, [covers[row] for row in wanted], features, cache=cache, progress=progress
    )
    if not enough_read(read.number, len(wanted)):
        nothing = np.zeros(len(posts), dtype=bool)
        return PostsWithEmotion(
            posts, nothing, too_few_note(read.number, len(wanted), features.affect_reader)
        )
    filled = own.copy()
    filled[wanted] = np.where(np.isnan(own[wanted]), read.values, own[wanted])
    posts[list(EMOTION_TARGETS)] = filled
    estimated = (np.isnan(own) & np.isfinite(filled)).any(axis=1)
    return PostsWithEmotion(posts, estimated, readers=read.counts(estimated[wanted]))

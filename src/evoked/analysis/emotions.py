"""The emotions that analyses use: rated ones, and estimates where nobody rated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.analysis.ratings import Aggregation, aggregate_ratings
from evoked.features.affect import enough_read, text_reader, without_other_languages
from evoked.features.languages import for_captions
from evoked.posts.dataset import PostDataset
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
        Why none is estimated, in a sentence, where a reader could read too few captions.
    """

    posts: pd.DataFrame
    estimated: NDArray[np.bool_]
    unread: str | None = None

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
    dataset: PostDataset, ratings: Aggregation | None = None, estimate: bool = True
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
        Let the text emotion reader estimate what nobody rated, from the caption.

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
    has_caption = posts["caption"].fillna("").str.strip().ne("").to_numpy()
    wanted = np.isnan(own).any(axis=1) & has_caption
    if not estimate or not wanted.any():
        return PostsWithEmotion(posts, np.zeros(len(posts), dtype=bool))
    filled = own.copy()
    captions = posts.loc[wanted, "caption"].tolist()
    reader = for_captions(None, captions).affect_reader
    read = without_other_languages(text_reader(reader).predict(captions), captions, reader)
    number = int(np.isfinite(read).all(axis=1).sum())
    if not enough_read(number, len(captions)):
        nothing = np.zeros(len(posts), dtype=bool)
        return PostsWithEmotion(posts, nothing, too_few_note(number, len(captions), reader))
    filled[wanted] = np.where(np.isnan(own[wanted]), read[:, : len(EMOTION_TARGETS)], own[wanted])
    posts[list(EMOTION_TARGETS)] = filled
    return PostsWithEmotion(posts, (np.isnan(own) & np.isfinite(filled)).any(axis=1))

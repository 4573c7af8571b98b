"""The form of posts: what a person can change about one without another idea.

When it appears, its format, and what its caption looks like: length, opening, hashtags, whether it
asks, shows an emoji or names somebody. Nothing here is learned from posts.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from evoked.features.captions import part_emoji
from evoked.features.metadata import column_of, local_times

FORM = (
    "hour",
    "weekday",
    "media_type",
    "hashtags",
    "hashtag_count",
    "characters",
    "opening",
    "question",
    "emoji",
    "mention",
)
"""Columns of :func:`form_of`."""

QUESTION_MARK = re.compile("[?？؟]")
"""What makes a caption one that asks, in Latin, Chinese or Japanese, and Arabic script."""

_HASHTAGS = re.compile(r"[#＃]\w{1,200}")
_OPENING_ENDS = re.compile(r"[\n\r]|(?<=[.!?])\s|(?<=[。！？])")


def form_of(posts: pd.DataFrame) -> pd.DataFrame:
    """The form of posts.

    Parameters
    ----------
    posts
        n posts with the columns of :mod:`evoked.posts.schema`.

    Returns
    -------
    DataFrame
        n rows: ``hour`` [0, 24) and ``weekday`` (Monday = 0) by local clocks where posts have them
        and in UTC otherwise, NaN where unknown; ``media_type``; ``hashtags``, in lower case without
        '#', each once; ``hashtag_count``; ``characters`` of the caption without its hashtags, and
        of its ``opening``, the first line or sentence; ``question``, ``emoji`` and ``mention``: 1
        where there is one. What is about the caption is NaN in posts without one.

    Examples
    --------
    >>> posts = pd.DataFrame({"caption": ["New in! Would you? 😍 #Shoes"], "hashtags": [["Shoes"]]})
    >>> form = form_of(posts).iloc[0]
    >>> print(*form[["hashtags", "characters", "opening", "question", "emoji"]])
    ['shoes'] 20.0 7.0 1.0 1.0
    """
    hours, weekdays = local_times(posts)
    tags = [_distinct(each) for each in column_of(posts, "hashtags")]
    captions = [text if isinstance(text, str) else "" for text in column_of(posts, "caption")]
    named = column_of(posts, "mentions")
    words = pd.DataFrame(
        [_of_caption(text, listed) for text, listed in zip(captions, named, strict=True)],
        columns=["characters", "opening", "question", "emoji", "mention"],
        dtype=np.float64,
    )
    return pd.DataFrame(
        {
            "hour": hours,
            "weekday": weekdays,
            "media_type": column_of(posts, "media_type").astype(object),
            "hashtags": pd.Series(tags, dtype=object),
            "hashtag_count": np.array([len(each) for each in tags], np.float64),
            **words,
        }
    )


def words_of(caption: str) -> str:
    """A caption without its hashtags, and without white space at its ends."""
    return _HASHTAGS.sub("", caption).strip()


def opening_of(caption: str) -> str:
    """The first line or sentence of a caption."""
    words = words_of(caption)
    end = _OPENING_ENDS.search(words)
    return words[: end.start()] if end else words


def _of_caption(caption: str, mentions: object) -> tuple[float, ...]:
    if not caption.strip():
        return (np.nan,) * 5
    return (
        len(words_of(caption)),
        len(opening_of(caption)),
        QUESTION_MARK.search(caption) is not None,
        bool(part_emoji(caption)[1]),
        isinstance(mentions, list | np.ndarray) and len(mentions) > 0,
    )


def _distinct(tags: object) -> list[str]:
    listed = tags if isinstance(tags, list | tuple | np.ndarray) else []
    return list(dict.fromkeys(str(tag).lower() for tag in listed))

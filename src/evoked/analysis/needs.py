"""What analyses need of the posts: each function says why they don't suffice, or nothing."""

from __future__ import annotations

import numpy as np

from evoked.analysis.base import PostContext
from evoked.analysis.counts import engagement_counts
from evoked.posts.emotion_and_rates import METRICS, engagement_rates


def needs_emotion(context: PostContext) -> str:
    """Valence and arousal of some post, rated or estimated."""
    if context.emotions.known.any():
        return ""
    return "no post has valence and arousal, rated or estimated"


def needs_engagement(context: PostContext) -> str:
    """A count of some kind of engagement for a post whose emotion is known."""
    rates = engagement_rates(*engagement_counts(context.rated))[:, : METRICS.index("overall")]
    if (np.isfinite(rates).any(axis=1) & context.emotions.known).any():
        return ""
    return "no post has both an emotion and a count of likes, comments, shares or saves"


def needs_activity(context: PostContext) -> str:
    """Counts over time."""
    if len(context.dataset.table("activity")):
        return ""
    return "the dataset has no table of activity (counts over time)"

"""What the columns of posts are called, and within what bounds their values lie; without the
libraries that hold tables. The tables themselves are in :mod:`evoked.posts.schema`."""

from __future__ import annotations

# Columns of facts follow those of the schema: see :mod:`evoked.posts.facts`.
FACT_PREFIX = "fact."

ENGAGEMENT = ("likes", "comments", "shares", "saves")
# How often a post was seen. Networks report one or the other; views are also called plays.
EXPOSURE = ("views", "reach", "impressions")
# A column of posts that no dataset has: how often a draft is expected to be seen.
EXPECTED_VIEWS = "expected_views"
EMOTIONS = ("valence", "arousal", "dominance")
COUNTS = (
    "followers",
    "following",
    "author_posts",
    *ENGAGEMENT,
    *EXPOSURE,
)
SPLITS = ("train", "validation", "test")
# Between the emotions of a viewing that has several.
EMOTION_SEPARATOR = ";"
MIKELS = (
    "amusement", "awe", "contentment", "excitement",
    "anger", "disgust", "fear", "sadness",
)  # fmt: skip
SCALES: dict[str, tuple[float, float]] = {
    "valence": (-4.0, 4.0),
    "arousal": (0.0, 8.0),
    "dominance": (-4.0, 4.0),
}

# Larger than any count on any network: a larger one is an error in the source.
MAX_COUNT = 10**11
# Instagram allows 2,200 characters, the most generous supported source 63,206.
MAX_CAPTION_CHARACTERS = 100_000

"""Past posts of an account whose truth is known, as a run keeps them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

TAGS = ("daily", "local", "sale")


def past_posts(
    n: int = 300,
    seed: int = 0,
    effects: Mapping[str, float] | None = None,
    authors: int = 1,
    noise: float = 0.3,
) -> pd.DataFrame:
    """n posts, oldest first, whose logarithms of likes are a growing level, a topic, noise and the
    effects: of ``question``, ``emoji``, a hashtag, ``evening`` (from 20 o'clock), ``weekend`` and
    ``image_0``. What was expected of them is right but for a little noise, and knows no time."""
    random, planted = np.random.default_rng(seed), dict(effects or {})
    topic = random.random(n) < 0.5
    asks = random.random(n) < np.where(topic, 0.6, 0.2)
    shows = random.random(n) < 0.5
    hour = np.where(topic, random.integers(0, 24, n), random.integers(8, 24, n)).astype(float)
    tags = [[tag for tag in TAGS if random.random() < 0.4] for _ in range(n)]
    coordinates = random.normal(size=(n, 4)) / 2
    coordinates[:, 2] = topic + random.normal(size=n) / 20  # captions show the topic
    days = np.arange(n) * 2.3
    dates = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(days, unit="D")
    got = 5 + days / 400 + 0.5 * topic + noise * random.normal(size=n)
    facts = {
        "question": asks,
        "emoji": shows,
        "evening": hour >= 20,
        "weekend": dates.day_of_week >= 5,
        "image_0": coordinates[:, 0],
        **{tag: [tag in own for own in tags] for tag in TAGS},
    }
    expected = 5 + 0.5 * topic + random.normal(size=n) / 10
    for name, worth in planted.items():
        added = worth * np.asarray(facts[name], float)
        got = got + added
        # What is expected of a post does not know its time.
        expected = expected + added * (name not in ("evening", "weekend"))
    return pd.DataFrame(
        {
            "post_id": [f"post-{number}" for number in range(n)],
            "author": [f"author-{number % authors}" for number in range(n)],
            "posted_at": dates,
            "held_out": np.arange(n) >= 0.85 * n,
            "hour": hour,
            "weekday": dates.day_of_week.astype(float),
            "media_type": "image",
            "hashtags": pd.Series(tags, dtype=object),
            "hashtag_count": [float(len(own)) for own in tags],
            "characters": random.integers(20, 400, n).astype(float),
            "opening": random.integers(10, 60, n).astype(float),
            "question": asks.astype(float),
            "emoji": shows.astype(float),
            "mention": 0.0,
            "likes": np.round(np.expm1(got)),
            "likes_expected": expected,
            "image_0": coordinates[:, 0],
            "image_1": coordinates[:, 1],
            "image_2": 0.8,
            "caption_0": coordinates[:, 2],
            "caption_1": coordinates[:, 3],
            "caption_2": 0.8,
        }
    )

"""Facts of a person's own in the words of an explanation."""

from __future__ import annotations

from itertools import chain

import pandas as pd

from evoked.explain.facts import columns_of_facts, facts_in_words
from evoked.features.metadata import MetadataEncoder
from evoked.posts.dataset import PostDataset


def test_own_columns_are_facts_of_their_own(dataset: PostDataset) -> None:
    n = len(dataset.posts)
    posts = dataset.posts.assign(
        **{
            "fact.spend": [12.5] * 3 + [float(number**3) for number in range(n - 3)],
            "fact.placement": ["feed", "story"] * (n // 2),
            "fact.boosted": [True, False] * (n // 2),
            "fact.day": [float(number) + 7.5 for number in range(n)],
        }
    )
    encoder = MetadataEncoder.fit(posts)
    about = list(columns_of_facts(encoder))
    assert sorted(chain(*columns_of_facts(encoder).values())) == list(range(encoder.width))
    first = posts.iloc[:1]
    texts = dict(zip(about, facts_in_words(encoder, first, "your")[0], strict=True))
    assert texts["spend"] == "spend: 12.5"
    assert texts["placement"] == "placement: feed"
    assert texts["boosted"] == "boosted: yes"
    assert texts["day (own)"] == "day: 7.5"
    assert texts["day"] == f"the trend up to {first['posted_at'].iloc[0]:%Y-%m-%d}"
    unknown = first.assign(**{name: None for name in first if str(name).startswith("fact.")})
    unknown = unknown.assign(posted_at=pd.NaT)
    texts = dict(zip(about, facts_in_words(encoder, unknown, "your")[0], strict=True))
    assert texts["spend"] == "spend unknown"
    assert texts["day"] == "day unknown"
    assert texts["posting time"] == "time unknown"

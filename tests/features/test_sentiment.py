"""Sentiment of texts in five levels, and the likes that a post has got."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evoked.features.cache import FeatureCache
from evoked.features.catalog import CATALOG
from evoked.features.extract import extract_posts, fingerprints
from evoked.features.likability import Likability
from evoked.features.pipeline import FeaturePipeline
from evoked.features.sentiment import (
    SENTIMENT_LEVELS,
    SENTIMENT_NAMES,
    language_of,
    sentiment_features,
    sentiment_levels,
    text_sentiment,
)
from evoked.testing.examples import random_posts


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("今天天气真好，我非常开心", "chinese"),
        ("這個產品真的很好用", "chinese"),
        ("面霜 really good 开心", "english"),  # more Latin letters than Han
        ("今日はとても楽しい", "unknown"),  # kana
        ("今日はとても楽しい😭", "emoji"),
        ("I love this place", "english"),
        ("a café at the sea", "english"),
        ("Sunset vibes", "english"),
        ("Das ist gut", "unknown"),
        ("la vida es un carnaval 😍", "emoji"),
        ("мне нравится", "unknown"),
        ("😍", "emoji"),
        ("2024", "unknown"),
        ("", "unknown"),
    ],
)
def test_texts_are_read_by_who_knows_their_language(text: str, language: str) -> None:
    assert language_of(text) == language


def test_english_is_what_vader_says() -> None:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    texts = ["I LOVE this!!!", "not good at all", "a table in the room", "so sad 😭"]
    expected = [SentimentIntensityAnalyzer().polarity_scores(text)["compound"] for text in texts]
    np.testing.assert_allclose(text_sentiment(texts), expected, atol=1e-6)


def test_chinese_is_what_snownlp_says() -> None:
    from snownlp import SnowNLP

    texts = ["今天天气真好，我非常开心", "太差了，很失望，垃圾"]
    expected = [2 * SnowNLP(text).sentiments - 1 for text in texts]
    np.testing.assert_allclose(text_sentiment(texts), expected, atol=1e-6)
    assert expected[0] > 0 > expected[1]
    # Traditional characters are read as the simplified ones.
    np.testing.assert_array_equal(*(text_sentiment([t]) for t in ("非常開心", "非常开心")))


def test_what_nobody_can_read_has_no_sentiment_and_its_emoji_have_one() -> None:
    unread, emoji, missing = text_sentiment(["Das ist gut", "Das ist gut 😍", None])
    assert np.isnan(unread)
    assert np.isnan(missing)
    assert emoji == text_sentiment(["😍"])[0] > 0


def test_levels_are_fifths() -> None:
    polarity = [-1, -0.61, -0.6, -0.21, -0.2, 0, 0.19, 0.2, 0.59, 0.6, 1, np.nan]
    np.testing.assert_array_equal(
        sentiment_levels(polarity), [0, 0, 1, 1, 2, 2, 2, 3, 3, 4, 4, np.nan]
    )


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=40), max_size=5))
def test_any_text_has_a_polarity_and_one_level_or_neither(texts: list[str]) -> None:
    features = sentiment_features(texts)
    assert features.shape == (len(texts), len(SENTIMENT_NAMES))
    read = np.isfinite(features).all(axis=1)
    assert np.isnan(features[~read]).all()
    assert (np.abs(features[read, 0]) <= 1).all()
    assert (features[read, 1:].sum(axis=1) == 1).all()


def test_feature_is_cached_and_absent_where_unread(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    posts = pd.DataFrame(
        {
            "post_id": list("abcd"),
            "caption": ["I LOVE this! 😍 https://t.co/x", "太差了，很失望", "Das ist gut", None],
        }
    )
    assert CATALOG["sentiment.text"].kind == "vector"
    table, _ = extract_posts(posts, [None] * 4, ["sentiment.text"], cache=cache)
    batch = table.take(np.arange(4))
    assert batch["sentiment.text.present"].tolist() == [True, True, False, False]
    levels = batch["sentiment.text"][:2, 1:].argmax(dim=1).tolist()
    assert [SENTIMENT_LEVELS[level] for level in levels] == ["very positive", "very negative"]
    again, _ = extract_posts(posts, [None] * 4, ["sentiment.text"], cache=FeatureCache(tmp_path))
    np.testing.assert_array_equal(
        again.take(np.arange(4))["sentiment.text"], batch["sentiment.text"]
    )
    assert (
        "snownlp"
        in fingerprints(["sentiment.text"], FeaturePipeline([]).settings)["sentiment.text"]
    )


def test_likability_is_standardised_on_the_training_posts() -> None:
    likability = Likability.fit(pd.DataFrame({"likes": [0, np.e**2 - 1, np.nan, -5]}))
    assert (likability.mean, likability.spread) == pytest.approx((1, 1))
    values = likability.transform(pd.DataFrame({"likes": [np.e - 1, None, -1]}))
    np.testing.assert_allclose(values[:, 0], [0, np.nan, np.nan], atol=1e-6)
    assert Likability.from_dict(likability.to_dict()) == likability
    # Nobody knows, or all got the same.
    assert Likability.fit(pd.DataFrame({"likes": [None]})) == Likability(0.0, 1.0)
    assert Likability.fit(pd.DataFrame({"likes": [7, 7]})).spread == 1.0


def test_known_likes_say_that_they_are_unknown_before_posting(tmp_path: Path) -> None:
    assert "UNKNOWN BEFORE POSTING" in CATALOG["likability.known"].description
    posts = random_posts(6)
    posts.loc[5, "likes"] = None
    pipeline = FeaturePipeline(["likability.known"]).fit(posts.iloc[:4])
    pipeline.save(tmp_path)
    table, _ = FeaturePipeline.load(tmp_path).transform(posts, [None] * 6)
    column = table.columns["likability.known"]
    assert column.present.tolist() == [True] * 5 + [False]
    values = column.take(np.arange(4), None)[""].numpy()
    assert values.mean() == pytest.approx(0, abs=1e-6)
    assert values.std() == pytest.approx(1, abs=1e-5)

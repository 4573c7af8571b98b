"""Metadata: nothing leaks from a post's own or later engagement, and the figures are right."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evoked.features.metadata import MetadataEncoder
from evoked.posts.author_history import attach_history, published_history
from evoked.posts.schema import ENGAGEMENT

START = pd.Timestamp("2026-03-02", tz="UTC")  # a Monday

counts = st.one_of(st.none(), st.integers(-5, 10**13))


@st.composite
def post_tables(draw: st.DrawFn) -> pd.DataFrame:
    """Posts of few authors at few instants, so that ties and gaps are common."""
    size = draw(st.integers(1, 25))

    def column(values: st.SearchStrategy) -> list:
        return draw(st.lists(values, min_size=size, max_size=size))

    hours = column(st.one_of(st.none(), st.integers(0, 12)))
    engagement = {name: pd.Series(column(counts), dtype="Float64") for name in ENGAGEMENT}
    return pd.DataFrame(
        {
            "post_id": [f"post{i}" for i in range(size)],
            "author_id": pd.Series(column(st.sampled_from(["a", "b", None])), dtype=object),
            "posted_at": pd.to_datetime(
                pd.Series([None if h is None else START + pd.Timedelta(hours=h) for h in hours]),
                utc=True,
            ),
            "followers": pd.Series(column(counts), dtype="Float64"),
            **engagement,
        }
    )


@settings(deadline=None, max_examples=40)
@given(post_tables(), st.data())
def test_own_and_later_engagement_never_leaks(posts: pd.DataFrame, data: st.DataObject) -> None:
    encoder = MetadataEncoder.fit(posts)
    row = data.draw(st.integers(0, len(posts) - 1))
    own = posts.iloc[row]
    later = posts["posted_at"].ge(own["posted_at"]) | posts["posted_at"].isna()
    later.iloc[row] = True
    others = posts["author_id"].ne(own["author_id"]) | posts["author_id"].isna()
    drawn = {
        name: data.draw(st.lists(counts, min_size=len(posts), max_size=len(posts)))
        for name in ENGAGEMENT
    }
    # Other authors' earlier posts count in the mean over everyone's last posts and nowhere else.
    own_past = np.array(["everyone" not in name for name in encoder.names])
    for changes, columns in ((later, slice(None)), (later | others, own_past)):
        changed = posts.copy()
        for name, values in drawn.items():
            changed[name] = posts[name].where(~changes, pd.Series(values, dtype="Float64"))
        before, after = encoder.transform(posts)[row], encoder.transform(changed)[row]
        np.testing.assert_array_equal(before[columns], after[columns])


@settings(deadline=None, max_examples=30)
@given(post_tables())
def test_carried_history_equals_the_posts_themselves(posts: pd.DataFrame) -> None:
    """A draft after training sees the same past from what a run carries as from all the posts."""
    encoder = MetadataEncoder.fit(posts)
    drafts = pd.DataFrame(
        {
            "post_id": ["new a", "new b", "new c"],
            "author_id": ["a", "b", "stranger"],
            "posted_at": START + pd.Timedelta(days=2),
        }
    )
    with_all = encoder.transform(pd.concat([drafts, posts[posts["author_id"].notna()]]))[:3]
    alone = encoder.transform(attach_history(drafts, published_history(posts)))
    np.testing.assert_allclose(alone, with_all, atol=1e-4)
    loaded = MetadataEncoder.from_dict(json.loads(json.dumps(encoder.to_dict())))
    np.testing.assert_allclose(
        loaded.transform(attach_history(drafts, published_history(posts))), alone, atol=1e-2
    )
    np.testing.assert_allclose(loaded.transform(posts), encoder.transform(posts), atol=1e-2)


def make_posts(size: int, authors: int = 5, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "post_id": [f"post{i}" for i in range(size)],
            "author_id": [f"author{i % authors}" for i in range(size)],
            "posted_at": START + pd.to_timedelta(random.permutation(size) * 7, unit="h"),
            "caption": random.choice(
                ["Sun & sea 🌞 #beach", "WOW! Really? https://x.io", ""], size
            ),
            "hashtags": [["beach"] * (i % 3) for i in range(size)],
            "images": [["a.jpg"] * (1 + i % 2) for i in range(size)],
            "category": random.choice(["food", "travel"], size),
            "media_type": random.choice(["image", "carousel"], size),
            "paid": random.choice(np.array([True, False, None], dtype=object), size),
            "followers": random.integers(100, 10**6, size),
            "likes": random.integers(0, 10**5, size),
        }
    )


def raw(posts: pd.DataFrame, training: pd.DataFrame | None = None) -> pd.DataFrame:
    """Features before standardising, by name."""
    encoder = MetadataEncoder.fit(posts if training is None else training)
    values = encoder.transform(posts).astype(float)
    scales = np.where(encoder.scales == 0, np.inf, encoder.scales)
    return pd.DataFrame(values / scales + encoder.means, columns=list(encoder.names))


def test_features_are_standardised_and_named() -> None:
    posts = make_posts(200)
    encoder = MetadataEncoder.fit(posts)
    features = encoder.transform(posts)
    assert features.dtype == np.float32
    assert features.shape == (200, encoder.width)
    assert len(set(encoder.names)) == encoder.width
    table = pd.DataFrame(features, columns=list(encoder.names))
    for name in ("followers (log)", "hour (sine)", "characters (log)", "author's mean likes (log)"):
        assert table[name].mean() == pytest.approx(0, abs=1e-5)
        assert table[name].std(ddof=0) == pytest.approx(1, abs=0.05)
    assert set(table["category: food"]) == {0, 1}
    assert table["author's mean likes (log) unknown"].sum() == 5  # the first of each author


def test_caption_and_time_are_read_right() -> None:
    posts = make_posts(3).assign(
        caption=["Hi! Ok?? 🌞👍🏽 #a #b @me www.x.io", "ALL caps", None],
        posted_at=[START, START + pd.Timedelta(hours=6), START + pd.Timedelta(days=3.5)],
    )
    del posts["hashtags"]
    table = raw(posts)
    for name, expected in {
        "words": [7, 2, 0],
        "emoji": [2, 0, 0],
        "exclamation marks": [1, 0, 0],
        "question marks": [2, 0, 0],
        "hashtags": [2, 0, 0],
        "mentions": [1, 0, 0],
        "URLs": [1, 0, 0],
        "characters": [31, 8, 0],
    }.items():
        found = np.expm1(table[f"{name} (log)"])
        np.testing.assert_allclose(found, expected, atol=1e-4, err_msg=name)
    np.testing.assert_allclose(table["share of capitals"], [2 / 31, 3 / 8, 0], atol=1e-5)
    np.testing.assert_allclose(table["hour (sine)"], [0, 1, 0], atol=1e-5)
    np.testing.assert_allclose(table["hour (cosine)"], [1, 0, -1], atol=1e-5)
    np.testing.assert_allclose(
        table["weekday (sine)"], np.sin(2 * np.pi * np.array([0, 0, 3]) / 7), atol=1e-5
    )


def test_hour_and_weekday_without_a_date() -> None:
    posts = make_posts(4).drop(columns="posted_at")
    posts = posts.assign(
        posted_hour=[0.0, 6.0, 12.0, np.nan], posted_weekday=[0.0, 1.0, 2.0, np.nan]
    )
    table = raw(posts)
    np.testing.assert_allclose(table["hour (sine)"][:3], [0, 1, 0], atol=1e-5)
    assert table["hour unknown"].tolist() == [0, 0, 0, 1]
    assert table["weekday unknown"].tolist() == [0, 0, 0, 1]


def test_days_are_a_trend_that_ends_where_training_does() -> None:
    training = make_posts(50).sort_values("posted_at", ignore_index=True)
    middle = training.iloc[10:40]
    days = raw(training, middle)["day"]
    seen = (training["posted_at"] - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)
    np.testing.assert_allclose(days, seen.clip(seen[10], seen[39]), atol=1e-3)
    assert days.is_monotonic_increasing
    assert "day" not in MetadataEncoder.fit(training.drop(columns="posted_at")).names


def test_earlier_posts_are_given_beside_their_mean() -> None:
    posts = make_posts(40, authors=2).assign(comments=5)
    table, history = raw(posts), attach_history(posts)
    for start, words in {"last": "last", "median10": "median of the last 10"}.items():
        beside = history[f"history.{start}_likes"] - history["history.mean_likes"]
        known = beside.notna()
        found = table[f"author's {words} likes beside the mean (log)"]
        np.testing.assert_allclose(found[known], beside[known], atol=1e-4)
        assert beside[known].abs().max() > 0.1


def test_what_training_did_not_vary_is_ignored() -> None:
    training = make_posts(50).assign(paid=False, category="food")
    strange = make_posts(50).assign(paid=True, category="cars", shares=7)
    table = raw(strange, training)
    assert (table["paid"] == 0).all()
    encoder = MetadataEncoder.fit(training)
    np.testing.assert_array_equal(encoder.transform(strange)[:, encoder.names.index("paid")], 0)


def test_unknown_category_has_its_own_column() -> None:
    training = make_posts(50)
    training.loc[:4, "category"] = None
    table = raw(make_posts(2).assign(category=["cars", " Food "]), training)
    assert table["category unknown"].tolist() == [1, 0]
    assert table["category: food"].tolist() == [0, 1]


@pytest.mark.parametrize(
    "damage",
    [
        {"followers": 0},
        {"followers": -3, "likes": -10},
        {"followers": 10**18, "likes": 10**18, "following": np.inf},
        {"caption": "🌞" * 100_000},
        {"caption": "\x00\u200fمرحبا\x00"},
        {"caption": None, "hashtags": None, "images": None, "category": None},
        {"posted_at": pd.NaT, "author_id": None},
    ],
)
def test_bad_values_give_finite_features(damage: dict) -> None:
    posts = make_posts(40)
    encoder = MetadataEncoder.fit(posts)
    bad = posts.iloc[:4].copy()
    for name, value in damage.items():
        bad[name] = [value] * len(bad)
    for fitted in (encoder, MetadataEncoder.fit(bad)):
        features = fitted.transform(bad)
        assert np.isfinite(features).all()
        assert np.abs(features).max() <= 10


def test_any_column_may_be_missing() -> None:
    for posts in (make_posts(5)[["post_id"]], make_posts(1), make_posts(5).iloc[:0]):
        encoder = MetadataEncoder.fit(posts)
        assert encoder.transform(posts).shape == (len(posts), encoder.width)
        assert np.isfinite(encoder.transform(make_posts(3))).all()


def test_lone_surrogates_do_not_stop_a_batch() -> None:
    posts = pd.DataFrame({"post_id": ["a"], "caption": pd.Series(["\ud800 hi"], dtype=object)})
    assert np.isfinite(MetadataEncoder.fit(posts).transform(posts)).all()


def test_order_of_rows_does_not_matter() -> None:
    posts = make_posts(60)
    encoder = MetadataEncoder.fit(posts)
    order = np.random.default_rng(1).permutation(60)
    shuffled = encoder.transform(posts.iloc[order])
    np.testing.assert_allclose(shuffled, encoder.transform(posts)[order], atol=1e-5)


def test_a_state_of_another_kind_is_refused() -> None:
    state = MetadataEncoder.fit(make_posts(5)).to_dict()
    with pytest.raises(ValueError, match="version"):
        MetadataEncoder.from_dict(state | {"version": 99})
    with pytest.raises(ValueError, match="reshape"):
        MetadataEncoder.from_dict(state | {"means": [0.0]})
    with pytest.raises(KeyError):
        MetadataEncoder.from_dict({"version": state["version"]})


@given(st.lists(st.text(max_size=60), min_size=1, max_size=4))
def test_patterns_mean_the_same_to_both_readers_of_captions(texts: list[str]) -> None:
    from evoked.features import metadata

    posts = pd.DataFrame({"caption": [text.encode("utf-8", "ignore").decode() for text in texts]})
    few = metadata.form_counts(posts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metadata, "_MANY_CAPTIONS", 0)
        many = metadata.form_counts(posts)
    for name, counts in few.items():
        np.testing.assert_array_equal(counts, many[name], err_msg=name)

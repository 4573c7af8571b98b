"""Best positions on the plane of emotions, statistics per category, and emotions to go by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evoked.analysis.categories import category_table
from evoked.analysis.emotions import posts_with_emotion
from evoked.analysis.positions import ALL, best_positions, smooth
from evoked.features.cache import FeatureCache
from evoked.posts.dataset import PostDataset
from evoked.posts.schema import ENGAGEMENT
from tests.support.examples import posts_by_few_authors
from tests.support.reader_sources import write_picture

NAN = np.nan


def _posts(n: int = 300, seed: int = 0, **columns: object) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    base = {
        "post_id": [str(i) for i in range(n)],
        "author_id": [f"a{i % 60}" for i in range(n)],
        "category": "travel",
        "followers": 10_000,
        "valence": rng.uniform(-4, 4, n),
        "arousal": rng.uniform(0, 8, n),
        **{name: rng.poisson(100, n) for name in ENGAGEMENT},
    }
    return pd.DataFrame(base | columns)


class TestBestPositions:
    def test_finds_a_planted_place(self):
        posts = _posts()
        away = (posts["valence"] - 2.5) ** 2 + (posts["arousal"] - 1.5) ** 2
        rate = 100 * np.exp(1.2 * np.exp(-away / 6))
        posts["saves"] = np.random.default_rng(1).poisson(rate)
        table = best_positions(posts, draws=100, permutations=400)
        row = table[table["metric"] == "saves"].iloc[0]
        assert row["category"] == ALL
        assert row["direction"] == "calm and positive"
        assert row["advice"].startswith("For saves in all categories: calm and positive (best near")
        assert (row["valence"], row["arousal"]) == pytest.approx((2.5, 1.5), abs=1)
        # Smoothing takes some off the top.
        planted = np.exp(np.log(100) + 1.2 - np.log(posts["saves"]).mean()) - 1
        assert 0.6 * planted < row["gain"] < 1.1 * planted
        assert row["low"] < row["gain"] < row["high"]

    def test_two_equal_places_leave_the_valence_open(self):
        posts = _posts(600)
        strength = posts["valence"].abs() * (posts["arousal"] - 4)
        posts["shares"] = np.random.default_rng(1).poisson(100 * np.exp(0.1 * strength))
        row = best_positions(posts, draws=100, permutations=200).query("metric == 'shares'").iloc[0]
        assert row["direction"] == "aroused"

    def test_finds_nothing_where_there_is_nothing(self):
        p, gains, clear = [], [], 0
        for seed in range(12):
            table = best_positions(_posts(150, seed), draws=20, permutations=100)
            assert table.loc[~table["clear"], "advice"].str.contains("no clear position").all()
            clear += int(table["clear"].any())
            p += table["p"].tolist()
            gains += table["gain"].tolist()
        # Without the correction for choosing the best place, gains would be above 0 on average.
        assert np.mean(np.array(p) < 0.05) <= 0.12
        assert clear <= 2  # each of the twelve tables with a chance of 5 %
        assert abs(np.mean(gains)) < 0.02

    def test_authors_who_differ_are_no_relation(self):
        p, of_posts, clear = [], [], 0
        for seed in range(25):
            table = best_positions(posts_by_few_authors(seed), draws=20, permutations=199)
            p += table["p"].tolist()
            of_posts += table["p_posts"].tolist()
            clear += int(table["clear"].any())
        assert 0.02 <= np.mean(np.array(p) < 0.05) <= 0.09
        assert np.mean(np.array(of_posts) < 0.05) > 0.25
        assert clear == 0

    def test_too_few_posts_are_said(self):
        posts = _posts(120, category=["rare"] * 20 + ["common"] * 100, saves=NAN)
        table = best_positions(posts, draws=10, permutations=20).set_index(["category", "metric"])
        assert "unknown (n = 20 posts" in table.loc[("rare", "likes"), "advice"]
        assert "unknown (n = 0 posts" in table.loc[("common", "saves"), "advice"]
        assert np.isfinite(table.loc[("common", "likes"), "p"])


def test_smooth_is_the_mean_near_a_place():
    surface = smooth([0.0] * 10 + [3.9] * 10, [4.0] * 20, [1.0] * 10 + [5.0] * 10)
    at = {v: surface.values[surface.valence == v, surface.arousal == 4][0] for v in (0.0, 4.0)}
    assert at[0.0] == pytest.approx(1, abs=0.2)
    assert at[4.0] == pytest.approx(5, abs=0.2)
    assert np.isnan(surface.values[0, 0])  # nobody is near
    assert surface.n == 20
    assert np.isnan(smooth([NAN], [1.0], [1.0]).values).all()


def test_category_table_by_hand():
    posts = pd.DataFrame(
        {
            "category": ["Travel", "Travel", None],
            "caption": ["Golden hour #sun #sea", "", "One two three four"],
            "hashtags": [["sun", "sea"], [], ["x"]],
            "followers": [1000, 1000, NAN],
            **dict.fromkeys(ENGAGEMENT, 5),
            "valence": [1.0, 3.0, NAN],
            "arousal": [2.0, 2.0, NAN],
        }
    )
    table = category_table(posts).set_index("category")
    assert table.index.tolist() == ["Travel", "none", "all"]
    travel = table.loc["Travel"]
    assert (travel["posts"], travel["share"]) == (2, pytest.approx(2 / 3))
    assert (travel["caption_words"], travel["hashtags"]) == (2, 1)
    assert travel["rate_median"] == pytest.approx(2.0)  # 20 in 1000, per cent
    assert travel["valence"] == 2
    assert travel["published_posts"] == 1218
    assert table.loc["none", "with_rate"] == 0
    assert np.isnan(table.loc["all", "published_posts"])


def test_emotions_are_estimated_only_where_nobody_rated(tmp_path: Path):
    (tmp_path / "pictures").mkdir()
    write_picture(tmp_path / "pictures" / "c.jpg", seed=1)
    posts = pd.DataFrame(
        {
            "post_id": list("abcd"),
            "caption": ["What a wonderful day!", "A wonderful day!", "", None],
            "images": [["c.jpg"], [], ["c.jpg"], []],
            "valence": [-3.0, NAN, NAN, NAN],
            "arousal": [1.0, NAN, NAN, NAN],
        }
    )
    dataset = PostDataset.create(tmp_path / "posts", {"posts": posts}, images=tmp_path / "pictures")
    cache = FeatureCache(tmp_path / "cache")
    found = posts_with_emotion(dataset, cache=cache)
    assert found.estimated.tolist() == [False, True, True, False]
    assert found.known.tolist() == [True, True, True, False]
    assert found.posts["valence"].iloc[0] == -3
    assert found.posts["valence"].iloc[1] > 1
    assert found.note == "valence and arousal of 2 of 4 posts are estimated, those of 1 unknown"
    assert found.who == "1 from the caption alone, 1 from the picture alone"
    assert posts_with_emotion(dataset, estimate=False).note is None

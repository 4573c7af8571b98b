"""Tables 8 and 9, the lifts, and agreement, against hand-worked cases and other ways to compute."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from evoked.analysis.agreement import alphas_without_each, krippendorff_alpha
from evoked.analysis.engagement import (
    emotion_engagement_table,
    lifts,
)
from evoked.analysis.peaks import peak_differences, time_to_peak
from evoked.errors import SettingsError
from evoked.posts.emotion_and_rates import (
    DIMENSIONS,
    correlate,
    emotion_dimensions,
    emotion_quadrant,
    engagement_rates,
    log_rates,
)
from evoked.posts.schema import ENGAGEMENT
from evoked.posts.synthetic.population import (
    ACTIVITY_HOURS,
    CATEGORY_NAMES,
    draw_activity,
    draw_population,
)
from tests.support.examples import posts_by_few_authors

NAN = np.nan

# Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section D: four observers,
# twelve units, with missing values; published are 0.743, 0.815 and 0.849.
PUBLISHED_EXAMPLE = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
).T


def _posts(n: int = 200, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "post_id": [str(i) for i in range(n)],
            "category": rng.choice(["food", "travel"], n),
            "followers": rng.integers(1_000, 100_000, n),
            "valence": rng.uniform(-4, 4, n),
            "arousal": rng.uniform(0, 8, n),
            **{name: rng.integers(0, 500, n) for name in ENGAGEMENT},
        }
    )


class TestKrippendorffAlpha:
    @pytest.mark.parametrize(
        ("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
    )
    def test_published_example(self, level, alpha):
        assert krippendorff_alpha(PUBLISHED_EXAMPLE, level) == pytest.approx(alpha, abs=5e-4)

    def test_by_hand(self):
        # Observed: (0 + 0 + 2 · 1) / 6; expected over the 30 pairs of 1 1 2 2 3 4: 2 · 41 / 30.
        assert krippendorff_alpha([[1, 1], [2, 2], [3, 4]]) == pytest.approx(
            1 - (2 / 6) / (82 / 30)
        )

    @given(
        hnp.arrays(
            np.float64,
            st.tuples(st.integers(2, 6), st.integers(2, 4)),
            elements=st.sampled_from([1.0, 2.0, 3.0, 5.0, NAN]),
        )
    )
    @settings(max_examples=60, deadline=None)
    def test_equals_the_sum_over_pairs(self, ratings):
        units = [row[np.isfinite(row)] for row in ratings]
        units = [unit for unit in units if len(unit) > 1]
        pooled = np.concatenate(units) if units else np.array([])
        if len(np.unique(pooled)) < 2:
            assert np.isnan(krippendorff_alpha(ratings))
            return
        within = sum(
            sum((a - b) ** 2 for a, b in itertools.permutations(unit, 2)) / (len(unit) - 1)
            for unit in units
        )
        every = [(a - b) ** 2 for a, b in itertools.permutations(pooled, 2)]
        expected = 1 - within / len(pooled) / np.mean(every)
        assert krippendorff_alpha(ratings) == pytest.approx(expected)

    def test_without_each_rater(self):
        rng = np.random.default_rng(0)
        sparse = np.where(rng.random((30, 6)) < 0.4, rng.integers(1, 10, (30, 6)), NAN)
        for ratings in (PUBLISHED_EXAMPLE, sparse, np.array([[1.0, 2], [3, 3]])):
            np.testing.assert_allclose(
                alphas_without_each(ratings),
                [
                    krippendorff_alpha(np.delete(ratings, rater, axis=1))
                    for rater in range(ratings.shape[1])
                ],
            )

    def test_nothing_to_compare(self):
        assert np.isnan(krippendorff_alpha([[1, NAN], [NAN, 2]]))
        assert np.isnan(krippendorff_alpha(np.full((4, 3), 5.0)))

    def test_unknown_level(self):
        with pytest.raises(SettingsError, match="ratio"):
            krippendorff_alpha([[1, 2]], "ratio")  # type: ignore[arg-type]


class TestCorrelations:
    def test_equals_scipy_pair_by_pair(self):
        rng = np.random.default_rng(1)
        x, y = rng.normal(size=(80, 3)) + 50, rng.normal(size=(80, 2))
        x[rng.random(x.shape) < 0.3] = NAN
        y[rng.random(y.shape) < 0.2] = NAN
        r, n = correlate(x, y)
        for i, j in itertools.product(range(3), range(2)):
            both = np.isfinite(x[:, i]) & np.isfinite(y[:, j])
            assert n[i, j] == both.sum()
            assert r[i, j] == pytest.approx(stats.pearsonr(x[both, i], y[both, j])[0])

    def test_undefined_is_nan(self):
        r, n = correlate(np.array([[1.0, 2], [1, 3], [1, 4]]), np.array([[1.0], [2], [NAN]]))
        assert np.isnan(r).all()
        assert n.tolist() == [[2], [2]]

    def test_dimensions_by_hand(self):
        dimensions = emotion_dimensions([2, -3, 0], [6, 1, 4])
        np.testing.assert_array_equal(
            dimensions, [[2, NAN, 6, NAN, 12], [NAN, 3, NAN, 3, 3], [NAN, NAN, NAN, NAN, 0]]
        )

    def test_log_rates_are_centred_within_categories(self):
        counts = np.array([[10.0, 1, 2, 3], [40, 4, 8, 12], [7, 7, 7, 7], [0, 0, 0, 0]])
        rates = log_rates(counts, [100, 100, 50, 0], ["a", "a", None, None])
        likes = np.log([0.105, 0.405])
        np.testing.assert_allclose(rates[:2, 0], likes - likes.mean())
        np.testing.assert_allclose(rates[2], 0, atol=1e-12)
        assert np.isnan(rates[3]).all()

    def test_overall_leaves_out_what_no_post_has(self):
        rates = engagement_rates([[1, 2, NAN, NAN], [NAN, 2, NAN, NAN]], [10, 10])
        np.testing.assert_array_equal(rates[:, 4], [0.3, NAN])

    def test_table(self):
        posts = _posts()
        table = emotion_engagement_table(posts)
        assert len(table) == 25
        assert ((table["low"] < table["r"]) & (table["r"] < table["high"])).all()
        row = table[(table["dimension"] == "Arousal (Low)") & (table["metric"] == "saves")].iloc[0]
        half = posts["arousal"] < 4
        rate = np.log((posts["saves"] + 0.5) / posts["followers"])
        rate -= rate.groupby(posts["category"]).transform("mean")
        known = stats.pearsonr(4 - posts["arousal"][half], rate[half])
        interval = known.confidence_interval()
        assert row["n"] == half.sum()
        assert row[["r", "low", "high"]].tolist() == pytest.approx([known[0], *interval])
        assert row["published"] == 0.685

    @pytest.mark.parametrize("n", [0, 1, 2])
    def test_too_few_posts_give_nan(self, n):
        posts = _posts(5).iloc[:n]
        assert emotion_engagement_table(posts)["r"].isna().all()

    def test_a_handful_of_posts_correlates_with_nothing(self):
        posts = _posts(60)
        posts["valence"] = posts["valence"].abs()
        for few in (9, 10):
            posts.loc[: few - 1, "valence"] = -posts.loc[: few - 1, "valence"].abs() - 0.1
            table = emotion_engagement_table(posts)
            negative = table[table["dimension"] == DIMENSIONS[1]]
            assert (negative["n"] == few).all()
            known = negative[["r", "low", "high", "p", "p_holm", "p_posts"]].notna()
            assert (known == (few == 10)).all(axis=None)
        assert len(lifts(posts)) == 3


def test_lifts_by_hand():
    posts = pd.DataFrame(
        {
            "followers": 100,
            "valence": [2, 1, -1, -2],
            "arousal": [6, 2, 5, 1],
            "likes": [8, 4, 4, 4],
            "comments": [1, 1, 3, 3],
            "shares": [9, 2, 9, 4],
            "saves": 1,
        }
    )
    assert lifts(posts)["value"].tolist() == pytest.approx([9 / 3 - 1, 6 / 4 - 1, 3 / 1 - 1])


class TestTimeToPeak:
    @staticmethod
    def _activity(peaks: list[float], hours: np.ndarray, total: int = 100_000) -> pd.DataFrame:
        """Counts whose new events per hour are a bell in log time with its top at the peak."""
        frames = []
        for i, peak in enumerate(peaks):
            shares = stats.norm.cdf((np.log(hours) - np.log(peak) - 0.36) / 0.6)
            counts = np.round(total * shares).astype(int)
            frame = pd.DataFrame({"post_id": str(i), "hours": hours})
            frames.append(frame.assign(**dict.fromkeys(ENGAGEMENT, counts)))
        return pd.concat(frames)

    @pytest.mark.parametrize("points", [16, 24, 60])
    def test_finds_known_peaks(self, points):
        hours = np.geomspace(0.5, 72, points)
        peaks = [2.6, 5.2, 8.3, 14.5, 23.4]
        posts = pd.DataFrame(
            {
                "post_id": [str(i) for i in range(5)],
                "valence": [2, 2, -2, -2, 0],
                "arousal": [6, 2, 6, 2, 4],
            }
        )
        table = time_to_peak(posts, self._activity(peaks, hours))
        found = table[table["metric"] == "likes"]["hours"].to_numpy()
        np.testing.assert_allclose(found, peaks, rtol=0.06)

    def test_counts_what_it_leaves_out(self):
        hours = np.geomspace(0.5, 72, 24)
        activity = pd.concat(
            [self._activity([5, 5], hours), self._activity([5], hours, 20).assign(post_id="2")]
        )
        activity = pd.concat(
            [activity, activity[activity["post_id"] == "0"].head(2).assign(post_id="3")]
        )
        posts = pd.DataFrame(
            {"post_id": list("01234"), "valence": [2, 2, 2, 2, 2], "arousal": [6, NAN, 6, 6, 6]}
        )
        row = time_to_peak(posts, activity).iloc[0]
        # Post 1 has no quadrant; 2 too few events, 3 too few points, 4 no activity at all.
        assert (row["n"], row["left_out"]) == (1, 3)

    def test_what_still_rises_has_not_peaked(self):
        hours = np.geomspace(0.5, 12, 24)
        posts = pd.DataFrame({"post_id": list("01"), "valence": 2.0, "arousal": 6.0})
        row = time_to_peak(posts, self._activity([5, 30], hours)).iloc[0]
        assert (row["n"], row["left_out"], row["still_rising"]) == (1, 1, 1)
        assert row["hours"] == pytest.approx(5, rel=0.06)

    def test_no_activity(self):
        posts = pd.DataFrame({"post_id": ["a"], "valence": [1.0], "arousal": [6.0]})
        table = time_to_peak(posts, pd.DataFrame(columns=["post_id", "hours", *ENGAGEMENT]))
        assert table["hours"].isna().all()
        assert table["left_out"].max() == 1

    def test_quadrants(self):
        quadrant = emotion_quadrant([2, 2, -2, -2, 0.5, 0.5, NAN], [6, 2, 6, 2, 4.5, 6, 4])
        assert quadrant.tolist() == [0, 1, 2, 3, 4, 0, -1]


def _synthetic(n: int, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Posts and activity as 'evoked synth' makes them, without pictures and captions."""
    population = draw_population(n, np.random.default_rng(seed))
    valence, arousal = population.annotated()
    names = np.array([str(i) for i in range(n)], dtype=object)
    posts = pd.DataFrame(
        {
            "post_id": names,
            "author_id": [f"a{number}" for number in population.author],
            "category": np.array(CATEGORY_NAMES, dtype=object)[population.category],
            "followers": population.followers,
            "valence": valence,
            "arousal": arousal,
            **{name: population.counts[:, i] for i, name in enumerate(ENGAGEMENT)},
        }
    )
    counts = draw_activity(population, np.random.default_rng([seed, 1]))
    activity = pd.DataFrame(
        {
            "post_id": np.repeat(names, len(ACTIVITY_HOURS)),
            "hours": np.tile(ACTIVITY_HOURS, n),
            **{name: counts[:, :, i].ravel() for i, name in enumerate(ENGAGEMENT)},
        }
    )
    return posts, activity


class TestSignificance:
    def test_p_values_equal_scipy(self):
        posts = _posts()
        table = emotion_engagement_table(posts)
        rate = np.log((posts["likes"] + 0.5) / posts["followers"])
        rate -= rate.groupby(posts["category"]).transform("mean")
        product = posts["valence"].abs() * posts["arousal"]
        row = table[(table["dimension"] == "Valence × Arousal") & (table["metric"] == "likes")]
        assert row["p"].item() == pytest.approx(stats.pearsonr(product, rate).pvalue)
        assert (table["p_holm"] >= table["p"]).all()
        assert (table["p_bh"] <= table["p_holm"]).all()
        assert table["p"].equals(table["p_posts"])  # nobody says who the authors are

    def test_posts_of_an_author_count_as_alike(self):
        """Twenty posts of an author that are copies of each other show what one post shows."""
        few = _posts(60).assign(author_id=[str(i) for i in range(60)])
        alone, twice, often = (
            emotion_engagement_table(pd.concat([few] * copies, ignore_index=True))
            for copies in (1, 2, 20)
        )
        assert (often["p_posts"] < alone["p"]).all()
        np.testing.assert_allclose(often[["r", "p"]], twice[["r", "p"]], rtol=1e-6)
        # With 60 authors the two ways differ a little; counting copies as posts errs by far.
        np.testing.assert_allclose(often["p"], alone["p"], rtol=0.3, atol=0.05)
        assert ((often["high"] - often["low"]) > 0.8 * (alone["high"] - alone["low"])).all()

    @pytest.mark.parametrize("uneven", [False, True])
    def test_authors_who_differ_are_no_relation(self, uneven: bool):
        """Emotions and rates of an author are alike, but have nothing to do with each other."""
        p: dict[str, list[float]] = {}
        outside = 0
        for seed in range(25):
            posts = posts_by_few_authors(seed, uneven)
            table, halves = emotion_engagement_table(posts), lifts(posts, draws=100)
            for name, found in (("correlations", table), ("lifts", halves)):
                p.setdefault(name, []).extend(found["p"])
                p.setdefault(f"{name} of posts", []).extend(found["p_posts"])
            outside += int(((table["low"] > 0) | (table["high"] < 0)).sum())
        shares = {name: np.mean(np.array(values) < 0.05) for name, values in p.items()}
        assert 0.02 <= shares["correlations"] <= 0.09
        assert 0.0 < shares["lifts"] <= 0.12  # of 75
        assert min(shares["correlations of posts"], shares["lifts of posts"]) > 0.25
        assert outside / 625 == pytest.approx(shares["correlations"], abs=0.02)

    def test_lifts_of_a_planted_difference(self):
        rng = np.random.default_rng(0)
        posts = _posts(400).assign(followers=1000)
        posts["likes"] = rng.poisson(np.where(posts["valence"] > 0, 60, 40))
        table = lifts(posts, draws=500).set_index("lift")
        row = table.loc["likes, positive over negative valence"]
        assert row["low"] < 0.5 < row["high"]
        assert row["p"] == pytest.approx(1 / 501)
        assert row["n_above"] + row["n_below"] == 400
        assert table["p_holm"].max() <= 1

    def test_peak_differences_equal_scipy(self):
        hours = np.geomspace(0.5, 72, 24)
        peaks = np.concatenate([np.linspace(3, 6, 12), np.linspace(4, 9, 15)])
        posts = pd.DataFrame(
            {
                "post_id": [str(i) for i in range(27)],
                "valence": 2.0,
                "arousal": np.where(np.arange(27) < 12, 6.0, 2.0),
            }
        )
        activity = TestTimeToPeak._activity(list(peaks), hours)
        table = peak_differences(posts, activity)
        overall = table[(table["metric"] == "likes") & (table["first"] == "all")].iloc[0]
        row = table[(table["metric"] == "likes") & table["p"].notna()].iloc[1]
        means = time_to_peak(posts, activity).query("metric == 'likes'")
        assert row["difference"] == pytest.approx(means["hours"].iloc[0] - means["hours"].iloc[1])
        assert (row["n_first"], row["n_second"]) == (12, 15)
        # With two groups Kruskal and Wallis's test is Mann and Whitney's without continuity.
        assert overall["p"] == pytest.approx(row["p"], rel=0.1)
        assert (means["low"] <= means["hours"])[means["n"] > 0].all()

    def test_shuffled_posts_show_nothing(self):
        """Without a relation, one raw p-value in twenty is below 5 %."""
        posts, activity = _synthetic(300)
        rng = np.random.default_rng(0)
        found: dict[str, list[float]] = {"correlations": [], "of posts": [], "lifts": []}
        peaks: list[float] = []
        for number in range(40):
            order = rng.permutation(len(posts))
            emotions = posts[["valence", "arousal"]].to_numpy()[order]
            shuffled = posts.assign(valence=emotions[:, 0], arousal=emotions[:, 1])
            table = emotion_engagement_table(shuffled)
            found["correlations"] += table["p"].tolist()
            found["of posts"] += table["p_posts"].tolist()
            found["lifts"] += lifts(shuffled, draws=100, seed=number)["p"].tolist()
            if number < 15:
                peaks += peak_differences(shuffled, activity)["p"].tolist()
        for p in (*found.values(), peaks):
            assert 0.01 <= np.mean(np.array(p) < 0.05) <= 0.10

    def test_planted_relations_are_found(self):
        posts, activity = _synthetic(4000, seed=5)
        assert (emotion_engagement_table(posts)["p_holm"] < 0.05).all()
        assert (lifts(posts, draws=200)["low"] > 0).all()
        table = time_to_peak(posts, activity)
        np.testing.assert_allclose(table["hours"], table["published"], rtol=0.15)
        assert (table["low"] < table["hours"]).all()
        reasons = table[["too_few_points", "too_few_events", "still_rising"]]
        assert (table["left_out"] == reasons.sum(axis=1)).all()

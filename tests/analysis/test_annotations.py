"""Agreement per dimension and category, annotators who stand apart, and ratings made one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evoked.analysis.agreement import krippendorff_alpha, krippendorff_interval
from evoked.analysis.annotations import (
    annotator_agreement,
    annotator_table,
)
from evoked.analysis.ratings import aggregate_ratings, reliability_weighted_mean
from evoked.errors import DataError, SettingsError
from evoked.posts.dataset import PostDataset

NAN = np.nan


def _ratings(
    n: int, noise: list[float], bias: list[float], seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 1.5, n)
    return truth, truth[:, None] + np.array(bias) + rng.normal(0, noise, (n, len(noise)))


@pytest.fixture
def dataset(tmp_path: Path) -> PostDataset:
    """Four annotators on a scale from 1 to 9: the third rates two points high, the fourth guesses;
    forty posts in two categories, one more that nobody rated."""
    _, ratings = _ratings(40, [0.4, 0.4, 0.4, 3.0], [0, 0, 2, 0])
    ratings = np.clip(ratings + 5, 1, 9)
    names = [f"p{i}" for i in range(41)]
    posts = pd.DataFrame({"post_id": names, "category": ["food", "travel"] * 20 + ["food"]})
    annotations = pd.DataFrame(
        {
            "post_id": np.repeat(names[:40], 4),
            "annotator_id": list("abcd") * 40,
            "dimension": "valence",
            "rating": ratings.ravel(),
        }
    )
    return PostDataset.create(
        tmp_path / "rated",
        {"posts": posts, "annotations": annotations},
        scales={"valence": (1, 9)},
    )


def test_interval_of_alpha_covers_it_and_narrows():
    _, few = _ratings(40, [0.8] * 3, [0] * 3)
    _, many = _ratings(1000, [0.8] * 3, [0] * 3)
    expected = 1.5**2 / (1.5**2 + 0.8**2)
    widths = []
    for ratings in (few, many):
        found = krippendorff_interval(ratings, draws=300)
        assert found.estimate == pytest.approx(krippendorff_alpha(ratings))
        assert found.low < found.estimate < found.high
        assert found.low < expected < found.high
        widths.append(found.high - found.low)
    assert widths[1] < widths[0] / 2
    assert krippendorff_interval([[1, NAN]]).n == 0


def test_agreement_per_category(dataset: PostDataset):
    table = annotator_agreement(dataset, draws=50)
    assert table["category"].tolist() == ["all", "food", "travel"]
    assert table["posts"].tolist() == [40, 20, 20]
    assert table["annotators"].tolist() == [4] * 3
    assert table["published"].iloc[0] == 0.78
    assert table["published"].iloc[1:].isna().all()


def test_annotators_who_stand_apart_are_named(dataset: PostDataset):
    table = annotator_table(dataset).set_index("annotator")
    assert table.loc[["a", "b"], "outlier"].tolist() == ["", ""]
    assert "higher" in table.loc["c", "outlier"]
    assert "agrees little" in table.loc["d", "outlier"]
    ratings = dataset.table("annotations").pivot(
        index="post_id", columns="annotator_id", values="rating"
    )
    by_hand = (ratings["c"] - ratings[["a", "b", "d"]].mean(axis=1)).mean()
    assert table.loc["c", "bias"] == pytest.approx(by_hand)
    assert table.loc["d", "alpha_without"] > table.loc["a", "alpha_without"]


def test_aggregation(dataset: PostDataset):
    mean = aggregate_ratings(dataset)
    ratings = dataset.table("annotations").groupby("post_id")["rating"].mean() - 5
    assert mean["valence"].iloc[0] == pytest.approx(ratings["p0"])
    assert np.isnan(mean["valence"].iloc[40])
    truth, _ = _ratings(40, [0.4, 0.4, 0.4, 3.0], [0, 0, 2, 0])
    weighted = aggregate_ratings(dataset, "reliability")["valence"].iloc[:40]
    errors = [np.std(values - truth) for values in (weighted, mean["valence"].iloc[:40])]
    assert errors[0] < 0.6 * errors[1]
    with pytest.raises(SettingsError, match="median"):
        aggregate_ratings(dataset, "median")  # type: ignore[arg-type]


def test_nothing_to_aggregate(tmp_path: Path):
    empty = PostDataset.create(tmp_path / "x", {"posts": pd.DataFrame({"post_id": ["a"]})})
    assert annotator_agreement(empty).empty
    assert annotator_table(empty).empty
    with pytest.raises(DataError, match="no annotations"):
        aggregate_ratings(empty)


class TestReliabilityWeightedMean:
    def test_beats_the_mean_where_annotators_differ(self):
        """Half of the ratings missing at random, over several simulated sets."""
        for seed in range(5):
            noise = [0.3, 0.6, 0.9, 1.8, 2.4]
            truth, ratings = _ratings(300, noise, [0.4, -0.4, 0, 1, -1], seed)
            ratings[np.random.default_rng(seed).random(ratings.shape) < 0.5] = NAN
            found = reliability_weighted_mean(ratings)
            rated = np.isfinite(ratings).any(axis=1)
            with np.errstate(invalid="ignore"):
                mean = np.nansum(ratings, axis=1) / np.isfinite(ratings).sum(axis=1)
            error, plain = (np.std((v - truth)[rated]) for v in (found.values, mean))
            assert error < 0.8 * plain
            np.testing.assert_allclose(found.bias, [0.4, -0.4, 0, 1, -1], atol=0.6)
            assert np.corrcoef(found.noise, noise)[0, 1] > 0.95
            assert np.isnan(found.values[~rated]).all()

    def test_is_the_mean_for_equal_annotators_and_for_two(self):
        _, ratings = _ratings(500, [0.8] * 3, [0] * 3)
        found = reliability_weighted_mean(ratings)
        np.testing.assert_allclose(found.values, ratings.mean(axis=1), atol=0.25)
        np.testing.assert_allclose(found.noise, 0.8, atol=0.1)
        pair = reliability_weighted_mean(ratings[:, :2])
        np.testing.assert_allclose(pair.values, ratings[:, :2].mean(axis=1), atol=1e-9)

    def test_perfect_agreement(self):
        ratings = np.tile(np.arange(5.0)[:, None], (1, 3))
        np.testing.assert_allclose(reliability_weighted_mean(ratings).values, np.arange(5.0))

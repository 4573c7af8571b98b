"""Intervals: their coverage, their clusters, their seed."""

from __future__ import annotations

import numpy as np
import pytest

from evoked.errors import SettingsError
from evoked.evaluation import bootstrap, tables
from evoked.evaluation.bootstrap import bootstrap_draws, bootstrap_interval, interval_bounds
from evoked.evaluation.metrics import mean_absolute_error, pearson


def mean(values, weights=None):
    counts = np.ones((1, len(values))) if weights is None else weights
    means = counts @ values / np.maximum(counts.sum(axis=1), 1)
    return means if weights is not None else means[0]


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        truth = random.normal(size=80)
        prediction = 0.6 * truth + 0.8 * random.normal(size=80)
        interval = bootstrap_interval(pearson, truth, prediction, n=400, level=0.9, seed=trial)
        covered += interval.low <= 0.6 <= interval.high
    # 90 % give or take three standard errors of a share of 200, less a percentile interval's bias.
    assert 0.82 <= covered / 200 <= 0.97


def test_clusters_widen_the_interval_as_theory_says() -> None:
    random = np.random.default_rng(1)
    authors = np.repeat(np.arange(40), 25)
    values = random.normal(size=40)[authors] + random.normal(size=1000)
    by_post = bootstrap_interval(mean, values)
    by_author = bootstrap_interval(mean, values, groups=authors)
    of_authors = values.reshape(40, 25).mean(axis=1).std() / np.sqrt(40)
    assert by_author.high - by_author.low == pytest.approx(2 * 1.96 * of_authors, rel=0.15)
    assert by_author.high - by_author.low > 3 * (by_post.high - by_post.low)


def test_the_mean_has_its_standard_error() -> None:
    values = np.random.default_rng(2).normal(size=400)
    draws = bootstrap_draws(lambda weights: mean(values, weights), 400, n=2000)
    assert draws.std() == pytest.approx(values.std() / 20, rel=0.08)
    assert draws.mean() == pytest.approx(values.mean(), abs=0.01)


def test_unknown_authors_stand_alone() -> None:
    seen: list[np.ndarray] = []

    def record(weights: np.ndarray) -> np.ndarray:
        seen.append(weights)
        return weights[:, 0]

    bootstrap_draws(record, 5, groups=["a", "a", None, None, "b"], n=200)
    weights = np.concatenate(seen)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 1])
    assert (weights[:, 2] != weights[:, 3]).any()
    # Four clusters are drawn each time: the posts of "a" count once together.
    np.testing.assert_array_equal(weights[:, 1:].sum(axis=1), 4)


def test_same_seed_same_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    truth, prediction = random.normal(size=(2, 50))
    first = bootstrap_interval(pearson, truth, prediction, seed=1)
    assert first == bootstrap_interval(pearson, truth, prediction, seed=1)
    assert first != bootstrap_interval(pearson, truth, prediction, seed=2)
    monkeypatch.setattr(bootstrap, "_CHUNK", 1000)
    in_chunks = bootstrap_interval(pearson, truth, prediction, seed=1)
    assert in_chunks.low == pytest.approx(first.low, abs=0.05)


def test_unknown_posts_are_left_out_and_counted() -> None:
    truth, prediction = [1.0, 2.0, np.nan, 4.0], [1.5, 2.5, 3.0, np.nan]
    interval = bootstrap_interval(mean_absolute_error, truth, prediction, groups=list("abca"))
    assert interval == (0.5, 0.5, 0.5, 2)


def test_undefined_scores_have_no_interval() -> None:
    interval = bootstrap_interval(pearson, [1.0, 1.0], [1.0, 2.0])
    assert np.isnan(interval[:3]).all()
    assert interval.n == 2
    assert np.isnan(bootstrap_interval(pearson, [], [])[:3]).all()


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(SettingsError, match="between 0 and 1"):
        interval_bounds(np.zeros(3), level=95)
    with pytest.raises(SettingsError, match="at least one"):
        bootstrap_interval(pearson, [1.0], [1.0], n=0)


def test_very_many_posts_get_fewer_resamples_and_others_as_many_as_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tables, "_MOST_RESAMPLED", 30_000)
    monkeypatch.setattr(tables, "_FEWEST_RESAMPLES", 20)
    for posts, expected in ((60, 100), (600, 50), (3_000, 20)):
        values = np.random.default_rng(0).normal(size=posts)
        drawn: list[int] = []

        def score(weights, values=values, drawn=drawn):
            drawn.append(0 if weights is None else len(weights))
            return mean(values, weights)

        scorer = tables.Scorer([tables._Row("likes", "mean", posts, score)], posts)
        row = tables._scored(scorer, tables._Resampling(None, 100, 0.95, 0)).iloc[0]
        assert sum(drawn) == expected
        assert row["low"] < row["value"] < row["high"]

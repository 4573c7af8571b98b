"""The cluster-robust test of a slope, against the definition written out with whole matrices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg, stats

from evoked.evaluation.clusters import clustered_slope


def _written_out(x: np.ndarray, y: np.ndarray, clusters: np.ndarray) -> tuple[float, float, float]:
    """p, degrees of freedom and inflation by Bell and McCaffrey's formulas, n × n matrices."""
    n = len(x)
    design = np.column_stack([np.ones(n), x])
    bread = np.linalg.inv(design.T @ design)
    maker = np.eye(n) - design @ bread @ design.T
    residual = maker @ y
    vectors, variance = [], 0.0
    for name in np.unique(clusters):
        own = np.flatnonzero(clusters == name)
        root = np.real(linalg.sqrtm(np.linalg.inv(maker[np.ix_(own, own)])))
        weights = root @ design[own] @ bread[:, 1]
        variance += (weights @ residual[own]) ** 2
        vectors.append(maker[:, own] @ weights)
    gram = np.array(vectors) @ np.array(vectors).T
    freedom = np.trace(gram) ** 2 / (gram**2).sum()
    slope = (bread @ design.T @ y)[1]
    classical = bread[1, 1] * (residual**2).sum() / (n - 2)
    p = 2 * stats.t.sf(abs(slope) / np.sqrt(variance), freedom)
    return float(p), float(freedom), float(np.sqrt(variance / classical))


@pytest.mark.parametrize("binary", [False, True])
def test_equals_the_definition(binary: bool) -> None:
    generator = np.random.default_rng(3)
    clusters = generator.integers(0, 7, 60)
    x = generator.normal(size=60) + clusters
    x = (x > 3).astype(float) if binary else x
    y = generator.normal(size=60) + generator.normal(size=7)[clusters] + 0.3 * x + 100
    found = clustered_slope(x, y, clusters)
    np.testing.assert_allclose(found[:3], _written_out(x, y, clusters))
    np.testing.assert_allclose(found.slope, np.polyfit(x, y, 1)[0])
    np.testing.assert_allclose(
        found.p, 2 * stats.t.sf(abs(found.slope) / found.error, found.freedom)
    )


def test_interval_excludes_zero_where_p_is_small() -> None:
    generator = np.random.default_rng(5)
    clusters, x = generator.integers(0, 12, 90), generator.normal(size=90)
    found = clustered_slope(x, 0.2 * x + generator.normal(size=90), clusters)
    low, high = found.interval(1 - found.p)
    assert min(abs(low), abs(high)) == pytest.approx(0, abs=1e-9)
    assert found.interval(0.5)[0] > found.interval(0.9)[0]


def test_one_cluster_alone_shows_nothing() -> None:
    """Only one author wrote in the half: however many posts, nothing is known of other authors."""
    clusters = np.repeat(np.arange(10), 20)
    x = (clusters == 0).astype(float)
    y = np.random.default_rng(0).normal(size=200) + 3 * x
    assert np.isnan(clustered_slope(x, y, clusters)).all()
    x[25:27] = 1  # and two posts of another
    found = clustered_slope(x, y, clusters)
    assert found.freedom < 2
    assert found.p > 0.05


@pytest.mark.parametrize(
    ("x", "y", "clusters"),
    [
        ([1.0, 2, 3, 4], [1.0, 3, 2, 5], [0, 0, 1, 1]),
        ([1.0, 1, 1, 1], [1.0, 3, 2, 5], [0, 1, 2, 3]),
        ([1.0, 2, 3, 4], [2.0, 2, 2, 2], [0, 1, 2, 3]),
    ],
)
def test_what_cannot_be_known(x: list[float], y: list[float], clusters: list[int]) -> None:
    assert np.isnan(clustered_slope(x, y, clusters)).all()

"""Iterative K-means: planted clusters are found, nothing is found in noise, R held out is fair."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from evoked.analysis.popular_images import (
    CLUSTERS,
    PUBLISHED_RATIOS,
    THRESHOLD,
    ImageClusters,
    cluster_words,
    popular_clusters,
)
from evoked.analysis.popular_posts import analyse_popularity
from evoked.errors import DataError
from evoked.features.cache import FeatureCache
from evoked.posts.dataset import PostDataset
from evoked.report.popularity_figures import cluster_figure, thumbnails

AUTHORS, PER_AUTHOR = 100, 20
# Chance of being unpopular by kind of picture.
PLANTED = np.array([0.8, 0.25, 0.5, 0.5, 0.5, 0.5])


class Posts:
    """Pictures of six kinds, and by each author as many popular posts as unpopular ones."""

    def __init__(self, seed: int = 0, shuffled: bool = False, authors: int = AUTHORS) -> None:
        generator = np.random.default_rng(seed)
        n = authors * PER_AUTHOR
        self.authors = np.repeat([f"a{i}" for i in range(authors)], PER_AUTHOR)
        self.kind = generator.integers(0, len(PLANTED), n)
        score = PLANTED[self.kind] - generator.random(n)
        if shuffled:
            score = generator.random(n)
        order = score.reshape(authors, PER_AUTHOR).argsort(axis=1).argsort(axis=1)
        self.popular = (order < PER_AUTHOR // 2).ravel()
        centres = generator.normal(0, 3, (len(PLANTED), 8))
        self.vectors = centres[self.kind] + generator.normal(size=(n, 8))

    def cluster(self, **settings: object) -> ImageClusters:
        return popular_clusters(self.vectors, self.popular, self.authors, **settings)


@pytest.fixture(scope="module")
def posts() -> Posts:
    return Posts()


@pytest.fixture(scope="module")
def found(posts: Posts) -> ImageClusters:
    return posts.cluster(k=6)


def share(values: NDArray[np.bool_]) -> float:
    return float(values.mean())


def test_table_three() -> None:
    picked = [abs(ratio - 0.5) > THRESHOLD for ratio in PUBLISHED_RATIOS.values()]
    assert len(PUBLISHED_RATIOS) == CLUSTERS == 12
    assert sum(picked) == 7


class TestPlanted:
    def test_clusters_are_picked_out(self, posts: Posts, found: ImageClusters) -> None:
        picked = found.table[found.table["picked"]]
        assert len(picked) == 2
        assert (found.split, found.unit) == ("authors", "author")
        for row, kind in zip(picked.itertuples(), (0, 1), strict=True):
            inside = posts.kind[found.members == row.cluster]
            assert share(inside == kind) > 0.95
            assert share(found.members[posts.kind == kind] == row.cluster) > 0.9
        assert (picked["p_held_out_holm"] < 0.01).all()
        assert picked["round"].max() >= 1

    def test_ratios_are_right(self, posts: Posts, found: ImageClusters) -> None:
        for row in found.table.itertuples():
            for own, ratio, n in (
                (found.found_on, row.ratio, row.n),
                (~found.found_on, row.ratio_held_out, row.n_held_out),
            ):
                unpopular = ~posts.popular[own & (found.members == row.cluster)]
                assert share(unpopular) == pytest.approx(ratio)
                assert len(unpopular) == n
            assert row.low <= row.ratio_held_out <= row.high
        assert found.table["ratio"].is_monotonic_decreasing
        assert found.table[["n", "n_held_out"]].to_numpy().sum() == len(posts.popular)

    def test_no_author_is_on_both_sides(self, posts: Posts, found: ImageClusters) -> None:
        assert not set(posts.authors[found.found_on]) & set(posts.authors[~found.found_on])
        assert share(found.found_on) == pytest.approx(0.5, abs=0.01)

    def test_examples_are_members_by_different_authors(
        self, posts: Posts, found: ImageClusters
    ) -> None:
        for cluster, rows in zip(found.table["cluster"], found.examples, strict=True):
            assert (found.members[rows] == cluster).all()
            assert len(set(posts.authors[rows])) == len(rows) == 6

    def test_is_the_same_each_time(self, posts: Posts, found: ImageClusters) -> None:
        pd.testing.assert_frame_equal(posts.cluster(k=6).table, found.table)


def test_clusters_are_named_by_what_sets_them_apart() -> None:
    words = ("beach", "dog", "person", "car")
    chances = np.tile([0.0, 0.0, 0.6, 0.01], (6, 1))
    chances[:2, 0], chances[2:4, 1] = (0.4, 0.2), 0.5
    members = np.array([1, 1, 2, 2, 3, 3])
    # What all pictures show says nothing about any cluster.
    assert cluster_words(chances, words, members, 4) == ["beach", "dog", "", ""]
    assert cluster_words(np.zeros((6, 0)), (), members, 3) == ["", "", ""]


class TestNothingThere:
    @pytest.fixture(scope="class")
    def nothing(self) -> list[ImageClusters]:
        return [Posts(seed, shuffled=True, authors=40).cluster(k=6) for seed in range(40)]

    def test_seldom_is_anything_picked(self, nothing: list[ImageClusters]) -> None:
        assert sum(each.table["picked"].any() for each in nothing) <= 5  # 2 expected at most

    def test_held_out_ratio_is_fair_where_the_other_is_not(
        self, nothing: list[ImageClusters]
    ) -> None:
        """Of each set the cluster that stood out most: its R shrinks to one half."""
        extreme = pd.DataFrame(
            each.table.loc[(each.table["ratio"] - 0.5).abs().idxmax()] for each in nothing
        )
        side = np.sign(extreme["ratio"].astype(float) - 0.5)
        chosen = (side * (extreme["ratio"].astype(float) - 0.5)).mean()
        anew = (side * (extreme["ratio_held_out"].astype(float) - 0.5)).mean()
        assert chosen > 0.07
        assert abs(anew) < 0.025

    def test_intervals_hold_the_truth(self, nothing: list[ImageClusters]) -> None:
        every = pd.concat([each.table for each in nothing])
        covered = (every["low"] <= 0.5) & (every["high"] >= 0.5)
        assert 0.9 < covered.mean() <= 1


def test_small_clusters_do_not_qualify() -> None:
    """Ten posts of one kind, all unpopular, are not enough to be picked."""
    posts = Posts(3, shuffled=True)
    few = np.flatnonzero(~posts.popular)[:10]
    posts.vectors[few] = 40
    table = posts.cluster(k=8).table
    assert not table["picked"].any()


def test_series_of_one_author_do_not_count_as_many() -> None:
    """Six authors' series make a cluster unpopular: posts alone would be believed."""
    posts = Posts(4, shuffled=True)
    for author in range(6):
        own = np.flatnonzero(posts.authors == f"a{author}")
        posts.vectors[own[~posts.popular[own]]] = [30.0] * 8
    table = posts.cluster(seed=5).table
    first = table.iloc[0]
    assert first["p_posts"] < 1e-4
    assert first["ratio_held_out"] == 1
    assert first["low"] < 0.6  # four authors, not forty posts
    assert not table["picked"].any()


def test_one_author_and_nobody_known() -> None:
    posts = Posts(5, authors=12)
    for authors in (None, np.full(len(posts.popular), "me")):
        found = popular_clusters(posts.vectors, posts.popular, authors, k=4)
        assert (found.split, found.unit) == ("posts", "post")
        assert found.table["p"].iloc[0] == pytest.approx(found.table["p_posts"].iloc[0], abs=0.01)
        for half in (found.found_on, ~found.found_on):
            assert share(posts.popular[half]) == pytest.approx(0.5, abs=0.02)


def test_few_authors_keep_their_balance_in_both_halves() -> None:
    posts = Posts(6, authors=10)
    found = popular_clusters(posts.vectors, posts.popular, posts.authors, k=4)
    assert found.split == "posts"
    table = pd.DataFrame(
        {"author": posts.authors, "half": found.found_on, "popular": posts.popular}
    )
    balance = table.groupby(["author", "half"])["popular"].mean()
    assert balance.eq(0.5).all()


def test_too_few() -> None:
    with pytest.raises(DataError, match="too few"):
        popular_clusters(np.zeros((30, 4)), [True, False] * 15)
    with pytest.raises(DataError, match="both kinds"):
        popular_clusters(np.zeros((300, 4)), np.ones(300, dtype=bool))


def test_figure(found: ImageClusters, tmp_path: Path) -> None:
    Image.new("RGB", (300, 200), "red").save(tmp_path / "wide.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    paths = [tmp_path / "wide.png", tmp_path / "broken.png", tmp_path / "none.png"]
    (square,) = thumbnails(paths)
    assert square.shape == (96, 96, 3)
    picture = cluster_figure(found, [paths] * len(found.table))
    assert "Of 2 picked, 2 hold there" in picture.caption
    shown, _ = picture.figure.axes
    assert len(shown.artists) == len(found.table)
    assert "2000 posts" in picture.caption


@pytest.mark.slow
def test_real_posts(shared_data: Path, tmp_path: Path) -> None:
    from evoked.posts.importing import import_posts

    import_posts("instaloader", shared_data / "instagram_top20", tmp_path / "posts")
    dataset = PostDataset(tmp_path / "posts")
    found = analyse_popularity(
        dataset.posts, dataset.cover_paths(), cache=FeatureCache(tmp_path / "cache")
    )
    assert found.clusters is not None
    assert found.tables["popular_images"][["n", "n_held_out"]].to_numpy().sum() == 120
    assert all(path.is_file() for paths in found.covers for path in paths)

"""Environments: means over an author's other posts, from which nothing leaks that is not said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evoked
from evoked.errors import DataError, SettingsError
from evoked.features.cache import FeatureCache
from evoked.features.environment import MEANS, Environment
from evoked.features.pipeline import FeaturePipeline
from evoked.features.table import Column, FeatureColumn


def columns_of(vectors: np.ndarray, present: np.ndarray | None = None) -> dict[str, FeatureColumn]:
    """Pictures, and topics and captions that are the same numbers the other way round; two regions
    of a map whose mean is the picture."""
    reverse = np.ascontiguousarray(vectors[:, ::-1])
    return {
        "image.map": Column.dense(np.stack([vectors - 1, vectors + 1], axis=1), present),
        "caption.vector": Column.dense(reverse, present),
        "image.vector": Column.dense(vectors, present),
        "topics": Column.dense(reverse, present),
    }


def posts_of(authors: list[str | None], start: int = 0) -> pd.DataFrame:
    names = [f"p{start + row}" for row in range(len(authors))]
    return pd.DataFrame({"post_id": names, "author_id": pd.Series(authors, dtype=object)})


def values_of(column: FeatureColumn, n: int) -> np.ndarray:
    return column.take(np.arange(n), None)[""].numpy()


@st.composite
def two_parts(draw: st.DrawFn) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, int]:
    """Posts by few authors, their vectors, which have one, and how many are training posts."""
    n = draw(st.integers(2, 20))
    authors = draw(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=n, max_size=n))
    vectors = np.random.default_rng(draw(st.integers(0, 99))).normal(size=(n, 3))
    present = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    return posts_of(authors), vectors.astype(np.float32), present, draw(st.integers(1, n - 1))


def environment_by_definition(
    posts: pd.DataFrame, vectors: np.ndarray, present: np.ndarray, training: int, row: int
) -> np.ndarray:
    """A loop, as one would read the module's text."""
    authors = posts["author_id"].tolist()
    trained = set(authors[:training])
    pool = [other for other in range(len(posts)) if other != row and present[other]]
    if authors[row] is None:
        others = []
    elif authors[row] in trained:
        others = [o for o in pool if o < training and authors[o] == authors[row]]
    else:
        others = [o for o in pool if authors[o] == authors[row]]
    if not others:
        others = [other for other in range(training) if present[other]]
    return vectors[others].mean(axis=0) if others else np.zeros(vectors.shape[1])


@settings(max_examples=40)
@given(two_parts())
def test_environment_follows_its_definition(
    drawn: tuple[pd.DataFrame, np.ndarray, np.ndarray, int],
) -> None:
    posts, vectors, present, training = drawn
    train = columns_of(vectors[:training], present[:training])
    environment = Environment.fit(posts[:training], train)
    found = environment.transform(posts, columns_of(vectors, present))
    assert list(found) == list(MEANS)
    expected = np.stack(
        [
            environment_by_definition(posts, vectors, present, training, row)
            for row in range(len(posts))
        ]
    )
    if present[:training].any():
        n = len(posts)
        for name in ("environment.image", "environment.map"):
            np.testing.assert_allclose(values_of(found[name], n), expected, atol=1e-5)
        np.testing.assert_allclose(
            values_of(found["environment.topics"], n), expected[:, ::-1], atol=1e-5
        )
    else:
        assert not found["environment.image"].present.any()


@settings(max_examples=30)
@given(two_parts(), st.data())
def test_a_changed_post_changes_no_environment_but_those_it_is_part_of(
    drawn: tuple[pd.DataFrame, np.ndarray, np.ndarray, int], data: st.DataObject
) -> None:
    posts, vectors, present, training = drawn
    train = columns_of(vectors[:training], present[:training])
    environment = Environment.fit(posts[:training], train)
    row = data.draw(st.integers(training, len(posts) - 1))
    changed = vectors.copy()
    changed[row] += 100
    liked = posts.assign(likes=np.arange(len(posts)))
    before = environment.transform(posts, columns_of(vectors, present))
    after = environment.transform(liked, columns_of(changed, present))
    author = posts["author_id"]
    is_new = author[row] is not None and author[row] not in set(author[:training])
    touched = (author == author[row]).to_numpy() & is_new
    touched[row] = False  # its own picture is no part of its environment
    for name in MEANS:
        first, second = (values_of(found[name], len(posts)) for found in (before, after))
        np.testing.assert_array_equal(first[~touched], second[~touched])


def test_sources_say_whose_posts_an_environment_is_made_of() -> None:
    train = posts_of(["a", "a", "b", None])
    environment = Environment.fit(train, columns_of(np.eye(4, dtype=np.float32)))
    posts = pd.concat([train, posts_of(["a", "b", "c", "c", "d", None], start=4)])
    sources = environment.sources(posts)
    expected = "known known cold cold known known new new cold cold"
    assert sources.tolist() == expected.split()
    # Sources don't depend on which of a known author's posts come along.
    assert environment.sources(train.iloc[[0]]).tolist() == ["known"]


def test_saved_environment_is_the_same_and_names_nobody(tmp_path: Path) -> None:
    posts = posts_of(["somebody", "somebody", "other", None])
    columns = columns_of(np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32))
    environment = Environment.fit(posts, columns)
    environment.save(tmp_path / "environment")
    loaded = Environment.load(tmp_path / "environment")
    for name in MEANS:
        np.testing.assert_array_equal(
            values_of(loaded.transform(posts, columns)[name], 4),
            values_of(environment.transform(posts, columns)[name], 4),
        )
    assert loaded.sources(posts).tolist() == environment.sources(posts).tolist()
    files = list((tmp_path / "environment").iterdir())
    assert {path.suffix for path in files} == {".json", ".safetensors"}
    assert not any(b"somebody" in path.read_bytes() for path in files)
    state = json.loads((tmp_path / "environment" / "authors.json").read_text())
    state["authors"].append("one more")
    (tmp_path / "environment" / "authors.json").write_text(json.dumps(state))
    with pytest.raises(DataError, match="do not fit"):
        Environment.load(tmp_path / "environment")


def test_pipeline_makes_what_environments_are_made_of(tmp_path: Path) -> None:
    dataset = evoked.synthesise(tmp_path / "posts", n=24, seed=5)
    posts, covers = dataset.posts, dataset.cover_paths()
    cache = FeatureCache(tmp_path / "cache")
    names = ["environment.map", "environment.topics"]
    pipeline = FeaturePipeline(names)
    assert pipeline.extracted == ["image.map"]
    with pytest.raises(SettingsError, match=r"image\.map.*give fit\(\) their images"):
        pipeline.fit(posts[:16])
    pipeline.fit(posts[:16], images=covers[:16], cache=cache)
    assert any("topics in place of 400" in note for note in pipeline.notes)
    table, _ = pipeline.transform(posts, covers, cache=cache)
    assert list(table.columns) == names
    whole = FeaturePipeline(["image.map", "topics"]).fit(posts[:16])
    parts, _ = whole.transform(posts, covers, cache=cache)
    assert pipeline.environment is not None
    expected = Environment.fit(posts[:16], parts.select(np.arange(16)).columns)
    for name, column in expected.transform(posts, parts.columns).items():
        np.testing.assert_allclose(
            values_of(table.columns[name], 24), values_of(column, 24), atol=1e-5
        )
    pipeline.save(tmp_path / "run")
    loaded, _ = FeaturePipeline.load(tmp_path / "run").transform(posts, covers, cache=cache)
    for name in names:
        np.testing.assert_array_equal(
            values_of(loaded.columns[name], 24), values_of(table.columns[name], 24)
        )

"""From a dataset of viewings to a graph: who is in it, what is joined to what, what is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evoked.errors import DataError
from evoked.features.cache import FeatureCache
from evoked.features.catalog import FeatureSettings
from evoked.features.extract import extract_posts
from evoked.features.table import Column
from evoked.features.viewings import (
    ViewingData,
    kept_viewings,
    mean_vectors,
    read_network,
    text_vectors,
    user_rows,
)
from evoked.models.baselines import MeanOfTraining
from evoked.models.viewings import viewing_examples
from evoked.posts.author_hashes import hashes
from evoked.posts.dataset import PostDataset
from evoked.targets import Emotion
from tests.support.small_networks import create_network, network_tables


class Reader(MeanOfTraining):
    """A model that reads the features it is given."""

    read: tuple[str, ...] = ("user.vector", "image.vector")

    @property
    def features(self) -> list[str]:
        return list(self.read)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    return FeatureCache(tmp_path_factory.mktemp("network-cache"))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PostDataset:
    return create_network(tmp_path_factory.mktemp("network") / "data", network_tables())


@pytest.fixture(scope="module")
def network(dataset: PostDataset, cache: FeatureCache) -> ViewingData:
    return read_network(dataset, cache=cache)


def changed(folder: Path, **tables: pd.DataFrame) -> PostDataset:
    return create_network(folder / "data", network_tables() | tables)


def test_the_graph_holds_what_the_tables_tell(dataset: PostDataset, network: ViewingData) -> None:
    graph, viewings = network.graph, network.viewings
    table = dataset.table("viewings")
    assert len(graph.images) == 30
    assert len(graph.users) == 40
    assert len(viewings) == len(table) == graph.viewings.shape[1]
    assert (graph.users[viewings["user"]] == hashes(viewings["user_id"])).all()
    assert (graph.images[viewings["image"]] == viewings["post_id"]).all()
    assert (viewings["author_id"].str.slice(1).astype(int) == viewings["image"] % 40).all()
    assert (network.known == viewings["emotion"].notna()).all()
    assert graph.times[0] == table["viewed_at"][0].timestamp()
    assert (graph.comment_vectors.present == viewings["comment"].notna()).all()
    assert network.notes == []
    assert network.problems == []


def test_connections_go_both_ways_once_and_to_nobody_themselves(
    dataset: PostDataset, network: ViewingData
) -> None:
    table = dataset.table("connections")
    wanted = {
        pair
        for one, other in zip(table["user_id"], table["other_id"], strict=True)
        for pair in ((one, other), (other, one))
        if one != other
    }
    names = pd.Series([f"u{row}" for row in range(40)])
    name_of = dict(zip(user_rows(network.graph, names), names, strict=True))
    found = [(name_of[one], name_of[other]) for one, other in network.graph.connections.T]
    assert len(found) == len(wanted)
    assert set(found) == wanted


def test_vectors_are_those_of_the_posts_features(
    dataset: PostDataset, network: ViewingData, cache: FeatureCache
) -> None:
    viewings = network.viewings
    posts = pd.DataFrame({"post_id": viewings["post_id"], "caption": viewings["comment"]})
    covers = dict(zip(dataset.posts["post_id"], dataset.cover_paths(), strict=True))
    images = [covers[name] for name in viewings["post_id"]]
    wanted, _ = extract_posts(posts, images, ["image.vector", "caption.vector"], cache=cache)
    found = network.features(["image.vector", "viewing.comment"], np.arange(len(viewings)))
    rows = np.arange(len(viewings))
    expected, given = wanted.take(rows), found.take(rows)
    assert (given["image.vector"] == expected["image.vector"]).all()
    assert (given["viewing.comment"] == expected["caption.vector"]).all()
    assert (given["viewing.comment.present"] == expected["caption.vector.present"]).all()


def test_a_users_vector_is_the_mean_over_described_groups() -> None:
    descriptions = Column(
        np.array([[1.0, 0.0], [3.0, 4.0]], dtype=np.float32), np.array([[0], [1], [-1]])
    )
    memberships = np.array([[0, 0, 1, 1, 2], [0, 1, 1, 2, 2]])
    column = mean_vectors(memberships, 4, descriptions)
    assert column.present.tolist() == [True, True, False, False]
    taken = column.take(np.arange(4))[""]
    assert taken.tolist() == [[2.0, 2.0], [3.0, 4.0], [0.0, 0.0], [0.0, 0.0]]


def test_equal_texts_are_encoded_once(cache: FeatureCache) -> None:
    read: list[tuple[str, int, int]] = []
    texts = pd.Series(["one text", None, "another", "one text", "  "] * 50)
    column = text_vectors(
        texts, FeatureSettings(), "comments", cache, lambda *stage: read.append(stage)
    )
    assert read[-1] == ("comments", 2, 2)
    assert column.present.tolist() == [True, False, True, True, False] * 50
    assert (column.index[0] == column.index[3]).all()


def test_no_texts_at_all(cache: FeatureCache) -> None:
    column = text_vectors(pd.Series([None] * 3, dtype=object), FeatureSettings(), "comments", cache)
    assert column.width > 0
    assert not column.present.any()


def test_examples_show_the_shown_viewings_alone(network: ViewingData) -> None:
    shown, rows = np.arange(300), np.array([5, 299, 300, 399])
    examples = viewing_examples(network, Reader(), Emotion(), shown, rows)
    assert examples.graph is not None
    assert examples.graph.viewings.shape == (2, 300)
    assert examples.posts["viewing"].tolist() == [5, 299, -1, -1]
    inside = examples.posts["viewing"].to_numpy()[:2]
    nodes = examples.posts[["user", "image"]].to_numpy()[:2]
    assert (nodes == examples.graph.viewings[:, inside].T).all()
    shared = examples.features.columns["image.vector"]
    assert isinstance(shared, Column)
    assert shared.data is network.graph.image_vectors.data
    assert examples.targets is not None
    assert examples.targets.values.shape == (4, 8)


def test_own_comments_are_shown_to_models_that_read_them_without_emotions(
    network: ViewingData,
) -> None:
    model = Reader()
    model.read = ("viewing.comment",)
    examples = viewing_examples(network, model, Emotion(), np.arange(300), np.array([310, 7]))
    graph = examples.graph
    assert graph is not None
    assert examples.posts["viewing"].tolist() == [300, 7]
    assert (graph.viewings[:, 300] == network.graph.viewings[:, 310]).all()
    assert graph.emotions[300] == -1
    assert (graph.emotions[:300] == network.graph.emotions[:300]).all()
    own = examples.features.columns["viewing.comment"].present
    assert (own == network.graph.comment_vectors.present[[310, 7]]).all()


def test_kept_viewings_are_those_of_the_graph(dataset: PostDataset, network: ViewingData) -> None:
    kept, dropped = kept_viewings(dataset)
    columns = ["user_id", "post_id", "viewed_at", "comment", "emotion"]
    pd.testing.assert_frame_equal(kept[columns], network.viewings[columns])
    assert dropped.empty


def test_of_several_viewings_of_a_pair_the_latest_known_one_is_kept(
    tmp_path: Path, cache: FeatureCache
) -> None:
    days = pd.Series(["2024-01-01", "2024-01-03", "2024-01-05", None], dtype=object)
    times = pd.to_datetime(days, utc=True)
    viewings = pd.DataFrame(
        {
            "user_id": "u1",
            "post_id": "p1",
            "viewed_at": times,
            "emotion": ["awe", "fear", None, "sadness"],
        }
    )
    network = read_network(changed(tmp_path, viewings=viewings), cache=cache)
    assert network.viewings["emotion"].tolist() == ["fear"]
    assert len(network.dropped) == 3
    assert network.notes[0].startswith("3 viewings are left out")


def test_viewings_of_nobody_and_of_nothing_are_listed(tmp_path: Path, cache: FeatureCache) -> None:
    viewings = pd.DataFrame(
        {"user_id": ["u1", None, "", "u2"], "post_id": ["p1", "p2", "p3", "gone"]}
    )
    network = read_network(changed(tmp_path, viewings=viewings), cache=cache)
    assert network.viewings["post_id"].tolist() == ["p1"]
    assert network.dropped["reason"].tolist() == [
        "the user has no id",
        "the user has no id",
        "their post is not in the dataset",
    ]


def test_members_of_groups_that_nobody_described(tmp_path: Path, cache: FeatureCache) -> None:
    memberships = pd.DataFrame({"user_id": ["u1", "u1", "u2", "new"], "group_id": list("abax")})
    groups = pd.DataFrame({"group_id": ["a", "b"], "description": ["cats", None]})
    dataset = changed(tmp_path, memberships=memberships, groups=groups)
    graph = read_network(dataset, cache=cache).graph
    rows = user_rows(graph, pd.Series(["u1", "u2", "new", "u3", "never seen", None]))
    assert (rows[:4] >= 0).all()
    assert (rows[4:] == -1).all()
    assert graph.user_vectors.present[rows[:4]].tolist() == [True, True, False, False]
    assert graph.memberships.shape == (2, 4)


def test_a_dataset_of_posts_alone_says_what_is_missing(tmp_path: Path) -> None:
    tables = {"posts": network_tables()["posts"]}
    with pytest.raises(DataError, match="evoked synth --network"):
        read_network(create_network(tmp_path / "data", tables))


def test_viewings_of_other_posts_only(tmp_path: Path) -> None:
    viewings = pd.DataFrame({"user_id": ["u1"], "post_id": ["elsewhere"]})
    with pytest.raises(DataError, match="none of 1 viewings"):
        read_network(changed(tmp_path, viewings=viewings))


def test_a_damaged_picture_sinks_nothing(tmp_path: Path, cache: FeatureCache) -> None:
    dataset = changed(tmp_path)
    broken = dataset.cover_paths()[3]
    assert broken is not None
    broken.write_bytes(b"not a picture")
    network = read_network(dataset, cache=cache)
    assert [problem.post_id for problem in network.problems] == ["p3"]
    assert np.flatnonzero(~network.graph.image_vectors.present).tolist() == [3]

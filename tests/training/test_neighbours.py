"""Sampled neighbourhoods, and that they lead to what the whole graph leads to."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evoked.features.social_graph import SocialGraph
from evoked.layers.message_passing import NODES, RELATIONS
from evoked.testing.networks import small_network_examples
from evoked.training.neighbours import ALL, NeighbourSampler, ViewingBatches, choose

TRAIN, _, TEST = small_network_examples()


def graph() -> SocialGraph:
    assert TRAIN.graph is not None
    return TRAIN.graph


def ends(relation: str) -> np.ndarray:
    """Sources and targets of a relation's edges in the graph, (2, e)."""
    if relation == "connects":
        return graph().connections
    return graph().viewings if relation == "views" else graph().viewings[::-1]


@given(st.lists(st.integers(0, 30), max_size=20), st.integers(1, 12), st.integers(0, 2**31))
def test_chosen_neighbours_are_distinct_and_as_many_as_wanted(
    degrees: list[int], most: int, seed: int
) -> None:
    owner, offset = choose(np.array(degrees, dtype=np.int64), most, np.random.default_rng(seed))
    assert (np.diff(owner) >= 0).all()
    for node, degree in enumerate(degrees):
        chosen = offset[owner == node]
        assert len(chosen) == len(set(chosen)) == min(degree, most)
        assert ((chosen >= 0) & (chosen < degree)).all()


def test_every_set_of_neighbours_is_as_likely() -> None:
    owner, offset = choose(np.full(30_000, 5), 2, np.random.default_rng(0))
    pairs = np.sort(offset.reshape(-1, 2), axis=1)
    counts = np.array(list(Counter(map(tuple, pairs)).values()))
    assert len(counts) == 10
    assert (np.abs(counts - 3000) < 5 * np.sqrt(3000)).all()
    assert len(owner) == 60_000


@settings(max_examples=30)
@given(
    st.lists(st.integers(0, 59), max_size=8, unique=True),
    st.lists(st.integers(0, 79), max_size=8, unique=True),
    st.lists(st.sampled_from([1, 2, 5, ALL]), min_size=1, max_size=4),
    st.sampled_from([None, 1, 7]),
    st.lists(st.integers(0, 479), max_size=50),
    st.integers(0, 2**31),
)
def test_sampled_neighbourhoods(
    users: list[int],
    images: list[int],
    fan_out: list[int],
    bound: int | None,
    hidden: list[int],
    seed: int,
) -> None:
    sampler = NeighbourSampler(graph(), fan_out, bound)
    seeds = {
        "user": np.array(users, dtype=np.int64),
        "image": np.array(images, dtype=np.int64),
    }
    own = np.array(hidden, dtype=np.int64)
    found = sampler.sample(seeds, np.random.default_rng(seed), own)
    again = sampler.sample(seeds, np.random.default_rng(seed), own)
    for kind in NODES:
        nodes, counts = found.nodes[kind], found.nodes_by_hop[kind]
        assert len(np.unique(nodes)) == len(nodes) == counts[-1]
        assert bound is None or max(np.diff(counts)) <= bound
        np.testing.assert_array_equal(nodes[: counts[0]], seeds[kind])
        np.testing.assert_array_equal(nodes, again.nodes[kind])
    for name, (source, target) in RELATIONS.items():
        one, other, edge = found.edges[name]
        # They are edges of the graph, none of them twice, none hidden, in order of their targets.
        np.testing.assert_array_equal(
            np.stack([found.nodes[source][one], found.nodes[target][other]]), ends(name)[:, edge]
        )
        assert len(np.unique(edge)) == len(edge)
        assert name == "connects" or not np.isin(edge, own).any()
        assert (np.diff(other) >= 0).all()
        for hop, most in enumerate(fan_out):
            until = found.edges_by_hop[name][hop]
            near = other[:until]
            # A layer that computes the nodes up to a hop has all their edges and their sources.
            assert (near < found.nodes_by_hop[target][hop]).all()
            assert (one[:until] < found.nodes_by_hop[source][hop + 1]).all()
            new = near[near >= (found.nodes_by_hop[target][hop - 1] if hop else 0)]
            assert most == ALL or np.bincount(new, minlength=1).max() <= most


def test_all_neighbours_are_found() -> None:
    found = NeighbourSampler(graph(), [ALL]).sample(
        {"user": np.arange(60), "image": np.arange(80)}, np.random.default_rng(0)
    )
    assert {name: edges.shape[1] for name, edges in found.edges.items()} == {
        name: ends(name).shape[1] for name in RELATIONS
    }


def test_a_bound_keeps_all_edges_between_the_nodes_that_stay() -> None:
    seeds = {"user": np.arange(20), "image": np.arange(20)}
    found = NeighbourSampler(graph(), [ALL], 10).sample(seeds, np.random.default_rng(0))
    for name, (source, target) in RELATIONS.items():
        one, other = ends(name)
        heard = np.isin(one, found.nodes[source]) & np.isin(other, seeds[target])
        assert found.edges[name].shape[1] == heard.sum()


def batches(fan_out: tuple[int, ...] = (3, 2), **options: object) -> ViewingBatches:
    places = TRAIN.posts[["user", "image", "viewing"]].to_numpy().T
    return ViewingBatches(places, TRAIN.features, graph(), fan_out, learning=True, **options)  # type: ignore[arg-type]


def test_a_batch_does_not_hold_its_own_viewings() -> None:
    rows = np.arange(40, 90)
    batch = batches((ALL,)).take(rows)
    images = np.unique(graph().viewings[1, rows])
    assert (images[batch["image"]] == graph().viewings[1, rows]).all()  # seeds, in ascending order
    heard = np.bincount(batch["views.target"], minlength=len(images))
    others = np.delete(graph().viewings[1], rows)
    np.testing.assert_array_equal(heard, np.bincount(others, minlength=80)[images])
    assert len(batch["own"]) == 0


def test_a_batch_whose_own_comments_are_shown_names_its_viewings() -> None:
    rows = np.arange(40, 90)
    batch = batches(keep_edges=True).take(rows)
    own = batch["viewing.comment"][batch["own"]]
    assert len(own) > 0
    comments = graph().comment_vectors.take(rows)[""]
    assert all(bool((comments == vector).all(dim=1).any()) for vector in own)


def test_batches_depend_on_seed_and_rows_alone() -> None:
    rows = np.arange(0, 480, 7)
    one, other = batches(seed=3), batches(seed=3)
    other.take(rows[::-1])
    first, second = one.take(rows), other.take(rows)
    assert all((first[name] == second[name]).all() for name in first)
    third = batches(seed=4).take(rows)
    assert any(
        first[name].shape != third[name].shape or not (first[name] == third[name]).all()
        for name in first
    )


@pytest.mark.parametrize("fan_out", [(2, 2), None])
def test_strangers_bring_their_own_vectors(fan_out: tuple[int, ...] | None) -> None:
    assert TEST.graph is not None
    places = TEST.posts[["user", "image", "viewing"]].to_numpy().T
    batch = ViewingBatches(places, TEST.features, TEST.graph, fan_out).take(np.arange(10))
    assert batch["stranger.user.vector"].shape == (1, 10)
    assert batch["stranger.image.vector"].shape == (1, 12)
    seeds = len(np.unique(places[0, 1:10])) if fan_out else 60
    assert batch["user"][0] == seeds
    assert (batch["user"][1:] < seeds).all()

"""The hypergraph of viewings against its formulas written out, beyond the contract of models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.neighbors import NearestNeighbors

from evoked.errors import DataError
from evoked.features.social_graph import SocialGraph
from evoked.features.table import Column
from evoked.models import Examples, load_model
from evoked.models._hypergraph import Hypergraph, Relation, conjugate_gradients
from evoked.models._nearest import nearest
from evoked.models.label_spreading import (
    FOLDS,
    LabelSpreading,
    LabelSpreadingSettings,
    Solution,
    Vertices,
)
from evoked.testing.networks import small_network_examples


@st.composite
def relations(draw: st.DrawFn) -> tuple[list[Relation], list[float]]:
    n, count = draw(st.integers(1, 12)), draw(st.integers(1, 3))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    made = []
    for _ in range(count):
        nodes, edges = random.integers(1, 6, size=2)
        members = csr_array((random.random((nodes, edges)) < 0.5).astype(float))
        made.append(Relation(random.integers(-1, nodes, size=n), members))
    return made, [float(weight) for weight in random.uniform(0.1, 2, size=count)]


def incidence(relation: Relation) -> np.ndarray:
    """H, (n, E)."""
    rows = relation.members.toarray()[relation.nodes]
    return np.where(relation.nodes[:, None] >= 0, rows, 0)


def spread_matrix(made: list[Relation], weights: list[float]) -> np.ndarray:
    """Θ, as Zhou et al. write it."""
    n = len(made[0].nodes)
    parts = [incidence(relation) for relation in made]
    w = np.concatenate(
        [
            np.full(part.shape[1], weight * n / max(part.sum(), 1))
            for part, weight in zip(parts, weights, strict=True)
        ]
    )
    h = np.concatenate(parts, axis=1)
    inverse_sizes = np.diag(1 / np.maximum(h.sum(axis=0), 1))
    degrees = h @ w
    scale = np.diag([1 / np.sqrt(degree) if degree else 0 for degree in degrees])
    return scale @ h @ np.diag(w) @ inverse_sizes @ h.T @ scale


@settings(deadline=None, max_examples=60)
@given(relations(), st.floats(0.01, 20))
def test_solution_is_the_closed_form(
    drawn: tuple[list[Relation], list[float]], label_weight: float
) -> None:
    made, weights = drawn
    hypergraph = Hypergraph(made, weights)
    theta = spread_matrix(made, weights)
    n = len(theta)
    np.testing.assert_allclose(hypergraph.spread(np.eye(n)), theta, atol=1e-12)

    labels = np.eye(8)[np.arange(n) % 8] * (np.arange(n) % 3 > 0)[:, None]
    laplacian = np.eye(n) - theta
    expected = np.linalg.solve(np.eye(n) + laplacian / label_weight, labels)
    found = hypergraph.solve(labels, label_weight)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert (found > -1e-4).all()


@settings(deadline=None, max_examples=30)
@given(relations())
def test_the_mean_vertex_gets_the_weights_of_the_relations(
    drawn: tuple[list[Relation], list[float]],
) -> None:
    made, weights = drawn
    given_out = [
        weight for relation, weight in zip(made, weights, strict=True) if relation.sizes.any()
    ]
    assert Hypergraph(made, weights).degrees.mean() == pytest.approx(sum(given_out))


def test_two_viewings_in_one_hyperedge_by_hand() -> None:
    # Δ = ((½, -½), (-½, ½)) and λ = 1: the inverse of ((1½, -½), (-½, 1½)) is ((¾, ¼), (¼, ¾)).
    relation = Relation(np.array([0, 0]), csr_array(np.ones((1, 1))))
    found = Hypergraph([relation], [1.0]).solve(np.array([[1.0], [0.0]]), 1.0)
    np.testing.assert_allclose(found, [[0.75], [0.25]], atol=1e-6)


def test_conjugate_gradients_solve_each_right_hand_side() -> None:
    random = np.random.default_rng(0)
    root = random.normal(size=(30, 30))
    matrix = root @ root.T + np.eye(30)
    right = random.normal(size=(30, 4))
    right[:, 2] = 0
    found = conjugate_gradients(lambda values: matrix @ values, right)
    np.testing.assert_allclose(found, np.linalg.solve(matrix, right), atol=1e-4)


def test_nearest_are_scikit_learns() -> None:
    random = np.random.default_rng(1)
    queries = random.normal(size=(20, 16)).astype(np.float32)
    candidates = random.normal(size=(1500, 16)).astype(np.float32)
    reference = NearestNeighbors(n_neighbors=5, metric="cosine").fit(candidates)
    expected = reference.kneighbors(queries, return_distance=False)
    np.testing.assert_array_equal(nearest(queries, candidates, 5), expected)
    assert nearest(queries, candidates[:3], 5).shape == (20, 3)
    assert nearest(queries[:0], candidates, 5).shape == (0, 5)


def test_nearest_of_wide_vectors_survive_the_projection() -> None:
    random = np.random.default_rng(2)
    told = random.normal(size=(300, 20)) @ random.normal(size=(20, 512))
    vectors = told.astype(np.float32)
    reference = NearestNeighbors(n_neighbors=4, metric="cosine").fit(vectors)
    expected = reference.kneighbors(vectors, return_distance=False)
    np.testing.assert_array_equal(np.sort(nearest(vectors, vectors, 4)), np.sort(expected))


DAY = 86_400.0


def hand_made() -> SocialGraph:
    """Four users, five images (the last one never viewed), six viewings."""
    images = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1], [1, 0.05]], dtype=np.float32)
    comments = np.array([[1, 0], [1, 0.1], [0, 1]], dtype=np.float32)
    return SocialGraph(
        users=np.array(list("abcd"), dtype=object),
        images=np.array(list("vwxyz"), dtype=object),
        user_vectors=Column.dense(np.zeros((4, 1), dtype=np.float32)),
        image_vectors=Column.dense(images),
        comment_vectors=Column(comments, np.array([[0], [1], [2], [-1], [-1], [-1]])),
        viewings=np.array([[0, 1, 2, 0, 0, 3], [0, 1, 2, 3, 2, 2]]),
        emotions=np.array([0, 0, 4, 4, -1, 7]),
        times=np.array([0, 0, 0, DAY, 9 * DAY, np.nan]),
        connections=np.array([[0, 1], [1, 0]]),
        memberships=np.array([[1, 2, 2], [0, 0, 1]]),
    )


def hyperedges(relation: Relation) -> set[tuple[int, ...]]:
    return {tuple(np.flatnonzero(edge)) for edge in incidence(relation).T if edge.any()}


def test_hyperedges_are_those_that_one_would_draw() -> None:
    vertices = Vertices(hand_made(), LabelSpreadingSettings(neighbours=1, window_days=7))
    drawn = {name: hyperedges(relation) for name, relation in vertices.relations.items()}
    assert drawn == {
        "everyone": {(0, 1, 2, 3, 4, 5)},
        "visual": {(0, 1), (2, 3, 4, 5)},
        "image": {(0,), (1,), (2, 4, 5), (3,)},
        "user": {(0, 3, 4), (1,), (2,), (5,)},
        "window": {(0, 3), (1,), (2,), (4,)},
        "social": {(0, 1, 3, 4), (2,), (5,)},
        "group": {(1, 2), (2,)},
        # a and b write alike, c is nearest to b.
        "comments": {(0, 1, 3, 4), (1, 2)},
    }


@pytest.fixture(scope="module")
def network() -> tuple[Examples, Examples, Examples]:
    return small_network_examples()


def test_a_viewing_outside_is_the_mean_over_its_hyperedges(
    network: tuple[Examples, Examples, Examples],
) -> None:
    _, _, test = network
    assert test.graph is not None
    model = LabelSpreading(LabelSpreadingSettings(label_weight=0.5))
    vertices = Vertices(test.graph, model.settings)
    solution = Solution(vertices, model.relation_weights, 0.5, np.ones(8))
    told = solution.scores(vertices.queries(test), -1)

    names, made = list(vertices.relations), list(vertices.relations.values())
    weights = list(model.relation_weights.values())
    theta = spread_matrix(made, weights)
    emotions = test.graph.emotions
    labels = np.where(emotions[:, None] >= 0, np.eye(8)[emotions], 0)
    solved = np.linalg.solve(1.5 * np.eye(len(theta)) - theta, 0.5 * labels)
    row = 7
    place = {
        **dict.fromkeys(["user", "social", "group", "comments"], test.posts["user"][row]),
        **dict.fromkeys(["image", "visual"], test.posts["image"][row]),
        "everyone": 0,
        "window": vertices.queries(test).nodes["window"][row],
    }
    parts = {name: incidence(relation) for name, relation in vertices.relations.items()}
    per_edge = {
        name: weight * len(theta) / parts[name].sum()
        for name, weight in zip(names, weights, strict=True)
    }
    degrees = sum(parts[name].sum(axis=1) * per_edge[name] for name in names)
    flat = solved / np.sqrt(degrees)[:, None]
    expected = np.zeros(8)
    for name, relation in vertices.relations.items():
        if place[name] < 0:
            continue
        for edge in np.flatnonzero(relation.members.toarray()[place[name]]):
            inside = parts[name][:, edge] > 0
            if inside.any():
                expected += per_edge[name] * flat[inside].mean(axis=0)
    np.testing.assert_allclose(told[row], expected, rtol=1e-4)


def fitted(
    examples: tuple[Examples, Examples, Examples], folder: Path, **changes: object
) -> LabelSpreading:
    model = LabelSpreading(LabelSpreadingSettings.model_validate(changes))
    model.fit(examples[0], examples[1], folder=folder)
    return model


def test_a_viewing_of_the_graph_does_not_see_its_own_label(
    network: tuple[Examples, Examples, Examples], tmp_path: Path
) -> None:
    train, _, _ = network
    assert train.graph is not None
    model = fitted(network, tmp_path)
    before = model.predict(train).to_numpy()
    row = int(np.flatnonzero(train.graph.emotions >= 0)[3])
    emotions = train.graph.emotions.copy()
    emotions[row] = (emotions[row] + 1) % 8
    after = model.predict(replace(train, graph=replace(train.graph, emotions=emotions))).to_numpy()
    own = np.arange(len(train)) % FOLDS == row % FOLDS
    labelled = train.graph.emotions >= 0
    np.testing.assert_array_equal(after[row], before[row])
    np.testing.assert_array_equal(after[own & labelled], before[own & labelled])
    assert np.abs(after[~own] - before[~own]).max() > 1e-4


def test_an_image_that_nobody_viewed_is_what_it_looks_like(
    network: tuple[Examples, Examples, Examples], tmp_path: Path
) -> None:
    _, _, test = network
    model = fitted(network, tmp_path, relations="visual", label_weight=3.0)
    viewed = test.select([3])
    copy = replace(viewed, posts=viewed.posts.assign(image=-1, post_id="a copy"))
    told = [model.predict(examples).to_numpy()[0] for examples in (viewed, copy)]
    overall = model.predict(
        replace(copy, features=_without_vectors(copy.features.columns["image.vector"]))
    ).to_numpy()[0]
    assert np.abs(told[0] - told[1]).sum() < 0.3 * np.abs(told[0] - overall).sum()


def _without_vectors(column: object) -> object:
    from evoked.features.table import FeatureTable

    assert isinstance(column, Column)
    return FeatureTable({"image.vector": replace(column, index=np.full_like(column.index, -1))})


def test_images_that_nobody_viewed_change_nothing(
    network: tuple[Examples, Examples, Examples], tmp_path: Path
) -> None:
    _, _, test = network
    graph = test.graph
    assert graph is not None
    model = fitted(network, tmp_path)
    index = np.concatenate([graph.image_vectors.index, graph.image_vectors.index[:5]])
    wider = replace(
        graph,
        images=np.concatenate([graph.images, [f"unviewed {row}" for row in range(5)]]),
        image_vectors=Column(graph.image_vectors.data, index),
    )
    np.testing.assert_allclose(
        model.predict(replace(test, graph=wider)), model.predict(test), atol=1e-12
    )


def test_lambda_and_weights_are_chosen_on_the_validation_viewings(
    network: tuple[Examples, Examples, Examples], tmp_path: Path
) -> None:
    train, validation, _ = network

    def loss(model: LabelSpreading) -> float:
        assert validation.targets is not None
        known = np.isfinite(validation.targets.values).all(axis=1)
        told = model.predict(validation).to_numpy()[known]
        return float(-np.log((told * validation.targets.values[known]).sum(axis=1)).mean())

    chosen = fitted(network, tmp_path, keep="loss")
    equal = LabelSpreading()
    equal.fit(train, folder=tmp_path)
    assert set(equal.relation_weights.values()) == {1 / 8}
    assert loss(chosen) < loss(equal) - 0.02
    assert fitted(network, tmp_path, label_weight=0.7).label_weight == 0.7


def test_rare_emotions_count_as_much_as_frequent_ones(
    network: tuple[Examples, Examples, Examples], tmp_path: Path
) -> None:
    plain = fitted(network, tmp_path).predict(network[2])
    weighted = fitted(network, tmp_path, class_balance=1.0).predict(network[2])
    shares = network[0].targets.values  # type: ignore[union-attr]
    rarest = plain.columns[int(np.argmin(np.nanmean(shares, axis=0)))]
    assert weighted[rarest].mean() > plain[rarest].mean()


def test_damaged_file_is_refused(
    network: tuple[Examples, Examples, Examples], tmp_path: Path
) -> None:
    fitted(network, tmp_path / "fit").save(tmp_path)
    file = tmp_path / "model.json"
    file.write_text(file.read_text().replace('"visual"', '"visible"'))
    with pytest.raises(DataError, match=r"model\.json"):
        load_model(tmp_path)

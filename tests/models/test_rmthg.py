"""What RMTHG adds to spreading labels: history, learned weights, and rolling."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_array, eye_array

from evoked.features.social_graph import SocialGraph
from evoked.models import Examples
from evoked.models._hypergraph import Hypergraph, Relation
from evoked.models.label_spreading import FOLDS, LabelSpreading, Vertices
from evoked.models.rmthg import RMTHG, RMTHGSettings, RollingSolution
from evoked.testing.networks import small_network_examples, viewing_examples

TRAIN, VALIDATION, TEST = small_network_examples()


def graph_of(examples: Examples) -> SocialGraph:
    assert examples.graph is not None
    return examples.graph


def solution(graph: SocialGraph, **settings: object) -> RollingSolution:
    model = RMTHG(RMTHGSettings.model_validate(settings))
    vertices = Vertices(graph, model.settings)
    return RollingSolution(vertices, model.relation_weights, 1.0, np.ones(8), model.settings)


def test_weights_are_the_cheapest_and_keep_the_sum_of_degrees() -> None:
    random = np.random.default_rng(0)
    relations = [
        Relation(np.arange(12), csr_array((random.random((12, edges)) < 0.4).astype(float)))
        for edges in (5, 7)
    ]
    hypergraph, values = Hypergraph(relations, [1.0, 0.5]), random.random((12, 3))
    sizes = np.concatenate([relation.sizes for relation in relations])
    flat = hypergraph.scale * values
    parts = [flat[relation.members.toarray()[:, e] > 0] for relation in relations
             for e in range(relation.members.shape[1])]  # fmt: skip
    apart = np.array(
        [((part - part.mean(axis=0)) ** 2).sum() if len(part) else 0 for part in parts]
    )
    usual = apart.sum() / sizes.sum()
    start = np.concatenate(hypergraph.edge_weights)

    def price(weights: np.ndarray) -> float:
        relative, factors = (apart + usual) / ((sizes + 1) * usual), weights / start
        return float((start * sizes * (relative * factors + 0.4 * factors**2 / 2)).sum())

    learned = hypergraph.with_learned_weights(values, 0.4)
    best = np.concatenate(learned.edge_weights)
    assert (best >= 0).all()
    assert (best == 0).any()
    assert np.isclose(learned.degrees.sum(), 18)
    for _ in range(200):
        step = random.normal(size=len(best)) * 0.05
        other = np.maximum(best + step, 0)
        other *= (sizes @ best) / (sizes @ other)
        assert price(best) <= price(other) + 1e-9


def test_hyperedges_whose_members_agree_weigh_more() -> None:
    apart, agreeing = np.repeat([0, 1], 4), np.tile([0, 1], 4)
    relations = [Relation(nodes, csr_array(eye_array(2))) for nodes in (apart, agreeing)]
    values = np.eye(2)[agreeing]
    learned = Hypergraph(relations, [1.0, 1.0]).with_learned_weights(values, 1.0)
    assert learned.edge_weights[1].min() > 2 * learned.edge_weights[0].max()


def test_history_is_what_the_user_last_felt_before() -> None:
    graph = graph_of(TRAIN)
    found = solution(graph)._last_felt(graph.viewings[0], graph.times, graph.emotions)
    for row in range(graph.viewings.shape[1]):
        before = [
            (graph.times[other], graph.emotions[other])
            for other in np.flatnonzero(graph.viewings[0] == graph.viewings[0, row])
            if graph.times[other] < graph.times[row] and graph.emotions[other] >= 0
        ]
        assert found[row] == (max(before)[1] if before else -1)
    assert (found >= 0).mean() > 0.5
    nobody = solution(graph)._last_felt(np.array([-1]), np.array([2e9]), graph.emotions)
    assert nobody.tolist() == [-1]


def moods() -> tuple[Examples, Examples]:
    """A network in which users stay in one mood out of two for a while, and nothing else counts."""
    graph, random = graph_of(TRAIN), np.random.default_rng(0)
    users, images = np.repeat(np.arange(60), 12), np.tile(np.arange(12), 60)
    stays = random.random((60, 12)) < 0.9
    mood = (np.cumsum(~stays, axis=1) + random.integers(2, size=(60, 1))) % 2
    n = len(users)
    comments = replace(graph.comment_vectors, index=np.full((n, 1), -1))
    whole = replace(
        graph,
        viewings=np.stack([users, images]),
        emotions=np.where(mood, 5, 2).ravel(),
        times=np.tile(1e6 * np.arange(12.0), 60),
        comment_vectors=comments,
    )
    held_out = np.flatnonzero(images == 11)
    learned = np.flatnonzero(images < 11)
    shown = whole.with_viewings(learned)
    train, test = (viewing_examples(whole, rows, shown) for rows in (learned, held_out))
    train.posts["viewing"] = np.arange(len(train))
    return train, test


def test_history_says_what_nothing_else_says(tmp_path: Path) -> None:
    train, test = moods()
    assert test.targets is not None
    scores = []
    for kind in (LabelSpreading, RMTHG):
        model = kind()
        model.fit(train, folder=tmp_path)
        found = model.predict(test).to_numpy().argmax(axis=1)
        scores.append((found == test.targets.values.argmax(axis=1)).mean())
    assert scores[1] > scores[0] + 0.05


def test_what_was_predicted_is_history_of_later_viewings() -> None:
    train, _ = moods()
    graph = graph_of(train)
    late = graph.times >= 9e6
    unknown = replace(graph, emotions=np.where(late, -1, graph.emotions))
    rolling = solution(unknown, stretches=2)
    rolling._of_edges(-1)
    felt = rolling._rolled[-1]
    assert (felt[late] >= 0).all()
    assert (felt[late] == graph.emotions[late]).mean() > 0.6
    np.testing.assert_array_equal(felt[~late], graph.emotions[~late])


def test_a_viewing_of_the_graph_does_not_see_its_own_label(tmp_path: Path) -> None:
    model = RMTHG()
    model.fit(TRAIN, folder=tmp_path)
    before = model.predict(TRAIN).to_numpy()
    graph = graph_of(TRAIN)
    row = int(np.flatnonzero(graph.emotions >= 0)[3])
    emotions = graph.emotions.copy()
    emotions[row] = (emotions[row] + 1) % 8
    after = model.predict(replace(TRAIN, graph=replace(graph, emotions=emotions))).to_numpy()
    own = (np.arange(len(TRAIN)) % FOLDS == row % FOLDS) & (graph.emotions >= 0)
    np.testing.assert_array_equal(after[own], before[own])
    assert np.abs(after[~own] - before[~own]).max() > 1e-4


def test_without_dates_there_is_no_history(tmp_path: Path) -> None:
    graph = graph_of(TRAIN)
    timeless = replace(graph, times=np.full_like(graph.times, np.nan))
    found = solution(timeless)._last_felt(graph.viewings[0], timeless.times, graph.emotions)
    assert (found == -1).all()
    model = RMTHG()
    undated = replace(
        TRAIN,
        graph=timeless,
        posts=TRAIN.posts.assign(
            viewed_at=pd.Series(pd.NaT, TRAIN.posts.index, dtype="datetime64[us, UTC]")
        ),
    )
    model.fit(undated, folder=tmp_path)
    np.testing.assert_allclose(model.predict(undated).sum(axis=1), 1, atol=1e-6)

"""What is HMG-Emo's own, beside the contract of models of viewings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from evoked.errors import DataError
from evoked.evaluation.metrics import roc_auc
from evoked.features.social_graph import SocialGraph
from evoked.features.table import Column
from evoked.layers.losses import macro_f1
from evoked.models import Examples
from evoked.models.hmg_emo import HMGEmo, HMGEmoSettings, SharedDropout
from evoked.models.viewings import pairs_that_never_met
from evoked.testing.networks import small_network_examples, viewing_examples
from evoked.training import TrainingSettings
from evoked.training.neighbours import ALL

QUICK = TrainingSettings(max_epochs=2, batch_size=128, device="cpu")
TRAIN, VALIDATION, TEST = small_network_examples()
SMALL = {"layers": 2, "width": 16, "user_width": 16, "image_width": 16, "comment_width": 16}


def fitted(folder: Path, train: Examples = TRAIN, **settings: object) -> HMGEmo:
    model = HMGEmo(HMGEmoSettings.model_validate({**SMALL, **settings}))
    model.fit(train, VALIDATION, folder=folder, training=QUICK)
    return model


def probabilities(model: HMGEmo, examples: Examples) -> np.ndarray:
    return model.predict(examples).to_numpy()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"layers": 5},
        {"comments": False, "known_emotions": False},
        {"residual": False, "jump": False, "edge_messages": False},
        {"backbone": "sage", "comments": False, "known_emotions": False},
    ],
)
def test_a_sample_of_all_neighbours_gives_what_the_whole_graph_gives(
    changes: dict[str, object], tmp_path: Path
) -> None:
    model = fitted(tmp_path, **changes)
    whole = probabilities(model, TEST)
    sampled = model._batches(TEST, (ALL,) * model.settings.layers)
    with torch.inference_mode():
        network = model.network.eval()
        found = network(sampled.take(np.arange(len(TEST))))
        few = network(sampled.take(np.arange(3)))
    np.testing.assert_allclose(found.numpy(), whole, atol=1e-5)
    np.testing.assert_allclose(few.numpy(), whole[:3], atol=1e-5)


@pytest.mark.parametrize("own_comment", [False, True])
def test_training_steps_on_all_neighbours_are_those_on_the_whole_graph(
    own_comment: bool, tmp_path: Path
) -> None:
    model = fitted(tmp_path, own_comment=own_comment, dropout=0.0)
    rows = np.arange(0, 480, 3)
    losses = []
    for fan_out in (None, (ALL, ALL)):
        batches = model._batches(TRAIN, fan_out, learning=True, keep_edges=own_comment)
        # Batch normalisation sees more nodes where the whole graph is there, so it is left out.
        network = model.network.eval()
        with torch.inference_mode():
            losses.append(network(batches.take(rows)))
    torch.testing.assert_close(losses[0], losses[1], atol=1e-5, rtol=0)


def test_it_learns_what_rows_alone_do_not_tell(tmp_path: Path) -> None:
    train, validation, test = small_network_examples(300, 200, 4000, seed=1)
    model = HMGEmo(HMGEmoSettings(layers=2, width=32))
    training = QUICK.model_copy(update={"max_epochs": 8, "learning_rate": 0.005})
    model.fit(train, validation, folder=tmp_path, training=training)
    known = test.posts["emotion"].notna().to_numpy()
    truth = test.targets.values[known].argmax(axis=1)  # type: ignore[union-attr]

    def rows_alone(examples: Examples) -> np.ndarray:
        batch = examples.features.take(np.arange(len(examples)))
        return np.hstack([batch[name] for name in ("user.vector", "image.vector")])

    taught = train.posts["emotion"].notna().to_numpy()
    linear = LogisticRegression(max_iter=1000)
    linear.fit(rows_alone(train)[taught], train.targets.values[taught].argmax(axis=1))  # type: ignore[union-attr]
    scores = [
        f1_score(truth, found.argmax(axis=1), average="macro")
        for found in (
            probabilities(model, test)[known],
            linear.predict_proba(rows_alone(test)[known]),
        )
    ]
    assert scores[0] > scores[1] + 0.03


def test_the_emotions_of_a_batch_do_not_reach_its_predictions(tmp_path: Path) -> None:
    model = fitted(tmp_path)
    assert TRAIN.graph is not None
    rows = np.arange(0, 480, 5)
    emotions = TRAIN.graph.emotions.copy()
    emotions[rows] = (emotions[rows] + 3) % 8
    comments = TRAIN.graph.comment_vectors
    own = comments.index[rows, 0]
    words = comments.data.copy()
    words[own[own >= 0]] += 3
    other = replace(TRAIN.graph, emotions=emotions, comment_vectors=replace(comments, data=words))
    for fan_out in (None, (ALL, ALL), (3, 2)):
        outputs = []
        for graph in (TRAIN.graph, other):
            batches = model._batches(replace(TRAIN, graph=graph), fan_out, learning=True)
            with torch.inference_mode():
                outputs.append(model.network.eval()(batches.take(rows)))
        torch.testing.assert_close(outputs[0], outputs[1])


def held_out_in_graph() -> Examples:
    """Validation viewings that stand in the graph with their comments, emotions withheld."""
    graph = TRAIN.graph
    assert graph is not None
    own = VALIDATION.features.columns["viewing.comment"]
    assert isinstance(own, Column)
    places = VALIDATION.posts[["user", "image"]].to_numpy().T
    n = len(VALIDATION)
    everything = replace(
        graph,
        viewings=np.concatenate([graph.viewings, places], axis=1),
        comment_vectors=replace(
            own, index=np.concatenate([graph.comment_vectors.index, own.index])
        ),
        emotions=np.concatenate([graph.emotions, np.full(n, -1)]),
        times=np.concatenate([graph.times, np.full(n, np.nan)]),
    )
    posts = VALIDATION.posts.assign(viewing=len(TRAIN) + np.arange(n))
    return replace(VALIDATION, posts=posts, graph=everything)


def test_the_own_comment_is_read_where_the_protocol_shows_it(tmp_path: Path) -> None:
    model = fitted(tmp_path, own_comment=True)
    assert "viewing.comment" in model.features
    assert "comment" in model.caution
    examples = held_out_in_graph()
    assert examples.graph is not None
    before = probabilities(model, examples)
    column = examples.graph.comment_vectors
    assert isinstance(column, Column)
    row = int(np.flatnonzero(column.index[len(TRAIN) :, 0] >= 0)[0])
    index = column.index.copy()
    index[len(TRAIN) + row] = -1
    silent = replace(examples.graph, comment_vectors=replace(column, index=index))
    after = probabilities(model, replace(examples, graph=silent))
    assert not np.allclose(before[row], after[row], atol=1e-4)


def test_the_own_viewing_can_be_shown_without_its_comment(tmp_path: Path) -> None:
    model = fitted(tmp_path, own_comment=True, comments=False)
    assert "comment" in model.caution
    examples = held_out_in_graph()
    graph = examples.graph
    assert graph is not None
    shown = probabilities(model, examples)
    silent = replace(graph.comment_vectors, index=np.full_like(graph.comment_vectors.index, -1))
    without = replace(examples, graph=replace(graph, comment_vectors=silent))
    np.testing.assert_allclose(probabilities(model, without), shown, atol=1e-6)
    known = graph.with_viewings(np.arange(len(TRAIN)))
    hidden = replace(examples, posts=examples.posts.assign(viewing=-1), graph=known)
    assert not np.allclose(probabilities(model, hidden), shown, atol=1e-3)


def test_beta_is_equations_5_and_6(tmp_path: Path) -> None:
    model = fitted(tmp_path, gate="published")
    batch = model._batches(TEST).take(np.arange(10))
    network = model.network.eval()
    with torch.inference_mode():
        users, images = network._ends(batch)
        exponent = sum(
            rows @ network.weight[kind].weight[0]
            for kind, rows in (("user", users), ("image", images))
        )
        beta = torch.where(exponent > 0, exponent, 0.01 * exponent).exp()
        torch.testing.assert_close(network.beta(batch), beta)
        combined = torch.cat([beta[:, None] * users, (1 - beta[:, None]) * images], dim=1)
        expected = network.classify(combined).softmax(dim=1)
        torch.testing.assert_close(network(batch), expected)
        for linear in network.weight.values():
            linear.weight.fill_(1e6)
        assert network.beta(batch).max() > 1e6
        network.settings = model.settings.model_copy(update={"gate": "bounded"})
        assert network.beta(batch).max() == pytest.approx(np.exp(3))
        assert network(batch).isfinite().all()


@pytest.mark.parametrize(
    "changes",
    [
        {"backbone": "conv", "comments": False, "known_emotions": False},
        {"combination": "sum", "gate": "scalar"},
        {"combination": "product", "jump": False},
        {"adaptive": False, "class_balance": 1.0, "keep": "loss"},
        {"negative_sampling": True, "full_graph": "never"},
        {"negative_sampling": True, "full_graph": "always", "own_comment": True},
    ],
)
def test_variants_learn(changes: dict[str, object], tmp_path: Path) -> None:
    model = HMGEmo(HMGEmoSettings.model_validate({**SMALL, **changes}))
    training = QUICK.model_copy(update={"max_epochs": 4})
    history = model.fit(TRAIN, VALIDATION, folder=tmp_path, training=training)
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    np.testing.assert_allclose(probabilities(model, TEST).sum(axis=1), 1, atol=1e-5)


def test_published_sizes() -> None:
    model = HMGEmo(HMGEmoSettings.published())
    network = model.build({"user.vector": 768, "image.vector": 2048, "viewing.comment": 768})
    assert len(network.layers) == 5
    assert network.layers[0].theta["user"].weight.shape == (64, 128)
    assert network.layers[4].theta["image"].weight.shape == (64, 64)
    assert network.comment.placeholder.shape == (256,)
    assert network.classify[0].in_features == 128
    assert not network.skips[0]
    assert network.emotion is None
    assert not any(isinstance(part, torch.nn.BatchNorm1d) for part in network.inputs.modules())
    assert not any(isinstance(part, torch.nn.BatchNorm1d) for part in network.comment.modules())
    training = HMGEmo.published_training
    assert (training.clip, training.batch_size, training.learning_rate) == (0, 512, 0.005)


def test_input_norm_makes_scales_of_vectors_equal(tmp_path: Path) -> None:
    graph = TRAIN.graph
    assert graph is not None
    vectors = graph.image_vectors
    larger = replace(vectors, data=vectors.data * np.float32(7))
    wide = replace(TRAIN, graph=replace(graph, image_vectors=larger))
    for norm in (True, False):
        outputs = []
        for train in (TRAIN, wide):
            model = fitted(tmp_path / f"{norm}-{train is wide}", input_norm=norm, dropout=0.0)
            torch.manual_seed(0)
            network = model.build(model.widths).train()
            batches = model._batches(train, (ALL, ALL), learning=True)
            with torch.inference_mode():
                outputs.append(network(batches.take(np.arange(100))))
        assert np.allclose(outputs[0], outputs[1], atol=1e-3) == norm


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="comments and known_emotions to false"):
        HMGEmoSettings(backbone="sage")
    with pytest.raises(ValueError, match="equal user_width"):
        HMGEmoSettings(combination="sum", user_width=32)


def test_an_interrupted_fit_ends_as_an_unbroken_one(tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def stop(record: dict[str, float]) -> None:
        if record["epoch"] == 2:
            raise StopError

    training = QUICK.model_copy(update={"max_epochs": 4})
    settings = HMGEmoSettings.model_validate({**SMALL, "full_graph": "never"})
    whole = HMGEmo(settings)
    whole.fit(TRAIN, VALIDATION, folder=tmp_path / "whole", training=training)
    with pytest.raises(StopError):
        HMGEmo(settings).fit(
            TRAIN, VALIDATION, folder=tmp_path / "broken", training=training, progress=stop
        )
    resumed = HMGEmo(settings)
    history = resumed.fit(TRAIN, VALIDATION, folder=tmp_path / "broken", training=training)
    assert [record["epoch"] for record in history] == [1, 2, 3, 4]
    pd.testing.assert_frame_equal(resumed.predict(TEST), whole.predict(TEST))


def test_graphs_of_another_encoder_are_refused(tmp_path: Path) -> None:
    model = fitted(tmp_path)
    assert TEST.graph is not None
    wide = Column.dense(np.zeros((480, 99), dtype=np.float32))
    with pytest.raises(Exception, match=r"viewing\.comment of width 16.*99"):
        model.predict(replace(TEST, graph=replace(TEST.graph, comment_vectors=wide)))
    with pytest.raises(DataError, match="needs a graph of users and images"):
        model.fit(replace(TRAIN, graph=None), folder=tmp_path, training=QUICK)


def test_macro_f1_is_scikit_learns() -> None:
    random = np.random.default_rng(0)
    predicted, truth = random.random((200, 8)), random.integers(6, size=200)
    targets, weights = np.eye(8)[truth], np.ones((200, 8))
    weights[:50] = 0
    expected = f1_score(truth[50:], predicted[50:].argmax(axis=1), average="macro")
    tensors = [torch.from_numpy(each).float() for each in (predicted, targets, weights)]
    assert float(macro_f1(*tensors)) == pytest.approx(expected)


def test_explanations_are_what_happens_without(tmp_path: Path) -> None:
    model = fitted(tmp_path)
    graph = TEST.graph
    assert graph is not None
    examples = TEST.select([0, 1, 5])  # a stranger, a strange image, an ordinary viewing
    found = model.explain_viewings(examples)
    table = model.predict(examples).to_numpy()
    for row, explanation in enumerate(found):
        assert explanation.probability == pytest.approx(table[row].max(), abs=1e-5)
        assert explanation.emotion == model.task.outcomes[0].labels[table[row].argmax()]
        assert set(explanation.parts) >= {"image", "user", "viewings", "connections"}
        assert explanation.beta is not None
    assert len(found[2].neighbours) > 0
    for neighbour in found[2].neighbours:
        user = list(graph.users).index(neighbour.user)
        if neighbour.image is None:
            own = int(examples.posts["user"][2])
            ends = graph.connections
            gone = ((ends[0] == user) & (ends[1] == own)) | ((ends[1] == user) & (ends[0] == own))
            without = replace(graph, connections=ends[:, ~gone])
        else:
            image = list(graph.images).index(neighbour.image)
            gone = (graph.viewings == np.array([[user], [image]])).all(axis=0)
            without = graph.with_viewings(np.flatnonzero(~gone))
        left = model.predict(replace(examples, graph=without)).to_numpy()[2]
        effect = table[2].max() - left[table[2].argmax()]
        assert neighbour.effect == pytest.approx(effect, abs=1e-5)


def test_dropout_of_vectors_is_the_same_for_all_rows() -> None:
    torch.manual_seed(0)
    dropout = SharedDropout(0.5)
    dropped = dropout(torch.ones(4, 200))
    assert (dropped == dropped[:1]).all()
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert (dropout.eval()(torch.ones(4, 200)) == 1).all()


def network_of(halves: int) -> tuple[Examples, Examples]:
    """Training and held-out viewings of 600 users at 2 of 60 images each, drawn by chance: of all
    images, or with two halves of those that are like the user in the first number of its vector."""
    random = np.random.default_rng(0)
    kind_of_user, kind_of_image = np.arange(600) % halves, np.arange(60) % halves
    apart = kind_of_user[:, None] != kind_of_image
    images = np.argsort(random.random((600, 60)) + apart, axis=1)[:, :2]
    pairs = np.stack([np.repeat(np.arange(600), 2), images.ravel()])

    def vectors(kinds: np.ndarray) -> Column:
        noise = random.normal(size=(len(kinds), 6))
        return Column.dense(np.column_stack([4.0 * kinds, noise]).astype(np.float32))

    nothing = np.zeros((2, 0), dtype=np.int64)
    graph = SocialGraph(
        users=np.arange(600).astype(str).astype(object),
        images=np.arange(60).astype(str).astype(object),
        user_vectors=vectors(kind_of_user),
        image_vectors=vectors(kind_of_image),
        comment_vectors=vectors(np.zeros(1200)),
        viewings=pairs,
        emotions=random.integers(8, size=1200),
        times=np.full(1200, np.nan),
        connections=nothing,
        memberships=nothing,
    )
    learned, held_out = np.split(random.permutation(1200), [800])
    shown = graph.with_viewings(learned)
    train, test = (viewing_examples(graph, rows, shown) for rows in (learned, held_out))
    train.posts["viewing"] = np.arange(len(train))
    return train, test


def existence_auc(model: HMGEmo, viewings: Examples, pairs: Examples) -> float:
    found = np.concatenate([model.existence(viewings), model.existence(pairs)])
    return float(roc_auc(np.repeat([1.0, 0.0], [len(viewings), len(pairs)]), found))


def learned_existence(train: Examples, folder: Path, full_graph: str) -> HMGEmo:
    settings = {**SMALL, "negative_sampling": True, "full_graph": full_graph}
    model = HMGEmo(HMGEmoSettings.model_validate(settings))
    training = QUICK.model_copy(update={"max_epochs": 8, "learning_rate": 0.01})
    model.fit(train, folder=folder, training=training)
    return model


@pytest.mark.parametrize("full_graph", ["always", "never"])
def test_a_hidden_viewing_does_not_betray_that_it_exists(full_graph: str, tmp_path: Path) -> None:
    train, test = network_of(halves=1)
    model = learned_existence(train, tmp_path, full_graph)
    # In training, where the viewings of the batch are hidden: chance leaves 0.5 ± 0.015.
    batches = model._batches(train, (ALL, ALL), learning=True, negatives=1, seed=1)
    found = []
    with torch.inference_mode():
        for rows in np.split(np.random.default_rng(1).permutation(800), 5):
            probabilities = model.network.eval().pairs(batches.take(rows))
            found.append((1 - probabilities[:, 8]).reshape(2, -1).numpy())
    learned = roc_auc(np.repeat([1.0, 0.0], 800), np.concatenate(found, axis=1).ravel())
    assert 0.44 < learned < 0.57
    # Held out: 0.5 ± 0.02, beside the same users and images, and beside any.
    random = np.random.default_rng(2)
    anyone = {"user": random.integers(600, size=400), "image": random.integers(60, size=400)}
    for pairs in (pairs_that_never_met(test), replace(test, posts=test.posts.assign(**anyone))):
        assert 0.42 < existence_auc(model, test, pairs) < 0.58


def test_what_makes_a_pair_suit_each_other_is_learned(tmp_path: Path) -> None:
    train, test = network_of(halves=2)
    model = learned_existence(train, tmp_path, "never")
    # Half of the pairs that never met are of one half, too, so 0.75 is the best.
    assert 0.68 < existence_auc(model, test, pairs_that_never_met(test)) < 0.8


def test_pairs_that_never_met_are_the_same_users_and_images() -> None:
    pairs = pairs_that_never_met(TEST, seed=3)
    assert 0.7 * len(TEST) < len(pairs) <= len(TEST)
    graph = TEST.graph
    assert graph is not None
    met = {*zip(*graph.viewings.tolist(), strict=True)}
    met |= {*zip(TEST.posts["user"], TEST.posts["image"], strict=True)}
    assert met.isdisjoint(zip(pairs.posts["user"], pairs.posts["image"], strict=True))
    assert (pairs.posts["viewing"] == -1).all()
    assert pairs.posts["emotion"].isna().all()
    # Vectors are those of the user and of the new image, strangers' as well.
    for kind, name in (("user", "user_id"), ("image", "post_id")):
        own, new = (
            examples.features.take(np.arange(len(examples)))[f"{kind}.vector"].numpy()
            for examples in (TEST, pairs)
        )
        vectors = dict(zip(TEST.posts[name], own, strict=True))
        np.testing.assert_array_equal(new, np.stack([vectors[each] for each in pairs.posts[name]]))

"""The contract that every registered model of viewings fulfils; a new one is tested by being
registered."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evoked.errors import DataError, SettingsError
from evoked.features.table import Column, FeatureTable
from evoked.models import MODELS, Examples, Model, NeuralModel, load_model
from evoked.targets import TargetTable
from evoked.training import TrainingSettings
from tests.support.networks import small_network_examples, with_strangers

QUICK = TrainingSettings(max_epochs=2, batch_size=128, device="cpu")
NAMES = sorted(name for name, model in MODELS.items() if model.rows == "viewings")
# Settings with which a model learns in no time.
SMALL: dict[str, dict[str, object]] = {
    "viewing_boosting": {"trees": 20},
}


@cache
def network() -> tuple[Examples, Examples, Examples]:
    return small_network_examples()


@pytest.fixture
def train() -> Examples:
    return network()[0]


@pytest.fixture
def validation() -> Examples:
    return network()[1]


@pytest.fixture
def test() -> Examples:
    return network()[2]


def unfitted(name: str) -> Model:
    kind = MODELS[name]
    return kind(kind.Settings.model_validate(SMALL.get(name, {})))


@pytest.fixture(scope="module", params=NAMES)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Fitted once; no test changes it."""
    model = unfitted(request.param)
    train, validation, _ = network()
    model.fit(train, validation, folder=tmp_path_factory.mktemp(model.name), training=QUICK)
    return model


@pytest.fixture(params=NAMES)
def fresh(request: pytest.FixtureRequest) -> Model:
    return unfitted(request.param)


def check_probabilities(table: pd.DataFrame, model: Model, n: int) -> None:
    assert list(table.columns) == list(model.task.columns)
    assert table.shape == (n, 8)
    values = table.to_numpy()
    assert np.isfinite(values).all()
    assert (values >= 0).all()
    np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-5)


def without(examples: Examples, *features: str) -> Examples:
    """The features are absent from every example, and from the graph."""
    columns = dict(examples.features.columns)
    graph = examples.graph
    assert graph is not None
    fields = {
        "user.vector": "user_vectors",
        "image.vector": "image_vectors",
        "viewing.comment": "comment_vectors",
    }
    for name in features:
        columns[name] = absent(columns[name])  # type: ignore[arg-type]
        graph = replace(graph, **{fields[name]: absent(getattr(graph, fields[name]))})
    return replace(examples, features=FeatureTable(columns), graph=graph)


def absent(column: Column) -> Column:
    return replace(column, index=np.full_like(column.index, -1))


def unconnected(examples: Examples) -> Examples:
    assert examples.graph is not None
    nobody = np.zeros((2, 0), dtype=np.int64)
    return replace(examples, graph=replace(examples.graph, connections=nobody, memberships=nobody))


def test_predicts_a_probability_of_every_emotion(model: Model, test: Examples) -> None:
    check_probabilities(model.predict(test), model, len(test))


@pytest.mark.parametrize("n", [0, 1, 1000])
def test_predicts_none_one_and_a_thousand(model: Model, test: Examples, n: int) -> None:
    chosen = test.select(np.resize(np.arange(len(test)), n))
    check_probabilities(model.predict(chosen), model, n)


def test_loss_falls(fresh: Model, train: Examples, tmp_path: Path) -> None:
    if not isinstance(fresh, NeuralModel):
        pytest.skip(f"{fresh.name} is not trained in epochs")
    settings = QUICK.model_copy(update={"max_epochs": 6, "schedule": "constant"})
    history = fresh.fit(train, folder=tmp_path, training=settings)
    assert history[-1]["train_loss"] < 0.95 * history[0]["train_loss"]


def test_saved_and_loaded_model_predicts_the_same(
    model: Model, test: Examples, tmp_path: Path
) -> None:
    model.save(tmp_path)
    loaded = load_model(tmp_path)
    assert type(loaded) is type(model)
    pd.testing.assert_frame_equal(loaded.predict(test), model.predict(test))
    suffixes = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert suffixes <= {".json", ".safetensors", ".parquet", ".md"}


def test_two_fits_with_one_seed_are_equal(model: Model, tmp_path: Path) -> None:
    train, validation, test = network()
    again = unfitted(model.name)
    again.fit(train, validation, folder=tmp_path, training=QUICK)
    pd.testing.assert_frame_equal(again.predict(test), model.predict(test))


def test_prediction_does_not_depend_on_the_other_rows(model: Model, test: Examples) -> None:
    together = model.predict(test).to_numpy()
    for row in (0, 1, 7):  # a stranger, a strange image, an ordinary viewing
        alone = model.predict(test.select([row])).to_numpy()
        np.testing.assert_allclose(alone[0], together[row], atol=1e-5)
    turned = model.predict(test.select(np.arange(len(test))[::-1])).to_numpy()
    np.testing.assert_allclose(turned[::-1], together, atol=1e-5)


@pytest.mark.parametrize(
    "features",
    [("image.vector",), ("user.vector",), ("viewing.comment",)],
    ids=lambda features: features[0],
)
def test_survives_absent_features(model: Model, test: Examples, features: tuple[str, ...]) -> None:
    check_probabilities(model.predict(without(test, *features)), model, len(test))


def test_learns_without_any_feature(fresh: Model, train: Examples, tmp_path: Path) -> None:
    bare = without(train, "image.vector", "user.vector", "viewing.comment")
    fresh.fit(bare, folder=tmp_path, training=QUICK)
    check_probabilities(fresh.predict(bare), fresh, len(bare))


def test_survives_strangers_alone(model: Model, test: Examples) -> None:
    strangers = with_strangers(test, np.arange(len(test)), "user", "image")
    strangers.posts.loc[: len(test) // 2, ["user", "image"]] = -1
    check_probabilities(model.predict(strangers), model, len(test))


def test_survives_a_graph_without_connections(
    fresh: Model, train: Examples, test: Examples, tmp_path: Path
) -> None:
    fresh.fit(unconnected(train), folder=tmp_path, training=QUICK)
    check_probabilities(fresh.predict(unconnected(test)), fresh, len(test))


def test_survives_a_graph_without_viewings(model: Model, test: Examples) -> None:
    assert test.graph is not None
    empty = replace(test, graph=test.graph.with_viewings([]))
    check_probabilities(model.predict(empty), model, len(test))
    nobody = unconnected(empty)
    check_probabilities(model.predict(nobody), model, len(test))


def test_learns_from_one_viewing(fresh: Model, train: Examples, tmp_path: Path) -> None:
    assert train.graph is not None
    one = replace(train.select([0]), graph=train.graph.with_viewings([0]))
    fresh.fit(one, folder=tmp_path, training=QUICK)
    check_probabilities(fresh.predict(train), fresh, len(train))


def test_never_reads_the_emotion_of_the_viewing_itself(model: Model, test: Examples) -> None:
    other = replace(test, targets=None, posts=test.posts.assign(emotion="sadness"))
    pd.testing.assert_frame_equal(model.predict(other), model.predict(test))
    nameless = replace(test, targets=None, posts=test.posts.drop(columns="emotion"))
    pd.testing.assert_frame_equal(model.predict(nameless), model.predict(test))


def test_never_reads_the_comment_of_the_viewing_itself(model: Model, test: Examples) -> None:
    if "viewing.comment" in model.features:
        pytest.skip(f"{model.name} is shown the viewing's own comment, and says so")
    own = test.features.columns["viewing.comment"]
    assert isinstance(own, Column)
    columns = {**test.features.columns, "viewing.comment": replace(own, data=own.data + 5)}
    other = replace(
        test, posts=test.posts.assign(comment="how sad"), features=FeatureTable(columns)
    )
    pd.testing.assert_frame_equal(model.predict(other), model.predict(test))


def test_a_model_that_is_shown_the_own_comment_says_so(fresh: Model) -> None:
    if "viewing.comment" in fresh.features:
        assert "comment" in fresh.caution


def test_refuses_to_learn_from_nothing(fresh: Model, train: Examples, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least one training"):
        fresh.fit(train.select([]), folder=tmp_path, training=QUICK)
    assert train.targets is not None
    unknown = TargetTable(np.full_like(train.targets.values, np.nan), train.targets.estimated)
    with pytest.raises(DataError, match="nothing to learn"):
        fresh.fit(replace(train, targets=unknown), folder=tmp_path, training=QUICK)


def test_refuses_examples_without_what_it_reads(model: Model, test: Examples) -> None:
    if model.features:
        narrow = {name: Column.dense(np.zeros((len(test), 3))) for name in model.features}
        with pytest.raises(SettingsError, match="width"):
            model.predict(replace(test, features=FeatureTable(narrow)))


def test_without_a_graph_it_predicts_or_asks_for_one(model: Model, test: Examples) -> None:
    try:
        table = model.predict(replace(test, graph=None))
    except DataError as error:
        assert "graph" in str(error)  # noqa: PT017 - a model that needs none predicts
    else:
        check_probabilities(table, model, len(test))


def test_unfitted_model_says_so(fresh: Model, test: Examples) -> None:
    if not fresh.features:
        pytest.skip(f"{fresh.name} reads no features")
    with pytest.raises(SettingsError, match="not been fitted"):
        fresh.predict(test)


@pytest.mark.parametrize("name", ["hmg_emo", "comments_only", "abmf"])
def test_training_is_the_models_own_where_nobody_says_otherwise(name: str) -> None:
    kind = MODELS[name]
    assert (kind.default_training == TrainingSettings()) == (kind.rows == "posts")

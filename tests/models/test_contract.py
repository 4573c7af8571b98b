"""The contract that every registered model fulfils; a new model is tested by being registered."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from evoked.errors import DataError, SettingsError
from evoked.evaluation.tables import evaluate_task
from evoked.features.table import Column, FeatureTable
from evoked.models import MODELS, Examples, Model, NeuralModel, load_model, model_class
from evoked.models.abmf import ABMF, ABMFSettings
from evoked.targets import TargetTable
from evoked.training import TrainingSettings
from tests.support.examples import random_examples

QUICK = TrainingSettings(max_epochs=2, batch_size=16, device="cpu")

TASK = "emotion_engagement"
# Settings with which a model learns in no time.
SMALL: dict[str, dict[str, object]] = {
    "gradient_boosting": {"trees": 20},
    "pixelrec_catboost": {"trees": 20},
    "stack": {"members": [{"model": "linear"}, {"model": "author_mean"}], "folds": 2},
}


# Every model of posts with every task that it learns; of viewings: test_viewings_contract.py.
NAMES = sorted(name for name, model in MODELS.items() if model.rows == "posts")
PAIRS = [(name, task) for name in NAMES for task in MODELS[name].tasks]


@pytest.fixture(params=PAIRS, ids="-".join)
def model(request: pytest.FixtureRequest) -> Model:
    name, task = request.param
    kind = MODELS[name]
    return kind(kind.Settings.model_validate(SMALL.get(name, {})), task=task)


@pytest.fixture
def examples(request: pytest.FixtureRequest) -> Examples:
    known = "model" in request.fixturenames
    return examples_of(request.getfixturevalue("model").task.name if known else TASK)


@cache
def examples_of(task: str) -> Examples:
    return random_examples(48, task=task)


def fitted(model: Model, examples: Examples, folder: Path) -> Model:
    model.fit(examples, folder=folder, training=QUICK)
    return model


def test_predicts_every_target_on_its_scale(
    model: Model, examples: Examples, tmp_path: Path
) -> None:
    table = fitted(model, examples, tmp_path).predict(examples)
    assert list(table.columns) == list(model.task.columns)
    assert len(table) == len(examples)
    assert np.isfinite(table.to_numpy()).all()
    for name in table:
        assert table[name].between(*model.task.bounds(name)).all()


def test_predictions_lead_to_every_outcome(
    model: Model, examples: Examples, tmp_path: Path
) -> None:
    task = model.task.fit(examples.posts)
    predicted = fitted(model, examples, tmp_path).predict(examples)
    restored, truth = task.inverse_transform(predicted, examples.posts), task.truth(examples.posts)
    scores = evaluate_task(task, restored, truth, draws=0)
    assert {outcome.name.removesuffix("_rate") for outcome in task.outcomes} <= set(
        scores["target"]
    )


def test_loss_falls(model: Model, examples: Examples, tmp_path: Path) -> None:
    if not isinstance(model, NeuralModel):
        pytest.skip(f"{model.name} is not trained in epochs")
    settings = QUICK.model_copy(update={"max_epochs": 8, "schedule": "constant"})
    history = model.fit(examples, folder=tmp_path, training=settings)
    assert history[-1]["train_loss"] < 0.9 * history[0]["train_loss"]


@pytest.mark.parametrize("n", [1, 1000])
def test_predicts_one_post_and_a_thousand(
    model: Model, examples: Examples, tmp_path: Path, n: int
) -> None:
    many = random_examples(n, seed=1, task=model.task.name)
    assert len(fitted(model, examples, tmp_path).predict(many)) == n


def test_prediction_does_not_depend_on_the_other_posts(
    model: Model, examples: Examples, tmp_path: Path
) -> None:
    fitted(model, examples, tmp_path)
    together = model.predict(examples)
    alone = model.predict(examples.select([7]))
    np.testing.assert_allclose(alone.to_numpy()[0], together.to_numpy()[7], atol=1e-4)


def test_saved_and_loaded_model_predicts_the_same(
    model: Model, examples: Examples, tmp_path: Path
) -> None:
    fitted(model, examples, tmp_path / "training")
    model.save(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert type(loaded) is type(model)
    assert loaded.task is model.task
    pd.testing.assert_frame_equal(loaded.predict(examples), model.predict(examples))
    suffixes = {path.suffix for path in (tmp_path / "model").rglob("*") if path.is_file()}
    assert suffixes <= {".json", ".safetensors", ".md"}


def test_survives_posts_without_image_caption_or_category(
    model: Model, examples: Examples, tmp_path: Path
) -> None:
    fitted(model, examples, tmp_path)
    bare = {}
    for name, column in examples.features.columns.items():
        if isinstance(column, Column):
            bare[name] = replace(column, index=np.full_like(column.index, -1))
        else:
            bare[name] = replace(column, lengths=np.zeros_like(column.lengths))  # type: ignore[type-var]
    posts = examples.posts.assign(category=None, author_id="somebody new")
    table = model.predict(Examples(posts, FeatureTable(bare)))
    assert np.isfinite(table.to_numpy()).all()


def test_target_that_nobody_told_is_not_predicted(
    model: Model, examples: Examples, tmp_path: Path
) -> None:
    assert examples.targets is not None
    values = examples.targets.values.copy()
    values[:, -1] = np.nan
    without = replace(examples, targets=TargetTable(values, examples.targets.estimated))
    if len(model.targets) == 1:
        pytest.skip("the task has one target only, and a model refuses to learn nothing")
    table = fitted(model, without, tmp_path).predict(examples)
    assert table.iloc[:, -1].isna().all()
    assert table.iloc[:, 0].notna().all()


def test_refuses_to_learn_from_nothing(model: Model, examples: Examples, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least one training post"):
        model.fit(examples.select([]), folder=tmp_path, training=QUICK)
    assert examples.targets is not None
    unknown = TargetTable(np.full_like(examples.targets.values, np.nan), examples.targets.estimated)
    with pytest.raises(DataError, match="nothing to learn"):
        model.fit(replace(examples, targets=unknown), folder=tmp_path, training=QUICK)


def test_learns_from_one_post_and_from_equal_targets(
    model: Model, examples: Examples, tmp_path: Path
) -> None:
    one = examples.select([0])
    assert np.isfinite(fitted(model, one, tmp_path / "one").predict(one).to_numpy()).all()
    assert examples.targets is not None
    equal = TargetTable(np.full_like(examples.targets.values, 0.5), examples.targets.estimated)
    same = replace(examples, targets=equal)
    fresh = type(model)(task=model.task.name)
    table = fitted(fresh, same, tmp_path / "same").predict(same)
    assert np.isfinite(table.to_numpy()).all()


def test_refuses_features_of_another_width(
    model: Model, examples: Examples, tmp_path: Path
) -> None:
    if not model.features:
        pytest.skip(f"{model.name} reads no features")
    fitted(model, examples, tmp_path)
    other = {name: Column.dense(np.zeros((48, 3, 2), np.float32)) for name in model.features}
    with pytest.raises(SettingsError, match="width"):
        model.predict(Examples(examples.posts, FeatureTable(other)))


def test_unfitted_model_says_so(model: Model, examples: Examples) -> None:
    if not model.features:
        pytest.skip(f"{model.name} reads no features")
    with pytest.raises(SettingsError, match="not been fitted"):
        model.predict(examples)


def test_task_that_a_model_does_not_learn_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"does not learn the task 'weather'.*emotion_eng"):
        ABMF(task="weather")


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="abmf"):
        model_class("abmff")
    (tmp_path / "model.json").write_text(json.dumps({"model": "os.system"}))
    with pytest.raises(DataError, match="unknown kind"):
        load_model(tmp_path)


def test_damaged_weights_are_named(examples: Examples, tmp_path: Path) -> None:
    model = fitted(ABMF(), examples, tmp_path / "training")
    model.save(tmp_path / "model")
    weights = tmp_path / "model" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"weights\.safetensors.*damaged"):
        load_model(tmp_path / "model")


# What is ABMF's own.


@pytest.mark.parametrize(
    "changes",
    [
        {"early_fusion": False},
        {"late_fusion": False},
        {"cross_modal_attention": False},
        {"spatial_attention": False},
        {"textual_self_attention": False},
        {"modalities": ("image",)},
        {"modalities": ("caption", "hashtags", "metadata")},
        {"uncertainty_weighting": True},
    ],
)
def test_abmf_variants_learn(
    changes: dict[str, object], examples: Examples, tmp_path: Path
) -> None:
    model = ABMF(ABMFSettings.model_validate(changes))
    history = model.fit(examples, folder=tmp_path, training=QUICK)
    assert np.isfinite(history[-1]["train_loss"])
    assert np.isfinite(model.predict(examples).to_numpy()).all()


def test_abmf_attention_weights_sum_to_one(examples: Examples, tmp_path: Path) -> None:
    model = ABMF()
    fitted(model, examples, tmp_path)
    batch = examples.features.take(np.arange(8))
    attention: dict[str, torch.Tensor] = {}
    with torch.inference_mode():
        explained = model.network.eval()(batch, attention=attention)
        plain = model.network(batch)
    torch.testing.assert_close(explained, plain, atol=1e-5, rtol=1e-5)
    assert set(attention) == {"spatial", "words", "image_to_text", "text_to_image"}
    regions = 9 + 3
    tokens = batch["caption.tokens"].shape[1] + 1
    assert attention["spatial"].shape == (8, regions)
    assert attention["text_to_image"].shape == (8, tokens, regions)
    for weights in attention.values():
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))


def test_abmf_hidden_modality_equals_absent_one(examples: Examples, tmp_path: Path) -> None:
    model = ABMF()
    fitted(model, examples, tmp_path)
    batch = examples.features.take(np.arange(8))
    absent = dict(batch)
    absent["image.map.present"] = torch.zeros(8, dtype=torch.bool)
    with torch.inference_mode():
        network = model.network.eval()
        torch.testing.assert_close(network(batch, hidden={"image"}), network(absent))
        assert not torch.allclose(network(batch, hidden={"caption"}), network(batch))


def test_abmf_refuses_settings_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="at least one of"):
        ABMFSettings(modalities=("metadata",))
    with pytest.raises(ValueError, match="need 'image'"):
        ABMFSettings(modalities=("caption", "objects"))
    assert ABMFSettings.published().width == 1024

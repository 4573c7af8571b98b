"""The contract that every registered model fulfils; a new model is tested by being registered.

The checks are :mod:`evoked.testing.models`; here they run on every model with every task.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from evoked.errors import DataError, SettingsError
from evoked.models import MODELS, load_model, model_class
from evoked.models.abmf import ABMF, ABMFSettings
from evoked.models.base import Examples, Model
from evoked.testing.examples import random_examples
from evoked.testing.models import Check, ModelCase, checks_of
from evoked.training import TrainingSettings

QUICK = TrainingSettings(max_epochs=2, batch_size=16, device="cpu")

TASK = "emotion_engagement"

# Every model of posts with every task that it learns; of viewings: test_viewings_contract.py.
NAMES = sorted(name for name, model in MODELS.items() if model.rows == "posts")
PAIRS = [(name, task) for name in NAMES for task in MODELS[name].tasks]
CHECKS = checks_of(ABMF)


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModelCase:
    """A model that is fitted once for all checks that don't change it."""
    name, task = request.param
    for package in MODELS[name].needs:
        pytest.importorskip(package)
    return ModelCase.of(MODELS[name], task, folder=tmp_path_factory.mktemp(name))


@pytest.fixture
def examples() -> Examples:
    return examples_of(TASK)


@cache
def examples_of(task: str) -> Examples:
    return random_examples(48, task=task)


def fitted(model: Model, examples: Examples, folder: Path) -> Model:
    model.fit(examples, folder=folder, training=QUICK)
    return model


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(case: ModelCase, check: Check) -> None:
    check(case)


def test_registered_model_is_loaded_by_its_name(case: ModelCase, tmp_path: Path) -> None:
    case.fitted.save(tmp_path)
    assert type(load_model(tmp_path)) is case.kind
    assert MODELS[case.kind.name] is case.kind


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
        {"chained_engagement": True},
        {"category_balance": 1.0},
        {"category_balance": 1.0, "category_sampling": True},
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
    assert set(attention) == {"spatial", "words", "image_to_text", "text_to_image", "joint"}
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


def test_published_abmf_has_nothing_of_ours(examples: Examples, tmp_path: Path) -> None:
    settings = ABMFSettings.published(width=16, heads=2, finetune=False)
    assert ABMFSettings.published().width == 1024
    model = ABMF(settings)
    model.fit(examples, folder=tmp_path, training=QUICK.model_copy(update={"clip": 0.0}))
    parts = list(model.network.modules())
    assert not [part for part in parts if isinstance(part, torch.nn.LayerNorm)]
    assert model.network.matching is None
    assert {part.p for part in parts if isinstance(part, torch.nn.Dropout)} == {0.0}
    assert np.isfinite(model.predict(examples).to_numpy()).all()

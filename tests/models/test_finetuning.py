"""Models with encoders that are trained along, from local checkpoints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import evoked
from evoked.errors import SettingsError
from evoked.features.cache import FeatureCache
from evoked.features.catalog import FeatureSettings
from evoked.features.encoders.registry import image_encoder, text_encoder
from evoked.models.abmf import ABMF, ABMFSettings
from evoked.models.pixelrec import PixelRecRegressor, RegressorSettings
from evoked.posts.dataset import PostDataset
from evoked.runs.posts import Run
from evoked.runs.training import train_posts
from evoked.training import TrainingSettings
from tests.support.checkpoints import TEXT_MODELS, seeded, vit

QUICK = TrainingSettings(max_epochs=2, batch_size=8, device="cpu")
FINETUNED = {"width": 16, "finetune": True}


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> FeatureSettings:
    """Tiny checkpoints of real architectures, as a user's folders."""
    folder = tmp_path_factory.mktemp("encoders")
    seeded(vit).save_pretrained(folder / "vit")
    write_tokenizer, bert = TEXT_MODELS["bert"]
    seeded(bert).save_pretrained(folder / "bert")
    write_tokenizer(folder / "bert")
    return FeatureSettings(
        image_encoder=f"transformers:{folder / 'vit'}",
        text_encoder=f"transformers:{folder / 'bert'}",
        max_tokens=16,
    )


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PostDataset:
    return evoked.synthesise(tmp_path_factory.mktemp("data") / "posts", n=40, seed=5)


def test_encoders_learn_and_are_saved_with_the_run(
    dataset: PostDataset, encoders: FeatureSettings, tmp_path: Path
) -> None:
    cache = FeatureCache(tmp_path / "cache")
    run = train_posts(
        dataset,
        "abmf",
        out=tmp_path / "run",
        model_settings=FINETUNED,
        training=QUICK,
        features=encoders,
        cache=cache,
    )
    assert {"image.pixels", "caption.ids"} <= set(run.model.features)
    weights = load_file(tmp_path / "run" / "weights.safetensors")
    before = image_encoder(encoders.image_encoder).network().state_dict()
    mark = "network.1."  # behind the normalisation of pixels
    trained = {name.split(mark)[1]: weights[name] for name in weights if mark in name}
    assert set(trained) == set(before)
    assert any(not torch.equal(before[name], value) for name, value in trained.items())
    predicted = run.predict(dataset)
    assert np.isfinite(predicted["valence"]).all()
    pd.testing.assert_frame_equal(Run.load(tmp_path / "run", cache).predict(dataset), predicted)
    assert len(run.predict([evoked.Draft(caption="a sunny day"), evoked.Draft()])) == 2


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("visual_cnn", {"image.pixels"}),
        ("text_bert", {"caption.ids"}),
        ("mmbt", {"image.pixels", "caption.ids", "image.objects", "hashtags.vector", "metadata"}),
    ],
)
def test_baselines_train_encoders_as_well(
    name: str, read: set[str], dataset: PostDataset, encoders: FeatureSettings, tmp_path: Path
) -> None:
    cache = FeatureCache(tmp_path / "cache")
    run = train_posts(
        dataset,
        name,
        tmp_path / "run",
        model_settings=FINETUNED,
        training=QUICK,
        features=encoders,
        cache=cache,
    )
    assert set(run.model.features) == read
    predicted = run.predict(dataset)
    pd.testing.assert_frame_equal(Run.load(tmp_path / "run", cache).predict(dataset), predicted)
    drafts = run.predict([evoked.Draft(caption="a sunny day"), evoked.Draft()])
    assert np.isfinite(drafts["valence"]).all()
    # Positions of words are the same however long the captions beside them are.
    alone = run.predict([evoked.Draft(caption="a day")]).loc[0, "valence"]
    longer = [evoked.Draft(caption="a day"), evoked.Draft(caption="a sunny day at the sea")]
    assert run.predict(longer).loc[0, "valence"] == pytest.approx(alone, abs=1e-4)


@pytest.mark.parametrize("kind", TEXT_MODELS)
def test_mmbt_is_the_text_encoder(kind: str, tmp_path: Path, encoders: FeatureSettings) -> None:
    write_tokenizer, network = TEXT_MODELS[kind]
    seeded(network).save_pretrained(tmp_path)
    write_tokenizer(tmp_path)
    settings = encoders.model_copy(update={"text_encoder": f"transformers:{tmp_path}"})
    language = text_encoder(settings.text_encoder, 16)
    trained = language.network().eval()
    ids, mask = language.token_ids(["a sunny day", "sea"])
    positions = torch.arange(ids.shape[1])
    with torch.inference_mode():
        read = trained.read(trained.embed(ids), mask, positions)
        torch.testing.assert_close(read[mask], trained(ids, mask)[mask], atol=1e-5, rtol=1e-4)
        # More positions than the network has: regions of a large picture.
        many = trained.embed(ids[:1, :1]).expand(1, 600, -1)
        far = trained.read(many, torch.ones(1, 600, dtype=torch.bool), torch.arange(600))
    assert torch.isfinite(far).all()


def test_frozen_encoders_read_the_same_folders(
    dataset: PostDataset, encoders: FeatureSettings, tmp_path: Path
) -> None:
    run = train_posts(
        dataset,
        "abmf",
        out=tmp_path / "run",
        model_settings={"width": 16},
        training=QUICK,
        features=encoders,
        cache=FeatureCache(tmp_path / "cache"),
    )
    assert {"image.map", "caption.tokens"} <= set(run.model.features)
    assert np.isfinite(run.predict(dataset)["arousal"]).all()


def test_each_module_has_the_rate_of_table_4(encoders: FeatureSettings) -> None:
    model = ABMF(ABMFSettings(width=16, finetune=True), encoders)
    widths = {"image.objects": 59, "hashtags.vector": 300, "metadata": 9}
    network = model.build({"image.pixels": 3, "caption.ids": 1, **widths})
    groups = network.parameter_groups(3e-5)
    assert [group["lr"] for group in groups] == [5e-5, 3e-5, 2e-5, 1e-4, 5e-4, 3e-5]
    counted = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(counted) == sorted(id(parameter) for parameter in network.parameters())


def test_builtin_encoders_are_networks() -> None:
    settings = FeatureSettings(image_encoder="builtin", text_encoder="builtin", max_tokens=8)
    model = ABMF(ABMFSettings(width=16, finetune=True), settings)
    widths = {"image.objects": 59, "hashtags.vector": 300, "metadata": 9}
    network = model.build({"image.pixels": 3, "caption.ids": 1, **widths})
    learned = sum(parameter.numel() for parameter in network.parameters())
    assert learned > 3e6 + 20e6  # EfficientNet-Lite0 without its classifier, and MiniLM


def test_descriptors_cannot_be_fine_tuned(encoders: FeatureSettings) -> None:
    descriptors = encoders.model_copy(update={"image_encoder": "descriptors"})
    model = ABMF(ABMFSettings(finetune=True), descriptors)
    with pytest.raises(SettingsError, match="no weights to fine-tune"):
        model.build({"image.pixels": 3, "caption.ids": 1})


def test_checkpointed_encoders_keep_less_and_learn_the_same(encoders: FeatureSettings) -> None:
    widths = {"image.objects": 59, "hashtags.vector": 300, "metadata": 9}
    pixels = torch.arange(4 * 32 * 32 * 3).reshape(4, 32, 32, 3).remainder(256).to(torch.uint8)
    kept, gradients, names = [0, 0], [], []

    def count(tensor: torch.Tensor) -> torch.Tensor:
        kept[checkpointing] += tensor.numel() * tensor.element_size()
        return tensor

    for checkpointing in (False, True):
        torch.manual_seed(0)
        settings = ABMFSettings(width=16, finetune=True, activation_checkpointing=checkpointing)
        network = ABMF(settings, encoders).build({"image.pixels": 3, "caption.ids": 1, **widths})
        names.append(list(network.state_dict()))
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            seen = network.inputs["image"].network(pixels)
            ids = torch.arange(40).remainder(8).reshape(4, 10)
            read = network.inputs["caption"].network(ids, torch.ones_like(ids, dtype=torch.bool))
        (seen.square().mean() + read.square().mean()).backward()
        gradients.append([each.grad for each in network.parameters() if each.grad is not None])
    assert kept[True] < kept[False] / 2
    assert names[0] == names[1]
    for usual, again in zip(*gradients, strict=True):
        torch.testing.assert_close(again, usual)


def test_checkpointing_frozen_encoders_is_refused() -> None:
    with pytest.raises(SettingsError, match="activation_checkpointing does nothing while the enc"):
        ABMF(ABMFSettings(activation_checkpointing=True))
    metadata = RegressorSettings(
        modalities=("metadata",), finetune=True, activation_checkpointing=True
    )
    with pytest.raises(SettingsError, match=r"this network has no encoder\. Leave it out"):
        PixelRecRegressor(metadata)

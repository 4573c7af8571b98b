"""Models whose builtin encoders are trained along, which needs nothing from elsewhere."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open

import evoked
from evoked.errors import SettingsError
from evoked.features.cache import FeatureCache
from evoked.features.catalog import FeatureSettings
from evoked.features.encoders.registry import image_encoder, text_encoder
from evoked.features.extract import extract
from evoked.features.pipeline import FeaturePipeline
from evoked.layers.tokens import NormalisedPixels
from evoked.models import MODELS, Examples, Model, build_model, load_model
from evoked.models.abmf import ABMF, ABMFSettings
from evoked.posts.dataset import PostDataset
from evoked.runs.training import train_posts
from evoked.training import TrainingSettings
from evoked.training.batches import EpochBatches, loader

BUILTIN = FeatureSettings(max_tokens=12)
QUICK = TrainingSettings(max_epochs=3, batch_size=4, device="cpu", schedule="constant", warmup=0)
OFFERED = [name for name, kind in MODELS.items() if "finetune" in kind.Settings.model_fields]
RATES = [
    (name, field.removesuffix("_learning_rate"))
    for name in OFFERED
    for field in MODELS[name].Settings.model_fields
    if field.endswith("_learning_rate")
]

LoadExamples = Callable[[Model], Examples]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PostDataset:
    return evoked.synthesise(tmp_path_factory.mktemp("data") / "posts", n=12, seed=5)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    return FeatureCache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def examples_for(dataset: PostDataset, cache: FeatureCache) -> LoadExamples:
    """The dozen posts as a model sees them, the first without its picture and its caption."""

    def read(model: Model) -> Examples:
        posts = dataset.posts.copy()
        posts["title"] = posts["caption"].str[:20]
        posts.loc[0, ["caption", "title"]] = None
        covers = [None, *dataset.cover_paths()[1:]]
        pipeline = FeaturePipeline(model.features, model.feature_settings)
        pipeline.fit(posts, images=covers, cache=cache)
        table, _ = pipeline.transform(posts, covers, cache=cache)
        task = model.task.fit(posts)
        return Examples(posts, table, task.transform(posts))

    return read


def built(name: str, **settings: Any) -> Any:
    return build_model(name, settings, BUILTIN)


def widths_of(model: Model, examples: Examples) -> dict[str, int]:
    return {name: examples.features.widths[name] for name in model.features}


def encoders_in(network: torch.nn.Module) -> dict[str, dict[str, torch.Tensor]]:
    """Copies of the trainable parameters of the encoders within a network, by what they read."""
    found: dict[str, dict[str, torch.Tensor]] = {}
    for name, parameter in network.named_parameters():
        place = name.split(".")
        if "network" in place or "encoders" in place:
            before = place[: place.index("network" if "network" in place else "encoders") + 2]
            part = before[1] if "encoders" in place else before[-3]
            found.setdefault(part, {})[name] = parameter.detach().clone()
    return found


def test_at_first_the_networks_give_what_frozen_encoders_gave(
    dataset: PostDataset, cache: FeatureCache
) -> None:
    names = ["image.map", "image.vector", "image.pixels"]
    names += ["caption.tokens", "caption.vector", "caption.ids"]
    table, _ = extract(dataset, names, BUILTIN, cache=cache)
    whole_posts = [all(table.columns[name].present[row] for name in names) for row in range(12)]
    frozen = table.take(np.flatnonzero(whole_posts))
    assert len(frozen["image.map"]) > 6
    pictures, language = image_encoder("builtin"), text_encoder("builtin", BUILTIN.max_tokens)
    seeing: Any = pictures.network().eval()
    reading: Any = language.network().eval()
    ids, mask = frozen["caption.ids"], frozen["caption.ids.mask"]
    with torch.inference_mode():
        map_, vector = seeing.features(pictures.normalise(frozen["image.pixels"]))
        # Regions and words are packed, off by at most a 254th of the largest beside them.
        off = float(map_.abs().max()) / 250
        torch.testing.assert_close(map_, frozen["image.map"], atol=off, rtol=1e-3)
        torch.testing.assert_close(vector, frozen["image.vector"], atol=1e-3, rtol=1e-3)
        # The first and the last token are special ones, which frozen features leave out.
        words = [
            state[1 : real.sum() - 1] for state, real in zip(reading(ids, mask), mask, strict=True)
        ]
        whole = torch.nn.functional.normalize(reading.vector(ids, mask))
    read, kept = torch.cat(words), frozen["caption.tokens"][frozen["caption.tokens.mask"]]
    torch.testing.assert_close(read, kept, atol=float(read.abs().max()) / 250, rtol=1e-3)
    torch.testing.assert_close(whole, frozen["caption.vector"], atol=1e-3, rtol=1e-3)


def test_at_first_predictions_are_those_over_frozen_encoders(examples_for: LoadExamples) -> None:
    models = built("visual_cnn"), built("visual_cnn", finetune=True)
    seen = [examples_for(model) for model in models]
    frozen, tuned = (
        model.build(widths_of(model, examples)).eval()
        for model, examples in zip(models, seen, strict=True)
    )
    assert not tuned.load_state_dict(frozen.state_dict(), strict=False).unexpected_keys
    with torch.inference_mode():
        predicted = [
            network(examples.features.take(range(12)))
            for network, examples in zip((frozen, tuned), seen, strict=True)
        ]
    torch.testing.assert_close(*predicted, atol=1e-2, rtol=1e-2)  # frozen regions are packed


@pytest.mark.parametrize("name", OFFERED)
def test_a_step_of_every_model_changes_its_encoders(name: str, examples_for: LoadExamples) -> None:
    model = built(name, finetune=True)
    examples = examples_for(model).select(range(6))
    assert examples.targets is not None
    network = model.build(widths_of(model, examples)).train()
    before = encoders_in(network)
    read = {each.split(".")[0] for each in model.features}
    # EIJL's caption is title and caption in one, the feature "text".
    read = {"caption" if part == "text" and name == "eijl" else part for part in read}
    assert set(before) == read & {"image", "caption", "title", "context", "text"}
    batches = EpochBatches(6, 6, seed=0, views=model.views)
    (batch,) = loader(examples.features, examples.targets, batches)
    network.criterion(network(batch), batch["targets"], batch["weights"]).backward()
    torch.optim.Adam(network.parameter_groups(1e-3)).step()
    after = encoders_in(network)
    for part, parameters in before.items():
        changed = [not torch.equal(value, after[part][key]) for key, value in parameters.items()]
        # Layers after a map, and embeddings of words that don't occur, are in no one's way.
        assert np.mean(changed) > 0.6, part


@pytest.mark.parametrize("name", OFFERED)
def test_frozen_encoders_are_no_part_of_the_network(name: str, examples_for: LoadExamples) -> None:
    model = built(name)
    assert not {"image.pixels", "caption.ids", "title.ids", "text.ids"} & set(model.features)
    assert not encoders_in(model.build(widths_of(model, examples_for(model))))


def test_losses_fall_and_a_fine_tuned_model_is_saved_whole(
    examples_for: LoadExamples, tmp_path: Path
) -> None:
    model = built("abmf", finetune=True, width=16, heads=2)
    examples = examples_for(model)
    encoder = image_encoder("builtin")
    picture = examples.features.take([1])["image.pixels"].numpy()
    frozen = encoder.encode(picture).map
    history = model.fit(examples.select(range(8)), folder=tmp_path / "fit", training=QUICK)
    losses = [record["train_loss"] for record in history]
    assert losses[-1] < losses[0]
    np.testing.assert_array_equal(encoder.encode(picture).map, frozen)
    predicted = model.predict(examples)
    assert np.isfinite(predicted.to_numpy()).all()
    model.save(tmp_path / "saved")
    pd.testing.assert_frame_equal(load_model(tmp_path / "saved").predict(examples), predicted)
    # The encoders' own weights would say something else.
    again: Any = load_model(tmp_path / "saved")
    pretrained = encoders_in(again.build(again.widths))
    for weights in pretrained.values():
        again.network.load_state_dict(weights, strict=False)
        assert not again.predict(examples).equals(predicted)


def test_few_pictures_go_through_an_encoder_together(
    examples_for: LoadExamples, tmp_path: Path
) -> None:
    model = built("visual_cnn", finetune=True, width=8)
    examples = examples_for(model)
    training = TrainingSettings(max_epochs=1, batch_size=4, device="cpu")
    sizes: list[int] = []
    handle = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda module, given: (
            sizes.append(len(given[0])) if isinstance(module, NormalisedPixels) else None
        )
    )
    model.fit(
        examples.select([1, 2, 3, 4]), examples.select([1] * 20), folder=tmp_path, training=training
    )
    validated = sizes[1:]
    sizes.clear()
    model.predict(examples.select([1] * 20))
    handle.remove()
    assert sum(validated) == sum(sizes) == 20
    assert max(validated + sizes) <= 16


# Learning rates -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "part"), RATES)
def test_rates_of_frozen_parts_are_refused(name: str, part: str) -> None:
    rate = f"{part}_learning_rate"
    with pytest.raises(SettingsError, match=f"{name}: {rate} does nothing .* finetune=true"):
        built(name, **{rate: 3e-4})


@pytest.mark.parametrize(
    ("name", "settings", "setting"),
    [
        ("text_bert", {}, "image_learning_rate"),
        ("text_bert", {}, "augment"),
        ("visual_cnn", {}, "caption_learning_rate"),
        ("abmf", {"modalities": ["image", "caption"]}, "hashtags_learning_rate"),
        ("early_fusion", {"modalities": ["image"]}, "caption_learning_rate"),
        ("eijl", {"modalities": ["caption"]}, "image_learning_rate"),
        ("pixelrec_classifier", {"modalities": ["image", "metadata"]}, "text_learning_rate"),
    ],
)
def test_rates_of_parts_that_a_network_lacks_are_refused(
    name: str, settings: dict[str, Any], setting: str
) -> None:
    value = False if setting == "augment" else 3e-4
    with pytest.raises(SettingsError, match=f"{setting} does nothing, .* has no"):
        built(name, finetune=True, **settings, **{setting: value})


def test_augmentation_of_frozen_pictures_is_refused() -> None:
    with pytest.raises(SettingsError, match="augment does nothing while the encoders are frozen"):
        ABMF(ABMFSettings(augment=False))


@pytest.fixture(scope="module")
def networks(examples_for: LoadExamples) -> Callable[[str], tuple[Model, Any]]:
    """Fine-tuned models of every kind, each built once."""
    made: dict[str, tuple[Model, Any]] = {}

    def network(name: str) -> tuple[Model, Any]:
        if name not in made:
            model = built(name, finetune=True)
            made[name] = model, model.build(widths_of(model, examples_for(model)))
        return made[name]

    return network


@pytest.mark.parametrize(
    ("name", "part"),
    [each for each in RATES if each not in {("visual_cnn", "caption"), ("text_bert", "image")}],
)
def test_each_rate_is_that_of_its_part_alone(
    name: str, part: str, networks: Callable[[str], tuple[Model, Any]]
) -> None:
    _, network = networks(name)
    begin = {
        "objects": ("inputs.image.project_objects.",),
        "hashtags": ("inputs.hashtags.",),
        "metadata": ("inputs.metadata.",),
        "text": tuple(f"streams.{text}.network." for text in ("title", "context", "text")),
    }.get(part, (f"inputs.{part}.network.", f"streams.{part}.network.", f"encoders.{part}."))
    usual = network.settings
    network.settings = usual.model_copy(update={f"{part}_learning_rate": 0.123})
    groups = network.parameter_groups(1e-3)
    network.settings = usual
    changed = {id(each) for group in groups if group["lr"] == 0.123 for each in group["params"]}
    expected = {id(each) for key, each in network.named_parameters() if key.startswith(begin)}
    assert expected
    assert changed == expected


def test_saved_models_keep_rates_that_nobody_chose_now(
    examples_for: LoadExamples, tmp_path: Path
) -> None:
    model = built("visual_cnn")
    training = TrainingSettings(max_epochs=1, batch_size=4, device="cpu")
    model.fit(examples_for(model), folder=tmp_path / "fit", training=training)
    model.save(tmp_path)
    assert load_model(tmp_path).settings == model.settings


# Augmentation -------------------------------------------------------------------------------------


def pixels_of(model: Any, examples: Examples, epoch: int, seed: int = 0) -> dict[int, Any]:
    """What each post's picture looks like in an epoch."""
    batches = EpochBatches(len(examples), 4, seed, views=model.views)
    batches.set_epoch(epoch)
    rows = [row for chosen, _ in batches for row in chosen.tolist()]
    seen = [batch["image.pixels"].numpy() for batch in loader(examples.features, None, batches)]
    return dict(zip(rows, np.concatenate(seen), strict=True))


def test_every_epoch_augments_pictures_anew(examples_for: LoadExamples) -> None:
    model, still = (
        built("visual_cnn", finetune=True),
        built("visual_cnn", finetune=True, augment=False),
    )
    examples = examples_for(model)
    first, second = pixels_of(model, examples, 0), pixels_of(model, examples, 1)
    others = pixels_of(model, examples, 0, seed=1)
    as_it_is = pixels_of(still, examples, 0)
    assert not as_it_is[0].any()  # the post without a picture, which stays without
    assert not first[0].any()
    again = pixels_of(model, examples, 0)
    for row in range(1, 12):
        np.testing.assert_array_equal(again[row], first[row])
        original = examples.features.take([row])["image.pixels"][0].numpy()
        np.testing.assert_array_equal(as_it_is[row], original)
        versions = [first[row], second[row], others[row], original]
        assert len({version.tobytes() for version in versions}) == 4


def test_frozen_models_choose_among_the_views_of_the_features() -> None:
    for views in (1, 3):
        model: Any = build_model("abmf", {}, FeatureSettings(views=views))
        assert model.views == views


class _StoppedError(Exception):
    pass


def test_a_resumed_run_sees_the_pictures_of_an_unbroken_one(
    examples_for: LoadExamples, tmp_path: Path
) -> None:
    examples = examples_for(built("visual_cnn", finetune=True)).select(range(1, 7))

    def fitted(folder: str, progress: Callable[[dict[str, float]], None] | None = None) -> Any:
        model = built("visual_cnn", finetune=True, width=8)
        model.fit(examples, folder=tmp_path / folder, training=QUICK, progress=progress)
        return model.network.state_dict()

    def stop_after_one(record: dict[str, float]) -> None:
        raise _StoppedError

    unbroken = fitted("unbroken")
    with pytest.raises(_StoppedError):
        fitted("broken", stop_after_one)
    resumed = fitted("broken")
    for name, value in unbroken.items():
        torch.testing.assert_close(resumed[name], value, msg=name)


@pytest.mark.slow
def test_a_fine_tuned_run_predicts_in_another_process(
    dataset: PostDataset, cache: FeatureCache, tmp_path: Path
) -> None:
    said: list[str] = []
    run = train_posts(
        dataset,
        "abmf",
        tmp_path / "run",
        model_settings={"finetune": True, "width": 16},
        features=BUILTIN,
        training=QUICK,
        cache=cache,
        callbacks=evoked.Callbacks(note=said.append),
    )
    megabytes = round((tmp_path / "run" / "weights.safetensors").stat().st_size / 1e6)
    assert any(f"weights take {megabytes} MB" in note for note in said)
    with safe_open(tmp_path / "run" / "weights.safetensors", "np") as weights:
        names = set(weights.keys())
    assert any(name.startswith("inputs.image.network.") for name in names)
    assert any(name.startswith("inputs.caption.network.") for name in names)
    program = (
        "import sys, evoked; from pathlib import Path; "
        "run = evoked.load(sys.argv[1]); "
        "run.predict(evoked.open(sys.argv[2])).to_parquet(sys.argv[3])"
    )
    out = tmp_path / "predicted.parquet"
    arguments = [sys.executable, "-c", program, str(tmp_path / "run"), str(dataset.folder)]
    subprocess.run([*arguments, str(out)], check=True)
    predicted = run.predict(dataset)
    elsewhere = pd.read_parquet(out)[predicted.columns]
    pd.testing.assert_frame_equal(elsewhere, predicted, rtol=1e-4, check_dtype=False)

"""Encoders, on small checkpoints of the real architectures that the tests make themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from evoked.errors import SettingsError
from evoked.features.encoders import _inference as inference
from evoked.features.encoders import image_encoder, object_encoder, pretrained_image, text_encoder
from evoked.features.encoders._onnx import exported
from tests.support.checkpoints import (
    SIZE,
    TEXT_MODELS,
    TINY,
    byte_pairs,
    clip,
    clip_tower,
    clip_with_texts,
    seeded,
    siglip,
    siglip_tower,
    vit,
    vit_classifier,
    word_pieces,
)

timm = pytest.importorskip("timm")
torchvision = pytest.importorskip("torchvision")
import transformers  # noqa: E402

# bfloat16 has 8 bits of precision.
TOLERANCE = (
    {"rtol": 5e-2, "atol": 5e-2} if inference.bfloat16_is_fast() else {"rtol": 1e-3, "atol": 1e-4}
)


def pictures(n: int, size: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


# timm ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def timm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("timm-resnet")
    model = seeded(lambda: timm.create_model("resnet18", pretrained=False, num_classes=3))
    save_file(model.state_dict(), folder / "model.safetensors")
    settings = {
        "architecture": "resnet18",
        "num_classes": 3,
        "pretrained_cfg": {
            "input_size": [3, 64, 64],
            "mean": [0.5, 0.4, 0.3],
            "std": [0.2, 0.3, 0.4],
            "num_classes": 3,
            "classifier": "fc",
            "first_conv": "conv1",
            "pool_size": [2, 2],
        },
    }
    (folder / "config.json").write_text(json.dumps(settings))
    return folder


def test_timm_folder_gives_what_timm_gives(timm_folder: Path) -> None:
    encoder = image_encoder(f"timm:{timm_folder}")
    assert (encoder.image_size, encoder.grid) == (64, (2, 2))
    images = pictures(9, 64)  # more than one batch
    features = encoder.encode(images)

    reference = seeded(lambda: timm.create_model("resnet18", pretrained=False, num_classes=3))
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    mean, std = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.3, 0.4])
    with torch.no_grad():
        maps = reference.forward_features((pixels - mean[:, None, None]) / std[:, None, None])
    expected = maps.flatten(2).transpose(1, 2).numpy()
    np.testing.assert_allclose(features.map, expected, **TOLERANCE)
    np.testing.assert_allclose(features.vector, expected.mean(1), **TOLERANCE)
    assert features.map.dtype == features.vector.dtype == np.float32
    assert features.map.shape[2] == encoder.map_channels == encoder.vector_size == 512


def test_timm_image_size_and_random_weights(caplog: pytest.LogCaptureFixture) -> None:
    encoder = image_encoder("timm:resnet18?pretrained=false&image_size=96")
    assert "random weights" in caplog.text
    assert (encoder.image_size, encoder.grid) == (96, (3, 3))
    assert "random" in encoder.fingerprint
    again = image_encoder("timm:resnet18?pretrained=false&image_size=96")
    images = pictures(2, 96)
    np.testing.assert_array_equal(encoder.encode(images).map, again.encode(images).map)


def test_no_pictures(timm_folder: Path) -> None:
    features = image_encoder(f"timm:{timm_folder}").encode(pictures(0, 64))
    assert features.map.shape == (0, 4, 512)
    assert features.vector.shape == (0, 512)


def test_paper_architecture() -> None:
    encoder = image_encoder("timm:resnext101_32x8d?pretrained=false&image_size=64")
    assert encoder.map_channels == 2048


def test_fine_tuning_starts_from_the_same_weights(timm_folder: Path) -> None:
    encoder = image_encoder(f"timm:{timm_folder}")
    network = encoder.network()
    images = pictures(2, 64)
    # In training as well: batch normalisations keep their statistics.
    map_ = network(encoder.normalise(torch.from_numpy(images)))
    np.testing.assert_allclose(map_.detach().numpy(), encoder.encode(images).map, **TOLERANCE)
    map_.sum().backward()
    assert all(p.grad is not None for n, p in network.named_parameters() if "fc" not in n)
    with torch.no_grad():
        next(network.parameters()).zero_()
    np.testing.assert_allclose(map_.detach().numpy(), encoder.encode(images).map, **TOLERANCE)


# torchvision --------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_torchvision_file(tmp_path: Path, suffix: str) -> None:
    model = seeded(torchvision.models.resnet18)
    file = tmp_path / f"resnet18-5c106cde{suffix}"
    save_file(model.state_dict(), file) if suffix == ".safetensors" else torch.save(
        model.state_dict(), file
    )
    encoder = image_encoder(f"torchvision:{file}?image_size=64")
    images = pictures(3, 64)
    features = encoder.encode(images)
    model.fc = torch.nn.Identity()
    with torch.no_grad():
        expected = model(encoder.normalise(torch.from_numpy(images))).numpy()
    np.testing.assert_allclose(features.vector, expected, **TOLERANCE)
    assert features.map.shape == (3, 4, 512)


def test_torchvision_file_with_code_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "resnet18-00000000.pth"
    torch.save(seeded(torchvision.models.resnet18), file)  # a whole model: pickled classes
    with pytest.raises(SettingsError, match="can't be loaded"):
        image_encoder(f"torchvision:{file}")


def test_torchvision_file_of_unknown_architecture(tmp_path: Path) -> None:
    file = tmp_path / "mymodel.safetensors"
    save_file({"weight": torch.zeros(1)}, file)
    with pytest.raises(SettingsError, match="Rename it"):
        image_encoder(f"torchvision:{file}")


# transformers, images -----------------------------------------------------------------------------


def vision_output(
    model: torch.nn.Module, pixels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Patches and pooled vector, by the library's own calls."""
    if isinstance(model, (transformers.CLIPModel, transformers.SiglipModel)):
        output = model.vision_model(pixel_values=pixels)
    elif isinstance(model, transformers.ViTForImageClassification):
        output = model.vit(pixel_values=pixels)
    else:
        output = model(pixel_values=pixels)
    patches = output.last_hidden_state[:, -16:]
    pooled = getattr(output, "pooler_output", None)
    return patches, output.last_hidden_state[:, 0] if pooled is None else pooled


@pytest.mark.parametrize(
    "build", [vit, vit_classifier, clip_tower, clip, siglip_tower, siglip], ids=lambda b: b.__name__
)
def test_vision_transformers(tmp_path: Path, build: Callable[[], torch.nn.Module]) -> None:
    model = seeded(build)
    model.save_pretrained(tmp_path)
    settings = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    encoder = image_encoder(f"transformers:{tmp_path}")
    assert (encoder.image_size, encoder.grid, encoder.map_channels) == (SIZE, (4, 4), 32)
    images = pictures(3, SIZE)
    features = encoder.encode(images)

    with torch.no_grad():
        patches, pooled = vision_output(
            model, (torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
        )
    np.testing.assert_allclose(features.map, patches.numpy(), **TOLERANCE)
    np.testing.assert_allclose(features.vector, pooled.numpy(), **TOLERANCE)


def test_a_text_model_is_no_image_encoder(tmp_path: Path) -> None:
    transformers.BertModel(transformers.BertConfig(**TINY, vocab_size=20)).save_pretrained(tmp_path)
    with pytest.raises(SettingsError, match="no square grid"):
        image_encoder(f"transformers:{tmp_path}")


def test_incomplete_weights(tmp_path: Path) -> None:
    model = vit()
    model.save_pretrained(tmp_path)
    state = {
        k: v for k, v in model.state_dict().items() if "layer.1" not in k and "layers.1" not in k
    }
    assert len(state) < len(model.state_dict())
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(SettingsError, match="lacks"):
        image_encoder(f"transformers:{tmp_path}")


# texts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TEXT_MODELS)
def test_text_networks(tmp_path: Path, kind: str) -> None:
    write_tokenizer, build = TEXT_MODELS[kind]
    model = seeded(build)
    model.save_pretrained(tmp_path)
    write_tokenizer(tmp_path)
    encoder = text_encoder(f"transformers:{tmp_path}", max_tokens=16)
    texts = ["a sunny day", "sea", "", "a day at the sea " * 20]
    features = encoder.encode(texts)
    offsets = encoder.tokenize(texts)
    assert [len(t) for t in features.tokens] == [len(o) for o in offsets]
    assert len(features.tokens[2]) == 0
    assert len(features.tokens[3]) == 14
    assert texts[0][slice(*offsets[0][-1])].strip() in ("day", "y", "ay")

    # One text at a time, unpadded, by the library's own calls.
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for text, tokens in zip(texts[:2], features.tokens, strict=False):
        batch = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            states = model(input_ids=batch["input_ids"]).last_hidden_state[0, 1:-1]
        np.testing.assert_allclose(tokens, states.numpy(), **TOLERANCE)


@pytest.mark.parametrize("whole", [True, False], ids=["clip", "text tower"])
def test_text_tower_of_clip(tmp_path: Path, whole: bool, capfd: pytest.CaptureFixture[str]) -> None:
    model = seeded(clip_with_texts)
    tower = transformers.CLIPTextModel(model.config.text_config)
    # Up to transformers 5.0 the tower that can be saved holds the one that is part of CLIP.
    getattr(tower, "text_model", tower).load_state_dict(model.text_model.state_dict())
    (model if whole else tower).save_pretrained(tmp_path)
    byte_pairs(tmp_path)
    capfd.readouterr()
    encoder = text_encoder(f"transformers:{tmp_path}", max_tokens=16)
    assert not capfd.readouterr().err
    texts = ["a sunny day", "", "a day at the sea " * 20]
    vectors = encoder.encode(texts).vector

    # One text at a time, unpadded, by the library's own calls.
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    network = encoder.network().eval()
    for text, vector in zip(texts, vectors, strict=True):
        batch = tokenizer(text, return_tensors="pt", truncation=True, max_length=16)
        with torch.no_grad():
            states = model.text_model(input_ids=batch["input_ids"]).last_hidden_state
            last = states[0, -1] / states[0, -1].norm()
            trained = network.vector(*encoder.token_ids([text]))[0]
        expected = last.numpy() if text else np.zeros(32)
        np.testing.assert_allclose(vector, expected, **TOLERANCE)
        np.testing.assert_allclose(trained.numpy(), states[0, -1].numpy(), **TOLERANCE)


def test_incomplete_text_network(tmp_path: Path) -> None:
    write_tokenizer, build = TEXT_MODELS["roberta"]
    model = build()
    model.save_pretrained(tmp_path)
    write_tokenizer(tmp_path)
    state = {name: value for name, value in model.state_dict().items() if "layer.1" not in name}
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(SettingsError, match="lacks"):
        text_encoder(f"transformers:{tmp_path}")


def test_multilingual_words_are_known(tmp_path: Path) -> None:
    transformers.BertModel(transformers.BertConfig(**TINY, vocab_size=20)).save_pretrained(tmp_path)
    word_pieces(tmp_path)
    encoder = text_encoder(f"transformers:{tmp_path}")
    text = "день 海日 sea"
    pieces = [text[start:end] for start, end in encoder.tokenize([text])[0]]
    assert pieces == ["день", "海", "日", "sea"]
    assert np.isfinite(encoder.encode([text]).tokens[0]).all()


# objects ------------------------------------------------------------------------------------------


def test_salient_regions() -> None:
    encoder = object_encoder("salient")
    images = np.full((2, encoder.image_size, encoder.image_size, 3), 128, np.uint8)
    images[0, :32, -32:] = (255, 0, 0)  # a red patch in the upper right cell
    features = encoder.encode(images)
    assert [tokens.shape for tokens in features.tokens] == [(5, encoder.channels)] * 2
    left, top, right, bottom = features.boxes[0][0]
    assert (left, top, right, bottom) == pytest.approx((6 / 7, 0, 1, 1 / 7), abs=0.16)
    np.testing.assert_array_equal(features.tokens[0][:, -4:], features.boxes[0])


def test_faster_rcnn(tmp_path: Path) -> None:
    build = torchvision.models.detection.fasterrcnn_mobilenet_v3_large_320_fpn
    model = seeded(lambda: build(weights=None, weights_backbone=None))
    with torch.no_grad():  # a detector that is sure of everything
        model.roi_heads.box_predictor.cls_score.bias[5] += 10
    file = tmp_path / "fasterrcnn_mobilenet_v3_large_320_fpn-tiny.safetensors"
    save_file(model.state_dict(), file)
    encoder = object_encoder(f"torchvision:{file}?image_size=96")
    features = encoder.encode(pictures(5, 96))
    assert encoder.channels == 1024
    assert any(len(tokens) for tokens in features.tokens)
    for tokens, boxes in zip(features.tokens, features.boxes, strict=True):
        assert tokens.shape == (len(boxes), 1024)
        assert len(tokens) <= 16
        assert (boxes >= 0).all()
        assert (boxes <= 1 + 1e-6).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()


def test_faster_rcnn_boxes_are_its_own_detections() -> None:
    encoder = object_encoder(
        "torchvision:fasterrcnn_mobilenet_v3_large_320_fpn?pretrained=false&image_size=64"
    )
    images = pictures(2, 64)
    pixels = list(torch.from_numpy(images).permute(0, 3, 1, 2) / 255)
    model = encoder._model  # type: ignore[attr-defined]
    with inference.fast_inference():
        expected = model(pixels)
    for boxes, found in zip(encoder.encode(images).boxes, expected, strict=True):
        np.testing.assert_allclose(boxes * 64, found["boxes"][:16].numpy(), rtol=1e-4, atol=1e-3)


def test_a_classifier_finds_no_objects() -> None:
    with pytest.raises(SettingsError, match="finds no objects"):
        object_encoder("torchvision:resnet18?pretrained=false")


# names, folders, fingerprints ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (image_encoder, "nonsense"),
        (image_encoder, "timm:"),
        (image_encoder, "timm:resnet18?colour=red"),
        (image_encoder, "timm:resnet18?pretrained=maybe"),
        (image_encoder, "timm:resnet18?pretrained=false&image_size=7"),
        (image_encoder, "transformers:folder?image_size=64"),
        (image_encoder, "timm:no_such_architecture?pretrained=false"),
        (image_encoder, "torchvision:no_such_architecture"),
        (text_encoder, "timm:resnet18"),
        (object_encoder, "timm:resnet18"),
    ],
)
def test_unknown_names(make: Callable[[str], object], name: str) -> None:
    with pytest.raises(SettingsError):
        make(name)


@pytest.mark.parametrize(
    "name",
    [
        "timm:resnet26",
        "timm:someone/no-such-model",
        "torchvision:resnet34",
        "transformers:someone/no-such-model",
        "transformers:/no/such/folder",
    ],
)
def test_offline_hub_models_say_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    with pytest.raises(SettingsError, match="builtin") as caught:
        image_encoder(name)
    assert len(str(caught.value).splitlines()) <= 2


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    model = vit()
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    for make in (image_encoder, text_encoder):
        with pytest.raises(SettingsError, match="Convert it"):
            make(f"transformers:{tmp_path}")


def test_code_in_a_folder_is_not_run(tmp_path: Path) -> None:
    vit().save_pretrained(tmp_path)
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    settings = json.loads((tmp_path / "config.json").read_text())
    settings |= {
        "model_type": "evil",
        "auto_map": {"AutoConfig": "evil.Configuration", "AutoModel": "evil.Model"},
    }
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(SettingsError):
        image_encoder(f"transformers:{tmp_path}")
    assert not (tmp_path / "ran").exists()


def test_changed_weights_change_the_fingerprint(timm_folder: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(timm_folder, folder)
    before = image_encoder(f"timm:{folder}").fingerprint
    # The same weights elsewhere are the same encoder.
    assert before == image_encoder(f"timm:{timm_folder}").fingerprint
    from safetensors.torch import load_file

    state = load_file(folder / "model.safetensors")
    state["layer4.1.bn2.bias"] = state["layer4.1.bn2.bias"] + 1
    save_file(state, folder / "model.safetensors")
    assert image_encoder(f"timm:{folder}").fingerprint != before


def test_builtin_names() -> None:
    assert image_encoder("builtin").grid == (7, 7)
    assert text_encoder("builtin", 32).max_tokens == 32


# speed --------------------------------------------------------------------------------------------


def test_folding_keeps_the_output() -> None:
    network = seeded(lambda: timm.create_model("resnet26t", pretrained=False))
    pixels = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        before = network(pixels)
        inference.fold_batch_norms(network)
        after = network(pixels)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())
    torch.testing.assert_close(before, after, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ["timm", "torchvision"])
def test_encoders_are_folded(kind: str) -> None:
    encoder = image_encoder(f"{kind}:resnet18?pretrained=false&image_size=64")
    modules = encoder._network.modules()  # type: ignore[attr-defined]
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in modules)


@pytest.mark.skipif(
    inference.bfloat16_is_fast(), reason="PyTorch is the faster one where bfloat16 is fast"
)
def test_long_extractions_go_on_in_onnx_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    monkeypatch.setattr(pretrained_image, "PICTURES_WORTH_AN_EXPORT", 7)
    encoder = pretrained_image.NetworkImageEncoder(
        pretrained_image.timm_backbone("resnet10t", pretrained=False, image_size=64)
    )
    pictures = np.random.default_rng(0).integers(0, 256, (9, 64, 64, 3), dtype=np.uint8)
    before = encoder.encode(pictures[:5])
    torch_features = encoder._features
    after = encoder.encode(pictures)
    assert encoder._features != torch_features
    np.testing.assert_allclose(after.map[:5], before.map, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(after.vector[:5], before.vector, rtol=1e-3, atol=1e-4)
    assert after.vector.shape == (9, encoder.vector_size)


def test_a_network_that_cannot_be_exported_stays_in_pytorch() -> None:
    class Choosy(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.ModuleList(torch.nn.Conv2d(3, 3, 1) for _ in range(8))

        def features(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            vector = pixels.mean((2, 3))
            return pixels, vector if float(vector.sum()) > 0 else -vector

    assert exported(Choosy(), torch.zeros(1, 3, 8, 8)) is None


def test_a_batch_norm_used_twice_is_not_folded() -> None:
    class Shared(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 3, 1)
            self.bn = torch.nn.BatchNorm2d(3)

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return self.bn(self.conv(self.bn(self.conv(pixels))))

    network = seeded(Shared)
    pixels = torch.rand(2, 3, 8, 8)
    with torch.no_grad():
        before = network(pixels)
        inference.fold_batch_norms(network)
        torch.testing.assert_close(network(pixels), before)
    assert isinstance(network.bn, torch.nn.BatchNorm2d)

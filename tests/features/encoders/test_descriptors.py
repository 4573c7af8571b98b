"""The builtin image encoder and its faces: named, finite, right about simple pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from evoked.errors import DataError
from evoked.features.encoders import descriptors
from evoked.features.encoders.base import ImageFeatures
from evoked.features.encoders.descriptors import COLOUR_NAMES, IMAGE_SIZE, DescriptorEncoder
from evoked.features.encoders.faces import FACIAL_AFFECT_NAMES, BuiltinFaces, FaceDetector
from evoked.posts.images import load_image

CELL = IMAGE_SIZE // 7


@pytest.fixture(scope="module")
def encoder() -> DescriptorEncoder:
    return DescriptorEncoder(faces=False)


@pytest.fixture(scope="module")
def photographs(shared_data: Path) -> NDArray[np.uint8]:
    names = ("Birthday 1", "Lake 1", "Fire 5", "Acorns 1", "Alcohol 3", "Angry face 1")
    folder = shared_data / "oasis" / "images"
    return np.stack([load_image(folder / f"{n.replace(' ', '_')}.jpg", IMAGE_SIZE) for n in names])


def plain(colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    return np.full((IMAGE_SIZE, IMAGE_SIZE, 3), colour, np.uint8)


def noise(n: int, seed: int = 0) -> NDArray[np.uint8]:
    shape = (n, IMAGE_SIZE, IMAGE_SIZE, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def region(encoder: DescriptorEncoder, features: ImageFeatures, name: str) -> NDArray[np.float32]:
    """One channel of the map, (n, 7, 7)."""
    return features.map[..., encoder.map_names.index(name)].reshape(-1, 7, 7)


def whole(encoder: DescriptorEncoder, features: ImageFeatures, name: str) -> NDArray[np.float32]:
    return features.vector[:, encoder.vector_names.index(name)]


def test_shapes_and_names(encoder: DescriptorEncoder) -> None:
    features = encoder.encode(noise(3))
    assert features.map.shape == (3, 49, encoder.map_channels)
    assert features.vector.shape == (3, encoder.vector_size)
    assert features.map.dtype == features.vector.dtype == np.float32
    assert len(set(encoder.map_names)) == encoder.map_channels
    assert len(set(encoder.vector_names)) == encoder.vector_size


def test_an_empty_batch(encoder: DescriptorEncoder) -> None:
    assert encoder.encode(noise(0)).map.shape == (0, 49, encoder.map_channels)


def test_other_shapes_and_types_are_refused(encoder: DescriptorEncoder) -> None:
    with pytest.raises(DataError, match="expected uint8"):
        encoder.encode(np.zeros((1, 100, 100, 3), np.uint8))
    with pytest.raises(DataError, match="float32"):
        encoder.encode(np.zeros((1, IMAGE_SIZE, IMAGE_SIZE, 3), np.float32))  # type: ignore[arg-type]


def test_the_fingerprint_differs_between_settings(encoder: DescriptorEncoder) -> None:
    assert encoder.fingerprint.startswith(f"builtin-image:{descriptors.VERSION}:")
    assert encoder.fingerprint != DescriptorEncoder(faces=True).fingerprint


@settings(max_examples=15, deadline=None)
@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_plain_pictures_are_finite_and_alike_everywhere(colour: tuple[int, int, int]) -> None:
    encoder = DescriptorEncoder(faces=False)
    features = encoder.encode(plain(colour)[None])
    assert np.isfinite(features.map).all()
    assert np.isfinite(features.vector).all()
    place = [encoder.map_names.index(n) for n in ("row", "column")]
    content = np.delete(features.map[0], np.s_[min(place) :], axis=1)
    np.testing.assert_allclose(content, content[:1].repeat(49, 0), atol=1e-5)
    for name in ("edge_strength", "saliency_mean", "contrast_to_whole", "lightness_spread"):
        np.testing.assert_allclose(region(encoder, features, name), 0, atol=2e-3)


def test_a_picture_does_not_depend_on_its_batch(encoder: DescriptorEncoder) -> None:
    images = noise(descriptors._CHUNK + 3)
    together, alone = encoder.encode(images), encoder.encode(images[-1:])
    np.testing.assert_allclose(together.map[-1:], alone.map, atol=1e-5)
    np.testing.assert_allclose(together.vector[-1:], alone.vector, atol=1e-5)


def test_regions_are_where_they_are_drawn(encoder: DescriptorEncoder) -> None:
    image = plain((255, 255, 255))
    image[1 * CELL : 2 * CELL, 4 * CELL : 5 * CELL] = (220, 20, 30)
    features = encoder.encode(image[None])
    expected = np.zeros((7, 7))
    expected[1, 4] = 1
    np.testing.assert_allclose(region(encoder, features, "red_share")[0], expected)
    for name in ("contrast_to_whole", "contrast_to_neighbours", "warmth"):
        assert np.unravel_index(region(encoder, features, name)[0].argmax(), (7, 7)) == (1, 4)
    assert region(encoder, features, "row")[0, 1, 4] == pytest.approx(-4 / 7)
    assert region(encoder, features, "column")[0, 1, 4] == pytest.approx(2 / 7)


def test_a_lone_object_is_salient(encoder: DescriptorEncoder) -> None:
    image = plain((120, 120, 120))
    cv2.circle(image, (176, 48), 14, (250, 240, 90), -1)
    features = encoder.encode(image[None])
    peak = region(encoder, features, "saliency_peak")[0]
    assert np.unravel_index(peak.argmax(), (7, 7)) == (1, 5)
    assert whole(encoder, features, "salient_column")[0] > 0.3
    assert whole(encoder, features, "salient_row")[0] < -0.3


@pytest.mark.parametrize("name", COLOUR_NAMES)
def test_colours_get_their_names(encoder: DescriptorEncoder, name: str) -> None:
    for colour in COLOUR_NAMES[name]:
        features = encoder.encode(plain(colour)[None])
        np.testing.assert_allclose(region(encoder, features, f"{name}_share"), 1)


def test_warm_and_cool(encoder: DescriptorEncoder) -> None:
    images = np.stack([plain((250, 140, 40)), plain((128, 128, 128)), plain((40, 90, 230))])
    warm, grey, cool = region(encoder, encoder.encode(images), "warmth").mean(axis=(1, 2))
    assert warm > 0.2
    assert grey == pytest.approx(0, abs=0.02)
    assert cool < -0.2


@pytest.mark.parametrize(("degrees", "bin"), [(0, 0), (45, 45), (90, 90), (135, 135)])
def test_edge_directions(encoder: DescriptorEncoder, degrees: int, bin: int) -> None:
    down, across = np.mgrid[:IMAGE_SIZE, :IMAGE_SIZE]
    angle = np.radians(degrees)
    wave = np.sin((across * np.cos(angle) + down * np.sin(angle)) / 3) * 100 + 128
    features = encoder.encode(wave.astype(np.uint8)[None, ..., None].repeat(3, -1))
    energies = {n: region(encoder, features, n).mean() for n in encoder.map_names if "across" in n}
    assert max(energies, key=lambda name: energies[name]) == f"edges_across_{bin}"


def test_local_binary_patterns_equal_their_definition() -> None:
    grey = np.random.default_rng(1).integers(0, 6, (1, 9, 9), dtype=np.uint8)
    ring = [(-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)]
    patterns = descriptors._local_binary_patterns(grey)
    for row in range(1, 8):
        for column in range(1, 8):
            bits = [grey[0, row + r, column + c] > grey[0, row, column] for r, c in ring]
            changes = sum(bits[i] != bits[i - 1] for i in range(8))
            assert patterns[0, row, column] == (sum(bits) if changes <= 2 else 9)


def test_cell_means_equal_numpy() -> None:
    planes = np.random.default_rng(2).random((3, IMAGE_SIZE, IMAGE_SIZE, 2)).astype(np.float32)
    expected = planes.reshape(3, 7, CELL, 7, CELL, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(descriptors._cells(planes), expected, rtol=1e-4)
    np.testing.assert_allclose(descriptors._cells(planes[..., 0]), expected[..., 0], rtol=1e-4)


def test_cell_histograms_equal_numpy() -> None:
    random = np.random.default_rng(3)
    bins = random.integers(0, 5, (2, IMAGE_SIZE, IMAGE_SIZE))
    weights = random.random(bins.shape).astype(np.float32)
    shares = descriptors._cell_shares(bins, 5, weights)
    cell = (slice(2 * CELL, 3 * CELL), slice(6 * CELL, 7 * CELL))
    expected = np.bincount(bins[1][cell].ravel(), weights[1][cell].ravel(), 5) / CELL**2
    np.testing.assert_allclose(shares[1, 2, 6], expected, rtol=1e-4)


def test_mirroring_mirrors_the_map(encoder: DescriptorEncoder) -> None:
    image = noise(1, seed=5)
    image[:, :, : IMAGE_SIZE // 2] //= 3
    there, back = encoder.encode(image), encoder.encode(image[:, :, ::-1])
    for name in ("lightness_mean", "saturation_mean", "detail_fine", "edges_across_0"):
        mirrored = region(encoder, back, name)[:, :, ::-1]
        np.testing.assert_allclose(region(encoder, there, name), mirrored, atol=0.01)


def test_symmetry(encoder: DescriptorEncoder) -> None:
    image = noise(1, seed=6)
    mirrored = np.concatenate([image[:, :, :112], image[:, :, :112][:, :, ::-1]], axis=2)
    features = encoder.encode(np.concatenate([image, mirrored]))
    symmetry = whole(encoder, features, "symmetry_left_right")
    assert symmetry[1] == pytest.approx(1, abs=1e-3)
    assert symmetry[0] < 0.99


def test_photographs_are_finite_and_differ(
    encoder: DescriptorEncoder, photographs: NDArray[np.uint8]
) -> None:
    features = encoder.encode(photographs)
    assert np.isfinite(features.map).all()
    assert np.isfinite(features.vector).all()
    assert np.abs(features.map).max() < 10
    assert np.abs(features.vector).max() < 10
    assert len(np.unique(features.vector, axis=0)) == len(photographs)


def test_faces_in_photographs(shared_data: Path) -> None:
    folder = shared_data / "oasis" / "images"
    faces = [load_image(folder / f"Neutral_face_{i}.jpg", IMAGE_SIZE) for i in range(1, 6)]
    lakes = [load_image(folder / f"Lake_{i}.jpg", IMAGE_SIZE) for i in range(1, 6)]
    affect = BuiltinFaces().encode(np.stack(faces + lakes))
    assert affect.shape == (10, len(FACIAL_AFFECT_NAMES))
    assert affect.dtype == np.float32
    present = affect[:, FACIAL_AFFECT_NAMES.index("face_present")]
    assert present[:5].sum() >= 1
    assert present[5:].sum() == 0
    assert (affect[5:] == 0).all()


def test_face_boxes_are_shares_and_cover_their_regions(shared_data: Path) -> None:
    file = shared_data / "oasis" / "images" / "Neutral_face_3.jpg"
    image = load_image(file, IMAGE_SIZE)[None]
    boxes = FaceDetector().detect(image)[0]
    assert boxes.shape[1] == 4
    assert (boxes >= 0).all()
    assert (boxes[:, :2] + boxes[:, 2:] <= 1.001).all()
    encoder = DescriptorEncoder()
    cover = region(encoder, encoder.encode(image), "face")[0]
    assert cover.sum() / 49 == pytest.approx((boxes[:, 2] * boxes[:, 3]).sum(), rel=0.02)


def test_face_cover_of_a_known_box() -> None:
    box = np.array([[1 / 7, 2 / 7, 2 / 7, 1.5 / 7]], np.float32)
    cover = descriptors._face_cover([box, np.zeros((0, 4), np.float32)])
    expected = np.zeros((7, 7))
    expected[2, 1:3] = 1
    expected[3, 1:3] = 0.5
    np.testing.assert_allclose(cover[0], expected, atol=1e-5)
    assert (cover[1] == 0).all()


def test_no_faces_in_nothing() -> None:
    images = np.zeros((2, 64, 64, 3), np.uint8)
    assert [len(boxes) for boxes in FaceDetector().detect(images)] == [0, 0]
    assert (BuiltinFaces().encode(images) == 0).all()
    assert BuiltinFaces().encode(images[:0]).shape == (0, 4)

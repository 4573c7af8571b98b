"""What EfficientNet-Lite0 recognises in pictures, in words, and where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from evoked.features.encoders._lite import LITES, lite_weights
from evoked.features.encoders._lite_words import class_words
from evoked.features.encoders._recognition import LEAST_PROBABILITY, cell_boxes, enclosing_boxes
from evoked.features.encoders.objects import RecognisedObjects
from evoked.features.encoders.registry import image_encoder, object_encoder
from evoked.posts.images import load_image

SIZE = 224


@pytest.fixture(scope="module")
def objects() -> RecognisedObjects:
    return RecognisedObjects()


def striped(n: int = 4) -> NDArray[np.uint8]:
    generator = np.random.default_rng(1)
    return (
        generator.integers(0, 256, (n, SIZE // 8, SIZE // 8, 3), dtype=np.uint8)
        .repeat(8, 1)
        .repeat(8, 2)
    )


def test_words() -> None:
    assert len(class_words()) == 1000
    assert class_words()[978] == "seashore"
    assert all(word.strip() == word != "" for word in class_words())
    encoder = image_encoder("builtin")
    assert len(set(encoder.words)) == len(encoder.words)


def test_probabilities_are_the_classifiers() -> None:
    encoder = image_encoder("builtin")
    vectors = encoder.encode(striped()).vector
    weights = lite_weights(LITES["lite0"])
    logits = torch.tensor(vectors[:, -1280:]) @ torch.tensor(weights["_fc.weight"]).T
    expected = torch.softmax(logits + torch.tensor(weights["_fc.bias"]), 1).numpy()
    found = encoder.word_probabilities(vectors)
    seashore = encoder.words.index("seashore")
    np.testing.assert_allclose(found[:, seashore], expected[:, 978], rtol=1e-3)
    # Two classes that are called alike count together.
    glasses = encoder.words.index("sunglasses")
    np.testing.assert_allclose(found[:, glasses], expected[:, 836:838].sum(1), rtol=1e-3)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)


def test_an_encoder_without_words_recognises_nothing() -> None:
    encoder = image_encoder("descriptors")
    assert encoder.words == ()
    assert encoder.word_probabilities(np.zeros((2, encoder.vector_size))).shape == (2, 0)


def test_tokens_boxes_and_names_belong_together(objects: RecognisedObjects) -> None:
    images = striped()
    found = objects.encode(images)
    assert found.names is not None
    for tokens, boxes, names in zip(found.tokens, found.boxes, found.names, strict=True):
        assert tokens.shape == (len(names), objects.channels)
        np.testing.assert_array_equal(tokens[:, 1:5], boxes)
        assert (tokens[:, 0] >= LEAST_PROBABILITY).all()
        assert (np.diff(tokens[:, 0]) <= 0).all()
        assert ((boxes[:, :2] < boxes[:, 2:]) & (boxes >= 0).all() & (boxes <= 1).all()).all()
    assert objects.encode(images[:0]).tokens == []


def test_real_pictures_are_recognised_and_placed(
    objects: RecognisedObjects, shared_data: Path
) -> None:
    pictures = shared_data / "oasis" / "images"
    lake, dog = (load_image(pictures / f"{name}.jpg", SIZE) for name in ("Lake_1", "Dog_1"))
    black = np.zeros_like(dog)
    right = black.copy()
    right[56:168, 112:] = dog[::2, ::2]
    found = objects.encode(np.stack([lake, dog, right]))
    assert found.names is not None
    assert found.names[0][0] == "lakeside"
    assert found.names[1][0] == "dogsled"
    # The box of the largest class lies where the picture is.
    assert found.boxes[2][0][0] >= 3 / 7


def test_boxes_enclose_what_is_active() -> None:
    grid = (3, 4)
    active = np.zeros((1, 2, 12), np.float32)
    active[0, 0, [1, 6]] = (1.0, 0.6)  # first row, second column; second row, third column
    active[0, 0, 11] = 0.4  # too weak
    boxes = enclosing_boxes(active, grid)[0]
    np.testing.assert_allclose(boxes[0], [1 / 4, 0, 3 / 4, 2 / 3])
    np.testing.assert_allclose(boxes[1], [0, 0, 1, 1])  # nothing is active
    np.testing.assert_allclose(cell_boxes(grid)[-1], [3 / 4, 2 / 3, 1, 1])


def test_names_of_encoders() -> None:
    assert object_encoder("builtin").fingerprint == object_encoder("lite0").fingerprint
    assert object_encoder("salient").fingerprint.startswith("salient-regions:")

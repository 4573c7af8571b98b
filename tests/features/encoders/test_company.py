"""Features do not hang on what was encoded beside them: the tolerances of docs/architecture.md."""

from __future__ import annotations

import numpy as np
import pytest

from evoked.features.encoders._inference import bfloat16_is_fast
from evoked.features.encoders.registry import image_encoder, text_encoder

# Relative to the length of a vector; processors that count in bfloat16 keep eight bits of it.
TOLERANCE = 0.05 if bfloat16_is_fast() else 1e-5


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(one - other) / max(np.linalg.norm(other), 1e-9))


@pytest.mark.parametrize("name", ["builtin", "use"])
def test_a_text_alone_and_padded_beside_long_ones(name: str) -> None:
    random = np.random.default_rng(0)
    words = ["tea", "morning", "light", "sea", "friends", "#tea", "🍵", "happy", "sad", "café"]
    others = [" ".join(random.choice(words, int(random.integers(1, 150)))) for _ in range(31)]
    texts = ["Tea at dawn #tea", *others]
    encoder = text_encoder(name)
    together = encoder.encode(texts)
    assert len({len(tokens) for tokens in together.tokens}) > 10  # so there is padding
    for number in (0, 1, 2):
        alone = encoder.encode([texts[number]])
        assert _difference(together.vector[number], alone.vector[0]) < TOLERANCE
        assert together.tokens[number].shape == alone.tokens[0].shape
        assert _difference(together.tokens[number], alone.tokens[0]) < TOLERANCE
    assert _difference(together.vector[1], together.vector[0]) > 100 * 1e-5


@pytest.mark.parametrize("name", ["lite0", "descriptors"])
def test_a_picture_alone_and_beside_others(name: str) -> None:
    encoder = image_encoder(name)
    random = np.random.default_rng(0)
    shades = random.integers(0, 256, (8, 1, 1, 3))
    noise = random.integers(-40, 40, (8, encoder.image_size, encoder.image_size, 3))
    pictures = np.clip(shades + noise, 0, 255).astype(np.uint8)
    together = encoder.encode(pictures)
    for number in (0, 5):
        alone = encoder.encode(pictures[number : number + 1])
        assert _difference(together.vector[number], alone.vector[0]) < TOLERANCE
        assert _difference(together.map[number], alone.map[0]) < TOLERANCE
    assert _difference(together.vector[1], together.vector[0]) > 100 * 1e-5

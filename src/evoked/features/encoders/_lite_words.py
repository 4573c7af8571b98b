"""What EfficientNet-Lite recognises, in words, and where in the picture.

Its last stage is a mean over the grid followed by a linear classifier. So the mean, which is the
end of ``image.vector``, gives the probabilities of ImageNet's 1,000 classes, and the same
classifier at every position shows where a class is seen (class activation maps, Zhou et al. 2016).
The classes' words are WordNet's, where they are plain ones, in ``imagenet_words.txt``.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evoked.features.encoders._lite import (
    HEAD_LAYER,
    LARGEST_ACTIVATION,
    Floats,
    Lite,
    folded_layer,
    lite_weights,
)

_WORDS_FILE = Path(__file__).with_name("imagenet_words.txt")


@cache
def class_words() -> tuple[str, ...]:
    """A word for each of ImageNet's classes; a few classes share theirs."""
    return tuple(_WORDS_FILE.read_text(encoding="utf-8").splitlines())


@cache
def words() -> tuple[str, ...]:
    """The different words."""
    return tuple(dict.fromkeys(class_words()))


@cache
def _word_of_class() -> NDArray[np.int64]:
    number = {word: place for place, word in enumerate(words())}
    return np.array([number[word] for word in class_words()])


def class_probabilities(lite: Lite, vectors: Floats, softening: float = 1.0) -> Floats:
    """Probability of each class, (n, classes), from vectors (n, size) of the encoder; with logits
    divided by ``softening``, more of it lies with the less likely ones."""
    weights = lite_weights(lite)
    pooled = vectors[:, -weights["_fc.weight"].shape[1] :].astype(np.float32)
    logits = pooled @ weights["_fc.weight"].T + weights["_fc.bias"]
    powers = np.exp((logits - logits.max(axis=1, keepdims=True)) / np.float32(softening))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def word_probabilities(lite: Lite, vectors: Floats) -> Floats:
    """Probability of each word, (n, words), from vectors (n, size) of the encoder."""
    found = np.zeros((len(vectors), len(words())), np.float32)
    np.add.at(found.T, _word_of_class(), class_probabilities(lite, vectors).T)
    return found


def class_activations(lite: Lite, maps: Floats, classes: NDArray[np.int64]) -> Floats:
    """How strongly each position speaks for some classes, at least 0.

    Parameters
    ----------
    maps
        (n, positions, channels): maps of the stage before the last convolution.
    classes
        (n, k): the classes asked about.

    Returns
    -------
    float32, (n, k, positions)
    """
    kernel, bias = folded_layer(HEAD_LAYER, lite_weights(lite))
    head = np.clip(maps @ kernel[:, :, 0, 0].T + bias, 0, LARGEST_ACTIVATION)
    lines = lite_weights(lite)["_fc.weight"][classes]
    activations: Floats = np.maximum(lines @ head.transpose(0, 2, 1), 0)
    return activations

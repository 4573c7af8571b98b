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
    Floats,
    Lite,
    folded_layer,
    lite_weights,
)
from evoked.features.encoders._recognition import ClassHead

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


@cache
def class_head(lite: Lite) -> ClassHead:
    """What leads from the network to the classes."""
    weights = lite_weights(lite)
    kernel, bias = folded_layer(HEAD_LAYER, weights)
    return ClassHead(kernel[:, :, 0, 0], bias, weights["_fc.weight"], weights["_fc.bias"])


def class_probabilities(lite: Lite, vectors: Floats, softening: float = 1.0) -> Floats:
    """Probability of each class, (n, classes), from vectors (n, size) of the encoder: see
    :meth:`.ClassHead.probabilities`."""
    return class_head(lite).probabilities(vectors, softening)


def word_probabilities(lite: Lite, vectors: Floats) -> Floats:
    """Probability of each word, (n, words), from vectors (n, size) of the encoder."""
    found = np.zeros((len(vectors), len(words())), np.float32)
    np.add.at(found.T, _word_of_class(), class_probabilities(lite, vectors).T)
    return found

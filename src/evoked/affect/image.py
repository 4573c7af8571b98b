"""The image emotion reader: valence, arousal and dominance from the vectors of an image encoder.

It is a Gaussian kernel ridge regression. Kernel width and ridge are chosen for each dimension by
the exact leave-one-out error, which ridge regression gives in closed form, so fitting needs no
validation split and gives the same result every time. With more than ``MAX_LANDMARKS`` pictures,
the kernel is approximated from a random subset of them (Nyström; Williams and Seeger 2001).

evoked comes without one: fit it on your own pictures with ratings, or on a public set such as OASIS
with ``scripts/fit_image_emotion.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from evoked.errors import DataError
from evoked.files import atomic_folder, read_object, write_json, write_safetensors

DIMENSIONS = ("valence", "arousal", "dominance")
MIN_RATINGS = 10
"""A dimension with fewer known ratings is not fitted."""

MAX_LANDMARKS = 2000
"""Most pictures whose vectors a reader keeps."""

FORMAT_VERSION = 1

_WIDTHS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0)  # in units of one over the mean squared distance
_RIDGES = tuple(np.geomspace(0.03, 30, 13))
_LARGEST_DEVIATION = 6.0  # a descriptor further from the mean counts as this far
_SMALLEST_EIGENVALUE = (
    1e-7  # relative to the largest eigenvalue; a direction below it is rounding noise
)
_BLOCK = 2048
_WEIGHTS_FILE = "image_emotion.safetensors"
_SETTINGS_FILE = "image_emotion.json"

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class ImageEmotionReader:
    """Reads emotion from image vectors; made by :func:`fit_image` or :meth:`load`.

    Attributes
    ----------
    centre, scale
        float32, (size,): mean and standard deviation of the compressed vectors.
    landmarks
        float32, (m, size): the standardised vectors of the pictures that others are compared with.
    widths, offsets
        float64, (3,): kernel width and mean rating per dimension; NaN where not fitted.
    weights
        float64, (m, 3): dual weights; NaN where not fitted.
    encoder
        Name of the encoder whose vectors it was fitted on.
    ratings
        Number of ratings behind each dimension.
    """

    centre: NDArray[np.float32]
    scale: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    widths: Doubles
    offsets: Doubles
    weights: Doubles
    encoder: str
    ratings: tuple[int, int, int]

    def predict(self, vectors: NDArray[np.float32]) -> Doubles:
        """Read the emotion of pictures.

        Parameters
        ----------
        vectors
            (n, size): ``ImageFeatures.vector`` of the encoder named by ``self.encoder``.

        Returns
        -------
        float64, (n, 3): valence, arousal and dominance on the scale of the ratings that it was
        fitted on; NaN for a dimension that was never fitted.

        Raises
        ------
        DataError
            Vectors of another size.
        """
        if vectors.ndim != 2 or vectors.shape[1] != len(self.centre):
            raise DataError(
                f"image vectors of shape {vectors.shape}; expected (n, {len(self.centre)}).",
                fix=f"Compute them with the encoder {self.encoder!r}.",
            )
        predicted = np.empty((len(vectors), len(DIMENSIONS)))
        for start in range(0, len(vectors), _BLOCK):
            block = _standardised(vectors[start : start + _BLOCK], self.centre, self.scale)
            distances = _squared_distances(block, self.landmarks)
            for column, width in enumerate(self.widths):
                kernel = np.exp(-width * distances)
                predicted[start : start + _BLOCK, column] = kernel @ self.weights[:, column]
        return predicted + self.offsets

    def save(self, folder: Path | str) -> None:
        """Write the reader to a folder of its own, atomically: safetensors and JSON."""
        names = [field.name for field in fields(self) if field.name not in ("encoder", "ratings")]
        with atomic_folder(folder) as temporary:
            arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in names}
            write_safetensors(temporary / _WEIGHTS_FILE, arrays)
            write_json(
                temporary / _SETTINGS_FILE,
                {
                    "format_version": FORMAT_VERSION,
                    "kind": "image emotion reader",
                    "encoder": self.encoder,
                    "ratings": dict(zip(DIMENSIONS, self.ratings, strict=True)),
                },
            )

    @classmethod
    def load(cls, folder: Path | str) -> ImageEmotionReader:
        """Read what :meth:`save` wrote; nothing in the folder is executed.

        Raises
        ------
        DataError
            The folder holds no reader, one of a newer format, or a damaged one.
        """
        settings = read_object(Path(folder) / _SETTINGS_FILE)
        file = Path(folder) / _WEIGHTS_FILE
        try:
            if settings["format_version"] != FORMAT_VERSION:
                raise DataError(
                    f"format version {settings['format_version']!r}; "
                    f"this release reads version {FORMAT_VERSION}.",
                    file=Path(folder) / _SETTINGS_FILE,
                    fix="Fit the reader again, or install the release that wrote it.",
                )
            counts = [int(settings["ratings"][name]) for name in DIMENSIONS]
            reader = cls(
                **load_file(file),
                encoder=str(settings["encoder"]),
                ratings=(counts[0], counts[1], counts[2]),
            )
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise _damaged(file) from error
        size, m = reader.centre.size, len(reader.landmarks)
        expected: dict[str, tuple[int, ...]] = {
            "centre": (size,),
            "scale": (size,),
            "landmarks": (m, size),
            "widths": (len(DIMENSIONS),),
            "offsets": (len(DIMENSIONS),),
            "weights": (m, len(DIMENSIONS)),
        }
        if any(getattr(reader, name).shape != shape for name, shape in expected.items()):
            raise _damaged(file)
        return reader


def fit_image(
    vectors: NDArray[np.float32], ratings: ArrayLike, *, seed: int = 0, encoder: str = ""
) -> ImageEmotionReader:
    """Fit an image emotion reader.

    Parameters
    ----------
    vectors
        (n, size): ``ImageFeatures.vector`` of n pictures.
    ratings
        (n, 2) or (n, 3): valence, arousal and perhaps dominance, on any one scale per dimension;
        NaN where unknown.
    seed
        Draws the landmarks when there are more than ``MAX_LANDMARKS`` pictures.
    encoder
        Name of the encoder, kept with the reader.

    Raises
    ------
    DataError
        The shapes don't match, or no dimension has ``MIN_RATINGS`` ratings.
    """
    targets = three_columns(vectors, ratings)
    known = np.isfinite(targets)
    counts = known.sum(axis=0)
    if counts.max() < MIN_RATINGS:
        raise DataError(
            f"at most {counts.max()} ratings in any dimension; at least {MIN_RATINGS} are needed.",
            field=" / ".join(DIMENSIONS),
            fix="Bring pictures with known valence or arousal.",
        )
    vectors = vectors[known.any(axis=1)]
    targets = targets[known.any(axis=1)]
    compressed = _compressed(vectors)
    centre, scale = compressed.mean(axis=0), compressed.std(axis=0)
    standard = _standardised(vectors, centre, scale)
    landmarks = standard[_landmark_rows(len(standard), seed)]
    distances = _squared_distances(standard, landmarks)
    among = _squared_distances(landmarks, landmarks)
    unit = max(float(among.mean()), 1e-12)

    widths, offsets = np.full((2, len(DIMENSIONS)), np.nan)
    weights = np.full((len(landmarks), len(DIMENSIONS)), np.nan)
    candidates = [_Candidate.of(width / unit, distances, among) for width in _WIDTHS]
    for column in np.flatnonzero(counts >= MIN_RATINGS):
        rows = np.isfinite(targets[:, column])
        offsets[column] = targets[rows, column].mean()
        centred = targets[rows, column] - offsets[column]
        best = min((c.fitted(rows, centred) for c in candidates), key=lambda fit: fit.error)
        widths[column], weights[:, column] = best.width, best.weights
    return ImageEmotionReader(
        centre=centre,
        scale=scale,
        landmarks=landmarks,
        widths=widths,
        offsets=offsets,
        weights=weights,
        encoder=encoder,
        ratings=(int(counts[0]), int(counts[1]), int(counts[2])),
    )


class _Fit(NamedTuple):
    """One dimension fitted with one width and its best ridge."""

    error: float
    width: float
    weights: Doubles


@dataclass(frozen=True)
class _Candidate:
    """Explicit features of a Gaussian kernel of one width.

    Their inner products are the Nyström kernel, and the exact one when all pictures are landmarks.
    """

    width: float
    features: Doubles  # (n, rank)
    to_weights: Doubles  # (m, rank): turns weights of the features into weights of the landmarks

    @classmethod
    def of(cls, width: float, distances: Doubles, among: Doubles) -> _Candidate:
        values, vectors = np.linalg.eigh(np.exp(-width * among))
        kept = values > _SMALLEST_EIGENVALUE * values[-1]
        to_weights = vectors[:, kept] / np.sqrt(values[kept])
        return cls(width, np.exp(-width * distances) @ to_weights, to_weights)

    def fitted(self, rows: NDArray[np.bool_], target: Doubles) -> _Fit:
        """Ridge regression on some rows, with the ridge that has the least leave-one-out error."""
        features = self.features[rows]
        values, axes = np.linalg.eigh(features.T @ features)
        rotated = features @ axes
        projected = rotated.T @ target
        errors = [
            _leave_one_out_error(rotated, target, projected, 1 / (np.maximum(values, 0) + ridge))
            for ridge in _RIDGES
        ]
        ridge = _RIDGES[int(np.argmin(errors))]
        solution = axes @ (projected / (np.maximum(values, 0) + ridge))
        return _Fit(min(errors), self.width, self.to_weights @ solution)


def _leave_one_out_error(
    rotated: Doubles, target: Doubles, projected: Doubles, shrink: Doubles
) -> float:
    """Mean squared leave-one-out residual: the residual over one minus the leverage."""
    residuals = target - rotated @ (projected * shrink)
    leverages = rotated**2 @ shrink
    return float(np.mean((residuals / np.maximum(1 - leverages, 1e-9)) ** 2))


def three_columns(vectors: NDArray[np.float32], ratings: ArrayLike) -> Doubles:
    """Ratings (n, 2) or (n, 3) of n vectors as (n, 3), NaN where there are none."""
    given = np.asarray(ratings, dtype=np.float64)
    if given.ndim != 2 or given.shape[1] not in (2, 3) or vectors.shape[:1] != given.shape[:1]:
        raise DataError(
            f"ratings of shape {given.shape} for image vectors of shape {vectors.shape}; "
            "expected (n, 2) or (n, 3) for (n, size).",
        )
    targets = np.full((len(given), len(DIMENSIONS)), np.nan)
    targets[:, : given.shape[1]] = given
    return targets


def _landmark_rows(n: int, seed: int) -> NDArray[np.int64]:
    if n <= MAX_LANDMARKS:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, MAX_LANDMARKS, replace=False))


def _compressed(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Signed square roots, which are closer to normally distributed than shares of a histogram."""
    return (np.sign(vectors) * np.sqrt(np.abs(vectors))).astype(np.float32)


def _standardised(
    vectors: NDArray[np.float32], centre: NDArray[np.float32], scale: NDArray[np.float32]
) -> NDArray[np.float32]:
    standard = (_compressed(vectors) - centre) / np.maximum(scale, 1e-6)
    return np.clip(standard, -_LARGEST_DEVIATION, _LARGEST_DEVIATION)


def _squared_distances(left: NDArray[np.float32], right: NDArray[np.float32]) -> Doubles:
    left, right = left.astype(np.float64), right.astype(np.float64)
    lengths = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)
    return np.maximum(lengths - 2 * left @ right.T, 0)


def _damaged(file: Path) -> DataError:
    return DataError(
        "not a whole image emotion reader.", file=file, fix="Fit it again and save it."
    )

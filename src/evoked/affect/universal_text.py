"""The emotion reader for other languages than English: a line on vectors of sentences.

The Universal Sentence Encoder gives translations similar vectors, so what is fitted on English
sentences reads those in its other languages as well. ``scripts/fit_universal_emotion.py`` fits it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoked.errors import DataError
from evoked.features.encoders.universal_text import CHANNELS, WEIGHTS_SHA256
from evoked.files import atomic_folder, read_json, write_json
from evoked.posts.vocabulary import EMOTIONS, SCALES

FORMAT_VERSION = 1
_SETTINGS_FILE = "reader.json"
_WEIGHTS_FILE = "weights.safetensors"
_RIDGES = np.geomspace(0.03, 300, 17)
_FOLDS = 10

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class UniversalEmotionReader:
    """Reads valence, arousal and dominance from the vectors of USE.

    Attributes
    ----------
    slopes, offsets
        float32, (512, 3) and (3,).
    texts
        Number of texts that it was fitted on.
    """

    slopes: Floats
    offsets: Floats
    texts: int

    @property
    def fingerprint(self) -> str:
        """Changes whenever the readings could change."""
        digest = hashlib.sha256(self.slopes.tobytes() + self.offsets.tobytes()).hexdigest()
        return f"universal-emotion:{digest[:16]}:{WEIGHTS_SHA256[:16]}"

    def predict(self, vectors: Floats) -> Floats:
        """Valence [-4, 4], arousal [0, 8] and dominance [-4, 4] of n texts, float32 (n, 3), from
        their vectors, (n, 512)."""
        lowest, highest = np.array([SCALES[name] for name in EMOTIONS]).T
        read = vectors @ self.slopes + self.offsets
        return np.clip(read, lowest, highest).astype(np.float32)

    def save(self, folder: Path | str) -> None:
        """Write ``reader.json`` and ``weights.safetensors`` to ``folder``."""
        from safetensors.numpy import save

        with atomic_folder(folder) as temporary:
            content = save({"slopes": self.slopes, "offsets": self.offsets})
            (temporary / _WEIGHTS_FILE).write_bytes(content)
            write_json(
                temporary / _SETTINGS_FILE,
                {
                    "format_version": FORMAT_VERSION,
                    "base": "universal-sentence-encoder-multilingual v3",
                    "base_sha256": WEIGHTS_SHA256,
                    "dimensions": list(EMOTIONS),
                    "texts": self.texts,
                },
            )

    @classmethod
    def load(cls, folder: Path | str) -> UniversalEmotionReader:
        """Read what :meth:`save` wrote. Nothing in the folder is executed.

        Raises
        ------
        DataError
            The folder holds no reader, a damaged one, or one for other weights of USE.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        settings, file = read_json(Path(folder) / _SETTINGS_FILE), Path(folder) / _WEIGHTS_FILE
        expected = (FORMAT_VERSION, WEIGHTS_SHA256)
        if (settings.get("format_version"), settings.get("base_sha256")) != expected:
            raise DataError(
                "not an emotion reader for the installed encoder of other languages.",
                file=Path(folder) / _SETTINGS_FILE,
            )
        try:
            weights = load(file.read_bytes())
            reader = cls(weights["slopes"], weights["offsets"], int(settings["texts"]))
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise DataError("the weights are missing or damaged.", file=file) from error
        if reader.slopes.shape != (CHANNELS, 3) or reader.offsets.shape != (3,):
            raise DataError("the weights are not those of an emotion reader.", file=file)
        return reader


def fit_universal(vectors: Floats, ratings: ArrayLike) -> UniversalEmotionReader:
    """Fit a reader: ridge regression, its strength chosen for each dimension by leaving one out.

    Readings of held-out folds spread less than ratings do. All are stretched to spread as much:
    the concordance correlation rewards it, and the reader of English was fitted for that.

    Parameters
    ----------
    vectors
        (n, 512), of n texts.
    ratings
        (n, 3): valence, arousal and dominance on the project's scales, all known.
    """
    from sklearn.linear_model import Ridge, RidgeCV
    from sklearn.model_selection import cross_val_predict

    targets = np.asarray(ratings, dtype=np.float64)
    fitted = RidgeCV(_RIDGES, alpha_per_target=True).fit(vectors, targets)
    held_out = cross_val_predict(Ridge(fitted.alpha_), vectors, targets, cv=_FOLDS)
    stretch = targets.std(axis=0) / held_out.std(axis=0)
    centre = targets.mean(axis=0)
    offsets = centre + (fitted.intercept_ - centre) * stretch
    slopes = np.ascontiguousarray((fitted.coef_ * stretch[:, None]).T, dtype=np.float32)
    return UniversalEmotionReader(slopes, offsets.astype(np.float32), len(targets))

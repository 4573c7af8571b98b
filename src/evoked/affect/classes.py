"""The picture emotion reader that needs no rated pictures: what is recognised, read as text.

EfficientNet-Lite gives the probability of each of ImageNet's 1,000 classes, and the text emotion
reader has read sentences about each class ("Look at the lakeside!"). A picture's emotion is the
mean of these readings, weighed by the probabilities after their logits were divided by a softening:
so a picture is also judged by all that it resembles a little, for what evokes emotion (a face, a
wound, a view) is often no class of its own.

A mean over a thousand classes hardly leaves the middle. So readings are stretched, for each
dimension, to the mean and spread of what the text reader reads in sentences, by a line that was
laid through pictures without a look at their ratings: no rating of a picture is used anywhere.

``scripts/fit_class_emotion.py`` makes the one that comes with evoked.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoked.errors import DataError
from evoked.features.encoders._lite import LITES, Floats
from evoked.features.encoders._lite_words import class_probabilities, class_words
from evoked.files import check_format_version, read_json, write_json
from evoked.posts.schema import SCALES

DIMENSIONS = ("valence", "arousal")
CLASSES_FILE = "classes.json"
FORMAT_VERSION = 1

_BLOCK = 1024  # pictures at a time, to bound the memory

Pairs = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class ClassEmotionReader:
    """Reads emotion from the vectors of EfficientNet-Lite.

    Attributes
    ----------
    encoder
        Name of the encoder whose vectors it reads.
    text_reader
        Fingerprint of the text reader that read the sentences.
    sentences
        What was said of every class.
    softening
        What logits are divided by.
    emotions
        Valence and arousal of each class: the mean of what was read in its sentences.
    gain, offset
        For valence and arousal: a reading is the offset and the gain times the weighed mean.
    """

    encoder: str
    text_reader: str
    sentences: tuple[str, ...]
    softening: float
    emotions: Pairs
    gain: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)

    def predict(self, vectors: NDArray[np.floating]) -> Floats:
        """Read the emotion of pictures.

        Parameters
        ----------
        vectors
            (n, size): ``ImageFeatures.vector`` of the encoder named by ``self.encoder``.

        Returns
        -------
        float32, (n, 2): valence [-4, 4] and arousal [0, 8].
        """
        read = np.empty((len(vectors), len(DIMENSIONS)))
        for start in range(0, len(vectors), _BLOCK):
            rows = slice(start, start + _BLOCK)
            read[rows] = self.weighed(np.asarray(vectors[rows], np.float32))
        lowest, highest = np.array([SCALES[name] for name in DIMENSIONS]).T
        return np.clip(read * self.gain + self.offset, lowest, highest).astype(np.float32)

    def weighed(self, vectors: Floats) -> NDArray[np.float64]:
        """The classes' emotions weighed by their softened probabilities, (n, 2): what is
        stretched."""
        shares = class_probabilities(LITES[self.encoder], vectors, self.softening)
        return shares.astype(np.float64) @ np.array(self.emotions)

    @cached_property
    def fingerprint(self) -> str:
        """Changes whenever the readings could change."""
        parts = (self.softening, self.emotions, self.gain, self.offset)
        return f"class-emotion:{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}"

    def save(self, folder: Path | str) -> None:
        """Write the reader to a JSON file in ``folder``."""
        write_json(Path(folder) / CLASSES_FILE, {"format_version": FORMAT_VERSION, **asdict(self)})

    @classmethod
    def load(cls, folder: Path | str) -> ClassEmotionReader:
        """Inverse of :meth:`save`.

        Raises
        ------
        DataError
            The folder holds no such reader, one of a newer format, or a damaged one.
        """
        file = Path(folder) / CLASSES_FILE
        state: dict[str, Any] = read_json(file)
        check_format_version(state, FORMAT_VERSION, file, "Make it again")
        try:
            reader = cls(
                encoder=str(state["encoder"]),
                text_reader=str(state["text_reader"]),
                sentences=tuple(map(str, state["sentences"])),
                softening=float(state["softening"]),
                emotions=tuple(_pair(each) for each in state["emotions"]),
                gain=_pair(state["gain"]),
                offset=_pair(state["offset"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError("not a whole class emotion reader.", file=file) from error
        if len(reader.emotions) != len(class_words()):
            raise DataError(
                f"{len(reader.emotions)} classes; there are {len(class_words())}.", file=file
            )
        return reader


def _pair(values: Any) -> tuple[float, float]:
    valence, arousal = values
    return float(valence), float(arousal)

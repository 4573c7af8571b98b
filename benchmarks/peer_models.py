"""What else a user might take to predict from a table of posts: run by ``peers.py``.

Needs nothing of evoked, so that it runs in an environment of its own, made from ``peers.txt``.
``python peer_models.py FOLDER SIDE`` reads ``FOLDER/table.parquet``: a row per post with columns
of numbers (NaN where unknown), ``caption``, ``truth`` and one column ``fold K`` per fold, which is
"learned", "tested" or "". It writes ``FOLDER/SIDE.parquet``, the predictions of tested posts in a
column ``predicted``, and prints CPU seconds and peak memory as JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CAPTION_PARTS = 30
AUTOGLUON_SECONDS = 60
FOLD = "fold "
# Columns of one picture's vector begin so.
VECTOR = "vector "
VECTOR_PARTS = 24

# Predicts tested posts from learned ones: tables of features without the truth, and its values.
Peer = Callable[[pd.DataFrame, Floats, pd.DataFrame], Floats]


def as_numbers(learned: pd.DataFrame, tested: pd.DataFrame) -> tuple[Floats, Floats]:
    """Numbers, and captions as TF-IDF of characters reduced by SVD, of both tables."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    parts = [[_numbers(learned)], [_numbers(tested)]]
    captions = learned["caption"].fillna("")
    if captions.str.strip().any():
        # Characters, since captions are in many languages.
        words = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), max_features=20_000)
        counts = words.fit_transform(captions)
        size = min(CAPTION_PARTS, len(learned) - 1, counts.shape[1] - 1)
        reducer = TruncatedSVD(size, random_state=0).fit(counts)
        parts[0].append(reducer.transform(counts))
        parts[1].append(reducer.transform(words.transform(tested["caption"].fillna(""))))
    return np.hstack(parts[0]), np.hstack(parts[1])


def _numbers(table: pd.DataFrame) -> Floats:
    return table.drop(columns="caption").to_numpy(dtype=np.float64)


def mean(learned: pd.DataFrame, truth: Floats, tested: pd.DataFrame) -> Floats:
    """The mean of the posts that are learned from."""
    return np.full(len(tested), truth.mean())


def recent(name: str) -> Peer:
    """A column of history, the mean where an author has no earlier post."""

    def predict(learned: pd.DataFrame, truth: Floats, tested: pd.DataFrame) -> Floats:
        column = f"history.{name}"
        if column not in tested or not np.isfinite(tested[column]).any():
            sys.exit("no test post has a known earlier one")
        known = tested[column].to_numpy(dtype=np.float64)
        return np.where(np.isfinite(known), known, truth.mean())

    return predict


def ridge(learned: pd.DataFrame, truth: Floats, tested: pd.DataFrame) -> Floats:
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
    ours, theirs = as_numbers(learned, tested)
    return np.asarray(model.fit(ours, truth).predict(theirs))


def catboost(learned: pd.DataFrame, truth: Floats, tested: pd.DataFrame) -> Floats:
    """CatBoost at its defaults."""
    from catboost import CatBoostRegressor

    model = CatBoostRegressor(
        thread_count=1, random_seed=0, verbose=False, allow_writing_files=False
    )
    ours, theirs = as_numbers(learned, tested)
    return np.asarray(model.fit(ours, truth).predict(theirs))


def skrub(learned: pd.DataFrame, truth: Floats, tested: pd.DataFrame) -> Floats:
    """skrub's pipeline for tables."""
    from skrub import tabular_pipeline

    model = tabular_pipeline("regressor", n_jobs=1)
    return np.asarray(model.fit(learned, truth).predict(tested))


def autogluon(learned: pd.DataFrame, truth: Floats, tested: pd.DataFrame) -> Floats:
    """AutoGluon at medium quality, at most a minute."""
    from autogluon.tabular import TabularPredictor

    with TemporaryDirectory() as folder:
        model = TabularPredictor("truth", path=folder, verbosity=0).fit(
            learned.assign(truth=truth),
            time_limit=AUTOGLUON_SECONDS,
            presets="medium_quality",
            num_cpus=1,
        )
        return np.asarray(model.predict(tested), dtype=np.float64)


PEERS: dict[str, Peer] = {
    "mean": mean,
    "last10": recent("mean10"),
    "median5": recent("median5"),
    "median10": recent("median10"),
    "ridge": ridge,
    "CatBoost": catboost,
    "skrub": skrub,
    "AutoGluon": autogluon,
}


def predicted(table: pd.DataFrame, peer: Peer) -> Floats:
    """Predictions of every tested post, (n,); NaN of others."""
    folds = [name for name in map(str, table) if name.startswith(FOLD)]
    features = table.drop(columns=[*folds, "truth"])
    truth = table["truth"].to_numpy(dtype=np.float64)
    found = np.full(len(table), np.nan)
    for name in folds:
        learned, tested = (np.flatnonzero(table[name] == part) for part in ("learned", "tested"))
        ours, theirs = reduced(features.iloc[learned], features.iloc[tested])
        found[tested] = peer(ours, truth[learned], theirs)
    return found


def reduced(learned: pd.DataFrame, tested: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables with vectors as principal components of those of the learned posts; the mean
    vector where a post has no picture."""
    from sklearn.decomposition import PCA

    names = [name for name in map(str, learned) if name.startswith(VECTOR)]
    if not names:
        return learned, tested
    mean = learned[names].mean()
    vectors = learned[names].fillna(mean)
    reducer = PCA(min(VECTOR_PARTS, len(learned) - 1), random_state=0).fit(vectors)
    tables = []
    for table in (learned, tested):
        parts = pd.DataFrame(reducer.transform(table[names].fillna(mean)), index=table.index)
        tables.append(table.drop(columns=names).join(parts.add_prefix(VECTOR)))
    return tables[0], tables[1]


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
    folder, side = Path(sys.argv[1]), sys.argv[2]
    table = pd.read_parquet(folder / "table.parquet")
    start = cpu_seconds()
    found = predicted(table, PEERS[side])
    pd.DataFrame({"predicted": found}).to_parquet(folder / f"{side}.parquet")
    print(json.dumps(cost(start)))


if __name__ == "__main__":
    main()

"""How well are likes predicted, beside what else a user might take?

Real posts. All sides learn from the same posts and are scored on the same test posts. The peers are
baselines of an author's last posts, ridge, CatBoost and, where they are installed, skrub and
AutoGluon. They read captions (TF-IDF and SVD), metadata and history of strictly earlier posts,
nothing that is unknown before posting. evoked is trained through its public API, without a model
("evoked") and as ``linear``. Each side runs in a process of its own on one thread; CPU seconds are
those of features, fit and prediction, and evoked's features are extracted anew.

Differences are evoked minus the best peer in R² of log(1 + likes), with a 95 % interval of 1,000
resamples of test posts. The best peer is picked with the test scores in sight, which flatters it.

Run: ``python benchmarks/peers.py --data FOLDER --json FILE``; ``--datasets`` and ``--sides`` take
some of them. What is absent is skipped, with the reason. The last line is JSON.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from record import add_json_option, finish, table

from evoked.evaluation.bootstrap import bootstrap_interval
from evoked.evaluation.metrics import mean_absolute_error, r2, spearman
from evoked.evaluation.splits import Split, choose_split
from evoked.posts.author_history import attach_history, known_counts
from evoked.posts.dataset import PostDataset
from evoked.posts.importing import import_posts

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

HISTORY = (
    "history.posts",
    "history.hours",
    "history.last_likes",
    "history.mean5_likes",
    "history.mean10_likes",
    "history.median10_likes",
)
CAPTION_PARTS = 30
AUTOGLUON_SECONDS = 60
# Features of all captions take minutes; of fewer authors, a single post is from the last day.
AUTHORS = 60


class Source(NamedTuple):
    """Where a dataset comes from, how it is split, and how many authors are taken: all by default,
    those with most posts."""

    format: str
    path: str
    split: str
    authors: int | None = None


DATASETS = {
    "instagram_top20": Source("instaloader", "instagram_top20", "time"),
    "instagram_authors": Source("jsonl", "instagram_authors/posts.jsonl", "time", AUTHORS),
    "instagram_strangers": Source("jsonl", "instagram_authors/posts.jsonl", "author", AUTHORS),
    # These posts have no dates.
    "instagram_insights": Source("csv", "instagram_insights/Instagram data.csv", "random"),
    "facebook_metrics": Source("csv", "facebook_metrics/dataset_Facebook.csv", "random"),
}


class Rows(NamedTuple):
    """What every side of a dataset gets.

    Attributes
    ----------
    dataset
        n posts.
    split
        Their parts; peers learn from training and validation posts together.
    posts
        The posts with their history, (n,) rows.
    truth
        log(1 + likes), (n,), NaN where unknown.
    """

    dataset: PostDataset
    split: Split
    posts: pd.DataFrame
    truth: Floats

    @property
    def learned(self) -> Whole:
        """Positions of the posts of known likes that peers learn from."""
        rows = np.concatenate([self.split.train, self.split.validation])
        return np.sort(rows[np.isfinite(self.truth[rows])])

    @property
    def tested(self) -> Whole:
        """Positions of the test posts of known likes."""
        return self.split.test[np.isfinite(self.truth[self.split.test])]


class Predicted(NamedTuple):
    """log(1 + likes) of tested posts, (tested,), and evoked's intervals, (tested, 2), and model."""

    likes: Floats
    interval: Floats | None = None
    model: str | None = None


class SkippedError(Exception):
    """A side can't run here; the message is the reason."""


def rows_of(dataset: PostDataset, split: str) -> Rows:
    """Rows, split and history, the same for every side."""
    posts = attach_history(dataset.posts.reset_index(drop=True))
    truth = np.log1p(known_counts(posts, "likes"))
    return Rows(dataset, choose_split(posts, split), posts, truth)


def most_posts(dataset: PostDataset, authors: int | None) -> PostDataset:
    """The posts of the authors with most posts."""
    if authors is None:
        return dataset
    author = dataset.posts["author_id"]
    # By id where two have the same number.
    counts = author.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    return dataset.select(author.isin(counts.index[:authors]).to_numpy())


def mean(rows: Rows) -> Predicted:
    """The mean of the posts that are learned from."""
    return Predicted(np.full(len(rows.tested), rows.truth[rows.learned].mean()))


def recent(column: str, rows: Rows) -> Predicted:
    """A column of history, the mean where an author has no earlier post."""
    known = rows.posts[f"history.{column}_likes"].to_numpy(dtype=float)[rows.tested]
    if not np.isfinite(known).any():
        raise SkippedError("no test post has a known earlier one")
    return Predicted(np.where(np.isfinite(known), known, mean(rows).likes))


def metadata(posts: pd.DataFrame) -> pd.DataFrame:
    """What is known before posting, but captions and history: (n, columns), NaN where unknown."""
    dates = pd.to_datetime(posts["posted_at"], utc=True)
    captions = posts["caption"].fillna("")
    columns = {
        "hour": dates.dt.hour.fillna(posts["posted_hour"]),
        "weekday": dates.dt.weekday.fillna(posts["posted_weekday"]),
        "characters": captions.str.len(),
        "questions": captions.str.count(r"\?"),
        "hashtags": posts["hashtags"].map(_length),
        "mentions": posts["mentions"].map(_length),
        "images": posts["images"].map(_length),
        "paid": posts["paid"].astype("float64"),
        "has_location": posts["has_location"].astype("float64"),
        **{name: np.log1p(known_counts(posts, name)) for name in ("followers", "following")},
    }
    frame = pd.DataFrame(columns, index=posts.index).astype("float64")
    kinds = pd.get_dummies(posts[["media_type", "category"]].astype(object), dtype="float64")
    return pd.concat([frame, kinds], axis=1)


def _length(values: Any) -> float:
    return float(len(values)) if isinstance(values, list | tuple | np.ndarray) else 0.0


def peer_features(posts: pd.DataFrame, learned: Whole) -> Floats:
    """Captions, metadata and history as numbers, (n, columns), NaN where unknown."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    parts = [metadata(posts), posts[list(HISTORY)]]
    captions = posts["caption"].fillna("")
    if captions.iloc[learned].str.strip().any():
        # Characters, since captions are in many languages.
        vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), max_features=20_000)
        words = vectorizer.fit(captions.iloc[learned])
        counts = words.transform(captions)
        size = min(CAPTION_PARTS, len(learned) - 1, counts.shape[1] - 1)
        reduced = TruncatedSVD(size, random_state=0).fit(counts[learned]).transform(counts)
        parts.append(pd.DataFrame(reduced, index=posts.index))
    return np.hstack([part.to_numpy(dtype=np.float64) for part in parts])


def ridge(rows: Rows) -> Predicted:
    """Ridge regression, its penalty chosen by leave-one-out."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features = peer_features(rows.posts, rows.learned)
    model = make_pipeline(
        SimpleImputer(add_indicator=True, keep_empty_features=True),
        StandardScaler(),
        RidgeCV(np.logspace(-1, 5, 19)),
    )
    model.fit(features[rows.learned], rows.truth[rows.learned])
    return Predicted(model.predict(features[rows.tested]))


def catboost(rows: Rows) -> Predicted:
    """CatBoost at its defaults."""
    from catboost import CatBoostRegressor

    features = peer_features(rows.posts, rows.learned)
    model = CatBoostRegressor(
        thread_count=1, random_seed=0, verbose=False, allow_writing_files=False
    )
    model.fit(features[rows.learned], rows.truth[rows.learned])
    return Predicted(model.predict(features[rows.tested]))


def table_for_tools(rows: Rows) -> pd.DataFrame:
    """Captions, metadata and history as a table, for tools that encode it themselves."""
    posts = rows.posts
    return pd.concat(
        [metadata(posts), posts[list(HISTORY)], posts["caption"].fillna("").astype(object)], axis=1
    )


def skrub(rows: Rows) -> Predicted:
    """skrub's pipeline for tables."""
    from skrub import tabular_pipeline

    features, model = table_for_tools(rows), tabular_pipeline("regressor", n_jobs=1)
    model.fit(features.iloc[rows.learned], rows.truth[rows.learned])
    return Predicted(model.predict(features.iloc[rows.tested]))


def autogluon(rows: Rows) -> Predicted:
    """AutoGluon at medium quality, at most a minute."""
    from autogluon.tabular import TabularPredictor

    features = table_for_tools(rows)
    with TemporaryDirectory() as folder:
        model = TabularPredictor("likes", path=folder, verbosity=0).fit(
            features.iloc[rows.learned].assign(likes=rows.truth[rows.learned]),
            time_limit=AUTOGLUON_SECONDS,
            presets="medium_quality",
            num_cpus=1,
        )
        return Predicted(model.predict(features.iloc[rows.tested]).to_numpy(dtype=np.float64))


def evoked_run(model: str | None, rows: Rows) -> Predicted:
    """evoked through its public API."""
    import evoked

    with TemporaryDirectory() as folder:
        place = Path(folder)
        cache = evoked.FeatureCache(place / "cache")
        run = (
            evoked.train(rows.dataset, out=place / "run", split=rows.split, cache=cache)
            if model is None
            else evoked.train(rows.dataset, model, place / "run", split=rows.split, cache=cache)
        )
        found = run.predict(rows.dataset).iloc[rows.tested]
    counts = found[["likes", "likes_low", "likes_high"]].to_numpy(dtype=np.float64)
    return Predicted(np.log1p(counts[:, 0]), np.log1p(counts[:, 1:]), repr(run.model))


@dataclass(frozen=True)
class Side:
    """One way to predict likes, and the package it needs."""

    predict: Callable[[Rows], Predicted]
    needs: str | None = None
    ours: bool = False


SIDES = {
    "mean": Side(mean),
    "last10": Side(partial(recent, "mean10")),
    "median5": Side(partial(recent, "median5")),
    "median10": Side(partial(recent, "median10")),
    "ridge": Side(ridge, "sklearn"),
    "CatBoost": Side(catboost, "catboost"),
    "skrub": Side(skrub, "skrub"),
    "AutoGluon": Side(autogluon, "autogluon"),
    "evoked": Side(partial(evoked_run, None), ours=True),
    "evoked linear": Side(partial(evoked_run, "linear"), ours=True),
}


class Measured(NamedTuple):
    """What a side predicted, the CPU seconds it took, and its process's peak memory in MB."""

    predicted: Predicted
    seconds: float
    megabytes: float


def measured(side: str, folder: Path, source: Source) -> Measured:
    """Run one side; called in a process of its own."""
    rows = rows_of(most_posts(PostDataset(folder), source.authors), source.split)
    start = time.process_time()
    predicted = SIDES[side].predict(rows)
    seconds = time.process_time() - start
    return Measured(predicted, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def explained_more(
    truth: ArrayLike, ours: ArrayLike, theirs: ArrayLike, weights: ArrayLike | None = None
) -> Any:
    """R² of ours minus R² of theirs, on the same posts."""
    return r2(truth, ours, weights) - r2(truth, theirs, weights)


def scores(truth: Floats, found: Measured) -> dict[str, Any]:
    """A side's row of the table."""
    likes, interval, _ = found.predicted
    covered = np.nan
    if interval is not None:
        covered = float(np.mean((interval[:, 0] <= truth) & (truth <= interval[:, 1])))
    return {
        "R²": float(r2(truth, likes)),
        "Spearman": float(spearman(truth, likes)),
        "MAE": float(mean_absolute_error(truth, likes)),
        "covered by 80 %": covered,
        "CPU s": found.seconds,
        "peak MB": found.megabytes,
    }


def differences(truth: Floats, found: dict[str, Floats]) -> list[dict[str, Any]]:
    """Each of evoked's sides beside the best peer, by R²; nothing where there is no peer."""
    peers = {name: likes for name, likes in found.items() if not SIDES[name].ours}
    if not peers:
        return []
    best = max(peers, key=lambda name: float(r2(truth, peers[name])))
    rows = []
    for name in (name for name in found if SIDES[name].ours):
        interval = bootstrap_interval(explained_more, truth, found[name], peers[best], n=1000)
        rows.append(
            {
                "side": name,
                "best peer": best,
                "R² more": interval.estimate,
                "low": interval.low,
                "high": interval.high,
                "n": interval.n,
            }
        )
    return rows


def compare(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Every side on one dataset."""
    source = DATASETS[name]
    path = arguments.data / source.path
    if not path.exists():
        return _skipped_dataset(f"{path} is absent")
    folder = arguments.work / name
    dataset = most_posts(import_posts(source.format, path, folder).dataset, source.authors)
    rows = rows_of(dataset, source.split)
    truth = rows.truth[rows.tested]
    found: dict[str, Measured] = {}
    skipped: dict[str, str] = {}
    for side in arguments.sides:
        needs = SIDES[side].needs
        if needs is not None and find_spec(needs) is None:
            skipped[side] = f"{needs} is not installed"
            continue
        # A new interpreter, so that no side pays for what another has loaded.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            try:
                found[side] = pool.submit(measured, side, folder, source).result()
            except SkippedError as error:
                skipped[side] = str(error)
                continue
        print(name, side, scores(truth, found[side]), flush=True)
    likes = {side: each.predicted.likes for side, each in found.items()}
    return {
        "posts": len(dataset),
        "split": rows.split.reason,
        "learned from": len(rows.learned),
        "tested": len(rows.tested),
        "scores": [{"side": side, **scores(truth, each)} for side, each in found.items()],
        "differences": differences(truth, likes),
        "models": {side: each.predicted.model for side, each in found.items() if SIDES[side].ours},
        "skipped": skipped,
    }


def _skipped_dataset(reason: str) -> dict[str, Any]:
    return {"posts": 0, "scores": [], "differences": [], "skipped": {"dataset": reason}}


def tables_of(figures: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """A table of scores for each dataset, and one each of all differences and of what was skipped,
    if there are any."""
    formats = {"CPU s": ".1f", "peak MB": ".0f"}
    tables = {
        name: table(pd.DataFrame(each["scores"]), **formats)
        for name, each in figures.items()
        if each["scores"]
    }
    for part in ("differences", "skipped"):
        rows = [
            {"dataset": name, **row}
            for name, each in figures.items()
            for row in (
                each[part]
                if part == "differences"
                else [{"side": side, "reason": why} for side, why in each[part].items()]
            )
        ]
        if rows:
            tables[part] = table(pd.DataFrame(rows), "+.3f")
    return tables


def _names(known: dict[str, Any], text: str) -> list[str]:
    chosen = text.split(",")
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"unknown: {', '.join(unknown)}; choose from {', '.join(known)}"
        )
    return chosen


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path(".cache/peers"), help="imported posts")
    parser.add_argument(
        "--datasets", type=partial(_names, DATASETS), default=list(DATASETS), metavar="A,B"
    )
    parser.add_argument("--sides", type=partial(_names, SIDES), default=list(SIDES), metavar="A,B")
    add_json_option(parser)
    arguments = parser.parse_args()
    # The sides' processes inherit it.
    os.environ["OMP_NUM_THREADS"] = "1"
    figures = {name: compare(name, arguments) for name in arguments.datasets}
    finish(
        arguments,
        figures,
        tables=tables_of(figures),
        code=["src/evoked/models", "src/evoked/targets", "src/evoked/runs/choice.py"],
        libraries=("torch", "catboost", "scikit-learn"),
    )


if __name__ == "__main__":
    main()

"""How well are likes, views and emotion predicted, beside what else a user might take?

Real posts. All sides learn from the same posts and are scored on the same test posts. The peers are
baselines of an author's last posts, ridge, CatBoost, skrub and AutoGluon (see ``peer_models.py``),
and two networks, AutoGluon's multimodal predictor and pytorch-widedeep (``peer_networks.py``). They
read captions, metadata, facts, the picture and history of strictly earlier posts, nothing
that is unknown before posting. Of the picture they see colours on a coarse grid, or with
``--peer-pictures vectors`` the vectors that evoked's own models read, reduced to 24 principal
components of the learned posts; the networks see the picture itself, and stop a fit after
``--network-seconds`` of the processor. Peers run in an environment of their own: make one, install
``peers.txt`` there, and name its interpreter with ``--peers-python``; pytorch-widedeep, which takes
older packages, in one of ``peers_widedeep.txt``, named with ``--widedeep-python``.

evoked is trained through its public API, without a model ("evoked"), as ``linear`` and, where asked
for, by ``auto``. Each side runs in a process of its own on one thread; CPU seconds are those of
fits and predictions, for evoked those of all features as well, extracted anew.

Differences are evoked minus a peer in R², the best one and each, with a 95 % interval of 1,000
resamples of test posts. The best peer is picked with the test scores in sight, which flatters it.

Run: ``python benchmarks/peers.py --data FOLDER --datasets NAME --json FILE``; ``--sides`` takes
some of them. What is absent is skipped, with the reason. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from peer_checkpoints import write_checkpoints
from peer_models import COLOUR, FOLD, PEERS, VECTOR, cost, cpu_seconds
from peer_networks import CHECKPOINTS, NETWORK_SECONDS, NETWORKS, PICTURE_FILE, WIDEDEEP
from PIL import Image
from record import add_json_option, finish, table

from evoked.evaluation.bootstrap import bootstrap_interval
from evoked.evaluation.metrics import mean_absolute_error, r2, spearman
from evoked.evaluation.splits import Split, choose_split, k_fold
from evoked.features.extract import extract
from evoked.posts.author_history import attach_history, known_counts
from evoked.posts.dataset import PostDataset
from evoked.posts.importing import import_posts
from evoked.posts.schema import EMOTIONS

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

# Features of all captions take minutes; of fewer authors, a single post is from the last day.
AUTHORS = 60
# Width and height of the picture that peers see.
PICTURE = 4
# What peers see of a picture.
COLOURS, VECTORS = "colours", "vectors"


@dataclass(frozen=True)
class Source:
    """A dataset and a question about it.

    Attributes
    ----------
    format, path, options
        How it is imported: options of :func:`evoked.import_posts`.
    split
        Kind of split.
    outcome
        Column that is predicted; counts as log(1 + count).
    folds
        How many times posts are tested on: once, or all of them in that many folds.
    authors
        How many authors are taken, those with most posts; all by default.
    by_name
        Whether posts whose ids differ in their last number only count as one author's.
    settings
        Settings of evoked's ``linear``; where there are any, no other side of evoked's is fair.
    """

    format: str
    path: str
    split: str
    outcome: str = "likes"
    folds: int = 1
    authors: int | None = None
    by_name: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def imported(self, data: Path, dest: Path, *, overwrite: bool = False) -> PostDataset:
        """Import it from the folder ``data`` of all datasets."""
        source = data / self.path
        return import_posts(self.format, source, dest, overwrite=overwrite, **self.options).dataset


_AUTHORS = ("jsonl", "instagram_authors/posts.jsonl")
_OASIS = partial(
    Source,
    "csv",
    "oasis/oasis.csv",
    "author",
    folds=5,
    by_name=True,
    options={"mapping": {"post_id": "theme"}},
)
# The shipped emotion reader has learned from these sentences.
_EMOBANK = partial(
    Source, "csv", "emobank/emobank.csv", "column", settings={"emotion_reader": False}
)

DATASETS = {
    "instagram_top20": Source("instaloader", "instagram_top20", "time"),
    "instagram_authors": Source(*_AUTHORS, "time", authors=AUTHORS),
    "instagram_all_authors": Source(*_AUTHORS, "time"),
    "instagram_strangers": Source(*_AUTHORS, "author", authors=AUTHORS),
    # These posts have no dates.
    "instagram_insights": Source("csv", "instagram_insights/Instagram data.csv", "random", folds=5),
    "facebook_metrics": Source("csv", "facebook_metrics/dataset_Facebook.csv", "random", folds=5),
    "youtube_titles": Source(
        "csv",
        "youtube_titles/videos.csv",
        "author",
        outcome="views",
        folds=5,
        options={
            "facts": ["keyword", "duration_seconds", "tags_count", "description_length"],
        },
    ),
    "oasis_valence": _OASIS(outcome="valence"),
    "oasis_arousal": _OASIS(outcome="arousal"),
    "emobank_valence": _EMOBANK(outcome="valence"),
    "emobank_arousal": _EMOBANK(outcome="arousal"),
}


class Rows(NamedTuple):
    """What every side of a dataset gets.

    Attributes
    ----------
    dataset
        n posts.
    posts
        The posts with their history, (n,) rows.
    outcome
        Column that is predicted.
    truth
        Its values, counts as log(1 + count), (n,); NaN where unknown.
    splits
        Parts of each fold; peers learn from training and validation posts together.
    settings
        See :class:`Source`.
    """

    dataset: PostDataset
    posts: pd.DataFrame
    outcome: str
    truth: Floats
    splits: list[Split]
    settings: dict[str, Any]

    def learned(self, split: Split) -> Whole:
        """Positions of a fold's posts of known truth that peers learn from."""
        rows = np.concatenate([split.train, split.validation])
        return np.sort(rows[np.isfinite(self.truth[rows])])

    def tested(self, split: Split) -> Whole:
        """Positions of a fold's test posts of known truth."""
        return split.test[np.isfinite(self.truth[split.test])]

    @property
    def all_tested(self) -> Whole:
        """Positions of the test posts of all folds, in the folds' order."""
        return np.concatenate([self.tested(split) for split in self.splits])


class Predicted(NamedTuple):
    """Predictions of all tested posts, (tested,), evoked's intervals, (tested, 2), and models."""

    values: Floats
    interval: Floats | None = None
    models: tuple[str, ...] = ()


class Measured(NamedTuple):
    """What a side predicted, the CPU seconds it took, and its process's peak memory in MB; of a
    peer also the seconds of fits and of predictions alone."""

    predicted: Predicted
    seconds: float
    megabytes: float
    fit: float = np.nan
    predict: float = np.nan


class SkippedError(Exception):
    """A side can't run here; the message is the reason."""


def rows_of(dataset: PostDataset, source: Source) -> Rows:
    """Rows, folds and history, the same for every side."""
    dataset = most_posts(dataset, source.authors)
    posts = attach_history(dataset.posts.reset_index(drop=True))
    is_rating = source.outcome in EMOTIONS
    truth = (
        posts[source.outcome].to_numpy(dtype=np.float64)
        if is_rating
        else np.log1p(known_counts(posts, source.outcome))
    )
    grouped = posts
    if source.by_name:
        stems = posts["post_id"].str.replace(r"\s*\d+$", "", regex=True)
        grouped = posts.assign(author_id=stems)
    splits = (
        [choose_split(grouped, source.split)]
        if source.folds == 1
        else list(k_fold(grouped, source.folds, source.split))
    )
    return Rows(dataset, posts, source.outcome, truth, splits, source.settings)


def most_posts(dataset: PostDataset, authors: int | None) -> PostDataset:
    """The posts of the authors with most posts."""
    if authors is None:
        return dataset
    author = dataset.posts["author_id"]
    # By id where two have the same number.
    counts = author.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    return dataset.select(author.isin(counts.index[:authors]).to_numpy())


def peer_table(rows: Rows, seen: str = COLOURS) -> pd.DataFrame:
    """What ``peer_models.py`` reads, ``seen`` of the picture."""
    posts = rows.posts
    names = ["posts", "hours"]
    columns = {f"history.{name}": posts[f"history.{name}"] for name in names}
    if rows.outcome not in EMOTIONS:
        for name in ("last", "mean5", "mean10", "median5", "median10"):
            columns[f"history.{name}"] = posts[f"history.{name}_{rows.outcome}"]
    picture = colours(rows.dataset) if seen == COLOURS else vectors(rows.dataset)
    features = pd.concat([metadata(posts), facts(posts), picture], axis=1)
    folds = {}
    for number, split in enumerate(rows.splits):
        part = np.full(len(posts), "", dtype=object)
        part[rows.learned(split)], part[rows.tested(split)] = "learned", "tested"
        folds[f"{FOLD}{number}"] = part
    columns["caption"] = posts["caption"].fillna("").astype(object)
    names = [str(path or "") for path in rows.dataset.cover_paths()]
    columns[PICTURE_FILE] = pd.Series(names, posts.index, dtype=object)
    return features.assign(**columns, truth=rows.truth, **folds)


def metadata(posts: pd.DataFrame) -> pd.DataFrame:
    """What is known before posting, but words and history: (n, columns), NaN where unknown."""
    dates = pd.to_datetime(posts["posted_at"], utc=True)
    captions = posts["caption"].fillna("")
    columns = {
        "hour": dates.dt.hour.fillna(posts["posted_hour"]),
        "weekday": dates.dt.day_of_week.fillna(posts["posted_weekday"]),
        "day": (dates - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1),
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


def facts(posts: pd.DataFrame) -> pd.DataFrame:
    """The user's own columns as numbers: classes as columns of 0 and 1."""
    own = posts[[name for name in posts if str(name).startswith("fact.")]]
    numbers = own.select_dtypes("number").astype("float64")
    classes = own.drop(columns=numbers.columns).astype(object)
    if classes.empty:
        return numbers
    return pd.concat([numbers, pd.get_dummies(classes, dtype="float64")], axis=1)


def colours(dataset: PostDataset) -> pd.DataFrame:
    """The cover's colours, on a coarse grid and how they vary; no column without pictures."""
    names = [images[0] if len(images) else None for images in dataset.posts["images"]]
    if not any(names):
        return pd.DataFrame(index=range(len(names)))
    rows = np.full((len(names), 3 * PICTURE**2 + 3), np.nan)
    for row, name in enumerate(names):
        if name is not None:
            with Image.open(dataset.folder / "images" / name) as image:
                small_image = image.convert("RGB").resize((64, 64))
            small = small_image.resize((PICTURE, PICTURE), Image.Resampling.BOX)
            spread = np.asarray(small_image, dtype=np.float64).std(axis=(0, 1))
            rows[row] = np.append(np.asarray(small, dtype=np.float64).ravel(), spread)
    return pd.DataFrame(rows).add_prefix(COLOUR)


def vectors(dataset: PostDataset) -> pd.DataFrame:
    """The cover's vector as evoked's models read it, NaN without a picture; no column if none has
    one."""
    column = extract(dataset, ["image.vector"])[0].columns["image.vector"]
    if not column.present.any():
        return pd.DataFrame(index=range(len(column.present)))
    rows = np.arange(len(column.present))
    found = column.arrays(rows)[""].astype(np.float64)
    found[~column.present] = np.nan
    return pd.DataFrame(found).add_prefix(VECTOR)


def _length(values: Any) -> float:
    return float(len(values)) if isinstance(values, list | tuple | np.ndarray) else 0.0


def evoked_runs(model: str | None, rows: Rows) -> Predicted:
    """evoked through its public API, a run per fold."""
    import evoked

    _check_fair(model, rows)
    models, parts = [], []
    with TemporaryDirectory() as place:
        cache = evoked.FeatureCache(Path(place) / "cache")
        for number, split in enumerate(rows.splits):
            out = Path(place) / f"run{number}"
            run = evoked.train(
                rows.dataset, model, out, split=split, cache=cache, model_settings=rows.settings
            )
            parts.append(run.predict(rows.dataset).iloc[rows.tested(split)])
            models.append(str(run.model.name))
    found = pd.concat(parts)
    names = [rows.outcome, f"{rows.outcome}_low", f"{rows.outcome}_high"]
    values = found[names].to_numpy(dtype=np.float64)
    if rows.outcome not in EMOTIONS:
        values = np.log1p(values)
    return Predicted(values[:, 0], values[:, 1:], tuple(models))


def _check_fair(model: str | None, rows: Rows) -> None:
    if rows.settings and model != "linear":
        raise SkippedError("the emotion reader has learned from these texts")


def automatic(rows: Rows) -> Predicted:
    """``auto``: the best of several models, by folds of the posts that are learned from."""
    import evoked

    _check_fair(None, rows)
    if len(rows.splits) > 1:
        raise SkippedError("takes too long for several folds")
    (split,) = rows.splits
    with TemporaryDirectory() as place:
        run = evoked.train_automatically(rows.dataset, Path(place) / "run", split=split)
        found = run.predict(rows.dataset).iloc[rows.tested(split)]
    names = [rows.outcome, f"{rows.outcome}_low", f"{rows.outcome}_high"]
    values = np.log1p(found[names].to_numpy(dtype=np.float64))
    return Predicted(values[:, 0], values[:, 1:], (str(run.model.name),))


OURS: dict[str, Callable[[Rows], Predicted]] = {
    "evoked": partial(evoked_runs, None),
    "evoked linear": partial(evoked_runs, "linear"),
    "evoked auto": automatic,
}
SIDES = [*PEERS, *OURS]
_DEFAULT_SIDES = [name for name in SIDES if name != "evoked auto" and name not in NETWORKS]


def measured(side: str, folder: Path, source: Source) -> Measured:
    """Run one of evoked's sides; called in a process of its own."""
    rows = rows_of(PostDataset(folder), source)
    start = cpu_seconds()
    predicted = OURS[side](rows)
    return Measured(predicted, **cost(start))


def measured_peer(
    side: str, python: str, folder: Path, rows: Rows, network_seconds: float = NETWORK_SECONDS
) -> Measured:
    """Run a peer with the interpreter ``python`` on ``folder / "table.parquet"``."""
    if side in NETWORKS:
        write_checkpoints(folder / CHECKPOINTS)
    script = Path(__file__).with_name("peer_models.py")
    command = [python, str(script), str(folder), side, "--seconds", str(network_seconds)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SkippedError(done.stderr.strip().splitlines()[-1])
    found = pd.read_parquet(folder / f"{side}.parquet")["predicted"].to_numpy(dtype=np.float64)
    return Measured(Predicted(found[rows.all_tested]), **json.loads(done.stdout.splitlines()[-1]))


def explained_more(
    truth: ArrayLike, ours: ArrayLike, theirs: ArrayLike, weights: ArrayLike | None = None
) -> Any:
    """R² of ours minus R² of theirs, on the same posts."""
    return r2(truth, ours, weights) - r2(truth, theirs, weights)


def scores(truth: Floats, found: Measured) -> dict[str, Any]:
    """A side's row of the table."""
    values, interval, models = found.predicted
    covered = np.nan
    if interval is not None:
        covered = float(np.mean((interval[:, 0] <= truth) & (truth <= interval[:, 1])))
    return {
        "R²": float(r2(truth, values)),
        "Spearman": float(spearman(truth, values)),
        "MAE": float(mean_absolute_error(truth, values)),
        "covered by 80 %": covered,
        "CPU s": found.seconds,
        "peak MB": found.megabytes,
        "models": ", ".join(dict.fromkeys(models)),
    }


def beside_each(truth: Floats, found: dict[str, Floats]) -> list[dict[str, Any]]:
    """Each of evoked's sides beside each peer."""
    rows = []
    for name, peer in product(found, found):
        if name not in OURS or peer not in PEERS:
            continue
        interval = bootstrap_interval(explained_more, truth, found[name], found[peer], n=1000)
        rows.append(
            {
                "side": name,
                "peer": peer,
                "R² more": interval.estimate,
                "low": interval.low,
                "high": interval.high,
                "n": interval.n,
            }
        )
    return rows


def differences(truth: Floats, found: dict[str, Floats]) -> list[dict[str, Any]]:
    """Each of evoked's sides beside the best peer, by R²; nothing where there is no peer."""
    peers = [name for name in found if name in PEERS]
    if not peers:
        return []
    best = max(peers, key=lambda name: float(r2(truth, found[name])))
    compared = {name: values for name, values in found.items() if name in OURS or name == best}
    return [
        {("best peer" if name == "peer" else name): value for name, value in row.items()}
        for row in beside_each(truth, compared)
    ]


def all_measured(
    name: str, rows: Rows, arguments: argparse.Namespace
) -> Iterator[tuple[str, Measured | str]]:
    """What each side achieves on one dataset, or why it was skipped."""
    folder = arguments.work / name
    peer_table(rows, arguments.peer_pictures).to_parquet(folder / "table.parquet")
    for side in arguments.sides:
        try:
            if side in PEERS:
                python, seconds = interpreter(side, arguments), arguments.network_seconds
                yield side, measured_peer(side, python, folder, rows, seconds)
                continue
            # A new interpreter, so that no side pays for what another has loaded.
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                yield side, pool.submit(measured, side, folder, DATASETS[name]).result()
        except SkippedError as error:
            yield side, str(error)


def compare(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Every side on one dataset."""
    source = DATASETS[name]
    path = arguments.data / source.path
    if not path.exists():
        return _skipped_dataset(f"{path} is absent")
    dataset = source.imported(arguments.data, arguments.work / name, overwrite=True)
    rows = rows_of(dataset, source)
    truth = rows.truth[rows.all_tested]
    found: dict[str, Measured] = {}
    skipped: dict[str, str] = {}
    for side, each in all_measured(name, rows, arguments):
        if isinstance(each, str):
            skipped[side] = each
            print(name, side, "skipped:", each, flush=True)
        else:
            found[side] = each
            print(name, side, scores(truth, each), flush=True)
    values = {side: each.predicted.values for side, each in found.items()}
    return {
        "posts": len(rows.posts),
        "split": rows.splits[0].reason,
        "learned from": len(rows.learned(rows.splits[0])),
        "tested": len(truth),
        "scores": [{"side": side, **scores(truth, each)} for side, each in found.items()],
        "differences": differences(truth, values),
        "each": beside_each(truth, values),
        "skipped": skipped,
    }


def _skipped_dataset(reason: str) -> dict[str, Any]:
    return {
        "posts": 0,
        "scores": [],
        "differences": [],
        "each": [],
        "skipped": {"dataset": reason},
    }


def tables_of(figures: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """A table of scores for each dataset, and one each of all differences from the best peer, of
    those from each, and of what was skipped, if there are any."""
    formats = {"CPU s": ".1f", "peak MB": ".0f"}
    tables = {
        name: table(pd.DataFrame(each["scores"]), **formats)
        for name, each in figures.items()
        if each["scores"]
    }
    for part in ("differences", "each", "skipped"):
        rows = [
            {"dataset": name, **row}
            for name, each in figures.items()
            for row in (
                each[part]
                if part != "skipped"
                else [{"side": side, "reason": why} for side, why in each[part].items()]
            )
        ]
        if rows:
            tables[part] = table(pd.DataFrame(rows), "+.3f")
    return tables


def names_of(known: list[str], text: str) -> list[str]:
    """Names between commas, each a known one; for options."""
    chosen = text.split(",")
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"unknown: {', '.join(unknown)}; choose from {', '.join(known)}"
        )
    return chosen


def add_peer_options(parser: argparse.ArgumentParser) -> None:
    """Give a benchmark the options by which peers are run."""
    parser.add_argument(
        "--peers-python", default=sys.executable, help="interpreter that has the peers' packages"
    )
    parser.add_argument("--widedeep-python", help="the same of pytorch-widedeep")
    parser.add_argument("--network-seconds", type=float, default=NETWORK_SECONDS)


def interpreter(side: str, arguments: argparse.Namespace) -> str:
    """What runs a peer."""
    own = arguments.widedeep_python if side == WIDEDEEP else None
    return str(own or arguments.peers_python)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path(".cache/peers"), help="imported posts")
    add_peer_options(parser)
    parser.add_argument(
        "--datasets", type=partial(names_of, list(DATASETS)), default=list(DATASETS), metavar="A,B"
    )
    parser.add_argument(
        "--sides", type=partial(names_of, SIDES), default=_DEFAULT_SIDES, metavar="A,B"
    )
    parser.add_argument("--peer-pictures", choices=(COLOURS, VECTORS), default=COLOURS)
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

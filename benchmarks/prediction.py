"""How fast every model of posts predicts, how long one takes, and whether memory stays flat.

Each model learns its first task from 300 synthetic posts (one epoch, or 200 trees per target),
is saved, and is loaded in a process of its own, on one thread. Timed there:

- *posts/s*: 10,000 posts whose features lie computed in memory-mapped files: taking batches, the
  network or trees, and leading the columns back to what people read
  (``Task.inverse_transform``). Encoders are not timed: what they take stands in
  ``benchmarks/extraction.py``;
- *one post*, and *bare post* without image, caption and hashtags: median of 20 single rows;
- *growth*: how far the peak of the process's memory for 10,000 posts lies above that for 2,000.
  500 posts are repeated, so that pages of the files count in both. Linux only.

Run: ``OMP_NUM_THREADS=1 python benchmarks/prediction.py``; the last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from record import add_json_option, finish, table

from evoked.features.cache import FeatureCache
from evoked.features.pipeline import FeaturePipeline
from evoked.features.table import Column, FeatureTable, RaggedColumn
from evoked.files import read_json, write_json
from evoked.models import MODELS, Examples, build_model, load_model
from evoked.posts.dataset import PostDataset
from evoked.posts.synthetic.posts import synthesise
from evoked.targets import load_task, task_class, task_state
from evoked.training import TrainingSettings

DISTINCT, LEARNED_FROM = 500, 300
FEW, MANY = 2_000, 10_000
REPEATS = 20
_TREES = {"trees": 200}
SETTINGS: dict[str, dict[str, Any]] = {
    "gradient_boosting": _TREES,
    "pixelrec_catboost": _TREES,
    "stack": {
        "members": [{"model": "linear"}, {"model": "gradient_boosting", "settings": _TREES}],
        "folds": 2,
    },
}


def posts_of(folder: Path, cache: FeatureCache, names: list[str]) -> Examples:
    """500 synthetic posts with every feature; the cache spares what it holds."""
    place = folder / "posts-4000-0"
    dataset = PostDataset(place) if place.is_dir() else synthesise(folder / "posts", n=DISTINCT)
    dataset = dataset.select(np.arange(DISTINCT))
    posts, covers = dataset.posts, dataset.cover_paths()
    pipeline = FeaturePipeline(names).fit(
        posts.iloc[:LEARNED_FROM], images=covers[:LEARNED_FROM], cache=cache
    )
    features, _ = pipeline.transform(posts, covers, cache=cache)
    return Examples(posts, features)


def write_features(features: FeatureTable, folder: Path) -> None:
    """A file per array, which other processes map into memory."""
    for name, column in features.columns.items():
        if isinstance(column, RaggedColumn):
            own = np.concatenate(
                [
                    np.arange(start, start + length)
                    for start, length in zip(column.starts, column.lengths, strict=True)
                ]
            ).astype(np.int64)
            np.save(folder / f"{name}.ragged.npy", column.data[own])
            np.save(folder / f"{name}.lengths.npy", column.lengths)
        elif isinstance(column, Column):
            np.save(folder / f"{name}.dense.npy", column.data[np.maximum(column.index[:, 0], 0)])
            np.save(folder / f"{name}.present.npy", column.present)


def read_features(folder: Path, names: list[str]) -> FeatureTable:
    """Inverse of :func:`write_features`."""
    columns: dict[str, Any] = {}
    for name in names:
        if (folder / f"{name}.dense.npy").is_file():
            data = np.load(folder / f"{name}.dense.npy", mmap_mode="r")
            columns[name] = Column.dense(data, np.load(folder / f"{name}.present.npy"))
        else:
            lengths = np.load(folder / f"{name}.lengths.npy")
            data = np.load(folder / f"{name}.ragged.npy", mmap_mode="r")
            columns[name] = RaggedColumn(data, np.cumsum(lengths) - lengths, lengths)
    if not columns:  # a model that reads the posts' own table
        columns["post"] = Column.dense(np.zeros((DISTINCT, 1), dtype=np.float32))
    return FeatureTable(columns)


def learn(name: str, examples: Examples, folder: Path) -> None:
    """Train a model on the first posts and save it with its task."""
    model = build_model(name, SETTINGS.get(name))
    task = task_class(model.task.name).fit(examples.posts.iloc[:LEARNED_FROM])
    columns = {each: examples.features.columns[each] for each in model.features}
    features = FeatureTable(columns or examples.features.columns)
    known = Examples(examples.posts, features, task.transform(examples.posts))
    training = TrainingSettings(max_epochs=1, device="cpu")
    with tempfile.TemporaryDirectory() as scratch:
        model.fit(known.select(np.arange(LEARNED_FROM)), folder=Path(scratch), training=training)
    model.save(folder / name)
    write_json(folder / name / "task.json", task_state(task))


def bare(examples: Examples) -> Examples:
    """The same posts without image, caption and hashtags."""
    columns: dict[str, Any] = {}
    for name, column in examples.features.columns.items():
        if name.startswith(("metadata", "environment", "likability", "post")):
            columns[name] = column
        elif isinstance(column, Column):
            columns[name] = replace(column, index=np.full_like(column.index, -1))
        elif isinstance(column, RaggedColumn):
            columns[name] = replace(column, lengths=np.zeros_like(column.lengths))
    tags: Any = pd.Series([[] for _ in range(len(examples))], dtype=object)
    return Examples(examples.posts.assign(caption=None, hashtags=tags), FeatureTable(columns))


def measure(folder: Path, name: str) -> dict[str, Any]:
    """What a fresh process takes to predict; see the top of this file."""
    torch.set_num_threads(1)
    model = load_model(folder / name)
    task = load_task(read_json(folder / name / "task.json"))
    posts = pd.read_parquet(folder / "posts.parquet")
    posts["hashtags"] = [list(tags) for tags in posts["hashtags"]]
    whole = Examples(posts, read_features(folder, model.features))

    def seconds(examples: Examples) -> float:
        started = time.perf_counter()
        task.inverse_transform(model.predict(examples), examples.posts)
        return time.perf_counter() - started

    def peak() -> float:
        # Not getrusage's: that remembers the process which started this one.
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line) / 1024

    few, many = (whole.select(np.arange(n) % DISTINCT) for n in (FEW, MANY))
    seconds(few)
    before = peak()
    taken = seconds(many)
    growth = peak() - before
    one = statistics.median(seconds(whole.select([row])) for row in range(REPEATS))
    without = statistics.median(seconds(bare(whole.select([row]))) for row in range(REPEATS))
    return {
        "model": name,
        "task": task.name,
        "posts_per_second": round(MANY / taken),
        "one_post_ms": round(1000 * one, 2),
        "bare_post_ms": round(1000 * without, 2),
        "peak_mib": round(before),
        "growth_mib": round(growth, 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", help="names, comma-separated; those of posts by default")
    parser.add_argument("--work", type=Path, default=Path(".cache/synthetic"))
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    add_json_option(parser)
    arguments = parser.parse_args()
    names = [name for name, kind in MODELS.items() if kind.rows == "posts"]
    names = arguments.models.split(",") if arguments.models else names
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, names[0])))
        return
    torch.set_num_threads(1)
    needed = [build_model(name, SETTINGS.get(name)).features for name in names]
    features = list(dict.fromkeys(feature for each in needed for feature in each))
    examples = posts_of(arguments.work, FeatureCache(arguments.work / "cache"), features)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_features(examples.features, folder)
        examples.posts.to_parquet(folder / "posts.parquet")
        for name in names:
            learn(name, examples, folder)
            command = [sys.executable, __file__, "--measure", str(folder), "--models", name]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
            print(f"{name}: {rows[-1]['posts_per_second']} posts/s", file=sys.stderr, flush=True)
    headings = {
        "posts_per_second": "posts/s",
        "one_post_ms": "one post, ms",
        "bare_post_ms": "bare post, ms",
        "peak_mib": f"peak at {FEW:,}, MiB",
        "growth_mib": f"growth to {MANY:,}, MiB",
    }
    shown = pd.DataFrame(rows).rename(columns=headings)
    print(shown.to_markdown(index=False))
    formats = {"posts/s": ",d", "one post, ms": ".1f", "bare post, ms": ".1f"}
    peaks = {headings["peak_mib"]: ",d", headings["growth_mib"]: ".0f"}
    finish(
        arguments,
        {"posts": MANY, "distinct_posts": DISTINCT, "threads": 1, "models": rows},
        tables={"models": table(shown, **formats, **peaks)},
        code=["src/evoked/models"],
    )


if __name__ == "__main__":
    main()

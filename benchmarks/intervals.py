"""Do prediction intervals hold the truth as often as they promise?

Synthetic posts, several seeds (of which of the posts, of their split and of training alike); light
models of several tasks, each a whole run: trained, calibrated on half of its validation posts,
measured on its test posts. One measurement varies by what stands under "chance": with c calibration
and n test posts its standard deviation is about the root of level · (1 − level) · (1 / c + 1 / n).
That of a mean over seeds is smaller by their root, or by less, since two seeds share posts. The
last line is JSON.

Run: ``python benchmarks/intervals.py`` (interrupted, it goes on; the posts and their features are
those of ``benchmarks/synthetic.py``), or on imported posts, all of them:
``python benchmarks/intervals.py --data DATASET --models linear=popularity,eijl=shares``.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import evoked
from evoked.features.cache import FeatureCache
from evoked.files import write_text
from evoked.posts.dataset import PostDataset
from evoked.posts.synthetic.posts import synthesise
from evoked.runs.posts import Run
from evoked.runs.training import train_posts
from evoked.targets import TASKS, Emotion
from evoked.training import TrainingSettings

# Light ones, so that there can be many seeds: a trivial one, one for every task of synthetic posts,
# a network.
MODELS: list[tuple[str, str]] = [
    *(("mean", task) for task in ("emotion_engagement", "popularity", "shares")),
    *(("linear", task) for task in TASKS if task != Emotion.name),
    ("early_fusion", "emotion_engagement"),
]
# How far from its promise a coverage may be.
TOLERANCE = 0.02


def posts_of(arguments: argparse.Namespace, seed: int) -> PostDataset:
    """The imported posts, or ``n`` of ``size`` synthetic ones, which are made once."""
    if arguments.data is not None:
        return PostDataset(arguments.data)
    place, size = arguments.work / f"posts-{arguments.size}-0", arguments.size
    dataset = PostDataset(place) if place.is_dir() else synthesise(place, n=size, seed=0)
    rows = np.random.default_rng(seed).permutation(len(dataset))[: arguments.n]
    return dataset.select(np.sort(rows))


def coverage_of(arguments: argparse.Namespace, seed: int, model: str, task: str) -> pd.DataFrame:
    """A run's coverage on its test posts; the run is made once."""
    posts = arguments.n if arguments.data is None else arguments.data.name
    name = f"intervals-{posts}-{arguments.split}-{seed}-{model}-{task}"
    place = arguments.work / name
    if (place / "run.json").is_file():
        run = Run.load(place)
    else:
        run = train_posts(
            posts_of(arguments, seed),
            model,
            place,
            task=task,
            training=TrainingSettings(max_epochs=3, seed=seed, device="cpu"),
            split=arguments.split,
            cache=FeatureCache(arguments.work / "cache"),
        )
    rows = pd.DataFrame(run.metrics["intervals"])
    rows.insert(0, "model", model)
    rows.insert(1, "task", task)
    return rows.assign(seed=seed)


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean coverage and width over the seeds, and what chance alone does to such a mean."""
    spread = 1 / rows["calibration"] + 1 / rows["n"]
    rows = rows.assign(chance=rows["nominal"] * (1 - rows["nominal"]) * spread)
    table = rows.groupby(["model", "task", "outcome", "nominal"], sort=False).agg(
        coverage=("coverage", "mean"),
        lowest=("coverage", "min"),
        highest=("coverage", "max"),
        chance=("chance", lambda variances: float(np.sqrt(variances.sum()) / len(variances))),
        width=("width", "mean"),
        calibration=("calibration", "mean"),
        n=("n", "mean"),
        seeds=("seed", "nunique"),
    )
    return table.reset_index()


def by_model(table: pd.DataFrame) -> pd.DataFrame:
    """Mean coverage over the outcomes of a model and task; counts, which are covered exactly when
    their rates are, left out."""
    counts = table["outcome"].isin(["likes", "comments", "shares", "saves"])
    kept = table[~(counts & (table["task"] == "emotion_engagement"))]
    means = kept.groupby(["model", "task", "nominal"], sort=False)["coverage"].mean().reset_index()
    return means.assign(inside=(means["coverage"] - means["nominal"]).abs() <= TOLERANCE)


def as_markdown(table: pd.DataFrame, means: pd.DataFrame, arguments: argparse.Namespace) -> str:
    """The results as a page."""
    posts = f"{arguments.n} synthetic posts"
    command = f"--n {arguments.n}"
    if arguments.data is not None:
        posts, command = f"posts of {arguments.data.name}", f"--data {arguments.data.name}"
    if arguments.models is not None:
        command += f" --models {arguments.models}"
    if arguments.split != "random":
        command += f" --split {arguments.split}"
    return f"""# Prediction intervals: {posts}, {arguments.seeds} seeds

`python benchmarks/intervals.py {command} --seeds {arguments.seeds}`, split
{arguments.split}; evoked {evoked.__version__}, Python {platform.python_version()}, one processor
thread, builtin encoders, networks with 3 epochs.

## Per model and task

Mean coverage over outcomes and seeds; inside: at most {TOLERANCE:.0%} off. Sets of classes can
cover more than they promise where probabilities tie.

{means.to_markdown(index=False, floatfmt=".3f")}

## Per outcome

Lowest and highest of a seed; chance: standard deviation of the mean over seeds that comes of few
calibration and test posts alone. Width: of rates and counts in their units, of classes how many a
set holds.

{table.to_markdown(index=False, floatfmt=".3f")}
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="imported posts in place of synthetic ones")
    parser.add_argument("--models", help="MODEL=TASK, comma-separated; light ones by default")
    parser.add_argument("--size", type=int, default=4000, help="posts to draw from")
    parser.add_argument("--n", type=int, default=2000, help="posts per run")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--split", default="random", choices=["random", "author", "time"])
    parser.add_argument("--work", type=Path, default=Path(".cache/synthetic"))
    parser.add_argument("--only-seed", type=int, help="measure this seed alone and stop")
    parser.add_argument("--out", type=Path, default=Path("results/intervals.md"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(arguments.seeds) if arguments.only_seed is None else [arguments.only_seed]
    models = MODELS
    if arguments.models is not None:
        models = [(pair.split("=")[0], pair.split("=")[1]) for pair in arguments.models.split(",")]
    parts = []
    for seed in seeds:
        for model, task in models:
            parts.append(coverage_of(arguments, seed, model, task))
            print(seed, model, task, parts[-1]["coverage"].round(3).tolist(), flush=True)
    table = summarise(pd.concat(parts, ignore_index=True))
    means = by_model(table)
    print(table.to_string(index=False, float_format="{:.3f}".format))
    print(means.to_string(index=False, float_format="{:.3f}".format))
    if arguments.only_seed is None:
        write_text(arguments.out, as_markdown(table, means, arguments))
    print(
        json.dumps(
            {
                f"{row['model']} {row['task']} {row['level']:.0%}": round(row["coverage"], 4)
                for _, row in means.iterrows()
            }
        )
    )


if __name__ == "__main__":
    main()

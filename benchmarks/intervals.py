"""Do prediction intervals hold the truth as often as they promise?

Synthetic posts, several seeds (of which of the posts, of their split and of training alike); light
models of several tasks, each a whole run: trained, calibrated on half of its validation posts,
measured on its test posts. One measurement varies by what stands under "chance": with c calibration
and n test posts its standard deviation is about the root of level · (1 − level) · (1 / c + 1 / n).
That of a mean over seeds is smaller by their root, or by less, since two seeds share posts.

Run: ``python benchmarks/intervals.py`` (interrupted, it goes on; the posts and their features are
those of ``benchmarks/synthetic.py``), or on imported posts, all of them:
``python benchmarks/intervals.py --data DATASET --models linear=popularity,eijl=shares``.
The last line is JSON; ``--json FILE`` writes it, too.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from record import add_json_option, finish, table

from evoked.features.cache import FeatureCache
from evoked.posts.dataset import PostDataset
from evoked.posts.synthetic.posts import synthesise
from evoked.runs.posts import Run
from evoked.runs.training import train_posts
from evoked.targets import TASKS, Emotion
from evoked.training import TrainingSettings

# Light ones, so that there can be many seeds: a trivial one, one for every task of synthetic posts,
# a network.
MODELS: list[tuple[str, str]] = [
    ("mean", "emotion_engagement"),
    ("mean", "popularity"),
    ("mean", "shares"),
    *[("linear", task) for task in TASKS if task != Emotion.name],
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
    means = rows.groupby(["model", "task", "outcome", "nominal"], sort=False).agg(
        coverage=("coverage", "mean"),
        lowest=("coverage", "min"),
        highest=("coverage", "max"),
        chance=("chance", lambda variances: float(np.sqrt(variances.sum()) / len(variances))),
        width=("width", "mean"),
        calibration=("calibration", "mean"),
        n=("n", "mean"),
        seeds=("seed", "nunique"),
    )
    return means.reset_index()


def by_model(summary: pd.DataFrame) -> pd.DataFrame:
    """Mean coverage over the outcomes of a model and task; counts, which are covered exactly when
    their rates are, left out."""
    counts = summary["outcome"].isin(["likes", "comments", "shares", "saves"])
    kept = summary[~(counts & (summary["task"] == "emotion_engagement"))]
    means = kept.groupby(["model", "task", "nominal"], sort=False)["coverage"].mean().reset_index()
    return means.assign(inside=(means["coverage"] - means["nominal"]).abs() <= TOLERANCE)


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
    add_json_option(parser)
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
    summary = summarise(pd.concat(parts, ignore_index=True))
    means = by_model(summary)
    print(summary.to_string(index=False, float_format="{:.3f}".format))
    print(means.to_string(index=False, float_format="{:.3f}".format))
    finish(
        arguments,
        {
            f"{row['model']} {row['task']} {row['nominal']:.0%}": round(row["coverage"], 4)
            for _, row in means.iterrows()
        },
        tables={"models": table(means), "outcomes": table(summary, calibration=".0f", n=".0f")},
        code=["src/evoked/evaluation/conformal.py"],
    )


if __name__ == "__main__":
    main()

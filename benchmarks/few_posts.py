"""What linear models and boosting gain by cross-validation where posts are few.

From each synthetic dataset ``--n`` posts are drawn, and split into training and validation posts by
time or by author, as the posts that they are scored on are. Both models learn from them twice: with
``min_validation_posts=0``, where the validation posts alone decide on penalties and the number of
trees, and as they are by default, where cross-validation over both decides. A row of the table is
the mean over the draws, with the mean and the standard error of the paired difference.

Run: ``python benchmarks/few_posts.py`` (the posts are those of ``benchmarks/synthetic.py``). The
last line is JSON; ``--json FILE`` writes it, too.
"""

from __future__ import annotations

import argparse
import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from record import add_json_option, finish, table

from evoked.evaluation.splits import Split, choose_split
from evoked.features.cache import FeatureCache
from evoked.posts.dataset import PostDataset
from evoked.posts.synthetic.posts import synthesise
from evoked.runs.training import train_posts
from evoked.training import TrainingSettings

SCORES = {
    "emotion_engagement": ("valence MAE", "overall MAP", "overall Spearman"),
    "popularity": ("log_popularity R2",),
    "level": ("level macro F1", "level accuracy"),
}
MODELS = ("linear", "gradient_boosting")


def drawn(posts: pd.DataFrame, kind: str, n: int, draw: int) -> tuple[NDArray[np.int64], Split]:
    """Rows of about n posts to learn from and of those to be scored on, and how they are split."""
    parts = choose_split(posts, kind, draw, (0.6, 0.0, 0.4))
    generator = np.random.default_rng(draw)
    if kind == "author":  # whole authors
        authors = posts["author_id"].iloc[parts.train]
        order = generator.permutation(authors.unique())
        ranks = authors.map({author: rank for rank, author in enumerate(order)})
        learned = parts.train[np.argsort(ranks.to_numpy(), kind="stable")[:n]]
    else:
        learned = generator.permutation(parts.train)[:n]
    learned = np.sort(learned)
    rows = np.concatenate([learned, parts.test])
    inner = choose_split(posts.iloc[learned], kind, draw, (0.85, 0.15, 0.0))
    test = np.arange(len(learned), len(rows))
    return rows, Split(inner.train, inner.validation, test, kind, inner.reason)


def scores_of(
    dataset: PostDataset,
    split: Split,
    arguments: argparse.Namespace,
    model: str,
    task: str,
    min_validation_posts: int,
) -> dict[str, float]:
    """Test scores of one run, by name."""
    place = arguments.work / f"few-posts-{arguments.split}-{arguments.n}"
    shutil.rmtree(place, ignore_errors=True)
    run = train_posts(
        dataset,
        model,
        place,
        task=task,
        model_settings={"min_validation_posts": min_validation_posts},
        training=TrainingSettings(device="cpu"),
        split=split,
        cache=FeatureCache(arguments.work / "cache"),
    )
    rows = reversed(run.metrics["scores"])  # the run's own row stands before its baselines'
    return {f"{row['target']} {row['metric']}": row["value"] for row in rows}


def measured(arguments: argparse.Namespace) -> pd.DataFrame:
    """A row per draw, model and score, with the score of both ways."""
    found = []
    for seed, draw in product(range(arguments.datasets), range(arguments.draws)):
        place = arguments.work / f"posts-4000-{seed}"
        full = PostDataset(place) if place.is_dir() else synthesise(place, n=4000, seed=seed)
        rows, split = drawn(full.posts, arguments.split, arguments.n, draw)
        dataset = full.select(rows)
        for (task, names), model in product(SCORES.items(), MODELS):
            validated, crossed = (
                scores_of(dataset, split, arguments, model, task, few) for few in (0, arguments.n)
            )
            found += [(name, model, validated[name], crossed[name]) for name in names]
        print(f"dataset {seed}, draw {draw}", flush=True)
    return pd.DataFrame(found, columns=["score", "model", "validation posts", "cross-validation"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=200, help="posts to learn from")
    parser.add_argument("--split", default="time", choices=["time", "author"])
    parser.add_argument("--datasets", type=int, default=5)
    parser.add_argument("--draws", type=int, default=1, help="from each dataset")
    parser.add_argument("--work", type=Path, default=Path(".cache/synthetic"))
    add_json_option(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = measured(arguments)
    found["gain"] = found["cross-validation"] - found["validation posts"]
    grouped = found.groupby(["score", "model"], sort=False)
    means = grouped[["validation posts", "cross-validation", "gain"]].mean()
    means = means.assign(error=grouped["gain"].sem(), draws=grouped.size()).reset_index()
    print(means.to_markdown(index=False, floatfmt=".3f"))
    code = [f"src/evoked/models/{name}.py" for name in (*MODELS, "pooled")]
    finish(arguments, means.to_dict(orient="records"), tables={"scores": table(means)}, code=code)


if __name__ == "__main__":
    main()

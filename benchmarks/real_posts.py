"""Engagement of real posts: log likes and comments, beside the author's mean.

Reads a folder of Instaloader downloads. Two protocols: leave one author out (a stranger's posts:
the author's own mean is unknown there, so the mean of the training posts stands in) and by time
(the latest posts). Nobody rated these posts' emotions; ABMF learns them from the emotion reader's
estimates.

Run: ``python benchmarks/real_posts.py FOLDER --json FILE``; the last line is JSON, too.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from record import add_json_option, finish, table

from evoked.evaluation.metrics import r2, spearman
from evoked.evaluation.splits import Split, choose_split, leave_one_author_out
from evoked.features.cache import FeatureCache
from evoked.models import load_model
from evoked.posts.dataset import PostDataset
from evoked.posts.importing import import_posts
from evoked.runs.posts import Run
from evoked.runs.training import train_posts
from evoked.training import TrainingSettings


def predictions(
    dataset: PostDataset, split: Split, place: Path, cache: FeatureCache, epochs: int
) -> pd.DataFrame:
    """Predicted likes of the test posts by every model, beside the true ones."""
    if (place / "run.json").is_file():
        run = Run.load(place, cache)
    else:
        run = train_posts(
            dataset,
            "abmf",
            place,
            model_settings={"width": 64},
            training=TrainingSettings(max_epochs=epochs, patience=8, device="cpu"),
            split=split,
            cache=cache,
        )
    examples, _ = run.examples(dataset.posts, dataset.cover_paths())
    test, posts = examples.select(split.test), dataset.posts.iloc[split.test]
    likes = pd.DataFrame({"truth": np.log1p(posts["likes"].to_numpy(dtype=float))})
    models = {"abmf": run.model} | {
        name: load_model(place / "baselines" / name) for name in ("mean", "author_mean")
    }
    for name, model in models.items():
        predicted = run.task.inverse_transform(model.predict(test), test.posts)["likes"]
        likes[name] = np.log1p(predicted.to_numpy(dtype=float))
    # The strongest simple rival: the mean of log likes itself, by author where one is known.
    learned_from = dataset.posts.iloc[split.train]
    known = learned_from["likes"].astype(float).map(np.log1p)
    by_author = known.groupby(learned_from["author_id"]).mean()
    likes["author mean of log likes"] = (
        posts["author_id"].map(by_author).fillna(known.mean()).to_numpy()
    )
    return likes


def scores(likes: pd.DataFrame) -> list[dict[str, Any]]:
    """R², Spearman and n per model over all test posts."""
    known = likes.dropna()
    return [
        {
            "model": name,
            "R2 of log likes": float(r2(known["truth"], known[name])),
            "Spearman": float(spearman(known["truth"], known[name])),
            "n": len(known),
        }
        for name in likes.columns.drop("truth")
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="folder of Instaloader downloads")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--work", type=Path, default=Path(".cache/real_posts"))
    add_json_option(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dataset = import_posts("instaloader", arguments.source, arguments.work / "posts").dataset
    cache = FeatureCache(arguments.work / "cache")
    folds = []
    for number, split in enumerate(leave_one_author_out(dataset.posts["author_id"])):
        place = arguments.work / f"author-{number}"
        folds.append(predictions(dataset, split, place, cache, arguments.epochs))
        print(f"author {number + 1}: {len(folds[-1])} posts", flush=True)
    by_time = choose_split(dataset.posts, "time")
    later = predictions(dataset, by_time, arguments.work / "time", cache, arguments.epochs)
    results = {"by_author": scores(pd.concat(folds)), "by_time": scores(later)}
    tables = {protocol: table(pd.DataFrame(rows)) for protocol, rows in results.items()}
    figures = {
        "posts": len(dataset),
        "authors": dataset.describe()["authors"],
        "split by time": by_time.reason,
        **results,
    }
    finish(arguments, figures, tables=tables, code=["src/evoked/models/abmf.py"])


if __name__ == "__main__":
    main()

"""Engagement of real posts: log likes and comments, beside the author's mean.

Reads a folder of Instaloader downloads. Two protocols: leave one author out (a stranger's posts:
the author's own mean is unknown there, so the mean of the training posts stands in) and by time
(the latest posts). Nobody rated these posts' emotions; ABMF learns them from the emotion reader's
estimates. The last line is JSON.

Run: ``python benchmarks/real_posts.py FOLDER --out results/real_posts.md``.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import evoked
from evoked.evaluation.metrics import r2, spearman
from evoked.evaluation.splits import Split, choose_split, leave_one_author_out
from evoked.features.cache import FeatureCache
from evoked.files import write_text
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
    table = pd.DataFrame({"truth": np.log1p(posts["likes"].to_numpy(dtype=float))})
    models = {"abmf": run.model} | {
        name: load_model(place / "baselines" / name) for name in ("mean", "author_mean")
    }
    for name, model in models.items():
        likes = run.task.inverse_transform(model.predict(test), test.posts)["likes"]
        table[name] = np.log1p(likes.to_numpy(dtype=float))
    # The strongest simple rival: the mean of log likes itself, by author where one is known.
    learned_from = dataset.posts.iloc[split.train]
    known = learned_from["likes"].astype(float).map(np.log1p)
    by_author = known.groupby(learned_from["author_id"]).mean()
    table["author mean of log likes"] = (
        posts["author_id"].map(by_author).fillna(known.mean()).to_numpy()
    )
    return table


def scores(table: pd.DataFrame) -> list[dict[str, Any]]:
    """R², Spearman and n per model over all test posts."""
    known = table.dropna()
    return [
        {
            "model": name,
            "R2 of log likes": float(r2(known["truth"], known[name])),
            "Spearman": float(spearman(known["truth"], known[name])),
            "n": len(known),
        }
        for name in table.columns.drop("truth")
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="folder of Instaloader downloads")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--work", type=Path, default=Path(".cache/real_posts"))
    parser.add_argument("--out", type=Path, default=Path("results/real_posts.md"))
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
    results = {"leave one author out": scores(pd.concat(folds)), "by time": scores(later)}
    sections = "\n\n".join(
        f"## {protocol.capitalize()}\n\n"
        + pd.DataFrame(rows).to_markdown(index=False, floatfmt=".3f")
        for protocol, rows in results.items()
    )
    write_text(
        arguments.out,
        f"""# Likes of real posts: {arguments.source.name}

`python benchmarks/real_posts.py FOLDER --epochs {arguments.epochs}`; {len(dataset)} posts by
{dataset.describe()["authors"]} authors; evoked {evoked.__version__}, torch {torch.__version__},
Python {platform.python_version()}, builtin encoders, ABMF at width 64. Likes are predicted as a
rate per follower and multiplied by the followers, which are known before posting; followers were
counted when the posts were collected. `mean` and `author_mean` predict that rate, `author mean of
log likes` the likes themselves. A left-out author has no training posts, so there both author means
fall back on the mean of all. {by_time.reason}

{sections}
""",
    )
    print(json.dumps(results))


if __name__ == "__main__":
    main()

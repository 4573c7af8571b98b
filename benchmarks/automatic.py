"""Is the model that ``--model auto`` takes as good as the best of those it could have taken?

On each dataset ``auto`` chooses on folds of the training posts; then every model of its short list
is trained on the same split, and all are scored on the same test posts. The standard error is that
of the best single model's test score, over 1000 bootstrap resamples of the test posts (of authors
where the split is by author); beside it stands that of the difference, over the same resamples.
The best single model is picked with the test scores in sight, which flatters it; auto's was not.

The last line is JSON. Run: ``python benchmarks/automatic.py DATASET[=TASK[=METRIC]] …``, such as
``.cache/real/top20 .cache/metrics=shares "posts=level=level macro F1"`` (interrupted, it goes on).
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tabulate import tabulate

import evoked.run
from evoked.evaluation.bootstrap import bootstrap_draws
from evoked.evaluation.splits import choose_split
from evoked.evaluation.tables import LOWER_IS_BETTER, Scorer
from evoked.features.cache import FeatureCache
from evoked.files import write_text
from evoked.laboratory.automatic import train_automatically
from evoked.laboratory.leaderboard import Leaderboard
from evoked.posts.dataset import PostDataset
from evoked.run import Run
from evoked.training import TrainingSettings

DRAWS = 1000


def scored(run: Run, decisive: tuple[str, str]) -> tuple[float, np.ndarray]:
    """The test score that decides, and its bootstrap draws; the same resamples for every run."""
    truth = pd.read_parquet(run.folder / "truth.parquet")
    predictions = pd.read_parquet(run.folder / "predictions.parquet")
    scorer = Scorer.of_task(run.task, predictions, truth, truth["category"]).only({decisive[1]})
    place = [label[:2] for label in scorer.labels].index(decisive)
    by_author = run.description["split"]["kind"] == "author"
    authors = truth["author"].where(truth["author"] != "", truth["post_id"]) if by_author else None
    draws = bootstrap_draws(scorer, scorer.size, authors, DRAWS)
    return float(scorer()[place]), draws[:, place]


def compare(name: str, place: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Auto's model beside the best single one, on the test posts of one dataset."""
    folder, task, metric, *_ = [*name.split("="), None, None]
    full = PostDataset(str(folder))
    dataset = full.select(np.arange(min(len(full), arguments.posts)))
    shared: dict[str, Any] = {
        "task": task,
        "training": TrainingSettings(max_epochs=arguments.epochs, device="cpu"),
        "split": choose_split(dataset.posts, arguments.split, 0),
        "cache": FeatureCache(arguments.cache),
    }
    started = time.perf_counter()
    auto = train_automatically(
        dataset,
        place / "auto",
        metric=metric,
        folds=arguments.folds,
        models=arguments.models and arguments.models.split(","),
        stack="if_better" if arguments.stack else "no",
        **shared,
    )
    board = Leaderboard.load(auto.folder)
    print(f"{name}: {board.chosen} after {time.perf_counter() - started:.0f} s", flush=True)
    singles = [each.model for each in board.standings if each.mean is not None]
    runs = {
        model: auto
        if model == board.chosen
        else evoked.run.train(dataset, model, place / model, **shared)
        for model in singles
        if model != "stack"
    }
    target = next(
        (row["target"], row["metric"])
        for row in auto.metrics["scores"]
        if f"{row['target']} {row['metric']}" == board.metric
    )
    found = {model: scored(run, target) for model, run in {"auto": auto, **runs}.items()}
    sign = -1 if target[1] in LOWER_IS_BETTER else 1
    defined = {model: sign * found[model][0] for model in runs if np.isfinite(found[model][0])}
    best = max(defined, key=defined.__getitem__)
    behind = sign * (found[best][0] - found["auto"][0])
    error = float(np.nanstd(found[best][1], ddof=1))
    paired = float(np.nanstd(found[best][1] - found["auto"][1], ddof=1))
    return {
        "dataset": Path(str(folder)).name,
        "task": board.task,
        "score": board.metric,
        "split": auto.description["split"]["kind"],
        "test posts": auto.metrics["posts"],
        "auto": board.chosen,
        "its score": found["auto"][0],
        "best single": best,
        "best score": found[best][0],
        "behind": behind,
        "standard error": error,
        "of the difference": paired,
        "within one": bool(behind <= error),
        "all": {model: found[model][0] for model in runs},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("datasets", nargs="+", help="DATASET[=TASK[=METRIC]]")
    parser.add_argument("--models", help="short list, comma-separated; the task's by default")
    parser.add_argument("--posts", type=int, default=600, help="at most, of each dataset")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--split", help="random, author, time or column; chosen if left out")
    parser.add_argument("--stack", action="store_true")
    parser.add_argument("--cache", type=Path, default=None)
    parser.add_argument("--work", type=Path, default=Path(".cache/automatic"))
    parser.add_argument("--out", type=Path, help="Markdown file to write")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name in arguments.datasets:
        folder, *how = name.split("=")
        place = arguments.work / "-".join([Path(folder).name, *how]).replace(" ", "-")
        rows.append(compare(name, place, arguments))
    shown = pd.DataFrame(rows).drop(columns="all")
    table = tabulate(shown, headers="keys", tablefmt="github", showindex=False, floatfmt=".4f")
    singles = "\n".join(
        f"- {row['dataset']} ({row['task']}): "
        + ", ".join(f"{model} {value:.4f}" for model, value in row["all"].items())
        for row in rows
    )
    print(f"{table}\n\n{singles}")
    if arguments.out:
        write_text(
            arguments.out,
            f"# --model auto beside every single model\n\n{__doc__}\n{table}\n\n"
            f"Test scores of the single models:\n\n{singles}\n",
        )
    print(json.dumps(rows))


if __name__ == "__main__":
    main()

"""Is the model that ``--model auto`` takes as good as the best of those it could have taken?

Each dataset is cut into outer folds, made as ``evoked train`` would split it (by author, by time,
at random; ``--seeds`` cuts them anew). On each, ``auto`` chooses on inner folds of the posts that
are learned from; then every model of its short list is trained on the same split, and all are
scored on the same test posts. The standard error is that of the best single model's mean over the
outer folds of one seed; beside it stands that of auto's difference from it, fold by fold. R² is
that of the posts of all outer folds together, and its errors come of resampling them (authors where
folds are by author), since R² of a fold of a dozen posts depends on how far these few lie apart.
The best single model is picked with the test scores in sight, which flatters it; auto's choices
were not.

Run: ``python benchmarks/automatic.py DATASET[=TASK[=METRIC]] …``, for example
``.cache/real/top20 .cache/metrics=shares "posts=level=level macro F1"`` (interrupted, it goes on).
The last line is JSON; ``--json FILE`` writes it, too.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from record import add_json_option, finish, table

from evoked.evaluation.bootstrap import bootstrap_draws
from evoked.evaluation.metrics import r2
from evoked.evaluation.splits import Split, choose_split, k_fold
from evoked.features.cache import FeatureCache
from evoked.laboratory.automatic import train_automatically
from evoked.laboratory.leaderboard import Leaderboard, behind_best
from evoked.posts.dataset import PostDataset
from evoked.runs.posts import Run
from evoked.runs.training import train_posts
from evoked.training import TrainingSettings


def score_of(run: Run, metric: str) -> float:
    """The test score that decides."""
    rows = run.metrics["scores"]
    own = [row["value"] for row in rows if f"{row['target']} {row['metric']}" == metric]
    return float("nan") if own[0] is None else float(own[0])  # the run's own row stands first


def test_posts(run: Run, target: str) -> pd.DataFrame:
    """The test posts whose target is known: post_id, author, truth, predicted."""
    truth = pd.read_parquet(run.folder / "truth.parquet")
    predicted = pd.read_parquet(run.folder / "predictions.parquet").set_index("post_id")[target]
    known = truth[["post_id", "author"]].assign(truth=truth[target])
    return known.assign(predicted=predicted.reindex(known["post_id"]).to_numpy()).dropna()


def is_finished(folder: Path) -> bool:
    """Whether a run lies there; run.json is what it writes last."""
    return (folder / "run.json").is_file()


def fold_scores(
    dataset: PostDataset, split: Split, place: Path, arguments: argparse.Namespace, **how: Any
) -> tuple[Leaderboard, dict[str, Run]]:
    """Auto's leaderboard on one outer fold, its run, and the run of every single model."""
    shared: dict[str, Any] = {
        "task": how["task"],
        "training": TrainingSettings(max_epochs=arguments.epochs, device="cpu"),
        "split": split,
        "cache": FeatureCache(arguments.cache),
    }
    if not is_finished(place / "auto"):
        train_automatically(
            dataset,
            place / "auto",
            metric=how["metric"],
            folds=arguments.folds,
            models=arguments.models and arguments.models.split(","),
            stack="if_better" if arguments.stack else "no",
            **shared,
        )
    auto = Run.load(place / "auto")
    board = Leaderboard.load(auto.folder)
    runs = {"auto": auto}
    for model in [each.model for each in board.standings if each.mean is not None]:
        if model == board.chosen:
            runs[model] = auto
        elif model != "stack":
            if not is_finished(place / model):
                train_posts(dataset, model, place / model, **shared)
            runs[model] = Run.load(place / model)
    runs.pop("stack", None)
    return board, runs


class Compared(NamedTuple):
    """The single models' scores, and auto beside the best of them."""

    singles: dict[str, float]
    best: str
    auto: float
    behind: float
    standard_error: float
    of_the_difference: float


def by_fold(runs: list[dict[str, Run]], board: Leaderboard, outer: int) -> Compared:
    """Scores as means over the outer folds."""
    scores = [{name: score_of(run, board.metric) for name, run in fold.items()} for fold in runs]
    # A fold without a relevant post has no scores; then a model without one in each is left out.
    complete = pd.DataFrame(scores).T.dropna(axis="columns", how="all").dropna()
    singles = {str(name): float(row.mean()) for name, row in complete.iterrows()}
    mean = singles.pop("auto")
    best = (min if board.lower_is_better else max)(singles, key=singles.__getitem__)
    behind, errors = behind_best(complete, best, lower_is_better=board.lower_is_better)
    error = float(np.std(complete.loc[best], ddof=1) / np.sqrt(outer))
    # Cutting the same posts anew sharpens the means, but brings no more posts.
    of_the_difference = float(errors["auto"] * np.sqrt(complete.shape[1] / outer))
    return Compared(singles, best, mean, float(behind["auto"]), error, of_the_difference)


def of_all_posts(runs: list[dict[str, Run]], target: str, outer: int, by_author: bool) -> Compared:
    """R² of the test posts of all outer folds together, the mean over the seeds."""
    models = list(runs[0])
    parts = [{name: test_posts(fold[name], target) for name in models} for fold in runs]
    posts = pd.concat(
        [
            part["auto"].assign(
                seed=fold // outer, **{name: each["predicted"] for name, each in part.items()}
            )
            for fold, part in enumerate(parts)
        ],
        ignore_index=True,
    )
    seeds = [rows.to_numpy() for rows in posts.groupby("seed").groups.values()]

    def scores(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        by_seed = [
            [r2(posts["truth"][rows], posts[name][rows], weights[:, rows]) for name in models]
            for rows in seeds
        ]
        return np.mean(by_seed, axis=0).T

    means = dict(zip(models, scores(np.ones((1, len(posts))))[0].tolist(), strict=True))
    # A post stands in every seed, and is drawn with all of them.
    groups = posts["author" if by_author else "post_id"]
    draws = pd.DataFrame(bootstrap_draws(scores, len(posts), groups), columns=models)
    auto = means.pop("auto")
    best = max(means, key=means.__getitem__)
    difference = draws[best] - draws["auto"]
    return Compared(
        means, best, auto, means[best] - auto, float(draws[best].std()), float(difference.std())
    )


def compare(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Auto beside the best single model, over the outer folds of one dataset."""
    folder, task, metric, *_ = [*name.split("="), None, None]
    full = PostDataset(str(folder))
    dataset = full.select(np.arange(min(len(full), arguments.posts)))
    kind = arguments.split or choose_split(dataset.posts).kind
    kind = kind if kind in ("author", "time") else "random"
    place = arguments.work / "-".join(filter(None, [full.folder.name, task, metric])).replace(
        " ", "-"
    )
    found, choices = [], []
    # By time there is one way to cut them.
    for seed in range(1 if kind == "time" else arguments.seeds):
        for fold, split in enumerate(k_fold(dataset.posts, arguments.outer, kind, seed), start=1):
            at = place / f"seed-{seed}-fold-{fold}"
            board, runs = fold_scores(dataset, split, at, arguments, task=task, metric=metric)
            found.append(runs)
            choices.append(board.chosen)
            print(f"{name}, seed {seed}, fold {fold}: {board.chosen}", flush=True)
    if board.metric.endswith(" R2"):
        target = board.metric.removesuffix(" R2")
        compared = of_all_posts(found, target, arguments.outer, kind == "author")
    else:
        compared = by_fold(found, board, arguments.outer)
    return {
        "dataset": full.folder.name,
        "posts": len(dataset),
        "split": kind,
        "score": board.metric,
        "auto": compared.auto,
        "best single": compared.best,
        "its score": compared.singles[compared.best],
        "behind": compared.behind,
        "standard error": compared.standard_error,
        "of the difference": compared.of_the_difference,
        "within one": bool(compared.behind <= compared.standard_error),
        "choices": dict(Counter(choices)),
        "all": compared.singles,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("datasets", nargs="+", help="DATASET[=TASK[=METRIC]]")
    parser.add_argument("--models", help="short list, comma-separated; the task's by default")
    parser.add_argument("--posts", type=int, default=600, help="at most, of each dataset")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--folds", type=int, default=5, help="inner ones, to choose on")
    parser.add_argument("--outer", type=int, default=5, help="folds to score on")
    parser.add_argument("--seeds", type=int, default=1, help="of random outer folds, each cut anew")
    parser.add_argument("--split", help="random, author or time; chosen if left out")
    parser.add_argument("--stack", action="store_true")
    parser.add_argument("--cache", type=Path, default=None)
    parser.add_argument("--work", type=Path, default=Path(".cache/automatic"))
    add_json_option(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name in arguments.datasets:
        rows.append(compare(name, arguments))
    shown = pd.DataFrame(rows).drop(columns=["all", "choices"])
    print(shown.to_markdown(index=False, floatfmt=".4f"))
    singles = "\n".join(
        f"- {row['dataset']}, {row['score']}; auto took "
        + ", ".join(f"{model} {n} times" for model, n in row["choices"].items())
        + ": "
        + ", ".join(f"{model} {value:.4f}" for model, value in row["all"].items())
        for row in rows
    )
    print(f"\n{singles}")
    finish(
        arguments,
        rows,
        tables={"datasets": table(shown, ".4f")},
        code=["src/evoked/laboratory/automatic.py", "src/evoked/laboratory/leaderboard.py"],
    )


if __name__ == "__main__":
    main()

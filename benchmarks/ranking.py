"""Are drafts put in the right order, and do the chances come true that one is ahead of another?

Runs of evoked's default model. The curve of chances is learned from held-out posts but for those of
a fifth of the authors (of a single one, a fifth of the time), and tried on pairs of these: two
posts of one author, at most ten posts apart.
Beside it stand one half for every pair, and the difference of the predicted logarithms through a
logistic curve as it is, which is what one would do without calibration. The Brier score is the mean
squared distance between chance and what happened: lower is better, .25 is what one half gets.
Intervals are of 400 resamples of posts.

Run: ``python benchmarks/ranking.py --data FOLDER --json FILE``; ``--datasets`` takes some. What is
absent is skipped, with the reason. The last line is JSON.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from peers import DATASETS, rows_of
from record import add_json_option, finish, table
from scipy.special import expit

import evoked
from evoked.advice.pairs import HeldOut, WinCurve
from evoked.advice.ranking import held_out_posts
from evoked.evaluation.bootstrap import bootstrap_draws, interval_bounds
from evoked.evaluation.splits import Split, choose_split
from evoked.posts.dataset import PostDataset
from evoked.runs.answer import quantities

Floats = NDArray[np.float64]

NAMES = (
    "synthetic",
    "instagram_authors",
    "instagram_top20",
    "instagram_insights",
    "facebook_metrics",
)
SYNTHETIC_POSTS = 1000
BINS = 4
PARTS = 5
RESAMPLES = 400


def parts_of(posts: HeldOut) -> NDArray[np.int64]:
    """Which fifth each post belongs to: whole authors, or of few authors spans of time, (n,)."""
    numbers, known = pd.factorize(posts.authors)
    spans = np.arange(len(posts)) * PARTS // len(posts)
    return numbers % PARTS if len(known) >= PARTS else spans


def chances_of(run: evoked.Run) -> tuple[HeldOut, Floats, Floats, Floats]:
    """Held-out posts, and of each pair the positions, the chance and that without calibration."""
    posts = held_out_posts(run, quantities(run.task)[0])
    parts, (first, second) = parts_of(posts), posts.pairs()
    tried = (posts.true[first] != posts.true[second]) & (parts[first] == parts[second])
    first, second = first[tried], second[tried]
    difference = posts.predicted[first] - posts.predicted[second]
    chance = np.empty(len(difference))
    for part in range(PARTS):
        curve = WinCurve.fit(posts.select(parts != part))
        own = parts[first] == part
        chance[own] = curve.chance(difference[own])[0]
    return posts, np.stack([first, second], axis=1), chance, expit(difference)


def measured(name: str, posts: PostDataset, splits: Sequence[Split], work: Path) -> dict[str, Any]:
    """Chances and what happened, over all folds of a set."""
    size, found = 0, []
    for number, split in enumerate(splits):
        run = evoked.train(posts, None, work / f"{name}{number}", split=split)
        tested, positions, chance, plain = chances_of(run)
        won = tested.true[positions[:, 0]] > tested.true[positions[:, 1]]
        found.append((positions + size, chance, plain, won))
        size += len(tested)
    positions, chance, plain, won = (np.concatenate(each) for each in zip(*found, strict=True))
    return {"size": size, "positions": positions, "chance": chance, "plain": plain, "won": won}


def scores(name: str, found: dict[str, Any]) -> dict[str, Any]:
    """A row of the table of Brier scores."""
    chance, won, positions = found["chance"], found["won"], found["positions"]
    brier = {
        "calibrated": (chance - won) ** 2,
        "as it is": (found["plain"] - won) ** 2,
        "one half": np.full(len(won), 0.25),
    }

    def gains(weights: Floats) -> Floats:
        of_pairs = weights[:, positions[:, 0]] * weights[:, positions[:, 1]]
        differences = np.stack([brier[each] - brier["calibrated"] for each in list(brier)[1:]])
        return (of_pairs @ differences.T) / of_pairs.sum(axis=1, keepdims=True)

    low, high = interval_bounds(bootstrap_draws(gains, found["size"], n=RESAMPLES))
    right = np.where(chance == 0.5, 0.5, (chance > 0.5) == won)
    return {
        "set": name,
        "posts": found["size"],
        "pairs": len(won),
        "right": float(right.mean()),
        **{f"Brier, {each}": float(values.mean()) for each, values in brier.items()},
        "less than as it is": f"[{low[0]:.3f}, {high[0]:.3f}]",
        "less than one half": f"[{low[1]:.3f}, {high[1]:.3f}]",
    }


def reliability(name: str, found: dict[str, Any]) -> list[dict[str, Any]]:
    """Chances of whoever is put first, in bins of as many pairs each, beside how often it was."""
    ahead = np.maximum(found["chance"], 1 - found["chance"])
    came = np.where(found["chance"] >= 0.5, found["won"], ~found["won"])
    order = np.argsort(ahead, kind="stable")
    return [
        {
            "set": name,
            "said": float(ahead[part].mean()),
            "was": float(came[part].mean()),
            "pairs": len(part),
        }
        for part in np.array_split(order, BINS)
        if len(part)
    ]


def opened(name: str, data: Path, work: Path) -> tuple[PostDataset, list[Split]]:
    """The posts of a set, and how they are held out."""
    if name == "synthetic":
        dataset = evoked.synthesise(work / name, n=SYNTHETIC_POSTS, seed=7)
        return dataset, [choose_split(dataset.posts, "time")]
    source = DATASETS[name]
    rows = rows_of(source.imported(data, work / name), source)
    return rows.dataset, rows.splits


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--datasets", default=",".join(NAMES), metavar="A,B")
    add_json_option(parser)
    arguments = parser.parse_args()
    found, skipped = {}, {}
    for name in arguments.datasets.split(","):
        if name != "synthetic" and not (arguments.data / DATASETS[name].path).exists():
            skipped[name] = f"{DATASETS[name].path} is absent"
            continue
        with TemporaryDirectory() as place:
            found[name] = measured(name, *opened(name, arguments.data, Path(place)), Path(place))
        print(scores(name, found[name]), flush=True)
    rows = pd.DataFrame([scores(name, each) for name, each in found.items()])
    curves = pd.DataFrame([row for name, each in found.items() for row in reliability(name, each)])
    finish(
        arguments,
        {"skipped": skipped},
        tables={"scores": table(rows), "reliability": table(curves, ".2f")},
        code=["src/evoked/advice", "src/evoked/models", "src/evoked/runs/choice.py"],
    )


if __name__ == "__main__":
    main()

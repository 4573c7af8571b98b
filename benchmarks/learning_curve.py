"""From how many posts on is ABMF worth its time?

Synthetic posts of ``evoked synth``, a draw per seed. Of each draw the last 1,000 posts of a random
order are kept aside, and the models learn from the first 500, 1,000, … of the others: ABMF, ABMF
with the paper's parts alone (without the loss that matches words and regions), MMBT and gradient
boosting. A network learns for as many steps whatever the number of posts, but for six epochs at
least, so that the curve is not one of budgets. Interrupted, it goes on.

Run: ``python benchmarks/learning_curve.py --json results/abmf/learning_curve.json``; the last line
is JSON, too.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from record import add_json_option, finish, table
from synthetic import posts_of

from evoked.evaluation.splits import Split
from evoked.features.cache import FeatureCache
from evoked.features.catalog import FeatureSettings
from evoked.files import write_text
from evoked.posts.dataset import PostDataset
from evoked.runs.training import train_posts
from evoked.training import TrainingSettings

ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "ABMF (ours)": ("abmf", {}),
    "ABMF (paper's parts)": ("abmf", {"matching_weight": 0.0}),
    "MMBT": ("mmbt", {}),
    "gradient boosting": ("gradient_boosting", {}),
}
SCORES = [("valence", "CCC"), ("arousal", "CCC"), ("overall", "MAP")]
HELD_OUT, BATCH, STEPS, FEWEST_EPOCHS = 1000, 32, 600, 6


def split_of(posts: int, learned: int, seed: int) -> Split:
    """What is learned from, 15 % of it for validation, and the 1,000 posts kept aside."""
    order = np.random.default_rng(seed).permutation(posts)
    rows = order[:learned]
    validation = max(learned * 15 // 100, 1)
    reason = f"{learned} of {posts} posts at random, {HELD_OUT} kept aside"
    train, validated, test = map(np.sort, (rows[validation:], rows[:validation], order[-HELD_OUT:]))
    return Split(train, validated, test, "random", reason)


def scored(
    dataset: PostDataset, row: str, learned: int, seed: int, work: Path
) -> list[dict[str, Any]]:
    """The scores of a row on a draw and the CPU seconds of its training, measured once."""
    model, settings = ROWS[row]
    name = "".join(letter if letter.isalnum() else "-" for letter in row)
    place = work / "curve" / f"{name}-{learned}-{seed}"
    kept = place.with_suffix(".json")
    if kept.is_file():
        found: list[dict[str, Any]] = json.loads(kept.read_text(encoding="utf-8"))
        return found
    epochs = max(FEWEST_EPOCHS, math.ceil(STEPS * BATCH / learned))
    started = time.process_time()
    run = train_posts(
        dataset,
        model,
        place,
        task="engagement_rates",
        model_settings=settings,
        features=FeatureSettings(views=2),
        training=TrainingSettings(
            max_epochs=epochs, patience=epochs, batch_size=BATCH, seed=seed, device="cpu"
        ),
        split=split_of(len(dataset), learned, seed),
        cache=FeatureCache(work / "cache"),
    )
    seconds = time.process_time() - started
    shared = {"row": row, "posts": learned, "seed": seed, "seconds": round(seconds, 1)}
    found = [
        {**shared, "score": f"{each['target']} {each['metric']}", "value": each["value"]}
        for each in run.metrics["scores"]
        if each["model"] == model and (each["target"], each["metric"]) in SCORES
    ]
    write_text(kept, json.dumps(found))
    return found


def curve(found: pd.DataFrame) -> pd.DataFrame:
    """Per number of posts and score: the mean of every row over the draws, and what ABMF leads by.

    The lead is over the better of MMBT and boosting, with the deviation of the draws' leads.
    """
    wide = found.pivot_table(index=["score", "posts", "seed"], columns="row", values="value")
    wide = wide[list(ROWS)]
    wide["lead"] = wide["ABMF (ours)"] - wide[["MMBT", "gradient boosting"]].max(axis=1)
    grouped = wide.groupby(["score", "posts"], sort=False)
    means = grouped.mean()
    means["± lead"] = grouped["lead"].std()
    means["draws"] = grouped.size()
    return means.reset_index()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 1000, 2000, 4000, 8000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 8, 9])
    parser.add_argument("--work", type=Path, default=Path(".cache/synthetic"))
    add_json_option(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for seed, learned, row in product(arguments.seeds, arguments.sizes, ROWS):
        dataset = posts_of(arguments.work, max(arguments.sizes) + HELD_OUT, seed)
        rows += scored(dataset, row, learned, seed, arguments.work)
        print(*rows[-1].values(), flush=True)
    means = curve(pd.DataFrame(rows))
    print(means.to_markdown(index=False, floatfmt=".3f"))
    finish(
        arguments,
        means.to_dict(orient="records"),
        tables={"curve": table(means)},
        code=["src/evoked/models/abmf.py", "src/evoked/models/mmbt.py"],
    )


if __name__ == "__main__":
    main()

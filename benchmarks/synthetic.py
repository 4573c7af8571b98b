"""Does fusing both modalities pay where the truth needs both? And is the planted truth recovered?

Synthetic posts, several seeds (of posts, split and training alike). Per seed: ABMF, ABMF without
the caption, ABMF without the image (both keep hashtags out and metadata in, so that they differ in
the content alone), and the mean of the training posts; and every planted correlation beside what
the analysis measures. The split is random by post.

Run: ``python benchmarks/synthetic.py --json FILE`` (interrupted, it goes on); the last line is
JSON, too.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from record import add_json_option, finish, table
from scipy.stats import ttest_rel

from evoked.analysis.recovery import planted_recovery
from evoked.features.cache import FeatureCache
from evoked.posts.dataset import PostDataset
from evoked.posts.synthetic.posts import synthesise
from evoked.runs.posts import Run
from evoked.runs.training import train_posts
from evoked.training import TrainingSettings

VARIANTS: dict[str, dict[str, Any]] = {
    "abmf": {},
    "image only": {"modalities": ("image", "objects", "metadata")},
    "caption only": {"modalities": ("caption", "metadata")},
}
SCORES = [("valence", "CCC"), ("arousal", "CCC"), ("overall", "MAP")]


def posts_of(folder: Path, n: int, seed: int) -> PostDataset:
    """The posts of a seed, made once."""
    place = folder / f"posts-{n}-{seed}"
    return PostDataset(place) if place.is_dir() else synthesise(place, n=n, seed=seed)


def run_of(folder: Path, dataset: PostDataset, name: str, seed: int, epochs: int) -> Run:
    """A variant's run on a seed, trained once."""
    place = folder / f"{dataset.folder.name}-{name.replace(' ', '-')}"
    if (place / "run.json").is_file():
        return Run.load(place)
    return train_posts(
        dataset,
        "abmf",
        place,
        model_settings=VARIANTS[name],
        training=TrainingSettings(max_epochs=epochs, patience=5, seed=seed, device="cpu"),
        split="random",
        cache=FeatureCache(folder / "cache"),
    )


def scores_of(run: Run, name: str) -> list[dict[str, object]]:
    """The run's scores, and with the full model those of the mean."""
    wanted = {"abmf": name, "mean": "mean"} if name == "abmf" else {"abmf": name}
    return [
        {
            "model": wanted[row["model"]],
            "score": f"{row['target']} {row['metric']}",
            "value": row["value"],
            "n": row["n"],
        }
        for row in run.metrics["scores"]
        if row["model"] in wanted and (row["target"], row["metric"]) in SCORES
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=4000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--work", type=Path, default=Path(".cache/synthetic"))
    parser.add_argument("--only-seed", type=int, help="train this seed alone and stop")
    add_json_option(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows, recoveries = [], []
    seeds = range(arguments.seeds) if arguments.only_seed is None else [arguments.only_seed]
    for seed in seeds:
        dataset = posts_of(arguments.work, arguments.n, seed)
        recoveries.append(planted_recovery(dataset).assign(seed=seed))
        for name in VARIANTS:
            run = run_of(arguments.work, dataset, name, seed, arguments.epochs)
            rows += [{"seed": seed, **row} for row in scores_of(run, name)]
            print(seed, name, rows[-1], flush=True)
    if arguments.only_seed is not None:
        return
    recovery = pd.concat(recoveries, ignore_index=True)
    summary = summarise(pd.DataFrame(rows))
    correlations = recovery[recovery["analysis"] == "correlation"]
    worst = correlations["difference"].abs().max()
    finish(
        arguments,
        {**nested(summary), "largest_recovery_difference": round(float(worst), 4)},
        tables={"fusion": table(summary), "planted": table(by_cell(recovery))},
        code=["src/evoked/models/abmf.py", "src/evoked/analysis/engagement.py"],
    )


def summarise(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean, deviation and paired p-value against ABMF per model and score."""
    wide = scores.pivot_table(index="seed", columns=["score", "model"], values="value")
    lines = []
    names = (wide.columns.get_level_values(level) for level in ("score", "model"))
    for score, model in zip(*names, strict=True):
        values, best = wide[score, model], wide[score, "abmf"]
        p = float("nan") if model == "abmf" else ttest_rel(best, values).pvalue
        lines.append(
            {
                "score": score,
                "model": model,
                "mean": values.mean(),
                "deviation": values.std(ddof=1),
                "p (paired t, against abmf)": p,
                "seeds": len(values),
            }
        )
    return pd.DataFrame(lines).sort_values(["score", "mean"], ascending=[True, False])


def nested(summary: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Means by score and model."""
    return {
        str(score): {row["model"]: round(row["mean"], 4) for _, row in part.iterrows()}
        for score, part in summary.groupby("score")
    }


def by_cell(recovery: pd.DataFrame) -> pd.DataFrame:
    """Of every planted figure: the mean measured over the seeds, and the largest difference."""
    sized = recovery.assign(size=recovery["difference"].abs())
    cells = sized.groupby(["analysis", "row", "metric"], sort=False).agg(
        published=("published", "first"),
        planted=("planted", "first"),
        measured=("measured", "mean"),
        largest_difference=("size", "max"),
    )
    return cells.reset_index()


if __name__ == "__main__":
    main()

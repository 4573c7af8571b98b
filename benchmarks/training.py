"""How fast ABMF's heads train on cached features, and whether loading holds them up.

Three sides in one run, epoch by epoch in turn:

- *ours*: the loop that ``evoked train`` uses, batches gathered from memory-mapped features;
- *compute*: forward, backward and step alone, on batches that already lie in memory, in the same
  order; what ours takes beyond this is loading, logging and Lightning;
- *per post*: a loader that takes one post at a time and pads each batch, as most code does.

Run: ``python benchmarks/training.py``; the last line is JSON.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import add_json_option, finish
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

from evoked.features.table import Batch, Column, FeatureTable, RaggedColumn
from evoked.models.abmf import ABMF, ABMFSettings
from evoked.targets import TARGETS, TargetTable
from evoked.training import TrainingSettings
from evoked.training.batches import EpochBatches, loader
from evoked.training.loop import fit_network

BATCH_SIZE = 32


def features_on_disk(folder: Path, n: int) -> FeatureTable:
    """Random features of the builtin encoders' shapes, memory-mapped as the cache keeps them."""
    generator = np.random.default_rng(0)
    lengths = generator.integers(20, 110, n)

    def mapped(name: str, shape: tuple[int, ...], kind: str) -> np.ndarray[Any, Any]:
        path = folder / f"{name}.npy"
        np.save(path, generator.normal(size=shape).astype(kind))
        return np.load(path, mmap_mode="r")

    return FeatureTable(
        {
            "image.map": Column.dense(mapped("map", (n, 49, 48), "f4")),
            "image.objects": Column.dense(mapped("objects", (n, 5, 52), "f4")),
            "caption.tokens": RaggedColumn(
                mapped("tokens", (int(lengths.sum()), 384), "f2"),
                np.concatenate([[0], np.cumsum(lengths)[:-1]]),
                lengths,
            ),
            "hashtags.vector": Column.dense(mapped("hashtags", (n, 300), "f4")),
            "metadata": Column.dense(mapped("metadata", (n, 70), "f4")),
        }
    )


class OnePostAtATime(Dataset[Batch]):
    """What a user would write: index one post, let the loader collate."""

    def __init__(self, features: FeatureTable, targets: TargetTable) -> None:
        self.features, self.targets = features, targets

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, row: int) -> Batch:
        post = {name: value[0] for name, value in self.features.take([row]).items()}
        post["targets"] = torch.from_numpy(self.targets.values[row])
        return post


def collate(posts: list[Batch]) -> Batch:
    """Pad and stack."""
    batch = {
        name: pad_sequence([post[name] for post in posts], batch_first=True)
        if name in ("caption.tokens", "caption.tokens.mask")
        else torch.stack([post[name] for post in posts])
        for name in posts[0]
    }
    batch["weights"] = torch.ones_like(batch["targets"])
    return batch


def epoch(network: Any, optimizer: torch.optim.Optimizer, batches: Any) -> float:
    """Seconds of one epoch of plain steps."""
    network.train()
    started = time.perf_counter()
    for batch in batches:
        optimizer.zero_grad(set_to_none=True)
        loss = network.criterion(network(batch), batch["targets"], batch["weights"])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=int, default=1024)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    add_json_option(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    n = arguments.posts
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        features = features_on_disk(folder, n)
        values = np.random.default_rng(1).random((n, len(TARGETS))).astype(np.float32)
        targets = TargetTable(values, np.zeros_like(values, dtype=bool))
        settings = TrainingSettings(max_epochs=1, batch_size=BATCH_SIZE, device="cpu")
        order = EpochBatches(n, BATCH_SIZE, settings.seed, lengths=features.lengths)
        per_post = DataLoader(
            OnePostAtATime(features, targets), BATCH_SIZE, shuffle=True, collate_fn=collate
        )
        network = ABMF(ABMFSettings()).build(features.widths)
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
        in_memory = list(loader(features, targets, order))
        seconds: dict[str, list[float]] = {"ours": [], "compute": [], "loading": [], "per post": []}
        for repeat in range(arguments.epochs + 1):  # the first is the warm-up
            records = fit_network(
                network, (features, targets), None, settings, folder / str(repeat)
            )
            seconds["ours"].append(records[-1]["seconds"])
            seconds["compute"].append(epoch(network, optimizer, in_memory))
            started = time.perf_counter()
            for _ in loader(features, targets, order):
                pass
            seconds["loading"].append(time.perf_counter() - started)
            seconds["per post"].append(epoch(network, optimizer, per_post))
    median = {side: statistics.median(times[1:]) for side, times in seconds.items()}
    figures = {
        "posts": n,
        "threads": arguments.threads,
        "samples_per_second": round(n / median["ours"], 1),
        "samples_per_second_per_post_loader": round(n / median["per post"], 1),
        "ratio_to_per_post_loader": round(median["per post"] / median["ours"], 2),
        "share_outside_forward_backward_step": round(1 - median["compute"] / median["ours"], 3),
        "share_of_loading": round(median["loading"] / median["ours"], 3),
    }
    for side, value in median.items():
        print(f"{side:>10}: {value:.2f} s per epoch")
    finish(arguments, figures, code=["src/evoked/training", "src/evoked/models/abmf.py"])


if __name__ == "__main__":
    main()

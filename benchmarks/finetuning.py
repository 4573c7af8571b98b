"""What fine-tuning the builtin encoders costs: processor time, memory and disk.

Each model is trained in a process of its own, on one thread, on synthetic posts whose pixels and
token ids are in the cache. CPU seconds are those of the last epoch, validation on a fifth as many
posts and the checkpoint included; memory is the peak of the process (VmHWM, so Linux only), beside
what it was before training.

The last line is JSON. Run: ``python benchmarks/finetuning.py``.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
from record import add_json_option, finish, table

import evoked
from evoked.features.cache import FeatureCache
from evoked.features.pipeline import FeaturePipeline
from evoked.models import Examples, build_model
from evoked.models.base import WEIGHTS_FILE
from evoked.training import TrainingSettings

RUNS = (("abmf", 32), ("abmf", 8), ("mmbt", 32), ("visual_cnn", 32), ("text_bert", 32))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--posts", type=int, default=100, help="training posts")
    parser.add_argument("--epochs", type=int, default=2)
    add_json_option(parser)
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        evoked.synthesise(Path(folder) / "posts", n=arguments.posts * 6 // 5, seed=0)
        for name, batch_size in RUNS:
            with get_context("spawn").Pool(1) as pool:
                given = Path(folder), name, batch_size, arguments.posts, arguments.epochs
                rows.append(pool.apply(cost, given))
    finish(
        arguments,
        rows,
        tables={"costs": table(pd.DataFrame(rows), ".0f")},
        code=["src/evoked/models", "src/evoked/training", "src/evoked/features/encoders"],
    )


def cost(folder: Path, name: str, batch_size: int, posts: int, epochs: int) -> dict[str, Any]:
    """What one model costs, as a row of the table."""
    import torch

    torch.set_num_threads(1)
    model = build_model(name, {"finetune": True})
    examples = examples_of(model, folder)
    before, seconds = peak_mib(), [time.process_time()]
    model.fit(
        examples.select(range(posts)),
        examples.select(range(posts, len(examples))),
        folder=folder / f"{name}-{batch_size}",
        training=TrainingSettings(max_epochs=epochs, batch_size=batch_size, device="cpu"),
        progress=lambda record: seconds.append(time.process_time()),
    )
    after = peak_mib()
    model.save(folder / name)
    return {
        "model": name,
        "batch size": batch_size,
        "CPU s per epoch": seconds[-1] - seconds[-2],
        "MiB before": before,
        "MiB at most": after,
        "MB of weights": (folder / name / WEIGHTS_FILE).stat().st_size / 1e6,
    }


def examples_of(model: Any, folder: Path) -> Examples:
    """The folder's posts as the model sees them."""
    dataset, cache = evoked.open(folder / "posts"), FeatureCache(folder / "cache")
    covers = dataset.cover_paths()
    pipeline = FeaturePipeline(model.features, model.feature_settings)
    pipeline.fit(dataset.posts, images=covers, cache=cache)
    features, _ = pipeline.transform(dataset.posts, covers, cache=cache)
    task = model.task.fit(dataset.posts)
    return Examples(dataset.posts, features, task.transform(dataset.posts))


def peak_mib() -> float:
    """The most memory that this process has had, in MiB."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    found = re.search(r"VmHWM:\s*(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


if __name__ == "__main__":
    main()

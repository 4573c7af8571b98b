"""Training on several devices: do two processes learn what one does, and what do GPUs do of it?

*The same*: ABMF and EIJL are trained by two processes (gloo) and by one on batches twice as large,
on random posts of which some lack a picture or a caption. Dropout, that of modalities included, is
off: each process draws its own. Nothing is augmented, since the encoders are frozen.

*GPUs*: ABMF with its encoders fine-tuned, in bf16, by a plain loop over batches that lie on the
card already, and by evoked on one card and on all, on the same posts. The card's own rate is that
of products of large matrices in bf16, measured in the same run. Where there is no GPU, the table
says so.

The last line is JSON. Run: ``python benchmarks/devices.py``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
from finetuning import examples_of
from record import add_json_option, finish, table

import evoked
from evoked.models import Examples, Model, build_model
from evoked.testing.examples import random_examples
from evoked.training import TrainingSettings
from evoked.training.records import LAST_CHECKPOINT

NO_GPU = "not measured: no GPU at hand"
OFF = {"dropout": 0.0, "modality_dropout": 0.0}
SMALL = {"abmf": {"width": 16, "heads": 2}, "eijl": {"width": 8, "heads": 2, "positions": 8}}
# Four steps an epoch.
POSTS, HELD_OUT, STEPS_PER_EPOCH = 64, 21, 4
_EDGE, _PRODUCTS = 8192, 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20, help="steps of training, four an epoch")
    parser.add_argument("--posts", type=int, default=2000, help="posts to train on by GPUs")
    parser.add_argument("--batch-size", type=int, default=32, help="posts per step and GPU")
    add_json_option(parser)
    arguments = parser.parse_args()
    same = pd.DataFrame([difference(name, arguments.steps) for name in SMALL])
    gpus = on_gpus(arguments.posts, arguments.batch_size)
    finish(
        arguments,
        {"same": same.to_dict("records"), "gpus": gpus},
        tables={"same": table(same, ".1e"), "gpus": table(pd.DataFrame(gpus), ".3g")},
        code=["src/evoked/training", "src/evoked/layers/gathering.py", "src/evoked/models/abmf.py"],
        libraries=("torch", "lightning"),
    )


def difference(name: str, steps: int) -> dict[str, Any]:
    """The largest differences between two processes and one of twice their batch."""
    with tempfile.TemporaryDirectory() as folder:
        one, one_weights = trained(name, steps, 1, Path(folder) / "one")
        two, two_weights = trained(name, steps, 2, Path(folder) / "two")
    return {
        "model": name,
        "posts": POSTS,
        "steps": steps,
        **{
            f"{part} loss": max(
                abs(first[f"{part}_loss"] - second[f"{part}_loss"])
                for first, second in zip(one, two, strict=True)
            )
            for part in ("train", "validation")
        },
        "weights": max(
            float((one_weights[each] - two_weights[each]).abs().max()) for each in one_weights
        ),
    }


def trained(
    name: str, steps: int, processes: int, folder: Path
) -> tuple[list[Any], dict[str, Any]]:
    """The records of all epochs, and the weights after the last step."""
    import torch

    model = build_model(name, {**SMALL[name], **OFF})
    examples = random_examples(POSTS + HELD_OUT, task=model.task)
    epochs = steps // STEPS_PER_EPOCH
    history = model.fit(
        examples.select(range(POSTS)),
        examples.select(range(POSTS, POSTS + HELD_OUT)),
        folder=folder,
        training=TrainingSettings(
            max_epochs=epochs,
            patience=epochs,
            batch_size=POSTS // STEPS_PER_EPOCH // processes,
            device="cpu",
            devices=processes,
        ),
    )
    checkpoint = torch.load(folder / LAST_CHECKPOINT, weights_only=True)
    assert checkpoint["global_step"] == steps
    return history, checkpoint["state_dict"]


def on_gpus(posts: int, batch_size: int) -> list[dict[str, Any]]:
    """A plain loop, one GPU and all of them, as rows of the table; one that says so where there is
    none."""
    import torch

    if not torch.cuda.is_available():
        return [{"trained by": NO_GPU}]
    peak = matrix_rate()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        evoked.synthesise(place / "posts", n=posts, seed=0)
        model = build_model("abmf", {"finetune": True, **OFF, "augment": False})
        examples = examples_of(model, place)
        operations, plain, memory = plain_loop(model, examples, batch_size)
        rows = [row("a plain loop", plain, operations, peak, 0.0, memory)]
        for devices in sorted({1, torch.cuda.device_count()}):
            epoch, loading, memory = by_evoked(model, examples, batch_size, devices, place)
            speed = posts / epoch
            name = f"evoked, {devices} {'GPU' if devices == 1 else 'GPUs'}"
            rows.append(row(name, speed, operations, devices * peak, loading / epoch, memory))
    return rows


def row(
    name: str,
    samples_per_second: float,
    operations: float,
    peak: float,
    loading: float,
    memory: float,
) -> dict[str, Any]:
    """A row of the table of GPUs.

    Parameters
    ----------
    name
        Who trained.
    samples_per_second
        Posts per second of all its GPUs together.
    operations
        Floating-point operations of a post's training step.
    peak
        Operations per second of the products of matrices, of all its GPUs together.
    loading
        Seconds in which batches were made, as a share of an epoch.
    memory
        Bytes taken at most; NaN where other processes took them.
    """
    return {
        "trained by": name,
        "samples/s": samples_per_second,
        "of the matrix rate, %": 100 * samples_per_second * operations / peak,
        "loading, %": 100 * loading,
        "GiB": memory / 2**30,
    }


def matrix_rate() -> float:
    """Floating-point operations per second of products of large matrices in bf16."""
    import torch

    left, right = torch.randn(2, _EDGE, _EDGE, device="cuda", dtype=torch.bfloat16)
    left @ right
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(_PRODUCTS):
        left @ right
    torch.cuda.synchronize()
    return 2 * _EDGE**3 * _PRODUCTS / (time.perf_counter() - start)


def plain_loop(model: Model, examples: Examples, batch_size: int) -> tuple[float, float, float]:
    """Operations per post, posts per second and bytes of a loop without Lightning, whose batches
    lie on the card before the clock starts."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from evoked.training.batches import EpochBatches, loader

    assert examples.targets is not None
    network: Any = model.build({name: examples.features.widths[name] for name in model.features})  # type: ignore[attr-defined]
    network.cuda().train()
    optimizer = torch.optim.Adam(network.parameter_groups(2e-3))
    batches = [
        {name: value.cuda() for name, value in batch.items()}
        for batch in loader(
            examples.features, examples.targets, EpochBatches(len(examples), batch_size, seed=0)
        )
    ]

    def step(batch: Any) -> None:
        with torch.autocast("cuda", torch.bfloat16):
            predicted = network(batch)
        network.criterion(predicted.float(), batch["targets"], batch["weights"]).backward()
        optimizer.step()
        optimizer.zero_grad()

    torch.cuda.reset_peak_memory_stats()
    with FlopCounterMode(display=False) as counter:
        step(batches[0])
    operations = counter.get_total_flops() / len(batches[0]["targets"])
    torch.cuda.synchronize()
    start = time.perf_counter()
    for batch in batches:
        step(batch)
    torch.cuda.synchronize()
    speed = sum(len(batch["targets"]) for batch in batches) / (time.perf_counter() - start)
    return operations, speed, torch.cuda.max_memory_allocated()


def by_evoked(
    model: Model, examples: Examples, batch_size: int, devices: int, folder: Path
) -> tuple[float, float, float]:
    """Seconds of the last of three epochs, those of making its batches alone, and bytes at most."""
    import torch

    from evoked.training.batches import EpochBatches, loader

    torch.cuda.reset_peak_memory_stats()
    history = model.fit(
        examples,
        folder=folder / f"{devices}",
        training=TrainingSettings(
            max_epochs=3, batch_size=batch_size, device="cuda", devices=devices, precision="bf16"
        ),
    )
    memory = torch.cuda.max_memory_allocated() if devices == 1 else float("nan")
    batches = EpochBatches(
        len(examples), batch_size, 0, lengths=examples.features.lengths, share=(0, devices)
    )
    start = time.perf_counter()
    for _ in loader(examples.features, examples.targets, batches):
        pass
    return history[-1]["seconds"], time.perf_counter() - start, memory


if __name__ == "__main__":
    main()

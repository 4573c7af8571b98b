"""The training loop of all networks: Lightning, early stopping, exact resume, the best weights."""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import lightning
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins.io import TorchCheckpointIO
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from evoked.errors import EvokedError, SettingsError
from evoked.features._memory import return_free_memory
from evoked.features.table import Batch
from evoked.files import atomic_path, damage, write_csv, write_safetensors
from evoked.targets import TargetTable
from evoked.training.batches import EpochBatches, Rows, loader
from evoked.training.records import BEST_WEIGHTS, LAST_CHECKPOINT, LOG, EpochRecord
from evoked.training.settings import TrainingSettings

_BEGIN_ANEW = "Remove the file to begin the training anew."


class Trainable(Protocol):
    """What a network needs for the loop, besides being a module that maps a batch to (b, t).

    A network may also have ``validation_score(predicted, targets, weights) -> Tensor``, a scalar
    over all validation posts that is higher for a better epoch. Then this score, in place of the
    validation loss, decides which weights are kept and when training stops.
    """

    def criterion(self, predicted: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Scalar loss of predictions, targets and their weights, all (b, t)."""

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """Parameters with their learning rates."""


def fit_network(
    network: nn.Module,
    train: tuple[Rows, TargetTable],
    validation: tuple[Rows, TargetTable] | None,
    settings: TrainingSettings,
    folder: Path,
    *,
    views: int = 1,
    posts_at_once: int = 256,
    estimated_weight: float = 1.0,
    post_weights: NDArray[np.float32] | None = None,
    sample_posts: bool = False,
    progress: Callable[[EpochRecord], None] | None = None,
) -> list[EpochRecord]:
    """Train ``network`` in place and leave it with its best weights.

    Parameters
    ----------
    network
        A module that fulfils :class:`Trainable`.
    train, validation
        Features and targets. Without validation posts, or without a known target among them,
        training runs for all epochs and keeps the last weights.
    settings
        See :class:`TrainingSettings`.
    folder
        Gets log.csv, the last checkpoint and the best weights. An interrupted run continues there
        after its last finished epoch, with the same result as if it had never stopped.
    views
        Number of views of each picture to choose from in training.
    posts_at_once
        How many validation posts are predicted together.
    estimated_weight
        Weight of targets that an emotion reader estimated.
    post_weights
        Factor of each training post in the loss, (n,); None for all alike.
    sample_posts
        Whether ``post_weights`` say how often posts are drawn, and not their factors in the loss.
    progress
        Called after every epoch with its record.

    Returns
    -------
    list of dict
        For each epoch: epoch, train_loss, validation_loss, seconds, samples_per_second, and
        validation_score if the network has one.

    Raises
    ------
    SettingsError
        16-bit floats (fp16) are asked for without a GPU.
    EvokedError
        The loss is not finite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    features, targets = train
    chances = post_weights if sample_posts else None
    batches = EpochBatches(
        len(features), settings.batch_size, settings.seed, views, features.lengths, chances
    )
    recorder = _Recorder(
        folder, validation, posts_at_once, settings.patience, progress, len(features)
    )
    task = _Task(network, settings, steps=math.ceil(len(batches) / settings.accumulate))
    last = folder / LAST_CHECKPOINT
    with _quiet_lightning():
        trainer = lightning.Trainer(
            max_epochs=settings.max_epochs,
            accelerator=settings.device,
            devices=1,
            precision=_precision(settings),
            accumulate_grad_batches=settings.accumulate,
            gradient_clip_val=settings.clip or None,
            callbacks=[recorder],
            plugins=[_AtomicCheckpoints()],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )
        if last.is_file():
            _check_checkpoint(last, network)
        trainer.fit(
            task,
            loader(
                features,
                targets,
                batches,
                estimated_weight=estimated_weight,
                post_weights=None if sample_posts else post_weights,
                workers=settings.workers,
            ),
            ckpt_path=str(last) if last.is_file() else None,
            weights_only=True if last.is_file() else None,
        )
    best = folder / BEST_WEIGHTS
    if best.is_file():
        with damage(best, "the best weights of this training", _BEGIN_ANEW):
            network.load_state_dict(load_file(best))
    return recorder.history


def _check_checkpoint(file: Path, network: nn.Module) -> None:
    """Raise DataError if a file is not a checkpoint of this network's training, before Lightning
    takes it; nothing in it is executed."""
    with damage(file, "a checkpoint of this training", _BEGIN_ANEW):
        found = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        state = {
            name.removeprefix("network."): tuple(value.shape)
            for name, value in found["state_dict"].items()
        }
        if state != {name: tuple(value.shape) for name, value in network.state_dict().items()}:
            raise ValueError("its weights are those of another network")
        missing = {"callbacks", "epoch", "loops", "optimizer_states", "lr_schedulers"} - set(found)
        if missing:
            raise ValueError(f"it lacks {sorted(missing)}")


@torch.inference_mode()
def predict_network(
    network: nn.Module,
    features: Rows,
    device: str = "auto",
    method: str = "forward",
    batch_size: int = 256,
) -> NDArray[np.float32]:
    """Outputs (n, …) of a network's ``method``, its predictions by default, a batch at a time.

    ``device`` is one of :class:`TrainingSettings`: ``auto`` takes a graphics card if there is one.
    """
    place = _inference_device(device)
    network.to(place).eval()
    function = network if method == "forward" else getattr(network, method)
    parts = []
    for batch in loader(features, None, EpochBatches(len(features), batch_size)):
        on_device = {name: value.to(place, non_blocking=True) for name, value in batch.items()}
        parts.append(function(on_device).float().cpu().numpy())
        return_free_memory()
    network.cpu()
    return np.concatenate(parts)


def rate_factor(settings: TrainingSettings, step: int, steps_per_epoch: int) -> float:
    """Factor of the learning rates at ``step``, counted from 0 over all epochs."""
    total = settings.max_epochs * steps_per_epoch
    warmup = settings.warmup * total
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if settings.schedule == "drop":
        return settings.drop_factor if step >= settings.drop_after * steps_per_epoch else 1.0
    if settings.schedule == "cosine":
        return 0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, step / total))) / 2
    return 1.0


class _Task(lightning.LightningModule):
    """The network, its optimiser and its schedule."""

    def __init__(self, network: Any, settings: TrainingSettings, steps: int) -> None:
        super().__init__()
        self.network = network
        self.settings = settings
        self.steps_per_epoch = max(steps, 1)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        # Dropout depends only on seed, epoch and batch, so that a resumed run repeats an
        # uninterrupted one.
        place = self.current_epoch * int(self.trainer.num_training_batches) + batch_idx
        torch.manual_seed(self.settings.seed * 1_000_003 + place)
        predicted = self.network(batch)
        return self.network.criterion(predicted.float(), batch["targets"], batch["weights"])

    def configure_optimizers(self) -> Any:
        settings = self.settings
        kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
        optimizer = kinds[settings.optimizer](
            self.network.parameter_groups(settings.learning_rate),
            weight_decay=settings.weight_decay,
        )

        def factor(step: int) -> float:
            return rate_factor(settings, step, self.steps_per_epoch)

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


class _Recorder(Callback):
    """Validates after each epoch, keeps the best weights and the last state, stops early."""

    def __init__(
        self,
        folder: Path,
        validation: tuple[Rows, TargetTable] | None,
        posts_at_once: int,
        patience: int,
        progress: Callable[[EpochRecord], None] | None,
        samples: int,
    ) -> None:
        self.folder = folder
        self.validation = validation
        self.posts_at_once = posts_at_once
        self.patience = patience
        self.progress = progress
        self.samples = samples
        self.history: list[EpochRecord] = []
        self._losses: list[Tensor] = []
        self._started = time.perf_counter()

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history = state_dict["history"]

    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        # A run that stopped early and is started again has nothing left to do.
        trainer.should_stop = self._out_of_patience()

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        self._losses = []
        self._started = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._losses.append(outputs["loss"].detach())

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        seconds = time.perf_counter() - self._started
        train_loss = float(torch.stack(self._losses).mean()) if self._losses else float("nan")
        if not np.isfinite(train_loss):
            raise EvokedError(
                f"the training loss became {train_loss} in epoch {trainer.current_epoch + 1}. "
                "Lower the learning rate, or look for targets that are not numbers."
            )
        best = max(map(_goodness, self.history), default=-math.inf)
        record = {
            "epoch": trainer.current_epoch + 1,
            "train_loss": train_loss,
            **self._validate(pl_module.network),
            "seconds": seconds,
            "samples_per_second": self.samples / seconds,
        }
        self.history.append(record)
        # Without a known score, the last epoch is kept.
        if best == -math.inf or _goodness(record) > best:
            write_safetensors(self.folder / BEST_WEIGHTS, _plain_state(pl_module.network))
        write_csv(self.folder / LOG, pd.DataFrame(self.history))
        trainer.save_checkpoint(self.folder / LAST_CHECKPOINT)
        trainer.should_stop = self._out_of_patience()
        if self.progress is not None:
            self.progress(record)

    def _out_of_patience(self) -> bool:
        known = [_goodness(record) for record in self.history]
        if not known or not np.isfinite(known).all():
            return False
        return len(known) - 1 - int(np.argmax(known)) >= self.patience

    @torch.inference_mode()
    def _validate(self, network: Any) -> EpochRecord:
        """Loss, and the score if the network has one, over all validation posts at once: CCC and R²
        are not averages over batches."""
        unknown = {"validation_loss": float("nan")}
        if self.validation is None:
            return unknown
        features, targets = self.validation
        if not len(features) or not np.isfinite(targets.values).any():
            return unknown
        device = next(network.parameters()).device
        network.eval()
        predicted, truth, weights = [], [], []
        for batch in loader(features, targets, EpochBatches(len(features), self.posts_at_once)):
            on_device = {name: value.to(device) for name, value in batch.items()}
            predicted.append(network(on_device).float())
            truth.append(on_device["targets"])
            weights.append(on_device["weights"])
        everything = torch.cat(predicted), torch.cat(truth), torch.cat(weights)
        found = {"validation_loss": float(network.criterion(*everything))}
        if hasattr(network, "validation_score"):
            found["validation_score"] = float(network.validation_score(*everything))
        network.train()
        return found


def _goodness(record: EpochRecord) -> float:
    """The score that compares epochs, higher is better; -inf if it is unknown."""
    value = record.get("validation_score", -record["validation_loss"])
    return value if math.isfinite(value) else -math.inf


class _AtomicCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint to a temporary file and renames it, so that none is ever incomplete."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        with atomic_path(path) as temporary:
            torch.save(checkpoint, temporary)


def _plain_state(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}


def _precision(settings: TrainingSettings) -> Any:
    on_gpu = settings.device != "cpu" and torch.cuda.is_available()
    wanted = settings.precision
    if wanted == "auto":
        wanted = "bf16" if on_gpu and torch.cuda.is_bf16_supported() else "32"
    if wanted == "fp16" and not on_gpu:
        raise SettingsError(
            "precision fp16 needs a GPU (CUDA), and training runs on the processor; use "
            "'auto', 'bf16' or '32'."
        )
    return {"bf16": "bf16-mixed", "fp16": "16-mixed", "32": "32-true"}[wanted]


def _inference_device(device: str) -> torch.device:
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


class _quiet_lightning(warnings.catch_warnings):  # noqa: N801 - a context manager
    """Silences Lightning's start-up messages and its advice on workers during a fit."""

    def __enter__(self) -> Any:
        entered = super().__enter__()
        warnings.filterwarnings("ignore", module="lightning")
        warnings.filterwarnings("ignore", message=".*(does not have many workers|lr_scheduler).*")
        for name in (
            "lightning.pytorch",
            "lightning.fabric",
            "lightning.pytorch.utilities.rank_zero",
        ):
            logging.getLogger(name).setLevel(logging.ERROR)
        return entered

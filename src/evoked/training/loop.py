"""The training loop of all networks: Lightning, early stopping, exact resume, the best weights."""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import lightning
import numpy as np
import pandas as pd
import torch
from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.strategies import DDPStrategy
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from evoked.errors import EvokedError, PartDone, SettingsError
from evoked.features._memory import return_free_memory
from evoked.features.table import Batch
from evoked.files import atomic_path, damage, write_csv, write_safetensors
from evoked.layers.gathering import gathered
from evoked.layers.message_passing import NodeNorm
from evoked.targets import TargetTable
from evoked.training.batches import EpochBatches, Rows, loader
from evoked.training.devices import check_devices, machine_number, on_every_device
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
        16-bit floats (fp16) are asked for without a GPU, or a GPU has no bf16; or several devices
        can't train this network or so few posts, see :mod:`evoked.training.devices`.
    EvokedError
        The loss is not finite, or a process of several was ended from outside.
    PartDone
        Another machine leads the training and goes on with its result.
    """
    if machine_number(settings) == 0:  # the first machine writes
        folder.mkdir(parents=True, exist_ok=True)
    last, best = folder / LAST_CHECKPOINT, folder / BEST_WEIGHTS
    if last.is_file():
        _check_checkpoint(last, network)
    work = _Fit(
        network=network,
        train=train,
        validation=validation,
        settings=settings,
        folder=folder,
        views=views,
        posts_at_once=posts_at_once,
        estimated_weight=estimated_weight,
        post_weights=post_weights,
        sample_posts=sample_posts,
        precision=_precision(settings),
    )
    if settings.processes == 1:
        history = work(progress)
    else:
        check_devices(settings, len(train[0]))
        _check_batch_norms(network)
        history = on_every_device(work, settings, progress)
        if machine_number(settings) > 0:
            raise PartDone(
                "This machine has done its part of the training. The first one goes on with the "
                f"run {folder.parent}."
            )
    if best.is_file():
        with damage(best, "the best weights of this training", _BEGIN_ANEW):
            network.load_state_dict(load_file(best))
    return history


@dataclass(frozen=True)
class _Fit:
    """A training as each of its processes does it; the fields are parameters of
    :func:`fit_network`."""

    network: nn.Module
    train: tuple[Rows, TargetTable]
    validation: tuple[Rows, TargetTable] | None
    settings: TrainingSettings
    folder: Path
    views: int
    posts_at_once: int
    estimated_weight: float
    post_weights: NDArray[np.float32] | None
    sample_posts: bool
    precision: Any

    def __call__(self, progress: Callable[[EpochRecord], None] | None) -> list[EpochRecord]:
        """Train in this process, alone or as one of several; the records of all epochs."""
        settings, (features, targets) = self.settings, self.train
        recorder = _Recorder(
            self.folder,
            self.validation,
            self.posts_at_once,
            settings.patience,
            progress,
            len(features),
        )
        last = self.folder / LAST_CHECKPOINT
        with _quiet_lightning():
            trainer = lightning.Trainer(
                max_epochs=settings.max_epochs,
                accelerator=settings.device,
                **_together(settings),
                precision=self.precision,
                accumulate_grad_batches=settings.accumulate,
                gradient_clip_val=settings.clip or None,
                callbacks=[recorder],
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                num_sanity_val_steps=0,
                use_distributed_sampler=False,
            )
            batches = EpochBatches(
                len(features),
                settings.batch_size,
                settings.seed,
                self.views,
                features.lengths,
                self.post_weights if self.sample_posts else None,
                (trainer.global_rank, trainer.world_size),
            )
            steps = math.ceil(len(batches) / settings.accumulate)
            trainer.fit(
                _Task(self.network, settings, steps),
                loader(
                    features,
                    targets,
                    batches,
                    estimated_weight=self.estimated_weight,
                    post_weights=None if self.sample_posts else self.post_weights,
                    workers=settings.workers,
                ),
                ckpt_path=str(last) if last.is_file() else None,
                weights_only=True if last.is_file() else None,
            )
        return recorder.history


def _together(settings: TrainingSettings) -> dict[str, Any]:
    """Which devices Lightning trains on, and how they train together."""
    if settings.processes == 1:
        return {"devices": 1, "plugins": [_AtomicCheckpoints()]}
    # Placeholders of modalities that all posts of a batch have get no gradient.
    strategies = {"ddp": DDPStrategy(find_unused_parameters=True)}
    return {
        "devices": settings.devices,
        "num_nodes": settings.nodes,
        "strategy": strategies[settings.strategy],
        # Named, so that the variables of a cluster's scheduler decide nothing.
        "plugins": [_AtomicCheckpoints(), LightningEnvironment()],
    }


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
        # Dropout depends only on seed, epoch, batch and process, so that a resumed run repeats an
        # uninterrupted one.
        place = self.current_epoch * int(self.trainer.num_training_batches) + batch_idx
        place = place * self.trainer.world_size + self.trainer.global_rank
        torch.manual_seed(self.settings.seed * 1_000_003 + place)
        predicted = self.network(batch).float()
        # Few losses are means that could be taken share by share: those of agreement or of
        # matching compare the posts of a batch, and even a weighted mean divides by all weights.
        whole = (gathered(each) for each in (predicted, batch["targets"], batch["weights"]))
        return self.network.criterion(*whole)

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


def _check_batch_norms(network: nn.Module) -> None:
    """Refuse what would learn statistics of shares in place of batches. Pretrained encoders keep
    those that they came with; neighbourhoods are each device's own, and so is their norm."""
    network.train()
    for name, module in network.named_modules():
        if isinstance(module, _BatchNorm) and module.training and not isinstance(module, NodeNorm):
            raise SettingsError(
                f"{name}: a batch normalisation would see the share of one device alone. Use a "
                "layer norm in its place, or train on one device."
            )


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
            **self._validate(pl_module.network, (trainer.global_rank, trainer.world_size)),
            "seconds": seconds,
            "samples_per_second": self.samples / seconds,
        }
        # The first process decides for all, so that they stop after the same epoch.
        record = trainer.strategy.broadcast(record)
        self.history.append(record)
        if trainer.is_global_zero:
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
    def _validate(self, network: Any, share: tuple[int, int]) -> EpochRecord:
        """Loss, and the score if the network has one, over all validation posts at once: CCC and R²
        are not averages over batches. Several processes each predict their share."""
        unknown = {"validation_loss": float("nan")}
        if self.validation is None:
            return unknown
        features, targets = self.validation
        if not len(features) or not np.isfinite(targets.values).any():
            return unknown
        device = next(network.parameters()).device
        network.eval()
        none = torch.zeros(0, targets.values.shape[1], device=device)
        predicted, truth, weights = [none], [none], [none]
        batches = EpochBatches(len(features), self.posts_at_once, share=share)
        for batch in loader(features, targets, batches):
            on_device = {name: value.to(device) for name, value in batch.items()}
            predicted.append(network(on_device).float())
            truth.append(on_device["targets"])
            weights.append(on_device["weights"])
        everything = [gathered(torch.cat(each)) for each in (predicted, truth, weights)]
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
    # Where a GPU has no bf16, torch computes it in software, which is slower than 32 bits.
    has_bf16 = on_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
    wanted = settings.precision
    if wanted == "auto":
        wanted = "bf16" if has_bf16 else "32"
    if wanted == "bf16" and on_gpu and not has_bf16:
        raise SettingsError(
            f"precision bf16: {torch.cuda.get_device_name()} does not have it; use 'auto', 'fp16' "
            "or '32'."
        )
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

"""How a network is trained: only the settings, which are quick to import."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from evoked.settings import Settings


class TrainingSettings(Settings):
    """How a network is trained; the defaults are for heads on frozen encoders."""

    max_epochs: int = Field(40, ge=1, description="largest number of epochs")
    batch_size: int = Field(32, ge=2, description="posts per step and device")
    learning_rate: float = Field(
        2e-3, gt=0, description="learning rate of what is trained from scratch"
    )
    optimizer: Literal["adam", "adamw"] = Field(
        "adam", description="adamw decays weights separately from the gradient"
    )
    weight_decay: float = Field(1e-4, ge=0, description="weight decay of the optimiser")
    schedule: Literal["constant", "cosine", "drop"] = Field(
        "cosine", description="course of the learning rate after the warm-up"
    )
    drop_after: int = Field(2, ge=1, description="epochs before the rate falls (drop)")
    drop_factor: float = Field(0.1, gt=0, le=1, description="factor when the rate falls (drop)")
    warmup: float = Field(
        0.05, ge=0, lt=1, description="share of the steps in which the rate rises to its full value"
    )
    patience: int = Field(10, ge=1, description="epochs without improvement before stopping")
    accumulate: int = Field(1, ge=1, description="batches whose gradients are added up for a step")
    clip: float = Field(1.0, ge=0, description="largest norm of the gradient; 0 for no limit")
    precision: Literal["auto", "32", "bf16", "fp16"] = Field(
        "auto",
        description="precision of products: auto (bf16 on a GPU that has it, else 32 bits), 32, "
        "bf16 or fp16, which needs a GPU",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="device to train on: auto, cpu or cuda"
    )
    devices: int = Field(
        1,
        ge=1,
        description="GPUs (processes, on a processor) of this machine that train together, each on "
        "batch_size posts per step",
    )
    nodes: int = Field(
        1, ge=1, description="machines that train together, with as many devices each"
    )
    strategy: Literal["ddp"] = Field(
        "ddp",
        description="how devices train together: ddp, each with a whole copy of the network and a "
        "share of every batch",
    )
    max_posts: int = Field(
        200_000,
        ge=1000,
        description="of a larger dataset, so many posts are drawn to learn from and to test on; "
        "what authors' earlier posts achieved is known of all",
    )
    workers: int = Field(0, ge=0, description="processes that load batches")
    seed: int = Field(0, description="random seed for the split, weights and batches")

    @property
    def processes(self) -> int:
        """Devices of all machines together; a process trains on each."""
        return self.devices * self.nodes

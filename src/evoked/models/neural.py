"""Models that are one network: apart from the contract of all models, since torch takes long to
import."""

from __future__ import annotations

import math
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from evoked.features.catalog import FeatureSettings
from evoked.features.named_encoders import check_named_encoders
from evoked.files import damage, read_object, write_json, write_safetensors
from evoked.models.base import (
    MODEL_FILE,
    WEIGHTS_FILE,
    Examples,
    Model,
    ModelSettings,
    reading_weights,
)
from evoked.training.loop import fit_network, predict_network
from evoked.training.records import EpochRecord
from evoked.training.settings import TrainingSettings

# Encoders that are trained register their weights several times while they are loaded.
_MOST_TIMES = 4
_ALWAYS_BUILT = 1_000_000


@contextmanager
def _bounded(folder: Path) -> Iterator[None]:
    """Refuse a network, while it is built, that has far more weights than the folder holds."""
    with reading_weights(folder), safe_open(folder / WEIGHTS_FILE, framework="numpy") as weights:
        held = sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118 (not a dictionary)
    left, own = _ALWAYS_BUILT + _MOST_TIMES * held, threading.get_ident()

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal left
        if parameter is None or threading.get_ident() != own:
            return
        left -= parameter.numel()
        if left < 0:
            raise ValueError(f"a network of far more than the {held:,} weights in {WEIGHTS_FILE}")

    # A parameter is registered before it is filled, so that no memory has been touched by then.
    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


class NeuralModel(Model):
    """A model that is one network; this class fits, predicts, saves and loads it.

    A subclass defines :meth:`build`. The network maps a batch to (b, targets) and fulfils
    :class:`evoked.training.loop.Trainable`.
    """

    def __init__(
        self,
        settings: ModelSettings | None = None,
        feature_settings: FeatureSettings | None = None,
        task: str | None = None,
    ) -> None:
        super().__init__(settings, feature_settings, task)
        self.network: Any = None
        # The device it was trained on and predicts on; a loaded model takes the best there is.
        self.device = "auto"

    @abstractmethod
    def build(self, widths: dict[str, int]) -> nn.Module:
        """A network with fresh weights for features of these widths (by catalog name)."""

    @property
    def views(self) -> int:
        """How many views of each picture training chooses from."""
        return int(self.feature_settings.views)

    @property
    def estimated_weight(self) -> float:
        """Weight in the loss of targets that an emotion reader estimated."""
        return 0.5

    def post_weights(self, train: Examples) -> NDArray[np.float32] | None:
        """Factor of each training post in the loss, (n,), one on average; None for all alike."""
        return None

    @property
    def sample_posts(self) -> bool:
        """Whether posts are drawn as often as their weights say, in place of factors in the
        loss."""
        return False

    def fit(
        self,
        train: Examples,
        validation: Examples | None = None,
        *,
        folder: Path,
        training: TrainingSettings | None = None,
        progress: Callable[[EpochRecord], None] | None = None,
    ) -> list[EpochRecord]:
        training = training or self.default_training
        self._learn_targets(train)
        assert train.targets is not None
        self.widths = {name: train.features.widths[name] for name in self.features}
        torch.manual_seed(training.seed)
        self.device = training.device
        self.network = self.build(self.widths)
        held_out = None
        if validation is not None and validation.targets is not None and len(validation):
            held_out = (validation.features, validation.targets)
        return fit_network(
            self.network,
            (train.features, train.targets),
            held_out,
            training,
            folder,
            views=self.views,
            posts_at_once=self._posts_at_once,
            estimated_weight=self.estimated_weight,
            post_weights=self.post_weights(train),
            sample_posts=self.sample_posts,
            progress=progress,
        )

    def predict(self, examples: Examples) -> pd.DataFrame:
        self.check_features(examples.features)
        if not len(examples):
            return self._as_table(np.zeros((0, len(self.targets)), dtype=np.float32))
        return self._as_table(self._outputs(examples))

    def _outputs(self, examples: Examples, method: str = "forward") -> NDArray[np.float32]:
        """Output of a method of the network for each post, (n, …)."""
        return predict_network(
            self.network, examples.features, self.device, method, self._posts_at_once
        )

    @property
    def _posts_at_once(self) -> int:
        """How many posts are predicted together: few where their pictures go through an encoder,
        which needs some 20 MiB for each."""
        return 16 if "image.pixels" in self.features else 256

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        state = self.network.state_dict()
        tensors = {name: value.contiguous() for name, value in state.items()}
        write_safetensors(folder / WEIGHTS_FILE, tensors)
        write_json(folder / MODEL_FILE, {**self._description(), "widths": self.widths})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Inverse of :meth:`save`.

        Raises
        ------
        DataError
            A file is missing or damaged, or describes a network that is far larger than the
            weights, which is noticed before memory is taken for it.
        """
        file = folder / MODEL_FILE
        description = read_object(file, "widths")
        model = cls._from_description(description, file)
        if model.features:
            check_named_encoders(model.feature_settings, file)
        with damage(file, f"the settings of a {cls.name} model", "Train the model again."):
            model.widths = {str(name): int(width) for name, width in description["widths"].items()}
            with _bounded(folder):
                model.network = model.build(model.widths)
        with reading_weights(folder):
            model.network.load_state_dict(load_file(folder / WEIGHTS_FILE))
        model.network.eval()
        return model

"""The contract of a model: what every file of this folder fulfils.

A model names the features it reads and the targets it predicts, and says nothing of files of
posts, devices or printing::

    model = ABMF(ABMFSettings(), FeatureSettings())
    model.fit(train, validation, folder=run)
    table = model.predict(examples)
    model.save(folder)
    model = load_model(folder)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from evoked.errors import DataError, SettingsError, did_you_mean
from evoked.features.catalog import FeatureSettings
from evoked.features.social_graph import SocialGraph
from evoked.features.table import FeatureTable
from evoked.files import atomic_path, read_json, write_json
from evoked.targets import DEFAULT_TASK, TASKS, TargetTable, Task, task_class
from evoked.training.loop import EpochRecord, TrainingSettings, fit_network, predict_network

MODEL_FILE = "model.json"
WEIGHTS_FILE = "weights.safetensors"


@contextmanager
def reading_weights(folder: Path) -> Iterator[None]:
    """Turn whatever goes wrong while a model's weights are read into one clear DataError."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"the weights don't belong to this model or are damaged ({error}).",
            file=folder / WEIGHTS_FILE,
            fix="Train the model again.",
        ) from error


@dataclass(frozen=True)
class Examples:
    """n posts as a model sees them, or n viewings of posts by users.

    Attributes
    ----------
    posts
        The posts' own table, for models that read columns directly (author, category). Of
        viewings: ``user_id``, ``post_id``, ``viewed_at`` and three rows of ``graph``: ``user`` and
        ``image``, -1 for one that it doesn't hold, and ``viewing``, -1 for a viewing that the
        graph doesn't show.
    features
        The features that the model named.
    targets
        Target values, absent when predicting.
    graph
        Of viewings: everything that may be looked at beside the viewing itself.
    """

    posts: pd.DataFrame
    features: FeatureTable
    targets: TargetTable | None = None
    graph: SocialGraph | None = None

    def __len__(self) -> int:
        return len(self.posts)

    def select(self, rows: ArrayLike) -> Examples:
        """The examples at ``rows`` (m,), features not copied."""
        chosen = np.asarray(rows, dtype=np.int64)
        return Examples(
            self.posts.iloc[chosen].reset_index(drop=True),
            self.features.select(chosen),
            None if self.targets is None else self.targets.select(chosen),
            self.graph,
        )


class ModelSettings(BaseModel):
    """Settings of a model; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Model(ABC):
    """A predictor of targets from features.

    Parameters
    ----------
    settings
        An instance of the class's ``Settings``; its defaults when omitted.
    feature_settings
        Encoders that compute the features; needed by models that fine-tune them.
    task
        What to learn, one of the class's ``tasks``; the first of them when omitted.

    Raises
    ------
    SettingsError
        A task that the model does not learn.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    source: ClassVar[str] = ""
    tasks: ClassVar[tuple[str, ...]] = (DEFAULT_TASK.name,)
    # How it is trained where nobody says otherwise.
    default_training: ClassVar[TrainingSettings] = TrainingSettings()
    # What its examples are of.
    rows: ClassVar[Literal["posts", "viewings"]] = "posts"
    Settings: ClassVar[type[ModelSettings]] = ModelSettings

    def __init__(
        self,
        settings: ModelSettings | None = None,
        feature_settings: FeatureSettings | None = None,
        task: str | None = None,
    ) -> None:
        chosen = self.tasks[0] if task is None else task
        if chosen not in self.tasks:
            hint = "" if chosen in TASKS else did_you_mean(chosen, TASKS)
            raise SettingsError(
                f"{self.name} does not learn the task {chosen!r}; it learns "
                f"{', '.join(self.tasks)}.{hint}"
            )
        self.task: type[Task] = task_class(chosen)
        self.settings: Any = settings if settings is not None else self.Settings()
        self.feature_settings = feature_settings or FeatureSettings()
        # Targets that the training posts told; only these are predicted.
        self.known_targets: list[str] = []
        # Of the features that the model was trained on.
        self.widths: dict[str, int] = {}

    @property
    def features(self) -> list[str]:
        """Names from the catalog that the model reads."""
        return []

    @property
    def caution(self) -> str:
        """What whoever reads its scores has to know, such as that it reads what no draft has."""
        return ""

    @property
    def targets(self) -> list[str]:
        """Columns of the task, which the model predicts."""
        return list(self.task.columns)

    @abstractmethod
    def fit(
        self,
        train: Examples,
        validation: Examples | None = None,
        *,
        folder: Path,
        training: TrainingSettings | None = None,
        progress: Callable[[EpochRecord], None] | None = None,
    ) -> list[EpochRecord]:
        """Learn from examples.

        Parameters
        ----------
        train, validation
            Examples with targets.
        folder
            For the log and the checkpoints from which an interrupted fit goes on.
        training
            Used by models that are trained in epochs; ``default_training`` when omitted.
        progress
            Called after every epoch.

        Raises
        ------
        DataError
            There are no examples, or none with a known target.
        """

    @abstractmethod
    def predict(self, examples: Examples) -> pd.DataFrame:
        """Predict targets.

        Returns
        -------
        DataFrame
            (n, targets), the task's columns: such as valence and arousal on the project's scales
            and engagement as quantiles in [0, 1], or probabilities of classes; NaN for targets
            that the training posts did not tell.
        """

    def modal_vectors(self, examples: Examples) -> NDArray[np.float32] | None:
        """Image and text in the space that they share, (n, 2, width), for the Modal Relevance
        Score (ABMF Table 5); None for models without such a space."""
        return None

    def fused_vectors(self, examples: Examples) -> NDArray[np.float32] | None:
        """What is left of a post after fusion, (n, width), for looking at the space that it spans
        (ABMF Figure 3); None for models that fuse nothing."""
        return None

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the model into ``folder``: settings as JSON, weights as safetensors."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Self:
        """Inverse of :meth:`save`; runs nothing that the folder holds."""

    def check_features(self, features: FeatureTable) -> None:
        """Raise if ``features`` are not those that the model was trained on.

        Raises
        ------
        SettingsError
            The model has not been fitted, or a feature is absent, or of another width.
        """
        if not self.known_targets:
            raise SettingsError(f"this {self.name} has not been fitted yet: call fit() or load().")
        # Widths of what a graph holds are told there, not by the features of rows.
        for name, width in self.widths.items():
            if name not in self.features:
                continue
            found = features.widths.get(name)
            if found != width:
                raise SettingsError(
                    f"{self.name} was trained on {name} of width {width}, not "
                    f"{'absent' if found is None else found}; use the encoders it was trained with "
                    f"({self.feature_settings!r})."
                )

    def _learn_targets(self, train: Examples) -> NDArray[np.float32]:
        if train.targets is None or not len(train):
            raise DataError(f"{self.name} needs at least one training post with targets.")
        values = train.targets.values
        self.known_targets = [
            name
            for position, name in enumerate(self.targets)
            if np.isfinite(values[:, position]).any()
        ]
        if not self.known_targets:
            raise DataError(
                f"no training post of {len(train)} has a known target, so {self.name} has "
                "nothing to learn."
            )
        return values

    def _as_table(self, predicted: NDArray[np.floating[Any]]) -> pd.DataFrame:
        table = pd.DataFrame(predicted.astype(np.float64), columns=self.targets)
        unknown = [name for name in self.targets if name not in self.known_targets]
        table[unknown] = np.nan
        return table

    def _description(self) -> dict[str, Any]:
        return {
            "model": self.name,
            "settings": self.settings.model_dump(mode="json"),
            "features": self.feature_settings.model_dump(mode="json"),
            "task": self.task.name,
            "known_targets": self.known_targets,
        }

    @classmethod
    def _from_description(cls, description: dict[str, Any], file: Path) -> Self:
        try:
            model = cls(
                cls.Settings.model_validate(description["settings"]),
                FeatureSettings.model_validate(description["features"]),
                # Absent from models of before there were several tasks.
                description.get("task"),
            )
            model.known_targets = [str(name) for name in description["known_targets"]]
        except (KeyError, TypeError, ValidationError, SettingsError) as error:
            raise DataError(f"not the settings of a {cls.name} model ({error}).", file=file) from (
                error
            )
        return model


class NeuralModel(Model):
    """A model whose learning is one network's: fits, predicts, saves and loads it.

    A subclass gives :meth:`build`; its network maps a batch to (b, targets) and is
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
        # Where it was trained and where it predicts; a loaded model takes what there is.
        self.device = "auto"

    @abstractmethod
    def build(self, widths: dict[str, int]) -> nn.Module:
        """The network for features of these widths, with fresh weights."""

    @property
    def estimated_weight(self) -> float:
        """Weight in the loss of targets that an emotion reader estimated."""
        return 0.5

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
            views=self.feature_settings.views,
            estimated_weight=self.estimated_weight,
            progress=progress,
        )

    def predict(self, examples: Examples) -> pd.DataFrame:
        self.check_features(examples.features)
        if not len(examples):
            return self._as_table(np.zeros((0, len(self.targets)), dtype=np.float32))
        return self._as_table(self._outputs(examples))

    def _outputs(self, examples: Examples, method: str = "forward") -> NDArray[np.float32]:
        """What a method of the network gives for each post, (n, …)."""
        return predict_network(self.network, examples.features, self.device, method)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(folder / WEIGHTS_FILE) as path:
            state = self.network.state_dict()
            save_file({name: value.contiguous() for name, value in state.items()}, path)
        write_json(folder / MODEL_FILE, {**self._description(), "widths": self.widths})

    @classmethod
    def load(cls, folder: Path) -> Self:
        description = read_json(folder / MODEL_FILE)
        model = cls._from_description(description, folder / MODEL_FILE)
        model.widths = {str(name): int(width) for name, width in description["widths"].items()}
        model.network = model.build(model.widths)
        with reading_weights(folder):
            model.network.load_state_dict(load_file(folder / WEIGHTS_FILE))
        model.network.eval()
        return model

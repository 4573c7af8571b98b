"""What models made of other models share: members, each fitted on the same posts and saved in a
folder of its own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, field_validator

from evoked.errors import DataError
from evoked.features.catalog import FeatureSettings
from evoked.files import read_object, write_json
from evoked.models.base import MODEL_FILE, Examples, Model, ModelSettings
from evoked.models.registry import build_model, load_model
from evoked.targets import TASKS
from evoked.training.records import EpochRecord
from evoked.training.settings import TrainingSettings

MEMBER_FOLDER = "members"
_OF_MEMBERS = ("blend", "stack")


class Member(ModelSettings):
    """One of the models that another is made of."""

    model: str = Field(description="a name that 'evoked models' prints, except 'blend' and 'stack'")
    settings: dict[str, Any] = Field(default_factory=dict, description="settings of the model")

    @field_validator("model")
    @classmethod
    def _has_no_members(cls, model: str) -> str:
        if model in _OF_MEMBERS:
            raise ValueError(f"a {model} can't be a member")
        return model


class CombinationSettings(ModelSettings):
    """Settings of every model that is made of others."""

    members: tuple[Member, ...] = Field(
        (Member(model="linear"), Member(model="gradient_boosting")),
        min_length=1,
        description="models, all of which learn the task",
    )


class Combination(Model):
    """A model whose predictions are computed from those of others.

    Attributes
    ----------
    members
        The models, each saved in a folder of its own.
    """

    tasks = tuple(TASKS)
    Settings = CombinationSettings

    settings: CombinationSettings

    def __init__(
        self,
        settings: CombinationSettings | None = None,
        feature_settings: FeatureSettings | None = None,
        task: str | None = None,
    ) -> None:
        super().__init__(settings, feature_settings, task)
        self.members: list[Model] = self._build()

    @property
    def features(self) -> list[str]:
        return list(dict.fromkeys(name for model in self.members for name in model.features))

    def fit(
        self,
        train: Examples,
        validation: Examples | None = None,
        *,
        folder: Path,
        training: TrainingSettings | None = None,
        progress: Callable[[EpochRecord], None] | None = None,
    ) -> list[EpochRecord]:
        """Fit every member on the same posts.

        Raises
        ------
        DataError, MissingExtraError
            As for the members.
        """
        self._learn_targets(train)
        self.widths = {name: train.features.widths[name] for name in self.features}
        for number, member in enumerate(self.members):
            own = folder / MEMBER_FOLDER / str(number)
            member.fit(train, validation, folder=own, training=training, progress=progress)
        return []

    def predict(self, examples: Examples) -> pd.DataFrame:
        self.check_features(examples.features)
        return self._as_table(self.combine([each.predict(examples) for each in self.members]))

    @abstractmethod
    def combine(self, predicted: list[pd.DataFrame]) -> NDArray[np.float64]:
        """Targets (n, targets) from what each member predicts."""

    def save(self, folder: Path) -> None:
        for number, member in enumerate(self.members):
            member.save(folder / MEMBER_FOLDER / str(number))
        own = {"widths": self.widths, **self._own_state()}
        write_json(folder / MODEL_FILE, {**self._description(), **own})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Inverse of :meth:`save`.

        Raises
        ------
        DataError
            A member is missing, damaged, or of another kind than the settings say.
        """
        description = read_object(folder / MODEL_FILE)
        model = cls._from_description(description, folder / MODEL_FILE)
        numbers = range(len(model.members))
        loaded = [load_model(folder / MEMBER_FOLDER / str(number)) for number in numbers]
        try:
            model.widths = {str(name): int(size) for name, size in description["widths"].items()}
            for expected, found in zip(model.members, loaded, strict=True):
                if (found.name, found.task) != (expected.name, expected.task):
                    raise ValueError(f"a member is {found.name}, not {expected.name}")
            model._take_own_state(description)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"not a whole {cls.name} ({error}).", file=folder / MODEL_FILE) from (
                error
            )
        model.members = loaded
        return model

    def _own_state(self) -> dict[str, Any]:
        """What a subclass saves beside its members, ready for JSON."""
        return {}

    def _take_own_state(self, description: dict[str, Any]) -> None:
        """Inverse of :meth:`_own_state`; whatever it raises is reported as damage."""

    def _build(self) -> list[Model]:
        return [
            build_model(each.model, each.settings, self.feature_settings, self.task.name)
            for each in self.settings.members
        ]

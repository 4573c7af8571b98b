"""The contract of a model, which every class of this package fulfils.

A model names the features that it reads and the targets that it predicts. It knows nothing of
datasets, devices or printing::

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
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError

from evoked.errors import DataError, SettingsError
from evoked.features.catalog import FeatureSettings
from evoked.features.social_graph import SocialGraph
from evoked.features.table import FeatureTable
from evoked.models.catalogue import check_task
from evoked.models.explanations import PostAttention, ViewingExplanation
from evoked.settings import Settings
from evoked.targets import ENGAGEMENT_TASKS, TargetTable, Task, task_class
from evoked.training.records import EpochRecord
from evoked.training.settings import TrainingSettings

MODEL_FILE = "model.json"
WEIGHTS_FILE = "weights.safetensors"
# Rank of a network; simpler models rank below it.
NETWORK_COMPLEXITY = 100


@contextmanager
def reading_weights(folder: Path) -> Iterator[None]:
    """Report whatever goes wrong while a model's weights are read as one clear DataError."""
    try:
        yield
    except (
        OSError,
        SafetensorError,
        RuntimeError,
        AttributeError,
        IndexError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:
        # A library may repeat a header of megabytes.
        raise DataError(
            f"the weights don't belong to this model or are damaged ({str(error)[:300]}).",
            file=folder / WEIGHTS_FILE,
            fix="Train the model again.",
        ) from error


@dataclass(frozen=True)
class Examples:
    """n posts as a model sees them, or n viewings of posts by users.

    Attributes
    ----------
    posts
        The posts' own table, for models that read columns directly (author, category). For
        viewings: ``user_id``, ``post_id``, ``viewed_at`` and three row numbers of ``graph``:
        ``user`` and ``image``, -1 if the graph does not hold it, and ``viewing``, -1 if the graph
        does not show the viewing.
    features
        The features that the model names.
    targets
        Target values; None when predicting.
    graph
        For viewings: everything that a model may look at besides the viewing itself.
    """

    posts: pd.DataFrame
    features: FeatureTable
    targets: TargetTable | None = None
    graph: SocialGraph | None = None

    def __len__(self) -> int:
        return len(self.posts)

    def select(self, rows: ArrayLike) -> Examples:
        """The examples at ``rows`` (m,); features are not copied."""
        chosen = np.asarray(rows, dtype=np.int64)
        return Examples(
            self.posts.iloc[chosen].reset_index(drop=True),
            self.features.select(chosen),
            None if self.targets is None else self.targets.select(chosen),
            self.graph,
        )


class ModelSettings(Settings):
    """Settings of a model; unknown names are refused."""


class Model(ABC):
    """A predictor of targets from features.

    Everything that the rest of the package wants to know about a model is asked of it here, so a
    subclass defined anywhere works like those of the package.

    Parameters
    ----------
    settings
        An instance of the class's ``Settings``; the defaults when omitted.
    feature_settings
        Encoders that compute the features; needed by models that fine-tune them.
    task
        Name of the task to learn, one of the class's ``tasks``; the first of them when omitted.

    Attributes
    ----------
    name, description, source
        As ``evoked models`` prints them; the paper that describes the model.
    tasks
        Names of the tasks that the model can learn.
    default_training
        Training settings where the user gives none.
    published_training
        How the model's paper trains it; None where that is not known.
    rows
        Whether an example is a post or a viewing of a post by a user.
    needs
        Optional packages that fitting needs, by the name they are imported with.
    requires
        Parts of a post (``image``, ``caption``) without which there is nothing to learn from;
        automatic choice skips the model where a dataset has none.
    quick
        Whether a fit takes seconds, so that a run may fit again on folds to see how far it misses.
    complexity
        Rank from simple to complex. Of models that are about equally good, automatic choice takes
        the one with the lowest rank, and among equal ranks the one with the fewest weights.
    test_settings
        Settings, by name, with which the model learns a few examples in about a second.
    Settings
        Class of the settings.

    Raises
    ------
    SettingsError
        The model does not learn the task.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    source: ClassVar[str] = ""
    tasks: ClassVar[tuple[str, ...]] = ENGAGEMENT_TASKS
    default_training: ClassVar[TrainingSettings] = TrainingSettings()
    published_training: ClassVar[TrainingSettings | None] = None
    rows: ClassVar[Literal["posts", "viewings"]] = "posts"
    needs: ClassVar[tuple[str, ...]] = ()
    requires: ClassVar[tuple[Literal["image", "caption"], ...]] = ()
    quick: bool = False
    complexity: ClassVar[int] = NETWORK_COMPLEXITY
    test_settings: ClassVar[dict[str, Any]] = {}
    Settings: ClassVar[type[ModelSettings]] = ModelSettings

    settings: ModelSettings

    def __init__(
        self,
        settings: ModelSettings | None = None,
        feature_settings: FeatureSettings | None = None,
        task: str | None = None,
    ) -> None:
        chosen = self.tasks[0] if task is None else task
        check_task(self.name, self.tasks, chosen)
        self.task: type[Task] = task_class(chosen)
        self.settings = settings if settings is not None else self.Settings()
        self.feature_settings = feature_settings or FeatureSettings()
        # Targets with a known value in the training posts; only these are predicted.
        self.known_targets: list[str] = []
        # Widths of the features that the model was trained on.
        self.widths: dict[str, int] = {}

    def __repr__(self) -> str:
        """The recipe: the class, and the settings and task that differ from the defaults."""
        changed = dict(self.settings.__repr_args__())
        if self.task.name != self.tasks[0]:
            changed["task"] = self.task.name
        arguments = ", ".join(f"{name}={value!r}" for name, value in changed.items())
        return f"{type(self).__name__}({arguments})"

    @property
    def features(self) -> list[str]:
        """Names from the catalog that the model reads."""
        return []

    @property
    def caution(self) -> str:
        """Warning to show with the scores, for example that the model uses inputs that no draft
        has; empty if there is none."""
        return ""

    @property
    def targets(self) -> list[str]:
        """Columns that the model predicts: those of its task."""
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
            Gets the log and the checkpoints from which an interrupted fit goes on.
        training
            How to train; ``default_training`` when omitted. Models that are not trained in epochs
            use the seed at most.
        progress
            Called after every epoch.

        Returns
        -------
        list of EpochRecord
            One per epoch; empty for models that are not trained in epochs.

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
            (n, targets), the task's columns: for example valence and arousal on the project's
            scales and engagement as standings in [0, 1], or probabilities of classes; NaN for
            targets that no training post knows.

        Raises
        ------
        SettingsError
            The model has not been fitted, or the features differ from those it was trained on.
        """

    def modal_vectors(self, examples: Examples) -> NDArray[np.float32] | None:
        """Image and text in the space that they share, (n, 2, width), for the Modal Relevance
        Score (ABMF Table 5); None for models without a shared space."""
        return None

    def pair_probabilities(self, examples: Examples) -> NDArray[np.float32] | None:
        """Probabilities of each class of the first outcome, and last of none of them because user
        and image never met, (n, classes + 1); None for models that learned nothing of such pairs.
        """
        return None

    def fused_vectors(self, examples: Examples) -> NDArray[np.float32] | None:
        """The vector that each post has after fusion, (n, width), for a look at the space that
        these vectors span (ABMF Figure 3); None for models that fuse nothing."""
        return None

    def attention(self, examples: Examples) -> list[PostAttention] | None:
        """Where the model's attention lies within each of n posts; None for models without
        attention to show."""
        return None

    def explain_viewings(self, examples: Examples) -> list[ViewingExplanation] | None:
        """Why each of n viewings is predicted as it is; None for models that have no explanation
        of their own."""
        return None

    def feature_importance(self) -> pd.DataFrame | None:
        """How much each input column counts in the fitted model.

        Returns
        -------
        DataFrame or None
            Columns ``feature, modality, importance, shap``: name of the input column, what of the
            post it belongs to, and its share by the model's own measure and by the mean size of
            SHAP values, both in percent of all columns; the most important first. None for models
            that don't measure it.
        """
        return None

    def modality_importance(self) -> pd.DataFrame | None:
        """:meth:`feature_importance` summed by modality.

        Returns
        -------
        DataFrame or None
            Columns ``modality, features`` (how many), ``importance, shap`` (percent of all); the
            most important first. None where :meth:`feature_importance` is None.
        """
        by_feature = self.feature_importance()
        if by_feature is None:
            return None
        by_modality = by_feature.groupby("modality")
        table = by_modality[["importance", "shap"]].sum()
        table.insert(0, "features", by_modality.size())
        return table.sort_values("shap", ascending=False).reset_index()

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
        # The graph knows the widths of what it holds; the features of rows don't.
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
            settings = cls.Settings.model_validate(description["settings"])
            model = cls(
                # All are saved, those that do nothing included: none counts as chosen now.
                cls.Settings.model_construct(set(), **dict(settings)),
                FeatureSettings.from_saved(description["features"]),
                description["task"],
            )
            model.known_targets = [str(name) for name in description["known_targets"]]
            if unknown := set(model.known_targets) - set(model.targets):
                raise ValueError(f"it predicts {sorted(unknown)}, which its task doesn't have")
        except (AttributeError, KeyError, TypeError, ValueError, SettingsError) as error:
            raise DataError(f"not the settings of a {cls.name} model ({error}).", file=file) from (
                error
            )
        return model

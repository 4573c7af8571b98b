"""All models by name. A new one: a file here, its class in ``MODELS``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evoked.errors import DataError, SettingsError, did_you_mean, settings_problem
from evoked.features.catalog import FeatureSettings
from evoked.files import read_json
from evoked.models.abmf import ABMF
from evoked.models.base import MODEL_FILE, Examples, Model, ModelSettings, NeuralModel
from evoked.models.baselines import AuthorMean, CategoryMean, ImageMean, MeanOfTraining, UserMean
from evoked.models.comments_only import CommentsOnly
from evoked.models.dual_attention import DualAttention
from evoked.models.dual_baselines import DualBaseline
from evoked.models.eijl import EIJL
from evoked.models.fusion import BilinearPooling, EarlyFusion, LateFusion
from evoked.models.gradient_boosting import GradientBoosting
from evoked.models.hmg_emo import HMGEmo
from evoked.models.linear import Linear
from evoked.models.mmbt import MMBT
from evoked.models.pixelrec import PixelRecClassifier, PixelRecRegressor
from evoked.models.pixelrec_catboost import PixelRecCatBoost
from evoked.models.rmthg import RMTHG
from evoked.models.stacking import Stack
from evoked.models.unimodal import TextBERT, VisualCNN
from evoked.models.viewing_boosting import ViewingBoosting

MODELS: dict[str, type[Model]] = {
    model.name: model
    for model in (
        ABMF,
        VisualCNN,
        TextBERT,
        EarlyFusion,
        LateFusion,
        BilinearPooling,
        MMBT,
        EIJL,
        DualAttention,
        DualBaseline,
        PixelRecRegressor,
        PixelRecClassifier,
        PixelRecCatBoost,
        HMGEmo,
        GradientBoosting,
        Linear,
        Stack,
        RMTHG,
        CommentsOnly,
        ViewingBoosting,
        MeanOfTraining,
        AuthorMean,
        CategoryMean,
        UserMean,
        ImageMean,
    )
}

# Shown beside every model, fitted on the same posts.
TRIVIAL_BASELINES: tuple[type[Model], ...] = (MeanOfTraining, AuthorMean, CategoryMean)
# The same for models of viewings.
VIEWING_BASELINES: tuple[type[Model], ...] = (MeanOfTraining, UserMean, ImageMean)

__all__ = [
    "MODELS",
    "TRIVIAL_BASELINES",
    "VIEWING_BASELINES",
    "Examples",
    "Model",
    "ModelSettings",
    "NeuralModel",
    "build_model",
    "load_model",
    "model_class",
]


def model_class(name: str) -> type[Model]:
    """The class registered under ``name``.

    Raises
    ------
    SettingsError
        There is none; the message lists the names.
    """
    if name not in MODELS:
        hint = did_you_mean(name, MODELS)
        raise SettingsError(f"no model is called {name!r}.{hint} There are: {', '.join(MODELS)}.")
    return MODELS[name]


def build_model(
    model: str | type[Model],
    settings: dict[str, Any] | None = None,
    features: FeatureSettings | None = None,
    task: str | None = None,
) -> Model:
    """An unfitted model.

    Parameters
    ----------
    model
        A name that ``evoked models`` prints, or a class.
    settings
        By name; the others keep their defaults.
    features
        Encoders that compute what it reads.
    task
        What it learns; its first task by default.

    Raises
    ------
    SettingsError
        An unknown model or setting, a task that it does not learn, or a value that a setting does
        not take.
    """
    kind = model_class(model) if isinstance(model, str) else model
    try:
        checked = kind.Settings.model_validate(settings or {})
    except ValidationError as error:
        problem = settings_problem(error, kind.Settings.model_fields)
        raise SettingsError(f"{kind.name}: {problem}") from error
    return kind(checked, features, task)


def load_model(folder: Path | str, kind: type[Model] | None = None) -> Model:
    """Load a saved model of any kind; nothing in the folder is executed.

    Parameters
    ----------
    folder
        Where the model was saved.
    kind
        Class of the model, where that is one of the caller's own.

    Raises
    ------
    DataError
        The folder holds no model, or one of an unknown kind, or one of another kind than ``kind``,
        or damaged weights.
    """
    folder = Path(folder)
    description = read_json(folder / MODEL_FILE)
    name = description.get("model") if isinstance(description, dict) else None
    if kind is not None and kind.name != name:
        raise DataError(
            f"a model of the kind {name!r}, not {kind.name!r} as {kind.__name__} is.",
            file=folder / MODEL_FILE,
            fix="Give the class that it was trained with, or none if it is one of evoked's own.",
        )
    if kind is None and name not in MODELS:
        raise DataError(
            f"a model of the unknown kind {name!r}; this release knows {', '.join(MODELS)}.",
            file=folder / MODEL_FILE,
            fix="A model of your own loads with its class: evoked.load(folder, model=MyModel).",
        )
    return (kind or MODELS[str(name)]).load(folder)

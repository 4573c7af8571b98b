"""All models by name. A new one: a file here, its class in ``MODELS``."""

from __future__ import annotations

from pathlib import Path

from evoked.errors import DataError, SettingsError
from evoked.files import read_json
from evoked.models.abmf import ABMF
from evoked.models.base import MODEL_FILE, Examples, Model, ModelSettings, NeuralModel
from evoked.models.baselines import AuthorMean, CategoryMean, MeanOfTraining

MODELS: dict[str, type[Model]] = {
    model.name: model for model in (ABMF, MeanOfTraining, AuthorMean, CategoryMean)
}

# Shown beside every model, fitted on the same posts.
TRIVIAL_BASELINES: tuple[type[Model], ...] = (MeanOfTraining, AuthorMean, CategoryMean)

__all__ = [
    "MODELS",
    "TRIVIAL_BASELINES",
    "Examples",
    "Model",
    "ModelSettings",
    "NeuralModel",
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
        raise SettingsError(f"no model is called {name!r}; there are {', '.join(MODELS)}.")
    return MODELS[name]


def load_model(folder: Path | str) -> Model:
    """Load a saved model of any kind; nothing in the folder is executed.

    Raises
    ------
    DataError
        The folder holds no model, or one of an unknown kind, or damaged weights.
    """
    folder = Path(folder)
    description = read_json(folder / MODEL_FILE)
    name = description.get("model") if isinstance(description, dict) else None
    if name not in MODELS:
        raise DataError(
            f"a model of the unknown kind {name!r}; this release knows {', '.join(MODELS)}.",
            file=folder / MODEL_FILE,
        )
    return MODELS[name].load(folder)

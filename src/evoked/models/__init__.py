"""Models, loaded by name: see :mod:`evoked.models.registry`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from evoked.models.registry import MODELS, build_model, load_model, model_class

if TYPE_CHECKING:
    from evoked.models.base import Examples as Examples
    from evoked.models.base import Model as Model
    from evoked.models.base import ModelSettings as ModelSettings
    from evoked.models.baselines import TRIVIAL_BASELINES as TRIVIAL_BASELINES
    from evoked.models.baselines import VIEWING_BASELINES as VIEWING_BASELINES
    from evoked.models.baselines import MeanOfTraining as MeanOfTraining
    from evoked.models.neural import NeuralModel as NeuralModel

# Loaded when first used: networks import torch, and the names of the models need none of them.
_LAZY = {
    "Examples": "evoked.models.base",
    "MeanOfTraining": "evoked.models.baselines",
    "Model": "evoked.models.base",
    "ModelSettings": "evoked.models.base",
    "NeuralModel": "evoked.models.neural",
    "TRIVIAL_BASELINES": "evoked.models.baselines",
    "VIEWING_BASELINES": "evoked.models.baselines",
}

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


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'evoked.models' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)

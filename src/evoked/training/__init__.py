"""How a network is trained: the one loop is in :mod:`evoked.training.loop`."""

from evoked.training.settings import TrainingSettings

__all__ = ["TrainingSettings"]

"""The one training loop."""

from evoked.training.loop import TrainingSettings, fit_network, predict_network

__all__ = ["TrainingSettings", "fit_network", "predict_network"]

"""Whether a graph still predicts what it was made from, before anybody relies on it.

Tracing may fix what was to vary, and what runs a graph may rearrange it wrongly: both happen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoked.exporting.heads import LAST_POSTS, LEVELS, PREDICTED, Head, cannot, example_inputs
from evoked.features.encoders._sessions import session
from evoked.models.base import Model

Predict = Callable[[Mapping[str, NDArray[Any]]], NDArray[Any]]

# Single precision leaves less.
MOST = 1e-3
_BATCHES = (1, 2, 7)


def check_head(model: Model, head: Head, found: Predict | None = None) -> None:
    """Compare a graph with the network that it was traced from, or with what runs it.

    Parameters
    ----------
    model
        Fitted.
    head
        Its graph.
    found
        From inputs by name to predictions: what is compared with the graph in ONNX Runtime. By
        default the model's network is.

    Raises
    ------
    SettingsError
        They differ; the message says by how much.
    """
    ready = session(head.content)
    names = {each.name for each in ready.get_inputs()}

    def by_onnxruntime(inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        given = {name: values for name, values in inputs.items() if name in names}
        predicted: NDArray[Any] = ready.run([PREDICTED], given)[0]
        return predicted

    own = found or _by_network(model)
    known = [model.targets.index(name) for name in model.known_targets]
    for batch in _BATCHES:
        inputs = _inputs(model, head, batch)
        difference = np.abs(by_onnxruntime(inputs) - own(inputs))[:, known].max()
        if not difference <= MOST:
            raise cannot(
                model,
                f"its graph predicts something else of {batch} posts, by up to {difference:.2g}",
            )


def _inputs(model: Model, head: Head, posts: int) -> dict[str, NDArray[Any]]:
    """Random features, some of them absent, and what is worked out beside the graph."""
    random = np.random.default_rng(posts)
    inputs = example_inputs(model, posts, tokens=posts + 2, seed=posts)
    for name in model.features:
        inputs[f"{name}.present"] = random.random(posts) > 0.2
    for name in {LAST_POSTS, LEVELS} & set(head.inputs):
        inputs[name] = random.random((posts, len(model.targets))).astype(np.float32)
    return {name: inputs[name] for name in head.inputs}


def _by_network(model: Any) -> Predict:
    import torch

    def predict(inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        batch = {name: torch.from_numpy(values) for name, values in inputs.items()}
        with torch.inference_mode():
            predicted: NDArray[Any] = model.network(batch).numpy()
        return predicted

    return predict

"""The text emotion reader as ONNX graphs: reading without torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from evoked.affect._kept_weights import Kept, group_weights
from evoked.features.encoders._minilm import (
    LAYERS,
    TOKENS_PER_BATCH,
    add_layer,
    graph_inputs,
    minilm_graph,
)
from evoked.features.encoders._token_batches import Floats, Ids, Mask, mean_over_tokens

Weights = Mapping[str, NDArray[np.float32]]


class GraphReading:
    """What the members of a reader read, each group by a graph.

    Parameters
    ----------
    groups
        Weights as they are kept, and settings, of each group. While a graph is made, the weights of
        its group are in memory twice; therefore one is made after the other.
    """

    tokens_per_batch = TOKENS_PER_BATCH

    def __init__(self, groups: Iterable[tuple[Kept, Mapping[str, Any]]]) -> None:
        self._groups = [_Group(kept, settings) for kept, settings in groups]

    def __call__(self, ids: Ids, mask: Mask) -> Floats:
        """Standardised readings of each member, (members, n, 3), for ids and mask (n, longest)."""
        return np.concatenate([group(ids, mask) for group in self._groups])


class _Group:
    """Members and the first layers that they share."""

    def __init__(self, kept: Kept, settings: Mapping[str, Any]) -> None:
        weights = group_weights(kept, settings)
        names = [f"members.{number}" for number in range(settings["members"])]
        self._members = [_of_member(weights, name) for name in names]
        first = settings["shared_layers"]
        shares = {
            f"{name}.mix.{place}": np.array([share], np.float32)
            for name in names
            for place, share in enumerate(softmax(weights[f"{name}.mix"]))
        }
        graph, rows = minilm_graph({**weights, **shares})
        for number in range(first):
            rows = add_layer(graph, rows, f"shared.encoder.layer.{number}")
        mixes = []
        for name in names:
            outputs = [rows]
            for number in range(first, LAYERS):
                layer = f"{name}.layers.encoder.layer.{number}"
                outputs.append(add_layer(graph, outputs[-1], layer))
            weighted = [
                graph.add("Mul", output, f"{name}.mix.{place}")
                for place, output in enumerate(outputs)
            ]
            mixes.append(graph.add("Reshape", graph.add("Sum", *weighted), "sequences"))
        self._mixed = graph.compiled(mixes)

    def __call__(self, ids: Ids, mask: Mask) -> Floats:
        mixed = self._mixed(graph_inputs(ids, mask))
        members = zip(mixed, self._members, strict=True)
        return np.stack([_read(states, mask, weights) for states, weights in members])


def _of_member(weights: Weights, name: str) -> dict[str, NDArray[np.float32]]:
    """Weights of a member's attention and head."""
    parts = ("attention.weight", "attention.bias", "head.weight", "head.bias")
    return {part: weights[f"{name}.{part}"] for part in parts}


def _read(states: Floats, mask: Mask, weights: Weights) -> Floats:
    """Readings (n, 3) from mixed states (n, longest, 384): see
    :class:`evoked.affect._text_network.Member`."""
    scores = states @ weights["attention.weight"].T + weights["attention.bias"]
    scores = np.where(mask[..., None], scores, np.float32(-np.inf))
    attended = softmax(scores, axis=1).transpose(0, 2, 1) @ states
    pooled = np.concatenate(
        [mean_over_tokens(states, mask), attended.reshape(len(states), -1)], axis=1
    )
    readings: Floats = pooled @ weights["head.weight"].T + weights["head.bias"]
    return readings

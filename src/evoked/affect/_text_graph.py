"""The text emotion reader as ONNX graphs: reading without torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoked.affect._kept_weights import Kept, differing_weights, group_weights
from evoked.features.encoders._graph import Graph, LowRank
from evoked.features.encoders._minilm import (
    LAYERS,
    TOKENS_PER_BATCH,
    add_layer,
    graph_inputs,
    minilm_graph,
    minilm_graph_of_ids,
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
        names = _member_names(settings)
        self._members = [_of_member(weights, name) for name in names]
        graph, rows = minilm_graph({**weights, **_shares(weights, names)})
        mixes = _add_members(graph, rows, settings, names, "")
        self._mixed = graph.compiled(mixes)

    def __call__(self, ids: Ids, mask: Mask) -> Floats:
        mixed = self._mixed(graph_inputs(ids, mask))
        members = zip(mixed, self._members, strict=True)
        return np.stack([_read(states, mask, weights) for states, weights in members])


def exported_reader(groups: Iterable[tuple[Kept, Mapping[str, Any]]]) -> bytes:
    """The mean of all members' readings as the content of an ONNX file: from ``ids`` and ``is
    token``, (n, longest), to ``readings``, standardised, (n, 3)."""
    weights: dict[str, NDArray[Any]] = {
        "infinite": np.array(-np.inf, np.float32),
        "one": np.array([1.0], np.float32),
        "last": np.array([2], np.int64),
        "middle": np.array([1], np.int64),
        "flat": np.array([0, -1], np.int64),
    }
    low_rank: dict[str, LowRank] = {}
    parts = []
    for number, (kept, settings) in enumerate(groups):
        prefix = f"{number}."
        whole = differing_weights(kept, settings)
        weights |= {prefix + name: values for name, values in whole.weights.items()}
        low_rank |= {prefix + name: factors for name, factors in whole.low_rank.items()}
        names = _member_names(settings)
        weights |= {prefix + name: share for name, share in _shares(whole.weights, names).items()}
        parts.append((prefix, settings, names))
    graph, rows = minilm_graph_of_ids(weights)
    present = graph.add("Unsqueeze", "is token", "last")
    counted = graph.add("Cast", present, to=1)
    number_of_tokens = graph.add("ReduceSum", counted, "middle", keepdims=0)
    number_of_tokens = graph.add("Max", number_of_tokens, "one")
    readings = []
    for prefix, settings, names in parts:
        mixes = _add_members(graph, rows, settings, names, prefix)
        for name, states in zip(names, mixes, strict=True):
            summed = graph.add("ReduceSum", graph.add("Mul", states, counted), "middle", keepdims=0)
            pooled = [graph.add("Div", summed, number_of_tokens)]
            if settings["attentions"]:
                pooled.append(_add_attention(graph, states, present, f"{prefix}{name}"))
            vector = graph.add("Concat", *pooled, axis=1) if len(pooled) > 1 else pooled[0]
            readings.append(graph.linear(vector, f"{prefix}{name}.head"))
    graph.add("Mean", *readings, result="readings")
    return graph.exported(["readings"], low_rank)


def _add_attention(graph: Graph, states: str, present: str, name: str) -> str:
    """What a member's attentions see of the tokens, (n, attentions * 384)."""
    weight = graph.add("Transpose", f"{name}.attention.weight", perm=[1, 0])
    scores = graph.add("Add", graph.add("MatMul", states, weight), f"{name}.attention.bias")
    scores = graph.add("Where", present, scores, "infinite")
    shares = graph.add("Transpose", graph.add("Softmax", scores, axis=1), perm=[0, 2, 1])
    return graph.add("Reshape", graph.add("MatMul", shares, states), "flat")


def _add_members(
    graph: Graph, rows: str, settings: Mapping[str, Any], names: Sequence[str], prefix: str
) -> list[str]:
    """Add the layers of a group whose weights' names begin with ``prefix``; returns the mixed
    states of each member, (n, longest, 384)."""
    first = settings["shared_layers"]
    for number in range(first):
        rows = add_layer(graph, rows, f"{prefix}shared.encoder.layer.{number}")
    mixes = []
    for name in names:
        outputs = [rows]
        for number in range(first, LAYERS):
            layer = f"{prefix}{name}.layers.encoder.layer.{number}"
            outputs.append(add_layer(graph, outputs[-1], layer))
        weighted = [
            graph.add("Mul", output, f"{prefix}{name}.mix.{place}")
            for place, output in enumerate(outputs)
        ]
        mixes.append(graph.add("Reshape", graph.add("Sum", *weighted), "sequences"))
    return mixes


def _member_names(settings: Mapping[str, Any]) -> list[str]:
    return [f"members.{number}" for number in range(settings["members"])]


def _shares(weights: Weights, names: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """How much each layer's output counts in a member's mix, by names."""
    return {
        f"{name}.mix.{place}": np.array([share], np.float32)
        for name in names
        for place, share in enumerate(softmax(weights[f"{name}.mix"]))
    }


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


def softmax(scores: Floats, axis: int = -1) -> Floats:
    """Shares that add up to 1 along an axis."""
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    shares: Floats = powers / powers.sum(axis=axis, keepdims=True)
    return shares

"""ONNX graphs, written down operation by operation, for encoders without torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoked.features.encoders._messages import (
    messages,
    model,
    named_value,
    node,
    outside,
    tensor,
)
from evoked.features.encoders._sessions import session

LowRank = tuple[NDArray[Any], NDArray[Any]]

_OPSET = 20  # the first with Gelu
_IR_VERSION = 9  # of that opset's time; newer ones need a newer ONNX Runtime


class Graph:
    """A graph in the making. Its values are known by name.

    Parameters
    ----------
    inputs
        The graph's inputs by name: an array of the input's type and number of axes, whose sizes
        don't matter.
    weights
        What the graph may compute with, by name; only what it uses is kept.

    Examples
    --------
    >>> graph = Graph({"x": np.zeros((1, 2), np.float32)}, {"w": np.full((2, 1), 3, np.float32)})
    >>> graph.compiled([graph.add("MatMul", "x", "w")])({"x": np.ones((1, 2), np.float32)})
    [array([[6.]], dtype=float32)]
    """

    def __init__(
        self, inputs: Mapping[str, NDArray[Any]], weights: Mapping[str, NDArray[Any]]
    ) -> None:
        self._inputs = inputs
        self._weights = weights
        self._nodes: list[Any] = []

    def add(
        self, operator: str, *inputs: str, domain: str = "", result: str = "", **attributes: Any
    ) -> str:
        """Add an operation on named values (``""`` for an optional one that is left out); return
        the name of its ``result``, which gets one if it has none."""
        result = result or f"value {len(self._nodes)}"
        self._nodes.append(node(operator, inputs, result, domain, attributes))
        return result

    def linear(self, rows: str, name: str) -> str:
        """``rows`` (n, columns) through the linear layer called ``name``, weights as in torch."""
        return self.add("Gemm", rows, f"{name}.weight", f"{name}.bias", transB=1)

    def normalised(self, rows: str, name: str, epsilon: float) -> str:
        """``rows`` (n, columns) through the layer normalisation called ``name``."""
        weights = (f"{name}.weight", f"{name}.bias")
        return self.add("LayerNormalization", rows, *weights, axis=-1, epsilon=epsilon)

    def reads(self, name: str) -> bool:
        """Whether an operation takes the value of this name."""
        return any(name in each.input for each in self._nodes)

    def keep_inputs(self, names: Collection[str]) -> None:
        """Leave out all inputs but these."""
        self._inputs = {name: array for name, array in self._inputs.items() if name in names}

    def compiled(self, outputs: Sequence[str]) -> Compiled:
        """The graph, ready to run, with its weights."""
        used = {name for each in self._nodes for name in each.input}
        weights = {name: value for name, value in self._weights.items() if name in used}
        # Shapes and bounds have to be known when the graph is looked through.
        large = {
            name: value
            for name, value in weights.items()
            if value.dtype == np.float32 and value.ndim
        }
        tensors = [
            outside(name, value) if name in large else tensor(name, value)
            for name, value in weights.items()
        ]
        return Compiled(self._content(self._nodes, outputs, tensors), large)

    def exported(
        self, outputs: Sequence[str], low_rank: Mapping[str, LowRank] | None = None
    ) -> bytes:
        """The graph with its weights, as the content of an ONNX file.

        Parameters
        ----------
        outputs
            Names of its outputs.
        low_rank
            Matrices by name whose weights are only those that they differ from, and the two factors
            of the difference: they are added up when the file is loaded, so that what several
            matrices differ from lies in it once.
        """
        differing = low_rank or {}
        stored: dict[tuple[Any, ...], str] = {}
        tensors, first, names = [], [], {}
        for name in dict.fromkeys(name for each in self._nodes for name in each.input):
            if name not in self._weights:
                continue
            value = self._weights[name]
            key = (value.__array_interface__["data"][0], value.shape, value.strides, value.dtype)
            if key not in stored:
                stored[key] = name
                tensors.append(tensor(name, value))
            names[name] = stored[key]
            if name in differing:
                factors = [f"{name} {part}" for part in ("up", "down")]
                for factor, part in zip(factors, differing[name], strict=True):
                    tensors.append(tensor(factor, part))
                steps: list[tuple[str, list[str], str, dict[str, Any]]] = [
                    *(("Cast", [factor], f"{factor} whole", {"to": 1}) for factor in factors),
                    ("MatMul", [f"{factor} whole" for factor in factors], f"{name} difference", {}),
                    ("Add", [stored[key], f"{name} difference"], f"{name} whole", {}),
                ]
                first += [
                    node(operator, inputs, result, "", attributes)
                    for operator, inputs, result, attributes in steps
                ]
                names[name] = f"{name} whole"
        return self._content([*first, *self._renamed(names)], outputs, tensors)

    def _renamed(self, names: Mapping[str, str]) -> list[Any]:
        """The operations, their inputs by other names."""
        nodes = []
        for each in self._nodes:
            copied = messages().NodeProto()
            copied.CopyFrom(each)
            del copied.input[:]
            copied.input.extend(names.get(name, name) for name in each.input)
            nodes.append(copied)
        return nodes

    def _content(self, nodes: Sequence[Any], outputs: Sequence[str], tensors: list[Any]) -> bytes:
        inputs = [
            named_value(name, array.dtype, array.ndim) for name, array in self._inputs.items()
        ]
        results = [named_value(name, np.float32, None) for name in outputs]
        # ONNX Runtime has operations of its own.
        operators = {"": _OPSET, "com.microsoft": 1}
        return model(nodes, inputs, results, tensors, operators, _IR_VERSION)


class Compiled:
    """A graph that runs."""

    def __init__(self, content: bytes, weights: Mapping[str, NDArray[Any]]) -> None:
        self._session = session(content, weights)

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """The outputs for these inputs."""
        found: list[NDArray[np.float32]] = self._session.run(None, dict(inputs))
        return found

"""ONNX graphs, written down operation by operation, for encoders without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoked.features.encoders._sessions import session

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

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add an operation on named values (``""`` for an optional one that is left out); return
        the name of its result."""
        from onnx import helper

        result = f"value {len(self._nodes)}"
        node = helper.make_node(operator, list(inputs), [result], domain=domain, **attributes)
        self._nodes.append(node)
        return result

    def linear(self, rows: str, name: str) -> str:
        """``rows`` (n, columns) through the linear layer called ``name``, weights as in torch."""
        return self.add("Gemm", rows, f"{name}.weight", f"{name}.bias", transB=1)

    def normalised(self, rows: str, name: str, epsilon: float) -> str:
        """``rows`` (n, columns) through the layer normalisation called ``name``."""
        weights = (f"{name}.weight", f"{name}.bias")
        return self.add("LayerNormalization", rows, *weights, axis=-1, epsilon=epsilon)

    def compiled(self, outputs: Sequence[str]) -> Compiled:
        """The graph, ready to run, with its weights."""
        from onnx import helper, numpy_helper

        used = {name for node in self._nodes for name in node.input}
        weights = {name: value for name, value in self._weights.items() if name in used}
        # Shapes and bounds have to be known when the graph is looked through.
        large = {
            name: value
            for name, value in weights.items()
            if value.dtype == np.float32 and value.ndim
        }
        graph = helper.make_graph(
            self._nodes,
            "encoder",
            [
                helper.make_tensor_value_info(name, _type(array), [None] * array.ndim)
                for name, array in self._inputs.items()
            ],
            [helper.make_tensor_value_info(name, _type(np.float32(0)), None) for name in outputs],
            [
                _outside(name, value) if name in large else numpy_helper.from_array(value, name)
                for name, value in weights.items()
            ],
        )
        domains = {"": _OPSET, "com.microsoft": 1}  # ONNX Runtime's own operations
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid(*each) for each in domains.items()]
        )
        model.ir_version = _IR_VERSION
        return Compiled(model.SerializeToString(), large)


class Compiled:
    """A graph that runs."""

    def __init__(self, content: bytes, weights: Mapping[str, NDArray[Any]]) -> None:
        self._session = session(content, weights)

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """The outputs for these inputs."""
        found: list[NDArray[np.float32]] = self._session.run(None, dict(inputs))
        return found


def _type(value: NDArray[Any] | np.generic) -> int:
    from onnx import helper

    return int(helper.np_dtype_to_tensor_dtype(value.dtype))


def _outside(name: str, value: NDArray[Any]) -> Any:
    """A weight that lies outside of the graph: see :func:`._sessions.session`."""
    from onnx import TensorProto

    tensor = TensorProto(
        name=name, data_type=_type(value), dims=value.shape, data_location=TensorProto.EXTERNAL
    )
    tensor.external_data.add(key="location", value="memory")
    return tensor

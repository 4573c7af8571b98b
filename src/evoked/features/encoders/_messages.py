"""ONNX's messages, made without importing the package ``onnx``.

What a graph consists of is protocol buffers, whose classes take a tenth of a second of the
processor to load. The package's own helpers load other libraries' number types with them, which
takes more than a second: as much as all else that one draft needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

# ONNX's numbers of the types of arrays that graphs hold.
_TYPES = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "int32": 6,
    "int64": 7,
    "bool": 9,
    "float16": 10,
    "float64": 11,
}


@cache
def messages() -> Any:
    """The module ``onnx.onnx_ml_pb2``, which needs nothing else of its package."""
    package = find_spec("onnx")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("no module named onnx")
    path = Path(next(iter(package.submodule_search_locations))) / "onnx_ml_pb2.py"
    # Under a name of its own, so that onnx finds nothing half loaded if it is imported later.
    spec = spec_from_file_location(f"{__name__}.onnx_ml_pb2", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tensor_type(dtype: DTypeLike) -> int:
    """ONNX's number of a type."""
    return _TYPES[np.dtype(dtype).name]


def node(
    operator: str, inputs: Sequence[str], output: str, domain: str, attributes: dict[str, Any]
) -> Any:
    """An operation on named values; attributes are whole numbers, numbers, texts, or lists of whole
    numbers or numbers."""
    return messages().NodeProto(
        op_type=operator,
        input=inputs,
        output=[output],
        domain=domain,
        # In the order of onnx's own helper, so that both write the same bytes.
        attribute=[_attribute(name, value) for name, value in sorted(attributes.items())],
    )


def tensor(name: str, value: NDArray[Any]) -> Any:
    """A weight that lies within the graph."""
    content = value.astype(value.dtype.newbyteorder("<"), copy=False).tobytes()
    return messages().TensorProto(
        name=name, data_type=tensor_type(value.dtype), dims=value.shape, raw_data=content
    )


def outside(name: str, value: NDArray[Any]) -> Any:
    """A weight that lies outside of the graph: see :func:`._sessions.session`."""
    kind = messages().TensorProto
    found = kind(
        name=name,
        data_type=tensor_type(value.dtype),
        dims=value.shape,
        data_location=kind.EXTERNAL,
    )
    found.external_data.add(key="location", value="memory")
    return found


def named_value(name: str, dtype: DTypeLike, axes: int | None) -> Any:
    """An input or output of a type and a number of axes of any size, or with nothing said of its
    axes."""
    found = messages().ValueInfoProto(name=name)
    kind = found.type.tensor_type
    kind.elem_type = tensor_type(dtype)
    if axes is not None:
        kind.shape.SetInParent()
        for _ in range(axes):
            kind.shape.dim.add()
    return found


def model(
    nodes: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    weights: Sequence[Any],
    operators: dict[str, int],
    version: int,
) -> bytes:
    """A graph as the content of an ONNX file.

    Parameters
    ----------
    nodes, inputs, outputs, weights
        What :func:`node`, :func:`named_value`, :func:`tensor` and :func:`outside` make.
    operators
        Version of the set of operators, by domain.
    version
        Of ONNX's format.
    """
    kinds = messages()
    graph = kinds.GraphProto(
        name="encoder", node=nodes, input=inputs, output=outputs, initializer=weights
    )
    sets = [
        kinds.OperatorSetIdProto(domain=domain, version=number)
        for domain, number in operators.items()
    ]
    content: bytes = kinds.ModelProto(
        ir_version=version, graph=graph, opset_import=sets
    ).SerializeToString()
    return content


def _attribute(name: str, value: Any) -> Any:
    kind = messages().AttributeProto
    if isinstance(value, str):
        return kind(name=name, s=value.encode(), type=kind.STRING)
    if isinstance(value, int):
        return kind(name=name, i=value, type=kind.INT)
    if isinstance(value, float):
        return kind(name=name, f=value, type=kind.FLOAT)
    numbers = list(value)
    if all(isinstance(number, int) for number in numbers):
        return kind(name=name, ints=numbers, type=kind.INTS)
    return kind(name=name, floats=numbers, type=kind.FLOATS)

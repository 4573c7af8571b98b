"""Messages of ONNX, held against those of its own helpers."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, checker, helper, load_from_string, numpy_helper

from evoked.features.encoders._messages import model, named_value, node, outside, tensor
from evoked.features.encoders._sessions import session


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"axis": -1, "epsilon": 1e-5},
        {"perm": [0, 2, 1], "auto_pad": "SAME_UPPER"},
        {"scales": [0.5, 2.0], "keepdims": 1},
    ],
)
@pytest.mark.parametrize("domain", ["", "com.microsoft"])
def test_operations_are_those_of_onnx(attributes: dict[str, Any], domain: str) -> None:
    own = node("Some", ["a", "", "b"], "c", domain, attributes)
    theirs = helper.make_node("Some", ["a", "", "b"], ["c"], domain=domain, **attributes)
    assert helper.printable_node(own) == helper.printable_node(theirs)
    assert own.domain == theirs.domain


@pytest.mark.parametrize(
    "kind", ["float32", "uint8", "int8", "int32", "int64", "bool", "float16", "float64"]
)
def test_weights_are_those_of_onnx(kind: str) -> None:
    values = np.arange(12).reshape(3, 4).astype(kind)
    for array in (values, values.T, values[1, 2:3], values[0, 0:1].reshape(())):
        theirs = numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), "w")
        assert tensor("w", array) == theirs
        np.testing.assert_array_equal(numpy_helper.to_array(tensor("w", array)), array)


def test_a_graph_is_one_that_onnx_accepts_and_runs() -> None:
    weight = np.array([[1.0], [2.0]], dtype=np.float32)
    steps = [node("MatMul", ["x", "w"], "y", "", {})]
    results = [named_value("y", np.float32, 2)]
    inputs = [named_value("x", np.float32, 2)]
    content = model(steps, inputs, results, [tensor("w", weight)], {"": 20}, 9)
    checker.check_model(load_from_string(content))
    (shape,) = load_from_string(content).graph.input
    assert shape == helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, None])
    x = np.ones((1, 2), np.float32)
    assert session(content).run(None, {"x": x})[0].tolist() == [[3.0]]
    held = model(steps, inputs, results, [outside("w", weight)], {"": 20}, 9)
    assert session(held, {"w": weight}).run(None, {"x": x})[0].tolist() == [[3.0]]


def test_onnx_itself_stays_away_and_can_be_imported_later() -> None:
    code = (
        "import sys, numpy as np\n"
        "from evoked.features.encoders._graph import Graph\n"
        "graph = Graph({'x': np.zeros((1, 2), np.float32)}, {'w': np.ones((2, 1), np.float32)})\n"
        "graph.compiled([graph.add('MatMul', 'x', 'w')])\n"
        "assert 'onnx' not in sys.modules and 'ml_dtypes' not in sys.modules\n"
        "from onnx import helper, load_from_string\n"
        "assert load_from_string(graph.exported(['value 0'])).graph.node[0].op_type == 'MatMul'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)

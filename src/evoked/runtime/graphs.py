"""Graphs of an export, ready to run: by ONNX Runtime, or by OpenVINO."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from evoked.errors import MissingExtraError
from evoked.features.encoders._sessions import session, thread_count
from evoked.runtime.folder import WEIGHTS_FILE, ExportFolder

Arrays = dict[str, NDArray[Any]]
Graph = Callable[[Mapping[str, NDArray[Any]]], Arrays]
"""From inputs by name to outputs by name. Inputs that the graph doesn't have are left out."""


def load_graph(folder: ExportFolder, name: str, *, once: bool = False) -> Graph:
    """A graph of an export.

    Parameters
    ----------
    once
        Whether it is run only once or twice, so that it isn't worth being optimised.

    Raises
    ------
    DataError
        Its file is missing, or was altered.
    MissingExtraError
        What runs it is not installed.
    """
    if folder.format == "openvino":
        return _by_openvino(folder.content(f"{name}.xml"), folder.content(f"{name}.bin"))
    if WEIGHTS_FILE in folder.manifest["files"]:
        folder.checked(WEIGHTS_FILE)
    return _by_onnxruntime(folder.checked(f"{name}.onnx"), once)


def _by_onnxruntime(file: Path, once: bool) -> Graph:
    try:
        ready = session(file, optimised=not once)
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "export", "scoring by an export") from error
    inputs = {each.name for each in ready.get_inputs()}
    outputs = [each.name for each in ready.get_outputs()]

    def run(given: Mapping[str, NDArray[Any]]) -> Arrays:
        feeds = {name: value for name, value in given.items() if name in inputs}
        return dict(zip(outputs, ready.run(outputs, feeds), strict=True))

    return run


def _by_openvino(description: bytes, weights: bytes) -> Graph:
    try:
        import openvino
    except ImportError as error:
        raise MissingExtraError("openvino", "export", "scoring by an OpenVINO export") from error
    core = openvino.Core()
    # Full precision, wherever the processor would round: an export predicts what its run does.
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    if threads := thread_count():
        settings["INFERENCE_NUM_THREADS"] = threads
    compiled = core.compile_model(core.read_model(description, weights), "CPU", settings)
    inputs = {each.any_name for each in compiled.inputs}

    def run(given: Mapping[str, NDArray[Any]]) -> Arrays:
        found = compiled({name: value for name, value in given.items() if name in inputs})
        return {each.any_name: found[each] for each in compiled.outputs}

    return run

"""Encoders without torch: their networks as ONNX graphs, run by ONNX Runtime.

Importing torch takes more than a second of processor time and half a gigabyte, which is more than
one draft needs for everything else. An encoder whose architecture is known to evoked therefore has
two paths to the same numbers:

- a *graph* (:mod:`._graph`) over its weights, which are mapped from their file, where
  :func:`without_torch` says so: the extra ``fast`` is installed, and no graphics card waits;
- its *twin* in torch, imported when it is first asked for: where there is no graph, and wherever
  the network is to be trained.

Neither decides the fingerprint, since both read the same weights.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from ctypes.util import find_library
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

# What the drivers of graphics cards leave on Linux: NVIDIA's, NVIDIA's under Windows, and AMD's.
_CARDS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")

# The types of safetensors that are read, and NumPy's names for them.
_TYPES = {"F32": "<f4", "F64": "<f8", "I64": "<i8"}


@cache
def without_torch() -> bool:
    """Whether encoders run as ONNX graphs here, and torch need not be imported for them."""
    if not all(map(find_spec, ("onnx", "onnxruntime"))):
        return False
    if not _may_have_card():
        return True
    from evoked.features.encoders._inference import inference_device  # which imports torch

    return inference_device().type == "cpu"


def session(
    content: bytes | Path,
    weights: Mapping[str, NDArray[Any]] | None = None,
    *,
    optimised: bool = True,
) -> InferenceSession:
    """A graph, ready to run on the processor.

    Parameters
    ----------
    content
        The serialised model, or its file, whose weights may then lie in files beside it, which are
        mapped into memory.
    weights
        Values of those of its initialisers that lie outside of it; ONNX Runtime lays them out for
        its own use, and what is given here may then be dropped.
    optimised
        Whether the graph is rearranged first, which takes longer than to run it once.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_count()
    if not optimised:
        levels = onnxruntime.GraphOptimizationLevel
        options.graph_optimization_level = levels.ORT_DISABLE_ALL
    # Waiting threads would otherwise keep the cores busy, which decode the next pictures.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Processors without instructions for it would cut sums of products of 8-bit integers short.
    options.add_session_config_entry("session.x64quantprecision", "1")
    # Batches are of ever new shapes; an arena would keep memory for each of them.
    options.enable_cpu_mem_arena = not weights
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(each) for each in (weights or {}).values()]
    options.add_external_initializers(list(weights or {}), values)
    model = str(content) if isinstance(content, Path) else content
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def mapped_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors of a safetensors file by name, mapped from the disk and read-only, as far as they
    are whole or floating numbers of 64 or 32 bits.

    The format: the length of a JSON header in eight bytes, the header, and the tensors' bytes
    (https://github.com/huggingface/safetensors).
    """
    content = np.memmap(path, np.uint8, mode="r")
    begin = 8 + int(content[:8].view("<u8")[0])
    header = json.loads(bytes(content[8:begin]))
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] in _TYPES:
            start, end = entry["data_offsets"]
            values = content[begin + start : begin + end].view(_TYPES[entry["dtype"]])
            tensors[name] = np.asarray(values).reshape(entry["shape"])
    return tensors


def _may_have_card() -> bool:
    """Whether a driver of a graphics card is installed, seen without torch."""
    if sys.platform == "win32":
        return find_library("nvcuda") is not None
    return any(map(os.path.exists, _CARDS))


def thread_count() -> int:
    """As many threads as torch would use; 0 stands for one per core."""
    torch = sys.modules.get("torch")
    if torch is not None:
        return int(torch.get_num_threads())
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdecimal() else 0

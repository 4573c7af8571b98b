"""ONNX files whose weights lie in one file beside them.

They are mapped into memory where they lie, by whatever reads ONNX's external data, so that loading
a graph copies none of them; and what two graphs share, such as the words that two networks begin
with, lies there once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from evoked.runtime.folder import WEIGHTS_FILE

# Smaller ones stay in their graph, whose shapes may depend on them.
_LEAST_BYTES = 4096
# Where weights may begin: as pages of memory do.
_PAGE = 4096


def write_graphs(folder: Path, graphs: Mapping[str, bytes]) -> None:
    """Write graphs as ONNX files, and their weights.

    Parameters
    ----------
    folder
        Where they are written.
    graphs
        ONNX files with their weights, by name.
    """
    import onnx

    places: dict[bytes, int] = {}
    end = 0
    with (folder / WEIGHTS_FILE).open("wb") as stream:
        for name, content in graphs.items():
            model = onnx.load_from_string(content)
            for tensor in model.graph.initializer:
                values = tensor.raw_data
                if len(values) < _LEAST_BYTES:
                    continue
                key = hashlib.sha256(values).digest()
                if key not in places:
                    end += stream.write(bytes(-end % _PAGE))
                    places[key] = end
                    end += stream.write(values)
                entries = {
                    "location": WEIGHTS_FILE,
                    "offset": str(places[key]),
                    "length": str(len(values)),
                }
                tensor.ClearField("raw_data")
                tensor.data_location = onnx.TensorProto.EXTERNAL
                for entry, value in entries.items():
                    tensor.external_data.add(key=entry, value=value)
            (folder / f"{name}.onnx").write_bytes(model.SerializeToString())

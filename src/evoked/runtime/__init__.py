"""Scoring by an exported run: NumPy, ONNX Runtime or OpenVINO, tokenizers and Pillow, nothing else.

``evoked export`` leaves a folder; this room reads it::

    export = evoked.runtime.load("my_export")
    export.score([{"image": "draft.jpg", "caption": "Golden hour", "author": "new"}])

It imports neither torch nor pandas, executes nothing that the folder holds, and fetches nothing.
On the command line: ``python -m evoked.runtime my_export draft.json``.
"""

from __future__ import annotations

from evoked.runtime.scoring import ExportedRun, load

__all__ = ["ExportedRun", "load"]

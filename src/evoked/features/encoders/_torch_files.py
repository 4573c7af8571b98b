"""Tensors of a file that ``torch.save`` wrote before torch 1.6, read without torch and without
unpickling: opcodes are looked through, and none is executed.

The file holds five pickles, the last two being the tensors' names with the keys of their values,
and those keys in the order in which the values follow: for each key how many there are, in eight
bytes, and the values themselves.
"""

from __future__ import annotations

import pickletools
from itertools import takewhile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_PICKLES = 5
_LONGEST = 1_000_000  # bytes of a pickle of names
_PLACES = ("storage", "cpu")  # said of every tensor, between its name and its key
_AFTER_TENSORS = "_metadata"
_COUNTERS = ".num_batches_tracked"  # whole numbers, of which evoked has no use


def float_tensors(path: Path) -> dict[str, NDArray[np.float32]]:
    """The float32 tensors of a state dict, flat, by name and in their order.

    Their shapes are not read: whoever knows the file's checksum knows those.
    """
    content = np.memmap(path, np.uint8, mode="r")
    place = 0
    texts: list[list[str]] = []
    for _ in range(_PICKLES):
        codes = list(pickletools.genops(content[place : place + _LONGEST].tobytes()))
        texts.append([str(text) for code, text, _ in codes if code.name == "BINUNICODE"])
        place += (codes[-1][2] or 0) + 1  # the last code is one byte long
    *_, described, keys = texts
    of_tensors = takewhile(_AFTER_TENSORS.__ne__, described)
    paired = [text for text in of_tensors if text not in _PLACES]
    names = dict(zip(paired[1::2], paired[::2], strict=True))
    tensors = {}
    for key in keys:
        count = int(np.frombuffer(content[place : place + 8], "<i8")[0])
        size = count * (8 if names[key].endswith(_COUNTERS) else 4)
        values = content[place + 8 : place + 8 + size]
        place += 8 + size
        if not names[key].endswith(_COUNTERS):
            tensors[names[key]] = np.frombuffer(values.tobytes(), "<f4")
    return {name: tensors[name] for name in names.values() if name in tensors}

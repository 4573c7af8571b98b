"""A text emotion reader's weights as they are kept: differences from MiniLM's, without torch.

:mod:`._low_rank` makes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoked.errors import DataError
from evoked.features.encoders._minilm import CHANNELS, LAYERS, minilm_weights
from evoked.posts.vocabulary import EMOTIONS

Kept = Mapping[str, Any]

_FOREIGN = "the weights are not those of a text emotion reader."


def expanded(kept: Kept, base: Kept) -> dict[str, Any]:
    """Inverse of :func:`._low_rank.compressed`, except for what the rank left out.

    Parameters
    ----------
    kept, base
        Arrays or tensors by name: the differences, and the weights that they are from.
    """
    weights = dict(base)
    for name, values in kept.items():
        matrix, _, part = name.rpartition(".")
        if part == "up":
            weights[matrix] = base[matrix] + values @ kept[f"{matrix}.down"]
        elif part != "down":
            weights[name] = values
    return weights


def group_weights(kept: Kept, settings: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
    """All weights of a group of members by name, from its differences, float16 or float32."""
    whole = {name: values.astype(np.float32) for name, values in kept.items()}
    return expanded(whole, _base(settings))


class DifferingWeights(NamedTuple):
    """Weights of a group by name, float32, and of those matrices that differ from MiniLM's the two
    factors of the difference, as they are kept."""

    weights: dict[str, NDArray[np.float32]]
    low_rank: dict[str, tuple[NDArray[Any], NDArray[Any]]]


def differing_weights(kept: Kept, settings: Mapping[str, Any]) -> DifferingWeights:
    """:func:`group_weights`, the differences of low rank not added up."""
    own = {name: np.asarray(values) for name, values in kept.items()}
    factors = {
        name.removesuffix(".up"): (values, own[f"{name.removesuffix('.up')}.down"])
        for name, values in own.items()
        if name.endswith(".up")
    }
    others = {
        name: values.astype(np.float32)
        for name, values in own.items()
        if not name.endswith((".up", ".down"))
    }
    return DifferingWeights({**_base(settings), **others}, factors)


def check_group(kept: Kept, settings: Mapping[str, Any]) -> None:
    """Refuse differences that are not those of a group with such settings.

    Raises
    ------
    DataError
        One is of a matrix that MiniLM lacks, is incomplete, has another shape, or is missing.
    """
    allowed = {name: values.shape for name, values in _base(settings).items()}
    needed = _own_shapes(settings)
    try:
        found = _shapes(kept)
    except (KeyError, ValueError) as error:
        raise DataError(_FOREIGN) from error
    if not needed.items() <= found.items() <= (allowed | needed).items():
        raise DataError(_FOREIGN)


def _shapes(kept: Kept) -> dict[str, tuple[int, ...]]:
    """Shapes of what :func:`expanded` takes from ``kept``."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, values in kept.items():
        matrix, _, part = name.rpartition(".")
        if part == "up":
            (rows, rank), (own_rank, columns) = values.shape, kept[f"{matrix}.down"].shape
            if rank != own_rank:
                raise ValueError(f"{matrix}: ranks {rank} and {own_rank}")
            shapes[matrix] = (rows, columns)
        elif part != "down":
            shapes[name] = values.shape
    return shapes


def _base(settings: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
    """MiniLM's layers under the names that they have in a group: the first once, for all members,
    and the others for each."""
    first = settings["shared_layers"]
    members = [f"members.{number}.layers" for number in range(settings["members"])]
    places = {number: ["shared"] if number < first else members for number in range(LAYERS)}
    weights: dict[str, NDArray[np.float32]] = {}
    for name, values in minilm_weights().items():
        if name.startswith("encoder.layer."):
            number = int(name.split(".")[2])
            weights |= {f"{place}.{name}": values for place in places[number]}
    return weights


def _own_shapes(settings: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Shapes of what MiniLM lacks: each member's mix of layers, attention and head."""
    attentions, outputs = settings["attentions"], len(EMOTIONS)
    own = {
        "mix": (LAYERS - settings["shared_layers"] + 1,),
        "attention.weight": (attentions, CHANNELS),
        "attention.bias": (attentions,),
        "head.weight": (outputs, (1 + attentions) * CHANNELS),
        "head.bias": (outputs,),
    }
    members = range(settings["members"])
    return {f"members.{number}.{name}": shape for number in members for name, shape in own.items()}

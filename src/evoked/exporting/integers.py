"""Encoders in integers of 8 bits, where they still see the same.

Weights of texts' networks are rounded (dynamic quantisation), and of pictures' networks the values
between layers as well, by what they are on some pictures (static quantisation). An encoder is kept
in integers only if its features stay where they are among those of other posts: the smallest
*centred cosine* of all examples has to reach 0.999. Centred means that the examples' mean is
subtracted first, since vectors that all point one way are alike whatever they show.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoked.errors import ImageError, SettingsError
from evoked.features.captions import prepare
from evoked.features.encoders._sessions import session
from evoked.features.encoders._token_batches import padded
from evoked.posts.images import load_image

Pictures = Sequence[Path | bytes]

LEAST_COSINE = 0.999
_MOST_EXAMPLES = 64
_FEWEST_EXAMPLES = 8


def as_integers(
    graphs: dict[str, bytes],
    sources: Sequence[Mapping[str, Any]],
    pictures: Pictures,
    captions: Sequence[str],
    tokenizers: Mapping[str, str],
) -> list[str]:
    """Replace the graphs of encoders by graphs in integers.

    Parameters
    ----------
    graphs
        By name; changed.
    sources
        What the manifest says of the encoders.
    pictures, captions
        By which it is found out whether they still see the same; at least 8 of each that is read.
    tokenizers
        By file name, as JSON.

    Returns
    -------
    A sentence for each encoder.

    Raises
    ------
    SettingsError
        There are too few examples, or an encoder does not see the same: the message says its
        cosine.
    """
    notes = []
    for source in sources:
        name = source.get("graph")
        if name is None:
            continue
        examples = _examples(source, pictures, captions, tokenizers)
        of_pictures = source["kind"] in ("picture", "objects")
        whole = graphs[name]
        rounded = _static(whole, examples) if of_pictures else _dynamic(whole)
        cosine = smallest_cosine(_features(whole, examples), _features(rounded, examples))
        if not cosine >= LEAST_COSINE:
            raise SettingsError(
                f"the graph {name!r} in 8-bit integers sees another {_SEEN[of_pictures]}: its "
                f"smallest centred cosine on {len(examples)} examples is {cosine:.4f}, and "
                f"{LEAST_COSINE} is needed. Export without --int8."
            )
        graphs[name] = rounded
        notes.append(
            f"{name} in 8-bit integers: {len(rounded) / 1e6:.0f} MB in place of "
            f"{len(whole) / 1e6:.0f}; smallest centred cosine {cosine:.5f} on {len(examples)} "
            "examples."
        )
    return notes


_SEEN = {True: "picture than in full", False: "text than in full"}


def smallest_cosine(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """The smallest cosine of n pairs of vectors, (n, size) each, both less the mean of the
    first."""
    mean = first.mean(axis=0)
    own, other = first - mean, second - mean
    products = (own * other).sum(axis=1)
    norms = np.linalg.norm(own, axis=1) * np.linalg.norm(other, axis=1)
    return float((products / np.maximum(norms, 1e-12)).min())


def _examples(
    source: Mapping[str, Any],
    pictures: Pictures,
    captions: Sequence[str],
    tokenizers: Mapping[str, str],
) -> list[dict[str, NDArray[Any]]]:
    """Inputs of a graph, one for each example."""
    if source["kind"] in ("picture", "objects"):
        found = [{"pictures": each[None]} for each in _pixels(pictures, source["size"])]
        kind = "pictures"
    else:
        found = list(_tokens(source, captions, tokenizers[source["tokenizer"]]))
        kind = "captions"
    if len(found) < _FEWEST_EXAMPLES:
        raise SettingsError(
            f"{len(found)} {kind}, where {_FEWEST_EXAMPLES} are needed to see whether 8-bit "
            "integers see the same. Give posts that have some with --data."
        )
    return found


def _pixels(pictures: Pictures, size: int) -> Iterator[NDArray[np.uint8]]:
    number = 0
    for picture in pictures:
        if number == _MOST_EXAMPLES:
            return
        try:
            yield load_image(picture, size)
        except ImageError:
            continue
        number += 1


def _tokens(
    source: Mapping[str, Any], captions: Sequence[str], tokenizer: str
) -> Iterator[dict[str, NDArray[Any]]]:
    from tokenizers import Tokenizer

    reading = Tokenizer.from_str(tokenizer)
    reading.no_padding()
    reading.enable_truncation(source["max_tokens"])
    texts = [text for text in prepare(captions, steps=source["steps"]) if text]
    for encoding in reading.encode_batch(texts[:_MOST_EXAMPLES]):
        ids, mask = padded([encoding.ids], source["padding"])
        yield {"ids": ids, "is token": mask}


def _features(content: bytes, examples: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
    """All that a graph gives for each example, the mean over positions and tokens of what has
    any, (n, size)."""
    ready = session(content)
    rows = []
    for example in examples:
        outputs = ready.run(None, dict(example))
        means = [each.mean(axis=1) if each.ndim == 3 else each for each in outputs]
        rows.append(np.concatenate(means, axis=1)[0])
    return np.array(rows, dtype=np.float64)


@contextmanager
def _quietly() -> Iterator[None]:
    """Leave out what ONNX Runtime advises its own developers."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _dynamic(content: bytes) -> bytes:
    """A graph with its weights in integers."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder, _quietly():
        before, after = Path(folder) / "before.onnx", Path(folder) / "after.onnx"
        before.write_bytes(content)
        quantize_dynamic(before, after, per_channel=True, weight_type=QuantType.QInt8)
        return after.read_bytes()


def _static(content: bytes, examples: Sequence[Mapping[str, Any]]) -> bytes:
    """A graph that computes in integers, calibrated on examples."""
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._left = iter(examples)

        def get_next(self) -> Any:
            return next(self._left, None)

    with tempfile.TemporaryDirectory() as folder, _quietly():
        before, after = Path(folder) / "before.onnx", Path(folder) / "after.onnx"
        before.write_bytes(content)
        quantize_static(
            before,
            after,
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QUInt8,
            op_types_to_quantize=["Conv"],
        )
        return after.read_bytes()

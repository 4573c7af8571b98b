"""The text encoder that works offline: all-MiniLM-L6-v2 from a package on PyPI."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from evoked.features.encoders._minilm import (
    CHANNELS,
    LAYERS,
    LONGEST,
    MINILM_SHA256,
    PADDING_ID,
    TOKENS_PER_BATCH,
    add_layer,
    graph_inputs,
    minilm_folder,
    minilm_graph,
    minilm_graph_of_ids,
    minilm_tokenizer,
)
from evoked.features.encoders._sessions import without_torch
from evoked.features.encoders._token_batches import (
    Floats,
    Ids,
    Mask,
    mean_over_tokens,
    offsets_of,
    text_features,
)
from evoked.features.encoders.base import TextEncoder, TextFeatures

if TYPE_CHECKING:
    import torch

    from evoked.features.encoders._graph import Compiled
    from evoked.features.encoders.transformers_text import TransformersTextEncoder


class BuiltinTextEncoder(TextEncoder):
    """MiniLM: 384 channels, English, in lower case; it doesn't know emoji and other scripts.

    Turn emoji into words first (:func:`evoked.features.captions.prepare`).

    Parameters
    ----------
    max_tokens
        Longest sequence, special tokens included; 512 at most.

    Attributes
    ----------
    twin
        The same network in torch, loaded when it is first asked for: see :mod:`._sessions`.

    Raises
    ------
    SettingsError
        The package is not installed, or its weights are not the expected ones.
    """

    token_channels = vector_size = CHANNELS

    def __init__(self, max_tokens: int = 128) -> None:
        minilm_folder()  # which looks at the weights
        self.max_tokens = min(max_tokens, LONGEST)
        self.fingerprint = f"builtin:minilm:{MINILM_SHA256[:16]}:{self.max_tokens}"

    @cached_property
    def twin(self) -> TransformersTextEncoder:
        from evoked.features.encoders.transformers_text import TransformersTextEncoder

        return TransformersTextEncoder(minilm_folder(), self.max_tokens)

    def encode(self, texts: list[str]) -> TextFeatures:
        """Encode prepared texts; see :class:`TextFeatures`. Batches are sorted by length."""
        if not without_torch():
            return self.twin.encode(texts)
        encodings = self._encodings(texts)
        return text_features(encodings, PADDING_ID, CHANNELS, self._run, TOKENS_PER_BATCH)

    def tokenize(self, texts: list[str]) -> list[list[tuple[int, int]]]:
        return offsets_of(self._encodings(texts))

    def token_ids(self, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        return self.twin.token_ids(texts)

    def network(self) -> torch.nn.Module:
        return self.twin.network()

    def _encodings(self, texts: list[str]) -> list[Any]:
        encodings: list[Any] = minilm_tokenizer(self.max_tokens).encode_batch(texts)
        return encodings

    @cached_property
    def _layers(self) -> Compiled:
        graph, rows = minilm_graph({})
        for number in range(LAYERS):
            rows = add_layer(graph, rows, f"encoder.layer.{number}")
        return graph.compiled([graph.add("Reshape", rows, "sequences")])

    padding_id = PADDING_ID

    def tokenizer_json(self) -> str:
        """The tokenizer, as the tokenizers library reads it."""
        return (minilm_folder() / "tokenizer.json").read_text(encoding="utf-8")

    def exported(self) -> bytes:
        """The network as the content of an ONNX file: from ``ids`` and ``is token``, (n, longest),
        to ``states``, (n, longest, 384)."""
        graph, rows = minilm_graph_of_ids({})
        for number in range(LAYERS):
            rows = add_layer(graph, rows, f"encoder.layer.{number}")
        return graph.exported([graph.add("Reshape", rows, "sequences", result="states")])

    def _run(self, ids: Ids, mask: Mask) -> tuple[Floats, Floats]:
        (states,) = self._layers(graph_inputs(ids, mask))
        return states, mean_over_tokens(states, mask)

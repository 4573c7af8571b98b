"""The text encoder: MiniLM with verified weights, and any transformers network by the same code."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel

from evoked.errors import SettingsError
from evoked.features.encoders._inference import bfloat16_is_fast
from evoked.features.encoders._minilm import minilm_folder
from evoked.features.encoders._sessions import without_torch
from evoked.features.encoders._token_batches import batches_by_length, padded
from evoked.features.encoders.builtin_text import BuiltinTextEncoder
from evoked.features.encoders.transformers_text import TransformersTextEncoder

TEXTS = ["a sunny day at the beach", "", "rain again", "the quick brown fox " * 60]


@pytest.fixture(scope="module")
def encoder() -> BuiltinTextEncoder:
    return BuiltinTextEncoder()


def test_tokens_and_vectors_are_those_of_the_network_one_text_at_a_time(
    encoder: BuiltinTextEncoder,
) -> None:
    features = encoder.encode(TEXTS)
    tokenizer = AutoTokenizer.from_pretrained(minilm_folder(), local_files_only=True)
    model = AutoModel.from_pretrained(minilm_folder(), local_files_only=True).eval()
    tolerance = 0.05 if bfloat16_is_fast() else 1e-4
    for text, tokens, vector in zip(TEXTS, features.tokens, features.vector, strict=True):
        inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=128)
        with torch.no_grad():
            states = model(**inputs).last_hidden_state[0].numpy()
        np.testing.assert_allclose(tokens, states[1:-1], atol=tolerance)
        mean = states.mean(0)
        expected = mean / np.linalg.norm(mean) if text else np.zeros(384)
        assert np.linalg.norm(vector - expected) < tolerance


@pytest.mark.skipif(not without_torch(), reason="needs ONNX Runtime and no graphics card")
def test_the_graph_and_its_twin_in_torch_agree(
    encoder: BuiltinTextEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [*TEXTS, "hello [SEP] there", "été \U0001f60d 日本"]
    graph = encoder.encode(texts)
    monkeypatch.setattr("evoked.features.encoders.builtin_text.without_torch", lambda: False)
    twin = encoder.encode(texts)
    tolerance = 0.05 if bfloat16_is_fast() else 1e-4
    np.testing.assert_allclose(graph.vector, twin.vector, atol=tolerance)
    for one, other in zip(graph.tokens, twin.tokens, strict=True):
        np.testing.assert_allclose(one, other, atol=tolerance)
    assert encoder.tokenize(texts) == encoder.twin.tokenize(texts)


def test_without_its_libraries_there_is_no_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert not without_torch.__wrapped__()


def test_similar_texts_are_close(encoder: BuiltinTextEncoder) -> None:
    vectors = encoder.encode(["a cat on a sofa", "a kitten on a couch", "tax law reform"]).vector
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.3


def test_offsets_are_the_words(encoder: BuiltinTextEncoder) -> None:
    text = "sunsets, été & pizza"
    (offsets,) = encoder.tokenize([text])
    pieces = [text[start:end] for start, end in offsets]
    assert "".join(pieces) == text.replace(" ", "")
    assert len(offsets) == len(encoder.encode([text]).tokens[0])


def test_lengths_are_bounded() -> None:
    encoder = BuiltinTextEncoder(max_tokens=16)
    assert len(encoder.encode(["word " * 1000]).tokens[0]) == 14  # and two special tokens
    assert "16" in encoder.fingerprint.split(":")


def test_no_texts(encoder: BuiltinTextEncoder) -> None:
    features = encoder.encode([])
    assert features.tokens == []
    assert features.vector.shape == (0, 384)
    assert encoder.tokenize([]) == []


def test_the_network_can_be_trained_and_leaves_the_encoder_as_it_is(
    encoder: BuiltinTextEncoder,
) -> None:
    before = encoder.encode(["hello"]).vector
    network = encoder.network()
    ids, mask = encoder.token_ids(["hello there", "hi"])
    states = network(ids, mask)
    assert states.shape == (2, ids.shape[1], 384)
    assert mask.sum(1).tolist() == [4, 3]
    states.square().sum().backward()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(encoder.encode(["hello"]).vector, before)


def test_a_folder_goes_through_the_same_code(tmp_path: Path) -> None:
    AutoTokenizer.from_pretrained(minilm_folder()).save_pretrained(tmp_path)
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64
    )
    BertModel(config).save_pretrained(tmp_path)
    encoder = TransformersTextEncoder(tmp_path, max_tokens=32)
    assert encoder.encode(["hello there"]).tokens[0].shape == (2, 32)
    again = TransformersTextEncoder(tmp_path, max_tokens=32)
    assert again.fingerprint == encoder.fingerprint
    torch.manual_seed(1)
    BertModel(config).save_pretrained(tmp_path)
    assert TransformersTextEncoder(tmp_path, max_tokens=32).fingerprint != encoder.fingerprint


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="can't be loaded"):
        TransformersTextEncoder(tmp_path)


def test_batches_hold_every_row_once_and_little_padding() -> None:
    lengths = np.random.default_rng(0).integers(1, 128, 500)
    batches = list(batches_by_length(lengths))
    assert sorted(np.concatenate(batches).tolist()) == list(range(500))
    padded = sum(len(rows) * lengths[rows].max() for rows in batches)
    assert padded < 1.1 * lengths.sum()


def test_padding() -> None:
    ids, mask = padded([[5, 6, 7], [], [8]], padding_id=1)
    assert ids.tolist() == [[5, 6, 7], [1, 1, 1], [8, 1, 1]]
    assert mask.sum(1).tolist() == [3, 0, 1]

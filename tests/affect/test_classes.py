"""The picture emotion reader that needs no rated pictures: what is recognised decides."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fit_class_emotion import SENTENCES, SOFTENING, _said, class_emotions, encode, stretched
from numpy.typing import NDArray

from evoked.affect import ClassEmotionReader, picture_reader, text_reader
from evoked.affect.classes import CLASSES_FILE
from evoked.affect.reader import evaluate_reader
from evoked.errors import DataError
from evoked.features.encoders._lite import LITES, lite_weights
from evoked.features.encoders._lite_words import class_words
from evoked.posts.dataset import PostDataset
from tests.support.reader_sources import write_picture

EVERY = 40  # class is read anew


def vectors_of(*words: str) -> NDArray[np.float32]:
    """Vectors in which one class each is recognised."""
    kernel = lite_weights(LITES["lite0"])["_fc.weight"]
    ends = [20 * kernel[class_words().index(word)] for word in words]
    return np.pad(np.stack(ends), ((0, 0), (3, 0)))


def test_the_shipped_table_is_what_the_script_makes() -> None:
    shipped, reader = picture_reader(), text_reader()
    assert shipped.sentences == SENTENCES
    assert shipped.softening == SOFTENING
    read = class_emotions(reader.predict, class_words()[::EVERY])
    np.testing.assert_allclose(np.array(shipped.emotions)[::EVERY], read, atol=2e-3)
    assert shipped.text_reader == reader.fingerprint


def test_sentences_have_the_right_article() -> None:
    assert _said("I saw a {} today.", "ostrich") == "I saw an ostrich today."
    assert _said("I saw a {} today.", "hen") == "I saw a hen today."
    assert _said("Look at the {}!", "ostrich") == "Look at the ostrich!"


def test_what_is_recognised_decides() -> None:
    assault, dinner = picture_reader().predict(vectors_of("assault rifle", "restaurant"))
    assert dinner[0] > assault[0] + 1
    assert assault[1] > dinner[1] + 0.5


def test_softening_lets_the_rest_have_its_say() -> None:
    reader = replace(picture_reader(), gain=(1.0, 1.0), offset=(0.0, 0.0))
    own = reader.emotions[class_words().index("restaurant")]
    sharp = replace(reader, softening=1.0).predict(vectors_of("restaurant"))[0]
    soft = replace(reader, softening=100.0).predict(vectors_of("restaurant"))[0]
    middle = np.mean(reader.emotions, axis=0)
    np.testing.assert_allclose(sharp, own, atol=0.01)
    np.testing.assert_allclose(soft, middle, atol=0.05)
    assert abs(own[0] - middle[0]) > 0.1


def test_stretched_to_the_mean_and_spread_of_texts_and_no_further_than_the_scale() -> None:
    vectors = vectors_of(*class_words()[::50])
    texts = np.random.default_rng(0).normal([0.5, 4.0, 0.0], [0.4, 0.2, 1.0], (500, 3))
    texts = texts.astype(np.float32)
    texts[0] = np.nan
    mean, spread = np.nanmean(texts, axis=0), np.nanstd(texts, axis=0)
    readings = stretched(picture_reader(), vectors, texts).predict(vectors)
    np.testing.assert_allclose(readings.mean(axis=0), mean[:2], atol=0.01)
    np.testing.assert_allclose(readings.std(axis=0), spread[:2], atol=0.01)
    far = stretched(picture_reader(), vectors, 100 * (texts - mean)).predict(vectors)
    assert far.min(axis=0).tolist() == [-4, 0]
    assert far.max(axis=0).tolist() == [4, 8]


def test_no_pictures_are_no_readings() -> None:
    assert picture_reader().predict(np.zeros((0, 1904), np.float32)).shape == (0, 2)


def test_saved_and_loaded(tmp_path: Path) -> None:
    reader = picture_reader()
    reader.save(tmp_path)
    loaded = ClassEmotionReader.load(tmp_path)
    assert loaded == reader
    assert loaded.fingerprint == reader.fingerprint
    assert replace(reader, softening=3.0).fingerprint != reader.fingerprint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 99}, "format version 99"),
        ({"gain": [1.0]}, "not a whole class emotion reader"),
        ({"emotions": [[0.0, 4.0]]}, "1 classes; there are 1000"),
    ],
)
def test_damaged_files_are_refused(change: dict[str, object], message: str, tmp_path: Path) -> None:
    picture_reader().save(tmp_path)
    file = tmp_path / CLASSES_FILE
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(DataError, match=message):
        ClassEmotionReader.load(tmp_path)


def test_readings_are_scored_apart_and_together(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    captions = ["What a wonderful day!", "I am so sad.", "Fine.", None, "We won!!!"]
    for number in range(len(captions)):
        write_picture(tmp_path / "pictures" / f"{number}.jpg", seed=number)
    names = [[f"{number}.jpg"] for number in range(len(captions))]
    names[2] = []
    ratings = np.linspace(-2, 2, len(captions))
    posts = pd.DataFrame({"caption": captions, "images": names, "valence": ratings})
    posts["post_id"] = posts.index.astype(str)
    dataset = PostDataset.create(tmp_path / "posts", {"posts": posts}, images=tmp_path / "pictures")
    scores = evaluate_reader(dataset)
    numbers = {name: each["valence"]["n"] for name, each in scores.items()}
    assert numbers == {"text": 4, "image": 4, "both": 3}


def test_pictures_of_oasis_are_read_without_their_ratings(shared_data: Path) -> None:
    table = pd.read_csv(shared_data / "oasis" / "oasis.csv").iloc[::9]
    vectors = encode([shared_data / "oasis" / name for name in table["image"]])
    valence, arousal = picture_reader().predict(vectors).T
    assert np.corrcoef(valence, table["valence_mean"])[0, 1] > 0.35
    assert np.corrcoef(arousal, table["arousal_mean"])[0, 1] > 0.2

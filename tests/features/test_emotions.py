"""Both emotion readers together: who speaks where, and how the two are joined."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from evoked.affect import picture_reader, text_reader
from evoked.features.cache import FeatureCache
from evoked.features.catalog import FeatureSettings
from evoked.features.emotions import read_emotions, who_read
from evoked.features.extract import extract_posts, fingerprints
from tests.support.reader_sources import write_picture

CAPTIONS = ["What a wonderful day!", "What a wonderful day!", None, None, "今日は良い天気です"]


def covers_of(folder: Path) -> list[Path | None]:
    file = folder / "cover.jpg"
    write_picture(file, seed=3)
    return [file, None, file, None, file]


def posts() -> pd.DataFrame:
    return pd.DataFrame({"post_id": list("abcde"), "caption": CAPTIONS})


def test_both_weigh_alike_and_each_speaks_alone_where_the_other_cannot(tmp_path: Path) -> None:
    cache, covers = FeatureCache(tmp_path / "cache"), covers_of(tmp_path)
    read = read_emotions(posts(), covers, cache=cache)
    table, _ = extract_posts(posts(), covers, ["image.vector"], cache=cache)
    caption = text_reader().predict(CAPTIONS[:1])[0, :2]
    picture = picture_reader().predict(table.arrays([0])["image.vector"])[0]
    assert np.abs(caption - picture).max() > 0.5
    np.testing.assert_allclose(read.values[0], (caption + picture) / 2, atol=1e-3)
    np.testing.assert_allclose(read.values[1], caption, atol=1e-3)
    np.testing.assert_allclose(read.values[2], picture, atol=1e-3)
    assert np.isnan(read.values[3]).all()
    assert read.from_picture.tolist() == [True, False, True, False, True]
    assert read.from_caption.tolist() == [True, True, False, False, False]
    assert read.number == 4


def test_who_read_is_counted(tmp_path: Path) -> None:
    read = read_emotions(posts(), covers_of(tmp_path), cache=FeatureCache(tmp_path / "cache"))
    some = read.counts(np.arange(4))
    assert some == {"caption and picture": 1, "caption alone": 1, "picture alone": 1}
    assert who_read(some) == (
        "1 from caption and picture, 1 from the caption alone, 1 from the picture alone"
    )
    assert read.counts(np.array([False, False, False, True, False])) == {}
    assert who_read({}) == ""


def test_emotion_is_read_from_vectors_that_are_kept_once(tmp_path: Path) -> None:
    cache, covers = FeatureCache(tmp_path / "cache"), covers_of(tmp_path)
    extract_posts(posts(), covers, ["image.vector", "affect.image"], cache=cache)
    kept = [folder.name.partition("-")[0] for folder in (cache.folder / "features").iterdir()]
    assert kept == ["image.vector"]


def test_a_model_with_another_encoder_gets_its_own_vectors(tmp_path: Path) -> None:
    cache, covers = FeatureCache(tmp_path / "cache"), covers_of(tmp_path)
    names, other = ["image.vector", "affect.image"], FeatureSettings(image_encoder="descriptors")
    both, _ = extract_posts(posts(), covers, names, other, cache=cache)
    alone, _ = extract_posts(posts(), covers, ["image.vector"], other, cache=cache)
    usual, _ = extract_posts(posts(), covers, ["affect.image"], cache=cache)
    rows = np.arange(5)
    vectors = alone.arrays(rows)["image.vector"]
    np.testing.assert_array_equal(both.arrays(rows)["image.vector"], vectors)
    readings = usual.arrays(rows)["affect.image"]
    np.testing.assert_array_equal(both.arrays(rows)["affect.image"], readings)
    expected = fingerprints(["image.vector"], other)
    expected |= fingerprints(["affect.image"], FeatureSettings())
    assert fingerprints(names, other) == expected


def test_every_view_of_a_picture_is_read(tmp_path: Path) -> None:
    settings = FeatureSettings(views=2)
    cache, covers = FeatureCache(tmp_path / "cache"), covers_of(tmp_path)
    names = ["image.vector", "affect.image"]
    table, _ = extract_posts(posts(), covers, names, settings, cache=cache)
    for view in (0, 1):
        batch = table.arrays([0], [view])
        expected = picture_reader().predict(batch["image.vector"])
        np.testing.assert_allclose(batch["affect.image"], expected, atol=1e-3)

"""The image emotion reader: finds what is planted, leaves alone what it can't know."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.kernel_ridge import KernelRidge

from evoked.affect import image
from evoked.affect.image import ImageEmotionReader, fit_image
from evoked.affect.reader import cross_validate_image
from evoked.errors import DataError


def planted(n: int = 160, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Vectors of 6 descriptors, and a valence and an arousal that follow from two of them."""
    random = np.random.default_rng(seed)
    vectors = random.random((n, 6)).astype(np.float32)
    valence = 4 * np.sin(3 * vectors[:, 0]) + 0.3 * random.normal(size=n)
    arousal = 4 + 3 * vectors[:, 1] + 0.3 * random.normal(size=n)
    return vectors, np.stack([valence, arousal], axis=1)


def test_it_finds_what_is_planted() -> None:
    vectors, ratings = planted()
    unseen, truth = planted(seed=1)
    predicted = fit_image(vectors, ratings).predict(unseen)
    assert predicted.shape == (160, 3)
    assert np.corrcoef(predicted[:, 0], truth[:, 0])[0, 1] > 0.8
    assert np.corrcoef(predicted[:, 1], truth[:, 1])[0, 1] > 0.8
    assert np.isnan(predicted[:, 2]).all()


def test_one_candidate_equals_scikit_learn_and_brute_force_leave_one_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(image, "_RIDGES", (0.5,))
    points = np.random.default_rng(3).normal(size=(25, 4)).astype(np.float32)
    target = points[:, 0] * points[:, 1] + points[:, 2].astype(np.float64)
    distances = image._squared_distances(points, points)
    rows = np.ones(25, bool)
    fit = image._Candidate.of(0.2, distances, distances).fitted(rows, target)

    reference = KernelRidge(alpha=0.5, kernel="rbf", gamma=0.2).fit(points, target)
    kernel = np.exp(-0.2 * distances)
    np.testing.assert_allclose(kernel @ fit.weights, reference.predict(points), atol=1e-4)
    errors = []
    for left_out in range(25):
        others = np.arange(25) != left_out
        reference.fit(points[others], target[others])
        errors.append((reference.predict(points[[left_out]])[0] - target[left_out]) ** 2)
    assert fit.error == pytest.approx(np.mean(errors), rel=1e-3)


def test_more_pictures_than_landmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "MAX_LANDMARKS", 60)
    vectors, ratings = planted(300)
    unseen, truth = planted(seed=1)
    reader = fit_image(vectors, ratings, seed=4)
    assert len(reader.landmarks) == 60
    np.testing.assert_array_equal(reader.landmarks, fit_image(vectors, ratings, seed=4).landmarks)
    assert np.corrcoef(reader.predict(unseen)[:, 0], truth[:, 0])[0, 1] > 0.8


def test_unknown_ratings_are_left_out() -> None:
    vectors, ratings = planted()
    missing = ratings.copy()
    missing[::3, 0] = np.nan
    missing[::4, :] = np.nan
    reader = fit_image(vectors, missing)
    assert reader.ratings == (*np.isfinite(missing).sum(axis=0), 0)
    assert np.isfinite(reader.predict(vectors)[:, :2]).all()


def test_equal_ratings_and_equal_pictures_give_the_mean() -> None:
    vectors, ratings = planted(20)
    constant = fit_image(vectors, np.full_like(ratings, 2.5)).predict(vectors)
    np.testing.assert_allclose(constant[:, :2], 2.5, atol=1e-6)
    alike = fit_image(np.ones_like(vectors), ratings).predict(vectors)
    assert np.isfinite(alike[:, :2]).all()


def test_saved_and_loaded(tmp_path: Path) -> None:
    vectors, ratings = planted(40)
    reader = fit_image(vectors, ratings, encoder="lite0")
    reader.save(tmp_path / "reader")
    loaded = ImageEmotionReader.load(tmp_path / "reader")
    np.testing.assert_array_equal(loaded.predict(vectors), reader.predict(vectors))
    assert (loaded.encoder, loaded.ratings) == ("lite0", (40, 40, 0))


def test_damaged_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        ImageEmotionReader.load(tmp_path)
    vectors, ratings = planted(40)
    fit_image(vectors, ratings).save(tmp_path / "reader")
    weights = tmp_path / "reader" / "image_emotion.safetensors"
    weights.write_bytes(weights.read_bytes()[:200])
    with pytest.raises(DataError, match="not a whole image emotion reader"):
        ImageEmotionReader.load(tmp_path / "reader")
    settings = tmp_path / "reader" / "image_emotion.json"
    settings.write_text(json.dumps({"format_version": 99}))
    with pytest.raises(DataError, match="format version 99"):
        ImageEmotionReader.load(tmp_path / "reader")


def test_what_does_not_fit_is_refused() -> None:
    vectors, ratings = planted(40)
    with pytest.raises(DataError, match="at most 9 ratings"):
        fit_image(vectors[:9], ratings[:9])
    with pytest.raises(DataError, match="expected"):
        fit_image(vectors, ratings[:5])
    with pytest.raises(DataError, match=r"expected \(n, 6\)"):
        fit_image(vectors, ratings).predict(vectors[:, :3])


def test_cross_validation() -> None:
    vectors, ratings = planted()
    figures = cross_validate_image(vectors, ratings, folds=4)
    assert set(figures) == {"valence", "arousal"}
    assert figures["valence"]["n"] == 160
    assert figures["valence"]["pearson"] > 0.8
    shuffled = np.random.default_rng(0).permutation(ratings)
    assert abs(cross_validate_image(vectors, shuffled, folds=4)["valence"]["pearson"]) < 0.25


def test_groups_stay_together() -> None:
    """Pictures of a theme share their rating and their look; only random folds can use that."""
    random = np.random.default_rng(0)
    themes = np.repeat(np.arange(40), 4)
    vectors = (random.random((40, 6))[themes] + 0.01 * random.random((160, 6))).astype(np.float32)
    ratings = random.normal(size=(40, 2))[themes]
    apart = cross_validate_image(vectors, ratings, folds=4, groups=themes)
    assert cross_validate_image(vectors, ratings, folds=4)["valence"]["pearson"] > 0.8
    assert apart["valence"]["pearson"] < 0.4

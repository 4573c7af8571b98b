"""Emotion readers as folders: fitting and scoring them on rated posts.

A reader folder holds ``text/``, ``image/`` or both.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoked.affect._recipes import RECIPES, Recipe
from evoked.affect.classes import CLASSES_FILE, ClassEmotionReader
from evoked.affect.image import MIN_RATINGS, ImageEmotionReader, fit_image, three_columns
from evoked.affect.text import TextEmotionReader
from evoked.affect.text_fitting import fit_text
from evoked.errors import DataError
from evoked.evaluation.metrics import (
    concordance_correlation,
    known_posts,
    mean_absolute_error,
    pearson,
)
from evoked.features.affect import SHIPPED
from evoked.features.catalog import FeatureSettings
from evoked.features.extract import extract
from evoked.posts.dataset import PostDataset
from evoked.posts.schema import EMOTIONS
from evoked.progress import Progress

Scores = dict[str, dict[str, float]]


def fit_reader(
    dataset: PostDataset,
    out: Path | str,
    *,
    split: str = "train",
    recipes: Sequence[Recipe] = RECIPES,
    seed: int = 0,
    progress: Progress | None = None,
) -> None:
    """Fit a reader on a dataset's ratings: on its captions, its cover pictures, or both.

    Parameters
    ----------
    dataset
        Posts with valence, arousal or dominance.
    out
        Folder to write; ``text/`` and ``image/`` in it are replaced.
    split
        Part to learn from if posts have parts; otherwise all posts. Posts of the part
        ``validation`` choose the text reader's best epoch.
    recipes
        Members of the text reader; by default those of the reader that comes with evoked, which
        take about 25 minutes for 8,000 sentences on two cores.
    seed
        Random seed for everything that is drawn.
    progress
        Called with ``fitting``, and the text reader's steps done and in all.

    Raises
    ------
    DataError
        Fewer than ten rated captions and fewer than ten rated pictures in the part.
    """
    part = _part(dataset, split) if dataset.known("split").any() else dataset
    rated = part.select(np.isfinite(_ratings(part)).any(axis=1))
    with_text = rated.select(rated.known("caption"))
    with_image = rated.select([path is not None for path in rated.cover_paths()])
    if max(len(with_text), len(with_image)) < MIN_RATINGS:
        raise DataError(
            f"{len(with_text)} rated captions and {len(with_image)} rated pictures in the part "
            f"{split!r}; at least {MIN_RATINGS} of either are needed.",
            file=dataset.folder,
            fix="Choose another --split, or import ratings as valence, arousal and dominance.",
        )
    if len(with_text) >= MIN_RATINGS:
        held_out = _part(dataset, "validation") if split == "train" else part.select([])
        fit_text(
            with_text.posts["caption"].tolist(),
            _ratings(with_text),
            validation=(held_out.posts["caption"].tolist(), _ratings(held_out))
            if len(held_out)
            else None,
            recipes=recipes,
            seed=seed,
            progress=progress,
        ).save(Path(out) / "text")
    if len(with_image) >= MIN_RATINGS:
        settings = FeatureSettings()
        vectors, rows = _vectors(with_image, settings)
        ratings = _ratings(with_image)[rows]
        reader = fit_image(vectors, ratings, seed=seed, encoder=settings.image_encoder)
        reader.save(Path(out) / "image")


def evaluate_reader(
    dataset: PostDataset, *, split: str | None = None, reader: Path | str | None = None
) -> dict[str, Scores]:
    """Score a reader on rated posts.

    Parameters
    ----------
    dataset
        Posts with valence, arousal or dominance.
    split
        Part to score; all posts by default.
    reader
        A folder made by :func:`fit_reader`; by default the one that comes with evoked.

    Returns
    -------
    dict
        The scores of :func:`evaluate` for ``text``, for ``image``, and for ``both``: the mean of
        the two, on posts where both can be read. What the reader or the posts lack is left out.

    Raises
    ------
    DataError
        There are no rated posts, the reader can read none of them, or the folder holds no reader.
    """
    folder = Path(reader) if reader is not None else SHIPPED
    part = dataset if split is None else _part(dataset, split)
    rated = part.select(np.isfinite(_ratings(part)).any(axis=1))
    if not len(rated):
        where = "" if split is None else f" in the part {split!r}"
        raise DataError(
            f"none of the {len(part)} posts{where} has a rating to score the reader against.",
            file=dataset.folder,
            fix=f"Choose another part, or import ratings as {', '.join(EMOTIONS)}.",
        )
    readings: dict[str, NDArray[np.floating]] = {}
    if (folder / "text").is_dir():
        text = TextEmotionReader.load(folder / "text")
        readings["text"] = text.predict(rated.posts["caption"].tolist())
    if (folder / "image").is_dir():
        readings["image"] = _read_pictures(rated, folder / "image")
    if len(readings) > 1:
        readings["both"] = np.stack(list(readings.values())).mean(axis=0)
    truth = _ratings(rated)
    scores = {name: evaluate(values, truth) for name, values in readings.items()}
    scores = {name: dimensions for name, dimensions in scores.items() if dimensions}
    if not scores:
        raise DataError(
            f"nothing to score: the reader can read none of the {len(rated)} rated posts.",
            file=dataset.folder,
        )
    return scores


def evaluate(predictions: ArrayLike, truth: ArrayLike) -> Scores:
    """Agreement of readings with ratings, both (n, 3) on the project's scales.

    Returns
    -------
    dict
        For valence, arousal and dominance, each if any post has both: ``pearson``, ``ccc``,
        ``mae`` (points of the project's scale of 8) and ``n``, the posts that have both.
    """
    predicted, rated = np.asarray(predictions, float), np.asarray(truth, float)
    return {
        name: {
            "pearson": float(pearson(rated[:, i], predicted[:, i])),
            "ccc": float(concordance_correlation(rated[:, i], predicted[:, i])),
            "mae": float(mean_absolute_error(rated[:, i], predicted[:, i])),
            "n": int(known_posts(rated[:, i], predicted[:, i]).sum()),
        }
        for i, name in enumerate(EMOTIONS)
        if known_posts(rated[:, i], predicted[:, i]).any()
    }


def cross_validate_image(
    vectors: NDArray[np.float32],
    ratings: ArrayLike,
    *,
    folds: int = 10,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> Scores:
    """Measure :func:`fit_image` on pictures that it was not fitted on.

    Everything that is learned or chosen, including kernel width and ridge, comes from the training
    folds only.

    Parameters
    ----------
    vectors, ratings
        As for :func:`fit_image`.
    folds
        Number of folds.
    groups
        (n,): pictures of one group (a theme, an author) stay in one fold. Random folds by default.
    seed
        Shuffles the pictures into random folds.

    Returns
    -------
    dict
        The scores of :func:`evaluate` over the pooled out-of-fold predictions, and per dimension
        ``pearson_mean_of_folds``.
    """
    from sklearn.model_selection import GroupKFold, KFold

    targets = three_columns(vectors, ratings)
    predicted = np.full_like(targets, np.nan)
    splitter = (
        GroupKFold(folds) if groups is not None else KFold(folds, shuffle=True, random_state=seed)
    )
    tests = []
    for train, test in splitter.split(vectors, None, groups):
        predicted[test] = fit_image(vectors[train], targets[train], seed=seed).predict(
            vectors[test]
        )
        tests.append(test)
    scores = evaluate(predicted, targets)
    for column, name in enumerate(EMOTIONS):
        if name in scores:
            per_fold = [pearson(targets[test, column], predicted[test, column]) for test in tests]
            scores[name]["pearson_mean_of_folds"] = float(np.nanmean(per_fold))
    return scores


def _part(dataset: PostDataset, split: str) -> PostDataset:
    return dataset.select((dataset.posts["split"] == split).to_numpy(dtype=bool))


def _ratings(dataset: PostDataset) -> NDArray[np.float64]:
    return dataset.posts[list(EMOTIONS)].to_numpy(dtype=np.float64, na_value=np.nan)


def _read_pictures(dataset: PostDataset, folder: Path) -> NDArray[np.float64]:
    """Readings of n posts' covers, (n, 3), by the reader in ``folder``; NaN where there is none."""
    of_classes = (folder / CLASSES_FILE).is_file()
    reader = ClassEmotionReader.load(folder) if of_classes else ImageEmotionReader.load(folder)
    # Descriptors were once the builtin encoder.
    encoder = "descriptors" if reader.encoder.startswith("builtin") else reader.encoder
    vectors, rows = _vectors(dataset, FeatureSettings(image_encoder=encoder))
    readings = np.full((len(dataset), len(EMOTIONS)), np.nan)
    readings[rows] = three_columns(vectors, reader.predict(vectors))
    return readings


def _vectors(
    dataset: PostDataset, settings: FeatureSettings
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Vectors of posts whose cover can be read, and the rows of these posts."""
    table, _ = extract(dataset, ["image.vector"], settings)
    column = table.columns["image.vector"]
    rows = np.flatnonzero(column.present)
    return column.arrays(rows, None)[""], rows

"""What pictures show: faces, and groups of pictures that look alike, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from evoked.analysis.popular_images import cluster_words
from evoked.analysis.works.traits import Floats, Surroundings, Trait, trait
from evoked.features.cache import FeatureCache
from evoked.features.catalog import FeatureSettings
from evoked.features.encoders import image_encoder
from evoked.features.extract import extract_posts
from evoked.progress import Progress

FACES = "faces"
_MOST_GROUPS = 10
# Pictures per group.
_PER_GROUP = 25
_STARTS = 4
# Directions that pictures are compared in: what an account's own differ most in.
_DIRECTIONS = 32


def face_traits(faces: Floats) -> Iterator[Trait]:
    """Whether the cover shows a face, from (n,) 0 or 1, NaN where there is none to be read."""
    yield trait("face", "whose cover shows a face", faces > 0, FACES, known=np.isfinite(faces))


def face_surroundings(faces: Floats) -> Iterator[Surroundings]:
    """The same, for other effects to be freed of."""
    if np.isfinite(faces).any():
        yield Surroundings(FACES, faces[:, None])


def number_traits(posts: pd.DataFrame) -> Iterator[Trait]:
    """How many pictures a post has."""
    numbers = posts["images"].str.len().to_numpy(np.float64)
    yield trait("pictures", "with a picture", numbers > 0)
    for least in (2, 4):
        yield trait("pictures", f"with {least} pictures or more", numbers >= least, "format")


def picture_groups(
    posts: pd.DataFrame,
    covers: Sequence[Path | None],
    settings: FeatureSettings | None = None,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
    seed: int = 0,
) -> list[Trait]:
    """Groups of covers that look alike, named by what they show more often than the others.

    Vectors of the covers, standardised and brought to the directions that differ most, are grouped
    by K-means, a group per 25 covers and ten at most. Groups that the encoder has no word for are
    called by their number.

    Parameters
    ----------
    posts, covers
        n posts and the cover of each, or None.
    settings, cache, progress
        As in :func:`evoked.features.extract.extract_posts`.
    seed
        Random seed of the groups.
    """
    if not any(covers):
        return []
    table, _ = extract_posts(
        posts, list(covers), ["image.vector"], settings, cache=cache, progress=progress
    )
    column = table.columns["image.vector"]
    seen = np.flatnonzero(column.present)
    number = min(_MOST_GROUPS, len(seen) // _PER_GROUP)
    if number < 2:
        return []
    vectors = column.arrays(seen, None)[""]
    labels = _grouped(np.asarray(vectors, np.float64), number, seed)
    encoder = image_encoder((settings or FeatureSettings()).image_encoder)
    names = cluster_words(encoder.word_probabilities(vectors), encoder.words, labels + 1, number)
    known = np.zeros(len(posts), bool)
    known[seen] = True
    found = []
    for group, name in enumerate(names):
        has = np.zeros(len(posts), bool)
        has[seen] = labels == group
        called = f"with pictures like “{name}”" if name else f"with pictures of group {group + 1}"
        found.append(trait("picture group", called, has, known=known))
    return found


def _grouped(vectors: Floats, number: int, seed: int) -> np.ndarray:
    """Number of each vector's group, (n,)."""
    from sklearn.cluster import KMeans

    spread = vectors.std(axis=0)
    scaled = (vectors - vectors.mean(axis=0)) / np.where(spread > 0, spread, 1)
    left, sizes, _ = np.linalg.svd(scaled, full_matrices=False)
    shown = left[:, :_DIRECTIONS] * sizes[:_DIRECTIONS]
    return np.asarray(KMeans(number, n_init=_STARTS, random_state=seed).fit_predict(shown))

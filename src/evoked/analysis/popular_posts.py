"""What an author's popular posts have that the others lack: pictures, words, emoji.

Dual-Attention, Sections IV-E and IV-F, on the labels of Section IV-A: of each author's posts the
quarter with the most likes is popular, the quarter with the fewest unpopular, and the others are
left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.analysis.popular_images import ImageClusters, popular_clusters
from evoked.analysis.popular_words import TextStatistics, text_statistics
from evoked.errors import DataError
from evoked.features.cache import FeatureCache
from evoked.features.catalog import FeatureSettings
from evoked.features.extract import extract_posts
from evoked.features.table import FeatureTable
from evoked.progress import Progress
from evoked.targets import AuthorPopularity


@dataclass(frozen=True)
class PopularityAnalysis:
    """What tells popular posts of a dataset's authors from unpopular ones.

    Attributes
    ----------
    tables
        ``popular_images`` (of :class:`evoked.analysis.popular_images.ImageClusters`),
        ``popular_texts``, ``popular_words`` and ``popular_emoji`` (summary and tables of
        :class:`evoked.analysis.popular_words.TextStatistics`), those that the posts allow.
    skipped
        Why the others are missing, by name.
    clusters, covers
        Of the pictures, and the typical covers of each cluster; None without.
    texts
        Of the captions; None without.
    """

    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    clusters: ImageClusters | None = None
    covers: list[list[Path]] = field(default_factory=list)
    texts: TextStatistics | None = None


def analyse_popularity(
    posts: pd.DataFrame,
    covers: Sequence[Path | None],
    settings: FeatureSettings | None = None,
    *,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
    seed: int = 0,
) -> PopularityAnalysis:
    """Compare popular with unpopular posts of the same authors.

    Parameters
    ----------
    posts
        n posts with the columns of :mod:`evoked.posts.schema`.
    covers
        Cover picture of each, or None; those of popular and unpopular posts are encoded.
    settings
        Which image encoder; the paper's is ``torchvision:resnet50``.
    cache
        Where features are kept; the user's cache by default.
    progress
        Called with the stage's name, pictures done and pictures in all.
    seed
        Of halves, K-means and shuffles.
    """
    labels, why = author_labels(posts)
    known = np.isfinite(labels)
    if why:
        names = ("popular_images", "popular_words", "popular_emoji")
        return PopularityAnalysis(skipped=dict.fromkeys(names, why))
    own = posts[known].reset_index(drop=True)
    popular = labels[known] == 1
    tables: dict[str, pd.DataFrame] = {}
    skipped: dict[str, str] = {}
    texts = _texts(own, popular, tables, skipped, seed)
    pictures = [cover for cover, one in zip(covers, known, strict=True) if one]
    clusters: ImageClusters | None = None
    typical: list[list[Path]] = []
    try:
        if not any(pictures):
            raise DataError("none of the popular and unpopular posts has a picture.")
        encoded, _ = extract_posts(
            own, pictures, ["image.vector"], settings, cache=cache, progress=progress
        )
        clusters, typical = _clusters(own, popular, pictures, encoded, seed)
        tables["popular_images"] = clusters.table
    except DataError as error:
        skipped["popular_images"] = str(error).rstrip(".")
    return PopularityAnalysis(tables, skipped, clusters, typical, texts)


def author_labels(posts: pd.DataFrame) -> tuple[NDArray[np.float32], str]:
    """1 for popular posts, 0 for unpopular ones, NaN for the others; and why nobody can tell."""
    unknown = np.full(len(posts), np.nan, dtype=np.float32)
    try:
        labels = AuthorPopularity.fit(posts).transform(posts).values[:, 0]
    except DataError:
        return unknown, "no author has four posts with known likes"
    if not ((labels == 1).any() and (labels == 0).any()):
        return unknown, "no author's posts differ in likes"
    return labels, ""


def _texts(
    posts: pd.DataFrame,
    popular: NDArray[np.bool_],
    tables: dict[str, pd.DataFrame],
    skipped: dict[str, str],
    seed: int,
) -> TextStatistics:
    found = text_statistics(_captions(posts), popular, posts["author_id"], seed=seed)
    tables["popular_texts"] = found.summary
    for name, table in (("popular_words", found.words), ("popular_emoji", found.emoji)):
        if len(table):
            tables[name] = table
        else:
            skipped[name] = "none occurs often enough, by enough authors"
    return found


def _captions(posts: pd.DataFrame) -> list[str]:
    """Captions, and tags that some sources keep apart from them."""
    captions = posts["caption"].fillna("").astype(str).tolist()
    return [
        " ".join([text, *(f"#{tag}" for tag in tags if f"#{tag}".lower() not in text.lower())])
        for text, tags in zip(captions, posts["hashtags"], strict=True)
    ]


def _clusters(
    posts: pd.DataFrame,
    popular: NDArray[np.bool_],
    pictures: list[Path | None],
    encoded: FeatureTable,
    seed: int,
) -> tuple[ImageClusters, list[list[Path]]]:
    column = encoded.columns["image.vector"]
    seen = np.flatnonzero(column.present)
    vectors = column.take(seen, None)[""].numpy()
    clusters = popular_clusters(
        vectors, popular[seen], posts["author_id"].to_numpy()[seen], seed=seed
    )
    shown = [[pictures[row] for row in seen[each]] for each in clusters.examples]
    return clusters, [[path for path in each if path is not None] for each in shown]

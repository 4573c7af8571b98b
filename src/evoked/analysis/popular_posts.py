"""What an author's popular posts have that the others lack: pictures, words, emoji.

Dual-Attention, Sections IV-E and IV-F, with the labels of Section IV-A: of each author's posts the
quarter with the most likes is popular, the quarter with the fewest unpopular, and the others are
left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.analysis.base import Analysis, PostContext, Tables, table_of
from evoked.analysis.excerpts import Excerpt, excerpt, one_decimal, two_decimals, whole, yes_or_no
from evoked.analysis.popular_images import (
    PUBLISHED_RATIOS,
    ImageClusters,
    cluster_words,
    popular_clusters,
)
from evoked.analysis.popular_words import TextStatistics, text_statistics
from evoked.errors import DataError
from evoked.evaluation.significance import p_value
from evoked.features.cache import FeatureCache
from evoked.features.catalog import FeatureSettings
from evoked.features.encoders import image_encoder
from evoked.features.extract import extract_posts
from evoked.features.table import FeatureTable
from evoked.posts.dataset import PostDataset
from evoked.posts.privacy.image_locking import is_locked
from evoked.progress import Progress
from evoked.targets import AuthorQuartiles

_SIGNIFICANT = 0.05
_MOST_TEXTS = 10


@dataclass(frozen=True)
class PopularityAnalysis:
    """How the popular posts of a dataset's authors differ from their unpopular ones.

    Attributes
    ----------
    tables
        ``popular_images`` (of :class:`evoked.analysis.popular_images.ImageClusters`, and beside it
        ``shows``, what the encoder recognises in each cluster's covers), ``popular_texts``,
        ``popular_words`` and ``popular_emoji`` (summary and tables of
        :class:`evoked.analysis.popular_words.TextStatistics`), those that the posts allow.
    skipped
        Why the others are missing, by name.
    clusters, covers
        Clusters of the pictures, None where there are none, and the typical covers of each.
    texts
        Statistics of the captions; None where there are none.
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
        Settings of the image encoder; the paper's is ``torchvision:resnet50``.
    cache
        Where features are kept; the user's cache by default.
    progress
        Called with the stage's name, pictures done and pictures in all.
    seed
        Random seed of halves, K-means and shuffles.
    """
    labels, why = author_labels(posts)
    known = np.isfinite(labels)
    if why:
        unwritten = "" if any(_captions(posts)) else "no post has a caption"
        unseen = "" if any(covers) else "no post has a picture that can be read"
        return PopularityAnalysis(
            skipped={
                "popular_images": unseen or why,
                "popular_words": unwritten or why,
                "popular_emoji": unwritten or why,
            }
        )
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
        clusters, typical = _clusters(own, popular, pictures, encoded, settings, seed)
        tables["popular_images"] = clusters.table
    except DataError as error:
        skipped["popular_images"] = str(error).rstrip(".")
    return PopularityAnalysis(tables, skipped, clusters, typical, texts)


def author_labels(posts: pd.DataFrame) -> tuple[NDArray[np.float32], str]:
    """1 for popular posts, 0 for unpopular ones, NaN for the others; and why no post has a label,
    or nothing."""
    unknown = np.full(len(posts), np.nan, dtype=np.float32)
    if posts["likes"].isna().all():
        return unknown, "no post has a known number of likes"
    if posts["author_id"].isna().all():
        return unknown, (
            "no post says whose it is, and posts are compared with others of their author; if all "
            "are one account's, import them with --author NAME"
        )
    try:
        labels = AuthorQuartiles.fit(posts).transform(posts).values[:, 0]
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
            written = "none occurs often enough, by enough authors"
            skipped[name] = written if any(_captions(posts)) else "no post has a caption"
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
    settings: FeatureSettings | None,
    seed: int,
) -> tuple[ImageClusters, list[list[Path]]]:
    column = encoded.columns["image.vector"]
    seen = np.flatnonzero(column.present)
    if not len(seen):
        raise DataError("none of the popular and unpopular posts has a picture that can be read.")
    vectors = column.arrays(seen, None)[""]
    clusters = popular_clusters(
        vectors, popular[seen], posts["author_id"].to_numpy()[seen], seed=seed
    )
    encoder = image_encoder((settings or FeatureSettings()).image_encoder)
    names = cluster_words(
        encoder.word_probabilities(vectors), encoder.words, clusters.members, len(clusters.table)
    )
    clusters.table.insert(1, "shows", names)
    shown = [[pictures[row] for row in seen[each]] for each in clusters.examples]
    return clusters, [[path for path in each if path is not None] for each in shown]


def author_popularity(context: PostContext) -> PopularityAnalysis:
    """Everything that sets popular posts apart; ask for it with ``context.once``."""
    return analyse_popularity(
        context.levels.posts,
        _covers(context.dataset),
        context.features,
        cache=context.cache,
        progress=context.progress,
        seed=context.seed,
    )


def _covers(dataset: PostDataset) -> list[Path | None]:
    """The posts' cover pictures; none where they are locked, which the table on faces reports."""
    return [None] * len(dataset) if is_locked(dataset) else dataset.cover_paths()


def _clearest(name: str, column: str) -> Callable[[PostContext, Tables], Iterator[Excerpt]]:
    """A function that shows the texts that differ most clearly, named by ``column``."""

    def summary(_: PostContext, tables: Tables) -> Iterator[Excerpt]:
        clear = tables[name][tables[name]["p_bh"] < _SIGNIFICANT].sort_values("p", kind="stable")
        if len(clear):
            yield excerpt(
                f"{name.replace('_', ' ').capitalize()}, the clearest of {len(clear)}",
                clear.head(_MOST_TEXTS),
                {
                    column: str,
                    "popular": whole,
                    "unpopular": whole,
                    "authors": whole,
                    "p_bh": p_value,
                },
            )

    return summary


COVER_ANALYSIS = Analysis(
    name="popular_images",
    title="Popular and unpopular covers (Dual-Attention, Table III)",
    explanation=(
        "Posts in the top and the bottom quarter of their author's likes, clustered by their "
        "covers on half of the authors (or posts); clusters whose share of unpopular posts (ratio, "
        "R) lies more than 0.1 from that of all, with p_corrected below 0.05, are picked out and "
        "the others clustered again. shows: what the encoder recognises more often in the "
        "cluster's covers than in all. ratio_held_out, low, high: R on the other half, which "
        "played no part in the choice, with its 95 % interval; rely on this one. p: exact test of "
        "authors (signs of each author's difference); p_corrected: corrected over clusters and "
        "rounds; p_posts: p as if posts were independent; p_held_out_holm: corrected over the "
        "picked clusters. Published R, for other posts and clusters named by people: "
        + ", ".join(f"{name} {ratio:.3f}" for name, ratio in PUBLISHED_RATIOS.items())
        + "."
    ),
    compute=table_of(author_popularity, "popular_images"),
    columns={
        "cluster": whole,
        "shows": str,
        "picked": yes_or_no,
        "n": whole,
        "ratio": two_decimals,
        "n_held_out": whole,
        "ratio_held_out": two_decimals,
        "low": two_decimals,
        "high": two_decimals,
        "p_held_out_holm": p_value,
    },
    heading="Covers: R, share of unpopular posts, where clusters were found and held out (95 %)",
    rests_on_emotion=False,
)

TEXT_ANALYSIS = Analysis(
    name="popular_texts",
    title="Popular words and emoji: what was counted",
    explanation=(
        "Function words (of nine languages), numbers and single letters are left out, and so are "
        "rare words (used fewer than 10 times) and those of fewer than 6 authors, or used by one "
        "author more than half of the time. tested: words that are kept and used by enough authors "
        "that a difference could pass the correction; significant: words with p_bh below 0.05; "
        "significant_shuffled: how many of these there are when a coin per author decides what was "
        "popular; nominal: share of words with p below 0.05."
    ),
    compute=table_of(author_popularity, "popular_texts", "popular_words"),
    columns={
        "text": str,
        "kept": whole,
        "tested": whole,
        "significant": whole,
        "significant_shuffled": one_decimal,
    },
    heading="Words and emoji of popular posts (significant: BH p < 0.05)",
    left_out_as="popular_words",
    rests_on_emotion=False,
)

WORD_ANALYSIS = Analysis(
    name="popular_words",
    title="Words of popular and unpopular posts (Dual-Attention, Figure 8)",
    explanation=(
        "popular, unpopular: occurrences in captions of either kind (m_p, m_n), whose difference "
        "ranks the words. p: exact test of authors, each compared with themselves; p_bh: corrected "
        "over the tested words (Benjamini and Hochberg); p_posts: p as if every occurrence were "
        "independent, which one author's habits make too small."
    ),
    compute=table_of(author_popularity, "popular_words"),
    summary=_clearest("popular_words", "word"),
    folded=True,
    rests_on_emotion=False,
)

EMOJI_ANALYSIS = Analysis(
    name="popular_emoji",
    title="Emoji of popular and unpopular posts (Dual-Attention, Figure 8)",
    explanation="The columns are those of the words; emoji of all skin tones count as one.",
    compute=table_of(author_popularity, "popular_emoji"),
    summary=_clearest("popular_emoji", "name"),
    folded=True,
    rests_on_emotion=False,
)

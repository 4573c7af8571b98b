"""Every analysis that posts allow, in one go; what they don't allow is said with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from evoked.analysis.annotations import Aggregation, annotator_agreement, annotator_table
from evoked.analysis.categories import category_table
from evoked.analysis.emotions import PostsWithEmotion, posts_with_emotion
from evoked.analysis.engagement import (
    emotion_engagement_table,
    lifts,
    peak_differences,
    planted_recovery,
    time_to_peak,
)
from evoked.analysis.popular_posts import PopularityAnalysis, analyse_popularity
from evoked.analysis.positions import best_positions
from evoked.analysis.sharing import SharingAnalysis, analyse_sharing
from evoked.features.cache import FeatureCache
from evoked.features.catalog import FeatureSettings
from evoked.posts.dataset import PostDataset
from evoked.posts.emotion_and_rates import METRICS, engagement_rates
from evoked.posts.privacy.image_locking import is_locked
from evoked.posts.schema import ENGAGEMENT
from evoked.progress import Progress
from evoked.targets import choose_denominator

MIN_EVENTS = 30


@dataclass(frozen=True)
class PostAnalysis:
    """What the posts of a dataset show.

    Attributes
    ----------
    name
        Of the dataset.
    emotions
        The posts with the emotions that were analysed; ``followers`` holds what counts were
        divided by.
    denominator
        What that is: followers, reach, impressions, views, or none.
    tables
        By name, those that the posts allow: ``categories`` (Table 2), ``correlations`` (Table 8),
        ``lifts`` (Section 4.3), ``time_to_peak`` and ``peak_differences`` (Table 9),
        ``positions``, ``agreement``, ``annotators``, and ``recovery`` of what was planted; those
        of ``sharing`` with ``sharing_`` before their names, and those of ``author_popularity``.
    skipped
        Why the others are missing, by name.
    sharing
        What goes with shares, or another count (EIJL, Section 3).
    author_popularity
        What authors' popular posts have that their others lack (Dual-Attention, Section IV).
    """

    name: str
    emotions: PostsWithEmotion
    denominator: str
    sharing: SharingAnalysis
    author_popularity: PopularityAnalysis
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def note(self) -> str:
        """What has to be said wherever emotions are shown; empty when people rated them all."""
        return self.emotions.note or ""

    @property
    def advice(self) -> list[str]:
        """A sentence for each category and metric with a clear position, then for the others."""
        positions = self.tables.get("positions")
        if positions is None:
            return []
        ordered = positions.sort_values("clear", ascending=False, kind="stable")
        return [str(sentence) for sentence in ordered["advice"]]


def analyse_posts(
    dataset: PostDataset,
    *,
    ratings: Aggregation | None = None,
    estimate: bool = True,
    popularity: str = "shares",
    features: FeatureSettings | None = None,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> PostAnalysis:
    """Make every analysis of emotion and engagement that a dataset allows.

    Parameters
    ----------
    dataset
        Posts; emotions, counts, activity, annotations and categories are each optional.
    ratings, estimate
        Where emotions come from: see :func:`evoked.analysis.emotions.posts_with_emotion`.
    popularity, cache, progress
        The count that popularity is in the part on sharing, and how captions and covers are read
        for it: see :func:`evoked.analysis.sharing.analyse_sharing`.
    features
        Which image encoder tells covers apart that are clustered; builtin by default.
    draws, seed
        Of all resampling; positions take 300 draws at most, and always 2000 permutations, below
        which their correction could not be passed.

    Examples
    --------
    >>> found = analyse_posts(evoked.open("my_posts"))     # doctest: +SKIP
    >>> found.tables["correlations"], found.advice         # doctest: +SKIP
    """
    emotions = posts_with_emotion(dataset, ratings, estimate)
    denominator = choose_denominator(emotions.posts)
    divisor = 1.0 if denominator == "none" else emotions.posts[denominator]
    posts = emotions.posts.assign(followers=divisor)
    emotions = PostsWithEmotion(posts, emotions.estimated)
    sharing = analyse_sharing(
        dataset, popularity, cache=cache, progress=progress, draws=draws, seed=seed
    )
    popular = analyse_popularity(
        dataset.posts, _covers(dataset), features, cache=cache, progress=progress, seed=seed
    )
    name = dataset.folder.resolve().name
    found = PostAnalysis(name, emotions, denominator, sharing, popular)
    tables, skipped = found.tables, found.skipped

    tables["categories"] = category_table(posts)
    why = _no_engagement(emotions)
    if why:
        skipped |= dict.fromkeys(("correlations", "lifts", "positions"), why)
    else:
        tables["correlations"] = emotion_engagement_table(posts)
        tables["lifts"] = lifts(posts, draws=draws, seed=seed)
        tables["positions"] = best_positions(posts, draws=min(draws, 300), seed=seed)
    activity = dataset.table("activity")
    why = _no_peaks(emotions, activity)
    if why:
        skipped |= dict.fromkeys(("time_to_peak", "peak_differences"), why)
    else:
        tables["time_to_peak"] = time_to_peak(posts, activity, MIN_EVENTS, draws=draws, seed=seed)
        tables["peak_differences"] = peak_differences(posts, activity, MIN_EVENTS)
    if len(dataset.table("annotations")):
        tables["agreement"] = annotator_agreement(dataset, draws=draws, seed=seed)
        tables["annotators"] = annotator_table(dataset)
    else:
        why = "the dataset has no ratings by single annotators"
        skipped |= dict.fromkeys(("agreement", "annotators"), why)
    tables |= {f"sharing_{name}": table for name, table in sharing.tables.items()}
    skipped |= {f"sharing_{name}": why for name, why in sharing.skipped.items()}
    tables |= popular.tables
    skipped |= popular.skipped
    if ratings is None and "planted" in dataset.description:
        tables["recovery"] = planted_recovery(dataset)
    return found


def _covers(dataset: PostDataset) -> list[Path | None]:
    """The posts' cover pictures; none where they are locked, which the part on faces says."""
    return [None] * len(dataset) if is_locked(dataset) else dataset.cover_paths()


def _no_engagement(emotions: PostsWithEmotion) -> str:
    """Why emotion and engagement can't be brought together; empty if they can."""
    posts = emotions.posts
    if not emotions.known.any():
        return "no post has valence and arousal, rated or estimated"
    counts = posts[list(ENGAGEMENT)].to_numpy(dtype=np.float64, na_value=np.nan)
    divisor = posts["followers"].to_numpy(dtype=np.float64, na_value=np.nan)
    rated = np.isfinite(engagement_rates(counts, divisor)[:, : METRICS.index("overall")])
    if not (rated.any(axis=1) & emotions.known).any():
        return "no post has both an emotion and a count of likes, comments, shares or saves"
    return ""


def _no_peaks(emotions: PostsWithEmotion, activity: pd.DataFrame) -> str:
    if not len(activity):
        return "the dataset has no table of activity (counts over time)"
    return "" if emotions.known.any() else "no post has valence and arousal, rated or estimated"

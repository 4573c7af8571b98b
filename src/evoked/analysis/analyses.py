"""Every analysis of posts, and the study that makes all that a dataset allows."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from evoked.analysis.account_levels import level_accounts
from evoked.analysis.annotations import AGREEMENT_ANALYSIS, ANNOTATOR_ANALYSIS
from evoked.analysis.base import Analysis, PostContext, PostFindings, carry_out
from evoked.analysis.categories import CATEGORY_ANALYSIS
from evoked.analysis.emotions import posts_with_emotion
from evoked.analysis.engagement import CORRELATION_ANALYSIS, LIFT_ANALYSIS
from evoked.analysis.peaks import PEAK_DIFFERENCE_ANALYSIS, TIME_TO_PEAK_ANALYSIS
from evoked.analysis.popular_posts import (
    COVER_ANALYSIS,
    EMOJI_ANALYSIS,
    TEXT_ANALYSIS,
    WORD_ANALYSIS,
)
from evoked.analysis.positions import POSITION_ANALYSIS
from evoked.analysis.ratings import Aggregation
from evoked.analysis.recovery import RECOVERY_ANALYSIS
from evoked.analysis.sharing import check_popularity
from evoked.analysis.sharing_tables import (
    CAPTION_EMOTION_ANALYSIS,
    COUNT_ANALYSIS,
    COUNT_CORRELATION_ANALYSIS,
    FACE_ANALYSIS,
    INTERACTION_CATEGORY_ANALYSIS,
    INTERACTION_FIT_ANALYSIS,
    INTERACTION_TERM_ANALYSIS,
    LAW_ANALYSIS,
)
from evoked.analysis.works.findings import WORKS_ANALYSIS, chosen_count
from evoked.features.cache import FeatureCache
from evoked.features.catalog import FeatureSettings
from evoked.posts.author_history import KINDS
from evoked.posts.dataset import PostDataset
from evoked.posts.privacy.image_locking import is_locked
from evoked.progress import Progress
from evoked.targets import choose_denominator

ANALYSES: dict[str, Analysis[PostContext]] = {
    analysis.name: analysis
    for analysis in (
        WORKS_ANALYSIS,
        CATEGORY_ANALYSIS,
        AGREEMENT_ANALYSIS,
        ANNOTATOR_ANALYSIS,
        CORRELATION_ANALYSIS,
        LIFT_ANALYSIS,
        TIME_TO_PEAK_ANALYSIS,
        PEAK_DIFFERENCE_ANALYSIS,
        POSITION_ANALYSIS,
        COUNT_ANALYSIS,
        LAW_ANALYSIS,
        CAPTION_EMOTION_ANALYSIS,
        FACE_ANALYSIS,
        COUNT_CORRELATION_ANALYSIS,
        INTERACTION_FIT_ANALYSIS,
        INTERACTION_TERM_ANALYSIS,
        INTERACTION_CATEGORY_ANALYSIS,
        COVER_ANALYSIS,
        TEXT_ANALYSIS,
        WORD_ANALYSIS,
        EMOJI_ANALYSIS,
        RECOVERY_ANALYSIS,
    )
}
"""By name, in the order in which people read them."""


def analyse_posts(
    dataset: PostDataset,
    *,
    ratings: Aggregation | None = None,
    estimate: bool = True,
    popularity: str | None = None,
    relative: bool | None = None,
    features: FeatureSettings | None = None,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> PostFindings:
    """Make every analysis of :data:`ANALYSES` that a dataset allows.

    Parameters
    ----------
    dataset
        Posts; emotions, counts, activity, annotations and categories are each optional.
    ratings, estimate
        Where emotions come from: see :func:`evoked.analysis.emotions.posts_with_emotion`.
    popularity
        The count that something works for, and that popularity is in the papers' tables: one of
        :data:`evoked.analysis.sharing.POPULARITIES`. By default things work for the first of
        :data:`evoked.analysis.works.findings.COUNTS` that enough posts have, and popularity is
        shares, as in the paper, or that count where no shares are known.
    relative
        Whether, in the papers' tables, counts are compared with the level of the account's last
        posts, or with all its posts; by default the former for accounts that grew: see
        :func:`evoked.analysis.account_levels.level_accounts`.
    features
        Settings of the image encoder that pictures are grouped by; builtin by default.
    cache
        Where features are kept; the user's cache by default.
    progress
        Called with what is read, how much of it is done and how much there is.
    draws, seed
        Resamples of all intervals, and their random seed; positions take 300 draws at most.

    Raises
    ------
    SettingsError
        ``popularity`` is none of these.
    DataError
        ``ratings`` was given but there are no annotations, ``relative`` was asked for but no post
        has earlier ones of its author, or pictures lie outside of the dataset's folder of pictures.

    Examples
    --------
    >>> found = analyse_posts(evoked.open("my_posts"))          # doctest: +SKIP
    >>> found.tables["correlations"], found.skipped             # doctest: +SKIP
    """
    if popularity is not None:
        check_popularity(popularity)
    if not is_locked(dataset):
        dataset.cover_paths()  # refuses pictures that lie elsewhere, before any is read
    counted = popularity or chosen_count(dataset.posts)
    shared = bool(dataset.posts["shares"].notna().any())
    popularity = popularity or ("shares" if shared else counted)
    levels = level_accounts(dataset.posts, popularity, relative)
    emotions = posts_with_emotion(dataset, ratings, estimate, cache=cache, progress=progress)
    denominator = choose_denominator(emotions.posts)
    emotions = replace(emotions, posts=_divided_by(emotions.posts, denominator))
    rated = emotions.posts
    if levels.relative and denominator in ("followers", "none"):
        counts = _divided_by(levels.posts, denominator)
        rated = rated.assign(**{name: counts[name] for name in (*KINDS, "followers")})
    context = PostContext(
        dataset=dataset,
        emotions=emotions,
        denominator=denominator,
        levels=levels,
        rated=rated,
        rated_anew=ratings is not None,
        popularity=popularity,
        counted=counted,
        features=features,
        cache=cache,
        progress=progress,
        draws=draws,
        seed=seed,
    )
    findings = PostFindings(context)
    carry_out(ANALYSES.values(), findings)
    return findings


def _divided_by(posts: pd.DataFrame, denominator: str) -> pd.DataFrame:
    """Posts whose ``followers`` hold what engagement is divided by."""
    return posts.assign(followers=1.0 if denominator == "none" else posts[denominator])

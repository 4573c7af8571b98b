"""What goes with shares: EIJL's exploratory part (Section 3; Figures 2 and 3, Eq. 1, Table 1).

How often posts are shared and whether that is log-normal (:mod:`evoked.analysis.distribution`), the
emotion of captions in five classes, covers with faces (:mod:`evoked.analysis.count_classes`), how
likes, saves, comments and shares are correlated, and the regression with interactions
(:mod:`evoked.analysis.interactions`). Another count can stand in for shares, which few platforms
show. Posts that lack a value which a table needs are left out of it, and every table shows how many
remain.

Source: Leng and Yan 2025.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from evoked.analysis.correlations import author_numbers, correlate_posts
from evoked.analysis.count_classes import popularity_by_class
from evoked.analysis.distribution import (
    LogNormalTest,
    compare_laws,
    log_normal_test,
    positive_counts,
)
from evoked.analysis.interactions import (
    IMAGE,
    LIKES,
    TEXT,
    InteractionModels,
    interaction_models,
    likability_bands,
    popular_posts,
)
from evoked.errors import DataError, SettingsError
from evoked.evaluation.corrections import holm
from evoked.features.cache import FeatureCache
from evoked.features.encoders.faces import FACIAL_AFFECT_NAMES
from evoked.features.extract import extract, extract_posts
from evoked.features.sentiment import SENTIMENT_LEVELS, SENTIMENT_NAMES, sentiment_levels
from evoked.features.table import Column
from evoked.posts.dataset import PostDataset
from evoked.progress import Progress

Floats = NDArray[np.float64]

POPULARITIES = ("shares", "likes", "comments", "saves", "views")
"""The counts that popularity can be."""

TOGETHER = ("likes", "saves", "comments", "shares")
"""The counts of Figure 3; the paper calls saves favourites."""

FACES = ("no face", "face")

# EIJL, Section 3, of 78 marketing cases with 100 notes each.
PUBLISHED_LARGEST = 24547
PUBLISHED_FACES = 0.0745

FEWEST_IN_CATEGORY = 50
"""A category with fewer posts has no regression of its own."""

# A variable that fewer posts have is left out of the regression in place of the posts.
_KNOWN_ENOUGH = 0.5
_NEUTRAL = SENTIMENT_LEVELS.index("neutral")


@dataclass(frozen=True)
class SharingAnalysis:
    """What a dataset shows about shares, or another count.

    Attributes
    ----------
    popularity
        The count that stands for popularity.
    counts
        (posts,): the values of that count, NaN where unknown.
    test
        The log-normal law and its test; None where nothing could be fitted.
    tables
        By name, those that the posts allow: ``counts`` (in numbers, with the fit), ``laws``
        (alternatives), ``text_emotion`` (five classes), ``faces`` (covers), ``together``
        (correlations), ``interaction_terms`` and ``interaction_fits`` (regressions), and
        ``interaction_categories`` (Eq. 1 on each category's posts).
    skipped
        Why the others are missing, by name.
    """

    popularity: str
    counts: Floats
    test: LogNormalTest | None = None
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


def analyse_sharing(
    dataset: PostDataset,
    popularity: str = "shares",
    *,
    levelled: pd.DataFrame | None = None,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> SharingAnalysis:
    """Make every analysis of shares that a dataset allows.

    Parameters
    ----------
    dataset
        Posts; counts, captions, pictures and authors are each optional.
    popularity
        The count that popularity is: one of :data:`POPULARITIES`.
    levelled
        The dataset's posts with counts at one level of their account
        (:func:`evoked.targets.account_growth.at_one_level`): these decide what is popular, and what
        goes with it. By default the counts themselves do. Their distribution is always that of the
        counts themselves.
    cache
        Where what is read in captions and covers is kept; the user's cache by default.
    progress
        Called with what is read, how much of it is done and how much there is.
    level
        Confidence level of the intervals.
    draws, seed
        Resamples, and their random seed.

    Raises
    ------
    SettingsError
        ``popularity`` is none of :data:`POPULARITIES`.

    Examples
    --------
    >>> found = analyse_sharing(evoked.open("my_posts"))          # doctest: +SKIP
    >>> found.test.p, found.tables["interaction_terms"]           # doctest: +SKIP
    """
    check_popularity(popularity)
    emotion = caption_levels(dataset, cache, progress)
    try:
        faces, unread = cover_faces(dataset, cache, progress), ""
    except DataError as error:  # pictures that are locked, say
        faces, unread = np.full(len(dataset), np.nan), str(error)
    found = sharing_of(
        dataset.posts,
        emotion,
        faces,
        popularity,
        levelled=levelled,
        level=level,
        draws=draws,
        seed=seed,
    )
    if unread and "faces" in found.skipped:
        found.skipped["faces"] = unread.rstrip(".")
    return found


def check_popularity(popularity: str) -> None:
    """Refuse a count that popularity can't be.

    Raises
    ------
    SettingsError
        ``popularity`` is none of :data:`POPULARITIES`.
    """
    if popularity not in POPULARITIES:
        raise SettingsError(f"popularity is one of {', '.join(POPULARITIES)}, not {popularity!r}.")


def caption_levels(
    dataset: PostDataset, cache: FeatureCache | None = None, progress: Progress | None = None
) -> Floats:
    """Number of each caption's level in :data:`evoked.features.sentiment.SENTIMENT_LEVELS`, (n,);
    NaN where there is none or its language can't be read."""
    nothing = [None] * len(dataset)  # pictures may be locked, and captions need none
    table, _ = extract_posts(
        dataset.posts, nothing, ["sentiment.text"], cache=cache, progress=progress
    )
    column = table.columns["sentiment.text"]
    assert isinstance(column, Column)
    return sentiment_levels(_values(column, SENTIMENT_NAMES.index("polarity")))


def cover_faces(
    dataset: PostDataset, cache: FeatureCache | None = None, progress: Progress | None = None
) -> Floats:
    """Whether a face is found on each cover, 0 or 1, (n,); NaN where there is no readable picture.

    Raises
    ------
    DataError
        The pictures are locked.
    """
    table, _ = extract(dataset, ["affect.face"], cache=cache, progress=progress)
    column = table.columns["affect.face"]
    assert isinstance(column, Column)
    return _values(column, FACIAL_AFFECT_NAMES.index("face_present"))


def sharing_of(
    posts: pd.DataFrame,
    emotion: ArrayLike,
    faces: ArrayLike,
    popularity: str = "shares",
    *,
    levelled: pd.DataFrame | None = None,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> SharingAnalysis:
    """Make the analyses of :func:`analyse_sharing` from emotions and faces that are given.

    Parameters
    ----------
    posts
        n posts with the columns of :data:`evoked.posts.schema.POSTS`.
    emotion
        (n,): level of the caption, 0 (very negative) to 4 (very positive), NaN where unknown.
    faces
        (n,): 0 or 1, NaN where there is no cover.
    popularity, levelled, level, draws, seed
        As in :func:`analyse_sharing`.

    Raises
    ------
    SettingsError
        ``popularity`` is none of :data:`POPULARITIES`.
    """
    check_popularity(popularity)
    levelled = posts if levelled is None else levelled
    data = _Data(
        levelled,
        _count(posts, popularity),
        _count(levelled, popularity),
        np.asarray(emotion, dtype=np.float64),
        np.asarray(faces, dtype=np.float64),
        author_numbers(posts),
        popularity,
        _Draws(level, draws, seed),
    )
    test, untested = _tested(data)
    found = SharingAnalysis(popularity, data.counts, test)
    steps: dict[str, Callable[[], dict[str, pd.DataFrame]]] = {
        "counts": lambda: {"counts": _counts_table(data, test)},
        "laws": lambda: {"laws": _laws(data, test, untested)},
        "text_emotion": lambda: {"text_emotion": _text_emotion(data)},
        "faces": lambda: {"faces": _faces(data)},
        "together": lambda: {"together": counts_together(levelled, level)},
        "interactions": lambda: _interactions(data),
    }
    if len(large_categories(posts)) > 1:
        steps["interaction_categories"] = lambda: _category_interactions(data)
    for name, step in steps.items():
        try:
            found.tables.update(step())
        except DataError as error:
            found.skipped[name] = str(error).rstrip(".")
    return found


def large_categories(posts: pd.DataFrame) -> list[str]:
    """The categories with posts enough for a regression of their own, largest first."""
    if "category" not in posts:
        return []
    counts = posts["category"].value_counts()
    return [str(name) for name in counts.index[counts >= FEWEST_IN_CATEGORY]]


def counts_together(posts: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Correlations of likes, saves, comments and shares (Figure 3).

    Parameters
    ----------
    posts
        With any of these counts.
    level
        Confidence level of the intervals: Fisher's z, with the standard error over authors.

    Returns
    -------
    DataFrame
        A row for each pair: ``first``, ``second``, ``r`` (Pearson's of log(1 + count)), ``low``,
        ``high``, ``n``, ``p`` (robust against the posts of an author resembling each other),
        ``p_holm`` (over the pairs), ``p_posts`` (as if posts were independent), and
        ``spearman`` with ``spearman_p``, ``spearman_p_holm`` (of ranks, likewise robust).

    Raises
    ------
    DataError
        Fewer than two of the counts are known for three posts.
    """
    counts = np.column_stack([_count(posts, name) for name in TOGETHER])
    known = [place for place, many in enumerate(np.isfinite(counts).sum(axis=0)) if many > 2]
    if len(known) < 2:
        raise DataError(f"fewer than two of {', '.join(TOGETHER)} are known for three posts")
    authors = author_numbers(posts)
    logarithms = np.log1p(counts)
    rows = []
    for first, second in [(i, j) for i in known for j in known if i < j]:
        both = np.isfinite(counts[:, [first, second]]).all(axis=1)
        groups = None if authors is None else authors[both]
        pair = logarithms[both][:, [first, second]]
        found = correlate_posts(pair[:, :1], pair[:, 1:], groups, level)
        ranks = stats.rankdata(pair, axis=0) if both.any() else pair
        ranked = correlate_posts(ranks[:, :1], ranks[:, 1:], groups, level)
        rows.append(
            {
                "first": TOGETHER[first],
                "second": TOGETHER[second],
                "r": found.r[0, 0],
                "low": found.low[0, 0],
                "high": found.high[0, 0],
                "n": found.n[0, 0],
                "p": found.p[0, 0],
                "p_posts": found.p_posts[0, 0],
                "spearman": ranked.r[0, 0],
                "spearman_p": ranked.p[0, 0],
            }
        )
    table = pd.DataFrame(rows)
    p = table["p"].to_numpy(dtype=np.float64)
    place = list(table.columns).index("p") + 1
    table.insert(place, "p_holm", holm(p))
    return table.assign(spearman_p_holm=holm(table["spearman_p"].to_numpy(dtype=np.float64)))


class _Draws(NamedTuple):
    """Confidence level, number of resamples, and their random seed."""

    level: float
    draws: int
    seed: int


class _Data(NamedTuple):
    """The posts, their counts as they are and at one level, and what else is known about each, all
    (n,); see :func:`sharing_of`."""

    posts: pd.DataFrame
    counts: Floats
    levelled: Floats
    emotion: Floats
    faces: Floats
    authors: NDArray[np.int64] | None
    popularity: str
    draws: _Draws


def _count(posts: pd.DataFrame, name: str) -> Floats:
    if name not in posts:
        return np.full(len(posts), np.nan)
    return posts[name].to_numpy(dtype=np.float64, na_value=np.nan)


def _values(column: Column, place: int) -> Floats:
    rows = column.index[:, 0]
    present = rows >= 0
    values = np.full(len(rows), np.nan)
    values[present] = column.data[rows[present], place]
    return values


def _unknown(data: _Data) -> str:
    return f"no post has its number of {data.popularity}; --popularity names another count"


def _tested(data: _Data) -> tuple[LogNormalTest | None, str]:
    """The log-normal law with its test, or why there is none."""
    try:
        return log_normal_test(data.counts, data.draws.draws, data.draws.level, data.draws.seed), ""
    except DataError as error:
        return None, str(error)


def _counts_table(data: _Data, test: LogNormalTest | None) -> pd.DataFrame:
    known = data.counts[np.isfinite(data.counts)]
    if not len(known):
        raise DataError(_unknown(data))
    rows = [*_count_rows(data, known), *_popular_rows(data, known)]
    if test is not None:
        rows += _law_rows(test, known)
    table = pd.DataFrame(rows, columns=["quantity", "value", "low", "high", "published"])
    # Counts stay whole numbers beside fractions.
    cells = {name: [getattr(row, name) for row in rows] for name in ("value", "published")}
    return table.assign(**{name: pd.Series(own, dtype=object) for name, own in cells.items()})


class _Quantity(NamedTuple):
    """A row of the table of counts: a number, its interval, and the published one."""

    quantity: str
    value: Any
    low: float = float("nan")
    high: float = float("nan")
    published: float = float("nan")


def _count_rows(data: _Data, known: Floats) -> list[_Quantity]:
    largest = PUBLISHED_LARGEST if data.popularity == "shares" else float("nan")
    return [
        _Quantity("posts", len(data.counts)),
        _Quantity("posts whose count is known", len(known)),
        _Quantity("of these zero, left out of the fit", int((known == 0).sum())),
        _Quantity("median", float(np.median(known))),
        _Quantity("mean", float(known.mean())),
        _Quantity("largest", int(known.max()), published=largest),
    ]


def _popular_rows(data: _Data, known: Floats) -> list[_Quantity]:
    popular, border = popular_posts(data.levelled)
    if not popular.any():
        return []
    held = float(np.nansum(data.counts[popular]) / known.sum())
    return [
        _Quantity("popular: at least", int(border)),
        _Quantity("popular posts", int(popular.sum())),
        _Quantity("share of the count that they hold", held),
    ]


def _law_rows(test: LogNormalTest, known: Floats) -> list[_Quantity]:
    law, n = test.law, len(positive_counts(known))
    return [
        _Quantity("location μ of the log-normal fit", law.location, *test.location),
        _Quantity("scale σ of the log-normal fit", law.scale, *test.scale),
        _Quantity("largest gap of the cumulative shares", test.gap),
        _Quantity(f"p of the log-normal law (n = {n})", test.p),
        _Quantity("zeros that the fit expects, share", law.zeros),
        _Quantity("zeros that there are, share", float((known == 0).mean())),
    ]


def _laws(data: _Data, test: LogNormalTest | None, untested: str) -> pd.DataFrame:
    if not np.isfinite(data.counts).any():
        raise DataError(_unknown(data))
    if test is None:
        raise DataError(untested)
    return compare_laws(data.counts, test.law)


def _text_emotion(data: _Data) -> pd.DataFrame:
    if not np.isfinite(data.emotion).any():
        raise DataError("no caption whose emotion can be read")
    return _by_class(data, data.emotion, SENTIMENT_LEVELS)


def _faces(data: _Data) -> pd.DataFrame:
    if not np.isfinite(data.faces).any():
        raise DataError("no post has a picture that can be read")
    table = _by_class(data, data.faces, FACES)
    return table.assign(
        published_share=table["class"].map(
            {"face": PUBLISHED_FACES, "no face": 1 - PUBLISHED_FACES}
        )
    )


def _by_class(data: _Data, classes: Floats, names: tuple[str, ...]) -> pd.DataFrame:
    level, draws, seed = data.draws
    return popularity_by_class(
        data.levelled, classes, names, data.authors, level=level, draws=draws, seed=seed
    )


def _interactions(data: _Data) -> dict[str, pd.DataFrame]:
    models = _interaction_models(data)
    return {"interaction_terms": models.terms, "interaction_fits": models.fits}


def _category_interactions(data: _Data) -> dict[str, pd.DataFrame]:
    """Eq. 1 on the posts of each category that has enough, popular among its own."""
    found, reasons = [], []
    for category in large_categories(data.posts):
        try:
            terms = _interaction_models(_part_of(data, category)).terms
        except DataError as error:
            reasons.append(f"{category}: {str(error).rstrip('.')}")
            continue
        own = terms[(terms["design"] == "Eq. 1") & (terms["term"] != "constant")]
        found.append(own.drop(columns=["design", "p_holm"]).assign(category=category))
    if not found:
        raise DataError("; ".join(reasons))
    table = pd.concat(found, ignore_index=True)
    corrected = table.groupby("model")["p"].transform(holm)
    table.insert(list(table.columns).index("p") + 1, "p_holm", corrected)
    table.insert(0, "category", table.pop("category"))
    return {"interaction_categories": table.drop(columns=["published", "published_p"])}


def _part_of(data: _Data, category: str) -> _Data:
    rows = (data.posts["category"] == category).to_numpy(dtype=bool, na_value=False)
    arrays = {
        name: getattr(data, name)[rows] for name in ("counts", "levelled", "emotion", "faces")
    }
    return data._replace(posts=data.posts[rows].reset_index(drop=True), **arrays)


def _interaction_models(data: _Data) -> InteractionModels:
    """Eq. 1 with the variables that at least half of the posts have, on the posts that have them
    all."""
    known = np.isfinite(data.levelled)
    if not known.any():
        raise DataError(_unknown(data))
    popular, _ = popular_posts(data.levelled)
    if not popular.any():
        raise DataError(f"all posts have the same {data.popularity}: none is more popular")
    variables = {
        TEXT: data.emotion - _NEUTRAL,
        IMAGE: data.faces,
        LIKES: likability_bands(_count(data.posts, "likes")),
    }
    enough = {
        name: values
        for name, values in variables.items()
        if np.isfinite(values[known]).mean() >= _KNOWN_ENOUGH
    }
    if data.popularity == "likes":
        enough.pop(LIKES, None)  # it would be the outcome itself
    if not enough:
        raise DataError(
            "text emotion, image emotion and likability are each unknown for most posts"
        )
    authors = author_numbers(data.posts, fewest=1)  # of few, the models say so themselves
    return interaction_models(
        pd.DataFrame(enough)[known],
        popular[known],
        None if authors is None else authors[known],
        data.draws.level,
    )

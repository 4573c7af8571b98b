"""Facts that show an outcome too well to have been known before it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.posts.facts import Fact, describe_facts
from evoked.posts.schema import ENGAGEMENT, EXPOSURE

Floats = NDArray[np.float64]

TOO_GOOD = 0.95
"""Rank correlation with an outcome from which a fact is doubted."""

OUTCOMES = (*ENGAGEMENT, *EXPOSURE, "valence", "arousal")
_FEWEST_POSTS = 30
# So many posts per class at least: the means of smaller classes follow their own few posts.
_POSTS_PER_CLASS = 10


def too_good(posts: pd.DataFrame) -> list[str]:
    """A warning for each fact whose rank correlation with an outcome is at least :data:`TOO_GOOD`.

    Of the logarithm of a count the mean of the author's posts is subtracted before, so that a fact
    that only distinguishes authors is not doubted. Classes are ordered by their mean, and their
    correlation is a share of what so few classes could reach.

    Parameters
    ----------
    posts
        n posts with columns of facts.
    """
    outcomes = {name: _beside_author(posts, name) for name in OUTCOMES if name in posts}
    warnings = []
    for fact in describe_facts(posts):
        found = {name: _relation(fact, posts[fact.column], own) for name, own in outcomes.items()}
        name = max(found, key=lambda each: found[each], default="")
        if name and found[name] >= TOO_GOOD:
            warnings.append(
                f"The fact {fact.name} goes with {name} so closely (rank correlation "
                f"{found[name]:.2f}) that it may be known only after posting. If it is, leave "
                "it out and import again."
            )
    return warnings


def _beside_author(posts: pd.DataFrame, name: str) -> Floats:
    """An outcome of n posts beside the mean of their authors' posts, NaN where that is the post
    alone; as it is where few authors have several posts."""
    values = pd.to_numeric(posts[name], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    if name not in ("valence", "arousal"):
        values = np.log1p(np.maximum(values, 0))
    series = pd.Series(values)
    if "author_id" not in posts:
        return values
    by_author = series.groupby(posts["author_id"].reset_index(drop=True))
    beside = (series - by_author.transform("mean")).where(by_author.transform("count") > 1)
    return beside.to_numpy(np.float64) if beside.count() >= _FEWEST_POSTS else values


def _relation(fact: Fact, values: pd.Series, outcome: Floats) -> float:
    """Size of the rank correlation of a fact with an outcome, 0 where too little is known."""
    if fact.kind == "classes":
        return 0.0
    if fact.kind == "number":
        own = values.to_numpy(np.float64)
        known = np.isfinite(own) & np.isfinite(outcome)
        if known.sum() < _FEWEST_POSTS:
            return 0.0
        return abs(_correlation(own[known], outcome[known]))
    known = np.isfinite(outcome) & values.notna().to_numpy()
    codes, classes = pd.factorize(values[known].astype(str))
    if known.sum() < max(_FEWEST_POSTS, _POSTS_PER_CLASS * len(classes)) or len(classes) < 2:
        return 0.0
    ranks = _ranks(outcome[known])
    means = np.asarray(pd.Series(ranks).groupby(codes).mean(), dtype=np.float64)
    ordered = _ranks(means)[codes]
    best = _correlation(np.sort(ordered), np.sort(ranks))
    return _correlation(ordered, ranks) / best if best > 0 else 0.0


def _ranks(values: Floats) -> Floats:
    return np.asarray(pd.Series(values).rank(), dtype=np.float64)


def _correlation(first: Floats, second: Floats) -> float:
    """Spearman's; 0 where either is the same for all."""
    own, theirs = _ranks(first), _ranks(second)
    if np.ptp(own) == 0 or np.ptp(theirs) == 0:
        return 0.0
    return float(np.corrcoef(own, theirs)[0, 1])

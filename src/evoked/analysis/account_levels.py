"""What counts are compared with: all posts of an account, or the level of its last ones.

Where an account grew, its most liked posts are its latest, and whatever changed with time (words,
themes, light) seems to have made them popular. By default the counts of such accounts are brought
to one level first: see :mod:`evoked.targets.account_growth`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from evoked.errors import DataError
from evoked.posts.author_hashes import author_hashes
from evoked.posts.author_history import KINDS, known_counts, with_history
from evoked.targets.account_growth import (
    LEAST_EARLIER,
    LEAST_POSTS,
    at_one_level,
    judged_accounts,
    relative_counts,
)

# From this ratio of last to first counts an account is said to have grown, below its inverse to
# have shrunk; between them its level went up and down.
_GREW = 1.25


@dataclass(frozen=True)
class AccountLevels:
    """Posts with the counts that are compared, and what has to be said about these.

    Attributes
    ----------
    posts
        The posts; where ``relative``, with counts as they would be at one level of the account
        (:func:`evoked.targets.account_growth.at_one_level`).
    relative
        Whether counts were changed at all.
    note
        Sentence about what popular means, and why.
    """

    posts: pd.DataFrame
    relative: bool
    note: str


def level_accounts(
    posts: pd.DataFrame, popularity: str = "likes", relative: bool | None = None
) -> AccountLevels:
    """Bring the counts of accounts to one level.

    Parameters
    ----------
    posts
        n posts with the columns of :data:`evoked.posts.schema.POSTS`.
    popularity
        The count by which accounts are judged where no likes are known.
    relative
        Whether to do so for every account, or for none; by default for those that grew.

    Raises
    ------
    DataError
        ``relative`` was asked for, and no post has three earlier ones of its author.
    """
    attached = with_history(posts)
    kind = "likes" if np.isfinite(known_counts(posts, "likes")).any() else popularity
    judged = judged_accounts(attached, kind)
    grown = judged[judged["grew"]]
    hashes = author_hashes(posts)
    authors = pd.unique(hashes[hashes != ""])
    if relative is None:
        levelled = grown.index.to_numpy(dtype=object)
        note = _found(judged, grown, kind, len(authors))
    elif relative:
        levelled = authors
        note = "As asked, popular means beside the last posts of an account, whether it grew or not"
        _check_dates(attached)
    else:
        levelled = authors[:0]
        note = "As asked, popular means among all posts of an account, whether it grew or not"
    if not len(levelled):
        return AccountLevels(posts, False, f"{note}.")
    note += ": counts are brought to the account's typical level."
    return AccountLevels(at_one_level(attached, levelled)[list(posts)], True, note)


def _check_dates(posts: pd.DataFrame) -> None:
    if not any(np.isfinite(relative_counts(posts, kind)).any() for kind in KINDS):
        raise DataError(
            f"no post has a known count, a date and {LEAST_EARLIER} earlier posts of its author, "
            "so none can be compared with an account's last posts.",
            fix="Leave out --relative, or import the posts with the columns that hold author and "
            "date (--map author_id=… --map posted_at=…).",
        )


def _found(judged: pd.DataFrame, grown: pd.DataFrame, kind: str, authors: int) -> str:
    """What the rule says about the accounts."""
    if not len(judged):
        return (
            f"Whether an account grew is seen from {LEAST_POSTS} dated posts with earlier ones, "
            "which none has, so popular means among all posts of an account"
        )
    if authors == 1:
        account = judged.iloc[0]
        if len(grown):
            return f"{_change(account, kind)}, so popular means beside its last posts"
        return "The account did not clearly grow, so popular means among all its posts"
    if len(grown):
        return (
            f"{len(grown)} of {authors} accounts clearly grew or shrank, so there popular means "
            "beside the last posts"
        )
    return f"None of {authors} accounts clearly grew, so popular means among all posts of one"


def _change(account: pd.Series, kind: str) -> str:
    """How the level of one account changed."""
    first, last = account["first"], account["last"]
    if last > _GREW * first:
        verb = "grew"
    elif first > _GREW * last:
        verb = "shrank"
    else:
        return "The account's level went up and down"
    return f"The account {verb} (a typical post from {first:,.0f} {kind} to {last:,.0f})"

"""Growth of accounts, and counts as they would be without it.

An account that grew tenfold in three years gets most likes on its latest posts, whatever they show:
the top quarter of its posts says when they appeared. Beside the level of the account at the time
(the median of the author's last ten posts, as in :mod:`evoked.targets.author_level`) it says what
they have that others lack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evoked.posts.author_hashes import author_hashes
from evoked.posts.author_history import KINDS, PREFIX, known_counts, with_history

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Authors = NDArray[np.object_]

LEAST_EARLIER = 3
"""Earlier posts of its author that a post needs to be compared with their level."""
LEAST_POSTS = 20
"""Posts with a level that an account needs before it is said to have grown."""
# An account grew if its counts miss the level by less than this share of their variance. Posts that
# are drawn independently miss it by 1.16 times their variance (the median of ten is no better), and
# of 4,500 such accounts of 15 to 300 posts none came below 0.8; of those of 60 posts that grew
# tenfold all did, of 100 posts that grew fivefold 95 % (normal noise of 0.5 about the level).
_CLOSER = 0.8


def relative_counts(posts: pd.DataFrame, kind: str = "likes") -> Floats:
    """How far each count lies from the level of the account when the post appeared.

    Parameters
    ----------
    posts
        n posts, with their history (:func:`evoked.posts.author_history.attach_history`) unless they
        are to see each other's past alone.
    kind
        One of :data:`evoked.posts.author_history.KINDS`.

    Returns
    -------
    (n,): log(1 + count) less the median of that of the author's last ten posts; NaN where the count
    or the date is unknown and for an author's first three posts.
    """
    posts = with_history(posts)
    earlier = posts[f"{PREFIX}posts"].to_numpy(np.float64)
    level = posts[f"{PREFIX}median10_{kind}"].to_numpy(np.float64)
    return np.where(earlier >= LEAST_EARLIER, np.log1p(known_counts(posts, kind)) - level, np.nan)


def judged_accounts(posts: pd.DataFrame, kind: str = "likes") -> pd.DataFrame:
    """Whether accounts grew, those that have enough posts to see it.

    An account grew (or shrank, or went through a break) if its counts lie clearly closer to the
    level of the last posts than to the account's own mean: the mean square of
    :func:`relative_counts` is below 0.8 times the variance of log(1 + count) of the same posts.

    Parameters
    ----------
    posts, kind
        As for :func:`relative_counts`.

    Returns
    -------
    DataFrame
        By the author's hash, for authors with 20 posts or more that have a relative count:
        ``ratio`` of the two variances (NaN where all counts are alike), ``grew``, and ``first`` and
        ``last``, the median counts of the first and of the last fifth of these posts.
    """
    import pandas as pd

    posts = with_history(posts)
    relative, authors = relative_counts(posts, kind), author_hashes(posts)
    used = np.isfinite(relative)
    table = pd.DataFrame(
        {
            "author": authors[used],
            "earlier": posts[f"{PREFIX}posts"].to_numpy()[used],
            "count": known_counts(posts, kind)[used],
            "missed": relative[used] ** 2,
        }
    ).sort_values(["author", "earlier"], kind="stable")
    table["log"] = np.log1p(table["count"])
    by_author = table.groupby("author")
    size = by_author["log"].transform("size")
    place = by_author.cumcount() / size
    variance = by_author["log"].var()
    ratio = by_author["missed"].mean() / variance.where(variance > 0)
    judged = pd.DataFrame(
        {
            "ratio": ratio,
            "grew": ratio < _CLOSER,
            "first": table[place < 0.2].groupby("author")["count"].median(),
            "last": table[place >= 0.8].groupby("author")["count"].median(),
        }
    )
    return judged[by_author.size() >= LEAST_POSTS]


def grown_accounts(posts: pd.DataFrame, kind: str = "likes") -> Authors:
    """Hashes of the authors whose accounts grew: see :func:`judged_accounts`."""
    judged = judged_accounts(posts, kind)
    return judged.index[judged["grew"]].to_numpy(dtype=object)


def at_one_level(posts: pd.DataFrame, accounts: Authors) -> pd.DataFrame:
    """The posts with the counts that they would have if accounts had always been as they typically
    were.

    Every known count of these accounts becomes (1 + count) · typical level / level at the time - 1,
    at least 0, where the typical level is the median over the account's posts; counts of the first
    three posts become unknown. The number of followers becomes the account's median.

    Parameters
    ----------
    posts
        As for :func:`relative_counts`.
    accounts
        Hashes of authors; other accounts' posts stay as they are.
    """
    attached, authors = with_history(posts), author_hashes(posts)
    chosen = np.isin(authors, accounts)
    columns: dict[str, Any] = {}
    for kind in KINDS:
        if kind not in posts:
            continue
        counts, relative = known_counts(posts, kind), relative_counts(attached, kind)
        typical = _typical(np.log1p(counts) - relative, authors)
        columns[kind] = np.where(chosen, np.maximum(np.expm1(relative + typical), 0), counts)
    if "followers" in posts:
        followers = known_counts(posts, "followers")
        columns["followers"] = np.where(chosen, _typical(followers, authors), followers)
    return posts.assign(**columns)


def _typical(values: Floats, authors: Authors) -> Floats:
    """Median of each author's known values, by post, (n,)."""
    import pandas as pd

    return pd.Series(values).groupby(authors).transform("median").to_numpy(np.float64)

"""Counts of posts as they had been observed at any age: what a table of activity says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from evoked.posts.vocabulary import ENGAGEMENT, MAX_COUNT

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

_MICROSECONDS_PER_HOUR = 3_600_000_000


@dataclass(frozen=True)
class ObservedCounts:
    """How the counts of posts grew; made by :meth:`of`.

    Attributes
    ----------
    post, age
        Number of each observation's post, ascending, and its age in microseconds, ascending within
        a post, (observations,).
    logs
        log(1 + count) by kind of count, (observations,) each; NaN where unknown.
    """

    post: Whole
    age: Whole
    logs: dict[str, Floats]

    @classmethod
    def of(cls, activity: pd.DataFrame, post_ids: pd.Series) -> Self:
        """The observations of n posts by their ids; those of other posts, without an age or from
        before the post appeared are left out.

        Parameters
        ----------
        activity
            With columns ``post_id``, ``hours`` since the post appeared, and the counts of
            :data:`evoked.posts.schema.ENGAGEMENT` so far.
        post_ids
            (n,).
        """
        import pandas as pd

        post = pd.Index(post_ids).get_indexer(pd.Index(activity["post_id"])).astype(np.int64)
        hours = activity["hours"].to_numpy(np.float64, na_value=np.nan)
        rows = np.flatnonzero((post >= 0) & np.isfinite(hours) & (hours >= 0))
        age = np.round(hours[rows] * _MICROSECONDS_PER_HOUR).astype(np.int64)
        order = np.lexsort((age, post[rows]))
        rows, age = rows[order], age[order]
        logs = {name: _logs(activity, name)[rows] for name in ENGAGEMENT if name in activity}
        return cls(post[rows], age, logs)

    def at(self, kind: str, posts: Whole, ages: Whole, otherwise: Floats) -> Floats:
        """log(1 + count) of posts by number, as it was at ages in microseconds.

        Parameters
        ----------
        kind
            Column of counts.
        posts, ages
            Both of any one shape; a number of -1 is no post.
        otherwise
            What is taken for posts whose counts of that kind were not observed, of that shape.

        Returns
        -------
        ndarray
            The last observation no later than that; NaN before the first.
        """
        if kind not in self.logs:
            return otherwise
        known = np.isfinite(self.logs[kind])
        logs, post, age = self.logs[kind][known], self.post[known], self.age[known]
        # One whole number orders by post first, then by age.
        different, ranks = np.unique(age, return_inverse=True)
        span = len(different) + 1
        until = posts * span + np.searchsorted(different, ages, side="right")
        last = np.searchsorted(post * span + ranks, until)
        first, end = (np.searchsorted(post, posts, side) for side in ("left", "right"))
        then = np.where(last > first, np.append(logs, np.nan)[last - 1], np.nan)
        return np.where(end > first, then, otherwise)


def _logs(activity: pd.DataFrame, name: str) -> Floats:
    import pandas as pd

    counts = pd.to_numeric(activity[name], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return np.log1p(np.where(counts >= 0, np.minimum(counts, MAX_COUNT), np.nan))

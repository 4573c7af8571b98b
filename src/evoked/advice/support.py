"""Whether a draft resembles past posts at all: nothing is known of what resembles none of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Farther from its nearest past post than this share of held-out posts from theirs: unlike all.
FARTHER_THAN = 0.95
# With fewer held-out posts, each past post is held against the others.
_FEWEST_HELD_OUT = 20
# The newest posts are searched.
_MOST_POSTS = 2000


@dataclass(frozen=True)
class Support:
    """How near posts usually have another one; made by :meth:`of`.

    Attributes
    ----------
    past
        Coordinates of the posts that others are held against, (n, coordinates); NaN where a post
        has no picture or no caption.
    held_out
        Coordinates of posts that weren't learned from, (m, coordinates); empty where there are too
        few.
    """

    past: Floats
    held_out: Floats

    @classmethod
    def of(cls, table: pd.DataFrame, coordinates: Iterable[Any]) -> Support:
        """That of past posts, oldest first: rows of
        :attr:`evoked.runs.past.PastPosts.table`."""
        newest = table.iloc[-_MOST_POSTS:]
        values = newest[list(coordinates)].to_numpy(np.float64)
        tests = newest["held_out"].to_numpy(bool)
        if tests.sum() < _FEWEST_HELD_OUT:
            return cls(values, values[:0])
        return cls(values[~tests], values[tests])

    def holds(self, coordinates: Floats) -> NDArray[np.bool_]:
        """Whether each of k posts (k, coordinates) is as near to a past post as 95 of 100 held-out
        posts are; of a post without a picture or a caption, by what it has."""
        found = np.ones(len(coordinates), dtype=bool)
        shown, kinds = np.unique(np.isfinite(coordinates), axis=0, return_inverse=True)
        for kind, has in enumerate(shown):
            known = self.past[np.isfinite(self.past[:, has]).all(axis=1)][:, has]
            if not has.any() or len(known) < 2:
                continue
            own = np.flatnonzero(kinds.ravel() == kind)
            usual = self._usual(known, has)
            farthest = np.quantile(usual, FARTHER_THAN, method="higher")
            found[own] = _nearest(coordinates[own][:, has], known) <= farthest
        return found

    def _usual(self, known: Floats, has: NDArray[np.bool_]) -> Floats:
        """How far posts usually lie from the nearest other one."""
        tested = self.held_out[np.isfinite(self.held_out[:, has]).all(axis=1)][:, has]
        if len(tested) >= _FEWEST_HELD_OUT:
            return _nearest(tested, known)
        return _nearest(known, known, others=True)


def _nearest(posts: Floats, past: Floats, others: bool = False) -> Floats:
    """The distance of each post to the nearest past one; where these are the same posts, to the
    nearest of the ``others``."""
    squares = (posts**2).sum(axis=1)[:, None] + (past**2).sum(axis=1) - 2 * posts @ past.T
    if others:
        np.fill_diagonal(squares, np.inf)
    return np.asarray(np.sqrt(np.maximum(squares.min(axis=1), 0.0)))

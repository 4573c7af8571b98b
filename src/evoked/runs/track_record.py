"""What the test posts showed of a run: how far it is typically off, and how often ranges held."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

# A share of posts without any, from which errors in per cent would be of a chosen few.
_MOST_ZEROS = 0.1
_SIGNIFICANCE = 0.05
# The baseline that people think of themselves; where it is missing, the best of the others.
RECENT_POSTS = "recent_posts"
AUTHOR_MEAN = "author_mean"


class Held(NamedTuple):
    """How often intervals held the truth of test posts.

    Attributes
    ----------
    promised
        Nominal coverage.
    held, posts
        Test posts whose truth lay within, and all whose truth is known.
    """

    promised: float
    held: int
    posts: int

    @property
    def kept(self) -> bool:
        """Whether fewer would have held by chance in one of twenty cases or more (one-sided
        binomial test), had the intervals held as often as they promise."""
        return _chance_of_fewer(self.held, self.posts, self.promised) >= _SIGNIFICANCE


class TypicalError(NamedTuple):
    """The median error of a number on the test posts.

    Attributes
    ----------
    size
        Median of |predicted - true|.
    share
        Median of |predicted - true| / true over posts with a true value above zero; None where
        more than a tenth have none.
    posts
        Test posts whose truth is known.
    """

    size: float
    share: float | None
    posts: int

    @classmethod
    def of(cls, predicted: pd.Series, true: pd.Series) -> Self | None:
        """The error of n posts; None if no post has both."""
        import pandas as pd

        guessed, got = (pd.to_numeric(each).to_numpy(np.float64) for each in (predicted, true))
        known = np.isfinite(guessed) & np.isfinite(got)
        if not known.any():
            return None
        miss, got = np.abs(guessed - got)[known], got[known]
        some = got > 0
        enough = some.mean() >= 1 - _MOST_ZEROS
        share = float(np.median(miss[some] / got[some])) if enough else None
        return cls(float(np.median(miss)), share, len(got))


class ErrorRecord:
    """What test posts showed of a run, as far as answers say it.

    Parameters
    ----------
    intervals
        How often intervals held, by outcome and nominal coverage: see
        :meth:`evoked.evaluation.conformal.Intervals.coverage`.
    errors
        Typical errors by number; None where no test post has the number.
    """

    def __init__(
        self,
        intervals: Sequence[Mapping[str, Any]],
        errors: Mapping[str, TypicalError | None] | None = None,
    ) -> None:
        self.intervals = intervals
        self.errors = dict(errors or {})

    def held(self, column: str, coverage: float) -> Held | None:
        """How often intervals of a number or class held; of those measured the widest that
        promises no more than ``coverage``, or the narrowest; None if none was measured."""
        measured = [row for row in self.intervals if row["outcome"] == column]
        if not measured:
            return None
        below = [row for row in measured if row["nominal"] <= coverage + 1e-9]
        row = max(below or measured[:1], key=lambda row: row["nominal"])
        return Held(row["nominal"], round(row["coverage"] * row["n"]), row["n"])

    def error(self, column: str) -> TypicalError | None:
        """The run's typical error of a number; None if no test post has it."""
        return self.errors.get(column)


class TrackRecord(ErrorRecord):
    """What a run's folder says about its test posts. Its typical errors, which every answer
    names, are worked out once.

    Parameters
    ----------
    folder
        The run's.
    intervals
        As of :class:`ErrorRecord`.
    """

    def __init__(self, folder: Path, intervals: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(intervals)
        self.folder = folder

    def error(self, column: str) -> TypicalError | None:
        if column not in self.errors:
            self.errors[column] = self._error(self.folder / "predictions.parquet", column)
        return self.errors[column]

    def baseline_error(self, column: str) -> tuple[str, TypicalError] | None:
        """Name and typical error of the median of the last posts, or of the best other trivial
        baseline where no post has an author's earlier ones before it."""
        paths = sorted(self.folder.glob("baselines/*/predictions.parquet"))
        errors = {path.parent.name: self._error(path, column) for path in paths}
        known = {name: error for name, error in errors.items() if error is not None}
        if not known:
            return None
        best = min(known, key=lambda name: (known[name].share or 0.0, known[name].size))
        # Without earlier posts, the last posts' baseline is that of the author's mean.
        has_earlier = RECENT_POSTS in known and known[RECENT_POSTS] != known.get(AUTHOR_MEAN)
        name = RECENT_POSTS if has_earlier else best
        return name, known[name]

    @cached_property
    def _truth(self) -> pd.DataFrame:
        import pandas as pd

        from evoked.parquet import read_frame

        path = self.folder / "truth.parquet"
        return read_frame(path) if path.is_file() else pd.DataFrame()

    def _error(self, predictions: Path, column: str) -> TypicalError | None:
        if column not in self._truth or not predictions.is_file():
            return None
        from evoked.parquet import read_frame

        table = read_frame(predictions)
        return TypicalError.of(table[column], self._truth[column]) if column in table else None


@lru_cache(maxsize=1024)  # asked of each prediction anew, for a few numbers of a run
def _chance_of_fewer(held: int, posts: int, share: float) -> float:
    """Chance that of so many posts no more than ``held`` are held by ranges that hold each with the
    chance ``share`` (binomial distribution)."""
    logs = [
        math.lgamma(posts + 1)
        - math.lgamma(number + 1)
        - math.lgamma(posts - number + 1)
        + number * math.log(share)
        + (posts - number) * math.log1p(-share)
        for number in range(held + 1)
    ]
    return min(math.fsum(map(math.exp, logs)), 1.0)

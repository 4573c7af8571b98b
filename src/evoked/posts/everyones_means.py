"""What the last 50 posts of all authors achieved at any instant, on disk.

Everything else of a history is an author's own (:mod:`evoked.posts.author_history`), so posts can
be looked at author by author; these means are of everybody's posts in the order of time. They are
worked out once, a stretch of time after the other, and looked up from then on. They are the same
numbers, to the last bit, as those of all posts in memory.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.errors import DataError
from evoked.files import writing
from evoked.posts.author_history import (
    EVERYONE_OVER,
    KINDS,
    PREFIX,
    VALUES,
    AuthorHistory,
    instants_seen,
    tied_means,
)

MEANS_FILE = "everyones_means.bin"
# From the first of these instants on, that is what the last posts of all authors achieved.
_ROW = np.dtype([("instant", "<i8"), ("means", "<f8", (len(KINDS),))])
_EVENT = np.dtype(
    [
        ("author", "S16"),
        ("instant", "<i8"),
        ("known", "<i8", (len(VALUES),)),
        ("total", "<f8", (len(VALUES),)),
    ]
)
# Events that are held in memory at once, if they are spread evenly over the sampled instants.
_EVENTS_PER_STRETCH = 131_072

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


class EveryonesMeans:
    """Means of the last 50 posts of all authors, memory-mapped.

    Parameters
    ----------
    folder
        Where :class:`MeansWriter` left them.

    Raises
    ------
    DataError
        The file is missing or cut off.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / MEANS_FILE
        size = path.stat().st_size if path.is_file() else -1
        if size < 0 or size % _ROW.itemsize:
            raise DataError("missing or cut off.", file=path, fix="Remove the folder.")
        self._rows = (
            np.memmap(path, _ROW, mode="r") if size else np.zeros(0, _ROW)  # nothing to be mapped
        )

    def columns(self, posts: pd.DataFrame, min_age_hours: float = 0.0) -> dict[str, Floats]:
        """The columns ``history.everyone_*`` of n posts, (n,) each, as
        :func:`evoked.posts.author_history.attach_history` describes them."""
        until, usable = instants_seen(posts, min_age_hours)
        place = np.searchsorted(self._rows["instant"], until) - 1
        known = usable & (place >= 0)
        means = np.full((len(posts), len(KINDS)), np.nan)
        means[known] = self._rows["means"][place[known]]
        return {f"{PREFIX}everyone_{kind}": means[:, at] for at, kind in enumerate(KINDS)}


class MeansWriter:
    """Takes events in any order, and writes what :class:`EveryonesMeans` looks up.

    Parameters
    ----------
    folder
        An own folder, in which events are put aside.
    events
        About how many there will be.
    sample
        Instants of some of them, evenly drawn: they say where stretches of time end.
    """

    def __init__(self, folder: Path, events: int, sample: Whole) -> None:
        self.folder = folder
        stretches = max(1, -(-events // _EVENTS_PER_STRETCH))
        shares = np.linspace(0, 1, stretches + 1)[1:-1]
        ends = np.quantile(sample, shares) if len(sample) else np.zeros(0)
        self._ends = np.unique(ends.astype(np.int64))

    def add(self, history: AuthorHistory) -> None:
        """Take the single posts of a history; sums of older posts are no points in time."""
        single = history.select(history.posts == 1)
        stretch = np.searchsorted(self._ends, single.instant, side="right")
        for number in np.unique(stretch):
            _append(self._file(int(number)), single.select(stretch == number))

    def finish(self) -> None:
        """Write the means, and remove what was put aside."""
        tails = [np.zeros(1) for _ in KINDS]
        counts = [0 for _ in KINDS]
        with writing(self.folder / MEANS_FILE), open(self.folder / MEANS_FILE, "wb") as stream:
            for number in range(len(self._ends) + 1):
                events = _in_time(_read(self._file(number)))
                at = np.unique(events.instant)
                rows = np.zeros(len(at), _ROW)
                rows["instant"] = at
                for kind in range(len(KINDS)):
                    chosen = events.select(events.known[:, kind] == 1)
                    rows["means"][:, kind], tails[kind] = _running(
                        chosen.instant, chosen.total[:, kind], at, tails[kind], counts[kind]
                    )
                    counts[kind] += len(chosen)
                stream.write(rows.tobytes())
                self._file(number).unlink(missing_ok=True)

    def _file(self, stretch: int) -> Path:
        return self.folder / f"stretch-{stretch:05d}.bin"


def _running(
    instant: Whole, values: Floats, at: Whole, tail: Floats, before: int
) -> tuple[Floats, Floats]:
    """Mean of the last 50 values up to and at each of some instants, and the running sums from
    which the next stretch goes on.

    Parameters
    ----------
    instant, values
        Of one stretch, in order, (n,).
    tail
        The last running sums of the stretches before, at most 51.
    before
        How many values those had.
    """
    means = tied_means((instant,), values)
    # Added one after the other as in one long sum, so that stretches change no bit.
    sums = np.concatenate([tail[:-1], np.cumsum(np.concatenate([tail[-1:], means]))])
    first = before - (len(tail) - 1)
    stop = before + np.searchsorted(instant, at, side="right")
    start = np.maximum(stop - EVERYONE_OVER, 0)
    number = stop - start
    total = sums[stop - first] - sums[start - first]
    found = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    return found, sums[-(EVERYONE_OVER + 1) :]


def _in_time(events: AuthorHistory) -> AuthorHistory:
    """Events by instant, and those of one instant as a history has them."""
    codes = pd.factorize(events.author, sort=True)[0]
    return events.select(np.lexsort((*events.total.T, codes, events.instant)))


def _append(file: Path, events: AuthorHistory) -> None:
    rows = np.zeros(len(events), _EVENT)
    for name in _EVENT.names or ():
        rows[name] = getattr(events, name)
    with writing(file), open(file, "ab") as stream:
        stream.write(rows.tobytes())


def _read(file: Path) -> AuthorHistory:
    rows = np.fromfile(file, _EVENT) if file.is_file() else np.zeros(0, _EVENT)
    return AuthorHistory(
        author=rows["author"].astype(str).astype(object),
        instant=rows["instant"],
        posts=np.ones(len(rows), np.int64),
        known=rows["known"],
        total=rows["total"],
        row=np.full(len(rows), -1),
    )

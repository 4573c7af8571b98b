"""Runs of viewings that stay loaded: each with its graph, and whoever's turn it is."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from evoked.runs.description import RUN_FILE
from evoked.serve.library import RunEntry

if TYPE_CHECKING:
    from evoked.features.cache import FeatureCache
    from evoked.runs.viewings import NetworkRun

# Networks that stay loaded, the last used ones: each holds its whole graph.
_LOADED = 2


class _Loaded:
    """A network that stays in memory, and whoever's turn it is to use it."""

    def __init__(self, written: int) -> None:
        self.written = written
        self.turn = Lock()
        self.run: NetworkRun | None = None


class Networks:
    """The runs of viewings that stay loaded."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Path, _Loaded] = OrderedDict()
        self._lock = Lock()

    @contextmanager
    def taken(self, entry: RunEntry, cache: FeatureCache) -> Iterator[NetworkRun]:
        """A run of viewings, used by nobody else within the block; other runs are not waited
        for."""
        with self._of(entry) as kept:
            if kept.run is None:
                from evoked.runs.viewings import NetworkRun

                kept.run = NetworkRun.load(entry.folder, cache)
            yield kept.run

    @contextmanager
    def _of(self, entry: RunEntry) -> Iterator[_Loaded]:
        written = (entry.folder / RUN_FILE).stat().st_mtime_ns
        with self._lock:
            kept = self._kept.pop(entry.folder, None)
            if kept is None or kept.written != written:
                kept = _Loaded(written)
            self._kept[entry.folder] = kept
            while len(self._kept) > _LOADED:
                self._kept.popitem(last=False)
        with kept.turn:
            yield kept

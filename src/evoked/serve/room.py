"""How much of the disk a desk's folder takes, and whether there is room for more."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from threading import Lock

from evoked.serve.problems import RefusalError
from evoked.serve.settings import Limits

SECONDS_BETWEEN_LOOKS = 3.0
"""How long a size counts that was measured: what is written meanwhile is added to it."""


class Room:
    """What may still be written into a desk's folder.

    Parameters
    ----------
    data
        The desk's folder.
    limits
        How much it may hold.
    """

    def __init__(self, data: Path, limits: Limits) -> None:
        self.data, self.limits = data, limits
        self._lock = Lock()
        self._taken, self._measured = 0, -SECONDS_BETWEEN_LOOKS

    def take(self, size: int) -> None:
        """Take room for so many bytes before they are written.

        Raises
        ------
        RefusalError
            There is less.
        """
        with self._lock:
            now = time.monotonic()
            if now - self._measured >= SECONDS_BETWEEN_LOOKS:
                self._taken, self._measured = folder_bytes(self.data), now
            if self._taken + size > self.limits.disk_bytes:
                raise RefusalError(
                    507,
                    "the desk's folder would become larger than allowed. Delete what you don't "
                    "need, or wait: uploads go by themselves.",
                )
            self._taken += size


def folder_bytes(folder: Path) -> int:
    """Size of all files in a folder; those that vanish meanwhile count as nothing."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size
    return total

"""Memory that is free goes back to the system."""

from __future__ import annotations

import ctypes


def return_free_memory() -> None:
    """Give what was freed back to the system, where the C library can (glibc).

    Batches of ever new shapes leave holes of ever new sizes in the heap, which then grows with the
    number of batches although nothing is kept.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)

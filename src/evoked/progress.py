"""How work that takes long reports how far it is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called again and again while work goes on."""

    def __call__(self, stage: str, done: int, total: int | None, /) -> None:
        """Report how far the work is.

        Parameters
        ----------
        stage
            What is being done, in one or two words, such as ``reading`` or ``pictures``.
        done
            Number of items done.
        total
            Number of all items, None while it is unknown.
        """

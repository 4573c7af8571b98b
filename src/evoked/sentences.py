"""Parts of sentences for people."""

from __future__ import annotations

from collections.abc import Sequence


def listed(items: Sequence[str]) -> str:
    """Items as a sentence lists them; there has to be one at least.

    Examples
    --------
    >>> listed(["hour"]), listed(["hour", "length", "format"])
    ('hour', 'hour, length and format')
    """
    *others, last = items
    return f"{', '.join(others)} and {last}" if others else last

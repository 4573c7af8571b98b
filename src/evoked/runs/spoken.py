"""Numbers as people say them: few figures, thousands and millions, per hundred of something."""

from __future__ import annotations

import math
from collections.abc import Sequence

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_FEW_FIGURES = 2
_MOST_FIGURES = 4
_PER = (100, 1_000, 10_000, 100_000, 1_000_000)
# What columns count, as people call it.
_BASES = {"reach": "people reached"}


def spoken(value: float, figures: int = _FEW_FIGURES, *, whole: bool = True) -> str:
    """A number in few significant figures: 4,621 as "4,600", 1,234,567 as "1.2 million".

    Parameters
    ----------
    value
        Zero or more, or below zero if it is not ``whole``.
    figures
        Significant figures that are kept.
    whole
        Whether it counts something, so that there are no halves.
    """
    if value == 0:
        return "0"
    places = figures - 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, min(places, 0) if whole else places)
    if abs(rounded) >= 1e6:
        return f"{rounded / 1e6:.10g} million"
    return f"{rounded:,.0f}" if whole or abs(rounded) >= 100 else f"{rounded:.10g}"


def spoken_alike(values: Sequence[float], *, whole: bool = True) -> list[str]:
    """Numbers in as few figures as keep those apart that differ; in two if four don't."""
    different = len(set(values))
    for figures in range(_FEW_FIGURES, _MOST_FIGURES + 1):
        texts = [spoken(value, figures, whole=whole) for value in values]
        if len(set(texts)) == different:
            return texts
    return [spoken(value, whole=whole) for value in values]


def spoken_share(share: float) -> str:
    """A share in whole per cent, "15%"; less than one per cent as "under 1%"."""
    return f"{share:.0%}" if share >= 0.01 else "under 1%"


def base_of(rate: float) -> int:
    """The smallest of a hundred, a thousand, … a million of which a rate makes one or more."""
    return next((base for base in _PER if rate * base >= 1), _PER[-1])


def base_in_words(base: int, column: str) -> str:
    """What a rate is per, such as "1,000 followers"."""
    return f"{base:,} {basis_in_words(column)}"


def basis_in_words(column: str) -> str:
    """What a column counts, such as "people reached"."""
    return _BASES.get(column, column)

"""Gains with their ranges, drawn: places of dots and lines, and shades of cells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

# Width of a drawing in units, with room for a dot at both ends.
WIDTH, _MARGIN = 140, 6
# Gains beyond a hundredfold are drawn at it.
_MOST = math.log(100)
# Shades of a cell to either side of none, and the gain at which they are full at least: a table
# without differences looks like one.
_SHADES, _FULL = 5, 0.2


def with_places(rows: Sequence[Mapping[str, Any]], gain: str) -> list[dict[str, Any]]:
    """Rows of gains (shares: 0.2 is a fifth more), each with the ``places`` of its dot, of the
    ends of its range and of no gain on one line for all; None where a number is unknown.

    Parameters
    ----------
    rows
        Each with ``low`` and ``high``, the ends of its range.
    gain
        Where its gain stands.
    """
    every = [value for row in rows for value in (row[gain], row["low"], row["high"])]
    known = [_log(value) for value in every if _is_known(value)]
    low, high = min([-0.05, *known]), max([0.05, *known])

    def place(value: Any) -> float:
        inner = WIDTH - 2 * _MARGIN
        return round(_MARGIN + inner * (_log(value) - low) / (high - low), 1)

    def places(row: Mapping[str, Any]) -> dict[str, float] | None:
        if not _is_known(row[gain]):
            return None
        ends = [row[end] if _is_known(row[end]) else row[gain] for end in ("low", "high")]
        left, right = sorted(map(place, ends))
        return {"zero": place(0), "dot": place(row[gain]), "low": left, "high": right}

    return [{**row, "places": places(row)} for row in rows]


def shades(gains: Sequence[float | None]) -> list[int | None]:
    """The shade of each gain, from -5 to 5; None where it is unknown."""
    known = [abs(gain) for gain in gains if gain is not None and _is_known(gain)]
    reach = max([_FULL, *known])
    return [
        round(_SHADES * gain / reach) if gain is not None and _is_known(gain) else None
        for gain in gains
    ]


def _log(share: float) -> float:
    return min(max(math.log1p(max(share, -0.999)), -_MOST), _MOST)


def _is_known(value: Any) -> bool:
    return value is not None and math.isfinite(value)

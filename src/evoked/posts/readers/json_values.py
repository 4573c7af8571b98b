"""JSON values that stand one after the other in a text, of which some may be damaged."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from evoked.files import check_depth

# What stands between values: signs of an array that was entered, or of what a damaged value leaves.
_BETWEEN = re.compile("[\\s,\\]}\x1e\ufeff]*")
# Without a comma between them, objects are never within another.
_BESIDE = r"(?<=[}\]])[ \t]*(?=[{\[])"
_ARRAY_OF_OBJECTS = re.compile(r"\[\s*[{\[]")
_INDENTATION = re.compile(r"[ \t]*")
_LONGEST_INDENTATION = 1000
_SHOWN_CHARACTERS = 60
_MOST_DIGITS = 4000
# How often a text may be looked at, all attempts together, and what one that fails counts at least.
_MOST_TIMES = 20
_ATTEMPT = 100


class Damaged(NamedTuple):
    """A part of a text that is no JSON: the line that it begins in, from 1, and its first signs."""

    line: int
    start: str


def values_in(text: str) -> Iterator[Any]:
    """The values of a text, and a :class:`Damaged` in place of each that is none.

    After a damaged value, the next is looked for where a line begins as that of the damaged one
    does, or where two objects touch. An array with a damaged element counts as its elements, and
    a whole number of more than 4000 digits as infinite.

    Raises
    ------
    ValueError
        So much is damaged that looking for values would take long.

    Examples
    --------
    >>> list(values_in('{"a": 1} {"a": 2}'))
    [{'a': 1}, {'a': 2}]
    >>> list(values_in('[{"a": 1},\\n{"a: 2},\\n{"a": 3}]'))
    [{'a': 1}, Damaged(line=2, start='{"a: 2},'), {'a': 3}]
    """
    decoder = json.JSONDecoder(parse_int=_whole_number)
    left = _MOST_TIMES * len(text) + _ATTEMPT
    position, line, counted = 0, 1, 0
    while (position := _end(_BETWEEN, text, position)) < len(text):
        try:
            value, end = decoder.raw_decode(text, position)
            check_depth(value)
        except (ValueError, RecursionError) as error:
            left -= max(getattr(error, "pos", len(text)) - position, _ATTEMPT)
            if left < 0:
                raise ValueError("damaged all over") from None
            if _ARRAY_OF_OBJECTS.match(text, position):
                position += 1
                continue
            line += text.count("\n", counted, position)
            counted = position
            start = text[position : position + _SHOWN_CHARACTERS].partition("\n")[0].strip()
            yield Damaged(line, start)
            position = _next(text, position)
        else:
            yield value
            position = end


def _whole_number(digits: str) -> float:
    """A whole number; infinity where it has more digits than Python reads."""
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)


def _next(text: str, position: int) -> int:
    """Where the value after a damaged one begins; the text's end if there is none."""
    begin = text.rfind("\n", max(0, position - _LONGEST_INDENTATION), position) + 1
    indentation = text[begin : _end(_INDENTATION, text, begin)][:_LONGEST_INDENTATION]
    # In one search: two would each look through what the other has looked through.
    match = re.compile(rf"\n{indentation}(?=[{{\[])|{_BESIDE}").search(text, position + 1)
    return len(text) if match is None else match.end()


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    """Where a pattern that matches anywhere, be it nothing, ends."""
    match = pattern.match(text, position)
    return position if match is None else match.end()

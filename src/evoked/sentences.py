"""Parts of sentences for people."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

# Control characters, halves of surrogate pairs, and what changes the direction of writing: names
# and texts of others could repaint the terminal with them, or show one thing and be another.
_UNSAFE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)


def listed(items: Sequence[str]) -> str:
    """Items as a sentence lists them; there has to be one at least.

    Examples
    --------
    >>> listed(["hour"]), listed(["hour", "length", "format"])
    ('hour', 'hour, length and format')
    """
    *others, last = items
    return f"{', '.join(others)} and {last}" if others else last


def visible(text: str) -> str:
    """A text in which every character that a terminal would act on is written as its number.

    Examples
    --------
    >>> visible("a\\x1b[2Jb")
    'a\\\\x1b[2Jb'
    """
    return _UNSAFE.sub(lambda found: _number(found[0]), text)


def _number(character: str) -> str:
    code = ord(character)
    return (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    )


def visible_json(value: Any) -> str:
    """JSON with every character that a terminal would act on as its number, which is the same to
    programs; ``value`` has no NaN and no infinity, which these can't read."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
    return _UNSAFE.sub(lambda found: json.dumps(found[0])[1:-1], text)


def on_one_line(text: str) -> str:
    """A name or text of others without the line breaks by which it could pass for a line of ours.

    Examples
    --------
    >>> on_one_line("posts\\nError: none")
    'posts\\\\nError: none'
    """
    return text.replace("\r", "\\r").replace("\n", "\\n")

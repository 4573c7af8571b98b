"""Which texts the emotion reader of English can read."""

from __future__ import annotations

import re
from collections.abc import Sequence

_LETTER = re.compile(r"[^\W\d_]")
_LATIN_LETTER = re.compile(r"[A-Za-zÀ-ɏ]")


def is_readable(text: str, ids: Sequence[int], unknown: int) -> bool:
    """Whether a text can be read: it has words, at least half of its tokens are known, and at least
    half of its letters are Latin.

    Parameters
    ----------
    text
        Prepared.
    ids
        Of its tokens, the two special ones included.
    unknown
        Id of tokens that are not known.
    """
    tokens = len(ids) - 2
    letters = len(_LETTER.findall(text))
    is_latin = 2 * len(_LATIN_LETTER.findall(text)) >= letters
    return is_latin and tokens > 0 and list(ids).count(unknown) <= tokens / 2

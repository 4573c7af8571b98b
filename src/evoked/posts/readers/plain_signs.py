"""Digits, spaces and signs of any script and width in their plain form, for numbers and dates."""

from __future__ import annotations

import re
import unicodedata

_FORMULA = re.compile(r'="(.*)"|=(.*)|\'(.*)', re.DOTALL)
_INVISIBLE = re.compile(r"[\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_DIGIT = re.compile(r"[^\D0-9]")
_SIGNS = str.maketrans(
    {
        "٬": "'", "’": "'", "‘": "'", "ʼ": "'", "′": "'", "`": "'", "´": "'",
        "٫": ".", "٪": "%", "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-",
        "،": ",", "、": ",",
    }
)  # fmt: skip


def unquoted(text: str) -> str:
    """A cell without what keeps a spreadsheet from changing it: ``="12"``, or ``'12``."""
    text = text.strip()
    match = _FORMULA.fullmatch(text) if text[:1] in ("=", "'") else None
    return text if match is None else next(part for part in match.groups() if part is not None)


def plain_signs(text: str) -> str:
    """A text in lower case with the digits 0 to 9, plain spaces, hyphens and apostrophes.

    Examples
    --------
    >>> plain_signs("１ ２３４"), plain_signs("٣٬٤٠٠"), plain_signs("5\\u202f000 Vues")
    ('1 234', "3'400", '5 000 vues')
    """
    if text.isascii():
        return " ".join(text.casefold().split())
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).translate(_SIGNS)
    text = _DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), text)
    return " ".join(text.casefold().split())


def folded(text: str) -> str:
    """A text in lower case without accents and other marks."""
    if text.isascii():
        return text.casefold()
    parts = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(sign for sign in parts if not unicodedata.category(sign).startswith("M"))
    return unicodedata.normalize("NFC", kept)

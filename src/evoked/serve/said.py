"""What a run says in sentences, in the language of a page.

Runs speak English, and put answers and verdicts together of a few pieces: "About 4,600 likes",
"(3,800 to 6,800)", "typically off by 15%". The texts have these pieces under ``said``, in English
as runs say them, with gaps for numbers, shares, nouns and names. A sentence is read piece by piece
by the English texts and said again by those of the other language; one with a piece that is not
among them stays English.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from evoked.serve.wording import DEFAULT, texts

_NUMBER = r"-?\d[\d,]*(?:\.\d+)?(?: million)?"
_SHARE = r"(?:under )?\d+%"
_BETWEEN = re.compile(r"[;,.]? |\.$")
_GAP = re.compile(r"\\\{(\w+)\\\}")


class Said(NamedTuple):
    """A sentence, and the code of the language that it is in."""

    text: str
    code: str


def said(sentence: str, code: str) -> Said:
    r"""A sentence of a run in the language of a code, or as it is where that is not known.

    Examples
    --------
    >>> said("About 4,600 likes (3,800 to 6,800); typically off by 15%.", "de").text
    'Etwa 4.600 Likes (3.800 bis 6.800); typischer Fehler 15\xa0%.'
    >>> said("Dogs bark.", "de")
    Said(text='Dogs bark.', code='en')
    """
    if code == DEFAULT:
        return Said(sentence, DEFAULT)
    found, at = [], 0
    while at < len(sentence):
        between = _BETWEEN.match(sentence, at) if at else None
        if between:
            found.append(between[0])
            at = between.end()
            continue
        piece = _piece(sentence, at, code)
        if piece is None:
            return Said(sentence, DEFAULT)
        found.append(piece[0])
        at = piece[1]
    return Said("".join(found), code)


def amount(text: str, code: str) -> str:
    """A number, a share, or a number of something, with the marks and words of a language."""
    if share := re.fullmatch(r"(under )?(\d+)%", text):
        key = "said.under_share" if share[1] else "said.share"
        return texts(code)[key].format(number=share[2])
    number = re.match(_NUMBER, text)
    if number is None:
        return noun(text, code)
    marks = texts(code)["marks"]
    figures = number[0].removesuffix(" million")
    spoken = figures.translate({ord(","): marks[0], ord("."): marks[1]})
    if figures != number[0]:
        spoken = texts(code)["said.million"].format(number=spoken)
    rest = text[number.end() :].strip()
    return f"{spoken} {noun(rest, code)}" if rest else spoken


def noun(name: str, code: str) -> str:
    """What is counted, such as "likes" or "likes per 1,000 followers"; as it is where there is no
    other word."""
    what, per, basis = name.partition(" per ")
    known = _nouns(code)
    if not per:
        return known.get(name, name)
    return texts(code)["said.per"].format(what=known.get(what, what), basis=amount(basis, code))


def _piece(sentence: str, at: int, code: str) -> tuple[str, int] | None:
    """The piece that begins at a position, in the language, and where it ends."""
    begins = sentence[at]
    for key, pattern in _patterns():
        found = pattern.match(sentence, at)
        if found is None:
            continue
        gaps = {name: _filled(name, value, code) for name, value in found.groupdict().items()}
        text = texts(code)[key].format(**gaps)
        return (text[:1].upper() if begins.isupper() else text[:1]) + text[1:], found.end()
    return None


def _filled(name: str, value: str, code: str) -> str:
    if name.startswith("noun"):
        return noun(value[:1].lower() + value[1:], code)
    if name.startswith("name"):
        return value
    return amount(value, code)


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    """The pieces in English, the longest first, as what a sentence is read by."""
    nouns = "|".join(sorted(map(re.escape, _nouns(DEFAULT)), key=len, reverse=True))
    noun_ = rf"(?:{nouns})(?: per (?:{_NUMBER} )?(?:{nouns}))?"
    kinds = {
        "noun": noun_,
        "share": _SHARE,
        "off": rf"{_SHARE}|{_NUMBER} {noun_}|{_NUMBER}",
        "name": r"[\w ]+",
    }
    pieces = [
        (key, text)
        for key, text in texts(DEFAULT).items()
        if key.startswith("said.") and key.removeprefix("said.") not in _INNER
    ]
    return [
        (
            key,
            re.compile(
                _GAP.sub(
                    lambda gap: f"(?P<{gap[1]}>{kinds.get(gap[1], _NUMBER)})", re.escape(text)
                ),
                re.IGNORECASE,
            ),
        )
        for key, text in sorted(pieces, key=lambda piece: -len(piece[1]))
    ]


# Texts that stand in gaps, and are no pieces.
_INNER = ("million", "share", "under_share", "per")


@cache
def _nouns(code: str) -> dict[str, str]:
    """Words of a language by what runs call it in English."""
    prefix = "nouns."
    keys = [key for key in texts(DEFAULT) if key.startswith(prefix)]
    found = {key.removeprefix(prefix): texts(code)[key] for key in keys}
    return {texts(DEFAULT)[key]: texts(code)[key] for key in keys} | found

"""Numbers as people write them: 1.000 and 1,234.5, 1 234, 1'234, 1,23,456, 1.2K, 2,3 mil, 3億."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from evoked.posts.readers.outcome_names import is_outcome
from evoked.posts.readers.plain_signs import folded, plain_signs, unquoted
from evoked.posts.readers.words import kinds, words

# What stands before a number: what is counted, or that it is not exact.
_NAMED_BEFORE = (
    r"(?:조회수|再生回数|視聴回数|播放量|阅读|c(?:irc)?a\.?|approx\.?|about|around|over)?"
)
_SHARE_AFTER = re.compile(r"\s*\([^()]*%\)$")
_NUMBER = re.compile(rf"{_NAMED_BEFORE}\s*[~≈>]?\s*([+-]?)\s*(\d(?:[\d.,'_ ]*\d)?|[.,]\d+)([^\d]*)")
_EXPONENT = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)e[+-]?\d{1,3}")
_WORD = re.compile(r"[^\s.+]+")
_NEUTRAL = re.compile(r"(\d{1,3}(?:(['_ ])\d{3})(?:\2\d{3})*)(?:[.,](\d+))?")
# In India, digits above the last three stand in groups of two.
_GROUPS = {
    sign: re.compile(rf"\d{{1,3}}(?:{sign}\d{{3}})+|\d{{1,2}}(?:{sign}\d\d)+{sign}\d{{3}}")
    for sign in (r"\.", ",")
}
_MAX_CHARACTERS = 100
_QUOTES = "„“”«»\"'"
_OTHER = {".": ",", ",": "."}
_SEPARATORS = {".": "points", ",": "commas"}


def read_number(text: str, decimal: str = "", *, whole: bool = False) -> float:
    """A number, and its scale in words: "1,234", "1.2K", "2,3 mil", "2,316 views", "999+".

    Parameters
    ----------
    text
        With digits, spaces and signs of any script and width.
    decimal
        The sign before decimals, "." or ",", as the rest of the column shows it; "" if nothing
        does.
    whole
        Whether a sign before exactly three digits separates thousands where ``decimal`` is not
        known, as it does in counts. Otherwise it comes before decimals.

    Raises
    ------
    ValueError
        It is no number, or a number of something that is not known.

    Examples
    --------
    >>> [read_number(text, whole=True) for text in ("1.000", "1.2K", "1,23,456", "3億", "999+")]
    [1000.0, 1200.0, 123456.0, 300000000.0, 999.0]
    >>> read_number("1.234", ","), read_number("1.234", ".")
    (1234.0, 1.234)
    """
    return _read(text, decimal, whole)[0]


def read_count(text: str, decimal: str = "", scales: Mapping[str, int] | None = None) -> int:
    """A whole number, as :func:`read_number` reads it; one with a scale (1.2345K) is rounded.

    ``scales`` are words that multiply by something else in the language of a table.

    Raises
    ------
    ValueError
        It is no number, or has decimals.
    """
    number, scale = _read(text, decimal, True, scales)
    if not math.isfinite(number):
        raise ValueError("a count that is not finite")
    if scale == 1 and abs(number - round(number)) > 1e-6:
        raise ValueError("not a whole number")
    return round(number)


def _read(
    text: str, decimal: str, whole: bool, scales: Mapping[str, int] | None = None
) -> tuple[float, int]:
    """A number and the scale that it is written with."""
    plain = _SHARE_AFTER.sub("", _without_name(plain_signs(unquoted(text))))
    if _EXPONENT.fullmatch(plain):
        return float(plain.replace(",", ".")), 1
    match = _NUMBER.fullmatch(plain)
    if match is None or len(plain) > _MAX_CHARACTERS:
        raise ValueError("not a number")
    sign, digits, after = match.groups()
    scale = _scale(after, scales or {}) if after else 1
    number = float(_plain_digits(digits, decimal, whole and scale == 1)) * scale
    return (-number if sign == "-" else number), scale


def _without_name(text: str) -> str:
    """A number without the name of what is counted before it: "likes: 2,316"."""
    name, colon, rest = text.partition(":")
    is_name = bool(colon) and (folded(name.strip()) in words("counted") or is_outcome(name))
    return rest.strip() if is_name else text


def _scale(text: str, scales: Mapping[str, int]) -> int:
    """What a number is multiplied by for the words after it.

    ValueError for words that are neither a scale nor what is counted: they could be a scale that
    we don't know.
    """
    scale = 1
    for position, word in enumerate(_WORD.findall(text)):
        if position == 0:
            scale, word = _split_scale(word, scales)  # noqa: PLW2901
        word = word.strip(_QUOTES)  # noqa: PLW2901
        if word and folded(word) not in words("counted") and not is_outcome(word):
            raise ValueError("not a number")
    return scale


def _split_scale(word: str, scales: Mapping[str, int]) -> tuple[int, str]:
    """The scale that a word is or, without a space as in 万回, begins with; and the rest."""
    scale_of, name = {**kinds("scales"), **scales}, folded(word)
    if name in scale_of:
        return scale_of[name], ""
    if name[0] > "\u2e80":  # Chinese, Japanese, Korean
        for length in (2, 1):
            if name[:length] in scale_of:
                return scale_of[name[:length]], name[length:]
    return 1, word


def _plain_digits(digits: str, decimal: str, whole: bool) -> str:
    """Digits with a point at most, before decimals."""
    if digits.isdecimal():
        return digits
    match = _NEUTRAL.fullmatch(digits)
    if match is not None:
        return re.sub("['_ ]", "", match[1]) + "." + (match[3] or "0")
    found, sure = _decimal_sign(digits)
    if not sure:
        found = decimal or (_OTHER[found] if whole else found)
    head, _, tail = digits.rpartition(found) if found in digits else (digits, "", "")
    return (re.sub("[.,]", "", head) or "0") + "." + (tail or "0")


def _decimal_sign(digits: str) -> tuple[str, bool]:
    """The sign before the decimals of digits with points or commas, and whether that is sure.

    It is not where one sign stands before exactly three digits: it may separate thousands.
    """
    last = max(".,", key=digits.rfind)
    other = _OTHER[last]
    head, _, tail = digits.rpartition(last)
    if not digits.replace(".", "").replace(",", "").isdecimal():
        raise ValueError("not a number")
    if other in digits:
        if last in head or not _is_grouped(head, other):
            raise ValueError("not a number")
        return last, True
    if last in head:
        if not _is_grouped(digits, last):
            raise ValueError("not a number")
        return other, True
    return last, not (len(tail) == 3 and 1 <= len(head) <= 3 and head[0] != "0")


def scale_word(text: str) -> str:
    """The word that a number is multiplied by, folded; "" if there is none, or no number.

    Examples
    --------
    >>> scale_word("2,3 B"), scale_word("1.2M views"), scale_word("12")
    ('b', 'm', '')
    """
    if text.isdecimal() or len(text) > _MAX_CHARACTERS:
        return ""
    match = _NUMBER.fullmatch(_without_name(plain_signs(unquoted(text))))
    first = None if match is None else _WORD.search(match[3])
    if match is None or first is None:
        return ""
    try:
        _scale(match[3], {})
    except ValueError:
        return ""
    name = folded(first[0])
    return name if name in kinds("scales") else ""


def _is_grouped(digits: str, sign: str) -> bool:
    return _GROUPS["," if sign == "," else r"\."].fullmatch(digits) is not None


def decimal_sign(text: str) -> tuple[str, bool]:
    """The sign before a number's decimals as the number alone shows it, and whether that is sure.

    Returns
    -------
    ("", True) for texts without points and commas, and for what is no number.

    Examples
    --------
    >>> [decimal_sign(text) for text in ("1.234.567", "2,5K", "1.234", "12")]
    [(',', True), (',', True), ('.', False), ('', True)]
    """
    if "." not in text and "," not in text and text.isascii():
        return "", True
    match = _NUMBER.fullmatch(_without_name(plain_signs(unquoted(text))))
    if match is None or match[2].isdecimal():
        return "", True
    neutral = _NEUTRAL.fullmatch(match[2])
    if neutral is not None:
        return ("." if "." in match[2] else "," if "," in match[2] else ""), True
    try:
        return _decimal_sign(match[2])
    except ValueError:
        return "", True


class CountNotation:
    """Works out, from one cell of a column of counts after another, which sign separates thousands.

    Counts are whole, so "1.234" shows that points do; "1.000" could be a one with decimals, and is
    a thousand unless other cells show otherwise.

    Attributes
    ----------
    scales
        Example by word that a number is multiplied by.
    """

    def __init__(self) -> None:
        self._shown: Counter[str] = Counter()
        self._undecided: dict[str, str] = {}
        self._examples: dict[str, str] = {}
        self.scales: dict[str, str] = {}

    def add(self, value: Any) -> None:
        """Take another cell of the column into account."""
        if not isinstance(value, str) or value.isdecimal():
            return
        if value[-1:].isalpha() and (word := scale_word(value)):
            self.scales.setdefault(word, value.strip())
        head, sign, tail = value.rpartition(",") if "," in value else value.rpartition(".")
        plain = len(tail) == 3 and tail.isdecimal() and head.isdecimal() and head[0] != "0"
        sign, sure = (sign, len(head) > 3) if plain else decimal_sign(value)
        if not sure and sign not in self._examples:
            self._examples[sign] = value.strip()
        if sure and sign:
            self._shown[sign] += 1
        elif not sure and not value.rstrip().endswith("000"):
            self._shown[_OTHER[sign]] += 1
        elif not sure and sign not in self._undecided:
            self._undecided[sign] = value.strip()

    @property
    def decimal(self) -> str:
        """The sign before decimals, "." or ","; "" if no cell shows it, or as many show either."""
        points, commas = self._shown["."], self._shown[","]
        return "" if points == commas else "." if points > commas else ","

    @property
    def thousands(self) -> dict[str, str]:
        """Example by sign that separates thousands in cells that could be read otherwise."""
        return {
            sign: self._examples[sign] for sign in self._examples if self.decimal not in ("", sign)
        }

    @property
    def assumed(self) -> dict[str, str]:
        """Example by sign that is only assumed to separate thousands."""
        return {} if self.decimal else self._examples

    @property
    def decimals(self) -> dict[str, str]:
        """Example by sign that stands before decimals in cells that could be read otherwise."""
        return {sign: self._examples[sign] for sign in self._examples if self.decimal == sign}


def notation_notes(columns: Mapping[str, CountNotation]) -> list[str]:
    """How the counts of columns, by name, are read where they could be read in two ways."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for column, notation in columns.items():
        for kind in ("thousands", "decimals", "assumed"):
            for sign, example in getattr(notation, kind).items():
                found.setdefault((kind, sign), {})[column] = example
    return [_note(kind, sign, examples) for (kind, sign), examples in found.items()]


def _note(kind: str, sign: str, examples: Mapping[str, str]) -> str:
    columns, example = ", ".join(examples), next(iter(examples.values()))
    signs = _SEPARATORS[sign].capitalize()
    if kind == "decimals":
        return f"{signs} stand before decimals in {columns}, such as {example}."
    read = read_number(example, _OTHER[sign], whole=True)
    said = f"{example} is read as {read:.0f}"
    if kind == "thousands":
        return f"{signs} separate thousands in {columns}: {said}."
    return (
        f"Check {columns}: {said}, as if {_SEPARATORS[sign]} separated thousands, and no other "
        "number there shows whether that is right. If it is not, write counts without them."
    )

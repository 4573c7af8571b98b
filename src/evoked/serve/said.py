"""What a run says in sentences, in the language of a page.

Runs speak English, and put sentences together of a few pieces: "About 4,600 likes",
"(3,800 to 6,800)", "typically off by 15%". The texts have these pieces under ``said``, in English
as runs say them, with gaps. A sentence is read piece by piece by the English texts and said again
by those of the other language; one with a piece that is not among them stays English.

A gap is called by what stands in it, with more behind an underscore where a piece has several:
``{share}`` and ``{share_low}``. Numbers, shares, clocks, days and quoted texts have patterns here.
Another kind is a group of texts, those under ``gaps.KIND``, one of which stands in the gap; they
may have gaps themselves. ``{list_KIND}`` holds several of a group: "hour, format and faces".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from typing import NamedTuple

from evoked.serve.wording import DEFAULT, texts

_NUMBER = r"(?:-?\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]\d+)?(?: million)?|nan)"
_SHARE = r"(?:under )?\d+%"
_GAIN = r"[+−]?\d+%"
_MONTH_DAY = r"\d{1,2} [a-z]+ \d{4}"
_KINDS = {
    "share": _SHARE,
    "gain": _GAIN,
    "clock": r"\d{1,2}:\d\d",
    "date": rf"\d{{4}}-\d\d-\d\d|{_MONTH_DAY}",
    "moment": r"\d{4}-\d\d-\d\d \d\d:\d\d",
    "zone": r"[\w/+-]+",
    "tag": r"\w+(?:\.\w+)*",
    "emoji": r"\S+ \([^()]*\)",
    "name": r"[\w ]+",
    "text": r".+?",
    "rest": r".+",
}
_AS_IT_IS = ("clock", "zone", "tag", "name", "text", "rest")
# How runs write days and moments, and the texts that say how a language does.
_DATES = (
    ("%Y-%m-%d %H:%M", "date_format"),
    ("%Y-%m-%d", "day_format"),
    ("%d %B %Y", "day_format"),
)
# Where the texts of a group stand if pages have them, too.
_ELSEWHERE = {"day": "weekdays.", "arm": "plan.arms."}
_PIECES = "said."
# Texts under ``said`` that stand in gaps or between others, and are no pieces.
_INNER = tuple(f"{_PIECES}{name}" for name in ("million", "share", "under_share", "per", "and"))
_BETWEEN = re.compile(r"[;,.]? |\.$")
_LISTED = re.compile(r", and | and |, ")
_END = r"(?=[;,. ]|$)"
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
    found = None if code == DEFAULT else _read(sentence, 0, _PIECES, _BETWEEN, code)
    return Said(sentence, DEFAULT) if found is None else Said(found, code)


def phrase(text: str, kind: str, code: str) -> str:
    """What stands in gaps of a kind, in the language of a code; as it is where it is none of its
    group.

    Examples
    --------
    >>> phrase("at 18:00", "arm", "de"), phrase("likes rate", "measure", "de")
    ('um 18:00 Uhr', 'Rate (Likes)')
    """
    if code == DEFAULT:
        return text
    for key in _beginning(text, 0, _prefix(kind)):
        if found := _pattern(key).fullmatch(text):
            return _again(key, found, code)
    return text


def amount(text: str, code: str) -> str:
    """A number, a share, or a number of something, with the marks and words of a language."""
    if share := re.fullmatch(r"(under |[+−])?(\d+)%", text):
        is_under = share[1] == "under "
        key = "said.under_share" if is_under else "said.share"
        return ("" if is_under else share[1] or "") + texts(code)[key].format(number=share[2])
    if text == "nan":
        return "–"
    number = re.match(_NUMBER, text)
    if number is None:
        return noun(text, code)
    marks = texts(code)["marks"]
    figures = number[0].removesuffix(" million")
    plain = f"{float(figures):,.0f}" if "e" in figures else figures
    spoken = plain.translate({ord(","): marks[0], ord("."): marks[1]})
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


def _read(text: str, at: int, prefix: str, between: re.Pattern[str], code: str) -> str | None:
    """What follows a position, piece by piece, in the language; None where it can't be read."""
    if at == len(text):
        return ""
    for key in _beginning(text, at, prefix):
        found = _pattern(key).match(text, at)
        if found is None:
            continue
        end = found.end()
        mark = between.match(text, end)
        if end < len(text) and mark is None:
            continue
        rest = _read(text, end if mark is None else mark.end(), prefix, between, code)
        if rest is not None:
            return _again(key, found, code) + ("" if mark is None else _mark(mark[0], code)) + rest
    return None


def _again(key: str, found: re.Match[str], code: str) -> str:
    """A text in another language, with what stood in its gaps."""
    gaps = {name: _filled(name, value, code) for name, value in found.groupdict().items()}
    text = texts(code)[key].format(**gaps)
    return (text[:1].upper() if found[0][:1].isupper() else text[:1]) + text[1:]


def _mark(mark: str, code: str) -> str:
    """What stands between two pieces, or two things of a list."""
    return f" {texts(code)['said.and']} " if "and" in mark else mark


def _filled(name: str, value: str, code: str) -> str:
    kind, _, more = name.partition("_")
    if kind == "list":
        found = _read(value, 0, _prefix(more), _LISTED, code)
        return value if found is None else found
    if kind in _AS_IT_IS:
        return value
    if kind == "emoji":
        return value.partition(" (")[0]  # its name is English
    if kind in ("date", "moment"):
        return _date(value, code)
    if kind == "noun":
        return noun(value[:1].lower() + value[1:], code)
    return phrase(value, kind, code) if _group(_prefix(kind)) else amount(value, code)


def _date(value: str, code: str) -> str:
    for form, key in _DATES:
        try:
            return datetime.strptime(value, form).strftime(texts(code)[key])
        except ValueError:
            continue
    return value


def _beginning(text: str, at: int, prefix: str) -> Iterator[str]:
    """The keys of a group's texts that may begin at a position of a text, as _group has them."""
    return (key for key, begins in _group(prefix) if begins.match(text, at))


@cache
def _group(prefix: str) -> list[tuple[str, re.Pattern[str]]]:
    """The keys of a group's texts, those with most words of their own first, each with what stands
    before its first gap: most texts are ruled out by that alone, and their patterns never made."""
    texts_of = [
        (key, text)
        for key, text in texts(DEFAULT).items()
        if key.startswith(prefix) and key not in _INNER
    ]
    return [
        (key, re.compile(re.escape(text.partition("{")[0]), re.IGNORECASE))
        for key, text in sorted(texts_of, key=lambda each: -len(re.sub(r"{\w+}", "", each[1])))
    ]


@cache
def _pattern(key: str) -> re.Pattern[str]:
    """The English text of a key as what a sentence is read by."""
    expression = _expression(texts(DEFAULT)[key], _named) + _END
    return re.compile(expression, re.IGNORECASE)


def _expression(text: str, gap: Callable[[str], str]) -> str:
    return _GAP.sub(lambda found: gap(found[1]), re.escape(text))


def _named(name: str) -> str:
    return f"(?P<{name}>{_gap(name)})"


def _gap(name: str) -> str:
    """What may stand in a gap, without names, since it may stand within another one."""
    kind, _, more = name.partition("_")
    if kind == "list":
        item = _any_of(_prefix(more))
        return f"{item}(?:(?:{_LISTED.pattern}){item})*"
    if kind == "noun":
        return _noun_expression()
    if kind == "off":
        return rf"(?:{_SHARE}|{_NUMBER} {_noun_expression()}|{_NUMBER})"
    if kind in _KINDS:
        return f"(?:{_KINDS[kind]})"
    return _any_of(_prefix(kind)) if _group(_prefix(kind)) else _NUMBER


def _any_of(prefix: str) -> str:
    ordered = [texts(DEFAULT)[key] for key, _ in _group(prefix)]
    return f"(?:{'|'.join(_expression(text, _gap) for text in ordered)})"


def _prefix(kind: str) -> str:
    """What the keys of a group of texts begin with."""
    return _ELSEWHERE.get(kind, f"gaps.{kind}.")


@cache
def _noun_expression() -> str:
    nouns = "|".join(sorted(map(re.escape, _nouns(DEFAULT)), key=len, reverse=True))
    return rf"(?:(?:{nouns})(?: per (?:{_NUMBER} )?(?:{nouns}))?)"


@cache
def _nouns(code: str) -> dict[str, str]:
    """Words of a language by what runs call it in English."""
    prefix = "nouns."
    keys = [key for key in texts(DEFAULT) if key.startswith(prefix)]
    found = {key.removeprefix(prefix): texts(code)[key] for key in keys}
    return {texts(DEFAULT)[key]: texts(code)[key] for key in keys} | found

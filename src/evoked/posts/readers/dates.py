"""Dates and times as people, spreadsheets and networks write them, in many languages.

Words are put into English first (``words.yaml``). The clock and dates of three numbers are read
here, in the order that the rest of their column shows; dates with names of months are read by
python-dateutil.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import cache, lru_cache
from typing import Any, NamedTuple

from evoked.posts.readers.plain_signs import folded, plain_signs, unquoted
from evoked.posts.readers.words import positions, words

EARLIEST = date(1990, 1, 1)
"""No network is older."""

ORDERS: Mapping[str, str] = {
    "/": "mdy", ".": "dmy", "-": "dmy", "year/": "ymd", "year.": "ymd", "year-": "ymd",
}  # fmt: skip
"""Order of day, month and year by the sign between them, where no date of a column shows it; with
``year`` before the sign for dates that begin with a year of four digits."""

_MAX_CHARACTERS = 100
# In spreadsheets, days since the end of 1899: those of 1990 to 2099.
_SERIALS = (32_874, 73_051)
_SPREADSHEET_START = datetime(1899, 12, 30)
_BUDDHIST_YEARS = 543
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)(?:[t ]?(\d\d)(\d\d)(\d\d)?)?")
_EIGHT_DIGITS = re.compile(r"\d{8}")
_NUMBERS = re.compile(
    r"(?<!\d)(?:(\d{4})([/.-]) ?(\d{1,2})\2 ?(\d{1,2})"
    r"|(\d{1,2})([/.-]) ?(\d{1,2})\6 ?(\d{2}|\d{4}))(?!\d)"
)
_TIME = (
    r"(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,](\d{1,6})\d*)?)?"
    r"(?: ?([ap]m))?(?: ?([+-]\d{1,2}(?::?\d\d)?))?"
)
_CLOCK = re.compile(rf"(?<![\d:.]){_TIME}(?![\d:])")
_QUICK = re.compile(rf"(\d+[/.-]\d+[/.-]\d+)(?:(?:,? |T){_TIME})?", re.IGNORECASE)
_HOUR_WORDS = r"uhr|uur|godz|h|u|час\w*"
_TIME_OF_DAY = re.compile(
    rf"\d:\d\d|\d ?(?:{_HOUR_WORDS}|[ap]\.? ?m\b|[時时點点시])"
    r"|(?:ore|klo|kl)\.? \d|\d{8}[t ]?\d{4}"
)

# How programs print dates: datetime.datetime(2024, 5, 1, 10, 0), Timestamp('2024-05-01 10:00'),
# ISODate("2024-05-01"), /Date(1714557600000+0200)/, whose offset changes nothing of the moment.
_PRINTED = re.compile(
    r"(?:\w+\.)*(?:date|datetime|timestamp|isodate|datetime64)\((?P<inner>[^()]*(?:\(\))?[^()]*)\)"
    r"|new date\((?P<text>[\"'].*[\"']|\d{9,})\)"
    r"|\\?/date\((?P<since>-?\d+)(?:[+-]\d{4})?\)\\?/",
    re.IGNORECASE,
)
_PARTS = re.compile(
    r"(\d{4}), (\d{1,2}), (\d{1,2})" + r"(?:, (\d{1,2}))?" * 3 + r"(?:, (\d{1,6}))?"
)
_IN_QUOTES = re.compile(r"([\"'])(.*?)\1")
_UTC = re.compile(r"tz(?:info)?=[\w.]*(?:utc|['\"]utc['\"])|tz(?:info)?=tzutc\(\)", re.IGNORECASE)
_DAY_OF_YEAR = re.compile(r"(\d{4})-(\d{3})(?=$|[ T])")
_ZONE_TWICE = re.compile(r"([+-]\d\d:?\d\d) [A-Z]{3,4}$")

# What is written without spaces, or in another order than in English; looked for in this order.
_REWRITTEN = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(\d+)([/.-]) ?(\d+)\2 (\d+)", r"\1\2\3\2\4"),
        (r"\([^)]*\)|\[[^\]]*\]", " "),  # (Central European Summer Time), [Europe/Berlin]
        (r"(\d{2,4}) ?[年년] ?(\d{1,2}) ?[月월] ?(\d{1,2}) ?[日号號일]?", r"\1-\2-\3 "),
        (
            r"(?:星期|周|週|礼拜|禮拜)[一二三四五六日天]|[月火水木金土日]曜日?|[월화수목금토일]요일",
            " ",
        ),
        (r"上午|午前|오전|早上|凌晨|清晨|ก่อนเที่ยง|πμ", " am "),
        (r"下午|午後|오후|晚上|中午|傍晚|หลังเที่ยง|μμ", " pm "),
        (r"(?<![a-zπμ])[aπ]\. ?[mμ]\.?(?![a-zπμ])", " am "),
        (r"(?<![a-zπμ])[pμ]\. ?[mμ]\.?(?![a-zπμ])", " pm "),
        (r"(\d{1,2}) ?[時时點点시] ?(\d{1,2}) ?[分분] ?(\d{1,2}) ?[秒초]", r"\1:0\2:0\3"),
        (r"(\d{1,2}) ?[時时點点시] ?(\d{1,2}) ?[分분]", r"\1:0\2"),
        (r"(\d{1,2}) ?[時时點点시]", r"\1:00"),
        (r"\b(\d{1,2}) ?h ?(\d\d)(?: ?m(?:in)?\b)?", r"\1:\2"),
        (r"\b(klo|kl|klokken|ore|godz)\.? (\d{1,2})\.(\d\d)\b", r" \2:\3"),
        (r"\b(\d{1,2})\.(\d\d) (?:uhr|uur)\b", r"\1:\2"),
        # After a day that is written with a name, as in Indonesia, or with seconds (of Oracle).
        (r"(?<=[^\W\d_] )(\d{4}),? (\d{1,2})\.(\d\d)$", r"\1 \2:\3"),
        (
            r"(?<=[^\W\d_]-)(\d{2,4}) (\d{1,2})\.(\d\d)\.(\d\d)(?:\.\d+)?(?= ?[ap]m|$)",
            r"\1 \2:\3:\4",
        ),
        (r"(?<=[\u0e00-\u0e7f])\.", ""),  # of Thai abbreviations
        (rf"(?<![\d:.])(\d{{1,2}}) ?(?:{_HOUR_WORDS})(?![^\W\d_])", r"\1:00"),
        (r"(?<![^\W\d_])(?:um|at) (\d{1,2})(?= ?[ap]m\b)", r"\1"),
        (r"(?<![\d:.])(\d{1,2}) ?([ap]m)\b", r"\1:00 \2"),
        (r"(\d{4}):(\d\d:\d\d)", r"\1 \2"),  # of web servers
        (r"(\d{1,2}) thang (\d{1,2}),?(?: nam)? (\d{4})", r"\3-\2-\1"),
        (r":0(\d\d)", r":\1"),  # of two digits that had a zero put before them above
        (r"\b([ap]m) *(\d{1,2}:\d\d(?::\d\d)?)(?! ?[ap]m)", r"\2 \1"),
        (r"(?<=\d)(?:st|nd|rd|th|er|eme|ere|e|o|a|ος)\b", ""),
        (r"\b(?:gmt|utc)(?=[+-]\d)", ""),
    )
]
_WORD = re.compile(r"[^\W\d_]+")
_UNUSUAL = re.compile(
    r"(?<!:\d\d)(?<!:\d\d )[ap]m|(?:gmt|utc)[+-]|\(|\[|\d:\d\d:\d\d:|\d \d{1,2}\.\d\d$"
)
_ZONES = {
    "z": 0, "utc": 0, "gmt": 0, "wet": 0, "west": 1, "bst": 1, "cet": 1, "mez": 1, "cest": 2,
    "mesz": 2, "eet": 2, "eest": 3, "msk": 3, "jst": 9, "kst": 9, "brt": -3, "est": -5, "edt": -4,
    "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7, "aest": 10, "aedt": 11,
}  # fmt: skip
_NOON = {"ص": "am", "صباحا": "am", "م": "pm", "مساء": "pm"}
_ENGLISH_MONTHS = [
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
]


class Numbers(NamedTuple):
    """A date of three numbers as it is written.

    Attributes
    ----------
    sign
        Key of :data:`ORDERS`: the sign between the numbers, after ``year`` if a year comes first.
    first, second, third
        The numbers.
    text
        The date itself.
    """

    sign: str
    first: int
    second: int
    third: int
    text: str

    def read(self, order: str) -> date:
        """The date, if its numbers are in an order such as "dmy"; ValueError if they can't be."""
        parts = dict(zip(order, (self.first, self.second, self.third), strict=True))
        return date(_full_year(parts["y"]), parts["m"], parts["d"])

    @property
    def orders(self) -> tuple[str, ...]:
        """The orders that the number of digits allows."""
        if self.sign.startswith("year"):
            return ("ymd", "ydm")
        return ("dmy", "mdy") if self.third > 99 else ("dmy", "mdy", "ymd", "ydm")


def numbers_in(text: str) -> Numbers | None:
    """The three numbers of a date that has them; None for any other text."""
    match = _NUMBERS.search(text)
    if match is None:
        return None
    if match[1]:
        return Numbers("year" + match[2], int(match[1]), int(match[3]), int(match[4]), match[0])
    return Numbers(match[6], int(match[5]), int(match[7]), int(match[8]), match[0])


def _full_year(year: int) -> int:
    if year > 99:
        return year - _BUDDHIST_YEARS if 2400 < year < 2700 else year
    this_century = datetime.now(UTC).year // 100 * 100 + year
    return this_century if this_century <= datetime.now(UTC).year + 1 else this_century - 100


def has_time(value: Any) -> bool:
    """Whether a date has a time of day, or counts the seconds since 1970."""
    if isinstance(value, datetime):
        return True
    text = str(value).strip()
    if ":" in text:
        return True
    if "(" in text and (printed := _PARTS.search(text)):
        return printed[4] is not None
    if text.replace(".", "", 1).isdecimal():
        return len(text.partition(".")[0]) > 8 or float(text) % 1 > 0  # a part of a day
    return _TIME_OF_DAY.search(plain_signs(text)) is not None


def read_moment(value: Any, orders: Mapping[str, str] = ORDERS) -> datetime:
    """A date and time, with a time zone only where one is given.

    Parameters
    ----------
    value
        A text in ISO 8601, with numbers in any order, with names of months in about 35 languages,
        with a clock of 12 or 24 hours; seconds (or thousandths or millionths of them) since 1970; a
        spreadsheet's days since 1900; a datetime.
    orders
        Order of the numbers by the sign between them: see :data:`ORDERS`.

    Raises
    ------
    ValueError
        It is no date, or a part of one is missing.

    Examples
    --------
    >>> read_moment("Tue, Jul 14, 2026 6:15 PM").isoformat()
    '2026-07-14T18:15:00'
    >>> [read_moment(text).date().isoformat() for text in ("5. März 2024", "2024年4月5日", "45387")]
    ['2024-03-05', '2024-04-05', '2024-04-05']
    """
    if isinstance(value, datetime):
        return value
    text = unquoted(str(value))[:_MAX_CHARACTERS]
    if text[-1:] in ("'", '"'):
        text = text.strip("\"' ")
    if "(" in text and (match := _PRINTED.fullmatch(text)):
        return _read_printed(match, orders)
    if "/" in text or ":" in text:
        return _read_text(text, orders)
    try:
        number = float(text)
    except ValueError:
        return _read_text(text, orders)
    return _from_number(number, text)


def _read_printed(match: re.Match[str], orders: Mapping[str, str]) -> datetime:
    """A date as a program prints it."""
    if match["since"]:
        return _from_number(float(match["since"]), match["since"])
    inner = match["inner"] or match["text"] or ""
    zone = UTC if _UTC.search(inner) else None
    parts, quoted = _PARTS.match(inner), _IN_QUOTES.match(inner)
    if parts is not None:
        try:
            year, month, day, *clock = (int(part or 0) for part in parts.groups())
            hour, minute, second, fraction = clock
            return datetime(year, month, day, hour, minute, second, fraction, zone)
        except ValueError:
            raise ValueError("not a date") from None
    if quoted is None and match["text"] is None:
        raise ValueError("not a date")
    moment = read_moment(inner if quoted is None else quoted[2], orders)
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def _from_number(number: float, text: str) -> datetime:
    if text.isdecimal() and len(text) in (8, 12, 14):
        try:
            return _read_compact(text)
        except ValueError:
            pass
    if not math.isfinite(number):
        raise ValueError("not a date")
    if _SERIALS[0] <= number < _SERIALS[1]:
        return _SPREADSHEET_START + timedelta(seconds=round(number * 86_400))
    while number > 1e11:
        number /= 1000
    try:
        return datetime.fromtimestamp(number, UTC)
    except (ValueError, OverflowError, OSError):
        raise ValueError("not a date") from None


def _read_compact(text: str) -> datetime:
    """A date without signs, such as 20240131 or 20240131181500."""
    match = _COMPACT.fullmatch(text)
    if match is None:
        raise ValueError("not a date")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
    try:
        return datetime(year, month, day, hour, minute, second)
    except ValueError:
        raise ValueError("not a date") from None


def _read_text(text: str, orders: Mapping[str, str]) -> datetime:
    if match := _DAY_OF_YEAR.match(text):
        text = _on_day_of_year(match).isoformat() + text[match.end() :]
    text = _ZONE_TWICE.sub(r"\1", text)
    if text[:4].isdecimal() and len(text) >= 8 and orders.get("year-", "ymd") == "ymd":
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass
    quick = _QUICK.fullmatch(text)
    if quick is not None:
        numbers = numbers_in(quick[1])
        if numbers is not None:
            return datetime.combine(_day(numbers, orders), _time(quick.groups()[1:]))
    english = _in_english(text)
    if _COMPACT.fullmatch(english):
        return _read_compact(english)
    clock = _CLOCK.search(english)
    rest = english if clock is None else english[: clock.start()] + " " + english[clock.end() :]
    numbers = numbers_in(rest)
    if numbers is None and _EIGHT_DIGITS.fullmatch(rest.strip()):
        day = _read_compact(rest.strip()).date()
    elif numbers is None:
        day = _named_day(rest)
    elif rest.replace(numbers.text, "", 1).strip(" .,-"):
        raise ValueError("not a date")
    else:
        day = _day(numbers, orders)
    return datetime.combine(day, time() if clock is None else _time(clock.groups()))


def _on_day_of_year(match: re.Match[str]) -> date:
    """The date of a year and a day of 366, as in ISO 8601."""
    try:
        first = date(int(match[1]), 1, 1)
        found = first + timedelta(days=int(match[2]) - 1)
    except (ValueError, OverflowError):
        raise ValueError("not a date") from None
    if found.year != first.year:
        raise ValueError("not a date")
    return found


def _day(numbers: Numbers, orders: Mapping[str, str]) -> date:
    try:
        return numbers.read(orders.get(numbers.sign, ORDERS[numbers.sign]))
    except ValueError:
        raise ValueError("not a date") from None


def _time(parts: Sequence[str | None]) -> time:
    """The time of a clock's hour, minute, second, fraction, half of the day and offset from UTC."""
    hour, minute, second, fraction, noon, offset = parts
    hours = int(hour or 0)
    if noon is not None:
        hours = hours % 12 + 12 * (noon.casefold() == "pm")
    digits = (fraction or "0").ljust(6, "0")
    try:
        return time(hours, int(minute or 0), int(second or 0), int(digits), _zone(offset))
    except ValueError:
        raise ValueError("not a date") from None


def _zone(offset: str | None) -> tzinfo | None:
    if offset is None:
        return None
    digits = offset[1:].replace(":", "")
    hours, minutes = (int(digits), 0) if len(digits) < 3 else (int(digits[:-2]), int(digits[-2:]))
    shift = timedelta(hours=hours, minutes=minutes)
    return timezone(-shift if offset[0] == "-" else shift)


@lru_cache(maxsize=4096)
def _named_day(text: str) -> date:
    """The date of a text with the English name of a month, a day and a year, in any order."""
    from dateutil import parser

    numbers = re.findall(r"\d+", text)
    if len(numbers) != 2 or not re.search("[a-z]", text) or min(map(len, numbers)) > 2:
        raise ValueError("not a date")
    try:
        moment = parser.parse(text.strip(" -/,"), default=datetime(1, 1, 1))
    except (ValueError, OverflowError):
        raise ValueError("not a date") from None
    return moment.date().replace(year=_full_year(moment.year))


def _in_english(text: str) -> str:
    """A text with digits 0 to 9 and English names of months, but without those of weekdays.

    ValueError if it has a word that has no place in a date.
    """
    plain = plain_signs(text)
    if not plain.isascii():
        plain = folded(plain)
    given = _WORD.findall(plain)
    if not given and plain.isascii():
        return plain
    months, weekdays, links = positions("months"), positions("weekdays"), words("links")
    if not _usual_words().issuperset(given) or not plain.isascii() or _UNUSUAL.search(plain):
        for pattern, replacement in _REWRITTEN:
            plain = pattern.sub(replacement, plain)
    several = sum(word in months for word in given) > 1  # then "mar" is a Tuesday, as in French
    found: list[str] = []

    def in_english(match: re.Match[str]) -> str:
        word = match[0]
        found.append(word)
        if word in months and not (several and word in weekdays and len(found) == 1):
            return _ENGLISH_MONTHS[months[word]]
        if word in weekdays or word in links:
            return " "
        if word in _ZONES:
            return f" {_ZONES[word]:+03d}:00"
        if word in ("am", "pm"):
            return word
        if word in _NOON:
            return _NOON[word]
        raise ValueError("not a date")

    english = _WORD.sub(in_english, plain)
    english = re.sub(r"[^\w:./+-]+|\.(?!\d)", " ", english)
    return " ".join(english.split())


@cache
def _usual_words() -> frozenset[str]:
    """Words that stand where they do in English: nothing is to be rewritten around them."""
    return frozenset({*positions("months"), *positions("weekdays"), *_ZONES, "am", "pm", "t"})


def weekday_named(name: str) -> int | None:
    """Number of a day of the week by its name, Monday = 0; None for other words."""
    return positions("weekdays").get(folded(plain_signs(name)).strip("."))


def clock_hours(text: str) -> float | None:
    """Hours since midnight of a time of day such as 17:45, 5:45 pm or 17h45; None for other texts.

    Examples
    --------
    >>> clock_hours("17:45"), clock_hours("5:45 p. m."), clock_hours("soon")
    (17.75, 17.75, None)
    """
    try:
        clock = _CLOCK.fullmatch(_in_english(text))
        moment = None if clock is None else _time(clock.groups())
    except ValueError:
        return None
    return None if moment is None else moment.hour + moment.minute / 60 + moment.second / 3600

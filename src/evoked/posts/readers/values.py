"""Convert values as sources write them to the types of the schema.

Every ``parse_…`` function returns None for a missing value and raises ValueError, with the reason
in a few words, for one that can't be understood. The bounds are those of the schema.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from evoked.posts.readers.dates import (
    EARLIEST,
    ORDERS,
    clock_hours,
    read_moment,
    weekday_named,
)
from evoked.posts.readers.media_types import media_type
from evoked.posts.readers.number_notation import read_count, read_number
from evoked.posts.readers.plain_signs import unquoted
from evoked.posts.vocabulary import MAX_COUNT, MIKELS, SPLITS

MISSING = frozenset(
    {
        "", "na", "n/a", "n.a.", "n.a", "nan", "nat", "null", "none", "nil", "undefined", "\\n",
        "-", "--", "---", "–", "—", "?", "k.a.", "k. a.", "not available", "(not set)", "(blank)",
        "(empty)", "#n/a", "#value!", "#ref!", "#name?", "#num!", "#div/0!", "#null!", "=na()",
    }
)  # fmt: skip
"""Values that mean "unknown", in lower case."""

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_COUNT_DIGITS = 11
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+")
_TRUE = {"true", "yes", "y", "1", "t"}
_FALSE = {"false", "no", "n", "0", "f"}
_SPLIT_OF = {
    **dict.fromkeys(("train", "training"), SPLITS[0]),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development"), SPLITS[1]),
    **dict.fromkeys(("test", "testing"), SPLITS[2]),
}
# Combining accents and vowel signs belong to a tag, but Python's \w leaves them out.
_MARKS = "".join(
    character
    for character in map(chr, range(0x300, 0x10000))
    if unicodedata.category(character).startswith("M")
)
_TAG_CHARACTER = rf"[\w{re.escape(_MARKS)}\u200c\u200d\u2600-\u27bf\U0001f000-\U0001faff]"
_HASHTAG = re.compile(rf"(?<![&/])[#＃]({_TAG_CHARACTER}+)")
# The sign is written in three ways, and invisible characters within a name, to notify nobody.
_AT = "[@＠﹫]"
_INVISIBLE = "\\u200b-\\u200f\\u2060-\\u2064\\ufeff\\u00ad\\u202a-\\u202e\\u2066-\\u2069"
_UNSEEN = re.compile(f"[{_INVISIBLE}]")
_NAME_CHARACTER = rf"[\w{re.escape(_MARKS)}]"
# Bounds on what lies between two characters keep the time that any text takes proportional to it.
_NAME = rf"{_NAME_CHARACTER}(?:[{_INVISIBLE}.·・‧-]{{0,8}}{_NAME_CHARACTER})*+"
# An address of e-mail has letters before its sign; Facebook writes @[number:number:Name Surname],
# Mastodon @name@server.
_SIGN = rf"{_AT}[{_INVISIBLE}]{{0,8}}"
_BRACKETED = r"\[[^\]\n]{1,300}\]"
_MENTIONED = rf"(?<![A-Za-z0-9]){_SIGN}(?P<name>{_BRACKETED}|{_NAME}(?:{_AT}{_NAME})*+)"
_MENTION = re.compile(_MENTIONED)
# What leads to an account without being a mention of it. Of an address of e-mail, a letter or digit
# stands before the sign, as before no mention.
_ACCOUNTS = re.compile(
    r"(?P<address>(?:https?://|www\.)\S+|\b(?:[\w-]{1,63}\.){1,4}[A-Za-z]{2,24}/\S*"
    r"|\b(?:[\w-]{1,63}\.){1,4}(?:com|net|org|info|biz|io|tv|app|shop|store|blog|page|link)\b)"
    rf"|(?P<mail>[\w.+-]{{0,63}}[A-Za-z0-9]{_AT}(?:[\w-]{{1,63}}\.){{1,4}}\w{{2,24}})"
    r"|(?<![\w/])/?u/(?P<reddit>[\w-]{3,20})"
    rf"|{_MENTIONED}"
    rf"|{_SIGN}(?P<glued>{_BRACKETED}|{_NAME})",
    re.IGNORECASE,
)
_NAMES_OF_TAGS = ("screen_name", "username", "hashtagName", "tag", "name", "text", "title")
_NAMES_OF_PICTURES = (
    "path", "file", "file_name", "filename", "uri", "local_path", "url", "src", "image_url",
    "media_url", "display_url", "name",
)  # fmt: skip
_TAG_SEPARATORS = re.compile(r"[,;|、，]+")
_ROUNDED = re.compile(r"\d(?:[.,]\d+)?[eE]\+?\d{1,2}")
_LARGEST_EXACT = 2.0**53
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")  # null bytes and halves of surrogate pairs


@dataclass(frozen=True)
class Unreadable:
    """A cell that a file has but nobody can read; its text is the reason."""

    why: str

    def __str__(self) -> str:
        return self.why


def is_missing(value: Any) -> bool:
    """Whether a value means "unknown", as spreadsheets and exports write it."""
    if value is None:
        return True
    if isinstance(value, float):
        return math.isnan(value)
    return isinstance(value, str) and value.strip().casefold() in MISSING


def parse_count(
    value: Any, decimal: str = "", scales: Mapping[str, int] | None = None
) -> int | None:
    """A whole number from 0 to 10^11: 1234, "1,234", "1.234", "1 234", "1234.0", "1.2K", "3 Mio.".

    ``decimal`` is the sign before decimals, "." or ",", where the rest of a column shows it (see
    :class:`~evoked.posts.readers.number_notation.CountNotation`), and ``scales`` words that
    multiply by something else in the table's language.
    """
    if isinstance(value, str):
        plain = value.replace(",", "") if decimal == "." and _GROUPED.fullmatch(value) else value
        if plain.isdecimal() and len(plain) < _COUNT_DIGITS:
            return int(plain)  # the commonest forms, without looking further
    if is_missing(value):
        return None
    if isinstance(value, bool):
        raise ValueError("not a count")
    if isinstance(value, int):
        return _bounded_count(value)
    if isinstance(value, str):
        return _bounded_count(read_count(value, decimal, scales))
    number = _to_float(value)
    if not math.isfinite(number):
        raise ValueError("a count that is not finite")
    if abs(number - round(number)) > 1e-6:
        raise ValueError("not a whole number")
    return _bounded_count(round(number))


def _bounded_count(number: int) -> int:
    if number < 0:
        raise ValueError("negative count")
    if number > MAX_COUNT:
        raise ValueError("larger than any count can be")
    return number


def _to_float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("not a number") from None


def parse_number(value: Any) -> float | None:
    """A finite number, with a decimal point or comma; of a percentage, the number itself."""
    if is_missing(value):
        return None
    if isinstance(value, str) and not value.strip().isdecimal():
        number = read_number(value.strip().removesuffix("%"))
    else:
        number = _to_float(value)
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return number


def parse_hour(value: Any) -> float | None:
    """Hour of the day, from 0 to less than 24: a number, or a time such as 17:45 or 5:45 pm."""
    clock = clock_hours(value) if isinstance(value, str) else None
    hour = parse_number(value) if clock is None else clock
    if hour is not None and not 0 <= hour < 24:
        raise ValueError("not an hour from 0 to 23")
    return hour


def parse_weekday(value: Any) -> float | None:
    """Day of the week, Monday = 0: 0 to 6, or a name, in English at least three letters of it."""
    if is_missing(value):
        return None
    name = str(value).strip().casefold()
    matches = [day for day, full in enumerate(_WEEKDAYS) if len(name) >= 3 and full[:3] == name[:3]]
    named = matches[0] if matches else weekday_named(name)
    if named is not None:
        return float(named)
    day = parse_number(value)
    if day is None or day != int(day) or not 0 <= day <= 6:
        raise ValueError("not a day of the week")
    return day


def parse_date(
    value: Any,
    *,
    orders: Mapping[str, str] = ORDERS,
    zone: tzinfo = UTC,
    now: datetime | None = None,
) -> datetime | None:
    """A date and time in UTC, in any spelling that :func:`~evoked.posts.readers.dates.read_moment`
    knows, with the numbers of its date in ``orders``. Without a time zone, it is in ``zone``."""
    if is_missing(value):
        return None
    moment = read_moment(value, orders)
    moment = moment.replace(tzinfo=zone) if moment.tzinfo is None else moment
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("not a date") from None
    if moment > (now or datetime.now(UTC)) + timedelta(days=1):
        raise ValueError("a date in the future")
    if moment.date() < EARLIEST:
        raise ValueError("a date before 1990")
    return moment


def parse_bool(value: Any) -> bool | None:
    """Yes or no: booleans, 0 and 1, true, yes, no …"""
    if is_missing(value):
        return None
    if isinstance(value, bool):
        return value
    word = str(value).strip().casefold().removesuffix(".0")
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError("neither yes nor no")


def parse_presence(value: Any) -> bool | None:
    """Whether a post has something: yes, no, or the thing itself, such as the name of a place."""
    try:
        return parse_bool(value)
    except ValueError:
        return bool(value)


def parse_media_type(value: Any) -> str | None:
    """One of image, carousel, video, text, from the names that networks use."""
    return None if is_missing(value) else media_type(str(value))


def parse_split(value: Any) -> str | None:
    """One of train, validation, test; ``dev`` is validation."""
    if is_missing(value):
        return None
    word = str(value).strip().casefold()
    if word not in _SPLIT_OF:
        raise ValueError("neither train, validation nor test")
    return _SPLIT_OF[word]


def parse_emotion(value: Any) -> str | None:
    """One of Mikels' eight emotions."""
    if is_missing(value):
        return None
    word = str(value).strip().casefold()
    if word not in MIKELS:
        raise ValueError("not one of Mikels' eight emotions")
    return word


def plain_text(value: Any) -> str:
    """A value as text that can be stored, without null bytes and halves of surrogate pairs."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # ids and categories that a table holds as floats
    return _UNSTORABLE.sub("", str(value))


def storable(value: Any) -> Any:
    """A JSON value with texts that can be stored (see :func:`plain_text`)."""
    if isinstance(value, dict):
        return {plain_text(key): storable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [storable(item) for item in value]
    return plain_text(value) if isinstance(value, str) else value


def hashtags_in(text: str) -> list[str]:
    """Hashtags of a caption without '#', in order; a number alone is not a tag."""
    return [tag for tag in _HASHTAG.findall(text) if not tag.isdecimal()]


def mentions_in(text: str) -> list[str]:
    """Accounts that a caption mentions, without '@', in order; e-mail addresses don't count."""
    return [_UNSEEN.sub("", name) for name in _MENTION.findall(text)]


def without_mentions(text: str) -> str:
    """A caption without the names of the accounts that it mentions."""
    return _MENTION.sub("@ ", text)


def replace_accounts(
    text: str, account: Callable[[str], str], address: Callable[[str], str]
) -> str:
    """A text in which nothing that leads to an account stands as it was written.

    Parameters
    ----------
    account
        What stands in place of a mentioned account, which it gets without '@'.
    address
        What stands in place of an address, of the web or of e-mail.

    Returns
    -------
    The text with other names behind each '@' and ``u/``, and other addresses; accounts that an
    address mentions stay mentioned beside it.
    """

    def changed(match: re.Match[str]) -> str:
        if match["name"] is not None:
            return "@" + account(_UNSEEN.sub("", match["name"]))
        if match["glued"] is not None:
            # What follows it is a mention, or none, as it was before.
            end = "" if re.match("[A-Za-z0-9]", match["glued"][-1]) else "_"
            return "@" + account(_UNSEEN.sub("", match["glued"])) + end
        if match["reddit"] is not None:
            return "u/" + account(match["reddit"])
        if match["mail"] is not None:
            return address(match["mail"])
        mentioned = "".join(f"/@{account(name)}" for name in mentions_in(match["address"]))
        return f"https://{address(match['address'])}{mentioned}"

    return _ACCOUNTS.sub(changed, text)


def parse_id(value: Any) -> str | None:
    """An id as text, without the signs that keep a spreadsheet from rounding it.

    A number that was rounded all the same, such as 1.78E+16, is no id.
    """
    if is_missing(value):
        return None
    rounded = isinstance(value, float) and abs(value) > _LARGEST_EXACT
    text = plain_text(unquoted(value) if isinstance(value, str) else value).strip()
    if rounded or _ROUNDED.fullmatch(text):
        raise ValueError("a number that a spreadsheet rounded, not an id")
    return text


def parse_tags(value: Any, *, spaced: bool = True) -> list[str] | None:
    """A list of tags or accounts without '#' and '@', whatever separates them.

    Spaces separate them only if ``spaced``: in a column with commas or bars between tags, a tag
    may have several words.
    """
    if isinstance(value, list | tuple):
        words = [plain_text(item) for item in value if item is not None]
    elif is_missing(value):
        return None
    else:
        text = plain_text(value).strip()
        if text.startswith("[{"):
            return _called(text)
        text = text.strip("[](){} ")
        text = "" if is_missing(text) else text  # "[none]", as YouTube writes it
        if "#" in text or (spaced and not _TAG_SEPARATORS.search(text)):
            # Each '#' begins a tag, whatever separates them: spaces, commas, nothing.
            words = re.split(r"[\s,;|]+|(?<=[^\s,;|#])(?=#)", text)
        else:
            words = _TAG_SEPARATORS.split(text)
    stripped = (word.strip(" \t\r\n\"'#＃@") for word in words)
    return [word for word in stripped if word]


def _called(text: str) -> list[str]:
    """What the objects of a list are called that a program wrote as a text."""
    for key in _NAMES_OF_TAGS:
        found = re.findall(rf"""['"]{key}['"]\s*:\s*['"]([^'"]{{1,100}})['"]""", text)
        if found:
            return found
    return []


def _called_in(item: Mapping[str, Any]) -> Any:
    """What an object about a picture calls it."""
    texts = (item.get(key) for key in _NAMES_OF_PICTURES)
    return next((text for text in texts if isinstance(text, str)), None)


def parse_names(value: Any) -> list[str] | None:
    """Names of pictures: a list, or a text separated by ';' or '|'.

    A list may hold objects that have a name or an address, such as ``{"url": "a.jpg"}``.
    """
    if isinstance(value, list | tuple):
        named = (_called_in(item) if isinstance(item, dict) else item for item in value)
        return [plain_text(item) for item in named if not is_missing(item)]
    if is_missing(value):
        return None
    text = str(value).strip()
    if text.startswith("[") and text.endswith("]"):
        names = [name.strip(" \"'") for name in text[1:-1].split(",")]
    else:
        names = [name.strip() for name in re.split(r"[;|]", text)]
    return [name for name in names if name]

"""Convert values as sources write them to the types of the schema.

Every ``parse_…`` function returns None for a missing value and raises ValueError, with the reason
in a few words, for one that can't be understood. The bounds are those of the schema.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from evoked.posts.schema import MAX_COUNT, MIKELS, SPLITS

MISSING = {"", "na", "n/a", "#n/a", "nan", "nat", "null", "none", "nil", "-", "--", "–", "—", "?"}
"""Values that mean "unknown", in lower case."""

_MAGNITUDES = {"k": 10**3, "m": 10**6, "b": 10**9}
_COUNT = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*([kmb]?)")
_THOUSANDS = re.compile(r"(?<=\d)[,\s\u2019'_](?=\d{3}(?!\d))")
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
_SLASH_DATE = re.compile(
    r"(\d{1,2})/(\d{1,2})/(\d{4})(?:[ T,]+(\d{1,2}):(\d{2})(?::(\d{2}))?\s*([AaPp][Mm])?)?"
)
_TEXT_DATES = (
    "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S",
    "%Y/%m/%d", "%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S",
    "%b %d, %Y", "%B %d, %Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y %H:%M", "%b %d, %Y, %I:%M %p",
    "%a, %d %b %Y %H:%M:%S %z", "%a %b %d %H:%M:%S %z %Y",
)  # fmt: skip
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_TRUE = {"true", "yes", "y", "1", "t"}
_FALSE = {"false", "no", "n", "0", "f"}
_MEDIA_TYPES = {
    "image": "image photo photos picture graphimage xdtgraphimage feed static 1",
    "video": "video videos reel reels igtv clip clips graphvideo xdtgraphvideo 2",
    "carousel": "carousel album sidecar graphsidecar xdtgraphsidecar carouselalbum "
    "carouselcontainer 8",
    "text": "text status link note tweet",
}
_MEDIA_TYPE_OF = {word: kind for kind, words in _MEDIA_TYPES.items() for word in words.split()}
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
_MENTION = re.compile(
    rf"(?<![A-Za-z0-9]){_AT}[{_INVISIBLE}]{{0,8}}"
    rf"(\[[^\]\n]{{1,300}}\]|{_NAME}(?:{_AT}{_NAME})*+)"
)
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


def parse_count(value: Any) -> int | None:
    """A whole number from 0 to 10^11: 1234, "1,234", "1 234", "1234.0", "1.2K", "3M"."""
    if is_missing(value):
        return None
    if isinstance(value, bool):
        raise ValueError("not a count")
    if isinstance(value, int):
        return _bounded_count(value)
    match = _COUNT.fullmatch(_THOUSANDS.sub("", str(value).strip()).casefold())
    number = _to_float(value) if match is None else float(match[1]) * _MAGNITUDES.get(match[2], 1)
    if not math.isfinite(number):
        raise ValueError("a count that is not finite")
    if abs(number - round(number)) > 1e-6 and (match is None or not match[2]):
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
    """A finite number, with a decimal point or comma."""
    if is_missing(value):
        return None
    text = str(value).strip()
    number = _to_float(text.replace(",", ".") if text.count(",") == 1 else text)
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return number


def parse_hour(value: Any) -> float | None:
    """Hour of the day, from 0 to less than 24."""
    hour = parse_number(value)
    if hour is not None and not 0 <= hour < 24:
        raise ValueError("not an hour from 0 to 23")
    return hour


def parse_weekday(value: Any) -> float | None:
    """Day of the week, Monday = 0: 0 to 6, or an English name of three letters or more."""
    if is_missing(value):
        return None
    name = str(value).strip().casefold()
    matches = [day for day, full in enumerate(_WEEKDAYS) if len(name) >= 3 and full[:3] == name[:3]]
    if matches:
        return float(matches[0])
    day = parse_number(value)
    if day is None or day != int(day) or not 0 <= day <= 6:
        raise ValueError("not a day of the week")
    return day


def has_time(value: Any) -> bool:
    """Whether a date has a time of day: it has a colon, or counts the seconds since 1970."""
    text = str(value).strip()
    return ":" in text or (len(text) > 8 and text.replace(".", "", 1).isdecimal())


def parse_date(
    value: Any, *, day_first: bool = False, zone: tzinfo = UTC, now: datetime | None = None
) -> datetime | None:
    """A date and time in UTC.

    It may be given in ISO 8601, in seconds (or thousandths or millionths of them) since 1970, with
    dots (day first) or slashes (month first unless ``day_first``), or with English names of months.
    Without a time zone, it is in ``zone``.
    """
    if is_missing(value):
        return None
    moment = value if isinstance(value, datetime) else _read_date(str(value).strip(), day_first)
    moment = moment.replace(tzinfo=zone) if moment.tzinfo is None else moment
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("not a date") from None
    if moment > (now or datetime.now(UTC)) + timedelta(days=1):
        raise ValueError("a date in the future")
    if moment < _EARLIEST:
        raise ValueError("a date before 1990")
    return moment


def _read_date(text: str, day_first: bool) -> datetime:
    text = text[:64]
    epoch = _from_epoch(text)
    if epoch is not None:
        return epoch
    match = _SLASH_DATE.fullmatch(text)
    if match is not None:
        return _from_slashes(match, day_first)
    try:
        return datetime.fromisoformat(text.removesuffix(" UTC"))
    except ValueError:
        pass
    for pattern in _TEXT_DATES:
        try:
            return datetime.strptime(text, pattern)
        except ValueError:
            continue
    raise ValueError("not a date")


def _from_epoch(text: str) -> datetime | None:
    """Seconds, thousandths or millionths since 1970; None for what looks like a calendar date."""
    try:
        seconds = float(text)
    except ValueError:
        return None
    if text.isdecimal() and len(text) == 8:  # 20240131
        return None
    if not math.isfinite(seconds):
        raise ValueError("not a date")
    while seconds > 1e11:
        seconds /= 1000
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise ValueError("not a date") from None


def _from_slashes(match: re.Match[str], day_first: bool) -> datetime:
    first, second, year = int(match[1]), int(match[2]), int(match[3])
    day, month = (first, second) if day_first else (second, first)
    hour = int(match[4] or 0)
    if match[7]:
        hour = hour % 12 + (12 if match[7].casefold() == "pm" else 0)
    try:
        return datetime(year, month, day, hour, int(match[5] or 0), int(match[6] or 0), tzinfo=UTC)
    except ValueError:
        raise ValueError("not a date") from None


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
    if is_missing(value):
        return None
    word = re.sub(r"[\W_]", "", str(value).casefold())
    if word not in _MEDIA_TYPE_OF:
        raise ValueError("not a known type of media")
    return _MEDIA_TYPE_OF[word]


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


def replace_mentions(text: str, replacement: Callable[[str], str]) -> str:
    """A caption with the mentioned accounts, passed to ``replacement`` without '@', replaced."""
    return _MENTION.sub(lambda match: "@" + replacement(_UNSEEN.sub("", match[1])), text)


def parse_tags(value: Any) -> list[str] | None:
    """A list of tags or accounts without '#' and '@', whatever separates them."""
    if isinstance(value, list | tuple):
        words = [plain_text(item) for item in value if item is not None]
    elif is_missing(value):
        return None
    else:
        # Each '#' begins a tag, whatever separates them: spaces, no-break spaces, commas, nothing.
        words = re.split(r"[\s,;|]+|(?<=[^\s,;|#])(?=#)", plain_text(value).strip("[](){} "))
    stripped = (word.strip(" \t\r\n\"'#＃@") for word in words)
    return [word for word in stripped if word]


def parse_names(value: Any) -> list[str] | None:
    """Names of pictures: a list, or a text separated by ';' or '|'."""
    if isinstance(value, list | tuple):
        return [plain_text(item) for item in value if not is_missing(item)]
    if is_missing(value):
        return None
    text = str(value).strip()
    if text.startswith("[") and text.endswith("]"):
        names = [name.strip(" \"'") for name in text[1:-1].split(",")]
    else:
        names = [name.strip() for name in re.split(r"[;|]", text)]
    return [name for name in names if name]

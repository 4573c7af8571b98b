"""Facts about posts in plain words, each of all the columns of ``metadata`` that it is spread over.

The encoder gives an hour as sine and cosine, a category as a column of 0 and 1 for each, a number
as its logarithm with another column where it is unknown. People are given "posted at 21:00,
Thursday".
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import date

import pandas as pd

from evoked.features.metadata import MetadataEncoder
from evoked.posts.author_history import KINDS
from evoked.runs.spoken import WEEKDAYS, spoken

_DAY_0 = date(1970, 1, 1).toordinal()
_SUFFIXES = re.compile(r" unknown$| \((?:log|sine|cosine)\)(?: unknown)?$")
# The author's level: mean, median, trend and more of one kind of count.
_PAST = re.compile(
    rf"author's (?:mean|median|last|trend)\b.*? (?P<kind>{'|'.join(KINDS)})"
    r"(?: rate| beside the mean)?$"
)
_EVERYONE = re.compile(r"everyone's mean of the last (\d+) (\w+)$")
_CLOCK = "posting time"
# Marks a person's own column that has the name of another.
_OWN = " (own)"
_FEW_HOURS = 48


def columns_of_facts(encoder: MetadataEncoder) -> dict[str, list[int]]:
    """Columns of ``metadata`` by the fact that they are about, in the encoder's order."""
    found: dict[str, list[int]] = {}
    for number, name in enumerate(encoder.names):
        found.setdefault(_fact(name), []).append(number)
    return found


def facts_in_words(encoder: MetadataEncoder, posts: pd.DataFrame, whose: str) -> list[list[str]]:
    """What each fact is of each of n posts, in words, in the order of :func:`columns_of_facts`.

    Parameters
    ----------
    encoder
        As fitted on the training posts.
    posts
        n posts with their history attached.
    whose
        Whose earlier posts are spoken of: "your", or "the author's".
    """
    raw = encoder.raw(posts)
    facts = list(columns_of_facts(encoder))
    texts = []
    for values in raw:
        known = dict(zip(encoder.names, values.tolist(), strict=True))
        texts.append([_in_words(fact, known, whose) for fact in facts])
    return texts


def _fact(name: str) -> str:
    """What a column is about."""
    if name.endswith(_OWN):
        return _SUFFIXES.sub("", name.removesuffix(_OWN)).partition(": ")[0] + _OWN
    plain = _SUFFIXES.sub("", name)
    if plain in ("hour", "weekday"):
        return _CLOCK
    past = _PAST.match(plain)
    if past:
        return f"author's {past['kind']}"
    group, colon, _ = plain.partition(": ")
    return group if colon else plain


def _in_words(fact: str, known: Mapping[str, float], whose: str) -> str:
    if fact.endswith(_OWN):
        own = {name.removesuffix(_OWN): value for name, value in known.items() if _OWN in name}
        return _plain(fact.removesuffix(_OWN), own, whose)
    if fact == _CLOCK:
        return _when(known)
    if fact == "day" and math.isfinite(known[fact]):
        return f"the trend up to {date.fromordinal(_DAY_0 + int(known[fact]))}"
    if fact.startswith("author's ") and f"{fact} (log)" not in known:
        return _past(fact.removeprefix("author's "), known)
    return _plain(fact, known, whose)


def _plain(fact: str, known: Mapping[str, float], whose: str) -> str:
    """A class, a number or a flag."""
    logarithm = f"{fact} (log)"
    if any(name.startswith(f"{fact}: ") for name in known):
        text = _one_of(fact, known)
    elif known.get(f"{fact} unknown") == 1 or math.isnan(known.get(logarithm, known.get(fact, 0))):
        text = f"{fact} unknown"
    elif logarithm in known:
        text = _counted(fact, math.expm1(known[logarithm]), whose)
    elif fact == "share of capitals":
        text = f"capitals: {known[fact]:.0%} of the characters"
    elif f"{fact} unknown" in known and known[fact] in (0, 1):
        text = f"{fact}: {('no', 'yes')[int(known[fact])]}"
    else:
        text = f"{fact}: {known[fact]:,.4g}"
    return text


def _counted(fact: str, number: float, whose: str) -> str:
    if fact == "author's hours since previous post":
        days = number / 24
        ago = f"{number:.0f} hours" if number < _FEW_HOURS else f"{days:,.0f} days"
        return f"{ago} since {whose} previous post"
    if fact == "author's earlier posts":
        return f"{whose} earlier posts: {number:,.0f}"
    everyone = _EVERYONE.match(fact)
    if everyone:
        return f"everyone's last {everyone[1]} posts' mean: {spoken(number, 3)} {everyone[2]}"
    return f"{fact}: {round(number, 2):,.10g}"


def _when(known: Mapping[str, float]) -> str:
    hour, weekday = (_on_circle(known, name, of) for name, of in (("hour", 24), ("weekday", 7)))
    if math.isnan(hour) and math.isnan(weekday):
        return "time unknown"
    # To the minute: the circle is exact, but not to the last bit.
    minutes = 0 if math.isnan(hour) else round(hour * 60) % (24 * 60)
    clock = "" if math.isnan(hour) else f" at {minutes // 60}:{minutes % 60:02d}"
    day = "" if math.isnan(weekday) else WEEKDAYS[round(weekday) % 7]
    return f"posted{clock}, {day}" if clock and day else f"posted{clock or ' on a ' + day}"


def _on_circle(known: Mapping[str, float], name: str, of: int) -> float:
    """A position from 0 to ``of`` from its sine and cosine."""
    sine, cosine = (known.get(f"{name} ({part})", math.nan) for part in ("sine", "cosine"))
    return math.atan2(sine, cosine) / (2 * math.pi) % 1 * of


def _past(kind: str, known: Mapping[str, float]) -> str:
    for name, words in (
        (f"author's median of the last 10 {kind} (log)", "last ten posts' median"),
        (f"author's mean {kind} (log)", "earlier posts' mean"),
    ):
        value = known.get(name, math.nan)
        if not math.isnan(value):
            return f"{words}: {spoken(math.expm1(value), 4)} {kind}"
    return f"no earlier {kind} known"


def _one_of(fact: str, known: Mapping[str, float]) -> str:
    chosen: Sequence[str] = [
        name.removeprefix(f"{fact}: ")
        for name, value in known.items()
        if name.startswith(f"{fact}: ") and value == 1
    ]
    return f"{fact}: {', '.join(chosen)}" if chosen else f"{fact} unknown"

"""Which column of a table holds which field, by the names in ``names.yaml`` beside this file.

Every pair of a column and a field is scored: by how the column's name matches one of the field's,
by whether the table is that of the name's platform, and by whether its cells can be such values.
The best pairs are taken first, and a column serves one field.

Names are compared without case, accents, spaces, punctuation and camelCase. A name matches as a
whole; without its units (``Duration (sec)``); as the last parts of a path
(``statistics.likeCount``, ``likes.summary.total_count``, ``author_stats_follower_count``); or
without words such as "total", "post" and "number of" (``Total video likes``).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

from evoked.posts.readers.addresses import id_in_address
from evoked.posts.readers.packaged import packaged
from evoked.posts.readers.values import (
    is_missing,
    parse_bool,
    parse_count,
    parse_date,
    parse_media_type,
)
from evoked.posts.schema import COUNTS

ANYBODY = "any"
"""The platform of names that every platform uses."""

_SECTIONS = ("platforms", "nothing", "words", "expected")

# How well a column's name matches: as a whole, without units, as the end of a path (with dots, with
# underscores, of objects that are not known), or without words that say little.
_WHOLE, _NO_UNITS, _PATH, _FLAT_PATH, _LOOSE, _STRANGE_PATH = 70.0, 66.0, 62.0, 58.0, 40.0, 30.0
_OF_THE_PLATFORM, _OF_ANYBODY = 20.0, 10.0
# A later name of a list counts a little less than an earlier one.
_LATER = 0.01
_IMPLAUSIBLE, _EMPTY, _IMPOSSIBLE = -60.0, -30.0, -1000.0
# An address holds an id as well, but a column of ids is one.
_ADDRESS = -2.0
_MOST = 0.5

# Objects about anything else: their fields are not the post's.
_OTHERS = re.compile(
    r"quoted|retweeted|referenced|parent|repl(?:y|ies)to|inreply|^comments?$|latestcomments|"
    r"topcomments|child|music|challenge|sound|audio|place|location|tagged|mention|sponsor|product|"
    r"related|previous|before|goal|average|avg|median|original|shared|benchmark|competitor|change"
)
_COUNT_HOLDERS = frozenset(["count", "counts", "total", "totalcount", "summary", "value"])
_TEXT_HOLDERS = frozenset(
    ["text", "simpletext", "value", "values", "edges", "node", "nodes", "name", "data"]
)
_VALUE_HOLDERS = frozenset(["value", "date", "oid", "id", "seconds", "iso", "timestamp"])
_LOOSE_FIELDS = frozenset((*COUNTS, "posted_at", "title", "caption", "post_id"))
_EVERYBODYS_WORDS = frozenset(("id", "name", "time", "type", "data", "value", "url", "link"))
_SEVERAL = ("hashtags", "mentions", "images")


@dataclass(frozen=True)
class Name:
    """A name of a field in the table of names.

    Attributes
    ----------
    field, platform, language
        Where it stands.
    rank
        Its place among the names that the platform has for the field.
    strict
        Whether it counts only in a table of that platform.
    """

    field: str
    platform: str
    language: str
    rank: int
    strict: bool


@dataclass(frozen=True)
class _Table:
    fields: tuple[str, ...]
    whole: dict[str, list[Name]]
    loose: dict[str, list[Name]]
    author: dict[str, list[Name]]
    nothing: dict[str, set[str]]
    platforms: dict[str, frozenset[str]]
    words: dict[str, frozenset[str]]
    expected: dict[str, list[str]]


@dataclass
class Recognised:
    """The columns of a table that are recognised.

    Attributes
    ----------
    mapping
        Column by field.
    platform
        Whose table it seems to be; "" if that isn't known.
    rivals
        By field, another column that could as well hold it by its name, and holds nothing else.
    spares
        By field, the next best column whose whole name means it, and which holds nothing else: in
        tables of several networks, each has a column of its own.
    """

    mapping: dict[str, str] = field(default_factory=dict)
    platform: str = ""
    rivals: dict[str, str] = field(default_factory=dict)
    spares: dict[str, str] = field(default_factory=dict)


@lru_cache(maxsize=65536)
def normalise(name: str) -> str:
    """A column's name without case, accents, spaces and punctuation.

    Examples
    --------
    >>> normalise("Like_Count"), normalise("Réactions"), normalise("いいね！"), normalise("Größe")
    ('likecount', 'reactions', 'いいね', 'grosse')
    """
    return "".join(_words(name))


def _words(name: str) -> list[str]:
    """The words of a name, in lower case and without accents."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    # Composed and casefolded first, so that equal texts decompose equally.
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", spaced).casefold())
    plain = "".join(each for each in folded if unicodedata.category(each) != "Mn")
    return re.findall(r"[^\W_]+", plain)


def fields() -> tuple[str, ...]:
    """The fields that a column can hold, in the order of the table of names."""
    return _table().fields


def fields_named(name: str) -> list[str]:
    """The fields that a name means by itself, whatever the platform, the likeliest first."""
    found = [each for each in _table().whole.get(normalise(name), ()) if not each.strict]
    return list(dict.fromkeys(each.field for each in found))


def language_of(columns: Sequence[str]) -> str:
    """The language that most of a table's names of columns are in; "" if none of them is known.

    English only if no name is in another: "id" and "caption" stand in tables of any language.
    """
    known = [
        {each.language for each in _table().whole.get(normalise(column), ()) if each.language}
        for column in columns
    ]
    others = Counter(name for names in known if "en" not in names for name in names)
    return max(others, key=lambda each: others[each], default="en" if any(known) else "")


def expected_of(platform: str) -> list[str]:
    """The fields that most posts of a platform have; none for a platform that isn't known."""
    return next((names for of, names in _table().expected.items() if _is_of(of, platform)), [])


def means_nothing(column: str, platform: str) -> bool:
    """Whether a column looks like a field on a platform, and is none."""
    spellings = {normalise(column), normalise(_path(column)[-1])}
    return any(
        not spellings.isdisjoint(names)
        for of, names in _table().nothing.items()
        if of in (ANYBODY, platform)
    )


def recognise(
    columns: Sequence[str],
    cells: Mapping[str, Sequence[Any]] | None = None,
    taken: Sequence[str] = (),
) -> Recognised:
    """The column of each field, by names and cells.

    Parameters
    ----------
    columns
        Names of a table's columns.
    cells
        Some cells of each column; by names alone if left out.
    taken
        Fields that are decided already.
    """
    platform = platform_of(columns)
    cells = cells or {}
    scored = [
        (score, order, found, column)
        for order, column in enumerate(columns)
        for found, score in _scores(column, platform, cells.get(column)).items()
        if found not in taken
    ]
    scored.sort(key=lambda each: (-each[0], each[1]))
    result = Recognised(platform=platform)
    best: dict[str, float] = {}
    means_it = _WHOLE - _LATER * 100
    for score, _, found, column in scored:
        if column in result.mapping.values():
            continue
        if found not in result.mapping:
            result.mapping[found], best[found] = column, score
        elif best[found] - score < 1 and found not in result.rivals:
            result.rivals[found] = column
        if result.mapping[found] != column and score >= means_it:
            result.spares.setdefault(found, column)
    used = set(result.mapping.values())
    for others in (result.rivals, result.spares):
        for name in [name for name, column in others.items() if column in used]:
            del others[name]
    return result


def platform_of(columns: Sequence[str]) -> str:
    """The platform with most of its typical columns among some names; "" if none has two."""
    present = {normalise(column) for column in columns}
    present |= {normalise(_path(column)[-1]) for column in columns if "." in column}
    present |= {normalise(re.sub(r"[(\[（].*?[)\]）]", " ", column)) for column in columns}
    counts = {name: len(typical & present) for name, typical in _table().platforms.items()}
    name = max(counts, key=lambda each: counts[each])
    return name if counts[name] >= 2 else ""


def _scores(column: str, platform: str, cells: Sequence[Any] | None) -> dict[str, float]:
    """How well a column's name and cells fit each field that it may hold."""
    scores: dict[str, float] = {}
    for name, how_well in _matches(column):
        if name.strict and not _may_be_strict(name, platform, cells):
            continue
        score = how_well - _LATER * name.rank
        score += _OF_ANYBODY if name.platform == ANYBODY else 0.0
        score += _OF_THE_PLATFORM if _is_of(name.platform, platform) else 0.0
        scores[name.field] = max(score, scores.get(name.field, 0.0))
    if means_nothing(column, platform):
        return {}
    if cells is not None:
        scores = {found: score + _plausible(found, cells) for found, score in scores.items()}
    return {found: score for found, score in scores.items() if score > 0}


def _may_be_strict(name: Name, platform: str, cells: Sequence[Any] | None) -> bool:
    if name.platform == ANYBODY:
        return cells is not None and _plausible(name.field, cells) in (0, _ADDRESS)
    return _is_of(name.platform, platform)


def _is_of(name: str, platform: str) -> bool:
    """Whether a platform is a table's, or a part of its name: TikTok of TikTok Studio."""
    return bool(platform) and (name == platform or platform.startswith(f"{name} "))


def _matches(column: str) -> Iterator[tuple[Name, float]]:
    table = _table()
    for name in table.whole.get(normalise(column), ()):
        yield name, _WHOLE
    bare = re.sub(r"[(\[（][^%]*?[)\]）]", " ", column)
    if bare != column:
        for name in table.whole.get(normalise(bare), ()):
            yield name, _NO_UNITS
    parts = _path(column)
    if len(parts) > 1:
        yield from _path_matches(parts)
        return
    words = _words(bare)
    for length in range(1, min(4, len(words))):
        first, rest = "".join(words[:length]), "".join(words[length:])
        if first in _words_of("authors"):
            yield from ((name, _FLAT_PATH) for name in table.author.get(rest, ()))
        elif first in _words_of("flat_carriers"):
            yield from ((name, _FLAT_PATH) for name in table.whole.get(rest, ()))
    core = _core(words, table.words["filling"])
    if core != "".join(words):
        yield from ((name, _LOOSE) for name in table.loose.get(core, ()))


def _path(column: str) -> list[str]:
    """The parts of a nested name: ``a.b``, ``a[0].b``, ``a::b``; ``a/b`` where it is no ratio."""
    if " " in column.strip():
        return [column]
    parts = [part for part in re.split(r"\.|\[|\]|::|/", column.strip()) if part]
    known = bool(parts) and normalise(parts[0]) in _words_of("authors", "carriers")
    if "/" in column and not known and not any(part.isdecimal() for part in parts):
        return [column]
    return parts or [column]


def _path_matches(parts: Sequence[str]) -> Iterator[tuple[Name, float]]:
    """Names that the end of a path matches, where the objects on the way allow it."""
    plain = [normalise(part) for part in parts]
    for start in range(len(plain) - 1, -1, -1):
        before, core, after = plain[:start], plain[start], plain[start + 1 :]
        objects = [each for each in before if not each.isdecimal()]
        strange = [each for each in objects if each not in _words_of("authors", "carriers")]
        of_author = not _words_of("authors").isdisjoint(objects)
        index = _table().author if of_author else _table().whole
        for name in index.get(core, ()):
            if not _may_follow(name.field, after) or (core in _words_of("carriers") and after):
                continue
            if name.field in _SEVERAL and any(each.isdecimal() for each in plain):
                continue  # one of several, each in a column of its own
            if not strange:
                yield name, _PATH - len(after)
            elif name.field in COUNTS and not any(map(_OTHERS.search, strange)):
                yield name, _STRANGE_PATH
        if core not in _TEXT_HOLDERS | _COUNT_HOLDERS | _VALUE_HOLDERS and not core.isdecimal():
            return


def _may_follow(name: str, after: Sequence[str]) -> bool:
    """Whether a field's value may be held by the parts of a path that follow its name."""
    if name in COUNTS:
        return all(each in _COUNT_HOLDERS for each in after)
    if name in ("post_id", "posted_at"):
        return all(each in _VALUE_HOLDERS for each in after)
    return all(each in _TEXT_HOLDERS or each in _VALUE_HOLDERS or each == "0" for each in after)


def _core(words: Sequence[str], filling: Collection[str]) -> str:
    """A name without the words that say little."""
    return "".join(word for word in words if word not in filling)


def _plausible(name: str, cells: Sequence[Any]) -> float:
    """What to add to a score since the cells look like another field's, or are all empty."""
    known = [cell for cell in cells if not is_missing(cell) and cell not in ([], {}, ())]
    if not known:
        return _EMPTY
    looks_right = _LOOKS.get(name)
    if looks_right is None:
        return 0.0
    share = sum(map(looks_right, known)) / len(known)
    if share >= _MOST:
        return _ADDRESS if name == "post_id" and "://" in str(known[0]) else 0.0
    return _IMPOSSIBLE if name == "posted_time" else _IMPLAUSIBLE


def _is_count(value: Any) -> bool:
    if isinstance(value, list | dict | tuple):
        return False
    try:
        return parse_count(value) is not None
    except ValueError:
        return len(str(value)) <= 24 and any(each.isdecimal() for each in str(value))


def _is_date(value: Any) -> bool:
    text = str(value).strip()
    if re.fullmatch(r"\d{1,2}[:.h]\d\d(?:[:.]\d\d)?(?:\s*[aApP]\.?[mM]\.?)?", text):
        return False
    try:
        return parse_date(value) is not None
    except ValueError:
        return len(re.findall(r"\d+", text)) >= 2 and not _is_count(value)


def _is_time(value: Any) -> bool:
    return re.match(r"\s*\d{1,2}[:.h]\d\d", str(value)) is not None


def _is_text(value: Any) -> bool:
    text = str(value).strip()
    if isinstance(value, int | float | list | dict) or "://" in text or text.isdecimal():
        return False
    return re.fullmatch(r"(?=.*\d)[A-Za-z0-9_:-]{6,}", text) is None


def _is_id(value: Any) -> bool:
    text = str(value).strip()
    if "://" in text:
        return id_in_address(text) is not None
    return not isinstance(value, list | dict) and " " not in text and len(text) <= 500


def _is_type(value: Any) -> bool:
    try:
        return parse_media_type(value) is not None
    except ValueError:
        return False


def _is_flag(value: Any) -> bool:
    try:
        return parse_bool(value) is not None
    except ValueError:
        return False


def _names_something(value: Any) -> bool:
    return isinstance(value, list) or not str(value).strip().replace(".", "", 1).isdecimal()


_LOOKS = {
    **dict.fromkeys(COUNTS, _is_count),
    "posted_at": _is_date,
    "posted_time": _is_time,
    "caption": _is_text,
    "title": _is_text,
    "post_id": _is_id,
    "media_type": _is_type,
    "carousel": _is_flag,
    "hashtags": _names_something,
    "mentions": _names_something,
}


@cache
def _table() -> _Table:
    """The table of names, read once."""
    content = packaged("names.yaml")
    names = tuple(name for name in content if name not in _SECTIONS)
    words = {kind: frozenset(spelled) for kind, spelled in content["words"].items()}
    table = _Table(names, {}, {}, {}, {}, {}, words, content["expected"])
    for name in names:
        for platform, languages in content[name].items():
            rank = 0
            for language, spellings in languages.items():
                for spelling in spellings:
                    entry = Name(name, platform, language, rank, spelling.endswith("!"))
                    _enter(table, entry, spelling.removesuffix("!"))
                    rank += 1
    for platform, languages in content["nothing"].items():
        spelled = [each for spellings in languages.values() for each in spellings]
        table.nothing[platform] = set(map(normalise, spelled))
    for platform, spellings in content["platforms"].items():
        table.platforms[platform] = frozenset(map(normalise, spellings))
    return table


def _words_of(*kinds: str) -> frozenset[str]:
    """The words of some kinds in the table of names."""
    words = _table().words
    return frozenset().union(*(words[kind] for kind in kinds))


def _enter(table: _Table, entry: Name, spelling: str) -> None:
    if entry.platform == "author":
        table.author.setdefault(normalise(spelling), []).append(entry)
        return
    table.whole.setdefault(normalise(spelling), []).append(entry)
    core = _core(_words(spelling), table.words["filling"])
    if entry.field not in _LOOSE_FIELDS or entry.strict:
        return
    for name in {core, normalise(spelling)} - {"", *_EVERYBODYS_WORDS}:
        table.loose.setdefault(name, []).append(entry)

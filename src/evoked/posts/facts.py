"""Facts: columns of a person's own that the schema doesn't know, such as spend or placement.

The table of posts has a column ``fact.NAME`` for each of them. Its type is the fact's kind:

======== ============= ===========================================
kind     column        what it holds
======== ============= ===========================================
number   float64       amounts, durations, counts known beforehand
flag     bool          yes or no
class    string        one of several classes, in lower case
classes  list<string>  any number of classes, in lower case
======== ============= ===========================================

Unknown values are null, or an empty list.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from evoked.errors import DataError, SettingsError, did_you_mean
from evoked.posts.fact_kinds import Kind
from evoked.posts.readers.number_notation import decimal_sign, read_number
from evoked.posts.readers.values import is_missing, parse_bool, plain_text
from evoked.posts.schema import FACT_PREFIX
from evoked.sentences import listed

_MAX_CLASS_CHARACTERS = 200
_MAX_CLASSES_OF_A_POST = 100
# Classes that are kept by name. Where there are more, no class counts as new.
_MOST_CLASSES = 1000
_SHOWN_CLASSES = 4
# What tables write beside numbers, whatever it is an amount of.
_UNITS = re.compile(r"[$€£¥₹₩₽₺฿%]|(?<![a-z])(?:usd|eur|gbp|jpy|chf|cad|aud|inr|brl)(?![a-z])")
_SEPARATORS = re.compile(r"[;|,]")


@dataclass(frozen=True)
class Fact:
    """What posts show of one fact.

    Attributes
    ----------
    name, kind
        Its name, without the prefix, and what it holds.
    known
        Number of posts with a value.
    low, high
        Range of a number; None for other kinds.
    classes
        The classes, the commonest first, at most a thousand.
    more_classes
        Number of classes beyond these.
    """

    name: str
    kind: Kind
    known: int = 0
    low: float | None = None
    high: float | None = None
    classes: tuple[str, ...] = ()
    more_classes: int = 0

    @property
    def column(self) -> str:
        """Its column in the table of posts."""
        return FACT_PREFIX + self.name

    @property
    def shown(self) -> str:
        """Its values in words: "3 to 120", "feed, story and 2 more"."""
        if self.kind == "number":
            return f"{_amount(self.low)} to {_amount(self.high)}"
        if self.kind == "flag":
            return "yes or no"
        more = len(self.classes) + self.more_classes - _SHOWN_CLASSES
        named = ", ".join(self.classes[:_SHOWN_CLASSES])
        return f"{named} and {more:,} more" if more > 0 else named

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {**asdict(self), "classes": list(self.classes)}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        return cls(**{**state, "classes": tuple(state["classes"])})


def fact_names(columns: Iterable[str]) -> list[str]:
    """The names of the facts among the columns of a table of posts."""
    return [name.removeprefix(FACT_PREFIX) for name in columns if name.startswith(FACT_PREFIX)]


def arrow_type(kind: Kind) -> pa.DataType:
    """The type of a fact's column."""
    types = {
        "number": pa.float64(),
        "flag": pa.bool_(),
        "class": pa.string(),
        "classes": pa.list_(pa.string()),
    }
    return types[kind]


def kind_of(values: pd.Series) -> Kind | None:
    """The kind of a fact by its column in a table of posts; None if no value is known."""
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return "number" if values.notna().any() else None
    known = known_values(values)
    if not known:
        return None
    if isinstance(known[0], bool | np.bool_):
        return "flag"
    return "classes" if isinstance(known[0], list) else "class"


def known_values(values: pd.Series) -> list[Any]:
    """The values of a fact without unknown ones: nulls and empty lists."""
    return values[is_known(values)].tolist()


def is_known(values: pd.Series) -> NDArray[np.bool_]:
    """Which of n values of a fact are known, (n,): neither null nor an empty list."""
    if values.dtype != object:
        return values.notna().to_numpy()
    empty = values.map(lambda value: isinstance(value, list) and not value).to_numpy(bool)
    return values.notna().to_numpy() & ~empty


def describe_facts(posts: pd.DataFrame) -> list[Fact]:
    """The facts of n posts that any of them has."""
    found = ((name, posts[FACT_PREFIX + name]) for name in fact_names(posts.columns))
    return [
        _described(name, kind, values)
        for name, values in found
        if (kind := kind_of(values)) is not None
    ]


def _described(name: str, kind: Kind, values: pd.Series) -> Fact:
    known = known_values(values)
    if kind == "number":
        return Fact(name, kind, len(known), float(min(known)), float(max(known)))
    if kind == "flag":
        return Fact(name, kind, len(known))
    counts = Counter(chain.from_iterable(known) if kind == "classes" else known)
    classes = [each for each, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))]
    kept = tuple(classes[:_MOST_CLASSES])
    return Fact(name, kind, len(known), classes=kept, more_classes=len(classes) - len(kept))


def find_fact(facts: Sequence[Fact], name: str) -> Fact:
    """The fact of a name; case, spaces and punctuation are ignored unless two differ by them.

    Raises
    ------
    SettingsError
        There is no such fact.
    """
    exact = [fact for fact in facts if fact.name == name]
    alike = [fact for fact in facts if _plain(fact.name) == _plain(name)]
    for found in (exact, alike):
        if len(found) == 1:
            return found[0]
    if not facts:
        raise SettingsError(
            f"there is no fact {name!r}: no column of your own was taken as one. Import the posts "
            "with --fact COLUMN, and train again."
        )
    names = [fact.name for fact in facts]
    raise SettingsError(
        f"there is no fact {name!r}; there are {', '.join(names)}.{did_you_mean(name, names)}"
    )


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def parse_fact(kind: Kind, value: Any, decimal_comma: bool = False) -> Any:
    """A value of a fact as the table of posts holds it; None if it is unknown.

    Parameters
    ----------
    kind
        The fact's kind.
    value
        As a source, or a person, writes it.
    decimal_comma
        Whether numbers are written "1.234,5", where a single value could be read in two ways.

    Raises
    ------
    ValueError
        The value is not of this kind.
    """
    if kind == "classes":
        return parse_classes(value) or None
    if is_missing(value):
        return None
    if kind == "number":
        return parse_amount(value, decimal_comma)
    if kind == "flag":
        return parse_bool(value)
    return _class(value) or None


def parse_amount(value: Any, decimal_comma: bool = False) -> float | None:
    """A finite number with any of the signs that tables write beside it.

    12.5, "12,5", "1,234", "1.234,50", "4.2K", "15%", "$1,200", "EUR 3". A comma before exactly
    three digits separates thousands, as in counts, unless ``decimal_comma``.

    Examples
    --------
    >>> [parse_amount(text) for text in ("1,234", "12,5", "4.2K", "15 %", "€1.234,50")]
    [1234.0, 12.5, 4200.0, 15.0, 1234.5]
    """
    if is_missing(value):
        return None
    if isinstance(value, bool | list | tuple | dict):
        raise ValueError("not a number")
    number = read_number(_without_units(value), "," if decimal_comma else ".")
    if not math.isfinite(number):
        raise ValueError("not a number")
    return number


def amount_decimal_sign(value: Any) -> str:
    """Which sign a number's decimals certainly follow, "," or "."; "" if that isn't certain."""
    sign, sure = decimal_sign(_without_units(value))
    return sign if sure else ""


def _without_units(value: Any) -> str:
    return _UNITS.sub("", str(value).casefold()).strip()


def parse_classes(value: Any) -> list[str]:
    """Different classes, from a list or a text with ; | or , between them."""
    if isinstance(value, list | tuple):
        pieces = [item for item in value if not is_missing(item)]
    elif is_missing(value):
        pieces = []
    else:
        pieces = _SEPARATORS.split(str(value).strip("[](){} "))
    named = (_class(piece) for piece in pieces)
    return list(dict.fromkeys(name for name in named if name))[:_MAX_CLASSES_OF_A_POST]


def _class(value: Any) -> str:
    if isinstance(value, dict):
        raise ValueError("not a class")
    text = " ".join(plain_text(value).split()).strip(" \"'").casefold()
    return text[:_MAX_CLASS_CHARACTERS]


def draft_facts(facts: Sequence[Fact], given: Mapping[str, Any] | None, row: int) -> dict[str, Any]:
    """The columns of a draft's facts.

    Parameters
    ----------
    facts
        Those that the run has learned from.
    given
        Values by name.
    row
        Number of the draft, from 1.

    Raises
    ------
    SettingsError
        There is no such fact.
    DataError
        A value is not of the fact's kind.
    """
    columns: dict[str, Any] = {}
    for name, value in (given or {}).items():
        fact = find_fact(facts, name)
        try:
            columns[fact.column] = parse_fact(fact.kind, value)
        except ValueError as error:
            raise DataError(
                f"{str(value)[:80]!r} is {error}.",
                row=row,
                field=fact.name,
                fix=f"This fact is a {fact.kind}: {fact.shown}.",
            ) from error
    return columns


def fact_notes(facts: Sequence[Fact], posts: pd.DataFrame) -> list[str]:
    """What is unusual about the facts of each of n posts, a text each, empty where nothing is.

    Parameters
    ----------
    facts
        Those that a run has learned from.
    posts
        Posts that it is to predict.
    """
    unknown = [
        ~is_known(posts[fact.column]) if fact.column in posts else np.ones(len(posts), dtype=bool)
        for fact in facts
    ]
    notes = []
    for row in range(len(posts)):
        missing = [fact.name for fact, absent in zip(facts, unknown, strict=True) if absent[row]]
        said = [f"{listed(missing)} not given: predicted as unknown"] if missing else []
        said += [
            note
            for fact, absent in zip(facts, unknown, strict=True)
            if not absent[row] and (note := _unusual(fact, posts[fact.column].iloc[row]))
        ]
        notes.append(" ".join(f"{text[0].upper()}{text[1:]}." for text in said))
    return notes


def _unusual(fact: Fact, value: Any) -> str:
    if fact.kind == "number":
        return _outside(fact, value)
    if fact.kind == "flag" or fact.more_classes:
        return ""
    given = value if isinstance(value, list) else [_class(value)]
    new = [each for each in given if each not in fact.classes]
    if not new:
        return ""
    hint = did_you_mean(str(new[0]), fact.classes).strip()
    note = (
        f"{fact.name} {listed([repr(each) for each in new])} is new to the run and counts as "
        f"unknown; it knows {fact.shown}"
    )
    return f"{note} ({hint.rstrip('.')})" if hint else note


def _outside(fact: Fact, value: Any) -> str:
    if not isinstance(value, int | float) or fact.low is None or fact.high is None:
        return ""
    if fact.low <= value <= fact.high:
        return ""
    side, end = ("most", fact.high) if value > fact.high else ("least", fact.low)
    return (
        f"{fact.name} {_amount(value)} counts as {_amount(end)}, the {side} that the run has "
        "learned from"
    )


def _amount(number: float | None) -> str:
    return "" if number is None else f"{number:,.6g}" if abs(number) < 1e6 else f"{number:,.0f}"

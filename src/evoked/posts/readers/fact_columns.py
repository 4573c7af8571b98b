"""Which columns of a table are taken as facts, of which kinds, and which look useful."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evoked.errors import SettingsError, did_you_mean
from evoked.posts.fact_kinds import KINDS, Kind
from evoked.posts.facts import amount_decimal_sign, parse_amount, parse_classes, parse_fact
from evoked.posts.readers.columns import normalise
from evoked.posts.readers.outcome_names import is_outcome
from evoked.posts.readers.values import is_missing, parse_bool, parse_date, plain_text
from evoked.posts.schema import EMOTIONS, ENGAGEMENT, EXPOSURE

# Different values of a column that are looked at; a column with more is judged by these.
_MOST_VALUES = 20_000
# Share of a column's values that must be numbers for it to hold numbers.
_MOSTLY = 0.9
# Share of cells that hold several classes for a column to hold several.
_SOME = 0.1
# Classes that are written as whole numbers.
_MOST_CODES = 64
# Fewer rows than this say nothing about whether each is different.
_FEWEST_ROWS = 20
# Characters of a class on average; longer ones are texts.
_CLASS_CHARACTERS = 40
_FILLED = 0.5
_OUTCOMES = (*ENGAGEMENT, *EXPOSURE)
_CODE = re.compile(r"(?:^|[\W_])(?:id|ids|code|zip|plz)$|(?<=[a-z])I[dD]$|categor", re.IGNORECASE)


def split_choice(text: str) -> tuple[str, Kind | None]:
    """Column and kind of COLUMN or COLUMN:KIND.

    Raises
    ------
    SettingsError
        Nothing but a kind is given.

    Examples
    --------
    >>> split_choice("day:class"), split_choice("spend"), split_choice("ratio 1:2")
    (('day', 'class'), ('spend', None), ('ratio 1:2', None))
    """
    column, _, last = text.rpartition(":")
    kind = next((each for each in KINDS if each == last.strip()), None)
    name = (text if kind is None else column).strip()
    if not name:
        raise SettingsError(f"--fact takes COLUMN or COLUMN:KIND, not {text!r}.")
    return name, kind


@dataclass
class Cells:
    """What a column of a table holds.

    Attributes
    ----------
    rows, lists
        Number of its cells, and of those that hold a list.
    counts
        How often each of its different values occurs, as texts; unknown ones are left out.
    """

    rows: int = 0
    lists: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, value: Any) -> None:
        """Count a cell."""
        self.rows += 1
        if isinstance(value, list | tuple):
            self.lists += 1
            value = ";".join(map(str, value))
        if is_missing(value):
            return
        text = plain_text(value).strip()
        if text in self.counts or len(self.counts) < _MOST_VALUES:
            self.counts[text] += 1

    @property
    def known(self) -> int:
        """Number of cells that were counted."""
        return self.counts.total()

    def share(self, holds: Callable[[str], Any]) -> float:
        """Share of the known cells of which ``holds`` is true and raises no ValueError."""
        return sum(n for text, n in self.counts.items() if _holds(holds, text)) / self.known

    @property
    def decimal_comma(self) -> bool:
        """Whether its numbers are written with a decimal comma."""
        signs = Counter(map(amount_decimal_sign, self.counts))
        return signs[","] > signs["."]


@dataclass(frozen=True)
class FactColumn:
    """A column of a table that is taken as a fact.

    Attributes
    ----------
    column, kind
        The column's name, and the fact's kind.
    decimal_comma
        Whether its numbers are written with a decimal comma.
    """

    column: str
    kind: Kind
    decimal_comma: bool = False

    @property
    def name(self) -> str:
        """The fact's name: the column's, as far as it can be stored."""
        return plain_text(self.column)

    def parse(self, value: Any) -> Any:
        """A cell as the table of posts holds it; ValueError if it isn't of the fact's kind."""
        return parse_fact(self.kind, value, self.decimal_comma)


def choose_columns(
    wanted: Mapping[str, Kind | None], columns: Sequence[str], mapping: Mapping[str, str]
) -> dict[str, Kind | None]:
    """The table's own names of the columns that a person wants as facts, with their kinds.

    Parameters
    ----------
    wanted
        Kind by column, None for one to be guessed; case, spaces and punctuation are ignored.
    columns
        Names of the table's columns.
    mapping
        Columns that hold fields of posts, by field.

    Raises
    ------
    SettingsError
        There is no such column, it holds a field already, or it is known only after posting.
    """
    by_name = {normalise(column): column for column in reversed(columns)}
    chosen = {}
    for name, kind in wanted.items():
        column = name if name in columns else by_name.get(normalise(name), "")
        if not column:
            raise SettingsError(
                f"--fact {name}: the source has no such column; it has {', '.join(columns)}."
                f"{did_you_mean(name, list(columns))}"
            )
        _check_column(column, mapping)
        chosen[column] = kind
    return chosen


def are_drafts(fields: Collection[str]) -> bool:
    """Whether a table with columns for these fields holds posts that have achieved nothing yet."""
    return {*_OUTCOMES, *EMOTIONS, "emotion"}.isdisjoint(fields)


def _check_column(column: str, mapping: Mapping[str, str]) -> None:
    fields = [field for field, held in mapping.items() if held == column]
    if (is_outcome(column) and not fields) or any(field in _OUTCOMES for field in fields):
        raise SettingsError(
            f"--fact {column}: known only after posting, so no draft can have it, and a model that "
            "learned from it would predict the past. If it is known beforehand, rename the column "
            "in the source, for example with the word 'planned'."
        )
    if fields:
        raise SettingsError(
            f"--fact {column}: read as {fields[0]} already, which models know. To take it as a "
            f"fact all the same, add --map {fields[0]}="
        )


def settle_columns(
    chosen: Mapping[str, Kind | None],
    cells: Mapping[str, Cells],
    *,
    drafts: bool = False,
    known: Collection[str] = (),
) -> tuple[list[FactColumn], list[str]]:
    """The facts to read, and a note on each column that is left out because it says nothing.

    Parameters
    ----------
    chosen
        Kind by column, None for one to be guessed.
    cells
        What the columns hold.
    drafts
        Whether the table holds drafts, whose facts may all be the same, or all differ.
    known
        The facts that other posts of the dataset have, so that these may all have the same.
    """
    taken, notes = [], []
    for column, kind in chosen.items():
        problem = _problem(column, cells[column], kind, drafts or column in known)
        if problem:
            notes.append(f"{column} is not taken as a fact: {problem}.")
            continue
        settled = kind or guess_kind(column, cells[column])
        comma = settled == "number" and cells[column].decimal_comma
        taken.append(FactColumn(column, settled, comma))
    return taken, notes


def _problem(column: str, cells: Cells, kind: Kind | None, anything: bool) -> str:
    """Why a column can say nothing about a post; "" if it can."""
    if not cells.known:
        return "it is empty"
    if anything:
        return ""
    if len(cells.counts) == 1 and cells.known == cells.rows:
        return f"it is {next(iter(cells.counts))[:_CLASS_CHARACTERS]!r} for every post"
    if kind is None and _is_unique(column, cells):
        return "it differs for nearly every post, as ids and texts do"
    return ""


def _is_unique(column: str, cells: Cells) -> bool:
    """Whether a column's values hardly repeat, and are no amounts."""
    if cells.known < _FEWEST_ROWS or len(cells.counts) < _MOSTLY * cells.known:
        return False
    if guess_kind(column, cells) != "number":
        return True
    numbers = [parse_amount(text) for text in cells.counts if _holds(_is_whole, text)]
    values = [number for number in numbers if number is not None]
    if len(values) < len(cells.counts):
        return False
    counted = max(values) - min(values) + 1 == len(values)  # a number for each row
    return counted or _CODE.search(column) is not None


def guess_kind(column: str, cells: Cells) -> Kind:
    """The kind of a column with at least one known cell."""
    if cells.lists:
        return "classes"
    if len(cells.counts) <= 2 and cells.share(_is_flag) == 1:
        return "flag"
    if cells.share(_is_amount) >= _MOSTLY:
        is_code = _CODE.search(column) is not None and len(cells.counts) <= _MOST_CODES
        return "class" if is_code and cells.share(_is_whole) == 1 else "number"
    return "classes" if _holds_several(cells) else "class"


def _holds_several(cells: Cells) -> bool:
    """Whether some cells hold several classes, which occur in other cells as well."""
    if cells.share(lambda text: len(parse_classes(text)) > 1) < _SOME:
        return False
    pieces = Counter(piece for text in cells.counts for piece in parse_classes(text))
    short = sum(len(piece) * n for piece, n in pieces.items()) / max(pieces.total(), 1)
    return len(pieces) <= pieces.total() / 2 and short <= _CLASS_CHARACTERS


def suggested(columns: Collection[str], cells: Mapping[str, Cells]) -> list[str]:
    """The columns that look as if posts could be predicted from them.

    They vary, most of their cells are filled, and they hold neither ids nor addresses, dates or
    texts, nor what is known only after posting.
    """
    return [column for column in columns if _looks_useful(column, cells[column])]


def _looks_useful(column: str, cells: Cells) -> bool:
    if is_outcome(column) or not cells.known or cells.known < _FILLED * cells.rows:
        return False
    if len(cells.counts) < 2 or _is_unique(column, cells):
        return False
    kind = guess_kind(column, cells)
    if kind in ("flag", "number"):
        return kind == "flag" or cells.share(_is_date) < _MOSTLY
    length = sum(len(text) * n for text, n in cells.counts.items()) / cells.known
    looks_like_address = cells.share(lambda text: "://" in text or text.startswith("www."))
    return (
        length <= _CLASS_CHARACTERS * (1 + (kind == "classes"))
        and looks_like_address < _MOSTLY
        and cells.share(_is_date) < _MOSTLY
        and (kind == "classes" or len(cells.counts) <= cells.known / 2)
    )


def _holds(predicate: Callable[[str], Any], text: str) -> bool:
    try:
        return bool(predicate(text))
    except ValueError:
        return False


def _is_amount(text: str) -> bool:
    return parse_amount(text) is not None


def _is_whole(text: str) -> bool:
    number = parse_amount(text)
    return number is not None and number.is_integer()


def _is_flag(text: str) -> bool:
    return parse_bool(text) is not None


def _is_date(text: str) -> bool:
    # Amounts are no dates, though they could be seconds since 1970.
    return (not _holds(_is_amount, text) or len(text) > 8) and parse_date(text) is not None

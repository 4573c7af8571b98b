"""Rows of a table that are no posts: totals, a header in the middle, units, footers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from evoked.posts.readers.base import Skipped
from evoked.posts.readers.dates import read_moment
from evoked.posts.readers.plain_signs import folded, plain_signs
from evoked.posts.readers.values import MISSING, is_missing, plain_text
from evoked.posts.readers.words import words
from evoked.posts.schema import COUNTS

TOTAL = "a total or an average, not a post"
EMPTY = "an empty row"
HEADER = "the header once more"
UNITS = "names or units, not values"
NOTE = "a note beside the posts"
UNNAMED = "neither an id nor a date nor a text"

_IN_BRACKETS = re.compile(r"\([^)]*\)|\[[^\]]*\]|:.*$")
_MAX_LABEL = 60
_ALL_POSTS = frozenset(
    ("all posts", "all videos", "all tweets", "all pins", "all content", "alle beitrage",
     "alle videos", "toutes les publications", "todas las publicaciones", "todos os posts",
     "tutti i post", "すへての投稿", "全部帖子")
)  # fmt: skip
_MAX_BLANK = max(map(len, MISSING))
_TEXTS = ("caption", "title")
_ACCOUNT = ("author_id", "media_type")
_IDENTITY = ("post_id", "posted_at", *_TEXTS, "images", *_ACCOUNT)
# A note takes one cell of a table with at least so many columns, and a table ends with few of them.
_FEWEST_COLUMNS = 4
_MOST_NOTES = 3


def is_total(value: Any) -> bool:
    """Whether a cell names a sum or an average, in any of about 30 languages.

    Examples
    --------
    >>> [is_total(text) for text in ("Grand Total", "Average per post:", "合計", "Total (2)")]
    [True, True, True, True]
    >>> [is_total(text) for text in ("Total eclipse", "a total", "Summer")]
    [False, False, False]
    """
    if not isinstance(value, str) or len(value) > _MAX_LABEL or value.isdecimal():
        return False
    text = value.strip(" *#-–—_=")
    if text.casefold() in ("ø", "σ", "∑"):
        return True
    if folded(plain_signs(text)) in _ALL_POSTS:
        return True
    found = re.findall(r"[^\W\d_]+", folded(plain_signs(_IN_BRACKETS.sub("", text))))
    totals = words("totals")
    return not totals.isdisjoint(found) and (totals | words("beside_totals")).issuperset(found)


class NotPosts:
    """Knows which rows of a table are no posts.

    Every row is added first, since notes below the posts are known by there being no post after
    them.

    Parameters
    ----------
    mapping
        Column by field.
    columns
        All columns of the table.
    has_width
        Whether each row has a cell for every column.
    """

    def __init__(self, mapping: Mapping[str, str], columns: Sequence[str], has_width: bool) -> None:
        self._date = mapping.get("posted_at", "")
        self._texts = [mapping[field] for field in _TEXTS if field in mapping]
        self._identity = [mapping[field] for field in _IDENTITY if field in mapping]
        self._account = [mapping[field] for field in _ACCOUNT if field in mapping]
        self._ids = mapping.get("post_id", "")
        self._counts = [mapping[field] for field in COUNTS if field in mapping]
        self._named = len({"post_id", "posted_at", *_TEXTS}.intersection(mapping))
        self._may_end_with_notes = has_width and len(columns) >= _FEWEST_COLUMNS
        self._last_post = 0
        self._thin: list[int] = []
        self._doubtful: set[int] = set()

    def add(self, number: int, row: Mapping[str, Any]) -> None:
        """Take a row, by its number, into account."""
        if not self._is_plainly_a_post(row):
            self._doubtful.add(number)
        if self._may_end_with_notes and len(self._thin) <= _MOST_NOTES:
            if _number_filled(row, most=2) == 1:
                self._thin.append(number)
            else:
                self._last_post = number

    def why(self, number: int, row: Mapping[str, Any]) -> str:
        """Why a row is no post; "" for a post."""
        if number not in self._doubtful:
            return ""
        filled = {column: value for column, value in row.items() if not _is_blank(value)}
        if not filled:
            return EMPTY
        checks: tuple[tuple[str, bool], ...] = (
            (HEADER, self._repeats_header(filled)),
            (TOTAL, self._sums_up(filled)),
            (UNITS, self._names_units(filled)),
            (NOTE, self._is_note(number, filled)),
            (UNNAMED, self._named > 1 and filled.keys().isdisjoint(self._identity)),
        )
        return next((why for why, applies in checks if applies), "")

    def _is_plainly_a_post(self, row: Mapping[str, Any]) -> bool:
        """Whether a row has a date, and an id or a text that is no label; checked first, being
        quick."""
        if not self._date or not _has_digit(row.get(self._date)):
            return False
        others = (row.get(column) for column in self._identity if column != self._date)
        return any(not _is_blank(value) and not is_total(value) for value in others)

    def _repeats_header(self, filled: Mapping[str, Any]) -> bool:
        same = sum(
            isinstance(value, str) and value.strip() == column for column, value in filled.items()
        )
        return same >= max(2, len(filled) / 2)

    def _sums_up(self, filled: Mapping[str, Any]) -> bool:
        labels = [column for column in self._identity if is_total(filled.get(column))]
        first = next(iter(filled))
        if is_total(filled[first]):
            labels.append(first)
        if not labels:
            return False
        # The account may stand in a row of sums, but not beside a text that merely looks like it.
        in_text = set(labels) <= set(self._texts)
        others = (
            self._identity if in_text else [c for c in self._identity if c not in self._account]
        )
        return not any(
            column in filled and column not in labels and self._identifies(column, filled[column])
            for column in others
        )

    def _identifies(self, column: str, value: Any) -> bool:
        """Whether a value says which post a row is about; a date has to be one."""
        return column != self._date or _is_date(value)

    def _names_units(self, filled: Mapping[str, Any]) -> bool:
        """Whether no column that should hold digits does, in a row that has several of them."""
        expected = [column for column in (self._date, *self._counts) if column in filled]
        if len(expected) < 2 or (self._date and self._date not in filled):
            return False
        if not self._date and _has_digit(filled.get(self._ids, "1")):
            return False
        return not any(_has_digit(filled[column]) for column in expected)

    def _is_note(self, number: int, filled: Mapping[str, Any]) -> bool:
        if len(filled) > 1 or not self._may_end_with_notes:
            return False
        ((column, value),) = filled.items()
        if " " not in str(value).strip():
            return False
        below = 0 < self._last_post < number and len(self._thin) <= _MOST_NOTES
        return below or column not in self._texts


def only_posts(
    rows: Callable[[], Iterator[tuple[int, Mapping[str, Any]] | Skipped]],
    not_posts: NotPosts,
    file: str,
) -> Iterator[tuple[int, Mapping[str, Any]] | Skipped]:
    """The rows of a table, with a remark in place of each that is no post."""
    for item in rows():
        if isinstance(item, Skipped):
            yield item
        elif why := not_posts.why(*item):
            first = next((value for value in item[1].values() if not _is_blank(value)), "")
            yield Skipped(why, file, item[0], value=plain_text(first)[:80])
        else:
            yield item


def _is_blank(value: Any) -> bool:
    if isinstance(value, str) and len(value) > _MAX_BLANK:
        return value.isspace()
    return not isinstance(value, list) and is_missing(value)


def _number_filled(row: Mapping[str, Any], most: int) -> int:
    """Number of a row's filled cells, or ``most`` if there are more."""
    number = 0
    for value in row.values():
        number += not _is_blank(value)
        if number == most:
            break
    return number


def _has_digit(value: Any) -> bool:
    if not isinstance(value, str):
        return not _is_blank(value)
    return value[:1].isdecimal() or any(map(str.isdecimal, value))


def _is_date(value: Any) -> bool:
    try:
        return bool(read_moment(value))
    except ValueError:
        return False

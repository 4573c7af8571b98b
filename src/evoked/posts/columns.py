"""Columns of posts by name: the little of a table that predicting takes, without pandas.

Importing pandas takes longer than predicting one draft. What leads from posts to predictions
therefore asks for columns by the functions of this file, which read a DataFrame of many posts and
:class:`Columns` of a few alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

    Posts: TypeAlias = "pd.DataFrame | Columns"

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

# Up to so many posts, pandas takes longer to hand out a column than it takes to read it.
_FEW = 64

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = _EPOCH.resolution


class Columns:
    """Columns of n posts.

    Parameters
    ----------
    columns
        Values by name, (n,) each; None or NaN where unknown.
    rows
        n.
    """

    def __init__(self, columns: Mapping[str, Sequence[Any] | NDArray[Any]], rows: int) -> None:
        self._columns = dict(columns)
        self._rows = rows

    def __len__(self) -> int:
        return self._rows

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __getitem__(self, name: str) -> Sequence[Any] | NDArray[Any]:
        return self._columns[name]

    def assign(self, **columns: Sequence[Any] | NDArray[Any]) -> Columns:
        """These columns and others, which take the place of those of the same name."""
        return Columns({**self._columns, **columns}, self._rows)


class _ColumnsOfTable(Columns):
    """A table's columns, each made when it is first asked for."""

    def __init__(self, table: pd.DataFrame) -> None:
        import pandas as pd

        super().__init__({}, len(table))
        self._places = {str(name): place for place, name in enumerate(table)}
        self._values = np.array(table, dtype=object)
        self._values[pd.isna(self._values)] = None

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __getitem__(self, name: str) -> Sequence[Any] | NDArray[Any]:
        if name not in self._columns:
            self._columns[name] = self._values[:, self._places[name]].tolist()
        return self._columns[name]


def looked_up(posts: Posts) -> Posts:
    """Posts whose columns are asked for again and again: a table of few as columns that are read
    once, in a fiftieth of the time; many as they are."""
    if isinstance(posts, Columns) or len(posts) > _FEW:
        return posts
    return _ColumnsOfTable(posts)


def values_of(posts: Posts, name: str) -> list[Any]:
    """Values of n posts, None where unknown, and for all where there is no such column.

    Examples
    --------
    >>> values_of(Columns({"title": ["Hello", float("nan")]}, 2), "title")
    ['Hello', None]
    """
    if name not in posts:
        return [None] * len(posts)
    return listed(posts[name])


def listed(column: pd.Series | Sequence[Any] | NDArray[Any]) -> list[Any]:
    """The values of one column, None where unknown."""
    if isinstance(column, Sequence | np.ndarray):
        return [None if _is_unknown(value) else value for value in column]
    values: list[Any] = column.tolist()
    unknown = column.isna().to_numpy()
    if unknown.any():
        values = [None if gone else value for value, gone in zip(values, unknown, strict=True)]
    return values


def numbers_of(posts: Posts, name: str) -> Floats:
    """Numbers of n posts, (n,): NaN where unknown or no number, and where there is no such column.

    Examples
    --------
    >>> numbers_of(Columns({"likes": [3, None]}, 2), "likes")
    array([ 3., nan])
    """
    if name not in posts:
        return np.full(len(posts), np.nan)
    column = posts[name]
    if not isinstance(column, Sequence | np.ndarray):
        import pandas as pd

        numbers = pd.to_numeric(column, errors="coerce")
        return np.asarray(numbers.to_numpy(np.float64, na_value=np.nan))
    if isinstance(column, np.ndarray) and column.dtype != object:
        return column.astype(np.float64)
    return np.array([_number(value) for value in column], dtype=np.float64)


def instants_of(posts: Posts, name: str = "posted_at") -> tuple[Whole, NDArray[np.bool_]]:
    """Microseconds since 1970, 0 where unknown, and which posts have a date, (n,) each."""
    if name not in posts:
        return np.zeros(len(posts), dtype=np.int64), np.zeros(len(posts), dtype=bool)
    column = posts[name]
    if isinstance(column, Sequence | np.ndarray):
        known = np.array([not _is_unknown(value) for value in column], dtype=bool)
        found = [0 if _is_unknown(value) else (value - _EPOCH) // _MICROSECOND for value in column]
        return np.array(found, dtype=np.int64), known
    import pandas as pd

    dates = pd.to_datetime(column, utc=True).dt.as_unit("us")
    known = dates.notna().to_numpy()
    return np.where(known, dates.astype("int64").to_numpy(), 0), known


def as_column(posts: Posts, values: Sequence[Any] | NDArray[Any]) -> Any:
    """Objects, (n,), as a column to assign to posts: pandas would turn None into NaN, which is
    true."""
    if isinstance(posts, Columns):
        return list(values)
    import pandas as pd

    return pd.Series(list(values), posts.index, dtype=object)


def numbered(values: Iterable[Any]) -> tuple[Whole, list[Any]]:
    """Numbers of the different values, by where they come first, and these values.

    Examples
    --------
    >>> numbered(["b", "a", "b"])
    (array([0, 1, 0]), ['b', 'a'])
    """
    number: dict[Any, int] = {}
    codes = [number.setdefault(value, len(number)) for value in values]
    return np.array(codes, dtype=np.int64), list(number)


def _is_unknown(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _number(value: Any) -> float:
    try:
        return float("nan") if value is None else float(value)
    except (TypeError, ValueError):
        return float("nan")

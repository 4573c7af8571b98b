"""Facts as columns of the metadata: what a person's own columns contribute to them.

A number is one column, of its logarithm where that is less skewed; a flag one of 0 and 1. Each of
the commonest classes has a column; rarer ones share a few, by a hash of their name (Weinberger et
al. 2009, *Feature hashing for large scale multitask learning*), which needs no target. Every fact
has a column that says whether it is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from evoked.posts.columns import numbers_of, values_of
from evoked.posts.fact_kinds import Kind
from evoked.posts.facts import Fact, describe_facts
from evoked.posts.readers.values import plain_text
from evoked.posts.vocabulary import FACT_PREFIX

if TYPE_CHECKING:
    import pandas as pd

    from evoked.posts.columns import Posts

Floats = NDArray[np.float64]
Arrays = dict[str, Floats]

_MOST_CLASSES = 64
_SHARED = 16
# Skewness from which a number's logarithm is considered.
_SKEWED = 1.0


@dataclass(frozen=True)
class FactEncoder:
    """One fact, as training posts have it.

    Attributes
    ----------
    name, kind
        The fact.
    classes
        Classes with a column of their own.
    shared
        Number of columns that other classes share.
    low, high
        Range of a number; values beyond it count as its ends.
    logarithm
        Whether the logarithm of a number, plus one, is taken.
    """

    name: str
    kind: Kind
    classes: tuple[str, ...] = ()
    shared: int = 0
    low: float = 0.0
    high: float = 0.0
    logarithm: bool = False

    @classmethod
    def fit(cls, fact: Fact, values: pd.Series) -> Self:
        """Learn classes or the range of a fact from the values of training posts."""
        if fact.kind != "number":
            shared = _SHARED * (len(fact.classes) > _MOST_CLASSES)
            return cls(fact.name, fact.kind, fact.classes[:_MOST_CLASSES], shared)
        low, high = float(fact.low or 0.0), float(fact.high or 0.0)
        logarithm = low >= 0 and _is_skewed(values.dropna().to_numpy(np.float64))
        return cls(fact.name, fact.kind, low=low, high=high, logarithm=logarithm)

    def columns(self, posts: Posts) -> tuple[Arrays, Arrays]:
        """Columns to standardise, NaN where unknown, and columns of 0 and 1, (n,) each by name."""
        values = values_of(posts, FACT_PREFIX + self.name)
        if self.kind == "number":
            return self._number(numbers_of(posts, FACT_PREFIX + self.name))
        if self.kind == "flag":
            is_set = [each in (True,) for each in values]
            unknown = [each not in (True, False) for each in values]
            return {}, {self.name: _switch(is_set), f"{self.name} unknown": _switch(unknown)}
        return {}, self._classes(values)

    def _number(self, given: Floats) -> tuple[Arrays, Arrays]:
        numbers = np.clip(given, self.low, self.high)
        unknown = {f"{self.name} unknown": np.isnan(numbers).astype(np.float64)}
        if self.logarithm:
            return {f"{self.name} (log)": np.log1p(numbers)}, unknown
        return {self.name: numbers}, unknown

    def _classes(self, values: list[Any]) -> Arrays:
        listed = [
            (row, each)
            for row, value in enumerate(values)
            if value is not None
            for each in _as_classes(value)
        ]
        place = {each: column for column, each in enumerate(self.classes)}
        rows = np.array([row for row, _ in listed], dtype=np.int64)
        codes = np.array([place.get(each, -1) for _, each in listed], dtype=np.int64)
        if self.shared and (codes < 0).any():
            rarer = [each for (_, each), code in zip(listed, codes, strict=True) if code < 0]
            codes[codes < 0] = len(self.classes) + self._shared_columns(rarer)
        switches = np.zeros((len(values), len(self.classes) + self.shared))
        known = codes >= 0
        switches[rows[known], codes[known]] = 1.0
        names = [f"{self.name}: {each}" for each in self.classes]
        names += [f"{self.name}: rarer ones, {each + 1}" for each in range(self.shared)]
        unknown = {f"{self.name} unknown": (switches.sum(axis=1) == 0).astype(np.float64)}
        return dict(zip(names, switches.T, strict=True)) | unknown

    def _shared_columns(self, classes: list[str]) -> NDArray[np.int64]:
        """Which of the shared columns each of m rarer classes has, (m,)."""
        import pandas as pd

        hashed = pd.util.hash_array(np.array(classes, dtype=object), categorize=False)
        return np.asarray(hashed % np.uint64(self.shared)).astype(np.int64)

    def to_dict(self) -> dict[str, Any]:
        """The state, ready for JSON."""
        return {**asdict(self), "classes": list(self.classes)}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`; KeyError or TypeError if this is no such state."""
        return cls(**{**state, "classes": tuple(state["classes"])})


def fit_facts(posts: pd.DataFrame) -> tuple[FactEncoder, ...]:
    """Encoders of the facts that any of n training posts has."""
    return tuple(FactEncoder.fit(fact, posts[fact.column]) for fact in describe_facts(posts))


def fact_columns(
    facts: Sequence[FactEncoder], posts: Posts, taken: Sequence[str]
) -> tuple[Arrays, Arrays]:
    """Columns of all facts, as of :meth:`FactEncoder.columns`.

    Parameters
    ----------
    facts, posts
        The facts, and n posts.
    taken
        Names that other columns have already: a fact's column of the same name is marked.
    """
    numbers: Arrays = {}
    flags: Arrays = {}
    for fact in facts:
        for columns, found in zip((numbers, flags), fact.columns(posts), strict=True):
            columns |= {
                f"{name} (own)" if name in taken else name: own for name, own in found.items()
            }
    return numbers, flags


def _as_classes(value: Any) -> list[str]:
    """Classes as the training posts have them, of a fact that may be of another kind in others."""
    return list(value) if isinstance(value, list | np.ndarray) else [plain_text(value).casefold()]


def _is_skewed(values: Floats) -> bool:
    """Whether few values are far above most, and less so in logarithms."""
    raw = _skewness(values)
    return raw > _SKEWED and abs(_skewness(np.log1p(values))) < raw


def _skewness(values: Floats) -> float:
    spread = values.std()
    return float(np.mean(((values - values.mean()) / spread) ** 3)) if spread > 0 else 0.0


def _switch(values: list[bool]) -> Floats:
    return np.array(values, dtype=np.float64)

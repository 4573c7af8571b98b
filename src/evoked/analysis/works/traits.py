"""Things that a post can have or lack, such as a question in its caption."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

FEWEST_POSTS = 8
"""Posts that must have a thing, and that must lack it, to be compared."""
_LEAST_SHARE = 0.02


@dataclass(frozen=True, eq=False)
class Trait:
    """One thing that posts have or lack.

    Attributes
    ----------
    kind
        What it is one of, such as ``hashtag``.
    phrase
        Which posts have it, as it follows "posts": "with a question in the caption".
    values
        (n,): 1 for posts that have it, 0 for those that lack it, NaN where that is unknown.
    kin
        Names of the :class:`Surroundings` that are another view of the same thing, so that its
        effect is not freed of these.
    """

    kind: str
    phrase: str
    values: Floats
    kin: frozenset[str] = field(default_factory=frozenset)

    @property
    def having(self) -> int:
        """Posts that have it."""
        return int((self.values == 1).sum())

    @property
    def lacking(self) -> int:
        """Posts that lack it."""
        return int((self.values == 0).sum())


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Something about posts that effects of other things are freed of.

    Attributes
    ----------
    name
        What it is, in words: "hour", "length of the caption".
    columns
        (n, any): numbers, NaN where unknown.
    """

    name: str
    columns: Floats


def trait(kind: str, phrase: str, has: ArrayLike, *kin: str, known: ArrayLike = True) -> Trait:
    """A trait from booleans.

    Parameters
    ----------
    kind, phrase, kin
        As in :class:`Trait`.
    has
        (n,) bool.
    known
        (n,) bool: whether it is known of each post.
    """
    values = np.where(np.asarray(known, bool), np.asarray(has, np.float64), np.nan)
    return Trait(kind, phrase, values, frozenset(kin))


def comparable(traits: Iterable[Trait]) -> list[Trait]:
    """The traits that enough posts have and lack; of those that the same posts have, the first."""
    kept: dict[bytes, Trait] = {}
    for each in traits:
        if min(each.having, each.lacking) >= fewest_posts(len(each.values)):
            kept.setdefault(each.values.tobytes(), each)
    return list(kept.values())


def fewest_posts(posts: int) -> int:
    """Posts that must have and must lack a thing among so many: 8, or 2 % if that is more."""
    return max(FEWEST_POSTS, int(np.ceil(_LEAST_SHARE * posts)))

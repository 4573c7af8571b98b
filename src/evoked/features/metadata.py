"""The feature ``metadata``: what is known about a post before it appears (ABMF, Section 3.2).

Author, category, time, form of the post and of its caption, what the author's strictly earlier
posts achieved (:mod:`evoked.posts.author_history`), and the facts of a person's own
(:mod:`evoked.features.facts`). The post's own engagement is never read.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evoked.features.facts import FactEncoder, fact_columns, fit_facts
from evoked.posts.author_history import KINDS, PREFIX, known_counts, with_history
from evoked.posts.columns import instants_of, looked_up, numbers_of, values_of
from evoked.posts.drafts import MEDIA_TYPES
from evoked.posts.vocabulary import ENGAGEMENT, MAX_CAPTION_CHARACTERS

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from evoked.posts.columns import Posts

    Captions: TypeAlias = list[str] | pa.Array

Floats = NDArray[np.float64]

_VERSION = 2
_PROFILE = ("followers", "following", "author_posts")
_FLAGS = ("paid", "has_location")
# Columns of the hour and the weekday begin with these.
_TIME = ("hour (", "weekday (")
# Fields of a draft by what the columns that are made from them begin with.
_FIELDS: dict[str, str | tuple[str, ...]] = {
    "category": "category: ",
    "media_type": "media type: ",
    "posted_at": _TIME,
    "paid": "paid",
    "followers": "followers (",
    "following": "following (",
    "author_posts": "author posts (",
}
# What an author's earlier posts achieved, by the start of the column of the attached history.
_PAST = {
    "mean": "mean",
    "last": "last",
    "mean5": "mean of the last 5",
    "mean10": "mean of the last 10",
    "median10": "median of the last 10",
    "trend": "trend over the last 5",
}
# Which of these are given beside the mean of all the author's posts as well: a post that follows
# good ones is no rarity, and trees cannot subtract.
_BESIDE_MEAN = ("last", "mean5", "mean10", "median10")
_MICROSECONDS_PER_DAY = 86_400_000_000
_MICROSECONDS_PER_MINUTE = 60_000_000
_MINUTES_PER_DAY = 24 * 60
_FIRST_WEEKDAY = 3  # 1970 began on a Thursday
# From so many on, captions are searched by Arrow, whose import takes longer than searching fewer.
_MANY_CAPTIONS = 1000
# Only the commonest categories have a column of their own; the others count as unknown.
_MAX_CATEGORIES = 64
# Standard deviations from the mean beyond which a value just counts as far away.
_FARTHEST = 10.0
# Pictographs, dingbats and flags, without the skin tones, which only modify the emoji before them.
_EMOJI = "[\U0001f000-\U0001f3fa\U0001f400-\U0001faff\u2600-\u27bf]"
# The patterns mean the same in Python, with ASCII classes, and in Arrow.
_CAPTION_COUNTS = {
    "words": r"[^\t\n\f\r ]+",
    "emoji": _EMOJI,
    "question marks": "[?？]",
    "exclamation marks": "[!！]",
    "URLs": r"\b[Hh][Tt][Tt][Pp][Ss]?://|\b[Ww][Ww][Ww]\.",
}
_HASHTAGS = "[#＃][^\\t\\n\\f\\r #＃]"
_MENTIONS = "@[A-Za-z0-9_]"


@dataclass(frozen=True)
class MetadataEncoder:
    """Turns posts into standardised numbers; made by :meth:`fit`.

    Attributes
    ----------
    categories
        Product categories with a column of their own.
    names
        A name per column, for explanations.
    means, scales
        (width,): what is subtracted from a column, and what the difference is multiplied by. The
        scale is 0 for a column that didn't vary in training.
    kinds
        Kinds of counts that a training post has; only these have columns about earlier posts.
    days
        First and last day of the training posts, since 1970; None where none is dated. Earlier and
        later posts count as of these days: a trend is never drawn further than it was seen.
    facts
        The facts that a training post has.
    """

    categories: tuple[str, ...]
    names: tuple[str, ...]
    means: Floats
    scales: Floats
    kinds: tuple[str, ...]
    days: tuple[float, float] | None
    facts: tuple[FactEncoder, ...] = ()

    @classmethod
    def fit(cls, posts: pd.DataFrame) -> Self:
        """Learn categories, means and scales from training posts.

        Parameters
        ----------
        posts
            n posts with any of the columns of :mod:`evoked.posts.schema`, and with those of
            :func:`evoked.posts.author_history.attach_history` unless they are to see each other's
            past alone.
        """
        posts = with_history(posts)
        kinds = tuple(name for name in KINDS if np.isfinite(known_counts(posts, name)).any())
        named = [name for name in _texts(posts, "category") if name is not None]
        categories = tuple(name for name, _ in Counter(named).most_common(_MAX_CATEGORIES))
        days, facts = _range(_days(posts)), fit_facts(posts)
        numbers, flags = _columns(posts, kinds, categories, days, facts)
        values = _matrix(numbers)
        known = np.isfinite(values)
        count = np.maximum(known.sum(axis=0), 1)
        means = np.where(known, values, 0.0).sum(axis=0) / count
        spread = np.sqrt((np.where(known, values - means, 0.0) ** 2).sum(axis=0) / count)
        varied = spread > 1e-9 * np.maximum(1.0, np.abs(means))
        switches = _matrix(flags)
        switched = (switches.any(axis=0) & ~switches.all(axis=0)).astype(np.float64)
        return cls(
            categories=categories,
            names=(*numbers, *flags),
            means=np.concatenate([means, np.zeros(len(flags))]),
            scales=np.concatenate([varied / np.where(varied, spread, 1.0), switched]),
            kinds=kinds,
            days=days,
            facts=facts,
        )

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.names)

    @property
    def of_time(self) -> NDArray[np.bool_]:
        """Which columns are the hour's or the weekday's, (width,)."""
        return np.array([name.startswith(_TIME) for name in self.names])

    @property
    def learned_fields(self) -> list[str]:
        """Fields of a draft, but for texts and picture, in which the training posts differed;
        ``facts`` stands for those of a person's own."""
        varied = [name for name, scale in zip(self.names, self.scales, strict=True) if scale]
        found = [
            field
            for field, start in _FIELDS.items()
            if any(name.startswith(start) for name in varied)
        ]
        return [*found, "facts"] if self.facts else found

    def transform(self, posts: Posts) -> NDArray[np.float32]:
        """Encode posts.

        A post without a date has no past: date a draft with the moment at which it will appear.

        Parameters
        ----------
        posts
            n posts with what they see of their authors' earlier posts
            (:func:`evoked.posts.author_history.attach_history`); if that is not attached, they see
            each other's past alone.

        Returns
        -------
        ndarray
            float32, (n, width), finite: standardised. Unknown values are 0, and another column
            marks them as unknown.
        """
        values = (self.raw(posts) - self.means) * self.scales
        bounded = np.clip(np.nan_to_num(values), -_FARTHEST, _FARTHEST)
        return bounded.astype(np.float32)

    def raw(self, posts: Posts) -> Floats:
        """The numbers of :meth:`transform` before they are standardised, (n, width); NaN where
        unknown."""
        numbers, flags = _columns(
            looked_up(with_history(posts)), self.kinds, self.categories, self.days, self.facts
        )
        return _matrix(numbers | flags)

    def to_dict(self) -> dict[str, Any]:
        """The state, ready for JSON; it names no author."""
        return {
            "version": _VERSION,
            "categories": list(self.categories),
            "names": list(self.names),
            "means": self.means.tolist(),
            "scales": self.scales.tolist(),
            "kinds": list(self.kinds),
            "days": None if self.days is None else list(self.days),
            "facts": [fact.to_dict() for fact in self.facts],
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`.

        Raises
        ------
        KeyError, TypeError, ValueError
            This is not the state of an encoder, or that of another version.
        """
        if state["version"] != _VERSION:
            raise ValueError(f"metadata encoder of version {state['version']!r}, not {_VERSION}")
        width = len(state["names"])
        return cls(
            categories=tuple(state["categories"]),
            names=tuple(state["names"]),
            means=np.array(state["means"], dtype=np.float64).reshape(width),
            scales=np.array(state["scales"], dtype=np.float64).reshape(width),
            kinds=tuple(state["kinds"]),
            days=None if state["days"] is None else (state["days"][0], state["days"][1]),
            facts=tuple(map(FactEncoder.from_dict, state["facts"])),
        )


def _columns(
    posts: Posts,
    kinds: tuple[str, ...],
    categories: tuple[str, ...],
    days: tuple[float, float] | None,
    facts: tuple[FactEncoder, ...],
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Columns to standardise, NaN where unknown, and columns of 0 and 1."""
    profile = {
        f"{name.replace('_', ' ')} (log)": np.log1p(known_counts(posts, name)) for name in _PROFILE
    }
    numbers = profile | _time(posts)
    if days is not None:
        numbers["day"] = np.clip(_days(posts), *days)
    earlier, unseen = _past(posts, kinds)
    flags = _flags(posts, categories) | _unknown(numbers | unseen)
    numbers = numbers | earlier | _form(posts)
    own_numbers, own_flags = fact_columns(facts, posts, [*numbers, *flags])
    return numbers | own_numbers, flags | own_flags


def _past(posts: Posts, kinds: tuple[str, ...]) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """What the author's earlier posts achieved, and those of the columns that show by being unknown
    that the others are unknown too."""

    def attached(name: str) -> Floats:
        return numbers_of(posts, f"{PREFIX}{name}")

    unseen = {
        "author's earlier posts (log)": np.log1p(attached("posts")),
        "author's hours since previous post (log)": np.log1p(attached("hours")),
        **{f"author's mean {kind} (log)": attached(f"mean_{kind}") for kind in kinds},
    }
    numbers = dict(unseen)
    for kind in kinds:
        for start, words in _PAST.items():
            numbers[f"author's {words} {kind} (log)"] = attached(f"{start}_{kind}")
            if start in _BESIDE_MEAN:
                beside = attached(f"{start}_{kind}") - attached(f"mean_{kind}")
                numbers[f"author's {words} {kind} beside the mean (log)"] = beside
        if kind in ENGAGEMENT:
            numbers[f"author's mean {kind} rate (log)"] = attached(f"mean_{kind}_rate")
        numbers[f"everyone's mean of the last 50 {kind} (log)"] = attached(f"everyone_{kind}")
    return numbers, unseen


def _flags(posts: Posts, categories: tuple[str, ...]) -> dict[str, Floats]:
    """Columns with 0 and 1."""
    flags: dict[str, Floats] = {}
    for column, values in (("category", categories), ("media_type", MEDIA_TYPES)):
        found = _texts(posts, column)
        label = column.replace("_", " ")
        flags |= {f"{label}: {value}": _switch(each == value for each in found) for value in values}
        flags[f"{label} unknown"] = _switch(each not in values for each in found)
    for column in _FLAGS:
        given = values_of(posts, column)
        label = column.replace("_", " ")
        flags[label] = _switch(each in (True,) for each in given)
        flags[f"{label} unknown"] = _switch(each is None for each in given)
    return flags


def _unknown(numbers: dict[str, Floats]) -> dict[str, Floats]:
    """A column with 0 and 1 for each of the numbers; sine and cosine share one."""
    return {
        f"{name.removesuffix(' (sine)')} unknown": np.isnan(values).astype(np.float64)
        for name, values in numbers.items()
        if not name.endswith("(cosine)")
    }


def local_times(posts: Posts) -> tuple[Floats, Floats]:
    """Hour of the day, [0, 24), and weekday, Monday = 0, of n posts, (n,) each: by local clocks
    where posts have them and in UTC otherwise; NaN where unknown."""
    instants, dated = instants_of(posts)
    minutes, days = instants // _MICROSECONDS_PER_MINUTE, instants // _MICROSECONDS_PER_DAY
    of_day = minutes % _MINUTES_PER_DAY
    in_utc = {
        "posted_hour": of_day // 60 + of_day % 60 / 60,
        "posted_weekday": (days + _FIRST_WEEKDAY) % 7,
    }
    hour, weekday = (
        np.where(np.isnan(local), np.where(dated, utc, np.nan), local)
        for local, utc in ((numbers_of(posts, name), utc) for name, utc in in_utc.items())
    )
    return hour, weekday


def _time(posts: Posts) -> dict[str, Floats]:
    """Hour and weekday on a circle.

    The month is left out: within a year of posts it only separates early posts from late ones,
    which the day does.
    """
    hour, weekday = local_times(posts)
    numbers: dict[str, Floats] = {}
    for name, position in (("hour", hour / 24), ("weekday", weekday / 7)):
        angle = 2 * np.pi * position
        numbers |= {f"{name} (sine)": np.sin(angle), f"{name} (cosine)": np.cos(angle)}
    return numbers


def _days(posts: Posts) -> Floats:
    """Days since 1970, (n,); NaN where unknown."""
    instants, dated = instants_of(posts)
    return np.where(dated, instants / _MICROSECONDS_PER_DAY, np.nan)


def _range(values: Floats) -> tuple[float, float] | None:
    """Smallest and largest known value; None where none is known."""
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if len(known) else None


def _form(posts: Posts) -> dict[str, Floats]:
    """Numbers of pictures and tags, and what the caption looks like."""
    counts = form_counts(posts)
    capitals = _capitals(_captions(posts))
    return {
        **{f"{name} (log)": np.log1p(count) for name, count in counts.items()},
        "share of capitals": capitals / np.maximum(counts["characters"], 1),
    }


def form_counts(posts: Posts) -> dict[str, Floats]:
    """How many words, emoji, question marks, exclamation marks, URLs, characters, hashtags,
    mentions and images each of n posts has, (n,) by name."""
    captions = _captions(posts)
    counts = {name: _matches(captions, pattern) for name, pattern in _CAPTION_COUNTS.items()}
    counts["characters"] = _lengths_of_texts(captions)
    counts["hashtags"] = _lengths(posts, "hashtags", _matches(captions, _HASHTAGS))
    counts["mentions"] = _lengths(posts, "mentions", _matches(captions, _MENTIONS))
    counts["images"] = _lengths(posts, "images", np.zeros(len(posts)))
    return counts


def _captions(posts: Posts) -> Captions:
    """Captions without unknown ones, bounded in length: a list, or of a table of many posts an
    Arrow array, which is searched several times as fast."""
    texts = [
        str(text).encode("utf-8", "replace").decode("utf-8")[:MAX_CAPTION_CHARACTERS]
        for text in (each or "" for each in values_of(posts, "caption"))
    ]
    if len(texts) < _MANY_CAPTIONS:
        return texts
    import pyarrow as pa

    return pa.array(texts, pa.string())


def _matches(captions: Captions, pattern: str) -> Floats:
    """How often each text has a pattern, which means the same to both readers of patterns."""
    if isinstance(captions, list):
        found = re.compile(pattern, re.ASCII).findall
        return np.array([len(found(text)) for text in captions], dtype=np.float64)
    import pyarrow.compute as pc

    return _values(pc.count_substring_regex(captions, pattern))


def _capitals(captions: Captions) -> Floats:
    """How many capital letters each text has."""
    if isinstance(captions, list):
        capitals = [sum(unicodedata.category(each) == "Lu" for each in text) for text in captions]
        return np.array(capitals, dtype=np.float64)
    return _matches(captions, r"\p{Lu}")


def _lengths_of_texts(captions: Captions) -> Floats:
    if isinstance(captions, list):
        return np.array([len(text) for text in captions], dtype=np.float64)
    import pyarrow.compute as pc

    return _values(pc.utf8_length(captions))


def _values(array: pa.Array) -> Floats:
    return array.to_numpy(zero_copy_only=False).astype(np.float64)


def _lengths(posts: Posts, name: str, otherwise: Floats) -> Floats:
    """Lengths of a column of lists; ``otherwise`` where there is no list."""
    lists = values_of(posts, name)
    known = [float("nan") if each is None else len(each) for each in lists]
    return np.where(np.isnan(known), otherwise, known)


def _texts(posts: Posts, name: str) -> list[str | None]:
    return [None if each is None else str(each).strip().lower() for each in values_of(posts, name)]


def _switch(values: Iterable[bool]) -> Floats:
    return np.array(list(values), dtype=np.float64)


def _matrix(columns: dict[str, Floats]) -> Floats:
    return np.column_stack(list(columns.values()))

"""The feature ``metadata``: what is known about a post before it appears (ABMF, Section 3.2).

Author, category, time, form of the post and of its caption, and what the author's strictly earlier
posts achieved (:mod:`evoked.features.author_history`). The post's own engagement is never read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from evoked.features.author_history import AuthorHistory, known_counts
from evoked.posts.schema import MAX_CAPTION_CHARACTERS

Floats = NDArray[np.float64]

_VERSION = 1
_PROFILE = ("followers", "following", "author_posts")
_MEDIA_TYPES = ("image", "carousel", "video", "text")
_FLAGS = ("paid", "has_location")
# Only the commonest categories have a column of their own; the others count as unknown.
_MAX_CATEGORIES = 64
# Standard deviations from the mean beyond which a value just counts as far away.
_FARTHEST = 10.0
# Pictographs, dingbats and flags, without the skin tones, which only modify the emoji before them.
_EMOJI = "[\U0001f000-\U0001f3fa\U0001f400-\U0001faff\u2600-\u27bf]"
_CAPTION_COUNTS = {
    "words": r"\S+",
    "emoji": _EMOJI,
    "question marks": "[?？]",
    "exclamation marks": "[!！]",
    "URLs": r"(?i)\bhttps?://|\bwww\.",
}


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
    history
        What the authors of the training posts achieved, for drafts.
    """

    categories: tuple[str, ...]
    names: tuple[str, ...]
    means: Floats
    scales: Floats
    history: AuthorHistory

    @classmethod
    def fit(cls, posts: pd.DataFrame) -> Self:
        """Learn categories, means and scales from training posts.

        Parameters
        ----------
        posts
            n posts with any of the columns of :mod:`evoked.posts.schema`.
        """
        categories = tuple(_texts(posts, "category").value_counts().index[:_MAX_CATEGORIES])
        events = AuthorHistory.of(posts)
        numbers, flags = _columns(posts, events, categories)
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
            history=events.compact(),
        )

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.names)

    def transform(
        self, posts: pd.DataFrame, history: pd.DataFrame | None = None
    ) -> NDArray[np.float32]:
        """Encode posts.

        The author's past consists of the strictly earlier posts among ``posts`` and ``history``,
        or of those among the training posts where these are more. A post without a date has no
        past: date a draft with the moment at which it will appear.

        Parameters
        ----------
        posts
            n posts; encode the posts of one dataset together, so that each sees its author's
            earlier ones.
        history
            Further posts with known engagement (``author_id``, ``posted_at``, ``followers``,
            counts); those whose ``post_id`` is among ``posts`` are ignored.

        Returns
        -------
        ndarray
            float32, (n, width), finite: standardised. Unknown values are 0, and another column
            marks them as unknown.
        """
        events = AuthorHistory.of(posts)
        if history is not None:
            events = events.joined(AuthorHistory.of(_further(history, posts)))
        numbers, flags = _columns(posts, events.completed_by(self.history), self.categories)
        values = (_matrix(numbers | flags) - self.means) * self.scales
        bounded = np.clip(np.nan_to_num(values), -_FARTHEST, _FARTHEST)
        return bounded.astype(np.float32)

    def history_state(self) -> dict[str, list[Any]]:
        """The carried history as in :meth:`to_dict`: at most six sums per author."""
        return self.history.to_dict()

    def to_dict(self) -> dict[str, Any]:
        """The state, ready for JSON, with authors as hashes."""
        return {
            "version": _VERSION,
            "categories": list(self.categories),
            "names": list(self.names),
            "means": self.means.tolist(),
            "scales": self.scales.tolist(),
            "history": self.history_state(),
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
            history=AuthorHistory.from_dict(state["history"]),
        )


def _columns(
    posts: pd.DataFrame, events: AuthorHistory, categories: tuple[str, ...]
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Columns to standardise, NaN where unknown, and columns of 0 and 1."""
    profile = {
        f"{name.replace('_', ' ')} (log)": np.log1p(known_counts(posts, name)) for name in _PROFILE
    }
    numbers = profile | _time(posts) | events.before(posts)
    flags = _flags(posts, categories) | _unknown(numbers)
    return numbers | _form(posts), flags


def _flags(posts: pd.DataFrame, categories: tuple[str, ...]) -> dict[str, Floats]:
    """Columns with 0 and 1."""
    flags: dict[str, Floats] = {}
    for column, values in (("category", categories), ("media_type", _MEDIA_TYPES)):
        found = _texts(posts, column)
        label = column.replace("_", " ")
        flags |= {f"{label}: {value}": _switch(found.eq(value)) for value in values}
        flags[f"{label} unknown"] = _switch(~found.isin(values))
    for column in _FLAGS:
        given = _column(posts, column)
        label = column.replace("_", " ")
        flags |= {label: _switch(given.eq(True)), f"{label} unknown": _switch(given.isna())}
    return flags


def _unknown(numbers: dict[str, Floats]) -> dict[str, Floats]:
    """A column with 0 and 1 for each of the numbers; sine and cosine share one."""
    return {
        f"{name.removesuffix(' (sine)')} unknown": np.isnan(values).astype(np.float64)
        for name, values in numbers.items()
        if not name.endswith("(cosine)")
    }


def _time(posts: pd.DataFrame) -> dict[str, Floats]:
    """Hour (UTC) and weekday on a circle. The month is left out: within a year of posts it only
    separates early posts from late ones, and a draft is later than all of them."""
    dates = pd.to_datetime(_column(posts, "posted_at"), utc=True)
    hour = (dates.dt.hour + dates.dt.minute / 60).fillna(_floats(posts, "posted_hour"))
    weekday = dates.dt.day_of_week.astype("float64").fillna(_floats(posts, "posted_weekday"))
    numbers: dict[str, Floats] = {}
    for name, position in (("hour", hour / 24), ("weekday", weekday / 7)):
        angle = 2 * np.pi * position.to_numpy(np.float64)
        numbers |= {f"{name} (sine)": np.sin(angle), f"{name} (cosine)": np.cos(angle)}
    return numbers


def _form(posts: pd.DataFrame) -> dict[str, Floats]:
    """Numbers of pictures and tags, and what the caption looks like."""
    captions = _captions(posts)
    counts = {name: _matches(captions, pattern) for name, pattern in _CAPTION_COUNTS.items()}
    counts["characters"] = _values(pc.utf8_length(captions))
    counts["hashtags"] = _lengths(posts, "hashtags", _matches(captions, "[#＃][^\\s#＃]"))
    counts["mentions"] = _lengths(posts, "mentions", _matches(captions, "@[A-Za-z0-9_]"))
    counts["images"] = _lengths(posts, "images", np.zeros(len(posts)))
    capitals = _matches(captions, r"\p{Lu}")
    return {
        **{f"{name} (log)": np.log1p(count) for name, count in counts.items()},
        "share of capitals": capitals / np.maximum(counts["characters"], 1),
    }


def _captions(posts: pd.DataFrame) -> pa.Array:
    """Captions as an Arrow array without nulls, bounded in length."""
    captions = _column(posts, "caption").fillna("").astype(object)
    try:
        array = pa.array(captions, pa.string(), from_pandas=True)
    except UnicodeEncodeError:  # halves of surrogate pairs, which no encoding can store
        valid = captions.str.encode("utf-8", "replace").str.decode("utf-8")
        array = pa.array(valid.astype(object), pa.string(), from_pandas=True)
    return pc.utf8_slice_codeunits(array, 0, MAX_CAPTION_CHARACTERS)


def _matches(captions: pa.Array, pattern: str) -> Floats:
    return _values(pc.count_substring_regex(captions, pattern))


def _values(array: pa.Array) -> Floats:
    return array.to_numpy(zero_copy_only=False).astype(np.float64)


def _lengths(posts: pd.DataFrame, name: str, otherwise: Floats) -> Floats:
    """Lengths of a column of lists; ``otherwise`` where there is no list."""
    if name not in posts:
        return otherwise
    lengths = posts[name].astype(object).str.len().to_numpy(np.float64, na_value=np.nan)
    return np.where(np.isnan(lengths), otherwise, lengths)


def _further(history: pd.DataFrame, posts: pd.DataFrame) -> pd.DataFrame:
    if "post_id" not in history or "post_id" not in posts:
        return history
    return history[~history["post_id"].isin(posts["post_id"])]


def _column(posts: pd.DataFrame, name: str) -> pd.Series:
    if name in posts:
        return posts[name].reset_index(drop=True)
    return pd.Series(None, index=range(len(posts)), dtype=object)


def _texts(posts: pd.DataFrame, name: str) -> pd.Series:
    return _column(posts, name).astype("string").str.strip().str.lower()


def _floats(posts: pd.DataFrame, name: str) -> pd.Series:
    return pd.to_numeric(_column(posts, name), errors="coerce").astype("float64")


def _switch(values: pd.Series) -> Floats:
    return values.fillna(False).to_numpy(dtype=np.float64)


def _matrix(columns: dict[str, Floats]) -> Floats:
    return np.column_stack(list(columns.values()))

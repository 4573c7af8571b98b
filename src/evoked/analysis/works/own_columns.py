"""What kind of post it is: format, category, place, payment, and facts of a person's own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from evoked.analysis.works.traits import Surroundings, Trait, trait
from evoked.posts.facts import Fact, describe_facts, is_known

FORMAT = "format"
KINDS = ("format", "category", "paid", "has_location", "own")
"""Kinds of the traits here: what kind of post it is, rather than what it says or shows."""
_FORMATS = {
    "image": "that are single pictures",
    "carousel": "with several pictures",
    "video": "that are videos",
    "text": "that are text alone",
}
_MOST_CLASSES = 12


def format_traits(posts: pd.DataFrame) -> Iterator[Trait]:
    """Formats, categories, and whether posts were paid for or name a place."""
    known = posts["media_type"].notna()
    for name in posts["media_type"].value_counts().index:
        phrase = _FORMATS.get(str(name), f"of the format “{name}”")
        yield trait("format", phrase, posts["media_type"] == name, FORMAT, known=known)
    known = posts["category"].notna()
    for name in posts["category"].value_counts().index[:_MOST_CLASSES]:
        yield trait("category", f"of the category “{name}”", posts["category"] == name, known=known)
    for column, phrase in (("paid", "that were paid for"), ("has_location", "that name a place")):
        yield trait(
            column, phrase, posts[column].fillna(False).astype(bool), known=posts[column].notna()
        )


def fact_traits(posts: pd.DataFrame) -> Iterator[Trait]:
    """A person's own columns: each flag and class, and numbers above their median."""
    for fact in describe_facts(posts):
        values, known = posts[fact.column], is_known(posts[fact.column])
        for phrase, has in _of_fact(fact, values):
            yield trait("own", phrase, has, known=known)


def _of_fact(fact: Fact, values: pd.Series) -> Iterator[tuple[str, np.ndarray]]:
    if fact.kind == "flag":
        yield f"with {fact.name}: yes", values.eq(True).to_numpy()
    elif fact.kind == "number":
        middle = float(values.median())
        yield f"with {fact.name} above {middle:,.6g}", (values > middle).to_numpy()
    else:
        for name in fact.classes[:_MOST_CLASSES]:
            has = values.map(lambda value, name=name: _has(value, name))
            yield f"with {fact.name}: {name}", has.to_numpy(bool)


def _has(value: object, name: str) -> bool:
    return name in value if isinstance(value, list) else value == name


def format_surroundings(posts: pd.DataFrame) -> Iterator[Surroundings]:
    """Which format a post has."""
    formats = posts["media_type"]
    columns = [formats.eq(name) for name in formats.value_counts().index[1:]]
    if columns:
        values = np.column_stack(columns).astype(np.float64)
        values[formats.isna().to_numpy()] = np.nan
        yield Surroundings(FORMAT, values)

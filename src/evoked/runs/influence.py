"""How much it matters to a run what posts show and say: its predictions of test posts without."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.features.catalog import CATALOG
from evoked.models import Examples, Model
from evoked.models.hiding import MODALITY_NAMES, hide, modalities_of
from evoked.targets import Outcome, Task

Floats = NDArray[np.float64]

# So many of the test posts are enough for a median.
_MOST_POSTS = 100
_FEWEST_POSTS = 10
# Modalities whose absence typically changes less than this share hardly matter.
_HARDLY = 0.02
# Without facts there is no author and no level: nobody would leave them out.
_LEFT_OUT = ("image", "caption", "hashtags")


def influence_of(
    model: Model, task: Task, examples: Examples, unread: Collection[str] = ()
) -> list[dict[str, Any]]:
    """What predictions of posts change by when their picture, caption or hashtags are hidden.

    Parameters
    ----------
    model, task
        The model, and its task as fitted.
    examples
        Test posts, of which a hundred at most are taken, drawn with a seed.
    unread
        Names of outcomes that nobody is shown.

    Returns
    -------
    list of dict
        For each modality that at least ten posts have, and each predicted outcome: ``modality``,
        ``outcome``, ``change`` (median size: of counts as a share of the count, of other numbers as
        a share of their range or, without one, of the predictions' spread, of classes the largest
        change of a probability) and ``n`` (number of posts).
    """
    drawn = np.sort(np.random.default_rng(0).permutation(len(examples))[:_MOST_POSTS])
    posts = examples.select(drawn)
    found = []
    for modality in modalities_of(model):
        own = np.flatnonzero(_has(model, posts, modality))
        if modality not in _LEFT_OUT or len(own) < _FEWEST_POSTS:
            continue
        shown = posts.select(own)
        without = hide(shown, pd.DataFrame({modality: np.ones(len(own), dtype=bool)}))
        before, after = (
            task.inverse_transform(model.predict(each), shown.posts) for each in (shown, without)
        )
        for outcome in task.outcomes:
            changes = _changes(outcome, before, after)
            known = changes[np.isfinite(changes)]
            if len(known) and outcome.name not in unread:
                change = float(np.median(known))
                entry = {"modality": modality, "outcome": outcome.count or outcome.name}
                found.append({**entry, "change": change, "n": len(known)})
    return found


def hardly_matters(influence: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """A sentence, by modality, for those that hardly matter to any outcome: see
    :func:`influence_of`."""
    found: dict[str, str] = {}
    for modality in dict.fromkeys(row["modality"] for row in influence):
        rows = [row for row in influence if row["modality"] == modality]
        largest = max(rows, key=lambda row: row["change"])
        if largest["change"] < _HARDLY:
            what = MODALITY_NAMES[modality]
            matter, it = ("matter", "them") if what.endswith("s") else ("matters", "it")
            found[modality] = (
                f"The {what} hardly {matter} to this model ({_size(largest['change'])} "
                f"{largest['outcome'].replace('_', ' ')} without {it}, median over {largest['n']} "
                "test posts)."
            )
    return found


def _size(change: float) -> str:
    return f"±{change:.1%}" if change >= 0.001 else "less than ±0.1%"


def _has(model: Model, posts: Examples, modality: str) -> NDArray[np.bool_]:
    present = [
        posts.features.columns[name].present
        for name in model.features
        if CATALOG[name].modality == modality
    ]
    return np.logical_or.reduce(present) if present else np.zeros(len(posts), dtype=bool)


def _changes(outcome: Outcome, before: pd.DataFrame, after: pd.DataFrame) -> Floats:
    """Size of the change of each of n posts, as a share; NaN where unknown."""
    if outcome.kind != "value":
        names = list(outcome.probability_columns)
        changes = np.abs(before[names].to_numpy(np.float64) - after[names].to_numpy(np.float64))
        return np.asarray(changes.max(axis=1))
    if outcome.count and outcome.count in before:
        counts, others = (each[outcome.count].to_numpy(np.float64) for each in (before, after))
        if np.isfinite(counts).any():
            return np.abs(others - counts) / np.maximum(counts, 1.0)
    column = outcome.restored_column or outcome.name
    if column not in before:
        return np.full(len(before), np.nan)
    values, others = (each[column].to_numpy(np.float64) for each in (before, after))
    span = outcome.span if np.isfinite(outcome.span) else float(np.nanstd(values)) or 1.0
    return np.abs(others - values) / span

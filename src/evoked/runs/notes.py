"""What people should know about a run, in sentences: what it has never seen, and what is scarce."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from evoked.evaluation.conformal import NOMINAL_COVERAGES, fewest_posts
from evoked.evaluation.splits import Split
from evoked.features.catalog import CATALOG
from evoked.features.table import FeatureTable
from evoked.models import Model

# What a post may lack, as notes name it, by the modality of the features that are made from it.
_INPUTS = {
    "image": "a picture",
    "caption": "a caption",
    "hashtags": "hashtags",
    "metadata": "known likes",  # other facts are always there, if only as unknown ones
    "environment": "an author with other posts",
}


def unseen_inputs(model: Model, features: FeatureTable) -> list[str]:
    """Modalities that a model of posts reads and none of the posts has."""
    columns = {name: features.columns[name] for name in model.features}
    seen = {CATALOG[name].modality for name, column in columns.items() if column.present.any()}
    return sorted(_modalities(model) - seen)


def unseen_note(model: Model, unseen: Sequence[str]) -> str:
    """What a person should know about a model whose training posts had none of ``unseen``."""
    *others, last = (_INPUTS[modality] for modality in unseen)
    lacking = f"{', '.join(others)} or {last}" if others else last
    beginning = f"None of the training posts has {lacking}"
    if sees_nothing(model, unseen):
        return f"{beginning}, which is all that {model.name} reads: to it, all posts are alike."
    return f"{beginning}, so {model.name} has not learned what that says about a post."


def sees_nothing(model: Model, unseen: Sequence[str]) -> bool:
    """Whether all that a model reads is ``unseen``; a model that reads no features needs none."""
    return bool(unseen) and set(unseen) >= _modalities(model)


def calibration_notes(rows: pd.DataFrame, split: Split) -> list[str]:
    """Why the intervals of a run on these posts or viewings may promise too much or nothing."""
    if not len(split.calibration):
        return [
            f"Too few validation rows ({len(split.validation)}) to calibrate intervals on half of "
            "them: every interval is the whole range."
        ]
    if split.kind != "author":
        return []
    authors = rows["author_id"].iloc[split.calibration].nunique()
    # Here authors, not posts, are drawn alike: so the number of authors decides.
    if authors >= fewest_posts(max(NOMINAL_COVERAGES)):
        return []
    return [
        f"The posts that calibrate intervals are by {authors_of(authors)} only: for posts "
        "by others, intervals may hold less often than they promise."
    ]


def authors_of(number: int) -> str:
    """A number of authors in words: "1 author", "2 authors"."""
    return "1 author" if number == 1 else f"{number} authors"


def _modalities(model: Model) -> set[str]:
    return {CATALOG[name].modality for name in model.features}

"""What people should know about a run, in sentences: what it has never seen, and what is scarce."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.evaluation.conformal import NOMINAL_COVERAGES, fewest_posts
from evoked.evaluation.splits import Split
from evoked.features.affect import enough_read
from evoked.features.catalog import CATALOG
from evoked.features.emotions import who_read
from evoked.features.languages import READS
from evoked.features.table import FeatureTable
from evoked.models import Model
from evoked.posts.facts import Fact
from evoked.targets import Outcome

Floats = NDArray[np.float64]

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


def learned_modalities(model: Model, unseen: Sequence[str]) -> set[str]:
    """Modalities that a model of posts reads and a training post had."""
    return _modalities(model) - set(unseen)


def reads_facts(model: Model) -> bool:
    """Whether a model reads the facts of a person's own: as metadata, or in the posts' table."""
    return not model.features or "metadata" in model.features


def unread_facts_note(model: Model, facts: Sequence[Fact]) -> str:
    """What a person should know about a model that doesn't read the posts' ``facts``."""
    names = ", ".join(fact.name for fact in facts)
    return f"The model {model.name} reads no facts about a post, so it learns nothing from {names}."


def emotions_note(counts: Mapping[str, int], unrated: int, reader: str) -> str:
    """Of how many of the posts that nobody rated the emotion could be estimated, and from what, in
    a sentence.

    Parameters
    ----------
    counts
        Number of posts by what was read: :meth:`evoked.features.emotions.EmotionReadings.counts`.
    unrated
        Number of posts that nobody rated.
    reader
        Name of the emotion reader of captions.
    """
    number = sum(counts.values())
    if not enough_read(number, unrated):
        return too_few_note(number, unrated, reader)
    sentence = (
        f"Valence and arousal of {number} of {unrated} unrated posts are estimated by emotion "
        f"readers: {who_read(counts)}"
    )
    if number == unrated:
        return f"{sentence}."
    return (
        f"{sentence}. Those of the other {unrated - number} stay unknown: neither a caption in "
        f"{_read_by(reader)} nor a picture could be read."
    )


def too_few_note(number: int, unrated: int, reader: str) -> str:
    """Why the emotion of unrated posts is not estimated, where so few of them have a picture, or a
    caption that the emotion reader of this name can read."""
    return (
        f"The emotion readers, of captions in {_read_by(reader)} and of pictures, could read "
        f"{number} of {unrated} unrated posts: too few to estimate valence and arousal."
    )


def _read_by(reader: str) -> str:
    return "English" if reader == "builtin" else f"{len(READS[reader])} languages"


def calibration_notes(rows: pd.DataFrame, split: Split) -> list[str]:
    """Why the intervals of a run on these posts or viewings may promise too much or nothing."""
    if not len(split.calibration):
        return [
            f"Too few validation rows ({len(split.validation)}) to calibrate intervals on half of "
            "them: every interval is the whole range."
        ]
    return _few_authors(rows.iloc[split.calibration], split.kind)


def fold_notes(calibrating: pd.DataFrame, kind: str) -> list[str]:
    """The same where posts of folds calibrate the intervals, which come from a split of a kind."""
    if not len(calibrating):
        return [
            "Too few posts for folds to calibrate intervals on: every interval is the whole range."
        ]
    return _few_authors(calibrating, kind)


def _few_authors(calibrating: pd.DataFrame, kind: str) -> list[str]:
    if kind != "author":
        return []
    authors = calibrating["author_id"].nunique()
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


def beside_recent_posts(
    name: str,
    outcomes: Sequence[Outcome],
    predicted: pd.DataFrame,
    recent: pd.DataFrame,
    truth: pd.DataFrame,
) -> str | None:
    """Where a model is not shown to be better than the median of each author's last posts, in a
    sentence.

    It is better at an outcome if its errors are smaller post by post: if the 95 % interval of the
    mean difference (Student's) lies above zero. Typical errors, which are medians, can differ where
    this shows nothing, so the sentence names both.

    Parameters
    ----------
    name
        The model's name.
    outcomes
        What both predict.
    predicted, recent, truth
        n rows of :meth:`evoked.targets.Task.inverse_transform` by the model and by
        ``recent_posts``, and of :meth:`evoked.targets.Task.truth`.

    Returns
    -------
    str or None
        None where the model is better at every outcome, or nothing can be compared.
    """
    from evoked.evaluation.significance import t_interval  # imports scipy.stats

    found = []
    for outcome in outcomes:
        own, theirs = (_errors(outcome, table, truth) for table in (predicted, recent))
        known = np.isfinite(own) & np.isfinite(theirs)
        low, high = t_interval((own - theirs)[known])
        if high >= 0:  # not where it is undefined
            more = _times if outcome.count else _difference
            ends = more(outcome, float((own - theirs)[known].mean()), low, high)
            if outcome.count:
                own, theirs = (_shares(outcome, table, truth) for table in (predicted, recent))
            typical = _compared(outcome, own[known], theirs[known])
            found.append(f"{ends}{', so it is worse' if low > 0 else ''} ({typical})")
    if not found:
        return None
    return (
        f"Post by post, on {len(truth)} test posts, {name} is not clearly better than the author's "
        f"last posts (recent_posts), by the mean difference and its 95 % range: {'; '.join(found)}."
    )


def _errors(outcome: Outcome, predicted: pd.DataFrame, truth: pd.DataFrame) -> Floats:
    """Size of the error of each of n posts, NaN where unknown: of a count in logarithms, of classes
    0 or 1."""
    if outcome.kind != "value":
        known = truth[outcome.name].notna().to_numpy()
        wrong = predicted[outcome.name].astype(object) != truth[outcome.name].astype(object)
        return np.where(known, wrong.to_numpy(np.float64), np.nan)
    column = outcome.count or outcome.name
    values, true = (table[column].to_numpy(np.float64) for table in (predicted, truth))
    return np.abs(np.log1p(values) - np.log1p(true)) if outcome.count else np.abs(values - true)


def _shares(outcome: Outcome, predicted: pd.DataFrame, truth: pd.DataFrame) -> Floats:
    """Errors of counts as shares of the true count, (n,); NaN where it is none or unknown."""
    values, true = (table[outcome.count].to_numpy(np.float64) for table in (predicted, truth))
    return np.abs(values - true) / np.where(true > 0, true, np.nan)


def _times(outcome: Outcome, mean: float, low: float, high: float) -> str:
    """By how many times the factor by which a model misses counts is that of the last posts."""
    mean, low, high = (float(np.exp(each)) for each in (mean, low, high))
    return f"its misses of {outcome.count} are {mean:.2f} times theirs, {low:.2f} to {high:.2f}"


def _difference(outcome: Outcome, mean: float, low: float, high: float) -> str:
    """How much more a model misses by, or how much more often it is wrong."""
    if outcome.kind != "value":
        mean, low, high = (100 * each for each in (mean, low, high))
        name = outcome.name
        return (
            f"of 100 posts it gets the {name} of {mean:+.0f} more wrong, {low:+.0f} to {high:+.0f}"
        )
    return f"it misses {outcome.name} by {mean:+.3g} more, {low:+.3g} to {high:+.3g}"


def _compared(outcome: Outcome, own: Floats, theirs: Floats) -> str:
    """The errors of a model and of the last posts beside each other, in words."""
    if outcome.kind != "value":
        return f"wrong for {own.mean():.0%}, the last posts for {theirs.mean():.0%}"
    if outcome.count:
        off, by_last = (np.nanmedian(errors) for errors in (own, theirs))
        return f"in the median off by {off:.0%}, the last posts by {by_last:.0%}"
    return f"off by {own.mean():.3g} on average, the last posts by {theirs.mean():.3g}"


def _modalities(model: Model) -> set[str]:
    return {CATALOG[name].modality for name in model.features}

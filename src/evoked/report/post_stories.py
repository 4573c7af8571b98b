"""Single posts in the report: the best and worst predicted, and the most promising."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.explain import Explanation, explain_posts
from evoked.explain.drawing import shown_picture, words_sentence
from evoked.explain.heat_maps import (
    blended,
    effects_over,
    effects_sentence,
)
from evoked.explain.readings import Reading, readings_of
from evoked.files import records
from evoked.posts.dataset import PostDataset
from evoked.report.charts import jpeg_uri
from evoked.report.held_out import HeldOutPosts
from evoked.report.outcome_results import class_labels, class_numbers
from evoked.runs.posts import Run
from evoked.runs.spoken import base_in_words, base_of, spoken

_POSTS_PER_LIST = 3
_THUMBNAIL = 320
_CAPTION_CHARACTERS = 280
_WORDS = 6
_FACTS = 4


@dataclass(frozen=True)
class Fragment:
    """A piece of a caption; ``shade`` in [-1, 1] is its effect beside the largest one."""

    text: str
    shade: float


@dataclass(frozen=True)
class Story:
    """What the report shows of one post.

    Reports are handed on, so they name a post by its ``number`` among the run's predictions, the
    first being 1; its id is for programs.
    """

    post_id: str
    number: int
    category: str | None
    picture: str | None
    heat: str | None
    heat_caption: str | None
    heat_alternative: str
    caption: str
    fragments: list[Fragment]
    words_caption: str | None
    outcomes: list[str]
    targets: list[dict[str, Any]]
    modalities: list[str]
    words: list[dict[str, Any]]
    headline: list[str]
    facts: list[dict[str, Any]]
    similar: list[dict[str, str]]
    shown: str
    notes: list[str]


@dataclass(frozen=True)
class StoryList:
    """Posts under one heading."""

    title: str
    explained: str
    stories: list[Story]


def story_lists(run: Run, dataset: PostDataset, tested: HeldOutPosts) -> list[StoryList]:
    """The best predicted, worst predicted and most promising test posts, explained in one go."""
    lists = _choose(tested)
    rows = list(dict.fromkeys(row for _, _, chosen in lists for row in chosen))
    posts = tested.posts.iloc[rows].reset_index(drop=True)
    paths = dataset.cover_paths()
    images = [paths[tested.rows[row]] for row in rows]
    explanations = explain_posts(run, posts, images, dataset)
    stories = {
        row: _story(tested, row, explanation)
        for row, explanation in zip(rows, explanations, strict=True)
    }
    return [
        StoryList(title, explained, [stories[row] for row in chosen])
        for title, explained, chosen in lists
    ]


def _choose(tested: HeldOutPosts) -> list[tuple[str, str, list[int]]]:
    by_error = tested.error.dropna().sort_values(kind="stable").index.tolist()
    # With few posts the lists stay apart.
    size = min(_POSTS_PER_LIST, -(-len(by_error) // 2))
    worst = by_error[::-1][: min(size, len(by_error) - size)]
    by_promise = tested.promise.dropna().sort_values(ascending=False, kind="stable").index
    names = [each.in_words for each in readings_of(type(tested.task))]
    wording = tested.task.wording
    what = wording.errors or " and ".join(names)
    measure = f"error over {what}, each as a share of its range"
    lists = [
        ("Best predicted", f"The smallest mean {measure}.", by_error[:size]),
        ("Worst predicted", f"The largest mean {measure}.", worst),
        (
            "Most promising",
            wording.promise or f"The highest predicted {_promising(tested)}.",
            by_promise[:_POSTS_PER_LIST].tolist(),
        ),
    ]
    return [entry for entry in lists if entry[2]]


def _promising(tested: HeldOutPosts) -> str:
    """What :attr:`HeldOutPosts.promise` is, in words."""
    readings = readings_of(type(tested.task))
    group = type(tested.task).group()
    return f"mean of {group}" if group else readings[0].in_words


def _story(tested: HeldOutPosts, row: int, explanation: Explanation) -> Story:
    readings, headline = explanation.readings, explanation.headline
    picture = shown_picture(explanation, _THUMBNAIL)
    heat = None if picture is None else _heat(picture, explanation)
    category = tested.posts["category"].iloc[row]
    caption = tested.posts["caption"].iloc[row]
    return Story(
        post_id=explanation.post_id,
        number=row + 1,
        category=category if isinstance(category, str) else None,
        picture=None if picture is None else jpeg_uri(picture),
        heat=None if heat is None else jpeg_uri(heat.picture),
        heat_caption=None if heat is None else heat.caption,
        heat_alternative="" if heat is None else heat.alternative,
        caption=_cut(caption) if isinstance(caption, str) else "",
        fragments=_fragments(explanation),
        words_caption=words_sentence(explanation) if len(explanation.moving_words(1)) else None,
        outcomes=_outcomes(tested, row),
        targets=[_target_row(tested, row, explanation, reading) for reading in readings],
        modalities=explanation.moving_modalities,
        words=_effect_rows(explanation.moving_words(_WORDS), "word", explanation),
        headline=headline,
        facts=_effect_rows(explanation.moving_facts(_FACTS).reset_index(), "fact", explanation),
        similar=_similar(explanation),
        shown=explanation.shown,
        notes=[*explanation.notes, *explanation.attention_notes],
    )


class _Heat(NamedTuple):
    picture: NDArray[np.uint8]
    caption: str
    alternative: str


def _heat(picture: NDArray[np.uint8], explanation: Explanation) -> _Heat | None:
    """The picture with what its parts change; None where that is nothing, and no attention agrees
    with it."""
    effects = explanation.moving_regions()
    if effects is not None:
        return _Heat(
            effects_over(picture, effects),
            effects_sentence(explanation),
            "The same picture with the effect of its parts as a heat map",
        )
    if explanation.region_probabilities is not None:
        chances = explanation.region_probabilities
        low, high = float(chances.min()), float(chances.max())
        return _Heat(
            blended(picture, (chances - low) / max(high - low, 1e-9)),
            "Probability of being popular, were the whole picture like each of its regions: from "
            f"{low:.0%} (blue) to {high:.0%} (yellow; n = {chances.size} regions).",
            "The same picture with the probability of each region as a heat map",
        )
    return None


def _effect_rows(
    effects: pd.DataFrame, name: str, explanation: Explanation
) -> list[dict[str, Any]]:
    """Words or facts with their effects on the headline readings as text."""
    readings = [each for each in explanation.readings if each.name in explanation.headline]
    return [
        {
            name: row[name],
            **{each.name: each.shown(row[each.name], signed=True) for each in readings},
        }
        for row in records(effects)
    ]


def _similar(explanation: Explanation) -> list[dict[str, str]]:
    """Past posts that are alike: date, caption, and what they got beside the usual then."""
    if explanation.similar is None:
        return []
    return [
        {
            "date": "" if row["posted_at"] is None else str(row["posted_at"])[:10],
            "caption": row["caption"],
            "got": "; ".join(
                f"{_count(row[usual.removeprefix('usual_')])} {usual.removeprefix('usual_')} "
                f"(usual then: {_count(row[usual])})"
                for usual in row
                if usual.startswith("usual_")
            ),
        }
        for row in records(explanation.similar)
    ]


def _count(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else spoken(value, 3)


def _outcomes(tested: HeldOutPosts, row: int) -> list[str]:
    """Which classes were predicted, how probable they were, and which are true, in words."""
    predicted, truth = tested.predictions.iloc[[row]], tested.truth.iloc[[row]]
    found = []
    for outcome in tested.task.outcomes:
        if outcome.kind == "value":
            continue
        labels, name = class_labels(outcome), outcome.name
        (guess,), (known,) = (class_numbers(outcome, each[name]) for each in (predicted, truth))
        if outcome.kind == "binary":
            chance = float(predicted[outcome.probability_columns[0]].iloc[0])
            chance = chance if guess else 1 - chance
        else:
            chance = float(predicted[outcome.probability_columns[int(guess)]].iloc[0])
        true = "unknown" if np.isnan(known) else labels[int(known)]
        title = name.replace("_", " ").capitalize()
        found.append(f"{title}: predicted {labels[int(guess)]} ({chance:.0%}), truly {true}.")
    return found


def _target_row(
    tested: HeldOutPosts, row: int, explanation: Explanation, reading: Reading
) -> dict[str, Any]:
    target = reading.name
    return {
        "name": target,
        "got": _amount(tested, tested.truth.iloc[row], tested.true[target].iloc[row], reading),
        "said": _amount(tested, tested.predictions.iloc[row], explanation.outcome[target], reading),
        "unit": reading.unit,
        "base": reading.shown(float(explanation.base[target])),
        "contributions": {
            str(modality): reading.shown(float(change), signed=True)
            for modality, change in explanation.contributions[target].items()
        },
    }


def _amount(tested: HeldOutPosts, row: pd.Series, value: float, reading: Reading) -> str:
    """What a post got or is predicted to get: the count, or the rate where no count is known, or
    the reading itself where it comes of neither; a dash where it is unknown."""
    outcome = next(
        (each for each in tested.task.outcomes if each.count and each.target == reading.name), None
    )
    if outcome is not None and pd.notna(row.get(outcome.count)):
        return f"{row[outcome.count]:,.0f}"
    basis = tested.task.count_basis
    if outcome is not None and basis is not None and pd.notna(row.get(outcome.name)):
        base = base_of(float(row[outcome.name]))
        return f"{row[outcome.name] * base:.3g} per {base_in_words(base, basis)}"
    return "–" if outcome is not None or pd.isna(value) else reading.shown(value)


def _fragments(explanation: Explanation) -> list[Fragment]:
    """The prepared caption in pieces, shaded by their effect on the first reading."""
    words, reading = explanation.words, explanation.readings[0]
    effects = words[reading.name].where(words[reading.name].map(reading.moves), 0.0)
    if not effects.any():
        return []
    text, end = _cut(explanation.text), 0
    strongest = float(effects.abs().max())
    fragments = []
    for start, stop, effect in zip(words["start"], words["end"], effects, strict=True):
        if start >= len(text):
            break
        fragments += [
            Fragment(text[end:start], 0.0),
            Fragment(text[start:stop], float(effect) / strongest),
        ]
        end = stop
    return [piece for piece in [*fragments, Fragment(text[end:], 0.0)] if piece.text]


def _cut(caption: str) -> str:
    if len(caption) <= _CAPTION_CHARACTERS:
        return caption
    # At a space, if there is one near the end.
    return caption[:_CAPTION_CHARACTERS].rsplit(maxsplit=1)[0] + "…"

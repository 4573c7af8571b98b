"""The explanation of one prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from evoked.explain.readings import Reading, headline_names
from evoked.features.extract import ImageSource
from evoked.files import plain, records
from evoked.models.explanations import RegionWeights
from evoked.targets import DEFAULT_TASK

# A rank correlation over fewer words says nothing.
_FEWEST_WORDS = 4
# Attention is shown where its ranks go with those of the effects: with at least this correlation,
# which by chance would be as large in fewer than one of twenty cases.
_LEAST_CORRELATION = 0.3
_SIGNIFICANCE = 0.05


class Agreement(NamedTuple):
    """How far attention goes with what leaving out changes.

    Attributes
    ----------
    correlation
        Spearman's, of attention and size of effect.
    p
        Probability of one as large or larger, were they unrelated.
    n
        Number of words or regions.
    """

    correlation: float
    p: float
    n: int

    @property
    def holds(self) -> bool:
        """Whether attention is worth showing."""
        return self.correlation >= _LEAST_CORRELATION and self.p < _SIGNIFICANCE


@dataclass(frozen=True)
class Explanation:
    """Why a model predicts what it predicts for one post.

    Words, regions and facts are ranked by their effect: what leaving them out changes. Attention
    shows what a network weighed, which need not be what moved the prediction: weights can change
    much while the prediction stays the same (Jain and Wallace 2019, "Attention is not
    Explanation"). People are shown it only where it agrees with the effects.

    Attributes
    ----------
    post_id, model
        The post, and the name of the model.
    prediction
        The row of :meth:`evoked.runs.posts.Run.predict`.
    estimated
        Whether the model learned valence and arousal from an emotion reader's estimates.
    every_reading
        What is read of the prediction, with units: counts, such as likes, at the level of the
        post's author; rates where no count is known; otherwise what
        :func:`evoked.explain.readings.readings_of` lists: values, the expected class, the
        probability of "true".
    unrated
        Targets that people are not shown, since nobody rated any post.
    contributions
        (modalities, targets): exact Shapley values.
    base
        (targets,): prediction with every modality hidden. ``base`` plus the sum of
        ``contributions`` is ``outcome``.
    outcome
        (targets,): the prediction in the same units.
    text
        The caption as the encoder read it.
    words
        One row per word that was read, a hashtag being one word: word, start, end (characters of
        ``text``), tokens, attention (share of the attention received, NaN without attention), and
        for each target the prediction minus the prediction without the word.
    hashtag_attention
        Share of the attention that the hashtags received.
    regions
        Spatial attention over the picture.
    word_regions
        Attention over the picture from each row of ``words``.
    boxes
        (objects, 4): left, top, right, bottom as shares of width and height.
    facts
        Index: facts about the post in words; ``about`` (what the fact is about) and for each target
        the prediction minus the prediction with the training posts' mean, the most influential
        first.
    similar
        Past posts most alike to the model: see :func:`evoked.explain.similar.similar_posts`. None
        where no dataset was given.
    notes
        What was taken for granted, could not be explained, or hardly matters to the model.
    image
        The picture, for drawing.
    region_probabilities
        (rows, columns): probability of being popular if the whole picture were like this cell, for
        models that know it (Dual-Attention, Figure 5).
    task
        Name of the task that the model learned.
    shows
        What the encoder recognises in the picture: up to three words with their probabilities, of
        0.1 or more, the likeliest first. Empty where the model reads no pictures, or its encoder
        names nothing.
    region_effects
        By target, (4, 4): the prediction minus the prediction with this part of the picture
        blurred; None without a picture, and for models that read no pictures.
    """

    post_id: str
    model: str
    prediction: dict[str, Any]
    estimated: bool
    every_reading: list[Reading]
    unrated: list[str]
    contributions: pd.DataFrame
    base: pd.Series
    outcome: pd.Series
    text: str
    words: pd.DataFrame
    hashtag_attention: float | None
    regions: RegionWeights | None
    word_regions: list[RegionWeights] | None
    boxes: NDArray[np.float32]
    facts: pd.DataFrame
    similar: pd.DataFrame | None
    notes: list[str]
    image: ImageSource = field(repr=False, default=None)
    region_probabilities: NDArray[np.float32] | None = None
    task: str = DEFAULT_TASK.name
    region_effects: dict[str, NDArray[np.float64]] | None = None
    shows: dict[str, float] = field(default_factory=dict)

    @property
    def targets(self) -> list[str]:
        """The targets that the model predicts."""
        return self.outcome.index.tolist()

    @property
    def readings(self) -> list[Reading]:
        """The targets that people are shown, counts and rates first."""
        rated = [each for each in self.every_reading if each.name not in self.unrated]
        return sorted(rated or self.every_reading, key=lambda each: each.step is None)

    @property
    def headline(self) -> list[str]:
        """The targets that there is room to show: three at most, one of each group of outcomes."""
        return headline_names(self.readings)

    @property
    def shown(self) -> str:
        """``shows`` as a sentence; "" where it is empty."""
        words = ", ".join(f"{word} ({chance:.0%})" for word, chance in self.shows.items())
        return f"The picture looks like: {words}." if words else ""

    @property
    def tokens(self) -> int:
        """Number of caption tokens that were read."""
        return int(self.words["tokens"].sum())

    @property
    def sizes(self) -> pd.Series:
        """Size of each word's effect, (words,): see :func:`scaled_size`."""
        return scaled_size(self.words, self._headline_readings)

    @property
    def word_agreement(self) -> Agreement | None:
        """Whether the words' attention goes with their effects.

        None for fewer than 4 words, or where either is the same for all of them.
        """
        return _agreement(self.words["attention"].to_numpy(np.float64), self.sizes.to_numpy())

    @property
    def region_agreement(self) -> Agreement | None:
        """Whether the regions' attention goes with their effects; None without either."""
        if self.regions is None or self.region_effects is None:
            return None
        effects = pd.DataFrame({name: grid.ravel() for name, grid in self.region_effects.items()})
        shape = next(iter(self.region_effects.values())).shape
        # The mean attention within each of the larger regions.
        grid = Image.fromarray(self.regions.grid.astype(np.float32))
        attention = np.asarray(grid.resize(shape[::-1], Image.Resampling.BOX), np.float64)
        return _agreement(
            attention.ravel(), scaled_size(effects, self._headline_readings).to_numpy()
        )

    @property
    def shows_word_attention(self) -> bool:
        """Whether people are shown the attention that words receive."""
        agreement = self.word_agreement
        return agreement is not None and agreement.holds

    @property
    def shows_region_attention(self) -> bool:
        """Whether people are shown the attention over the picture."""
        agreement = self.region_agreement
        return agreement is not None and agreement.holds

    @property
    def attention_notes(self) -> list[str]:
        """Which attention is left out, and why."""
        parts = {
            "words": (self.shows_word_attention, self.words["attention"].notna().any()),
            "the picture's regions": (self.shows_region_attention, self.regions is not None),
        }
        silent = [what for what, (shown, attends) in parts.items() if attends and not shown]
        if not silent:
            return []
        return [
            f"The network's attention to {' and to '.join(silent)} doesn't go with what leaving "
            "them out changes, so it is not shown."
        ]

    def moving_words(self, n: int) -> pd.DataFrame:
        """The ``n`` words with the largest effects that are more than nothing as people are shown
        them, the largest first."""
        return _largest(self.words, self.sizes, self._headline_readings, n)

    def moving_facts(self, n: int) -> pd.DataFrame:
        """The ``n`` facts with the largest effects that are more than nothing as shown."""
        sizes = scaled_size(self.facts, self._headline_readings)
        return _largest(self.facts, sizes, self._headline_readings, n)

    def moving_regions(self) -> NDArray[np.float64] | None:
        """Effects of regions on the first reading that people are shown, (4, 4); None where all are
        nothing as shown."""
        if self.region_effects is None or not self.readings:
            return None
        reading = self.readings[0]
        effects = self.region_effects[reading.name]
        moves = any(reading.moves(float(value)) for value in effects.ravel())
        return effects if moves else None

    @property
    def moving_modalities(self) -> list[str]:
        """Modalities that contribute more than nothing, as shown, to a reading that is shown."""
        return [
            str(modality)
            for modality, row in self.contributions.iterrows()
            if any(each.moves(row[each.name]) for each in self.readings)
        ]

    def most_attended(self, n: int) -> pd.DataFrame:
        """The ``n`` words with most attention, in reading order."""
        order = self.words["attention"].sort_values(ascending=False, kind="stable").index
        return self.words.loc[order[:n].sort_values()]

    @property
    def _headline_readings(self) -> list[Reading]:
        return [each for each in self.readings if each.name in self.headline]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, without the pictures; unknown numbers are None."""
        return plain(
            {
                "post_id": self.post_id,
                "model": self.model,
                "task": self.task,
                "emotion_estimated": self.estimated,
                "prediction": self.prediction,
                "contributions": {
                    "base": self.base.to_dict(),
                    "prediction": self.outcome.to_dict(),
                    "modalities": self.contributions.to_dict(orient="index"),
                    "units": {each.name: each.own_unit for each in self.every_reading},
                },
                "shows": self.shows,
                "text": self.text,
                "words": records(self.words),
                "hashtag_attention": self.hashtag_attention,
                "attention_agreement": {
                    "words": _as_dict(self.word_agreement),
                    "regions": _as_dict(self.region_agreement),
                },
                "regions": None if self.regions is None else _regions(self.regions, self.boxes),
                "region_probabilities": self.region_probabilities,
                "region_effects": self.region_effects,
                "word_regions": self._strongest_links(),
                "facts": records(self.facts.reset_index()),
                "similar": None if self.similar is None else records(self.similar),
                "n": {
                    "tokens": self.tokens,
                    "words": len(self.words),
                    "regions": 0 if self.regions is None else self.regions.n,
                },
                "notes": [*self.notes, *self.attention_notes],
            },
            digits=6,
        )

    def _strongest_links(self, n: int = 5) -> list[dict[str, Any]] | None:
        if self.word_regions is None:
            return None
        words = self.most_attended(n)
        return [
            {"word": word, "start": start, **_regions(self.word_regions[row], self.boxes)}
            for row, word, start in zip(words.index, words["word"], words["start"], strict=True)
        ]


def scaled_size(effects: pd.DataFrame, readings: Sequence[Reading]) -> pd.Series:
    """Mean size of effects (n, targets and others) over the targets, each as a share of its range,
    or in its unit if the range is infinite."""
    spans = [each.span if isfinite(each.span) else 1.0 for each in readings]
    return effects[[each.name for each in readings]].abs().div(spans).mean(axis=1).fillna(0.0)


def _agreement(attention: NDArray[np.float64], sizes: NDArray[np.float64]) -> Agreement | None:
    if len(sizes) < _FEWEST_WORDS or np.isnan(attention).any():
        return None
    if np.ptp(attention) == 0 or np.ptp(sizes) == 0:
        return None
    from scipy.stats import rankdata  # takes half a second, and most models have no attention

    from evoked.evaluation.significance import correlation_p

    ranks = rankdata(attention), rankdata(sizes)
    correlation = float(np.corrcoef(*ranks)[0, 1])
    return Agreement(correlation, correlation_p(*ranks, alternative="greater"), len(sizes))


def _largest(
    effects: pd.DataFrame, sizes: pd.Series, readings: Sequence[Reading], n: int
) -> pd.DataFrame:
    moves = [
        any(each.moves(value) for each, value in zip(readings, row, strict=True))
        for row in effects[[each.name for each in readings]].to_numpy(np.float64)
    ]
    order = np.argsort(-sizes.to_numpy(), kind="stable")
    return effects.iloc[[row for row in order if moves[row]][:n]]


def _as_dict(agreement: Agreement | None) -> dict[str, Any] | None:
    return None if agreement is None else {**agreement._asdict(), "shown": agreement.holds}


def _regions(weights: RegionWeights, boxes: NDArray[np.float32]) -> dict[str, Any]:
    objects = [
        {"weight": weight, "box": box}
        for weight, box in zip(weights.objects, boxes, strict=len(boxes) > 0)
    ]
    return {"grid": weights.grid, "objects": objects}

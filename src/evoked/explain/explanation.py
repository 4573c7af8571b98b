"""The explanation of one prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from evoked.explain.readings import Reading, headline_names, readings_of
from evoked.features.extract import ImageSource
from evoked.files import plain, records
from evoked.models.explanations import RegionWeights
from evoked.targets import DEFAULT_TASK, task_class

# A rank correlation over fewer words says nothing.
_FEWEST_WORDS = 4


@dataclass(frozen=True)
class Explanation:
    """Why a model predicts what it predicts for one post.

    Attention shows what the network weighed, which need not be what moved the prediction: weights
    can change much while the prediction stays the same (Jain and Wallace 2019, "Attention is not
    Explanation"). So the explanation also has the effect of leaving out each modality, word and
    fact.

    Attributes
    ----------
    post_id, model
        The post, and the name of the model.
    prediction
        The row of :meth:`evoked.runs.posts.Run.predict`.
    estimated
        Whether the model learned valence and arousal from an emotion reader's estimates.
    contributions
        (modalities, targets): exact Shapley values; valence and arousal in points, engagement as
        standing beside the author's usual (0.5), and for other tasks what
        :func:`evoked.explain.readings.readings_of` lists: values, the expected class, the
        probability of "true".
    base
        (targets,): prediction with every modality hidden. ``base`` plus the sum of
        ``contributions`` is ``outcome``.
    outcome
        (targets,): the prediction in the same units.
    text
        The caption as the encoder read it.
    words
        One row per word that was read: word, start, end (characters of ``text``), tokens, attention
        (share of the attention received, NaN without attention), and for each target the prediction
        minus the prediction without the word.
    hashtag_attention
        Share of the attention that the hashtags received.
    regions
        Spatial attention over the picture.
    word_regions
        Attention over the picture from each row of ``words``.
    boxes
        (objects, 4): left, top, right, bottom as shares of width and height.
    metadata
        Index: facts about the post; ``value`` (standardised, 0 is the training mean) and for each
        target the prediction minus the prediction with the mean, the most influential first.
    notes
        What could not be explained, and why.
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
        By target, (rows, columns): the prediction minus the prediction with the average of the
        other regions in place of this cell; None without a picture, and for models that read no
        regions or show their attention.
    """

    post_id: str
    model: str
    prediction: dict[str, Any]
    estimated: bool
    contributions: pd.DataFrame
    base: pd.Series
    outcome: pd.Series
    text: str
    words: pd.DataFrame
    hashtag_attention: float | None
    regions: RegionWeights | None
    word_regions: list[RegionWeights] | None
    boxes: NDArray[np.float32]
    metadata: pd.DataFrame
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
        """The predicted targets with their units."""
        every = readings_of(task_class(self.task))
        return [each for each in every if each.name in self.outcome.index]

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
    def attention_agreement(self) -> float | None:
        """Spearman correlation over the words of attention and the size of the effect.

        None for fewer than 4 words, or where either is the same for all of them.
        """
        if len(self.words) < _FEWEST_WORDS or self.words["attention"].isna().any():
            return None
        size = scaled_size(self.words, self.readings)
        if size.nunique() < 2 or self.words["attention"].nunique() < 2:
            return None
        return float(spearmanr(self.words["attention"], size).statistic)

    def strongest_words(self, n: int) -> pd.DataFrame:
        """The ``n`` words with most attention (without attention, with the largest effect), in
        reading order."""
        known = not self.words["attention"].isna().any()
        rank = self.words["attention"] if known else scaled_size(self.words, self.readings)
        return self.words.loc[
            rank.sort_values(ascending=False, kind="stable").index[:n].sort_values()
        ]

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
                    "units": {each.name: each.own_unit for each in self.readings},
                },
                "shows": self.shows,
                "text": self.text,
                "words": records(self.words),
                "hashtag_attention": self.hashtag_attention,
                "attention_agreement": self.attention_agreement,
                "regions": None if self.regions is None else _regions(self.regions, self.boxes),
                "region_probabilities": self.region_probabilities,
                "region_effects": self.region_effects,
                "word_regions": self._strongest_links(),
                "metadata": records(self.metadata.reset_index()),
                "n": {
                    "tokens": self.tokens,
                    "words": len(self.words),
                    "regions": 0 if self.regions is None else self.regions.n,
                },
                "notes": self.notes,
            },
            digits=6,
        )

    def _strongest_links(self, n: int = 5) -> list[dict[str, Any]] | None:
        if self.word_regions is None:
            return None
        words = self.strongest_words(n)
        return [
            {"word": word, "start": start, **_regions(self.word_regions[row], self.boxes)}
            for row, word, start in zip(words.index, words["word"], words["start"], strict=True)
        ]


def scaled_size(effects: pd.DataFrame, readings: Sequence[Reading]) -> pd.Series:
    """Mean size of effects (n, targets and others) over the targets, each as a share of its range,
    or in its unit if the range is infinite."""
    spans = [each.span if isfinite(each.span) else 1.0 for each in readings]
    return effects[[each.name for each in readings]].abs().div(spans).mean(axis=1).fillna(0.0)


def _regions(weights: RegionWeights, boxes: NDArray[np.float32]) -> dict[str, Any]:
    objects = [
        {"weight": weight, "box": box}
        for weight, box in zip(weights.objects, boxes, strict=len(boxes) > 0)
    ]
    return {"grid": weights.grid, "objects": objects}

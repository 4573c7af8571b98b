"""Explain the predictions of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.errors import ImageError
from evoked.explain.explanation import Explanation, scaled_size
from evoked.explain.modalities import modalities_of, shapley_values
from evoked.explain.occlusion import metadata_effects, region_effects, word_effects
from evoked.explain.readings import Reading, readings_of
from evoked.explain.words import Words, words_of
from evoked.features.captions import prepare
from evoked.features.catalog import CATALOG
from evoked.features.encoders import image_encoder, object_encoder, text_encoder
from evoked.features.extract import ImageSource, Problem, extract_posts
from evoked.models.base import Examples, Model
from evoked.models.explanations import PostAttention, RegionWeights
from evoked.posts.drafts import Draft
from evoked.posts.images import load_image
from evoked.runs.drafts import ASSUMED
from evoked.runs.posts import Run

_MOST_WORDS = 3
_LEAST_CHANCE = 0.1
_NO_BOXES = np.zeros((0, 4), dtype=np.float32)


def explain(run: Run, draft: Draft) -> Explanation:
    """Explain what a run predicts for a draft.

    Parameters
    ----------
    run
        Any run of posts; one whose model has no attention is explained by contributions and
        effects alone.
    draft
        The post.

    Returns
    -------
    Explanation
        :func:`evoked.explain.drawing.draw_explanation` makes pictures of it.

    Examples
    --------
    >>> why = explain(run, evoked.Draft("draft.jpg", "Golden hour"))   # doctest: +SKIP
    >>> why.contributions.loc["image", "valence"]                      # doctest: +SKIP
    """
    return explain_posts(run, *run.draft_posts([draft]))[0]


def explain_posts(
    run: Run,
    posts: pd.DataFrame,
    images: Sequence[ImageSource],
    history: pd.DataFrame | None = None,
) -> list[Explanation]:
    """Explain what a run predicts for posts, all of them in batches.

    Parameters
    ----------
    run
        Any run of posts.
    posts
        n posts with the columns of :mod:`evoked.posts.schema`.
    images
        Cover picture of each: a path, bytes or None.
    history
        More posts of the same dataset, for looking up the authors' earlier posts.

    Notes
    -----
    Each post takes a few hundred predictions (at most 32 sets of modalities, the caption without
    each of its words, the metadata without each of its columns) and one pass of the text encoder
    over as many captions as there are words. The image encoder runs once more at most, to say what
    it recognises.
    """
    if not len(posts):
        return []
    examples, problems = examples_of(run, posts, images, history)
    model = run.model
    predicted = run.table(examples, problems)
    every = [each.name for each in readings_of(model.task)]
    readings = readings_of(model.task, model.known_targets)
    known = [each.name for each in readings]
    values, base = shapley_values(model, examples)
    words = _words(model, posts)
    found = model.attention(examples)
    attention = [PostAttention()] * len(examples) if found is None else found
    effects = word_effects(model, examples, words)
    facts = _facts(run, examples)
    # Attention shows already what the model looks at.
    regions = [None] * len(examples) if found else _region_effects(model, examples, known)
    seen = _seen(model, examples)
    boxes = _boxes(model, images, attention)
    shows = _shown(run, posts, images)
    return [
        Explanation(
            post_id=str(posts["post_id"].iloc[row]),
            model=model.name,
            prediction={str(k): v for k, v in predicted.iloc[row].items()},
            estimated=run.estimated,
            contributions=pd.DataFrame(
                values[row], pd.Index(modalities_of(model), name="modality"), every
            )[known],
            base=pd.Series(base[row], every)[known],
            outcome=pd.Series(base[row] + values[row].sum(0), every)[known],
            text=words[row].text,
            words=_word_table(words[row], attention[row], effects[row][known]),
            hashtag_attention=attention[row].hashtags,
            regions=attention[row].regions,
            region_probabilities=attention[row].popularity,
            word_regions=_word_regions(words[row], attention[row]),
            boxes=boxes[row],
            metadata=_strongest_first(facts[row], readings),
            notes=_notes(
                model,
                [predicted[name].iloc[row] for name in ("problem", ASSUMED) if name in predicted],
                seen[row],
                words[row],
                attends=found is not None,
            ),
            image=images[row],
            task=model.task.name,
            region_effects=regions[row],
            shows=shows[row],
        )
        for row in range(len(posts))
    ]


def examples_of(
    run: Run,
    posts: pd.DataFrame,
    images: Sequence[ImageSource],
    history: pd.DataFrame | None = None,
) -> tuple[Examples, list[Problem]]:
    """Features of posts, and what was wrong with them; parameters as of :func:`explain_posts`."""
    if history is not None:
        others = history[~history["post_id"].isin(posts["post_id"])]
        posts = run.attach_history(pd.concat([posts, others])).iloc[: len(posts)]
    return run.examples(posts, images)


def _words(model: Model, posts: pd.DataFrame) -> list[Words]:
    """The words of each caption; no words if the model reads no captions."""
    settings = model.feature_settings
    texts = prepare(posts["caption"].tolist(), steps=settings.text_steps)
    if "caption" not in modalities_of(model):
        return [words_of(text, []) for text in texts]
    offsets = text_encoder(settings.text_encoder, settings.max_tokens).tokenize(texts)
    return [words_of(*pair) for pair in zip(texts, offsets, strict=True)]


def _region_effects(
    model: Model, examples: Examples, known: list[str]
) -> list[dict[str, NDArray[np.float64]] | None]:
    """Effects of regions on the ``known`` readings; None if the model reads no regions."""
    if "image.map" not in model.features:
        return [None] * len(examples)
    return [
        None if effects is None else {name: effects[name] for name in known}
        for effects in region_effects(model, examples)
    ]


def _facts(run: Run, examples: Examples) -> list[pd.DataFrame]:
    encoder = run.pipeline.metadata
    if encoder is None:
        columns = ["value", *(each.name for each in readings_of(run.model.task))]
        nothing = pd.Index([], name="fact")
        return [pd.DataFrame(columns=columns, index=nothing, dtype=float)] * len(examples)
    return metadata_effects(run.model, examples, encoder.names)


def _shown(run: Run, posts: pd.DataFrame, images: Sequence[ImageSource]) -> list[dict[str, float]]:
    """What the model's encoder recognises in each picture: see :class:`Explanation`."""
    shows: list[dict[str, float]] = [{} for _ in images]
    settings = run.model.feature_settings
    if "image" not in modalities_of(run.model):
        return shows
    encoder = image_encoder(settings.image_encoder)
    if not encoder.words:
        return shows
    table, _ = extract_posts(posts, images, ["image.vector"], settings, cache=run.cache)
    column = table.columns["image.vector"]
    rows = np.flatnonzero(column.present)
    chances = encoder.word_probabilities(column.arrays(rows, None)[""])
    first = np.argsort(-chances, axis=1, kind="stable")[:, :_MOST_WORDS]
    for row, own, best in zip(rows.tolist(), chances, first, strict=True):
        shows[row] = {encoder.words[n]: float(own[n]) for n in best if own[n] >= _LEAST_CHANCE}
    return shows


def _boxes(
    model: Model, images: Sequence[ImageSource], attention: Sequence[PostAttention]
) -> list[NDArray[np.float32]]:
    """Where the objects are that receive attention, which the features don't hold."""
    boxes = [_NO_BOXES] * len(images)
    wanted = [
        row
        for row, each in enumerate(attention)
        if each.regions is not None and each.regions.objects.size
    ]
    if not wanted:
        return boxes
    encoder = object_encoder(model.feature_settings.object_encoder)
    pictures = [_picture(images[row], encoder.image_size) for row in wanted]
    for row, found in zip(wanted, encoder.encode(np.stack(pictures)).boxes, strict=True):
        boxes[row] = found
    return boxes


def _picture(source: ImageSource, size: int) -> NDArray[np.uint8]:
    if source is None:
        raise ImageError("there is no picture.")
    return load_image(source, size)


def _word_table(words: Words, attention: PostAttention, effects: pd.DataFrame) -> pd.DataFrame:
    received = (
        np.full(len(words), np.nan) if attention.tokens is None else words.total(attention.tokens)
    )
    table: dict[str, Any] = {
        "word": words.texts,
        "start": [start for start, _ in words.spans],
        "end": [end for _, end in words.spans],
        "tokens": words.tokens,
        "attention": received,
    }
    return pd.concat([pd.DataFrame(table), effects], axis=1)


def _word_regions(words: Words, attention: PostAttention) -> list[RegionWeights] | None:
    """Attention over the regions from each word: the mean over the word's tokens."""
    if attention.token_regions is None:
        return None
    grids = words.mean(np.stack([each.grid for each in attention.token_regions]))
    objects = words.mean(np.stack([each.objects for each in attention.token_regions]))
    return [RegionWeights(*pair) for pair in zip(grids, objects, strict=True)]


def _strongest_first(facts: pd.DataFrame, readings: Sequence[Reading]) -> pd.DataFrame:
    order = scaled_size(facts, readings).sort_values(ascending=False, kind="stable").index
    return facts.loc[order, ["value", *(each.name for each in readings)]]


def _notes(
    model: Model, said: Sequence[str | None], seen: set[str], words: Words, *, attends: bool
) -> list[str]:
    """What could not be explained about one post, and why."""
    notes = [text for text in said if isinstance(text, str)]
    reads = modalities_of(model)
    if not attends:
        notes.append(f"The model {model.name} has no attention to show.")
    unread = {"image": "pictures", "caption": "captions"}
    if missing := [what for name, what in unread.items() if name not in reads]:
        notes.append(f"The model {model.name} reads no {' and no '.join(missing)}.")
    if "image" in reads and "image" not in seen:
        consequence = ", so there is no attention over regions" if attends else ""
        notes.append(f"No picture was read{consequence}.")
    if "caption" in reads and not len(words):
        notes.append("No caption was read, so there are no words to weigh.")
    return notes


def _seen(model: Model, examples: Examples) -> list[set[str]]:
    """The modalities that each post has."""
    columns = {name: examples.features.columns[name].present for name in model.features}
    return [
        {CATALOG[name].modality for name, present in columns.items() if present[row]}
        for row in range(len(examples))
    ]

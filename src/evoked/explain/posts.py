"""Explain the predictions of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.errors import ImageError
from evoked.explain.explanation import Explanation, scaled_size
from evoked.explain.facts import columns_of_facts, facts_in_words
from evoked.explain.modalities import shapley_values
from evoked.explain.occlusion import fact_effects, region_effects, word_effects
from evoked.explain.readings import AmountReader, Reading, headline_names, readings_of
from evoked.explain.similar import similar_posts
from evoked.explain.words import Words, words_of
from evoked.features.captions import TextStep, prepare
from evoked.features.catalog import CATALOG
from evoked.features.encoders import image_encoder, object_encoder, text_encoder
from evoked.features.extract import ImageSource, Problem, extract_posts
from evoked.models.base import Examples, Model
from evoked.models.explanations import PostAttention, RegionWeights
from evoked.models.hiding import modalities_of
from evoked.posts.dataset import PostDataset
from evoked.posts.drafts import Draft
from evoked.posts.images import load_image
from evoked.posts.readers.values import hashtags_in
from evoked.runs.drafts import ASSUMED
from evoked.runs.influence import hardly_matters
from evoked.runs.posts import Run

_MOST_WORDS = 3
_LEAST_CHANCE = 0.1
_NO_BOXES = np.zeros((0, 4), dtype=np.float32)


def explain(run: Run, draft: Draft, dataset: PostDataset | None = None) -> Explanation:
    """Explain what a run predicts for a draft.

    Parameters
    ----------
    run
        Any run of posts.
    draft
        The post.
    dataset
        Where similar past posts are looked for, such as the run's own dataset: a run keeps no
        posts. None are shown by default.

    Returns
    -------
    Explanation
        :func:`evoked.explain.drawing.draw_explanation` makes pictures of it.

    Examples
    --------
    >>> why = explain(run, evoked.Draft("draft.jpg", "Golden hour"))   # doctest: +SKIP
    >>> why.contributions.loc["image", "likes"]                        # doctest: +SKIP
    """
    with run.checked():
        posts, images = run.draft_posts([draft])
        return _explained(run, *run.examples(posts, images), images, dataset)[0]


def explain_posts(
    run: Run,
    posts: pd.DataFrame,
    images: Sequence[ImageSource],
    dataset: PostDataset | None = None,
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
    dataset
        More posts, for looking up the authors' earlier posts and similar past posts.

    Notes
    -----
    Each post takes a few hundred predictions (at most 32 sets of modalities, the caption without
    each of its words, the picture without each of 16 regions, the post without each of its facts),
    one pass of the text encoder over as many captions as there are words, 64 at most, and one of
    the image encoder over 17 pictures, and perhaps one more to say what it recognises.
    """
    if not len(posts):
        return []
    history = None if dataset is None else dataset.posts
    return _explained(run, *examples_of(run, posts, images, history), images, dataset)


def _explained(
    run: Run,
    examples: Examples,
    problems: Sequence[Problem],
    images: Sequence[ImageSource],
    dataset: PostDataset | None,
) -> list[Explanation]:
    model, posts = run.model, examples.posts
    predicted = run.table(examples, problems)
    reader = AmountReader(model, run.task, examples)
    every = [each.name for each in readings_of(model.task)]
    known = [each.name for each in readings_of(model.task, model.known_targets)]
    values, base = shapley_values(model, examples, reader)
    words = _words(model, posts)
    found = model.attention(examples)
    attention = [PostAttention()] * len(examples) if found is None else found
    of_words = word_effects(model, run.pipeline, reader, examples, words)
    of_regions = region_effects(model, run.pipeline, reader, examples, images)
    facts = _facts(run, reader, examples)
    similar = [None] * len(examples) if dataset is None else similar_posts(run, examples, dataset)
    seen, boxes = _seen(model, examples), _boxes(model, images, attention)
    shows = _shown(run, posts, images)
    unimportant = hardly_matters(run.metrics.get("influence", []))
    explanations = []
    for row in range(len(posts)):
        regions = of_regions[row]
        readings = reader.readings(row)
        contributions = pd.DataFrame(
            values[row], pd.Index(modalities_of(model), name="modality"), every
        )[known]
        said = [predicted[name].iloc[row] for name in ("problem", ASSUMED) if name in predicted]
        explanations.append(
            Explanation(
                post_id=str(posts["post_id"].iloc[row]),
                model=model.name,
                prediction={str(k): v for k, v in predicted.iloc[row].items()},
                estimated=run.estimated,
                every_reading=readings,
                unrated=run.unrated_emotions,
                contributions=contributions,
                base=pd.Series(base[row], every)[known],
                outcome=pd.Series(base[row] + values[row].sum(0), every)[known],
                text=words[row].text,
                words=_word_table(words[row], attention[row], of_words[row][known]),
                hashtag_attention=attention[row].hashtags,
                regions=attention[row].regions,
                region_probabilities=attention[row].popularity,
                region_effects=None if regions is None else {key: regions[key] for key in known},
                word_regions=_word_regions(words[row], attention[row]),
                boxes=boxes[row],
                facts=_strongest_first(facts[row], readings),
                similar=similar[row],
                notes=[
                    *(text for text in said if isinstance(text, str)),
                    *_not_read(model, seen[row], words[row]),
                    *_cut_short(words[row]),
                    *(text for name, text in unimportant.items() if name in seen[row]),
                ],
                image=images[row],
                task=model.task.name,
                shows=shows[row],
            )
        )
    return explanations


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
    captions = posts["caption"].tolist()
    texts = prepare(captions, steps=settings.text_steps)
    if "caption" not in modalities_of(model):
        return [words_of(text, []) for text in texts]
    offsets = text_encoder(settings.text_encoder, settings.max_tokens).tokenize(texts)
    return [
        words_of(text, tokens, _tags(caption, settings.text_steps))
        for caption, text, tokens in zip(captions, texts, offsets, strict=True)
    ]


def _tags(caption: str | None, steps: Sequence[TextStep]) -> list[tuple[str, str]]:
    """The hashtags of a caption: as they were written and as they are prepared."""
    tags = hashtags_in(caption) if isinstance(caption, str) else []
    return list(zip(tags, prepare([f"#{tag}" for tag in tags], steps=steps), strict=True))


def _facts(run: Run, reader: AmountReader, examples: Examples) -> list[pd.DataFrame]:
    """For each post, an effect per fact, in words."""
    encoder = run.pipeline.metadata
    if encoder is None:
        names = ["about", *(each.name for each in readings_of(run.model.task))]
        nothing = pd.DataFrame(columns=names, index=pd.Index([], name="fact"), dtype=float)
        return [nothing] * len(examples)
    columns = columns_of_facts(encoder)
    effects = fact_effects(reader, examples, columns)
    for table, words in zip(
        effects, facts_in_words(encoder, examples.posts, run.whose), strict=True
    ):
        table.insert(0, "about", list(columns))
        table.index = pd.Index(words, name="fact")
    return effects


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
    headline = headline_names(readings)
    shown = [each for each in readings if each.name in headline]
    order = np.argsort(-scaled_size(facts, shown).to_numpy(), kind="stable")
    return facts.iloc[order][["about", *(each.name for each in readings)]]


def _not_read(model: Model, seen: set[str], words: Words) -> list[str]:
    """What of one post the model did not read, and why."""
    reads = modalities_of(model)
    unread = {"image": "pictures", "caption": "captions"}
    missing = [what for name, what in unread.items() if name not in reads]
    notes = [f"The model {model.name} reads no {' and no '.join(missing)}."] if missing else []
    if "image" in reads and "image" not in seen:
        notes.append("No picture was read.")
    if "caption" in reads and not len(words):
        notes.append("No caption was read, so there are no words to weigh.")
    return notes


def _cut_short(words: Words) -> list[str]:
    """What of a long caption is not weighed word by word, or not at all."""
    notes = []
    if words.joined > 1:
        notes.append(f"The caption is long: up to {words.joined} words are weighed together.")
    if len(words) and words.spans[-1][1] < len(words.text):
        notes.append("The model reads only the beginning of the caption, up to the last word here.")
    return notes


def _seen(model: Model, examples: Examples) -> list[set[str]]:
    """The modalities that each post has."""
    columns = {name: examples.features.columns[name].present for name in model.features}
    return [
        {CATALOG[name].modality for name, present in columns.items() if present[row]}
        for row in range(len(examples))
    ]

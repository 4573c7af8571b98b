"""How predictions change without a word, a region of the picture or a fact about a post."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from evoked.errors import ImageError
from evoked.explain.readings import Reader, readings_of
from evoked.explain.words import Words
from evoked.features.cache import FeatureCache
from evoked.features.extract import ImageSource
from evoked.features.pipeline import Columns, FeaturePipeline
from evoked.features.table import Column, FeatureTable
from evoked.models.base import Examples, Model
from evoked.models.hiding import modalities_of
from evoked.posts.images import load_image

Grid = NDArray[np.float64]

REGIONS = 4
"""Rows and columns of regions into which a picture is taken apart."""

# Pixels of the square in which regions are blurred, about what encoders read.
_EDGE = 256
# Share of the edge over which colours are mixed where a region is taken away, and over which the
# border of the region fades.
_BLUR, _FADE = 1 / 4, 1 / 32
_FACES = "affect.face"


def word_effects(
    model: Model,
    pipeline: FeaturePipeline,
    reader: Reader,
    examples: Examples,
    words: Sequence[Words],
) -> list[pd.DataFrame]:
    """Leave out one word at a time, encode the rest again, and compare the predictions.

    Parameters
    ----------
    model, pipeline
        Any model, and what computes its features.
    reader
        Predicts what is read of variants of the posts.
    examples
        n posts.
    words
        The words of each post's caption.

    Returns
    -------
    list of DataFrame
        For each post, (words, readings): prediction with the word minus prediction without it.
        A hashtag is left out of the post's hashtags as well. Metadata about the caption, such as
        its length, stay the same.
    """
    counts = [len(each) for each in words]
    if "caption" not in modalities_of(model) or not sum(counts):
        names = [each.name for each in readings_of(model.task)]
        return [pd.DataFrame(0.0, range(count), names) for count in counts]
    # The whole text first: it was prepared, which the post's own features may not show.
    rows = np.repeat(np.arange(len(examples)), [count + 1 for count in counts])
    texts = [text for each in words for text in (each.text, *each.without_each())]
    tags = [each.tags.get(at) for each in words for at in range(-1, len(each))]
    variants = examples.select(rows)
    posts = variants.posts.assign(caption=texts)
    left = [_without(own, tag) for own, tag in zip(_tags(variants.posts), tags, strict=True)]
    outside = _tags_outside_captions(variants.posts)
    nothing = [None] * len(rows)
    with _passing_cache() as cache:
        columns = pipeline.of_variants(
            "caption", posts.assign(hashtags=_objects(outside)), nothing, cache
        )
        columns |= pipeline.of_variants(
            "hashtags", posts.assign(hashtags=_objects(left)), nothing, cache
        )
        predicted = reader(_with(variants, columns), rows)
    starts = np.cumsum([0, *(count + 1 for count in counts)])[:-1]
    return [
        predicted.iloc[start] - predicted.iloc[start + 1 : start + 1 + count].reset_index(drop=True)
        for start, count in zip(starts, counts, strict=True)
    ]


def fact_effects(
    reader: Reader, examples: Examples, columns: Mapping[str, Sequence[int]]
) -> list[pd.DataFrame]:
    """Put the training posts' mean in place of each fact, one at a time.

    Parameters
    ----------
    reader
        Predicts what is read of variants of the posts.
    examples
        n posts with the feature ``metadata``.
    columns
        Columns of ``metadata`` by fact.

    Returns
    -------
    list of DataFrame
        For each post, (facts, readings): the prediction minus the prediction with the mean.
    """
    column = examples.features.columns["metadata"]
    values = column.arrays(np.arange(len(examples)))[""]
    of_fact = np.zeros((len(columns), values.shape[1]), dtype=bool)
    for number, own in enumerate(columns.values()):
        of_fact[number, list(own)] = True
    # What has the mean already has no effect.
    rows, facts = np.nonzero((values != 0) @ of_fact.T)
    replaced = np.where(of_fact[facts], 0, values[rows])
    changed: Columns = {"metadata": Column.dense(replaced, column.present[rows])}
    without = reader(_with(examples.select(rows), changed), rows)
    predicted = reader(examples, np.arange(len(examples)))
    effects = np.zeros((len(examples), len(columns), predicted.shape[1]))
    effects[rows, facts] = predicted.to_numpy()[rows] - without.to_numpy()
    index = pd.Index(list(columns), name="fact")
    return [pd.DataFrame(each, index, predicted.columns) for each in effects]


def region_effects(
    model: Model,
    pipeline: FeaturePipeline,
    reader: Reader,
    examples: Examples,
    images: Sequence[ImageSource],
) -> list[dict[str, Grid] | None]:
    """Blur one region of a picture at a time into its surroundings, and encode it again.

    Parameters
    ----------
    model, pipeline
        Any model, and what computes its features.
    reader
        Predicts what is read of variants of the posts.
    examples
        n posts.
    images
        Cover picture of each.

    Returns
    -------
    list
        For each post and reading, (4, 4): prediction minus prediction without the region; None for
        a post without a picture, and if the model reads no pictures.
    """
    found: list[dict[str, Grid] | None] = [None] * len(examples)
    if "image" not in modalities_of(model):
        return found
    # One post at a time, so that the variants of few pictures are in memory.
    for row, image in enumerate(images):
        variants = _without_regions(image)
        if variants:
            found[row] = _regions_of(pipeline, reader, examples, row, variants)
    return found


def _regions_of(
    pipeline: FeaturePipeline,
    reader: Reader,
    examples: Examples,
    row: int,
    pictures: Sequence[ImageSource],
) -> dict[str, Grid]:
    rows = np.full(len(pictures), row)
    variants = examples.select(rows)
    with _passing_cache() as cache:
        # Nobody's face appears where a region is blurred, and looking for one takes longest.
        unchanged = () if _shows_face(variants) else (_FACES,)
        columns = pipeline.of_variants("image", variants.posts, pictures, cache, unchanged)
        predicted = reader(_with(variants, columns), rows)
    effects = predicted.iloc[0] - predicted.iloc[1:]
    return {
        str(name): effects[name].to_numpy(np.float64).reshape(REGIONS, REGIONS) for name in effects
    }


def _shows_face(variants: Examples) -> bool:
    """Whether there is a face in the picture that all variants are of."""
    column = variants.features.columns.get(_FACES)
    return column is not None and bool(column.arrays(np.arange(1))[""].any())


def _without_regions(source: ImageSource) -> list[bytes]:
    """The picture as a file, and then without each of its regions; nothing if it can't be read."""
    if source is None:
        return []
    try:
        picture = load_image(source, _EDGE)
    except ImageError:
        return []
    blurred = np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(_EDGE * _BLUR)))
    side = _EDGE // REGIONS
    files = [_as_file(picture)]
    for row in range(REGIONS):
        for column in range(REGIONS):
            mask = np.zeros((_EDGE, _EDGE), dtype=np.uint8)
            mask[row * side : (row + 1) * side, column * side : (column + 1) * side] = 255
            soft = Image.fromarray(mask).filter(ImageFilter.GaussianBlur(_EDGE * _FADE))
            share = np.asarray(soft, dtype=np.float32)[..., None] / 255
            mixed = picture * (1 - share) + blurred * share
            files.append(_as_file(mixed.round().astype(np.uint8)))
    return files


def _as_file(picture: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "BMP")
    return stream.getvalue()


@contextmanager
def _passing_cache() -> Iterator[FeatureCache]:
    """A cache for the time being: posts that nobody made don't belong in the user's own."""
    with TemporaryDirectory() as folder:
        yield FeatureCache(folder)


def _with(variants: Examples, columns: Columns) -> Examples:
    return replace(variants, features=FeatureTable({**variants.features.columns, **columns}))


def _without(tags: Sequence[str], tag: str | None) -> list[str]:
    return [each for each in tags if tag is None or each.casefold() != tag.casefold()]


def _tags(posts: pd.DataFrame) -> list[list[str]]:
    if "hashtags" not in posts:
        return [[]] * len(posts)
    return [[] if own is None else list(own) for own in posts["hashtags"]]


def _tags_outside_captions(posts: pd.DataFrame) -> list[list[str]]:
    """The tags of each post that its original caption does not contain."""
    captions = posts["caption"].fillna("").str.casefold()
    return [
        [tag for tag in own if f"#{tag}".casefold() not in said]
        for own, said in zip(_tags(posts), captions, strict=True)
    ]


def _objects(values: Sequence[object]) -> pd.Series:
    return pd.Series(list(values), range(len(values)), dtype=object)

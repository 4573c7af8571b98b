"""Which encoder each extracted feature comes from, and how its values are kept."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from evoked.features.affect import picture_reader, text_reader
from evoked.features.cache import FeatureCache, Store
from evoked.features.captions import TEXT_STEPS, TextStep
from evoked.features.catalog import FeatureSettings
from evoked.features.encoders import face_encoder, image_encoder, object_encoder, text_encoder
from evoked.features.encoders.base import ImageEncoder, TextEncoder
from evoked.features.packing import is_packed, packed_type
from evoked.features.table import Column, PictureColumn
from evoked.features.text_fields import TEXT_FIELDS, TextField

# Raised when pictures are decoded, scaled or augmented differently: caches are keyed by it.
_DECODING_VERSION = 1
# Encoders of pictures and objects whose channels people read.
_DESCRIBING = ("descriptors", "salient")
_FACE_SIZE = 256  # edge in pixels: the largest at which faces are looked for


class Items(NamedTuple):
    """Values of a batch of n contents, for a store that rounds them to its own type.

    A content may have no items at all: it was read, and nothing was found.
    """

    values: NDArray[np.generic]  # (lengths.sum(), …)
    lengths: NDArray[np.int64]  # (n,)


class Format(NamedTuple):
    """How a feature is kept: dtype and shape of one item, whether a content has one item or a
    sequence of them, and by which kind of column single items are taken."""

    dtype: DTypeLike
    shape: tuple[int, ...]
    is_sequence: bool = False
    column: type[Column] = Column


class Reading(NamedTuple):
    """A feature that is read from what is kept of another.

    Attributes
    ----------
    of
        Name of the other feature, which the same source gives.
    fingerprint
        Fingerprint of what reads it.
    predict
        From rows of the other feature, (n, …), to rows of this one, (n, size).
    """

    of: str
    fingerprint: str
    predict: Callable[[NDArray[Any]], NDArray[np.float32]]

    def column(self, other: Column) -> Column:
        """The feature of the same posts."""
        rows = np.unique(other.index[other.index >= 0])
        places = np.where(other.index >= 0, np.searchsorted(rows, other.index), -1)
        return Column(self.predict(other.data[rows]), places)


@dataclass(frozen=True)
class Source:
    """One encoder and the features that are taken from it in one go.

    Attributes
    ----------
    fingerprint
        Fingerprint of the encoder and of everything that happens before it.
    formats
        How the items of each feature are kept, by the feature's name.
    compute
        Computes the features of a batch: of pictures, uint8 (n, image_size, image_size, 3), or of
        prepared texts.
    image_size
        Edge in pixels; 0 for a source that reads texts.
    views
        Number of views of each picture.
    text_steps
        How texts are prepared; see :func:`evoked.features.captions.prepare`.
    text_field
        Which text of a post is read.
    readings
        Features that are read from what is kept of ``formats``, by the feature's name.
    """

    fingerprint: str
    formats: dict[str, Format]
    compute: Callable[[Any], dict[str, Items]] = field(repr=False)
    image_size: int = 0
    views: int = 1
    text_steps: tuple[TextStep, ...] = TEXT_STEPS
    text_field: TextField = "caption"
    readings: dict[str, Reading] = field(default_factory=dict, repr=False)

    def fingerprints(self) -> dict[str, str]:
        """Fingerprint of each feature."""
        read = {
            name: f"{self.fingerprint}:{reading.fingerprint}"
            for name, reading in self.readings.items()
        }
        return dict.fromkeys(self.formats, self.fingerprint) | read

    def stores(self, cache: FeatureCache) -> dict[str, Store]:
        """Where the features are kept. Those of every text field are kept with those of captions,
        so that a text is encoded once, whichever field it is in."""
        return {
            name: cache.store(
                name.replace(f"{self.text_field}.", "caption.", 1),
                self.fingerprint,
                form.dtype,
                form.shape,
            )
            for name, form in self.formats.items()
        }


def image_sources(names: Collection[str], settings: FeatureSettings) -> list[Source]:
    """The sources of those features among ``names`` that are read from pictures."""
    sources: list[Source] = []
    encoded = [name for name in ("image.map", "image.vector") if name in names]
    if "affect.image" in names:
        sources += _image_affect(encoded, settings)
    elif encoded:
        sources.append(_encoded_images(encoded, settings))
    if "image.objects" in names:
        sources.append(_objects(settings))
    if "affect.face" in names:
        sources.append(_faces(settings))
    if "image.pixels" in names:
        sources.append(_pixels(settings))
    return sources


def text_sources(names: Collection[str], settings: FeatureSettings) -> list[Source]:
    """The sources of those features among ``names`` that are read from texts."""
    sources: list[Source] = []
    for text in TEXT_FIELDS:
        encoded = [name for name in (f"{text}.tokens", f"{text}.vector") if name in names]
        if encoded:
            sources.append(_encoded_texts(encoded, settings, text))
        if f"{text}.ids" in names:
            sources.append(_token_ids(settings, text))
    if "affect.text" in names:
        sources.append(_text_affect(settings))
    if "sentiment.text" in names:
        sources.append(_text_sentiment())
    return sources


# Encoders are kept for the next call: a draft is scored without loading them again.
_image_encoder = lru_cache(maxsize=2)(image_encoder)
_text_encoder = lru_cache(maxsize=2)(text_encoder)
_object_encoder = lru_cache(maxsize=2)(object_encoder)
_face_encoder = lru_cache(maxsize=2)(face_encoder)


def _rows(values: NDArray[np.generic]) -> Items:
    """One row per content; a row that is not finite counts as absent."""
    finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    return Items(values[finite], finite.astype(np.int64))


def _sequences(tokens: list[NDArray[Any]], channels: int) -> Items:
    empty = np.zeros((0, channels), np.float32)
    lengths = np.array([len(sequence) for sequence in tokens], dtype=np.int64)
    return Items(np.concatenate([empty, *tokens]), lengths)


def _precision(encoder_name: str) -> DTypeLike:
    """Networks' outputs are of order one and lose nothing that matters in half precision; people
    also read descriptors, by name."""
    return np.float32 if encoder_name in _DESCRIBING else np.float16


def _many(channels: int, *positions: int, is_sequence: bool = False) -> Format:
    """How vectors of regions or words are kept: packed, for nearly all of a cache is theirs, and a
    model reads many at a time."""
    kind = packed_type(channels)
    shape = positions if is_packed(kind) else (*positions, channels)
    return Format(kind, shape, is_sequence)


def _encoded_images(names: list[str], settings: FeatureSettings) -> Source:
    encoder: ImageEncoder = _image_encoder(settings.image_encoder)
    dtype = _precision(settings.image_encoder)
    rows, columns = encoder.grid
    regions, channels = rows * columns, encoder.map_channels
    is_read = settings.image_encoder in _DESCRIBING
    formats = {
        "image.map": Format(dtype, (regions, channels)) if is_read else _many(channels, regions),
        "image.vector": Format(dtype, (encoder.vector_size,)),
    }

    def compute(images: NDArray[np.uint8]) -> dict[str, Items]:
        features = encoder.encode(images)
        values = {"image.map": features.map, "image.vector": features.vector}
        return {name: _rows(values[name]) for name in names}

    return Source(
        f"{encoder.fingerprint}:decoding-{_DECODING_VERSION}",
        {name: formats[name] for name in names},
        compute,
        encoder.image_size,
        settings.views,
    )


def _image_affect(encoded: list[str], settings: FeatureSettings) -> list[Source]:
    """The sources of ``affect.image``, which is read from vectors of the reader's own encoder, and
    of the features that are encoded besides."""
    reader = picture_reader()
    readings = {"affect.image": Reading("image.vector", reader.fingerprint, reader.predict)}
    if settings.image_encoder == reader.encoder:
        names = [*(name for name in encoded if name != "image.vector"), "image.vector"]
        return [replace(_encoded_images(names, settings), readings=readings)]
    own = settings.model_copy(update={"image_encoder": reader.encoder, "views": 1})
    read = replace(_encoded_images(["image.vector"], own), readings=readings)
    # Last, so that vectors of the encoder that was asked for replace those that are only read.
    return [read, *([_encoded_images(encoded, settings)] if encoded else [])]


def _objects(settings: FeatureSettings) -> Source:
    encoder = _object_encoder(settings.object_encoder)
    channels = encoder.channels
    form = Format(_precision(settings.object_encoder), (channels,), True)
    return Source(
        f"{encoder.fingerprint}:decoding-{_DECODING_VERSION}",
        {"image.objects": form},
        lambda images: {"image.objects": _sequences(encoder.encode(images).tokens, channels)},
        encoder.image_size,
    )


def _faces(settings: FeatureSettings) -> Source:
    encoder = _face_encoder(settings.face_encoder)
    return Source(
        f"{encoder.fingerprint}:decoding-{_DECODING_VERSION}",
        {"affect.face": Format(np.float32, (len(encoder.names),))},
        lambda images: {"affect.face": _rows(encoder.encode(images))},
        _FACE_SIZE,
    )


def _pixels(settings: FeatureSettings) -> Source:
    encoder: ImageEncoder = _image_encoder(settings.image_encoder)
    size = encoder.image_size
    return Source(
        f"pixels:{size}:decoding-{_DECODING_VERSION}",
        {"image.pixels": Format(np.uint8, (size, size, 3), column=PictureColumn)},
        lambda images: {"image.pixels": _rows(images)},
        size,
    )


def _encoded_texts(names: list[str], settings: FeatureSettings, field: TextField) -> Source:
    encoder: TextEncoder = _text_encoder(settings.text_encoder, settings.max_tokens)
    formats = {
        f"{field}.tokens": _many(encoder.token_channels, is_sequence=True),
        f"{field}.vector": Format(np.float16, (encoder.vector_size,)),
    }

    def compute(texts: list[str]) -> dict[str, Items]:
        features = encoder.encode(texts)
        tokens = _sequences(features.tokens, encoder.token_channels)
        has_tokens = tokens.lengths > 0
        vectors = Items(features.vector[has_tokens], has_tokens.astype(np.int64))
        values = {f"{field}.tokens": tokens, f"{field}.vector": vectors}
        return {name: values[name] for name in names}

    return Source(
        encoder.fingerprint + _preparation(settings),
        {name: formats[name] for name in names},
        compute,
        text_steps=settings.text_steps,
        text_field=field,
    )


def _token_ids(settings: FeatureSettings, field: TextField) -> Source:
    encoder: TextEncoder = _text_encoder(settings.text_encoder, settings.max_tokens)

    def compute(texts: list[str]) -> dict[str, Items]:
        ids, mask = encoder.token_ids(texts)
        return {f"{field}.ids": Items(ids[mask].numpy(), mask.sum(1).numpy())}

    return Source(
        f"ids:{encoder.fingerprint}{_preparation(settings)}",
        {f"{field}.ids": Format(np.int64, (), True)},
        compute,
        text_steps=settings.text_steps,
        text_field=field,
    )


def _preparation(settings: FeatureSettings) -> str:
    """The part of a fingerprint that names how texts are prepared; empty for the usual way."""
    steps = settings.text_steps
    return "" if steps == TEXT_STEPS else f":text-{'-'.join(steps)}"


def _text_affect(settings: FeatureSettings) -> Source:
    reader = text_reader(settings.affect_reader)
    return Source(
        reader.fingerprint,
        {"affect.text": Format(np.float32, (3,))},
        # A text that the reader can't read (another language) is NaN and counts as absent.
        lambda texts: {"affect.text": _rows(np.asarray(reader.predict(texts), np.float32))},
        # The reader was fitted on texts after all steps, whichever of them the encoder's texts get;
        # a language is known by texts as they were written.
        text_steps=TEXT_STEPS if settings.affect_reader == "builtin" else (),
    )


def _text_sentiment() -> Source:
    from evoked.features.sentiment import (
        SENTIMENT_NAMES,
        sentiment_features,
        sentiment_fingerprint,
    )

    return Source(
        sentiment_fingerprint(),
        {"sentiment.text": Format(np.float32, (len(SENTIMENT_NAMES),))},
        # A text that can't be read is NaN and counts as absent.
        lambda texts: {"sentiment.text": _rows(sentiment_features(texts))},
        # The reader goes by capitals and emoji.
        text_steps=("urls", "hashtags"),
        text_field="text",
    )

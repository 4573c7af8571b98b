"""Features of drafts, read by the graphs of an export.

Each *source* of a manifest gives some features and says how: by which graph, of pictures of which
size, of texts prepared in which way. They are computed as :mod:`evoked.features.extract` does, and
rounded as its cache rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from evoked.affect._readable import is_readable
from evoked.affect.universal_text import UniversalEmotionReader
from evoked.errors import ImageError, MissingExtraError
from evoked.features.affect import EnglishReader, MultilingualEmotionReader
from evoked.features.captions import prepare
from evoked.features.encoders._recognition import ClassHead, recognised
from evoked.features.encoders._sessions import mapped_tensors
from evoked.features.encoders._token_batches import (
    Floats,
    Ids,
    Mask,
    batches_by_length,
    mean_over_tokens,
    padded,
    text_features,
)
from evoked.features.encoders.base import TextFeatures
from evoked.features.encoders.universal_text import UniversalTextEncoder
from evoked.features.environment import Environment, Sums
from evoked.features.hashtags import HashtagVectors
from evoked.features.metadata import MetadataEncoder
from evoked.features.packing import as_kept, packed_type
from evoked.features.table import Column, FeatureColumn, FeatureTable, RaggedColumn
from evoked.features.text_fields import texts_of
from evoked.features.topics import Topics
from evoked.posts.columns import Columns, values_of
from evoked.posts.images import load_image
from evoked.posts.vocabulary import EMOTIONS, SCALES
from evoked.runtime.folder import ARRAYS_FILE, ExportFolder
from evoked.runtime.graphs import Graph, load_graph

Picture = Path | bytes | None
Source = Mapping[str, Any]


class FeatureReader:
    """Computes what an exported run reads of drafts. What it needs is loaded when it is first
    needed: a draft without a picture takes no network for pictures.

    Parameters
    ----------
    folder
        The export.
    once
        As for :func:`evoked.runtime.load`.
    """

    def __init__(self, folder: ExportFolder, *, once: bool = False) -> None:
        self._folder, self._once = folder, once
        self._graph = lru_cache(maxsize=None)(self._loaded_graph)
        self._tokenizer = lru_cache(maxsize=None)(self._loaded_tokenizer)

    def read(
        self, posts: Columns, pictures: Sequence[Picture]
    ) -> tuple[FeatureTable, dict[int, str]]:
        """The features of n posts with their history, and why pictures could not be read, by the
        number of the post.

        Parameters
        ----------
        posts
            Drafts.
        pictures
            Cover picture of each: a path, bytes or None.

        Raises
        ------
        DataError
            A file of the export is missing, or was altered.
        MissingExtraError
            A library that the run's features need is not installed.
        """
        columns: dict[str, FeatureColumn] = {}
        problems: dict[int, str] = {}
        decoded: dict[int, dict[int, NDArray[np.uint8]]] = {}
        for source in self._folder.manifest["sources"]:
            if source["kind"] in ("picture", "objects", "faces"):
                size = int(source["size"])
                if size not in decoded:
                    decoded[size], found = _decoded(pictures, size)
                    problems |= found
                columns |= self._of_pictures(source, decoded[size], len(posts))
            else:
                columns |= self._of_texts(source, posts)
        for name, compute in self._fitted.items():
            columns |= compute(posts, columns) if name == "environment" else compute(posts)
        wanted = self._folder.manifest["head"]["features"]
        if not wanted:  # a model that reads the posts' own table
            blank = np.zeros((len(posts), 1), dtype=np.float32)
            return FeatureTable({"post": Column.dense(blank)}), problems
        return FeatureTable({name: columns[name] for name in wanted}), problems

    def _of_pictures(
        self, source: Source, pictures: Mapping[int, NDArray[np.uint8]], n: int
    ) -> dict[str, FeatureColumn]:
        rows = list(pictures)
        images = (
            np.stack([pictures[row] for row in rows])
            if rows
            else np.zeros((0, source["size"], source["size"], 3), np.uint8)
        )
        if source["kind"] == "faces":
            found = _faces(images) if rows else np.zeros((0, source["width"]), np.float32)
            return {"affect.face": _column(found, rows, n)}
        map_, vector = self._encoded(source, images)
        if source["kind"] == "objects":
            return {"image.objects": self._objects(source, map_, vector, rows, n)}
        values = {"image.map": map_, "image.vector": vector}
        return {
            name: _column(values[name], rows, n, _type_of(source, name, values[name].shape[-1]))
            for name in source["gives"]
        }

    def _encoded(self, source: Source, images: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        positions, channels, size = source["shape"]
        map_ = np.empty((len(images), positions, channels), np.float32)
        vector = np.empty((len(images), size), np.float32)
        for start in range(0, len(images), source["batch"]):
            rows = slice(start, start + source["batch"])
            found = self._graph(source["graph"])({"pictures": images[rows]})
            map_[rows], vector[rows] = found["map"], found["vector"]
        return map_, vector

    def _objects(
        self, source: Source, map_: Floats, vector: Floats, rows: Sequence[int], n: int
    ) -> RaggedColumn:
        rows_of_grid, columns_of_grid = source["grid"]
        head = ClassHead(
            *(
                self._arrays[f"objects.{part}"]
                for part in ("kernel", "kernel_bias", "weight", "bias")
            )
        )
        found = recognised(head, map_, vector, (rows_of_grid, columns_of_grid))
        tokens = [token[:count] for token, count in zip(found.tokens, found.counts, strict=True)]
        kind = _type_of(source, "image.objects", source["channels"])
        return _ragged(tokens, rows, n, source["channels"], kind)

    def _of_texts(self, source: Source, posts: Columns) -> dict[str, FeatureColumn]:
        prepared = prepare(texts_of(posts, source["field"]), steps=source["steps"])
        rows = [row for row, text in enumerate(prepared) if text]
        texts = [prepared[row] for row in rows]
        if source["kind"] == "emotion":
            read = self._emotion_reader.predict(texts).astype(np.float32)
            return {"affect.text": _column(read, rows, len(posts))}
        features = self._text_features(source, texts)
        columns: dict[str, FeatureColumn] = {}
        kept = [place for place, token in enumerate(features.tokens) if len(token)]
        field = source["field"]
        if f"{field}.tokens" in source["gives"]:
            kind = _type_of(source, f"{field}.tokens", source["channels"])
            columns[f"{field}.tokens"] = _ragged(
                features.tokens, rows, len(posts), source["channels"], kind
            )
        if f"{field}.vector" in source["gives"]:
            columns[f"{field}.vector"] = _column(
                features.vector[kept], [rows[at] for at in kept], len(posts), np.float16
            )
        return columns

    def _text_features(self, source: Source, texts: list[str]) -> TextFeatures:
        if source["kind"] == "universal":
            return _universal(source["max_tokens"]).encode(texts)
        tokenizer = self._tokenizer(source["tokenizer"], source["max_tokens"])
        return text_features(
            tokenizer.encode_batch(texts) if texts else [],
            source["padding"],
            source["channels"],
            lambda ids, mask: self._states(source["graph"], ids, mask),
            source["tokens_per_batch"],
        )

    def _states(self, graph: str, ids: Ids, mask: Mask) -> tuple[Floats, Floats]:
        states = self._graph(graph)({"ids": ids, "is token": mask})["states"]
        return states, mean_over_tokens(states, mask)

    @cached_property
    def _emotion_reader(self) -> EnglishReader:
        """What reads the emotion of captions."""
        sources = self._folder.manifest["sources"]
        source = next(each for each in sources if each["kind"] == "emotion")
        english = _GraphReader(
            source,
            self._tokenizer(source["tokenizer"], source["max_tokens"]),
            lambda ids, mask: self._graph(source["graph"])({"ids": ids, "is token": mask}),
        )
        if not source["others"]:
            return english
        slopes, offsets = (self._arrays[f"emotion.{part}"] for part in ("slopes", "offsets"))
        return MultilingualEmotionReader(
            english,
            UniversalEmotionReader(slopes, offsets, texts=0),
            _universal(source["max_tokens"]),
        )

    @cached_property
    def _fitted(self) -> dict[str, Any]:
        """What was learned from the training posts, as functions of posts."""
        states = self._folder.manifest["fitted"]
        found: dict[str, Any] = {}
        if "metadata" in states:
            encoder = MetadataEncoder.from_dict(states["metadata"])
            found["metadata"] = lambda posts: {"metadata": Column.dense(encoder.transform(posts))}
        if "hashtags" in states:
            own = states["hashtags"]
            hashtags = HashtagVectors(
                tuple(own["tags"]), self._arrays["hashtags.vectors"], own["stemmed"]
            )
            found["hashtags"] = lambda posts: {
                "hashtags.vector": Column.dense(*hashtags.transform(values_of(posts, "hashtags")))
            }
        if "topics" in states:
            own = states["topics"]
            topics = Topics(tuple(own["words"]), self._arrays["topics.weights"], own["wanted"])
            found["topics"] = lambda posts: {
                "topics": Column.dense(*topics.transform(values_of(posts, "caption")))
            }
        if "environment" in states:
            found["environment"] = self._environment(states["environment"]).transform
        return found

    def _environment(self, state: Mapping[str, Any]) -> Environment:
        arrays = {
            name.removeprefix("environment."): values
            for name, values in self._arrays.items()
            if name.startswith("environment.")
        }
        sums = {
            name: Sums(arrays[f"{name}.total"], arrays[f"{name}.count"]) for name in state["sums"]
        }
        return Environment(tuple(state["authors"]), arrays["posts"], arrays["members"], sums)

    @cached_property
    def _arrays(self) -> dict[str, NDArray[Any]]:
        return mapped_tensors(self._folder.checked(ARRAYS_FILE))

    def _loaded_graph(self, name: str) -> Graph:
        return load_graph(self._folder, name, once=self._once)

    def _loaded_tokenizer(self, file: str, max_tokens: int) -> Any:
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise MissingExtraError("tokenizers", "export", "reading captions") from error
        tokenizer = Tokenizer.from_str(self._folder.content(file).decode())
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_tokens)
        return tokenizer


class _GraphReader:
    """Reads valence, arousal and dominance of captions in English by a graph.

    Parameters
    ----------
    source
        What the manifest says of it.
    tokenizer
        Of the tokenizers library.
    run
        From ids and mask, (n, longest), to ``readings``, (n, 3), standardised.
    """

    def __init__(
        self, source: Source, tokenizer: Any, run: Callable[[Ids, Mask], dict[str, NDArray[Any]]]
    ) -> None:
        self.fingerprint = str(source["encoder"])
        self._source, self._tokenizer, self._run = source, tokenizer, run

    def predict(self, texts: Sequence[str | None]) -> Floats:
        """See :meth:`evoked.affect.text.TextEmotionReader.predict`."""
        prepared = prepare(texts)
        ids = [each.ids for each in self._tokenizer.encode_batch(prepared)] if prepared else []
        rows = np.array(
            [
                row
                for row, (text, own) in enumerate(zip(prepared, ids, strict=True))
                if is_readable(text, own, self._source["unknown"])
            ],
            dtype=np.int64,
        )
        readings = np.full((len(texts), len(EMOTIONS)), np.nan, np.float32)
        mean, spread = (
            np.array(self._source[name], dtype=np.float32) for name in ("mean", "spread")
        )
        lengths = np.array([len(ids[row]) for row in rows], dtype=np.int64)
        for batch in batches_by_length(lengths, self._source["tokens_per_batch"]):
            found = self._run(*padded([ids[row] for row in rows[batch]], self._source["padding"]))
            readings[rows[batch]] = found["readings"] * spread + mean
        lowest, highest = np.array([SCALES[name] for name in EMOTIONS]).T
        return np.clip(readings, lowest, highest).astype(np.float32)


@lru_cache(maxsize=2)
def _universal(max_tokens: int) -> UniversalTextEncoder:
    return UniversalTextEncoder(max_tokens)


def _decoded(
    pictures: Sequence[Picture], size: int
) -> tuple[dict[int, NDArray[np.uint8]], dict[int, str]]:
    """Pixels of the pictures that can be read, and errors of the others, by number."""
    decoded: dict[int, NDArray[np.uint8]] = {}
    problems: dict[int, str] = {}
    for row, picture in enumerate(pictures):
        if picture is None:
            continue
        try:
            decoded[row] = load_image(picture, size)
        except ImageError as error:
            problems[row] = str(error)
    return decoded, problems


def _faces(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    try:
        from evoked.features.encoders.faces import BuiltinFaces
    except ImportError as error:
        raise MissingExtraError(
            "opencv-python-headless", "export", "looking for faces, as this run does,"
        ) from error
    return _face_encoder(BuiltinFaces).encode(images)


@lru_cache(maxsize=1)
def _face_encoder(kind: Any) -> Any:
    return kind()


def _type_of(source: Source, name: str, channels: int) -> np.dtype[Any]:
    """How the cache keeps a feature; exports of releases that packed nothing name none."""
    packed = name in source.get("packed", ())
    return packed_type(channels) if packed else np.dtype(source.get("dtype", "float16"))


def _column(
    values: NDArray[Any], rows: Sequence[int], n: int, kind: DTypeLike = np.float32
) -> Column:
    """A column of n posts, of which those at ``rows`` have values, rounded to a type; a row that is
    not finite counts as absent."""
    index = np.full(n, -1, dtype=np.int64)
    finite = np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
    chosen = np.asarray(rows, dtype=np.int64)
    index[chosen[finite]] = np.flatnonzero(finite)
    return Column(as_kept(values, kind), index[:, None])


def _ragged(
    tokens: Sequence[NDArray[Any]], rows: Sequence[int], n: int, channels: int, kind: DTypeLike
) -> RaggedColumn:
    starts, lengths = np.zeros((2, n), dtype=np.int64)
    own = np.array([len(each) for each in tokens], dtype=np.int64)
    starts[list(rows)], lengths[list(rows)] = np.cumsum(own) - own, own
    joined = np.concatenate([np.zeros((0, channels), np.float32), *tokens])
    return RaggedColumn(as_kept(joined, kind), starts, lengths)

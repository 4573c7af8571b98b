"""Extraction: the features of posts that need no training posts.

Every content is encoded once, however many posts share it, and its features are kept in the cache
batch by batch. The table that is returned is a view of the cache, so memory doesn't grow with the
number of posts, and an extraction that was stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.errors import DataError, ImageError, SettingsError
from evoked.features._memory import return_free_memory
from evoked.features._sources import Source, image_sources, text_sources
from evoked.features.cache import KEY_BYTES, FeatureCache, Keys, content_key
from evoked.features.captions import prepare
from evoked.features.catalog import FeatureSettings, feature
from evoked.features.table import Column, FeatureColumn, FeatureTable, RaggedColumn
from evoked.features.text_fields import texts_of
from evoked.posts.dataset import PostDataset
from evoked.posts.images import MAX_BYTES, augmented_view, load_image, read_header
from evoked.progress import Progress

ImageSource = Path | bytes | None

# Pictures that are decoded ahead and encoded together, each view counted as one.
_IMAGES_PER_BATCH = 32
# Captions that are sorted by length and encoded together.
_TEXTS_PER_BATCH = 256
_DECODING_THREADS = min(8, os.cpu_count() or 1)
_READING_THREADS = min(4, os.cpu_count() or 1)
_FEW_POSTS = 8

Result = TypeVar("Result")


class Problem(NamedTuple):
    """A post whose picture could not be read, and why."""

    post_id: str
    message: str


def extract(
    dataset: PostDataset,
    names: Sequence[str],
    settings: FeatureSettings | None = None,
    *,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
) -> tuple[FeatureTable, list[Problem]]:
    """Extract features of a dataset's posts; see :func:`extract_posts`."""
    return extract_posts(
        dataset.posts, dataset.cover_paths(), names, settings, cache=cache, progress=progress
    )


def extract_posts(
    posts: pd.DataFrame,
    images: Sequence[ImageSource],
    names: Sequence[str],
    settings: FeatureSettings | None = None,
    *,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
) -> tuple[FeatureTable, list[Problem]]:
    """Extract features of posts.

    Parameters
    ----------
    posts
        n posts: ``post_id`` and, for features of texts, ``caption``, ``title``, ``hashtags``.
    images
        Cover picture of each post: a path, bytes or None.
    names
        Features of the catalog that are not fitted.
    settings
        Encoders and their settings; the builtin encoders by default.
    cache
        Where features are kept; the user's cache (``$EVOKED_CACHE``, or ``~/.cache/evoked``) by
        default.
    progress
        Called with what is being read (``pictures``, ``captions``), the number of different ones
        done and the number of all.

    Returns
    -------
    table, problems
        The features, and the posts whose picture could not be read. Their features of the picture
        are absent, as they are for a post without a picture; so are those of the caption where it
        is empty.

    Raises
    ------
    SettingsError
        A feature that is not extracted, or an encoder that isn't available.
    DataError
        There isn't one picture, or None, per post; or the cache can't be written.
    """
    if len(images) != len(posts):
        raise DataError(
            f"{len(images)} pictures for {len(posts)} posts; expected one, or None, each."
        )
    settings = settings or FeatureSettings()
    from_images, from_texts = _sources(names, settings)
    cache = cache or FeatureCache()
    # Encoders use several threads well for many posts; for few, it takes less long to run one
    # beside the other. Progress reports one kind of content after the other.
    beside = progress is None and len(posts) <= _FEW_POSTS
    readings: list[Callable[[], _Read]] = []
    if from_images:
        readings.append(partial(_from_images, images, from_images, cache, progress))
    alike = [[each] for each in from_texts] if beside else _by_text(from_texts)
    readings += [
        partial(_from_texts, texts_of(posts, each[0].text_field), each, cache, progress)
        for each in alike
    ]
    found = _beside_each_other(readings) if beside else [reading() for reading in readings]
    columns: dict[str, FeatureColumn] = {}
    errors: dict[int, ImageError] = {}
    for own, unread in found:
        columns |= own
        errors |= unread
    problems = [Problem(posts["post_id"].iloc[row], str(e)) for row, e in errors.items()]
    return FeatureTable({name: columns[name] for name in names}), problems


def fingerprints(names: Sequence[str], settings: FeatureSettings) -> dict[str, str]:
    """Fingerprint of the encoder behind each of the features.

    Raises
    ------
    SettingsError
        A feature that is not extracted, or an encoder that isn't available.
    """
    from_images, from_texts = _sources(names, settings)
    return {
        name: fingerprint
        for source in from_images + from_texts
        for name, fingerprint in source.fingerprints().items()
        if name in names
    }


def _sources(names: Sequence[str], settings: FeatureSettings) -> tuple[list[Source], list[Source]]:
    fitted = [name for name in names if feature(name).fitted]
    if fitted:
        raise SettingsError(
            f"{', '.join(fitted)}: fitted on training posts, not extracted; use FeaturePipeline."
        )
    return image_sources(names, settings), text_sources(names, settings)


class _Contents:
    """The different contents among those of n posts.

    Parameters
    ----------
    digests
        Digest of each post's content, None where it has none.

    Attributes
    ----------
    of_post
        int64, (n,): number of each post's content, -1 where it has none.
    posts
        For each content, a post that has it.
    """

    def __init__(self, digests: Sequence[bytes | None]) -> None:
        number: dict[bytes, int] = {}
        self.posts: list[int] = []
        self.of_post = np.full(len(digests), -1, np.int64)
        for post, digest in enumerate(digests):
            if digest is None:
                continue
            if digest not in number:
                self.posts.append(post)
            self.of_post[post] = number.setdefault(digest, len(number))
        self._digests = list(number)

    def __len__(self) -> int:
        return len(self._digests)

    def keys(self, views: int) -> Keys:
        """Keys of every view of every content: uint8, (contents, views, 32)."""
        parts = [f"view {view}" for view in range(views)]
        joined = b"".join(content_key(digest, part) for digest in self._digests for part in parts)
        return np.frombuffer(joined, np.uint8).reshape(-1, views, KEY_BYTES)


class _Job:
    """What one source has to compute, and where the results are kept.

    Attributes
    ----------
    wanted
        bool, (contents,): which contents the cache lacks.
    """

    def __init__(self, source: Source, cache: FeatureCache, contents: _Contents) -> None:
        self.source = source
        self._contents = contents
        self._keys = contents.keys(source.views)
        self._stores = source.stores(cache)
        known = [store.find(self._flat_keys())[0] >= 0 for store in self._stores.values()]
        self.wanted = ~np.all(known, axis=0).reshape(-1, source.views).all(axis=1)

    def run(self, contents: Sequence[int], batch: Any) -> None:
        """Compute and keep a batch: every view of each content, one content after the other."""
        keys = self._keys[contents].reshape(-1, KEY_BYTES)
        for name, items in self.source.compute(batch).items():
            self._stores[name].append(keys, items.values, items.lengths)

    def columns(self) -> dict[str, FeatureColumn]:
        """The features of all posts."""
        columns: dict[str, FeatureColumn] = {}
        for name, store in self._stores.items():
            found, counts = store.find(self._flat_keys())
            starts = self._by_post(np.where(counts > 0, found, -1), nothing=-1)
            form = self.source.formats[name]
            if form.is_sequence:
                lengths = self._by_post(counts, nothing=0)[:, 0]
                columns[name] = RaggedColumn(store.items(), starts[:, 0], lengths)
            else:
                columns[name] = form.column(store.items(), starts)
        for name, reading in self.source.readings.items():
            other = columns[reading.of]
            assert isinstance(other, Column)
            columns[name] = reading.column(other)
        return columns

    def _flat_keys(self) -> Keys:
        return self._keys.reshape(-1, KEY_BYTES)

    def _by_post(self, values: NDArray[np.int64], nothing: int) -> NDArray[np.int64]:
        """From (contents * views,) to (posts, views)."""
        views = self.source.views
        table = np.concatenate([values.reshape(-1, views), np.full((1, views), nothing)])
        return table[self._contents.of_post]  # -1 is the last row


def _by_text(sources: Sequence[Source]) -> list[list[Source]]:
    """Sources that read the same texts, prepared in the same way, together."""
    found: dict[Hashable, list[Source]] = {}
    for source in sources:
        found.setdefault((source.text_field, source.text_steps), []).append(source)
    return list(found.values())


def _beside_each_other(readings: Sequence[Callable[[], Result]]) -> list[Result]:
    """What each reading gives; the last begin first, since captions take longest."""
    with ThreadPoolExecutor(_READING_THREADS) as pool:
        return list(pool.map(lambda reading: reading(), readings[::-1]))[::-1]


# Columns by feature, and errors by the position of the post.
_Read = tuple[dict[str, FeatureColumn], dict[int, ImageError]]


def _from_images(
    images: Sequence[ImageSource],
    sources: Sequence[Source],
    cache: FeatureCache,
    progress: Progress | None,
) -> _Read:
    with ThreadPoolExecutor(_DECODING_THREADS) as pool:
        digests = list(pool.map(picture_digest, images))
        contents = _Contents([found if isinstance(found, bytes) else None for found in digests])
        jobs = [_Job(source, cache, contents) for source in sources]
        missing = np.flatnonzero(np.any([job.wanted for job in jobs], axis=0)).tolist()
        views = max(source.views for source in sources)
        stage = _Stage("pictures", len(contents), len(contents) - len(missing), progress)
        damaged: dict[int, ImageError] = {}

        def decode(content: int) -> _Decoded | ImageError:
            wanting = [job.source for job in jobs if job.wanted[content]]
            return _decode(images[contents.posts[content]], wanting)

        batches = _batches(missing, max(1, _IMAGES_PER_BATCH // views))
        for batch, results in _ahead(pool, decode, batches):
            pictures = dict(zip(batch, results, strict=True))
            damaged |= {c: found for c, found in pictures.items() if isinstance(found, ImageError)}
            for job in jobs:
                _run_on_pictures(job, pictures)
            return_free_memory()
            stage.advance(len(batch))

    columns = {name: column for job in jobs for name, column in job.columns().items()}
    found = [
        digest if content < 0 else damaged.get(content)
        for digest, content in zip(digests, contents.of_post.tolist(), strict=True)
    ]
    errors = {post: what for post, what in enumerate(found) if isinstance(what, ImageError)}
    return columns, errors


_Decoded = dict[int, list[NDArray[np.uint8]]]  # views of a picture, by image size


def _run_on_pictures(job: _Job, pictures: dict[int, _Decoded | ImageError]) -> None:
    size, views = job.source.image_size, job.source.views
    shown = {
        content: picture[size][:views]
        for content, picture in pictures.items()
        if job.wanted[content] and not isinstance(picture, ImageError)
    }
    if shown:
        job.run(list(shown), np.stack([view for seen in shown.values() for view in seen]))


def picture_digest(source: ImageSource) -> bytes | ImageError | None:
    """SHA-256 of a picture's bytes, or the error that keeps it from being read."""
    if source is None:
        return None
    if isinstance(source, bytes):
        return hashlib.sha256(source).digest()
    try:
        if not source.is_file() or source.stat().st_size > MAX_BYTES:
            read_header(source)  # says what is wrong
        with open(source, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except ImageError as error:
        return error
    except OSError as error:
        return ImageError(f"can't be read ({error.strerror or error}).", file=source)


def _decode(source: ImageSource, wanting: Sequence[Source]) -> _Decoded | ImageError:
    """A picture in every size and view that the sources want."""
    assert source is not None
    decoded: _Decoded = {}
    try:
        for size in {each.image_size for each in wanting}:
            views = max(each.views for each in wanting if each.image_size == size)
            picture = load_image(source, size)
            decoded[size] = [augmented_view(picture, view) for view in range(views)]
    except ImageError as error:
        return error
    return decoded


def _from_texts(
    texts: Sequence[str | None],
    sources: Sequence[Source],
    cache: FeatureCache,
    progress: Progress | None,
) -> _Read:
    """For sources that read the same texts, prepared in the same way; without errors."""
    steps = sources[0].text_steps
    digests: list[bytes | None] = []
    lengths: list[int] = []
    for rows in _batches(range(len(texts)), _TEXTS_PER_BATCH):
        prepared = prepare([texts[row] for row in rows], steps=steps)
        digests += [hashlib.sha256(text.encode()).digest() if text else None for text in prepared]
        lengths += [len(text) for text in prepared]
    contents = _Contents(digests)
    jobs = [_Job(source, cache, contents) for source in sources]
    missing = np.flatnonzero(np.any([job.wanted for job in jobs], axis=0)).tolist()
    stage = _Stage(
        f"{sources[0].text_field}s", len(contents), len(contents) - len(missing), progress
    )
    # Texts of similar length together, so that little of a batch is padding; the longest first, so
    # that no later batch needs more memory than the first.
    missing.sort(key=lambda content: lengths[contents.posts[content]], reverse=True)
    for batch in _batches(missing, _TEXTS_PER_BATCH):
        read = prepare([texts[contents.posts[content]] for content in batch], steps=steps)
        for job in jobs:
            chosen = [i for i, content in enumerate(batch) if job.wanted[content]]
            if chosen:
                job.run([batch[i] for i in chosen], [read[i] for i in chosen])
        return_free_memory()
        stage.advance(len(batch))
    return {name: column for job in jobs for name, column in job.columns().items()}, {}


class _Stage:
    """Counts what a stage has done, and reports it."""

    def __init__(self, name: str, total: int, done: int, progress: Progress | None) -> None:
        self._name = name
        self._total = total
        self._done = done
        self._progress = progress
        self.advance(0)

    def advance(self, count: int) -> None:
        self._done += count
        if self._progress is not None:
            self._progress(self._name, self._done, self._total)


def _batches(items: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _ahead(
    pool: ThreadPoolExecutor,
    work: Callable[[int], Result],
    batches: Iterator[Sequence[int]],
) -> Iterator[tuple[Sequence[int], list[Result]]]:
    """Batches with the results of ``work``; the next batch is worked on while one is used."""
    waiting: deque[tuple[Sequence[int], list[Future[Result]]]] = deque()
    for batch in batches:
        waiting.append((batch, [pool.submit(work, item) for item in batch]))
        if len(waiting) == 2:
            ready, futures = waiting.popleft()
            yield ready, [future.result() for future in futures]
    for ready, futures in waiting:
        yield ready, [future.result() for future in futures]

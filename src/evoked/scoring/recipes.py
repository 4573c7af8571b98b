"""What a worker does with a batch of posts: score them, or extract their features.

A recipe travels to the worker, which prepares it once and keeps it warm: rows in, rows out, what is
wrong with one of them in a column of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from evoked.features.cache import FeatureCache
from evoked.features.catalog import FeatureSettings
from evoked.features.extract import extract_posts
from evoked.features.table import FeatureColumn, RaggedColumn
from evoked.files import damage
from evoked.posts.author_history import EveryonesCounts
from evoked.posts.dataset import as_pandas
from evoked.posts.drafts import Draft, as_posts
from evoked.posts.gathering import ERROR
from evoked.posts.picture_places import PicturePlace, Pictures
from evoked.runs.posts import Run
from evoked.scoring.scorer import Scorer, halved

PROBLEM = "problem"

# Posts whose pictures are brought, and whose features are looked at, together.
_POSTS_AT_ONCE = 256
_TYPES = {"b": pa.bool_(), "i": pa.int64(), "u": pa.int64(), "f": pa.float64()}


class Prepared(Protocol):
    """A recipe in the hands of one worker."""

    @property
    def schema(self) -> pa.Schema:
        """Columns of the answers, the same for every batch: ``post_id`` first, ``error`` last."""

    def answer(
        self,
        posts: pa.Table,
        scored: int,
        scratch: Path,
        everyones: EveryonesCounts,
        history: pd.DataFrame | None = None,
    ) -> pa.Table:
        """The answers to the first ``scored`` of some posts, which see all of them, unless what
        they see is known: ``history``."""


class Recipe(Protocol):
    """What is to be done; it can be sent to another process."""

    def prepare(self) -> Prepared:
        """Load what it takes."""

    def state(self) -> dict[str, Any]:
        """What decides the answers, for JSON: answers of another state are no part of these."""

    @property
    def stage(self) -> str:
        """What is being done, for progress."""


@dataclass(frozen=True)
class ScorePosts:
    """Score posts with a run.

    Attributes
    ----------
    run
        Folder of a run of posts.
    pictures
        Folder or address beneath which pictures lie.
    coverage
        How often the intervals are to hold the truth, between 0 and 1.
    cache
        Where features are kept; None keeps those of a batch until it is scored.
    allow_download
        As in :func:`evoked.load`.
    """

    run: Path
    pictures: str
    coverage: float
    cache: Path | None = None
    allow_download: bool = False

    stage = "scoring"

    def prepare(self) -> Prepared:
        return _PreparedScorer(self)

    def state(self) -> dict[str, Any]:
        return {"run": str(self.run), "coverage": self.coverage, "pictures": self.pictures}


@dataclass(frozen=True)
class ExtractFeatures:
    """Extract features of posts.

    Attributes
    ----------
    names
        Features of the catalog that are not fitted.
    settings
        Encoders and their settings.
    pictures, cache
        As in :class:`ScorePosts`.
    """

    names: tuple[str, ...]
    settings: FeatureSettings
    pictures: str
    cache: Path | None = None

    stage = "extracting"

    def prepare(self) -> Prepared:
        return _PreparedExtraction(self)

    def state(self) -> dict[str, Any]:
        settings = self.settings.model_dump(mode="json")
        return {"features": list(self.names), "settings": settings, "pictures": self.pictures}


class _PreparedScorer:
    def __init__(self, recipe: ScorePosts) -> None:
        self.recipe = recipe
        self.place = PicturePlace(recipe.pictures)
        cache = None if recipe.cache is None else FeatureCache(recipe.cache)
        run = Run.load(recipe.run, cache, allow_download=recipe.allow_download)
        self.scorer = Scorer(run)

    @cached_property
    def schema(self) -> pa.Schema:
        with _own_cache(self.recipe.cache, None) as cache:
            self.scorer.run.cache = cache
            return _schema_of(self.scorer.score([Draft()], coverage=self.recipe.coverage))

    def answer(
        self,
        posts: pa.Table,
        scored: int,
        scratch: Path,
        everyones: EveryonesCounts,
        history: pd.DataFrame | None = None,
    ) -> pa.Table:
        completed = self.scorer.run.completed_posts(
            as_pandas(posts), everyones=everyones, history=history
        )
        tables = []
        with _own_cache(self.recipe.cache, scratch) as cache:
            self.scorer.run.cache = cache
            for chunk in _chunks(completed.iloc[:scored]):
                with self.place.brought(_covers(chunk), scratch) as pictures:
                    found = self.scorer.score_posts(chunk, pictures.paths, self.recipe.coverage)
                tables.append(_with_problems(found, pictures.problems))
        found = pd.concat(tables, ignore_index=True)
        return pa.Table.from_pandas(found, self.schema, preserve_index=False)


class _PreparedExtraction:
    def __init__(self, recipe: ExtractFeatures) -> None:
        self.recipe = recipe
        self.place = PicturePlace(recipe.pictures)

    @cached_property
    def schema(self) -> pa.Schema:
        nothing = as_posts([Draft()], None, [])[0]
        with _own_cache(self.recipe.cache, None) as cache:
            table = extract_posts(
                nothing, [None], self.recipe.names, self.recipe.settings, cache=cache
            )[0]
            types = [(name, feature_array(table.columns[name]).type) for name in self.recipe.names]
        return pa.schema(
            [("post_id", pa.string()), *types, (PROBLEM, pa.string()), (ERROR, pa.string())]
        )

    def answer(
        self,
        posts: pa.Table,
        scored: int,
        scratch: Path,
        everyones: EveryonesCounts,
        history: pd.DataFrame | None = None,
    ) -> pa.Table:
        frame, tables = as_pandas(posts.slice(0, scored)), []
        with _own_cache(self.recipe.cache, scratch) as cache:
            for chunk in _chunks(frame):
                with self.place.brought(_covers(chunk), scratch) as pictures:
                    tables += self._extracted(chunk, pictures, cache)
        return pa.concat_tables(tables)

    def _extracted(
        self, posts: pd.DataFrame, pictures: Pictures, cache: FeatureCache
    ) -> list[pa.Table]:
        def extracted(rows: Sequence[int]) -> dict[str, pa.Array]:
            chosen, images = posts.iloc[list(rows)], [pictures.paths[row] for row in rows]
            with damage(None, "a post whose features can be extracted"):
                table, problems = extract_posts(
                    chosen, images, self.recipe.names, self.recipe.settings, cache=cache
                )
                columns = {name: feature_array(table.columns[name]) for name in self.recipe.names}
            said = {problem.post_id: problem.message for problem in problems}
            texts = [pictures.problems.get(row) or said.get(names[row]) for row in rows]
            return {**columns, PROBLEM: pa.array(texts, pa.string())}

        names = posts["post_id"].tolist()
        found, errors = halved(range(len(posts)), extracted)
        found += [([row], {ERROR: pa.array([why])}) for row, why in errors.items()]
        found.sort(key=lambda part: part[0][0])
        return [
            completed(self.schema, {"post_id": pa.array([names[row] for row in rows]), **columns})
            for rows, columns in found
        ]


def feature_array(column: FeatureColumn) -> pa.Array:
    """A feature of n posts as Arrow has it, null where a post lacks it.

    Returns
    -------
    Array
        (n,) lists: a vector, or a list of as many tokens as there are, each a vector or an id.
    """
    present = column.present
    arrays = column.arrays(np.arange(len(present)))
    absent = pa.array(~present)
    if not isinstance(column, RaggedColumn):
        return _vectors(arrays[""], absent)
    tokens = arrays[""][arrays["mask"]]
    offsets = np.concatenate([[0], np.cumsum(column.lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), _vectors(tokens), mask=absent)


def _vectors(values: NDArray[Any], absent: pa.Array | None = None) -> pa.Array:
    """Values (n, …) as n values, lists or lists of lists, each of a fixed length."""
    found = pa.array(np.ascontiguousarray(values).reshape(-1))
    outer, *inner = values.shape[1:] or (None,)
    for size in reversed(inner):
        found = pa.FixedSizeListArray.from_arrays(found, size)
    return found if outer is None else pa.FixedSizeListArray.from_arrays(found, outer, mask=absent)


def completed(schema: pa.Schema, columns: Mapping[str, pa.Array]) -> pa.Table:
    """Columns as a table of a schema, those that are missing null."""
    rows = len(next(iter(columns.values())))
    filled = [columns.get(field.name, pa.nulls(rows, field.type)) for field in schema]
    return pa.Table.from_arrays(filled, schema=schema)


@contextmanager
def _own_cache(folder: Path | None, scratch: Path | None) -> Iterator[FeatureCache]:
    """The cache in a folder, or one of its own that lasts as long as the block."""
    if folder is not None:
        yield FeatureCache(folder)
        return
    with TemporaryDirectory(dir=scratch) as own:
        yield FeatureCache(own)


def _chunks(posts: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for begin in range(0, len(posts), _POSTS_AT_ONCE):
        yield posts.iloc[begin : begin + _POSTS_AT_ONCE]


def _covers(posts: pd.DataFrame) -> list[str | None]:
    return [names[0] if len(names) else None for names in posts["images"]]


def _with_problems(found: pd.DataFrame, problems: Mapping[int, str]) -> pd.DataFrame:
    """Answers with why pictures could not be brought, by position, before their other problems."""
    if problems:
        said = [
            " ".join(filter(None, (problems.get(row), other))) or None
            for row, other in enumerate(found[PROBLEM])
        ]
        found[PROBLEM] = pd.Series(said, found.index, dtype=object)
    return found


def _schema_of(found: pd.DataFrame) -> pa.Schema:
    return pa.schema(
        [(name, _TYPES.get(kind.kind, pa.string())) for name, kind in found.dtypes.items()]
    )

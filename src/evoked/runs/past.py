"""What a run keeps of its posts for advice: their form, what they got and were expected to get, and
roughly what they show.

A change of a draft is held against past posts with and without it, so their form is kept, and what
they got. Hours are compared by what posts got beside what was expected of them whatever the hour.
What they show and say is kept as the few numbers in which they differ most: enough to compare like
with like, and to see whether a draft resembles any of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from evoked.errors import DataError
from evoked.evaluation.conformal import Predicted
from evoked.features.form import FORM, form_of
from evoked.features.pipeline import FeaturePipeline
from evoked.features.table import Column, FeatureTable
from evoked.files import write_parquet, write_safetensors
from evoked.models import Examples, Model
from evoked.models.pooled import row_batches
from evoked.parquet import read_frame
from evoked.posts.author_hashes import author_hashes
from evoked.posts.author_history import KINDS, known_counts
from evoked.runs.answer import quantities
from evoked.runs.description import TRAIN_AGAIN
from evoked.targets import Task

Floats = NDArray[np.float64]

PAST_FILE = "past.parquet"
CONTENT_FILE = "content.safetensors"
EXPECTED = "_expected"
"""End of the columns of what a count was expected to be, by a model that had not seen the post."""
MODALITIES = ("image", "caption")
_COLUMNS = ("post_id", "author", "posted_at", "held_out", *FORM)
# What stands for a picture or a caption; the first of each that a model reads.
_FEATURES = {
    "image": ("image.vector", "image.map", "image.objects"),
    "caption": ("caption.vector", "text.vector", "caption.tokens", "text.tokens"),
}
# Numbers that are kept of a picture or a caption, beside how far it lies from all they can say.
DIRECTIONS = 8
# The newest posts are kept; of fewer it is learned in which directions they differ.
_MOST_POSTS = 20_000
_MOST_LEARNED = 1000
_FEWEST_LEARNED = 20
# A tag that fewer posts have can't be advised, and is nobody's business.
_FEWEST_WITH_TAG = 5


@dataclass(frozen=True)
class Directions:
    """The directions in which pictures or captions differ most (principal components).

    Attributes
    ----------
    feature
        Name of the feature that stands for them.
    mean
        Of the posts that it was learned from, (width,).
    axes
        (width, directions): projections along them have a sum of variances of at most 1.
    scale
        What a distance is multiplied by, so that posts are 1 from their mean (root mean square).
    """

    feature: str
    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    scale: float

    @classmethod
    def fit(cls, feature: str, vectors: NDArray[np.float32]) -> Self | None:
        """Learn from vectors (n, width), NaN where a post has none; None where too few have one or
        all are alike."""
        known = vectors[np.isfinite(vectors).all(axis=1)]
        known = known[np.random.default_rng(0).permutation(len(known))[:_MOST_LEARNED]]
        if len(known) < _FEWEST_LEARNED:
            return None
        mean = known.mean(axis=0)
        centred = (known - mean).astype(np.float64)
        # Of few posts with long vectors, products of posts are a smaller matrix than of columns.
        values, sides = np.linalg.eigh(centred @ centred.T)
        total = float(values.sum() / len(known))
        # Fewer directions of fewer posts: of their own noise there is no end.
        number = min(DIRECTIONS, len(known) // 10)
        strong = [at for at in np.argsort(-values)[:number] if values[at] > 1e-9 * values.sum()]
        if total <= 1e-12 or not strong:
            return None
        axes = centred.T @ (sides[:, strong] / np.sqrt(values[strong]))
        return cls(
            feature, mean, (axes / np.sqrt(total)).astype(np.float32), float(1 / np.sqrt(total))
        )

    def coordinates(self, vectors: NDArray[np.float32]) -> Floats:
        """Projections, and the distance from what they say, (n, directions + 1); NaN for posts
        without a vector."""
        centred = (vectors - self.mean).astype(np.float64)
        along = centred @ self.axes
        squares = (centred**2).sum(axis=1) * self.scale**2 - (along**2).sum(axis=1)
        return np.column_stack([along, np.sqrt(np.maximum(squares, 0.0))])


@dataclass(frozen=True)
class PastPosts:
    """Past posts of a run.

    Attributes
    ----------
    table
        A row per post, oldest first: post_id, author (a hash), posted_at, held_out (whether it was
        in the test part), the columns of :data:`evoked.features.form.FORM`, by kind of count what
        it got and ``…_expected``, what was predicted whatever the hour, as log(1 + count); NaN
        where unknown; and ``image_0`` …, ``caption_0`` …: coordinates.
    directions
        What the coordinates are along, by modality; those without are absent.
    """

    table: pd.DataFrame
    directions: dict[str, Directions]

    def __len__(self) -> int:
        return len(self.table)

    @classmethod
    def of(
        cls,
        model: Model,
        task: Task,
        examples: Examples,
        held_out: NDArray[np.bool_],
        predicted: Sequence[Predicted],
    ) -> Self:
        """What is kept of n posts; of the newest, where there are very many.

        Parameters
        ----------
        model, task
            Fitted on the training posts.
        examples
            n posts with their features.
        held_out
            Whether each is a test post, (n,).
        predicted
            Predictions of some of the posts by models that had not seen them, made with
            :func:`at_any_time`.
        """
        dates = pd.to_datetime(examples.posts["posted_at"], utc=True)
        order = np.argsort(dates.to_numpy(), kind="stable")[-_MOST_POSTS:]
        chosen, tests = examples.select(order), held_out[order]
        directions = {}
        for modality in MODALITIES:
            feature = next((each for each in _FEATURES[modality] if each in model.features), None)
            if feature is None:
                continue
            found = Directions.fit(feature, _vectors(chosen, feature)[~tests])
            if found is not None:
                directions[modality] = found
        table = _described(task, chosen.posts, tests, predicted)
        table["hashtags"] = _of_pool(table["hashtags"], _usual(table["hashtags"]))
        past = cls(table, directions)
        return replace(past, table=pd.concat([table, past.coordinates(chosen)], axis=1))

    def with_tests(self, task: Task, examples: Examples, predicted: Predicted) -> Self:
        """With n new posts that no model has learned from, and what was predicted of them by
        :func:`at_any_time`."""
        held_out = np.ones(len(examples), dtype=bool)
        new = _described(task, examples.posts, held_out, [predicted])
        pool = {*self.table["hashtags"].explode().dropna(), *_usual(new["hashtags"])}
        new["hashtags"] = _of_pool(new["hashtags"], pool)
        new = pd.concat([new, self.coordinates(examples)], axis=1)
        table = pd.concat([self.table, new], ignore_index=True)
        table = table.sort_values("posted_at", kind="stable", ignore_index=True)
        return replace(self, table=table.tail(_MOST_POSTS).reset_index(drop=True))

    def coordinates(self, examples: Examples) -> pd.DataFrame:
        """The coordinates of n posts, as the table has those of past posts."""
        parts = [
            _named(modality, each.coordinates(_vectors(examples, each.feature)))
            for modality, each in self.directions.items()
        ]
        return pd.concat([pd.DataFrame(index=range(len(examples))), *parts], axis=1)

    def save(self, folder: Path) -> None:
        """Write the posts and the directions into a run's folder."""
        write_parquet(folder / PAST_FILE, self.table)
        arrays: dict[str, NDArray[Any]] = {}
        for modality, each in self.directions.items():
            parts = {"mean": each.mean, "axes": each.axes, "scale": np.array([each.scale])}
            arrays |= {
                f"{modality}:{each.feature}:{name}": np.ascontiguousarray(part)
                for name, part in parts.items()
            }
        write_safetensors(folder / CONTENT_FILE, arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Inverse of :meth:`save`.

        Raises
        ------
        DataError
            The folder has no such files (an older release made it), or they are damaged.
        """
        table, _ = read_past(folder)
        if not (folder / CONTENT_FILE).is_file():
            raise _missing(folder / CONTENT_FILE)
        directions = {}
        try:
            arrays = load_file(folder / CONTENT_FILE)
            for modality, feature in dict.fromkeys(tuple(key.split(":")[:2]) for key in arrays):
                mean, axes, scale = (
                    arrays[f"{modality}:{feature}:{name}"] for name in ("mean", "axes", "scale")
                )
                if mean.ndim != 1 or axes.ndim != 2 or len(axes) != len(mean) or scale.size != 1:
                    raise ValueError(f"axes of shape {axes.shape} for {modality}")
                directions[modality] = Directions(feature, mean, axes, float(scale[0]))
        except (KeyError, ValueError, OSError, SafetensorError) as error:
            raise DataError(
                f"not the content of past posts ({error!r}).", file=folder / CONTENT_FILE
            ) from error
        return cls(table, directions)


def at_any_time(examples: Examples, pipeline: FeaturePipeline) -> Examples:
    """Examples as if all of them appeared at one hour of one weekday, the usual one."""
    encoder, column = pipeline.metadata, examples.features.columns.get("metadata")
    if encoder is None or not isinstance(column, Column):
        return examples
    # Columns are standardised: zero is what is usual.
    usual = replace(column, data=np.where(encoder.of_time, 0, column.data))
    return replace(
        examples, features=FeatureTable({**examples.features.columns, "metadata": usual})
    )


def read_past(folder: Path) -> tuple[pd.DataFrame, list[str]]:
    """The table of :class:`PastPosts` alone, and the kinds of counts of which it keeps what was
    expected.

    Raises
    ------
    DataError
        The file is missing, as in runs of viewings and in runs that were made before evoked kept
        it, or it is damaged.
    """
    path = folder / PAST_FILE
    if not path.is_file():
        raise _missing(path)
    table = read_frame(path, _COLUMNS)
    kinds = [name for name in KINDS if {name, name + EXPECTED} <= set(table)]
    numbers = ["hour", "weekday", *(kind + end for kind in kinds for end in ("", EXPECTED))]
    for name in numbers:
        if not pd.api.types.is_numeric_dtype(table[name]):
            raise DataError("expected numbers.", file=path, field=name, fix=f"{TRAIN_AGAIN}.")
    if not pd.api.types.is_datetime64_any_dtype(table["posted_at"]):
        raise DataError("expected dates.", file=path, field="posted_at", fix=f"{TRAIN_AGAIN}.")
    return table, kinds


def _missing(path: Path) -> DataError:
    return DataError(
        "the run keeps no past posts, against which advice is held.",
        file=path,
        fix=f"{TRAIN_AGAIN}, on posts rather than viewings.",
    )


def _described(
    task: Task, posts: pd.DataFrame, held_out: NDArray[np.bool_], predicted: Sequence[Predicted]
) -> pd.DataFrame:
    """The table of n posts but for their coordinates."""
    posts = posts.reset_index(drop=True)
    truth = task.truth(posts).reset_index(drop=True)
    kinds = [each.column for each in quantities(task) if each.counts and not each.basis]
    got = {kind: truth[kind].astype(np.float64) for kind in kinds if kind in truth}
    tables = [
        task.inverse_transform(part.columns, part.posts).set_axis(part.posts["post_id"])
        for part in predicted
        if len(part.posts)
    ]
    answers = pd.concat(tables) if tables else pd.DataFrame()
    expected = {}
    for kind in dict.fromkeys(outcome.count for outcome in task.outcomes):
        if kind in KINDS and np.isfinite(counts := known_counts(posts, kind)).any():
            got[kind] = pd.Series(counts)
            values = np.full(len(posts), np.nan)
            if kind in answers:
                values = answers[kind].reindex(posts["post_id"]).to_numpy(np.float64)
            expected[kind + EXPECTED] = np.log1p(np.maximum(values, 0))
    return pd.DataFrame(
        {
            "post_id": posts["post_id"],
            "author": author_hashes(posts),
            "posted_at": pd.to_datetime(posts["posted_at"], utc=True),
            "held_out": held_out,
            **form_of(posts),
            **got,
            **expected,
        }
    )


def _vectors(examples: Examples, feature: str) -> NDArray[np.float32]:
    """One vector per post, NaN where it lacks the feature: tokens and regions as their mean."""
    column = examples.features.columns[feature]
    found = np.full((len(examples), column.width), np.nan, dtype=np.float32)
    for rows in row_batches(len(examples)):
        arrays, present = column.arrays(rows), column.present[rows]
        values = arrays[""]
        if values.ndim > 2:
            mask = arrays.get("mask", np.ones(values.shape[:2], dtype=bool))[..., None]
            values = (values * mask).sum(axis=1) / np.maximum(mask.sum(axis=1), 1)
        found[rows] = np.where(present[:, None], values, np.nan)
    return found


def _named(modality: str, coordinates: Floats) -> pd.DataFrame:
    names = [f"{modality}_{number}" for number in range(coordinates.shape[1])]
    return pd.DataFrame(coordinates.astype(np.float32), columns=names)


def _usual(hashtags: pd.Series) -> set[str]:
    """The tags that several of n posts have."""
    number = hashtags.explode().value_counts()
    return set(number[number >= _FEWEST_WITH_TAG].index)


def _of_pool(hashtags: pd.Series, pool: set[str]) -> pd.Series:
    """Those tags of each post that are in a pool."""
    kept = [[tag for tag in tags if tag in pool] for tags in hashtags]
    return pd.Series(kept, hashtags.index, dtype=object)

"""When the posts of a run appeared, what they got, and what was expected of them whatever the hour:
all that advice on hours needs, in one small file of the run's folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from evoked.errors import DataError
from evoked.evaluation.conformal import Predicted
from evoked.features.metadata import local_times
from evoked.features.pipeline import FeaturePipeline
from evoked.features.table import Column, FeatureTable
from evoked.files import write_parquet
from evoked.models import Examples
from evoked.parquet import read_frame
from evoked.posts.author_hashes import author_hashes
from evoked.posts.author_history import KINDS, known_counts
from evoked.runs.description import TRAIN_AGAIN
from evoked.targets import Task

TIMING_FILE = "timing.parquet"
_COLUMNS = ("post_id", "author", "posted_at", "hour", "weekday")
EXPECTED = "_expected"
"""End of the columns of what a count was expected to be, by a model that had not seen the post."""


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


def timing_of(task: Task, posts: pd.DataFrame, predicted: Sequence[Predicted]) -> pd.DataFrame:
    """What a run keeps of the times of its posts.

    Parameters
    ----------
    task
        Fitted on the training posts.
    posts
        n posts.
    predicted
        Predictions of some of the posts by models that had not seen them, made with
        :func:`at_any_time`.

    Returns
    -------
    DataFrame
        A row per post: post_id, author (hash), posted_at, hour and weekday by local clocks, and for
        each kind of count that the task predicts the count, and ``…_expected``, what was predicted,
        as log(1 + count); NaN where unknown.
    """
    tables = [
        task.inverse_transform(part.columns, part.posts).set_axis(part.posts["post_id"])
        for part in predicted
        if len(part.posts)
    ]
    expected = pd.concat(tables) if tables else pd.DataFrame()
    hour, weekday = local_times(posts)
    table = pd.DataFrame(
        {
            "post_id": posts["post_id"].to_numpy(),
            "author": author_hashes(posts),
            "posted_at": posts["posted_at"].to_numpy(),
            "hour": hour,
            "weekday": weekday,
        }
    )
    for outcome in task.outcomes:
        kind = outcome.count
        if kind in KINDS and np.isfinite(counts := known_counts(posts, kind)).any():
            table[kind] = counts
            table[kind + EXPECTED] = np.nan
            if kind in expected:
                values = expected[kind].reindex(table["post_id"]).to_numpy(np.float64)
                table[kind + EXPECTED] = np.log1p(np.maximum(values, 0))
    return table


def write_timing(folder: Path, table: pd.DataFrame) -> None:
    """Write the table of :func:`timing_of` into a run's folder."""
    write_parquet(folder / TIMING_FILE, table)


def read_timing(folder: Path) -> tuple[pd.DataFrame, list[str]]:
    """The table of :func:`timing_of`, and the kinds of counts in it.

    Raises
    ------
    DataError
        The file is missing, as in runs of viewings and in runs that were made before evoked kept
        it, or it is damaged.
    """
    path = folder / TIMING_FILE
    if not path.is_file():
        raise DataError(
            f"there is no {TIMING_FILE} in it, which says when posts appeared.",
            file=folder,
            fix=f"{TRAIN_AGAIN}, on posts rather than viewings.",
        )
    table = read_frame(path, _COLUMNS)
    kinds = [name for name in KINDS if {name, name + EXPECTED} <= set(table)]
    numbers = ["hour", "weekday", *(kind + end for kind in kinds for end in ("", EXPECTED))]
    for name in numbers:
        if not pd.api.types.is_numeric_dtype(table[name]):
            raise DataError("expected numbers.", file=path, field=name, fix=f"{TRAIN_AGAIN}.")
    if not pd.api.types.is_datetime64_any_dtype(table["posted_at"]):
        raise DataError("expected dates.", file=path, field="posted_at", fix=f"{TRAIN_AGAIN}.")
    return table, kinds

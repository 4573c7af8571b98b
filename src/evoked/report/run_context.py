"""What analyses of a run start from: the run, its test posts, and the runs beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from evoked.analysis.base import Context
from evoked.posts.dataset import PostDataset
from evoked.report.held_out import HeldOutPosts
from evoked.runs.posts import Run


@dataclass(frozen=True, kw_only=True)
class RunContext(Context):
    """A run, its test posts, and the runs that it is compared with.

    Attributes
    ----------
    run
        The run.
    dataset
        The posts that it was made from.
    tested
        Its test posts that are test posts of ``others`` as well, n of them.
    posts
        The same posts with emotions, rated or estimated, index 0 … n - 1.
    note
        What has to be said wherever emotions are shown; empty where people rated them all.
    others
        Further runs; the trivial baselines stand in where there are none.
    """

    run: Run
    dataset: PostDataset
    tested: HeldOutPosts
    posts: pd.DataFrame
    note: str
    others: Sequence[Run] = ()

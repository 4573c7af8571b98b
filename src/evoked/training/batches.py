"""Batches of features and targets, in an order that depends only on the seed and the epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from evoked.features.table import Batch
from evoked.targets import TargetTable

# Rows and views of one batch.
_Choice = tuple[NDArray[np.int64], NDArray[np.int64] | None]

_BATCHES_PER_STRETCH = 16


class Rows(Protocol):
    """Source of batches: a :class:`evoked.features.table.FeatureTable`, or a source that adds more
    than features."""

    @property
    def lengths(self) -> NDArray[np.int64] | None:
        """Tokens per row, (n,); None if all rows have the same."""

    def __len__(self) -> int: ...

    def take(self, rows: NDArray[np.int64], view: NDArray[np.int64] | None = None) -> Batch:
        """Tensors of the rows at ``rows``, (b,)."""


class EpochBatches(Sampler[_Choice]):
    """Yields the rows of each batch, shuffled again in every epoch.

    The order depends only on seed and epoch, so that a resumed run sees the same batches as an
    uninterrupted one.

    Parameters
    ----------
    n
        Number of posts.
    batch_size
        Posts per batch and process. A last batch of a single post is dropped when one process
        shuffles.
    seed
        Random seed for the order and the choice of views; None keeps the order and uses the first
        views.
    views
        Number of views of each picture to choose from.
    lengths
        Tokens per post, (n,): when shuffling, posts of similar length share a batch, so that there
        is little padding.
    chances
        How often each post is drawn, (n,), when shuffling: n posts are drawn in every epoch, some
        several times. None takes every post once.
    share
        This process's number and how many processes train together. They share the batches that
        one process would have with a ``batch_size`` as many times as large: each takes its part of
        every batch, so that no post is taken twice and none is lost.
    """

    def __init__(
        self,
        n: int,
        batch_size: int,
        seed: int | None = None,
        views: int = 1,
        lengths: NDArray[np.int64] | None = None,
        chances: NDArray[np.float32] | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self.number, self.processes = share
        self.n, self.batch_size = n, batch_size * self.processes
        self.seed, self.views = seed, views
        self.lengths = lengths
        self.chances = chances
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        full, rest = divmod(self.n, self.batch_size)
        alone = self.processes == 1
        drops_last = alone and self.seed is not None and rest == 1 and full > 0
        return full + (rest > 0 and not drops_last)

    def __iter__(self) -> Iterator[_Choice]:
        order, views, batches = np.arange(self.n), None, np.arange(len(self))
        if self.seed is not None:
            generator = np.random.default_rng([self.seed, self.epoch])
            order = self._group_by_length(self._drawn(generator))
            views = generator.integers(self.views, size=self.n) if self.views > 1 else None
            generator.shuffle(batches)
        ends = self._ends()
        for batch in batches:
            whole = np.arange(ends[batch], ends[batch + 1])
            part = np.array_split(whole, self.processes)[self.number]
            if len(part):
                yield order[part], None if views is None else views[part]

    def _ends(self) -> NDArray[np.int64]:
        """Where batches begin and end, (batches + 1,). Of several processes, a last batch with less
        than two posts for each shares evenly with the one before."""
        ends = np.minimum(np.arange(len(self) + 1) * self.batch_size, self.n)
        if self.processes > 1 and len(ends) > 2 and ends[-1] - ends[-2] < 2 * self.processes:
            ends[-2] = (ends[-3] + ends[-1]) // 2
        return ends

    def _drawn(self, generator: np.random.Generator) -> NDArray[np.int64]:
        if self.chances is None:
            return generator.permutation(self.n)
        chances = self.chances.astype(np.float64)
        return generator.choice(self.n, self.n, p=chances / chances.sum())

    def _group_by_length(self, order: NDArray[np.int64]) -> NDArray[np.int64]:
        """Sort by length within sections of a random order, so that batches stay random."""
        if self.lengths is None:
            return order
        stretch = np.arange(self.n) // (_BATCHES_PER_STRETCH * self.batch_size)
        return order[np.lexsort((self.lengths[order], stretch))]


class _BatchDataset(Dataset[Batch]):
    """Takes a whole batch at once, in place of one post at a time."""

    def __init__(
        self,
        features: Rows,
        targets: TargetTable | None,
        weight: float,
        post_weights: NDArray[np.float32] | None,
    ) -> None:
        self.features = features
        self.targets = targets
        self.estimated_weight = weight
        self.post_weights = post_weights

    def __getitem__(self, choice: _Choice) -> Batch:
        rows, views = choice
        batch = self.features.take(rows, views)
        if self.targets is not None:
            chosen = self.targets.select(rows)
            known = ~np.isnan(chosen.values)
            weights = np.where(chosen.estimated, self.estimated_weight, 1.0) * known
            if self.post_weights is not None:
                weights = weights * self.post_weights[rows, None]
            batch["targets"] = torch.from_numpy(np.nan_to_num(chosen.values))
            batch["weights"] = torch.from_numpy(weights.astype(np.float32))
        return batch


def loader(
    features: Rows,
    targets: TargetTable | None,
    batches: EpochBatches,
    *,
    estimated_weight: float = 1.0,
    post_weights: NDArray[np.float32] | None = None,
    workers: int = 0,
) -> DataLoader[Batch]:
    """A loader of whole batches.

    Returns
    -------
    DataLoader
        Batches as :meth:`FeatureTable.take` makes them, with ``targets`` and ``weights`` (b, t)
        float32 where targets are given: weight 0 where unknown, ``estimated_weight`` where an
        emotion reader estimated the value, times the post's of ``post_weights``.
    """
    return DataLoader(
        _BatchDataset(features, targets, estimated_weight, post_weights),
        sampler=batches,
        batch_size=None,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
    )

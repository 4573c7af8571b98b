"""Batches that several processes share: no post is lost, none is taken twice."""

from __future__ import annotations

import numpy as np
import pytest

from evoked.training.batches import EpochBatches


def shares(processes: int, n: int, batch_size: int, **settings: object) -> list[list[list[int]]]:
    """Rows of each batch of each process."""
    found = []
    for number in range(processes):
        batches = EpochBatches(n, batch_size, share=(number, processes), **settings)  # type: ignore[arg-type]
        found.append([rows.tolist() for rows, _ in batches])
        assert len(found[-1]) == len(batches) or not settings
    return found


@pytest.mark.parametrize("processes", [2, 3, 4])
@pytest.mark.parametrize("batch_size", [2, 5, 8])
def test_every_post_is_taken_once_by_one_process(processes: int, batch_size: int) -> None:
    for n in range(processes, 70):
        found = shares(processes, n, batch_size, seed=1)
        assert sorted(row for batches in found for batch in batches for row in batch) == [*range(n)]
        # As many steps for all, and something to do in each.
        assert len({len(batches) for batches in found}) == 1
        assert all(batch for batches in found for batch in batches)
        assert max(len(batch) for batches in found for batch in batches) <= batch_size


def test_together_they_have_the_batches_of_one_process_with_larger_ones() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 57)
    for epoch in range(3):
        one = EpochBatches(57, 10, seed=4, views=5, lengths=lengths)
        two = [
            EpochBatches(57, 5, seed=4, views=5, lengths=lengths, share=(number, 2))
            for number in range(2)
        ]
        for batches in (one, *two):
            batches.set_epoch(epoch)
        whole, together = list(one), list(zip(*two, strict=True))
        assert len(whole) == len(together) == 6
        for (rows, views), parts in zip(whole, together, strict=True):
            assert views is not None
            assert rows.tolist() == [row for part, _ in parts for row in part]
            assert views.tolist() == [view for _, seen in parts for view in seen]  # type: ignore[union-attr]


def test_posts_to_predict_stay_in_order_and_some_processes_may_have_none() -> None:
    found = shares(4, 3, 8)
    assert found == [[[0]], [[1]], [[2]], []]

"""The benchmark of several devices: its arithmetic, and what it says without a GPU."""

from __future__ import annotations

import devices
import pytest


def test_a_row_compares_with_what_the_card_can_do() -> None:
    # 50 posts a second of 2e12 operations each are a tenth of 1e15.
    found = devices.row("a loop", 50.0, 2e12, 1e15, loading=0.25, memory=3 * 2**30)
    assert found == {
        "trained by": "a loop",
        "samples/s": 50.0,
        "of the matrix rate, %": pytest.approx(10),
        "loading, %": 25.0,
        "GiB": 3.0,
    }


def test_without_a_gpu_it_says_that_nothing_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert devices.on_gpus(10, 2) == [{"trained by": "not measured: no GPU at hand"}]


@pytest.mark.slow
@pytest.mark.parametrize("name", devices.SMALL)
def test_two_processes_learn_what_one_does_from_batches_twice_as_large(name: str) -> None:
    found = devices.difference(name, 20)
    assert max(found["train loss"], found["validation loss"], found["weights"]) < 1e-5

"""The training loop: order, resume, early stopping."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from evoked.errors import EvokedError
from evoked.models.abmf import ABMF, ABMFSettings
from evoked.targets import TargetTable
from evoked.training import TrainingSettings
from evoked.training.batches import EpochBatches, loader
from helpers import random_examples

SETTINGS = TrainingSettings(max_epochs=4, batch_size=16, device="cpu", seed=3)


class _StoppedError(Exception):
    pass


def test_interrupted_training_ends_like_an_unbroken_one(tmp_path: Path) -> None:
    examples = random_examples(64)
    train, held_out = examples.select(range(48)), examples.select(range(48, 64))
    unbroken = ABMF()
    unbroken.fit(train, held_out, folder=tmp_path / "a", training=SETTINGS)

    def stop_after_two(record: dict[str, float]) -> None:
        if record["epoch"] == 2:
            raise _StoppedError

    broken = ABMF()
    with pytest.raises(_StoppedError):
        broken.fit(
            train, held_out, folder=tmp_path / "b", training=SETTINGS, progress=stop_after_two
        )
    resumed = ABMF()
    epochs: list[float] = []
    resumed.fit(
        train,
        held_out,
        folder=tmp_path / "b",
        training=SETTINGS,
        progress=lambda record: epochs.append(record["epoch"]),
    )
    assert epochs == [3, 4]
    assert len(pd.read_csv(tmp_path / "b" / "log.csv")) == 4
    for name, value in unbroken.network.state_dict().items():
        torch.testing.assert_close(resumed.network.state_dict()[name], value, msg=name)


def test_finished_training_is_not_trained_further(tmp_path: Path) -> None:
    examples = random_examples(32)
    first = ABMF()
    first.fit(examples, folder=tmp_path, training=SETTINGS)
    epochs: list[float] = []
    again = ABMF()
    again.fit(
        examples,
        folder=tmp_path,
        training=SETTINGS,
        progress=lambda record: epochs.append(record["epoch"]),
    )
    assert epochs == []
    pd.testing.assert_frame_equal(first.predict(examples), again.predict(examples))


def test_stops_early_and_keeps_the_best_weights(tmp_path: Path) -> None:
    train, held_out = random_examples(48), random_examples(32, seed=9, signal=False)
    settings = SETTINGS.model_copy(update={"max_epochs": 60, "patience": 2, "learning_rate": 5e-3})
    model = ABMF()
    history = model.fit(train, held_out, folder=tmp_path, training=settings)
    losses = [record["validation_loss"] for record in history]
    assert len(history) < 60
    assert len(losses) - 1 - int(np.argmin(losses)) == 2
    assert held_out.targets is not None
    predicted = torch.tensor(model.predict(held_out).to_numpy(), dtype=torch.float32)
    truth = torch.from_numpy(held_out.targets.values)
    loss = model.network.criterion(predicted, truth, torch.ones_like(truth))
    assert float(loss) == pytest.approx(min(losses), rel=1e-3)


def test_order_of_batches_depends_on_seed_and_epoch_alone() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 100)
    batches = EpochBatches(100, 16, seed=1, views=3, lengths=lengths)
    first = [rows.tolist() for rows, _ in batches]
    assert [rows.tolist() for rows, _ in batches] == first
    assert sorted(row for rows in first for row in rows) == list(range(100))
    batches.set_epoch(1)
    assert [rows.tolist() for rows, _ in batches] != first
    views = np.concatenate([view for _, view in batches if view is not None])
    assert set(views.tolist()) == {0, 1, 2}


def test_last_batch_of_one_is_dropped_only_when_shuffling() -> None:
    assert [len(rows) for rows, _ in EpochBatches(33, 16)] == [16, 16, 1]
    assert sorted(len(rows) for rows, _ in EpochBatches(33, 16, seed=0)) == [16, 16]
    assert [len(rows) for rows, _ in EpochBatches(1, 16, seed=0)] == [1]


def test_estimated_and_unknown_targets_weigh_less() -> None:
    examples = random_examples(8)
    assert examples.targets is not None
    values = examples.targets.values.copy()
    values[0, 0] = np.nan
    estimated = np.zeros_like(values, dtype=bool)
    estimated[1, 0] = True
    batch = next(
        iter(
            loader(
                examples.features,
                TargetTable(values, estimated),
                EpochBatches(8, 8),
                estimated_weight=0.25,
            )
        )
    )
    assert batch["weights"][:3, 0].tolist() == [0.0, 0.25, 1.0]
    assert torch.isfinite(batch["targets"]).all()


def test_a_loss_that_is_not_a_number_stops_with_advice(tmp_path: Path) -> None:
    examples = random_examples(32)
    column = examples.features.columns["metadata"]
    column.data[:] = np.inf  # type: ignore[attr-defined]
    with pytest.raises(EvokedError, match="learning rate"):
        ABMF().fit(examples, folder=tmp_path, training=SETTINGS)


def test_predicts_where_it_was_trained_and_a_loaded_model_where_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = random_examples(20)
    model = ABMF(ABMFSettings(width=8, heads=2))
    model.fit(examples, folder=tmp_path, training=SETTINGS.model_copy(update={"max_epochs": 1}))
    model.save(tmp_path / "model")
    asked = []

    def place(device: str) -> torch.device:
        asked.append(device)
        return torch.device("cpu")

    monkeypatch.setattr("evoked.training.loop._inference_device", place)
    expected = model.predict(examples)
    pd.testing.assert_frame_equal(ABMF.load(tmp_path / "model").predict(examples), expected)
    assert asked == ["cpu", "auto"]

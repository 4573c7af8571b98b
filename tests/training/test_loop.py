"""The training loop: order, resume, early stopping."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from evoked.errors import EvokedError, SettingsError
from evoked.features.table import Batch, Column, FeatureTable
from evoked.models.abmf import ABMF, ABMFSettings
from evoked.models.eijl import EIJL, EIJLSettings
from evoked.targets import TargetTable
from evoked.testing.examples import random_examples
from evoked.training import TrainingSettings
from evoked.training.batches import EpochBatches, loader
from evoked.training.loop import fit_network, rate_factor
from evoked.training.records import LAST_CHECKPOINT

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


# Settings of the optimiser, its schedule and its precision.


def rates(settings: TrainingSettings, steps: int, steps_per_epoch: int) -> list[float]:
    return [rate_factor(settings, step, steps_per_epoch) for step in range(steps)]


def test_rate_drops_after_the_epochs_it_is_told() -> None:
    # Dual-Attention: 1e-3 for two epochs, then 1e-4.
    settings = TrainingSettings(schedule="drop", warmup=0, max_epochs=4, drop_after=2)
    assert rates(settings, 12, 3) == [1.0] * 6 + [0.1] * 6
    warm = settings.model_copy(update={"warmup": 0.25, "drop_factor": 0.5})
    assert rates(warm, 12, 3) == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1] + [0.5] * 6)


def test_cosine_warms_up_and_falls_to_a_hundredth() -> None:
    factors = rates(TrainingSettings(warmup=0.1, max_epochs=10), 101, 10)
    assert factors[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[50] == pytest.approx(0.505)
    assert factors[100] == pytest.approx(0.01)
    assert set(rates(TrainingSettings(schedule="constant", warmup=0), 9, 3)) == {1.0}


class Line(torch.nn.Module):
    """One weight; ``score`` decides the best epoch if it is given."""

    def __init__(self, score: Callable[[torch.Tensor], torch.Tensor] | None = None) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        if score is not None:
            self.validation_score = lambda predicted, targets, weights: score(predicted)

    def forward(self, batch: Batch) -> torch.Tensor:
        return batch["metadata"][:, :1] * self.weight

    def criterion(
        self, predicted: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor
    ) -> torch.Tensor:
        return ((predicted - targets) ** 2).mean()

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        return [{"params": list(self.parameters()), "lr": learning_rate}]


def zeros_to_learn(n: int = 32) -> tuple[FeatureTable, TargetTable]:
    features = FeatureTable({"metadata": Column.dense(np.ones((n, 1), np.float32))})
    return features, TargetTable(np.zeros((n, 1), np.float32), np.zeros((n, 1), bool))


def test_without_a_limit_a_large_gradient_stays_large(tmp_path: Path) -> None:
    weights = []
    for clip in (0.01, 0):
        settings = TrainingSettings(
            optimizer="adam", max_epochs=1, batch_size=8, clip=clip, warmup=0, schedule="constant",
            learning_rate=0.1, weight_decay=1, device="cpu",
        )  # fmt: skip
        network = Line()
        fit_network(network, zeros_to_learn(), None, settings, tmp_path / str(clip))
        weights.append(float(network.weight.detach()))
    assert weights[0] != weights[1]


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_each_optimiser_is_torchs_own(kind: str, tmp_path: Path) -> None:
    settings = TrainingSettings(
        optimizer=kind, max_epochs=1, batch_size=8, accumulate=2, clip=0.01, warmup=0,
        schedule="constant", learning_rate=0.1, weight_decay=0.5, device="cpu",
    )  # fmt: skip
    network = Line()
    fit_network(network, zeros_to_learn(), None, settings, tmp_path)
    # Two steps of two batches each, the gradient 2w cut to 0.01.
    weight = torch.ones(1, requires_grad=True)
    expected = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[kind](
        [weight], lr=0.1, weight_decay=0.5
    )
    for _ in range(2):
        weight.grad = torch.tensor([0.01])
        expected.step()
    torch.testing.assert_close(network.weight.detach(), weight.detach())


def test_what_a_network_names_decides_its_best_epoch(tmp_path: Path) -> None:
    settings = TrainingSettings(
        max_epochs=30, batch_size=8, learning_rate=0.05, patience=3, device="cpu"
    )
    data = zeros_to_learn()
    by_loss, by_score = Line(), Line(lambda predicted: -(predicted.mean() - 0.5).abs())
    losses = fit_network(by_loss, data, data, settings, tmp_path / "loss")
    scores = fit_network(by_score, data, data, settings, tmp_path / "score")
    assert "validation_score" not in losses[0]
    best = max(scores, key=lambda record: record["validation_score"])
    assert scores[-1]["epoch"] - best["epoch"] == 3 < 30 - best["epoch"]
    assert abs(by_score.weight.item() - 0.5) == pytest.approx(-best["validation_score"], abs=1e-6)
    assert abs(by_loss.weight.item()) < abs(by_score.weight.item())
    assert "validation_score" in pd.read_csv(tmp_path / "score" / "log.csv")


def test_new_settings_resume_exactly(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(
        update={"optimizer": "adamw", "schedule": "drop", "accumulate": 2, "precision": "bf16"}
    )
    examples = random_examples(80)
    unbroken = ABMF(ABMFSettings(width=8, heads=2))
    unbroken.fit(examples, folder=tmp_path / "a", training=settings)

    def stop(record: dict[str, float]) -> None:
        if record["epoch"] == 2:
            raise _StoppedError

    resumed = ABMF(ABMFSettings(width=8, heads=2))
    with pytest.raises(_StoppedError):
        resumed.fit(examples, folder=tmp_path / "b", training=settings, progress=stop)
    resumed.fit(examples, folder=tmp_path / "b", training=settings)
    for name, value in unbroken.network.state_dict().items():
        torch.testing.assert_close(resumed.network.state_dict()[name], value, msg=name)


def test_half_precision_needs_a_gpu(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"precision": "fp16", "device": "cpu"})
    with pytest.raises(SettingsError, match=r"fp16 needs a GPU.*bf16"):
        fit_network(Line(), zeros_to_learn(), None, settings, tmp_path)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_half_precision_trains_on_a_gpu(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"precision": "fp16", "device": "cuda"})
    history = ABMF().fit(random_examples(64), folder=tmp_path, training=settings)
    assert np.isfinite(history[-1]["train_loss"])


# Accumulated gradients.


def test_accumulated_gradients_are_those_of_a_larger_batch(tmp_path: Path) -> None:
    """Of EIJL, whose losses are means over posts; each step is on all of them."""
    learned, steps = [], []
    for batch_size, accumulate in ((32, 1), (8, 4), (8, 1)):
        model = EIJL(EIJLSettings(width=8, heads=2, positions=8, dropout=0, modality_dropout=0))
        folder = tmp_path / f"{batch_size}-{accumulate}"
        settings = TrainingSettings(
            max_epochs=5, batch_size=batch_size, accumulate=accumulate, device="cpu", seed=3
        )
        model.fit(random_examples(32, task="shares"), folder=folder, training=settings)
        steps.append(torch.load(folder / LAST_CHECKPOINT, weights_only=True)["global_step"])
        learned.append(model.network.state_dict())
    assert steps == [5, 5, 20]
    for name, value in learned[0].items():
        torch.testing.assert_close(learned[1][name], value, atol=1e-5, rtol=1e-5, msg=name)
    name = "regression.0.weight"
    assert not torch.allclose(learned[2][name], learned[0][name], atol=1e-3)


class Product(Line):
    """A product of matrices, whose precision it notes."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.seen: set[tuple[torch.dtype, torch.dtype]] = set()

    def forward(self, batch: Batch) -> torch.Tensor:
        product = self.layer(batch["metadata"])
        if self.training:
            self.seen.add((product.dtype, self.layer.weight.dtype))
        return product * self.weight


def test_bf16_halves_what_products_take_and_leaves_weights_as_they_are(tmp_path: Path) -> None:
    found = {}
    for precision in ("32", "bf16"):
        torch.manual_seed(0)
        network = Product()
        settings = TrainingSettings(max_epochs=2, batch_size=8, precision=precision, device="cpu")
        history = fit_network(network, zeros_to_learn(), None, settings, tmp_path / precision)
        found[precision] = network.seen, history[-1]["train_loss"]
    assert found["32"][0] == {(torch.float32, torch.float32)}
    assert found["bf16"][0] == {(torch.bfloat16, torch.float32)}
    assert found["bf16"][1] == pytest.approx(found["32"][1], rel=0.05)

"""Training on several devices: what is refused, and how processes learn together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.fabric.plugins.environments.lightning import find_free_network_port

import evoked
from evoked.errors import EvokedError, SettingsError
from evoked.features.table import Column, FeatureTable
from evoked.models.abmf import ABMF, ABMFSettings
from evoked.models.hmg_emo import HMGEmo, HMGEmoSettings
from evoked.runs.training import train_posts
from evoked.testing.examples import random_examples
from evoked.testing.networks import small_network_examples
from evoked.training import TrainingSettings
from evoked.training.devices import check_devices, machine_number, on_every_device
from evoked.training.loop import fit_network
from tests.training.test_loop import Line, zeros_to_learn

TWO = TrainingSettings(max_epochs=2, batch_size=8, device="cpu", devices=2, seed=3)
MACHINES = TrainingSettings(nodes=2, device="cpu")
WHERE = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500", "NODE_RANK": "1"}
SMALL = ABMFSettings(width=8, heads=2)


@pytest.fixture
def no_machines(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that says nothing of other machines."""
    for name in (*WHERE, "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


# What is refused before a process is started.


def test_several_machines_have_to_know_where_they_meet(no_machines: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"MASTER_ADDR, MASTER_PORT, NODE_RANK are not set"):
        machine_number(MACHINES)
    for name, value in WHERE.items():
        no_machines.setenv(name, value)
    assert machine_number(MACHINES) == 1
    for wrong in ("2", "-1", "first"):
        no_machines.setenv("NODE_RANK", wrong)
        with pytest.raises(SettingsError, match="one of the numbers from 0 to 1"):
            machine_number(MACHINES)
    assert machine_number(TWO) == 0


@pytest.mark.usefixtures("no_machines")
def test_each_device_needs_a_post() -> None:
    with pytest.raises(SettingsError, match="1 training posts are fewer than 2 devices"):
        check_devices(TWO, 1)


def test_torchrun_would_start_processes_twice(no_machines: pytest.MonkeyPatch) -> None:
    no_machines.setenv("TORCHELASTIC_RUN_ID", "none")
    with pytest.raises(SettingsError, match="without torchrun"):
        check_devices(TWO, 10)


def test_no_more_gpus_than_there_are(no_machines: pytest.MonkeyPatch) -> None:
    no_machines.setattr("torch.cuda.is_available", lambda: True)
    no_machines.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(SettingsError, match="this machine has 1 GPUs"):
        check_devices(TWO.model_copy(update={"device": "auto"}), 10)


def test_what_only_this_process_knows_is_refused() -> None:
    with pytest.raises(SettingsError, match="Define its classes and functions in a module"):
        on_every_device(lambda report: [], TWO, None)


def test_a_batch_norm_would_see_a_share(tmp_path: Path) -> None:
    network = Line()
    network.norm = torch.nn.BatchNorm1d(1)
    with pytest.raises(SettingsError, match="norm: a batch normalisation would see the share"):
        fit_network(network, zeros_to_learn(), None, TWO, tmp_path)


def test_a_whole_graph_would_be_computed_by_each(tmp_path: Path) -> None:
    train, held_out, _ = small_network_examples(20, 20, 60)
    model = HMGEmo(HMGEmoSettings(full_graph="always"))
    with pytest.raises(SettingsError, match="each device would compute the whole graph"):
        model.fit(train, held_out, folder=tmp_path, training=TWO)


@pytest.mark.parametrize("model", ["linear", None])
def test_only_a_network_is_trained_on_several_devices(model: str | None, tmp_path: Path) -> None:
    posts = evoked.synthesise(tmp_path / "posts", n=30, seed=0)
    with pytest.raises(SettingsError, match="only a network is trained on several devices"):
        train_posts(posts, model, tmp_path / "run", training=TWO)
    with pytest.raises(SettingsError, match="the model is yet to be chosen"):
        evoked.train_automatically(posts, tmp_path / "run", training=TWO)
    assert not (tmp_path / "run").exists()


def test_a_gpu_without_bf16_does_not_compute_it_slowly(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def supported(including_emulation: bool = True) -> bool:
        return including_emulation

    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", supported)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "Tesla T4")
    settings = TrainingSettings(precision="bf16")
    with pytest.raises(SettingsError, match=r"Tesla T4 does not have it.*'fp16'"):
        fit_network(Line(), zeros_to_learn(), None, settings, tmp_path)


# What is handed to the processes.


def test_memory_mapped_features_are_named_and_not_copied(tmp_path: Path) -> None:
    values = np.arange(40_000, dtype=np.float32).reshape(-1, 4)
    values.tofile(tmp_path / "data.bin")
    mapped = np.memmap(tmp_path / "data.bin", np.float32, mode="r", offset=160, shape=(9990, 4))
    content = ForkingPickler.dumps(partial(len, FeatureTable({"metadata": Column.dense(mapped)})))
    assert len(content) < 100_000  # the numbers of rows; the values are 160,000 bytes
    column = ForkingPickler.loads(content).args[0].columns["metadata"]
    np.testing.assert_array_equal(column.data, values[10:])
    part = ForkingPickler.loads(ForkingPickler.dumps(mapped[5:]))
    np.testing.assert_array_equal(part, values[15:])


# What processes do together; each takes seconds to start.


def fit_two(
    folder: Path, progress: Callable[[dict[str, float]], None] | None = None, **changes: Any
) -> tuple[ABMF, list[dict[str, float]]]:
    """ABMF, with its dropout, trained by two processes, and its records."""
    examples = random_examples(61)
    model = ABMF(SMALL)
    history = model.fit(
        examples.select(range(40)),
        examples.select(range(40, 61)),
        folder=folder,
        training=TWO.model_copy(update=changes),
        progress=progress,
    )
    return model, history


@pytest.mark.slow
def test_the_same_seed_gives_the_same_run_even_if_it_is_interrupted(tmp_path: Path) -> None:
    model, history = fit_two(tmp_path / "a", max_epochs=3)

    def stop(record: dict[str, float]) -> None:
        if record["epoch"] == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_two(tmp_path / "b", stop, max_epochs=3)
    epochs: list[float] = []

    def note(record: dict[str, float]) -> None:
        epochs.append(record["epoch"])

    again, records = fit_two(tmp_path / "b", note, max_epochs=3)
    assert epochs[-1] == 3
    for name, value in model.network.state_dict().items():
        torch.testing.assert_close(again.network.state_dict()[name], value, msg=name)
    kept = ["train_loss", "validation_loss"]
    log = pd.read_csv(tmp_path / "b" / "log.csv")
    np.testing.assert_allclose(log[kept], pd.DataFrame(history)[kept], rtol=1e-6)
    np.testing.assert_allclose(pd.DataFrame(records)[kept], pd.DataFrame(history)[kept], rtol=1e-6)


@pytest.mark.slow
def test_what_is_selected_is_measured_on_all_validation_posts(tmp_path: Path) -> None:
    model, history = fit_two(tmp_path, max_epochs=1)
    held_out = random_examples(61).select(range(40, 61))
    assert held_out.targets is not None
    predicted = torch.tensor(model.predict(held_out).to_numpy(), dtype=torch.float32)
    truth = torch.from_numpy(held_out.targets.values)
    model.network.eval()
    loss = model.network.criterion(predicted, truth, torch.ones_like(truth))
    assert history[0]["validation_loss"] == pytest.approx(float(loss), rel=1e-4)


@pytest.mark.slow
def test_a_killed_process_ends_all_with_a_sentence(tmp_path: Path) -> None:
    def kill(record: dict[str, float]) -> None:
        if record["epoch"] > 1:
            return
        children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
        started = [child for child in children if b"spawn_main" in command_of(child)]
        assert len(started) == 2
        os.kill(int(started[1]), signal.SIGKILL)

    with pytest.raises(EvokedError, match=r"device 1 was ended from outside \(signal 9, SIGKILL\)"):
        fit_two(tmp_path, kill, max_epochs=1000, patience=1000)


def command_of(process: str) -> bytes:
    return Path(f"/proc/{process}/cmdline").read_bytes()


@pytest.mark.slow
def test_what_is_wrong_in_a_process_is_said_as_it_is(tmp_path: Path) -> None:
    examples = random_examples(40)
    examples.features.columns["metadata"].data[:] = np.inf  # type: ignore[attr-defined]
    with pytest.raises(EvokedError, match="the training loss became nan in epoch 1"):
        ABMF(SMALL).fit(examples, folder=tmp_path, training=TWO)


@pytest.mark.slow
def test_neighbourhoods_are_sampled_on_each_device(tmp_path: Path) -> None:
    train, held_out, test = small_network_examples()
    settings = HMGEmoSettings(layers=2, width=16, negative_sampling=True)
    model = HMGEmo(settings)
    training = TWO.model_copy(update={"max_epochs": 6, "batch_size": 64, "learning_rate": 0.01})
    history = model.fit(train, held_out, folder=tmp_path, training=training)
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert model.predict(test).notna().all(axis=None)


@pytest.mark.slow
def test_two_machines_make_one_run(tmp_path: Path, no_machines: pytest.MonkeyPatch) -> None:
    """Two commands, each told which machine it is on; here both are this one."""
    evoked.synthesise(tmp_path / "posts", n=60, seed=0)
    command = [sys.executable, "-m", "evoked", "train", tmp_path / "posts"]
    command += ["--out", tmp_path / "run", "--cache", tmp_path / "cache", "--model", "abmf"]
    command += ["--set", "width=8", "--epochs", "2", "--device", "cpu", "--nodes", "2"]
    port = str(find_free_network_port())
    machines = [
        subprocess.Popen(
            command,
            env={**os.environ, **WHERE, "MASTER_PORT": port, "NODE_RANK": str(number)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    (first, first_errors), (second, second_errors) = (each.communicate() for each in machines)
    assert [each.returncode for each in machines] == [0, 0], first_errors + second_errors
    assert "The run, which is the trained model" in first
    assert "This machine has done its part of the training." in second
    run = evoked.load(tmp_path / "run")
    assert run.description["training"]["nodes"] == 2
    assert len(run.predict(evoked.open(tmp_path / "posts"))) == 60

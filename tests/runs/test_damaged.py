"""Runs that were damaged, or made to do harm: each is refused with the file that is at fault."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import evoked
from evoked.errors import DataError, EvokedError
from evoked.models import load_model
from evoked.report import write_report
from evoked.runs.posts import Run
from evoked.training.records import LAST_CHECKPOINT
from tests.support.small_runs import Workshop


@pytest.fixture
def copy(run: Run, tmp_path: Path) -> Path:
    return shutil.copytree(run.folder, tmp_path / "run")


def edit(path: Path, change: Callable[[Any], object]) -> None:
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value)
    path.write_text(json.dumps(value), encoding="utf-8")


def at(*keys: str, value: Any) -> Callable[[Any], None]:
    """A change of one entry."""

    def change(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("run.json", at("data", value=[]), "description of a run"),
        ("run.json", at("split", "kind", value=7), "description of a run"),
        ("run.json", at("data", "time_zone", value="Nowhere"), "Nowhere"),
        ("model.json", lambda content: content.pop("widths"), "widths"),
        ("model.json", at("widths", "image.map", value=-5), "settings of a abmf"),
        ("model.json", at("widths", "image.map", value=10**9), "far more than the"),
        ("model.json", at("settings", "width", value=20_000), "far more than the"),
        ("model.json", at("settings", "heads", value=3), "heads"),
        ("model.json", at("known_targets", value=["wealth"]), "wealth"),
        ("targets.json", at("deviations", value=1), "what a task learned"),
        ("targets.json", at("task", value="views"), "task"),
        ("features.json", at("metadata", "categories", value={}), "not a whole run"),
        ("features.json", at("fingerprints", value={}), "fingerprints"),
        ("intervals.json", lambda content: content["values"]["valence"].pop("above"), "intervals"),
        ("intervals.json", at("values", "valence", "above", value=[]), "not a whole run"),
        ("metrics.json", at("intervals", value=[1]), "scores of a run"),
        ("history.json", at("author", value=3), "history"),
    ],
)
def test_a_wrong_value_is_blamed_on_its_file(
    name: str, change: Callable[[Any], object], message: str, copy: Path
) -> None:
    edit(copy / name, change)
    with pytest.raises(EvokedError, match=message) as raised:
        evoked.load(copy).predict([evoked.Draft(caption="Golden hour")])
    assert str(copy) in str(raised.value) or message == "Nowhere"


@pytest.mark.parametrize("name", ["run.json", "model.json", "features.json", "metrics.json"])
@pytest.mark.parametrize("content", ["[]", "null", "[" * 100_000, '{"a": ' + "9" * 5000 + "}"])
def test_a_file_that_is_no_object_is_named(name: str, content: str, copy: Path) -> None:
    (copy / name).write_text(content)
    with pytest.raises(DataError, match=name):
        evoked.load(copy).predict([evoked.Draft(caption="Golden hour")])


@pytest.mark.parametrize("name", ["split.parquet", "predictions.parquet", "truth.parquet"])
@pytest.mark.parametrize("content", [b"junk", None])
def test_tables_of_another_kind_are_named(name: str, content: bytes | None, copy: Path) -> None:
    if content is None:
        pd.DataFrame({"other": [1, 2]}).to_parquet(copy / name)
    else:
        (copy / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        use_tables(copy)


def test_a_report_blames_the_folder_too(copy: Path, dataset: Any) -> None:
    edit(copy / "run.json", lambda content: content.pop("caution"))
    for posts in (None, dataset):
        with pytest.raises(DataError, match="not a whole run"):
            write_report(evoked.load(copy), posts, copy / "report.html")


def use_tables(folder: Path) -> None:
    loaded = evoked.load(folder)
    write_report(loaded, None, folder / "report.html")
    assert len(loaded.tested[0])


def test_a_whole_run_is_blamed_for_nothing(run: Run) -> None:
    with pytest.raises(ZeroDivisionError), run.checked():
        _ = 1 / 0


def test_a_baseline_is_of_its_own_kind(run: Run, copy: Path) -> None:
    """A folder can't bring a network in where a mean is expected."""
    shutil.copy(copy / "model.json", copy / "baselines" / "mean" / "model.json")
    loaded = Run.load(copy)
    kind = next(each for each in loaded.baselines if each.name == "mean")
    with pytest.raises(DataError, match="not 'mean'"):
        loaded.baseline(kind)


def test_networks_of_the_size_of_their_weights_are_built(run: Run) -> None:
    assert load_model(run.folder).name == run.model.name


class _Harm:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch harmed",)


@pytest.mark.parametrize("content", ["pickle", "foreign", "junk"])
def test_a_checkpoint_of_another_kind_is_not_believed(
    content: str, workshop: Workshop, dataset: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = workshop.run(dataset, f"checkpoint-{content}", width=8).folder
    (folder / "run.json").unlink()
    file = folder / "training" / LAST_CHECKPOINT
    if content == "junk":
        file.write_bytes(b"junk")
    else:
        torch.save(_Harm() if content == "pickle" else {"state_dict": {}}, file)
    with pytest.raises(DataError, match=r"last\.ckpt: not a checkpoint of this .* Remove the file"):
        workshop.run(dataset, f"checkpoint-{content}", width=8)
    assert not (tmp_path / "harmed").exists()


def test_two_trainings_in_one_folder_are_one_too_many(
    workshop: Workshop, dataset: Any, tmp_path: Path
) -> None:
    from evoked.files import only_writer

    with only_writer(workshop.folder / "twice"), pytest.raises(DataError, match="another run"):
        workshop.run(dataset, "twice", "mean")


def test_what_a_killed_training_left_goes_at_the_next_start(
    workshop: Workshop, dataset: Any
) -> None:
    training = workshop.folder / "killed-run" / "training"
    training.mkdir(parents=True)
    (training / "plan.json").write_text("{}")
    (training / ".best.safetensors.0f243810.tmp").write_bytes(b"half")
    workshop.run(dataset, "killed-run", "mean")
    assert not list(training.glob(".*"))


def test_the_card_says_what_the_folder_holds(run: Run) -> None:
    card = (run.folder / "README.md").read_text(encoding="utf-8")
    assert "hashtags of the training posts" in card
    assert "without a key" in card


@pytest.mark.parametrize(
    "name", ["weights.safetensors", "hashtags/vectors.safetensors", "run.json"]
)
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_no_file_is_waited_for(name: str, kind: str, copy: Path) -> None:
    (copy / name).unlink()
    make = os.mkfifo if kind == "pipe" else (lambda path: path.symlink_to("/dev/zero"))
    make(copy / name)
    with pytest.raises(DataError):
        evoked.load(copy)

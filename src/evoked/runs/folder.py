"""The folder of a run, which can be handed on: what it holds, claiming it, writing and reading it.

::

    my_run/
        README.md             model card
        run.json              data, split, seed, versions: what is needed to repeat the run
        model.json            the model's settings
        weights.safetensors   its weights
        features.json …       the encoders, and what was fitted on the training posts
        targets.json          the task: how posts become targets and back
        intervals.json        how far predictions missed on the calibration and test posts
        metrics.json          scores on the test posts, trivial baselines beside them, how often the
                              intervals held, and what hiding pictures and captions changes
        history.json          what each author's posts achieved, authors as hashes, for drafts
        profiles.json         each author's last known followers, authors as hashes, for drafts
        past.parquet          of each post its form, what it got and what was expected of it
                              whatever the hour, authors as hashes, for advice
        content.safetensors   the directions in which its posts differ most, for advice
        split.parquet         which post was in which part, and digests of what it was like
        predictions.parquet   predictions of the test posts
        truth.parquet         what the test posts really got, authors as hashes
        calibration/          the same two files of the posts that calibrated the intervals
        baselines/            the trivial baselines, with their predictions of the test posts
        training/             plan.json (what is being made), log.csv and the last checkpoint
        ledger.jsonl          what was kept of what it said of drafts, with --keep
        plan.json             the schedule that 'evoked plan' drew
        tested.json           what such schedules have shown, once they were checked

A run of viewings holds more: see :mod:`evoked.runs.viewings`.
"""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Sequence
from importlib import metadata as packages
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

import evoked
from evoked.errors import DataError, SettingsError
from evoked.evaluation.conformal import Intervals, Predicted
from evoked.evaluation.splits import PARTS, Split
from evoked.features.catalog import FeatureSettings
from evoked.features.extract import Problem, picture_digest
from evoked.features.named_encoders import allowing_others
from evoked.features.pipeline import FeaturePipeline
from evoked.files import (
    check_format_version,
    check_free,
    read_json,
    write_json,
    write_parquet,
    write_text,
)
from evoked.models import Examples, Model, load_model
from evoked.models.base import WEIGHTS_FILE
from evoked.parquet import read_frame
from evoked.posts.dataset import PostDataset
from evoked.runs.base import (
    BASELINES_FOLDER,
    METRICS_FILE,
    PREDICTIONS_FILE,
    TRUTH_FILE,
    Callbacks,
    RunContents,
    TrainedRun,
)
from evoked.runs.card import model_card
from evoked.runs.description import FORMAT_VERSION, RUN_FILE, TRAIN_AGAIN, read_description
from evoked.targets import load_task, task_state
from evoked.training.records import LAST_CHECKPOINT
from evoked.training.settings import TrainingSettings

PLAN_FILE = "plan.json"
TARGETS_FILE = "targets.json"
INTERVALS_FILE = "intervals.json"
SPLIT_FILE = "split.parquet"
TRAINING_FOLDER = "training"
CALIBRATION_FOLDER = "calibration"
LEDGER_FILE = "ledger.jsonl"
SCHEDULE_FILE = "plan.json"
TESTED_FILE = "tested.json"
CARRIED = (LEDGER_FILE, SCHEDULE_FILE, TESTED_FILE)
"""What a run's folder holds beside what training makes: it stays when the run is trained anew."""
_PART_COLUMNS = {
    "posts": ("post_id", "part", "posted_at", "caption"),
    "viewings": ("user", "post_id", "part", "viewed_at"),
}
# Fewer test posts than this would make scores that say nothing.
_SMALL_TEST = 30
_LARGE = 2e7  # bytes of weights; networks on frozen encoders have a few million


def load_contents(
    folder: Path | str,
    model: type[Model] | None = None,
    rows: Literal["posts", "viewings"] | None = None,
    allow_download: bool = False,
) -> RunContents:
    """Read what every run's folder holds; nothing in it is executed.

    Parameters
    ----------
    folder
        The run's folder.
    model
        Class of the model, where that is one of the caller's own.
    rows
        What the run has to be made of; either by default.
    allow_download
        Fetch encoders that the run names, and read them from whatever folder it names: see
        :mod:`evoked.features.named_encoders`.

    Raises
    ------
    DataError
        The folder holds no finished run, one of another format version, one of other rows, or one
        whose model evoked does not know and ``model`` does not give.
    """
    folder = Path(folder)
    description = read_description(folder)
    with allowing_others(allow_download):
        loaded, pipeline = load_model(folder, model), FeaturePipeline.load(folder)
    if rows not in (None, loaded.rows):
        raise DataError(
            f"a run of {loaded.rows} ({loaded.name}), where a run of {rows} was expected.",
            file=folder,
            fix="evoked.load(folder) loads runs of both kinds.",
        )
    targets, intervals = folder / TARGETS_FILE, folder / INTERVALS_FILE
    task = load_task(read_json(targets), targets)
    if task.name != loaded.task.name or task.name != description["task"]:
        raise DataError(
            f"the task {task.name!r}; the model learned {loaded.task.name!r}.",
            file=targets,
            fix=f"{TRAIN_AGAIN}.",
        )
    return RunContents(
        folder=folder,
        model=loaded,
        pipeline=pipeline,
        task=task,
        description=description,
        parts=read_frame(folder / SPLIT_FILE, _PART_COLUMNS[loaded.rows]),
        intervals=Intervals.from_dict(read_json(intervals), intervals),
    )


def plan_of(
    data: dict[str, Any],
    model: Model,
    features: FeatureSettings,
    training: TrainingSettings,
    split: Split,
) -> dict[str, Any]:
    """What decides what a run becomes; two runs with equal plans are the same run."""
    return {
        "format_version": FORMAT_VERSION,
        "data": data,
        "rows": model.rows,
        "model": {"name": model.name, "settings": model.settings.model_dump(mode="json")},
        "task": model.task.name,
        "features": features.model_dump(mode="json"),
        "training": training.model_dump(mode="json"),
        "split": {
            "kind": split.kind,
            "reason": split.reason,
            **{name: len(getattr(split, name)) for name in PARTS},
        },
    }


def data_description(
    dataset: PostDataset, splits: Sequence[Split], tables: Sequence[str] = ("posts",)
) -> dict[str, Any]:
    """Which posts a run or study is made of; the digest covers posts, cover pictures, parts and
    those of ``tables`` that the dataset has."""
    content = hashlib.sha256("\n".join(dataset.posts["post_id"]).encode())
    for name in dataset.tables:
        if name in tables:
            with (dataset.folder / f"{name}.parquet").open("rb") as stream:
                content.update(hashlib.file_digest(stream, "sha256").digest())
    for digest in map(picture_digest, dataset.cover_paths()):
        content.update(digest if isinstance(digest, bytes) else b"|")
    for split in splits:
        for rows in (split.train, split.validation, split.test):
            content.update(np.ascontiguousarray(rows, dtype=np.int64).tobytes() + b"|")
    return {
        "name": dataset.folder.resolve().name,
        "sha256": content.hexdigest(),
        "provenance": dataset.description.get("provenance", {}),
        **dataset.describe(),
        **({"time_zone": dataset.time_zone} if dataset.time_zone else {}),
    }


def environment() -> dict[str, Any]:
    """Versions and hardware that numbers depend on; without torch, no graphics card was used."""
    torch = sys.modules.get("torch")
    libraries = ("torch", "transformers", "lightning", "numpy", "pandas", "scikit-learn")
    return {
        "evoked": evoked.__version__,
        "python": platform.python_version(),
        **{name: packages.version(name) for name in libraries},
        "platform": platform.platform(),
        "gpu": torch.cuda.get_device_name() if torch and torch.cuda.is_available() else None,
    }


def mark(out: Path) -> None:
    """Mark a folder as a run's before its plan is known, for whatever else is kept in it."""
    path = out / TRAINING_FOLDER / PLAN_FILE
    if not path.is_file():
        write_json(path, {})


def claim(out: Path, plan: dict[str, Any]) -> None:
    """Make ``out`` this run's folder, or go on with it if it already is.

    Raises
    ------
    DataError
        The folder holds a run of another format version.
    SettingsError
        The folder holds another run, or something else.
    """
    path = out / TRAINING_FOLDER / PLAN_FILE
    # A run that failed before its first epoch (an encoder's name mistyped, say) bars nobody.
    begun = (out / RUN_FILE).is_file() or (path.parent / LAST_CHECKPOINT).is_file()
    if begun and path.is_file():
        known = read_json(path)
        check_format_version(known, FORMAT_VERSION, path, TRAIN_AGAIN)
        if known != plan:
            raise SettingsError(
                f"{out} holds another run (other posts, settings or split). Choose another folder, "
                "or remove that one."
            )
    check_free(out, str(path.relative_to(out)), "a run")
    write_json(path, plan)


def finish(
    run: TrainedRun, test: Examples, problems: Sequence[Problem], callbacks: Callbacks
) -> None:
    """Write the run's folder; run.json comes last, so a folder that has it is whole."""
    out = run.folder
    run.model.save(out)
    run.save_inputs()
    write_json(out / TARGETS_FILE, task_state(run.task))
    write_parquet(out / SPLIT_FILE, run.parts)
    scored = _score_test_rows(run, test, problems, callbacks)
    write_json(out / METRICS_FILE, {**scored, "influence": run.influence(test)})
    run.calibrate_on_tests(test)
    write_json(out / INTERVALS_FILE, run.intervals.to_dict())
    write_text(out / "README.md", model_card(run.description, run.metrics))
    write_json(out / RUN_FILE, run.description)
    size = _size_note(out)
    if size:
        callbacks.note(size)


def _size_note(out: Path) -> str:
    """How much of the disk a run takes whose network holds encoders; empty for others."""
    file = out / WEIGHTS_FILE
    weights = file.stat().st_size if file.is_file() else 0
    if weights < _LARGE:
        return ""
    kept = sum(each.stat().st_size for each in (out / TRAINING_FOLDER).iterdir())
    return (
        f"Its weights take {weights / 1e6:.0f} MB; what training would go on from takes "
        f"{kept / 1e6:.0f} MB more."
    )


def save_calibration(run: TrainedRun, predicted: Predicted) -> None:
    """Write what was predicted for the posts that calibrated the intervals, by a model that had not
    seen them, and what they really got."""
    posts = predicted.posts
    restored = run.task.inverse_transform(predicted.columns, posts)
    table = pd.concat([run.identify(posts), restored], axis=1)
    save_held_out(run, run.folder / CALIBRATION_FOLDER, table, posts)


def save_held_out(
    run: TrainedRun, folder: Path, predictions: pd.DataFrame, posts: pd.DataFrame
) -> None:
    """Write predictions of n posts, (n,) rows, and their truth into a folder."""
    write_parquet(folder / PREDICTIONS_FILE, run.anonymised(predictions))
    truth = run.task.truth(posts)
    write_parquet(folder / TRUTH_FILE, truth.assign(**run.facts(posts)))


def _score_test_rows(
    run: TrainedRun, test: Examples, problems: Sequence[Problem], callbacks: Callbacks
) -> dict[str, Any]:
    """Score the test posts or viewings, and write their predictions and truth into the folder."""
    if not len(test):
        return {"posts": 0, "scores": [], "intervals": [], "warnings": []}
    out, baselines = run.folder, run.baseline_predictions(test)
    reason = run.description["split"]["reason"]
    evaluation = run.score(test, problems, baselines, reason, excluded=0)
    if len(test) < _SMALL_TEST:
        callbacks.note(
            f"Only {len(test)} {run.noun} were kept aside for testing: their scores say little."
        )
    for warning in evaluation.warnings:
        callbacks.note(warning)
    save_held_out(run, out, evaluation.predictions, test.posts)
    for name, predicted in baselines.items():
        path = out / BASELINES_FOLDER / name / PREDICTIONS_FILE
        write_parquet(path, run.anonymised(predicted))
    return evaluation.to_dict()

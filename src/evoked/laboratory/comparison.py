"""A user's own runs compared: on the posts that all of them held out, or fitted again in folds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.errors import DataError, SettingsError
from evoked.evaluation.bootstrap import bootstrap_draws, interval_bounds
from evoked.evaluation.corrections import holm
from evoked.evaluation.significance import bootstrap_p
from evoked.evaluation.tables import Scorer
from evoked.experiments import Experiment, PublishedTable
from evoked.features.catalog import FeatureSettings
from evoked.features.named_encoders import check_named_encoders
from evoked.files import damage, read_json
from evoked.models import TRIVIAL_BASELINES
from evoked.parquet import read_frame
from evoked.runs.base import BASELINES_FOLDER
from evoked.runs.description import RUN_FILE, read_description
from evoked.runs.folder import PREDICTIONS_FILE, SPLIT_FILE, TARGETS_FILE, TRUTH_FILE
from evoked.targets import Task, load_task

DRAWS = 2000
# Two runs mean the same post if all of these agree; ids alone prove nothing.
_IDENTITY = ["post_id", "posted_at", "caption"]


@dataclass(frozen=True)
class RunComparison:
    """Runs on the posts that are test posts of all of them.

    Attributes
    ----------
    table
        Tidy: ``target, metric, run, value, low, high`` (95 % bootstrap over posts), ``difference``
        (first run − run) with ``difference_low, difference_high``, ``p`` (paired bootstrap),
        ``p_holm`` (over the runs of the score), ``n``.
    posts
        Number of common test posts.
    of
        Number of each run's own test posts, by the run's name.
    by_author
        Whether authors were resampled with all their posts, because the first run held authors
        out.
    """

    table: pd.DataFrame
    posts: int
    of: dict[str, int]
    by_author: bool


def compare_runs(
    folders: Sequence[Path | str],
    *,
    rows: Sequence[str] | None = None,
    seed: int = 0,
    draws: int = DRAWS,
) -> RunComparison:
    """Compare runs, and the first run's trivial baselines, post by post.

    The truth, and which posts are relevant, come from the first run; every other run is compared
    with it.

    Parameters
    ----------
    folders
        Folders that ``evoked train`` made, two or more.
    rows
        Names of runs (their folders') and baselines to show beside the first run; all by default.
    seed, draws
        Random seed of the bootstrap, and its number of resamples.

    Raises
    ------
    DataError
        A folder holds no finished run of posts, or one of another format version, or no post is a
        test post of all runs.
    SettingsError
        Fewer than two runs, runs of different tasks, or a row that does not exist.
    """
    runs = _named(folders)
    _check_posts(runs)
    first = next(iter(runs.values()))
    common = _common_posts(runs)
    truth = _rows_of(first / TRUTH_FILE, common)
    predictions = {
        name: _rows_of(folder / PREDICTIONS_FILE, common) for name, folder in runs.items()
    }
    for kind in TRIVIAL_BASELINES:
        path = first / BASELINES_FOLDER / kind.name / PREDICTIONS_FILE
        predictions.setdefault(kind.name, _rows_of(path, common))
    predictions = _chosen(predictions, rows)
    by_author = read_description(first)["split"]["kind"] == "author"
    table = _compared(
        _common_task(runs),
        predictions,
        truth,
        truth["author"].where(truth["author"] != "", truth["post_id"]) if by_author else None,
        (seed, draws),
    )
    of = {name: len(_test_posts(folder)) for name, folder in runs.items()}
    return RunComparison(table, len(common), of, by_author)


def table_of_runs(folders: Sequence[Path | str]) -> PublishedTable:
    """The runs' models and settings as rows of a table, to be fitted on the same folds.

    Raises
    ------
    DataError
        A folder holds no finished run, or one of another format version.
    SettingsError
        Fewer than two runs.
    """
    experiments = []
    for label, folder in _named(folders).items():
        description = read_description(folder)
        experiments.append(
            Experiment(
                name=re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_") or "run",
                label=label,
                model=description["model"]["name"],
                task=description["task"],
                settings=description["model"]["settings"],
                features=_features(folder, description["features"]),
                training=description["training"],
            )
        )
    names = [experiment.name for experiment in experiments]
    if len(set(names)) < len(names):
        raise SettingsError(f"runs need folders of different names, not {', '.join(names)}.")
    return PublishedTable(
        name="runs",
        title="Runs compared",
        source="Own runs, fitted again",
        reference=names[0],
        experiments=tuple(experiments),
    )


def _named(folders: Sequence[Path | str]) -> dict[str, Path]:
    """Runs by the shortest end of their paths that no two of them share."""
    paths = [Path(folder) for folder in folders]
    if len(paths) < 2:
        raise SettingsError("a comparison needs two runs or more.")
    for path in paths:
        read_description(path)  # which refuses what is no finished run
    names = [path.resolve().name for path in paths]
    if len(set(names)) < len(names):
        names = [str(path) for path in paths]
    if len(set(names)) < len(names):
        raise SettingsError("a run is compared with itself; name each of them once.")
    return dict(zip(names, paths, strict=True))


def _check_posts(runs: Mapping[str, Path]) -> None:
    for path in runs.values():
        if read_description(path)["rows"] != "posts":
            raise DataError(
                "a run of viewings, and only runs of posts can be compared as they are.",
                file=path,
                fix="Give --data and --folds to fit the runs again and compare the fits.",
            )


def _features(folder: Path, saved: dict[str, Any]) -> FeatureSettings:
    """The encoders that a run names, which are not fetched because it names them."""
    file = folder / RUN_FILE
    with damage(file, "settings of features"):
        settings = FeatureSettings.from_saved(saved)
    check_named_encoders(settings, file)
    return settings


def _common_task(runs: Mapping[str, Path]) -> Task:
    """The first run's; the others learn the same."""
    tasks = {
        name: load_task(read_json(folder / TARGETS_FILE), folder / TARGETS_FILE)
        for name, folder in runs.items()
    }
    first = next(iter(tasks.values()))
    if any(type(task) is not type(first) for task in tasks.values()):
        different = ", ".join(f"{name} predicts {task.name}" for name, task in tasks.items())
        raise SettingsError(f"runs of different tasks can't be compared: {different}.")
    return first


def _test_posts(folder: Path) -> pd.DataFrame:
    parts = read_frame(folder / SPLIT_FILE, [*_IDENTITY, "part"])
    return parts.loc[parts["part"] == "test", _IDENTITY]


def _common_posts(runs: Mapping[str, Path]) -> list[str]:
    first, *others = (_test_posts(folder) for folder in runs.values())
    common = first
    for other in others:
        common = common.merge(other, on=_IDENTITY)
    if common.empty:
        raise DataError(
            f"no post is a test post of all of {', '.join(runs)}.",
            fix="Train them on the same posts with the same --split and --seed, or give --data and "
            "--folds to fit them again.",
        )
    return sorted(common["post_id"])


def _rows_of(path: Path, posts: list[str]) -> pd.DataFrame:
    if not path.is_file():
        raise DataError(
            "the file is missing, which every run with test posts has.",
            file=path,
            fix="Train the run again, or give --data and --folds to fit all of them again.",
        )
    return read_frame(path, ["post_id"]).set_index("post_id").loc[posts].reset_index()


def _chosen(
    predictions: dict[str, pd.DataFrame], rows: Sequence[str] | None
) -> dict[str, pd.DataFrame]:
    unknown = [name for name in rows or () if name not in predictions]
    if unknown:
        raise SettingsError(
            f"there is no row {', '.join(unknown)}; there are {', '.join(predictions)}."
        )
    first = next(iter(predictions))
    return {
        name: table
        for name, table in predictions.items()
        if rows is None or name == first or name in rows
    }


def _compared(
    task: Task,
    predictions: Mapping[str, pd.DataFrame],
    truth: pd.DataFrame,
    groups: pd.Series | None,
    drawing: tuple[int, int],
) -> pd.DataFrame:
    queries = truth["category"] if truth["category"].notna().any() else None
    values: dict[str, dict[tuple[str, str], tuple[float, int]]] = {}
    draws: dict[str, dict[tuple[str, str], NDArray[np.float64]]] = {}
    for name, predicted in predictions.items():
        scorer = Scorer.of_task(task, predicted, truth, queries)
        keys = [(target, metric) for target, metric, _ in scorer.labels]
        counts = [n for _, _, n in scorer.labels]
        values[name] = dict(zip(keys, zip(map(float, scorer()), counts, strict=True), strict=True))
        # The same seed, so the same posts in every resample of every run.
        seed, number = drawing
        sampled = bootstrap_draws(scorer, scorer.size, groups, number, seed)
        draws[name] = dict(zip(keys, sampled.T, strict=True))
    scores = dict.fromkeys(key for found in values.values() for key in found)
    tables = [_of_score(key, values, draws) for key in scores]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _of_score(
    key: tuple[str, str],
    values: Mapping[str, dict[tuple[str, str], tuple[float, int]]],
    draws: Mapping[str, dict[tuple[str, str], NDArray[np.float64]]],
) -> pd.DataFrame:
    """One score of all runs that have it."""
    first = next(iter(values))
    lines: list[dict[str, Any]] = []
    for name, found in values.items():
        if key not in found:
            continue
        value, n = found[key]
        low, high = interval_bounds(draws[name][key])
        line = {
            "target": key[0],
            "metric": key[1],
            "run": name,
            "value": value,
            "low": float(low),
            "high": float(high),
            **dict.fromkeys(("difference", "difference_low", "difference_high", "p"), np.nan),
            "n": n,
        }
        if name != first and key in values[first]:
            differences = draws[first][key] - draws[name][key]
            low, high = interval_bounds(differences)
            line |= {
                "difference": values[first][key][0] - value,
                "difference_low": float(low),
                "difference_high": float(high),
                "p": float(bootstrap_p(differences)),
            }
        lines.append(line)
    table = pd.DataFrame(lines)
    table.insert(len(table.columns) - 1, "p_holm", holm(table["p"].to_numpy(dtype=float)))
    return table

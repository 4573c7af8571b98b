"""What a desk works with: its datasets and runs, and the scorers that stay loaded."""

from __future__ import annotations

import re
import shutil
import unicodedata
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from evoked.errors import DataError
from evoked.evaluation.coverage import DEFAULT_COVERAGE
from evoked.files import read_json
from evoked.posts.dataset import DESCRIPTION_FILE, PostDataset
from evoked.runs.answer import verdicts
from evoked.runs.base import METRICS_FILE
from evoked.runs.description import RUN_FILE, read_description, read_metrics
from evoked.runs.folder import TARGETS_FILE
from evoked.runs.track_record import TrackRecord
from evoked.targets import Task, load_task

if TYPE_CHECKING:
    from evoked.features.cache import FeatureCache
    from evoked.scoring import Scorer

RUNS_FOLDER = "runs"
DATASETS_FOLDER = "datasets"
_REPORT_FILE = "report.html"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
# Runs that stay loaded, the last used ones: each holds its model, and the encoders are shared.
_LOADED = 4


@dataclass(frozen=True)
class RunEntry:
    """A finished run.

    Attributes
    ----------
    name
        How the desk calls it: never a path.
    folder
        Where it lies.
    own
        Whether it lies in the desk's folder, and may be deleted there.
    description
        Contents of its run.json.
    """

    name: str
    folder: Path
    own: bool
    description: dict[str, Any]

    @property
    def model(self) -> str:
        return str(self.description["model"]["name"])

    @property
    def of_posts(self) -> bool:
        """Whether it scores drafts; otherwise it is of viewings."""
        return bool(self.description["rows"] == "posts")

    @property
    def made(self) -> datetime:
        return datetime.fromtimestamp(_written(self.folder) / 1e9).astimezone()

    def task(self) -> Task:
        """What it predicts: read without its model, which takes far longer."""
        file = self.folder / TARGETS_FILE
        return load_task(read_json(file), file)

    def verdicts(self) -> list[str]:
        """How good it is, in words: see :func:`evoked.runs.answer.verdicts`."""
        measured = read_metrics(self.folder / METRICS_FILE)["intervals"]
        return verdicts(self.task(), TrackRecord(self.folder, measured), DEFAULT_COVERAGE)

    @property
    def report(self) -> Path | None:
        path = self.folder / _REPORT_FILE
        return path if path.is_file() else None

    @property
    def scores(self) -> list[dict[str, Any]]:
        """The scores on test posts, of the run's model and of the trivial baselines."""
        found: list[dict[str, Any]] = read_metrics(self.folder / METRICS_FILE)["scores"]
        return found


@dataclass(frozen=True)
class DatasetEntry:
    """A dataset of the desk."""

    name: str
    folder: Path

    @property
    def made(self) -> datetime:
        return datetime.fromtimestamp((self.folder / DESCRIPTION_FILE).stat().st_mtime).astimezone()

    def open(self) -> PostDataset:
        return PostDataset(self.folder)


class _Kept:
    """A run that stays loaded, as it was written then, and whoever's turn it is to load it."""

    def __init__(self, written: int) -> None:
        self.written, self.turn = written, Lock()
        self.scorer: Scorer | None = None


class Library:
    """The runs and datasets of a desk.

    Parameters
    ----------
    data
        The desk's folder, of which ``runs`` and ``datasets`` are shown.
    runs
        Folders of runs that lie elsewhere.
    cache
        Where computed features are kept.
    """

    def __init__(self, data: Path, runs: Sequence[Path], cache: FeatureCache) -> None:
        self.data, self.cache = data, cache
        self._others = list(runs)
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = Lock()

    def runs(self, damaged: dict[str, str] | None = None) -> list[RunEntry]:
        """All finished runs, the newest first; each name leads to one of them. Those that can't be
        read are left out, and put into ``damaged`` with the reason."""
        return list(self._runs(damaged))

    def runs_of_posts(self) -> list[RunEntry]:
        """The runs that score drafts, the newest first."""
        return [run for run in self._runs() if run.of_posts]

    def run(self, name: str) -> RunEntry | None:
        """A run by its name, or the newest one of posts where the name is empty."""
        if not name:
            return next((run for run in self._runs() if run.of_posts), None)
        folder = self._run_folders().get(name)
        return None if folder is None else self._entry(name, folder)

    def _runs(self, damaged: dict[str, str] | None = None) -> Iterator[RunEntry]:
        """The runs that can be read, the newest first, each read as it is asked for."""
        folders = self._run_folders()
        for name in sorted(folders, key=lambda name: _written(folders[name]), reverse=True):
            try:
                entry = self._entry(name, folders[name])
            except DataError as error:
                if damaged is not None:
                    damaged[name] = error.problem
                continue
            yield entry

    def _run_folders(self) -> dict[str, Path]:
        """The folders of the runs by the names that the desk gives them."""
        found = {folder.name: folder for folder in _folders(self.data / RUNS_FOLDER, RUN_FILE)}
        for folder in self._others:
            found[free_name(folder.resolve().name, found)] = folder
        return found

    def _entry(self, name: str, folder: Path) -> RunEntry:
        own = folder.parent == self.data / RUNS_FOLDER
        return RunEntry(name, folder, own, read_description(folder))

    def datasets(self) -> list[DatasetEntry]:
        """All datasets, the newest first."""
        folders = _folders(self.data / DATASETS_FOLDER, DESCRIPTION_FILE)
        entries = [DatasetEntry(folder.name, folder) for folder in folders]
        return sorted(entries, key=lambda entry: entry.made, reverse=True)

    def dataset(self, name: str) -> DatasetEntry | None:
        """A dataset by its name."""
        return next((entry for entry in self.datasets() if entry.name == name), None)

    def dataset_of(self, run: RunEntry) -> PostDataset | None:
        """The posts that a run was made from, where they still lie where they were: in the desk's
        folder, or beside the run."""
        name = str(run.description["data"]["name"])
        places = [self.data / DATASETS_FOLDER / name, run.folder.resolve().parent / name]
        for place in places:
            if Path(name).name == name and (place / DESCRIPTION_FILE).is_file():
                return PostDataset(place)
        return None

    def scorer(self, run: RunEntry) -> Scorer:
        """The scorer of a run, which stays loaded.

        Raises
        ------
        DataError
            The run's folder is damaged, or it is of viewings.
        """
        with self._lock:
            kept = self._kept.pop(run.name, None)
            if kept is None or kept.written != _written(run.folder):
                kept = _Kept(_written(run.folder))
            self._kept[run.name] = kept
            while len(self._kept) > _LOADED:
                self._kept.popitem(last=False)
        with kept.turn:  # who asks for the same run waits, and who asks for another does not
            if kept.scorer is None:
                from evoked.scoring import Scorer

                kept.scorer = Scorer.load(run.folder, self.cache)
            return kept.scorer

    def free(self, title: str, promised: Collection[str] = ()) -> str:
        """A name that neither a run nor a dataset nor what is being made has, and that is not
        promised to anybody, from what a person called it."""
        folders = (self.data / RUNS_FOLDER, self.data / DATASETS_FOLDER)
        taken = {path.name.lstrip(".").split(".")[0] for each in folders for path in _all_of(each)}
        return free_name(title, taken | set(promised))

    def delete_run(self, run: RunEntry) -> None:
        """Delete one of the desk's own runs.

        Raises
        ------
        DataError
            It lies elsewhere.
        """
        if not run.own:
            raise DataError("this run lies outside of the desk's folder.", file=run.name)
        with self._lock:
            self._kept.pop(run.name, None)
        _delete(run.folder)

    def delete_dataset(self, dataset: DatasetEntry) -> None:
        """Delete one of the desk's datasets."""
        _delete(dataset.folder)


def free_name(title: str, taken: Any) -> str:
    """A name of letters, digits and dashes, made from a title, that isn't taken.

    Examples
    --------
    >>> free_name("../Café Süd", {"cafe-sud"})
    'cafe-sud-2'
    """
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:50] or "account"
    assert _NAME.fullmatch(stem)
    name, number = stem, 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    return name


def _written(run: Path) -> int:
    """When a run was finished, in nanoseconds since 1970."""
    return (run / RUN_FILE).stat().st_mtime_ns


def _all_of(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _folders(folder: Path, mark: str) -> list[Path]:
    """The folders in a folder that hold a file of a name, without links."""
    return [
        path
        for path in _all_of(folder)
        if _NAME.fullmatch(path.name) and not path.is_symlink() and (path / mark).is_file()
    ]


def _delete(folder: Path) -> None:
    """Delete a folder: first it is renamed, so that nobody sees half of it."""
    gone = folder.with_name(f".{folder.name}.deleted")
    shutil.rmtree(gone, ignore_errors=True)
    folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)

"""A study: the rows of a table, fitted and scored on the same folds of a dataset.

::

    my_study/
        study.json                             what the study is: data, folds, seed, rows
        fits/abmf/fold-1/scores.json           of one row on one fold, written last
                         predictions.parquet   of the posts that the fold held out
                         columns.parquet       the same as the task's columns, as the model gave it
                         draws.parquet         the scores of resampled posts
        table.csv, table.md, table.html        the results
        correlations.csv                       between the accuracies (Lu and Li 2025, Fig. 4)
        record.json                            commands, versions, hardware, time

Whenever it is interrupted, the same study goes on: finished fits are kept, a network goes on from
its last epoch, and the tables become what they would have been.
"""

from __future__ import annotations

import multiprocessing
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

import evoked
from evoked.errors import EvokedError, MissingExtraError, SettingsError
from evoked.evaluation.tables import RELEVANT_SHARES
from evoked.experiments import Experiment, Need, PublishedTable
from evoked.features.cache import FeatureCache
from evoked.features.catalog import CATALOG
from evoked.features.extract import fingerprints
from evoked.files import (
    check_format_version,
    check_free,
    damage,
    only_writer,
    read_object,
    remove_all_leftovers,
    write_json,
)
from evoked.laboratory.study_data import KINDS, StudyContext, StudyData, kind_of
from evoked.laboratory.worker import (
    DRAWS_FILE,
    PREDICTIONS_FILE,
    SCORES_FILE,
    Job,
    Worker,
    one_thread,
)
from evoked.parquet import read_frame
from evoked.posts.dataset import PostDataset
from evoked.posts.schema import ENGAGEMENT
from evoked.processes import end_with_parent, usual_workers
from evoked.progress import Progress
from evoked.runs.folder import data_description, environment
from evoked.targets import DEFAULT_TASK, EMOTION_TARGETS, Task

FORMAT_VERSION = 1
PLAN_FILE = "study.json"
RECORD_FILE = "record.json"
# Posts that a note names.
_NAMED = 5
_LACKS: dict[Need, str] = {
    "image": "no post has a picture",
    "caption": "no post has a caption",
    "hashtags": "no post has hashtags",
    "emotion": "no post has a rated valence or arousal, and none has a caption to read them from",
    "engagement": "no post has likes, comments, shares or saves",
    "comments": "no viewing has a comment",
    "generated comments": "no viewing has a comment that a model wrote (evoked generate-comments)",
    "gpu": "there is no GPU (CUDA)",
}


@dataclass(frozen=True)
class FitsDone:
    """How far a study has come.

    Attributes
    ----------
    fits, of
        Fits that are done, and all fits.
    folds, of_folds
        Folds of which every fit is done, and all folds.
    seconds_left
        A guess of the time left; None until the first fit is done.
    """

    fits: int
    of: int
    folds: int
    of_folds: int
    seconds_left: float | None


@dataclass
class StudyCallbacks:
    """Callbacks that report progress while a study goes on; each is optional.

    Attributes
    ----------
    stage
        Called with what is being done, how much of it is done, and how much there is.
    fits
        Called after every fit.
    note
        Called with a sentence that a person should read.
    """

    stage: Progress | None = None
    fits: Callable[[FitsDone], None] = field(default=lambda done: None)
    note: Callable[[str], None] = field(default=lambda text: None)


@dataclass(frozen=True)
class StudyResults:
    """What a finished study found.

    Attributes
    ----------
    table
        The rows that were run, the trivial ones last, and what was published about them.
    plan
        See :attr:`Study.plan`.
    scores
        Tidy: row, fold, target, metric, value, n.
    categories
        The same for each category of a fold, with a column ``category``.
    draws
        For each row the scores of resampled posts, (draws, scores), averaged over the folds. Every
        row sees the same resamples.
    skipped
        Rows that were not run, and why.
    test_to_train
        Test posts per post learned from, mean of the folds.
    notes
        What went wrong on the way without ending it, for example pictures that could not be read.
    """

    table: PublishedTable
    plan: dict[str, Any]
    scores: pd.DataFrame
    categories: pd.DataFrame
    draws: dict[str, pd.DataFrame]
    skipped: dict[str, str]
    test_to_train: float
    notes: tuple[str, ...] = ()


class Study:
    """Rows of a table on the folds of a dataset.

    Parameters
    ----------
    dataset
        The posts.
    table
        The rows; the trivial baselines are added.
    folder
        The study's folder; an interrupted study goes on.
    folds, split, seed
        Number and kind of the folds, and the random seed for them and for the training: see
        :func:`evoked.evaluation.splits.k_fold`, and for viewings
        :func:`evoked.evaluation.splits.repeated_runs`.
    estimate
        Let the emotion readers estimate valence and arousal of unrated posts, to learn from; they
        are never scored against.
    cache
        Where extracted features are kept; the user's cache folder by default.
    relevant_shares
        Further shares of the training posts that count as relevant, beside the top quarter: MAP and
        AUC are shown for each.

    Raises
    ------
    SettingsError
        ``folder`` holds another study, or something else, or a share isn't between 0 and 1.
    DataError
        Fewer posts, authors or dates than folds, or ``folder`` holds a study of another format
        version.

    Examples
    --------
    >>> table = evoked.load_table("abmf/table6")                           # doctest: +SKIP
    >>> evoked.Study(evoked.open("my_posts"), table, "my_study").run()     # doctest: +SKIP
    """

    def __init__(
        self,
        dataset: PostDataset,
        table: PublishedTable,
        folder: Path | str,
        *,
        folds: int = 5,
        split: str = "random",
        seed: int = 0,
        estimate: bool = True,
        cache: FeatureCache | None = None,
        relevant_shares: Sequence[float] = (),
    ) -> None:
        _check_shares(relevant_shares)
        self.folder = Path(folder)
        self.skipped = _unmet_needs(table.experiments, dataset, estimate)
        rows = tuple(row for row in table.experiments if row.name not in self.skipped)
        task = _common_task(rows or table.experiments)
        kind = kind_of(rows or table.experiments)
        trivial = trivial_rows(task.name, kind)
        added = tuple(row for row in trivial if row.name not in {each.name for each in rows})
        self.table = table.model_copy(update={"experiments": rows + added})
        self.context = StudyContext(
            self.folder,
            dataset,
            tuple(kind.splits(kind.rows(dataset), folds, split, seed, table.validation)),
            self.table.experiments,
            task,
            seed,
            estimate,
            None if cache is None else cache.folder,
            tuple(dict.fromkeys((*RELEVANT_SHARES, *relevant_shares))),
        )
        self.data = kind(self.context)
        self.notes: tuple[str, ...] = ()
        self.plan = self._plan(split)
        _claim(self.folder, self.plan)

    def __repr__(self) -> str:
        context = self.context
        return (
            f"Study({context.dataset!r}, table={self.table.name!r}, folder={str(self.folder)!r}, "
            f"folds={len(context.splits)}, split={self.plan['split']!r}, seed={context.seed}, "
            f"estimate={context.estimate})"
        )

    @property
    def jobs(self) -> list[Job]:
        """All fits, fold by fold."""
        return [
            Job(experiment.name, fold)
            for fold in range(1, len(self.context.splits) + 1)
            for experiment in self.table.experiments
        ]

    def run(
        self,
        workers: int | None = None,
        callbacks: StudyCallbacks | None = None,
        command: str | None = None,
    ) -> StudyResults:
        """Do what is left to do.

        Parameters
        ----------
        workers
            Processes that fit side by side, one thread each; as many as there are cores by
            default. The results don't depend on it. A script that asks for more than one needs
            ``if __name__ == "__main__"``, as always with processes.
        callbacks
            Callbacks that report progress.
        command
            The command that record.json gives for this session; none by default.

        Returns
        -------
        StudyResults
            What all finished fits found.

        Raises
        ------
        EvokedError
            A process was ended from outside.
        DataError
            Another process is at work in the study's folder.
        """
        with only_writer(self.folder):
            remove_all_leftovers(self.folder)
            return self._run(workers, callbacks or StudyCallbacks(), command)

    def _run(
        self, workers: int | None, callbacks: StudyCallbacks, command: str | None
    ) -> StudyResults:
        started = time.perf_counter()
        self._extract(callbacks)
        waiting = [job for job in self.jobs if not job.is_finished(self.folder)]
        workers = min(workers or usual_workers(), max(len(waiting), 1))
        results = _in_processes if workers > 1 else _in_this_process
        problems: dict[str, str] = {}
        clock = _Clock(self.jobs, self.folder, workers, callbacks.fits)
        clock.report()
        for job, problem in results(self.context, waiting, workers):
            if problem is not None:
                problems[job.row] = f"fold {job.fold}: {problem}"
            clock.report(job)
        # A session that was killed after its last fit left none.
        if waiting or not (self.folder / RECORD_FILE).is_file():
            self._record(time.perf_counter() - started, len(waiting), workers, command)
        return self.results(problems)

    def results(self, problems: dict[str, str] | None = None) -> StudyResults:
        """What the finished fits found; rows with a ``problem`` are left out."""
        skipped = {**self.skipped, **(problems or {})}
        table = self.table.model_copy(
            update={
                "experiments": tuple(
                    each for each in self.table.experiments if each.name not in skipped
                )
            }
        )
        scores, categories, ratios = [], [], []
        warnings: dict[str, list[str]] = {}
        notes = dict.fromkeys(self.notes)
        for job in self.jobs:
            if job.row in skipped:
                continue
            found = _read_scores(job.folder(self.folder) / SCORES_FILE)
            named = {"row": job.row, "fold": job.fold}
            scores += [{**named, **entry} for entry in found["scores"]]
            categories += [{**named, **entry} for entry in found["categories"]]
            ratios.append(found["tested_on"] / found["learned_from"])
            # Studies that an earlier release began have no notes.
            notes |= dict.fromkeys(found.get("notes", ()))
            warnings.setdefault(job.row, []).extend(
                f"fold {job.fold}: {warning}" for warning in found["warnings"]
            )
        return StudyResults(
            table,
            self.plan,
            _scores_table(scores, []),
            _scores_table(categories, ["category"]),
            {each.name: self._draws(each.name) for each in table.experiments},
            skipped,
            sum(ratios) / max(len(ratios), 1),
            (*notes, *_collapses(table.experiments, warnings)),
        )

    def predictions(self, row: str) -> pd.DataFrame:
        """A row's predictions of every held-out post: ``fold``, then as
        :meth:`evoked.targets.Task.inverse_transform` gives them."""
        parts = self._tables(row, PREDICTIONS_FILE)
        return pd.concat(
            [part.assign(fold=fold) for fold, part in enumerate(parts, start=1)], ignore_index=True
        )

    def _draws(self, row: str) -> pd.DataFrame:
        """Mean over the folds on which a score is defined, resample by resample."""
        parts = self._tables(row, DRAWS_FILE)
        stacked = pd.concat([part.astype(float) for part in parts], keys=range(len(parts)))
        return stacked.groupby(level=1).mean()

    def _tables(self, row: str, name: str) -> list[pd.DataFrame]:
        jobs = [job for job in self.jobs if job.row == row]
        return [read_frame(job.folder(self.folder) / name) for job in jobs]

    def _plan(self, split: str) -> dict[str, Any]:
        """Everything that decides what the study finds."""
        shares = self.context.relevant_shares
        return {
            **({"relevant_shares": list(shares)} if shares != RELEVANT_SHARES else {}),
            "format_version": FORMAT_VERSION,
            "table": self.table.name,
            "task": self.context.task.name,
            "data": data_description(self.context.dataset, self.context.splits, self.data.tables),
            "split": split,
            "folds": len(self.context.splits),
            "seed": self.context.seed,
            "estimate": self.context.estimate,
            "evoked": evoked.__version__,
            "encoders": self._encoders(),
            "rows": {each.name: _decided(each) for each in self.table.experiments},
        }

    def _encoders(self) -> list[dict[str, str]]:
        """Fingerprints of what computes the features, for each of the rows' feature settings."""
        chosen = dict.fromkeys(each.features for each in self.table.experiments)
        return [fingerprints(self.data.encoded(each), each) for each in chosen]

    def _extract(self, callbacks: StudyCallbacks) -> None:
        """Compute every feature of every post before the folds start."""
        unreadable: dict[str, str] = {}
        for features in dict.fromkeys(each.features for each in self.table.experiments):
            problems = self.data.extract(features, callbacks.stage)
            unreadable |= {problem.post_id: problem.message for problem in problems}
        self.notes = (
            *_unreadable_notes(unreadable),
            *_cautions(self.table.experiments),
            *_remarks(self.table.experiments),
            *_differences(self.table.experiments),
            *self.data.notes,
        )
        for note in self.notes:
            callbacks.note(note)

    def _record(self, seconds: float, fits: int, workers: int, command: str | None) -> None:
        path = self.folder / RECORD_FILE
        sessions = list(read_object(path, "sessions")["sessions"]) if path.is_file() else []
        session = {
            "command": command,
            "seconds": round(seconds, 1),
            "fits": fits,
            "processes": workers,
        }
        record = {
            "environment": environment(),
            "hardware": hardware(),
            "fits": len(self.jobs),
            "sessions": [*sessions, session],
        }
        write_json(path, record)


def _unreadable_notes(messages: dict[str, str]) -> tuple[str, ...]:
    """A note naming the first posts whose picture could not be read; none where all could."""
    if not messages:
        return ()
    shown = ", ".join(list(messages)[:_NAMED])
    more = f" and {len(messages) - _NAMED} more" if len(messages) > _NAMED else ""
    return (
        f"{len(messages)} pictures could not be read; their posts count as imageless: "
        f"{shown}{more}.",
    )


def _cautions(experiments: Sequence[Experiment]) -> tuple[str, ...]:
    """What the models of some rows want their readers to know."""
    cautions = {each.label: each.build().caution for each in experiments}
    return tuple(f"{label}: {caution}" for label, caution in cautions.items() if caution)


def _remarks(experiments: Sequence[Experiment]) -> tuple[str, ...]:
    """What is said about the rows' published figures."""
    return tuple(f"{each.label}: {remark}" for each in experiments for remark in each.remarks)


def _differences(experiments: Sequence[Experiment]) -> tuple[str, ...]:
    """Where rows as published are not what the paper has; what all share is said once."""
    labels: dict[str, list[str]] = {}
    for each in experiments:
        for sentence in each.differs:
            labels.setdefault(sentence, []).append(each.label)
    n = sum(each.is_as_published for each in experiments)
    named = {
        sentence: "" if len(rows) == n else f" ({'; '.join(rows)})"
        for sentence, rows in labels.items()
    }
    return tuple(f"Not as published{rows}: {sentence}." for sentence, rows in named.items())


def _collapses(
    experiments: Sequence[Experiment], warnings: dict[str, list[str]]
) -> tuple[str, ...]:
    """Rows whose predictions fall into one class; a trivial row's always do."""
    trivial = {baseline.name for kind in KINDS.values() for baseline in kind.baselines}
    return tuple(
        f"{each.label}, {found[0]} (in {len(found)} of its folds)"
        for each in experiments
        if (found := warnings.get(each.name, [])) and each.model not in trivial
    )


def _decided(experiment: Experiment) -> dict[str, Any]:
    """What decides a row's results, the model's own defaults included: they may change."""
    deciding = experiment.model_dump(mode="json", include={"model", "features", "training"})
    return {**deciding, "settings": experiment.build().settings.model_dump(mode="json")}


def hardware() -> dict[str, Any]:
    """Processor and number of cores."""
    name = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.is_file():
        lines = information.read_text(encoding="utf-8", errors="replace").splitlines()
        models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        name = models[0] if models else name
    return {"processor": name, "cores": usual_workers()}


class _Clock:
    """Counts finished fits and guesses how long the others take."""

    def __init__(
        self, jobs: Sequence[Job], folder: Path, workers: int, done: Callable[[FitsDone], None]
    ) -> None:
        self.jobs, self.folder, self.workers, self.done = jobs, folder, workers, done
        self.seconds: dict[Job, float] = {}
        for job in jobs:
            if job.is_finished(folder):
                self._note(job)

    def report(self, job: Job | None = None) -> None:
        if job is not None:
            self._note(job)
        left = [each for each in self.jobs if each not in self.seconds]
        folds = {each.fold for each in self.jobs}
        open_folds = {each.fold for each in left}
        self.done(
            FitsDone(
                fits=len(self.seconds),
                of=len(self.jobs),
                folds=len(folds - open_folds),
                of_folds=len(folds),
                seconds_left=self._guess(left),
            )
        )

    def _note(self, job: Job) -> None:
        path = job.folder(self.folder) / SCORES_FILE
        self.seconds[job] = _read_scores(path)["seconds"] if path.is_file() else 0.0

    def _guess(self, left: Sequence[Job]) -> float | None:
        """Rows take on other folds what they took on theirs."""
        if not self.seconds:
            return None
        known = pd.Series(self.seconds.values(), index=[job.row for job in self.seconds])
        by_row = known.groupby(level=0).mean()
        seconds = sum(by_row.get(job.row, by_row.mean()) for job in left)
        return float(seconds) / self.workers


def _in_this_process(
    context: StudyContext, jobs: Sequence[Job], workers: int
) -> Iterator[tuple[Job, str | None]]:
    with one_thread():
        worker = Worker(context)
        for job in jobs:
            yield job, worker.run(job)


def _in_processes(
    context: StudyContext, jobs: Sequence[Job], workers: int
) -> Iterator[tuple[Job, str | None]]:
    # Fresh processes: a forked one would inherit torch's threads in the middle of their work.
    spawning = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, spawning, initializer=_begin, initargs=(context,))
    try:
        futures: dict[Future[str | None], Job] = {pool.submit(_work, job): job for job in jobs}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool as error:
        raise EvokedError(
            "a process of the study was ended from outside, most often because memory ran out. "
            "Start the same command again to go on, with fewer --workers."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


_worker: Worker | None = None


def _begin(context: StudyContext) -> None:
    global _worker  # noqa: PLW0603 - what one process keeps from job to job
    end_with_parent()
    one_thread().__enter__()
    _worker = Worker(context)


def _work(job: Job) -> str | None:
    assert _worker is not None
    return _worker.run(job)


def trivial_rows(task: str, kind: type[StudyData]) -> tuple[Experiment, ...]:
    """Rows that are shown in every study, whatever its others."""
    return tuple(
        Experiment(name=each.name, label=each.name.replace("_", " "), model=each.name, task=task)
        for each in kind.baselines
    )


def _common_task(experiments: Sequence[Experiment]) -> type[Task]:
    """What all rows learn. Settings that a model refuses are refused here, before the first fit.

    Raises
    ------
    SettingsError
        Rows that learn different tasks can't be compared.
    """
    tasks = {each.name: each.build().task for each in experiments}
    if len(set(tasks.values())) > 1:
        different = ", ".join(f"{row} learns {task.name}" for row, task in tasks.items())
        raise SettingsError(f"rows of one table learn one task, but {different}.")
    return next(iter(tasks.values()), DEFAULT_TASK)


def _unmet_needs(
    experiments: Sequence[Experiment], dataset: PostDataset, estimate: bool
) -> dict[str, str]:
    """Rows that have nothing to read or learn, and why."""
    import torch  # not needed where a study is refused

    posts, viewings = dataset.posts, dataset.table("viewings")
    captions = bool(posts["caption"].fillna("").str.strip().ne("").any())
    rated = bool(posts[list(EMOTION_TARGETS)].notna().any(axis=None))
    met: dict[Need, bool] = {
        "image": bool(posts["images"].str.len().gt(0).any()),
        "caption": captions,
        "hashtags": bool(posts["hashtags"].str.len().gt(0).any()),
        "emotion": rated or (estimate and captions),
        "engagement": bool(posts[list(ENGAGEMENT)].notna().any(axis=None)),
        "comments": bool(viewings["comment"].notna().any()),
        "generated comments": bool(viewings["generated"].eq(True).any()),
        "gpu": torch.cuda.is_available(),
    }
    reasons = {
        each.name: [_LACKS[need] for need in each.needs if not met.get(need, True)]
        + (_missing_encoders(each) if "encoders" in each.needs else [])
        for each in experiments
    }
    return {name: "; ".join(reason) for name, reason in reasons.items() if reason}


def _missing_encoders(experiment: Experiment) -> list[str]:
    """Why the row's encoders can't be had; empty where they can."""
    names = [name for name in experiment.build().features if not CATALOG[name].fitted]
    try:
        fingerprints(names, experiment.features)
    except (MissingExtraError, SettingsError) as error:
        return [str(error).splitlines()[0]]
    return []


def _check_shares(shares: Sequence[float]) -> None:
    for share in shares:
        if not 0 < share < 1:
            raise SettingsError(
                f"a share of relevant posts lies between 0 and 1, such as 0.1, not at {share:g}."
            )


def _claim(folder: Path, plan: dict[str, Any]) -> None:
    """Make ``folder`` this study's, or go on with it if it already is."""
    path = folder / PLAN_FILE
    check_free(folder, PLAN_FILE, "a study")
    if not path.is_file():
        write_json(path, plan)
        return
    known = read_object(path)
    check_format_version(known, FORMAT_VERSION, path, "Run the study again in a new folder")
    differing = [name for name in {**plan, **known} if plan.get(name) != known.get(name)]
    if differing:
        raise SettingsError(
            f"{folder} holds another study ({', '.join(differing)} differ). Give the arguments "
            "that it was begun with, or choose another folder."
        )


class _Scores(BaseModel):
    """What the file of a finished fit holds."""

    model_config = ConfigDict(extra="allow")

    scores: list[dict[str, Any]]
    categories: list[dict[str, Any]]
    tested_on: int = Field(ge=0)
    learned_from: int = Field(ge=1)
    warnings: list[str]
    seconds: float


def _read_scores(file: Path) -> dict[str, Any]:
    found = read_object(file)
    with damage(file, "the scores of a fit", "Remove it, and the fit is made again."):
        _Scores.model_validate(found)
    return found


def _scores_table(entries: list[dict[str, Any]], more: list[str]) -> pd.DataFrame:
    columns = ["row", "fold", *more, "target", "metric", "value", "n"]
    return pd.DataFrame(entries, columns=columns).astype({"value": float})

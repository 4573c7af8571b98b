"""Scores and features of any number of posts, as folders of Parquet files."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pandas as pd
import pyarrow.parquet as pq

from evoked.errors import SettingsError
from evoked.evaluation.coverage import DEFAULT_COVERAGE, check_coverage
from evoked.features.catalog import FeatureSettings
from evoked.features.extract import fingerprints
from evoked.files import (
    atomic_path,
    check_format_version,
    check_free,
    only_writer,
    read_object,
    sha256_of_file,
    write_json,
)
from evoked.parquet import read_table
from evoked.posts.author_history import PREFIX
from evoked.posts.dataset import PostDataset
from evoked.posts.gathering import GATHERED_FILE, ROWS_PER_BATCH, WRONG, GatheredPosts, gather
from evoked.posts.picture_places import PicturePlace
from evoked.posts.post_parts import PostParts
from evoked.processes import usual_workers
from evoked.progress import Progress
from evoked.runs.drafts import lacking_note
from evoked.runs.posts import Run
from evoked.scoring.batches import STATE_FILE, AnswerFolder, Assignment
from evoked.scoring.engines import Engine, check_engine, work
from evoked.scoring.recipes import ExtractFeatures, Recipe, ScorePosts, completed

FORMAT_VERSION = 1


class Answered(NamedTuple):
    """What a folder of answers holds.

    Attributes
    ----------
    folder
        Where the answers lie: ``pandas.read_parquet`` reads the folder.
    rows, errors
        Number of rows, and of those that have an error.
    before
        Rows that an earlier command had answered.
    """

    folder: Path
    rows: int
    errors: int
    before: int


def score_parts(
    run: Path | str,
    source: Path | str,
    out: Path | str,
    *,
    pictures: str | None = None,
    coverage: float = DEFAULT_COVERAGE,
    engine: str = "local",
    workers: int | None = None,
    address: str | None = None,
    cache: Path | None = None,
    allow_download: bool = False,
    rows_per_batch: int = ROWS_PER_BATCH,
    progress: Progress | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> Answered:
    """Score posts of any number of files, in as little memory as a few thousand take.

    A command that was interrupted, however it was, goes on where it stopped when it is given again.

    Parameters
    ----------
    run
        Folder of a run of posts.
    source
        See :class:`evoked.posts.post_parts.PostParts`.
    out
        Folder of the scores: see :mod:`evoked.scoring.batches`. Their columns are those of
        :meth:`evoked.Scorer.score`; their order is not that of the posts.
    pictures
        Folder or address (``s3://…``) beneath which pictures lie; by default a dataset's own, and
        ``images`` beside other files.
    coverage
        How often the intervals are to hold the truth, between 0 and 1.
    engine
        ``local``, processes of this machine, or ``ray``.
    workers
        How many work side by side; one per core by default.
    address
        Of a cluster of Ray's, whose machines all reach the folders; one is started on this machine
        by default.
    cache
        Where features are kept; by default those of a batch are kept until it is scored, since an
        index of all of them would have to be held in memory.
    allow_download
        As in :func:`evoked.load`.
    rows_per_batch
        Posts that are scored together, and so the rows of a file.
    progress
        Called with how far the work is.
    note
        Called with a sentence that a person should read.

    Raises
    ------
    DataError
        The run or a file can't be read, or the disk is full.
    SettingsError
        The folder holds something else, or scores of other posts or of another run.
    MissingExtraError
        Ray is not installed.
    """
    check_coverage(coverage)
    kind = Engine(engine)
    check_engine(kind, address)
    parts = PostParts(source)
    place = _checked_place(pictures or parts.pictures)
    loaded = Run.load(run, allow_download=allow_download)
    if loaded.known_facts and (lacking := lacking_note(loaded.known_facts, parts.facts)):
        note(lacking)
    recipe = ScorePosts(Path(run).absolute(), place, coverage, cache, allow_download)
    asked = recipe.state() | {"made": sha256_of_file(Path(run) / "run.json")}
    return _answered(
        _Task(parts, recipe, asked, rows_per_batch, loaded),
        AnswerFolder(Path(out).absolute()),
        _Crew(kind, workers or usual_workers(), address),
        progress,
    )


def extract_parts(
    source: Path | str,
    out: Path | str,
    names: Sequence[str],
    settings: FeatureSettings | None = None,
    *,
    pictures: str | None = None,
    engine: str = "local",
    workers: int | None = None,
    address: str | None = None,
    cache: Path | None = None,
    rows_per_batch: int = ROWS_PER_BATCH,
    progress: Progress | None = None,
) -> Answered:
    """Extract features of posts of any number of files: as :func:`score_parts`, with a column of
    lists for each feature in place of scores.

    Parameters
    ----------
    source, out, pictures, engine, workers, address, cache, rows_per_batch, progress
        As in :func:`score_parts`.
    names
        Features of the catalog that are not fitted.
    settings
        Encoders and their settings; the builtin encoders by default.

    Raises
    ------
    DataError, SettingsError, MissingExtraError
        As in :func:`score_parts`; or a feature that is not extracted, or an encoder that isn't
        available.
    """
    kind = Engine(engine)
    check_engine(kind, address)
    settings = settings or FeatureSettings()
    asked = {"encoders": fingerprints(names, settings)}
    parts = PostParts(source)
    place = _checked_place(pictures or parts.pictures)
    recipe = ExtractFeatures(tuple(names), settings, place, cache)
    return _answered(
        _Task(parts, recipe, recipe.state() | asked, rows_per_batch),
        AnswerFolder(Path(out).absolute()),
        _Crew(kind, workers or usual_workers(), address),
        progress,
    )


class _Task(NamedTuple):
    """Which posts, what to do with them, and what decides the answers."""

    parts: PostParts
    recipe: Recipe
    asked: dict[str, Any]
    rows_per_batch: int
    run: Run | None = None


class _Crew(NamedTuple):
    """Who works."""

    engine: Engine
    workers: int
    address: str | None


def _answered(
    task: _Task, answers: AnswerFolder, crew: _Crew, progress: Progress | None
) -> Answered:
    with only_writer(answers.folder):
        state = _claimed(task, answers)
        before = answers.rows()
        if not state["finished"] or before != state.get("rows"):
            gathered = _gathered(task, answers, progress)
            _work(task, answers, gathered, crew, progress)
            _write_refused(gathered, answers)
            state |= {"finished": True, "rows": answers.rows(), "errors": answers.errors()}
            write_json(answers.folder / STATE_FILE, state)
        shutil.rmtree(answers.work, ignore_errors=True)
    return Answered(answers.folder, state["rows"], state["errors"], before)


def _work(
    task: _Task,
    answers: AnswerFolder,
    gathered: GatheredPosts,
    crew: _Crew,
    progress: Progress | None,
) -> None:
    """Answer the batches that have no answers yet."""
    shutil.rmtree(answers.scratch, ignore_errors=True)
    answered = answers.answered(gathered)
    left = [number for number in range(len(gathered.sizes)) if number not in answered]
    done, total = sum(answered.values()), sum(gathered.sizes)
    assignment = Assignment(task.recipe, answers, uuid4().hex)

    def report() -> None:
        if progress is not None:
            progress(task.recipe.stage, done, total)

    report()
    if not left:
        return
    for batch in work(crew.engine, assignment, left, crew.workers, crew.address):
        done += batch.rows
        report()


def _claimed(task: _Task, answers: AnswerFolder) -> dict[str, Any]:
    """What the folder says of itself, written if it is new.

    Raises
    ------
    SettingsError
        It holds something else, or other answers.
    """
    folder, file = answers.folder, answers.folder / STATE_FILE
    asked = {**task.asked, "posts": task.parts.digest(), "rows_per_batch": task.rows_per_batch}
    if not file.is_file():
        check_free(folder, STATE_FILE, "a folder of answers")
        state = {"format_version": FORMAT_VERSION, "asked": asked, "finished": False}
        write_json(file, state)
        return state
    state = read_object(file, "asked", "finished")
    check_format_version(state, FORMAT_VERSION, file, "Choose another folder")
    if state["asked"] != asked:
        known = state["asked"] if isinstance(state["asked"], dict) else {}
        changed = [name for name in asked if known.get(name) != asked[name]]
        raise SettingsError(
            f"{folder} holds answers to something else: {', '.join(changed) or 'more'} differ. "
            "Choose another folder, or give the command that it was made by."
        )
    return state


def _gathered(task: _Task, answers: AnswerFolder, progress: Progress | None) -> GatheredPosts:
    """The gathered posts, those of an earlier command if they are whole."""
    if (answers.gathered / GATHERED_FILE).is_file():
        return GatheredPosts(answers.gathered)
    run = task.run
    return gather(
        task.parts,
        answers.gathered,
        None if run is None else run.history,
        "" if run is None else run.authors.only,
        histories=None if run is None else _histories(run, task.parts),
        rows_per_batch=task.rows_per_batch,
        progress=progress,
    )


def _histories(run: Run, parts: PostParts) -> pd.DataFrame | None:
    """What all posts see of each other, by post_id, where counts over time decide it."""
    if not parts.has_activity:
        return None
    posts = run.dataset_posts(PostDataset(parts.source)).set_index("post_id")
    return posts[[name for name in posts if str(name).startswith(PREFIX)]]


def _write_refused(gathered: GatheredPosts, answers: AnswerFolder) -> None:
    """Write the rows that are no posts, with the columns of the others."""
    schema = WRONG
    if gathered.sizes:
        schema = read_table(answers.part(0)).schema
    for number in range(len(gathered.wrong_sizes)):
        wrong = gathered.wrong(number)
        table = completed(schema, {name: wrong[name] for name in wrong.column_names})
        with atomic_path(answers.refused(number)) as temporary:
            pq.write_table(table, temporary, compression="zstd")


def _checked_place(pictures: str) -> str:
    """Where pictures lie, refused here if it can't be read."""
    return PicturePlace(pictures).place

"""Posts of any number of files are scored as a dataset is, and whatever happens meanwhile, the same
command goes on."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evoked.errors import EvokedError, MissingExtraError, SettingsError
from evoked.features.extract import extract
from evoked.posts.dataset import PostDataset
from evoked.posts.gathering import gather
from evoked.posts.post_parts import PostParts
from evoked.runs.posts import Run
from evoked.scoring import at_scale, batches, engines
from evoked.scoring.at_scale import extract_parts, score_parts
from evoked.scoring.batches import AnswerFolder, Assignment, BatchDone, BatchWorker
from evoked.scoring.engines import Engine, work
from evoked.scoring.recipes import completed
from tests.posts.test_gathering import write_parts
from tests.support import command_line
from tests.support.desk_runs import desk_run
from tests.support.small_runs import Workshop

# What single precision leaves of the order in which numbers are added.
_SINGLE = 1e-5
_AT_ONCE = 20


@pytest.fixture(scope="module")
def run(workshop: Workshop, dataset: PostDataset) -> Run:
    return desk_run(workshop, dataset)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Work in this process, where everything is loaded; the batches that were answered."""
    answered: list[int] = []

    def work_here(
        engine: object, assignment: Assignment, numbers: Sequence[int], *others: object
    ) -> Iterator[BatchDone]:
        worker = BatchWorker(assignment)
        for number in numbers:
            done = worker(number)
            if done.failure is not None:
                raise EvokedError(done.failure)
            answered.append(number)
            yield done

    monkeypatch.setattr(at_scale, "work", work_here)
    return answered


def same_scores(out: Path, expected: pd.DataFrame) -> None:
    """The scores in a folder are these, in whatever order, and nothing is wrong with them."""
    found = pd.read_parquet(out).set_index("post_id")
    assert sorted(found.index) == sorted(expected["post_id"])
    found = found.loc[expected["post_id"]].reset_index()
    assert found.pop("error").isna().all()
    # Columns of texts without any are of another type from a file.
    for name in expected.columns[expected.isna().all()]:
        assert found.pop(name).isna().all()
    expected = expected.dropna(axis=1, how="all")
    pd.testing.assert_frame_equal(found, expected, rtol=_SINGLE, atol=_SINGLE, check_dtype=False)


def score(run: Run, source: Path, out: Path, **options: Any) -> at_scale.Answered:
    usual: dict[str, Any] = {"cache": run.cache.folder, "rows_per_batch": _AT_ONCE}
    return score_parts(run.folder, source, out, **(usual | options))


def test_a_dataset_in_batches_gets_the_scores_that_it_gets_at_once(
    run: Run, dataset: PostDataset, here: list[int], tmp_path: Path
) -> None:
    reported: list[tuple[str, int, int | None]] = []
    out = tmp_path / "scores"
    found = score(run, dataset.folder, out, progress=lambda *how: reported.append(how))
    same_scores(out, run.predict(dataset))
    assert found[1:] == (60, 0, 0)
    assert len(here) > 2
    assert ("scoring", 0, 60) in reported
    assert reported[-1] == ("scoring", 60, 60)
    assert {path.name for path in out.iterdir() if path.suffix != ".parquet"} == {"_evoked.json"}
    # Nothing is done twice, and what is lost or damaged is done again.
    here.clear()
    assert score(run, dataset.folder, out)[1:] == (60, 0, 60)
    assert here == []
    (out / "part-00000000.parquet").write_bytes(b"PAR1")
    assert score(run, dataset.folder, out).before < 60
    assert here == [0]
    same_scores(out, run.predict(dataset))


def test_counts_over_time_are_seen_as_at_once(
    run: Run, dataset: PostDataset, here: list[int], tmp_path: Path
) -> None:
    """Of a post of the last day, only what had been observed by then is seen."""
    posts = dataset.posts
    rows = {"post_id": posts["post_id"], "hours": 1.0, "likes": posts["likes"] // 10}
    observed = {"posts": posts, "activity": pd.DataFrame(rows).dropna()}
    whole = PostDataset.create(tmp_path / "posts", observed)
    score(run, whole.folder, tmp_path / "scores", pictures=str(dataset.image_folder))
    images = dataset.cover_paths()
    expected = run.predict_completed(run.dataset_posts(whole), images)
    same_scores(tmp_path / "scores", expected)
    otherwise = run.predict_completed(run.dataset_posts(dataset), images)
    assert not np.allclose(expected["likes"], otherwise["likes"], rtol=1e-3)


def test_files_with_bad_rows_and_lost_pictures(
    run: Run, dataset: PostDataset, here: list[int], tmp_path: Path
) -> None:
    posts = dataset.posts.copy()
    bad = posts.iloc[[0]].assign(post_id="bad", likes=-5)
    with_picture = int(np.flatnonzero(posts["images"].str.len())[0])
    posts.at[with_picture, "images"] = ["../../secret.jpg"]
    source = write_parts(tmp_path / "parts", pd.concat([posts, bad]))
    out = tmp_path / "scores"
    found = score(run, source, out, pictures=str(dataset.image_folder))
    assert found[1:] == (61, 1, 0)
    refused = pq.read_schema(out / "refused-00000000.parquet")
    assert refused.equals(pq.read_schema(out / "part-00000000.parquet"))
    scores = pd.read_parquet(out).set_index("post_id")
    assert "field likes: -5 can't be" in scores.loc["bad", "error"]
    assert np.isnan(scores.loc["bad", "likes"])
    lost = scores.loc[posts.at[with_picture, "post_id"]]
    assert "does not lie beneath" in lost["problem"]
    assert lost["likes"] > 0
    whole = run.predict(dataset)
    others = whole[whole["post_id"] != posts.at[with_picture, "post_id"]]
    merged = scores.loc[others["post_id"], "likes"].to_numpy()
    np.testing.assert_allclose(merged, others["likes"].to_numpy(), rtol=_SINGLE)


def test_a_post_that_breaks_the_model_sinks_no_other(
    run: Run,
    dataset: PostDataset,
    here: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    victim, examples = dataset.posts["post_id"].iloc[7], Run.examples

    def breaking(self: Run, posts: pd.DataFrame, *others: Any) -> Any:
        if victim in set(posts["post_id"]):
            raise ZeroDivisionError("what no model should do")
        return examples(self, posts, *others)

    monkeypatch.setattr(Run, "examples", breaking)
    assert score(run, dataset.folder, tmp_path / "scores")[1:] == (60, 1, 0)
    scores = pd.read_parquet(tmp_path / "scores").set_index("post_id")
    assert "ZeroDivisionError: what no model should do" in scores.loc[victim, "error"]
    assert scores["likes"].notna().sum() == 59


def test_a_batch_that_ends_its_workers_is_given_up(
    run: Run,
    dataset: PostDataset,
    here: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attempts = AnswerFolder.attempts

    def begun_before(self: AnswerFolder, session: str, number: int) -> Path:
        path = attempts(self, session, number)
        if number == 1 and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"...")
        return path

    monkeypatch.setattr(AnswerFolder, "attempts", begun_before)
    found = score(run, dataset.folder, tmp_path / "scores")
    scores = pd.read_parquet(tmp_path / "scores")
    assert found.rows == len(scores) == 60
    assert found.errors == scores["error"].notna().sum() > 0
    assert scores["error"].dropna().str.contains("ended from outside 3 times").all()
    assert (scores["likes"].isna() == scores["error"].notna()).all()


@contextmanager
def no_room() -> Iterator[None]:
    """Files can't grow beyond what the smallest part takes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_said_and_the_same_command_goes_on(
    run: Run,
    dataset: PostDataset,
    here: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, answer = tmp_path / "scores", BatchWorker._answer

    def filling(self: BatchWorker, number: int) -> Any:
        found = answer(self, number)
        if len(here) == 1:
            monkeypatch.setattr(batches.pq, "write_table", full)
        return found

    write = batches.pq.write_table

    def full(*values: Any, **options: Any) -> None:
        with no_room():
            write(*values, **options)

    monkeypatch.setattr(BatchWorker, "_answer", filling)
    with pytest.raises(EvokedError, match="larger than this system allows"):
        score(run, dataset.folder, out)
    assert [path.name for path in sorted(out.glob("*.parquet"))] == ["part-00000000.parquet"]
    assert not list(out.glob(".*.tmp"))
    monkeypatch.undo()
    begun = here.copy()
    assert begun == [0]
    monkeypatch.setattr(at_scale, "work", lambda *a: (BatchWorker(a[1])(n) for n in a[2]))
    found = score(run, dataset.folder, out)
    assert 0 < found.before < 60
    same_scores(out, run.predict(dataset))


def test_answers_to_something_else_are_not_mixed(
    run: Run, dataset: PostDataset, here: list[int], tmp_path: Path
) -> None:
    out = tmp_path / "scores"
    score(run, dataset.folder, out)
    with pytest.raises(SettingsError, match="coverage differ"):
        score(run, dataset.folder, out, coverage=0.5)
    with pytest.raises(SettingsError, match="holds something else"):
        score(run, dataset.folder, run.folder)


def test_features_are_those_of_an_extraction(
    run: Run, dataset: PostDataset, here: list[int], tmp_path: Path
) -> None:
    names, out = ["caption.vector", "caption.tokens"], tmp_path / "features"
    found = extract_parts(
        dataset.folder, out, names, cache=run.cache.folder, rows_per_batch=_AT_ONCE
    )
    assert found[1:] == (60, 0, 0)
    table = pd.read_parquet(out).set_index("post_id").loc[dataset.posts["post_id"]]
    expected = extract(dataset, names, cache=run.cache)[0]
    vectors = expected.columns["caption.vector"]
    present = vectors.present
    assert (table["caption.vector"].notna().to_numpy() == present).all()
    rows = np.flatnonzero(present)
    np.testing.assert_array_equal(
        np.stack(table["caption.vector"].iloc[rows].tolist()), vectors.arrays(rows)[""]
    )
    tokens = expected.columns["caption.tokens"].arrays(rows[:1])
    np.testing.assert_array_equal(np.stack(table["caption.tokens"].iloc[rows[0]]), tokens[""][0])
    with pytest.raises(SettingsError, match="fitted on training posts"):
        extract_parts(dataset.folder, tmp_path / "other", ["topics"])


def test_what_goes_with_a_folder_and_what_does_not(
    run: Run, dataset: PostDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["predict", run.folder, "--posts", dataset.folder]
    said = command_line.evoked(*command, "--workers", "2", fails=True).stderr
    assert "--workers goes with --posts and a folder as --out" in said
    out = tmp_path / "scores"
    said = command_line.evoked(*command, "--out", out, "--json", fails=True).stderr
    assert "--json can't be given with a folder as --out" in said
    said = command_line.evoked(*command, "--out", out, "--engine", "spark", fails=True).stderr
    assert "local or ray, not 'spark'" in said
    said = command_line.evoked(*command, "--out", out, "--address", "auto", fails=True).stderr
    assert "give --engine ray, too" in said
    monkeypatch.setattr(engines, "_ray", lambda: None)
    with pytest.raises(SettingsError, match="nobody answers there"):
        score(run, dataset.folder, out, engine="ray", address="127.0.0.1:9")
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'evoked\[scale\]'"):
        score(run, dataset.folder, out, engine="ray")
    assert not out.exists()


def test_the_command_scores_into_a_folder(
    run: Run, dataset: PostDataset, here: list[int], tmp_path: Path
) -> None:
    cache = ["--cache", run.cache.folder]
    out = tmp_path / "scores"
    command = ["predict", run.folder, "--posts", dataset.folder, "--out", out, *cache]
    said = command_line.evoked(*command).stderr
    assert f"Predictions of 60 posts in {out}" in said
    same_scores(out, run.predict(dataset))
    assert "60 of them were there before" in command_line.evoked(*command).stderr
    out = tmp_path / "features"
    command = ["extract", dataset.folder, "--names", "caption.vector", "--out", out, *cache]
    assert "Features of 60 posts" in command_line.evoked(*command).stderr
    assert len(pd.read_parquet(out)) == 60


# What follows starts processes.

DRIVER = """
import sys
from evoked.scoring.at_scale import score_parts

if __name__ == "__main__":
    run, source, out, cache, engine, workers, rows = sys.argv[1:]
    score_parts(run, source, out, cache=cache, engine=engine, workers=int(workers),
                rows_per_batch=int(rows))
"""


def start(run: Run, source: Path, out: Path, engine: str, rows: int) -> subprocess.Popen[str]:
    """The work as a command of its own."""
    program = out.parent / "driver.py"
    program.write_text(DRIVER)
    command = [program, run.folder, source, out, run.cache.folder, engine, 1, rows]
    return subprocess.Popen([sys.executable, *map(str, command)], text=True, stderr=subprocess.PIPE)


def wait_for_parts(out: Path, number: int, driver: subprocess.Popen[str]) -> None:
    for _ in range(3000):
        if len(list(out.glob("part-*.parquet"))) >= number:
            return
        assert driver.poll() is None, driver.communicate()[1]
        time.sleep(0.05)
    raise AssertionError("nothing was scored")


def workers_of(driver: subprocess.Popen[str], engine: str) -> list[psutil.Process]:
    mark = "spawn_main" if engine == "local" else "ray::MapWorker"
    children = psutil.Process(driver.pid).children(recursive=True)
    found = [child for child in children if mark in " ".join(child.cmdline())[:200]]
    assert found
    return found


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["local", "ray"])
def test_killed_workers_and_drivers_change_nothing(
    engine: str, run: Run, dataset: PostDataset, tmp_path: Path
) -> None:
    if engine == "ray":
        pytest.importorskip("ray")
    out = tmp_path / "scores"
    driver = start(run, dataset.folder, out, engine, 4)
    wait_for_parts(out, 1, driver)
    for worker in workers_of(driver, engine):
        worker.send_signal(signal.SIGKILL)
    wait_for_parts(out, 2, driver)
    driver.kill()
    driver.communicate()
    before = {path: path.stat().st_mtime_ns for path in out.glob("part-*.parquet")}
    assert before
    again = start(run, dataset.folder, out, engine, 4)
    said = again.communicate(timeout=600)[1]
    assert again.returncode == 0, said
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    same_scores(out, run.predict(dataset))


@dataclass(frozen=True)
class Ending:
    """A recipe that ends its worker: at once, or in every batch with a post of this name."""

    victim: str | None = None
    stage = "ending"

    def prepare(self) -> Ending:
        if self.victim is None:
            os._exit(9)
        return self

    def state(self) -> dict[str, Any]:
        return {}

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([("post_id", pa.string()), ("error", pa.string())])

    def answer(self, posts: pa.Table, scored: int, *others: object) -> pa.Table:
        if self.victim in posts["post_id"].to_pylist():
            os._exit(9)
        return completed(self.schema, {"post_id": posts["post_id"].combine_chunks()[:scored]})


def worked(folder: Path, recipe: Ending) -> list[BatchDone]:
    """What two processes make of seven batches of ten posts."""
    posts = pd.DataFrame({"post_id": [f"post {number}" for number in range(70)]})
    answers = AnswerFolder(folder / "answers")
    parts = PostParts(write_parts(folder / "parts", posts))
    gathered = gather(parts, answers.gathered, rows_per_batch=10)
    numbers = range(len(gathered.sizes))
    return list(work(Engine.local, Assignment(recipe, answers, "one"), numbers, 2))


@pytest.mark.slow
def test_workers_that_end_before_they_begin_end_the_command(tmp_path: Path) -> None:
    with pytest.raises(EvokedError, match="ended from outside before they begin"):
        worked(tmp_path, Ending())


@pytest.mark.slow
def test_a_batch_that_ends_three_workers_is_given_up(tmp_path: Path) -> None:
    done = worked(tmp_path, Ending("post 33"))
    assert sorted(each.number for each in done) == list(range(7))
    scores = pd.read_parquet(tmp_path / "answers")
    assert len(scores) == 70
    assert sorted(each.errors for each in done) == [0, 0, 0, 0, 0, 0, 10]
    assert scores.set_index("post_id")["error"].notna()["post 33"]


@pytest.mark.slow
def test_a_full_disk_of_a_worker_is_said(run: Run, dataset: PostDataset, tmp_path: Path) -> None:
    out = tmp_path / "scores"
    program = tmp_path / "limited.py"
    program.write_text(
        "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))\n" + DRIVER
    )
    command = [program, run.folder, dataset.folder, out, run.cache.folder, "local", 1, 60]
    done = subprocess.run(
        [sys.executable, *map(str, command)], text=True, capture_output=True, check=False
    )
    assert "larger than this system allows" in done.stderr
    assert score(run, dataset.folder, out, rows_per_batch=60).rows == 60
    same_scores(out, run.predict(dataset))

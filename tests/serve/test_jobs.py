"""Jobs: nothing is lost and nothing runs twice, whoever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from evoked.errors import EvokedError
from evoked.posts.dataset import PostDataset
from evoked.serve.database import prepare
from evoked.serve.jobs import Job, Jobs, QueueFullError, State, Step
from evoked.serve.room import folder_bytes
from evoked.serve.settings import Limits
from evoked.serve.worker import Worker, start_worker
from tests.serve.conftest import Server

POSTS = 200
LIMITS = Limits()


def made_posts(name: str = "posts", posts: int = POSTS) -> Step:
    """A step that takes some seconds."""
    words = ("synth", f"{{job}}/{name}", "--n", str(posts))
    return Step("import", words, f"{{job}}/{name}/dataset.json")


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    prepare(tmp_path / "desk")
    return Jobs(tmp_path / "desk", LIMITS)


Start = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def start(jobs: Jobs) -> Iterator[Start]:
    """Starts workers, which end with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def starting() -> subprocess.Popen[bytes]:
        started.append(start_worker(jobs.data, jobs.limits))
        return started[-1]

    yield starting
    for worker in started:
        worker.kill()
        worker.wait()


def until(jobs: Jobs, job: Job, reached: Callable[[Job], bool], seconds: float = 90) -> Job:
    """The job, once it is where it should be."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        found = jobs.get(job.id)
        assert found is not None
        if reached(found):
            return found
        time.sleep(0.05)
    raise AssertionError(f"{jobs.get(job.id)}: {jobs.log(job)}")


def ended(job: Job) -> bool:
    return job.has_ended


def running(job: Job) -> bool:
    return job.process is not None


def is_alive(group: int) -> bool:
    with suppress(ProcessLookupError):
        os.killpg(group, 0)
        return True
    return False


def test_steps_follow_each_other_and_say_how_far_they_are(jobs: Jobs, start: Start) -> None:
    job = jobs.add("import", "two", [made_posts("one", 20), made_posts("two", 20)])
    start()
    found = until(jobs, job, ended)
    assert (found.state, found.step, found.error) == (State.done, 2, "")
    for name in ("one", "two"):
        assert len(PostDataset(jobs.folder(job) / name)) == 20
    progress = jobs.progress(found)
    assert progress is not None
    assert (progress.done, progress.total) == (20, 20)


def test_a_step_that_fails_says_why_and_the_next_job_runs(jobs: Jobs, start: Start) -> None:
    wrong = Step("import", ("import", "csv", "missing.csv", "{job}/posts"))
    first = jobs.add("import", "wrong", [wrong, made_posts()])
    second = jobs.add("import", "right", [made_posts(posts=20)])
    start()
    found = until(jobs, first, ended)
    assert found.state == State.failed
    assert "missing.csv" in found.error
    assert "Traceback" not in found.error
    assert until(jobs, second, ended).state == State.done


def test_a_killed_worker_leaves_the_step_to_the_next(jobs: Jobs, start: Start) -> None:
    """It goes on alone, and is not started twice."""
    job = jobs.add("import", "job", [made_posts()])
    worker = start()
    before = until(jobs, job, running)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert before.process is not None
    assert is_alive(before.process)
    start()
    time.sleep(0.5)
    meanwhile = jobs.get(job.id)
    assert meanwhile is not None
    assert meanwhile.state == State.done or meanwhile.process == before.process
    assert meanwhile.attempts <= 1
    found = until(jobs, job, ended)
    assert (found.state, found.step) == (State.done, 1)
    assert len(PostDataset(jobs.folder(job) / "posts")) == POSTS


@pytest.mark.slow
def test_a_killed_step_is_started_again_and_not_for_ever(jobs: Jobs, start: Start) -> None:
    job = jobs.add("import", "job", [made_posts()])
    start()
    first = until(jobs, job, running)
    assert first.process is not None
    os.killpg(first.process, signal.SIGKILL)
    second = until(jobs, job, lambda each: running(each) and each.process != first.process)
    assert second.attempts == 2
    assert until(jobs, job, ended).state == State.done
    doomed = jobs.add("import", "doomed", [made_posts()])
    for attempt in range(1, LIMITS.attempts + 1):
        found = until(jobs, doomed, lambda each, n=attempt: running(each) and each.attempts == n)
        assert found.process is not None
        os.killpg(found.process, signal.SIGKILL)
    found = until(jobs, doomed, ended)
    assert (found.state, found.error) == (State.failed, "killed")


@pytest.mark.slow
def test_a_job_is_cancelled_and_resumed(jobs: Jobs, start: Start) -> None:
    job, waiting = (jobs.add("import", name, [made_posts()]) for name in ("job", "waiting"))
    start()
    found = until(jobs, job, running)
    assert jobs.cancel(waiting).state == State.cancelled
    jobs.cancel(job)
    stopped = until(jobs, job, ended)
    assert stopped.state == State.cancelled
    assert found.process is not None
    assert not is_alive(found.process)
    assert not (jobs.folder(job) / "posts").exists()
    assert jobs.resume(stopped).state == State.waiting
    assert until(jobs, job, ended).state == State.done
    # What has ended well stays as it is.
    assert jobs.cancel(jobs.resume(job)).state == State.done


@pytest.mark.parametrize(
    ("limits", "why"), [({"job_seconds": 0.3}, "time"), ({"disk_bytes": 500_000}, "disk")]
)
def test_a_job_that_takes_too_much_is_stopped(
    tmp_path: Path, limits: dict[str, float], why: str
) -> None:
    prepare(tmp_path)
    jobs = Jobs(tmp_path, replace(LIMITS, **limits))  # type: ignore[arg-type]
    job = jobs.add("import", "job", [made_posts(posts=3000)])
    worker = start_worker(tmp_path, jobs.limits)
    try:
        found = until(jobs, job, ended)
    finally:
        worker.kill()
        worker.wait()
    assert (found.state, found.error) == (State.failed, why)
    assert (jobs.folder(job) / "log.txt").exists()  # it had begun


def test_no_step_is_started_without_room(tmp_path: Path) -> None:
    prepare(tmp_path)
    jobs = Jobs(tmp_path, replace(LIMITS, disk_bytes=1000))
    job = jobs.add("import", "job", [made_posts()])
    claimed = jobs.claim()
    assert claimed is not None
    Worker(tmp_path, jobs.limits, lambda: True).run_step(claimed)
    found = jobs.get(job.id)
    assert found is not None
    assert (found.state, found.error, found.attempts) == (State.failed, "disk", 0)
    assert not (jobs.folder(job) / "log.txt").exists()


def test_the_queue_is_bounded_and_keeps_its_order(tmp_path: Path) -> None:
    prepare(tmp_path)
    jobs = Jobs(tmp_path, replace(LIMITS, queue=3))
    made = [jobs.add("import", str(number), []) for number in range(3)]
    with pytest.raises(QueueFullError):
        jobs.add("import", "one more", [])
    assert issubclass(QueueFullError, EvokedError)
    first = jobs.claim()
    assert first is not None
    assert first.id == made[0].id
    again = jobs.claim()
    assert again is not None
    assert again.id == made[0].id  # what runs comes before what waits
    jobs.end(first, State.done)
    second = jobs.claim()
    assert second is not None
    assert second.id == made[1].id
    assert jobs.counts() == {"waiting": 1, "running": 1, "done": 1, "failed": 0, "cancelled": 0}


def test_what_a_person_typed_is_not_the_jobs_folder(jobs: Jobs) -> None:
    step = Step("import", ("import", "--author={job}/x", "{job}/posts"), "{job}/posts")
    job = jobs.add("import", "job", [step])
    assert job.steps[0].words == ("import", "--author={job}/x", str(jobs.folder(job) / "posts"))


def test_size_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"x" * 1000)
    (tmp_path / "link").symlink_to(tmp_path / "a" / "b")
    assert 1000 <= folder_bytes(tmp_path) < 1400


def test_a_killed_desk_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    """The whole of it: files are brought, the desk is killed while they are read, and opened
    again."""
    rows = "".join(f"post {n},{n},2024-01-{1 + n % 28:02d}\n" for n in range(3000))
    (tmp_path / "posts.csv").write_text(f"caption,likes,date\n{rows}", encoding="utf-8")
    server.start()
    with (tmp_path / "posts.csv").open("rb") as stream:
        upload = httpx.post(f"{server.address}/api/v1/uploads", files={"files": stream}).json()
    body = {"upload": upload["upload"], "name": "account", "train": False}
    job = httpx.post(f"{server.address}/api/v1/imports", json=body).json()["id"]
    server.kill()
    server.start()
    state, ends = "", time.monotonic() + 90
    while state not in ("done", "failed") and time.monotonic() < ends:
        found = httpx.get(f"{server.address}/api/v1/jobs/{job}").json()
        state = found["state"]
        time.sleep(0.1)
    assert state == "done", found
    assert len(PostDataset(server.data / "datasets" / "account")) == 3000
    listed = httpx.get(f"{server.address}/api/v1/datasets").json()["items"]
    assert [entry["name"] for entry in listed] == ["account"]

"""A desk without a worker, and one that runs as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra: pip install 'evoked[serve]'")

from fastapi.testclient import TestClient

from evoked.posts.dataset import PostDataset
from evoked.serve.app import create_app
from evoked.serve.desk import Desk
from evoked.serve.settings import DeskSettings, Limits
from tests.support.desk_runs import desk_run
from tests.support.small_runs import Workshop

ADDRESS = "http://127.0.0.1:8765"
QUICK = Limits(slow_seconds=1.0, requests=100_000)


def client_of(data: Path, *runs: Path, **settings: Any) -> TestClient:
    """A client of a desk of its own, whose jobs nobody runs."""
    chosen: dict[str, Any] = {"limits": QUICK, **settings}
    app = create_app(DeskSettings(data, runs=runs, **chosen), worker=False)
    return TestClient(app, base_url=ADDRESS, raise_server_exceptions=False)


@pytest.fixture(scope="package")
def desk_client(
    workshop: Workshop, dataset: PostDataset, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    """A client of a desk with a run of sixty posts."""
    run = desk_run(workshop, dataset)
    data = tmp_path_factory.mktemp("desk")
    with client_of(data, run.folder, cache=workshop.cache.folder) as client:
        yield client


@pytest.fixture(scope="package")
def desk(desk_client: TestClient) -> Desk:
    app: Any = desk_client.app
    found: Desk = app.state.desk
    return found


class Server:
    """``evoked serve`` as a process, started again with the same folder after it was killed."""

    def __init__(self, data: Path, *words: str) -> None:
        self.data, self.words = data, words
        self.process: subprocess.Popen[str] | None = None
        self.address = ""

    def start(self) -> None:
        command = [sys.executable, "-m", "evoked", "serve", "--data", str(self.data), "--port", "0"]
        self.process = subprocess.Popen(
            [*command, *self.words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
        stream: IO[str] | None = self.process.stdout
        assert stream is not None
        found = re.search(r"http://\S+:\d+", stream.readline())
        assert found, "the desk didn't say its address"
        self.address = found[0]

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=30)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A desk that is not started yet."""
    found = Server(tmp_path / "desk")
    yield found
    found.stop()

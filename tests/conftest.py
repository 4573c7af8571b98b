"""Fixtures that many tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from evoked.posts.dataset import PostDataset
    from evoked.runs.posts import Run
    from tests.support.small_runs import Workshop

# Two cores: more threads than that only wait for each other, and pytest-xdist uses both.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# How long an example takes depends on what else the machine does.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The README's tour takes minutes: begun last, it would keep one core waiting for the other."""
    items.sort(key=lambda item: item.path.name != "test_readme.py")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data to run on, beside the checkout or at $EVOKED_SHARED_DATA; not part of evoked."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("EVOKED_SHARED_DATA", beside))
    if not folder.is_dir():
        pytest.skip("real data is absent: set EVOKED_SHARED_DATA to a folder that holds it")
    return folder


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests that name no cache leave the user's alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVOKED_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Where tests of explanations and reports make datasets and runs; each under its own name."""
    from tests.support.small_runs import Workshop  # torch takes a while to import

    return Workshop(tmp_path_factory.mktemp("workshop"))


@pytest.fixture(scope="session")
def dataset(workshop: Workshop) -> PostDataset:
    """Sixty synthetic posts."""
    return workshop.posts()


@pytest.fixture(scope="session")
def run(workshop: Workshop, dataset: PostDataset) -> Run:
    """ABMF trained on the sixty posts."""
    return workshop.run(dataset, "run")


@pytest.fixture(scope="session")
def task_runs(workshop: Workshop, dataset: PostDataset) -> dict[str, Run]:
    """A run on the sixty posts for each task that is not emotion and engagement."""
    from tests.support.small_runs import OTHER_TASKS

    return {
        task: workshop.run(dataset, f"task-{task}", model, task=task, **settings)
        for task, (model, settings) in OTHER_TASKS.items()
    }

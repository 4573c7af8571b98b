"""The contract that every registered task fulfils; the checks are evoked.testing.tasks."""

from __future__ import annotations

import pytest

from evoked.targets import TASKS, Task, load_task, task_state
from evoked.testing.examples import random_posts
from evoked.testing.tasks import CHECKS, Check


@pytest.mark.parametrize("kind", TASKS.values(), ids=TASKS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(kind: type[Task], check: Check) -> None:
    check(kind)


@pytest.mark.parametrize("kind", TASKS.values(), ids=TASKS)
def test_registered_task_is_loaded_by_its_name(kind: type[Task]) -> None:
    assert type(load_task(task_state(kind.fit(random_posts(60))))) is kind

"""Deleting runs and datasets, but none that a job still uses."""

from __future__ import annotations

from evoked.serve.desk import Desk
from evoked.serve.problems import RefusalError

# More jobs than these never wait at once.
_JOBS = 1000


def delete_run(desk: Desk, name: str) -> None:
    """Delete one of the desk's own runs.

    Raises
    ------
    RefusalError
        There is none of this name, or a job that has not ended uses it.
    DataError
        It lies elsewhere.
    """
    entry = desk.run(name)
    _check_unused(desk, "run", entry.name)
    desk.library.delete_run(entry)


def delete_dataset(desk: Desk, name: str) -> None:
    """Delete one of the desk's datasets; runs made from it stay.

    Raises
    ------
    RefusalError
        There is none of this name, or a job that has not ended uses it.
    """
    entry = desk.dataset(name)
    _check_unused(desk, "dataset", entry.name)
    desk.library.delete_dataset(entry)


def _check_unused(desk: Desk, what: str, name: str) -> None:
    for job in desk.jobs.all(limit=_JOBS)[0]:
        if not job.has_ended and job.facts.get(what) == name:
            raise RefusalError(
                409, f"the job {job.title!r} still uses it. Wait for it to end, or cancel it."
            )

"""Checks of what every model, task and reader has to do, for anybody's own classes.

::

    from evoked.testing import check_model, check_reader, check_task

    check_model(MyModel)                        # all checks, on every task that it learns
    check_task(MyTask)
    check_reader(my_format.read, "posts.my")    # a small source of at least three posts

A check that fails raises AssertionError (or whatever the class raised) with a note that says which
property does not hold. To run each check as a test of its own::

    @pytest.mark.parametrize("check", evoked.testing.models.checks_of(MyModel))
    def test_my_model(check, tmp_path):
        check(evoked.testing.models.ModelCase.of(MyModel, folder=tmp_path))

Nothing here needs pytest, and no network library is imported before a model is checked.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from evoked.testing.failures import run_checks

if TYPE_CHECKING:
    from evoked.models.base import Model
    from evoked.posts.readers.base import Reader
    from evoked.targets import Task

__all__ = ["check_model", "check_reader", "check_task"]


def check_model(
    model_class: type[Model], task: str | None = None, tmp_path: Path | None = None
) -> None:
    """Run every check of a model on small random examples.

    Parameters
    ----------
    model_class
        A subclass of :class:`evoked.models.base.Model`; it need not be registered. It is fitted
        with its ``test_settings``.
    task
        Name of the task to learn; every task of the class when omitted.
    tmp_path
        Folder for logs and saved models; a temporary one when omitted.

    Raises
    ------
    AssertionError
        A check fails.
    """
    from evoked.testing.models import ModelCase, checks_of

    with TemporaryDirectory() as folder:
        for name in model_class.tasks if task is None else (task,):
            case = ModelCase.of(model_class, name, folder=(tmp_path or Path(folder)) / name)
            run_checks(checks_of(model_class), case, f"{model_class.__name__} on {name}")


def check_task(task_class: type[Task]) -> None:
    """Run every check of a task on random posts.

    Parameters
    ----------
    task_class
        A subclass of :class:`evoked.targets.Task`; it need not be registered. The random posts
        have values in all numeric columns of :mod:`evoked.posts.schema` that tasks learn from.

    Raises
    ------
    AssertionError
        A check fails.
    """
    from evoked.testing.tasks import CHECKS

    run_checks(CHECKS, task_class, task_class.__name__)


def check_reader(read: Reader, source: Path | str, tmp_path: Path | None = None) -> None:
    """Run every check of a reader on a source.

    Parameters
    ----------
    read
        The reader, see :mod:`evoked.posts.readers.base`; it need not be registered.
    source
        A small file or folder in its format, with at least three posts and a picture.
    tmp_path
        Folder for imported posts; a temporary one when omitted.

    Raises
    ------
    AssertionError
        A check fails.
    """
    from evoked.testing.readers import CHECKS, ReaderCase

    with TemporaryDirectory() as folder:
        case = ReaderCase(read, Path(source), tmp_path or Path(folder))
        run_checks(CHECKS, case, f"the reader of {case.source.name}")

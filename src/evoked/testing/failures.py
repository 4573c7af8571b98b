"""How checks fail: with AssertionError, whatever Python's optimisation level."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Case = TypeVar("Case")


def require(holds: object, problem: str) -> None:
    """Raise AssertionError with ``problem`` unless ``holds``."""
    if not holds:
        raise AssertionError(problem)


@contextmanager
def refuses(error: type[Exception], pattern: str, situation: str) -> Iterator[None]:
    """Require that the block raises ``error`` with a message that ``pattern`` is found in."""
    try:
        yield
    except error as found:
        require(
            re.search(pattern, str(found)),
            f"{situation}: the message {str(found)!r} does not mention {pattern!r}",
        )
    else:
        raise AssertionError(f"{situation}: {error.__name__} was expected, and nothing was raised")


def run_checks(checks: Iterable[Callable[[Case], None]], case: Case, subject: str) -> None:
    """Run checks one after another; an error gets a note that names the check and ``subject``."""
    for check in checks:
        try:
            check(case)
        except Exception as error:
            error.add_note(f"{check.__name__} of {subject}: {check.__doc__}")
            raise

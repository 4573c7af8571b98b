"""The command line, called as a person calls it."""

from __future__ import annotations

import contextlib
import io
import sys
from typing import NamedTuple

import pytest

from evoked.cli import main


class Answer(NamedTuple):
    """What a command printed, and how it ended."""

    stdout: str
    stderr: str
    status: int


def evoked(*arguments: object, fails: bool = False) -> Answer:
    """Run the command line in this process, where libraries and encoders are loaded already."""
    stdout, stderr = io.StringIO(), io.StringIO()
    typed = [str(argument) for argument in arguments]
    status = 0
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        patch.setattr(sys, "argv", ["evoked", *typed])
        try:
            main()
        except SystemExit as ended:
            status = int(ended.code or 0)
    answer = Answer(stdout.getvalue(), stderr.getvalue(), status)
    assert (answer.status != 0) == fails, answer
    return answer

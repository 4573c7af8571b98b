"""Errors, each with a message that says what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING

from evoked.sentences import on_one_line

if TYPE_CHECKING:
    from pydantic import ValidationError


class EvokedError(Exception):
    """Base of every error that evoked raises on purpose; its message is meant for a person."""


class DataError(EvokedError):
    """Posts or images that can't be used as they are.

    Parameters
    ----------
    problem
        What is wrong and what was expected.
    file, row, field
        Where: the file, the 1-based row within it (the header not counted), the column.
    fix
        What to do about it.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: object | None = None,
        row: int | str | None = None,
        field: str | None = None,
        fix: str | None = None,
    ) -> None:
        self.problem, self.file, self.row, self.field, self.fix = problem, file, row, field, fix
        where = [
            f"{label} {on_one_line(str(value))}"
            for label, value in (("file", file), ("row", row), ("field", field))
            if value is not None
        ]
        message = f"{', '.join(where)}: {problem}" if where else problem
        super().__init__(f"{message} {fix}" if fix else message)

    @property
    def about_row(self) -> str:
        """The message without the row, for a place that stands in the row."""
        return str(DataError(self.problem, file=self.file, field=self.field, fix=self.fix))


class ImageError(DataError):
    """One image that can't be decoded within the bounds."""


class SettingsError(EvokedError):
    """A setting that does not exist, or a value that it does not take."""


class MissingExtraError(EvokedError):
    """An optional library is needed; the message names the extra that installs it."""

    def __init__(self, library: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs {library}, which is not installed: pip install 'evoked[{extra}]'."
        )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest the closest known name, as " Did you mean 'NAME'?"; empty if none is close."""
    close = get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def settings_problem(error: ValidationError, known: Iterable[str]) -> str:
    """The first problem of the settings, as a sentence.

    Parameters
    ----------
    error
        The error that pydantic raised.
    known
        Names of the settings that exist, listed if the problem is a name that isn't among them.
    """
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] != "extra_forbidden" or len(first["loc"]) > 1:
        return f"{where}: {first['msg']}." if where else f"{first['msg']}."
    return unknown_setting(where, known)


def unknown_setting(name: str, known: Iterable[str]) -> str:
    """The sentence that a setting doesn't exist, with those that do, the closest one first."""
    names = list(known)
    hint = did_you_mean(name, names)
    return f"there is no setting {name!r}.{hint} There are: {', '.join(names) or 'none'}."

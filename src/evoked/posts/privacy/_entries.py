"""Entries of zip archives that others made."""

from __future__ import annotations

import zipfile
from pathlib import Path

from evoked.errors import DataError


def entry_content(archive: zipfile.ZipFile, name: str, limit: int, file: Path) -> bytes:
    """The bytes of an entry, at most ``limit`` of them.

    Raises
    ------
    DataError
        The archive ``file`` lacks the entry, or it is damaged or larger.
    """
    try:
        with archive.open(name) as stream:
            content = stream.read(limit + 1)
    except (KeyError, OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{name!r} can't be read ({error}).", file=file) from error
    if len(content) > limit:
        raise DataError(f"{name!r} is larger than {limit} bytes.", file=file)
    return content
